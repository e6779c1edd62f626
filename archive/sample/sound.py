"""Sounds as WAV (16 bit, mono): a hum in the rhythm of speech in which nobody speaks, and wind."""

import io
import math
import sys
import wave
from array import array
from random import Random

RATE = 16_000  # samples a second


def hum(seconds: int, seed: int) -> bytes:
    """Soft tones that rise, fall and pause as a speaking voice does, without a voice."""
    random = Random(seed)  # noqa: S311  a sound, no secret
    samples = array("h")
    while len(samples) < seconds * RATE:
        pitch, long = random.uniform(95, 150), int(RATE * random.uniform(0.14, 0.5))
        colour = [random.uniform(0.2, 1) / part for part in range(1, 4)]
        for at in range(long):
            swell = math.sin(math.pi * at / long)
            turn = math.tau * pitch * (1 + 0.06 * at / long) * at / RATE
            tone = sum(share * math.sin(turn * part) for part, share in enumerate(colour, 1))
            samples.append(int(3800 * swell * tone))
        samples.extend([0] * int(RATE * random.choice([0.04, 0.08, 0.5])))
    return _wave(samples[: seconds * RATE])


def wind(seconds: int, seed: int) -> bytes:
    """Rushing air that swells and dies down."""
    random = Random(seed)  # noqa: S311  a sound, no secret
    samples, last = array("h"), 0.0
    for at in range(seconds * RATE):
        last += (random.uniform(-1, 1) - last) * 0.06
        samples.append(int(15_000 * last * (0.6 + 0.4 * math.sin(at / RATE * 1.3))))
    return _wave(samples)


def _wave(samples: "array[int]") -> bytes:
    if sys.byteorder == "big":
        samples.byteswap()  # WAV is little-endian
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(samples.tobytes())
    return out.getvalue()
