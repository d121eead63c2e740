"""What one publishes the other reads: this service, and the C++ client of Pulsar."""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone

import pulsar
import pytest

from harness import ids
from harness.client import decode, encode
from harness.crypto import Keys, Sealer

COMPRESSIONS = ["NONE", "LZ4", "ZLib", "ZSTD", "SNAPPY"]


def stamp(text: str) -> int:
    """Milliseconds since the epoch of a time as a delivery shows it."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round((moment - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds() * 1000)


def test_cpp_reads_what_we_publish(service, cpp, topic):
    consumer = cpp.subscribe(topic, "cpp")
    everything = bytes(range(256)) * 40
    started = int(time.time() * 1000)
    with service.producer(topic, producerName=f"me-{topic}") as producer:
        full = producer.publish(
            everything, key="ключ", properties={"a": "b", "": "empty name", "ü": "😀"}, eventTime="2021-01-02T03:04:05.678Z")
        bare = producer.publish(b"")
    ended = int(time.time() * 1000)
    message = consumer.receive(10_000)
    assert message.data() == everything
    assert message.partition_key() == "ключ"
    assert message.properties() == {"a": "b", "": "empty name", "ü": "😀"}
    assert message.event_timestamp() == 1_609_556_645_678
    assert started <= message.publish_timestamp() <= ended
    assert place(message) == full["messageId"]
    message = consumer.receive(10_000)
    assert (message.data(), message.partition_key(), message.properties()) == (b"", "", {})
    assert message.event_timestamp() == 0
    assert place(message) == bare["messageId"]
    consumer.close()


def place(message: pulsar.Message) -> str:
    """The id of an unbatched message as the WebSocket API writes it."""
    found = message.message_id()
    return ids.write(ledger=found.ledger_id(), entry=found.entry_id(), batch_size=0)


def test_we_read_what_cpp_publishes(service, cpp, topic):
    everything = bytes(range(256)) * 40
    with service.consumer(topic) as consumer, service.reader(topic) as reader:
        producer = cpp.create_producer(topic)
        started = int(time.time() * 1000)
        producer.send(everything, partition_key="k", properties={"a": "b", "ü": "😀"}, event_timestamp=1_609_556_645_678)
        producer.send(b"")
        ended = int(time.time() * 1000)
        producer.close()
        for client in (consumer, reader):
            delivery = client.json()
            assert decode(delivery) == everything
            assert delivery["key"] == "k"
            assert delivery["properties"] == {"a": "b", "ü": "😀"}
            assert stamp(delivery["eventTime"]) == 1_609_556_645_678
            assert started <= stamp(delivery["publishTime"]) <= ended
            delivery = client.json()
            assert delivery["payload"] == ""
            assert "key" not in delivery and "eventTime" not in delivery


def batch(cpp, topic: str, count: int, compression: str = "NONE", **options: object) -> list[pulsar.MessageId]:
    """Publishes so many messages as one entry."""
    producer = cpp.create_producer(
        topic, batching_enabled=True, batching_max_messages=count, batching_max_publish_delay_ms=60_000,
        compression_type=getattr(pulsar.CompressionType, compression), **options)
    stored = []
    for number in range(count):
        producer.send_async(
            f"message {number} ".encode() * 20, lambda _result, message_id: stored.append(message_id),
            partition_key=f"k{number}", properties={"number": str(number)}, event_timestamp=1000 + number)
    producer.flush()
    producer.close()
    assert len({found.entry_id() for found in stored}) == 1
    return stored


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_we_read_batches(service, broker, cpp, topic, compression):
    with service.consumer(topic) as consumer, service.reader(topic) as reader:
        stored = batch(cpp, topic, 10, compression)
        for client in (consumer, reader):
            got = client.several(10)
            for number, delivery in enumerate(got):
                assert decode(delivery) == f"message {number} ".encode() * 20
                assert delivery["key"] == f"k{number}"
                assert delivery["properties"] == {"number": str(number)}
                assert stamp(delivery["eventTime"]) == 1000 + number
                assert delivery["messageId"] == ids.write(
                    ledger=stored[0].ledger_id(), entry=stored[0].entry_id(), batch_index=number, batch_size=10)
            client.nothing(0.2)
            if client is consumer:
                for delivery in got:
                    client.ack(delivery)
        assert broker.until_backlog(topic, "sub", 0) == 0


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("size", [0, 1, 20_000, 1_000_000])
def test_we_read_compressed_messages(service, cpp, topic, compression, size):
    payload = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    with service.consumer(topic) as consumer:
        producer = cpp.create_producer(topic, compression_type=getattr(pulsar.CompressionType, compression))
        producer.send(payload)
        producer.close()
        assert decode(consumer.json()) == payload


def test_flow_control_counts_messages_and_not_entries(service, cpp, topic):
    with service.consumer(topic, receiverQueueSize=3) as consumer:
        batch(cpp, topic, 10)
        got = consumer.several(3)
        consumer.nothing()
        for number in range(3, 10):
            consumer.ack(got.pop(0))
            got.append(consumer.json())
            assert got[-1]["properties"] == {"number": str(number)}


def test_cpp_goes_on_where_we_acked(service, cpp, topic):
    with service.consumer(topic, "s") as consumer:
        with service.producer(topic) as producer:
            for number in range(6):
                producer.publish(str(number))
        for delivery in consumer.several(3):
            consumer.ack(delivery)
    deadline = time.monotonic() + 10
    while True:
        try:
            other = cpp.subscribe(topic, "s")
            break
        except pulsar.ConsumerBusy:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert [other.receive(10_000).data() for _ in range(3)] == [b"3", b"4", b"5"]
    other.close()


@pytest.mark.parametrize("at", [0, 1, 4, 5])
def test_a_reader_starts_inside_a_batch(service, cpp, topic, at):
    with service.reader(topic) as first:
        batch(cpp, topic, 6)
        everything = first.several(6)
    written = everything[at]["messageId"]
    numbers = ids.read(written)
    for start in (written, ids.write(**{**numbers, "batch_size": 0})):
        with service.reader(topic, messageId=start) as reader:
            rest = [delivery["properties"]["number"] for delivery in reader.several(5 - at)]
            assert rest == [str(number) for number in range(at + 1, 6)]
            reader.nothing(0.3)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_cpp_reads_what_we_compress(service, cpp, topic, compression):
    payloads = [b"0123456789abcdef" * 40_000, bytes(range(256)) * 40, b"1" * 5000]
    consumer = cpp.subscribe(topic, "cpp")
    with service.producer(topic, compressionType=compression.upper()) as producer:
        replies = [producer.publish(payload, key="k") for payload in payloads]
    got = [consumer.receive(10_000) for _ in payloads]
    consumer.close()
    assert [message.data() for message in got] == payloads
    assert [place(message) for message in got] == [reply["messageId"] for reply in replies]
    assert {message.partition_key() for message in got} == {"k"}


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_cpp_reads_our_batches(service, broker, cpp, topic, compression):
    batching = {"batchingEnabled": "true", "batchingMaxMessages": 10, "batchingMaxPublishDelay": 20_000}
    consumer = cpp.subscribe(topic, "cpp")
    with service.producer(topic, compressionType=compression.upper(), **batching) as producer:
        for number in range(10):
            producer.send({
                "payload": encode(f"message {number} " * 20), "key": f"k{number}",
                "properties": {"number": str(number)}, "eventTime": f"1970-01-01T00:00:01.{number:03}Z"})
        assert {reply["result"] for reply in producer.several(10)} == {"ok"}
    for number in range(10):
        message = consumer.receive(10_000)
        assert message.data() == f"message {number} ".encode() * 20
        assert (message.partition_key(), message.properties()) == (f"k{number}", {"number": str(number)})
        assert message.event_timestamp() == 1000 + number
        found = message.message_id()
        assert (found.entry_id(), found.batch_index()) == (0, number)
        consumer.acknowledge(message)
    assert broker.until_backlog(topic, "cpp", 0) == 0
    consumer.close()


@pytest.fixture
def partitioned(broker, topic) -> str:
    """A topic of three partitions."""
    broker.admin("PUT", f"persistent/public/default/{topic}/partitions", 3)
    return topic


def keyed(count: int) -> list[tuple[str, str]]:
    return [(f"k{number % 5}", str(number)) for number in range(count)]


def in_order_of_keys(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Sorted by key only: what one key saw stays in its order."""
    return sorted(pairs, key=lambda pair: pair[0])


