"""The payload format against an implementation by somebody else, and against tampering."""

import hashlib
import io
import secrets
from collections.abc import Callable
from typing import Any

import pytest
import tink
from hypothesis import given, settings
from hypothesis import strategies as st
from tink import cleartext_keyset_handle, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

from evidence import streams

AD = b"sanad/blob/v1/test"
SIZES = [
    0,
    1,
    streams.FIRST_PLAIN - 1,
    streams.FIRST_PLAIN,
    streams.FIRST_PLAIN + 1,
    streams.FIRST_PLAIN + streams.PLAIN_SEGMENT - 1,
    streams.FIRST_PLAIN + streams.PLAIN_SEGMENT,
    streams.FIRST_PLAIN + streams.PLAIN_SEGMENT + 1,
    3 * streams.SEGMENT + 12_345,
]


def encrypt(key: bytes, plain: bytes, step: int = 300_007) -> bytes:
    encryptor = streams.Encryptor(key, AD)
    pieces = [b"".join(encryptor.update(plain[at : at + step])) for at in range(0, len(plain), step)]
    return b"".join(pieces) + encryptor.finish()


def decryptor(key: bytes, sealed: bytes, associated_data: bytes = AD) -> streams.Decryptor:
    return streams.decrypt_file(io.BytesIO(sealed), len(sealed), key, associated_data)


@pytest.fixture(scope="module")
def primitive() -> Callable[[bytes], Any]:
    """Tink's own AES256_GCM_HKDF_1MB under a key of ours."""
    streaming_aead.register()

    def make(key: bytes) -> Any:
        made = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(
            version=0,
            params=aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
                ciphertext_segment_size=1 << 20, derived_key_size=32, hkdf_hash_type=common_pb2.SHA256
            ),
            key_value=key,
        )
        keyset = tink_pb2.Keyset(
            primary_key_id=1,
            key=[
                tink_pb2.Keyset.Key(
                    key_data=tink_pb2.KeyData(
                        type_url="type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey",
                        value=made.SerializeToString(),
                        key_material_type=tink_pb2.KeyData.SYMMETRIC,
                    ),
                    status=tink_pb2.ENABLED,
                    key_id=1,
                    output_prefix_type=tink_pb2.RAW,
                )
            ],
        )
        handle = cleartext_keyset_handle.read(tink.BinaryKeysetReader(keyset.SerializeToString()))
        return handle.primitive(streaming_aead.StreamingAead)

    return make


@pytest.mark.parametrize("size", SIZES)
def test_tink_opens_what_we_encrypt(size: int, primitive: Callable[[bytes], Any]) -> None:
    key, plain = secrets.token_bytes(32), secrets.token_bytes(size)
    sealed = encrypt(key, plain)
    with primitive(key).new_decrypting_stream(io.BytesIO(sealed), AD) as stream:
        assert stream.read() == plain


@pytest.mark.parametrize("size", SIZES)
def test_we_open_what_tink_encrypts(size: int, primitive: Callable[[bytes], Any]) -> None:
    key, plain = secrets.token_bytes(32), secrets.token_bytes(size)
    assert b"".join(decryptor(key, of_tink(primitive(key), plain)).read()) == plain


def tampered(sealed: bytes) -> dict[str, bytes]:
    """What somebody may do to stored bytes: a bit anywhere, cuts, segments repeated, swapped, moved or added."""
    whole = [sealed[at : at + streams.SEGMENT] for at in range(0, len(sealed), streams.SEGMENT)]
    places = {
        0,
        1,
        33,
        streams.HEADER,
        streams.SEGMENT - 1,
        streams.SEGMENT,
        len(sealed) - streams.TAG,
        len(sealed) - 1,
    }
    flipped = {at: sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in places}
    return {f"bit at {at}": data for at, data in flipped.items()} | {
        "without its last segment": b"".join(whole[:-1]),
        "without its first segment": b"".join(whole[1:]),
        "first segment twice": whole[0] + sealed,
        "last segment twice": sealed + whole[-1],
        "one byte more": sealed + b"\0",
        "one byte less": sealed[:-1],
        "swapped": b"".join([whole[1], whole[0], *whole[2:]]),
    }


