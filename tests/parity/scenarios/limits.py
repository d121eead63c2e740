"""What namespaces and topics are set to forbid, and how clients are told."""

from __future__ import annotations

import json
import uuid

from ..catalogue import scenario
from ..stage import Socket, Stage
from .consume import CLIENT_SIDE

A = '{"payload":"YQ==","context":"c"}'


class Namespace:
    """A namespace of its own, with these policies."""

    def __init__(self, stage: Stage, **policies: object) -> None:
        self.stage, name = stage, f"ns-{uuid.uuid4().hex[:12]}"
        self.name = f"public/{name}"
        stage.transcript.name(name, "<namespace>")
        stage.broker.admin("PUT", f"namespaces/{self.name}", {})
        for policy, value in policies.items():
            stage.broker.admin("POST", f"namespaces/{self.name}/{policy}", value)

    def open(self, kind: str, rest: str, label: str) -> Socket:
        return self.stage.open_path(f"/ws/v2/{kind}/persistent/{self.name}/{rest}", label)


def three(namespace: Namespace) -> None:
    """A producer, a consumer and a reader of a topic that is not there."""
    for kind, rest in (("producer", "t"), ("consumer", "t/s"), ("reader", "t")):
        namespace.open(kind, rest, kind)


@scenario("limits/no-new-topics", "limit topics", "create 404")
def no_new_topics(stage: Stage) -> None:
    three(Namespace(stage, autoTopicCreation={"allowAutoTopicCreation": False}))


@scenario("limits/new-topics-have-partitions", "limit topics", "topic partitioned")
def new_topics_have_partitions(stage: Stage) -> None:
    namespace = Namespace(stage, autoTopicCreation={"allowAutoTopicCreation": True, "topicType": "partitioned", "defaultNumPartitions": 1})
    consumer = namespace.open("consumer", "t/s", "consumer")
    producer = namespace.open("producer", "t", "producer")
    producer.publish("YQ==")
    consumer.ack(consumer.json())


@scenario("limits/no-new-subscriptions", "limit subscriptions", "create 404")
def no_new_subscriptions(stage: Stage) -> None:
    three(Namespace(stage, autoSubscriptionCreation={"allowAutoSubscriptionCreation": False}))


@scenario("limits/subscriptions", "limit subscriptions")
def subscriptions(stage: Stage) -> None:
    namespace = Namespace(stage, maxSubscriptionsPerTopic=1)
    for name in ("first", "second"):
        namespace.open("consumer", f"t/{name}", name)
    namespace.open("reader", "t", "reader")


@scenario("limits/producers", "limit producers", "create 409")
def producers(stage: Stage) -> None:
    namespace = Namespace(stage, maxProducersPerTopic=1)
    first = namespace.open("producer", "t", "first")
    namespace.open("producer", "t", "second")
    first.publish("YQ==")


@scenario("limits/consumers", "limit consumers", "create 409")
def consumers(stage: Stage) -> None:
    namespace = Namespace(stage, maxConsumersPerTopic=2, maxConsumersPerSubscription=1)
    namespace.open("consumer", "t/a?subscriptionType=Shared", "first")
    namespace.open("consumer", "t/a?subscriptionType=Shared", "second of a subscription")
    namespace.open("consumer", "t/b", "second of the topic")
    namespace.open("consumer", "t/c", "third of the topic")
    namespace.open("reader", "t", "reader")


@scenario("limits/subscription-types", "limit subscription types", "consumer subscriptionType")
def subscription_types(stage: Stage) -> None:
    namespace = Namespace(stage, subscriptionTypesEnabled=["Exclusive"])
    for kind in ("Exclusive", "Shared", "Failover", "Key_Shared"):
        namespace.open("consumer", f"t-{kind}/s?subscriptionType={kind}", kind)


@scenario("limits/schema", "limit schema", "create 409")
def schema(stage: Stage) -> None:
    """A topic with a schema takes bytes only where that is not enforced."""
    for name, enforced in (("loose", False), ("strict", True)):
        namespace = Namespace(stage, schemaValidationEnforced=enforced)
        stage.broker.admin("PUT", f"persistent/{namespace.name}/t", None)
        stage.broker.admin("POST", f"schemas/{namespace.name}/t/schema", {
            "type": "AVRO", "properties": {}, "schema": '{"type":"record","name":"R","fields":[{"name":"a","type":"string"}]}'})
        producer = namespace.open("producer", "t", f"{name} producer")
        consumer = namespace.open("consumer", "t/s", f"{name} consumer")
        producer.publish("YQ==")
        consumer.read(1, seconds=1)


