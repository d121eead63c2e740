"""Consumers of several topics: lists and patterns."""

from __future__ import annotations

from ..catalogue import scenario
from ..stage import Stage
from .consume import STRANGER, batch, deliveries, filled


@scenario("consume/v3-foreign-ack", "ack foreign v3")
def v3_foreign_ack(stage: Stage) -> None:
    first, second = stage.topic("first"), stage.topic("second")
    path = f"/ws/v3/consumer/sub?topics={first},{second}&subscriptionType=Shared"
    consumer = stage.open_path(path, "consumer")
    filled(stage, first, 1)
    delivery = consumer.json()
    consumer.close()
    stage.wait(0.3)
    again = stage.open_path(path, "again")
    again.ack(delivery)
    again.read(1)


@scenario("consume/v3-foreign-nack", "nack foreign v3")
def v3_foreign_nack(stage: Stage) -> None:
    first, second = stage.topic("first"), stage.topic("second")
    consumer = stage.open_path(f"/ws/v3/consumer/sub?topics={first},{second}", "consumer")
    consumer.send({"type": "negativeAcknowledge", "messageId": STRANGER})
    consumer.quiet()


@scenario("consume/v3-pattern", "v3 pattern form", "v3 pattern full match", "v3 pattern later topics", "v3 topicsPattern", "consumer topics")
def v3_pattern(stage: Stage) -> None:
    topic = stage.topic()
    filled(stage, f"{topic}-a", 1)
    for name, pattern in {"whole": f"public/default/{topic}-.*", "with domain": f"persistent://public/default/{topic}-.*",
                          "part": f"public/default/{topic}-"}.items():
        consumer = stage.open_path(f"/ws/v3/consumer/{name.replace(' ', '-')}?topicsPattern={pattern}&subscriptionInitialPosition=Earliest", name)
        if name == "part":
            consumer.quiet(1)
        else:
            consumer.ack(consumer.json())
    filled(stage, f"{topic}-b", 1)
    stage.wait(1)
    filled(stage, f"{topic}-b", 1)


@scenario("consume/v3-bad-patterns", "v3 pattern bad regex", "v3 missing namespace", "v3 pattern form")
def v3_bad_patterns(stage: Stage) -> None:
    for name, pattern in {"open group": "public/default/(", "no namespace": "public/none-such/.*", "bare": "a.*"}.items():
        stage.open_path(f"/ws/v3/consumer/sub?topicsPattern={pattern}", name)


@scenario("consume/v3-commands", "path v3 consumer", "command ack", "command negativeAcknowledge", "command isEndOfTopic", "command unsubscribe")
def v3_commands(stage: Stage) -> None:
    """Every command on a session of several topics."""
    first, second = stage.topic("first"), stage.topic("second")
    consumer = stage.open_path(
        f"/ws/v3/consumer/sub?topics={first},{second}&subscriptionType=Shared&negativeAckRedeliveryDelay=200", "consumer")
    for topic in (first, second):
        filled(stage, topic, 1)
        consumer.nack(consumer.json())
        consumer.ack(consumer.json())
        stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0))
    stage.broker.admin("POST", f"persistent/public/default/{first}/terminate")
    stage.wait(1)
    consumer.send({"type": "isEndOfTopic"})
    consumer.read()
    stage.broker.admin("POST", f"persistent/public/default/{second}/terminate")
    stage.wait(1)
    consumer.send({"type": "isEndOfTopic"})
    consumer.read()
    consumer.send({"type": "unsubscribe"})
    consumer.quiet()
    for topic in (first, second):
        stage.note("subscriptions", stage.broker.admin("GET", f"persistent/public/default/{topic}/subscriptions"))


@scenario("consume/v3-pull", "path v3 consumer", "pull permits")
def v3_pull(stage: Stage) -> None:
    first, second = stage.topic("first"), stage.topic("second")
    consumer = stage.open_path(f"/ws/v3/consumer/sub?topics={first},{second}&pullMode=true", "consumer")
    filled(stage, first, 2)
    consumer.quiet()
    consumer.send({"type": "permit", "permitMessages": 1})
    consumer.ack(consumer.json())
    consumer.quiet()
    consumer.send({"type": "permit", "permitMessages": 5})
    consumer.ack(consumer.json())
    filled(stage, second, 1)
    consumer.ack(consumer.json())


