"""Consumers and readers of partitioned topics."""

from __future__ import annotations

import time

import pytest

from harness import ids
from harness.client import Client, decode
from harness.raw import request

PARTS = 3


@pytest.fixture
def partitioned(broker, topic) -> str:
    broker.admin("PUT", f"persistent/public/default/{topic}/partitions", PARTS)
    return topic


def publish(service, topic: str, count: int) -> list[str]:
    """Publishes to every partition; the ids."""
    with service.producer(topic, messageRoutingMode="RoundRobinPartition") as producer:
        return [producer.publish(str(number))["messageId"] for number in range(count)]


def backlog(broker, topic: str, subscription: str) -> int:
    parts = broker.admin("GET", f"persistent/public/default/{topic}/partitioned-stats?getPreciseBacklog=true")
    return parts["subscriptions"][subscription]["msgBacklog"]


def until_backlog(broker, topic: str, subscription: str, wanted: int, seconds: float = 5) -> int:
    deadline = time.monotonic() + seconds
    while (now := backlog(broker, topic, subscription)) != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    return now


def test_all_partitions_are_consumed(service, broker, partitioned):
    with service.consumer(partitioned, "s") as consumer:
        stored = publish(service, partitioned, 9)
        got = consumer.several(9)
        assert sorted(delivery["messageId"] for delivery in got) == sorted(stored)
        assert {ids.read(delivery["messageId"])["partition"] for delivery in got} == set(range(PARTS))
        # Each partition keeps its order.
        for part in range(PARTS):
            numbers = [int(decode(one)) for one in got if ids.read(one["messageId"])["partition"] == part]
            assert numbers == sorted(numbers)
        for delivery in got:
            consumer.ack(delivery)
        assert until_backlog(broker, partitioned, "s", 0) == 0


def test_the_queue_limits_all_partitions_together(service, partitioned):
    with service.consumer(partitioned, "s", receiverQueueSize=4) as consumer:
        publish(service, partitioned, 12)
        seen = []
        for _ in range(3):
            got = consumer.several(4)
            consumer.nothing(0.3)
            seen += got
            for delivery in got:
                consumer.ack(delivery)
        assert sorted(int(decode(delivery)) for delivery in seen) == list(range(12))


@pytest.mark.ours_only("Java wants a queue there")
def test_a_queue_of_none_is_one_at_a_time(service, partitioned):
    with service.consumer(partitioned, "s", receiverQueueSize=0) as consumer:
        publish(service, partitioned, 3)
        for _ in range(3):
            delivery = consumer.json()
            consumer.nothing(0.2)
            consumer.ack(delivery)


@pytest.mark.parametrize("kind", ["Exclusive", "Shared"])
def test_a_rejected_message_comes_again(service, partitioned, kind):
    with service.consumer(partitioned, "s", subscriptionType=kind, negativeAckRedeliveryDelay=100) as consumer:
        publish(service, partitioned, 3)
        got = consumer.several(3)
        consumer.nack(got[1])
        for delivery in (got[0], got[2]):
            consumer.ack(delivery)
        again = consumer.json()
        assert again["messageId"] == got[1]["messageId"]
        consumer.nothing(0.5)


def test_unacked_messages_come_again_after_the_timeout(service, partitioned):
    with service.consumer(partitioned, "s", subscriptionType="Shared", ackTimeoutMillis=1000) as consumer:
        publish(service, partitioned, 3)
        got = consumer.several(3)
        consumer.ack(got[0])
        again = consumer.several(2)
        assert {one["messageId"] for one in again} == {one["messageId"] for one in got[1:]}


@pytest.mark.ours_only("Java loses such acks")
def test_acks_from_another_connection_are_kept(service, broker, partitioned):
    shared = {"subscriptionType": "Shared"}
    with service.consumer(partitioned, "s", **shared) as first:
        publish(service, partitioned, 6)
        got = first.several(6)
        with service.consumer(partitioned, "s", **shared) as second:
            for delivery in got:
                second.ack(delivery)
            assert until_backlog(broker, partitioned, "s", 0) == 0


def test_the_consumer_has_one_name(service, broker, partitioned):
    with service.consumer(partitioned, "s", consumerName="me"), service.consumer(partitioned, "other"):
        stats = broker.admin("GET", f"persistent/public/default/{partitioned}/partitioned-stats?perPartition=true")
        names = {"s": set(), "other": set()}
        for part in stats["partitions"].values():
            for subscription, found in names.items():
                found |= {one["consumerName"] for one in part["subscriptions"][subscription]["consumers"]}
        assert names["s"] == {"me"}
        assert len(names["other"]) == 1


def test_the_end_is_the_end_of_all_partitions(service, broker, partitioned):
    with service.consumer(partitioned, "s") as consumer:
        for part in range(PARTS):
            consumer.send({"type": "isEndOfTopic"})
            assert consumer.json() == {"endOfTopic": False}
            broker.admin("POST", f"persistent/public/default/{partitioned}-partition-{part}/terminate")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            consumer.send({"type": "isEndOfTopic"})
            if consumer.json()["endOfTopic"]:
                return
            time.sleep(0.05)
        raise AssertionError("no end")


