// One line of the queue: what the page shows of a file, and which of its buttons make sense.

export const OVER = new Set(["held", "duplicate", "mismatch", "failed", "cancelled", "skipped"]);
export const MOVING = new Set(["sending", "finishing", "retrying"]);
const ALWAYS = new Set(["ready", "hashing", "checking", "paused"]); // states whose sentence never changes
const SAFE = "[data-act]:not([hidden], [data-act=cancel], [data-act=discard])";

/** Bytes a second, smoothed; null until a second has passed. */
export class Speed {
  add(bytes) {
    const now = performance.now();
    this.since ??= now;
    this.moved = (this.moved ?? 0) + Math.max(0, bytes);
    const seconds = (now - this.since) / 1000;
    if (seconds < 1) return;
    const rate = this.moved / seconds;
    this.rate = this.rate ? this.rate * 0.7 + rate * 0.3 : rate;
    this.since = now;
    this.moved = 0;
  }

  /** ["1.2 MB a second", "3 min left"] for what is still to come, or []. */
  words(words, left) {
    return this.rate ? [words.say("speed", words.size(this.rate)), words.say("left", words.time(left / this.rate))] : [];
  }
}

export class Row {
  constructor(template, path, words, acts) {
    this.node = template.content.firstElementChild.cloneNode(true);
    this.path = path;
    this.words = words;
    this.find(".queue__name bdi").textContent = path;
    this.find("progress").setAttribute("aria-label", path);
    for (const button of this.node.querySelectorAll("[data-act]")) button.setAttribute("aria-label", `${button.textContent.trim()} ${path}`);
    this.node.addEventListener("click", (event) => acts[event.target.closest("[data-act]")?.dataset.act]?.());
  }

  find(selector) {
    return this.node.querySelector(selector);
  }

  /** Shows the state of an entry: its sentence, a link to an item, its size, its buttons. */
  draw(entry, text, link) {
    const { state } = entry;
    const had = this.node.contains(document.activeElement) ? document.activeElement : null;
    this.node.dataset.state = state;
    const shown = this.find(".queue__state");
    shown.textContent = text || this.words.say(ALWAYS.has(state) ? state : "ready");
    if (link?.accession) {
      const anchor = document.createElement("a");
      anchor.href = link.url ?? "#";
      anchor.textContent = link.accession;
      shown.append(" ", anchor);
    }
    if (entry.size !== undefined && !MOVING.has(state)) shown.append(` · ${this.words.size(entry.size)}`);
    if (entry.note) shown.append(` · ${entry.note}`);
    const show = (act, on) => { this.find(`[data-act=${act}]`).hidden = !on; };
    show("pause", ["sending", "retrying"].includes(state));
    show("resume", state === "paused");
    show("retry", (state === "failed" || state === "mismatch") && entry.file);
    show("anyway", state === "asking");
    show("skip", state === "asking");
    show("cancel", !OVER.has(state) && !["asking", "finishing", "unfinished"].includes(state));
    show("discard", state === "unfinished");
    // A button that went away under the finger hands the focus to the one that took its place, never to one that ends something.
    if (had?.hidden) queueMicrotask(() => (this.find(SAFE) ?? this.find(".queue__name")).focus());
    this.progress(entry);
  }

  progress(entry) {
    const bar = this.find("progress");
    const part = entry.state === "paused" || entry.state === "unfinished" ? entry.sent > 0 : MOVING.has(entry.state);
    bar.hidden = !part;
    if (entry.state === "finishing") bar.removeAttribute("value");
    else bar.value = entry.size ? entry.sent / entry.size : 0;
    const rate = this.find(".queue__rate");
    rate.hidden = !part || entry.state === "finishing";
    if (rate.hidden) return;
    const pieces = [`${this.words.size(entry.sent)} / ${this.words.size(entry.size)}`];
    if (entry.state === "sending") pieces.push(...entry.speed.words(this.words, entry.size - entry.sent));
    rate.textContent = pieces.join(" · ");
  }

  /** A line for the receipts: the file's name, its accession number, its receipt. */
  receipt(answer) {
    const row = this.node.cloneNode(true);
    row.dataset.state = "held";
    row.querySelector(".queue__actions").replaceChildren();
    row.querySelector("progress").remove();
    row.querySelector(".queue__rate").remove();
    const link = document.createElement("a");
    link.href = answer.url;
    link.textContent = answer.accession;
    row.querySelector(".queue__state").replaceChildren(link);
    if (answer.receipt_url) {
      const receipt = document.createElement("a");
      receipt.href = answer.receipt_url;
      receipt.target = "_blank"; // what is still being sent goes on here
      receipt.textContent = this.words.say("receipt");
      row.querySelector(".queue__actions").append(receipt);
    }
    return row;
  }
}
