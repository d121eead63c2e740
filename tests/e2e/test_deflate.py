"""permessage-deflate: what is agreed on, what is read, what is written, and what is a breach."""

from __future__ import annotations

import json
import subprocess
import zlib

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from harness.client import Client, decode, encode
from harness.raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, UPGRADE, RawWebSocket, frame, request

LIMIT = 1_048_576
COMPRESSED = 4  # the first reserved bit, as `frame` takes it
REQUEST = b'{"payload":"YQ==","context":"squeezed"}'
ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


def offer(text: str) -> dict:
    return {"Sec-WebSocket-Extensions": text}


def squeeze(data: bytes, level: int = 6) -> bytes:
    """A message as RFC 7692 wants it."""
    stream = zlib.compressobj(level, zlib.DEFLATED, -15)
    data = stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)
    assert data.endswith(b"\0\0\xff\xff")
    return data[:-4]


class Squeezed(RawWebSocket):
    """A raw WebSocket that agreed on compression."""

    def __init__(self, service, path: str, text: str = "permessage-deflate") -> None:
        super().__init__(service.port, path, offer(text))
        assert self.upgrade.headers["sec-websocket-extensions"].startswith("permessage-deflate")
        # The Java service refers to what it sent before. Who does not is read by the same inflater.
        self.inflater = zlib.decompressobj(-15)

    def message(self, bits: int = 0) -> tuple[bool, bytes]:
        """The next message, and whether it was compressed; `bits` reads it for itself, with a window of that size."""
        first, opcode, payload = self.stream.frame()
        assert opcode == TEXT and first & 0xB0 == 0x80, (first, payload)
        if not first & 0x40:
            return False, payload
        inflater = zlib.decompressobj(-bits) if bits else self.inflater
        return True, inflater.decompress(payload + b"\0\0\xff\xff")

    def reply(self) -> dict:
        return json.loads(self.message()[1])


@pytest.fixture
def raw(service, topic):
    with Squeezed(service, service.path("producer", topic)) as made:
        yield made


def agreed(service, topic, *lines: str) -> str | None:
    text = "\r\nSec-WebSocket-Extensions: ".join(lines)
    answer = request(service.port, service.path("producer", topic), headers=UPGRADE | offer(text))
    assert answer.status == 101, answer
    return answer.headers.get("sec-websocket-extensions")


@pytest.mark.parametrize("lines", [
    ["permessage-deflate"], ["permessage-deflate; client_max_window_bits"], ["permessage-deflate;client_max_window_bits=10"],
    ["permessage-deflate; client_no_context_takeover; server_no_context_takeover"], ["other, permessage-deflate"],
    ["other", "permessage-deflate"], ["permessage-deflate, permessage-deflate; client_max_window_bits"],
    ["permessage-deflate ; client_max_window_bits = 12"],
])
def test_what_clients_offer_is_agreed_to(service, topic, lines):
    answer = agreed(service, topic, *lines)
    assert answer == ANSWER if not service.is_java else answer.startswith("permessage-deflate")


@pytest.mark.parametrize("line", ["other", "permessage-bzip2", "", "PERMESSAGE-DEFLATE"])
def test_what_is_not_known_is_not_agreed_to(service, topic, line):
    assert agreed(service, topic, line) is None


@pytest.mark.ours_only("Java answers 500, or agrees to what it does not keep")
@pytest.mark.parametrize("line, answer", [
    ("permessage-deflate; other", None), ("permessage-deflate; server_max_window_bits=16", None),
    ("permessage-deflate; server_max_window_bits", None), ("permessage-deflate; client_no_context_takeover=1", None),
    ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", None), ("permessage-deflate;", None),
    ("x-webkit-deflate-frame", None), ("permessage-deflate; other, permessage-deflate", ANSWER),
    ("permessage-deflate; server_max_window_bits=10", ANSWER + "; server_max_window_bits=10"),
])
def test_an_offer_that_can_not_be_kept_is_passed_over(service, topic, line, answer):
    assert agreed(service, topic, line) == answer


def test_compressed_and_plain_requests_mix(raw):
    for _ in range(3):
        raw.send(TEXT, squeeze(REQUEST), rsv=COMPRESSED)
        assert raw.reply()["context"] == "squeezed"
        raw.send(TEXT, b'{"payload":"YQ==","context":"plain"}')
        assert raw.reply()["context"] == "plain"


def test_byte_by_byte(raw):
    for byte in frame(TEXT, squeeze(REQUEST), rsv=COMPRESSED):
        raw.send_bytes(bytes([byte]))
    assert raw.reply()["context"] == "squeezed"


