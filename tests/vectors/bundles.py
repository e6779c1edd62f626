"""The expected verdicts on the sample bundles, whole and after changes that a forger or an accident would make.

A change is a list of steps: {"do": "write" (path, bytes in hex), "remove" (path), "move" or "copy" (path, to),
"replace" (path, from, to: the first of this text), or "manifests" (make the unsigned manifests right again)}.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from ledger.checkpoint import format_checkpoint
from ledger.note import decode_vkey
from ledger.policy import parse_policy
from ledger.proof import format_consistency
from ledger.report import Report
from ledger.sign import Ed25519Signer, sign_note, signature_line
from ledger.verify import Trust, verify_bundle
from tests.ledger.sample import COSIGNERS, KEYS, KINDS, ORIGIN, Sample, item_id, rewrite_manifests, write_bundle
from tests.vectors.accepted import compared

Step = dict[str, str]
ENTRIES, DISCLOSURES = "data/ledger/entries", "data/disclosures"
HEAD = "data/ledger/checkpoint"
PROOF = "data/ledger/proofs/1.tlog-proof"
LOG = "data/ledger/log"


def apply(root: Path, steps: list[Step]) -> None:
    """Change the bundle in the folder."""
    for step in steps:
        path = root / step.get("path", "")
        if step["do"] == "write":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes.fromhex(step["bytes"]))
        elif step["do"] == "remove":
            path.unlink()
        elif step["do"] == "move":
            path.rename(root / step["to"])
        elif step["do"] == "copy":
            shutil.copyfile(path, root / step["to"])
        elif step["do"] == "replace":
            data = path.read_bytes()
            assert step["from"].encode() in data, step
            path.write_bytes(data.replace(step["from"].encode(), step["to"].encode(), 1))
        else:
            rewrite_manifests(root)


def trust_of(row: dict[str, Any]) -> Trust:
    policy = parse_policy(row["policy"].encode()) if row["policy"] else None
    return Trust([decode_vkey(vkey) for vkey in row["vkeys"]], policy, row["require_key"])


def compared_bundle(report: Report) -> dict[str, Any]:
    """What two verifiers agree on."""
    met = None if report.policy is None else report.policy.met
    items = [
        {"accession": item.accession, "state": item.state} | {"verified": report.verified(item)}
        for item in report.items
    ]
    return {**compared(report), "quorum_met": met, "items": items}


def bundles() -> list[dict[str, Any]]:
    """Every row with its expected verdict."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        whole, changed = Path(folder) / "whole", Path(folder) / "changed"
        whole.mkdir()
        for kind in KINDS:
            write_bundle(whole / kind, kind)
        for row in _rows():
            shutil.copytree(whole / row["kind"], changed)
            apply(changed, row["steps"])
            rows.append({**row, **compared_bundle(verify_bundle(changed, trust_of(row)))})
            shutil.rmtree(changed)
    return rows


