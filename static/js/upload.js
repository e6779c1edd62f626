// The uploader: a list of files, told about duplicates before sending, two on their way at a time, each compared with what arrived.
import { chosen, dropped } from "./upload-files.js";
import { Hasher, postJson, send, uuid } from "./upload-transfer.js";
import { Words } from "./upload-words.js";

const AT_ONCE = 2;
const HASH_FIRST = 64 * 1024 * 1024; // up to this size a file's digest is known, and asked about, before it is sent
const OVER = new Set(["held", "duplicate", "mismatch", "failed", "cancelled", "skipped"]);

class Uploader {
  constructor(root) {
    this.root = root;
    this.words = new Words(root.querySelector("[data-strings]"));
    this.hasher = new Hasher(root.dataset.worker);
    this.entries = [];
    this.running = false;
    this.intake = null;
    this.speed = 0;
    this.find("[data-uploader-live]").hidden = false;
    if (!("webkitdirectory" in HTMLInputElement.prototype)) this.find("[data-folder-choice]").hidden = true;
    this.listen();
  }

  find(selector) {
    return this.root.querySelector(selector);
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
      for (const path of unread) this.unreadable(path);
    });
    for (const input of this.root.querySelectorAll("[data-files]")) {
      input.addEventListener("change", () => {
        this.add(chosen(input));
        input.value = "";
      });
    }
    this.find("[data-send]").addEventListener("click", () => this.start());
    this.find("[data-pause]").addEventListener("click", () => this.pause());
    this.find("[data-resume]").addEventListener("click", () => this.start());
    this.find("[data-clear]").addEventListener("click", () => this.clear());
    this.find("[data-retry-all]").addEventListener("click", () => {
      for (const entry of this.entries) if (entry.state === "failed" && entry.file) this.again(entry);
      this.start();
    });
    addEventListener("beforeunload", (event) => { if (this.busy()) event.preventDefault(); });
    addEventListener("sanad:leaving", () => {
      this.entries = []; // a quick exit asks no questions
    });
  }

  busy() {
    return this.entries.some((entry) => ["sending", "finishing", "retrying"].includes(entry.state));
  }

  row(path) {
    const row = this.find("template[data-row]").content.firstElementChild.cloneNode(true);
    row.querySelector(".queue__name bdi").textContent = path;
    row.querySelector("[data-act=cancel]").setAttribute("aria-label", `${row.querySelector("[data-act=cancel]").textContent.trim()} ${path}`);
    const queue = this.find("[data-queue]");
    queue.append(row);
    queue.hidden = false;
    this.find("[data-total]").hidden = false;
    return row;
  }

  add(found) {
    for (const { file, path } of found) {
      const entry = { file, path, key: uuid(), sent: 0, digest: null, row: this.row(path) };
      const acts = {
        cancel: () => this.cancel(entry),
        retry: () => { this.again(entry); this.start(); },
        anyway: () => { this.state(entry, "ready"); this.next(); },
        skip: () => this.state(entry, "skipped", this.words.say("skipped"), entry.known),
      };
      entry.row.addEventListener("click", (event) => acts[event.target.closest("[data-act]")?.dataset.act]?.());
      this.entries.push(entry);
      if (this.root.dataset.limit && file.size > Number(this.root.dataset.limit)) this.state(entry, "failed", this.words.say("failedLarge"));
      else this.hash(entry);
    }
    if (found.length) this.announce(this.words.say("added", this.entries.length));
    this.totals();
    if (this.running) this.next();
  }

  unreadable(path) {
    const entry = { file: null, path, sent: 0, row: this.row(path) };
    this.entries.push(entry);
    this.state(entry, "failed", this.words.say("failedChanged"));
    this.totals();
  }

  hash(entry) {
    const first = entry.file.size <= HASH_FIRST;
    this.state(entry, first ? "hashing" : "ready");
    entry.hashing = this.hasher.hash(entry.file);
    entry.hashing.promise.then((digest) => {
      entry.digest = digest;
      if (first && entry.state === "hashing") this.ask(entry);
    }, (error) => {
      if (error.name === "AbortError") return;
      if (entry.state === "hashing" && error.name === "NotReadableError") this.state(entry, "failed", this.words.say("failedChanged"));
      else if (entry.state === "hashing") this.state(entry, "ready"); // no worker here: it is sent all the same, and said so
      this.next();
    });
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

  async start() {
    if (this.describing) return;
    this.find("[data-problem]").hidden = true;
    this.running = false; // nothing leaves before the archive has said yes to the description
    this.describing = true;
    this.totals();
    const described = await this.describe();
    this.describing = false;
    this.running = described;
    this.totals();
    if (!described) return;
    for (const entry of this.entries) if (entry.state === "paused") this.state(entry, "ready");
    this.announce(this.words.say("started"));
    this.next();
    this.totals();
  }

  /** What the page says about all these files, sent once, and again only when it was changed. */
  async describe() {
    const form = document.getElementById(this.root.dataset.form);
    const fields = {};
    if (form) {
      for (const [name, value] of new FormData(form)) {
        if (name === "csrfmiddlewaretoken" || value instanceof File) continue;
        fields[name] = name in fields ? [fields[name], value].flat() : value;
      }
    }
    const text = JSON.stringify(fields);
    if (this.intake && this.described === text) return true;
    let answer;
    try {
      answer = await postJson(this.root.dataset.intakeUrl, fields);
    } catch {
      this.problem(this.words.say("failedNetwork"), {});
      return false;
    }
    if (answer.data?.intake && answer.status < 300) {
      this.intake = answer.data.intake;
      this.described = text;
      return true;
    }
    if (answer.status === 401) this.problem(this.words.say("failedAuth"), {});
    else if (answer.status === 403 || answer.status === 404) this.problem(this.words.say("failedRefused"), {});
    else this.problem(this.words.say("failedIntake"), answer.data?.errors ?? answer.data ?? {});
    return false;
  }

  problem(title, errors) {
    const box = this.find("[data-problem]");
    box.querySelector("[data-problem-title]").textContent = title;
    const list = box.querySelector("[data-problem-list]");
    list.replaceChildren();
    for (const [name, messages] of Object.entries(errors)) {
      const field = document.getElementById(`id_${name}`);
      const label = document.querySelector(`label[for="id_${CSS.escape(name)}"]`)?.firstChild?.textContent.trim();
      const line = document.createElement("li");
      if (field) {
        field.setAttribute("aria-invalid", "true");
        const link = document.createElement("a");
        link.href = `#id_${name}`;
        link.textContent = label || name;
        line.append(link, ": ");
      }
      line.append([messages].flat().join(" "));
      list.append(line);
    }
    box.hidden = false;
    box.scrollIntoView({ block: "nearest" });
  }

  next() {
    if (!this.running) return;
    const on = this.entries.filter((entry) => ["sending", "finishing", "retrying"].includes(entry.state)).length;
    for (const entry of this.entries.filter((one) => one.state === "ready").slice(0, AT_ONCE - on)) this.carry(entry);
    if (this.entries.length && this.entries.every((entry) => OVER.has(entry.state))) this.finish();
  }

  async carry(entry) {
    entry.intake = this.intake;
    entry.abort = new AbortController();
    this.state(entry, "sending", this.words.say("sending"));
    const result = await send(this.root.dataset.uploadUrl, entry, {
      signal: entry.abort.signal,
      onProgress: (sent, all) => {
        this.measure(sent - entry.sent);
        entry.sent = sent;
        if (entry.state === "retrying" && sent) this.state(entry, "sending", this.words.say("sending"));
        if (all && entry.state === "sending") this.state(entry, "finishing", this.words.say("finishing"));
        this.progress(entry);
      },
      onWait: (seconds) => this.state(entry, "retrying", navigator.onLine ? this.words.say("retrying", this.words.time(seconds)) : this.words.say("offline")),
    });
    if (result.aborted) return;
    if (result.failed) {
      const sentence = this.words.say(result.failed, result.status ?? "");
      this.state(entry, "failed", result.detail ? `${result.detail} ${sentence}` : sentence);
      this.announce(`${entry.path}: ${sentence}`);
    } else await this.compare(entry, result.ok);
    this.totals();
    this.next();
  }

  async compare(entry, answer) {
    entry.sent = entry.file.size;
    entry.answer = answer;
    try {
      entry.digest ??= await entry.hashing.promise;
    } catch {
      this.state(entry, "held", this.words.say("unchecked"), answer);
      this.receipt(entry);
      return;
    }
    if (entry.digest.sha256 !== answer.sha256) {
      this.state(entry, "mismatch", this.words.say("mismatch"), answer);
      this.problem(`${entry.path}: ${this.words.say("mismatch")}`, {});
      return;
    }
    if (answer.duplicate_of) this.state(entry, "duplicate", this.words.say("heldDuplicate"), known(answer.duplicate_of));
    else this.state(entry, "held", this.words.say("held"), answer);
    this.receipt(entry);
  }

  state(entry, state, text = "", link = null) {
    entry.state = state;
    entry.row.dataset.state = state;
    const shown = entry.row.querySelector(".queue__state");
    const size = entry.file ? ` · ${this.words.size(entry.file.size)}` : "";
    shown.textContent = text || this.words.say(state === "hashing" ? "hashing" : state === "paused" ? "paused" : "waiting");
    if (link?.accession) {
      const anchor = document.createElement("a");
      anchor.href = link.url ?? "#";
      anchor.textContent = link.accession;
      shown.append(" ", anchor);
    }
    shown.append(size);
    const show = (act, on) => { entry.row.querySelector(`[data-act=${act}]`).hidden = !on; };
    show("cancel", !OVER.has(state) && state !== "asking");
    show("retry", (state === "failed" || state === "mismatch") && entry.file);
    show("anyway", state === "asking");
    show("skip", state === "asking");
    this.progress(entry);
  }

  progress(entry) {
    const bar = entry.row.querySelector("progress");
    bar.hidden = !["sending", "finishing", "retrying"].includes(entry.state);
    bar.setAttribute("aria-label", entry.path);
    if (entry.state === "finishing") bar.removeAttribute("value");
    else bar.value = entry.file?.size ? entry.sent / entry.file.size : 0;
    this.drawn ??= requestAnimationFrame(() => {
      this.drawn = null;
      this.totals();
    });
  }

  measure(bytes) {
    const now = performance.now();
    this.since ??= now;
    this.moved = (this.moved ?? 0) + Math.max(0, bytes);
    const seconds = (now - this.since) / 1000;
    if (seconds < 1) return;
    const rate = this.moved / seconds;
    this.speed = this.speed ? this.speed * 0.7 + rate * 0.3 : rate;
    this.since = now;
    this.moved = 0;
  }

  totals() {
    const real = this.entries.filter((entry) => entry.file && !["cancelled", "skipped"].includes(entry.state));
    const size = real.reduce((sum, entry) => sum + entry.file.size, 0);
    const done = real.reduce((sum, entry) => sum + (entry.answer ? entry.file.size : entry.state === "failed" ? 0 : entry.sent), 0);
    this.find("[data-total-title]").textContent = this.words.say("files", this.entries.length);
    this.find("[data-total-text]").textContent = `${this.words.size(done)} / ${this.words.size(size)}`;
    this.find("[data-total] progress").value = size ? done / size : 0;
    const busy = this.busy();
    const speed = busy && this.speed ? [this.words.say("speed", this.words.size(this.speed)), this.words.say("left", this.words.time((size - done) / this.speed))] : [];
    this.find("[data-total-speed]").textContent = speed.join(" · ");
    this.find("[data-send]").hidden = this.running || this.describing || !this.entries.some((entry) => ["ready", "hashing"].includes(entry.state));
    this.find("[data-pause]").hidden = !this.running || !busy;
    this.find("[data-resume]").hidden = this.running || !this.entries.some((entry) => entry.state === "paused");
    this.find("[data-retry-all]").hidden = busy || !this.entries.some((entry) => entry.state === "failed" && entry.file);
    this.find("[data-clear]").hidden = !this.entries.some((entry) => OVER.has(entry.state));
  }

  pause() {
    this.running = false;
    for (const entry of this.entries) {
      if (["sending", "retrying"].includes(entry.state)) {
        entry.abort.abort();
        entry.sent = 0;
        this.state(entry, "paused");
      }
    }
    this.totals();
  }

  again(entry) {
    // What arrived differed: this is another reception, under another key. Otherwise the same one, tried again.
    if (entry.state === "mismatch") entry.key = uuid();
    entry.sent = 0;
    this.hash(entry); // the file is read anew: it may have changed
  }

  cancel(entry) {
    entry.abort?.abort();
    entry.hashing?.cancel();
    entry.sent = 0;
    this.state(entry, "cancelled", this.words.say("cancelled"));
    this.totals();
    this.next();
  }

  clear() {
    for (const entry of this.entries) if (OVER.has(entry.state)) entry.row.remove();
    this.entries = this.entries.filter((entry) => !OVER.has(entry.state));
    this.find("[data-queue]").hidden = !this.entries.length;
    this.totals();
  }

  receipt(entry) {
    this.find("[data-receipts]").hidden = false;
    const row = this.find("template[data-row]").content.firstElementChild.cloneNode(true);
    row.dataset.state = "held";
    row.querySelector(".queue__actions").replaceChildren();
    row.querySelector("progress").remove();
    row.querySelector(".queue__name bdi").textContent = entry.path;
    const link = document.createElement("a");
    link.href = entry.answer.url;
    link.textContent = entry.answer.accession;
    row.querySelector(".queue__state").append(link);
    if (entry.answer.receipt_url) {
      const receipt = document.createElement("a");
      receipt.href = entry.answer.receipt_url;
      receipt.target = "_blank"; // what is still being sent goes on here
      receipt.textContent = this.words.say("receipt");
      row.querySelector(".queue__actions").append(receipt);
    }
    this.find("[data-receipt-list]").append(row);
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
