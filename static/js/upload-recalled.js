// Files that an earlier page left unfinished: shown with what the archive says of them, and taken up again when they are chosen again.
import { getJson } from "./upload-requests.js";

const AT_ONCE = 4;
const SOON = 2000; // ms

/** Lists what is left, and asks the archive how far each came. */
export async function recall(uploader) {
  const { words } = uploader;
  const left = (await uploader.memory.left()).map((kept) => {
    const { path, size, key, intake, url, since } = kept;
    return uploader.listed({ kept, path, size, key, intake, url, since });
  });
  for (const entry of left) uploader.state(entry, "unfinished", words.say("unfinished"));
  if (left.length) uploader.announce(words.say("recalled", left.length));
  uploader.totals();
  const asked = left.filter((entry) => entry.url);
  const ask = async () => { while (asked.length) await look(uploader, asked.shift()); };
  await Promise.all(Array.from({ length: AT_ONCE }, ask));
}

async function look(uploader, entry) {
  const { words } = uploader;
  const { status, data } = await getJson(entry.url).catch(() => ({ status: 0 }));
  if (entry.state !== "unfinished" && entry.state !== "finishing") return;
  if (status === 200 && data.state === "held") {
    entry.digest = entry.kept.sha256 ? { sha256: entry.kept.sha256 } : null;
    uploader.compare(entry, data.item);
  } else if (status === 200 && data.state === "receiving") {
    entry.sent = data.offset;
    uploader.state(entry, "unfinished", words.say("unfinished"));
  } else if (status === 200 && data.state === "finishing") {
    uploader.state(entry, "finishing", words.say("finishing"));
    setTimeout(() => look(uploader, entry), SOON);
  } else if (entry.state === "finishing" && status !== 200) setTimeout(() => look(uploader, entry), SOON * 5);
  else if (status === 200 || status === 404 || status === 410) {
    uploader.memory.forget(entry.key);
    uploader.state(entry, "failed", [data?.problem?.detail, words.say("failedGone")].filter(Boolean).join(" "));
  }
  uploader.totals();
}

/** The unfinished entry that a chosen file seems to be; changed when only its name is the same. */
export function match(entries, file, path) {
  const like = entries.filter((entry) => entry.state === "unfinished" && entry.kept.name === file.name);
  const same = like.filter(({ kept }) => kept.size === file.size && kept.modified === file.lastModified);
  return { entry: same.find((one) => one.path === path) ?? same[0], changed: like.some((one) => one.path === path) };
}

/** The same file again, as far as name, size and time tell: its bytes decide before anything of it is sent. */
export function adopt(uploader, entry, file) {
  const { words } = uploader;
  const { sha256, mark } = entry.kept;
  Object.assign(entry, { file, resumed: true, mark });
  uploader.state(entry, "checking");
  const verdict = (same) => {
    if (entry.state !== "checking") return;
    if (same) {
      uploader.state(entry, "paused");
      uploader.totals();
      uploader.next();
      return;
    }
    Object.assign(entry, { file: null, resumed: false, digest: null });
    uploader.state(entry, "unfinished", words.say("unfinished"));
    uploader.fresh(file, entry.path, words.say("changed"));
    uploader.announce(`${entry.path}: ${words.say("changed")}`);
  };
  entry.hashing = uploader.hasher.hash(file, (read) => {
    if (mark && read.size === mark.size) verdict(read.sha256 === mark.sha256);
    if (entry.file === file && !(mark?.size > read.size)) uploader.marked(entry, read);
  });
  entry.hashing.promise.then((digest) => {
    if (entry.file !== file) return;
    entry.digest = digest;
    verdict(!sha256 || digest.sha256 === sha256);
  }, (error) => {
    if (error.name === "AbortError" || entry.file !== file) return;
    entry.file = null;
    uploader.state(entry, "unfinished", words.say("failedChanged"));
  });
}
