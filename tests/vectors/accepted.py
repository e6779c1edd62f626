"""Cosignatures, policies, consistency files, anchors and receipts that every reader accepts, and what they say."""

import hashlib
import json
from typing import Any

from ledger.checkpoint import format_checkpoint
from ledger.cosignature import cosigned_message
from ledger.entry import canonical
from ledger.grow import consistency_proof, root_from_tiles
from ledger.note import decode_vkey
from ledger.policy import judge, parse_policy
from ledger.proof import format_consistency
from ledger.receipt import RECEIPT_FORMAT, format_receipt, verify_receipt
from ledger.report import Report
from ledger.sign import Ed25519Signer, sign_note
from ledger.verify import Trust
from tests.ledger import der
from tests.ledger.sample import COSIGNERS, KEYS, ORIGIN, SEED, Sample, sample_log

Rows = list[dict[str, Any]]


def cosignatures() -> Rows:
    text = format_checkpoint(ORIGIN, 7, bytes(range(32)))
    return [
        {
            "seed": (bytes([number]) * 32).hex(),
            "vkey": cosigner.vkey,
            "time": 1_743_500_000,
            "text": text,
            "message": cosigned_message(1_743_500_000, text.encode()).decode(),
            "note": sign_note(text, KEYS[0], cosigner),
        }
        for number, cosigner in enumerate(COSIGNERS, 1)
    ]


def consistency() -> Rows:
    log, _ = sample_log()
    size = len(log.entries)
    return [
        {
            "vkey": KEYS[0].vkey,
            "old": old,
            "old_root": root_from_tiles(old, log.read_tile).hex(),
            "text": format_consistency(old, consistency_proof(old, size, log.read_tile), log.note()),
        }
        for old in range(1, size + 1)
    ]


def policies() -> Rows:
    """Each policy with notes that some of the three cosigners have signed."""
    text = format_checkpoint(ORIGIN, 7, bytes(range(32)))
    keys = "".join(f"witness w{number} {cosigner.vkey}\n" for number, cosigner in enumerate(COSIGNERS, 1))
    log = f"log {KEYS[0].vkey} https://archive.example/log\n"
    written = [
        "quorum none\n",
        f"# nobody but the log\n\n{log}quorum none\n",
        f"{log}{keys}quorum w2\n",
        f"{log}{keys}group g any w1 w2 w3\nquorum g\n",
        f"{log}{keys}group g all w1 w2 w3\nquorum g\n",
        f"{log}{keys}group g 2 w1 w2 w3\nquorum g\n",
        f" {log}{keys}\tgroup\tx any w1\t w2 \ngroup both all x w3\nquorum both\n",
        f"{log}{keys}group # 1 w1\nquorum #\n",
    ]
    rows = []
    for policy in written:
        for chosen in ((), (0,), (1,), (0, 1), (0, 2), (0, 1, 2)):
            note = sign_note(text, KEYS[0], *(COSIGNERS[number] for number in chosen))
            quorum = judge(parse_policy(policy.encode()), note)
            rows.append({"policy": policy, "note": note, "met": quorum.met, "cosigned": dict(quorum.cosigned)})
    return rows


def anchors() -> Rows:
    rows = []
    for name, algorithm in (("sha256", der.SHA256), ("sha512", der.SHA512)):
        imprint = hashlib.new(name, b"head").digest()
        for status, time in ((b"\0", b"20250401120000Z"), (b"\1", b"20250401120000.25Z")):
            response = der.response(imprint, algorithm=algorithm, time=time, status=status)
            told = "2025-04-01T12:00:00" + time[14:].decode()
            rows.append({"bytes": response.hex(), "algorithm": name, "imprint": imprint.hex(), "time": told})
    return rows


