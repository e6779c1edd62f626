"""What every reader refuses: inputs by kind, each with the reason in words. Written to refused.json by make.py."""

import base64
import hashlib
import json
from typing import Any

from ledger.bundle import canonical_disclosure
from ledger.checkpoint import format_checkpoint
from ledger.entry import canonical
from ledger.note import to_base64
from ledger.proof import format_consistency
from ledger.sign import CosignatureSigner, Ed25519Signer, sign_note
from tests.ledger import der
from tests.ledger.sample import COSIGNERS, KEYS, ORIGIN, Sample, sample_log

Rows = list[dict[str, Any]]


def refused() -> dict[str, Rows]:
    """Rows of {why, and the input: hex bytes as `bytes` or text as `text`, with what else it is checked against}.

    Where a row has `pad`, the input is bytes, then `pad` times the letter a, then `end`: all of the same form.
    """
    return {
        "canonical": _canonical(),
        "entry": _entries(),
        "vkey": _vkeys(),
        "note": _notes(),
        "checkpoint": _checkpoints(),
        "cosignature": _cosignatures(),
        "proof": _proofs(),
        "consistency": _consistency(),
        "inclusion": _inclusion(),
        "disclosure": _disclosures(),
        "policy": _policies(),
        "anchor": _anchors(),
    }


def _canonical() -> Rows:
    deep = b"[" * 17 + b"]" * 17
    cases = [
        (b"", "nothing"),
        (b" 1", "white space"),
        (b"1\n", "a newline at the end"),
        (b"\xef\xbb\xbf1", "a byte order mark"),
        (b'{"a":1,"a":1}', "a key twice"),
        (b'{"b":1,"a":1}', "keys out of order"),
        ('{"\ufb33":1,"\U0001f600":1}'.encode(), "keys in the order of code points, not of UTF-16 units"),
        (b"1.0", "a fraction"),
        (b"1e2", "an exponent"),
        (b"-0", "minus zero"),
        (b"01", "a leading zero"),
        (b"9007199254740992", "2^53"),
        (b"-9007199254740992", "-2^53"),
        (b"1" * 400, "a very long integer"),
        (b"NaN", "not a number"),
        (b"Infinity", "infinity"),
        (b'"\\u0041"', "an escape that is not needed"),
        (b'"\\/"', "a slash escaped"),
        (b'"\\u000A"', "an escape in upper case where a short one exists"),
        (b'"\\u001F"', "hex in upper case"),
        (b'"\x01"', "a control character"),
        (b'"\\ud800"', "a lone surrogate"),
        (b'"\xed\xa0\x80"', "a surrogate in UTF-8"),
        (b'"\xff"', "not UTF-8"),
        (b'"\xc0\x80"', "UTF-8 longer than needed"),
        (b"[1,]", "a comma at the end"),
        (b"'a'", "single quotes"),
        (b"1 2", "two values"),
        (b"[1,2", "cut off"),
        (deep, "17 arrays in each other"),
        (b'"' + b"a" * 65535 + b'"', "65,537 bytes"),
    ]
    return [{"why": why, **_bytes(data)} for data, why in cases]


def _bytes(data: bytes) -> dict[str, Any]:
    start, pad, end = data.partition(b"a" * 1000)
    count = len(pad) + len(end) - len(end := end.lstrip(b"a"))
    return {"bytes": start.hex(), "pad": count, "end": end.hex()} if pad else {"bytes": data.hex()}


def _text(data: str) -> dict[str, Any]:
    return {
        key.replace("bytes", "text"): value if key == "pad" else bytes.fromhex(value).decode()
        for key, value in _bytes(data.encode()).items()
    }


