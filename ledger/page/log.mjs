// The whole log behind a bundle, derived anew from its entries: spec sections 5 and 13.

import { reading } from "./bag.mjs";
import { LOG } from "./events.mjs";
import { leafHash, nodeHash } from "./merkle.mjs";
import { MAX_NOTE_BYTES } from "./note.mjs";
import { concat, sameBytes } from "./sha.mjs";

const WIDTH = 256;
const HASH = 32;
const MAX_ENTRY = 8192;

/** tile/<level>/<n>, or tile/entries/<n>, with `.p/<width>` when it is partial. */
export function tilePath(level, index, width = WIDTH) {
  const groups = [String(index % 1000).padStart(3, "0")];
  for (let rest = Math.floor(index / 1000); rest; rest = Math.floor(rest / 1000)) {
    groups.unshift(`x${String(rest % 1000).padStart(3, "0")}`);
  }
  const path = `tile/${level}/${groups.join("/")}`;
  return width === WIDTH ? path : `${path}.p/${width}`;
}

/** Every tile of a level whose tree has `count` hashes there: [path, index, width]. */
function* tilesOf(level, count) {
  for (let index = 0; index * WIDTH < count; index++) {
    const width = Math.min(WIDTH, count - index * WIDTH);
    yield [tilePath(level, index, width), index, width];
  }
}

/** The number of entries derived to the head's root, or null. */
export async function checkLog(source, report, head) {
  const here = new Set();
  for (const path of source.files.keys()) if (path.startsWith(LOG)) here.add(path.slice(LOG.length));
  if (here.size === 0) return null;
  const before = report.problems.length + report.moreProblems;
  const tell = (path, code) => report.tell(LOG + path, code);
  const size = Number(head.size);
  if (size / WIDTH > here.size) {
    tell("tile/entries", "file-missing"); // fewer files than entry bundles: nothing to derive
    return null;
  }
  const checkpoint = await reading(source, report, `${LOG}checkpoint`, MAX_NOTE_BYTES);
  if (checkpoint && !sameBytes(checkpoint, head.bytes)) tell("checkpoint", "checkpoint-mismatch");
  here.delete("checkpoint");
  const root = await derive(source, report, size, here, tell);
  for (const path of here) tell(path, "file-unexpected");
  if (root === null) return null;
  if (!sameBytes(root, head.root)) tell("checkpoint", "log-root");
  return report.problems.length + report.moreProblems === before ? head.size : null;
}

async function derive(source, report, size, here, tell) {
  let row = [];
  let whole = true;
  for (const [path, , width] of tilesOf("entries", size)) {
    here.delete(path);
    const bytes = whole ? await reading(source, report, LOG + path, width * (MAX_ENTRY + 2)) : null;
    const leaves = bytes && leavesOf(bytes, width);
    if (bytes && !leaves) tell(path, "log-malformed");
    whole &&= Boolean(leaves);
    if (whole) row.push(...leaves);
  }
  for (let level = 0, count = size; count; level++, count = Math.floor(count / WIDTH)) {
    const next = [];
    for (const [path, index, width] of tilesOf(level, count)) {
      here.delete(path);
      if (!whole) continue;
      const hashes = row.slice(index * WIDTH, index * WIDTH + width);
      const bytes = await reading(source, report, LOG + path, WIDTH * HASH);
      if (bytes && !sameBytes(bytes, concat(...hashes))) tell(path, "log-mismatch");
      if (width === WIDTH) next.push(treeHash(hashes));
    }
    if (count <= WIDTH) break;
    row = next;
  }
  return whole ? treeHash(row) : null;
}

function leavesOf(bytes, width) {
  const leaves = [];
  for (let at = 0; at < bytes.length; ) {
    const length = (bytes[at] << 8) | bytes[at + 1];
    if (!(length >= 1 && length <= MAX_ENTRY) || at + 2 + length > bytes.length) return null;
    leaves.push(leafHash(bytes.subarray(at + 2, at + 2 + length)));
    at += 2 + length;
  }
  return leaves.length === width ? leaves : null;
}

/** The tree hash over a row of hashes (RFC 9162 section 2.1.1). */
function treeHash(row) {
  if (row.length === 1) return row[0];
  let split = 1;
  while (split * 2 < row.length) split *= 2;
  return nodeHash(treeHash(row.slice(0, split)), treeHash(row.slice(split)));
}
