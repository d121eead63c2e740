"""Acknowledging single messages of a batch, with a broker that drops such acks (the default) and one that keeps them.

An entry is gone for good when all of its messages are acked. Within one session that holds with any
broker. From several connections, or over a reconnect, it takes a broker with
`acknowledgmentAtBatchIndexLevelEnabled`; Java's service never makes use of it.
"""

from __future__ import annotations

import logging

import pulsar
import pytest

from harness import ids
from harness.client import PATIENCE
from harness.servers import Broker
from test_consume import again
from test_interop import batch

SHARED = {"subscriptionType": "Shared"}


class Side:
    """A broker, the service beside it, and a client of its own."""

    def __init__(self, broker: Broker, service, cpp: pulsar.Client, keeps: bool) -> None:
        self.broker, self.service, self.cpp = broker, service, cpp
        self.keeps = keeps

    def filled(self, topic: str) -> None:
        """A subscription `sub` that waits for one entry of three messages."""
        self.service.consumer(topic, **SHARED).close()
        batch(self.cpp, topic, 3)


@pytest.fixture(scope="module", params=[False, True], ids=["broker-drops", "broker-keeps"])
def side(request, start):
    if not request.param:
        yield Side(*(request.getfixturevalue(name) for name in ("broker", "service", "cpp")), keeps=False)
        return
    broker = Broker("broker-keeps", acknowledgmentAtBatchIndexLevelEnabled="true")
    try:
        broker.wait()
        quiet = logging.getLogger("pulsar-cpp-keeps")
        quiet.setLevel(logging.CRITICAL)
        cpp = pulsar.Client(broker.url, logger=quiet)
        yield Side(broker, start(broker), cpp, keeps=True)
        cpp.close()
    finally:
        broker.stop()


def numbers(deliveries: list[dict]) -> list[str]:
    return sorted(delivery["properties"]["number"] for delivery in deliveries)


def left(consumer) -> list[str]:
    """What is delivered now, by number."""
    got = []
    try:
        while True:
            got.append(consumer.json(PATIENCE if not got else 0.8))
    except TimeoutError:
        return numbers(got)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 1, 0, 2, 2)])
def test_one_session_acks_a_whole_batch(side, topic, order):
    side.filled(topic)
    with side.service.consumer(topic, **SHARED) as consumer:
        got = consumer.several(3)
        for at in order:
            consumer.ack(got[at])
        assert side.broker.until_backlog(topic, "sub", 0) == 0


def test_an_ack_of_one_message_leaves_the_others(side, topic):
    side.filled(topic)
    with side.service.consumer(topic, **SHARED) as consumer:
        consumer.ack(consumer.several(3)[1])
        consumer.nothing(0.3)
    with again(side.service, topic, **SHARED) as consumer:
        kept = side.keeps and not side.service.is_java
        assert left(consumer) == (["0", "2"] if kept else ["0", "1", "2"])


def test_what_is_left_after_a_reconnect_can_be_acked(side, topic):
    side.filled(topic)
    with side.service.consumer(topic, **SHARED) as consumer:
        consumer.ack(consumer.several(3)[1])
        consumer.nothing(0.3)
    with again(side.service, topic, **SHARED) as consumer:
        kept = side.keeps and not side.service.is_java
        for delivery in consumer.several(2 if kept else 3):
            consumer.ack(delivery)
        assert side.broker.until_backlog(topic, "sub", 0) == 0


@pytest.mark.ours_only("Java loses acks of what its session did not deliver")
def test_another_connection_acks_what_one_received(side, topic):
    if not side.keeps:
        pytest.skip("takes a broker that keeps such acks")
    side.filled(topic)
    with side.service.consumer(topic, **SHARED) as receiver:
        got = receiver.several(3)
        with side.service.consumer(topic, **SHARED) as other:
            for delivery in got:
                other.ack(delivery)
            assert side.broker.until_backlog(topic, "sub", 0) == 0


@pytest.mark.ours_only("Java loses acks of what its session did not deliver")
def test_two_connections_ack_one_batch_between_them(side, topic):
    if not side.keeps:
        pytest.skip("takes a broker that keeps such acks")
    side.filled(topic)
    with side.service.consumer(topic, **SHARED) as receiver:
        got = receiver.several(3)
        with side.service.consumer(topic, **SHARED) as other:
            receiver.ack(got[0])
            receiver.nothing(0.3)
            other.ack(got[1])
            other.ack(got[2])
            assert side.broker.until_backlog(topic, "sub", 0) == 0


def test_unbatched_messages_are_acked_from_anywhere(side, topic):
    with side.service.consumer(topic, **SHARED) as receiver:
        with side.service.producer(topic) as producer:
            producer.publish(b"x")
        delivery = receiver.json()
        with side.service.consumer(topic, **SHARED) as other:
            other.ack(delivery)
            assert side.broker.until_backlog(topic, "sub", 0) == 0


def test_a_nacked_message_of_a_batch_comes_again(side, topic):
    side.filled(topic)
    with side.service.consumer(topic, negativeAckRedeliveryDelay=200, **SHARED) as consumer:
        got = consumer.several(3)
        consumer.nack(got[1])
        returned = left(consumer)
        assert "1" in returned


def test_a_nack_brings_siblings_that_are_not_acked(side, topic):
    side.filled(topic)
    with side.service.consumer(topic, negativeAckRedeliveryDelay=1000, **SHARED) as consumer:
        got = consumer.several(3)
        consumer.ack(got[0])
        consumer.nack(got[1])
        # Also the one that the client still works on. Java brings them all.
        assert left(consumer) == (["0", "1", "2"] if side.service.is_java else ["1", "2"])


@pytest.mark.ours_only("Java loses acks of what its session did not deliver")
def test_a_nack_brings_what_another_connection_acked_unless_the_broker_keeps_that(side, topic):
    side.filled(topic)
    with side.service.consumer(topic, negativeAckRedeliveryDelay=1000, **SHARED) as consumer:
        got = consumer.several(3)
        other = side.service.consumer(topic, receiverQueueSize=0, pullMode="true", **SHARED)
        other.ack(got[0])
        other.close()
        consumer.nack(got[1])
        assert left(consumer) == (["1", "2"] if side.keeps else ["0", "1", "2"])


@pytest.mark.ours_only("Java redelivers what was acked already")
def test_a_nack_leaves_acked_siblings_alone(side, topic):
    if not side.keeps:
        pytest.skip("takes a broker that keeps such acks")
    side.filled(topic)
    with side.service.consumer(topic, negativeAckRedeliveryDelay=1000, **SHARED) as consumer:
        got = consumer.several(3)
        consumer.ack(got[0])
        consumer.ack(got[2])
        consumer.nack(got[1])
        again_got = consumer.json()
        assert again_got["properties"]["number"] == "1"
        assert ids.read(again_got["messageId"]) == ids.read(got[1]["messageId"])
        consumer.nothing(0.5)
        consumer.ack(again_got)
        assert side.broker.until_backlog(topic, "sub", 0) == 0
