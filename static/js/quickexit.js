// Leaves for a neutral page at once: the page goes blank, its place in the history is taken, and the session is ended on the way.
// Escape three times within a second and a half does the same.
const link = document.querySelector("[data-quick-exit]");
const WITHIN = 1500;
let presses = [];

function leave() {
  document.documentElement.hidden = true;
  document.title = "";
  const url = link.dataset.signOutUrl;
  const token = document.querySelector("[name=csrfmiddlewaretoken]")?.value;
  if (url && token) {
    // keepalive lets the request outlive the page; a failure must not hold anyone back.
    fetch(url, { method: "POST", keepalive: true, body: new URLSearchParams({ csrfmiddlewaretoken: token }) }).catch(() => {});
  }
  window.dispatchEvent(new CustomEvent("sanad:leaving"));
  location.replace(link.href);
}

if (link) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    leave();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") {
      presses = [];
      return;
    }
    const now = Date.now();
    presses = [...presses.filter((time) => now - time < WITHIN), now];
    if (presses.length === 3) leave();
  }, true);
}
