// Canonical JSON (RFC 8785, narrowed): docs/spec/ledger.md, section 2. Objects become Maps, so that no key is special.
//
// The reader knows the canonical form alone: whatever parses here is, byte for byte, what would be written again.

import { Malformed, textOf } from "./faults.mjs";
import { utf8 } from "./sha.mjs";

export const VALUE = { bytes: 64 * 1024, depth: 16 };
const ESCAPES = { '"': '"', "\\": "\\", b: "\b", t: "\t", n: "\n", f: "\f", r: "\r" };
const NAMES = Object.fromEntries(Object.entries(ESCAPES).map(([name, character]) => [character, `\\${name}`]));
const PLAIN = /[^"\\\u0000-\u001f]*/y; // no group is repeated: an engine's stack would limit the length of a string
const ESCAPE = /\\(?:["\\btnfr]|u00[01][0-9a-f])/y;
const MAX_MARKS = 500_000;
const INTEGER = /-?(?:0|[1-9][0-9]*)/y;

/** The value whose canonical form is exactly these bytes. Throws Malformed. */
export function parseCanonical(bytes, limits = VALUE) {
  if (bytes.length > limits.bytes) throw new Malformed("too-long", { limit: limits.bytes });
  let marks = 0;
  for (const byte of bytes) if (byte === 0x2c || byte === 0x5b || byte === 0x7b) marks += 1;
  if (marks > MAX_MARKS) throw new Malformed("too-long", { limit: MAX_MARKS });
  const text = textOf(bytes);
  if (text === null) throw new Malformed("not-canonical");
  const reader = new Reader(text);
  const value = reader.value(limits.depth);
  if (reader.at !== text.length) throw new Malformed("not-canonical");
  return value;
}

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  value(levels) {
    const first = this.text[this.at];
    if (first === '"') return this.string();
    if (first === "{" || first === "[") {
      if (levels === 0) throw new Malformed("too-deep");
      this.at += 1;
      return first === "{" ? this.object(levels - 1) : this.array(levels - 1);
    }
    for (const [word, value] of [["true", true], ["false", false], ["null", null]]) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    return this.integer();
  }

  integer() {
    const digits = this.match(INTEGER)[0];
    const number = Number(digits);
    if (digits === "-0" || !Number.isSafeInteger(number)) throw new Malformed("not-canonical");
    return number;
  }

  string() {
    this.expect('"');
    const start = this.at;
    for (this.match(PLAIN); !this.takes('"'); this.match(PLAIN)) this.match(ESCAPE);
    const inside = this.text.slice(start, this.at - 1);
    return inside.replace(/\\(?:u(....)|(.))/g, (whole, code, name) => {
      if (name) return ESCAPES[name];
      const character = String.fromCharCode(parseInt(code, 16));
      if (character in NAMES) throw new Malformed("not-canonical");
      return character;
    });
  }

  array(levels) {
    const members = [];
    if (this.takes("]")) return members;
    do members.push(this.value(levels));
    while (this.takes(","));
    this.expect("]");
    return members;
  }

  object(levels) {
    const members = new Map();
    let previous = null;
    if (this.takes("}")) return members;
    do {
      const key = this.string();
      if (previous !== null && key <= previous) throw new Malformed("not-canonical"); // UTF-16 order, nothing twice
      this.expect(":");
      members.set(key, this.value(levels));
      previous = key;
    } while (this.takes(","));
    this.expect("}");
    return members;
  }

  takes(character) {
    if (this.text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  expect(character) {
    if (!this.takes(character)) throw new Malformed("not-canonical");
  }

  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) throw new Malformed("not-canonical");
    this.at = pattern.lastIndex;
    return found;
  }
}

/** The canonical bytes of a value that parseCanonical gave. Throws Malformed over a limit. */
export function canonical(value, limits = VALUE) {
  const bytes = utf8(written(value, limits.depth));
  if (bytes.length > limits.bytes) throw new Malformed("too-long", { limit: limits.bytes });
  return bytes;
}

function written(value, levels) {
  if (typeof value === "string") return quoted(value);
  if (value === null || typeof value !== "object") return String(value);
  if (levels === 0) throw new Malformed("too-deep");
  if (Array.isArray(value)) return `[${value.map((member) => written(member, levels - 1)).join(",")}]`;
  return `{${Array.from(value, ([key, member]) => `${quoted(key)}:${written(member, levels - 1)}`).join(",")}}`;
}

function quoted(text) {
  const plain = text.replace(
    /["\\\u0000-\u001f]/g,
    (character) => NAMES[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return `"${plain}"`;
}

/** Whether a value is an object with exactly these members. */
export function hasShape(value, members) {
  return value instanceof Map && value.size === members.length && members.every((member) => value.has(member));
}
