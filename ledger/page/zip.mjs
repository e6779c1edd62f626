// A bundle in a .zip, read without unpacking it. As lenient and as strict as the verifier in Python, whose library
// finds the directory from the end and reads members by it: the same damage leads to the same verdict.

import { Unreadable, textOf } from "./faults.mjs";
import { slices, Source } from "./source.mjs";

const [END, END64, LOCATOR, ENTRY, LOCAL] = [0x06054b50, 0x06064b50, 0x07064b50, 0x02014b50, 0x04034b50];
const MAX_DIRECTORY = 256 << 20;
const MAX_VERSION = 63;
const [ENCRYPTED, PATCHED, STRONG, UTF8] = [0x1, 0x20, 0x40, 0x800];
const [STORED, DEFLATED] = [0, 8];
const CP437 =
  "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";

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
    const members = await directory(this.blob);
    let end = 0;
    for (const member of members.sort((a, b) => a.offset - b.offset)) {
      if (member.name.endsWith("/") && !member.size) continue;
      if (member.offset < end || member.name.includes("\0")) throw new Unreadable("unreadable");
      end = member.offset + 30 + member.compressed;
      this.#members.set(member.name, member);
      const kind = (member.mode >> 12) & 15; // 8 is a regular file, 0 says nothing
      const strange = member.flags & ENCRYPTED || (member.method !== STORED && member.method !== DEFLATED);
      if (strange || (kind !== 8 && kind !== 0)) this.refuse(member.name, "unsafe-path");
      else this.add(member.name, member.size);
    }
    this.#top = this.stripTop();
  }

  async *pieces(path) {
    const member = this.#members.get(this.#top + path);
    const header = await view(this.blob, member.offset, 30);
    if (header.byteLength !== 30 || header.getUint32(0, true) !== LOCAL) throw new Unreadable("unreadable");
    const nameLength = header.getUint16(26, true);
    const start = member.offset + 30 + nameLength + header.getUint16(28, true);
    const name = await bytesAt(this.blob, member.offset + 30, nameLength);
    if (member.flags & (PATCHED | STRONG) || nameOf(name, header.getUint16(6, true)) !== member.name) {
      throw new Unreadable("unreadable");
    }
    const packed = this.blob.slice(start, start + member.compressed);
    const pieces = member.method === STORED ? slices(packed, 0, packed.size) : inflated(packed);
    let [left, crc] = [member.size, -1];
    for await (const whole of pieces) {
      const piece = whole.subarray(0, left);
      crc = crc32(piece, crc);
      left -= piece.length;
      yield piece;
      if (left === 0) break;
    }
    if ((crc ^ -1) >>> 0 !== member.crc) throw new Unreadable("unreadable");
  }
}

async function* inflated(packed) {
  const reader = packed.stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** The members by the central directory: {name, flags, method, crc, compressed, size, mode, offset}. */
async function directory(blob) {
  const { at, size, offset, wide } = await endOfDirectory(blob);
  const shift = at - size - offset - (wide ? 76 : 0);
  if (offset + shift < 0 || size > MAX_DIRECTORY) throw new Unreadable("unreadable");
  const bytes = await bytesAt(blob, offset + shift, size);
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const members = [];
  for (let p = 0; p < size; ) {
    if (p + 46 > bytes.length || data.getUint32(p, true) !== ENTRY) throw new Unreadable("unreadable");
    const [nameLength, extraLength, noteLength] = [28, 30, 32].map((field) => data.getUint16(p + field, true));
    const member = {
      flags: data.getUint16(p + 8, true),
      method: data.getUint16(p + 10, true),
      crc: data.getUint32(p + 16, true),
      compressed: data.getUint32(p + 20, true),
      size: data.getUint32(p + 24, true),
      mode: data.getUint16(p + 40, true),
      offset: data.getUint32(p + 42, true),
    };
    if (bytes[p + 6] > MAX_VERSION) throw new Unreadable("unreadable");
    const extra = p + 46 + nameLength;
    member.name = nameOf(bytes.subarray(p + 46, extra), member.flags);
    widen(member, bytes.subarray(extra, extra + extraLength));
    member.offset += shift;
    members.push(member);
    p = extra + extraLength + noteLength;
  }
  return members;
}

/** Sizes and offsets of 4 GiB and more, from the ZIP64 extra field. */
function widen(member, extra) {
  const data = new DataView(extra.buffer, extra.byteOffset, extra.byteLength);
  for (let p = 0; p + 4 <= extra.length; ) {
    const end = p + 4 + data.getUint16(p + 2, true);
    if (end > extra.length) throw new Unreadable("unreadable");
    if (data.getUint16(p, true) === 1) {
      let at = p + 4;
      for (const field of ["size", "compressed", "offset"]) {
        if (member[field] !== 0xffffffff) continue;
        if (at + 8 > end) throw new Unreadable("unreadable");
        member[field] = Number(data.getBigUint64(at, true));
        at += 8;
      }
    }
    p = end;
  }
}

async function endOfDirectory(blob) {
  let at = blob.size - 22;
  if (at < 0) throw new Unreadable("unreadable");
  let end = await view(blob, at, 22);
  if (end.getUint32(0, true) !== END || end.getUint16(20, true) !== 0) {
    const from = Math.max(blob.size - 65536 - 22, 0);
    const tail = await bytesAt(blob, from, blob.size - from);
    let found = tail.length - 4;
    const data = new DataView(tail.buffer, tail.byteOffset, tail.byteLength);
    while (found >= 0 && data.getUint32(found, true) !== END) found -= 1;
    if (found < 0 || found + 22 > tail.length) throw new Unreadable("unreadable");
    at = from + found;
    end = await view(blob, at, 22);
  }
  const plain = { at, size: end.getUint32(12, true), offset: end.getUint32(16, true), wide: false };
  if (at < 20) return plain;
  const locator = await view(blob, at - 20, 20);
  if (locator.getUint32(0, true) !== LOCATOR) return plain;
  if (locator.getUint32(4, true) !== 0 || locator.getUint32(16, true) > 1 || at < 76) throw new Unreadable("unreadable");
  const wide = await view(blob, at - 76, 56);
  if (wide.getUint32(0, true) !== END64) return plain;
  return { at, size: Number(wide.getBigUint64(40, true)), offset: Number(wide.getBigUint64(48, true)), wide: true };
}

function nameOf(bytes, flags) {
  if (!(flags & UTF8)) return Array.from(bytes, (byte) => (byte < 128 ? String.fromCharCode(byte) : CP437[byte - 128])).join("");
  const name = textOf(bytes);
  if (name === null) throw new Unreadable("unreadable");
  return name;
}

async function bytesAt(blob, start, length) {
  return new Uint8Array(await blob.slice(start, start + length).arrayBuffer());
}

async function view(blob, start, length) {
  return new DataView((await bytesAt(blob, start, length)).buffer);
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