def _entries() -> Rows:
    log, _ = sample_log()
    good = json.loads(log.entries[1])
    changes: list[tuple[dict[str, Any], str]] = [
        ({"v": 2}, "version 2"),
        ({"v": True}, "a version that is true"),
        ({"log": ""}, "no origin"),
        ({"log": "a+b"}, "plus in the origin"),
        ({"log": "a" * 129}, "an origin of 129 characters"),
        ({"log": "سجل"}, "an origin that is not ASCII"),
        ({"id": good["id"].upper()}, "an event id in upper case"),
        ({"id": good["id"][:-1]}, "a short event id"),
        ({"ts": "2025-02-30T00:00:00.000Z"}, "a day that does not exist"),
        ({"ts": "2025-03-08T05:00:00Z"}, "a time without milliseconds"),
        ({"ts": "2025-03-08T05:00:00.000+00:00"}, "a time with an offset"),
        ({"ts": "2025-03-08T24:00:00.000Z"}, "hour 24"),
        ({"ts": "2025-03-08T05:00:60.000Z"}, "second 60"),
        ({"ts": "0000-01-01T00:00:00.000Z"}, "year 0"),
        ({"type": "Ingestion"}, "a type in upper case"),
        ({"type": ""}, "no type"),
        ({"type": "ingestion "}, "a type that ends in a space"),
        ({"type": "a" * 65}, "a type of 65 characters"),
        ({"outcome": "done"}, "an unknown outcome"),
        ({"outcome": None}, "no outcome"),
        ({"blob": "00"}, "a short digest"),
        ({"blob": good["blob"].upper()}, "a digest in upper case"),
        ({"c": []}, "commitments that are a list"),
        ({"c": {"Agent": "00" * 32}}, "a field name in upper case"),
        ({"c": {"a" * 33: "00" * 32}}, "a field name of 33 characters"),
        ({"c": {"agent": "00" * 31}}, "a short commitment"),
        ({"c": {"agent": 0}}, "a commitment that is a number"),
        ({"more": 1}, "a member too many"),
        ({"c": {f"field_{number}": "00" * 32 for number in range(110)}}, "more than 8,192 bytes"),
    ]
    rows = [(canonical({**good, **change}), why) for change, why in changes]
    rows += [(canonical({key: value for key, value in good.items() if key != "blob"}), "a member too few")]
    rows += [(log.entries[1] + b"\n", "a newline at the end"), (b"[]", "a list"), (b"null", "null")]
    rows += [(json.dumps(good, separators=(",", ":")).encode()[:-1] + b',"v":1}', "a key twice")]
    return [{"why": why, "bytes": data.hex()} for data, why in rows]


def _vkeys() -> Rows:
    name, identity, key = KEYS[0].vkey.split("+", 2)
    small = base64.b64encode(b"\x01" + bytes([1]) + bytes(31)).decode()
    beyond = base64.b64encode(b"\x01" + (2**255 - 18).to_bytes(32, "little")).decode()

    def row(text: str, why: str) -> dict[str, str]:
        return {"why": why, "text": text}

    def identified(public: str) -> str:
        return hashlib.sha256(name.encode() + b"\n" + base64.b64decode(public)).digest()[:4].hex()

    return [
        row("", "nothing"),
        row(f"{name}+{key}", "two parts"),
        row(f"{name}+{identity.upper()}+{key}" if identity.upper() != identity else f"{name}++{key}", "key id"),
        row(f"{name}+00000000+{key}", "another key id"),
        row(f"other+{identity}+{key}", "another name under the same key id"),
        row(f"{name}+{identity}+{key}\n", "a newline"),
        row(f"{name}+{identity}+{key[:-4]}", "a short key"),
        row(f"{name}+{identity}+{key[:-1]}", "no padding, or cut base64"),
        row(f" {name}+{identity}+{key}", "a space"),
        row(f"{name}+{identified(small)}+{small}", "a point of small order"),
        row(f"{name}+{identified(beyond)}+{beyond}", "an encoding beyond the field"),
        row(COSIGNERS[0].vkey, "a cosigner's key where a log's is asked for"),
    ]


