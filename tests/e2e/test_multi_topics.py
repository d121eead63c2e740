"""Consumers of several topics: a list of them, or a pattern."""

from __future__ import annotations

import time
import uuid
from urllib.parse import quote, urlencode

import pytest

from harness import ids
from harness.client import Client, decode
from harness.raw import request

NAMES = "public/default"


def v3(subscription: str = "s", **parameters: object) -> str:
    return f"/ws/v3/consumer/{quote(subscription, safe='')}?{urlencode(parameters)}"


@pytest.fixture
def several(service):
    """Opens a consumer of several topics."""
    opened = []

    def open_several(subscription: str = "s", **parameters: object) -> Client:
        opened.append(Client(service.base + v3(subscription, **parameters)))
        return opened[-1]

    yield open_several
    for client in opened:
        client.close()


@pytest.fixture
def pair(topic) -> list[str]:
    return [f"{topic}-a", f"{topic}-b"]


def publish(service, topic: str, *texts: str, **parameters: object) -> list[str]:
    with service.producer(topic, **parameters) as producer:
        return [producer.publish(text)["messageId"] for text in texts]


def texts(got: list[dict]) -> list[bytes]:
    return sorted(decode(delivery) for delivery in got)


def test_a_list_of_topics_is_consumed(service, broker, several, pair):
    consumer = several(topics=",".join(pair))
    stored = [*publish(service, pair[0], "a1", "a2"), *publish(service, pair[1], "b1")]
    got = consumer.several(3)
    assert texts(got) == [b"a1", b"a2", b"b1"]
    assert sorted(delivery["messageId"] for delivery in got) == sorted(stored)
    for delivery in got:
        consumer.ack(delivery)
    for name in pair:
        assert broker.until_backlog(name, "s", 0) == 0


@pytest.mark.parametrize("form", ["{0}, {1} ", "persistent://public/default/{0},public/default/{1}", "{0},{0},{1}"])
def test_names_in_every_form(service, several, pair, form):
    consumer = several(topics=form.format(*pair))
    for name in pair:
        publish(service, name, name)
    assert texts(consumer.several(2)) == sorted(name.encode() for name in pair)
    consumer.nothing(0.3)


def test_one_topic_is_as_in_v2(service, several, topic):
    consumer = several(topics=topic, receiverQueueSize=2)
    publish(service, topic, "a", "b", "c")
    got = consumer.several(2)
    consumer.nothing(0.3)
    consumer.ack(got[0])
    assert decode(consumer.json()) == b"c"


def test_a_partitioned_topic_among_them(service, broker, several, pair):
    broker.admin("PUT", f"persistent/{NAMES}/{pair[0]}/partitions", 2)
    consumer = several(topics=",".join(pair))
    publish(service, pair[0], "1", "2", "3", "4", messageRoutingMode="RoundRobinPartition")
    publish(service, pair[1], "5")
    got = consumer.several(5)
    assert texts(got) == [b"1", b"2", b"3", b"4", b"5"]
    parts = sorted(str(ids.read(delivery["messageId"]).get("partition")) for delivery in got)
    assert parts == ["0", "0", "1", "1", "None"]
    for delivery in got:
        consumer.ack(delivery)
    for name in (f"{pair[0]}-partition-0", f"{pair[0]}-partition-1", pair[1]):
        assert broker.until_backlog(name, "s", 0) == 0


def test_the_queue_limits_all_topics_together(service, several, pair):
    consumer = several(topics=",".join(pair), receiverQueueSize=2)
    for name in pair:
        publish(service, name, "1", "2", "3")
    seen = 0
    while seen < 6:
        got = consumer.several(2)
        consumer.nothing(0.2)
        for delivery in got:
            consumer.ack(delivery)
        seen += 2


def test_a_rejected_message_comes_again(service, several, pair):
    consumer = several(topics=",".join(pair), subscriptionType="Shared", negativeAckRedeliveryDelay=100)
    for name in pair:
        publish(service, name, name)
    got = consumer.several(2)
    consumer.nack(got[1])
    assert consumer.json()["messageId"] == got[1]["messageId"]
    consumer.nothing(0.4)


