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
const MAX_VKEY_BYTES = 4096;
const MAX_KEYS = 16;

/** The head when it is valid, else null once it is told why: {origin, size, root, rootHex, note, text, signedBy}. */
export async function checkHead(source, report) {
  const keys = await readKeys(source, report);
  const bytes = await reading(source, report, CHECKPOINT, MAX_NOTE_BYTES);
  const head = bytes && openHead(bytes, keys, (code) => report.tell(CHECKPOINT, code));
  report.keys = keys.map((key) => ({ ...key, from: null, until: null, signed: head?.signedBy.includes(key) ?? false, trusted: false }));
  report.checkpoint = head;
  return head;
}

async function readKeys(source, report) {
  const bytes = await reading(source, report, VKEY, MAX_VKEY_BYTES);
  if (bytes === null) return [];
  const lines = textOf(bytes)?.split("\n") ?? [];
  const keys = lines.pop() === "" ? lines.map((line) => attempt(() => decodeVkey(line))) : [];
  const good =
    keys.length >= 1 &&
    keys.length <= MAX_KEYS &&
    keys.every((key) => key !== null && key.name === keys[0].name) &&
    new Set(lines).size === keys.length;
  if (!good) report.tell(VKEY, "vkey-malformed");
  return good ? keys : [];
}

/** A checkpoint of the keys' log that one of them signed, or null once `tell` heard the code. */
export function openHead(bytes, keys, tell) {
  const note = textOf(bytes);
  const split = note === null ? null : attempt(() => splitNote(note));
  const checkpoint = split && attempt(() => parseCheckpoint(split.text));
  if (!checkpoint) {
    tell("checkpoint-malformed");
    return null;
  }
  if (keys.length === 0) return null;
  const signedBy = checkpoint.origin === keys[0].name ? signers(split, keys) : null;
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

/** What each key may sign, by the entries that add and retire keys: spec section 10. Fills in report.keys.
 *
 * Returns what tells to which of the keys some vkeys lead, if one of these has signed the head, and none if not.
 */
export async function checkKeys(source, report, head, heads, events) {
  const { keys } = report;
  const handovers = [];
  keys[0].from = 0n;
  for (const event of events) {
    const adds = event.entry.type === KEY_ADD;
    if ((!adds && event.entry.type !== KEY_RETIRE) || event.entry.outcome !== "success") continue;
    const stated = event.fields.get("key");
    const key = hasShape(stated, ["vkey"]) ? keys.find((one) => one.vkey === stated.get("vkey")) : undefined;
    if (key === undefined || (key.from === null) !== adds || key.until !== null) {
      report.tell(event.path, "key-malformed");
    } else if (!adds) {
      key.until = event.index;
    } else {
      const path = `data/ledger/keys/${event.index}.tlog-proof`;
      const earlier = await provenUnder(source, report, path, event, heads);
      if (earlier && !signedByOne(earlier, keys)) report.tell(path, "key-unauthorised");
      else if (earlier) {
        key.from = event.index + 1n;
        handovers.push([earlier, key]);
      }
    }
  }
  if (keys.some((key) => key.from === null)) report.tell(VKEY, "key-unproven");
  if (!signedByOne(head, keys)) report.tell(CHECKPOINT, "key-out-of-range");
  for (const [size, earlier] of heads) {
    if (!signedByOne(earlier, keys)) report.tell(`data/ledger/heads/${size}.checkpoint`, "key-out-of-range");
  }
  return (vkeys) => {
    const reached = new Set(keys.filter((key) => vkeys.includes(key.vkey)));
    for (const [earlier, key] of handovers) if (signedByOne(earlier, Array.from(reached))) reached.add(key);
    return signedByOne(head, Array.from(reached)) ? Array.from(reached, (key) => key.vkey) : [];
  };
}

/** The earlier head without fault under which a proof file shows the event, or null once it is told why not. */
async function provenUnder(source, report, path, event, heads) {
  const bytes = await reading(source, report, path, MAX_PROOF_BYTES);
  const proof = bytes && attempt(() => parseProof(bytes));
  if (!proof) {
    if (bytes) report.tell(path, "proof-malformed");
    return null;
  }
  const earlier = Array.from(heads.values()).find((candidate) => candidate.note === proof.note);
  if (proof.index !== event.index || !earlier) {
    report.tell(path, "proof-mismatch");
    return null;
  }
  if (attempt(() => verifyInclusion(event.leaf, event.index, earlier.size, proof.path, earlier.root) ?? true)) return earlier;
  report.tell(path, "proof-invalid");
  return null;
}

/** Whether one of these keys has signed the head and may sign heads of its size. */
function signedByOne(head, keys) {
  return keys.some(({ vkey, from, until }) => {
    const may = from !== null && from <= head.size && (until === null || head.size <= until);
    return may && head.signedBy.some((key) => key.vkey === vkey);
  });
}

/** What the reader's own keys say of the head: spec section 14. `leads` is what checkKeys gave. */
export function checkTrust(report, where, head, trusted, requireKey, leads) {
  const candidates = trusted.filter((key) => key.name === head.origin);
  report.trust = trusted.length || requireKey ? "unknown" : "first use";
  if (candidates.length === 0) return;
  const reached = leads(candidates.map((key) => key.vkey));
  report.trust = reached.length > 0 ? "pinned" : "none";
  for (const key of report.keys) key.trusted = reached.includes(key.vkey);
  if (reached.length === 0) report.tell(where, "checkpoint-untrusted");
}

/** Timestamps on heads: what they state, their signatures not judged: spec section 12. */
export async function checkAnchors(source, report, head, indices, byIndex) {
  for (const index of indices) {
    const path = `data/ledger/anchors/${index}.tsr`;
    const event = byIndex.get(index);
    if (event === undefined) continue;
    const bytes = await reading(source, report, path, MAX_ANCHOR_BYTES);
    if (bytes === null) continue;
    const token = event.entry.type === ANCHOR && event.entry.outcome === "success" ? event.fields.get("token") : undefined;
    const size = token instanceof Map && Number.isInteger(token.get("size")) ? token.get("size") : null;
    const right = size !== null && token.get("sha256") === hex(sha256(bytes));
    const anchor = attempt(() => parseAnchor(bytes));
    if (!right) report.tell(path, "anchor-mismatch");
    if (!anchor) report.tell(path, "anchor-malformed");
    if (!right || !anchor) continue;
    const place = `data/ledger/heads/${size}.checkpoint`;
    const own = BigInt(size) === head.size ? head.bytes : null;
    const stamped = source.files.has(place) ? await source.read(place, MAX_NOTE_BYTES).catch(() => null) : own;
    const digest = stamped && hex((anchor.algorithm === "sha256" ? sha256 : sha512)(stamped));
    if (digest !== anchor.digest) report.tell(path, "anchor-mismatch");
    else report.anchors.push({ index, size, time: anchor.time });
  }
}