def test_fragments_with_a_ping_between(raw):
    data = squeeze(REQUEST)
    raw.send(TEXT, data[:7], fin=False, rsv=COMPRESSED)
    raw.send(PING, b"between")
    raw.send(CONTINUATION, data[7:9], fin=False)
    raw.send(CONTINUATION, b"", fin=False)
    raw.send(CONTINUATION, data[9:])
    assert raw.read() == (PONG, b"between")
    assert raw.reply()["context"] == "squeezed"


@pytest.mark.parametrize("form", ["last block", "last block and an empty one", "with its end", "not compressed"])
def test_forms_that_clients_write(raw, form):
    stream = zlib.compressobj(6, zlib.DEFLATED, -15)
    last = stream.compress(REQUEST) + stream.flush()
    forms = {
        "last block": last, "last block and an empty one": last + b"\0", "with its end": squeeze(REQUEST) + b"\0\0\xff\xff",
        "not compressed": squeeze(REQUEST, level=0),
    }
    raw.send(TEXT, forms[form], rsv=COMPRESSED)
    assert raw.reply()["context"] == "squeezed"


def padded(size: int) -> bytes:
    """A request of exactly that many bytes."""
    head, tail = b'{"payload":"YQ==","x":"', b'"}'
    return head + b"y" * (size - len(head) - len(tail)) + tail


def test_the_limit_is_on_what_was_compressed(raw):
    raw.send(TEXT, squeeze(padded(LIMIT)), rsv=COMPRESSED)
    assert raw.reply()["result"] == "ok"
    raw.send(TEXT, squeeze(padded(LIMIT + 1)), rsv=COMPRESSED)
    code, reason = raw.closed()
    assert code == 1009
    assert f"size [{LIMIT + 1}]" in reason and f"[{LIMIT}]" in reason


def test_a_bomb_goes_off_at_the_limit(raw):
    raw.send(TEXT, squeeze(b" " * 100_000_000, level=9), rsv=COMPRESSED)
    code, reason = raw.closed()
    assert (code, f"[{LIMIT}]" in reason) == (1009, True)


def test_few_bytes_that_stand_for_many_are_all_read(raw):
    raw.send_bytes(frame(TEXT, squeeze(padded(LIMIT)), rsv=COMPRESSED) * 12)
    for _ in range(12):
        assert raw.reply()["result"] == "ok"


def test_compressed_binary_is_ignored_up_to_its_limit(raw):
    raw.send(BINARY, squeeze(b"x" * 65_536), rsv=COMPRESSED)
    raw.send(TEXT, REQUEST)
    assert raw.reply()["context"] == "squeezed"
    raw.send(BINARY, squeeze(b"x" * 65_537), rsv=COMPRESSED)
    assert raw.closed() == (1009, "Binary message size [65537] exceeds maximum size [65536]")


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_what_is_no_deflate_data_closes_with_1007(raw, opcode):
    raw.send(opcode, b"\xff" * 20, rsv=COMPRESSED)
    assert raw.closed() == (1007, "java.util.zip.DataFormatException: invalid block type")


def test_compressed_text_that_is_no_UTF_8_closes_with_1007(raw):
    raw.send(TEXT, squeeze(b"ok\xff"), rsv=COMPRESSED)
    name = "org.eclipse.jetty.util.Utf8Appendable$NotUtf8Exception"
    assert raw.closed() == (1007, f"{name}: Not valid UTF8! byte Ff in state 0")


@pytest.mark.ours_only("Java takes what it could read, with garbage behind it")
def test_a_message_that_breaks_off_closes_with_1007(raw):
    raw.send(TEXT, squeeze(REQUEST)[:-6], rsv=COMPRESSED)
    assert raw.closed()[0] == 1007


BREACHES = {
    "a marked ping": frame(PING, b"x", rsv=COMPRESSED),
    "a marked close": frame(CLOSE, b"\x03\xe8", rsv=COMPRESSED),
    "a marked continuation": frame(TEXT, squeeze(REQUEST)[:5], fin=False, rsv=COMPRESSED)
    + frame(CONTINUATION, squeeze(REQUEST)[5:], rsv=COMPRESSED),
    "another bit beside": frame(TEXT, squeeze(REQUEST), rsv=COMPRESSED | 2),
    "another bit alone": frame(TEXT, REQUEST, rsv=1),
}


@pytest.mark.parametrize("case", BREACHES)
def test_a_reserved_bit_without_meaning_closes_with_1002(raw, case):
    raw.send_bytes(BREACHES[case])
    assert raw.closed()[0] == 1002


