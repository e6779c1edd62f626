// What a person typed about the archive's key: a fingerprint, keys one a line, or a policy.

import { attempt } from "./faults.mjs";
import { decodeVkey } from "./note.mjs";
import { parsePolicy } from "./policy.mjs";

/** {keys, policy, fingerprint} of the text, or null when it is none of them. An empty text trusts nothing. */
export function parseTrust(text) {
  const lines = text.split(/\r?\n/).map((line) => line.trim()).filter((line) => line && !line.startsWith("#"));
  const none = { keys: [], policy: null, fingerprint: null };
  if (lines.length === 0) return none;
  const digits = lines.join("").replace(/[\s:.\u2066-\u2069\u200e\u200f-]/g, "").toLowerCase();
  if (/^[0-9a-f]{64}$/.test(digits)) return { ...none, fingerprint: digits.match(/..../g).join(" ") };
  const keys = lines.map((line) => attempt(() => decodeVkey(line)));
  if (keys.every(Boolean)) return { ...none, keys };
  const policy = attempt(() => parsePolicy(`${lines.join("\n")}\n`));
  return policy && { ...none, policy };
}
