// A bundle in a .zip, read without unpacking it: spec section 9. Every byte of the file has one meaning, so that every
// reader of zips finds these files in it; whatever is otherwise is refused.

import { Unreadable } from "./faults.mjs";
import { sameBytes } from "./sha.mjs";
import { safePath, slices, Source } from "./source.mjs";

const [END, END64, LOCATOR, RECORD, HEADER, SUMS] = [0x06054b50, 0x06064b50, 0x07064b50, 0x02014b50, 0x04034b50, 0x08074b50];
const [END_BYTES, WIDE_BYTES] = [22, 76]; // the second: of the ZIP64 end and its locator
const MAX_DIRECTORY = 256 << 20;
const MAX_MEMBERS = 1_000_000;
const WINDOW = 1 << 16;
const FULL = 0xffffffff;
const [STREAMED, KNOWN_FLAGS] = [0x8, 0x80e]; // known: of deflate, streamed, a name in UTF-8
const [STORED, DEFLATED] = [0, 8];
const EXTRA = [0x0001, 0x000a, 0x5455, 0x5855, 0x7855, 0x7875]; // ZIP64; times and owners by several systems
const NAMES = new TextDecoder("utf-8", { ignoreBOM: true });

/** The bundle in a .zip file (a Blob). Throws Unreadable. */
export async function openZip(blob) {
  const source = new Zip(blob);
  await source.list();
  return source;
}

class Zip extends Source {
  #members = new Map();
  #top = "";

  constructor(blob) {
    super();
    this.blob = blob;
  }

  async list() {
    const { members, start } = await directory(this.blob);
    demand(members.length > 0 ? members[0].at === 0 : start === 0);
    const reader = new Reader(this.blob);
    for (const [number, member] of members.entries()) {
      await locate(reader, member, members[number + 1]?.at ?? start);
      const { name, flags, method, size, packed } = member;
      const folder = name.endsWith("/");
      const kind = member.mode >> 12; // 8 is a regular file, 4 a folder, 0 says nothing
      const strange = (flags & ~KNOWN_FLAGS) !== 0 || (method !== STORED && method !== DEFLATED);
      if (strange || (kind !== 0 && kind !== (folder ? 4 : 8))) this.refuse(name, "unsafe-path");
      else if (!folder || size || packed || !safePath(name.slice(0, -1))) {
        this.add(name, size);
        this.#members.set(name, member);
      }
    }
    this.#top = this.stripTop();
  }

  async *pieces(path) {
    const { start, packed, method, crc } = this.#members.get(this.#top + path);
    const content = this.blob.slice(start, start + packed);
    if (method === DEFLATED && (await endsBeforeItsEnd(content))) throw new Unreadable("unreadable");
    let sum = -1;
    for await (const piece of method === STORED ? slices(content, 0, packed) : inflated(content)) {
      sum = crc32(piece, sum);
      yield piece;
    }
    demand((sum ^ -1) >>> 0 === crc);
  }
}

