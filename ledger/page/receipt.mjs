// Receipts: what whoever handed something in keeps, and can check when the archive is gone. Spec section 16.

import { hasShape, parseCanonical } from "./canonical.mjs";
import { parseEntry } from "./entry.mjs";
import { openFields, parseOpenings } from "./events.mjs";
import { attempt, Malformed } from "./faults.mjs";
import { checkTrust, openHead } from "./head.mjs";
import { leafHash, verifyInclusion } from "./merkle.mjs";
import { decodeVkey, parseProof } from "./note.mjs";
import { judge } from "./policy.mjs";
import { Report } from "./report.mjs";
import { utf8 } from "./sha.mjs";

export const WHERE = "receipt";
export const MAX_RECEIPT_BYTES = 4 << 20;
const MEMBERS = ["entry", "format", "opened", "proof", "state", "vkey"];

/** The Report on a receipt's bytes; options as of verifyBundle, and `content`: the digests of a file it should be for. */
export function verifyReceipt(bytes, options = {}) {
  const { trusted = [], requireKey = false, policy = null, fingerprint = null, content = null } = options;
  const report = new Report();
  report.state = "pending";
  const tell = (code) => report.tell(WHERE, code);
  const receipt = attempt(() => parseReceipt(bytes));
  if (receipt === null) {
    tell("receipt-malformed");
    return report;
  }
  report.state = receipt.state;
  const key = attempt(() => decodeVkey(receipt.vkey));
  if (key === null) tell("vkey-malformed");
  const entry = attempt(() => parseEntry(utf8(receipt.entry)));
  if (entry === null) {
    tell("entry-malformed");
    return report;
  }
  checkReception(report, entry, receipt.openings, tell);
  if (key !== null) {
    report.keys = [{ ...key, from: 0n, until: null, signed: false, trusted: false }];
    const head = receipt.proof === null ? null : checkProof(report, entry, receipt, key, tell);
    if (head) {
      const named = key.fingerprint === fingerprint ? [key] : [];
      const outside = [...trusted, ...named, ...(policy?.logs ?? [])];
      checkTrust(report, WHERE, head, outside, requireKey || fingerprint !== null, (vkeys) => vkeys.filter((vkey) => vkey === key.vkey));
      if (policy) report.policy = judge(policy, head.split);
      if (report.policy?.faulty) tell("cosignature-invalid");
    }
  }
  const stated = report.reception;
  if (content && stated && ["sha256", "sha512", "size"].some((member) => stated[member] !== content[member])) tell("payload-digest");
  return report;
}

function parseReceipt(bytes) {
  const value = parseCanonical(bytes, { bytes: MAX_RECEIPT_BYTES, depth: 20 });
  if (!hasShape(value, MEMBERS) || value.get("format") !== "sanad-receipt/1") throw new Malformed("bad-receipt");
  const { entry, opened, proof, state, vkey } = Object.fromEntries(value);
  const texts = typeof entry === "string" && typeof vkey === "string" && (proof === null || typeof proof === "string");
  if (!texts || state !== (proof === null ? "pending" : "recorded")) throw new Malformed("bad-receipt");
  return { entry, openings: parseOpenings(opened), proof, state, vkey };
}

function checkReception(report, entry, openings, tell) {
  if (entry.type !== "ingestion" || entry.outcome !== "success") tell("reception-missing");
  const object = openFields(report, WHERE, entry, openings).get("object");
  const stated = object instanceof Map ? Object.fromEntries(object) : {};
  const { accession, sha256, sha512, size } = stated;
  if (![accession, sha256, sha512].every((text) => typeof text === "string") || !Number.isInteger(size)) {
    tell("reception-closed");
    return;
  }
  report.reception = { index: null, event: entry.eventId, received_at: entry.ts, accession, sha256, sha512, size };
}

function checkProof(report, entry, receipt, key, tell) {
  const proof = attempt(() => parseProof(utf8(receipt.proof)));
  if (proof === null) {
    tell("proof-malformed");
    return null;
  }
  const head = openHead(utf8(proof.note), [key], tell);
  if (head === null) return null;
  report.checkpoint = head;
  report.keys[0].signed = true;
  if (entry.origin !== head.origin) tell("entry-foreign");
  const leaf = leafHash(utf8(receipt.entry));
  const holds = attempt(() => verifyInclusion(leaf, proof.index, head.size, proof.path, head.root) ?? true);
  if (!holds) tell("proof-invalid");
  else if (report.reception) report.reception.index = proof.index;
  return head;
}
