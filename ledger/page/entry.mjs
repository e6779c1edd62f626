// Entries and commitments: spec section 3.

import { canonical, hasShape, parseCanonical } from "./canonical.mjs";
import { Malformed } from "./faults.mjs";
import { concat, hmacSha256, utf8 } from "./sha.mjs";

export const OUTCOMES = ["success", "failure", "refused"];
export const MAX_ENTRY_BYTES = 8 * 1024;
const LIMITS = { bytes: MAX_ENTRY_BYTES, depth: 4 };
const MEMBERS = ["v", "log", "id", "ts", "type", "outcome", "blob", "c"];
export const FIELD = /^[a-z0-9_]{1,32}$/;
const HEX64 = /^[0-9a-f]{64}$/;
const PATTERNS = {
  log: /^[!-*,-~]{1,128}$/, // printable ASCII without space and plus
  id: /^[0-9a-f]{32}$/,
  ts: /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$/,
  type: /^[a-z0-9]([a-z0-9 /-]{0,62}[a-z0-9])?$/,
};
const DOMAIN = utf8("archive/commit/v1\0");

/** {origin, eventId, ts, type, outcome, blob, commitments: Map of field to hex}. Throws Malformed. */
export function parseEntry(bytes) {
  const value = parseCanonical(bytes, LIMITS);
  if (!hasShape(value, MEMBERS) || value.get("v") !== 1) throw new Malformed("entry-shape");
  for (const [member, pattern] of Object.entries(PATTERNS)) matching(pattern, value.get(member), member);
  if (!existingTime(value.get("ts"))) throw new Malformed("entry-member", { member: "ts" });
  if (!OUTCOMES.includes(value.get("outcome"))) throw new Malformed("entry-member", { member: "outcome" });
  if (value.get("blob") !== null) matching(HEX64, value.get("blob"), "blob");
  const commitments = value.get("c");
  if (!(commitments instanceof Map)) throw new Malformed("entry-member", { member: "c" });
  for (const [field, commitment] of commitments) {
    matching(FIELD, field, "c");
    matching(HEX64, commitment, "c");
  }
  return {
    origin: value.get("log"),
    eventId: value.get("id"),
    ts: value.get("ts"),
    type: value.get("type"),
    outcome: value.get("outcome"),
    blob: value.get("blob"),
    commitments,
  };
}

/** The commitment's 32 bytes for a 32-byte salt, a field and a value. Throws Malformed for a value over the limits. */
export function commit(salt, field, value) {
  return hmacSha256(salt, concat(DOMAIN, utf8(`${field}\0`), canonical(value)));
}

function matching(pattern, text, member) {
  if (typeof text !== "string" || !pattern.test(text)) throw new Malformed("entry-member", { member });
}

function existingTime(ts) {
  const [year, month, day, hour, minute, second] = ts.match(/[0-9]+/g).map(Number);
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0;
  return year > 0 && day >= 1 && day <= days && hour < 24 && minute < 60 && second < 60;
}
