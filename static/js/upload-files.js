// What was dropped or chosen, as a flat list of {file, path}: folders are walked to their ends.

const readAll = (reader) => new Promise((resolve, reject) => {
  const found = [];
  const next = () => reader.readEntries((batch) => {
    if (!batch.length) resolve(found);
    else {
      found.push(...batch); // readEntries gives at most 100 at a time
      next();
    }
  }, reject);
  next();
});

async function walk(entry, path, found, unread) {
  try {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => { entry.file(resolve, reject); });
      found.push({ file, path: path + file.name });
    } else if (entry.isDirectory) {
      for (const child of await readAll(entry.createReader())) await walk(child, `${path}${entry.name}/`, found, unread);
    }
  } catch {
    unread.push(path + entry.name);
  }
}

/** Files of a drop. The entries are taken at once, before the event ends and the browser empties them. */
export async function dropped(transfer) {
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.());
  if (!entries.length || entries.some((entry) => !entry)) {
    return { found: [...transfer.files].map((file) => ({ file, path: file.name })), unread: [] };
  }
  const found = [];
  const unread = [];
  for (const entry of entries) await walk(entry, "", found, unread);
  return { found, unread };
}

/** Files of an <input type=file>, with or without webkitdirectory. */
export function chosen(input) {
  return [...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
}
