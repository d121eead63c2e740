"""What namespaces and topics are set to forbid, and how clients are told."""

from __future__ import annotations

import uuid

from ..catalogue import scenario
from ..stage import Socket, Stage

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
