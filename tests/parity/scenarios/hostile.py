"""What careless and hostile clients send on a WebSocket: odd frames and odd JSON."""

from __future__ import annotations

import struct

from harness.raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame

from ..catalogue import scenario
from ..stage import Socket, Stage
from .consume import CLIENT_SIDE
from .frames import A, framed

B = {"payload": "YQ=="}
DEFLATE = {"Sec-WebSocket-Extensions": "permessage-deflate"}


# Frames.


@framed("odd-pings-between", "frame text", "frame odd")
def pings_between(socket: Socket) -> None:
    """A ping behind each byte of a message."""
    for at, byte in enumerate(A):
        last = at == len(A) - 1
        socket.send_frame(CONTINUATION if at else TEXT, bytes([byte]), fin=last)
        if not last:
            socket.send_frame(PING, bytes([at]))


@framed("odd-cut-character", "frame text", "frame odd")
def cut_character(socket: Socket) -> None:
    """A character cut by frames, which is well-formed as a whole."""
    text = '{"payload":"YQ==","context":"ä😀"}'.encode()
    for at in range(len(text)):
        socket.send_frame(CONTINUATION if at else TEXT, text[at:at + 1], fin=at == len(text) - 1)


@framed("odd-cut-bad-character", "frame invalid UTF-8", "frame odd")
def cut_bad_character(socket: Socket) -> None:
    socket.send_frame(TEXT, b'{"payload":"\xe2\x82', fin=False)
    socket.send_frame(CONTINUATION, b'"}')


for name, frames in {
    "empty-text": [(TEXT, b"", True)], "empty-binary": [(BINARY, b"", True)],
    "empty-fragments": [(TEXT, b"", False), (CONTINUATION, b"", False), (CONTINUATION, A, False), (CONTINUATION, b"", True)],
    "only-empty-fragments": [(TEXT, b"", False), (CONTINUATION, b"", True)],
    "binary-fragments": [(BINARY, A[:5], False), (PING, b"", True), (CONTINUATION, A[5:], True)],
    "binary-in-text": [(TEXT, A[:5], False), (BINARY, b"x", True)], "binary-then-text": [(BINARY, A, True), (TEXT, A, True)],
    "binary-fragments-too-long": [(BINARY, b"x" * 40_000, False), (CONTINUATION, b"x" * 40_000, True)],
    "close-in-fragments": [(TEXT, A[:5], False), (CLOSE, struct.pack(">H", 1000), True), (CONTINUATION, A[5:], True)],
    "pongs": [(PONG, b"", True)] * 50, "pings": [(PING, b"p", True)] * 50,
    "new-message-in-fragments": [(TEXT, A[:5], False), (CONTINUATION, A[5:], True), (CONTINUATION, A, True)],
}.items():
    @framed(f"odd-{name}", "frame odd")
    def several(socket: Socket, frames: list = frames) -> None:
        socket.send_bytes(b"".join(frame(opcode, payload, fin) for opcode, payload, fin in frames))


def long_form(payload: bytes, marker: int, form: str, length: int | None = None) -> bytes:
    """A frame whose length has more bytes than it needs, masked with zeros."""
    return bytes([0x81, 0x80 | marker]) + struct.pack(form, len(payload) if length is None else length) + bytes(4) + payload


for name, data in {
    "length-16": long_form(A, 126, ">H"), "length-64": long_form(A, 127, ">Q"), "length-negative": long_form(A, 127, ">Q", 1 << 63),
    "length-huge": long_form(A, 127, ">Q", 1 << 40), "length-beyond-int": long_form(A, 127, ">Q", (1 << 31) + 5),
    "ping-unmasked": b"\x89\x00", "ping-long-form": b"\x89\xfe\x00\x01\0\0\0\0x", "close-cut": b"\x08\x80\0\0\0\0", "all-bits": b"\xff\xff" + b"\xff" * 20,
    "http-again": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "zeros": bytes(64),
}.items():
    framed(f"odd-{name}", "frame odd", "frame protocol error")(lambda socket, data=data: socket.send_bytes(data))

for code in (0, 1002, 1003, 1004, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 1015, 1100, 2000, 2999, 65535):
    framed(f"odd-close-{code}", "frame close", "frame odd")(lambda socket, code=code: socket.send_frame(CLOSE, struct.pack(">H", code) + b"why"))


@framed("odd-close-twice", "frame close", "frame odd")
def close_twice(socket: Socket) -> None:
    socket.send_bytes(frame(CLOSE, struct.pack(">H", 1001)) + frame(CLOSE, struct.pack(">H", 1000)))