def receipts() -> Rows:
    """Receipts good and bad, each with the expected verdict under a trusted key (or none)."""
    log, _ = sample_log()
    vkey, opened = log.signer.vkey, {"object": log.opened[1]["object"]}
    good = json.loads(format_receipt(log.entries[1], opened, vkey, log.proof(1)))
    salt, value = log.opened[1]["object"]
    other: dict[str, Any] = {"salt": salt.hex(), "value": {**value, "size": value["size"] + 1}}
    described = json.loads(format_receipt(log.entries[2], {"to": log.opened[2]["to"]}, vkey, log.proof(2)))
    rotated = Sample("rotated")
    size, old = len(rotated.log.entries), min(rotated.heads)
    later = format_receipt(
        rotated.log.entries[1], {"object": rotated.log.opened[1]["object"]}, KEYS[2].vkey,
        rotated.proof(1, size, rotated.note()),
    )  # fmt: skip
    earlier = format_receipt(
        rotated.log.entries[1], {"object": rotated.log.opened[1]["object"]}, vkey,
        rotated.proof(1, old, rotated.heads[old]),
    )  # fmt: skip
    changes: list[tuple[str, dict[str, Any], list[str]]] = [
        ("recorded", {}, []),
        ("pending", {"proof": None, "state": "pending"}, []),
        ("further fields opened", {"opened": {**good["opened"], "agent": _opening(log.opened[1]["agent"])}}, []),
        ("a state that is not the proof's", {"state": "pending"}, []),
        ("recorded without a proof", {"proof": None}, []),
        ("another format", {"format": "sanad-receipt/2"}, []),
        ("a member too many", {"more": 1}, []),
        ("a salt in upper case", {"opened": {"object": {**other, "salt": other["salt"].upper()}}}, []),
        ("another size", {"opened": {"object": other}}, []),
        ("nothing opened", {"opened": {}}, []),
        ("a field the entry does not hold", {"opened": {**good["opened"], "x": other}}, []),
        ("no key", {"vkey": vkey[:-1]}, []),
        ("another key", {"vkey": KEYS[1].vkey}, []),
        ("the key of another log", {"vkey": COSIGNERS[0].vkey}, []),
        ("no entry", {"entry": "{}"}, []),
        ("another entry", {"entry": log.entries[4].decode()}, []),
        ("an entry with a newline", {"entry": good["entry"] + "\n"}, []),
        ("no proof", {"proof": "x"}, []),
        ("the proof of another entry", {"proof": log.proof(4)}, []),
        ("a proof under a changed head", {"proof": good["proof"].replace("\n7\n", "\n8\n")}, []),
        ("a proof under no checkpoint", {"proof": good["proof"].replace("\n7\n", "\n07\n")}, []),
        ("trusted", {}, [vkey]),
        ("trusted, among others", {}, [KEYS[1].vkey, vkey]),
        ("signed by no trusted key of this log", {}, [KEYS[1].vkey]),
        ("no trusted key of this log", {}, [Ed25519Signer("other.example", SEED).vkey]),
    ]
    rows = [(why, _bytes({**good, **change}), keys) for why, change, keys in changes]
    rows += [
        ("of no reception", _bytes(described), []),
        ("a newline at the end", _bytes(good) + b"\n", []),
        ("not JSON", b"sanad", []),
        ("signed by a later key", later, [KEYS[2].vkey]),
        ("signed by a later key, trusting the first", later, [KEYS[0].vkey]),
        ("signed by the first key before it was retired", earlier, [KEYS[0].vkey, KEYS[2].vkey]),
    ]
    assert good["format"] == RECEIPT_FORMAT
    return [_receipt_row(why, data, keys) for why, data, keys in rows]


def _bytes(value: Any) -> bytes:
    return canonical(value, max_bytes=1 << 22, max_depth=20)


def _opening(pair: tuple[bytes, Any]) -> dict[str, Any]:
    return {"salt": pair[0].hex(), "value": pair[1]}


def _receipt_row(why: str, data: bytes, vkeys: list[str]) -> dict[str, Any]:
    report = verify_receipt(data, Trust([decode_vkey(vkey) for vkey in vkeys]))
    return {"why": why, "text": data.decode(), "vkeys": vkeys, **compared(report), "reception": report.reception}


def compared(report: Report) -> dict[str, Any]:
    """The part of a report in which two verifiers agree."""
    return {
        "exit_code": report.exit_code,
        "trust": report.trust,
        "problems": [list(pair) for pair in sorted({(problem.where, problem.code) for problem in report.problems})],
    }
