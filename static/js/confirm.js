// Turns the fold of an act that asks once more into a modal dialog.
let count = 0;

for (const fold of document.querySelectorAll("details[data-confirm]")) {
  const summary = fold.querySelector("summary");
  const body = fold.querySelector(".confirm__body");
  const title = body.querySelector(".dialog__title");
  const cancel = body.querySelector("[data-confirm-cancel]");
  const dialog = document.createElement("dialog");
  title.id ||= `confirm-title-${++count}`;
  dialog.setAttribute("aria-labelledby", title.id);
  const wrong = body.querySelector("[aria-invalid=true], .field__errors");
  dialog.append(body);
  fold.after(dialog);

  const opener = document.createElement("button");
  opener.type = "button";
  opener.className = summary.className;
  opener.append(...summary.childNodes);
  opener.setAttribute("aria-haspopup", "dialog");
  fold.replaceWith(opener);

  opener.addEventListener("click", () => {
    dialog.showModal();
    // The safe choice has the focus, unless there is a reason to write.
    (body.querySelector("textarea, input:not([type=hidden]), select") ?? cancel).focus();
  });
  cancel.hidden = false;
  cancel.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => opener.focus());
  if (wrong) dialog.showModal();
}