@scenario("limits/unacked", "limit unacked")
def unacked(stage: Stage) -> None:
    """The broker holds back what a consumer has not acknowledged enough for."""
    namespace = Namespace(stage, maxUnackedMessagesPerConsumer=2)
    consumer = namespace.open("consumer", "t/s?subscriptionType=Shared&receiverQueueSize=1", "consumer")
    producer = namespace.open("producer", "t", "producer")
    for _ in range(4):
        producer.publish("YQ==")
    for _ in range(4):
        consumer.ack(consumer.json())


@scenario("limits/duplicates", "publish deduplicated")
def duplicates(stage: Stage) -> None:
    """Where brokers drop duplicates, a repeated number is answered and not stored."""
    namespace = Namespace(stage, deduplication=True)
    consumer = namespace.open("consumer", "t/s", "consumer")
    for number, label in enumerate(("first", "again")):
        producer = namespace.open("producer", "t?producerName=mine&initialSequenceId=5", label)
        producer.publish("YQ==", context=str(number))
        producer.close()
        stage.wait(0.5)
    consumer.read()
    consumer.quiet()


@scenario("limits/deleted-namespace", "create 404")
def deleted_namespace(stage: Stage) -> None:
    namespace = Namespace(stage)
    stage.broker.admin("DELETE", f"namespaces/{namespace.name}")
    stage.wait(0.5)
    three(namespace)


@scenario("limits/encryption-required", "limit encryption", "encryptionKeys client side")
def encryption_required(stage: Stage) -> None:
    """Who encrypts may publish; who consumes need not say how."""
    namespace = Namespace(stage, encryptionRequired=True)
    producer = namespace.open("producer", f"t?encryptionKeys={CLIENT_SIDE}", "producer")
    producer.publish("YQ==", encryptionParam="AAEC")
    for kind, rest in (("consumer", "t/s"), ("reader", "t")):
        namespace.open(kind, rest, kind)


@scenario("limits/no-delays", "limit delays", "publish deliverAfterMs")
def no_delays(stage: Stage) -> None:
    """Where delays are off a message comes at once; where they are bounded a longer one is refused."""
    for name, policy in {"off": {"active": False, "tickTime": 1000}, "bounded": {"active": True, "tickTime": 1000, "maxDeliveryDelayInMillis": 1000}}.items():
        namespace = Namespace(stage, delayedDelivery=policy)
        consumer = namespace.open("consumer", "t/s?subscriptionType=Shared", f"{name} consumer")
        producer = namespace.open("producer", "t", f"{name} producer")
        producer.publish("YQ==", deliverAfterMs=300_000, context="late")
        producer.publish("Yg==", context="now")
        consumer.quiet(1)


@scenario("limits/rates", "limit rates")
def rates(stage: Stage) -> None:
    """What is slowed down is not lost."""
    for name, policy in {"publishRate": {"publishThrottlingRateInMsg": 5, "publishThrottlingRateInByte": -1},
                         "dispatchRate": {"dispatchThrottlingRateInMsg": 2, "dispatchThrottlingRateInByte": -1, "ratePeriodInSecond": 1}}.items():
        namespace = Namespace(stage, **{name: policy})
        consumer = namespace.open("consumer", "t/s", f"{name} consumer")
        producer = namespace.open("producer", "t", f"{name} producer")
        producer.send(*[{"payload": "YQ==", "context": str(number)} for number in range(5)])
        producer.read(5)
        consumer.read(5)


