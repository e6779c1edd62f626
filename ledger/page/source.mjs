// The files of a bundle, nothing in them trusted: spec section 9. A folder here; zip.mjs for archives.

import { Unreadable } from "./faults.mjs";
import { hex, Sha256, Sha512 } from "./sha.mjs";

export const CHUNK = 1 << 20;
const MAX_FILES = 1_000_000;
const WHOLE = 128 << 20; // longer files are never in memory in one piece
const SEGMENT = /^[A-Za-z0-9_-]([A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?$/;
const DEVICE = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)/i;

/** Whether a path is relative, plain ASCII, at most 400 characters, and a file name on every system. */
export function safePath(path) {
  return path.length <= 400 && path.split("/").every((part) => SEGMENT.test(part) && !DEVICE.test(part));
}

/** `files` maps paths to sizes in bytes; `unsafe` lists [path, code] of what was left out. */
export class Source {
  #folded = new Set();
  #digests = new Map();

  constructor() {
    this.files = new Map();
    this.unsafe = [];
  }

  add(path, size) {
    if (this.files.size + this.unsafe.length >= MAX_FILES) throw new Unreadable("unreadable");
    if (!safePath(path)) return this.refuse(path, "unsafe-path");
    if (this.#folded.has(path.toLowerCase())) return this.refuse(path, "path-duplicate");
    this.#folded.add(path.toLowerCase());
    this.files.set(path, size);
    return true;
  }

  refuse(path, code) {
    this.unsafe.push([path, code]);
    return false;
  }

  /** Archives usually hold the bundle as one folder: forget its name. Returns the prefix left out. */
  stripTop() {
    const tops = new Set(Array.from(this.files.keys(), (path) => path.split("/", 1)[0]));
    const [top] = tops;
    if (tops.size !== 1 || this.files.has("bagit.txt") || !this.files.has(`${top}/bagit.txt`)) return "";
    this.files = new Map(Array.from(this.files, ([path, size]) => [path.slice(top.length + 1), size]));
    return `${top}/`;
  }

  /** The pieces of a file, of any length, as an async iterable of Uint8Array. For subclasses. */
  pieces(path) {
    throw new Unreadable("file-missing");
  }

  /** The bytes of a file, exactly as many as its listed size. Throws Unreadable. */
  async *chunks(path) {
    let left = this.files.get(path);
    try {
      for await (const piece of this.pieces(path)) {
        left -= piece.length;
        if (left < 0) break;
        yield piece;
      }
    } catch (error) {
      throw new Unreadable("file-unreadable", { reason: error.name });
    }
    if (left) throw new Unreadable("file-unreadable");
  }

  /** A whole small file. Throws Unreadable when it is missing or longer than `limit` bytes. */
  async read(path, limit) {
    if (!this.files.has(path)) throw new Unreadable("file-missing");
    if (this.files.get(path) > limit) throw new Unreadable("file-too-long");
    return this.whole(path);
  }

  async whole(path) {
    const bytes = [];
    let length = 0;
    for await (const chunk of this.chunks(path)) {
      bytes.push(chunk);
      length += chunk.length;
    }
    if (bytes.length === 1) return bytes[0];
    const joined = new Uint8Array(length);
    let at = 0;
    for (const chunk of bytes) {
      joined.set(chunk, at);
      at += chunk.length;
    }
    return joined;
  }

  /** {sha256, sha512, size} of a file, both digests in hex. `tick` hears the bytes done. Throws Unreadable. */
  async digests(path, tick = () => {}) {
    if (this.#digests.has(path)) tick(this.files.get(path)); // the same bundle checked again under other keys
    else this.#digests.set(path, await this.hashed(path, tick));
    return this.#digests.get(path);
  }

  async hashed(path, tick) {
    const subtle = globalThis.crypto?.subtle;
    if (subtle && this.files.get(path) <= WHOLE) {
      const bytes = await this.whole(path);
      const [short, long] = await Promise.all(["SHA-256", "SHA-512"].map((name) => subtle.digest(name, bytes)));
      tick(bytes.length);
      return { sha256: hex(new Uint8Array(short)), sha512: hex(new Uint8Array(long)), size: bytes.length };
    }
    const [short, long] = [new Sha256(), new Sha512()];
    for await (const chunk of this.chunks(path)) {
      short.update(chunk);
      long.update(chunk);
      tick(chunk.length);
    }
    return { sha256: hex(short.digest()), sha512: hex(long.digest()), size: short.length };
  }
}

/** The pieces of a Blob or File from one offset to another. */
export async function* slices(blob, start, end) {
  for (let at = start; at < end; at += CHUNK) {
    const bytes = new Uint8Array(await blob.slice(at, Math.min(at + CHUNK, end)).arrayBuffer());
    if (bytes.length === 0) return; // cut off: the size says so
    yield bytes;
  }
}

/** A folder, as [path, Blob] pairs; folders whose names are not safe are refused whole, links cannot be seen here. */
export class Folder extends Source {
  #blobs = new Map();

  constructor(listing) {
    super();
    const refused = new Set();
    for (const [path, blob] of listing) {
      const parts = path.split("/");
      const unsafe = parts.slice(0, -1).findIndex((_, depth) => !safePath(parts.slice(0, depth + 1).join("/")));
      const folder = parts.slice(0, unsafe + 1).join("/");
      if (unsafe >= 0) {
        if (!refused.has(folder)) this.refuse(folder, "unsafe-path");
        refused.add(folder);
      } else if (this.add(path, blob.size)) {
        this.#blobs.set(path, blob);
      }
    }
  }

  pieces(path) {
    const blob = this.#blobs.get(path);
    return slices(blob, 0, blob.size);
  }
}
