"""The data folder: everything an archive is, in one place. Standard library only, so that set-up runs before Django.

    postgres/   the embedded database cluster        store/    encrypted objects, written once
    keys/       secrets, each in a 0600 file         staging/  uploads that are not finished
    exports/    bundles waiting for download         logs/     the database's own log
    signer/     the ledger's signing key and memory  status/   what the signer tells everybody
    ledger/     the signed ledger as files, for anybody who checks or restores it (C2SP tlog-tiles)
    sanad.json  the layout's version and the ledger's origin

Losing keys/ is losing the archive: it is backed up apart from the rest.
"""

import base64
import fcntl
import json
import os
import re
import secrets
import shutil
import sys
from pathlib import Path
from typing import IO

LAYOUT = 1
FOLDERS = ("postgres", "store", "staging", "keys", "exports", "logs", "ledger", "signer", "status")
SMALLEST_FREE_BYTES = 256 * 1024 * 1024
SECRET_KEY_LENGTH = 50
ORIGIN = re.compile(r"[a-z0-9][a-z0-9.-]*(/[a-z0-9][a-z0-9._-]*)*")


class DataFolderProblem(Exception):
    """One sentence that says what is wrong with the data folder and what to do."""


def prepare(data: Path) -> None:
    """Make the layout and the secrets that are missing; never changes what is there.

    Raises DataFolderProblem when it cannot be used: not a folder, not ours, no space, damaged, of a newer layout.
    """
    try:
        _prepare(data)
    except OSError as problem:
        raise DataFolderProblem(f"the data folder {data} cannot be used: {problem.strerror or problem}.") from None


def _prepare(data: Path) -> None:
    if data.exists() and not data.is_dir():
        raise DataFolderProblem(f"the data folder {data} is a file; name another folder with --data.")
    data.mkdir(mode=0o711, parents=True, exist_ok=True)
    marker = data / "sanad.json"
    if not marker.exists():
        strangers = sorted(path.name for path in data.iterdir() if path.name not in {*FOLDERS, "lock"})
        if strangers:
            raise DataFolderProblem(
                f"the folder {data} holds other files ({strangers[0]}) and no archive; name an empty or new folder."
            )
        if (data / "postgres" / "cluster" / "PG_VERSION").exists():
            raise DataFolderProblem(
                f"the data folder {data} has a database but its sanad.json is missing; restore that file from a backup."
            )
    _require_space(data)
    for name in FOLDERS:
        (data / name).mkdir(mode=0o700, exist_ok=True)
    secret = data / "keys" / "secret-key"
    if not secret.exists():
        _write_once(secret, base64.b64encode(secrets.token_bytes(48)).decode() + "\n", 0o600)
    if not marker.exists():
        origin = f"sanad.local/{secrets.token_hex(8)}"
        _write_once(marker, json.dumps({"layout": LAYOUT, "origin": origin}) + "\n", 0o600)
    read_secret_key(data)
    read_origin(data)


def read_secret_key(data: Path) -> str:
    """Django's SECRET_KEY. Raises DataFolderProblem when the file is missing, damaged or readable by others."""
    path = data / "keys" / "secret-key"
    if not (data / "sanad.json").exists():
        raise DataFolderProblem(
            f"the data folder {data} is not set up; run bin/run, or: python -m archive.data_folder {data}"
        )
    try:
        mode = path.stat().st_mode
        key = path.read_text("ascii").strip()
    except FileNotFoundError:
        raise DataFolderProblem(f"the key file {path} is missing; restore keys/ from its backup.") from None
    except (OSError, UnicodeDecodeError):
        raise DataFolderProblem(f"the key file {path} cannot be read; restore keys/ from its backup.") from None
    if mode & 0o077:
        raise DataFolderProblem(f"others may read the key file {path}; set its mode to 0600.")
    if len(key) < SECRET_KEY_LENGTH:
        raise DataFolderProblem(
            f"the key file {path} holds {len(key)} characters, at least {SECRET_KEY_LENGTH} are needed."
        )
    return key


def read_origin(data: Path) -> str:
    """The ledger's origin line, fixed when the archive was set up. Raises DataFolderProblem when damaged."""
    path = data / "sanad.json"
    try:
        marker = json.loads(path.read_text("utf-8"))
        layout, origin = marker["layout"], marker["origin"]
    except (OSError, ValueError, KeyError, TypeError):
        raise DataFolderProblem(f"the file {path} is damaged; restore it from a backup.") from None
    if layout != LAYOUT:
        raise DataFolderProblem(
            f"the data folder {data} has layout {layout}, this software knows layout {LAYOUT}; update it."
        )
    if not isinstance(origin, str) or not ORIGIN.fullmatch(origin):
        raise DataFolderProblem(f"the file {path} is damaged; restore it from a backup.")
    return origin


def lock(data: Path) -> IO[str]:
    """Hold the folder for this process until the returned file is closed or the process ends, however it ends.

    Raises DataFolderProblem when another instance holds it.
    """
    handle = (data / "lock").open("a+")
    (data / "lock").chmod(0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.seek(0)
        owner = handle.read().strip()
        handle.close()
        by = f" by process {owner}" if owner.isdigit() else ""
        raise DataFolderProblem(
            f"the data folder {data} is in use{by}; stop that one or name another with --data."
        ) from None
    handle.truncate(0)
    handle.write(f"{os.getpid()}\n")
    handle.flush()
    return handle


def _require_space(data: Path) -> None:
    free = shutil.disk_usage(data).free
    if free < SMALLEST_FREE_BYTES:
        raise DataFolderProblem(
            f"the disk of {data} has {free // 2**20} MiB free, at least {SMALLEST_FREE_BYTES // 2**20} MiB are needed."
        )


def _write_once(path: Path, text: str, mode: int) -> None:
    """Written whole or not at all; of two writers one wins and its text stays."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m archive.data_folder FOLDER")
    try:
        prepare(Path(sys.argv[1]).absolute())
    except DataFolderProblem as found:
        sys.exit(f"sanad: {found}")