@framed("odd-close-behind-messages", "frame close", "frame odd")
def close_behind_messages(socket: Socket) -> None:
    """What came before the close is published; its reply may come too late, so an invalid one stands for it."""
    socket.send_bytes(frame(TEXT, b'{"payload":"!"}') + frame(PING, b"x") + frame(CLOSE, struct.pack(">H", 1000)))


@scenario("hostile/deflate", "frame deflate")
def deflate(stage: Stage) -> None:
    """Agreed on, and then not used, used, and used wrongly."""
    topic = stage.topic()
    for name, data in {"not used": frame(TEXT, A), "used": frame(TEXT, bytes.fromhex("aa562a48acccc94f4c51b2528a8c0cb4b555aa0500"), rsv=4),
                       "on a ping": frame(PING, b"x", rsv=4), "on a continuation": frame(TEXT, b"{", fin=False) + frame(CONTINUATION, b"}", rsv=4)}.items():
        producer = stage.producer(topic, label=name, headers=DEFLATE)
        producer.send_bytes(data)
        producer.next(1)
        producer.close()


@scenario("hostile/deflate-offers", "frame deflate")
def deflate_offers(stage: Stage) -> None:
    """In how many ways compression can be offered; a message goes either way."""
    for offer in ("permessage-deflate; client_max_window_bits", "permessage-deflate; server_max_window_bits=10", "permessage-deflate;server_no_context_takeover;client_no_context_takeover",
                  "foo, permessage-deflate", "permessage-deflate, permessage-deflate", "PERMESSAGE-DEFLATE", 'permessage-deflate; client_max_window_bits=15; server_max_window_bits="10"',
                  "permessage-bzip2", "", " permessage-deflate ; client_no_context_takeover "):
        topic = stage.topic()
        producer = stage.producer(topic, label=f"[{offer}]", headers={"Sec-WebSocket-Extensions": offer})
        consumer = stage.consumer(topic, label=f"[{offer}] consumer", headers={"Sec-WebSocket-Extensions": offer}, subscriptionInitialPosition="Earliest")
        producer.publish("QUJD" * 1000)
        consumer.read()
        producer.close()
        consumer.close()


# JSON.


def answers(name: str, messages: dict[str, object], *rows: str, **parameters: str) -> None:
    """Registers a scenario that sends these one after the other; a reader sees what was published."""
    @scenario(f"hostile/{name}", *rows)
    def sends(stage: Stage) -> None:
        topic = stage.topic()
        reader, producer = stage.reader(topic), stage.producer(topic, **parameters)
        for label, message in messages.items():
            producer.label, reader.label = f"{label} reply", f"{label} delivery"
            producer.send(message)
            reply = producer.json()
            if reply and reply.get("result") == "ok":
                reader.ack(reader.json())

def beside(text: str) -> str:
    """A message with that member too."""
    return '{"payload":"YQ==",' + text + "}"


