// Entries, their proofs and what is opened of them: step 3 of spec section 9.2.

import { reading } from "./bag.mjs";
import { canonical, hasShape, parseCanonical } from "./canonical.mjs";
import { commit, FIELD, MAX_ENTRY_BYTES, parseEntry } from "./entry.mjs";
import { attempt, Malformed } from "./faults.mjs";
import { CHECKPOINT, VKEY } from "./head.mjs";
import { leafHash, verifyInclusion } from "./merkle.mjs";
import { MAX_PROOF_BYTES, parseProof } from "./note.mjs";
import { hex, unhex } from "./sha.mjs";

export const LOG = "data/ledger/log/";
const DISCLOSURE = { bytes: 4 << 20, depth: 20 };
const NUMBER = "(0|[1-9][0-9]{0,17})";
const NAMES = {
  entries: new RegExp(`^data/ledger/entries/${NUMBER}\\.json$`),
  proofs: new RegExp(`^data/ledger/proofs/${NUMBER}\\.tlog-proof$`),
  keys: new RegExp(`^data/ledger/keys/${NUMBER}\\.tlog-proof$`),
  heads: new RegExp(`^data/ledger/heads/${NUMBER}\\.(?:checkpoint|consistency)$`),
  anchors: new RegExp(`^data/ledger/anchors/${NUMBER}\\.tsr$`),
  disclosures: new RegExp(`^data/disclosures/${NUMBER}\\.json$`),
};

export const entryPath = (index) => `data/ledger/entries/${index}.json`;
export const proofPath = (index) => `data/ledger/proofs/${index}.tlog-proof`;
export const disclosurePath = (index) => `data/disclosures/${index}.json`;

/** The numbers that stand in the names of the ledger's files: {entries, proofs, ...}, sorted. */
export function listLedger(source, report) {
  const found = Object.fromEntries(Object.keys(NAMES).map((kind) => [kind, new Set()]));
  for (const path of source.files.keys()) {
    if (!/^data\/(ledger|disclosures)\//.test(path) || path === VKEY || path === CHECKPOINT || path.startsWith(LOG)) continue;
    const kind = Object.keys(NAMES).find((name) => NAMES[name].test(path));
    if (kind) found[kind].add(NAMES[kind].exec(path)[1]);
    else report.tell(path, "file-unexpected");
  }
  for (const [kind, path] of Object.entries({
    proofs: proofPath,
    disclosures: disclosurePath,
    keys: (index) => `data/ledger/keys/${index}.tlog-proof`,
    anchors: (index) => `data/ledger/anchors/${index}.tsr`,
  })) {
    for (const index of found[kind]) if (!found.entries.has(index)) report.tell(path(index), "orphan");
  }
  const inOrder = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  return Object.fromEntries(Object.entries(found).map(([kind, set]) => [kind, Array.from(set, BigInt).sort(inOrder)]));
}

/** Each entry that is well-formed and not repeated, in order: {index, path, entry, leaf, fields, withheld}. */
export async function checkEvents(source, report, head, listed) {
  const events = new Map();
  const disclosed = new Set(listed.disclosures);
  report.entries = listed.entries.length;
  for (const index of listed.entries) {
    const path = entryPath(index);
    const bytes = await reading(source, report, path, MAX_ENTRY_BYTES);
    const entry = bytes && attempt(() => parseEntry(bytes));
    if (!entry) {
      if (bytes) report.tell(path, "entry-malformed");
      continue;
    }
    if (events.has(entry.eventId)) {
      report.tell(path, "entry-repeated");
      continue;
    }
    const leaf = leafHash(bytes);
    await checkProof(source, report, head, index, leaf);
    if (head && entry.origin !== head.origin) report.tell(path, "entry-foreign");
    const fields = disclosed.has(index) ? await openedFields(source, report, index, entry) : new Map();
    events.set(entry.eventId, { index, path, entry, leaf, fields });
  }
  return events;
}

async function checkProof(source, report, head, index, leaf) {
  const path = proofPath(index);
  const bytes = await reading(source, report, path, MAX_PROOF_BYTES);
  const proof = bytes && attempt(() => parseProof(bytes));
  if (!proof) {
    if (bytes) report.tell(path, "proof-malformed");
  } else if (proof.index !== index || (head && proof.note !== head.note)) {
    report.tell(path, "proof-mismatch");
  } else if (head && !attempt(() => verifyInclusion(leaf, index, head.size, proof.path, head.root) ?? true)) {
    report.tell(path, "proof-invalid");
  }
}

/** The disclosed fields that open their commitment. */
async function openedFields(source, report, index, entry) {
  const path = disclosurePath(index);
  const bytes = await reading(source, report, path, DISCLOSURE.bytes);
  if (bytes === null) return new Map();
  const openings = attempt(() => parseDisclosure(bytes, entry.eventId));
  if (openings === null) {
    report.tell(path, "disclosure-malformed");
    return new Map();
  }
  return openFields(report, path, entry, openings);
}

/** The values that open the entry's commitments; the others are told. */
export function openFields(report, where, entry, openings) {
  const opened = new Map();
  for (const [field, { salt, value }] of openings) {
    const recorded = entry.commitments.get(field);
    if (recorded === undefined) report.tell(where, "disclosure-unknown-field");
    else if (hex(commit(salt, field, value)) !== recorded) report.tell(where, "disclosure-mismatch");
    else opened.set(field, value);
  }
  return opened;
}

/** Map of field to {salt, value}. Throws Malformed, also for a value over the limits or of another event. */
export function parseDisclosure(bytes, eventId) {
  const value = parseCanonical(bytes, DISCLOSURE);
  if (!hasShape(value, ["event_id", "fields"]) || value.get("event_id") !== eventId) throw new Malformed("bad-disclosure");
  return parseOpenings(value.get("fields"));
}

export function parseOpenings(fields) {
  if (!(fields instanceof Map)) throw new Malformed("bad-disclosure");
  const openings = new Map();
  for (const [field, opening] of fields) {
    if (!FIELD.test(field) || !hasShape(opening, ["salt", "value"])) throw new Malformed("bad-disclosure");
    const salt = opening.get("salt");
    if (typeof salt !== "string" || !/^[0-9a-f]{64}$/.test(salt)) throw new Malformed("bad-disclosure");
    canonical(opening.get("value"));
    openings.set(field, { salt: unhex(salt), value: opening.get("value") });
  }
  return openings;
}
