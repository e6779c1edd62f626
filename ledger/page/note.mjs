// Signed notes, verifier keys, checkpoints, cosignatures and proof files (C2SP signed-note, tlog-checkpoint,
// tlog-cosignature, tlog-proof): spec sections 6 to 8.

import { usable, verifySignature } from "./ed25519.mjs";
import { Malformed, textOf } from "./faults.mjs";
import { MAX_SIZE } from "./merkle.mjs";
import { concat, hex, sameBytes, sha256, utf8 } from "./sha.mjs";

export const MAX_NOTE_BYTES = 64 * 1024;
export const MAX_PROOF_BYTES = MAX_NOTE_BYTES + 8 * 1024;
export const SIGNATURE = 0x01;
export const COSIGNATURE = 0x04;
const MAX_SIGNATURES = 64;
const CONTROL = /[\u0000-\u0009\u000b-\u001f]/;
const NAME = /^[!-*,-~]{1,128}$/; // printable ASCII without space and plus
const DIGITS = /^(0|[1-9][0-9]{0,18})$/;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Standard base64 in its one canonical spelling. Throws Malformed. */
export function unbase64(text) {
  const digits = text.replace(/={1,2}$/, "");
  if (text.length % 4 || !/^[A-Za-z0-9+/]*$/.test(digits)) throw new Malformed("bad-base64");
  const bytes = new Uint8Array(Math.floor((digits.length * 3) / 4));
  let held = 0;
  let bits = 0;
  let at = 0;
  for (const digit of digits) {
    held = ((held << 6) | ALPHABET.indexOf(digit)) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = (held >> bits) & 0xff;
    }
  }
  if (base64(bytes) !== text) throw new Malformed("bad-base64");
  return bytes;
}

export function base64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const group = (bytes[at] << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    const left = bytes.length - at;
    text += ALPHABET[group >> 18] + ALPHABET[(group >> 12) & 63];
    text += left > 1 ? ALPHABET[(group >> 6) & 63] : "=";
    text += left > 2 ? ALPHABET[group & 63] : "=";
  }
  return text;
}

function named(name) {
  if (!NAME.test(name)) throw new Malformed("bad-key-name");
  return name;
}

/** A trusted signer: {name, keyId (4 bytes), vkey, fingerprint, verify}, of that type. Throws Malformed. */
export function decodeVkey(vkey, type = SIGNATURE) {
  const parts = /^([^+]*)\+([^+]*)\+([^]*)$/.exec(vkey);
  if (parts === null) throw new Malformed("bad-vkey");
  const [, name, id, encoded] = parts;
  const key = unbase64(encoded);
  if (key.length !== 33 || key[0] !== type) throw new Malformed("bad-vkey");
  const point = key.subarray(1);
  if (!usable(point)) throw new Malformed("bad-public-key");
  const keyId = sha256(utf8(`${named(name)}\n`), key).subarray(0, 4);
  if (id !== hex(keyId)) throw new Malformed("bad-key-id");
  const verify =
    type === COSIGNATURE
      ? (message, signature) => verifyCosignature(point, message, signature)
      : (message, signature) => verifySignature(point, message, signature);
  return { name, keyId, vkey, point, fingerprint: fingerprint(vkey), verify };
}

/** Spec section 7.1: 8 bytes of time, then the Ed25519 signature over time and checkpoint. */
function verifyCosignature(point, message, signature) {
  if (signature.length !== 72 || signature[0] & 0x80 || cosignedAt(signature) === 0n) return false;
  const signed = concat(utf8(`cosignature/v1\ntime ${cosignedAt(signature)}\n`), message);
  return verifySignature(point, signed, signature.subarray(8));
}

/** The time in a cosignature in seconds since 1970, a BigInt; of nothing but what its bytes say. */
export function cosignedAt(signature) {
  return signature.subarray(0, 8).reduce((time, byte) => (time << 8n) | BigInt(byte), 0n);
}

/** What people compare: hex SHA-256 of the vkey's bytes, in groups of four. */
export function fingerprint(vkey) {
  return hex(sha256(utf8(vkey))).match(/..../g).join(" ");
}

