// From what a person dropped or chose to a Source, or a receipt: {name, open}.

import { MAX_RECEIPT_BYTES } from "./receipt.mjs";
import { Folder } from "./source.mjs";
import { openZip } from "./zip.mjs";

/** A single file is an archive, or a receipt, which begins like JSON: {receipt: bytes}. */
function single(file) {
  const open = async () => {
    const [first] = new Uint8Array(await file.slice(0, 1).arrayBuffer());
    if (first !== 0x7b) return openZip(file);
    return { receipt: new Uint8Array(await file.slice(0, MAX_RECEIPT_BYTES + 1).arrayBuffer()) };
  };
  return { name: file.name, open };
}

/** From the files of an <input>, with `webkitRelativePath` when a folder was chosen. */
export function fromInput(files) {
  const [first] = files;
  if (!first) return null;
  if (!first.webkitRelativePath) return single(first);
  const name = first.webkitRelativePath.split("/", 1)[0];
  const listing = Array.from(files, (file) => [file.webkitRelativePath.slice(name.length + 1), file]);
  return { name, open: async () => new Folder(listing) };
}

/** From a drop. To be called in the event itself: what was dropped is gone afterwards. */
export function fromDrop(transfer) {
  const items = Array.from(transfer.items).filter((item) => item.kind === "file");
  // A page from a disk gets no files of a dropped folder by entries in Chromium; handles it gets.
  const dropped = items.map((item) => item.getAsFileSystemHandle?.() ?? Promise.resolve(item.webkitGetAsEntry()));
  const [file] = items.length === 1 ? [items[0].getAsFile()] : [];
  if (dropped.length === 0) return null;
  return {
    name: file?.name ?? "",
    open: async () => {
      const nodes = await Promise.all(dropped);
      if (nodes.length === 1 && isFile(nodes[0])) return single(await fileOf(nodes[0])).open();
      const listing = [];
      if (nodes.length === 1) await walk(nodes[0], "", listing);
      else for (const node of nodes) await list(node, node.name, listing);
      return new Folder(listing);
    },
  };
}

const isFile = (node) => node.kind === "file" || node.isFile === true;

function fileOf(node) {
  return node.getFile ? node.getFile() : new Promise((resolve, reject) => node.file(resolve, reject));
}

async function list(node, path, listing) {
  if (isFile(node)) listing.push([path, await fileOf(node)]);
  else await walk(node, `${path}/`, listing);
}

async function walk(folder, prefix, listing) {
  for (const node of await members(folder)) await list(node, prefix + node.name, listing);
}

async function members(folder) {
  const found = [];
  if (folder.values) {
    for await (const node of folder.values()) found.push(node);
    return found;
  }
  const reader = folder.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return found;
    found.push(...some);
  }
}
