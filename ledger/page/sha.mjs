// SHA-256 and SHA-512 (FIPS 180-4), piece by piece: browsers' own digests want the whole file in memory, and a page
// opened from a disk does not have them in every browser. HMAC-SHA-256 (RFC 2104) and hex.

const MASK = (1n << 64n) - 1n;

/** The first 64 bits of the fraction of the n-th root of the first `count` primes: section 4.2 makes its constants so. */
function fractions(count, n) {
  const found = [];
  for (let candidate = 2n; found.length < count; candidate++) {
    let prime = true;
    for (let by = 2n; by * by <= candidate; by++) if (candidate % by === 0n) prime = false;
    if (!prime) continue;
    const target = candidate << BigInt(64 * n);
    let root = 0n;
    for (let bit = 1n << 69n; bit; bit >>= 1n) if ((root + bit) ** BigInt(n) <= target) root += bit;
    found.push(root & MASK);
  }
  return found;
}

const ROUNDS = fractions(80, 3);
const START = fractions(8, 2);
const K256 = Int32Array.from(ROUNDS.slice(0, 64), (value) => Number(value >> 32n));
const K512 = Int32Array.from(ROUNDS.flatMap((value) => [Number(value >> 32n), Number(value & 0xffffffffn)]));
const H256 = Int32Array.from(START, (value) => Number(value >> 32n));
const H512 = Int32Array.from(START.flatMap((value) => [Number(value >> 32n), Number(value & 0xffffffffn)]));

const sum0 = (x) => ((x >>> 2) | (x << 30)) ^ ((x >>> 13) | (x << 19)) ^ ((x >>> 22) | (x << 10));
const sum1 = (x) => ((x >>> 6) | (x << 26)) ^ ((x >>> 11) | (x << 21)) ^ ((x >>> 25) | (x << 7));

class Digest {
  constructor(block, start, words) {
    this.h = start.slice();
    this.w = new Int32Array(words);
    this.rest = new Uint8Array(block);
    this.held = 0; // bytes waiting in `rest`
    this.length = 0; // bytes in all; exact below 2^53
  }

  update(bytes) {
    const block = this.rest.length;
    this.length += bytes.length;
    let at = 0;
    if (this.held) {
      at = Math.min(block - this.held, bytes.length);
      this.rest.set(bytes.subarray(0, at), this.held);
      this.held += at;
      if (this.held < block) return this;
      this.blocks(this.rest, 0, block);
      this.held = 0;
    }
    const whole = bytes.length - ((bytes.length - at) % block);
    this.blocks(bytes, at, whole);
    this.rest.set(bytes.subarray(whole));
    this.held = bytes.length - whole;
    return this;
  }

  /** The digest's bytes. Nothing can be added afterwards. */
  digest() {
    const block = this.rest.length;
    const tail = new Uint8Array(this.held + 1 + block / 8 > block ? 2 * block : block);
    tail.set(this.rest.subarray(0, this.held));
    tail[this.held] = 0x80;
    const view = new DataView(tail.buffer);
    view.setUint32(tail.length - 8, Math.floor(this.length / 0x20000000));
    view.setUint32(tail.length - 4, (this.length * 8) >>> 0);
    this.blocks(tail, 0, tail.length);
    const out = new DataView(new ArrayBuffer(this.h.length * 4));
    this.h.forEach((word, i) => out.setInt32(i * 4, word));
    return new Uint8Array(out.buffer);
  }
}

export class Sha256 extends Digest {
  constructor() {
    super(64, H256, 64);
  }

