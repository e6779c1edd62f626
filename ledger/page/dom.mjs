// Elements, without any text ever read as markup.

const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
  seal: ["M24 4 8 11v12c0 9.6 6.6 16.600 16 21 9.400-4.400 16-11.400 16-21V11z", "m16.500 24 5.200 5.200L32 18.500"],
  broken: ["M24 4 8 11v12c0 9.6 6.6 16.600 16 21 9.400-4.400 16-11.400 16-21V11z", "m18 18 12 12", "m30 18-12 12"],
  question: ["M24 4 8 11v12c0 9.6 6.6 16.600 16 21 9.400-4.400 16-11.400 16-21V11z", "M24 15v11", "M24 31.500v.2"],
  folder: ["M5 12.500V37h38V15.500H23.500l-4-5H5z"],
  check: ["m10 25 9 9 19-20"],
  cross: ["m13 13 22 22", "m35 13-22 22"],
  lock: ["M11 21h26v20H11z", "M16 21v-6a8 8 0 0 1 16 0v6"],
  sign: [
    "M42 19.5v8q0 4-3.6 4t-3.6-4v-5v5q0 4-3.6 4t-3.6-4v-5v5q0 4-3.6 4t-3.6-4v-7.500v7.500q0 4-3.6 4H6.500q5.5-3.5 1.5-12.5",
    "M20.4 13.900v.2",
  ],
};

/** An element: attributes by name, `on...` as listeners, children as nodes, texts or nothing. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 48 48");
  svg.setAttribute("class", `icon icon--${name}`);
  svg.setAttribute("aria-hidden", "true");
  for (const d of ICONS[name]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

/** A code, path or name that keeps its own reading direction. */
export const bdi = (text, attributes = {}) => el("bdi", { dir: "ltr", ...attributes }, text);

/** What a bundle says, without what could steer the reading direction. */
export const plain = (text) => String(text).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu, "\ufffd").slice(0, 500);
