// The signed head, the log's keys and their rotation, earlier heads, anchors: spec sections 6 to 7, 9.3, 10 and 12.

import { MAX_ANCHOR_BYTES, parseAnchor } from "./anchor.mjs";
import { reading } from "./bag.mjs";
import { hasShape } from "./canonical.mjs";
import { attempt, textOf } from "./faults.mjs";
import { verifyConsistency, verifyInclusion } from "./merkle.mjs";
import {
  decodeVkey,
  MAX_NOTE_BYTES,
  MAX_PROOF_BYTES,
  parseCheckpoint,
  parseConsistency,
  parseProof,
  splitNote,
} from "./note.mjs";
import { hex, sameBytes, sha256, sha512, utf8 } from "./sha.mjs";

export const VKEY = "data/ledger/vkey";
export const CHECKPOINT = "data/ledger/checkpoint";
export const KEY_ADD = "sanad/key-add";
export const KEY_RETIRE = "sanad/key-retire";
const ANCHOR = "sanad/anchor";
const MAX_KEYS = 16;

/** The head when it is valid, else null once it is told why: {origin, size, root, rootHex, note, text, signedBy}. */
export async function checkHead(source, report) {
  const keys = await readKeys(source, report);
  const bytes = await reading(source, report, CHECKPOINT, MAX_NOTE_BYTES);
  if (keys === null || bytes === null) return null;
  const head = openHead(bytes, keys, (code) => report.tell(CHECKPOINT, code));
  report.keys = keys.map((key) => ({ ...key, from: null, until: null, signed: head?.signedBy.includes(key) ?? false }));
  report.checkpoint = head;
  return head;
}

async function readKeys(source, report) {
  const bytes = await reading(source, report, VKEY, 64 * 1024);
  if (bytes === null) return null;
  const lines = textOf(bytes)?.split("\n") ?? [];
  const keys = lines.pop() === "" ? lines.map((line) => attempt(() => decodeVkey(line))) : [];
  const good =
    keys.length >= 1 &&
    keys.length <= MAX_KEYS &&
    keys.every((key) => key !== null && key.name === keys[0].name) &&
    new Set(lines).size === keys.length;
  if (!good) report.tell(VKEY, "vkey-malformed");
  return good ? keys : null;
}

/** A checkpoint of the keys' log that one of them signed, or null once `tell` heard the code. */
function openHead(bytes, keys, tell) {
  const note = textOf(bytes);
  const split = note === null ? null : attempt(() => splitNote(note));
  const checkpoint = split && attempt(() => parseCheckpoint(split.text));
  if (!checkpoint || checkpoint.origin !== keys[0].name) {
    tell("checkpoint-malformed");
    return null;
  }
  const signedBy = signers(split, keys);
  if (signedBy === null || signedBy.length === 0) {
    tell("checkpoint-signature");
    return null;
  }
  return { ...checkpoint, rootHex: hex(checkpoint.root), note, bytes, split, signedBy };
}

/** Which of the keys have signed; null when a line under one of them does not verify, or stands twice. */
export function signers(split, keys) {
  const message = utf8(split.text);
  const signed = [];
  for (const key of keys) {
    const lines = split.signatures.filter((line) => line.name === key.name && sameBytes(line.keyId, key.keyId));
    if (lines.length > 1 || (lines.length && !key.verify(message, lines[0].signature))) return null;
    if (lines.length) signed.push(key);
  }
  return signed;
}

/** Earlier heads without fault, by their size as text: spec section 9.3. */
export async function checkHeads(source, report, head, sizes) {
  const heads = new Map();
  for (const size of sizes) {
    const [path, proofPath] = [`data/ledger/heads/${size}.checkpoint`, `data/ledger/heads/${size}.consistency`];
    const before = report.problems.length + report.moreProblems;
    const bytes = await reading(source, report, path, MAX_NOTE_BYTES);
    const earlier = bytes && openHead(bytes, report.keys, (code) => report.tell(path, code));
    if (earlier && earlier.size !== size) report.tell(path, "checkpoint-mismatch");
    const proofBytes = await reading(source, report, proofPath, MAX_PROOF_BYTES);
    const proof = proofBytes && attempt(() => parseConsistency(proofBytes));
    if (proofBytes && !proof) report.tell(proofPath, "consistency-malformed");
    if (proof && (proof.old !== size || proof.note !== head.note)) report.tell(proofPath, "consistency-mismatch");
    else if (proof && earlier && earlier.size === size) {
      const holds = attempt(() => verifyConsistency(size, earlier.root, head.size, head.root, proof.path) ?? true);
      if (!holds) report.tell(proofPath, "consistency-invalid");
    }
    if (report.problems.length + report.moreProblems === before) heads.set(String(size), earlier);
  }
  return heads;
}

