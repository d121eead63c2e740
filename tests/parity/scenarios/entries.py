"""Entries of the broker that are not one message of one topic: batches, chunks, partitions, and what is encrypted."""

from __future__ import annotations

from ..catalogue import scenario
from ..stage import Stage
from .consume import CLIENT_SIDE, batch, deliveries, filled


@scenario("consume/batch", "messageId batched", "command ack")
def whole_batch(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic)
    batch(stage, topic, 3)
    for delivery in deliveries(consumer, 3):
        consumer.ack(delivery)
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0))


@scenario("consume/batch-foreign-acks", "ack foreign batched")
def batch_foreign(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic, label="first")
    batch(stage, topic, 3)
    ids = deliveries(consumer, 3)
    consumer.close()
    stage.wait(0.3)
    again = stage.consumer(topic, label="again", receiverQueueSize="1")
    for delivery in ids:
        again.ack(delivery)
    stage.wait(0.5)
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0, seconds=1))


@scenario("consume/batch-siblings", "nack batch siblings")
def batch_siblings(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic, subscriptionType="Shared", negativeAckRedeliveryDelay="200")
    batch(stage, topic, 3)
    first, second, third = deliveries(consumer, 3)
    consumer.ack(first).ack(third).nack(second)
    consumer.read(1)
    consumer.quiet(1)


@scenario("consume/partitioned-foreign-acks", "ack foreign partitioned")
def partitioned_foreign(stage: Stage) -> None:
    topic = stage.partitioned(2)
    consumer = stage.consumer(topic, label="first")
    filled(stage, topic, 1)
    lines, stage.transcript.lines = stage.transcript.lines, []  # Which partition has it is chance.
    delivery = consumer.json()
    consumer.close()
    stage.wait(0.5)
    again = stage.consumer(topic, label="again", pullMode="true")
    again.ack(delivery)
    stage.wait(0.5)
    stage.transcript.lines = lines
    backlogs = [stage.broker.backlog(f"{topic}-partition-{number}", "sub") for number in range(2)]
    stage.note("backlog", sum(backlogs))


@scenario("consume/partitioned", "topic partitioned", "endOfTopic")
def partitioned(stage: Stage) -> None:
    topic = stage.partitioned(2)
    consumer = stage.consumer(topic)
    producer = stage.producer(topic)
    for key in ("a", "b"):
        producer.publish("YQ==", key=key)
        consumer.ack(consumer.json())
    consumer.send({"type": "isEndOfTopic"})
    consumer.read()
    consumer.send({"type": "unsubscribe"})
    consumer.quiet()


@scenario("consume/pull-batch", "pull permits", "messageId batched")
def pull_batch(stage: Stage) -> None:
    """Permits count messages, not entries."""
    topic = stage.topic()
    consumer = stage.consumer(topic, pullMode="true")
    batch(stage, topic, 4)
    for count in (1, 2, 1):
        consumer.send({"type": "permit", "permitMessages": count})
        for delivery in deliveries(consumer, count):
            consumer.ack(delivery)
        consumer.quiet(0.3)
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0))


@scenario("consume/ack-timeout-batch", "consumer ackTimeoutMillis", "messageId batched")
def ack_timeout_batch(stage: Stage) -> None:
    """A batch that nobody acknowledges comes again as a whole."""
    topic = stage.topic()
    consumer = stage.consumer(topic, subscriptionType="Shared", ackTimeoutMillis="1000")
    batch(stage, topic, 2)
    consumer.read(2)
    for delivery in deliveries(consumer, 2):
        consumer.ack(delivery)
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0))


@scenario("consume/chunked", "messageId chunked")
def chunked(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic)
    stage.java("chunks", topic)
    delivery = consumer.json()
    consumer.ack(delivery)
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0))


def encrypted(stage: Stage, action: str) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic, cryptoFailureAction=action)
    producer = stage.producer(topic, encryptionKeys=CLIENT_SIDE)
    producer.publish("YQ==", encryptionParam="AAEC")
    producer.publish("Yg==", encryptionParam="AAEC", compressionType="LZ4", uncompressedMessageSize=7)
    consumer.quiet(1)
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0, seconds=1))


