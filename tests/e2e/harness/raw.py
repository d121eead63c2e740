"""HTTP and WebSocket frames by hand, for what no decent client would send."""

from __future__ import annotations

import base64
import hashlib
import html
import os
import socket
import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


class Answer:
    """The head of an HTTP answer, and its body."""

    def __init__(self, head: bytes, body: bytes) -> None:
        status, *lines = head.decode("latin-1").split("\r\n")
        version, code, self.reason = (status.split(" ", 2) + [""])[:3]
        assert version == "HTTP/1.1", status
        self.status = int(code)
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self.text = html.unescape(body.decode("utf-8", "replace"))

    def __repr__(self) -> str:
        return f"<{self.status} {self.reason} {self.headers} {self.text[:400]!r}>"


def request(port: int, path: str, method: str = "GET", headers: dict | None = None, version: str = "1.1") -> Answer:
    """One HTTP request; headers with the value None are left out of an upgrade."""
    with Stream(port) as stream:
        stream.ask(path, method, UPGRADE | (headers or {}), version)
        return stream.answer()


def exchange(port: int, data: bytes) -> bytes:
    """Everything a service says to these bytes until it ends the connection."""
    with Stream(port) as stream:
        try:
            stream.socket.sendall(data)
            while True:
                stream.more()
        except (EOFError, ConnectionError):
            return stream.pending


class RawWebSocket:
    """A WebSocket whose every frame is the test's own; `before` goes ahead of the request."""

    def __init__(self, port: int, path: str, headers: dict | None = None, before: bytes = b"") -> None:
        self.stream = Stream(port)
        self.stream.socket.sendall(before)
        key = base64.b64encode(os.urandom(16)).decode()
        self.stream.ask(path, "GET", UPGRADE | {"Sec-WebSocket-Key": key} | (headers or {}), "1.1")
        self.upgrade = self.stream.answer()
        assert self.upgrade.status == 101, self.upgrade
        expected = base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()
        assert self.upgrade.headers["sec-websocket-accept"] == expected

    def __enter__(self) -> "RawWebSocket":
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()

    def send(self, opcode: int, payload: bytes = b"", fin: bool = True, rsv: int = 0, masked: bool = True) -> None:
        self.send_bytes(frame(opcode, payload, fin, rsv, masked))

    def send_bytes(self, data: bytes) -> None:
        try:
            self.stream.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # The service may leave while we still talk; what it said stays readable.

    def read(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload. The service must neither mask nor fragment it."""
        first, opcode, payload = self.stream.frame()
        assert first & 0xF0 == 0x80, f"first byte {first:02x}"
        return opcode, payload

    def closed(self) -> tuple[int | None, str]:
        """The close frame's code (None when empty) and reason, 1006 when there is none; skips other frames."""
        try:
            while True:
                opcode, payload = self.read()
                if opcode == CLOSE:
                    break
        except (EOFError, ConnectionError):
            return 1006, ""
        if not payload:
            return None, ""
        return struct.unpack(">H", payload[:2])[0], payload[2:].decode()

    def ended(self) -> bool:
        """Whether the service ends the connection."""
        try:
            return self.stream.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def frame(opcode: int, payload: bytes = b"", fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    head = bytearray([fin << 7 | rsv << 4 | opcode])
    size = len(payload)
    if size < 126:
        head.append(size)
    elif size < 1 << 16:
        head += bytes([126]) + struct.pack(">H", size)
    else:
        head += bytes([127]) + struct.pack(">Q", size)
    if not masked:
        return bytes(head) + payload
    head[1] |= 0x80
    key = os.urandom(4)
    repeated = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return bytes(head) + key + (int.from_bytes(payload, "big") ^ repeated).to_bytes(size, "big")


class Stream:
    """A connection, and what came on it and was not looked at yet."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.pending = b""
        self.is_head = False

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def ask(self, path: str, method: str, headers: dict, version: str) -> None:
        self.is_head = method == "HEAD"
        lines = [f"{method} {path} HTTP/{version}"]
        lines += [f"{name}: {value}" for name, value in ({"Host": "localhost"} | headers).items() if value is not None]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())

    def answer(self) -> Answer:
        while b"\r\n\r\n" not in self.pending:
            self.more()
        head, _, self.pending = self.pending.partition(b"\r\n\r\n")
        answer = Answer(head, b"")
        if answer.status == 101:
            return answer
        size = 0 if self.is_head else int(answer.headers.get("content-length", 0))
        return Answer(head, self.exactly(size))

    def frame(self) -> tuple[int, int, bytes]:
        """The next frame: its first byte, opcode and payload. A timeout in the middle of it loses nothing."""
        head = 2
        self.at_least(head)
        first, size = self.pending[:2]
        assert size < 128, "masked"
        for marker, form in ((126, ">H"), (127, ">Q")):
            if size == marker:
                head += struct.calcsize(form)
                self.at_least(head)
                (size,) = struct.unpack(form, self.pending[2:head])
                break
        self.at_least(head + size)
        self.exactly(head)
        return first, first & 0x0F, self.exactly(size)

    def at_least(self, size: int) -> None:
        """Waits until that much is there, and takes none of it."""
        while len(self.pending) < size:
            self.more()

    def exactly(self, size: int) -> bytes:
        self.at_least(size)
        data, self.pending = self.pending[:size], self.pending[size:]
        return data

    def more(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError
        self.pending += data