/** Keys accepted one after another from the bundle's first, and what they signed: spec section 10. */
export async function checkKeys(source, report, head, heads, events) {
  const accepted = await chain(source, (where, code) => report.tell(where, code), report.keys, 0, heads, events);
  report.keys.forEach((key, place) => Object.assign(key, accepted.get(place)));
  if (accepted.size < report.keys.length) report.tell(VKEY, "key-unproven");
  if (!signedWithin(report.keys, accepted, head)) report.tell(CHECKPOINT, "key-out-of-range");
  for (const [size, earlier] of heads) {
    if (!signedWithin(report.keys, accepted, earlier)) report.tell(`data/ledger/heads/${size}.checkpoint`, "key-out-of-range");
  }
}

/** Map of a key's place to {from, until}, of all that are accepted when the key at `first` is. */
async function chain(source, tell, keys, first, heads, events) {
  const accepted = new Map([[first, { from: 0n, until: null }]]);
  for (const event of events) {
    const adds = event.entry.type === KEY_ADD;
    if ((!adds && event.entry.type !== KEY_RETIRE) || event.entry.outcome !== "success") continue;
    const stated = event.fields.get("key");
    const place = hasShape(stated, ["vkey"]) ? keys.findIndex((key) => key.vkey === stated.get("vkey")) : -1;
    const range = accepted.get(place);
    if (place < 0 || (adds ? range !== undefined : range === undefined || range.until !== null)) {
      tell(event.path, "key-malformed");
    } else if (!adds) {
      range.until = event.index;
    } else if (await handedOver(source, tell, keys, accepted, heads, event)) {
      accepted.set(place, { from: event.index + 1n, until: null });
    }
  }
  return accepted;
}

/** Whether a key accepted before signed an earlier head that covers the addition. */
async function handedOver(source, tell, keys, accepted, heads, event) {
  const path = `data/ledger/keys/${event.index}.tlog-proof`;
  const told = (code) => {
    tell(path, code);
    return false;
  };
  let bytes;
  try {
    bytes = await source.read(path, MAX_PROOF_BYTES);
  } catch (fault) {
    return told(fault.code);
  }
  const proof = attempt(() => parseProof(bytes));
  if (!proof) return told("proof-malformed");
  const earlier = Array.from(heads.values()).find((candidate) => candidate.note === proof.note);
  if (proof.index !== event.index || !earlier) return told("proof-mismatch");
  const holds = attempt(() => verifyInclusion(event.leaf, event.index, earlier.size, proof.path, earlier.root) ?? true);
  if (!holds) return told("proof-invalid");
  return signedWithin(keys, accepted, earlier) || told("key-unauthorised");
}

function signedWithin(keys, accepted, head) {
  return Array.from(accepted).some(([place, { from, until }]) => {
    const inside = from <= head.size && (until === null || head.size <= until);
    return inside && head.signedBy.some((key) => key.vkey === keys[place].vkey);
  });
}

/** What the reader's own keys say of the head: spec section 14. */
export async function checkTrust(source, report, head, heads, events, trusted, requireKey) {
  const candidates = trusted.filter((key) => key.name === head.origin);
  report.trust = trusted.length || requireKey ? "unknown" : "first use";
  if (candidates.length === 0) return;
  for (const candidate of candidates) {
    const place = report.keys.findIndex((key) => key.vkey === candidate.vkey);
    const good =
      place < 0
        ? signers(head.split, [candidate])?.length
        : signedWithin(report.keys, await chain(source, () => {}, report.keys, place, heads, events), head);
    if (good) {
      report.trust = "pinned";
      return;
    }
  }
  report.trust = "none";
  report.tell(CHECKPOINT, "checkpoint-untrusted");
}

/** Timestamps on heads: what they state, their signatures not judged: spec section 12. */
export async function checkAnchors(source, report, head, heads, indices, byIndex) {
  for (const index of indices) {
    const path = `data/ledger/anchors/${index}.tsr`;
    const event = byIndex.get(index);
    if (event === undefined) continue;
    const bytes = await reading(source, report, path, MAX_ANCHOR_BYTES);
    if (bytes === null) continue;
    const token = event.fields.get("token");
    const stated = token instanceof Map ? token : new Map();
    const right = event.entry.type === ANCHOR && event.entry.outcome === "success" && stated.get("sha256") === hex(sha256(bytes));
    const anchor = attempt(() => parseAnchor(bytes));
    if (!right) report.tell(path, "anchor-mismatch");
    if (!anchor) report.tell(path, "anchor-malformed");
    if (!right || !anchor) continue;
    const size = stated.get("size");
    const anchored = heads.get(String(size)) ?? (Number.isInteger(size) && BigInt(size) === head.size ? head : null);
    const digest = anchored && hex((anchor.algorithm === "sha256" ? sha256 : sha512)(anchored.bytes));
    if (digest !== anchor.digest) report.tell(path, "anchor-mismatch");
    else report.anchors.push({ index, size, time: anchor.time });
  }
}
