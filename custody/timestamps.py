"""Timestamps of authorities (RFC 3161): who they are, the question, and what makes an answer one that is kept.

A response is good only if it is for the very bytes of a checkpoint, carries our nonce, and is signed by a certificate
for timestamps that leads to a configured root and was valid at the time stated.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from django.conf import settings
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder, VerifierBuilder, decode_timestamp_response
from rfc3161_client.errors import VerificationError
from rfc3161_client.tsp import PKIStatus, TimeStampResponse

from custody.outside import ask, require_safe

MOST = 64 * 1024  # bytes of a response (docs/spec/ledger.md, section 12)
SKEW = timedelta(minutes=10)
_NAME_MOST = 64


class AuthoritiesProblem(ValueError):
    """The file of authorities cannot be used. One sentence that names what is wrong in it."""


class Refused(Exception):
    """The response is not one that is kept. One sentence, for the audit desk."""


@dataclass(frozen=True)
class Authority:
    """Who timestamps: where to ask, and the roots its certificates lead to. `test` labels a time as worth nothing."""

    name: str
    url: str
    roots: Sequence[x509.Certificate]
    test: bool = False


def authorities() -> Sequence[Authority]:
    """The configured authorities, none where the file is absent. Raises AuthoritiesProblem."""
    path = Path(settings.SANAD_AUTHORITIES)
    try:
        stored = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as problem:
        raise AuthoritiesProblem(f"{path.name} cannot be read: {problem}") from None
    rows = stored.pop("authority", [])
    if stored or not isinstance(rows, list):
        raise AuthoritiesProblem(f"{path.name} holds [[authority]] tables and nothing else")
    found = [_authority(path, row) for row in rows]
    if len({authority.name for authority in found}) < len(found):
        raise AuthoritiesProblem(f"two authorities of {path.name} have one name")
    return found


def _authority(path: Path, row: Any) -> Authority:
    known = {"name": str, "url": str, "roots": str, "test": bool}
    if not isinstance(row, dict) or row.keys() - known or {"name", "url", "roots"} - row.keys():
        raise AuthoritiesProblem(f"an authority of {path.name} has name, url, roots, and perhaps test")
    for key, value in row.items():
        if type(value) is not known[key] or value == "":
            raise AuthoritiesProblem(f"{key} of an authority in {path.name} is not of the right kind")
    if len(row["name"]) > _NAME_MOST or not row["name"].isprintable():
        raise AuthoritiesProblem(f"the name of an authority has at most {_NAME_MOST} characters")
    try:
        url = require_safe(row["url"])
        roots = x509.load_pem_x509_certificates((path.parent / row["roots"]).read_bytes())
    except (OSError, ValueError) as problem:
        raise AuthoritiesProblem(f"{row['name']} of {path.name}: {problem}") from None
    return Authority(row["name"], url, roots, row.get("test", False))


def stamp(authority: Authority, note: bytes) -> tuple[bytes, datetime]:
    """The authority's response over these bytes, whole, and the time in it. Raises Refused or OutsideProblem."""
    builder = TimestampRequestBuilder().data(note).hash_algorithm(HashAlgorithm.SHA512).nonce(nonce=True)
    question = builder.cert_request(cert_request=True).build()
    reply = ask(authority.url, question.as_bytes(), type="application/timestamp-query", most=MOST)
    if reply.status != 200 or reply.type != "application/timestamp-reply":
        raise Refused(f"it answered with status {reply.status} and no timestamp")
    at = verified(authority, note, reply.body, nonce=question.nonce)
    if abs(at - datetime.now(UTC)) > SKEW:
        raise Refused(f"its time is {at:%Y-%m-%d %H:%M} UTC, which our clock contradicts")
    return reply.body, at


def verified(authority: Authority, note: bytes, response: bytes, *, nonce: int | None = None) -> datetime:
    """The time (UTC) in a response that vouches for these bytes of a checkpoint. Raises Refused, in words.

    With a nonce, it is the answer to that very question; without one, an accepted response is read again.
    """
    try:
        decoded = decode_timestamp_response(in_order(response))
    except ValueError:
        raise Refused("its answer is not a timestamp response") from None
    _require_granted(decoded)
    verifier = VerifierBuilder(roots=list(authority.roots), nonce=nonce).build()
    try:
        if nonce is not None and decoded.tst_info.nonce != nonce:
            raise Refused("its answer is to another question (nonce)")
        verifier.verify_message(decoded, note)
        return decoded.tst_info.gen_time.astimezone(UTC)
    except VerificationError as problem:
        raise Refused(f"its timestamp does not hold: {problem}") from None
    except (ValueError, TypeError, AttributeError) as problem:
        raise Refused(f"its timestamp cannot be read ({type(problem).__name__})") from None


def _require_granted(decoded: TimeStampResponse) -> None:
    try:
        status = PKIStatus(decoded.status)
    except ValueError:
        raise Refused("its answer has no status of RFC 3161") from None
    if status is not PKIStatus.GRANTED:
        raise Refused(f"it did not give a timestamp (status {status.name.lower().replace('_', ' ')})")


def in_order(response: bytes) -> bytes:
    """The response with its certificates in the order DER asks of a SET, which many authorities do not keep.

    No signature covers them (RFC 5652, 5.1), so their order means nothing; the parser insists on it. What cannot be
    walked is returned as it is.
    """
    try:
        at = _after(response, _inside(response, 0))  # past the status
        at = _after(response, _inside(response, at))  # past the content type
        at = _inside(response, _inside(response, at))  # into SignedData
        for _ in range(3):  # past version, digest algorithms and content
            at = _after(response, at)
        start, end = _inside(response, at), _after(response, at)
        if response[at] != 0xA0:
            return response
        elements, at = [], start
        while at < end:
            elements.append(response[at : _after(response, at)])
            at += len(elements[-1])
    except IndexError:
        return response
    return response[:start] + b"".join(sorted(elements)) + response[end:]


def _inside(data: bytes, at: int) -> int:
    """Where the content of the element at a place begins. Raises IndexError past the end."""
    return at + 2 + (data[at + 1] & 0x7F if data[at + 1] & 0x80 else 0)


def _after(data: bytes, at: int) -> int:
    """Where the element at a place ends. Raises IndexError when that is not inside the data."""
    start = _inside(data, at)
    length = data[at + 1] if start == at + 2 else int.from_bytes(data[at + 2 : start], "big")
    if start + length > len(data):
        raise IndexError
    return start + length
