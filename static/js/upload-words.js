// The uploader's words: sentences translated by the server on <template data-strings>, with values isolated from the text's direction.

const ISOLATE = "\u2068";
const POP = "\u2069";

export class Words {
  constructor(template) {
    this.data = template.dataset;
    this.units = this.data.units.split(" ");
    this.plain = new Intl.NumberFormat(document.documentElement.lang, { maximumSignificantDigits: 3, numberingSystem: "latn" });
  }

  /** The sentence of a key, its %s (or %1, %2, ...) filled in. */
  say(key, ...values) {
    let text = this.data[key] ?? "";
    values.forEach((value, at) => {
      text = text.replace(at === 0 && text.includes("%s") ? "%s" : `%${at + 1}`, () => `${ISOLATE}${value}${POP}`);
    });
    return text;
  }

  /** Bytes in decimal units, as the server writes them. */
  size(bytes) {
    const power = Math.min(bytes < 1 ? 0 : Math.floor(Math.log10(bytes) / 3), this.units.length - 1);
    return `${this.plain.format(bytes / 1000 ** power)}\u00a0${this.units[power]}`;
  }

  time(seconds) {
    if (seconds < 60) return this.say("seconds", Math.ceil(seconds));
    if (seconds < 3600) return this.say("minutes", Math.ceil(seconds / 60));
    return this.say("hours", this.plain.format(seconds / 3600));
  }
}
