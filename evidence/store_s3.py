"""The S3 store: one object for an address, under the same two-letter folders as in the file store.

1. Every write carries its digests and `If-None-Match: *`: a store that keeps its word can neither take other bytes nor
   overwrite. Whether it keeps its word is asked beforehand (evidence.store_probes), and by each read-back.
2. Waits are bounded: connecting CONNECT_SECONDS, one answer ANSWER_SECONDS, ATTEMPTS tries.
3. With a lock each object is kept against deletion from the moment it is written (S3 Object Lock).
"""

import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError
from botocore.exceptions import ConnectionError as NoConnection
from botocore.session import Session

from evidence.store_keys import Credentials
from evidence.store_reading import reader
from evidence.store_shape import Held, Locked, Missing, StoreProblem, Unreachable, is_address, must_be_address
from evidence.store_urls import S3Place

CONNECT_SECONDS = 5
ANSWER_SECONDS = 60
ATTEMPTS = 3
SINGLE = 64 << 20  # bytes up to which an object is put in one request
PART = 64 << 20
MOST_PARTS = 10_000
QUARANTINE = "quarantine/"
CONNECTIONS = 32
_BUSY = 500


class S3Store:
    """Objects under one prefix of a bucket (evidence.store_shape.Store)."""

    def __init__(self, place: S3Place, credentials: Credentials | None) -> None:
        self.name, self.later, self.place = place.name, place.later, place
        self._credentials = credentials
        self._made: Any = None
        self._versions: bool | None = None
        self._making = threading.Lock()

    @property
    def where(self) -> str:
        return self.place.where

    @property
    def client(self) -> Any:
        """The botocore client, which threads share."""
        with self._making:
            if self._made is None:
                named = self._credentials
                self._made = Session().create_client(
                    "s3",
                    region_name=self.place.region,
                    endpoint_url=self.place.endpoint or None,
                    aws_access_key_id=named.access_key if named else None,
                    aws_secret_access_key=named.secret_key if named else None,
                    config=Config(
                        connect_timeout=CONNECT_SECONDS,
                        read_timeout=ANSWER_SECONDS,
                        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
                        max_pool_connections=CONNECTIONS,
                        s3={"addressing_style": "path" if self.place.endpoint else "auto"},
                        request_checksum_calculation="when_required",
                        response_checksum_validation="when_required",
                    ),
                )
            return self._made

    def key_of(self, address: str) -> str:
        """The object's key. Raises ValueError."""
        must_be_address(address)
        return f"{self.place.prefix}{address[:2]}/{address[2:4]}/{address}"

    def put(self, staged: Path, address: str) -> None:
        size = staged.stat().st_size
        there = self.stat(address)
        if there is not None and there.size == size:
            return  # the caller reads it back in any case
        with self.words(), suppress(_Stands):
            self._put(staged, address, size, {"IfNoneMatch": "*"})

    def replace(self, staged: Path, address: str) -> str:
        key, aside = self.key_of(address), ""
        with self.words(missing=False):
            found = self._head(key)
            if found is not None and self._keeps_versions():
                aside = f"version {found.get('VersionId', 'null')}"
            elif found is not None:
                stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
                aside = f"{self.place.prefix}{QUARANTINE}{address}.{stamp}"
                self._copy(key, aside, found["ContentLength"])
            condition = {"IfMatch": found["ETag"]} if found else {"IfNoneMatch": "*"}
            try:
                self._put(staged, address, staged.stat().st_size, condition)
            except _Stands:
                raise StoreProblem(f"{self.name}: somebody else wrote there meanwhile") from None
        return aside

    @contextmanager
    def open(self, address: str) -> Iterator[BinaryIO]:
        found = self.stat(address)
        if found is None:
            raise Missing("the stored bytes are missing")
        key = self.key_of(address)

        def window(start: int, stop: int) -> Any:
            with self.words():
                return self.client.get_object(Bucket=self.place.bucket, Key=key, Range=f"bytes={start}-{stop - 1}")[
                    "Body"
                ]

        with reader(window, found.size) as handle:
            yield handle

    def stat(self, address: str) -> Held | None:
        with self.words():
            found = self._head(self.key_of(address))
        return Held(address, found["ContentLength"], found["LastModified"].timestamp()) if found else None

    def remove(self, address: str) -> None:
        locked: Locked | None = None
        with self.words(missing=False):
            for key, version in self._objects(address):
                which = {"VersionId": version} if version else {}
                bypass = {"BypassGovernanceRetention": True} if self.place.lock == "GOVERNANCE" else {}
                try:
                    self.client.delete_object(Bucket=self.place.bucket, Key=key, **which, **bypass)
                except ClientError as error:
                    if status(error) not in (400, 403):
                        raise
                    found = self._kept(key, which)
                    if found is None:
                        raise
                    locked = _later(locked, found)
        if locked is not None:
            raise locked

    def entries(self) -> Iterator[Held]:
        last = ""
        with self.words(missing=False):
            pages = self.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.place.bucket, Prefix=self.place.prefix):
                for found in page.get("Contents", ()):
                    address = found["Key"].rpartition("/")[2]
                    if not is_address(address) or self.key_of(address) != found["Key"]:
                        continue
                    if address <= last:
                        raise StoreProblem(f"{self.name} lists its objects out of order")
                    last = address
                    yield Held(address, found["Size"], found["LastModified"].timestamp())

    def sweep(self, before: float) -> int:
        removed = 0
        with self.words(missing=False):
            pages = self.client.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=self.place.bucket, Prefix=self.place.prefix):
                for upload in page.get("Uploads", ()):
                    if upload["Initiated"].timestamp() < before:
                        self._abort(upload["Key"], upload["UploadId"])
                        removed += 1
        return removed

    def renew(self, address: str) -> None:
        """Lengthen the retention of an object of which less than half is left. Raises Missing, StoreProblem."""
        if not self.place.lock:
            return
        key, now = self.key_of(address), datetime.now(UTC)
        with self.words():
            found = self.client.head_object(Bucket=self.place.bucket, Key=key)
            until = found.get("ObjectLockRetainUntilDate")
            if until is not None and until - now > timedelta(days=self.place.days) / 2:
                return
            retention = {"Mode": self.place.lock, "RetainUntilDate": now + timedelta(days=self.place.days)}
            self.client.put_object_retention(Bucket=self.place.bucket, Key=key, Retention=retention)

    def hold(self, address: str, *, on: bool) -> None:
        """Set or lift the legal hold of an object (S3 Object Lock). Raises Missing, StoreProblem."""
        with self.words():
            self.client.put_object_legal_hold(
                Bucket=self.place.bucket, Key=self.key_of(address), LegalHold={"Status": "ON" if on else "OFF"}
            )

    def _put(self, staged: Path, address: str, size: int, condition: dict[str, str]) -> None:
        """Raises _Stands when the condition does not hold."""
        try:
            if size <= SINGLE:
                self._put_whole(staged, address, size, condition)
            else:
                self._put_in_parts(staged, address, size, condition)
        except ClientError as error:
            if status(error) in (409, 412):
                raise _Stands from None
            raise

    def _put_whole(self, staged: Path, address: str, size: int, condition: dict[str, str]) -> None:
        with staged.open("rb") as body:
            piece = _Slice(body, 0, size)
            md5 = piece.digest("md5")
            self.client.put_object(
                Bucket=self.place.bucket,
                Key=self.key_of(address),
                Body=piece,
                ContentLength=size,
                ContentMD5=_base64(md5),
                ChecksumSHA256=_base64(bytes.fromhex(address)),
                ContentType="application/octet-stream",
                **condition,
                **self._locked(),
            )

    def _put_in_parts(self, staged: Path, address: str, size: int, condition: dict[str, str]) -> None:
        place = {"Bucket": self.place.bucket, "Key": self.key_of(address)}
        started = self.client.create_multipart_upload(
            **place, ChecksumAlgorithm="SHA256", ContentType="application/octet-stream", **self._locked()
        )
        upload = place | {"UploadId": started["UploadId"]}
        length = max(PART, -(-size // MOST_PARTS))
        parts = []
        try:
            with staged.open("rb") as body:
                for number, start in enumerate(range(0, size, length), 1):
                    piece = _Slice(body, start, min(length, size - start))
                    sha256 = _base64(piece.digest("sha256"))
                    made = self.client.upload_part(
                        **upload,
                        PartNumber=number,
                        Body=piece,
                        ContentLength=piece.length,
                        ContentMD5=_base64(piece.digest("md5")),
                        ChecksumSHA256=sha256,
                    )
                    parts.append({"PartNumber": number, "ETag": made["ETag"], "ChecksumSHA256": sha256})
            self.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, **condition)
        except BaseException:
            with suppress(BotoCoreError, ClientError):  # the reconciler aborts what stays
                self._abort(place["Key"], started["UploadId"])
            raise

    def _abort(self, key: str, upload: str) -> None:
        with suppress(self.client.exceptions.NoSuchUpload):
            self.client.abort_multipart_upload(Bucket=self.place.bucket, Key=key, UploadId=upload)

    def _locked(self) -> dict[str, Any]:
        if not self.place.lock:
            return {}
        until = datetime.now(UTC) + timedelta(days=self.place.days)
        return {"ObjectLockMode": self.place.lock, "ObjectLockRetainUntilDate": until}

    def _head(self, key: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self.client.head_object(Bucket=self.place.bucket, Key=key)
        except ClientError as error:
            if status(error) == 404:
                return None
            raise
        return found

    def _copy(self, key: str, target: str, size: int) -> None:
        source = {"Bucket": self.place.bucket, "Key": key}
        place = {"Bucket": self.place.bucket, "Key": target}
        if size <= SINGLE:
            self.client.copy_object(**place, CopySource=source)
            return
        upload = place | {"UploadId": self.client.create_multipart_upload(**place)["UploadId"]}
        length, parts = max(PART, -(-size // MOST_PARTS)), []
        for number, start in enumerate(range(0, size, length), 1):
            span = f"bytes={start}-{min(start + length, size) - 1}"
            made = self.client.upload_part_copy(**upload, PartNumber=number, CopySource=source, CopySourceRange=span)
            parts.append({"PartNumber": number, "ETag": made["CopyPartResult"]["ETag"]})
        self.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})

    def _keeps_versions(self) -> bool:
        if self._versions is None:
            found = self.client.get_bucket_versioning(Bucket=self.place.bucket)
            self._versions = found.get("Status") == "Enabled"
        return self._versions

    def _objects(self, address: str) -> Iterator[tuple[str, str]]:
        """(key, version) of everything that is kept for an address; the version is "" where there are none."""
        aside = f"{self.place.prefix}{QUARANTINE}{address}."
        for prefix in (self.key_of(address), aside):
            if self._keeps_versions():
                pages = self.client.get_paginator("list_object_versions")
                for page in pages.paginate(Bucket=self.place.bucket, Prefix=prefix):
                    for found in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                        yield found["Key"], found["VersionId"]
            elif prefix != aside:
                yield prefix, ""
            else:
                pages = self.client.get_paginator("list_objects_v2")
                for page in pages.paginate(Bucket=self.place.bucket, Prefix=prefix):
                    for found in page.get("Contents", ()):
                        yield found["Key"], ""

    def _kept(self, key: str, which: dict[str, str]) -> Locked | None:
        """Why the store does not delete a version, if it is a lock."""
        found = self.client.head_object(Bucket=self.place.bucket, Key=key, **which)
        until = found.get("ObjectLockRetainUntilDate")
        if found.get("ObjectLockLegalHoldStatus") == "ON":
            return Locked(f"{self.name} keeps the object under a legal hold", None)
        if until is not None and until > datetime.now(UTC):
            return Locked(f"{self.name} keeps the object until {until:%Y-%m-%d %H:%M:%S} UTC", until)
        return None

    @contextmanager
    def words(self, *, missing: bool = True) -> Iterator[None]:
        """Turn what the client raises into what callers of a store expect."""
        try:
            yield
        except NoCredentialsError:
            raise StoreProblem(f"{self.name}: no credentials for this store are set") from None
        except (NoConnection, HTTPClientError) as error:
            raise Unreachable(f"{self.name} does not answer ({type(error).__name__})") from error
        except BotoCoreError as error:
            raise StoreProblem(f"{self.name}: {type(error).__name__}") from error
        except ClientError as error:
            number, code = status(error), error.response.get("Error", {}).get("Code", "")
            if missing and code in ("NoSuchKey", "404") and number == 404:
                raise Missing("the stored bytes are missing") from None
            if number >= _BUSY and number != 507:
                raise Unreachable(f"{self.name} cannot answer now ({number} {code})") from error
            raise StoreProblem(f"{self.name} refused: {number} {code}") from error
        except OSError as error:  # of the staged file
            raise StoreProblem(f"{self.name}: the staged bytes could not be read: {error.strerror}") from error


class _Stands(Exception):
    """The condition of a put did not hold: something stands there."""


class _Slice:
    """A part of an open file as a body that can be sent again; little of it is ever in memory."""

    def __init__(self, handle: BinaryIO, start: int, length: int) -> None:
        self._handle, self._start, self.length, self._at = handle, start, length, 0

    def __len__(self) -> int:
        return self.length

    def read(self, size: int = -1) -> bytes:
        left = self.length - self._at
        self._handle.seek(self._start + self._at)
        data = self._handle.read(left if size < 0 else min(size, left))
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + {0: 0, 1: self._at, 2: self.length}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def digest(self, name: str) -> bytes:
        """The digest of the whole part; the next read starts at its beginning again."""
        hasher = hashlib.new(name, usedforsecurity=False)
        self.seek(0)
        while piece := self.read(1 << 20):
            hasher.update(piece)
        self.seek(0)
        return hasher.digest()


def _later(one: Locked | None, other: Locked) -> Locked:
    """Of two locks the one that ends later; a legal hold has no end."""
    if one is None or other.until is None:
        return other
    return one if one.until is None or one.until >= other.until else other


def status(error: ClientError) -> int:
    """The HTTP status of a refusal."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