@pytest.mark.ours_only("Java loses such acks, and closes 1011 at such rejections")
def test_ids_that_another_session_got(service, broker, several, pair):
    parameters = {"topics": ",".join(pair), "subscriptionType": "Shared", "negativeAckRedeliveryDelay": 100}
    one, two = several(**parameters), several(**parameters)
    for name in pair:
        publish(service, name, *"abcdefgh")
    got = {}
    for consumer in (one, two):
        try:
            while True:
                got.setdefault(id(consumer), []).append(consumer.json(1))
        except TimeoutError:
            pass
    assert sum(len(part) for part in got.values()) == 16
    # Both know the topics' ledgers by now, so each can acknowledge what the other got.
    for delivery in got[id(one)]:
        two.ack(delivery)
    for delivery in got[id(two)]:
        one.ack(delivery)
    for name in pair:
        assert broker.until_backlog(name, "s", 0) == 0
    one.nack({"messageId": ids.write(ledger=987_654_321, entry=0)})
    one.send({"type": "isEndOfTopic"})
    assert one.json() == {"endOfTopic": False}


def test_unsubscribing_is_for_all_topics(service, broker, several, pair):
    consumer = several(topics=",".join(pair))
    consumer.send({"type": "unsubscribe"})
    deadline = time.monotonic() + 5
    for name in pair:
        while broker.admin("GET", f"persistent/{NAMES}/{name}/stats")["subscriptions"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.parametrize("query, status, text", [
    ("", 500, "Should set topics or topicsPattern"),
    ("topics=a&topicsPattern=public/default/a", 500, "Topics must be null when use topicsPattern"),
    ("topics=", 500, "Invalid short topic name ''"),
    ("topics=b/c,a", 500, "Invalid short topic name 'b/c'"),
    ("topics=a,,b", 400, "Invalid query params: topicNames cannot have blank topic"),
    ("topics=a,%20", 400, "Invalid query params: topicNames cannot have blank topic"),
    ("topics=a,%20&subscriptionType=x", 400, "Invalid query params: Invalid subscriptionType x"),
    ("topics=a,b/c", 500, "Failed to create producer/consumer: Invalid topic name: 'b/c'"),
    ("topics=a,persistent://x/y", 500, "Failed to create producer/consumer: Invalid topic name: 'persistent://x/y'"),
    ("topics=a,persistent://public/default/a", 500, "Failed to create producer/consumer: java.util.concurrent."
     "ExecutionException: java.lang.IllegalArgumentException: Subscription topics include duplicate items or invalid names."),
    ("topics=a,public/no-such-namespace/b", 404, "Namespace not found"),
    ("topicsPattern=", 500, "Invalid short topic name ''"),
    ("topicsPattern=public/.*/a", 500, "Invalid named entity: .*"),
    ("topicsPattern=public/default/(", 400, "Invalid query params: Unclosed group near index 16\npublic/default/("),
    ("topicsPattern=persistent://public/default/(", 400, "Unclosed group near index 29\npersistent://public/default/("),
    ("topicsPattern=public/default/%5Ba-z", 400, "Unclosed character class near index 18\npublic/default/[a-z\n                  ^"),
    ("topicsPattern=public/default/a**", 400, "Dangling meta character '*' near index 17"),
    ("topicsPattern=public/default/a%7B,3%7D", 400, "Illegal repetition near index 17"),
    ("topicsPattern=(&subscriptionType=x", 400, "Invalid query params: Invalid subscriptionType x"),
])
def test_what_names_no_topics(service, query, status, text):
    answer = request(service.port, f"/ws/v3/consumer/{uuid.uuid4().hex}?{query}")
    assert answer.status == status, answer
    assert text in answer.text


@pytest.mark.parametrize("query, text", [
    ("topics=a,", "topicNames cannot have blank topic"), ("topicsPattern=public/default/(", "Unclosed group"),
    ("topics=a,b/c", "subscriptionName cannot be blank"),
])
def test_the_topics_are_judged_before_a_blank_subscription(service, query, text):
    answer = request(service.port, f"/ws/v3/consumer/%20?{query}")
    assert answer.status == 400, answer
    assert f"Invalid query params: {text}" in answer.text


def test_a_partition_beside_its_topic_is_refused(service, broker, topic):
    topic = topic.replace("partition", "part")
    broker.admin("PUT", f"persistent/{NAMES}/{topic}/partitions", 2)
    answer = request(service.port, v3(topics=f"{topic},{topic}-partition-0"))
    assert answer.status == 500, answer
    assert "Topic is already being subscribed for in other thread." in answer.text


def test_a_topic_that_is_taken_refuses_all(service, several, pair):
    with service.consumer(pair[1], "s"):
        answer = request(service.port, v3(topics=",".join(pair)))
        assert answer.status == 409, answer
        assert 'Failed to create producer/consumer: {"errorMsg":"Exclusive consumer is already connected"' in answer.text


@pytest.fixture
def found(service) -> str:
    """What a pattern's topics begin with; one is there already. Brokers watch short patterns only."""
    name = f"x.{uuid.uuid4().hex[:6]}-"
    publish(service, f"{name}1", "old")
    return name


def test_a_pattern_finds_what_is_there_and_what_comes(service, broker, several, found):
    consumer = several(topicsPattern=f"{NAMES}/{found}[0-9]+", subscriptionInitialPosition="Earliest")
    assert decode(consumer.json()) == b"old"
    # It must match in full, and each character outside of brackets is itself here but the dot.
    publish(service, f"{found}2b", "no")
    publish(service, f"{found}2", "new")
    # At once, not with the next look a minute later.
    delivery = consumer.json(20)
    assert decode(delivery) == b"new"
    consumer.ack(delivery)
    assert broker.until_backlog(f"{found}2", "s", 0) == 0
    consumer.nothing(0.3)


def test_partitions_are_found_too(service, broker, several):
    name = uuid.uuid4().hex[:6]
    broker.admin("PUT", f"persistent/{NAMES}/{name}-old/partitions", 2)
    consumer = several(topicsPattern=f"persistent://{NAMES}/{name}-(old|new)", subscriptionInitialPosition="Earliest")
    publish(service, f"{name}-old", "1", "2", messageRoutingMode="RoundRobinPartition")
    got = consumer.several(2)
    assert sorted(ids.read(delivery["messageId"])["partition"] for delivery in got) == [0, 1]
    broker.admin("PUT", f"persistent/{NAMES}/{name}-new/partitions", 2)
    publish(service, f"{name}-new", "3", "4", messageRoutingMode="RoundRobinPartition")
    assert texts(consumer.several(2, 20)) == [b"3", b"4"]


@pytest.mark.ours_only("Java looks a minute later")
def test_long_patterns_are_watched_too(service, several, topic):
    consumer = several(topicsPattern=f"{NAMES}/{topic}-.{{1,100}}", subscriptionInitialPosition="Earliest")
    publish(service, f"{topic}-new", "new")
    assert decode(consumer.json(20)) == b"new"


@pytest.mark.parametrize("pattern", [
    "persistent://public/default/{}1", "public/default/(?!no){}.", r"public/default/\Q{}\E\d", "non-persistent://public/default/{}.",
    "public/default/(?i){}1", r"public/default/{}\p{{Digit}}", "public/default/.*{}1",
])
def test_patterns_that_match(several, found, pattern):
    consumer = several(topicsPattern=pattern.format(found), subscriptionInitialPosition="Earliest")
    assert decode(consumer.json()) == b"old"


@pytest.mark.parametrize("pattern", [
    "{}1", "public/default/{}", "persistent://public/default/x{}.*", "public/no-such-namespace/{}1", "no-such-tenant/n/.*",
    r"public/default/{}\D",
])
def test_patterns_that_match_nothing_wait(several, found, pattern):
    consumer = several(topicsPattern=pattern.format(found), subscriptionInitialPosition="Earliest")
    consumer.nothing(0.5)


def test_a_topic_that_vanishes_is_left(service, broker, several, found):
    consumer = several(topicsPattern=f"{NAMES}/{found}.", subscriptionInitialPosition="Earliest")
    consumer.ack(consumer.json())
    broker.admin("DELETE", f"persistent/{NAMES}/{found}1?force=true")
    publish(service, f"{found}2", "other")
    assert decode(consumer.json(20)) == b"other"
    # Whoever makes it again is found again.
    publish(service, f"{found}1", "again")
    assert decode(consumer.json(20)) == b"again"