@scenario("limits/duplicates-batched", "publish deduplicated", "producer batchingEnabled")
def duplicates_batched(stage: Stage) -> None:
    """Of a producer that comes again with older numbers only what is new is stored."""
    namespace = Namespace(stage, deduplication=True)
    for batched in ("false", "true"):
        parameters = f"producerName=mine-{batched}&batchingEnabled={batched}&batchingMaxPublishDelay=200"
        consumer = namespace.open("consumer", f"t-{batched}/s", f"{batched} consumer")
        for first, label in ((9, "first"), (10, "again")):
            producer = namespace.open("producer", f"t-{batched}?{parameters}&initialSequenceId={first}", f"{batched} {label}")
            lines, stage.transcript.lines = stage.transcript.lines, []
            producer.send(*[{"payload": "YQ==", "context": str(number)} for number in range(3)])
            results = [json.loads(text)["result"] for text in producer.read(3)]
            producer.close()
            got = len(consumer.read(3, seconds=1.5))
            stage.transcript.lines = lines
            stage.note(f"{batched} {label}", (results, got))


@scenario("limits/deleted-for-good", "limit topics", "event delete topic")
def deleted_for_good(stage: Stage) -> None:
    """A topic that nobody may make again is missing until somebody who may does."""
    namespace = Namespace(stage)
    stage.broker.admin("PUT", f"persistent/{namespace.name}/t")
    consumer, reader, producer = (namespace.open(kind, rest, kind) for kind, rest in (("consumer", "t/s"), ("reader", "t"), ("producer", "t?sendTimeoutMillis=4000")))
    producer.publish("YQ==")
    consumer.ack(consumer.json())
    reader.read()
    stage.broker.admin("POST", f"namespaces/{namespace.name}/autoTopicCreation", {"allowAutoTopicCreation": False})
    stage.wait(0.5)
    stage.broker.admin("DELETE", f"persistent/{namespace.name}/t?force=true")
    stage.wait(1)
    producer.publish("YQ==", context="gone")
    stage.broker.admin("PUT", f"persistent/{namespace.name}/t")
    stage.wait(5)
    producer.publish("YQ==", context="again")


@scenario("limits/topics", "limit topics")
def topics(stage: Stage) -> None:
    """A namespace may have one topic; what is not stored counts, too."""
    namespace = Namespace(stage, maxTopicsPerNamespace=1)
    for kind, rest, label in (("producer", "t1", "first"), ("producer", "t2", "second"), ("consumer", "t3/s", "third"), ("reader", "t4", "fourth")):
        namespace.open(kind, rest, label)
    stage.open_path(f"/ws/v3/consumer/s?topics={namespace.name}/t1,{namespace.name}/t5", "list")


@scenario("limits/partitioned", "topic partitioned", "create 409", "limit consumers", "limit producers", "limit subscriptions", "limit subscription types", "limit schema")
def partitioned(stage: Stage) -> None:
    """What one partition refuses is told of all."""
    for name, policies, asked in (
        ("consumers", {"maxConsumersPerSubscription": 1}, [("consumer", "t/s?subscriptionType=Shared")] * 2),
        ("producers", {"maxProducersPerTopic": 1}, [("producer", "t")] * 2),
        ("types", {"subscriptionTypesEnabled": ["Exclusive"]}, [("consumer", "t/s?subscriptionType=Shared")]),
        ("subscriptions", {"autoSubscriptionCreation": {"allowAutoSubscriptionCreation": False}}, [("producer", "t"), ("consumer", "t/s"), ("reader", "t")]),
        ("names", {}, [("producer", "t?producerName=mine"), ("producer", "t?producerName=mine"), ("producer", "t-partition-1?producerName=mine")]),
        ("taken", {}, [("consumer", "t/s"), ("consumer", "t/s"), ("consumer", "t-partition-1/s"), ("consumer", "t/s?subscriptionType=Shared")]),
    ):
        namespace = Namespace(stage, **policies)
        # One error names the partition, and which of two is first is chance.
        stage.broker.admin("PUT", f"persistent/{namespace.name}/t/partitions", 1 if name == "types" else 2)
        for number, (kind, rest) in enumerate(asked):
            namespace.open(kind, rest, f"{name} {number}")


@scenario("limits/partitioned-terminated", "topic partitioned", "create 503")
def partitioned_terminated(stage: Stage) -> None:
    """One partition has ended."""
    topic = stage.partitioned(2)
    stage.broker.admin("POST", f"persistent/public/default/{topic}-partition-1/terminate")
    stage.producer(topic, label="producer")
    stage.consumer(topic, label="consumer")
    stage.reader(topic, label="reader", messageId="earliest")
    stage.producer(f"{topic}-partition-0", label="producer of the other").publish("YQ==")
