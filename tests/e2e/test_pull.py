"""Pull mode: nothing comes before the client permits it."""

from __future__ import annotations

import pytest

from harness.client import decode


def publish(service, topic: str, *payloads: str) -> None:
    with service.producer(topic) as producer:
        for payload in payloads:
            producer.publish(payload)


def permit(consumer, messages: int) -> None:
    consumer.send({"type": "permit", "permitMessages": messages})


def pulling(service, topic: str, **parameters: object):
    return service.consumer(topic, **{"pullMode": "true", "subscriptionType": "Shared", **parameters})


@pytest.mark.parametrize("queue", [0, 1, 10])
def test_nothing_comes_before_it_is_permitted(service, topic, queue):
    with pulling(service, topic, receiverQueueSize=queue) as consumer:
        publish(service, topic, *"0123456")
        consumer.nothing()
        permit(consumer, 1)
        assert decode(consumer.json()) == b"0"
        consumer.nothing()
        permit(consumer, 2)
        permit(consumer, 1)
        assert [decode(got) for got in consumer.several(3)] == [b"1", b"2", b"3"]
        consumer.nothing()


@pytest.mark.parametrize("queue", [0, 1, 10])
def test_permits_are_kept_until_messages_come(service, topic, queue):
    with pulling(service, topic, receiverQueueSize=queue) as consumer:
        permit(consumer, 2)
        permit(consumer, 1)
        publish(service, topic, *"01234")
        assert [decode(got) for got in consumer.several(3)] == [b"0", b"1", b"2"]
        consumer.nothing()


def test_acks_count_for_nothing(service, topic):
    with pulling(service, topic, receiverQueueSize=2) as consumer:
        publish(service, topic, *"01234")
        permit(consumer, 4)
        got = consumer.several(4)
        for delivery in got:
            consumer.ack(delivery)
        consumer.nothing()
        permit(consumer, 1)
        assert decode(consumer.json()) == b"4"


def test_more_than_the_queue_may_be_unacknowledged(service, topic):
    with pulling(service, topic, receiverQueueSize=1) as consumer:
        permit(consumer, 50)
        publish(service, topic, *map(str, range(50)))
        assert [decode(got) for got in consumer.several(50)] == [str(n).encode() for n in range(50)]


@pytest.mark.parametrize("queue", [0, 10])
def test_a_redelivered_message_uses_a_permit(service, topic, queue):
    with pulling(service, topic, receiverQueueSize=queue, negativeAckRedeliveryDelay=100) as consumer:
        publish(service, topic, *"01")
        permit(consumer, 1)
        first = consumer.json()
        consumer.nack(first)
        consumer.nothing()
        permit(consumer, 2)
        got = consumer.several(2)
        assert {decode(delivery) for delivery in got} == {b"0", b"1"}
        again = next(delivery for delivery in got if decode(delivery) == b"0")
        assert (again["messageId"], again["redeliveryCount"]) == (first["messageId"], 1)
        consumer.nothing()


def test_what_times_out_comes_when_it_is_permitted(service, topic):
    with pulling(service, topic, ackTimeoutMillis=1000) as consumer:
        publish(service, topic, "0")
        permit(consumer, 1)
        first = consumer.json()
        consumer.nothing(3)
        permit(consumer, 1)
        again = consumer.json()
        assert again["messageId"] == first["messageId"]
        assert again["redeliveryCount"] >= 1


@pytest.mark.parametrize("messages", [0, -1, -2147483648])
@pytest.mark.ours_only("Java delivers one message and owes it")
def test_permits_that_are_none_change_nothing(service, topic, messages):
    with pulling(service, topic) as consumer:
        publish(service, topic, *"012")
        permit(consumer, messages)
        consumer.nothing()
        permit(consumer, 2)
        assert [decode(got) for got in consumer.several(2)] == [b"0", b"1"]
        consumer.nothing()


@pytest.mark.ours_only("Java's count of permits overflows")
def test_permits_stay_at_the_most_there_can_be(service, topic):
    with pulling(service, topic) as consumer:
        for _ in range(4):
            permit(consumer, 2147483647)
        publish(service, topic, *"012")
        assert [decode(got) for got in consumer.several(3)] == [b"0", b"1", b"2"]


def test_a_permit_means_nothing_in_push_mode(service, topic):
    with service.consumer(topic, receiverQueueSize=1) as consumer:
        permit(consumer, 5)
        publish(service, topic, *"01")
        first = consumer.json()
        consumer.nothing()
        consumer.ack(first)
        assert decode(consumer.json()) == b"1"


@pytest.mark.parametrize("parameters", [{"pullMode": "1"}, {"pullMode": "false"}, {"pullMode": ""}])
def test_what_is_not_true_is_push_mode(service, topic, parameters):
    with service.consumer(topic, **parameters) as consumer:
        publish(service, topic, "0")
        assert decode(consumer.json()) == b"0"


def test_acks_may_come_from_another_connection(service, topic):
    fetching = pulling(service, topic, receiverQueueSize=1)
    with fetching, pulling(service, topic, receiverQueueSize=0) as acknowledging:
        permit(fetching, 3)
        publish(service, topic, *"012")
        for delivery in fetching.several(2):
            acknowledging.ack(delivery)
        # The acknowledgement of the third one does not come.
        third = fetching.json()
        acknowledging.nothing(0.5)
    with pulling(service, topic) as consumer:
        permit(consumer, 5)
        assert consumer.json()["messageId"] == third["messageId"]
        consumer.nothing()


@pytest.mark.parametrize("mode", [{}, {"pullMode": "true"}])
def test_without_a_queue_nothing_is_fetched_ahead(service, topic, mode):
    none = {"subscriptionType": "Shared", "receiverQueueSize": 0, **mode}
    with service.consumer(topic, **none) as one, service.consumer(topic, **none) as other:
        for consumer in one, other:
            permit(consumer, 1)
        publish(service, topic, *"0123")
        first = [one.json(), other.json()]
        assert {decode(got) for got in first} == {b"0", b"1"}
        # The one that is not done keeps no message from the other.
        for number in b"2", b"3":
            one.ack(first[0])
            permit(one, 1)
            first[0] = one.json()
            assert decode(first[0]) == number
        other.nothing()


def test_a_consumer_that_unsubscribed_gets_nothing(service, topic):
    with pulling(service, topic) as consumer:
        publish(service, topic, "0")
        consumer.send({"type": "unsubscribe"})
        permit(consumer, 1)
        consumer.nothing()


def test_an_exclusive_consumer_may_pull(service, topic):
    with service.consumer(topic, pullMode="TRUE", receiverQueueSize=1) as consumer:
        publish(service, topic, *"012")
        permit(consumer, 2)
        assert [decode(got) for got in consumer.several(2)] == [b"0", b"1"]
        consumer.nothing()
