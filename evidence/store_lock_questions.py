"""What a store with Object Lock must do: what is locked stays, whoever asks."""

from datetime import timedelta
from functools import partial

from evidence.store_asking import LOCKED_SECONDS, Asking, Broken
from evidence.store_questions import Question


def keeps_versions(ask: Asking) -> None:
    key = ask.key("versions")
    first = ask.put(key, b"first").get("VersionId")
    ask.put(key, b"second")
    if not first or ask.get(key, VersionId=first) != b"first":
        raise Broken("what was overwritten is gone")


def keeps_a_retention(ask: Asking) -> None:
    key, until = ask.key("retention"), ask.until()
    version = ask.lock(key, until)
    found = ask.client.get_object_retention(Bucket=ask.bucket, Key=key, VersionId=version)["Retention"]
    if found["Mode"] != ask.mode or abs((found["RetainUntilDate"] - until).total_seconds()) > 1:
        raise Broken(f"it keeps {found['Mode']} until {found['RetainUntilDate']}, not what was asked")


def refuses_to_delete(ask: Asking) -> None:
    key = ask.key("locked")
    version = ask.lock(key, ask.until())
    delete = partial(ask.client.delete_object, Bucket=ask.bucket, Key=key, VersionId=version)
    ask.refused("the deletion of a locked version", delete, 400, 403)
    if ask.get(key, VersionId=version) != b"locked":
        raise Broken("it refused the deletion and deleted")


def lengthens(ask: Asking) -> None:
    key, until = ask.key("lengthened"), ask.until()
    version = ask.lock(key, until)
    ask.retain(key, version, ask.mode, until + timedelta(seconds=5))
    found = ask.client.get_object_retention(Bucket=ask.bucket, Key=key, VersionId=version)["Retention"]
    if (found["RetainUntilDate"] - until).total_seconds() < 4:
        raise Broken("it said that it lengthened the lock and did not")


def locks_parts(ask: Asking) -> None:
    key = ask.key("locked-parts")
    upload = ask.start(key, ObjectLockMode=ask.mode, ObjectLockRetainUntilDate=ask.until())
    ask.complete(key, upload, [b"locked"])
    version = ask.client.head_object(Bucket=ask.bucket, Key=key)["VersionId"]
    delete = partial(ask.client.delete_object, Bucket=ask.bucket, Key=key, VersionId=version)
    ask.refused("the deletion of a locked object made of parts", delete, 400, 403)


def holds(ask: Asking) -> None:
    key = ask.key("held")
    version = ask.put(key, b"held")["VersionId"]
    place = {"Bucket": ask.bucket, "Key": key, "VersionId": version}
    ask.client.put_object_legal_hold(**place, LegalHold={"Status": "ON"})
    try:
        ask.refused("the deletion of what is under a legal hold", lambda: ask.client.delete_object(**place), 400, 403)
    finally:
        ask.client.put_object_legal_hold(**place, LegalHold={"Status": "OFF"})
    ask.client.delete_object(**place)


def never_shortens(ask: Asking) -> None:
    key, until = ask.key("shortened"), ask.until()
    version = ask.lock(key, until)
    shorter = until - timedelta(seconds=LOCKED_SECONDS // 2)
    ask.refused("a shorter COMPLIANCE lock", lambda: ask.retain(key, version, ask.mode, shorter), 400, 403)
    ask.refused(
        "a shorter COMPLIANCE lock by bypass", lambda: ask.retain(key, version, ask.mode, shorter, True), 400, 403
    )
    found = ask.client.get_object_retention(Bucket=ask.bucket, Key=key, VersionId=version)["Retention"]
    if (found["RetainUntilDate"] - until).total_seconds() < -1:
        raise Broken("it refused to shorten the lock and shortened it")


def never_weakens(ask: Asking) -> None:
    key, until = ask.key("weakened"), ask.until()
    version = ask.lock(key, until)
    weaken = partial(ask.retain, key, version, "GOVERNANCE", until, True)
    ask.refused("GOVERNANCE in the place of COMPLIANCE", weaken, 400, 403)


def never_bypasses(ask: Asking) -> None:
    key = ask.key("bypassed")
    version = ask.lock(key, ask.until())
    place = {"Bucket": ask.bucket, "Key": key, "VersionId": version}
    delete = partial(ask.client.delete_object, **place, BypassGovernanceRetention=True)
    ask.refused("a deletion by bypass under COMPLIANCE", delete, 400, 403)


LOCK_PROBES: list[Question] = [
    ("keeps overwritten versions", keeps_versions),
    ("keeps the retention that was asked for", keeps_a_retention),
    ("refuses to delete a locked version", refuses_to_delete),
    ("lengthens a lock", lengthens),
    ("locks an object made of parts", locks_parts),
    ("refuses to delete what is under a legal hold", holds),
]
COMPLIANCE_PROBES: list[Question] = [
    ("never shortens a COMPLIANCE lock", never_shortens),
    ("never turns COMPLIANCE into GOVERNANCE", never_weakens),
    ("never deletes by bypass under COMPLIANCE", never_bypasses),
]
