"""A silent film as WebM: each frame is the VP8 key frame inside a WebP picture (RFC 9649, section 2.5), put into
Matroska elements (RFC 9559). Every browser plays it, and nothing is needed but the imaging library."""

import io
import struct

from PIL import Image

from archive.sample.views import painted

SIZE = (640, 360)
RATE = 10  # frames a second


def walk(view: str, seconds: int) -> bytes:
    """A slow pan over a view."""
    scene = painted(view)
    frames = []
    for number in range(seconds * RATE):
        share = number / (seconds * RATE)
        left, top = int((scene.width - 960) * share), int((scene.height - 540) * (0.65 + 0.1 * share))
        frames.append(scene.crop((left, top, left + 960, top + 540)).resize(SIZE, Image.Resampling.BILINEAR))
    return _webm([_key_frame(frame) for frame in frames])


def _key_frame(frame: Image.Image) -> bytes:
    out = io.BytesIO()
    frame.save(out, "WEBP", quality=60, method=0)
    picture = out.getvalue()
    name, size = struct.unpack_from("<4sI", picture, 12)
    if name != b"VP8 ":
        raise ValueError(f"a plain lossy picture begins with VP8, not {name!r}")
    return picture[20 : 20 + size]


def _webm(frames: list[bytes]) -> bytes:
    duration = len(frames) * 1000 / RATE
    head = _element(
        0x1A45DFA3,
        _number(0x4286, 1) + _number(0x42F7, 1) + _number(0x42F2, 4) + _number(0x42F3, 8)
        + _element(0x4282, b"webm") + _number(0x4287, 2) + _number(0x4285, 2),
    )  # fmt: skip
    info = _element(
        0x1549A966,
        _number(0x2AD7B1, 1_000_000) + _element(0x4489, struct.pack(">d", duration))
        + _element(0x4D80, b"Sanad sample") + _element(0x5741, b"Sanad sample"),
    )  # fmt: skip
    track = _element(
        0xAE,
        _number(0xD7, 1) + _number(0x73C5, 1) + _number(0x83, 1) + _number(0x9C, 0) + _element(0x86, b"V_VP8")
        + _number(0x23E383, 1_000_000_000 // RATE)
        + _element(0xE0, _number(0xB0, SIZE[0]) + _number(0xBA, SIZE[1])),
    )  # fmt: skip
    tracks = _element(0x1654AE6B, track)
    clusters = [_cluster(start, frames[start : start + RATE]) for start in range(0, len(frames), RATE)]
    starts, where = [], len(info) + len(tracks) + len(_cues([0] * len(clusters)))
    for cluster in clusters:
        starts.append(where)
        where += len(cluster)
    return head + _element(0x18538067, info + tracks + _cues(starts) + b"".join(clusters))


def _cluster(start: int, frames: list[bytes]) -> bytes:
    blocks = [
        _element(0xA3, b"\x81" + struct.pack(">hB", round(number * 1000 / RATE), 0x80) + frame)
        for number, frame in enumerate(frames)
    ]
    return _element(0x1F43B675, _number(0xE7, start * 1000 // RATE) + b"".join(blocks))


def _cues(starts: list[int]) -> bytes:
    """Where each second begins, by which a player seeks; of one length whatever the positions."""
    points = [
        _element(0xBB, _number(0xB3, second * 1000) + _element(0xB7, _number(0xF7, 1) + _number(0xF1, start)))
        for second, start in enumerate(starts)
    ]
    return _element(0x1C53BB6B, b"".join(points))


def _number(name: int, value: int) -> bytes:
    return _element(name, value.to_bytes(8, "big"))


def _element(name: int, content: bytes) -> bytes:
    code = name.to_bytes((name.bit_length() + 7) // 8, "big")
    length = len(content)
    size = bytes([0x80 | length]) if length < 0x7F else (length | 1 << 56).to_bytes(8, "big")
    return code + size + content
