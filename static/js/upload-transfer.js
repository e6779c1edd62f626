// One file to the archive by tus 1.0 (tus-js-client): in pieces, from the offset that the archive holds, tried again when the line
// breaks, under one key, so that a file whose answer got lost is not received twice.
import { getJson, token, words } from "./upload-requests.js";

const PIECE = 16 * 1024 * 1024; // bytes in one request
const FEELER = 256 * 1024; // goes first where an earlier request stopped: what that one sent may still be arriving
const WITH_CREATION = 1024 * 1024; // up to this size a file travels with the request that announces it
const TRIES = 8; // in a row without a byte arriving
const LONGEST_WAIT = 60;
const SOON = 0.25;
const LATE = 5;
const BUSY = new Set([409, 423, 429, 502, 503, 504]);
const GONE = new Set([404, 410]);
const LOST = new Set(["digest_mismatch", "staging_damaged"]); // the archive gave up what it had received

/** The library, from the address the page names. It calls itself window.tus. */
export async function library(url) {
  await import(url);
  return window.tus;
}

const readable = (file) => file.slice(0, 1).arrayBuffer().then(() => true, () => false);

function pause(seconds, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    };
    const timer = setTimeout(done, seconds * 1000);
    addEventListener("online", done); // the line is back: no reason to wait longer
    signal.addEventListener("abort", done, { once: true });
  });
}

/** Sends a file from where it stopped to its end. Gives {ok: what the archive holds} | {failed: key, detail, status, over} | {aborted: true}.
 *
 * `over`: this key is spent; another try is another upload. onSent(bytes) says what left, onHeld(bytes) what the archive has
 * written down, onUrl(url) where it may be asked again; digest() is awaited before the last piece of a file that goes on after a reload.
 */
export async function send(tus, where, entry, { onSent, onHeld, onUrl, onWait, signal }) {
  let held = 0;
  for (let tries = 1; ; tries++) {
    const before = held;
    const ended = await attempt(tus, where, entry, signal, { onSent, onUrl, onHeld: (bytes) => { held = Math.max(held, bytes); onHeld(bytes); } });
    const answer = signal.aborted || ended.failed ? ended : await finished(where, entry, signal);
    if (signal.aborted) return { aborted: true };
    if (!answer.wait) return answer;
    if (held > before) tries = 1; // a line that drops every minute and brings something each time is a good line
    if (answer.network && !(await readable(entry.file))) return { failed: "failedChanged" };
    if (tries >= TRIES) return { failed: "failedNetwork" };
    const seconds = Math.max(answer.after ?? 0, answer.network ? Math.min(2 ** tries, LONGEST_WAIT) : Math.min(2 ** (tries - 2), LONGEST_WAIT));
    onWait(seconds, answer.network);
    await pause(seconds, signal);
    if (signal.aborted) return { aborted: true };
  }
}

/** Until the last byte is with the archive ({}), or what came between ({wait} or {failed}). */
function attempt(tus, where, entry, signal, { onSent, onHeld, onUrl }) {
  return new Promise((resolve) => {
    const { file } = entry;
    const upload = new tus.Upload(file, {
      ...(entry.url ? { uploadUrl: entry.url } : { endpoint: where.endpoint }),
      chunkSize: entry.url ? FEELER : PIECE,
      onChunkComplete: () => { upload.options.chunkSize = PIECE; },
      retryDelays: null, // send() tries again: it knows more of why
      storeFingerprintForResuming: false, // names are kept by upload-memory.js alone
      uploadDataDuringCreation: file.size <= WITH_CREATION,
      metadata: {
        intake: entry.intake,
        key: entry.key,
        filename: file.name,
        ...(file.lastModified ? { modified: String(file.lastModified) } : {}),
        ...(entry.digest ? { sha256: entry.digest.sha256 } : {}),
      },
      onBeforeRequest: async (request) => {
        request.setHeader("X-CSRFToken", token());
        request.setHeader("Accept", "application/json");
        if (request.getMethod() !== "PATCH") return;
        const last = Number(request.getHeader("Upload-Offset")) + upload.options.chunkSize >= file.size;
        // The half that came before the reload and the half of the file chosen now: the archive compares the whole with this digest.
        if (last && entry.resumed) await entry.hashing.promise.then((digest) => { entry.digest = digest; });
        if (signal.aborted) throw new DOMException("", "AbortError");
        if (last && entry.digest) request.setHeader("Repr-Digest", `sha-256=:${entry.digest.base64}:`);
      },
      onAfterResponse: (request, response) => {
        const offset = Number.parseInt(response.getHeader("Upload-Offset"), 10);
        if (response.getStatus() < 300 && offset >= 0) onHeld(offset);
      },
      onUploadUrlAvailable: () => {
        entry.url = upload.url;
        onUrl(upload.url);
      },
      onProgress: onSent,
      onSuccess: () => resolve({}),
      onError: (error) => refusal(error, where, entry, signal).then(resolve),
    });
    signal.addEventListener("abort", () => {
      upload.abort();
      resolve({ aborted: true });
    }, { once: true });
    upload.start();
  });
}

