"""Peak memory of taking in one large file and giving it out again: `python -m benchmarks.ingest_memory [MIB]`.

4 GiB by default, without the web server (benchmarks/upload_memory.py goes through it). Exits 1 when the peak is above
150 MiB or when what comes out is not what went in. Needs a little more free disk than the file has bytes.
"""

import hashlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

MIB = 1 << 20
MOST = 150 * MIB


def peak_memory() -> int:
    """Bytes. Not getrusage: its peak still holds what the process that started this one had."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main(mebibytes: int) -> int:
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
        from evidence import blobs
        from evidence.models import Blob

        before = peak_memory()
        piece, start = os.urandom(MIB), time.perf_counter()
        received = blobs.receive(piece for _ in range(mebibytes))
        took = time.perf_counter() - start
        wrapped = keys.provider().wrap(received.key, f"blob/{received.blob_id}")
        blob = Blob(id=received.blob_id, address=received.address, size=received.stored_size, wrapped_key=wrapped)
        hasher = hashlib.sha256()
        for part in blobs.read_blob(blob):
            hasher.update(part)
        peak = peak_memory()
        same = hasher.hexdigest() == received.sha256
        print(
            f"{mebibytes} MiB in {took:.0f} s; peak {peak / MIB:.0f} MiB, {before / MIB:.0f} MiB before; same: {same}"
        )
        return 0 if same and peak < MOST else 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 4096))
