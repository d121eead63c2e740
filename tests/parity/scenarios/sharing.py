"""Consumers that share a subscription, and what becomes of what they reject."""

from __future__ import annotations

import json

from ..catalogue import scenario
from ..stage import Socket, Stage
from .consume import deliveries, filled


def got(stage: Stage, consumer: Socket, count: int, seconds: float = 2) -> list[dict]:
    """What comes in that time, unseen."""
    lines, stage.transcript.lines = stage.transcript.lines, []
    found = [json.loads(text) for text in consumer.read(count, seconds=seconds)]
    stage.transcript.lines = lines
    return found


@scenario("consume/priorities", "consumer priorityLevel", "consumer subscriptionType")
def priorities(stage: Stage) -> None:
    topic = stage.topic()
    late = stage.consumer(topic, label="late", subscriptionType="Shared", priorityLevel="1", receiverQueueSize="10")
    first = stage.consumer(topic, label="first", subscriptionType="Shared", priorityLevel="0", receiverQueueSize="10")
    filled(stage, topic, 5)
    stage.note("first", len(got(stage, first, 5, seconds=5)))
    late.quiet()


@scenario("consume/key-shared-two", "consumer subscriptionType", "delivery key")
def key_shared_two(stage: Stage) -> None:
    """Which keys are whose follows from the consumers' names."""
    topic = stage.topic()
    consumers = {name: stage.consumer(topic, label=name, subscriptionType="Key_Shared", consumerName=name) for name in ("a", "b")}
    producer = stage.producer(topic)
    lines, stage.transcript.lines = stage.transcript.lines, []
    for number in range(10):
        producer.publish("YQ==", key=f"k{number}")
    stage.transcript.lines = lines
    for name, consumer in consumers.items():
        stage.note(f"keys of {name}", sorted(delivery["key"] for delivery in got(stage, consumer, 10)))


@scenario("consume/failover-partitioned", "consumer failover", "topic partitioned")
def failover_partitioned(stage: Stage) -> None:
    """Each partition has its own active consumer."""
    topic = stage.partitioned(2)
    consumers = {name: stage.consumer(topic, label=name, subscriptionType="Failover", consumerName=name) for name in ("a", "b")}
    stage.wait(1)
    for number in range(2):
        filled(stage, f"{topic}-partition-{number}", 1)
    for name, consumer in consumers.items():
        stage.note(f"messages of {name}", len(got(stage, consumer, 2)))


@scenario("consume/nack-exclusive", "command negativeAcknowledge", "consumer subscriptionType")
def nack_exclusive(stage: Stage) -> None:
    """With one rejected message everything comes again that is not acknowledged."""
    topic = stage.topic()
    consumer = stage.consumer(topic, negativeAckRedeliveryDelay="200")
    filled(stage, topic, 3)
    consumer.nack(deliveries(consumer, 3)[1])
    for delivery in deliveries(consumer, 3):
        consumer.ack(delivery)
    consumer.quiet()


@scenario("consume/nack-then-ack", "command negativeAcknowledge", "command ack")
def nack_then_ack(stage: Stage) -> None:
    """Who thinks better of it in time does not get it again."""
    topic = stage.topic()
    consumer = stage.consumer(topic, subscriptionType="Shared", negativeAckRedeliveryDelay="1000")
    filled(stage, topic, 1)
    delivery = consumer.json()
    consumer.nack(delivery)
    stage.wait(0.2)
    consumer.ack(delivery)
    consumer.quiet(2)
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0, seconds=1))


@scenario("consume/nack-elsewhere", "command negativeAcknowledge", "ack foreign unbatched")
def nack_elsewhere(stage: Stage) -> None:
    """A message that another consumer holds can't be rejected for it."""
    topic = stage.topic()
    holder = stage.consumer(topic, label="holder", subscriptionType="Shared", receiverQueueSize="1")
    filled(stage, topic, 1)
    delivery = holder.json()
    other = stage.consumer(topic, label="other", subscriptionType="Shared", negativeAckRedeliveryDelay="100")
    other.nack(delivery)
    holder.quiet(1)
    other.quiet(0.3)


@scenario("consume/unsubscribe-unacked", "command unsubscribe", "command negativeAcknowledge")
def unsubscribe_unacked(stage: Stage) -> None:
    """What was outstanding at an unsubscribe is nobody's; words on it do no harm."""
    topic = stage.topic()
    consumer = stage.consumer(topic, subscriptionType="Shared", negativeAckRedeliveryDelay="300")
    filled(stage, topic, 2)
    first, second = deliveries(consumer, 2)
    consumer.nack(first).send({"type": "unsubscribe"})
    consumer.quiet(1)
    consumer.ack(second).send({"type": "isEndOfTopic"})
    consumer.quiet()
    consumer.close()


