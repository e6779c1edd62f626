"""What every S3 store of an archive must do, each as one question (evidence.store_probes asks them)."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from evidence.store_asking import Asking, Broken, connection, md5, sha256
from evidence.store_s3 import status

PART = 5 << 20  # the smallest part that S3 allows before the last
WRITERS = 6


def gives_back(ask: Asking) -> None:
    for size in (0, 1, 70_000, 1 << 20):
        key, body = ask.key(f"size-{size}"), os.urandom(size)
        ask.put(key, body, ContentMD5=md5(body), ChecksumSHA256=sha256(body))
        if ask.get(key) != body:
            raise Broken(f"{size} bytes came back as others")


def tells_the_size(ask: Asking) -> None:
    key = ask.key("size")
    ask.put(key, b"x" * 12_345)
    length = ask.client.head_object(Bucket=ask.bucket, Key=key)["ContentLength"]
    if length != 12_345:
        raise Broken(f"of 12345 bytes it says {length}")


def says_what_is_absent(ask: Asking) -> None:
    ask.refused("a request for what was never there", lambda: ask.get(ask.key("never")), 404)
    if ask.stands(ask.key("never")):
        raise Broken("it says that something stands where nothing was put")


def refuses_a_wrong_md5(ask: Asking) -> None:
    key = ask.key("wrong-md5")
    ask.refused("a wrong Content-MD5", lambda: ask.put(key, b"sent", ContentMD5=md5(b"meant")), 400)
    if ask.stands(key):
        raise Broken("it refused the bytes and kept them")


def refuses_a_wrong_sha256(ask: Asking) -> None:
    key = ask.key("wrong-sha256")
    ask.refused("a wrong SHA-256", lambda: ask.put(key, b"sent", ChecksumSHA256=sha256(b"meant")), 400)
    if ask.stands(key):
        raise Broken("it refused the bytes and kept them")


def never_overwrites_on_condition(ask: Asking) -> None:
    key = ask.key("once")
    ask.put(key, b"first", IfNoneMatch="*")
    ask.refused("a second If-None-Match: *", lambda: ask.put(key, b"second", IfNoneMatch="*"), 409, 412)
    if ask.get(key) != b"first":
        raise Broken("it refused the second bytes and kept them")


def lets_one_of_many_win(ask: Asking) -> None:
    key = ask.key("race")
    bodies = [os.urandom(1000) for _ in range(WRITERS)]

    def write(body: bytes) -> bytes | None:
        try:
            ask.put(key, body, IfNoneMatch="*")
        except ClientError as error:
            if status(error) in (409, 412):
                return None
            raise
        return body

    with ThreadPoolExecutor(WRITERS) as pool:
        won = [body for body in pool.map(write, bodies) if body is not None]
    if len(won) != 1:
        raise Broken(f"{len(won)} of {WRITERS} writers were told that they were the first")
    if ask.get(key) != won[0]:
        raise Broken("it kept the bytes of one to whom it said no")


def replaces_only_what_was_seen(ask: Asking) -> None:
    key = ask.key("replaced")
    etag = ask.put(key, b"bad")["ETag"]
    ask.refused("If-Match with another tag", lambda: ask.put(key, b"x", IfMatch='"' + "0" * 32 + '"'), 409, 412)
    ask.put(key, b"good", IfMatch=etag)
    if ask.get(key) != b"good":
        raise Broken("it said that it replaced the bytes and did not")


def gives_ranges(ask: Asking) -> None:
    key, body = ask.key("ranges"), os.urandom(3 << 20)
    ask.put(key, body)
    for start, stop in ((0, 1), (1, 1 << 20), ((1 << 20) - 1, (2 << 20) + 1), (len(body) - 1, len(body))):
        if ask.get(key, Range=f"bytes={start}-{stop - 1}") != body[start:stop]:
            raise Broken(f"bytes {start} to {stop} came back as others")


def refuses_a_range_beyond(ask: Asking) -> None:
    key = ask.key("short")
    ask.put(key, b"short")
    ask.refused("a range beyond the end", lambda: ask.get(key, Range="bytes=5-9"), 416)


def takes_parts(ask: Asking) -> None:
    key, bodies = ask.key("parts"), [os.urandom(PART), os.urandom(1000)]
    ask.complete(key, ask.start(key), bodies)
    if ask.get(key) != b"".join(bodies):
        raise Broken("the parts came back as other bytes")


def refuses_a_wrong_part(ask: Asking) -> None:
    key = ask.key("wrong-part")
    upload = ask.start(key)
    part: dict[str, Any] = {"Bucket": ask.bucket, "Key": key, "UploadId": upload, "PartNumber": 1}
    wrong = {"ContentMD5": md5(b"meant")}, {"ChecksumSHA256": sha256(b"meant")}
    for digest in wrong:
        ask.refused(
            f"a part with a wrong {next(iter(digest))}",
            partial(ask.client.upload_part, **part, Body=b"sent", **digest),
            400,
        )
    ask.client.abort_multipart_upload(Bucket=ask.bucket, Key=key, UploadId=upload)


def never_overwrites_with_parts(ask: Asking) -> None:
    key = ask.key("parts-once")
    ask.put(key, b"first")
    upload = ask.start(key)
    complete = partial(ask.complete, key, upload, [b"second"], IfNoneMatch="*")
    ask.refused("parts over what stands", complete, 409, 412)
    if ask.get(key) != b"first":
        raise Broken("it refused the parts and kept them")
    with suppress(ClientError):
        ask.client.abort_multipart_upload(Bucket=ask.bucket, Key=key, UploadId=upload)


def hides_unfinished_parts(ask: Asking) -> None:
    key = ask.key("unfinished")
    upload = ask.start(key)
    ask.client.upload_part(Bucket=ask.bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"x")
    if ask.stands(key):
        raise Broken("an upload that is not complete can be read")
    listed = ask.client.list_multipart_uploads(Bucket=ask.bucket, Prefix=ask.prefix).get("Uploads", ())
    if upload not in [found["UploadId"] for found in listed]:
        raise Broken("an unfinished upload is not listed, so that it could never be taken away")
    ask.client.abort_multipart_upload(Bucket=ask.bucket, Key=key, UploadId=upload)
    listed = ask.client.list_multipart_uploads(Bucket=ask.bucket, Prefix=ask.prefix).get("Uploads", ())
    if upload in [found["UploadId"] for found in listed]:
        raise Broken("an aborted upload is still there")


def drops_what_breaks_off(ask: Asking) -> None:
    key = ask.key("broken-off")
    url = urlsplit(ask.client.generate_presigned_url("put_object", Params={"Bucket": ask.bucket, "Key": key}))
    line = connection(url.scheme, url.netloc)
    try:
        line.putrequest("PUT", f"{url.path}?{url.query}")
        line.putheader("Content-Length", "100000")
        line.endheaders()
        line.send(b"x" * 50_000)
    finally:
        line.close()
    if ask.stands(key):
        raise Broken("it kept half of an upload that broke off")


def lists_all_in_order(ask: Asking) -> None:
    keys = [ask.key(f"list/{name}") for name in ("a/1", "a/2", "b/1", "c", "d/9/8")]
    for key in reversed(keys):
        ask.put(key, b"x")
    pages = ask.client.get_paginator("list_objects_v2").paginate(
        Bucket=ask.bucket, Prefix=ask.key("list/"), PaginationConfig={"PageSize": 2}
    )
    found = [one["Key"] for page in pages for one in page.get("Contents", ())]
    if found != keys:
        raise Broken(f"it lists {len(found)} of {len(keys)} objects, or in another order")


def deletes(ask: Asking) -> None:
    key = ask.key("deleted")
    ask.put(key, b"x")
    ask.client.delete_object(Bucket=ask.bucket, Key=key)
    if ask.stands(key):
        raise Broken("what was deleted can still be read")


def asks_who_is_there(ask: Asking) -> None:
    key = ask.key("private")
    ask.put(key, b"x")
    url = urlsplit(ask.client.generate_presigned_url("get_object", Params={"Bucket": ask.bucket, "Key": key}))
    for method, path in (("GET", url.path), ("GET", f"{url.path}?{url.query[:-4]}0000"), ("PUT", url.path)):
        line = connection(url.scheme, url.netloc)
        try:
            line.request(method, path, body=b"y" if method == "PUT" else None)
            answer = line.getresponse().status
        finally:
            line.close()
        if answer not in (400, 401, 403):
            raise Broken(f"it answered {answer} to a {method} without a valid signature")


Question = tuple[str, Callable[[Asking], None]]
PROBES: list[Question] = [
    ("gives back what it was given", gives_back),
    ("tells the size of an object", tells_the_size),
    ("says what is absent", says_what_is_absent),
    ("refuses bytes with a wrong Content-MD5", refuses_a_wrong_md5),
    ("refuses bytes with a wrong SHA-256", refuses_a_wrong_sha256),
    ("never overwrites under If-None-Match", never_overwrites_on_condition),
    ("lets one of several writers win under If-None-Match", lets_one_of_many_win),
    ("replaces under If-Match only what was seen", replaces_only_what_was_seen),
    ("gives ranges", gives_ranges),
    ("refuses a range beyond the end", refuses_a_range_beyond),
    ("takes an object in parts", takes_parts),
    ("refuses a part with a wrong digest", refuses_a_wrong_part),
    ("never overwrites with parts under If-None-Match", never_overwrites_with_parts),
    ("hides, lists and aborts unfinished parts", hides_unfinished_parts),
    ("keeps nothing of an upload that broke off", drops_what_breaks_off),
    ("lists everything, in order, page by page", lists_all_in_order),
    ("deletes what it is told to delete", deletes),
    ("answers nobody without a valid signature", asks_who_is_there),
]
