"""What a consumer is sent, what it may say, and what follows."""

from __future__ import annotations

import json

from ..catalogue import scenario
from ..stage import Socket, Stage

NO_ID = "AAAA"
STRANGER = "CAUQBTAA"
CLIENT_SIDE = "eyJhIjp7ImtleVZhbHVlIjoiQUFFQyIsIm1ldGFkYXRhIjp7Im0iOiIxIn19fQ=="


def filled(stage: Stage, topic: str, count: int, **options: str) -> None:
    """Publishes that many messages, unseen."""
    lines = stage.transcript.lines
    stage.transcript.lines = []
    producer = stage.producer(topic, label="filler", **options)
    producer.send(*[{"payload": "YQ==", "context": str(number)} for number in range(count)])
    producer.read(count)
    producer.leave()
    stage.transcript.lines = lines


def deliveries(consumer: Socket, count: int) -> list[dict]:
    return [json.loads(text) for text in consumer.read(count)]


def batch(stage: Stage, topic: str, count: int) -> None:
    filled(stage, topic, count, batchingEnabled="true", batchingMaxMessages=str(count), batchingMaxPublishDelay="60000")


@scenario("consume/keys", "delivery keys", "delivery payload", "delivery escaping")
def keys(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic)
    producer = stage.producer(topic)
    producer.publish("", key="k", eventTime="2021-01-02T03:04:05.678Z",
                     properties={"a": '"\\/\b\f\n\r\t\x1f\x7f ä€\u2028😀<>&\''})
    consumer.ack(consumer.json())


@scenario("consume/acked-is-gone", "command ack", "example acknowledge")
def acked_is_gone(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic)
    filled(stage, topic, 3)
    first, second, third = deliveries(consumer, 3)
    consumer.ack(first).ack(third)
    stage.wait(0.3)
    consumer.close()
    stage.wait(0.3)
    again = stage.consumer(topic, label="again")
    again.read()
    again.quiet()


for name, message in {
    "no-type": {"messageId": STRANGER}, "null-type": {"type": None, "messageId": STRANGER}, "type-ack": {"type": "ack", "messageId": STRANGER},
    "misspelt": {"type": "Acknowledge", "messageId": STRANGER}, "unknown-field": {"messageId": STRANGER, "what": ["ever"]},
    "trailing": json.dumps({"messageId": STRANGER}) + "garbage", "old-id": {"messageId": "CAUQBQ=="},
    "permit-in-push": {"type": "permit", "permitMessages": 5}, "permit-decimal": {"type": "permit", "permitMessages": "5"},
    "not-json": "garbage", "empty": "", "list": "[]", "wrong-type": {"type": {}, "messageId": STRANGER}, "empty-id": {"messageId": ""},
    "no-id": {"messageId": NO_ID}, "permit-without-number": {"type": "permit"}, "permit-overflow": {"type": "permit", "permitMessages": 2147483648},
    "missing-id": {}, "null-id": {"messageId": None}, "json-null": "null", "bad-base64": {"messageId": "!!!"},
    "nack-no-id": {"type": "negativeAcknowledge"}, "nack-stranger": {"type": "negativeAcknowledge", "messageId": STRANGER},
    "number-for-id": '{"messageId":5}', "end-of-topic": {"type": "isEndOfTopic"}, "case-of-type": {"type": "PERMIT", "messageId": STRANGER},
}.items():
    def command(stage: Stage, message: object = message) -> None:
        consumer = stage.consumer(stage.topic())
        consumer.send(message)
        consumer.quiet()
        consumer.send({"type": "isEndOfTopic"})
        consumer.quiet()

    rows = ["command unknown type", "command lenient", "command dropped", "command 1011", "command isEndOfTopic", "command permit",
            "command negativeAcknowledge"]
    scenario(f"consume/command-{name}", *rows)(command)


@scenario("consume/nack", "command negativeAcknowledge", "redeliveryCount", "example negative acknowledge")
def nack(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic, subscriptionType="Shared", negativeAckRedeliveryDelay="200")
    filled(stage, topic, 2)
    first, second = deliveries(consumer, 2)
    consumer.ack(second).nack(first)
    consumer.ack(consumer.json())
    consumer.quiet(1)


@scenario("consume/ack-timeout", "consumer ackTimeoutMillis", "redeliveryCount")
def ack_timeout(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic, subscriptionType="Shared", ackTimeoutMillis="1000")
    filled(stage, topic, 1)
    consumer.read(2, seconds=6)


@scenario("consume/limit", "push limit", "consumer receiverQueueSize")
def limit(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic, receiverQueueSize="2")
    filled(stage, topic, 4)
    first, second = deliveries(consumer, 2)
    consumer.quiet()
    consumer.ack(first)
    consumer.read(1)
    consumer.quiet()


