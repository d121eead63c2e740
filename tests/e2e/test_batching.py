"""Producers that put messages together: when a batch is closed, what each message is told, and what is stored."""

from __future__ import annotations

import time

import pytest

from harness import ids
from harness.client import decode, encode
from test_interop import stamp

# So long that only something else can close a batch in a test's time.
NEVER = 3_600_000
PREFIX = "org.apache.pulsar.client.api.PulsarClientException$"


def batching(service, topic: str, **parameters: object):
    return service.producer(topic, **{"batchingEnabled": "true", "batchingMaxPublishDelay": NEVER, **parameters})


def send(producer, number: int, payload: bytes | str | None = None, **fields: object) -> None:
    payload = f"message {number}" if payload is None else payload
    producer.send({"payload": encode(payload), "context": str(number), **fields})


def places(replies: list[dict]) -> list[tuple[int, int | None]]:
    """Entry and batch index of each message; they all have a context that counts up."""
    assert [reply["result"] for reply in replies] == ["ok"] * len(replies), replies
    assert [reply["context"] for reply in replies] == [str(number) for number in range(len(replies))]
    numbers = [ids.read(reply["messageId"]) for reply in replies]
    assert {number["batch_size"] for number in numbers} == {0}, "unknown to a producer"
    return [(number["entry"], number.get("batch_index")) for number in numbers]


def test_the_number_of_messages_closes_a_batch(service, topic):
    with batching(service, topic, batchingMaxMessages=3) as producer:
        send(producer, 0)
        send(producer, 1)
        producer.nothing(0.3)
        for number in range(2, 9):
            send(producer, number)
        replies = producer.several(9)
        assert places(replies) == [(entry, index) for entry in range(3) for index in range(3)]
        first = ids.read(replies[1]["messageId"])
        assert list(first) == ["ledger", "entry", "batch_index", "batch_size"]
        assert replies[1]["messageId"] == ids.write(**first)


