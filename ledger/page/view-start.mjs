// Before the verdict: choosing a bundle, the archive's key, and how far the check is.

import { bdi, el, icon, plain } from "./dom.mjs";

export function start(state, words, actions) {
  const folder = el("input", { type: "file", webkitdirectory: true, hidden: true, "data-pick": "folder" });
  const file = el("input", { type: "file", accept: ".zip,.json,application/zip,application/json", hidden: true, "data-pick": "file" });
  for (const input of [folder, file]) input.addEventListener("change", () => actions.choose(input.files));
  return [
    el(
      "header",
      {},
      el("h1", { tabindex: "-1" }, words.say("title")),
      el("p", { class: "lede" }, words.say("lede")),
      el("p", { class: "private" }, icon("lock"), el("span", {}, words.say("private"))),
    ),
    el(
      "div",
      { class: "start" },
      el(
        "section",
        { class: "drop", "aria-labelledby": "drop" },
        icon("folder"),
        el("h2", { id: "drop" }, words.say("drop")),
        el("p", { class: "soft" }, words.say("dropHint")),
        el(
          "div",
          { class: "buttons" },
          el("button", { class: "button button--main", type: "button", onclick: () => folder.click() }, words.say("chooseFolder")),
          el("button", { class: "button", type: "button", onclick: () => file.click() }, words.say("chooseFile")),
        ),
        el("p", { class: "soft small" }, words.say("uploadHint")),
        folder,
        file,
      ),
      el(
        "section",
        { class: "card", "aria-labelledby": "key" },
        el("h2", { id: "key" }, words.say("keyTitle")),
        el("p", { class: "soft" }, words.say("keyHelp")),
        keyField(state, words, actions, null),
      ),
    ),
  ];
}

/** The field for what the archive said of its key; with a button where there is something to compare at once. */
export function keyField(state, words, actions, button) {
  const error = el("p", { class: "error", id: "key-error", role: "alert" });
  const text = el("textarea", {
    id: "key-text",
    rows: "2",
    dir: "ltr",
    spellcheck: "false",
    autocomplete: "off",
    autocapitalize: "off",
    "aria-describedby": "key-error",
  });
  text.value = state.trustText;
  const apply = () => {
    const good = actions.trust(text.value);
    error.textContent = good ? "" : words.say("keyBad");
    text.toggleAttribute("aria-invalid", !good);
  };
  if (!button) text.addEventListener("change", apply);
  return el(
    "div",
    { class: "field screen" },
    el("label", { for: "key-text" }, words.say("keyLabel")),
    text,
    error,
    button && el("div", {}, el("button", { class: "button", type: "button", onclick: apply }, button)),
  );
}

export function working(state, words, actions) {
  const bar = el("progress", { max: "1", "aria-labelledby": "working" });
  const amount = el("p", { role: "status" }, words.say("workingReading"));
  const path = el("p", { class: "soft" });
  actions.paint = ({ progress }, spoken) => {
    const { done, total } = progress;
    if (done < total) bar.value = done / total;
    else bar.removeAttribute("value");
    const particulars = { done: spoken.bytes(done), total: spoken.bytes(total) };
    amount.textContent = done < total ? spoken.say("workingFile", particulars) : spoken.say("workingRest");
    path.replaceChildren(done < total ? bdi(plain(progress.path), { class: "mono" }) : "");
  };
  if (state.progress) actions.paint(state, words);
  return [
    el(
      "section",
      { class: "card working" },
      el("h1", { id: "working", tabindex: "-1" }, words.say("working")),
      bar,
      amount,
      path,
      el("div", { class: "buttons" }, el("button", { class: "button", type: "button", onclick: actions.restart }, words.say("cancel"))),
    ),
  ];
}

export function notRead(state, words, actions) {
  return [
    el("h1", { tabindex: "-1" }, words.say("notRead")),
    el("p", { class: "lede" }, words.say("notReadHint")),
    el("div", { class: "buttons" }, el("button", { class: "button button--main", type: "button", onclick: actions.restart }, words.say("again"))),
  ];
}
