"""WebSocket frames by hand: fragments, control frames, and everything that ends in a close code."""

from __future__ import annotations

import json

import pytest

from harness.raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawWebSocket, frame

LIMIT = 1_048_576


@pytest.fixture
def raw(service, topic):
    with RawWebSocket(service.port, service.path("producer", topic)) as made:
        yield made


def reply(raw) -> dict:
    opcode, payload = raw.read()
    assert opcode == TEXT, (opcode, payload)
    return json.loads(payload)


def padded(size: int) -> bytes:
    """A request of exactly that many bytes."""
    head, tail = b'{"payload":"YQ==","x":"', b'"}'
    return head + b"y" * (size - len(head) - len(tail)) + tail


def test_one_frame(raw):
    raw.send(TEXT, b'{"payload":"YQ==","context":"c"}')
    assert reply(raw)["context"] == "c"


def test_byte_by_byte(raw):
    for byte in frame(TEXT, b'{"payload":"YQ==","context":"slow"}'):
        raw.send_bytes(bytes([byte]))
    assert reply(raw)["context"] == "slow"


@pytest.mark.parametrize("length", [b"\xfe\x00\x10", b"\xff\x00\x00\x00\x00\x00\x00\x00\x10"])
def test_a_length_may_be_longer_than_it_need_be(raw, length):
    raw.send_bytes(b"\x81" + length + b"\0\0\0\0" + b'{"payload":"YQ"}')
    assert reply(raw)["result"] == "ok"


def test_many_frames_at_once(raw):
    raw.send_bytes(b"".join(frame(TEXT, b'{"payload":"YQ==","context":%d}' % number) for number in range(200)))
    assert [reply(raw)["context"] for _ in range(200)] == [str(number) for number in range(200)]


def test_fragments_with_pings_between(raw):
    text = '{"payload":"YQ==","context":"é😀"}'.encode()
    at = text.index("é".encode()) + 1  # in the middle of a character
    raw.send(TEXT, text[:5], fin=False)
    raw.send(PING, b"one")
    raw.send(CONTINUATION, text[5:at], fin=False)
    raw.send(PONG, b"unasked")
    raw.send(CONTINUATION, b"", fin=False)
    raw.send(PING, b"")
    raw.send(CONTINUATION, text[at:])
    assert raw.read() == (PONG, b"one")
    assert raw.read() == (PONG, b"")
    assert reply(raw)["context"] == "é😀"


def test_pings_are_answered_with_their_data(raw):
    for data in (b"", b"x", bytes(range(125))):
        raw.send(PING, data)
        assert raw.read() == (PONG, data)


@pytest.mark.parametrize("code, reason", [(1000, b""), (1001, b"bye"), (3000, b"x" * 123), (4999, "ü".encode()), (None, b"")])
def test_a_close_is_echoed_and_the_connection_ends(raw, code, reason):
    raw.send(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)
    assert raw.closed() == (code, reason.decode())
    assert raw.ended()


@pytest.mark.parametrize("whole, cut", [(b"", "ü".encode()[:1]), (b"x" * 121, "€".encode()[:2]), (b"x", "😀".encode()[:3])])
def test_a_close_reason_may_be_cut_within_a_character(raw, whole, cut):
    """The Java service echoes the half character too."""
    raw.send(CLOSE, b"\x03\xe8" + whole + cut)
    opcode, payload = raw.read()
    assert (opcode, payload[:2]) == (CLOSE, b"\x03\xe8")
    assert payload[2:].removesuffix(cut) == whole
    assert raw.ended()


@pytest.mark.parametrize("reason", [b"\xff", b"a\xc3(", b"\xed\xa0\x80x"])
def test_a_close_reason_that_is_no_UTF_8_closes_with_1007(raw, reason):
    raw.send(CLOSE, b"\x03\xe8" + reason)
    assert raw.closed() == (1007, "Invalid Close Reason")


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014])
def test_assigned_codes_are_echoed(raw, code):
    raw.send(CLOSE, code.to_bytes(2, "big"))
    assert raw.closed() == (code, "")


