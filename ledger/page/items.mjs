// The catalogue, each item in it, and erasures: step 9 of spec section 9.2, sections 9.1 and 11.

import { reading } from "./bag.mjs";
import { hasShape, parseCanonical } from "./canonical.mjs";
import { disclosurePath, entryPath, proofPath } from "./events.mjs";
import { attempt, Malformed } from "./faults.mjs";

const ITEMS = "data/items.json";
const LIMITS = { bytes: 16 << 20, depth: 16 };
const RECEIVED = "ingestion";
const ERASURE = "sanad/erasure";
const MEMBERS = ["accession", "id", "state", "path", "sha256", "sha512", "size", "media_type", "exhibit", "events", "erasure"];
const FILE_TEXTS = ["path", "sha256", "sha512", "media_type"];
const ACCESSION = /^[A-Z0-9]([A-Z0-9-]{0,30}[A-Z0-9])?$/;
const HEX64 = /^[0-9a-f]{64}$/;

/** {byIndex, gone, destroyed}: each erasure by its index as text, {index, content: Map of item id to {accession, blobs},
 * values: Map of event id to a Set of fields}; the fields explained of each earlier event; ids of the items destroyed. */
export function checkErasures(report, events) {
  const [byIndex, gone, destroyed] = [new Map(), new Map(), new Set()];
  for (const event of events.values()) {
    if (event.entry.type !== ERASURE || event.entry.outcome !== "success" || !event.fields.has("erased")) continue;
    const erased = attempt(() => parseErased(event.fields.get("erased")));
    if (erased === null) {
      report.tell(event.path, "erasure-malformed");
      continue;
    }
    byIndex.set(String(event.index), { index: event.index, ...erased });
    for (const id of erased.content.keys()) destroyed.add(id);
    for (const [eventId, fields] of erased.values) {
      if (!(events.get(eventId)?.index < event.index)) continue;
      if (!gone.has(eventId)) gone.set(eventId, new Set());
      for (const field of fields) gone.get(eventId).add(field);
    }
  }
  for (const [eventId, fields] of gone) {
    const event = events.get(eventId);
    if (Array.from(fields).some((field) => event.fields.has(field))) {
      report.tell(disclosurePath(event.index), "erasure-contradicted");
    }
  }
  return { byIndex, gone, destroyed };
}

function parseErased(value) {
  const check = (holds) => {
    if (!holds) throw new Malformed("bad-erasure");
  };
  const texts = (list, pattern) => {
    check(Array.isArray(list) && list.length && new Set(list).size === list.length);
    check(list.every((text) => typeof text === "string" && pattern.test(text)));
    return new Set(list);
  };
  check(hasShape(value, ["content", "values"]) && Array.isArray(value.get("content")) && value.get("values") instanceof Map);
  const content = new Map();
  for (const row of value.get("content")) {
    check(hasShape(row, ["accession", "blobs", "id"]));
    const [accession, id] = [row.get("accession"), row.get("id")];
    check(typeof accession === "string" && typeof id === "string" && !content.has(id));
    content.set(id, { accession, blobs: texts(row.get("blobs"), HEX64) });
  }
  const values = new Map();
  for (const [eventId, fields] of value.get("values")) {
    values.set(eventId, texts(fields, /^/));
  }
  return { content, values };
}

/** The catalogue and the verdict on each item of it, in report.items. */
export async function checkItems(source, report, digests, events, erasures) {
  const bytes = await reading(source, report, ITEMS, LIMITS.bytes);
  if (bytes === null) return;
  const rows = attempt(() => parseCatalogue(bytes));
  if (rows === null) {
    report.tell(ITEMS, "catalogue-malformed");
    return;
  }
  for (const member of ["accession", "id", "path"]) {
    const values = rows.map((row) => row[member]).filter((value) => value !== null);
    if (new Set(values).size < values.length) report.tell(ITEMS, "catalogue-duplicate");
  }
  const listed = new Set(rows.map((row) => row.path));
  for (const path of source.files.keys()) {
    if (path.startsWith("data/items/") && !listed.has(path)) report.tell(path, "payload-uncatalogued");
  }
  const byWhere = new Map();
  for (const problem of report.problems) {
    if (!byWhere.has(problem.where)) byWhere.set(problem.where, []);
    if (!byWhere.get(problem.where).some(({ code }) => code === problem.code)) byWhere.get(problem.where).push(problem);
  }
  for (const row of rows) report.items.push(checkItem(report, row, digests, events, erasures, byWhere));
}

function parseCatalogue(bytes) {
  const catalogue = parseCanonical(bytes, LIMITS);
  if (!hasShape(catalogue, ["format", "items"]) || catalogue.get("format") !== "sanad-bundle/2") {
    throw new Malformed("bad-catalogue");
  }
  if (!Array.isArray(catalogue.get("items"))) throw new Malformed("bad-catalogue");
  return catalogue.get("items").map((value) => {
    const row = hasShape(value, MEMBERS) ? Object.fromEntries(value) : null;
    if (row === null || !goodRow(row)) throw new Malformed("bad-catalogue");
    return row;
  });
}