  blocks(bytes, from, to) {
    const { h, w } = this;
    for (let p = from; p < to; p += 64) {
      for (let i = 0, q = p; i < 16; i++, q += 4) {
        w[i] = (bytes[q] << 24) | (bytes[q + 1] << 16) | (bytes[q + 2] << 8) | bytes[q + 3];
      }
      for (let i = 16; i < 64; i++) {
        const x = w[i - 15];
        const y = w[i - 2];
        const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
        const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
        w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
      }
      let a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], hh = h[7];
      // Eight rounds a turn: the names rotate instead of the values.
      for (let i = 0; i < 64; i += 8) {
        hh = (hh + sum1(e) + (g ^ (e & (f ^ g))) + K256[i] + w[i]) | 0;
        d = (d + hh) | 0;
        hh = (hh + sum0(a) + ((a & b) | (c & (a | b)))) | 0;
        g = (g + sum1(d) + (f ^ (d & (e ^ f))) + K256[i + 1] + w[i + 1]) | 0;
        c = (c + g) | 0;
        g = (g + sum0(hh) + ((hh & a) | (b & (hh | a)))) | 0;
        f = (f + sum1(c) + (e ^ (c & (d ^ e))) + K256[i + 2] + w[i + 2]) | 0;
        b = (b + f) | 0;
        f = (f + sum0(g) + ((g & hh) | (a & (g | hh)))) | 0;
        e = (e + sum1(b) + (d ^ (b & (c ^ d))) + K256[i + 3] + w[i + 3]) | 0;
        a = (a + e) | 0;
        e = (e + sum0(f) + ((f & g) | (hh & (f | g)))) | 0;
        d = (d + sum1(a) + (c ^ (a & (b ^ c))) + K256[i + 4] + w[i + 4]) | 0;
        hh = (hh + d) | 0;
        d = (d + sum0(e) + ((e & f) | (g & (e | f)))) | 0;
        c = (c + sum1(hh) + (b ^ (hh & (a ^ b))) + K256[i + 5] + w[i + 5]) | 0;
        g = (g + c) | 0;
        c = (c + sum0(d) + ((d & e) | (f & (d | e)))) | 0;
        b = (b + sum1(g) + (a ^ (g & (hh ^ a))) + K256[i + 6] + w[i + 6]) | 0;
        f = (f + b) | 0;
        b = (b + sum0(c) + ((c & d) | (e & (c | d)))) | 0;
        a = (a + sum1(f) + (hh ^ (f & (g ^ hh))) + K256[i + 7] + w[i + 7]) | 0;
        e = (e + a) | 0;
        a = (a + sum0(b) + ((b & c) | (d & (b | c)))) | 0;
      }
      h[0] += a;
      h[1] += b;
      h[2] += c;
      h[3] += d;
      h[4] += e;
      h[5] += f;
      h[6] += g;
      h[7] += hh;
    }
  }
}

/** 64-bit words as pairs of 32-bit halves, high and low: the names end in h and l. */
export class Sha512 extends Digest {
  constructor() {
    super(128, H512, 160);
  }

