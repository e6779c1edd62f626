// Each item and its custody, in plain words.

import { bdi, el, icon, plain } from "./dom.mjs";
import { entryPath, proofPath } from "./events.mjs";
import { isVerified } from "./report.mjs";

const FIRST = 100; // items drawn at once; a button draws the rest

export function itemList(report, words) {
  if (report.items.length === 0) return null;
  const ordered = report.items.toSorted((a, b) => Number(b.problems.length > 0) - Number(a.problems.length > 0));
  const list = el("div", { class: "list" });
  const draw = (items) => list.append(...items.map((item) => itemCard(item, report, words)));
  draw(ordered.slice(0, FIRST));
  const rest = ordered.slice(FIRST);
  const more = rest.length > 0 && el("button", { class: "button", type: "button", "data-more": true }, words.count("showAll", rest.length));
  if (more) {
    more.addEventListener("click", () => {
      more.remove();
      draw(rest);
    });
  }
  return el("section", { class: "list", "aria-labelledby": "items" }, el("h2", { id: "items" }, words.say("items")), list, more);
}

function itemCard(item, report, words) {
  const good = isVerified(item, report);
  const look = !good ? "bad" : item.state === "present" ? "good" : "kept";
  return el(
    "article",
    { class: `card item item--${look}`, "data-accession": item.accession, "data-verified": String(good) },
    el(
      "div",
      { class: "row row--apart" },
      el(
        "h3",
        {},
        words.say("item", { accession: item.accession }),
        item.exhibit && el("span", { class: "soft" }, " · ", words.say("exhibit", { number: plain(item.exhibit) })),
      ),
      el("span", { class: `tag tag--${good ? "ok" : "danger"}` }, icon(good ? "check" : "cross"), words.say(good ? "itemVerified" : "itemNot")),
    ),
    item.problems.length > 0
      ? el("ul", { class: "problems" }, problemLines(item, words))
      : el("p", {}, itemSentence(item, report, words)),
    item.state === "present" && file(item, words),
    counts(item, words),
    item.events.length > 0 && story(item.events, report, words, words.count("itemEvents", item.events.length)),
  );
}

/** Each once: both manifests tell of a changed file. */
function problemLines(item, words) {
  const told = new Map(item.problems.map(({ where, code }) => [`${where} ${code}`, [where, code]]));
  return Array.from(told.values(), ([where, code]) =>
    el("li", {}, where !== item.accession && bdi(plain(where), { class: "mono" }), el("p", {}, words.code(code))),
  );
}

function itemSentence(item, report, words) {
  if (report.trust === "none") return words.say("itemHead");
  if (item.state === "withheld") return words.say("itemWithheld");
  if (item.state === "erased") return words.say("itemErased", { index: words.number(item.erasure) });
  return words.say("itemReceived", { date: words.date(new Date(item.receivedAt)), index: words.number(item.receivedIndex) });
}

function file(item, words) {
  const rows = [
    ["itemFile", bdi(plain(item.path), { class: "mono" })],
    ["itemSize", words.bytes(item.size)],
    ["itemMedia", bdi(plain(item.media_type), { class: "mono" })],
    ["itemDigest", bdi(plain(item.sha256), { class: "mono" })],
  ];
  return el("dl", { class: "facts small" }, rows.map(([key, value]) => [el("dt", {}, words.say(key)), el("dd", {}, value)]));
}

function counts(item, words) {
  const lines = [
    item.withheld > 0 && words.count("itemWithheldFields", item.withheld),
    item.erased > 0 && words.count("itemErasedFields", item.erased),
  ].filter(Boolean);
  return lines.length > 0 && el("p", { class: "soft small" }, lines.join(" "));
}

function story(events, report, words, title) {
  const ordered = events.toSorted((a, b) => (a.index < b.index ? -1 : 1));
  return el("details", {}, el("summary", {}, title), el("ol", { class: "story" }, ordered.map((event) => eventLine(event, report, words))));
}

function eventLine(event, report, words) {
  const { entry, fields } = event;
  const good = report.trust !== "none" && ![entryPath(event.index), proofPath(event.index)].some((path) => report.flawed.has(path));
  const closed = entry.commitments.size - fields.size;
  const outcome = words.outcome(entry.outcome);
  return el(
    "li",
    { class: good ? null : "story__bad" },
    el(
      "div",
      { class: "row" },
      el("strong", {}, words.type(entry.type)),
      outcome && el("span", { class: "tag tag--warn" }, outcome),
      el("span", { class: "soft" }, words.date(new Date(entry.ts))),
    ),
    el(
      "div",
      { class: "soft small" },
      words.say(good ? "eventIn" : "eventInBad", { index: words.number(event.index) }),
      closed > 0 && ` · ${words.count("eventClosed", closed)}`,
    ),
    fields.size > 0 &&
      el("details", { class: "small" }, el("summary", {}, words.say("eventFields")), el("dl", { class: "facts values" }, values(fields, words))),
  );
}

function values(fields, words) {
  return Array.from(fields, ([field, value]) => [
    el("dt", {}, words.field(field)),
    el("dd", {}, typeof value === "string" ? el("bdi", {}, plain(value)) : bdi(shown(value), { class: "mono" })),
  ]);
}

/** A value that is no text, short and on one line. */
function shown(value) {
  const spoken = (part) => {
    if (part instanceof Map) return Array.from(part, ([key, member]) => `${key}: ${spoken(member)}`).join(", ") || "–";
    return Array.isArray(part) ? part.map(spoken).join("; ") || "–" : String(part);
  };
  return plain(spoken(value));
}

export function otherEvents(report, words) {
  if (report.others.length === 0) return null;
  const title = words.count("itemEvents", report.others.length);
  return el(
    "section",
    { class: "card", "aria-labelledby": "others" },
    el("h2", { id: "others" }, words.say("others")),
    story(report.others.slice(0, 1000), report, words, title),
  );
}
