// Follows a long work: asks its JSON {state, done, total, message} until it ends. Slower when nothing moves or the page is hidden.
const ENDED = new Set(["done", "failed", "cancelled"]);
const SOON = 1000;
const LATE = 15000;

function follow(box) {
  const bar = box.querySelector("progress");
  const done = box.querySelector("[data-done]");
  const of = box.querySelector("[data-of]");
  const message = box.querySelector("[data-message]");
  let wait = SOON;
  let before = null;

  const ask = async () => {
    if (document.hidden) {
      setTimeout(ask, wait);
      return;
    }
    try {
      const answer = await fetch(box.dataset.poll, { headers: { Accept: "application/json" }, cache: "no-store" });
      if (answer.status === 401 || answer.status === 403 || answer.status === 404) return;
      if (!answer.ok) throw new Error(String(answer.status));
      const state = await answer.json();
      if (state.total) {
        bar.max = state.total;
        bar.value = state.done;
        of.querySelector("[data-total]").textContent = state.total;
        of.hidden = false;
      }
      if (done) done.textContent = state.done;
      if (state.message !== undefined && message.textContent !== state.message) message.textContent = state.message;
      box.dataset.state = state.state;
      wait = before === state.done ? Math.min(wait * 1.5, LATE) : SOON;
      before = state.done;
      if (ENDED.has(state.state)) {
        bar.value = state.state === "done" ? bar.max : bar.value;
        box.dispatchEvent(new CustomEvent("sanad:ended", { bubbles: true, detail: state }));
        if ("reload" in box.dataset) location.reload();
        return;
      }
    } catch {
      wait = Math.min(wait * 2, LATE); // the line is bad: the work goes on without us
    }
    setTimeout(ask, wait);
  };
  setTimeout(ask, SOON);
}

for (const box of document.querySelectorAll("[data-poll]")) {
  if (!ENDED.has(box.dataset.state)) follow(box);
}
