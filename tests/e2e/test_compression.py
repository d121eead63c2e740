"""Producers that compress: what they store is smaller, and everybody can read it."""

from __future__ import annotations

import pytest

from harness.client import decode, encode

COMPRESSIONS = ["LZ4", "ZLIB", "ZSTD", "SNAPPY"]


def stored_bytes(broker, topic: str) -> int:
    return broker.admin("GET", f"persistent/public/default/{topic}/stats")["storageSize"]


@pytest.mark.parametrize("batched", [False, True], ids=["alone", "batched"])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_all_can_read_what_is_stored_small(service, broker, cpp, topic, compression, batched):
    noise = bytes((number * number * 31 + number // 7) % 256 for number in range(5000))
    payloads = [b"", b"a", b"text " * 8000, noise, b"z" * 100_000]
    if compression == "ZLIB" and not batched:
        # The C++ client takes no empty content from zlib, whoever wrote it.
        payloads.remove(b"")
    parameters = {"batchingEnabled": "true", "batchingMaxPublishDelay": 300} if batched else {}
    other = cpp.subscribe(topic, "cpp")
    with service.consumer(topic) as consumer, service.producer(topic, compressionType=compression, **parameters) as producer:
        for number, payload in enumerate(payloads):
            producer.send({"payload": encode(payload), "context": str(number), "key": f"k{number}", "properties": {"n": str(number)}})
        replies = producer.several(len(payloads))
        assert [reply["result"] for reply in replies] == ["ok"] * len(payloads)
        for number, payload in enumerate(payloads):
            delivery = consumer.json()
            assert decode(delivery) == payload
            assert (delivery["key"], delivery["properties"]) == (f"k{number}", {"n": str(number)})
            message = other.receive(10_000)
            assert message.data() == payload
            assert (message.partition_key(), message.properties()) == (f"k{number}", {"n": str(number)})
    assert stored_bytes(broker, topic) < 20_000 < sum(map(len, payloads)) / 5
    other.close()


@pytest.mark.parametrize("batched", [False, True], ids=["alone", "batched"])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_one_after_another(service, topic, compression, batched):
    """Whatever is kept between two messages does not show."""
    parameters = {"batchingEnabled": "true", "batchingMaxMessages": 7} if batched else {}
    with service.reader(topic) as reader, service.producer(topic, compressionType=compression, **parameters) as producer:
        for number in range(100):
            producer.send({"payload": encode(f"{number} " * (number * 13 % 97)), "context": str(number)})
        replies = producer.several(100)
        assert [reply["context"] for reply in replies] == [str(number) for number in range(100)]
        for number in range(100):
            delivery = reader.json()
            assert decode(delivery).decode() == f"{number} " * (number * 13 % 97)
            reader.ack(delivery)


def test_none_is_none(service, broker, topic):
    with service.producer(topic, compressionType="NONE") as producer:
        producer.publish(b"z" * 50_000)
    assert stored_bytes(broker, topic) > 50_000
