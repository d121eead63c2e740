"""Messages that fail too often go to the dead letter topic."""

from __future__ import annotations

import time

import pytest
from websockets.exceptions import InvalidStatus

from harness import ids
from harness.client import decode

FULL = "persistent://public/default/"


def dying(service, topic: str, count: int = 1, **parameters: object):
    return service.consumer(topic, **{
        "subscriptionType": "Shared", "negativeAckRedeliveryDelay": 100, "maxRedeliverCount": count, **parameters})


def publish(service, topic: str, *payloads: str, **fields: object) -> list[dict]:
    with service.producer(topic) as producer:
        return [producer.publish(payload, **fields) for payload in payloads]


def letters(service, name: str):
    return service.consumer(name, "letters", subscriptionInitialPosition="Earliest")


def refuse(consumer, times: int, seconds: float = 15) -> list[dict]:
    """Nacks whatever comes, so many times."""
    got = []
    for _ in range(times):
        got.append(consumer.json(seconds))
        consumer.nack(got[-1])
    return got


def origin(message_id: str) -> str:
    found = ids.read(message_id)
    return f"{found['ledger']}:{found['entry']}:{found.get('partition', -1)}"


@pytest.mark.parametrize("kind", ["Shared", "Key_Shared"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_message_is_delivered_once_more_than_it_may_be_redelivered(service, topic, kind, count):
    with dying(service, topic, count, subscriptionType=kind) as consumer, \
            letters(service, f"{topic}-sub-DLQ") as dead:
        [stored] = publish(service, topic, "poison", key="k", properties={"z": "1", "a": "2"},
                           eventTime="2021-01-02T01:04:05.678Z")
        got = refuse(consumer, count + 1)
        assert [delivery["redeliveryCount"] for delivery in got] == list(range(count + 1))
        letter = dead.json()
        assert decode(letter) == b"poison"
        assert letter["key"] == "k"
        assert letter["eventTime"] == got[0]["eventTime"]
        assert letter["properties"] == {
            "a": "2",
            "z": "1",
            "REAL_TOPIC": FULL + topic,
            "REAL_SUBSCRIPTION": "sub",
            "ORIGIN_MESSAGE_ID": origin(stored["messageId"]),
            "ORIGIN_MESSAGE_IDY_TIME": origin(stored["messageId"]),
        }
        consumer.nothing()
        dead.nothing()
    time.sleep(0.3)
    with service.consumer(topic, subscriptionType=kind) as consumer:
        consumer.nothing()


def test_what_a_letter_says_already_stays(service, topic):
    with dying(service, topic) as consumer, letters(service, f"{topic}-sub-DLQ") as dead:
        publish(service, topic, "x", properties={"REAL_TOPIC": "t", "ORIGIN_MESSAGE_ID": "i"})
        refuse(consumer, 2)
        properties = dead.json()["properties"]
        assert (properties["REAL_TOPIC"], properties["ORIGIN_MESSAGE_ID"]) == ("t", "i")
        assert properties["REAL_SUBSCRIPTION"] == "sub"


@pytest.mark.parametrize("long", [False, True])
def test_the_dead_letter_topic_may_be_named(service, topic, long):
    name = f"{topic}-dead"
    with dying(service, topic, deadLetterTopic=FULL + name if long else name) as consumer, \
            letters(service, name) as dead:
        publish(service, topic, "x")
        refuse(consumer, 2)
        assert decode(dead.json()) == b"x"


def test_the_dead_letter_topic_may_have_partitions(service, topic, broker):
    name = f"{topic}-dead"
    broker.admin("PUT", f"persistent/public/default/{name}/partitions", 3)
    payloads = {f"poison {number}".encode() for number in range(6)}
    with dying(service, topic, deadLetterTopic=name) as consumer, letters(service, name) as dead:
        publish(service, topic, *(payload.decode() for payload in payloads))
        refuse(consumer, 12)
        found = dead.several(6)
        assert {decode(letter) for letter in found} == payloads
        assert all(letter["properties"]["REAL_TOPIC"] == FULL + topic for letter in found)
        assert len({ids.read(letter["messageId"])["partition"] for letter in found}) == 3
        consumer.nothing()
    assert broker.until_backlog(topic, "sub", 0) == 0


def test_patience_makes_dead_letters_too(service, topic):
    with dying(service, topic, ackTimeoutMillis=1000) as consumer, letters(service, f"{topic}-sub-DLQ") as dead:
        publish(service, topic, "x")
        assert [delivery["redeliveryCount"] for delivery in consumer.several(2)] == [0, 1]
        assert decode(dead.json()) == b"x"
        consumer.nothing()


def test_others_pass(service, topic):
    with dying(service, topic) as consumer, letters(service, f"{topic}-sub-DLQ") as dead:
        publish(service, topic, "bad", "good")
        for _ in range(3):
            got = consumer.json()
            (consumer.nack if decode(got) == b"bad" else consumer.ack)(got)
        assert decode(dead.json()) == b"bad"
        dead.nothing()


def test_what_came_too_often_is_not_delivered(service, topic):
    patient = service.consumer(topic, subscriptionType="Shared", negativeAckRedeliveryDelay=100)
    publish(service, topic, "x")
    assert refuse(patient, 4)[-1]["redeliveryCount"] == 3
    patient.json()
    with dying(service, topic, 2) as consumer, letters(service, f"{topic}-sub-DLQ") as dead:
        patient.close()
        assert decode(dead.json()) == b"x"
        consumer.nothing()
    with service.consumer(topic, subscriptionType="Shared") as consumer:
        consumer.nothing()


def test_an_exclusive_consumer_has_no_dead_letters(service, topic):
    with dying(service, topic, subscriptionType="Exclusive") as consumer:
        publish(service, topic, "x")
        refuse(consumer, 4)
        assert decode(consumer.json()) == b"x"


def test_members_of_a_batch_die_together(service, topic, cpp):
    producer = cpp.create_producer(FULL + topic, batching_enabled=True, batching_max_publish_delay_ms=200)
    with dying(service, topic) as consumer, letters(service, f"{topic}-sub-DLQ") as dead:
        for number in range(3):
            producer.send_async(str(number).encode(), lambda *_: None, partition_key=f"k{number}")
        producer.flush()
        producer.close()
        for _ in range(2):
            got = consumer.several(3)
            consumer.nack(got[0])
        found = dead.several(3)
        assert {(decode(letter), letter["key"]) for letter in found} == {
            (str(number).encode(), f"k{number}") for number in range(3)}
        for letter in found:
            assert letter["properties"]["ORIGIN_MESSAGE_ID"] == \
                f"{origin(got[0]['messageId'])}:{decode(letter).decode()}"
        consumer.nothing()


def test_a_pulling_client_needs_no_permit_for_dead_letters(service, topic):
    with dying(service, topic, pullMode="true", receiverQueueSize=1) as consumer, \
            letters(service, f"{topic}-sub-DLQ") as dead:
        publish(service, topic, "x", "y")
        consumer.send({"type": "permit", "permitMessages": 3})
        seen = []
        while seen.count(b"x") < 2:
            seen.append(decode(got := consumer.json()))
            if seen[-1] == b"x":
                consumer.nack(got)
        assert decode(dead.json()) == b"x"
        consumer.nothing()


def test_while_letters_cannot_be_stored_nothing_is_lost(service, topic, broker):
    name = f"{topic}-dead"
    letters(service, name).close()
    broker.admin("POST", f"persistent/public/default/{name}/terminate")
    with dying(service, topic, deadLetterTopic=name) as consumer:
        publish(service, topic, "x")
        refuse(consumer, 2)
        consumer.nothing(1.5)
    with service.consumer(topic, subscriptionType="Shared") as consumer:
        assert decode(consumer.json()) == b"x"


def test_the_producer_tells_whose_letters_they_are(service, topic, broker):
    with dying(service, topic, consumerName="me") as consumer, letters(service, f"{topic}-sub-DLQ") as dead:
        publish(service, topic, "x")
        refuse(consumer, 2)
        dead.json()
        stats = broker.admin("GET", f"persistent/public/default/{topic}-sub-DLQ/stats")
        names = [publisher["producerName"] for publisher in stats["publishers"]]
        assert len(names) == 1
        head, suffix, tail = names[0].rsplit("-", 2)
        assert (head, len(suffix), tail) == (f"{FULL}{topic}-sub-me", 5, "DLQ")


@pytest.mark.ours_only("Java says it when the first letter is to be published, and only in its log")
def test_a_topic_that_is_none(service, topic):
    with pytest.raises(InvalidStatus) as refused:
        dying(service, topic, deadLetterTopic="a/b")
    assert refused.value.response.status_code == 400
