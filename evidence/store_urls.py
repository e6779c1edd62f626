"""Where the archive keeps its bytes, as one line of settings: URLs in the order in which they are read.

    file:///srv/archive/store  s3://bucket/prefix?endpoint=https://host:port&lock=COMPLIANCE&days=30&name=far&later=1

`name` stands in the ledger and in messages; by default `files` or the bucket. Credentials never stand in a URL.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

LOCKS = ("GOVERNANCE", "COMPLIANCE")
MOST_STORES = 8
MOST_DAYS = 36_500
FILE_OPTIONS = frozenset({"name", "later"})
S3_OPTIONS = FILE_OPTIONS | {"endpoint", "region", "lock", "days", "insecure"}
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,38}\Z")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9/_.-]{0,198}\Z")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class BadStoreUrl(ValueError):
    """A line about stores that says nothing sensible; the message holds no secret."""


@dataclass(frozen=True)
class FilePlace:
    """A folder on this machine."""

    name: str
    later: bool
    folder: Path

    @property
    def where(self) -> str:
        return self.folder.as_uri()


@dataclass(frozen=True)
class S3Place:
    """A bucket, or a prefix in one. `days` of retention are set on each object when `lock` names a mode."""

    name: str
    later: bool
    bucket: str
    prefix: str  # "" or ends with a slash
    endpoint: str  # "" is the provider's own
    region: str
    lock: str
    days: int

    @property
    def where(self) -> str:
        at = f" at {self.endpoint}" if self.endpoint else ""
        lock = f", {self.lock} for {self.days} days" if self.lock else ""
        return f"s3://{self.bucket}/{self.prefix}{at}{lock}"


Place = FilePlace | S3Place


def parse(line: str) -> tuple[Place, ...]:
    """Every store of a line. Raises BadStoreUrl in one sentence."""
    places = tuple(_place(url) for url in line.split())
    if not places or len(places) > MOST_STORES:
        raise BadStoreUrl(f"name between 1 and {MOST_STORES} stores.")
    names = [place.name for place in places]
    for name in names:
        if names.count(name) > 1:
            raise BadStoreUrl(f"two stores are called {name}; give them names with name=.")
    wheres = [_identity(place) for place in places]
    if len(set(wheres)) != len(wheres):
        raise BadStoreUrl("one place is named as two stores: that would be one copy that counts twice.")
    if all(place.later for place in places):
        raise BadStoreUrl("every store is later=1: at least one must hold the bytes before a reception is confirmed.")
    return places


def _identity(place: Place) -> tuple[str, ...]:
    if isinstance(place, FilePlace):
        return ("file", str(place.folder.resolve()))
    return ("s3", place.endpoint.lower(), place.bucket, place.prefix)


def _place(url: str) -> Place:
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True) if parts.query else []
    except ValueError:
        raise BadStoreUrl("a store is a URL: file:///folder or s3://bucket?endpoint=https://host.") from None
    if "@" in parts.netloc:
        raise BadStoreUrl("a store's URL holds no credentials; they belong into the file of store keys.")
    options = dict(pairs)
    if parts.scheme not in ("file", "s3"):
        raise BadStoreUrl(f"a store is file:///folder or s3://bucket, not {parts.scheme or 'a path'}.")
    known = FILE_OPTIONS if parts.scheme == "file" else S3_OPTIONS
    for option in options:
        if option not in known or len(options) != len(pairs):
            raise BadStoreUrl(f"{option[:40]!r} is no option of a {parts.scheme} store, or is given twice.")
    later = _flag(options, "later")
    if parts.scheme == "file":
        folder = Path(unquote(parts.path))
        if parts.netloc or not folder.is_absolute() or folder == Path("/") or parts.fragment:
            raise BadStoreUrl("a file store is file:/// and an absolute folder.")
        return FilePlace(_name(options.get("name", "files")), later, folder)
    return _s3(parts.netloc, parts.path, options, later)


def _s3(bucket: str, path: str, options: dict[str, str], later: bool) -> S3Place:
    if not _BUCKET.match(bucket):
        raise BadStoreUrl(f"{bucket!r} is no name of a bucket.")
    prefix = path.strip("/")
    if prefix and (not _PREFIX.match(prefix) or "//" in prefix or ".." in prefix):
        raise BadStoreUrl(f"{prefix!r} is no prefix in a bucket.")
    endpoint = options.get("endpoint", "").rstrip("/")
    if endpoint:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.path:
            raise BadStoreUrl("endpoint= is https://host or https://host:port.")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not _flag(options, "insecure"):
            raise BadStoreUrl("endpoint= is not https; insecure=1 says that the network up to the store is yours.")
    lock, days = options.get("lock", ""), options.get("days", "")
    if lock and lock not in LOCKS:
        raise BadStoreUrl(f"lock= is {' or '.join(LOCKS)}.")
    if bool(lock) != bool(days):
        raise BadStoreUrl("lock= and days= are given together: how objects are locked, and for how long.")
    if days and not (days.isascii() and days.isdigit() and 1 <= int(days) <= MOST_DAYS):
        raise BadStoreUrl(f"days= is a whole number between 1 and {MOST_DAYS}.")
    return S3Place(
        name=_name(options.get("name", bucket.replace(".", "-")[:39])),
        later=later,
        bucket=bucket,
        prefix=f"{prefix}/" if prefix else "",
        endpoint=endpoint,
        region=options.get("region", "us-east-1"),
        lock=lock,
        days=int(days or 0),
    )


def _flag(options: dict[str, str], name: str) -> bool:
    value = options.get(name, "0")
    if value not in ("0", "1"):
        raise BadStoreUrl(f"{name}= is 1 or 0.")
    return value == "1"


def _name(name: str) -> str:
    if not _NAME.match(name):
        raise BadStoreUrl("name= is at most 39 small letters, digits and hyphens.")
    return name