def test_we_read_the_partitions_that_cpp_publishes_to(service, broker, cpp, partitioned):
    with service.consumer(partitioned) as consumer:
        producer = cpp.create_producer(partitioned)
        for key, text in keyed(30):
            producer.send(text.encode(), partition_key=key)
        producer.close()
        got = consumer.several(30)
        assert in_order_of_keys([(delivery["key"], decode(delivery).decode()) for delivery in got]) == in_order_of_keys(keyed(30))
        assert {ids.read(delivery["messageId"])["partition"] for delivery in got} <= {0, 1, 2}
        for delivery in got:
            consumer.ack(delivery)
        for number in range(3):
            assert broker.until_backlog(f"{partitioned}-partition-{number}", "sub", 0) == 0


def test_cpp_reads_the_partitions_that_we_publish_to(service, cpp, partitioned):
    consumer = cpp.subscribe(partitioned, "cpp")
    with service.producer(partitioned) as producer:
        replies = [producer.publish(text, key=key) for key, text in keyed(30)]
    got = [consumer.receive(10_000) for _ in range(30)]
    consumer.close()
    assert in_order_of_keys([(message.partition_key(), message.data().decode()) for message in got]) == in_order_of_keys(keyed(30))
    places = {(message.partition_key(), message.message_id().partition()) for message in got}
    assert len(places) == 5, "one key goes to one partition"
    assert places == {(key, ids.read(reply["messageId"])["partition"]) for (key, _), reply in zip(keyed(30), replies)}


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