@scenario("consume/v3-limit", "path v3 consumer", "push limit")
def v3_limit(stage: Stage) -> None:
    """The limit is the session's."""
    first, second = stage.topic("first"), stage.topic("second")
    consumer = stage.open_path(f"/ws/v3/consumer/sub?topics={first},{second}&receiverQueueSize=2", "consumer")
    filled(stage, first, 2)
    one, two = deliveries(consumer, 2)
    filled(stage, second, 2)
    consumer.quiet()
    consumer.ack(one).ack(two)
    for delivery in deliveries(consumer, 2):
        consumer.ack(delivery)


@scenario("consume/v3-batches", "path v3 consumer", "messageId batched")
def v3_batches(stage: Stage) -> None:
    first, second = stage.topic("first"), stage.topic("second")
    consumer = stage.open_path(f"/ws/v3/consumer/sub?topics={first},{second}", "consumer")
    for topic in (first, second):
        batch(stage, topic, 3)
        for delivery in deliveries(consumer, 3):
            consumer.ack(delivery)
        stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0))


@scenario("consume/v3-partitions", "path v3 consumer", "messageId partitioned")
def v3_partitions(stage: Stage) -> None:
    """Partitions that are named one by one: their ids tell no partition."""
    topic = stage.partitioned(2)
    path = f"/ws/v3/consumer/sub?topics={topic}-partition-0,{topic}-partition-1"
    consumer = stage.open_path(path, "consumer")
    filled(stage, f"{topic}-partition-1", 1)
    consumer.json()
    consumer.close()
    stage.wait(0.3)
    again = stage.open_path(path, "again")
    again.ack(again.json())
    stage.note("backlog", stage.broker.until_backlog(f"{topic}-partition-1", "sub", 0))
    alone = stage.open_path(f"/ws/v3/consumer/alone?topics={topic}-partition-1&subscriptionInitialPosition=Earliest", "alone")
    alone.ack(alone.json())


@scenario("consume/v3-partitioned", "path v3 consumer", "topic partitioned")
def v3_partitioned(stage: Stage) -> None:
    """A partitioned topic beside one that is not."""
    topic, other = stage.partitioned(2), stage.topic("other")
    consumer = stage.open_path(f"/ws/v3/consumer/sub?topics={topic},{other}", "consumer")
    for name in (f"{topic}-partition-0", f"{topic}-partition-1", other):
        filled(stage, name, 1)
        consumer.ack(consumer.json())
        stage.note("backlog", stage.broker.until_backlog(name, "sub", 0))


@scenario("paths/v3-domains", "v3 topics", "v3 pattern form")
def v3_domains(stage: Stage) -> None:
    """The case of a domain matters in paths and patterns, and not in names."""
    topic = stage.topic()
    consumer = stage.open_path(f"/ws/v3/consumer/sub?topics=PERSISTENT://public/default/{topic}", "consumer")
    stage.producer(topic).publish("YQ==")
    consumer.ack(consumer.json())
    for domain in ("Persistent", "Non-Persistent", "nowhere"):
        for name, query in {"first": f"topics={domain}://public/default/{topic}x", "second": f"topics={topic}x,{domain}://public/default/{topic}y",
                            "pattern": f"topicsPattern={domain}://public/default/{topic}.*"}.items():
            stage.request(f"/ws/v3/consumer/sub?{query}", upgrade=True, label=f"{name} {domain}")


@scenario("consume/v3-pattern-partitions", "v3 topicsPattern", "topic partitioned", "v3 pattern later topics")
def v3_pattern_partitions(stage: Stage) -> None:
    """Patterns are for topics: partitions belong to theirs."""
    topic = stage.partitioned(2)
    whole = stage.open_path(f"/ws/v3/consumer/whole?topicsPattern=public/default/{topic}", "whole")
    one = stage.open_path(f"/ws/v3/consumer/one?topicsPattern=public/default/{topic}-partition-1", "one")
    for number in range(2):
        filled(stage, f"{topic}-partition-{number}", 1)
        whole.ack(whole.json())
    one.quiet()


@scenario("consume/v3-taken", "path v3 consumer", "create 409")
def v3_taken(stage: Stage) -> None:
    first, second = stage.topic("first"), stage.topic("second")
    stage.consumer(second, label="holder")
    stage.open_path(f"/ws/v3/consumer/sub?topics={first},{second}", "list")
    stage.open_path(f"/ws/v3/consumer/sub?topicsPattern=public/default/{second}.*", "pattern")
    stage.wait(0.5)
    stage.consumer(first, label="the free one")
