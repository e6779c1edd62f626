// Proofs in the Merkle tree of RFC 9162 section 2 with SHA-256. Sizes and indices are BigInt: they go up to 2^62.

import { Malformed } from "./faults.mjs";
import { sameBytes, sha256 } from "./sha.mjs";

export const MAX_SIZE = 1n << 62n;
const LEAF = new Uint8Array([0]);
const NODE = new Uint8Array([1]);

export const leafHash = (entry) => sha256(LEAF, entry);
export const nodeHash = (left, right) => sha256(NODE, left, right);

/** Throws Malformed unless the leaf hash is at `index` in the tree (section 2.1.3.2). */
export function verifyInclusion(leaf, index, size, path, root) {
  if (!(index >= 0n && index < size && size < MAX_SIZE)) throw new Malformed("no-such-leaf", { index, size });
  checkHashes(leaf, root, ...path);
  let position = index;
  let last = size - 1n;
  let result = leaf;
  for (const sibling of path) {
    if (last === 0n) throw new Malformed("path-too-long");
    if (position & 1n || position === last) {
      result = nodeHash(sibling, result);
      while (!(position & 1n) && position) [position, last] = [position >> 1n, last >> 1n];
    } else {
      result = nodeHash(result, sibling);
    }
    [position, last] = [position >> 1n, last >> 1n];
  }
  if (last) throw new Malformed("path-too-short");
  if (!sameBytes(result, root)) throw new Malformed("other-root");
}

/** Throws Malformed unless the new tree starts with the old one (section 2.1.4.2). Size 0 is refused. */
export function verifyConsistency(old, oldRoot, size, root, proof) {
  if (!(old > 0n && old <= size && size < MAX_SIZE)) throw new Malformed("no-consistency", { old, size });
  checkHashes(oldRoot, root, ...proof);
  if (old === size) {
    if (proof.length) throw new Malformed("path-too-long");
    if (!sameBytes(oldRoot, root)) throw new Malformed("two-roots");
    return;
  }
  const path = old & (old - 1n) ? proof.slice() : [oldRoot, ...proof];
  if (path.length === 0) throw new Malformed("path-too-short");
  let position = old - 1n;
  let last = size - 1n;
  while (position & 1n) [position, last] = [position >> 1n, last >> 1n];
  let [oldResult, result] = [path[0], path[0]];
  for (const step of path.slice(1)) {
    if (last === 0n) throw new Malformed("path-too-long");
    if (position & 1n || position === last) {
      [oldResult, result] = [nodeHash(step, oldResult), nodeHash(step, result)];
      while (!(position & 1n) && position) [position, last] = [position >> 1n, last >> 1n];
    } else {
      result = nodeHash(result, step);
    }
    [position, last] = [position >> 1n, last >> 1n];
  }
  if (last) throw new Malformed("path-too-short");
  if (!sameBytes(oldResult, oldRoot) || !sameBytes(result, root)) throw new Malformed("other-root");
}

function checkHashes(...hashes) {
  if (hashes.some((hash) => hash.length !== 32)) throw new Malformed("bad-hash");
}