  blocks(bytes, from, to) {
    const { h, w } = this;
    for (let p = from; p < to; p += 128) {
      for (let i = 0, q = p; i < 32; i++, q += 4) {
        w[i] = (bytes[q] << 24) | (bytes[q + 1] << 16) | (bytes[q + 2] << 8) | bytes[q + 3];
      }
      for (let i = 32; i < 160; i += 2) {
        const xh = w[i - 30], xl = w[i - 29], yh = w[i - 4], yl = w[i - 3];
        const s0h = ((xh >>> 1) | (xl << 31)) ^ ((xh >>> 8) | (xl << 24)) ^ (xh >>> 7);
        const s0l = ((xl >>> 1) | (xh << 31)) ^ ((xl >>> 8) | (xh << 24)) ^ ((xl >>> 7) | (xh << 25));
        const s1h = ((yh >>> 19) | (yl << 13)) ^ ((yl >>> 29) | (yh << 3)) ^ (yh >>> 6);
        const s1l = ((yl >>> 19) | (yh << 13)) ^ ((yh >>> 29) | (yl << 3)) ^ ((yl >>> 6) | (yh << 26));
        const low = (w[i - 31] >>> 0) + (s0l >>> 0) + (w[i - 13] >>> 0) + (s1l >>> 0);
        w[i] = (w[i - 32] + s0h + w[i - 14] + s1h + ((low / 0x100000000) | 0)) | 0;
        w[i + 1] = low | 0;
      }
      let ah = h[0], al = h[1], bh = h[2], bl = h[3], ch = h[4], cl = h[5], dh = h[6], dl = h[7];
      let eh = h[8], el = h[9], fh = h[10], fl = h[11], gh = h[12], gl = h[13], hh = h[14], hl = h[15];
      for (let i = 0; i < 160; i += 2) {
        const s1h = ((eh >>> 14) | (el << 18)) ^ ((eh >>> 18) | (el << 14)) ^ ((el >>> 9) | (eh << 23));
        const s1l = ((el >>> 14) | (eh << 18)) ^ ((el >>> 18) | (eh << 14)) ^ ((eh >>> 9) | (el << 23));
        const t1 = (hl >>> 0) + (s1l >>> 0) + ((gl ^ (el & (fl ^ gl))) >>> 0) + (K512[i + 1] >>> 0) + (w[i + 1] >>> 0);
        const t1l = t1 | 0;
        const t1h = (hh + s1h + (gh ^ (eh & (fh ^ gh))) + K512[i] + w[i] + ((t1 / 0x100000000) | 0)) | 0;
        const s0h = ((ah >>> 28) | (al << 4)) ^ ((al >>> 2) | (ah << 30)) ^ ((al >>> 7) | (ah << 25));
        const s0l = ((al >>> 28) | (ah << 4)) ^ ((ah >>> 2) | (al << 30)) ^ ((ah >>> 7) | (al << 25));
        const t2 = (t1l >>> 0) + (s0l >>> 0) + (((al & bl) | (cl & (al | bl))) >>> 0);
        const t2h = (t1h + s0h + ((ah & bh) | (ch & (ah | bh))) + ((t2 / 0x100000000) | 0)) | 0;
        hh = gh;
        hl = gl;
        gh = fh;
        gl = fl;
        fh = eh;
        fl = el;
        const sum = (dl >>> 0) + (t1l >>> 0);
        eh = (dh + t1h + ((sum / 0x100000000) | 0)) | 0;
        el = sum | 0;
        dh = ch;
        dl = cl;
        ch = bh;
        cl = bl;
        bh = ah;
        bl = al;
        ah = t2h;
        al = t2 | 0;
      }
      add64(h, 0, ah, al);
      add64(h, 2, bh, bl);
      add64(h, 4, ch, cl);
      add64(h, 6, dh, dl);
      add64(h, 8, eh, el);
      add64(h, 10, fh, fl);
      add64(h, 12, gh, gl);
      add64(h, 14, hh, hl);
    }
  }
}

function add64(h, i, high, low) {
  const sum = (h[i + 1] >>> 0) + (low >>> 0);
  h[i] += high + ((sum / 0x100000000) | 0);
  h[i + 1] = sum | 0;
}

const UTF8 = new TextEncoder();
export const utf8 = (text) => UTF8.encode(text);

export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export const sha256 = (...parts) => parts.reduce((sha, part) => sha.update(part), new Sha256()).digest();
export const sha512 = (...parts) => parts.reduce((sha, part) => sha.update(part), new Sha512()).digest();

/** HMAC-SHA-256 under a key of at most 64 bytes. */
export function hmacSha256(key, message) {
  const inner = new Uint8Array(64).fill(0x36);
  const outer = new Uint8Array(64).fill(0x5c);
  key.forEach((byte, i) => {
    inner[i] ^= byte;
    outer[i] ^= byte;
  });
  return sha256(outer, sha256(inner, message));
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
export const hex = (bytes) => Array.from(bytes, (byte) => HEX[byte]).join("");
export const unhex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
export const sameBytes = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);
