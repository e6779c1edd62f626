"""How fast bytes are taken in and given out, beside peers: `python -m benchmarks.ingest_speed [MIB]`.

Receiving hashes twice (SHA-256, SHA-512), encrypts, writes, fsyncs, reads back, hashes and decrypts again. The peers do
one of these things each: `openssl dgst -sha256` reads and hashes once, `cp` with `sync` only writes. Uses a data folder
of its own below the current SANAD_DATA's disk and removes it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

MIB = 1 << 20


def timed(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as handle:
        while piece := handle.read(MIB):
            yield piece


def main(mebibytes: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="sanad-benchmark-"))
    os.environ["SANAD_DATA"] = str(folder / "data")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "archive.settings")
    os.environ.setdefault("SANAD_INSECURE_HTTP", "1")
    os.environ.setdefault("DATABASE_URL", "postgresql://nobody@localhost/unused")
    try:
        from archive import data_folder

        data_folder.prepare(folder / "data")
        import django

        django.setup()
        from custody import keys
        from evidence import blobs, store
        from evidence.models import Blob

        source = folder / "source"
        with source.open("wb") as handle:
            for _ in range(mebibytes):
                handle.write(os.urandom(MIB))
        received: list[blobs.Received] = []
        took = {
            "openssl dgst -sha256": timed(
                lambda: subprocess.run(["openssl", "dgst", "-sha256", source], check=True, capture_output=True)
            ),
            "openssl dgst -sha512": timed(
                lambda: subprocess.run(["openssl", "dgst", "-sha512", source], check=True, capture_output=True)
            ),
            "cp and sync": timed(
                lambda: subprocess.run(
                    ["sh", "-c", 'cp "$1" "$1.copy" && sync "$1.copy"', "sh", source], check=True, capture_output=True
                )
            ),
            "receive": timed(lambda: received.append(blobs.receive(chunks(source)))),
        }
        one = received[0]
        blob = Blob(
            id=one.blob_id,
            address=one.address,
            size=one.stored_size,
            wrapped_key=keys.provider().wrap(one.key, f"blob/{one.blob_id}"),
        )
        took["verify (re-read and hash)"] = timed(lambda: store.digest(one.address))
        took["give out (decrypt)"] = timed(lambda: sum(len(piece) for piece in blobs.read_blob(blob)))
        base = took["openssl dgst -sha256"]
        for name, seconds in took.items():
            print(f"{name:28} {mebibytes / seconds:8.0f} MiB/s   {base / seconds:5.2f} of openssl dgst -sha256")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1024)
