// Looks at one item: images turn and grow, videos step by frame, PDFs are drawn page by page. Nothing plays by itself.
import { moduleWorker } from "./trusted.js";

const STEPS = [0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8];
const larger = (zoom) => STEPS.find((step) => step > zoom + 0.001) ?? STEPS.at(-1);
const smaller = (zoom) => STEPS.findLast((step) => step < zoom - 0.001) ?? STEPS[0];

function actions(root, acts, keys) {
  const bar = root.querySelector("[data-viewer-bar]");
  const stage = root.querySelector("[data-stage]");
  bar.hidden = false;
  const act = (name, value) => {
    if (name === "full") (document.fullscreenElement ? document.exitFullscreen() : stage.requestFullscreen?.());
    else acts[name]?.(value);
  };
  bar.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-act]");
    if (button) act(button.dataset.act);
  });
  bar.addEventListener("change", (event) => act(event.target.dataset.act, event.target.value));
  stage.addEventListener("keydown", (event) => {
    const name = keys[event.key];
    if (!name || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    act(name);
  });
  return stage;
}

/** Moves the stage's view by dragging. */
function draggable(stage) {
  let from = null;
  stage.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse" || event.button !== 0) return; // touch scrolls by itself
    from = { x: event.clientX + stage.scrollLeft, y: event.clientY + stage.scrollTop };
    stage.setPointerCapture(event.pointerId);
    event.preventDefault();
    stage.focus();
  });
  stage.addEventListener("pointermove", (event) => {
    if (from) stage.scrollTo(from.x - event.clientX, from.y - event.clientY);
  });
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => { from = null; });
}

const show = (output, text) => { if (output) output.firstElementChild.textContent = text; };

function image(root) {
  const picture = root.querySelector("img");
  const output = root.querySelector("[data-zoom]");
  const frame = document.createElement("div");
  frame.className = "viewer__turn";
  picture.replaceWith(frame);
  frame.append(picture);
  let zoom = null; // null: as large as fits
  let turns = 0;

  const fit = () => {
    const [width, height] = turns % 2 ? [picture.naturalHeight, picture.naturalWidth] : [picture.naturalWidth, picture.naturalHeight];
    return Math.min(stage.clientWidth / width, (window.innerHeight * 0.75) / height, 1);
  };
  const apply = () => {
    if (!picture.naturalWidth) return;
    const scale = zoom ?? fit();
    const [width, height] = [picture.naturalWidth * scale, picture.naturalHeight * scale];
    picture.style.inlineSize = `${width}px`;
    picture.style.blockSize = `${height}px`;
    picture.style.transform = `translate(-50%, -50%) rotate(${turns * 90}deg)`;
    frame.style.inlineSize = `${turns % 2 ? height : width}px`;
    frame.style.blockSize = `${turns % 2 ? width : height}px`;
    show(output, `${Math.round(scale * 100)}%`);
  };
  const stage = actions(root, {
    in: () => { zoom = larger(zoom ?? fit()); apply(); },
    out: () => { zoom = smaller(zoom ?? fit()); apply(); },
    fit: () => { zoom = null; apply(); },
    rotate: () => { turns = (turns + 1) % 4; apply(); },
  }, { "+": "in", "=": "in", "-": "out", 0: "fit", r: "rotate", f: "full" });
  stage.classList.add("viewer__stage--zoomed");
  draggable(stage);
  picture.addEventListener("load", apply);
  addEventListener("resize", apply);
  apply();
}

function media(root) {
  const player = root.querySelector("video, audio");
  const output = root.querySelector("[data-time]");
  const frame = 1 / (Number(root.dataset.frameRate) || 25);
  const step = (frames) => {
    player.pause();
    player.currentTime = Math.max(0, Math.min(player.duration || 0, player.currentTime + frames * frame));
  };
  const clock = () => {
    const time = player.currentTime;
    const minutes = Math.floor(time / 60);
    show(output, `${minutes}:${(time - minutes * 60).toFixed(3).padStart(6, "0")}`);
  };
  actions(root, {
    "frame-back": () => step(-1),
    "frame-on": () => step(1),
    speed: (value) => { player.playbackRate = Number(value); },
  }, { ",": "frame-back", ".": "frame-on", f: "full" });
  for (const event of ["timeupdate", "seeked", "loadedmetadata"]) player.addEventListener(event, clock);
}

async function pdf(root) {
  const fallback = root.querySelector("[data-fallback]");
  try {
    const { getDocument, GlobalWorkerOptions } = await import(root.dataset.pdf);
    GlobalWorkerOptions.workerPort ??= moduleWorker(root.dataset.pdfWorker);
    const wasmUrl = new URL(".", new URL(root.dataset.pdfWorker, location)).href; // where its JPEG 2000 decoder lies
    // Pixels only: no scripts, no forms, no links, no XFA; nothing of the document becomes part of this page.
    const paper = await getDocument({ url: root.dataset.url, isEvalSupported: false, enableXfa: false, useWasm: false, wasmUrl }).promise;
    const canvas = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    let number = 1;
    let zoom = null;
    let task = null;
    let asked = 0;

    const draw = async () => {
      const mine = ++asked;
      task?.cancel();
      const page = await paper.getPage(number);
      const natural = page.getViewport({ scale: 1 });
      const scale = zoom ?? Math.min(stage.clientWidth / natural.width, 2);
      const density = Math.min(devicePixelRatio || 1, 2);
      const viewport = page.getViewport({ scale: scale * density });
      if (mine !== asked) return;
      canvas.width = viewport.width;
      canvas.height = viewport.height;
      canvas.style.inlineSize = `${viewport.width / density}px`;
      canvas.setAttribute("aria-label", `${root.dataset.pageName} ${number} / ${paper.numPages}`);
      show(root.querySelector("[data-page]"), `${number} / ${paper.numPages}`);
      show(root.querySelector("[data-zoom]"), `${Math.round(scale * 100)}%`);
      task = page.render({ canvas, viewport, annotationMode: 0 });
      await task.promise.catch((error) => { if (error.name !== "RenderingCancelledException") throw error; });
    };
    const turn = (by) => {
      number = Math.min(Math.max(number + by, 1), paper.numPages);
      stage.scrollTop = 0;
      draw();
    };
    const current = () => zoom ?? parseFloat(root.querySelector("[data-zoom]").textContent) / 100;
    const stage = actions(root, {
      in: () => { zoom = larger(current()); draw(); },
      out: () => { zoom = smaller(current()); draw(); },
      fit: () => { zoom = null; draw(); },
      previous: () => turn(-1),
      next: () => turn(1),
    }, { "+": "in", "=": "in", "-": "out", 0: "fit", PageUp: "previous", PageDown: "next" });
    stage.classList.add("viewer__stage--zoomed");
    draggable(stage);
    fallback.replaceWith(canvas);
    await draw();
  } catch (error) {
    console.warn("pdf", error);
    fallback.textContent = root.dataset.failed;
  }
}

const kinds = { image, video: media, audio: media, pdf };

function open(root) {
  kinds[root.dataset.viewer]?.(root);
}

for (const root of document.querySelectorAll("[data-viewer]")) {
  const veil = root.closest("details");
  // Behind a veil nothing is fetched before it is opened.
  if (veil && !veil.open) veil.addEventListener("toggle", () => open(root), { once: true });
  else open(root);
}
