"""Messages that were stored in parts."""

from __future__ import annotations

import logging
import random
import time

import pulsar
import pytest

from harness import ids
from harness.client import decode
from harness.crypto import Keys
from harness.servers import Broker

FULL = "persistent://public/default/"
LARGE = bytes(range(256)) * 500


@pytest.fixture(scope="module")
def broker():
    """One whose messages are small: the bookie beside it can't store the largest that others take."""
    made = Broker(maxMessageSize=50_000)
    try:
        yield made.wait()
    finally:
        made.stop()


@pytest.fixture(scope="module")
def service(start, broker):
    return start(broker)


@pytest.fixture(scope="module")
def cpp(broker, usual_broker):
    quiet = logging.getLogger("pulsar-cpp-chunked")
    quiet.setLevel(logging.CRITICAL)
    client = pulsar.Client(broker.url, logger=quiet)
    yield client
    client.close()
    # The C++ library remembers for all its clients how large messages may be: what the last broker said.
    other = pulsar.Client(usual_broker.url, logger=quiet)
    other.create_producer("after-chunks")
    other.close()


def same(got: dict, content: bytes = LARGE) -> bool:
    """Whether it is all there. Compared here, because nobody wants to read the difference."""
    return decode(got) == content


@pytest.fixture
def chunking(cpp, topic):
    """Publishes large messages to the topic."""
    producer = cpp.create_producer(FULL + topic, chunking_enabled=True, batching_enabled=False)
    yield producer
    producer.close()


def shared(service, topic: str, **parameters: object):
    return service.consumer(topic, **{"subscriptionType": "Shared", **parameters})


@pytest.mark.parametrize("kind", ["Exclusive", "Shared", "Failover", "Key_Shared"])
def test_they_come_as_one(service, topic, chunking, broker, kind):
    with service.consumer(topic, subscriptionType=kind) as consumer:
        chunking.send(LARGE, properties={"a": "b"}, partition_key="k", event_timestamp=1)
        chunking.send(b"small")
        got, small = consumer.several(2, 30)
        assert (same(got), decode(small)) == (True, b"small")
        assert (got["properties"], got["key"], got["redeliveryCount"]) == ({"a": "b"}, "k", 0)
        assert got["eventTime"] == "1970-01-01T00:00:00.001Z"
        found = ids.read(got["messageId"])
        last, first = found, found["first_chunk"]
        assert (last["entry"], first["entry"]) == (2, 0)
        consumer.ack(got)
        consumer.ack(small)
        assert broker.until_backlog(topic, "sub", 0) == 0


def test_they_come_from_partitions(service, broker, topic, cpp):
    broker.admin("PUT", f"persistent/public/default/{topic}/partitions", 2)
    producer = cpp.create_producer(FULL + topic, chunking_enabled=True, batching_enabled=False)
    with service.consumer(topic) as consumer, service.reader(topic) as reader:
        for client in (consumer, reader):
            producer.send(LARGE)
            producer.send(b"small")
            # Each message may go to another partition, so their order is free.
            assert sorted(len(decode(got)) for got in client.several(2, 30)) == [5, len(LARGE)]
    producer.close()


@pytest.mark.parametrize("codec", [pulsar.CompressionType.ZLib, pulsar.CompressionType.LZ4])
def test_they_may_be_compressed(service, topic, cpp, codec):
    # Random bytes in hexadecimal: they shrink, and yet need several parts.
    content = random.Random(1).randbytes(100_000).hex().encode()
    producer = cpp.create_producer(
        FULL + topic, chunking_enabled=True, batching_enabled=False, compression_type=codec)
    with service.consumer(topic) as consumer:
        producer.send(content)
        assert same(consumer.json(60), content)
    producer.close()


@pytest.mark.ours_only("Java takes its keys from a class")
def test_they_may_be_encrypted(start, broker, topic, cpp, tmp_path):
    keys = Keys(tmp_path)
    service = start(broker, webSocketEncryptionPrivateKeys=f"key={keys.private_file}")
    reader = pulsar.CryptoKeyReader(str(keys.public_file), str(keys.private_file))
    producer = cpp.create_producer(
        FULL + topic, chunking_enabled=True, batching_enabled=False, encryption_key="key", crypto_key_reader=reader)
    with service.consumer(topic) as consumer:
        producer.send(LARGE)
        producer.send(b"small")
        got, small = consumer.several(2, 30)
        assert (same(got), decode(small)) == (True, b"small")
        assert "first_chunk" in ids.read(got["messageId"])
        consumer.ack(got)
        consumer.ack(small)
        assert broker.until_backlog(topic, "sub", 0) == 0
    producer.close()


