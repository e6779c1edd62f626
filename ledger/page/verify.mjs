// The verdict on a bundle: docs/spec/ledger.md, section 9.2, in its order. No step throws for what a bundle holds.

import { checkBag } from "./bag.mjs";
import { checkEvents, listLedger } from "./events.mjs";
import { Unreadable } from "./faults.mjs";
import { CHECKPOINT, checkAnchors, checkHead, checkHeads, checkKeys, checkTrust } from "./head.mjs";
import { checkErasures, checkItems } from "./items.mjs";
import { checkLog } from "./log.mjs";
import { judge } from "./policy.mjs";
import { BUNDLE, Report } from "./report.mjs";

/** The Report on a bundle, read through `open()`, which gives a Source.
 *
 * `trusted`: keys from outside (decodeVkey); `policy`: parsePolicy's; `fingerprint`: of a key, as a person compares it:
 * that key of the bundle is then trusted, and when it has none of that fingerprint, the trust is unknown.
 * `tick(bytes, path)` hears of progress.
 */
export async function verifyBundle(open, options = {}) {
  const report = new Report();
  try {
    const source = await open();
    report.files = source.files.size;
    await checkAll(source, report, options);
  } catch (fault) {
    if (fault.name === "AbortError") throw fault; // the reader stopped it
    report.tell(BUNDLE, fault instanceof Unreadable ? fault.code : "internal");
    if (!(fault instanceof Unreadable)) report.internal = fault;
  }
  return report;
}

async function checkAll(source, report, { trusted = [], requireKey = false, policy = null, fingerprint = null, tick = () => {} }) {
  const digests = await checkBag(source, report, tick);
  report.digest = digests.get("tagmanifest-sha256.txt")?.sha256 ?? null;
  const head = await checkHead(source, report);
  const listed = listLedger(source, report);
  const events = await checkEvents(source, report, head, listed);
  if (head) {
    const heads = await checkHeads(source, report, head, listed.heads);
    const inOrder = Array.from(events.values());
    const leads = await checkKeys(source, report, head, heads, inOrder);
    const byIndex = new Map(inOrder.map((event) => [event.index, event]));
    await checkAnchors(source, report, head, listed.anchors, byIndex);
    const named = report.keys.filter((key) => key.fingerprint === fingerprint);
    const outside = [...trusted, ...named, ...(policy?.logs ?? [])];
    checkTrust(report, CHECKPOINT, head, outside, requireKey || fingerprint !== null, leads);
    if (policy) report.policy = judge(policy, head.split);
    if (report.policy?.faulty) report.tell(CHECKPOINT, "cosignature-invalid");
  }
  const erasures = checkErasures(report, events);
  if (head) report.log = await checkLog(source, report, head);
  await checkItems(source, report, digests, events, erasures);
  const told = new Set(report.items.flatMap((item) => item.events));
  report.others = Array.from(events.values()).filter((event) => !told.has(event));
}