/** {text, signatures: [{name, keyId, signature}]} of a note's text; nothing is verified. Throws Malformed. */
export function splitNote(whole) {
  if (utf8(whole).length > MAX_NOTE_BYTES) throw new Malformed("note-too-long");
  if (CONTROL.test(whole)) throw new Malformed("note-control");
  const cut = whole.lastIndexOf("\n\n");
  if (cut < 0 || !whole.endsWith("\n")) throw new Malformed("note-unsigned");
  const lines = whole.slice(cut + 2).split("\n").slice(0, -1);
  if (lines.length < 1 || lines.length > MAX_SIGNATURES) throw new Malformed("note-signatures", { count: lines.length });
  return { text: whole.slice(0, cut + 1), signatures: lines.map(signatureOf) };
}

function signatureOf(line) {
  const parts = /^— ([^ ]*) ([^]*)$/.exec(line);
  if (parts === null) throw new Malformed("bad-signature-line");
  const bytes = unbase64(parts[2]);
  if (bytes.length < 5) throw new Malformed("bad-signature-line");
  return { name: named(parts[1]), keyId: bytes.subarray(0, 4), signature: bytes.subarray(4) };
}

/** The note, once at least one given key has signed it. A bad signature under a given key throws Malformed. */
export function openNote(whole, keys) {
  const { text, signatures } = splitNote(whole);
  const message = utf8(text);
  const signedBy = [];
  for (const key of keys) {
    const lines = signatures.filter((line) => line.name === key.name && sameBytes(line.keyId, key.keyId));
    if (lines.length > 1) throw new Malformed("signed-twice", { name: key.name });
    if (lines.length === 0) continue;
    if (!key.verify(message, lines[0].signature)) throw new Malformed("bad-signature", { name: key.name });
    signedBy.push(key);
  }
  if (signedBy.length === 0) throw new Malformed("not-signed");
  return { text, signedBy, signatures };
}

/** {origin, size (BigInt), root (32 bytes)} of a note's text. Throws Malformed. */
export function parseCheckpoint(text) {
  const lines = text.split("\n");
  if (lines.length !== 4 || lines[3] || !lines[0]) throw new Malformed("bad-checkpoint");
  if (!DIGITS.test(lines[1]) || BigInt(lines[1]) >= MAX_SIZE) throw new Malformed("bad-checkpoint");
  const root = unbase64(lines[2]);
  if (root.length !== 32) throw new Malformed("bad-checkpoint");
  return { origin: lines[0], size: BigInt(lines[1]), root };
}

/** The checkpoint of a note signed by a given key that carries the log's own name. Throws Malformed. */
export function openCheckpoint(whole, keys) {
  const note = openNote(whole, keys);
  const checkpoint = parseCheckpoint(note.text);
  if (note.signedBy.every((key) => key.name !== checkpoint.origin)) throw new Malformed("signed-by-other-log");
  return checkpoint;
}

/** {index (BigInt), path, note} of a .tlog-proof file (spec section 8). Throws Malformed. */
export function parseProof(bytes) {
  const { number, path, note } = parsePathFile(bytes, "c2sp.org/tlog-proof@v1\nindex ");
  return { index: number, path, note };
}

/** {old (BigInt), path, note} of a .consistency file (spec section 8). Throws Malformed. */
export function parseConsistency(bytes) {
  const { number, path, note } = parsePathFile(bytes, "old ");
  return { old: number, path, note };
}

function parsePathFile(bytes, opening) {
  if (bytes.length > MAX_PROOF_BYTES) throw new Malformed("bad-proof-file");
  const whole = textOf(bytes);
  const gap = whole === null ? -1 : whole.indexOf("\n\n");
  if (gap < 0 || !whole.startsWith(opening)) throw new Malformed("bad-proof-file");
  const [number, ...steps] = whole.slice(opening.length, gap).split("\n");
  if (!DIGITS.test(number) || BigInt(number) >= MAX_SIZE) throw new Malformed("bad-proof-file");
  const path = steps.map(unbase64);
  const note = whole.slice(gap + 2);
  splitNote(note);
  if (path.length > 64 || path.some((step) => step.length !== 32)) throw new Malformed("bad-proof-file");
  return { number: BigInt(number), path, note };
}