def _rows() -> list[dict[str, Any]]:
    first, second, third = (key.vkey for key in KEYS)
    rows = [_row("whole", kind) for kind in KINDS]
    rows += [_row("the first key is trusted", "rotated", vkeys=[first]), _row("the second", "rotated", vkeys=[second])]
    rows += [_row("the third", "rotated", vkeys=[third]), _row("a key is required", "plain", require_key=True)]
    rows += [_row("another key of the log is trusted", "plain", vkeys=[second])]
    stranger = Ed25519Signer("other.example", b"\x21" * 32).vkey
    rows += [_row("the key of another log is trusted", kind, vkeys=[stranger]) for kind in ("plain", "rotated")]
    witnesses = "".join(f"witness w{number} {cosigner.vkey}\n" for number, cosigner in enumerate(COSIGNERS, 1))
    two = f"log {first}\n{witnesses}group g 2 w1 w2 w3\nquorum g\n"
    rows += [_row("two cosigners asked for", kind, policy=two) for kind in ("plain", "cosigned", "whole")]
    rows += [
        _row("a payload changed", "plain", _swap("data/items/SY-2025-000002/testimony.txt", "ش", "س")),
        _row("an entry removed", "plain", _remove(f"{ENTRIES}/1.json")),
        _row("an entry and its proof removed", "plain", _remove(f"{ENTRIES}/1.json", PROOF)),
        _row("a disclosure removed", "plain", _remove(f"{DISCLOSURES}/1.json")),
        _row("two entries exchanged", "plain", _exchange(f"{ENTRIES}/1.json", f"{ENTRIES}/4.json")),
        _row("an outcome changed", "plain", _swap(f"{ENTRIES}/1.json", "success", "refused")),
        _row("a value changed", "plain", _swap(f"{DISCLOSURES}/1.json", "image/jpeg", "image/jpea")),
        _row("an accession number changed", "plain", _swap("data/items.json", '"SY-2025-000001"', '"SY-2025-000009"')),
        _row("an exhibit number changed", "plain", _swap("data/items.json", "P-1", "P-7")),
        _row("a file added to the ledger", "plain", _write("data/ledger/more", b"x")),
        _row("an old format", "plain", _swap("data/items.json", "sanad-bundle/2", "sanad-bundle/1")),
        _row("the key replaced", "plain", _write("data/ledger/vkey", f"{second}\n".encode())),
        _row("the checkpoint's size changed", "plain", _swap("data/ledger/checkpoint", "\n7\n", "\n8\n")),
        _row("a cosignature damaged", "cosigned", _swap(HEAD, "AAAABn67Lg", "AAAABn67Lh"), policy=two),
        _row("withheld is said to be erased", "withheld", _swap("data/items.json", '"withheld"', '"erased"')),
        _row("a withheld item's accession number changed", "withheld",
             _swap("data/items.json", "SY-2025-000003", "SY-2025-000009")),
        _row("a withheld item's reception is not opened", "withheld", _remove(f"{DISCLOSURES}/7.json")),
        _row("another key put in place of the one that signed", "plain", _usurp(), vkeys=[first]),
        _row("another key put in place of the one that signed", "plain", _usurp()),
        _row("the first key of three replaced, the last is trusted", "rotated", _usurp("rotated"), vkeys=[third]),
        _row("erased is said to be withheld", "erased", [
            {"do": "replace", "path": "data/items.json", "from": '"erasure":9', "to": '"erasure":null'},
            *_swap("data/items.json", '"erased"', '"withheld"'),
        ]),
        _row("erased by another entry", "erased", _swap("data/items.json", '"erasure":9', '"erasure":8')),
        _row("the erasure is not opened", "erased", _remove(f"{DISCLOSURES}/9.json")),
        _row("a handover removed", "rotated", _remove("data/ledger/keys/7.tlog-proof")),
        _row("a handover under the head", "rotated", _copy_proof("7")),
        _row("a key added without a handover is listed", "plain",
             _write("data/ledger/vkey", f"{first}\n{second}\n".encode())),
        _row("the first key left out", "rotated", _write("data/ledger/vkey", f"{second}\n{third}\n".encode())),
        _row("the last key left out", "rotated", _write("data/ledger/vkey", f"{first}\n{second}\n".encode())),
        _row("a key entry is not opened", "rotated", _remove(f"{DISCLOSURES}/8.json")),
        _row("an earlier head removed", "rotated", _remove("data/ledger/heads/8.checkpoint")),
        _row("a consistency proof removed", "rotated", _remove("data/ledger/heads/8.consistency")),
        _row("two consistency proofs exchanged", "rotated",
             _exchange("data/ledger/heads/8.consistency", "data/ledger/heads/10.consistency")),
        _row("two earlier heads exchanged", "rotated",
             _exchange("data/ledger/heads/8.checkpoint", "data/ledger/heads/10.checkpoint")),
        _row("a timestamp's time changed", "anchored", _swap("data/ledger/anchors/7.tsr", "20250401", "20240401")),
        _row("a timestamp moved to another entry", "anchored", [
            {"do": "move", "path": "data/ledger/anchors/7.tsr", "to": "data/ledger/anchors/5.tsr"}, _MANIFESTS]),
        _row("a timestamp without its entry", "anchored", [
            {"do": "move", "path": "data/ledger/anchors/7.tsr", "to": "data/ledger/anchors/6.tsr"}, _MANIFESTS]),
        _row("the anchored head removed", "anchored",
             _remove("data/ledger/heads/7.checkpoint", "data/ledger/heads/7.consistency")),
        _row("an entry of the log changed", "logged", _swap(f"{LOG}/tile/entries/000", '"success"', '"refused"')),
        _row("an entry bundle removed", "logged", _remove(f"{LOG}/tile/entries/001.p/51")),
        _row("an entry bundle longer", "logged", _swap(f"{LOG}/tile/entries/001.p/51", "sanad/", "sanad//")),
        _row("a tile removed", "logged", _remove(f"{LOG}/tile/0/000")),
        _row("a tile of another size", "logged", [
            {"do": "move", "path": f"{LOG}/tile/1/000.p/1", "to": f"{LOG}/tile/1/000.p/2"}, _MANIFESTS]),
        _row("a tile changed", "logged", _write(f"{LOG}/tile/1/000.p/1", bytes(32))),
        _row("the log's checkpoint removed", "logged", _remove(f"{LOG}/checkpoint")),
        _row("the log's checkpoint is another", "logged", _write(f"{LOG}/checkpoint", b"x")),
    ]  # fmt: skip
    broken = format_consistency(8, [bytes(32)], Sample("rotated").note())
    log, other = Sample("plain").log, sign_note(format_checkpoint(ORIGIN, 7, bytes(32)), KEYS[0])
    entry, opened = log.entries[1].decode(), f"{DISCLOSURES}/1.json"
    rows += [
        _row("an entry of another log", "plain", _swap(f"{ENTRIES}/1.json", ORIGIN, "other.example")),
        _row("an entry that is none", "plain", _write(f"{ENTRIES}/1.json", b"{}")),
        _row("an entry twice", "plain", _write(f"{ENTRIES}/0.json", entry.encode())),
        _row("an entry too long", "plain", _write(f"{ENTRIES}/1.json", b"x" * 8193)),
        _row("a proof that is none", "plain", _write(PROOF, b"x")),
        _row("a proof too long", "plain", _write(PROOF, b"x" * 73729)),
        _row("a disclosure that is none", "plain", _write(opened, b"{}")),
        _row("a field the entry does not hold", "plain", _swap(opened, '{"agent":', '{"agenda":')),
        _row("a checkpoint that is none", "plain", _write(HEAD, b"x")),
        _row("a checkpoint that is empty", "plain", _write(HEAD, b"")),
        _row("a checkpoint too long", "plain", _write(HEAD, b"x" * 65537)),
        _row("a key that is none", "plain", _write("data/ledger/vkey", first.encode())),
        _row("a key twice", "plain", _write("data/ledger/vkey", f"{first}\n{first}\n".encode())),
        _row("a catalogue with an item twice", "plain", _swap("data/items.json", item_id(2), item_id(1))),
        _row("another media type", "plain", _swap("data/items.json", "image/jpeg", "image/jpex")),
        _row("a consistency proof that is none", "rotated", _write("data/ledger/heads/8.consistency", b"x")),
        _row("another consistency proof", "rotated",
             _write("data/ledger/heads/8.consistency", broken.encode())),
        _row("an earlier head that is none", "rotated", _write("data/ledger/heads/8.checkpoint", b"x")),
        _row("an earlier head that the head does not continue", "anchored",
             _write("data/ledger/heads/7.checkpoint", other.encode())),
        _row("a timestamp that is none", "anchored", _write("data/ledger/anchors/7.tsr", b"x")),
        _row("the log's tile too long", "logged", _write(f"{LOG}/tile/1/000.p/1", bytes(8193))),
    ]  # fmt: skip
    damaged = [step for step in _swap("data/ledger/entries/1.json", "success", "refused") if step is not _MANIFESTS]
    return [
        *rows,
        _row("damage, the manifests untouched", "plain", damaged),
        _row("a file too many, the manifests untouched", "plain", _write("fetch.txt", b"")[:1]),
        _row("a manifest out of order", "plain", _write("manifest-sha256.txt", b"00  b\n00  a\n")[:1]),
        _row("another declaration", "plain", _swap("bagit.txt", "1.0", "0.9")[:1]),
        _row("a malformed bag-info.txt", "plain", _swap("bag-info.txt", ": ", ":")[:1]),
        _row("bag-info.txt is not UTF-8", "plain", _write("bag-info.txt", b"\xff")[:1]),
        _row("another payload sum", "plain", _swap("bag-info.txt", "Payload-Oxum: ", "Payload-Oxum: 1")[:1]),
        _row("a manifest without its lines", "plain", _write("manifest-sha512.txt", b"")[:1]),
        _row(
            "a manifest with a line too many", "plain", _swap("manifest-sha512.txt", "", "0" * 128 + "  data/a\n")[:1]
        ),
        _row("a payload that nobody lists", "plain", _write("data/items/SY-2025-000001/more.txt", b"x")),
        _row("a document added", "plain", _write("data/more.txt", b"x")),
    ]


