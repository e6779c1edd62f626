// What the page says about all files: sent once before the first of them, and again only when it was changed.
import { postJson } from "./upload-requests.js";

/** The id of the intake for what stands in the uploader's form, or null after saying what is wrong with it. */
export async function describe(uploader) {
  const { root, words } = uploader;
  const form = document.getElementById(root.dataset.form);
  const fields = {};
  if (form) {
    for (const [name, value] of new FormData(form)) {
      if (name === "csrfmiddlewaretoken" || value instanceof File) continue;
      fields[name] = name in fields ? [fields[name], value].flat() : value;
    }
  }
  const text = JSON.stringify(fields);
  if (uploader.intake && uploader.described === text) return uploader.intake;
  let answer;
  try {
    answer = await postJson(root.dataset.intakeUrl, fields);
  } catch {
    problem(uploader, words.say("failedNetwork"), {});
    return null;
  }
  if (answer.data?.intake && answer.status < 300) {
    uploader.described = text;
    return answer.data.intake;
  }
  if (answer.status === 401) problem(uploader, words.say("failedAuth"), {});
  else if (answer.status === 403 || answer.status === 404) problem(uploader, words.say("failedRefused"), {});
  else problem(uploader, words.say("failedIntake"), answer.data?.errors ?? answer.data ?? {});
  return null;
}

/** A box with what is wrong, naming each field and leading to it. */
export function problem({ root }, title, errors) {
  const box = root.querySelector("[data-problem]");
  box.querySelector("[data-problem-title]").textContent = title;
  const list = box.querySelector("[data-problem-list]");
  list.replaceChildren();
  for (const [name, messages] of Object.entries(errors)) {
    const field = document.getElementById(`id_${name}`);
    const label = document.querySelector(`label[for="id_${CSS.escape(name)}"]`)?.firstChild?.textContent.trim();
    const line = document.createElement("li");
    if (field) {
      field.setAttribute("aria-invalid", "true");
      const link = document.createElement("a");
      link.href = `#id_${name}`;
      link.textContent = label || name;
      line.append(link, ": ");
    }
    line.append([messages].flat().join(" "));
    list.append(line);
  }
  box.hidden = false;
  box.scrollIntoView({ block: "nearest" });
}
