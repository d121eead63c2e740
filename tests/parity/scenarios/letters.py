"""Messages that are rejected too often: where they go, and what becomes of them there."""

from __future__ import annotations

import json

from ..catalogue import scenario
from ..stage import Stage
from .consume import filled

V2_CONSUMER = "/ws/v2/consumer/persistent/public/default"


def dying(stage: Stage, path: str, topic: str, letters: str, **options: str) -> None:
    """One message that is rejected until it is a dead letter."""
    told = stage.open_path(letters, "letters")
    consumer = stage.open_path(f"{path}subscriptionType=Shared&maxRedeliverCount=1&negativeAckRedeliveryDelay=100", "consumer")
    filled(stage, topic, 1, **options)
    consumer.nack(consumer.json())
    consumer.nack(consumer.json())
    told.read(1, seconds=5)


@scenario("consume/dead-letters", "dead letters", "consumer maxRedeliverCount", "consumer deadLetterTopic")
def dead_letters(stage: Stage) -> None:
    topic, dead = stage.topic(), stage.topic("dead")
    letters = stage.consumer(dead, label="letters")
    consumer = stage.consumer(topic, subscriptionType="Shared", maxRedeliverCount="1", negativeAckRedeliveryDelay="100",
                              deadLetterTopic=dead)
    stage.producer(topic).publish("YQ==", key="k", properties={"a": "1"}, eventTime="2021-01-02T03:04:05.678Z")
    consumer.nack(consumer.json())
    consumer.nack(consumer.json())
    text = (letters.read(1) or ["{}"])[0]
    stage.note("properties", sorted(json.loads(text).get("properties", {})))
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0))


@scenario("consume/dead-letters-default", "dead letters", "consumer deadLetterTopic")
def dead_letters_default(stage: Stage) -> None:
    topic = stage.topic()
    letters = stage.consumer(f"{topic}-sub-DLQ", label="letters")
    consumer = stage.consumer(topic, subscriptionType="Shared", maxRedeliverCount="1", negativeAckRedeliveryDelay="100")
    filled(stage, topic, 1)
    consumer.nack(consumer.json())
    consumer.nack(consumer.json())
    letters.read(1)


@scenario("consume/dead-letters-several", "dead letters", "consumer deadLetterTopic", "v3 first topic")
def dead_letters_several(stage: Stage) -> None:
    """Letters of all topics go where the first one's go."""
    first, second = stage.topic("first"), stage.topic("second")
    dying(stage, f"/ws/v3/consumer/sub?topics={first},{second}&", second, f"{V2_CONSUMER}/{first}-sub-DLQ/l")


@scenario("consume/dead-letters-partitioned", "dead letters", "consumer deadLetterTopic", "topic partitioned")
def dead_letters_partitioned(stage: Stage) -> None:
    topic = stage.partitioned(1)
    dying(stage, f"{V2_CONSUMER}/{topic}/sub?", topic, f"{V2_CONSUMER}/{topic}-sub-DLQ/l")


@scenario("consume/dead-letters-v1", "dead letters", "consumer deadLetterTopic", "path v1 consumer")
def dead_letters_v1(stage: Stage) -> None:
    topic = stage.topic()
    letters = "/ws/consumer/persistent/public/standalone/default"
    told = stage.open_path(f"{letters}/{topic}-sub-DLQ/l", "letters")
    consumer = stage.open_path(
        f"{letters}/{topic}/sub?subscriptionType=Key_Shared&maxRedeliverCount=1&negativeAckRedeliveryDelay=100", "consumer")
    producer = stage.open_path(f"/ws/producer/persistent/public/standalone/default/{topic}", "producer")
    producer.publish("YQ==", key="k")
    consumer.nack(consumer.json())
    consumer.nack(consumer.json())
    told.read(1, seconds=5)


@scenario("consume/dead-letters-one-partition", "dead letters", "topic one partition")
def dead_letters_one_partition(stage: Stage) -> None:
    topic = stage.partitioned(2)
    dying(stage, f"{V2_CONSUMER}/{topic}-partition-1/sub?", f"{topic}-partition-1", f"{V2_CONSUMER}/{topic}-partition-1-sub-DLQ/l")


@scenario("consume/dead-letters-pattern", "dead letters", "v3 topicsPattern")
def dead_letters_pattern(stage: Stage) -> None:
    """The pattern's own text is in the name."""
    topic = stage.topic()
    stage.producer(topic, label="maker").close()
    dying(stage, f"/ws/v3/consumer/sub?topicsPattern=public/default/{topic}.*&", topic, f"{V2_CONSUMER}/{topic}.*-sub-DLQ/l")


@scenario("consume/dead-letters-names", "dead letters", "consumer deadLetterTopic")
def dead_letters_names(stage: Stage) -> None:
    """Short, middle and long names of one topic."""
    for form in ("", "public%2Fdefault%2F", "persistent%3A%2F%2Fpublic%2Fdefault%2F"):
        topic = stage.topic()
        dying(stage, f"{V2_CONSUMER}/{topic}/sub?deadLetterTopic={form}{topic}-x&", topic, f"{V2_CONSUMER}/{topic}-x/l")


@scenario("consume/dead-letters-slash", "dead letters", "subscription decoded")
def dead_letters_slash(stage: Stage) -> None:
    """A subscription's slash makes a name of which there is no namespace: the message stays."""
    topic = stage.topic()
    consumer = stage.open_path(f"{V2_CONSUMER}/{topic}/a%2Fb?subscriptionType=Shared&maxRedeliverCount=1&negativeAckRedeliveryDelay=100", "consumer")
    filled(stage, topic, 1)
    consumer.nack(consumer.json())
    consumer.nack(consumer.json())
    consumer.quiet(1)


@scenario("consume/dead-letters-properties", "dead letters")
def dead_letters_properties(stage: Stage) -> None:
    """What a message says of itself stays."""
    topic = stage.topic()
    letters = stage.open_path(f"{V2_CONSUMER}/{topic}-sub-DLQ/l", "letters")
    consumer = stage.consumer(topic, subscriptionType="Shared", maxRedeliverCount="1", negativeAckRedeliveryDelay="100")
    stage.producer(topic).publish("", key="", eventTime="2020-01-01T00:00:00Z", properties={"REAL_TOPIC": "x", "ORIGIN_MESSAGE_ID": "y"})
    consumer.nack(consumer.json())
    consumer.nack(consumer.json())
    letters.read()


@scenario("consume/dead-letters-exclusive", "dead letters", "consumer maxRedeliverCount")
def dead_letters_exclusive(stage: Stage) -> None:
    """Only where consumers share is counted."""
    topic = stage.topic()
    letters = stage.open_path(f"{V2_CONSUMER}/{topic}-sub-DLQ/l", "letters")
    consumer = stage.consumer(topic, maxRedeliverCount="1", negativeAckRedeliveryDelay="100")
    filled(stage, topic, 1)
    for _ in range(4):
        consumer.nack(consumer.json())
    letters.quiet()


@scenario("consume/dead-letters-pull", "dead letters", "pull permits")
def dead_letters_pull(stage: Stage) -> None:
    topic = stage.topic()
    letters = stage.open_path(f"{V2_CONSUMER}/{topic}-sub-DLQ/l", "letters")
    consumer = stage.consumer(topic, subscriptionType="Shared", maxRedeliverCount="1", pullMode="true", ackTimeoutMillis="1000")
    filled(stage, topic, 1)
    consumer.send({"type": "permit", "permitMessages": 5})
    consumer.read(2, seconds=6)
    letters.read(1, seconds=8)
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0))
