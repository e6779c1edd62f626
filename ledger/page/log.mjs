// The whole log behind a bundle, derived anew from its entries: spec sections 5 and 13.

import { reading } from "./bag.mjs";
import { MAX_ENTRY_BYTES } from "./entry.mjs";
import { LOG } from "./events.mjs";
import { leafHash, nodeHash } from "./merkle.mjs";
import { MAX_NOTE_BYTES } from "./note.mjs";
import { concat, sameBytes, sha256 } from "./sha.mjs";

const WIDTH = 256;
const TILE_BYTES = WIDTH * 32;
const MAX_ENTRIES_BYTES = WIDTH * (2 + MAX_ENTRY_BYTES);
const NAME = /^tile\/(entries|0|[1-9][0-9]?)\/((?:x[0-9]{3}\/)*[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/;

/** tile/<level>/<n>, or tile/entries/<n>, with `.p/<width>` when it is partial. `index` is a BigInt. */
export function tilePath(level, index, width = WIDTH) {
  const groups = [String(index % 1000n).padStart(3, "0")];
  for (let rest = index / 1000n; rest; rest /= 1000n) groups.unshift(`x${String(rest % 1000n).padStart(3, "0")}`);
  const path = `tile/${level}/${groups.join("/")}`;
  return width === WIDTH ? path : `${path}.p/${width}`;
}

/** Whether a path is that of a tile or entry bundle of the log at this size. */
function belongs(path, size) {
  const [, level, digits] = NAME.exec(path) ?? [];
  if (level === undefined) return false;
  const index = BigInt(digits.replace(/[x/]/g, ""));
  const count = level === "entries" ? size : size >> (8n * BigInt(level));
  if (index * 256n >= count) return false;
  const width = Number(count - index * 256n > 256n ? 256n : count - index * 256n);
  return tilePath(level, index, width) === path;
}

/** The number of entries derived to the head's root, or null. */
export async function checkLog(source, report, head) {
  const here = Array.from(source.files.keys()).filter((path) => path.startsWith(LOG));
  if (here.length === 0) return null;
  const own = `${LOG}checkpoint`;
  for (const path of here) {
    if (path !== own && !belongs(path.slice(LOG.length), head.size)) report.tell(path, "file-unexpected");
  }
  const note = await reading(source, report, own, MAX_NOTE_BYTES);
  if (note && !sameBytes(note, head.bytes)) report.tell(own, "checkpoint-mismatch");
  const root = await derivedRoot(source, report, head.size);
  if (root === null) return null;
  if (sameBytes(root, head.root)) return head.size;
  report.tell(own, "log-root");
  return null;
}

/** The root over the entries, each tile compared on the way; null once it is told which entries cannot be read.
 *
 * Holds one bundle of entries and one hash for every 256 entries at a time.
 */
async function derivedRoot(source, report, size) {
  const compare = async (level, index, hashes) => {
    const path = LOG + tilePath(level, index, hashes.length);
    const stored = await reading(source, report, path, TILE_BYTES);
    if (stored && !sameBytes(stored, concat(...hashes))) report.tell(path, "log-mismatch");
  };
  let above = [];
  let tail = [];
  for (let index = 0n; index * 256n < size; index++) {
    const width = Number(size - index * 256n > 256n ? 256n : size - index * 256n);
    const path = LOG + tilePath("entries", index, width);
    const bytes = await reading(source, report, path, MAX_ENTRIES_BYTES);
    if (bytes === null) return null;
    const hashes = leafHashes(bytes, width);
    if (hashes === null) {
      report.tell(path, "log-malformed");
      return null;
    }
    await compare(0, index, hashes);
    if (width === WIDTH) above.push(treeHash(hashes));
    else tail = hashes;
  }
  let right = joined(tail, null);
  for (let level = 1; above.length > 0; level++) {
    const below = above;
    above = [];
    for (let start = 0; start < below.length; start += WIDTH) {
      const hashes = below.slice(start, start + WIDTH);
      await compare(level, BigInt(start / WIDTH), hashes);
      if (hashes.length === WIDTH) above.push(treeHash(hashes));
      else right = joined(hashes, right);
    }
  }
  return right ?? sha256();
}

/** The leaf hashes of an entry bundle of that many entries, or null when it is not one. */
function leafHashes(bytes, count) {
  const found = [];
  let at = 0;
  while (found.length < count) {
    const start = at + 2;
    const length = (bytes[at] << 8) | bytes[at + 1];
    at = start + length;
    if (length < 1 || length > MAX_ENTRY_BYTES || at > bytes.length) return null;
    found.push(leafHash(bytes.subarray(start, at)));
  }
  return at === bytes.length ? found : null;
}

/** The tree hash over hashes whose number is a power of two. */
function treeHash(hashes) {
  let row = hashes;
  while (row.length > 1) row = Array.from({ length: row.length / 2 }, (_, i) => nodeHash(row[2 * i], row[2 * i + 1]));
  return row[0];
}

/** The root over a partial tile's hashes with what stands to the right of them. */
function joined(hashes, right) {
  let result = right;
  let end = hashes.length;
  for (let width = 1; end; width *= 2) {
    if (!(end & width)) continue;
    const peak = treeHash(hashes.slice(end - width, end));
    result = result ? nodeHash(peak, result) : peak;
    end -= width;
  }
  return result;
}
