// The BagIt 1.0 shape of a bundle and the check of every digest: spec section 9 and step 1 of 9.2.

import { Unreadable, textOf } from "./faults.mjs";
import { sameBytes, utf8 } from "./sha.mjs";

const DECLARATION = utf8("BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n");
const ALGORITHMS = { sha256: 64, sha512: 128 };
const MAX_MANIFEST_BYTES = 256 << 20;
const MAX_INFO_BYTES = 64 * 1024;
const TAG_FILES = ["bag-info.txt", "bagit.txt", "manifest-sha256.txt", "manifest-sha512.txt"];
const TAG_MANIFESTS = ["tagmanifest-sha256.txt", "tagmanifest-sha512.txt"];
const LINE = /^([0-9a-f]+) {2}([!-~]+)$/;
const INFO = /^([A-Za-z][A-Za-z0-9-]*): ([^\u0000-\u001f\u007f]*)$/;

/** A small file, or null once it is told why there is none. */
export async function reading(source, report, path, limit) {
  try {
    return await source.read(path, limit);
  } catch (fault) {
    if (!(fault instanceof Unreadable)) throw fault;
    report.tell(path, fault.code);
    return null;
  }
}

/** Every file hashed once and compared with both kinds of manifest. Returns the digests found, by path. */
export async function checkBag(source, report, tick) {
  for (const [path, code] of source.unsafe) report.tell(path, code);
  const paths = Array.from(source.files.keys()).sort();
  const found = new Map();
  for (const path of paths) {
    try {
      found.set(path, await source.digests(path, (done) => tick(done, path)));
    } catch (fault) {
      if (!(fault instanceof Unreadable)) throw fault;
      report.tell(path, fault.code);
    }
  }
  await checkDeclaration(source, report);
  const payload = paths.filter((path) => path.startsWith("data/"));
  const tags = paths.filter((path) => TAG_FILES.includes(path));
  for (const path of paths) {
    if (!path.startsWith("data/") && !TAG_FILES.includes(path) && !TAG_MANIFESTS.includes(path)) {
      report.tell(path, "file-unexpected");
    }
  }
  for (const algorithm of Object.keys(ALGORITHMS)) {
    await checkManifest(source, report, `manifest-${algorithm}.txt`, algorithm, payload, found);
    await checkManifest(source, report, `tagmanifest-${algorithm}.txt`, algorithm, tags, found);
  }
  await checkInfo(source, report, payload);
  return found;
}

async function checkDeclaration(source, report) {
  const bytes = await reading(source, report, "bagit.txt", DECLARATION.length);
  if (bytes !== null && !sameBytes(bytes, DECLARATION)) report.tell("bagit.txt", "declaration-malformed");
}

async function checkManifest(source, report, name, algorithm, expected, found) {
  const bytes = await reading(source, report, name, MAX_MANIFEST_BYTES);
  if (bytes === null) return;
  const listed = parseManifest(algorithm, bytes);
  if (listed === null) {
    report.tell(name, "manifest-malformed");
    return;
  }
  const here = new Set(expected);
  for (const path of listed.keys()) if (!here.has(path)) report.tell(path, "file-missing");
  for (const path of expected) {
    if (!listed.has(path)) report.tell(path, "file-unlisted");
    else if (found.has(path) && found.get(path)[algorithm] !== listed.get(path)) report.tell(path, "digest-mismatch");
  }
}

/** Map of path to hex digest, or null unless these are exactly the bytes of a manifest. */
export function parseManifest(algorithm, bytes) {
  const text = textOf(bytes);
  if (text === null) return null;
  const lines = text.split("\n");
  if (lines.pop() !== "") return null;
  const listed = new Map();
  let previous = "";
  for (const line of lines) {
    const [, digest, path] = LINE.exec(line) ?? [];
    if (digest?.length !== ALGORITHMS[algorithm] || path <= previous) return null;
    listed.set(path, digest);
    previous = path;
  }
  return listed;
}

async function checkInfo(source, report, payload) {
  const bytes = await reading(source, report, "bag-info.txt", MAX_INFO_BYTES);
  if (bytes === null) return;
  const lines = textOf(bytes)?.split("\n");
  if (lines?.pop() !== "" || !lines.every((line) => INFO.test(line))) report.tell("bag-info.txt", "info-malformed");
  if (lines === undefined) return;
  const size = payload.reduce((sum, path) => sum + source.files.get(path), 0);
  const stated = lines.filter((line) => line.startsWith("Payload-Oxum:"));
  if (stated.length !== 1 || stated[0] !== `Payload-Oxum: ${size}.${payload.length}`) {
    report.tell("bag-info.txt", "oxum-mismatch");
  }
}
