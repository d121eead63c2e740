"""What one publishes the other reads: this service, and the Java client of Pulsar."""

from __future__ import annotations

import base64
import time

import pytest

from harness import ids
from harness.client import decode, encode
from harness.crypto import Keys, Sealer
from harness.java_peer import JavaPeer
from test_interop import stamp

EVERYTHING = bytes(range(256)) * 40
COMPRESSIONS = ["LZ4", "ZLIB", "ZSTD", "SNAPPY"]
PROPERTIES = {"a": "b", "": "empty name", "ü": "😀"}


@pytest.fixture(scope="session")
def java(broker):
    peer = JavaPeer(broker.url)
    yield peer
    peer.stop()


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


def content(message: dict) -> bytes:
    return base64.b64decode(message["payload"])


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


# What Java publishes.


def test_we_read_what_java_publishes(service, broker, java, topic):
    messages = [
        {"payload": encode(EVERYTHING), "key": "ключ", "properties": PROPERTIES, "eventTime": 1_609_556_645_678},
        {"payload": ""},
        {"payload": encode("bytes as key"), "keyBytes": encode(b"\x00\xff key")},
        {"payload": encode("ordered"), "key": "k", "orderingKey": encode(b"\xff\x00")},
        {"payload": encode("empty key"), "key": ""},
    ]
    with service.consumer(topic) as consumer, service.reader(topic) as reader:
        started = int(time.time() * 1000)
        stored = java.publish(topic, messages)
        ended = int(time.time() * 1000)
        for client in (consumer, reader):
            got = client.several(5)
            assert [delivery["messageId"] for delivery in got] == stored
            assert [decode(delivery) for delivery in got] == [base64.b64decode(sent["payload"]) for sent in messages]
            assert [delivery.get("key") for delivery in got] == ["ключ", None, encode(b"\x00\xff key"), "k", ""]
            assert [delivery["properties"] for delivery in got] == [PROPERTIES, {}, {}, {}, {}]
            assert stamp(got[0]["eventTime"]) == 1_609_556_645_678
            assert not any("eventTime" in delivery for delivery in got[1:])
            assert all(started <= stamp(delivery["publishTime"]) <= ended for delivery in got)
            if client is consumer:
                for delivery in got:
                    client.ack(delivery)
        assert broker.until_backlog(topic, "sub", 0) == 0


@pytest.mark.parametrize("compression", ["NONE", *COMPRESSIONS])
def test_we_read_javas_batches(service, broker, java, topic, compression):
    with service.consumer(topic) as consumer, service.reader(topic) as reader:
        stored = java.publish(topic, numbered(10), batch=10, compression=compression)
        assert len({ids.read(written)["entry"] for written in stored}) == 1
        for client in (consumer, reader):
            got = client.several(10)
            for number, delivery in enumerate(got):
                assert_numbered(delivery, number)
                first = ids.read(stored[0])
                assert ids.read(delivery["messageId"]) == {
                    "ledger": first["ledger"], "entry": first["entry"], "batch_index": number, "batch_size": 10}
            client.nothing(0.2)
            if client is consumer:
                for delivery in got:
                    client.ack(delivery)
        assert broker.until_backlog(topic, "sub", 0) == 0


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_we_read_what_java_compresses(service, java, topic, compression):
    payloads = [b"0123456789abcdef" * 50_000, EVERYTHING, b"1", b""]
    with service.consumer(topic) as consumer:
        java.publish(topic, [{"payload": encode(payload)} for payload in payloads], compression=compression)
        assert [decode(delivery) for delivery in consumer.several(4)] == payloads


@pytest.mark.ours_only("a message with a null value stops a session of Java's for ever")
@pytest.mark.parametrize("batch", [None, 2])
def test_we_read_javas_null_values(service, java, topic, batch):
    messages = [{"payload": None, "key": "gone"}, {"payload": encode("after")}]
    with service.consumer(topic) as consumer:
        java.publish(topic, messages, **({"batch": batch} if batch else {}))
        gone, after = consumer.several(2)
    assert (gone["payload"], gone["nullValue"], gone["key"]) == ("", True, "gone")
    assert decode(after) == b"after" and "nullValue" not in after


