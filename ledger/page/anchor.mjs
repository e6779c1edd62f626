// What an RFC 3161 response states, without judging its signature: the walk of spec section 12.

import { Malformed } from "./faults.mjs";
import { hex } from "./sha.mjs";

export const MAX_ANCHOR_BYTES = 64 * 1024;
const SIGNED_DATA = "2a864886f70d010702";
const TST_INFO = "2a864886f70d0109100104";
const DIGESTS = { "608648016503040201": "sha256", "608648016503040203": "sha512" };
const [INTEGER, OCTETS, OID, TIME, SEQUENCE, SET, EXPLICIT] = [0x02, 0x04, 0x06, 0x18, 0x30, 0x31, 0xa0];

/** {algorithm, digest (hex), time (ISO 8601)} of a TimeStampResp in DER. Throws Malformed. */
export function parseAnchor(bytes) {
  const [response, ...more] = elements(bytes);
  const [status, token] = inside(response, SEQUENCE, 2, 2);
  const [granted] = inside(status, SEQUENCE, 1);
  if (more.length || granted.tag !== INTEGER || !["00", "01"].includes(hex(granted.content))) refuse();
  const [type, content] = inside(token, SEQUENCE, 2, 2);
  identified(type, SIGNED_DATA);
  const [signed] = inside(content, EXPLICIT, 1, 1);
  const [form, algorithms, encapsulated] = inside(signed, SEQUENCE, 4);
  const [infoType, infoContent] = inside(encapsulated, SEQUENCE, 2, 2);
  if (form.tag !== INTEGER || algorithms.tag !== SET) refuse();
  identified(infoType, TST_INFO);
  const [octets] = inside(infoContent, EXPLICIT, 1, 1);
  const [info] = inside(octets, OCTETS, 1, 1);
  const [version, policy, imprint, serial, time] = inside(info, SEQUENCE, 5);
  if (version.tag !== INTEGER || hex(version.content) !== "01" || policy.tag !== OID || serial.tag !== INTEGER) refuse();
  const [algorithm, digest] = inside(imprint, SEQUENCE, 2, 2);
  const [digestType] = inside(algorithm, SEQUENCE, 1);
  const name = digestType.tag === OID ? DIGESTS[hex(digestType.content)] : undefined;
  const stated = String.fromCharCode(...time.content);
  const moment = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\.\d+)?Z$/.exec(stated);
  if (!name || digest.tag !== OCTETS || time.tag !== TIME || moment === null) refuse();
  const [, year, month, day, hour, minute, second, fraction = ""] = moment;
  return {
    algorithm: name,
    digest: hex(digest.content),
    time: `${year}-${month}-${day}T${hour}:${minute}:${second}${fraction}Z`,
  };
}

function refuse() {
  throw new Malformed("bad-anchor");
}

function identified(element, oid) {
  if (element.tag !== OID || hex(element.content) !== oid) refuse();
}

function inside(element, tag, least, most = Infinity) {
  if (element === undefined || element.tag !== tag) refuse();
  const found = elements(element.content);
  if (found.length < least || found.length > most) refuse();
  return found;
}

/** The elements that fill these bytes: one tag byte, a definite length in its shortest form, the content. */
function elements(bytes) {
  const found = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = bytes[at++];
    let length = bytes[at++];
    if ((tag & 0x1f) === 0x1f || length === undefined || length === 0x80 || length > 0x84) refuse();
    if (length > 0x80) {
      const width = length - 0x80;
      if (at + width > bytes.length) refuse();
      length = bytes.subarray(at, at + width).reduce((sum, byte) => sum * 256 + byte, 0);
      if (bytes[at] === 0 || length < 0x80) refuse();
      at += width;
    }
    if (at + length > bytes.length) refuse();
    found.push({ tag, content: bytes.subarray(at, at + length) });
    at += length;
  }
  return found;
}
