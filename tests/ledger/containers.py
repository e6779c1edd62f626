"""Damage that goes through the very readers people use: a bundle as a .zip, byte by byte, and as a folder on disk."""

import io
import random
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from ledger.pack import member
from ledger.report import Report
from ledger.source import open_source
from ledger.verify import verify_bundle
from tests.ledger.mutate import LIMIT, Files, Mutation, damaged, fault

#: Of eight mutations one is of the bytes of a zip, and one is verified from a folder.
ZIPPED, ON_DISK = 6, 7


class Streamed(io.RawIOBase):
    """What cannot be gone back to, so that checksums and sizes stand behind what they are of."""

    def __init__(self, output: io.BytesIO) -> None:
        self._output = output

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._output.write(data)


class Zipped:
    """A bundle as a zip, stored or deflated and streamed, with the places that are no content of a file."""

    def __init__(self, files: Files, deflated: bool) -> None:
        buffer = io.BytesIO()
        self.files = files
        with zipfile.ZipFile(Streamed(buffer) if deflated else buffer, "w") as archive:
            for path, data in sorted(files.items()):
                kind = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
                archive.writestr(member(f"bundle/{path}"), data, kind)
        self.whole = buffer.getvalue()
        with zipfile.ZipFile(buffer) as archive:
            members = archive.infolist()
            starts = [info.header_offset + 30 + len(info.filename) for info in members]
            content = [range(at, at + info.compress_size) for at, info in zip(starts, members, strict=True)]
        inside = {spot for part in content for spot in part}
        self.structure = [spot for spot in range(len(self.whole)) if spot not in inside]

    def mutation(self, seed: int) -> tuple[str, bytes]:
        """The damage of that number, and what it was: two of three in what is no content, where readers differ."""
        rng = random.Random(f"zip mutation {seed}")
        spot = rng.choice(self.structure) if rng.random() < 0.67 else rng.randrange(len(self.whole))
        change = rng.choice(["flip", "flip", "flip", "delete", "insert", "truncate", "duplicate", "append", "copy"])
        head, tail = self.whole[:spot], self.whole[spot:]
        if change == "copy":  # a piece of the zip from elsewhere: headers and records among them
            other = rng.choice(self.structure)
            return f"copy {other} to {spot}", head + self.whole[other : other + rng.randrange(4, 200)] + tail
        if change == "append":
            return "append", damaged(rng, self.whole, change)
        changed = tail[: rng.randrange(1, 60)]
        return f"{change} at {spot}", head + damaged(rng, changed, change) + (
            b"" if change == "truncate" else tail[len(changed) :]
        )

    def fault(self, data: bytes) -> tuple[str | None, Report]:
        """What is wrong with the verdict on these bytes: refused, or the very same files, and at once."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.zip"
            path.write_bytes(data)
            began = time.monotonic()
            report = verify_bundle(path)
            if time.monotonic() - began > LIMIT:
                return "took too long", report
            if report.exit_code == 0:
                with open_source(path) as source:
                    held = {name: b"".join(source.chunks(name)) for name in source.files}
                return None if held == self.files else "verified, with other content", report
            internal = any(problem.code == "internal" for problem in report.problems)
            return "internal" if internal or report.exit_code != 1 else None, report


def from_folder(made: Mutation, files: Files) -> tuple[str | None, Report]:
    """The fault in the verdict on a mutation that stands on disk. Paths that no folder can hold stay in memory."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "bundle"
        for path, data in made.files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)
        began = time.monotonic()
        report = verify_bundle(root)
        slow = time.monotonic() - began > LIMIT
        return "took too long" if slow else fault(made, report, files), report
