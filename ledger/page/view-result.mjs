// The verdict, what it means, whose key it is, and what is wrong where.

import { bdi, el, icon, plain } from "./dom.mjs";
import { BUNDLE, INVALID, isVerified, shownKeys, UNTRUSTED, VERIFIED } from "./report.mjs";
import { itemList, otherEvents } from "./view-items.mjs";
import { keyField } from "./view-start.mjs";

export function result(state, words, actions) {
  const { report } = state;
  if (report.state !== null) return receiptResult(state, words, actions);
  return [
    verdict(state, words),
    actionsRow(words, actions),
    report.problems.length > 0 && problems(report, words),
    report.keys.length > 0 && fingerprints(state, words, actions),
    meaning(report, words),
    itemList(report, words),
    otherEvents(report, words),
    report.checkpoint && ledger(report, words),
    el("p", { class: "paper paper--sign" }, words.say("signHere")),
  ].filter(Boolean);
}

function verdict(state, words) {
  const { report } = state;
  const code = report.exitCode;
  const title = { [VERIFIED]: "verified", [INVALID]: "invalid", [UNTRUSTED]: "untrusted" }[code];
  const good = report.items.filter((item) => isVerified(item, report)).length;
  const mark = { [VERIFIED]: "seal", [INVALID]: "broken", [UNTRUSTED]: "question" }[code];
  return el(
    "section",
    { class: `verdict verdict--${code}`, "data-exit-code": String(code) },
    icon(mark),
    el("div", {}, el("h1", { tabindex: "-1" }, words.say(title)), el("p", { class: "verdict__text" }, sentence(state, words))),
    el(
      "div",
      { class: "verdict__facts" },
      state.name && el("span", {}, `${words.say(report.state === null ? "bundleName" : "receipt")}: `, el("bdi", {}, plain(state.name))),
      report.state === null && el("strong", {}, words.count("factItems", report.items.length, { good: words.number(good) })),
      report.state === null && el("span", {}, words.count("factEvents", report.entries)),
      report.state === null && el("span", {}, words.count("factFiles", report.files)),
      el("span", {}, words.say("checkedAt", { date: words.date(state.checkedAt) })),
      el("span", { class: "soft" }, words.say("exitCode", { n: words.number(code) })),
    ),
  );
}

function sentence({ report, trust }, words) {
  if (report.state === "pending" && report.exitCode === UNTRUSTED) return words.say("receiptPending");
  if (report.state !== null && report.exitCode === INVALID) return words.say("receiptInvalid");
  if (report.exitCode === INVALID) {
    const missing = report.problems.some(({ where, code }) => where === "bagit.txt" && code === "file-missing");
    return missing ? words.say("noBag") : words.count("invalidText", report.flawed.size);
  }
  if (report.exitCode === UNTRUSTED) {
    if (report.trust !== "unknown") return words.say("untrustedQuorum");
    return words.say(trust.fingerprint ? "untrustedPrint" : "untrustedKey");
  }
  const pinned = report.trust === "pinned";
  if (report.state !== null) return words.say(pinned ? "receiptPinned" : "receiptFirst");
  return words.say(pinned ? "verifiedPinned" : "verifiedFirst");
}

function actionsRow(words, actions) {
  const button = (key, action, look = "") => el("button", { class: `button${look}`, type: "button", onclick: action }, words.say(key));
  return el(
    "div",
    { class: "buttons" },
    button("print", actions.print, " button--main"),
    button("save", actions.save),
    button("again", actions.restart),
  );
}

/** By place, the items first: they are what a reader looks for. */
function problems(report, words) {
  const places = new Map(report.items.map((item) => [item.accession, new Set()]));
  for (const { where, code } of report.problems) {
    if (!places.has(where)) places.set(where, new Set());
    places.get(where).add(code);
  }
  const rows = Array.from(places).filter(([, codes]) => codes.size > 0).map(([where, codes]) =>
    el(
      "li",
      { "data-where": where },
      placeName(where, report, words),
      Array.from(codes, (code) => el("p", { "data-code": code }, codeWords(code, report, words))),
    ),
  );
  return el(
    "section",
    { class: "card card--danger", "aria-labelledby": "problems" },
    el("h2", { id: "problems" }, words.say("problems")),
    el("ul", { class: "problems" }, rows),
    report.moreProblems > 0 && el("p", {}, words.count("problemsMore", report.moreProblems)),
  );
}

function placeName(where, report, words) {
  if (report.state !== null) return el("strong", {}, words.say("receipt"));
  return where === BUNDLE ? el("strong", {}, words.say("whole")) : bdi(plain(where), { class: "mono" });
}

function codeWords(code, report, words) {
  return report.state !== null && code === "payload-digest" ? words.say("receiptOther") : words.code(code);
}

function receiptResult(state, words, actions) {
  const { report } = state;
  return [
    verdict(state, words),
    actionsRow(words, actions),
    report.problems.length > 0 && problems(report, words),
    report.reception && reception(state, words, actions),
    report.keys.length > 0 && fingerprints(state, words, actions),
    report.checkpoint && ledger(report, words),
    el("p", { class: "paper paper--sign" }, words.say("signHere")),
  ].filter(Boolean);
}

