// Shortcuts: ? help, / search, g and a letter go to a page, j and k walk a list. None of them acts while someone types.
const dialog = document.getElementById("keyboard-help");
const TYPING = "input:not([type=checkbox], [type=radio], [type=button], [type=submit]), textarea, select, [contenteditable]";
let going = 0;

for (const entry of document.querySelectorAll("[data-keyboard-help-entry]")) entry.hidden = false;
for (const button of document.querySelectorAll("[data-keyboard-help]")) {
  button.addEventListener("click", () => {
    button.closest("details").open = false;
    dialog.showModal();
  });
}

function rows() {
  return [...document.querySelectorAll("[data-list] > *")].filter((row) => row.querySelector("a[href], button") && row.offsetParent);
}

function walk(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.hasAttribute("data-list-current") || row.contains(document.activeElement));
  const next = all[Math.min(Math.max(at + step, 0), all.length - 1)];
  for (const row of all) row.removeAttribute("data-list-current");
  next.setAttribute("data-list-current", "");
  next.querySelector("a[href], button").focus();
  next.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest?.(TYPING) || document.querySelector("dialog[open]")) return;
  const key = event.key.toLowerCase();
  if (going && Date.now() - going < 1500) {
    going = 0;
    const link = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key.toLowerCase() === key);
    if (link) {
      event.preventDefault();
      location.assign(link.href);
      return;
    }
  }
  if (event.key === "?") dialog.showModal();
  else if (key === "/") {
    const search = document.querySelector("[data-search]");
    if (!search) return;
    search.focus();
    search.select();
  } else if (key === "g") going = Date.now();
  else if (key === "j") walk(1);
  else if (key === "k") walk(-1);
  else return;
  event.preventDefault();
});