def test_what_java_delays_comes_later(service, java, topic):
    with service.consumer(topic, subscriptionType="Shared") as consumer:
        java.publish(topic, [{"payload": encode("later"), "deliverAfterMs": 3000}, {"payload": encode("now")}])
        assert [decode(delivery) for delivery in consumer.several(2)] == [b"now", b"later"]


@pytest.mark.parametrize("compression", ["NONE", "LZ4"])
def test_we_join_javas_chunks(service, broker, java, topic, compression):
    payload = bytes(number * 7919 % 251 for number in range(100_000))
    with service.consumer(topic) as consumer, service.reader(topic) as reader:
        (stored,) = java.publish(topic, [
            {"payload": encode(payload), "key": "k", "properties": PROPERTIES}], chunkBytes=1000, compression=compression)
        for client in (consumer, reader):
            delivery = client.json()
            assert decode(delivery) == payload
            assert (delivery["key"], delivery["properties"]) == ("k", PROPERTIES)
            assert delivery["messageId"] == stored
            if client is consumer:
                client.ack(delivery)
        assert broker.until_backlog(topic, "sub", 0) == 0


@pytest.mark.parametrize("batch", [None, 3])
def test_what_java_encrypts_is_handed_on_as_it_is(service, java, topic, keys, batch):
    messages = numbered(3)
    with service.consumer(topic, cryptoFailureAction="CONSUME") as consumer:
        java.publish(topic, messages, publicKey=str(keys.public_file), **({"batch": batch} if batch else {}))
        if batch:
            delivery = consumer.json()
            assert delivery["encryptionContext"]["batchSize"] == 3
            opened = keys.decrypt(delivery)
            for message in messages:
                assert base64.b64decode(message["payload"]) in opened
        else:
            for number, delivery in enumerate(consumer.several(3)):
                assert list(delivery["encryptionContext"]["keys"]) == ["key"]
                assert delivery["encryptionContext"]["batchSize"] is None
                assert_numbered({**delivery, "payload": encode(keys.decrypt(delivery))}, number)
        consumer.nothing(0.2)


# What we publish.


def test_java_reads_what_we_publish(service, java, topic):
    started = int(time.time() * 1000)
    with service.producer(topic, producerName=f"me-{topic}", initialSequenceId=41) as producer:
        full = producer.publish(EVERYTHING, key="ключ", properties=PROPERTIES, eventTime="2021-01-02T03:04:05.678Z")
        bare = producer.publish(b"")
        keyed = producer.publish("empty key", key="")
        many = [producer.publish(str(number)) for number in range(20)]
    ended = int(time.time() * 1000)
    got = java.consume(topic, 23)
    assert [message["id"] for message in got] == [reply["messageId"] for reply in (full, bare, keyed, *many)]
    assert [content(message) for message in got] == [EVERYTHING, b"", b"empty key", *(b"%d" % number for number in range(20))]
    assert [message["key"] for message in got[:4]] == ["ключ", None, "", None]
    assert [message["properties"] for message in got[:2]] == [PROPERTIES, {}]
    assert [message["eventTime"] for message in got[:2]] == [1_609_556_645_678, 0]
    assert [message["sequenceId"] for message in got] == list(range(42, 65))
    assert {message["producerName"] for message in got} == {f"me-{topic}"}
    assert not any(message["isKeyBase64"] or message["orderingKey"] or message["encryptionKeys"] for message in got)
    assert all(started <= message["publishTime"] <= ended for message in got)


