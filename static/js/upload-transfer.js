// One file to the archive: hashed here, sent whole by PUT, tried again when the line breaks, under one Idempotency-Key,
// so that a file whose answer got lost is not received twice.
import { moduleWorker } from "./trusted.js";

const TRIES = 8;
const LONGEST_WAIT = 60;
const BUSY = new Set([429, 502, 503, 504]);

export const token = () => document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";

/** Random version 4 UUID; crypto.randomUUID is missing on plain http. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** POST of JSON; gives {status, data}, data null when the answer is no JSON. Throws TypeError when nothing answered. */
export async function postJson(url, body) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": token() },
    body: JSON.stringify(body),
  });
  const data = await answer.json().catch(() => null);
  return { status: answer.redirected ? 401 : answer.status, data };
}

/** A queue of files through one worker. hash(file, onProgress) gives {promise of {sha256, base64}, cancel}. */
export class Hasher {
  constructor(url) {
    this.url = url;
    this.waiting = [];
    this.current = null;
    this.count = 0;
  }

  hash(file, onProgress = () => {}) {
    const job = { id: ++this.count, file, onProgress };
    job.promise = new Promise((resolve, reject) => Object.assign(job, { resolve, reject }));
    job.promise.catch(() => {}); // whoever needs it awaits it; a cancelled one concerns nobody
    this.waiting.push(job);
    this.waiting.sort((a, b) => a.file.size - b.file.size);
    this.#next();
    const cancel = () => {
      this.waiting = this.waiting.filter((one) => one !== job);
      job.reject(new DOMException("", "AbortError"));
      if (this.current === job) {
        this.worker.postMessage({ cancel: job.id });
        this.current = null;
        this.#next();
      }
    };
    return { promise: job.promise, cancel };
  }

  #next() {
    if (this.current || !this.waiting.length) return;
    this.current = this.waiting.shift();
    if (!this.worker) {
      this.worker = moduleWorker(this.url);
      this.worker.addEventListener("message", ({ data }) => this.#heard(data));
      this.worker.addEventListener("error", () => {
        for (const job of [this.current, ...this.waiting]) job?.reject(new Error("worker"));
        this.waiting = [];
        this.current = null;
      });
    }
    this.worker.postMessage({ id: this.current.id, file: this.current.file });
  }

  #heard(data) {
    const job = this.current;
    if (!job || data.id !== job.id) return;
    if (data.done !== undefined) {
      job.onProgress(data.done);
      return;
    }
    this.current = null;
    if (data.error) job.reject(new DOMException(data.error, "NotReadableError"));
    else job.resolve({ sha256: data.sha256, base64: data.base64 });
    this.#next();
  }
}

const readable = (file) => file.slice(0, 1).arrayBuffer().then(() => true, () => false);

function put(url, file, headers, { onProgress, signal }) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("PUT", url);
    for (const [name, value] of Object.entries(headers)) if (value) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => onProgress(event.loaded));
    request.upload.addEventListener("load", () => onProgress(file.size, true));
    request.addEventListener("loadend", () => {
      let data = null;
      try {
        data = JSON.parse(request.responseText);
      } catch { /* no JSON: the status says it */ }
      const moved = request.status === 200 && request.responseURL && new URL(request.responseURL).pathname !== new URL(url, location.href).pathname;
      resolve({ status: moved ? 401 : request.status, data, after: Number(request.getResponseHeader("Retry-After")) || 0 });
    });
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(file);
  });
}

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

/** Sends a file. Gives {ok: answer} | {failed: key, detail} | {aborted: true}. */
export async function send(url, entry, { onProgress, onWait, signal }) {
  for (let tries = 1; ; tries++) {
    const headers = {
      "Content-Type": "application/octet-stream",
      Accept: "application/json",
      "X-CSRFToken": token(),
      "Upload-Filename": encodeURIComponent(entry.file.name),
      "Upload-Last-Modified": entry.file.lastModified ? new Date(entry.file.lastModified).toISOString() : "",
      "Upload-Intake": entry.intake,
      "Idempotency-Key": entry.key,
      "Repr-Digest": entry.digest ? `sha-256=:${entry.digest.base64}:` : "",
    };
    const { status, data, after } = await put(url, entry.file, headers, { onProgress, signal });
    if (signal.aborted) return { aborted: true };
    if (status === 201 || status === 200) {
      return data?.accession && data?.sha256 ? { ok: data } : { failed: "failedAnswer" };
    }
    if (status === 0 && !(await readable(entry.file))) return { failed: "failedChanged" };
    if (status === 0 || BUSY.has(status)) {
      if (tries >= TRIES) return { failed: "failedNetwork" };
      const wait = Math.max(after, Math.min(2 ** tries, LONGEST_WAIT));
      onWait(wait);
      onProgress(0);
      await pause(wait, signal);
      if (signal.aborted) return { aborted: true };
      continue;
    }
    const detail = words(data);
    if (status === 401) return { failed: "failedAuth" };
    if (status === 403 || status === 404) return { failed: "failedRefused", detail };
    if (status === 413) return { failed: "failedLarge", detail };
    return detail && status < 500 ? { failed: "failedRead", detail } : { failed: "failedServer", status };
  }
}

/** The sentences inside a JSON error: {detail}, {errors: {...}} or {field: [...]}. */
export function words(data) {
  if (!data || typeof data !== "object") return "";
  if (typeof data.detail === "string") return data.detail;
  return Object.values(data.errors ?? data).flat().filter((one) => typeof one === "string").join(" ");
}
