"""The least of DER: RFC 3161 responses for samples, with an empty set of signers. `openssl ts` makes real ones."""

SHA256 = bytes.fromhex("608648016503040201")
SHA384 = bytes.fromhex("608648016503040202")
SHA512 = bytes.fromhex("608648016503040203")
SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
TST_INFO = bytes.fromhex("2a864886f70d0109100104")


def element(tag: int, *content: bytes) -> bytes:
    body = b"".join(content)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def sequence(*content: bytes) -> bytes:
    return element(0x30, *content)


def response(
    digest: bytes,
    *,
    algorithm: bytes = SHA256,
    time: bytes = b"20250401120000Z",
    status: bytes = b"\0",
    content_type: bytes = SIGNED_DATA,
    more: bytes = b"",
) -> bytes:
    """A TimeStampResp over a digest, as one authority would send it but for its signature."""
    imprint = sequence(sequence(element(0x06, algorithm), element(0x05)), element(0x04, digest))
    info = sequence(
        element(0x02, b"\1"),
        element(0x06, bytes.fromhex("2a0304")),
        imprint,
        element(0x02, b"\x07"),
        element(0x18, time),
        more,
    )
    data = sequence(
        element(0x02, b"\3"),
        element(0x31, sequence(element(0x06, SHA256))),
        sequence(element(0x06, TST_INFO), element(0xA0, element(0x04, info))),
        element(0x31),
    )
    return sequence(
        sequence(element(0x02, status)),
        sequence(element(0x06, content_type), element(0xA0, data)),
    )