answers("json-sizes", {
    **{f"{depth} deep": beside('"x":' + "[" * depth + "]" * depth) for depth in (100, 998, 999, 1000, 5000)},
    **{f"{digits} digits": beside('"x":' + "1" * digits) for digits in (999, 1000, 1001)},
    **{f"context of {digits} digits": beside('"context":' + "1" * digits) for digits in (1000, 1001)},
    **{f"name of {size}": beside('"' + "n" * size + '":1') for size in (1000, 49_999, 50_000, 50_001)},
    "a thousand members": beside(",".join(f'"x{number}":{number}' for number in range(1000))),
    "long context": {**B, "context": "c" * 5_000}, "a hundred properties": {**B, "properties": {"p": "1"} | {str(number): "v" for number in range(100)}},
    "long key": {**B, "key": "k" * 2_000},
}, "publish JSON limits", "error 3")
answers("json-numbers", {
    name: beside(f'"deliverAt":{text}') for name, text in {
        "minus zero": "-0", "minus zero point": "-0.0", "leading zero": "01", "no digit behind": "1.", "no digit before": ".5", "plus": "+1", "hexadecimal": "0x10",
        "huge exponent": "1e999", "small exponent": "1e-5", "exponent without digits": "1e", "infinity": "Infinity", "minus": "-", "long": "1" * 30,
        "text with blanks": '" 5 "', "text with plus": '"+5"', "text with point": '"1.5"', "text with exponent": '"1e2"', "text null": '"null"', "blank text": '"  "',
        "negative text": '"-5"', "text too large": '"9223372036854775808"', "object": "{}", "list of one": "[1]", "largest negative": "-9223372036854775808",
    }.items()
}, "publish number forms", "error 3")
answers("json-booleans", {
    name: beside(f'"disableReplication":{text}') for name, text in {
        "text true": '"true"', "text TRUE": '"TRUE"', "text tRUE": '"tRUE"', "one": "1", "zero": "0", "decimal": "1.5", "empty": '""', "null": "null", "text null": '"null"',
        "blank": '" "', "list": "[true]", "True": "True", "text with blanks": '" true "', "text one": '"1"',
    }.items()
}, "publish boolean forms", "error 3")
answers("json-texts", {
    "NUL": beside('"context":"\\u0000"'), "pair": beside('"context":"\\ud83d\\ude00"'), "pair the wrong way": beside('"context":"\\ude00\\ud83d"'),
    "surrogate at the end": beside('"context":"a\\ud83d"'), "surrogate and more": beside('"context":"\\ud83dx"'), "upper-case u": beside('"context":"\\U0041"'),
    "bad hexadecimal": beside('"context":"\\u12g4"'), "cut escape": beside('"context":"\\u12"'), "escaped slash": beside('"context":"\\/"'),
    "delete": beside('"context":"\x7f"'), "next line": beside('"context":"\x85\u2029"'), "noncharacter": beside('"context":"\uffff\ufdd0"'),
    "escaped name": '{"p\\u0061yload":"YQ=="}', "name with NUL": beside('"\\u0000":1'), "empty name": beside('"":1'),
    "surrogate in key": beside('"key":"\\ud800"'), "surrogate in property": beside('"properties":{"\\ud800":"\\udfff"}'),
    "empty property": beside('"properties":{"":""}'), "odd properties": beside('"properties":{"a":1,"b":1.50,"c":false,"d":1e3}'),
    "scalars as they stand": beside('"context":-0.0,"key":1E+2,"properties":{"n":123456789012345678901234567890}'),
}, "publish string scalars", "publish context", "publish properties")
answers("json-forms", {
    "empty object": "{}", "empty text": '""', "blank text": '" "', "text": '"YQ=="', "true": "true", "list of one": '[{"payload":"YQ=="}]', "blanks": "  ", "two nulls": "null null",
    "null and garbage": "nullx", "object and garbage": "{}x", "brace too many": '{"payload":"YQ=="}}', "open brace behind": '{"payload":"YQ=="}{', "vertical tab": '\x0b{"payload":"YQ=="}',
    "no-break space": '\u00a0{"payload":"YQ=="}', "BOM inside": '{\ufeff"payload":"YQ=="}', "NUL before": '\x00{"payload":"YQ=="}', "NUL behind": '{"payload":"YQ=="}\x00',
    "no colon": '{"payload" "YQ=="}', "two colons": '{"payload"::"YQ=="}', "two commas": '{"payload":"YQ==",,"key":"a"}', "comma first": '{,"payload":"YQ=="}', "no value": '{"payload":}',
    "number as name": '{1:"a","payload":"YQ=="}', "line comment": '{"payload":"YQ=="//x\n}', "hash comment": '{"payload":"YQ=="#x\n}', "cut literal": beside('"x":tru'),
    "mismatched": '{"payload":["YQ=="}', "cut string": '{"payload":"YQ==', "form feed": '{"payload":\x0c"YQ=="}', "duplicate with null": '{"payload":"YQ==","payload":null}',
}, "publish JSON rules", "error 3", "error 7")
answers("payloads", {
    "list": {"payload": []}, "object": {"payload": {}}, "true": {"payload": True}, "decimal": '{"payload":12.50}', "exponent": '{"payload":1e33}', "only padding": {"payload": "===="},
    "one padding": {"payload": "="}, "plus and slash": {"payload": "+/+/"}, "NUL inside": {"payload": "YQ\u0000="}, "escaped": '{"payload":"YQ\\u003d\\u003D"}', "MIME lines": {"payload": "YWFh\r\nYWFh"},
    "data URL": {"payload": "data:;base64,YQ=="}, "behind padding": {"payload": "YQ==YQ=="}, "full-width": {"payload": "ＹＱ＝＝"}, "blank behind": {"payload": "YQ== "},
}, "publish base64 rules", "error 7", "publish payload")
answers("event-times", {
    name: {**B, "eventTime": text} for name, text in {
        "point without digits": "2021-01-02T03:04:05.Z", "ten digits": "2021-01-02T03:04:05.1234567891Z", "short month": "2021-1-02T03:04:05Z", "blank before": " 2021-01-02T03:04:05Z",
        "blank behind": "2021-01-02T03:04:05Z ", "offset 18": "2021-01-02T03:04:05+18:00", "offset beyond 18": "2021-01-02T03:04:05+18:01", "offset 19": "2021-01-02T03:04:05+19:00",
        "minus zero": "2021-01-02T03:04:05-00:00", "offset without colon": "2021-01-02T03:04:05+0100", "leap second": "2021-01-02T03:04:60Z", "February 29": "2021-02-29T00:00:00Z",
        "leap year": "2020-02-29T00:00:00Z", "year 0": "0000-01-01T00:00:00Z", "negative year": "-0001-01-01T00:00:00Z", "month 13": "2021-13-01T00:00:00Z", "day 0": "2021-01-00T00:00:00Z",
        "minute 60": "2021-01-02T03:60:00Z", "zone": "2021-01-02T03:04:05Z[Europe/Paris]", "comma": "2021-01-02T03:04:05,5Z", "short year": "21-01-02T03:04:05Z", "five digits": "02021-01-02T03:04:05Z",
        "minus sign": "2021-01-02T03:04:05\u221201:00", "other digits": "\u0662021-01-02T03:04:05Z", "no date": "T03:04:05Z", "epoch millis": "1609556645000",
    }.items()
}, "publish eventTime grammar", "publish eventTime")
answers("delays", {
    "both far": {**B, "deliverAt": 1, "deliverAfterMs": 0}, "after null": {**B, "deliverAfterMs": None}, "after text": {**B, "deliverAfterMs": "1"},
    "after negative": {**B, "deliverAfterMs": -1}, "after the largest": {**B, "deliverAfterMs": 9223372036854775807}, "at the largest": {**B, "deliverAt": 9223372036854775807},
}, "publish deliverAt", "publish deliverAfterMs")
answers("clusters", {
    "of nowhere": {**B, "replicationClusters": ["nowhere"]}, "twice": {**B, "replicationClusters": ["standalone", "standalone"]}, "empty name": {**B, "replicationClusters": [""]},
    "numbers": {**B, "replicationClusters": [1, True, 1.5]}, "nested": {**B, "replicationClusters": [["a"]]}, "object": {**B, "replicationClusters": {}}, "null": {**B, "replicationClusters": None},
    "empty text": {**B, "replicationClusters": ""},
}, "publish replicationClusters")