def test_what_cpp_encrypts_is_handed_on_as_it_is(service, cpp, topic, keys):
    with service.consumer(topic, cryptoFailureAction="CONSUME") as consumer:
        producer = cpp.create_producer(
            topic, encryption_key="key", crypto_key_reader=pulsar.CryptoKeyReader(
                str(keys.public_file), str(keys.private_file)))
        for number in range(3):
            producer.send(b"secret %d" % number, partition_key="k", properties={"a": "b"})
        producer.close()
        for number, delivery in enumerate(consumer.several(3)):
            assert keys.decrypt(delivery) == b"secret %d" % number
            assert list(delivery["encryptionContext"]["keys"]) == ["key"]
            assert (delivery["key"], delivery["properties"]) == ("k", {"a": "b"})


def test_cpp_reads_what_was_encrypted_before_us(service, cpp, topic, keys):
    sealer = Sealer(keys)
    consumer = cpp.subscribe(topic, "cpp", crypto_key_reader=pulsar.CryptoKeyReader(
        str(keys.public_file), str(keys.private_file)))
    with service.producer(topic, encryptionKeys=sealer.parameter()) as producer:
        for number in range(3):
            sealed, nonce = sealer.seal(b"secret %d" % number)
            producer.publish(sealed, encryptionParam=nonce, key="k")
    got = [consumer.receive(10_000) for _ in range(3)]
    consumer.close()
    assert [(message.data(), message.partition_key()) for message in got] == [(b"secret %d" % number, "k") for number in range(3)]


def test_publish_time_is_now(service, topic):
    with service.consumer(topic) as consumer, service.producer(topic) as producer:
        producer.publish()
        text = consumer.json()["publishTime"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]\d\d:\d\d)", text)
        assert abs(stamp(text) - time.time() * 1000) < 10_000
