"""How an S3 store is asked whether it keeps its word: requests beneath one fresh prefix, and what must be refused."""

import base64
import hashlib
import http.client
import secrets
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from evidence.store_s3 import S3Store, status
from evidence.store_shape import StoreProblem

LOCKED_SECONDS = 60
ANSWER_SECONDS = 15


class Broken(StoreProblem):
    """The store did something else than it must."""


class Asking:
    """Requests beneath one fresh prefix, and the questions."""

    def __init__(self, one: S3Store) -> None:
        self.client, self.bucket = one.client, one.place.bucket
        self.home = f"{one.place.prefix}probe/"
        self.prefix = f"{self.home}{secrets.token_hex(8)}/"
        self.mode = one.place.lock

    def key(self, name: str) -> str:
        return self.prefix + name

    def put(self, key: str, body: bytes, **more: Any) -> Any:
        return self.client.put_object(Bucket=self.bucket, Key=key, Body=body, **more)

    def get(self, key: str, **more: Any) -> bytes:
        body: bytes = self.client.get_object(Bucket=self.bucket, Key=key, **more)["Body"].read()
        return body

    def stands(self, key: str) -> bool:
        try:
            self.client.head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if status(error) == 404:
                return False
            raise
        return True

    def refused(self, what: str, request: Callable[[], Any], *codes: int) -> None:
        """The request must be refused with one of these status codes."""
        try:
            request()
        except ClientError as error:
            if status(error) not in codes:
                raise Broken(f"it answered {status(error)} to {what}") from None
            return
        raise Broken(f"it accepted {what}")

    def tidy(self) -> None:
        """Take away what probes left, as far as locks let go of it."""
        for page in self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=self.home):
            for upload in page.get("Uploads", ()):
                self.client.abort_multipart_upload(Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        for page in self.client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=self.home):
            for found in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                with suppress(ClientError):
                    self.client.delete_object(Bucket=self.bucket, Key=found["Key"], VersionId=found["VersionId"])
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.home):
            for found in page.get("Contents", ()):
                with suppress(ClientError):
                    if not self.mode:  # a marker over a locked object would hide it and delete nothing
                        self.client.delete_object(Bucket=self.bucket, Key=found["Key"])

    def until(self) -> datetime:
        return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=LOCKED_SECONDS)

    def lock(self, key: str, until: datetime) -> str:
        more = {"ObjectLockMode": self.mode, "ObjectLockRetainUntilDate": until, "ContentMD5": md5(b"locked")}
        version: str = self.put(key, b"locked", **more)["VersionId"]
        return version

    def retain(self, key: str, version: str, mode: str, until: datetime, bypass: bool = False) -> None:
        self.client.put_object_retention(
            Bucket=self.bucket,
            Key=key,
            VersionId=version,
            Retention={"Mode": mode, "RetainUntilDate": until},
            **({"BypassGovernanceRetention": True} if bypass else {}),
        )

    def start(self, key: str, **more: Any) -> str:
        upload: str = self.client.create_multipart_upload(
            Bucket=self.bucket, Key=key, ChecksumAlgorithm="SHA256", **more
        )["UploadId"]
        return upload

    def complete(self, key: str, upload: str, bodies: list[bytes], **more: Any) -> None:
        place, parts = {"Bucket": self.bucket, "Key": key, "UploadId": upload}, []
        for number, body in enumerate(bodies, 1):
            digests = {"ContentMD5": md5(body), "ChecksumSHA256": sha256(body)}
            made = self.client.upload_part(**place, PartNumber=number, Body=body, **digests)
            parts.append({"PartNumber": number, "ETag": made["ETag"], "ChecksumSHA256": digests["ChecksumSHA256"]})
        self.client.complete_multipart_upload(**place, MultipartUpload={"Parts": parts}, **more)


def connection(scheme: str, where: str) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(where, timeout=ANSWER_SECONDS, context=ssl.create_default_context())
    return http.client.HTTPConnection(where, timeout=ANSWER_SECONDS)


def md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def sha256(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()
