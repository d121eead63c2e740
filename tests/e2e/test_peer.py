"""What one publishes the other reads: this service, and the Rust crate `pulsar` (see `tests/peer`)."""

from __future__ import annotations

import base64
import json
import subprocess
import time

import pytest

from harness import ids, tools
from harness.client import decode, encode
from test_interop import stamp

EVERYTHING = bytes(range(256)) * 40
FULL = {
    "payload": encode(EVERYTHING), "key": "ключ", "properties": {"a": "b", "": "empty name", "ü": "😀"},
    "eventTime": 1_609_556_645_678,
}


class Peer:
    """The crate's client; every call is a process of its own."""

    def __init__(self, binary, url: str) -> None:
        self.binary, self.url = binary, url

    def publish(self, topic: str, messages: list[dict], compression: str = "NONE", batch: int = 0) -> list[dict]:
        return self._run("publish", topic, compression, batch, lines=messages)

    def consume(self, topic: str, count: int, subscription: str = "peer", acks: int = 0) -> list[dict]:
        return self._run("consume", topic, subscription, count, acks)

    def _run(self, what: str, *words: object, lines: list[dict] = ()) -> list[dict]:
        ran = subprocess.run(
            [self.binary, what, self.url, *map(str, words)], text=True, capture_output=True, timeout=60, check=False,
            input="".join(json.dumps(line) + "\n" for line in lines))
        assert ran.returncode == 0, ran.stderr
        return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.fixture(scope="session")
def peer(broker) -> Peer:
    return Peer(tools.peer_binary(), broker.url)


def stored(message: dict) -> str:
    """The id of an unbatched message as the WebSocket API writes it."""
    return ids.write(ledger=message["ledger"], entry=message["entry"], batch_size=0)


def numbered(count: int) -> list[dict]:
    return [
        {"payload": encode(f"message {number} ".encode() * 20), "key": f"k{number}",
         "properties": {"number": str(number)}, "eventTime": 1000 + number}
        for number in range(count)
    ]


def assert_numbered(delivery: dict, number: int) -> None:
    assert decode(delivery) == f"message {number} ".encode() * 20
    assert delivery["key"] == f"k{number}"
    assert delivery["properties"] == {"number": str(number)}
    assert stamp(delivery["eventTime"]) == 1000 + number


def test_the_peer_reads_what_we_publish(service, peer, topic):
    started = int(time.time() * 1000)
    with service.producer(topic, producerName=f"me-{topic}", initialSequenceId=41) as producer:
        full = producer.publish(
            EVERYTHING, key=FULL["key"], properties=FULL["properties"], eventTime="2021-01-02T03:04:05.678Z")
        bare = producer.publish(b"")
        many = [producer.publish(str(number)) for number in range(20)]
    ended = int(time.time() * 1000)
    got = peer.consume(topic, 22)
    assert [stored(message) for message in got] == [reply["messageId"] for reply in (full, bare, *many)]
    assert {name: got[0][name] for name in FULL} == FULL
    nothing = {"payload": "", "key": None, "properties": {}, "eventTime": None}
    assert {name: got[1][name] for name in nothing} == nothing
    assert [base64.b64decode(message["payload"]) for message in got[2:]] == [str(number).encode() for number in range(20)]
    assert [message["sequenceId"] for message in got] == list(range(42, 64))
    assert {message["producerName"] for message in got} == {f"me-{topic}"}
    assert all(started <= message["publishTime"] <= ended for message in got)


def test_we_read_what_the_peer_publishes(service, peer, topic):
    with service.consumer(topic) as consumer, service.reader(topic) as reader:
        started = int(time.time() * 1000)
        receipts = peer.publish(topic, [FULL, {"payload": ""}, *numbered(20)])
        ended = int(time.time() * 1000)
        for client in (consumer, reader):
            full, bare, *rest = got = client.several(22)
            assert [delivery["messageId"] for delivery in got] == [stored(receipt) for receipt in receipts]
            assert decode(full) == EVERYTHING
            assert (full["key"], full["properties"]) == (FULL["key"], FULL["properties"])
            assert stamp(full["eventTime"]) == FULL["eventTime"]
            assert (bare["payload"], bare["properties"]) == ("", {})
            assert "key" not in bare and "eventTime" not in bare
            for number, delivery in enumerate(rest):
                assert_numbered(delivery, number)
            assert all(started <= stamp(delivery["publishTime"]) <= ended for delivery in got)