for action in ("CONSUME", "DISCARD", "FAIL"):
    scenario(f"consume/encrypted-{action}", "encryptionContext", f"cryptoFailureAction {action}", "consumer cryptoFailureAction")(
        lambda stage, action=action: encrypted(stage, action))


for name, parameters in {"pull": {"pullMode": "true", "receiverQueueSize": "0"}, "shared": {"subscriptionType": "Shared", "receiverQueueSize": "1"}}.items():
    @scenario(f"consume/chunked-{name}", "messageId chunked", "pull permits", "push limit")
    def chunked_small(stage: Stage, parameters: dict = parameters) -> None:
        """A message of several parts is one message, however few the client asks for."""
        topic = stage.topic()
        consumer = stage.consumer(topic, **parameters)
        stage.java("chunks", topic)
        if "pullMode" in parameters:
            consumer.send({"type": "permit", "permitMessages": 1})
        consumer.ack(consumer.json())
        consumer.quiet()
        stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0))


@scenario("consume/chunked-several", "messageId chunked", "path v3 consumer", "topic partitioned")
def chunked_several(stage: Stage) -> None:
    whole, topic, other = stage.partitioned(1, "whole"), stage.topic(), stage.topic("other")
    for name, consumer, part in (("partitioned", stage.consumer(whole), f"{whole}-partition-0"),
                                 ("list", stage.open_path(f"/ws/v3/consumer/sub?topics={topic},{other}", "list"), topic)):
        stage.java("chunks", whole if name == "partitioned" else topic)
        consumer.ack(consumer.json())
        stage.note(f"{name} backlog", stage.broker.until_backlog(part, "sub", 0))


@scenario("read/chunked", "messageId chunked", "reader start id")
def read_chunked(stage: Stage) -> None:
    """Behind a message of several parts, and from its beginning."""
    topic = stage.topic()
    consumer = stage.consumer(topic)
    stage.java("chunks", topic)
    (delivery,) = deliveries(consumer, 1)
    filled(stage, topic, 1)
    stage.reader(topic, label="behind", messageId=delivery["messageId"]).quiet()
    stage.reader(topic, label="whole", messageId="earliest").read(2)


@scenario("consume/non-persistent-batch", "topic non-persistent", "messageId batched", "command negativeAcknowledge")
def non_persistent_batch(stage: Stage) -> None:
    names = f"non-persistent/public/default/{stage.topic()}"
    consumer = stage.open_path(f"/ws/v2/consumer/{names}/sub", "consumer")
    producer = stage.open_path(f"/ws/v2/producer/{names}?batchingEnabled=true&batchingMaxMessages=3&batchingMaxPublishDelay=2000", "producer")
    producer.send(*[{"payload": "YQ==", "context": str(number)} for number in range(3)])
    producer.read(3)
    first, second, third = deliveries(consumer, 3)
    consumer.ack(first).ack(second).nack(third)
    consumer.quiet()


@scenario("publish/keys-of-partitions", "producer messageRoutingMode", "topic non-persistent", "topic partitioned")
def keys_of_partitions(stage: Stage) -> None:
    """A key decides whatever the mode, and whether or not the topic is stored."""
    topic = stage.partitioned(3)
    stage.broker.admin("PUT", f"non-persistent/public/default/{topic}/partitions", 3)
    for domain in ("persistent", "non-persistent"):
        producer = stage.open_path(f"/ws/v2/producer/{domain}/public/default/{topic}?messageRoutingMode=RoundRobinPartition", domain)
        for key in ("a", "", "ä", "\U0001f600"):
            producer.publish("YQ==", key=key)


@scenario("publish/event-time-ends", "publish eventTime", "delivery times")
def event_time_ends(stage: Stage) -> None:
    topic = stage.topic()
    consumer, producer = stage.consumer(topic), stage.producer(topic)
    for time in ("9999-12-31T23:59:59.999Z", "+292278994-08-17T07:12:55.807Z", "-9999-01-01T00:00:00Z", "0001-01-01T00:00:00Z"):
        producer.publish("YQ==", eventTime=time)
        consumer.ack(consumer.json())
