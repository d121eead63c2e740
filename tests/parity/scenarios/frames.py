"""RFC 6455 frames, well made and not."""

from __future__ import annotations

import struct

from harness.raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

from ..catalogue import scenario
from ..stage import Socket, Stage

A = b'{"payload":"YQ=="}'


AFTER = '{"payload":"YQ==","context":"after"}'


def framed(name: str, *rows: str):
    """Registers a scenario on a producer's WebSocket; behind what it does a message and a close follow."""
    def register(play):
        @scenario(f"frames/{name}", *rows)
        def whole(stage: Stage) -> None:
            producer = stage.producer(stage.topic())
            play(producer)
            producer.send(AFTER)
            # Replies come in the order of their messages.
            while (text := producer.next(3)) is not None and '"context":"after"' not in text:
                pass
            producer.close()

        return whole

    return register


@framed("text", "frame text")
def text(socket: Socket) -> None:
    socket.send_frame(TEXT, A)


@framed("fragments", "frame text")
def fragments(socket: Socket) -> None:
    socket.send_frame(TEXT, A[:4], fin=False)
    socket.send_frame(PING, b"between")
    socket.send_frame(CONTINUATION, A[4:9], fin=False)
    socket.send_frame(CONTINUATION, A[9:])


@framed("binary", "frame binary")
def binary(socket: Socket) -> None:
    socket.send_frame(BINARY, A)
    socket.send_frame(BINARY, b"\xff" * 65536)


@framed("binary-too-long", "frame binary too long")
def binary_too_long(socket: Socket) -> None:
    socket.send_frame(BINARY, b"\xff" * 65537)


@framed("longest", "frame too long")
def longest(socket: Socket) -> None:
    socket.send_frame(TEXT, b'{"payload":"!"}' + b" " * (1048576 - 15))


@framed("too-long", "frame too long")
def too_long(socket: Socket) -> None:
    socket.send_frame(TEXT, A + b" " * (1048577 - len(A)))


@framed("too-long-in-fragments", "frame too long")
def too_long_in_fragments(socket: Socket) -> None:
    socket.send_frame(TEXT, A + b" " * 600_000, fin=False)
    socket.send_frame(CONTINUATION, b" " * 600_000)


@framed("ping", "frame ping")
def ping(socket: Socket) -> None:
    socket.send_frame(PING)
    socket.send_frame(PING, b"x" * 125)
    socket.send_frame(PONG, b"nobody asked")


for name, payload in {"ff": b"\xff", "cut": b"\xe2\x82", "surrogate": b"\xed\xa0\x80", "overlong": b"\xc0\x80", "too-high": b"\xf4\x90\x80\x80"}.items():
    framed(f"utf8-{name}", "frame invalid UTF-8")(lambda socket, payload=payload: socket.send_frame(TEXT, b'{"a":"' + payload + b'"}'))

for name, data in {
    "unmasked": b"\x81\x01a", "rsv1": b"\xc1\x80\0\0\0\0", "rsv2": b"\xa1\x80\0\0\0\0", "rsv3": b"\x91\x80\0\0\0\0",
    "opcode-3": b"\x83\x80\0\0\0\0", "opcode-11": b"\x8b\x80\0\0\0\0", "stray-continuation": b"\x80\x80\0\0\0\0",
    "text-in-fragments": b"\x01\x80\0\0\0\0\x81\x80\0\0\0\0", "long-ping": b"\x89\xfe\x00\x7e\0\0\0\0" + b"x" * 126,
    "cut-ping": b"\x09\x80\0\0\0\0",
}.items():
    framed(f"bad-{name}", "frame protocol error")(lambda socket, data=data: socket.send_bytes(data))

for name, payload in {
    "empty": b"", "1000": b"\x03\xe8", "1000-reason": b"\x03\xe8bye \xc3\xa4", "1001": b"\x03\xe9", "3000": b"\x0b\xb8", "4999": b"\x13\x87",
    "999": b"\x03\xe7", "1005": b"\x03\xed", "1006": b"\x03\xee", "1016": b"\x03\xf8", "5000": b"\x13\x88", "one-byte": b"\x03",
    "bad-utf8": b"\x03\xe8\xff", "longest": b"\x03\xe8" + b"x" * 123,
}.items():
    framed(f"close-{name}", "frame close", "frame protocol error")(lambda socket, payload=payload: socket.send_frame(CLOSE, payload))


@scenario("frames/data-after-close", "frame close")
def data_after_close(stage: Stage) -> None:
    producer = stage.producer(stage.topic())
    producer.send_frame(CLOSE, struct.pack(">H", 1000))
    producer.send(A.decode())
    producer.end()


@scenario("frames/smaller-limit", "frame too long", webSocketMaxTextFrameSize="100")
def smaller_limit(stage: Stage) -> None:
    producer = stage.producer(stage.topic())
    producer.send_frame(TEXT, A + b" " * (100 - len(A)))
    producer.read()
    producer.send_frame(TEXT, A + b" " * (101 - len(A)))
    producer.end()


@scenario("frames/idle", "frame close", webSocketSessionIdleTimeoutMillis="1500")
def idle(stage: Stage) -> None:
    stage.producer(stage.topic()).end()
