"""Clients that say nothing: when they are closed, and with what words."""

from __future__ import annotations

import re
import time

import pytest

from harness.raw import CONTINUATION, PING, PONG, TEXT, RawWebSocket

IDLE = r"java\.util\.concurrent\.TimeoutException: Idle timeout expired: 1\d\d\d/1500 ms"


@pytest.fixture(scope="module")
def impatient(start, broker):
    """A service with an idle timeout far below the time that a handshake may take."""
    return start(broker, webSocketSessionIdleTimeoutMillis=1500)


def path(service, endpoint: str, topic: str) -> str:
    return service.path(endpoint, topic, *(["s"] if endpoint == "consumer" else []))


@pytest.mark.parametrize("endpoint", ["producer", "consumer", "reader"])
def test_an_idle_client_is_closed_with_1001(impatient, topic, endpoint):
    with RawWebSocket(impatient.port, path(impatient, endpoint, topic)) as raw:
        since = time.monotonic()
        code, reason = raw.closed()
        assert (code, bool(re.fullmatch(IDLE, reason))) == (1001, True), reason
        assert 1.2 < time.monotonic() - since < 4
        assert raw.ended()


def test_half_a_message_is_no_excuse(impatient, topic):
    with RawWebSocket(impatient.port, path(impatient, "producer", topic)) as raw:
        raw.send(TEXT, b'{"payload":', fin=False)
        assert raw.closed()[0] == 1001


def test_pings_keep_a_client(impatient, topic):
    with RawWebSocket(impatient.port, path(impatient, "producer", topic)) as raw:
        raw.send(TEXT, b'{"payload":', fin=False)
        for _ in range(4):
            time.sleep(0.8)
            raw.send(PING, b"x")
            assert raw.read() == (PONG, b"x")
        raw.send(CONTINUATION, b'"YQ=="}')
        assert b'"result":"ok"' in raw.read()[1]
        assert raw.closed()[0] == 1001
