// Whom a reader trusts: a policy file (C2SP tlog-policy, spec section 7.2), or keys one a line.

import { Malformed } from "./faults.mjs";
import { COSIGNATURE, cosignedAt, decodeVkey } from "./note.mjs";
import { sameBytes, utf8 } from "./sha.mjs";

const NAME = /^[!-~]{1,128}$/;
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f]/;

/** {logs: keys, witnesses: Map of name to key, groups: Map of name to {k, members}, quorum}. Throws Malformed. */
export function parsePolicy(text) {
  if (utf8(text).length > 64 * 1024 || CONTROL.test(text) || (text && !text.endsWith("\n"))) refuse("form");
  const policy = { logs: [], witnesses: new Map(), groups: new Map(), quorum: null };
  const taken = new Set();
  for (const line of text.split("\n")) {
    const words = line.split(/[ \t]+/).filter(Boolean);
    if (words.length === 0 || words[0].startsWith("#")) continue;
    STATEMENTS[words[0]]?.(policy, words.slice(1), taken) ?? refuse(words[0]);
  }
  if (policy.quorum === null) refuse("quorum");
  return policy;
}

function refuse(what) {
  throw new Malformed("bad-policy", { what });
}

const STATEMENTS = {
  log(policy, words) {
    if (words.length < 1 || words.length > 2) refuse("log");
    const key = decodeVkey(words[0]);
    if (policy.logs.some((other) => sameBytes(other.point, key.point))) refuse("log");
    policy.logs.push(key);
    return true;
  },
  witness(policy, words) {
    if (words.length < 2 || words.length > 3) refuse("witness");
    const key = decodeVkey(words[1], COSIGNATURE);
    if (Array.from(policy.witnesses.values()).some((other) => sameBytes(other.point, key.point))) refuse("witness");
    define(policy, words[0]);
    policy.witnesses.set(words[0], key);
    return true;
  },
  group(policy, words, taken) {
    const [name, least, ...members] = words;
    if (members.length === 0) refuse("group");
    for (const member of members) {
      if (!known(policy, member) || taken.has(member)) refuse("group");
      taken.add(member);
    }
    const k = least === "any" ? 1 : least === "all" ? members.length : /^[1-9][0-9]{0,8}$/.test(least) ? Number(least) : 0;
    if (k < 1 || k > members.length) refuse("group");
    define(policy, name);
    policy.groups.set(name, { k, members });
    return true;
  },
  quorum(policy, words) {
    if (words.length !== 1 || policy.quorum !== null) refuse("quorum");
    if (words[0] !== "none" && !known(policy, words[0])) refuse("quorum");
    policy.quorum = words[0];
    return true;
  },
};

const known = (policy, name) => policy.witnesses.has(name) || policy.groups.has(name);

function define(policy, name) {
  if (!NAME.test(name) || name === "none" || known(policy, name)) refuse("name");
}

/** {quorum, met, cosigned: [{name, time}]} of a checkpoint's note, and whether a cosignature that matters is bad. */
export function judge(policy, note) {
  const message = utf8(note.text);
  const cosigned = [];
  let faulty = false;
  for (const [name, key] of policy.witnesses) {
    const lines = note.signatures.filter((line) => line.name === key.name && sameBytes(line.keyId, key.keyId));
    if (lines.length === 0) continue;
    if (lines.length > 1 || !key.verify(message, lines[0].signature)) faulty = true;
    else cosigned.push({ name, time: cosignedAt(lines[0].signature) });
  }
  const satisfied = (name) => {
    if (policy.witnesses.has(name)) return cosigned.some((cosigner) => cosigner.name === name);
    const { k, members } = policy.groups.get(name);
    return members.filter(satisfied).length >= k;
  };
  return { quorum: policy.quorum, met: policy.quorum === "none" || satisfied(policy.quorum), cosigned, faulty };
}
