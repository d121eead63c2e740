"""Nacks, ack timeouts and flow control."""

from __future__ import annotations

import time

import pytest

from harness.client import decode


def publish(service, topic: str, count: int) -> None:
    with service.producer(topic) as producer:
        for number in range(count):
            producer.publish(str(number))


def test_a_nack_brings_the_message_again_after_the_delay(service, topic):
    with service.consumer(topic, subscriptionType="Shared", negativeAckRedeliveryDelay=1000) as consumer:
        publish(service, topic, 3)
        got = consumer.several(3)
        started = time.monotonic()
        consumer.ack(got[0])
        consumer.nack(got[1])
        consumer.ack(got[2])
        again = consumer.json()
        waited = time.monotonic() - started
        assert (decode(again), again["messageId"], again["redeliveryCount"]) == (b"1", got[1]["messageId"], 1)
        assert 0.6 < waited < 3.0, waited
        consumer.nack(again)
        assert consumer.json()["redeliveryCount"] == 2


@pytest.mark.parametrize("delay", [0, 300, 700])
def test_a_nack_rests_for_the_whole_delay(service, topic, delay):
    with service.consumer(topic, subscriptionType="Shared", negativeAckRedeliveryDelay=delay) as consumer:
        publish(service, topic, 1)
        for _ in range(4):
            delivery = consumer.json()
            started = time.monotonic()
            consumer.nack(delivery)
            again = consumer.json()
            assert time.monotonic() - started > max(delay, 100) / 1000 - 0.02
            consumer.ack(again)
            publish(service, topic, 1)


def test_a_nack_waits_a_minute_by_default(service, topic):
    with service.consumer(topic, subscriptionType="Shared") as consumer:
        publish(service, topic, 1)
        consumer.nack(consumer.json())
        consumer.nothing(2)


def test_an_exclusive_consumer_can_nack_too(service, topic):
    with service.consumer(topic, negativeAckRedeliveryDelay=200) as consumer:
        publish(service, topic, 2)
        one, two = consumer.several(2)
        consumer.ack(one)
        consumer.nack(two)
        assert decode(consumer.json()) == b"1"


def test_what_is_not_acked_in_time_comes_again(service, topic):
    with service.consumer(topic, subscriptionType="Shared", ackTimeoutMillis=1000) as consumer:
        publish(service, topic, 3)
        got = consumer.several(3)
        started = time.monotonic()
        consumer.ack(got[1])
        again = consumer.several(2)
        assert [decode(delivery) for delivery in again] == [b"0", b"2"]
        assert {delivery["redeliveryCount"] for delivery in again} == {1}
        assert 0.7 < time.monotonic() - started < 5
        for delivery in again:
            consumer.ack(delivery)
        consumer.nothing(2.5)


def test_without_timeout_nothing_comes_again(service, topic):
    with service.consumer(topic, subscriptionType="Shared") as consumer:
        publish(service, topic, 1)
        consumer.json()
        consumer.nothing(2)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_no_more_is_pushed_than_the_receiver_queue_holds(service, topic, size):
    with service.consumer(topic, receiverQueueSize=size) as consumer:
        publish(service, topic, 8)
        got = consumer.several(size)
        consumer.nothing()
        for expected in range(size, 8):
            consumer.ack(got.pop(0))
            got.append(consumer.json())
            assert decode(got[-1]) == str(expected).encode()
            consumer.nothing(0.05)


def test_a_receiver_queue_of_none_still_pushes_one(service, topic):
    with service.consumer(topic, receiverQueueSize=0) as consumer:
        publish(service, topic, 3)
        for expected in range(3):
            delivery = consumer.json()
            assert decode(delivery) == str(expected).encode()
            consumer.nothing(0.2)
            consumer.ack(delivery)


def test_a_nack_makes_room_as_an_ack_does(service, topic):
    with service.consumer(topic, subscriptionType="Shared", receiverQueueSize=1) as consumer:
        publish(service, topic, 2)
        consumer.nack(consumer.json())
        assert decode(consumer.json()) == b"1"


@pytest.mark.ours_only("Java counts every ack, and so delivers too much")
def test_stray_and_repeated_acks_make_no_room(service, topic):
    with service.consumer(topic, receiverQueueSize=2) as consumer:
        publish(service, topic, 8)
        first, _ = consumer.several(2)
        for _ in range(5):
            consumer.send({"messageId": "CP////8HEAcwAA=="})
        consumer.nothing()
        for _ in range(3):
            consumer.ack(first)
        assert decode(consumer.json()) == b"2"
        consumer.nothing()


@pytest.mark.ours_only("Java's session stalls: what timed out is never taken off its account")
def test_messages_that_time_out_do_not_stall_the_session(service, topic):
    with service.consumer(topic, subscriptionType="Shared", receiverQueueSize=2, ackTimeoutMillis=1000) as consumer:
        publish(service, topic, 2)
        for _ in range(3):
            assert sorted(decode(delivery) for delivery in consumer.several(2)) == [b"0", b"1"]