def test_the_limit_is_inclusive(raw):
    raw.send(TEXT, padded(LIMIT))
    assert reply(raw)["result"] == "ok"
    raw.send(TEXT, padded(LIMIT + 1))
    assert raw.closed() == (1009, "Text message size [1048577] exceeds maximum size [1048576]")


def test_the_limit_counts_all_fragments(raw):
    text = padded(LIMIT + 1)
    raw.send(TEXT, text[:600_000], fin=False)
    raw.send(CONTINUATION, text[600_000:])
    assert raw.closed()[0] == 1009


def test_fragments_up_to_the_limit_are_fine(raw):
    text = padded(LIMIT)
    raw.send(TEXT, text[:1], fin=False)
    for at in range(1, len(text), 100_000):
        raw.send(CONTINUATION, text[at:at + 100_000], fin=at + 100_000 >= len(text))
    assert reply(raw)["result"] == "ok"


def test_binary_is_ignored_up_to_its_limit(raw):
    raw.send(BINARY, b"x" * 65_536)
    raw.send(TEXT, b'{"payload":"YQ==","context":"c"}')
    assert reply(raw)["context"] == "c"
    raw.send(BINARY, b"x" * 65_537)
    assert raw.closed() == (1009, "Binary message size [65537] exceeds maximum size [65536]")


@pytest.mark.parametrize("text", [
    b"\xff", b'{"payload":"YQ==","context":"\xc3\x28"}', b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf",
])
def test_text_that_is_no_UTF_8_closes_with_1007(raw, text):
    raw.send(TEXT, text)
    assert raw.closed()[0] == 1007


def test_a_character_cut_off_at_the_end_closes_with_1007(raw):
    raw.send(TEXT, '{"payload":"YQ=="} é'.encode()[:-1])
    assert raw.closed()[0] == 1007


BREACHES = {
    "unmasked": frame(TEXT, b"{}", masked=False),
    "first reserved bit": frame(TEXT, b"{}", rsv=4),
    "second reserved bit": frame(TEXT, b"{}", rsv=2),
    "third reserved bit": frame(TEXT, b"{}", rsv=1),
    "unknown data opcode": frame(3, b""),
    "unknown control opcode": frame(11, b""),
    "stray continuation": frame(CONTINUATION, b"x"),
    "text inside a fragmented message": frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"),
    "fragmented ping": frame(PING, b"x", fin=False),
    "long ping": frame(PING, b"x" * 126),
    "long close": frame(CLOSE, b"\x03\xe8" + b"x" * 124),
    "very long ping": frame(PING, b"x" * 70_000),
    "close code 0": frame(CLOSE, b"\0\0"),
    "close code 1004": frame(CLOSE, b"\x03\xec"),
    "close code 1006": frame(CLOSE, b"\x03\xee"),
    "close code 1015": frame(CLOSE, b"\x03\xf7"),
    "close code 1016": frame(CLOSE, b"\x03\xf8"),
    "close code 2999": frame(CLOSE, b"\x0b\xb7"),
    "close code 5000": frame(CLOSE, b"\x13\x88"),
    "close code 999": frame(CLOSE, b"\x03\xe7"),
    "close code 1005": frame(CLOSE, b"\x03\xed"),
    "close code of one byte": frame(CLOSE, b"\x03"),
}


@pytest.mark.parametrize("case", BREACHES)
def test_a_breach_of_the_protocol_closes_with_1002(raw, case):
    raw.send_bytes(BREACHES[case])
    assert raw.closed()[0] == 1002


def test_nothing_is_read_after_a_close(raw, service, topic):
    raw.send_bytes(frame(CLOSE, b"\x03\xe8") + frame(TEXT, b'{"payload":"YQ=="}'))
    assert raw.closed()[0] == 1000
    with service.reader(topic, messageId="earliest") as reader:
        reader.nothing(0.5)
