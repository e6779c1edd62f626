// SHA-256 (FIPS 180-4) of a File, streamed: one slice in memory at a time. Runs in a worker.
//
// Why not WebAssembly: a module needs 'wasm-unsafe-eval' in the content security policy (docs/adr/0014-upload-clients.md has
// the measurements). Why not crypto.subtle for all: it wants the whole file in memory, so it has the small ones.
//
// In:  {id, file} starts, {cancel: id} stops.   Out: {id, mark: {size, sha256}} of a beginning | {id, sha256 (hex), base64} | {id, error}.

const K = new Int32Array([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
  0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
  0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
  0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
  0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
  0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
]);
const sum0 = (x) => ((x >>> 2) | (x << 30)) ^ ((x >>> 13) | (x << 19)) ^ ((x >>> 22) | (x << 10));
const sum1 = (x) => ((x >>> 6) | (x << 26)) ^ ((x >>> 11) | (x << 21)) ^ ((x >>> 25) | (x << 7));
const SLICE = 4 * 1024 * 1024;
const WHOLE = 64 * 1024 * 1024; // up to this size a file is read at once
const MARK = 64 * 1024 * 1024; // the digest of what was read so far is told this often

export class Sha256 {
  constructor() {
    this.h = new Int32Array([0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19]);
    this.w = new Int32Array(64);
    this.rest = new Uint8Array(64);
    this.held = 0; // bytes waiting in `rest`
    this.length = 0; // bytes in all; exact up to 2^53
  }

  update(bytes) {
    this.length += bytes.length;
    let at = 0;
    if (this.held) {
      at = Math.min(64 - this.held, bytes.length);
      this.rest.set(bytes.subarray(0, at), this.held);
      this.held += at;
      if (this.held < 64) return this;
      this.#blocks(this.rest, 0, 64);
      this.held = 0;
    }
    const whole = at + ((bytes.length - at) & ~63);
    this.#blocks(bytes, at, whole);
    this.rest.set(bytes.subarray(whole));
    this.held = bytes.length - whole;
    return this;
  }

  digest() {
    const tail = new Uint8Array(this.held < 56 ? 64 : 128);
    tail.set(this.rest.subarray(0, this.held));
    tail[this.held] = 0x80;
    const view = new DataView(tail.buffer);
    view.setUint32(tail.length - 8, Math.floor(this.length / 0x20000000));
    view.setUint32(tail.length - 4, (this.length * 8) >>> 0);
    this.#blocks(tail, 0, tail.length);
    const out = new Uint8Array(32);
    const words = new DataView(out.buffer);
    for (let i = 0; i < 8; i++) words.setInt32(i * 4, this.h[i]);
    return out;
  }

  /** The digest of what came so far; more may follow. */
  soFar() {
    const copy = new Sha256();
    copy.h.set(this.h);
    copy.rest.set(this.rest);
    copy.held = this.held;
    copy.length = this.length;
    return copy.digest();
  }

  #blocks(bytes, from, to) {
    const { h, w } = this;
    let [h0, h1, h2, h3, h4, h5, h6, h7] = h;
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
      let a = h0, b = h1, c = h2, d = h3, e = h4, f = h5, g = h6, hh = h7;
      // Eight rounds a turn: the names rotate instead of the values.
      for (let i = 0; i < 64; i += 8) {
        hh = (hh + sum1(e) + (g ^ (e & (f ^ g))) + K[i] + w[i]) | 0;
        d = (d + hh) | 0;
        hh = (hh + sum0(a) + ((a & b) | (c & (a | b)))) | 0;
        g = (g + sum1(d) + (f ^ (d & (e ^ f))) + K[i + 1] + w[i + 1]) | 0;
        c = (c + g) | 0;
        g = (g + sum0(hh) + ((hh & a) | (b & (hh | a)))) | 0;
        f = (f + sum1(c) + (e ^ (c & (d ^ e))) + K[i + 2] + w[i + 2]) | 0;
        b = (b + f) | 0;
        f = (f + sum0(g) + ((g & hh) | (a & (g | hh)))) | 0;
        e = (e + sum1(b) + (d ^ (b & (c ^ d))) + K[i + 3] + w[i + 3]) | 0;
        a = (a + e) | 0;
        e = (e + sum0(f) + ((f & g) | (hh & (f | g)))) | 0;
        d = (d + sum1(a) + (c ^ (a & (b ^ c))) + K[i + 4] + w[i + 4]) | 0;
        hh = (hh + d) | 0;
        d = (d + sum0(e) + ((e & f) | (g & (e | f)))) | 0;
        c = (c + sum1(hh) + (b ^ (hh & (a ^ b))) + K[i + 5] + w[i + 5]) | 0;
        g = (g + c) | 0;
        c = (c + sum0(d) + ((d & e) | (f & (d | e)))) | 0;
        b = (b + sum1(g) + (a ^ (g & (hh ^ a))) + K[i + 6] + w[i + 6]) | 0;
        f = (f + b) | 0;
        b = (b + sum0(c) + ((c & d) | (e & (c | d)))) | 0;
        a = (a + sum1(f) + (hh ^ (f & (g ^ hh))) + K[i + 7] + w[i + 7]) | 0;
        e = (e + a) | 0;
        a = (a + sum0(b) + ((b & c) | (d & (b | c)))) | 0;
      }
      h0 = (h0 + a) | 0;
      h1 = (h1 + b) | 0;
      h2 = (h2 + c) | 0;
      h3 = (h3 + d) | 0;
      h4 = (h4 + e) | 0;
      h5 = (h5 + f) | 0;
      h6 = (h6 + g) | 0;
      h7 = (h7 + hh) | 0;
    }
    h.set([h0, h1, h2, h3, h4, h5, h6, h7]);
  }
}

const stopped = new Set();
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

async function whole(file) {
  const bytes = await file.arrayBuffer();
  if (bytes.byteLength !== file.size) throw new Error("changed");
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

async function streamed(id, file) {
  const sha = new Sha256();
  for (let at = 0; at < file.size; at += SLICE) {
    sha.update(new Uint8Array(await file.slice(at, Math.min(at + SLICE, file.size)).arrayBuffer()));
    if (stopped.has(id)) return null;
    if (sha.length % MARK === 0) postMessage({ id, mark: { size: sha.length, sha256: hex(sha.soFar()) } });
  }
  if (sha.length !== file.size) throw new Error("changed"); // truncated while it was read
  return sha.digest();
}

async function hash(id, file) {
  const bytes = await (file.size <= WHOLE && globalThis.crypto?.subtle ? whole(file) : streamed(id, file));
  if (stopped.delete(id) || !bytes) return;
  postMessage({ id, sha256: hex(bytes), base64: btoa(String.fromCharCode(...bytes)) });
}

if (typeof WorkerGlobalScope !== "undefined") {
  addEventListener("message", ({ data }) => {
    if (data.cancel !== undefined) stopped.add(data.cancel);
    else hash(data.id, data.file).catch((error) => postMessage({ id: data.id, error: String(error.name || error) }));
  });
}
