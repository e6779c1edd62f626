// The verdict on a bundle, as it is found: spec section 14.

export const VERIFIED = 0;
export const INVALID = 1;
export const UNTRUSTED = 2;
export const RESULTS = ["verified", "invalid", "trust incomplete"];
export const BUNDLE = "bundle"; // where, of a problem of the whole
const MAX_PROBLEMS = 1000;

export class Report {
  problems = []; // {where, code}
  moreProblems = 0;
  flawed = new Set(); // every `where`, also of those only counted
  files = 0;
  bytes = 0;
  entries = 0;
  checkpoint = null; // {origin, size, root, note}
  keys = []; // {vkey, fingerprint, from, until, signed, trusted}
  trust = "none";
  policy = null;
  anchors = []; // {index, size, time}
  log = null; // entries derived to the head's root
  items = [];
  others = []; // events of no item in the catalogue
  state = null; // of a receipt: "pending" or "recorded"
  reception = null; // what a receipt is for

  tell(where, code) {
    this.flawed.add(where);
    if (this.problems.length < MAX_PROBLEMS) this.problems.push({ where, code });
    else this.moreProblems += 1;
  }

  get exitCode() {
    const pending = this.state === "pending";
    if (this.problems.length || (this.checkpoint === null && !pending)) return INVALID;
    return pending || this.trust === "unknown" || this.policy?.met === false ? UNTRUSTED : VERIFIED;
  }
}

/** Whether nothing is wrong with an item, under a head that holds. */
export const isVerified = (item, report) => report.trust !== "none" && item.problems.length === 0;

/** The keys to show as the ledger's: once the reader's own led to the head, no others. */
export const shownKeys = (report) => report.keys.filter((key) => key.trusted || report.trust !== "pinned");

/** The report as `verify --json` and `receipt --json` print it; `words(code)` says what. Numbers beyond 2^53 become text. */
export function asJson(report, words = (code) => code) {
  const number = (value) => (typeof value !== "bigint" ? value : value < 1n << 53n ? Number(value) : String(value));
  const told = (problems) => problems.map(({ where, code }) => ({ where, code, what: words(code) }));
  const head = report.checkpoint;
  const common = {
    result: RESULTS[report.exitCode],
    exit_code: report.exitCode,
    checkpoint: head && { origin: head.origin, size: number(head.size), root: head.rootHex },
    keys: report.keys.map(({ vkey, fingerprint, from, until, signed, trusted }) => ({
      vkey,
      fingerprint,
      from: number(from),
      until: number(until),
      signed,
      trusted,
    })),
    trust: report.trust,
    policy: report.policy && {
      quorum: report.policy.quorum,
      met: report.policy.met,
      cosigned: report.policy.cosigned.map(({ name, time }) => ({ name, time: number(time) })),
    },
    problems: told(report.problems),
    more_problems: report.moreProblems,
  };
  if (report.state !== null) {
    const { reception } = report;
    return { ...common, state: report.state, reception: reception && { ...reception, index: number(reception.index) } };
  }
  return {
    ...common,
    files: report.files,
    entries: report.entries,
    anchors: report.anchors.map(({ index, size, time }) => ({ index: number(index), size: number(size), time })),
    log: number(report.log),
    items: report.items.map((item) => ({
      accession: item.accession,
      state: item.state,
      exhibit: item.exhibit,
      path: item.path,
      size: item.size,
      sha256: item.sha256,
      received_at: item.receivedAt,
      received_index: number(item.receivedIndex),
      erasure: item.erasure,
      events: item.events.map((event) => number(event.index)),
      withheld: item.withheld,
      erased: item.erased,
      verified: isVerified(item, report),
      problems: told(item.problems),
    })),
  };
}
