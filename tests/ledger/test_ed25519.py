"""Ed25519: RFC 8032's vectors, and the plain arithmetic against `cryptography`."""

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import ed25519, sign

# RFC 8032 section 7.1: seed, public key, message, signature.
RFC = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]
ORDER = 2**252 + 27742317777372353535851937790883648493
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC)
def test_the_vectors_of_the_rfc(seed: str, public: str, message: str, signature: str) -> None:
    key, text = bytes.fromhex(seed), bytes.fromhex(message)
    assert sign.public_of(key).hex() == public
    assert sign.sign_pure(key, text).hex() == sign.sign(key, text).hex() == signature
    assert ed25519.verify_pure(bytes.fromhex(public), text, bytes.fromhex(signature))
    assert ed25519.verify(bytes.fromhex(public), text, bytes.fromhex(signature))


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100))
def test_both_implementations_sign_the_same(seed: bytes, message: bytes) -> None:
    assert sign.sign_pure(seed, message) == Ed25519PrivateKey.from_private_bytes(seed).sign(message)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_both_implementations_refuse_the_same_changed_signatures(data: st.DataObject) -> None:
    seed, message = bytes(31) + b"\7", b"message"
    parts = [bytearray(sign.public_of(seed)), bytearray(message), bytearray(sign.sign(seed, message))]
    part = data.draw(st.sampled_from(parts))
    part[data.draw(st.integers(0, len(part) - 1))] ^= data.draw(st.integers(1, 255))
    public, changed, signature = map(bytes, parts)
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, changed)
        accepted = True
    except InvalidSignature:
        accepted = False
    assert not accepted
    assert not ed25519.verify_pure(public, changed, signature)
    assert not ed25519.verify(public, changed, signature)


def test_a_signature_with_a_second_spelling_is_refused() -> None:
    seed = bytes(32)
    public, signature = sign.public_of(seed), sign.sign(seed, b"m")
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    again = signature[:32] + scalar.to_bytes(32, "little")
    assert not ed25519.verify_pure(public, b"m", again)
    assert not ed25519.verify(public, b"m", again)


@pytest.mark.parametrize("public", SMALL_ORDER)
def test_a_key_of_small_order_is_no_key(public: str) -> None:
    """Under such a key one signature holds for many messages."""
    key = bytes.fromhex(public)
    assert not ed25519.usable(key)
    assert not ed25519.verify(key, b"anything", key + bytes(32))


def test_a_key_with_a_second_spelling_is_no_key() -> None:
    for number in (2**255 - 19, 2**255 - 18, 2**255 - 1):
        assert not ed25519.usable(number.to_bytes(32, "little"))
    assert not ed25519.usable(bytes(31))
    assert not ed25519.usable((2).to_bytes(32, "little"))
    assert ed25519.usable(sign.public_of(bytes(32)))


def test_malformed_input_is_false_and_no_exception() -> None:
    public = sign.public_of(bytes(32))
    for signature in (b"", bytes(63), bytes(65), b"\xff" * 64):
        assert not ed25519.verify(public, b"", signature)
        assert not ed25519.verify_pure(public, b"", signature)
    assert not ed25519.verify(b"short", b"", bytes(64))
    with pytest.raises(ValueError, match="32 bytes"):
        sign.sign_pure(b"short", b"")