/** The content of a deflate stream; an error when it has not come to its end. */
async function* inflated(packed) {
  const reader = packed.stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Whether a deflate stream ends before the last of its bytes. Not every DecompressionStream minds what stands behind. */
async function endsBeforeItsEnd(packed) {
  try {
    for await (const _ of inflated(packed.slice(0, Math.max(0, packed.size - 1)))); // eslint-disable-line no-empty
    return true;
  } catch {
    return false;
  }
}

function demand(holds) {
  if (!holds) throw new Unreadable("unreadable");
}

/** Bytes of a file by their place; what is near was read along. */
class Reader {
  #from = 0;
  #held = new Uint8Array();

  constructor(blob) {
    this.blob = blob;
  }

  async bytes(at, length) {
    if (at < this.#from || at + length > this.#from + this.#held.length) {
      const end = Math.min(this.blob.size, at + Math.max(length, WINDOW));
      this.#held = new Uint8Array(await this.blob.slice(at, end).arrayBuffer());
      this.#from = at;
    }
    demand(at >= 0 && at + length <= this.#from + this.#held.length);
    return this.#held.subarray(at - this.#from, at - this.#from + length);
  }

  async view(at, length) {
    const bytes = await this.bytes(at, length);
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  }
}

/** The members by their places, and where the directory begins: {name, raw, about, flags, method, crc, packed, size, mode, at}. */
async function directory(blob) {
  const { count, size, start } = await end(new Reader(blob));
  const bytes = new Uint8Array(await blob.slice(start, start + size).arrayBuffer());
  const data = new DataView(bytes.buffer);
  const members = [];
  let at = 0;
  while (members.length < count) {
    demand(at + 46 <= size && data.getUint32(at, true) === RECORD);
    const [nameLength, extraLength, noteLength, disk] = [28, 30, 32, 34].map((field) => data.getUint16(at + field, true));
    const extra = at + 46 + nameLength;
    demand(noteLength === 0 && disk === 0 && extra + extraLength <= size);
    const stated = [24, 20, 42].map((field) => data.getUint32(at + field, true));
    const [plain, packed, place] = widened(stated, bytes.subarray(extra, extra + extraLength));
    const raw = bytes.subarray(at + 46, extra);
    members.push({
      name: NAMES.decode(raw),
      raw,
      about: bytes.subarray(at + 8, at + 16),
      flags: data.getUint16(at + 8, true),
      method: data.getUint16(at + 10, true),
      crc: data.getUint32(at + 16, true),
      packed,
      size: plain,
      mode: data.getUint16(at + 40, true),
      at: place,
    });
    at = extra + extraLength;
  }
  demand(at === size);
  return { members: members.sort((a, b) => a.at - b.at), start };
}

/** What the end of the file states of the directory, which it follows at once, and of nothing else. */
async function end(reader) {
  let at = reader.blob.size - END_BYTES;
  demand(at >= 0);
  const plain = await reader.view(at, END_BYTES);
  let [count, size, start] = [plain.getUint16(10, true), plain.getUint32(12, true), plain.getUint32(16, true)];
  const wide = at >= WIDE_BYTES ? await reader.view(at - WIDE_BYTES, WIDE_BYTES) : null;
  if (wide?.getUint32(56, true) === LOCATOR) {
    at -= WIDE_BYTES;
    [count, size, start] = [32, 40, 48].map((field) => Number(wide.getBigUint64(field, true)));
    const once = Number(wide.getBigUint64(24, true)) === count && Number(wide.getBigUint64(64, true)) === at;
    const disks = wide.getUint32(16, true) || wide.getUint32(20, true) || wide.getUint32(60, true) || wide.getUint32(72, true) !== 1;
    demand(wide.getUint32(0, true) === END64 && Number(wide.getBigUint64(4, true)) === WIDE_BYTES - 32 && once && !disks);
  }
  const narrow = Math.min(count, 0xffff);
  const counted = plain.getUint16(8, true) === narrow && plain.getUint16(10, true) === narrow;
  const placed = plain.getUint32(12, true) === Math.min(size, FULL) && plain.getUint32(16, true) === Math.min(start, FULL);
  demand(plain.getUint32(0, true) === END && plain.getUint32(4, true) === 0 && plain.getUint16(20, true) === 0 && counted && placed);
  demand(start + size === at && size <= MAX_DIRECTORY && count <= MAX_MEMBERS);
  return { count, size, start };
}

/** Fill in where a member's content starts: behind a header that says the same, and ending where the next begins. */
async function locate(reader, member, next) {
  const header = await reader.view(member.at, 30);
  const [mark, crc, size32, packed32] = [0, 14, 22, 18].map((field) => header.getUint32(field, true));
  const [nameLength, extraLength] = [header.getUint16(26, true), header.getUint16(28, true)];
  const about = new Uint8Array(header.buffer, header.byteOffset + 6, 8);
  demand(mark === HEADER && sameBytes(about, member.about));
  demand(sameBytes(await reader.bytes(member.at + 30, nameLength), member.raw));
  const [size, packed] = widened([size32, packed32], await reader.bytes(member.at + 30 + nameLength, extraLength));
  const streamed = (member.flags & STREAMED) !== 0;
  const fits = (one, other) => one === other || (streamed && one === 0); // known only behind the content
  demand(fits(crc, member.crc) && fits(size, member.size) && fits(packed, member.packed));
  demand(member.method !== STORED || member.packed === member.size);
  member.start = member.at + 30 + nameLength + extraLength;
  const behind = next - member.start - member.packed;
  if (!streamed) demand(behind === 0);
  else demand(member.method === DEFLATED && (await describes(reader, next - behind, behind, member)));
}

/** Whether a data descriptor of so many bytes says what the directory does. */
async function describes(reader, at, length, { crc, packed, size }) {
  if (![12, 16, 20, 24].includes(length)) return false;
  const data = await reader.view(at, length);
  const [marked, wide] = [length % 8 === 0, length >= 20];
  const from = marked ? 4 : 0;
  const number = (place) => (wide ? Number(data.getBigUint64(place, true)) : data.getUint32(place, true));
  if (marked && data.getUint32(0, true) !== SUMS) return false;
  return data.getUint32(from, true) === crc && number(from + 4) === packed && number(from + (wide ? 12 : 8)) === size;
}

/** The sizes, those of 4 GiB and more from the ZIP64 field, beside which only times and owners may stand. */
function widened(sizes, extra) {
  const data = new DataView(extra.buffer, extra.byteOffset, extra.byteLength);
  let wide = null;
  for (let p = 0; p < extra.length; ) {
    demand(p + 4 <= extra.length);
    const [kind, length] = [data.getUint16(p, true), data.getUint16(p + 2, true)];
    demand(EXTRA.includes(kind) && p + 4 + length <= extra.length && (kind !== 1 || !wide));
    if (kind === 1 && length > 0) wide = new DataView(extra.buffer, extra.byteOffset + p + 4, length);
    p += 4 + length;
  }
  let at = 0;
  const full = sizes.filter((size) => size === FULL).length;
  demand((wide?.byteLength ?? 0) === 8 * full);
  return sizes.map((size) => {
    if (size !== FULL) return size;
    at += 8;
    return Number(wide.getBigUint64(at - 8, true));
  });
}

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes, start) {
  let crc = start;
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return crc;
}