def test_batches_do_not_wait_for_each_other(service, topic):
    with batching(service, topic, batchingMaxMessages=10) as producer:
        for number in range(1000):
            send(producer, number)
        assert places(producer.several(1000)) == [(number // 10, number % 10) for number in range(1000)]


def test_the_delay_closes_a_batch(service, topic):
    with batching(service, topic, batchingMaxPublishDelay=500) as producer:
        for number in range(5):
            send(producer, number)
        producer.nothing(0.3)
        assert places(producer.several(5)) == [(0, index) for index in range(5)]


def test_a_batch_of_one_is_none(service, topic):
    with batching(service, topic, batchingMaxPublishDelay=1) as producer, service.reader(topic, messageId="earliest") as reader:
        send(producer, 0, key="k", properties={"a": "b"}, eventTime="2021-01-02T03:04:05.678Z")
        reply = producer.json()
        assert places([reply]) == [(0, None)]
        delivery = reader.json()
        assert delivery["messageId"] == reply["messageId"]
        assert (decode(delivery), delivery["key"], delivery["properties"]) == (b"message 0", "k", {"a": "b"})
        assert stamp(delivery["eventTime"]) == 1_609_556_645_678
    with batching(service, topic, batchingMaxMessages=1) as producer:
        for number in range(3):
            send(producer, number)
        assert places(producer.several(3)) == [(1, None), (2, None), (3, None)]


@pytest.mark.parametrize("limit", [0, -1, -2_147_483_648])
def test_any_number_of_messages(service, topic, limit):
    with batching(service, topic, batchingMaxMessages=limit, batchingMaxPublishDelay=4000) as producer:
        for number in range(1500):
            send(producer, number)
        assert places(producer.several(1500, 30)) == [(0, index) for index in range(1500)]


def test_bytes_close_a_batch(service, topic):
    half = bytes(64 * 1024)
    with batching(service, topic) as producer:
        send(producer, 0, half)
        send(producer, 1, half)
        assert places(producer.several(2)) == [(0, 0), (0, 1)]
        # No room: what waits goes first.
        send(producer, 0, half)
        send(producer, 1, half[1:])
        send(producer, 2, b"xy")
        assert places(producer.several(2)) == [(1, 0), (1, 1)]
        # Too large for a batch: goes at once, behind what waits.
        send(producer, 3, bytes(128 * 1024))
        replies = producer.several(2)
        assert [reply["context"] for reply in replies] == ["2", "3"]
        assert [ids.read(reply["messageId"]).get("entry") for reply in replies] == [2, 3]
        assert all("batch_index" not in ids.read(reply["messageId"]) for reply in replies)


def test_delayed_messages_go_alone_in_order(service, topic):
    with batching(service, topic) as producer:
        send(producer, 0)
        send(producer, 1)
        send(producer, 2, deliverAt=1)
        assert places(producer.several(3)) == [(0, 0), (0, 1), (1, None)]
        send(producer, 0, deliverAfterMs=1)
        assert places([producer.json()]) == [(2, None)]


@pytest.mark.ours_only("Java gives the clusters of a batch's first message to all of them")
def test_messages_for_different_clusters_are_not_put_together(service, topic):
    with batching(service, topic, batchingMaxMessages=2) as producer:
        send(producer, 0)
        send(producer, 1, replicationClusters=["standalone"])
        send(producer, 2, replicationClusters=["standalone"])
        assert places(producer.several(3)) == [(0, None), (1, 0), (1, 1)]


def test_a_batch_for_other_clusters(service, topic):
    with batching(service, topic, batchingMaxMessages=2) as producer, service.consumer(topic) as consumer:
        for number in range(2):
            send(producer, number, replicationClusters=["standalone"])
        assert places(producer.several(2)) == [(0, 0), (0, 1)]
        assert len(consumer.several(2)) == 2


def test_broken_messages_are_told_at_once_and_left_out(service, topic):
    with batching(service, topic, batchingMaxMessages=2) as producer:
        send(producer, 0)
        producer.send({"payload": "a*", "context": "broken"})
        reply = producer.json()
        assert (reply["result"], reply["context"]) == ("send-error:7", "broken")
        send(producer, 1)
        assert places(producer.several(2)) == [(0, 0), (0, 1)]


def test_no_more_than_so_many_may_wait(service, topic):
    with batching(service, topic, maxPendingMessages=3) as producer:
        for number in range(3):
            send(producer, number)
        producer.send({"payload": "eA==", "context": "one too many"})
        assert producer.json() == {
            "result": "send-error:8", "errorMsg": f"{PREFIX}ProducerQueueIsFullError: Producer send queue is full",
            "context": "one too many", "errorCode": 0, "schemaVersion": 0,
        }
        producer.send({"payload": "*", "context": "broken"})
        assert producer.json()["result"] == "send-error:7", "looked at before"
    with batching(service, topic, maxPendingMessages=3, batchingMaxMessages=3) as producer:
        for _ in range(5):
            for number in range(3):
                send(producer, number)
            assert [index for _, index in places(producer.several(3))] == [0, 1, 2], "room again"


def test_limits_without_batches_are_not_looked_at(service, topic):
    with service.producer(topic, maxPendingMessages=1, batchingMaxPublishDelay="x") as producer:
        for number in range(50):
            send(producer, number)
        assert places(producer.several(50)) == [(number, None) for number in range(50)]


def test_what_is_stored_is_what_was_published(service, cpp, topic):
    """Read by ours and by the C++ client, whose ids say how large a batch is."""
    other = cpp.subscribe(topic, "cpp")
    with service.consumer(topic) as consumer, batching(service, topic, batchingMaxMessages=4) as producer:
        send(producer, 0, b"", key="", properties={"": "x", "ü": "😀"})
        send(producer, 1, bytes(range(256)) * 20, key="k", eventTime="1969-12-31T23:59:59.999Z")
        send(producer, 2, properties={"a": ""})
        send(producer, 3)
        replies = producer.several(4)
        deliveries = consumer.several(4)
    for number, (reply, delivery) in enumerate(zip(replies, deliveries)):
        place = ids.read(reply["messageId"])
        assert delivery["messageId"] == ids.write(**{**place, "batch_size": 4})
        message = other.receive(10_000)
        assert message.message_id().batch_index() == number
        assert message.data() == decode(delivery)
        assert message.properties() == delivery["properties"]
        assert message.partition_key() == delivery.get("key", "")
    assert [decode(delivery) for delivery in deliveries] == [b"", bytes(range(256)) * 20, b"message 2", b"message 3"]
    assert [delivery.get("key") for delivery in deliveries] == ["", "k", None, None]
    assert [delivery["properties"] for delivery in deliveries] == [{"": "x", "ü": "😀"}, {}, {"a": ""}, {}]
    assert [stamp(delivery["eventTime"]) if "eventTime" in delivery else None for delivery in deliveries] == [None, -1, None, None]
    other.close()


def test_all_of_a_batch_are_told_of_the_end_of_the_topic(service, broker, topic):
    with batching(service, topic, batchingMaxMessages=3) as producer:
        for number in range(3):
            send(producer, number)
        producer.several(3)
        broker.admin("POST", f"persistent/public/default/{topic}/terminate")
        for number in range(6):
            send(producer, number)
        replies = producer.several(6)
        assert sorted(reply["context"] for reply in replies) == [str(number) for number in range(6)]
        assert {reply["result"] for reply in replies} == {"send-error:8"}
        assert all(reply["errorMsg"].startswith(f"{PREFIX}TopicTerminatedException: ") for reply in replies)


def test_an_unload_keeps_order_and_answers_all(service, broker, topic):
    with batching(service, topic, batchingMaxMessages=5, batchingMaxPublishDelay=20) as producer:
        for number in range(400):
            send(producer, number)
            if number in (100, 250):
                broker.admin("PUT", f"persistent/public/default/{topic}/unload")
        replies = producer.several(400, 30)
    assert [reply["context"] for reply in replies] == [str(number) for number in range(400)]
    assert {reply["result"] for reply in replies} == {"ok"}
    with service.reader(topic, messageId="earliest") as reader:
        got = []
        while len(set(got)) < 400:
            delivery = reader.json()
            got.append(int(decode(delivery).split()[1]))
            reader.ack(delivery)
    assert list(dict.fromkeys(got)) == list(range(400)), "what was stored twice came in order, too"


@pytest.mark.ours_only("Java throws away what it has not sent")
def test_what_waits_is_sent_when_the_client_goes(service, topic):
    with service.reader(topic) as reader:
        with batching(service, topic) as producer:
            for number in range(3):
                send(producer, number)
            producer.send({"payload": "*"})
            assert producer.json()["result"] == "send-error:7", "all was taken"
        assert [decode(delivery) for delivery in reader.several(3)] == [f"message {number}".encode() for number in range(3)]


@pytest.fixture
def deduplicating(broker):
    """While a test runs, new topics drop messages whose numbers they have seen."""
    path = "namespaces/public/default/deduplication"
    broker.admin("POST", path, True)
    time.sleep(0.5)
    yield
    broker.admin("POST", path, False)
    time.sleep(0.5)


@pytest.mark.parametrize("batched", [False, True])
def test_duplicates_are_told_without_a_place(service, topic, deduplicating, batched):
    """A producer of that name begins again with numbers that the broker has seen."""
    def producer(initial: int):
        limits = {"batchingMaxMessages": 2} if batched else {"batchingEnabled": "false"}
        return batching(service, topic, producerName=f"me-{topic}", initialSequenceId=initial, **limits)

    with service.reader(topic, messageId="earliest") as reader:
        with producer(9) as first:
            for number in range(4):
                send(first, number)
            stored = places(first.several(4))
        expected = [(0, 0), (0, 1), (1, 0), (1, 1)] if batched else [(number, None) for number in range(4)]
        assert stored == expected
        again = until(lambda: producer(9))
        with again as second:
            for number in range(6):
                send(second, number, f"again {number}")
            replies = second.several(6)
        assert [reply["result"] for reply in replies] == ["ok"] * 6
        numbers = [ids.read(reply["messageId"]) for reply in replies]
        nowhere = 2**64 - 1
        for index, number in enumerate(numbers[:4]):
            assert (number["ledger"], number["entry"]) == (nowhere, nowhere)
            assert number.get("batch_index") == (index % 2 if batched else None)
        assert all(number["ledger"] != nowhere for number in numbers[4:])
        got = [decode(delivery).decode() for delivery in reader.several(6)]
        assert got == [f"message {number}" for number in range(4)] + ["again 4", "again 5"]


def until(connect, seconds: float = 10):
    """A connection that the broker may refuse while the one before it is still known."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return connect()
        except Exception:  # noqa: BLE001 - whatever the client's library makes of a 409
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.ours_only("Java never answers")
def test_numbers_below_zero(service, topic):
    with batching(service, topic, batchingMaxMessages=3, initialSequenceId=-5) as producer:
        for number in range(9):
            send(producer, number)
        assert places(producer.several(9)) == [(entry, index) for entry in range(3) for index in range(3)]


def test_memory_is_limited(start, broker, topic):
    service = start(broker, brokerServiceUrl=broker.url, brokerClient_memoryLimitBytes=5000)
    with batching(service, topic, batchingMaxMessages=2) as producer, service.producer(topic) as other:
        send(producer, 0, bytes(8000))
        producer.nothing(0.2)
        other.send({"payload": "eA==", "context": "refused"})
        assert other.json() == {
            "result": "send-error:8", "errorMsg": f"{PREFIX}MemoryBufferIsFullError: Client memory buffer is full",
            "context": "refused", "errorCode": 0, "schemaVersion": 0,
        }
        other.send({"payload": "*"})
        assert other.json()["result"] == "send-error:7", "looked at before"
    with service.producer(topic) as other:
        for _ in range(5):
            other.publish(bytes(20_000))
