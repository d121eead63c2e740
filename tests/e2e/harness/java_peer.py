"""Pulsar's Java client as a peer: one process that is told line by line what to do."""

from __future__ import annotations

import json
import select
import subprocess

from harness import tools
from harness.servers import java

PATIENCE = 60.0


class JavaPeer:
    """`tests/e2e/java/JavaPeer.java`. It ends when its input does, and so with the tests."""

    def __init__(self, url: str) -> None:
        log = tools.SCRATCH / "java-peer.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as errors:
            self.popen = subprocess.Popen(
                [str(word) for word in [*java(heap_mb=256), "JavaPeer", url]],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, bufsize=0)
        self.pending = b""

    def publish(self, topic: str, messages: list[dict], **settings: object) -> list[str]:
        """The ids of the stored messages, as the WebSocket API writes them."""
        return self._order(do="publish", topic=topic, messages=messages, settings=settings)

    def consume(self, topic: str, count: int, subscription: str = "java", acks: int = 0, **settings: object) -> list[dict]:
        """So many messages from the beginning of the subscription, of which the first `acks` are acknowledged."""
        return self._order(
            do="consume", topic=topic, subscription=subscription, count=count, acks=acks, settings=settings)

    def stop(self) -> None:
        self.popen.stdin.close()
        try:
            self.popen.wait(20)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()

    def _order(self, **order: object) -> list:
        self.popen.stdin.write(json.dumps(order).encode() + b"\n")
        while True:
            line = self._line()
            if line.startswith(b"OUTCOME "):
                outcome = json.loads(line.removeprefix(b"OUTCOME "))
                assert isinstance(outcome, list), outcome
                return outcome

    def _line(self) -> bytes:
        while b"\n" not in self.pending:
            ready, _, _ = select.select([self.popen.stdout], [], [], PATIENCE)
            data = self.popen.stdout.read(1 << 16) if ready else b""
            assert data, "the Java client says nothing: see target/e2e/java-peer.log"
            self.pending += data
        line, self.pending = self.pending.split(b"\n", 1)
        return line