def _notes() -> Rows:
    """Notes that no reader opens with the first key of `vkeys`."""
    good, other = sign_note("text\n", KEYS[0]), sign_note("text\n", KEYS[1])
    line, wrong = good.split("\n\n")[1], sign_note("other\n", KEYS[0]).split("\n\n")[1]
    data = base64.b64decode(line.split(" ")[2])
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = (int.from_bytes(data[36:], "little") + order).to_bytes(32, "little")
    cases = [
        (other, "another key alone"),
        ("text\n\n" + wrong, "the signature of another text"),
        (good + line, "the same key twice"),
        (good + wrong, "the same key twice, once wrongly"),
        (good[:-1], "no newline at the end"),
        (good + "\n", "an empty line at the end"),
        (good.replace("text", "text\r"), "a carriage return"),
        (good.replace("—", "-"), "a hyphen for the dash"),
        (good.replace("— ", "—  "), "two spaces"),
        (good.replace("\n\n", "\n"), "no empty line"),
        ("text\n\n" + "".join(f"— n{number} AAAAAAAA\n" for number in range(64)) + line, "65 signatures"),
        (f"text\n\n{line[:-1]} more\n", "a word after the signature"),
        (f"text\n\n{line}— x AAAAAA==\n", "a signature of no bytes beside the key id"),
        (f"text\n\n{line}— x+y AAAAAAAA\n", "plus in a name"),
        (f"text\n\n{line}— س AAAAAAAA\n", "a name that is not ASCII"),
        (f"text\n\n{line}— x AAAAAAA\n", "base64 without padding"),
        (f"text\n\n{line}— x AAAAAAB=\n", "base64 in another than its one spelling"),
        (f"text\n\n— {ORIGIN} {to_base64(data[:36] + scalar)}\n", "a scalar beyond the group order"),
        (f"text\n\n— {ORIGIN} {to_base64(data[:-1])}\n", "a signature of 63 bytes"),
        ("a" * 65536 + "\n\n" + line, "more than 65,536 bytes"),
    ]
    return [{"why": why, **_text(note), "vkeys": [KEYS[0].vkey]} for note, why in cases]


def _checkpoints() -> Rows:
    root = to_base64(bytes(32))
    cases = [
        (f"{ORIGIN}\n1\n{root}\nextension\n", KEYS[0], "an extension line"),
        (f"{ORIGIN}\n1\n", KEYS[0], "no root"),
        (f"{ORIGIN}\n01\n{root}\n", KEYS[0], "a leading zero"),
        (f"{ORIGIN}\n-1\n{root}\n", KEYS[0], "a negative size"),
        (f"{ORIGIN}\n1 \n{root}\n", KEYS[0], "a space"),
        (f"{ORIGIN}\n{1 << 62}\n{root}\n", KEYS[0], "a size of 2^62"),
        (f"{ORIGIN}\n1\n{root[:-4]}\n", KEYS[0], "a short root"),
        (f"{ORIGIN}\n1\n{root[:-1]}\n", KEYS[0], "a root without padding"),
        (f"other.example\n1\n{root}\n", KEYS[0], "the key of another log"),
        (f"\n1\n{root}\n", KEYS[0], "no origin"),
        (f"{ORIGIN}\n1\n{root}\n", CosignatureSigner(ORIGIN, KEYS[0]._seed, lambda: 1), "only a cosignature"),
    ]
    return [{"why": why, "text": sign_note(text, key), "vkeys": [KEYS[0].vkey]} for text, key, why in cases]


def _cosignatures() -> Rows:
    """Notes of a checkpoint whose cosignature by `vkey` is not valid."""
    text, cosigner = format_checkpoint(ORIGIN, 1, bytes(32)), COSIGNERS[0]
    good = sign_note(text, KEYS[0], cosigner)
    head, line = good.rsplit("— ", 1)
    name, encoded = line.strip().split(" ")
    data = base64.b64decode(encoded)

    def with_(changed: bytes) -> str:
        return f"{head}— {name} {to_base64(changed)}\n"

    plain = Ed25519Signer(cosigner.name, bytes([1]) * 32).sign(text.encode())
    late = CosignatureSigner(cosigner.name, bytes([1]) * 32, lambda: 1 << 63).sign(text.encode())
    zero = CosignatureSigner(cosigner.name, bytes([1]) * 32, lambda: 0).sign(text.encode())
    cases = [
        (with_(data[:4] + data[12:]), "no time"),
        (with_(data[:11] + bytes([data[11] ^ 1]) + data[12:]), "another time"),
        (with_(data[:-1] + bytes([data[-1] ^ 1])), "another signature"),
        (with_(data + b"\0"), "a byte too many"),
        (with_(data[:12] + plain), "a signature of the text without time"),
        (with_(data[:4] + late), "a time of 2^63"),
        (with_(data[:4] + zero), "a time of 0"),
        (good + good.rsplit("\n", 2)[1] + "\n", "two by one cosigner"),
        (good.replace("\n1\n", "\n2\n"), "for another size"),
    ]
    return [{"why": why, "text": note, "vkey": cosigner.vkey} for note, why in cases]


