"""WebSocket clients as an application has them, with the few gestures the tests repeat."""

from __future__ import annotations

import base64
import json
import time
from contextlib import ExitStack
from urllib.parse import quote, urlencode

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

PATIENCE = 15.0
QUIET = 0.6


class Client:
    """One WebSocket made by the unmodified Python package `websockets`."""

    def __init__(self, url: str, **options: object) -> None:
        self.url = url
        self.opened = ExitStack()
        self.socket = self.opened.enter_context(
            connect(url, max_size=None, open_timeout=40, close_timeout=2, **options))

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.opened.close()

    def send(self, message: object) -> None:
        """Sends text or bytes as they are, anything else as JSON."""
        self.socket.send(message if isinstance(message, (str, bytes)) else json.dumps(message))

    def text(self, seconds: float = PATIENCE) -> str:
        """The next message as it came."""
        return self.socket.recv(timeout=seconds)

    def json(self, seconds: float = PATIENCE) -> dict:
        """The next message."""
        return json.loads(self.text(seconds))

    def several(self, count: int, seconds: float = PATIENCE) -> list[dict]:
        """The next messages."""
        return [self.json(seconds) for _ in range(count)]

    def nothing(self, seconds: float = QUIET) -> None:
        """Fails when anything arrives in that time."""
        try:
            unexpected = self.socket.recv(timeout=seconds)
        except TimeoutError:
            return
        raise AssertionError(f"unexpected: {unexpected!r}")

    def closed(self, seconds: float = PATIENCE) -> tuple[int, str]:
        """The code and the reason the service closes with, 1006 when it just leaves."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                self.socket.recv(timeout=max(0.0, deadline - time.monotonic()))
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")

    def publish(self, payload: bytes | str = b"x", **fields: object) -> dict:
        """Publishes one message and returns the reply, which has to be ok."""
        self.send({"payload": encode(payload), **fields})
        reply = self.json()
        assert reply["result"] == "ok", reply
        return reply

    def ack(self, delivery: dict) -> None:
        self.send({"messageId": delivery["messageId"]})

    def nack(self, delivery: dict) -> None:
        self.send({"type": "negativeAcknowledge", "messageId": delivery["messageId"]})


class Endpoints:
    """The URLs of one service, and clients for them."""

    def __init__(self, base: str, kind: str) -> None:
        self.base, self.kind = base.rstrip("/"), kind

    @property
    def is_java(self) -> bool:
        return self.kind == "java"

    @property
    def port(self) -> int:
        return int(self.base.rsplit(":", 1)[1])

    def path(self, endpoint: str, topic: str, subscription: str | None = None, **parameters: object) -> str:
        pieces = [quote(topic, safe="")] + ([quote(subscription, safe="")] if subscription is not None else [])
        query = f"?{urlencode(parameters)}" if parameters else ""
        return f"/ws/v2/{endpoint}/persistent/public/default/{'/'.join(pieces)}{query}"

    def producer(self, topic: str, **parameters: object) -> Client:
        return Client(self.base + self.path("producer", topic, **parameters))

    def consumer(self, topic: str, subscription: str = "sub", **parameters: object) -> Client:
        return Client(self.base + self.path("consumer", topic, subscription, **parameters))

    def reader(self, topic: str, **parameters: object) -> Client:
        return Client(self.base + self.path("reader", topic, **parameters))


def encode(payload: bytes | str) -> str:
    return base64.b64encode(payload.encode() if isinstance(payload, str) else payload).decode()


def decode(delivery: dict) -> bytes:
    return base64.b64decode(delivery["payload"], validate=True)
