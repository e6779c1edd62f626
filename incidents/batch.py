"""A container and what is in it, taken together: all of it is received and compared before any of it is recorded.

1. `zip_of`, `BagFolder` say what there is; parts are read through them.
2. `receive_together` takes the bytes of every part. If one is refused, all are dropped: nothing was kept.
3. `record_together` makes them items one by one, each with its container, so that a kill loses none that was recorded;
   asking again with the same keys goes on behind it.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from evidence import blobs, reading
from evidence.blobs import Received
from evidence.models import Item
from incidents import folder, uploads
from incidents.bags import Bag, checked, read_bag
from incidents.bodies import moment
from incidents.members import OutOf
from incidents.models import Intake
from incidents.shapes import ContainerProblem, shown_name
from incidents.zipped import ReadAt, Zip

WINDOW = 1 << 20
Pieces = Callable[[], Iterator[bytes]]


@dataclass(frozen=True)
class Part:
    """One file of a container: its path inside, its bytes, and the key under which it becomes an item once."""

    path: str
    size: int
    key: UUID
    pieces: Pieces
    file_time: datetime | None = None

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class BagFolder:
    """A bag that lies in a folder, as incidents.bags.Tree. Raises ContainerProblem for what is no plain file."""

    def __init__(self, root: str) -> None:
        self._found: dict[str, folder.Found] = {}
        for entry in folder.walk(root):
            if isinstance(entry, folder.Skipped):
                raise ContainerProblem(_("%(path)s: %(why)s.") % {"path": entry.shown, "why": entry.why})
            raw = os.fsencode(os.path.relpath(entry.path, root))
            try:
                self._found[raw.decode()] = entry
            except UnicodeDecodeError:
                words = _("A file of this bag has a name that is no UTF-8: %(path)s.")
                raise ContainerProblem(words % {"path": shown_name(raw)}) from None
        self.files: Mapping[str, int] = {path: entry.size for path, entry in self._found.items()}
        data = os.path.join(root, "data")  # noqa: PTH118  a name whose bytes may be no text
        self.folders = {"data"} if os.path.isdir(data) and not os.path.islink(data) else set()  # noqa: PTH112, PTH114

    def pieces(self, path: str) -> Iterator[bytes]:
        return folder.read(self._found[path])

    def found(self, path: str) -> folder.Found:
        return self._found[path]


class BagInZip:
    """The one bag of a zip: its only folder at the top (RFC 8493, section 4), as incidents.bags.Tree."""

    def __init__(self, zipped: Zip) -> None:
        tops = {path.partition("/")[0] for path in (*zipped.files, *zipped.folders)}
        if len(tops) != 1 or any("/" not in path for path in zipped.files):
            raise ContainerProblem(
                _("A bag in a zip is one folder with everything in it; this zip holds something else.")
            )
        self._zip, self.top = zipped, f"{tops.pop()}/"
        self.files: Mapping[str, int] = {path.removeprefix(self.top): size for path, size in zipped.files.items()}
        self.folders = {path.removeprefix(self.top) for path in zipped.folders}

    def pieces(self, path: str) -> Iterator[bytes]:
        return self._zip.pieces(self.top + path)


def read_at_of(opened: reading.Reader) -> ReadAt:
    """Any range of a stored item; the last window stays decrypted, for what is read in small steps."""
    held: tuple[int, bytes] = (0, b"")

    def read_at(offset: int, length: int) -> bytes:
        nonlocal held
        at, data = held
        if not at <= offset <= offset + length <= at + len(data):
            start = offset - offset % WINDOW
            data = b"".join(opened.read(start, min(max(offset + length, start + WINDOW), opened.plain_size)))
            at, held = start, (start, data)
        return data[offset - at : offset - at + length]

    return read_at


@contextmanager
def zip_of(stored: Received | Item) -> Iterator[Zip]:
    """The members of a zip that was received: those of the very bytes that stand in the store.

    Raises ContainerProblem, store.StoreProblem, StreamBroken.
    """
    opening = blobs.open_blob(stored.blob) if isinstance(stored, Item) else blobs.open_received(stored)
    with opening as opened:
        yield Zip(read_at_of(opened), stored.size)


def parts_of_zip(zipped: Zip, key: UUID, *, bag: bool) -> tuple[list[Part], Bag | None]:
    """The members as parts, each read with its checksum and, of a bag, with its digests; keys come from the zip's."""
    tree, read = BagInZip(zipped) if bag else None, None
    if tree is not None:
        read = read_bag(tree)

    def pieces(path: str) -> Pieces:
        if tree is None or read is None:
            return lambda: zipped.pieces(path)
        return lambda: checked(read, path.removeprefix(tree.top), zipped.pieces(path))

    made = [Part(path, size, uuid5(key, path), pieces(path)) for path, size in sorted(zipped.files.items())]
    return made, read


def parts_of_bag(tree: BagFolder, incident: UUID) -> tuple[list[Part], Bag]:
    """The files of a bag in a folder as parts, its best manifest first; the others come out of that one."""
    bag = read_bag(tree)
    manifest = tree.found(bag.manifest).key(incident)

    def part(path: str) -> Part:
        found = tree.found(path)
        key = uuid5(manifest, f"{found.key(incident)} of {path}")
        when = moment(found.mtime_ns / 1e9)
        return Part(path, found.size, key, lambda: checked(bag, path, folder.read(found)), when)

    others = sorted(path for path in tree.files if path != bag.manifest)
    return [part(bag.manifest), *(part(path) for path in others)], bag


def read_through(parts: Sequence[Part], progress: Callable[[int], Any] = lambda _count: None) -> None:
    """Read and compare every part, and keep nothing. Raises ContainerProblem, ReceptionRefused."""
    for part in parts:
        for piece in part.pieces():
            progress(len(piece))


def receive_together(
    parts: Sequence[Part], progress: Callable[[int], Any] = lambda _count: None
) -> list[tuple[Part, Received]]:
    """The bytes of all parts in the store, or of none. Raises ContainerProblem, ReceptionRefused, StoreProblem."""
    taken: list[tuple[Part, Received]] = []

    def read(part: Part) -> Iterator[bytes]:
        for piece in part.pieces():
            yield piece
            progress(len(piece))

    try:
        for part in parts:
            received = blobs.receive(read(part), declared_size=part.size)
            taken.append((part, received))
    except BaseException:
        for _part, received in taken:
            blobs.discard(received)
        raise
    return taken


def record_together(
    *, by: User, intake: Intake, taken: Sequence[tuple[Part, Received]], container: Item | None
) -> Iterator[tuple[Part, Item]]:
    """Make items of what was received, one by one; without a container, the first becomes that of the others.

    Raises NotVisible, Refused, NotNow, ValidationError; what is not recorded by then is dropped.
    """
    left = list(taken)
    try:
        while left:
            part, received = left.pop(0)
            item = uploads.accept(
                by=by,
                at=timezone.now(),
                intake=intake,
                received=received,
                original_name=part.name,
                idempotency_key=part.key,
                file_time=part.file_time,
                out_of=OutOf(container, part.path) if container else None,
            )
            container = container or item
            yield part, item
    finally:
        for _part, received in left:
            blobs.discard(received)
