"""What a reader gets, and from where."""

from __future__ import annotations

import time

import pytest

from harness import ids
from harness.client import decode


@pytest.fixture
def stored(service, topic):
    """A topic with five messages; their ids."""
    with service.producer(topic) as producer:
        return [producer.publish(str(number))["messageId"] for number in range(5)]


def rest(reader) -> list[bytes]:
    """Everything the reader still gets."""
    got = []
    try:
        while True:
            got.append(reader.json(10 if not got else 0.6))
            reader.ack(got[-1])
    except TimeoutError:
        return [decode(delivery) for delivery in got]


def test_earliest_is_everything(service, topic, stored):
    with service.reader(topic, messageId="earliest") as reader:
        got = reader.several(5)
        assert [delivery["messageId"] for delivery in got] == stored
        assert [decode(delivery) for delivery in got] == [b"0", b"1", b"2", b"3", b"4"]
        assert list(got[0]) == ["messageId", "payload", "properties", "publishTime", "redeliveryCount"]


@pytest.mark.parametrize("parameters", [{}, {"messageId": "latest"}, {"messageId": ""}, {"messageId": " "}])
def test_latest_is_what_comes_after(service, topic, stored, parameters):
    with service.reader(topic, **parameters) as reader, service.producer(topic) as producer:
        reader.nothing(0.3)
        producer.publish(b"new")
        assert decode(reader.json()) == b"new"


@pytest.mark.parametrize("at, expected", [(0, [b"1", b"2", b"3", b"4"]), (3, [b"4"])])
def test_an_id_is_exclusive(service, topic, stored, at, expected):
    with service.reader(topic, messageId=stored[at]) as reader:
        assert rest(reader) == expected


def test_the_last_id_leaves_only_what_is_new(service, topic, stored):
    with service.reader(topic, messageId=stored[4]) as reader, service.producer(topic) as producer:
        reader.nothing(0.3)
        producer.publish(b"new")
        assert decode(reader.json()) == b"new"


def test_an_id_without_batch_size_or_padding_will_do(service, topic, stored):
    numbers = ids.read(stored[2])
    with service.reader(topic, messageId=ids.write(ledger=numbers["ledger"], entry=numbers["entry"]).rstrip("=")) as reader:
        assert rest(reader) == [b"3", b"4"]


def test_two_readers_do_not_share(service, topic, stored):
    with service.reader(topic, messageId="earliest", readerName="same") as one, \
            service.reader(topic, messageId="earliest", readerName="same") as other:
        assert len(one.several(5)) == len(other.several(5)) == 5


@pytest.mark.parametrize("size", [1, 2])
def test_no_more_is_pushed_than_the_receiver_queue_holds(service, topic, stored, size):
    with service.reader(topic, messageId="earliest", receiverQueueSize=size) as reader:
        reader.several(size)
        reader.nothing()
        reader.send({})
        assert decode(reader.json()) == str(size).encode()
        reader.nothing(0.3)


@pytest.mark.parametrize("frame", [
    "{}", '{"messageId":"garbage!"}', '{"type":"permit","permitMessages":50}', '{"type":"unsubscribe"}',
    '{"type":"negativeAcknowledge","messageId":"CAMQADAA"}', '{"type":"?"} and more',
])
def test_every_frame_asks_for_the_next(service, topic, stored, frame):
    with service.reader(topic, messageId="earliest", receiverQueueSize=1) as reader:
        assert decode(reader.json()) == b"0"
        reader.send(frame)
        assert decode(reader.json()) == b"1"
        reader.nothing(0.3)


@pytest.mark.ours_only("Java's reader never delivers then")
def test_a_receiver_queue_of_none_counts_as_one(service, topic, stored):
    with service.reader(topic, messageId="earliest", receiverQueueSize=0) as reader:
        assert decode(reader.json()) == b"0"
        reader.nothing(0.3)
        reader.send({})
        assert decode(reader.json()) == b"1"


def test_what_is_not_JSON_ends_the_session(service, topic):
    with service.reader(topic) as reader:
        reader.send("garbage")
        expected = (1006, "") if service.is_java else (4003, "Failed to de-serialize from JSON")
        assert reader.closed() == expected


def test_null_closes_with_1011(service, topic):
    with service.reader(topic) as reader:
        reader.send("null")
        assert reader.closed()[0] == 1011


def test_the_reader_leaves_no_subscription(service, broker, topic, stored):
    def subscriptions() -> list[str]:
        return list(broker.admin("GET", f"persistent/public/default/{topic}/stats")["subscriptions"])

    with service.reader(topic, messageId="earliest", readerName="me") as reader:
        reader.json()
        (name,) = subscriptions()
        assert name.startswith("reader-") and len(name) == len("reader-") + 10
    deadline = time.monotonic() + 5
    while subscriptions() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert subscriptions() == []
