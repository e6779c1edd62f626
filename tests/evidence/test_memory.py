"""Memory stays flat whatever the size of a file."""

import json
import os
import subprocess
import sys

import pytest

MIB = 1 << 20
MOST = 150 * MIB
SIZE = 300 * MIB

RECEIVING = """
import hashlib, json, os, sys
import django
django.setup()
from evidence import blobs
from evidence.models import Blob
size, piece = int(sys.argv[1]), os.urandom(1 << 20)
received = blobs.receive(piece for _ in range(size >> 20))
blob = Blob(id=received.blob_id, address=received.address, size=received.stored_size,
            wrapped_key=blobs.keys.provider().wrap(received.key, f"blob/{received.blob_id}"),
            key_commitment=blobs.key_commitment(received.key))
hasher = hashlib.sha256()
for part in blobs.read_blob(blob):
    hasher.update(part)
blobs.store.path_of(received.address).unlink()
# Not getrusage: its peak still holds what the process that started this one had.
status = open("/proc/self/status").read()
peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
print(json.dumps({"size": received.size, "same": hasher.hexdigest() == received.sha256, "peak": peak}))
"""


@pytest.mark.django_db
def test_receiving_and_giving_out_300_mb_takes_less_than_150_mb_of_memory() -> None:
    environ = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.evidence.subprocess_settings",
        "SANAD_TESTED_DATABASE": "x",
    }
    done = subprocess.run(
        [sys.executable, "-c", RECEIVING, str(SIZE)], env=environ, capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    assert (told["size"], told["same"]) == (SIZE, True)
    assert told["peak"] < MOST, f"{told['peak'] / MIB:.0f} MiB"
