// What a reload must not lose: which files are not held yet. Names can identify a witness, so this is all that is kept, in
// localStorage because it can be emptied at once: {path, name, size, modified, key, intake, url, sha256, mark, since, tab}.
// Never content, never what was said of the files. It goes when a file is held, on sign-out, on a quick exit, when somebody
// else uses the browser, and after seven days, which is how long the archive takes files under one description.

const PREFIX = "sanad.upload.";
const LIFE = 7 * 24 * 3600 * 1000;
const tab = Math.random().toString(36).slice(2);
const lockName = (name) => `sanad.tab.${name}`;
let off = false;

function names() {
  try {
    return Object.keys(localStorage).filter((name) => name.startsWith(PREFIX));
  } catch {
    return []; // storage is forbidden here: nothing was ever kept
  }
}

function read(name) {
  try {
    return JSON.parse(localStorage.getItem(name));
  } catch {
    return null;
  }
}

/** Everything goes, at once, and nothing is kept any more by this page. */
export function forgetAll() {
  off = true;
  for (const name of names()) localStorage.removeItem(name);
}

/** Whatever is older than the archive would take it goes. */
export function forgetOld() {
  for (const name of names()) {
    const since = read(name)?.since;
    if (!(since > Date.now() - LIFE && since <= Date.now() + LIFE)) localStorage.removeItem(name);
  }
}

/** The unfinished files of one person for one incident. */
export class Memory {
  constructor(person, incident) {
    this.mine = `${PREFIX}${person}.`;
    this.prefix = `${this.mine}${incident}.`;
    this.stopped = new Set();
    this.works = true;
    if (person) for (const name of names()) if (!name.startsWith(this.mine)) localStorage.removeItem(name);
    forgetOld();
    // Whoever reads the list can tell files of a living page from those that were left.
    this.alive = navigator.locks?.request(lockName(tab), () => new Promise(() => {})).catch(() => {});
    // Another page signed out or discarded: what it removed is not written again by this one.
    addEventListener("storage", ({ key, newValue }) => { if (key === null) off = true; else if (newValue === null) this.stopped.add(key); });
  }

  /** What pages that are no more left behind. */
  async left() {
    let living = new Set();
    try {
      living = new Set((await navigator.locks.query()).held.map((lock) => lock.name));
    } catch { /* not on plain http: then all are shown */ }
    return names().filter((name) => name.startsWith(this.prefix)).map(read)
      .filter((one) => one?.key && typeof one.size === "number" && !living.has(lockName(one.tab)));
  }

  keep(entry) {
    const name = this.prefix + entry.key;
    if (off || this.stopped.has(name)) return;
    const { path, key, intake, url, mark, since } = entry;
    const { name: called, size, lastModified: modified } = entry.file;
    try {
      localStorage.setItem(name, JSON.stringify({ path, name: called, size, modified, key, intake, url, sha256: entry.digest?.sha256, mark, since, tab }));
    } catch {
      this.works = false; // forbidden or full: sending goes on, and the page says what a reload costs
    }
  }

  forget(key) {
    try {
      localStorage.removeItem(this.prefix + key);
    } catch { /* nothing was kept */ }
  }
}
