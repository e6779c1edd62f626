// What the uploader asks the archive besides sending bytes: JSON to and fro, with the form's token.

export const token = () => document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";

/** Random version 4 UUID; crypto.randomUUID is missing on plain http. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

async function ask(url, options) {
  const answer = await fetch(url, { cache: "no-store", ...options });
  const data = await answer.json().catch(() => null);
  return { status: answer.redirected ? 401 : answer.status, data };
}

/** POST of JSON; gives {status, data}, data null when the answer is no JSON. Throws TypeError when nothing answered. */
export const postJson = (url, body) => ask(url, {
  method: "POST",
  headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": token() },
  body: JSON.stringify(body),
});

/** GET of JSON; as postJson. */
export const getJson = (url) => ask(url, { headers: { Accept: "application/json" } });

/** Has the archive drop what it received of an upload. True when nothing of it is left there. */
export async function terminate(url) {
  try {
    const { status } = await ask(url, { method: "DELETE", headers: { "Tus-Resumable": "1.0.0", Accept: "application/json", "X-CSRFToken": token() } });
    return status === 204 || status === 404 || status === 410;
  } catch {
    return false;
  }
}

/** The sentences inside a JSON error: {detail}, {errors: {...}} or {field: [...]}. */
export function words(data) {
  if (!data || typeof data !== "object") return "";
  if (typeof data.detail === "string") return data.detail;
  return Object.values(data.errors ?? data).flat().filter((one) => typeof one === "string").join(" ");
}