@pytest.mark.parametrize("made_by", ["tink", "us"])
def test_tink_and_we_refuse_the_same_tampering(made_by: str, primitive: Callable[[bytes], Any]) -> None:
    key, plain = secrets.token_bytes(32), secrets.token_bytes(2 * streams.SEGMENT + 99)
    sealed = encrypt(key, plain) if made_by == "us" else of_tink(primitive(key), plain)
    for what, data in tampered(sealed).items():
        with pytest.raises(streams.StreamBroken):
            list(decryptor(key, data).read())
        with pytest.raises((tink.TinkError, ValueError, OSError)):  # noqa: PT012  it may refuse at once or at the end
            with primitive(key).new_decrypting_stream(io.BytesIO(data), AD) as stream:
                stream.read()
            pytest.fail(f"Tink opens it {what}")


def of_tink(primitive: Any, plain: bytes) -> bytes:
    target = io.BytesIO()
    target.close, written = lambda: None, target  # type: ignore[method-assign]  # Tink closes what it wrote to
    with primitive.new_encrypting_stream(target, AD) as stream:
        stream.write(plain)
    return written.getvalue()


@pytest.mark.parametrize("size", SIZES)
def test_the_stored_size_is_known_before_anything_is_stored(size: int) -> None:
    assert len(encrypt(secrets.token_bytes(32), bytes(size))) == streams.ciphertext_size(size)


KEY = secrets.token_bytes(32)
PLAIN = secrets.token_bytes(2 * streams.SEGMENT + 54_321)
SEALED = encrypt(KEY, PLAIN)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(PLAIN)), st.integers(0, len(PLAIN) + 10))
def test_any_range_is_what_stands_there_in_the_whole(start: int, stop: int) -> None:
    assert b"".join(decryptor(KEY, SEALED).read(start, stop)) == PLAIN[start:stop]


def test_a_range_reads_only_the_segments_it_needs() -> None:
    read: list[tuple[int, int]] = []

    def read_at(offset: int, length: int) -> bytes:
        read.append((offset, length))
        return SEALED[offset : offset + length]

    opened = streams.Decryptor(read_at, len(SEALED), KEY, AD)
    list(opened.read(streams.FIRST_PLAIN + 5, streams.FIRST_PLAIN + 6))
    assert read == [(0, streams.HEADER), (streams.SEGMENT, streams.SEGMENT)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_a_changed_byte_is_noticed_and_nothing_of_its_segment_comes_out(position: int, flip: int) -> None:
    changed = bytearray(SEALED)
    changed[position] ^= flip
    pieces: list[bytes] = []
    with pytest.raises(streams.StreamBroken):
        pieces.extend(decryptor(KEY, bytes(changed)).read())
    out = b"".join(pieces)
    assert PLAIN.startswith(out)
    assert len(out) <= max(0, position - position % streams.SEGMENT)


@pytest.mark.parametrize("cut", [1, streams.TAG, streams.SEGMENT, len(SEALED) - 1])
def test_a_cut_stream_is_noticed(cut: int) -> None:
    with pytest.raises(streams.StreamBroken):
        list(decryptor(KEY, SEALED[:-cut]).read())


def test_swapped_segments_are_noticed() -> None:
    one, two = SEALED[: streams.SEGMENT], SEALED[streams.SEGMENT : 2 * streams.SEGMENT]
    with pytest.raises(streams.StreamBroken):
        list(decryptor(KEY, two + one + SEALED[2 * streams.SEGMENT :]).read())


def test_the_stream_of_another_row_or_key_does_not_open() -> None:
    with pytest.raises(streams.StreamBroken):
        list(decryptor(KEY, SEALED, b"sanad/blob/v1/other").read())
    with pytest.raises(streams.StreamBroken):
        list(decryptor(secrets.token_bytes(32), SEALED).read())


def test_the_same_bytes_never_give_the_same_ciphertext() -> None:
    digests = {hashlib.sha256(encrypt(KEY, b"the same")).hexdigest() for _ in range(20)}
    assert len(digests) == 20