@pytest.mark.ours_only("Java asks for the last part alone, and so the message does not come again")
def test_a_nack_brings_all_of_it_again(service, topic, chunking, broker):
    with shared(service, topic, negativeAckRedeliveryDelay=100) as consumer:
        chunking.send(LARGE)
        got = consumer.json(30)
        consumer.nack(got)
        again = consumer.json(30)
        assert (again["messageId"], again["redeliveryCount"]) == (got["messageId"], 1)
        assert same(again)
        consumer.ack(again)
        assert broker.until_backlog(topic, "sub", 0) == 0


def test_patience_brings_all_of_it_again(service, topic, chunking):
    with shared(service, topic, ackTimeoutMillis=1000) as consumer:
        chunking.send(LARGE)
        got = consumer.json(30)
        again = consumer.json(30)
        assert (again["messageId"], same(again)) == (got["messageId"], True)


@pytest.mark.parametrize("queue", [1, 2])
def test_parts_need_no_place(service, topic, chunking, queue):
    with shared(service, topic, receiverQueueSize=queue) as consumer:
        for number in range(3):
            chunking.send(LARGE + bytes([number]))
        for number in range(3):
            got = consumer.json(30)
            assert decode(got)[-1] == number
            consumer.ack(got)


def test_a_permit_is_for_all_of_it(service, topic, chunking):
    with shared(service, topic, pullMode="true", receiverQueueSize=2) as consumer:
        chunking.send(LARGE)
        chunking.send(b"small")
        consumer.nothing(2)
        consumer.send({"type": "permit", "permitMessages": 1})
        assert same(consumer.json(30))
        consumer.nothing()


def test_readers_get_them(service, topic, chunking):
    chunking.send(LARGE)
    small = chunking.send(b"small")
    with service.reader(topic, messageId="earliest", receiverQueueSize=1) as reader:
        got = reader.json(30)
        assert same(got)
        reader.ack(got)
        assert decode(reader.json(30)) == b"small"
        assert small is not None


@pytest.mark.ours_only("Java acknowledges the last part alone")
def test_two_parts_are_done_from_another_connection(service, topic, chunking, broker):
    with shared(service, topic) as consumer, shared(service, topic, receiverQueueSize=0, pullMode="true") as other:
        chunking.send(LARGE[:60_000])
        other.ack(consumer.json(30))
        assert broker.until_backlog(topic, "sub", 0) == 0


def test_a_large_letter_goes_in_parts(service, topic, cpp):
    content = b"large and easily compressed " * 5_000
    producer = cpp.create_producer(FULL + topic, compression_type=pulsar.CompressionType.ZLib)
    dead = cpp.subscribe(f"{FULL}{topic}-sub-DLQ", "letters")
    with shared(service, topic, negativeAckRedeliveryDelay=100, maxRedeliverCount=1) as consumer:
        producer.send(content, properties={"a": "b"})
        for _ in range(2):
            consumer.nack(consumer.json(30))
        letter = dead.receive(20_000)
        assert len(letter.data()) == len(content)
        assert letter.properties()["a"] == "b"
        assert letter.properties()["REAL_TOPIC"] == FULL + topic
    dead.close()
    producer.close()


@pytest.mark.ours_only("Java asks for the last part alone, and so the message does not come again")
def test_they_die_as_one(service, topic, chunking, cpp):
    dead = cpp.subscribe(f"{FULL}{topic}-sub-DLQ", "letters")
    with shared(service, topic, negativeAckRedeliveryDelay=100, maxRedeliverCount=1) as consumer:
        chunking.send(LARGE)
        for _ in range(2):
            got = consumer.json(30)
            consumer.nack(got)
        letter = dead.receive(30_000)
        assert len(letter.data()) == len(LARGE)
        found = ids.read(got["messageId"])
        first, last = (f"{part['ledger']}:{part['entry']}:-1" for part in (found["first_chunk"], found))
        assert letter.properties()["ORIGIN_MESSAGE_ID"] == f"{first};{last}"
        consumer.nothing()
    dead.close()


def test_after_a_reconnect_it_comes_again(service, topic, chunking, broker):
    with shared(service, topic) as consumer:
        chunking.send(LARGE)
        got = consumer.json(30)
        broker.admin("PUT", f"persistent/public/default/{topic}/unload")
        again = consumer.json(30)
        assert (again["messageId"], same(again)) == (got["messageId"], True)
        consumer.ack(again)
        time.sleep(0.2)
        assert broker.until_backlog(topic, "sub", 0) == 0
