// The uploader: a list of files, told about duplicates before sending, three on their way at a time, each compared with what arrived.
// The list survives a reload (upload-memory.js): whoever chooses the same files again goes on where the archive stopped receiving.
import { describe, problem } from "./upload-description.js";
import { chosen, dropped } from "./upload-files.js";
import { Hasher } from "./upload-hash.js";
import { Memory } from "./upload-memory.js";
import { adopt, match, recall } from "./upload-recalled.js";
import { postJson, terminate, uuid } from "./upload-requests.js";
import { MOVING, OVER, Row, Speed } from "./upload-row.js";
import { library, send } from "./upload-transfer.js";
import { Words } from "./upload-words.js";

const AT_ONCE = 3; // files on the line
const BEHIND = 9; // files on the line or read back by the archive
const HASH_FIRST = 64 * 1024 * 1024; // up to this size a file's digest is known, and asked about, before it is sent

class Uploader {
  constructor(root) {
    this.root = root;
    this.words = new Words(root.querySelector("[data-strings]"));
    this.hasher = new Hasher(root.dataset.worker);
    this.memory = new Memory(root.dataset.person, root.dataset.incident);
    this.where = { endpoint: root.dataset.tusUrl, done: (key) => `${root.dataset.uploadUrl}${key}/` };
    this.entries = [];
    this.running = false;
    this.intake = null;
    this.speed = new Speed();
    this.find("[data-uploader-live]").hidden = false;
    if (!("webkitdirectory" in HTMLInputElement.prototype)) this.find("[data-folder-choice]").hidden = true;
    this.listen();
    recall(this);
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  some(...states) {
    return this.entries.some((entry) => states.includes(entry.state));
  }

  listen() {
    const drop = this.find("[data-drop]");
    let depth = 0;
    const over = (on) => drop.classList.toggle("drop--over", on);
    // The whole page takes a drop: a file dropped beside the zone must not replace the page.
    addEventListener("dragover", (event) => { if (event.dataTransfer?.types.includes("Files")) event.preventDefault(); });
    addEventListener("dragenter", (event) => { if (event.dataTransfer?.types.includes("Files")) over(++depth > 0); });
    addEventListener("dragleave", () => { depth = Math.max(0, depth - 1); over(depth > 0); });
    addEventListener("drop", async (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      depth = 0;
      over(false);
      const { found, unread } = await dropped(event.dataTransfer);
      if (!found.length && !unread.length) this.announce(this.words.say("emptyFolder"));
      this.add(found);
      for (const path of unread) this.state(this.listed({ path }), "failed", this.words.say("failedChanged"));
      this.totals();
    });
    for (const input of this.root.querySelectorAll("[data-files]")) {
      input.addEventListener("change", () => {
        this.add(chosen(input));
        input.value = "";
      });
    }
    const press = (name, act) => this.find(`[data-${name}]`).addEventListener("click", act);
    press("send", () => this.start());
    press("pause", () => this.pauseAll());
    press("resume", () => this.goOn());
    press("clear", () => this.clear());
    press("cancel-all", () => this.find("[data-cancel-dialog]").showModal());
    press("retry-all", () => {
      for (const entry of this.entries) if (entry.state === "failed" && entry.file) this.again(entry);
      this.goOn();
    });
    this.find("[data-cancel-dialog]").addEventListener("close", ({ target }) => { if (target.returnValue === "cancel-all") this.cancelAll(); });
    addEventListener("beforeunload", (event) => { if (this.entries.some((entry) => entry.file && MOVING.has(entry.state))) event.preventDefault(); });
    addEventListener("sanad:leaving", () => {
      this.entries = []; // a quick exit asks no questions
    });
  }

  /** Puts an entry on the page. */
  listed(entry) {
    Object.assign(entry, { sent: 0, speed: new Speed() });
    entry.row = new Row(this.find("template[data-row]"), entry.path, this.words, {
      cancel: () => this.cancel(entry),
      discard: () => this.cancel(entry),
      pause: () => this.pause(entry),
      resume: () => { this.state(entry, "ready"); this.goOn([entry]); },
      retry: () => { this.again(entry); this.goOn([entry]); },
      anyway: () => { this.state(entry, "ready"); this.next(); },
      skip: () => this.skip(entry),
    });
    this.entries.push(entry);
    const queue = this.find("[data-queue]");
    queue.append(entry.row.node);
    queue.hidden = false;
    this.find("[data-total]").hidden = false;
    return entry;
  }

  add(found) {
    for (const { file, path } of found) {
      const { entry, changed } = match(this.entries, file, path);
      if (entry) adopt(this, entry, file);
      else this.fresh(file, path, changed ? this.words.say("changed") : "");
    }
    if (found.length) this.announce(this.words.say("added", this.entries.length));
    this.totals();
    if (this.running) this.next();
  }

  fresh(file, path, note = "") {
    const entry = this.listed({ file, path, note, size: file.size, key: uuid(), digest: null });
    if (this.root.dataset.limit && file.size > Number(this.root.dataset.limit)) this.state(entry, "failed", this.words.say("failedLarge"));
    else this.hash(entry);
  }

  hash(entry) {
    const first = entry.file.size <= HASH_FIRST;
    this.state(entry, first ? "hashing" : "ready");
    entry.hashing = this.hasher.hash(entry.file, (mark) => this.marked(entry, mark));
    entry.hashing.promise.then((digest) => {
      entry.digest = digest;
      if (entry.intake && !OVER.has(entry.state)) this.memory.keep(entry);
      if (first && entry.state === "hashing") this.ask(entry);
    }, (error) => {
      if (error.name === "AbortError") return;
      if (entry.state === "hashing" && error.name === "NotReadableError") this.state(entry, "failed", this.words.say("failedChanged"));
      else if (entry.state === "hashing") this.state(entry, "ready"); // no worker here: it is sent all the same, and said so
      this.next();
    });
  }

  marked(entry, mark) {
    entry.mark = mark;
    if (entry.intake && !OVER.has(entry.state)) this.memory.keep(entry);
  }

  /** Asks about the digests that came in within a moment, together. */
  ask(entry) {
    this.asking ??= [];
    this.asking.push(entry);
    if (this.asking.length > 1) return;
    setTimeout(async () => {
      const batch = this.asking;
      this.asking = null;
      let known = {};
      try {
        const answer = await postJson(this.root.dataset.checkUrl, { sha256: [...new Set(batch.map((one) => one.digest.sha256))] });
        if (answer.status === 200 && answer.data) known = answer.data;
      } catch { /* not answered: the archive itself tells a duplicate when it receives one */ }
      for (const one of batch) {
        if (one.state !== "hashing") continue;
        one.known = known[one.digest.sha256];
        if (one.known) this.state(one, "asking", this.words.say("asking"), one.known);
        else this.state(one, "ready");
      }
      this.totals();
      this.next();
    }, 150);
  }

  /** Sends everything, under the description that stands on the page. */
  async start() {
    if (this.describing) return;
    this.find("[data-problem]").hidden = true;
    const ran = this.running;
    this.running = false; // nothing leaves before the archive has said yes to the description
    this.describing = true;
    this.totals();
    const intake = await describe(this);
    this.describing = false;
    this.running = ran || Boolean(intake);
    this.intake = intake;
    this.totals();
    if (intake) this.goOn();
    else this.next();
  }

  /** Goes on with what was sent before or waits under a description that the archive has; nothing is described anew. */
  goOn(only = null) {
    if (this.entries.some((entry) => ["ready", "hashing"].includes(entry.state) && !entry.intake && !this.intake && only?.includes(entry))) {
      this.start();
      return;
    }
    this.running = true;
    for (const entry of only ?? this.entries) if (entry.state === "paused") this.state(entry, "ready");
    this.announce(this.words.say("started"));
    this.next();
    this.totals();
  }

  next() {
    if (!this.running) return;
    for (const entry of this.entries) {
      if (entry.state !== "ready" || entry.intake || !this.intake) continue;
      Object.assign(entry, { intake: this.intake, since: Date.now() });
      this.memory.keep(entry); // before the first byte, so that a reload knows what was to come
    }
    this.find("[data-no-memory]").hidden = this.memory.works;
    const moving = this.entries.filter((entry) => MOVING.has(entry.state));
    const line = moving.filter((entry) => entry.state !== "finishing").length;
    const free = Math.min(AT_ONCE - line, BEHIND - moving.length);
    if (free > 0) for (const entry of this.entries.filter((one) => one.state === "ready" && one.intake).slice(0, free)) this.carry(entry);
    if (this.entries.length && this.entries.every((entry) => OVER.has(entry.state) || entry.state === "unfinished")) this.finish();
  }

  async carry(entry) {
    entry.abort = new AbortController();
    entry.speed = new Speed();
    const { signal } = entry.abort;
    this.state(entry, "sending", this.words.say("sending"));
    if (entry.resumed) this.memory.keep(entry);
    let result;
    try {
      this.tus ??= await library(this.root.dataset.tus);
    } catch {
      result = { failed: "failedNetwork" }; // the page was loaded, the library was not: the line broke between
    }
    result ??= await send(this.tus, this.where, entry, {
      signal,
      onSent: (bytes) => {
        entry.speed.add(bytes - entry.sent);
        this.speed.add(bytes - entry.sent);
        entry.sent = Math.max(entry.sent, bytes);
        if (entry.state === "retrying") this.state(entry, "sending", this.words.say("sending"));
        if (bytes === entry.size && entry.state === "sending") this.finishing(entry);
        this.draw(entry);
      },
      onHeld: (bytes) => {
        entry.sent = bytes; // what left and did not arrive leaves again
        if (bytes === entry.size && entry.state !== "finishing") this.finishing(entry);
        this.draw(entry);
      },
      onUrl: () => this.memory.keep(entry),
      onWait: (seconds, network) => this.state(entry, "retrying", network && !navigator.onLine ? this.words.say("offline") : this.words.say("retrying", this.words.time(seconds))),
    });
    if (signal.aborted) return;
    if (result.failed) {
      const sentence = this.words.say(result.failed, result.status ?? "");
      entry.spent = result.over;
      if (result.over) this.memory.forget(entry.key);
      this.state(entry, "failed", result.detail ? `${result.detail} ${sentence}` : sentence);
      this.announce(`${entry.path}: ${sentence}`);
    } else await this.compare(entry, result.ok);
    this.totals();
    this.next();
  }

  finishing(entry) {
    this.state(entry, "finishing", this.words.say("finishing"));
    this.next(); // the line is free for another file
  }

  async compare(entry, answer) {
    entry.sent = entry.size;
    entry.answer = answer;
    this.memory.forget(entry.key);
    try {
      entry.digest ??= await entry.hashing.promise;
    } catch {
      this.state(entry, "held", this.words.say("unchecked"), answer);
      this.receipt(entry);
      return;
    }
    if (entry.digest.sha256 !== answer.sha256) {
      this.state(entry, "mismatch", this.words.say("mismatch"), answer);
      problem(this, `${entry.path}: ${this.words.say("mismatch")}`, {});
      return;
    }
    if (answer.duplicate_of) this.state(entry, "duplicate", this.words.say("heldDuplicate"), known(answer.duplicate_of));
    else this.state(entry, "held", this.words.say("held"), answer);
    this.receipt(entry);
  }

  state(entry, state, text = "", link = null) {
    entry.state = state;
    entry.row.draw(entry, text, link);
    this.draw(entry);
  }

  draw(entry) {
    (this.stale ??= new Set()).add(entry);
    this.drawn ??= requestAnimationFrame(() => {
      this.drawn = null;
      for (const one of this.stale) one.row.progress(one);
      this.stale.clear();
      this.totals();
    });
  }

  totals() {
    const real = this.entries.filter((entry) => entry.size !== undefined && !["cancelled", "skipped"].includes(entry.state));
    const size = real.reduce((sum, entry) => sum + entry.size, 0);
    const done = real.reduce((sum, entry) => sum + entry.sent, 0);
    this.find("[data-total-title]").textContent = this.words.say("files", this.entries.length);
    this.find("[data-total-text]").textContent = `${this.words.size(done)} / ${this.words.size(size)}`;
    this.find("[data-total] progress").value = size ? done / size : 0;
    const busy = this.some(...MOVING);
    this.find("[data-total-speed]").textContent = busy ? this.speed.words(this.words, size - done).join(" · ") : "";
    this.find("[data-send]").hidden = this.describing || !this.entries.some((entry) => ["ready", "hashing"].includes(entry.state) && !entry.intake && !(this.running && this.intake));
    this.find("[data-pause]").hidden = !this.running || !this.some("sending", "retrying");
    this.find("[data-resume]").hidden = this.running ? !this.some("paused") : !this.entries.some((entry) => entry.state === "paused" || (entry.state === "ready" && entry.intake));
    this.find("[data-retry-all]").hidden = busy || !this.entries.some((entry) => entry.state === "failed" && entry.file);
    this.find("[data-cancel-all]").hidden = this.entries.filter((entry) => !OVER.has(entry.state) && entry.state !== "finishing").length < 2;
    this.find("[data-clear]").hidden = !this.entries.some((entry) => OVER.has(entry.state));
    this.find("[data-recalled]").hidden = !this.some("unfinished");
  }

  pause(entry) {
    if (!["sending", "retrying"].includes(entry.state)) return;
    entry.abort.abort();
    this.state(entry, "paused");
    this.next();
    this.totals();
  }

  pauseAll() {
    this.running = false;
    for (const entry of this.entries) this.pause(entry);
    this.totals();
  }

  again(entry) {
    // What arrived differed, or the archive has done with this upload: this is another one, under another key.
    if (entry.state === "mismatch" || entry.spent) {
      this.memory.forget(entry.key);
      Object.assign(entry, { key: uuid(), url: undefined, resumed: false, spent: false, answer: null, kept: null, mark: undefined, sent: 0 });
    }
    if (entry.intake && entry.intake !== this.intake && !entry.url) entry.intake = null; // described anew with the others
    this.hash(entry); // the file is read anew: it may have changed
  }

  /** Stops a file for good and has the archive drop what came of it. */
  async cancel(entry) {
    entry.abort?.abort();
    entry.hashing?.cancel();
    entry.sent = 0;
    this.state(entry, "cancelled", this.words.say(entry.url ? "cancelling" : "cancelled"));
    this.memory.forget(entry.key);
    this.next();
    if (entry.url) this.state(entry, "cancelled", this.words.say((await terminate(entry.url)) ? "cancelled" : "cancelledHere"));
    this.totals();
  }

  cancelAll() {
    this.running = false;
    for (const entry of this.entries) if (!OVER.has(entry.state) && entry.state !== "finishing") this.cancel(entry);
    this.running = this.some(...MOVING);
  }

  skip(entry) {
    this.memory.forget(entry.key);
    this.state(entry, "skipped", this.words.say("skipped"), entry.known);
    this.next();
  }

  clear() {
    for (const entry of this.entries) if (OVER.has(entry.state)) entry.row.node.remove();
    this.entries = this.entries.filter((entry) => !OVER.has(entry.state));
    this.find("[data-queue]").hidden = !this.entries.length;
    this.totals();
  }

  receipt(entry) {
    this.find("[data-receipts]").hidden = false;
    this.find("[data-receipt-list]").append(entry.row.receipt(entry.answer));
  }

  finish() {
    this.running = false;
    this.totals();
    const count = (...states) => this.entries.filter((entry) => states.includes(entry.state)).length;
    this.announce(this.words.say("summary", count("held", "duplicate"), count("skipped", "cancelled"), count("failed", "mismatch")));
    this.root.dispatchEvent(new CustomEvent("sanad:uploaded", { bubbles: true }));
  }

  announce(text) {
    this.find("[data-announce]").textContent = text;
  }
}

/** duplicate_of is an accession or {accession, url}. */
function known(duplicate) {
  return typeof duplicate === "string" ? { accession: duplicate, url: `/items/${duplicate}/` } : duplicate;
}

for (const root of document.querySelectorAll("[data-uploader]")) new Uploader(root);