@scenario("consume/stray-acks", "push stray acks")
def stray_acks(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic, receiverQueueSize="2")
    filled(stage, topic, 6)
    deliveries(consumer, 2)
    consumer.send(*[{"messageId": STRANGER}] * 2)
    consumer.quiet(1)


@scenario("consume/pull", "pull permits", "command permit", "consumer pullMode", "example flow control")
def pull(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic, pullMode="true")
    filled(stage, topic, 5)
    consumer.quiet()
    consumer.send({"type": "permit", "permitMessages": 2})
    first, second = deliveries(consumer, 2)
    consumer.ack(first).ack(second)
    consumer.quiet()
    consumer.send({"type": "permit", "permitMessages": 1}, {"type": "permit", "permitMessages": 1})
    deliveries(consumer, 2)
    consumer.quiet()


@scenario("consume/pull-one-by-one", "pull permits", "consumer receiverQueueSize")
def pull_one_by_one(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic, pullMode="true", receiverQueueSize="0")
    filled(stage, topic, 3)
    consumer.send({"type": "permit", "permitMessages": 2})
    deliveries(consumer, 2)
    consumer.quiet()


@scenario("consume/pull-odd", "pull odd permits")
def pull_odd(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic, pullMode="true")
    filled(stage, topic, 3)
    consumer.send({"type": "permit", "permitMessages": 0})
    consumer.quiet()


@scenario("consume/unsubscribe", "command unsubscribe", "command dropped")
def unsubscribe(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic)
    consumer.send({"type": "unsubscribe"})
    consumer.quiet()
    filled(stage, topic, 1)
    consumer.quiet()
    subscriptions = stage.broker.admin("GET", f"persistent/public/default/{topic}/subscriptions")
    stage.note("subscriptions", subscriptions)
    consumer.send({"type": "unsubscribe"})
    consumer.quiet(2)


@scenario("consume/unsubscribe-shared", "command unsubscribe")
def unsubscribe_shared(stage: Stage) -> None:
    """Not while another consumer is connected."""
    topic = stage.topic()
    stage.consumer(topic, label="other", subscriptionType="Shared")
    consumer = stage.consumer(topic, subscriptionType="Shared")
    consumer.send({"type": "unsubscribe"})
    consumer.quiet(2)


@scenario("consume/end-of-topic", "endOfTopic", "command isEndOfTopic", "example end of topic")
def end_of_topic(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic)
    filled(stage, topic, 1)
    stage.broker.admin("POST", f"persistent/public/default/{topic}/terminate")
    delivery = consumer.json()
    consumer.send({"type": "isEndOfTopic"})
    consumer.read()
    consumer.ack(delivery)
    stage.wait(1)
    consumer.send({"type": "isEndOfTopic"})
    consumer.read()


@scenario("consume/foreign-ack", "ack foreign unbatched")
def foreign_ack(stage: Stage) -> None:
    topic = stage.topic()
    one, other = (stage.consumer(topic, label=label, subscriptionType="Shared", receiverQueueSize="1") for label in ("one", "other"))
    filled(stage, topic, 1)
    lines, stage.transcript.lines = stage.transcript.lines, []
    delivery = one.json(1) or other.json(1)
    stage.transcript.lines = lines
    (other if other.is_open else one).ack(delivery)
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0))


@scenario("consume/null-value", "delivery null value")
def null_value(stage: Stage) -> None:
    """Published by the Java client, since no WebSocket client can."""
    topic = stage.topic()
    consumer = stage.consumer(topic)
    stage.java("tombstone", topic)
    consumer.read(1, seconds=5)


@scenario("consume/bytes-key", "delivery key")
def bytes_key(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic)
    stage.java("bytes-key", topic)
    consumer.read(1)


@scenario("consume/key-shared", "consumer subscriptionType", "delivery key")
def key_shared(stage: Stage) -> None:
    """A key's messages come in order to one consumer, also those without a key."""
    topic = stage.topic()
    consumer = stage.consumer(topic, subscriptionType="Key_Shared")
    producer = stage.producer(topic)
    for number in range(3):
        producer.publish("YQ==", key="k", properties={"n": str(number)})
        producer.publish("Yg==", properties={"n": str(number)})
    for _ in range(6):
        consumer.ack(consumer.json())


@scenario("consume/expired", "event expired")
def expired(stage: Stage) -> None:
    """What an administrator lets expire is not delivered."""
    topic = stage.topic()
    stage.consumer(topic, label="before").close()
    filled(stage, topic, 2)
    stage.wait(1.5)
    stage.broker.admin("POST", f"persistent/public/default/{topic}/subscription/sub/expireMessages/1")
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0))
    filled(stage, topic, 1)
    consumer = stage.consumer(topic)
    consumer.ack(consumer.json())