def test_nothing_is_compressed_that_was_not_agreed(service, topic):
    with RawWebSocket(service.port, service.path("producer", topic)) as raw:
        raw.send(TEXT, squeeze(REQUEST), rsv=COMPRESSED)
        assert raw.closed()[0] == 1002


def published(service, topic, *payloads: bytes) -> None:
    with service.producer(topic) as producer:
        for payload in payloads:
            producer.publish(payload)


def test_long_messages_come_compressed(service, topic):
    payloads = [f"message {number} ".encode() * 500 for number in range(5)]
    with Squeezed(service, service.path("consumer", topic, "s")) as raw:
        published(service, topic, *payloads)
        for payload in payloads:
            compressed, text = raw.message()
            assert compressed
            assert decode(json.loads(text)) == payload


@pytest.mark.ours_only("Java compresses everything, and refers to earlier messages")
def test_messages_stand_for_themselves_and_short_ones_are_plain(service, topic):
    payloads = [b"short", b"a longer one " * 200, b"short", b"a longer one " * 200]
    with Squeezed(service, service.path("consumer", topic, "s")) as raw:
        published(service, topic, *payloads)
        for payload in payloads:
            compressed, text = raw.message(bits=15)
            assert compressed == (len(payload) > 1000)
            assert decode(json.loads(text)) == payload


@pytest.mark.ours_only("Java ignores server_max_window_bits")
def test_a_small_window_is_kept_to(service, topic):
    payloads = [b"0123456789" * count for count in (80, 150, 290, 3000)]
    path = service.path("consumer", topic, "s")
    with Squeezed(service, path, "permessage-deflate; server_max_window_bits=11") as raw:
        published(service, topic, *payloads)
        for payload in payloads:
            compressed, text = raw.message(bits=11)
            assert decode(json.loads(text)) == payload
            assert compressed == (1024 <= len(text) <= 2048)


def test_the_python_client_with_options(service, topic):
    """The plain client is in every other test, and offers compression too."""
    factory = ClientPerMessageDeflateFactory(
        server_no_context_takeover=not service.is_java, client_no_context_takeover=True, client_max_window_bits=9)
    payload = b"some repetition " * 20_000
    url = service.base + service.path("consumer", topic, "s")
    with Client(url, extensions=[factory], compression=None) as consumer:
        url = service.base + service.path("producer", topic)
        with Client(url, extensions=[factory], compression=None) as producer:
            for _ in range(3):
                producer.publish(payload)
                assert decode(consumer.json()) == payload


def test_a_client_that_offers_nothing(service, topic):
    with Client(service.base + service.path("producer", topic), compression=None) as producer:
        assert producer.socket.response.headers.get("Sec-WebSocket-Extensions") is None
        producer.publish(b"x" * 10_000)


NODE = """
const WebSocket = require("ws");
const [base, producerPath, consumerPath, payload] = process.argv.slice(1);
const options = { perMessageDeflate: { threshold: 0 } };
const consumer = new WebSocket(base + consumerPath, options);
consumer.on("open", () => {
  const producer = new WebSocket(base + producerPath, options);
  producer.on("open", () => { for (let n = 0; n < 3; n++) producer.send(JSON.stringify({ payload, context: n })); });
  producer.on("error", (error) => { console.error(error); process.exit(1); });
});
const seen = [];
consumer.on("message", (data) => {
  const delivery = JSON.parse(data);
  consumer.send(JSON.stringify({ messageId: delivery.messageId }));
  seen.push(delivery.payload === payload);
  if (seen.length === 3) { console.log(consumer.extensions, JSON.stringify(seen)); process.exit(0); }
});
consumer.on("error", (error) => { console.error(error); process.exit(1); });
"""


def test_the_node_client_compresses_everything(service, topic):
    paths = [service.path("producer", topic), service.path("consumer", topic, "s")]
    command = ["node", "-e", NODE, service.base, *paths, encode(b"some repetition " * 2000)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["permessage-deflate", "[true,true,true]"]


@pytest.mark.ours_only("Java has no such switch")
def test_compression_can_be_switched_off(start, broker, topic):
    plain = start(broker, webSocketDeflateEnabled="false")
    assert agreed(plain, topic, "permessage-deflate") is None


@pytest.mark.ours_only("Java has no such bound")
def test_how_short_a_plain_message_is_can_be_set(start, broker, topic):
    eager = start(broker, webSocketDeflateMinBytes=60)
    with Squeezed(eager, eager.path("producer", topic)) as raw:
        raw.send(TEXT, b"{}" + b" " * 100)
        compressed, text = raw.message(bits=15)
        assert (compressed, json.loads(text)["result"]) == (True, "send-error:7")
