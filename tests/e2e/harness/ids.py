"""Message ids as the WebSocket API shows them: base64 of a protobuf."""

from __future__ import annotations

import base64

FIELDS = {1: "ledger", 2: "entry", 3: "partition", 4: "batch_index", 6: "batch_size"}


FIRST_CHUNK = 7 << 3 | 2


def read(text: str) -> dict:
    """The numbers in an id, in the order they were written, and the id within it; an unknown field is an error."""
    raw, at, found = base64.b64decode(text, validate=True), 0, {}
    while at < len(raw):
        tag, at = _varint(raw, at)
        if tag == FIRST_CHUNK:
            size, at = _varint(raw, at)
            found["first_chunk"] = read(base64.b64encode(raw[at:at + size]).decode())
            at += size
            continue
        assert tag & 7 == 0, f"field {tag >> 3} is no number"
        found[FIELDS[tag >> 3]], at = _varint(raw, at)
    return found


def write(**numbers: int) -> str:
    """The id with these numbers, in the order given."""
    tags = {name: number << 3 for number, name in FIELDS.items()}
    raw = b"".join(_encode(tags[name]) + _encode(value) for name, value in numbers.items())
    return base64.b64encode(raw).decode()


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _encode(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