@pytest.mark.parametrize("compression", ["NONE", "LZ4", "ZLIB", "ZSTD"])
def test_we_read_the_peers_batches(service, broker, peer, topic, compression):
    """Its Snappy is framed, which no other client reads."""
    with service.consumer(topic) as consumer, service.reader(topic) as reader:
        receipts = peer.publish(topic, numbered(10), compression, batch=10)
        assert len({receipt["entry"] for receipt in receipts}) == 1
        for client in (consumer, reader):
            got = client.several(10)
            for number, delivery in enumerate(got):
                assert_numbered(delivery, number)
                assert ids.read(delivery["messageId"]) == {
                    "ledger": receipts[0]["ledger"], "entry": receipts[0]["entry"],
                    "batch_index": number, "batch_size": 10}
            client.nothing(0.2)
            if client is consumer:
                for delivery in got:
                    client.ack(delivery)
        assert broker.until_backlog(topic, "sub", 0) == 0


@pytest.mark.parametrize("compression", ["LZ4", "ZLIB", "ZSTD"])
def test_we_read_what_the_peer_compresses(service, peer, topic, compression):
    payloads = [b"0123456789abcdef" * 50_000, EVERYTHING, b"1"]
    with service.consumer(topic) as consumer:
        peer.publish(topic, [{"payload": encode(payload)} for payload in payloads], compression)
        assert [decode(delivery) for delivery in consumer.several(3)] == payloads


@pytest.mark.parametrize("compression", ["LZ4", "ZLIB", "ZSTD"])
def test_the_peer_reads_what_we_compress(service, peer, topic, compression):
    payloads = [b"0123456789abcdef" * 40_000, EVERYTHING, b"1" * 5000]
    with service.producer(topic, compressionType=compression) as producer:
        replies = [producer.publish(payload) for payload in payloads]
    got = peer.consume(topic, 3)
    assert [base64.b64decode(message["payload"]) for message in got] == payloads
    assert [stored(message) for message in got] == [reply["messageId"] for reply in replies]


@pytest.mark.parametrize("compression", ["NONE", "LZ4", "ZLIB", "ZSTD"])
def test_the_peer_reads_our_batches(service, peer, topic, compression):
    batching = {"batchingEnabled": "true", "batchingMaxMessages": 10, "batchingMaxPublishDelay": 20_000}
    with service.producer(topic, compressionType=compression, **batching) as producer:
        for message in numbered(10):
            producer.send({**message, "eventTime": f"1970-01-01T00:00:0{message['eventTime'] / 1000:.3f}Z"})
        assert {reply["result"] for reply in producer.several(10)} == {"ok"}
    got = peer.consume(topic, 10)
    for message, expected in zip(got, numbered(10)):
        assert {name: message[name] for name in expected} == expected
    assert [(message["entry"], message["batchIndex"]) for message in got] == [(0, number) for number in range(10)]


def test_the_peer_goes_on_where_we_acked(service, broker, peer, topic):
    with service.consumer(topic, "s") as consumer, service.producer(topic) as producer:
        for number in range(6):
            producer.publish(str(number))
        for delivery in consumer.several(3):
            consumer.ack(delivery)
        assert broker.until_backlog(topic, "s", 3) == 3
    rest = peer.consume(topic, 3, "s")
    assert [base64.b64decode(message["payload"]) for message in rest] == [b"3", b"4", b"5"]


def test_we_go_on_where_the_peer_acked(service, broker, peer, topic):
    with service.producer(topic) as producer:
        replies = [producer.publish(str(number)) for number in range(6)]
    peer.consume(topic, 6, "s", acks=3)
    assert broker.until_backlog(topic, "s", 3) == 3
    with service.consumer(topic, "s") as consumer:
        got = consumer.several(3)
        assert [decode(delivery) for delivery in got] == [b"3", b"4", b"5"]
        assert [delivery["messageId"] for delivery in got] == [reply["messageId"] for reply in replies[3:]]
