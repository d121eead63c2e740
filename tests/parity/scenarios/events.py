"""What becomes of sessions when somebody works on their topic."""

from __future__ import annotations

from ..catalogue import scenario
from ..stage import Stage
from .consume import batch, deliveries, filled

# Clients come back soon after a topic was unloaded, but not at once.
BACK = 1.5


def admin(stage: Stage, method: str, topic: str, rest: str, body: object = None) -> None:
    stage.broker.admin(method, f"persistent/public/default/{topic}{rest}", body)


@scenario("events/unload-consumer", "event unload", "redeliveryCount")
def unload_consumer(stage: Stage) -> None:
    """What is unacknowledged comes again, and ids from before still count."""
    topic = stage.topic()
    consumer = stage.consumer(topic)
    filled(stage, topic, 3)
    first, second, third = deliveries(consumer, 3)
    consumer.ack(second)
    stage.wait(0.5)
    admin(stage, "PUT", topic, "/unload")
    consumer.read(2)
    consumer.ack(first).ack(third)
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0))
    stage.producer(topic).publish("Yg==")
    consumer.ack(consumer.json())


@scenario("events/unload-shared", "event unload", "redeliveryCount")
def unload_shared(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic, subscriptionType="Shared", negativeAckRedeliveryDelay="200")
    filled(stage, topic, 1)
    consumer.nack(consumer.json())
    again = consumer.json()
    admin(stage, "PUT", topic, "/unload")
    consumer.read()
    consumer.ack(again)
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0))


@scenario("events/unload-batch", "event unload", "messageId batched")
def unload_batch(stage: Stage) -> None:
    """A batch of which nothing was acknowledged."""
    topic = stage.topic()
    consumer = stage.consumer(topic)
    batch(stage, topic, 3)
    consumer.read(3)
    admin(stage, "PUT", topic, "/unload")
    for delivery in deliveries(consumer, 3):
        consumer.ack(delivery)
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0))


@scenario("events/unload-producer", "event unload", "publish order")
def unload_producer(stage: Stage) -> None:
    topic = stage.topic()
    producer = stage.producer(topic)
    producer.publish("YQ==")
    admin(stage, "PUT", topic, "/unload")
    producer.send(*[{"payload": "YQ==", "context": str(number)} for number in range(5)])
    producer.read(5)


@scenario("events/unload-reader", "event unload", "reader delivery")
def unload_reader(stage: Stage) -> None:
    """A reader goes on behind what it was sent."""
    topic = stage.topic()
    reader = stage.reader(topic)
    filled(stage, topic, 2)
    reader.read(2)
    admin(stage, "PUT", topic, "/unload")
    stage.wait(BACK)
    reader.quiet()
    filled(stage, topic, 1)
    reader.read()


@scenario("events/unload-pull", "event unload", "pull permits")
def unload_pull(stage: Stage) -> None:
    """Permits that were not used are kept."""
    topic = stage.topic()
    consumer = stage.consumer(topic, pullMode="true")
    consumer.send({"type": "permit", "permitMessages": 2})
    admin(stage, "PUT", topic, "/unload")
    stage.wait(BACK)
    filled(stage, topic, 3)
    for delivery in deliveries(consumer, 2):
        consumer.ack(delivery)
    consumer.quiet()


@scenario("events/delete-subscription", "event delete subscription")
def delete_subscription(stage: Stage) -> None:
    """The consumer subscribes again, unasked, from the end on."""
    topic = stage.topic()
    consumer = stage.consumer(topic)
    filled(stage, topic, 1)
    consumer.read()
    admin(stage, "DELETE", topic, "/subscription/sub?force=true")
    stage.wait(BACK)
    filled(stage, topic, 1)
    consumer.ack(consumer.json())
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0))


@scenario("events/delete-topic", "event delete topic")
def delete_topic(stage: Stage) -> None:
    """All go on with a new one."""
    topic = stage.topic()
    consumer, reader, producer = stage.consumer(topic), stage.reader(topic), stage.producer(topic)
    producer.publish("YQ==")
    consumer.read()
    reader.read()
    admin(stage, "DELETE", topic, "?force=true")
    stage.wait(BACK)
    producer.publish("Yg==")
    consumer.ack(consumer.json())
    reader.read()


@scenario("events/reset-cursor", "event reset cursor")
def reset_cursor(stage: Stage) -> None:
    """An administrator turns a subscription back: what was acknowledged comes again."""
    topic = stage.topic()
    consumer = stage.consumer(topic)
    filled(stage, topic, 2)
    for delivery in deliveries(consumer, 2):
        consumer.ack(delivery)
    stage.broker.until_backlog(topic, "sub", 0)
    # Acks of the last second are sent again after an unload, which this looks like.
    stage.wait(2.5)
    # Nothing would be left of what all have acknowledged.
    admin(stage, "PUT", topic, "/subscription/keeper?replicated=false", {"ledgerId": -1, "entryId": -1, "partitionIndex": -1})
    admin(stage, "POST", topic, "/subscription/sub/resetcursor/1")
    for delivery in deliveries(consumer, 2):
        consumer.ack(delivery)
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0))


@scenario("events/skip", "event skip")
def skip(stage: Stage) -> None:
    """An administrator skips what the consumer has not been sent."""
    topic = stage.topic()
    consumer = stage.consumer(topic, pullMode="true", receiverQueueSize="0")
    filled(stage, topic, 3)
    admin(stage, "POST", topic, "/subscription/sub/skip_all")
    filled(stage, topic, 1)
    consumer.send({"type": "permit", "permitMessages": 1})
    consumer.ack(consumer.json())
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0))


@scenario("events/terminate", "event terminate", "reader isEndOfTopic")
def terminate(stage: Stage) -> None:
    """Of a topic that ends, with everybody on it."""
    topic = stage.topic()
    consumer, reader, producer = stage.consumer(topic), stage.reader(topic), stage.producer(topic, batchingEnabled="true")
    producer.publish("YQ==")
    consumer.ack(consumer.json())
    reader.ack(reader.json())
    admin(stage, "POST", topic, "/terminate")
    stage.wait(1)
    for session in (consumer, reader):
        session.send({"type": "isEndOfTopic"})
        session.read()
    producer.publish("Yg==", context="c")
    consumer.quiet()
    admin(stage, "PUT", topic, "/unload")
    stage.wait(BACK)
    producer.publish("Yg==", context="d")