/** What an error of the library means: {wait} to try again, or {failed}. */
async function refusal(error, where, entry, signal) {
  const { originalRequest: request, originalResponse: response } = error;
  const status = response?.getStatus() ?? 0;
  if (!status) {
    if (error.causingError instanceof Error) return { failed: "failedChanged" }; // no line broke: the file cannot be read
    return { failed: "failedNetwork", wait: true, network: true };
  }
  const landed = request?.getUnderlyingObject()?.responseURL;
  if (status === 401 || (landed && new URL(landed).pathname !== new URL(request.getURL(), location.href).pathname)) return { failed: "failedAuth" };
  if (BUSY.has(status)) {
    const data = json(response.getBody());
    const final = status === 409 && data && !("offset" in data) && request.getMethod() === "POST";
    if (final) return { failed: "failedRead", detail: words(data), over: true };
    return { failed: "failedNetwork", wait: true, after: Number(response.getHeader("Retry-After")) || 0 };
  }
  if (GONE.has(status) && entry.url) {
    const made = await getJson(where.done(entry.key)).catch(() => null);
    if (made?.status === 200) return {};
    if (signal.aborted) return { aborted: true };
    return { failed: "failedGone", detail: words(json(response.getBody())), over: true };
  }
  return failure(status, words(json(response.getBody())));
}

function failure(status, detail) {
  if (status === 403 || status === 404) return { failed: "failedRefused", detail };
  if (status === 413) return { failed: "failedLarge", detail };
  if (status === 507) return { failed: "failedKept", detail };
  return detail && status < 500 ? { failed: "failedRead", detail, over: status === 422 || status === 410 } : { failed: "failedServer", status };
}

/** What became of an upload whose last byte arrived; asks while the archive reads it back. Bounded by TRIES without an answer. */
async function finished(where, entry, signal) {
  for (let wait = SOON, silent = 0; ; wait = Math.min(wait * 1.5, LATE)) {
    let answer = null;
    try {
      answer = await getJson(entry.url);
      if (GONE.has(answer.status)) answer = await getJson(where.done(entry.key)); // tidied away already: the key still knows
    } catch { /* nothing answered */ }
    if (signal.aborted) return { aborted: true };
    const data = answer?.data;
    if (answer?.status === 200 && (data?.state === "held" || data?.accession)) {
      const item = data.item ?? data;
      return item.accession && item.sha256 ? { ok: item } : { failed: "failedAnswer" };
    }
    if (answer?.status === 200 && data?.state === "receiving") return { wait: true };
    if (answer?.status === 200 && data?.state !== "finishing") {
      const over = !data?.problem || LOST.has(data.problem.code);
      if (!over) entry.url = undefined; // all of it is kept for a while: beginning under the same key asks again
      return { failed: over ? "failedRead" : "failedKept", detail: words(data?.problem), over };
    }
    if (answer?.status === 401) return { failed: "failedAuth" };
    if (answer && answer.status !== 200 && !BUSY.has(answer.status)) return failure(answer.status, words(data));
    if (answer?.status === 200) silent = 0;
    else if (++silent >= TRIES * 4) return { failed: "failedNetwork" };
    await pause(wait, signal);
    if (signal.aborted) return { aborted: true };
  }
}

function json(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // no JSON: the status says it
  }
}