def _proofs() -> Rows:
    """Files that are no proof, or do not prove `entry` under `vkey`."""
    log, _ = sample_log()
    good, entry = log.proof(1), log.entries[1].decode()
    lines = good.split("\n")
    swapped = "\n".join([*lines[:2], lines[3], lines[2], *lines[4:]])
    cases = [
        ("", "nothing"),
        (good.replace("@v1", "@v2"), "another version"),
        (good.replace("index 1", "index 01"), "a leading zero"),
        (good.replace("index 1\n", "index 1\nextra AAAA\n"), "an extra line"),
        (good.replace("index 1", "index 2"), "another index"),
        (good.replace("index 1", f"index {1 << 62}"), "an index of 2^62"),
        ("\n".join(lines[:2] + lines[3:]), "a hash too few"),
        ("\n".join([*lines[:3], *lines[2:]]), "a hash too many"),
        (swapped, "hashes in another order"),
        (good.replace(lines[2], lines[2][:-4]), "a short hash"),
        (good.replace(lines[2], lines[2] + " "), "a space"),
        (good.replace("\n\n", "\n", 1), "no empty line"),
        (good.replace("\n", "\r\n"), "carriage returns"),
        ("\n".join([*lines[:2], *[lines[2]] * 65, *lines[5:]]), "65 hashes"),
        (good.replace("\n7\n", "\n8\n"), "a checkpoint of another size, wrongly signed"),
        (log.proof(2), "the proof of another entry"),
    ]
    return [{"why": why, "text": text, "entry": entry, "vkey": KEYS[0].vkey} for text, why in cases]


def _consistency() -> Rows:
    """Files that do not show that the tree `old_root` of size `old` continues in the head signed by `vkey`."""
    sample = Sample("anchored")
    size, note = len(sample.log.entries), sample.note()
    from ledger.grow import consistency_proof, root_from_tiles

    path = consistency_proof(5, size, sample.log.read_tile)
    root = root_from_tiles(5, sample.log.read_tile).hex()
    good = format_consistency(5, path, note)
    cases = [
        (good.replace("old 5", "old 0"), "from size 0"),
        (good.replace("old 5", "old 6"), "of another size"),
        (good.replace("old 5", "old 05"), "a leading zero"),
        (good.replace("old 5", "index 5"), "an inclusion proof"),
        (format_consistency(5, path[:-1], note), "a hash too few"),
        (format_consistency(5, [*path, path[0]], note), "a hash too many"),
        (format_consistency(5, path[::-1], note), "hashes in another order"),
        (format_consistency(5, [], note), "no hash"),
        (format_consistency(9, [], note), "from a larger size"),
        (good.replace("\n\n", "\n", 1), "no empty line"),
        ("c2sp.org/tlog-proof@v1\n" + good, "a header"),
    ]
    return [{"why": why, "text": text, "old": 5, "old_root": root, "vkey": KEYS[0].vkey} for text, why in cases]


def _inclusion() -> Rows:
    """Numbers and hashes that RFC 9162 section 2.1.3.2 does not accept."""
    leaf, root = hashlib.sha256(b"\0a").hexdigest(), hashlib.sha256(b"\0a").hexdigest()
    cases: list[tuple[int, int, list[str], str]] = [
        (0, 0, [], "an empty tree"),
        (1, 1, [], "an index beyond the tree"),
        (0, 1, [leaf], "a hash too many"),
        (0, 2, [], "a hash too few"),
        (0, 2, [leaf], "another root"),
        (0, 2, [leaf[:-2]], "a short hash"),
        (0, 1 << 62, [leaf] * 62, "a size of 2^62"),
    ]
    return [
        {"why": why, "leaf": leaf, "index": index, "size": str(size), "path": path, "root": root}
        for index, size, path, why in cases
    ]


def _disclosures() -> Rows:
    """Files that are no disclosure of the event `event_id`."""
    log, _ = sample_log()
    event_id, opened = log.id_of(1), log.opened[1]
    good = json.loads(canonical_disclosure(event_id, opened))
    one = {"salt": "00" * 32, "value": 1}
    deep: Any = 1
    for _ in range(17):
        deep = [deep]
    cases: list[tuple[Any, str]] = [
        ({**good, "event_id": log.id_of(2)}, "for another event"),
        ({**good, "more": 1}, "a member too many"),
        ({"fields": good["fields"]}, "a member too few"),
        ({**good, "fields": []}, "fields that are a list"),
        ({**good, "fields": {"a": {**one, "more": 1}}}, "an opening with a member too many"),
        ({**good, "fields": {"a": {"salt": "00" * 31, "value": 1}}}, "a short salt"),
        ({**good, "fields": {"a": {"salt": "AA" * 32, "value": 1}}}, "a salt in upper case"),
        ({**good, "fields": {"a": {"salt": "00" * 32, "value": deep}}}, "a value of 17 arrays in each other"),
        ({**good, "fields": {"a": {"salt": "00" * 32, "value": "a" * 65536}}}, "a value of more than 65,536 bytes"),
        ({**good, "fields": {"A": one}}, "a field name in upper case"),
        ([], "a list"),
    ]
    rows = [(canonical(value, max_bytes=1 << 22, max_depth=20), why) for value, why in cases]
    rows.append((canonical_disclosure(event_id, opened) + b"\n", "a newline at the end"))
    return [{"why": why, **_bytes(data), "event_id": event_id} for data, why in rows]


