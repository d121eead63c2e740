"""Where a scenario plays: it asks a service, and everything the service answers goes into the transcript."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
import uuid
import zlib
from dataclasses import dataclass, field as member
from http import HTTPStatus
from urllib.parse import quote, urlencode

from harness.raw import CLOSE, TEXT, UPGRADE, Answer, Stream, frame
from harness.servers import Broker, JavaPublisher

from .transcript import Transcript

PATIENCE = 15.0
QUIET = 0.5
# Headers that say something about the answer. `Date` and `Server` name the moment and the program, and a refusal is
# cached by nobody.
TOLD = ("upgrade", "connection", "sec-websocket-version", "sec-websocket-protocol", "sec-websocket-extensions",
        "content-type", "location", "allow", "access-control-allow-origin")
# The page of Jetty's parser, and the phrase of such an answer. Both are told in the terms of other refusals.
BARE = re.compile(r"<h1>Bad Message (\d+)</h1><pre>reason: (.*)</pre>", re.DOTALL)
PHRASES = {status.value: status.phrase for status in HTTPStatus} | {414: "URI Too Long"}
ROW = re.compile(r"<tr><th>(\w+):</th><td>(.*?)</td></tr>", re.DOTALL)


def target_of(request: bytes) -> str:
    """The path that a request asks for, as far as there is one."""
    words = request.split(b"\n")[0].decode("latin-1").split()
    return words[1].partition("?")[0] if len(words) > 1 else ""


@dataclass
class Stage:
    """One scenario with one service beside one broker."""

    port: int
    broker: Broker
    publisher: JavaPublisher
    transcript: Transcript = member(default_factory=Transcript)
    sockets: list["Socket"] = member(default_factory=list)

    def topic(self, placeholder: str = "topic") -> str:
        """A name that nobody has used; the transcript shows the placeholder."""
        name = f"{placeholder}-{uuid.uuid4().hex[:12]}"
        self.transcript.name(name, f"<{placeholder}>")
        return name

    def partitioned(self, partitions: int, placeholder: str = "topic") -> str:
        """The same with that many partitions."""
        name = self.topic(placeholder)
        self.broker.admin("PUT", f"persistent/public/default/{name}/partitions", partitions)
        return name

    def note(self, field: str, value: object) -> None:
        """Something seen by other means than the service."""
        self.transcript.add(field, value)

    def request(self, path: str, method: str = "GET", headers: dict | None = None, version: str = "1.1",
                label: str = "http", upgrade: bool = False) -> Answer | None:
        """One HTTP request. `upgrade` adds the headers of an upgrade; a header that is None is left out."""
        with Stream(self.port) as stream:
            stream.ask(path, method, (UPGRADE if upgrade else {}) | (headers or {}), version)
            return self.answer(stream, label, path.partition("?")[0])

    def request_unseen(self, path: str, label: str = "http", **options: object) -> Answer | None:
        """The same, with a body that is not in the transcript: it tells of other scenarios too."""
        answer = self.request(path, label=label, **options)
        self.transcript.lines = [line for line in self.transcript.lines if line.field != f"{label}.body"]
        return answer

    def bytes(self, data: bytes, label: str = "http", half_close: bool = False) -> Answer | None:
        """A request of these very bytes."""
        with Stream(self.port) as stream:
            stream.socket.sendall(data)
            if half_close:
                stream.socket.shutdown(socket.SHUT_WR)
            return self.answer(stream, label, target_of(data))

    def answer(self, stream: Stream, label: str, target: str) -> Answer | None:
        try:
            answer = stream.answer()
        except (EOFError, ConnectionError):
            self.transcript.add(f"{label}.status", "none, the connection ended")
            return None
        bare = BARE.fullmatch(answer.text)
        self.transcript.add(f"{label}.status", f"{answer.status} {PHRASES[answer.status] if bare else answer.reason}")
        for name in TOLD:
            if name in answer.headers:
                self.transcript.add(f"{label}.{name}", answer.headers[name])
        if answer.status != 101:
            rows = {"URI": target, "STATUS": bare[1], "MESSAGE": bare[2]} if bare else dict(ROW.findall(answer.text))
            for row in ("URI", "STATUS", "MESSAGE"):
                if row in rows:
                    self.transcript.add(f"{label}.{row.lower()}", rows[row])
            if bare:
                self.transcript.add(f"{label}.form", "bare")
            elif not rows and answer.text:
                self.transcript.add(f"{label}.body", answer.text)
        return answer

    def open(self, kind: str, topic: str, subscription: str | None = None, *, label: str | None = None,
             headers: dict | None = None, **parameters: object) -> "Socket":
        """A session of API version 2 on a persistent topic of public/default."""
        pieces = [quote(topic, safe="")] + ([quote(subscription, safe="")] if subscription is not None else [])
        query = f"?{urlencode(parameters)}" if parameters else ""
        path = f"/ws/v2/{kind}/persistent/public/default/{'/'.join(pieces)}{query}"
        return self.open_path(path, label or kind, headers)

    def producer(self, topic: str, **options: object) -> "Socket":
        return self.open("producer", topic, **options)

    def consumer(self, topic: str, subscription: str = "sub", **options: object) -> "Socket":
        return self.open("consumer", topic, subscription, **options)

    def reader(self, topic: str, **options: object) -> "Socket":
        return self.open("reader", topic, **options)

    def open_path(self, path: str, label: str = "socket", headers: dict | None = None) -> "Socket":
        """A WebSocket at that very path; refused or not, the answer is in the transcript."""
        opened = Socket(self, path, label, headers)
        self.sockets.append(opened)
        return opened

    def raw_socket(self, data: bytes, label: str, *later: bytes) -> "Socket":
        """A WebSocket whose request is these very bytes; each of `later` goes a moment later."""
        opened = Socket(self, (data, *later), label, None)
        self.sockets.append(opened)
        return opened

    def java(self, what: str, topic: str) -> None:
        """What only the Java client can publish."""
        self.publisher.publish(what, topic)

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def close(self) -> None:
        for opened in self.sockets:
            opened.stream.close()


class Socket:
    """A WebSocket whose frames are the scenario's own and whose answers are the transcript's."""

    def __init__(self, stage: Stage, request: str | tuple[bytes, ...], label: str, headers: dict | None) -> None:
        self.stage, self.label = stage, label
        self.stream = Stream(stage.port)
        if isinstance(request, str):
            self.stream.ask(request, "GET", UPGRADE | (headers or {}), "1.1")
            target = request.partition("?")[0]
        else:
            target = target_of(b"".join(request))
            for piece in request:
                self.stream.socket.sendall(piece)
                stage.wait(0.02)
        self.upgrade = stage.answer(self.stream, label, target)
        self.is_open = self.upgrade is not None and self.upgrade.status == 101

    def add(self, field: str, value: object) -> None:
        self.stage.transcript.add(f"{self.label}.{field}", value)

    def send(self, *messages: object) -> "Socket":
        """Text messages: strings as they are, anything else as JSON."""
        for message in messages:
            self.send_frame(TEXT, (message if isinstance(message, str) else json.dumps(message)).encode())
        return self

    def send_frame(self, opcode: int, payload: bytes = b"", **options: object) -> "Socket":
        self.send_bytes(frame(opcode, payload, **options))
        return self

    def send_bytes(self, data: bytes) -> None:
        try:
            self.stream.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # The service may leave while we still talk.

    def publish(self, payload: str, **fields: object) -> str | None:
        """Sends a message with this base64 payload and tells its id."""
        self.send({"payload": payload, **fields})
        return (self.json() or {}).get("messageId")

    def read(self, count: int = 1, seconds: float = PATIENCE) -> list[str]:
        """The next frames. Tells the texts among them."""
        texts = []
        for _ in range(count):
            text = self.next(seconds)
            if text is None:
                break
            texts.append(text)
        return texts

    def json(self, seconds: float = PATIENCE) -> dict | None:
        """The next frame, which is to be a JSON object."""
        text = self.next(seconds)
        return json.loads(text) if text else None

    def ack(self, delivery: dict | None) -> "Socket":
        return self.send({"messageId": (delivery or {}).get("messageId")})

    def nack(self, delivery: dict | None) -> "Socket":
        return self.send({"type": "negativeAcknowledge", "messageId": (delivery or {}).get("messageId")})

    def quiet(self, seconds: float = QUIET) -> None:
        """Nothing comes in that time; what comes all the same is in the transcript."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self.next(left, expected=False) is None:
                return

    def end(self, seconds: float = PATIENCE) -> None:
        """Everything until the service ends the connection."""
        while self.next(seconds) is not None:
            pass

    def close(self, code: int | None = 1000, reason: bytes = b"") -> None:
        """Closes from this side, and sees the answer."""
        self.send_frame(CLOSE, b"" if code is None else struct.pack(">H", code) + reason)
        self.end()

    def half_close(self) -> None:
        """Says nothing more, and still listens."""
        self.stream.socket.shutdown(socket.SHUT_WR)

    def leave(self) -> None:
        """Is gone without a word."""
        self.stream.close()

    def next(self, seconds: float, expected: bool = True) -> str | None:
        """The next frame into the transcript; its text, or None when nothing more is to be expected."""
        if not self.is_open:
            return None
        self.stream.socket.settimeout(max(seconds, 0.001))
        try:
            first, opcode, payload = self.stream.frame()
        except TimeoutError:
            if expected:
                self.add("nothing", f"in {seconds:g} s")
            return None
        except (EOFError, ConnectionError):
            self.is_open = False
            self.add("end", "without a close frame")
            return None
        if first & 0x40:
            payload = zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")
        if opcode == CLOSE:
            self.is_open = False
            code, reason = (struct.unpack(">H", payload[:2])[0], payload[2:]) if payload else ("", b"")
            self.add("close.code", code)
            self.add("close.reason", reason.decode("utf-8", "backslashreplace"))
            return None
        if opcode == TEXT:
            self.add("text", payload.decode())
            return payload.decode()
        self.add(f"frame.{opcode}", payload.hex())
        return ""