def test_unsubscribing_is_for_all_partitions(service, broker, partitioned):
    def subscriptions() -> list:
        stats = broker.admin("GET", f"persistent/public/default/{partitioned}/partitioned-stats?perPartition=true")
        return [name for part in stats["partitions"].values() for name in part["subscriptions"]]

    with service.consumer(partitioned, "s") as consumer:
        assert subscriptions() == ["s"] * PARTS
        consumer.send({"type": "unsubscribe"})
        deadline = time.monotonic() + 5
        while subscriptions() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert subscriptions() == []
        consumer.send({"type": "unsubscribe"})
        expected = (1006, "") if service.is_java else (4003, "Failed to de-serialize from JSON")
        assert consumer.closed() == expected


def test_one_part_that_is_taken_refuses_all(service, broker, partitioned):
    with service.consumer(f"{partitioned}-partition-1", "s"):
        answer = request(service.port, service.path("consumer", partitioned, "s"))
        assert answer.status == 409, answer
        name = f"persistent://public/default/{partitioned}"
        assert f"Failed to create producer/consumer: Failed to subscribe {name} with {PARTS} partitions" in answer.text
        assert '{"errorMsg":"Exclusive consumer is already connected"' in answer.text
    # The other partitions were let go.
    deadline = time.monotonic() + 5
    while (answer := request(service.port, service.path("consumer", partitioned, "s"))).status == 409:
        assert time.monotonic() < deadline, answer
        time.sleep(0.1)
    assert answer.status == 101


def test_a_part_that_moves_disturbs_no_other(service, broker, partitioned):
    with service.consumer(partitioned, "s", subscriptionType="Shared") as consumer:
        publish(service, partitioned, 3)
        for delivery in consumer.several(3):
            consumer.ack(delivery)
        assert until_backlog(broker, partitioned, "s", 0) == 0
        broker.admin("PUT", f"persistent/public/default/{partitioned}-partition-1/unload")
        publish(service, partitioned, 6)
        got = set()
        while len(got) < 6:
            got.add(decode(consumer.json()))
        assert got == {str(number).encode() for number in range(6)}


def test_readers_read_all_partitions(service, broker, partitioned):
    stored = publish(service, partitioned, 6)
    with service.reader(partitioned, messageId="earliest", receiverQueueSize=2) as reader, \
            service.reader(partitioned) as late:
        got = []
        for _ in range(3):
            got += reader.several(2)
            reader.nothing(0.2)
            reader.send({})
            reader.send({})
        assert sorted(delivery["messageId"] for delivery in got) == sorted(stored)
        stats = broker.admin("GET", f"persistent/public/default/{partitioned}/partitioned-stats")
        names = list(stats["subscriptions"])
        assert len(names) == 2
        assert all(name.startswith("multiTopicsReader-") and len(name) == 28 for name in names), names
        late.nothing(0.2)
        new = publish(service, partitioned, 3)
        assert sorted(delivery["messageId"] for delivery in late.several(3)) == sorted(new)


def test_readers_of_partitions_begin_at_an_end(service, partitioned):
    stored = publish(service, partitioned, 1)[0]
    answer = request(service.port, service.path("reader", partitioned, messageId=stored))
    assert answer.status == 500, answer
    assert ("Failed to create reader: java.util.concurrent.ExecutionException: org.apache.pulsar.client.api."
            "PulsarClientException: The partitioned topic startMessageId is illegal") in answer.text


def test_non_persistent_topics_may_have_partitions(service, broker, topic):
    broker.admin("PUT", f"non-persistent/public/default/{topic}/partitions", 2)
    base = f"{service.base}/ws/v2/%s/non-persistent/public/default/{topic}"
    with Client(base % "consumer" + "/s?receiverQueueSize=2") as consumer, \
            Client(base % "producer" + "?messageRoutingMode=RoundRobinPartition") as producer:
        for _ in range(3):
            for number in range(2):
                producer.publish(str(number))
            got = consumer.several(2)
            assert sorted(decode(delivery) for delivery in got) == [b"0", b"1"]
            for delivery in got:
                consumer.ack(delivery)


def test_pull_mode_spends_permits_on_any_part(service, partitioned):
    with service.consumer(partitioned, "s", pullMode="true") as consumer:
        publish(service, partitioned, 6)
        consumer.nothing(0.3)
        for wanted in (1, 2, 3):
            consumer.send({"type": "permit", "permitMessages": wanted})
            for delivery in consumer.several(wanted):
                consumer.ack(delivery)
            consumer.nothing(0.3)


@pytest.mark.ours_only("Java wants a queue there")
def test_pull_mode_without_a_queue(service, partitioned):
    with service.consumer(partitioned, "s", pullMode="true", receiverQueueSize=0) as consumer:
        publish(service, partitioned, 4)
        consumer.nothing(0.3)
        for _ in range(2):
            consumer.send({"type": "permit", "permitMessages": 2})
            consumer.several(2)
            consumer.nothing(0.3)