@scenario("consume/position-of-old", "consumer subscriptionInitialPosition")
def position_of_old(stage: Stage) -> None:
    """A subscription that is there stays where it is."""
    topic = stage.topic()
    filled(stage, topic, 2)
    stage.consumer(topic, label="first").close()
    stage.wait(0.3)
    stage.consumer(topic, label="again", subscriptionInitialPosition="Earliest").quiet()


@scenario("read/gone", "reader delivery")
def gone(stage: Stage) -> None:
    """Nothing is left of a reader."""
    topic = stage.topic()
    stage.reader(topic).close()
    stage.wait(0.5)
    stage.note("subscriptions", stage.broker.admin("GET", f"persistent/public/default/{topic}/subscriptions"))


@scenario("events/unload-namespace", "event unload", "publish order")
def unload_namespace(stage: Stage) -> None:
    """As `events/unload-…`, for all that lies in one bundle."""
    name = stage.topic("namespace")
    stage.broker.admin("PUT", f"namespaces/public/{name}", {})
    consumer = stage.open_path(f"/ws/v2/consumer/persistent/public/{name}/t/s", "consumer")
    producer = stage.open_path(f"/ws/v2/producer/persistent/public/{name}/t", "producer")
    producer.publish("YQ==")
    consumer.ack(consumer.json())
    stage.wait(0.5)
    stage.broker.admin("PUT", f"namespaces/public/{name}/unload")
    stage.wait(1.5)
    producer.publish("Yg==")
    consumer.ack(consumer.json())


@scenario("publish/batch-numbers", "producer batchingMaxMessages", "messageId batched")
def batch_numbers(stage: Stage) -> None:
    """Limits of a batch below one, and at its smallest."""
    for limit in ("0", "-1", "1", "2"):
        topic = stage.topic(f"topic{limit}")
        consumer = stage.consumer(topic, label=f"{limit} consumer")
        producer = stage.producer(topic, label=f"{limit} producer", batchingEnabled="true", batchingMaxMessages=limit, batchingMaxPublishDelay="400")
        producer.send(*[{"payload": "YQ==", "context": str(number)} for number in range(3)])
        producer.read(3)
        consumer.read(3)


@scenario("publish/queue-full-partitioned", "producer maxPendingMessages", "topic partitioned")
def queue_full_partitioned(stage: Stage) -> None:
    topic = stage.partitioned(2)
    producer = stage.producer(topic, batchingEnabled="true", maxPendingMessages="2", batchingMaxPublishDelay="600", producerName="full")
    producer.send(*[{"payload": "YQ==", "key": "a", "context": str(number)} for number in range(4)])
    lines, stage.transcript.lines = stage.transcript.lines, []
    replies = sorted((json.loads(text) for text in producer.read(4)), key=lambda reply: reply["context"])
    stage.transcript.lines = lines
    for reply in replies:
        stage.note(f"reply {reply['context']}", (reply["result"], reply.get("errorMsg")))
    producer.publish("YQ==", key="b", context="later")


@scenario("publish/sequence-ends", "producer initialSequenceId")
def sequence_ends(stage: Stage) -> None:
    topic = stage.topic()
    for first in ("9223372036854775806", "-1", "-2", "-3"):
        producer = stage.producer(topic, label=first, initialSequenceId=first)
        producer.publish("YQ==")
        producer.publish("Yg==")


@scenario("publish/empty-compressed", "producer compressionType", "publish payload")
def empty_compressed(stage: Stage) -> None:
    """Nothing, compressed, alone and in a batch."""
    topic = stage.topic()
    consumer = stage.consumer(topic)
    for kind in ("LZ4", "ZLIB", "ZSTD", "SNAPPY"):
        stage.producer(topic, label=kind, compressionType=kind).publish("")
        consumer.ack(consumer.json())
        producer = stage.producer(topic, label=f"{kind} batch", compressionType=kind, batchingEnabled="true", batchingMaxPublishDelay="500", batchingMaxMessages="2")
        producer.send({"payload": "", "context": "1"}, {"payload": "", "context": "2"})
        producer.read(2)
        for delivery in deliveries(consumer, 2):
            consumer.ack(delivery)
