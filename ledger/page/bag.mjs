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
  await checkTwins(source, report, "manifest", payload, found);
  await checkTwins(source, report, "tagmanifest", tags, found);
  await checkInfo(source, report, payload);
  return found;
}

async function checkDeclaration(source, report) {
  const bytes = await reading(source, report, "bagit.txt", DECLARATION.length);
  if (bytes !== null && !sameBytes(bytes, DECLARATION)) report.tell("bagit.txt", "declaration-malformed");
}

/** Both manifests of a kind; one that is wrong about a path of which the other is right is at fault itself. */
async function checkTwins(source, report, stem, expected, found) {
  const wrong = new Map();
  for (const algorithm of Object.keys(ALGORITHMS)) {
    const name = `${stem}-${algorithm}.txt`;
    wrong.set(name, await checkManifest(source, report, name, algorithm, expected, found));
  }
  for (const [name, paths] of wrong) {
    const alone = Array.from(wrong.values()).some((other) => other && Array.from(paths ?? []).some((path) => !other.has(path)));
    if (alone) report.tell(name, "manifest-mismatch");
  }
}

/** The paths about which the manifest is not right, null when it cannot be read. */
async function checkManifest(source, report, name, algorithm, expected, found) {
  const bytes = await reading(source, report, name, MAX_MANIFEST_BYTES);
  if (bytes === null) return null;
  const listed = parseManifest(algorithm, bytes);
  if (listed === null) {
    report.tell(name, "manifest-malformed");
    return null;
  }
  const here = new Set(expected);
  const wrong = new Set();
  const tell = (path, code) => {
    wrong.add(path);
    report.tell(path, code);
  };
  for (const path of listed.keys()) if (!here.has(path)) tell(path, "file-missing");
  for (const path of expected) {
    if (!listed.has(path)) tell(path, "file-unlisted");
    else if (found.has(path) && found.get(path)[algorithm] !== listed.get(path)) tell(path, "digest-mismatch");
  }
  return wrong;
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
