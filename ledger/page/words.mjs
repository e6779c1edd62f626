// The words of one language, with what stands in them kept in its own reading direction.

import { AR } from "./words-ar.mjs";
import { EN } from "./words-en.mjs";
import { FR } from "./words-fr.mjs";

export const LANGUAGES = { ar: AR, en: EN, fr: FR };

/** {say, count, code, type, date, bytes, number} in a language: "ar", "en" or "fr". */
export function speaker(language) {
  const words = LANGUAGES[language];
  const plural = new Intl.PluralRules(words.locale);
  const digits = new Intl.NumberFormat(words.locale);
  const day = new Intl.DateTimeFormat(words.locale, { dateStyle: "long", timeStyle: "medium", timeZone: "UTC", hourCycle: "h23" });
  const number = (value) => (value === null ? "" : digits.format(value));
  const kept = (text) => (words.direction === "rtl" ? `\u2068${text}\u2069` : text); // so that no digits wander
  const fill = (text, particulars) => text.replace(/\{(\w+)\}/g, (_, name) => kept(particulars[name]));
  return {
    language,
    direction: words.direction,
    number,
    say: (key, particulars = {}) => fill(words.ui[key], particulars),
    list: (key) => words.ui[key],
    count: (key, n, particulars = {}) =>
      fill(words.ui[key][plural.select(Number(n))] ?? words.ui[key].other, { ...particulars, n: number(n) }),
    code: (code) => words.codes[code] ?? code,
    type: (type) => words.types[type] ?? type,
    outcome: (outcome) => words.outcomes[outcome],
    field: (field) => words.fields[field] ?? field,
    date: (when) => `${day.format(when)} UTC`,
    bytes(count) {
      const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
      const step = Math.min(units.length - 1, count ? Math.floor(Math.log10(count) / 3) : 0);
      const style = { style: "unit", unit: units[step], unitDisplay: step ? "short" : "long", maximumFractionDigits: 1 };
      return new Intl.NumberFormat(words.locale, style).format(count / 1000 ** step);
    },
  };
}