function goodRow(row) {
  const text = (value) => typeof value === "string";
  const present = row.state === "present";
  return (
    text(row.accession) &&
    ACCESSION.test(row.accession) &&
    text(row.id) &&
    (present || row.state === "withheld" || row.state === "erased") &&
    FILE_TEXTS.every((member) => (present ? text(row[member]) : row[member] === null)) &&
    (present ? Number.isInteger(row.size) : row.size === null) &&
    (row.exhibit === null || text(row.exhibit)) &&
    Array.isArray(row.events) &&
    row.events.every(text) &&
    (row.state === "erased" ? Number.isInteger(row.erasure) : row.erasure === null)
  );
}

function checkItem(report, row, digests, events, erasures, byWhere) {
  const item = { ...row, events: [], receivedAt: null, receivedIndex: null, withheld: 0, erased: 0, problems: [] };
  const tell = (code) => {
    if (item.problems.every((problem) => problem.code !== code)) item.problems.push({ where: row.accession, code });
    report.tell(row.accession, code);
  };
  const actual = row.state === "present" ? checkPayload(row, digests, tell) : undefined;
  const explained = row.state === "erased" ? erasures.byIndex.get(String(row.erasure)) : undefined;
  const receptions = [];
  const paths = row.path === null ? [] : [row.path];
  for (const eventId of new Set(row.events)) {
    const event = events.get(eventId);
    if (event === undefined) {
      tell("event-missing");
      continue;
    }
    item.events.push(event);
    paths.push(entryPath(event.index), proofPath(event.index), disclosurePath(event.index));
    for (const field of event.entry.commitments.keys()) {
      if (event.fields.has(field)) continue;
      item[erasures.gone.get(eventId)?.has(field) ? "erased" : "withheld"] += 1;
    }
    const before = explained !== undefined && event.index < explained.index;
    const closed = event.entry.commitments.has("subjects") && !event.fields.has("subjects");
    const unopened = before && closed && explained.values.get(eventId)?.has("subjects");
    if (!unopened && !itemsOf(event).has(row.id)) tell("event-not-of-item");
    if (event.entry.type === RECEIVED && event.entry.outcome === "success") receptions.push(event);
  }
  if (receptions.length === 0) tell("reception-missing");
  for (const event of receptions) {
    if (row.state !== "erased") checkReception(row, event, actual, tell);
    item.receivedAt = event.entry.ts;
    item.receivedIndex = event.index;
  }
  checkErased(row, erasures, receptions, tell);
  for (const path of paths) item.problems.push(...(byWhere.get(path) ?? []));
  if (item.problems.length === 0 && paths.some((path) => report.flawed.has(path))) {
    item.problems.push({ where: row.accession, code: "more" });
  }
  return item;
}

/** The ids of the items that an event discloses to be about. */
function itemsOf(event) {
  if (event.items === undefined) {
    const subjects = event.fields.get("subjects");
    const about = (Array.isArray(subjects) ? subjects : []).filter(
      (subject) => hasShape(subject, ["id", "kind"]) && subject.get("kind") === "item",
    );
    event.items = new Set(about.map((subject) => subject.get("id")));
  }
  return event.items;
}

function checkPayload(row, digests, tell) {
  const actual = digests.get(row.path);
  if (!row.path.startsWith(`data/items/${row.accession}/`) || actual === undefined) tell("payload-missing");
  else if (["sha256", "sha512", "size"].some((member) => actual[member] !== row[member])) tell("payload-digest");
  return actual;
}

function checkReception(row, event, actual, tell) {
  const stated = event.fields.get("object");
  if (!(stated instanceof Map) || !(row.state === "present" || stated.has("accession"))) {
    tell("reception-closed");
    return;
  }
  if (actual && ["sha256", "sha512", "size"].some((member) => stated.get(member) !== actual[member])) tell("reception-mismatch");
  for (const member of row.state === "present" ? ["accession", "media_type"] : ["accession"]) {
    if (stated.has(member) && stated.get(member) !== row[member]) tell("statement-mismatch");
  }
}

function checkErased(row, erasures, receptions, tell) {
  if (row.state !== "erased") {
    if (erasures.destroyed.has(row.id)) tell("erasure-contradicted");
    return;
  }
  const erasure = erasures.byIndex.get(String(row.erasure));
  const content = erasure?.content.get(row.id);
  const before = receptions.filter((event) => erasure && event.index < erasure.index);
  if (content?.accession !== row.accession || !before.some((event) => content.blobs.has(event.entry.blob))) tell("erasure-unproven");
}