def test_what_we_delay_comes_later_to_java(service, java, topic):
    java.consume(topic, 0, type="Shared")
    with service.producer(topic) as producer:
        producer.publish("later", deliverAfterMs=3000)
        producer.publish("now")
    assert [content(message) for message in java.consume(topic, 2, type="Shared")] == [b"now", b"later"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_java_reads_what_we_compress(service, java, topic, compression):
    payloads = [b"0123456789abcdef" * 40_000, EVERYTHING, b"1" * 5000]
    with service.producer(topic, compressionType=compression) as producer:
        replies = [producer.publish(payload, key="k") for payload in payloads]
    got = java.consume(topic, 3)
    assert [content(message) for message in got] == payloads
    assert [message["id"] for message in got] == [reply["messageId"] for reply in replies]
    assert {message["compression"] for message in got} == {compression}


@pytest.mark.parametrize("compression", ["NONE", *COMPRESSIONS])
def test_java_reads_our_batches(service, java, topic, compression):
    batching = {"batchingEnabled": "true", "batchingMaxMessages": 10, "batchingMaxPublishDelay": 20_000}
    with service.producer(topic, compressionType=compression, **batching) as producer:
        for message in numbered(10):
            producer.send({**message, "eventTime": f"1970-01-01T00:00:0{message['eventTime'] / 1000:.3f}Z"})
        replies = producer.several(10)
    assert {reply["result"] for reply in replies} == {"ok"}
    got = java.consume(topic, 10)
    sent = numbered(10)
    for message, expected in zip(got, sent):
        assert {name: message[name] for name in expected} == expected
    assert {(message["batchSize"], message["compression"]) for message in got} == {(10, compression)}
    places = [(ids.read(message["id"])["entry"], ids.read(message["id"])["batch_index"]) for message in got]
    assert places == [(0, number) for number in range(10)]


def test_java_reads_what_was_encrypted_before_us(service, java, topic, keys):
    sealer = Sealer(keys)
    with service.producer(topic, encryptionKeys=sealer.parameter()) as producer:
        for number in range(3):
            sealed, nonce = sealer.seal(b"secret %d" % number)
            producer.publish(sealed, encryptionParam=nonce, key="k")
    got = java.consume(topic, 3, privateKey=str(keys.private_file))
    assert [content(message) for message in got] == [b"secret 0", b"secret 1", b"secret 2"]
    assert {message["encryptionKeys"] for message in got} == {1}
    assert {message["key"] for message in got} == {"k"}


# Partitions.


@pytest.fixture
def partitioned(broker, topic) -> str:
    """A topic of five partitions."""
    broker.admin("PUT", f"persistent/public/default/{topic}/partitions", 5)
    return topic


KEYS = ["", "k", "ключ", "😀", *(f"key-{number}" for number in range(30))]


def test_a_key_goes_where_java_sends_it(service, java, partitioned):
    stored = java.publish(partitioned, [{"payload": "", "key": key} for key in KEYS])
    theirs = [ids.read(written)["partition"] for written in stored]
    assert len(set(theirs)) > 1
    with service.producer(partitioned) as producer:
        assert [ids.read(producer.publish(key=key)["messageId"])["partition"] for key in KEYS] == theirs


def test_we_read_the_partitions_that_java_publishes_to(service, java, partitioned):
    with service.consumer(partitioned) as consumer, service.reader(partitioned, messageId="earliest") as reader:
        stored = java.publish(partitioned, [{"payload": encode(key), "key": key} for key in KEYS])
        for client in (consumer, reader):
            got = client.several(len(KEYS))
            assert {delivery["messageId"]: delivery["key"] for delivery in got} == dict(zip(stored, KEYS))


# Places in a subscription.


def test_java_goes_on_where_we_acked(service, broker, java, topic):
    with service.consumer(topic, "s") as consumer, service.producer(topic) as producer:
        for number in range(6):
            producer.publish(str(number))
        for delivery in consumer.several(3):
            consumer.ack(delivery)
        assert broker.until_backlog(topic, "s", 3) == 3
    assert [content(message) for message in java.consume(topic, 3, "s")] == [b"3", b"4", b"5"]


def test_we_go_on_where_java_acked(service, broker, java, topic):
    with service.producer(topic) as producer:
        for number in range(6):
            producer.publish(str(number))
    java.consume(topic, 6, "s", acks=3)
    assert broker.until_backlog(topic, "s", 3) == 3
    with service.consumer(topic, "s") as consumer:
        assert [decode(delivery) for delivery in consumer.several(3)] == [b"3", b"4", b"5"]
