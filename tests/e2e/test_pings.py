"""Pings of the service: what they carry, and what becomes of clients that don't answer."""

from __future__ import annotations

import time

import pytest

from harness.raw import CLOSE, PING, PONG, TEXT, RawWebSocket


@pytest.fixture(scope="module")
def pinging(start, broker):
    """A service that pings each second, and would close who is silent for three."""
    return start(broker, webSocketPingDurationSeconds=1, webSocketSessionIdleTimeoutMillis=3000)


@pytest.fixture
def raw(pinging, topic):
    with RawWebSocket(pinging.port, pinging.path("producer", topic)) as made:
        yield made


def test_clients_that_answer_are_pinged_and_kept(raw):
    """Longer than the idle timeout: pings count as life, as with the Java service."""
    for _ in range(6):
        assert raw.read() == (PING, b"PING")
        raw.send(PONG, b"PING")
    raw.send(TEXT, b'{"payload":"YQ=="}')
    assert b'"result":"ok"' in raw.read()[1]


def test_whatever_a_client_says_is_an_answer(raw):
    for _ in range(6):
        assert raw.read() == (PING, b"PING")
        raw.send(TEXT, b'{"payload":"YQ=="}')
        assert b'"result":"ok"' in raw.read()[1]


@pytest.mark.ours_only("Java never misses an answer")
def test_a_client_that_leaves_three_pings_is_closed(raw):
    assert raw.read() == (PING, b"PING")
    raw.send(PONG, b"PING")
    for _ in range(3):
        assert raw.read() == (PING, b"PING")
    assert raw.closed() == (1001, "No answer to 3 pings")
    assert raw.ended()


def test_clients_answer_by_themselves(pinging, topic):
    with pinging.consumer(topic) as consumer, pinging.producer(topic) as producer:
        time.sleep(5)
        producer.publish(b"x")
        assert consumer.json()


def test_none_are_sent_without_being_asked_for(service, topic):
    with RawWebSocket(service.port, service.path("producer", topic)) as raw:
        raw.stream.socket.settimeout(2)
        with pytest.raises(TimeoutError):
            raw.read()
        raw.send(CLOSE, b"\x03\xe8")
        assert raw.closed()[0] == 1000
