// Ed25519 (RFC 8032), verifying only, as strict as ledger/ed25519.py: keys are canonical points of more than small
// order, the scalar is below the group order, and the check is the cofactorless one on encodings. The browser's own
// Ed25519 is not used: browsers differ in what they let pass. Nothing here is secret, so nothing is constant-time.

import { sameBytes, sha512 } from "./sha.mjs";

const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const mod = (n) => {
  const rest = n % P;
  return rest < 0n ? rest + P : rest;
};

function power(base, exponent) {
  let result = 1n;
  for (let by = mod(base); exponent; exponent >>= 1n) {
    if (exponent & 1n) result = (result * by) % P;
    by = (by * by) % P;
  }
  return result;
}

const D = mod(-121665n * power(121666n, P - 2n));
const ROOT = power(2n, (P - 1n) / 4n);
const ZERO = [0n, 1n, 1n, 0n]; // extended coordinates X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z
const BASE = decode(bytesOf(mod(4n * power(5n, P - 2n))));

/** Whether these 32 bytes are a canonical point of more than small order. */
export function usable(key) {
  let point = decode(key);
  if (point === null) return false;
  for (let i = 0; i < 3; i++) point = double(point);
  return !(point[0] === 0n && mod(point[1] - point[2]) === 0n);
}

/** Whether the 64-byte signature is the key's over the message. Malformed input is false, never an exception. */
export function verifySignature(key, message, signature) {
  if (signature.length !== 64 || !usable(key)) return false;
  const scalar = numberOf(signature.subarray(32));
  if (scalar >= L) return false;
  const challenge = numberOf(sha512(signature.subarray(0, 32), key, message)) % L;
  const [x, y, z, t] = decode(key);
  const sum = twoTimes(scalar, BASE, challenge, [mod(-x), y, z, mod(-t)]);
  return sameBytes(encode(sum), signature.subarray(0, 32));
}

function add([x1, y1, z1, t1], [x2, y2, z2, t2]) {
  const a = ((y1 - x1) * (y2 - x2)) % P;
  const b = ((y1 + x1) * (y2 + x2)) % P;
  const c = (2n * t1 * t2 * D) % P;
  const d = (2n * z1 * z2) % P;
  return scaled(b - a, d - c, d + c, b + a);
}

function double([x, y, z]) {
  const a = (x * x) % P;
  const b = (y * y) % P;
  const h = a + b;
  const e = h - (x + y) * (x + y);
  const g = a - b;
  return scaled(e % P, ((2n * z * z) % P) + g, g, h);
}

const scaled = (e, f, g, h) => [mod(e * f), mod(g * h), mod(f * g), mod(e * h)];

/** m·p + n·q, both scalars bit by bit together. */
function twoTimes(m, p, n, q) {
  const both = add(p, q);
  let result = ZERO;
  for (let bit = 255n; bit >= 0n; bit--) {
    result = double(result);
    const first = (m >> bit) & 1n;
    const second = (n >> bit) & 1n;
    if (first || second) result = add(result, first && second ? both : first ? p : q);
  }
  return result;
}

function encode([x, y, z]) {
  const inverse = power(z, P - 2n);
  return bytesOf(mod(y * inverse) | ((mod(x * inverse) & 1n) << 255n));
}

function decode(bytes) {
  if (bytes.length !== 32) return null;
  const number = numberOf(bytes);
  const y = number & ((1n << 255n) - 1n);
  const sign = number >> 255n;
  if (y >= P) return null;
  const square = mod((y * y - 1n) * power(D * y * y + 1n, P - 2n));
  let x = power(square, (P + 3n) / 8n);
  if (mod(x * x - square)) x = (x * ROOT) % P;
  if (mod(x * x - square) || (x === 0n && sign)) return null;
  if ((x & 1n) !== sign) x = P - x;
  return [x, y, 1n, (x * y) % P];
}

function numberOf(bytes) {
  let number = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) number = (number << 8n) | BigInt(bytes[i]);
  return number;
}

function bytesOf(number) {
  return Uint8Array.from({ length: 32 }, (_, i) => Number((number >> BigInt(8 * i)) & 255n));
}