_MANIFESTS = {"do": "manifests"}


def _row(
    why: str, kind: str, steps: list[Step] | None = None, *,
    vkeys: list[str] | None = None, policy: str | None = None, require_key: bool = False,
) -> dict[str, Any]:  # fmt: skip
    about = {"why": why, "kind": kind, "steps": steps or []}
    return {**about, "vkeys": vkeys or [], "policy": policy, "require_key": require_key}


def _swap(path: str, old: str, new: str) -> list[Step]:
    return [{"do": "replace", "path": path, "from": old, "to": new}, _MANIFESTS]


def _remove(*paths: str) -> list[Step]:
    return [*({"do": "remove", "path": path} for path in paths), _MANIFESTS]


def _write(path: str, data: bytes) -> list[Step]:
    return [{"do": "write", "path": path, "bytes": data.hex()}, _MANIFESTS]


def _exchange(one: str, two: str) -> list[Step]:
    moves = ((one, "swap"), (two, one), ("swap", two))
    return [*({"do": "move", "path": old, "to": new} for old, new in moves), _MANIFESTS]


def _usurp(kind: str = "plain") -> list[Step]:
    """A stranger's key adds its signature to every head, and takes the place of the first key in the bundle."""
    stranger, steps = Ed25519Signer(ORIGIN, b"\x66" * 32), []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "bundle"
        write_bundle(root, kind)
        heads = [path.read_text() for path in (root / HEAD, *sorted((root / "data/ledger/heads").glob("*.checkpoint")))]
        lines = {note.splitlines(True)[-1]: signature_line(note.split("\n\n")[0] + "\n", stranger) for note in heads}
        for path in sorted(path for path in (root / "data/ledger").rglob("*") if path.is_file()):
            where = path.relative_to(root).as_posix()
            found = [line for line in lines if line in path.read_text(errors="replace")]
            steps += [{"do": "replace", "path": where, "from": old, "to": old + lines[old]} for old in found]
    step = {"do": "replace", "path": "data/ledger/vkey", "from": KEYS[0].vkey, "to": stranger.vkey}
    return [*steps, step, _MANIFESTS]


def _copy_proof(index: str) -> list[Step]:
    own = f"data/ledger/keys/{index}.tlog-proof"
    return [*_remove(own)[:1], {"do": "copy", "path": f"data/ledger/proofs/{index}.tlog-proof", "to": own}, _MANIFESTS]
