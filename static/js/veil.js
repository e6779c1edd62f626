// Graphic content keeps silent until it is shown clearly, and is veiled again when the page is left, by Escape or when the veil closes.
for (const veil of document.querySelectorAll("[data-veil]")) {
  const clear = veil.querySelector(".veil__clear");
  const media = () => veil.querySelectorAll("video, audio");

  const apply = () => {
    veil.classList.toggle("veil--clear", clear.checked);
    for (const one of media()) one.muted = !clear.checked;
  };
  const again = () => {
    clear.checked = false;
    for (const one of media()) one.pause();
    apply();
  };

  clear.addEventListener("change", apply);
  veil.addEventListener("toggle", () => { if (!veil.open) again(); });
  // The volume control of the player must not undo the veil.
  for (const one of media()) {
    one.addEventListener("volumechange", () => { if (!clear.checked && !one.muted) one.muted = true; });
  }
  veil.addEventListener("keydown", (event) => { if (event.key === "Escape") again(); });
  document.addEventListener("visibilitychange", () => { if (document.hidden) again(); });
  window.addEventListener("pagehide", again);
  again();
}
