"""Every way to name a topic in a path: both versions, both domains, and the odd spellings of each."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from harness.client import Client, decode
from harness.raw import request

OLDER = "public/standalone/older"


@pytest.fixture(scope="module")
def v1(broker) -> str:
    """A namespace whose name has a cluster in it."""
    url = f"http://127.0.0.1:{broker.web_port}/admin/namespaces/{OLDER}"
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=30).close()
    except urllib.error.HTTPError as error:
        assert error.code == 409, error.read()
    return OLDER


@pytest.fixture
def connect(service):
    """Opens a path as it is written; all sockets are closed with the test."""
    opened = []

    def open_path(path: str) -> Client:
        opened.append(Client(service.base + path))
        return opened[-1]

    yield open_path
    for client in opened:
        client.close()


def test_v1_paths_reach_the_broker(connect, v1, topic):
    consumer = connect(f"/ws/consumer/persistent/{v1}/{topic}/s")
    producer = connect(f"/ws/producer/persistent/{v1}/{topic}")
    stored = [producer.publish(text)["messageId"] for text in ("a", "b")]
    got = consumer.several(2)
    assert [decode(delivery) for delivery in got] == [b"a", b"b"]
    assert [delivery["messageId"] for delivery in got] == stored
    reader = connect(f"/ws/reader/persistent/{v1}/{topic}?messageId=earliest")
    assert [decode(delivery) for delivery in reader.several(2)] == [b"a", b"b"]


def test_acks_of_v1_topics_are_kept(connect, v1, topic):
    path = f"/ws/consumer/persistent/{v1}/{topic}/s?subscriptionType=Shared"
    consumer = connect(path)
    producer = connect(f"/ws/producer/persistent/{v1}/{topic}")
    for text in ("done", "left"):
        producer.publish(text)
    consumer.ack(consumer.several(2)[0])
    consumer.nothing(0.4)
    consumer.close()
    again = connect(path)
    assert decode(again.json()) == b"left"
    again.nothing(0.3)


@pytest.mark.parametrize("tail", ["{}/x", "{}//x", "{}/x/", "{}%2Fx", "{}%2fx"])
def test_slashes_in_v1_topics_stay(connect, v1, topic, tail):
    """However the slash is written, it is one topic."""
    consumer = connect(f"/ws/consumer/persistent/{v1}/{topic}%2Fx/s")
    connect(f"/ws/producer/persistent/{v1}/{tail.format(topic)}").publish(tail)
    assert decode(consumer.json()) == tail.encode()


@pytest.mark.parametrize("tail", ["older/{}", "older//{}", "older/{}/", "older%2F{}"])
def test_a_slash_in_a_v2_topic_makes_a_v1_name(connect, v1, topic, tail):
    consumer = connect(f"/ws/v2/consumer/persistent/public/standalone/older%2F{topic}/s")
    connect(f"/ws/v2/producer/persistent/public/standalone/{tail.format(topic)}").publish("v2")
    assert decode(consumer.json()) == b"v2"
    # It is the topic that its v1 path names.
    reader = connect(f"/ws/reader/persistent/{v1}/{topic}/?messageId=earliest")
    assert decode(reader.json()) == b"v2"


@pytest.mark.parametrize("written, name", [("a%2Fb", "a/b"), ("a+b", "a b"), ("a%20b", "a b"), ("%C3%BC%2B", "ü+"), ("a;b=1", "a;b=1")])
def test_subscriptions_are_decoded(connect, broker, topic, written, name):
    connect(f"/ws/v2/consumer/persistent/public/default/{topic}/{written}")
    stats = broker.admin("GET", f"persistent/public/default/{topic}/stats")
    assert list(stats["subscriptions"]) == [name]


@pytest.mark.parametrize("path, status, text", [
    ("producer/persistent/public/standalone/older", 500, "Invalid topic name format"),
    ("producer/persistent/public/standalone/older/", 500, "Topic local name must not be blank"),
    ("producer/persistent/public//older/t", 500, "Invalid namespace format. namespace: public//older"),
    ("reader/non-persistent/public/stand%61lone/older/t", 500, "Invalid named entity: stand%61lone"),
    ("reader/durable/public/standalone/older/t", 500, "IllegalArgumentException"),
    ("consumer/persistent/public/standalone/older/t", 400, "Invalid topic name format"),
    ("consumer/persistent/public/standalone/older/t/", 400, "Empty subscription name"),
    ("consumer/persistent/public/standalone/older/t/s/", 400, "Invalid topic name format"),
    ("v2/producer/persistent/public/default/a%20b/c", 500, "Invalid named entity: a b"),
    ("v2/producer/persistent/public/default/a%2F", 500, "Topic local name must not be blank"),
    ("v2/producer/persistent/public/default/%2Fa", 500, "Invalid namespace format. namespace: public/default/"),
])
def test_paths_that_name_no_topic(service, path, status, text):
    answer = request(service.port, f"/ws/{path}")
    assert answer.status == status, answer
    assert text in answer.text


def test_non_persistent_topics(connect, topic):
    """Whoever is there gets what is published; nobody else ever does."""
    base = f"non-persistent/public/default/{topic}"
    producer = connect(f"/ws/v2/producer/{base}")
    assert producer.publish("nobody is there")["messageId"] == "CAAQADAA"
    consumer, other = connect(f"/ws/v2/consumer/{base}/s"), connect(f"/ws/v2/consumer/{base}/other")
    reader = connect(f"/ws/v2/reader/{base}?messageId=earliest")
    for text in ("a", "b", "c"):
        assert producer.publish(text, properties={"k": text}, key=text)["messageId"] == "CAAQADAA"
    for listener in (consumer, other, reader):
        got = listener.several(3)
        assert [decode(delivery) for delivery in got] == [b"a", b"b", b"c"]
        assert [delivery["properties"] for delivery in got] == [{"k": text} for text in "abc"]
        # Nothing is stored, so nothing has a place.
        assert {delivery["messageId"] for delivery in got} == {"CAAQADAA"}
        listener.nothing(0.2)


def test_a_v1_name_can_be_non_persistent(connect, v1, topic):
    consumer = connect(f"/ws/consumer/non-persistent/{v1}/{topic}/s")
    connect(f"/ws/producer/non-persistent/{v1}/{topic}").publish("a")
    assert decode(consumer.json()) == b"a"


@pytest.mark.ours_only("a queue of none is closed there by the first batch")
def test_what_is_not_stored_comes_one_by_one_where_nothing_is_fetched_ahead(connect, topic):
    base = f"non-persistent/public/default/{topic}"
    consumer = connect(f"/ws/v2/consumer/{base}/s?subscriptionType=Shared&receiverQueueSize=0")
    producer = connect(f"/ws/v2/producer/{base}")
    for _ in range(3):
        consumer.ack(until_delivered(producer, consumer))


def until_delivered(producer, consumer) -> dict:
    """Publishes until something comes: a broker drops what nobody waits for."""
    for _ in range(20):
        producer.publish("x")
        try:
            return consumer.json(1)
        except TimeoutError:
            pass
    raise AssertionError("nothing comes")


@pytest.mark.parametrize("kind", ["Exclusive", "Shared", "Failover", "Key_Shared"])
def test_what_is_not_stored_does_not_come_again(connect, topic, kind):
    base = f"non-persistent/public/default/{topic}"
    parameters = f"subscriptionType={kind}&receiverQueueSize=2&negativeAckRedeliveryDelay=100"
    consumer = connect(f"/ws/v2/consumer/{base}/s?{parameters}")
    producer = connect(f"/ws/v2/producer/{base}")
    for text in ("a", "b"):
        producer.publish(text)
    got = consumer.several(2)
    consumer.nack(got[0])
    consumer.ack(got[1])
    consumer.nothing(1.2)
    # Both were answered, so there is room for two more.
    for text in ("c", "d"):
        producer.publish(text)
    assert [decode(delivery) for delivery in consumer.several(2)] == [b"c", b"d"]
