// The page: what a person drops, how far the check is, and the verdict. Nothing is fetched, kept or sent.

import { el, icon } from "./dom.mjs";
import { Unreadable } from "./faults.mjs";
import { fromDrop, fromInput } from "./pick.mjs";
import { verifyReceipt } from "./receipt.mjs";
import { asJson } from "./report.mjs";
import { Folder } from "./source.mjs";
import { parseTrust } from "./trust.mjs";
import { verifyBundle } from "./verify.mjs";
import { result } from "./view-result.mjs";
import { notRead, start, working } from "./view-start.mjs";
import { LANGUAGES, speaker } from "./words.mjs";

const state = {
  view: "start", // start, working, result, unread
  language: preferred(),
  trustText: "",
  trust: parseTrust(""),
  name: "",
  source: null, // a Source, a receipt, or the fault that there is none
  content: null, // the digests of the file that a receipt should be for
  report: null,
  checkedAt: null,
  progress: null, // {done, total, path}
  stop: null, // AbortController
};

const main = el("main", { class: "page", id: "main", tabindex: "-1" });
const header = el("header", { class: "masthead" });
const footer = el("footer", { class: "footer" });
const skip = el("a", { class: "skip visually-hidden", href: "#main" });
document.body.append(skip, header, main, footer);

function preferred() {
  const wanted = navigator.languages.map((tag) => tag.split("-")[0]);
  return wanted.find((language) => language in LANGUAGES) ?? "en";
}

function render() {
  const words = speaker(state.language);
  document.documentElement.lang = state.language;
  document.documentElement.dir = words.direction;
  document.title = `${words.say("title")} · Sanad`;
  skip.textContent = words.say("skip");
  footer.textContent = words.say("footer");
  header.replaceChildren(masthead(words));
  const views = { start, working, result, unread: notRead };
  main.replaceChildren(...views[state.view](state, words, actions));
}

function masthead(words) {
  const buttons = Object.entries(LANGUAGES).map(([language, { name }]) =>
    el(
      "button",
      { type: "button", lang: language, "aria-pressed": String(language === state.language), onclick: () => speak(language) },
      name,
    ),
  );
  return el(
    "div",
    { class: "masthead__row" },
    el("span", { class: "wordmark" }, icon("sign"), state.language === "ar" ? "سند" : "Sanad"),
    el("div", { class: "languages", role: "group", "aria-label": words.say("language") }, buttons),
  );
}

function speak(language) {
  state.language = language;
  render();
  header.querySelector(`[lang="${language}"]`).focus();
}

function show(view) {
  state.view = view;
  render();
  (main.querySelector("h1") ?? main).focus();
  scrollTo(0, 0);
}

/** Reads and checks what was chosen; under another key, what was read before. */
async function check(chosen) {
  state.stop?.abort();
  const stop = new AbortController();
  state.stop = stop;
  if (chosen) Object.assign(state, { name: chosen.name, source: null, progress: null, content: null });
  show("working");
  try {
    state.source ??= await chosen.open();
  } catch (error) {
    if (!(error instanceof Unreadable)) return stop.signal.aborted || show("unread"); // the browser's failure
    state.source = error;
  }
  if (stop.signal.aborted) return undefined;
  const { keys, policy, fingerprint } = state.trust;
  const options = { trusted: keys, policy, fingerprint, content: state.content, tick: progress(stop.signal) };
  try {
    const { receipt } = state.source;
    state.report = receipt ? verifyReceipt(receipt, options) : await verifyBundle(openAgain, options);
  } catch (error) {
    if (error.name !== "AbortError") throw error;
    return undefined;
  }
  state.checkedAt = new Date();
  return show("result");
}

async function openAgain() {
  if (state.source instanceof Error) throw state.source;
  return state.source;
}

/** Hears of the bytes done; paints at most ten times a second; stops when the person did. */
function progress(signal) {
  const total = Array.from(state.source.files?.values() ?? []).reduce((sum, size) => sum + size, 0);
  let [done, painted] = [0, 0];
  return (bytes, path) => {
    signal.throwIfAborted();
    done += bytes;
    state.progress = { done, total, path };
    if (performance.now() - painted < 100) return;
    painted = performance.now();
    actions.paint?.(state, speaker(state.language));
  };
}

const actions = {
  paint: null, // set by the view of the progress
  choose: (files) => {
    const chosen = fromInput(files);
    if (chosen) check(chosen);
  },
  /** The file that a receipt should be for. */
  compare: async ([file]) => {
    if (!file) return;
    const source = new Folder([["content", file]]);
    state.content = await source.digests("content");
    check(null);
  },
  restart: () => {
    state.stop?.abort();
    Object.assign(state, { source: null, report: null, progress: null });
    show("start");
  },
  /** Whether the text is a fingerprint, key or policy; if so, what was checked is checked again under it. */
  trust: (text) => {
    const trust = parseTrust(text);
    state.trustText = text;
    if (trust === null) return false;
    state.trust = trust;
    if (state.view === "result") check(null);
    return true;
  },
  print: () => {
    main.querySelector("[data-more]")?.click();
    for (const details of main.querySelectorAll("details")) details.open = true;
    print();
  },
  save: () => {
    const words = speaker("en");
    const report = { bundle: state.name, ...asJson(state.report, words.code) };
    const blob = new Blob([`${JSON.stringify(report, null, 2)}\n`], { type: "application/json" });
    const link = el("a", { href: URL.createObjectURL(blob), download: `${state.name || "bundle"}-report.json` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  },
};

let over = 0;
const target = () => document.querySelector(".drop");
addEventListener("dragenter", () => target()?.classList.toggle("drop--over", (over += 1) > 0));
addEventListener("dragleave", () => target()?.classList.toggle("drop--over", (over -= 1) > 0));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  over = 0;
  target()?.classList.remove("drop--over");
  const chosen = event.dataTransfer && fromDrop(event.dataTransfer);
  if (chosen) check(chosen);
});

render();
