// What can be wrong, as a code and its particulars: the words are each language's own (words-*.js).

export class Fault extends Error {
  constructor(code, particulars = {}) {
    super(code);
    this.code = code;
    this.particulars = particulars;
  }
}

/** A file, or the whole bundle, cannot be read. */
export class Unreadable extends Fault {}

/** Bytes that can be read and are not what the specification asks for. */
export class Malformed extends Fault {}

const STRICT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text of UTF-8 bytes, or null. */
export function textOf(bytes) {
  try {
    return STRICT.decode(bytes);
  } catch {
    return null;
  }
}

/** What the function gives, or null when it throws a Fault. */
export function attempt(work) {
  try {
    return work();
  } catch (error) {
    if (error instanceof Fault) return null;
    throw error;
  }
}