@scenario("hostile/event-time-overflow", "publish eventTime", "publish 1011")
def event_time_overflow(stage: Stage) -> None:
    """A date that no number of milliseconds tells."""
    producer = stage.producer(stage.topic())
    producer.send({**B, "eventTime": "+999999999-12-31T23:59:59Z"})
    producer.quiet(1)


@scenario("hostile/client-side-encryption", "publish encryptionParam", "encryptionKeys client side", "error 7")
def client_side(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic, cryptoFailureAction="CONSUME")
    producer = stage.producer(topic, encryptionKeys=CLIENT_SIDE)
    p = {**B, "encryptionParam": "AAEC"}
    for name, message in {
        "ordinal": {**p, "compressionType": 1, "uncompressedMessageSize": 5}, "ordinal in text": {**p, "compressionType": "1", "uncompressedMessageSize": 5},
        "ordinal too large": {**p, "compressionType": 9, "uncompressedMessageSize": 5}, "lower case": {**p, "compressionType": "lz4", "uncompressedMessageSize": 5},
        "lower case alone": {**p, "compressionType": "lz4"}, "empty": {**p, "compressionType": "", "uncompressedMessageSize": 5}, "size in words": {**p, "compressionType": "LZ4", "uncompressedMessageSize": "x"},
        "negative size": {**p, "compressionType": "LZ4", "uncompressedMessageSize": -1}, "size alone": {**p, "uncompressedMessageSize": 5}, "size zero": {**p, "compressionType": "LZ4", "uncompressedMessageSize": 0},
        "size text": {**p, "compressionType": "SNAPPY", "uncompressedMessageSize": "5"}, "size null": {**p, "compressionType": "SNAPPY", "uncompressedMessageSize": None},
        "decimal size": {**p, "compressionType": "ZLIB", "uncompressedMessageSize": 1.9},
    }.items():
        producer.label, consumer.label = f"{name} reply", f"{name} delivery"
        producer.send(message)
        reply = producer.json()
        if reply and reply.get("result") == "ok":
            consumer.ack(consumer.json(2))
