// The page's verifier under Node, for the tests: one JSON object a line in, one a line out, in order.
//
// {"base": {path: base64}} holds a bundle; {"changes": {path: base64 | null}, ...options} checks it with these changes;
// {"zip": base64} checks an archive, {"receipt": base64} a receipt; {"call": name, "arguments": [...]} asks one of CALLS.

import { createInterface } from "node:readline";
import { canonical, parseCanonical } from "../../ledger/page/canonical.mjs";
import { commit, parseEntry } from "../../ledger/page/entry.mjs";
import { parseAnchor } from "../../ledger/page/anchor.mjs";
import { usable, verifySignature } from "../../ledger/page/ed25519.mjs";
import { parseDisclosure } from "../../ledger/page/events.mjs";
import { Fault, textOf, Unreadable } from "../../ledger/page/faults.mjs";
import { tilePath } from "../../ledger/page/log.mjs";
import { leafHash, verifyConsistency, verifyInclusion } from "../../ledger/page/merkle.mjs";
import {
  COSIGNATURE,
  decodeVkey,
  openCheckpoint,
  openNote,
  parseCheckpoint,
  parseConsistency,
  parseProof,
  splitNote,
} from "../../ledger/page/note.mjs";
import { judge, parsePolicy } from "../../ledger/page/policy.mjs";
import { verifyReceipt } from "../../ledger/page/receipt.mjs";
import { asJson } from "../../ledger/page/report.mjs";
import { hex, hmacSha256, Sha256, Sha512, sha256, sha512, unhex, utf8 } from "../../ledger/page/sha.mjs";
import { Folder, Source } from "../../ledger/page/source.mjs";
import { parseTrust } from "../../ledger/page/trust.mjs";
import { verifyBundle } from "../../ledger/page/verify.mjs";
import { LANGUAGES } from "../../ledger/page/words.mjs";
import { openZip } from "../../ledger/page/zip.mjs";

const known = new WeakMap(); // digests of bytes that did not change since the last bundle

class Memory extends Source {
  constructor(files) {
    super();
    this.bytes = files;
    for (const path of Array.from(files.keys()).sort()) this.add(path, files.get(path).length);
  }

  async *pieces(path) {
    yield this.bytes.get(path);
  }

  async hashed(path, tick) {
    const bytes = this.bytes.get(path);
    if (!known.has(bytes)) known.set(bytes, await super.hashed(path, tick));
    return known.get(bytes);
  }
}

const bytesOf = (text) => new Uint8Array(Buffer.from(text, "base64"));
const root = (size, text) => ({ size: BigInt(size), root: unhex(text) });

