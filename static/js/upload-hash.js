// Digests of files, computed by one worker beside the sending.
import { moduleWorker } from "./trusted.js";

/** A queue of files through one worker, the small ones first. */
export class Hasher {
  constructor(url) {
    this.url = url;
    this.waiting = [];
    this.current = null;
    this.count = 0;
  }

  /** Gives {promise of {sha256, base64}, cancel}. onMark({size, sha256}) tells digests of ever longer beginnings of the file. */
  hash(file, onMark = () => {}) {
    const job = { id: ++this.count, file, onMark };
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
    if (data.mark) {
      job.onMark(data.mark);
      return;
    }
    this.current = null;
    if (data.error) job.reject(new DOMException(data.error, "NotReadableError"));
    else job.resolve({ sha256: data.sha256, base64: data.base64 });
    this.#next();
  }
}