/** What the archive received, and whether a file is it. */
function reception({ report, content }, words, actions) {
  const { accession, received_at: at, index, size, sha256 } = report.reception;
  const input = el("input", { type: "file", hidden: true, "data-pick": "content" });
  input.addEventListener("change", () => actions.compare(input.files));
  const same = content && !report.problems.some(({ code }) => code === "payload-digest");
  const rows = [
    ["receiptItem", bdi(plain(accession), { class: "mono" })],
    ["receiptAt", words.date(new Date(at))],
    index !== null && ["receiptEntry", words.number(index)],
    ["itemSize", words.bytes(size)],
    ["itemDigest", bdi(plain(sha256), { class: "mono" })],
  ].filter(Boolean);
  return el(
    "section",
    { class: "card", "aria-labelledby": "receipt" },
    el("h2", { id: "receipt" }, words.say("receipt")),
    el("dl", { class: "facts" }, rows.map(([key, value]) => [el("dt", {}, words.say(key)), el("dd", {}, value)])),
    same && el("p", { class: "row" }, el("span", { class: "tag tag--ok" }, icon("check"), words.say("itemVerified")), words.say("receiptSame")),
    el("p", { class: "soft screen" }, words.say("receiptAsk")),
    el("div", { class: "buttons" }, el("button", { class: "button", type: "button", onclick: () => input.click() }, words.say("receiptChoose"))),
    input,
  );
}

function fingerprints(state, words, actions) {
  const { report, trust } = state;
  const keys = shownKeys(report);
  const shown = keys.find((key) => key.signed) ?? keys[0];
  const given = trust.fingerprint;
  const known = report.trust === "pinned" || (given && report.keys.some((key) => key.fingerprint === given));
  const wrong = given && !known;
  return el(
    "section",
    { class: "card", "aria-labelledby": "fingerprint" },
    el(
      "div",
      { class: "row row--apart" },
      el("h2", { id: "fingerprint" }, words.say("fingerprint")),
      known && el("span", { class: "tag tag--ok" }, icon("check"), words.say("fingerprintSame")),
      wrong && el("span", { class: "tag tag--danger" }, icon("cross"), words.say("fingerprintOther")),
    ),
    printOf(shown.fingerprint, wrong ? given : null),
    wrong && el("p", { class: "soft" }, words.say("fingerprintYours")),
    wrong && printOf(given, shown.fingerprint),
    el("p", { class: "soft" }, words.say("fingerprintCompare")),
    keyField(state, words, actions, words.say("keyApply")),
  );
}

/** Sixteen groups of four; those that differ from another fingerprint are marked. */
function printOf(fingerprint, other) {
  const others = other?.split(" ");
  const groups = fingerprint.split(" ");
  return el(
    "div",
    { class: "print", dir: "ltr" },
    groups.map((group, i) => el(others && others[i] !== group ? "mark" : "span", {}, group)),
  );
}

function meaning(report, words) {
  const list = (key, look, mark) =>
    el("ul", { class: `bullets bullets--${look}` }, words.list(key).map((text) => el("li", {}, icon(mark), el("span", {}, text))));
  const not = el(
    "section",
    { class: "card", "aria-labelledby": "shows-not" },
    el("h2", { id: "shows-not" }, words.say("showsNotTitle")),
    list("showsNot", "not", "cross"),
  );
  if (report.exitCode === INVALID) return not;
  const shows = el(
    "section",
    { class: "card", "aria-labelledby": "shows" },
    el("h2", { id: "shows" }, words.say("showsTitle")),
    list("shows", "ok", "check"),
  );
  return el("div", { class: "pair" }, shows, not);
}

function ledger(report, words) {
  const { checkpoint, policy } = report;
  const rows = [
    ["ledgerOrigin", bdi(plain(checkpoint.origin), { class: "mono" })],
    ["ledgerSize", words.count("ledgerSizeText", checkpoint.size)],
    ["ledgerRoot", bdi(checkpoint.rootHex, { class: "mono" })],
    [shownKeys(report).length > 1 ? "ledgerKeys" : "ledgerKey", shownKeys(report).map((key) => keyLine(key, report, words))],
    report.log !== null && ["ledgerLog", words.count("ledgerLogText", report.log)],
    policy && ["ledgerCosigned", cosigners(policy, words)],
    report.anchors.length > 0 && ["ledgerAnchors", report.anchors.map((anchor) => el("div", {}, anchorLine(anchor, words)))],
    report.digest && ["bundleDigest", [bdi(report.digest, { class: "mono" }), el("div", { class: "soft small" }, words.say("bundleDigestHint"))]],
  ].filter(Boolean);
  return el(
    "section",
    { class: "card", "aria-labelledby": "ledger" },
    el("h2", { id: "ledger" }, words.say("ledger")),
    el("dl", { class: "facts" }, rows.map(([key, value]) => [el("dt", {}, words.say(key)), el("dd", {}, value)])),
  );
}

function keyLine(key, report, words) {
  const several = shownKeys(report).length > 1;
  const notes = [
    several && key.from === null && words.say("keyRefused"),
    several && key.from > 0n && words.say("keyFrom", { n: words.number(key.from) }),
    key.until !== null && words.say("keyUntil", { n: words.number(key.until) }),
    several && key.signed && words.say("keySigned"),
  ].filter(Boolean);
  return el("div", {}, bdi(plain(key.vkey), { class: "mono" }), notes.length > 0 && el("div", { class: "soft small" }, notes.join(" · ")));
}

function cosigners(policy, words) {
  const lines = policy.cosigned.map(({ name, time }) =>
    el("div", {}, bdi(plain(name), { class: "mono" }), " · ", time < 253402300800n ? words.date(new Date(Number(time) * 1000)) : String(time)),
  );
  return [
    lines.length > 0 ? lines : el("div", {}, words.say("ledgerCosignedNone")),
    el("div", { class: "soft small" }, words.say(policy.met ? "ledgerQuorumMet" : "ledgerQuorumMissed")),
  ];
}

function anchorLine({ size, time }, words) {
  const when = new Date(time);
  return words.say("ledgerAnchor", { time: Number.isNaN(when.getTime()) ? plain(time) : words.date(when), size: words.number(size) });
}