/** Each returns what JSON can hold; a Fault is told as {"refused": code}. */
const CALLS = {
  canonical: (text) => hex(canonical(parseCanonical(bytesOf(text)))),
  commit: (salt, field, text) => hex(commit(unhex(salt), field, parseCanonical(bytesOf(text)))),
  digests: (text) => [hex(sha256(bytesOf(text))), hex(sha512(bytesOf(text)))],
  pieces: (text, sizes) => {
    const [bytes, short, long] = [bytesOf(text), new Sha256(), new Sha512()];
    let at = 0;
    for (const size of [...sizes, bytes.length]) {
      short.update(bytes.subarray(at, at + size));
      long.update(bytes.subarray(at, at + size));
      at = Math.min(bytes.length, at + size);
    }
    return [hex(short.digest()), hex(long.digest())];
  },
  hmac: (key, text) => hex(hmacSha256(unhex(key), bytesOf(text))),
  usable: (key) => usable(unhex(key)),
  verify: (key, text, signature) => verifySignature(unhex(key), bytesOf(text), unhex(signature)),
  leaf: (text) => hex(leafHash(bytesOf(text))),
  entry: (text) => parseEntry(bytesOf(text)).eventId,
  vkey: (text, cosigner = false) => decodeVkey(text, cosigner ? COSIGNATURE : undefined).fingerprint,
  checkpoint: (text, vkey) => {
    const { origin, size, root: found } = vkey ? openCheckpoint(text, [decodeVkey(vkey)]) : parseCheckpoint(splitNote(text).text);
    return { origin, size: String(size), root: hex(found) };
  },
  proof: (text) => String(parseProof(bytesOf(text)).index),
  consistencyFile: (text) => String(parseConsistency(bytesOf(text)).old),
  inclusion: (leaf, index, size, path, found) => {
    verifyInclusion(unhex(leaf), BigInt(index), BigInt(size), path.map(unhex), unhex(found));
    return true;
  },
  consistency: (old, oldRoot, size, found, path) => {
    const [before, after] = [root(old, oldRoot), root(size, found)];
    verifyConsistency(before.size, before.root, after.size, after.root, path.map(unhex));
    return true;
  },
  tile: (level, index, width) => tilePath(level, BigInt(index), width),
  noteOf: (text, vkeys) => openNote(text, vkeys.map((vkey) => decodeVkey(vkey))).signatures.length,
  checkpointOf: (text, vkeys) => openCheckpoint(text, vkeys.map((vkey) => decodeVkey(vkey))).origin,
  cosigned: (text, vkey) => openNote(text, [decodeVkey(vkey, COSIGNATURE)]).signatures.length,
  proven: (text, entry, vkey) => {
    const proof = parseProof(bytesOf(text));
    const head = openCheckpoint(proof.note, [decodeVkey(vkey)]);
    verifyInclusion(leafHash(bytesOf(entry)), proof.index, head.size, proof.path, head.root);
    return true;
  },
  continued: (text, old, oldRoot, vkey) => {
    const proof = parseConsistency(bytesOf(text));
    const head = openCheckpoint(proof.note, [decodeVkey(vkey)]);
    if (proof.old !== BigInt(old)) throw new Fault("of another size");
    verifyConsistency(proof.old, unhex(oldRoot), head.size, head.root, proof.path);
    return true;
  },
  disclosure: (text, eventId) => Array.from(parseDisclosure(bytesOf(text), eventId).keys()),
  anchor: (text) => parseAnchor(bytesOf(text)),
  policy: (text, note) => {
    const policy = parsePolicy(textOf(bytesOf(text)) ?? "not UTF-8");
    if (note === undefined) return policy.quorum;
    const { met, cosigned, faulty } = judge(policy, splitNote(note));
    return { met, cosigned: cosigned.map(({ name, time }) => [name, Number(time)]), faulty };
  },
  trust: (text) => {
    const trust = parseTrust(text);
    return trust && { keys: trust.keys.length, policy: trust.policy !== null, fingerprint: trust.fingerprint };
  },
  words: () => LANGUAGES,
  zip: async (text) => {
    const source = await openZip(new Blob([bytesOf(text)]));
    if (source.unsafe.length > 0 || source.files.size === 0) throw new Unreadable("unsafe");
    const held = {};
    for (const path of source.files.keys()) held[path] = hex(await source.whole(path));
    return held;
  },
};

let base = new Map();

async function answer(asked) {
  if (asked.base) {
    base = new Map(Object.entries(asked.base).map(([path, text]) => [path, bytesOf(text)]));
    return { held: base.size };
  }
  if (asked.call) {
    try {
      return { value: await CALLS[asked.call](...asked.arguments) };
    } catch (fault) {
      if (fault instanceof Fault) return { refused: fault.code };
      throw fault;
    }
  }
  const options = {
    trusted: (asked.trusted ?? []).map((vkey) => decodeVkey(vkey)),
    requireKey: asked.requireKey ?? false,
    policy: asked.policy ? parsePolicy(asked.policy) : null,
    fingerprint: asked.fingerprint ?? null,
  };
  if (asked.receipt !== undefined) return asJson(verifyReceipt(bytesOf(asked.receipt), options));
  const report = await verifyBundle(() => opened(asked), options);
  if (report.internal) process.stderr.write(`${report.internal.stack}\n`);
  return asJson(report);
}

async function opened(asked) {
  if (asked.zip !== undefined) return openZip(new Blob([bytesOf(asked.zip)]));
  if (asked.folder) return new Folder(Array.from(changedFiles(asked), ([path, bytes]) => [path, new Blob([bytes])]));
  return new Memory(changedFiles(asked));
}

function changedFiles(asked) {
  const files = new Map(base);
  for (const [path, text] of Object.entries(asked.changes ?? {})) {
    if (text === null) files.delete(path);
    else files.set(path, bytesOf(text));
  }
  return files;
}

for await (const line of createInterface({ input: process.stdin })) {
  let said;
  try {
    said = await answer(JSON.parse(line));
  } catch (error) {
    said = { crashed: String(error.stack) };
  }
  process.stdout.write(`${JSON.stringify(said, (_, value) => (typeof value === "bigint" ? String(value) : value))}\n`);
}