def _policies() -> Rows:
    log, (one, two, _) = KEYS[0].vkey, [cosigner.vkey for cosigner in COSIGNERS]
    start = f"log {log}\nwitness a {one}\nwitness b {two}\n"
    cases = [
        ("", "nothing"),
        (start, "no quorum"),
        (start + "quorum a", "no newline at the end"),
        (start + "quorum a\nquorum b\n", "two quorums"),
        (start + "quorum c\n", "a quorum that is not defined"),
        ("quorum a\n" + start, "a quorum before its definition"),
        (start + "group g 3 a b\nquorum g\n", "more needed than there are"),
        (start + "group g 0 a b\nquorum g\n", "none needed"),
        (start + "group g 01 a b\nquorum g\n", "a leading zero"),
        (start + "group g -1 a b\nquorum g\n", "a negative threshold"),
        (start + "group g some a b\nquorum g\n", "an unknown threshold"),
        (start + "group g 1\nquorum g\n", "a group without members"),
        (start + "group g any a a\nquorum g\n", "a member twice in a group"),
        (start + "group g any a\ngroup h any a b\nquorum h\n", "a member of two groups"),
        (start + "group g any a c\nquorum g\n", "a member that is not defined"),
        (start + "group g any a g\nquorum g\n", "a group in itself"),
        (start + "group g any a none\nquorum g\n", "none as a member"),
        (start + "group a any b\nquorum a\n", "a name twice"),
        (start + f"witness none {COSIGNERS[2].vkey}\nquorum a\n", "a witness named none"),
        (start + f"witness c {one}\nquorum a\n", "one cosigner's key twice"),
        (start + f"log {log}\nquorum a\n", "one log's key twice"),
        (f"log {one}\nquorum none\n", "a cosigner's key for a log"),
        (f"witness a {log}\nquorum a\n", "a log's key for a witness"),
        (start + "quorum a b\n", "a word too many"),
        (start + "Quorum a\n", "an unknown word"),
        (start + "quorum a\r\n", "a carriage return"),
        (start + "quorum a\0\n", "a control character"),
        (start.replace("witness a", "witness س") + "quorum b\n", "a name that is not ASCII"),
        (start + "quorum a # the first\n", "a remark after a statement"),
        (start + "#" + "a" * 65536 + "\nquorum a\n", "more than 65,536 bytes"),
    ]
    rows = [{"why": why, **_bytes(text.encode())} for text, why in cases]
    return [*rows, {"why": "not UTF-8", "bytes": (start + "# ").encode().hex() + "ff" + b"\nquorum a\n".hex()}]


def _anchors() -> Rows:
    digest = hashlib.sha256(b"head").digest()
    good = der.response(digest)
    cases = [
        (b"", "nothing"),
        (good[:-1], "cut off"),
        (good + b"\0", "a byte too many"),
        (der.response(digest, status=b"\2"), "not granted"),
        (der.response(digest, algorithm=der.SHA384), "another hash algorithm"),
        (der.response(digest, content_type=der.TST_INFO), "not signed data"),
        (der.response(digest, time=b"20250401120000"), "a time without zone"),
        (der.response(digest, time=b"250401120000Z"), "a year of two digits"),
        (der.sequence(der.sequence(der.element(0x02, b"\2"))), "a refusal without token"),
        (b"\x30\x80" + good[3:] + b"\0\0", "an indefinite length"),
        (b"\x30\x83\0" + good[2:4] + good[4:] if good[1] == 0x82 else b"\x30\x82\0" + good[2:], "a length too long"),
    ]
    return [{"why": why, "bytes": data.hex()} for data, why in cases]
