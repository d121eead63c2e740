"""Where readers begin, and what readers and consumers of partitions do at the end."""

from __future__ import annotations

import base64
import json

from ..catalogue import scenario
from ..stage import Stage
from ..transcript import decoded
from .consume import batch, deliveries, filled

FIELDS = {"partition": 3, "index": 4, "size": 6}


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def id_of(ledger: int, entry: int, **fields: int) -> str:
    raw = b"\x08" + varint(ledger) + b"\x10" + varint(entry)
    for name, value in fields.items():
        raw += bytes([FIELDS[name] << 3]) + varint(value)
    return base64.b64encode(raw).decode()


def place(message_id: str) -> tuple[int, int]:
    fields = dict(decoded(base64.b64decode(message_id)))
    return fields[1], fields[2]


@scenario("read/id-forms", "reader start id", "reader messageId")
def id_forms(stage: Stage) -> None:
    """Ids of messages that are there, of others, and of none."""
    topic = stage.topic()
    producer = stage.producer(topic)
    first, _, last = [producer.publish("YQ==") for _ in range(3)]
    ledger, _ = place(first)
    for name, text in {
        "last": last, "with partition": id_of(ledger, 0, partition=0, size=0), "other partition": id_of(ledger, 0, partition=5), "negative partition": id_of(ledger, 0, partition=-1),
        "as if batched": id_of(ledger, 0, index=0, size=1), "index too large": id_of(ledger, 0, index=9, size=3), "entry -1": id_of(ledger, -1), "entry beyond": id_of(ledger, 99),
        "ledger 0": id_of(0, 0), "later ledger": id_of(ledger + 1_000_000, 0), "earliest in numbers": id_of(-1, -1), "latest in numbers": id_of((1 << 63) - 1, (1 << 63) - 1),
    }.items():
        stage.reader(topic, label=name, messageId=text).quiet()


@scenario("read/id-forms-in-batch", "reader start id", "messageId batched")
def id_forms_in_batch(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic)
    batch(stage, topic, 3)
    first, _, last = [delivery["messageId"] for delivery in deliveries(consumer, 3)]
    filled(stage, topic, 1)
    ledger, entry = place(first)
    for name, text in {"first": first, "last": last, "of a producer": id_of(ledger, entry, index=1, size=0), "bare": id_of(ledger, entry), "without index": id_of(ledger, entry, size=0),
                       "index too large": id_of(ledger, entry, index=5, size=3), "negative index": id_of(ledger, entry, index=-1, size=3)}.items():
        stage.reader(topic, label=name, messageId=text).quiet()


@scenario("read/partitioned-starts", "reader start partitioned", "reader messageId")
def partitioned_starts(stage: Stage) -> None:
    topic = stage.partitioned(2)
    for number in range(2):
        filled(stage, f"{topic}-partition-{number}", 1)
    for name, text in {"latest": "latest", "blank": "", "id": id_of(0, 0, size=0), "earliest in numbers": id_of(-1, -1)}.items():
        reader = stage.reader(topic, label=name, messageId=text)
        lines, stage.transcript.lines = stage.transcript.lines, []
        got = [json.loads(text)["payload"] for text in reader.read(2, seconds=1)]
        stage.transcript.lines = lines
        stage.note(f"{name} got", got)
    one = stage.reader(f"{topic}-partition-0", label="one", messageId="earliest")
    (delivery,) = deliveries(one, 1)
    stage.reader(f"{topic}-partition-0", label="behind it", messageId=delivery["messageId"]).quiet()
    stage.reader(topic, label="whole behind it", messageId=delivery["messageId"])


@scenario("read/partitioned-limit", "reader limit", "topic partitioned")
def partitioned_limit(stage: Stage) -> None:
    topic = stage.partitioned(1)
    filled(stage, topic, 3)
    reader = stage.reader(topic, messageId="earliest", receiverQueueSize="1")
    for _ in range(3):
        reader.read()
        reader.quiet(0.3)
        reader.send({})


@scenario("read/non-persistent", "topic non-persistent", "reader delivery")
def non_persistent(stage: Stage) -> None:
    """Where nothing is stored every start is the present."""
    names = f"non-persistent/public/default/{stage.topic()}"
    for query in ("", "?messageId=earliest", "?messageId=CAAQADAA"):
        reader = stage.open_path(f"/ws/v2/reader/{names}{query}", f"reader{query}")
        stage.wait(0.2)
        producer = stage.open_path(f"/ws/v2/producer/{names}", "producer")
        producer.publish("YQ==")
        reader.read()
        reader.send({"type": "isEndOfTopic"})
        reader.read()
        producer.close()
        reader.close()


@scenario("read/v1-slash", "path v1 reader", "topic slash")
def v1_slash(stage: Stage) -> None:
    """One topic of version 1 with a slash, by every way that leads there."""
    topic, names = stage.topic(), "persistent/public/standalone/default"
    consumer = stage.open_path(f"/ws/consumer/{names}/a%2F{topic}/sub", "consumer")
    stage.open_path(f"/ws/producer/{names}/a//{topic}/", "producer").publish("YQ==")
    consumer.ack(consumer.json())
    for label, path in {"v1": f"/ws/reader/{names}/a/{topic}", "v2": f"/ws/v2/reader/persistent/public/standalone/default%2Fa%2F{topic}"}.items():
        stage.open_path(f"{path}?messageId=earliest", label).read()


@scenario("read/end-of-partitions", "reader isEndOfTopic", "topic partitioned")
def end_of_partitions(stage: Stage) -> None:
    topic = stage.partitioned(2)
    reader, consumer = stage.reader(topic, messageId="earliest"), stage.consumer(topic)
    for number in range(2):
        stage.broker.admin("POST", f"persistent/public/default/{topic}-partition-{number}/terminate")
        stage.wait(1)
        for session in (reader, consumer):
            session.send({"type": "isEndOfTopic"})
            session.read()
    stage.producer(topic, label="producer")


@scenario("consume/end-of-topic-shared", "endOfTopic", "consumer subscriptionType")
def end_of_topic_shared(stage: Stage) -> None:
    """The end is there when all is acknowledged, whoever had it."""
    topic = stage.topic()
    first = stage.consumer(topic, label="first", subscriptionType="Shared", receiverQueueSize="1")
    filled(stage, topic, 1)
    delivery = first.json()
    second = stage.consumer(topic, label="second", subscriptionType="Shared")
    stage.broker.admin("POST", f"persistent/public/default/{topic}/terminate")
    for acknowledged in (False, True):
        if acknowledged:
            first.ack(delivery)
        stage.wait(1)
        for session in (first, second):
            session.send({"type": "isEndOfTopic"})
            session.read()


@scenario("consume/end-of-topic-non-persistent", "endOfTopic", "topic non-persistent", "command unsubscribe")
def end_of_topic_non_persistent(stage: Stage) -> None:
    consumer = stage.open_path(f"/ws/v2/consumer/non-persistent/public/default/{stage.topic()}/sub", "consumer")
    for kind in ("isEndOfTopic", "unsubscribe", "isEndOfTopic"):
        consumer.send({"type": kind})
        consumer.quiet()


for kind, parameters in {"shared": {"subscriptionType": "Shared"}, "failover": {"subscriptionType": "Failover"}, "key-shared": {"subscriptionType": "Key_Shared"},
                         "non-durable": {"subscriptionMode": "NonDurable"}, "pull": {"pullMode": "true"}}.items():
    @scenario(f"consume/leave-{kind}", "command unsubscribe")
    def leave(stage: Stage, parameters: dict = parameters) -> None:
        """After its unsubscribe a session is open and gets nothing, and its subscription may be made again."""
        topic = stage.topic()
        consumer = stage.consumer(topic, **parameters)
        consumer.send({"type": "unsubscribe"})
        stage.wait(0.5)
        stage.note("subscriptions", stage.broker.admin("GET", f"persistent/public/default/{topic}/subscriptions"))
        consumer.send({"type": "isEndOfTopic"}, {"type": "permit", "permitMessages": 1})
        filled(stage, topic, 1)
        consumer.quiet()
        stage.consumer(topic, label="again", **parameters).quiet()


@scenario("consume/leave-pattern", "command unsubscribe", "v3 topicsPattern")
def leave_pattern(stage: Stage) -> None:
    topic = stage.topic()
    filled(stage, topic, 1)
    consumer = stage.open_path(f"/ws/v3/consumer/sub?topicsPattern=public/default/{topic}.*", "consumer")
    consumer.send({"type": "unsubscribe"})
    stage.wait(0.5)
    stage.note("subscriptions", stage.broker.admin("GET", f"persistent/public/default/{topic}/subscriptions"))
    filled(stage, topic, 1)
    consumer.quiet()


@scenario("consume/non-durable", "consumer subscriptionMode", "consumer subscriptionInitialPosition")
def non_durable(stage: Stage) -> None:
    """Such a subscription goes with its last consumer."""
    topic = stage.topic()
    filled(stage, topic, 2)
    for position in ("Earliest", "Latest"):
        consumer = stage.consumer(topic, label=position, subscriptionMode="NonDurable", subscriptionInitialPosition=position)
        consumer.quiet()
        consumer.close()
        stage.wait(0.5)
        stage.note("subscriptions", stage.broker.admin("GET", f"persistent/public/default/{topic}/subscriptions"))


@scenario("consume/permit-forms", "pull permits", "command permit")
def permit_forms(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic, pullMode="true", receiverQueueSize="1")
    filled(stage, topic, 6)
    for command in ('{"type":"permit","permitMessages":"2"}', '{"type":"permit","permitMessages":1.9}', '{"type":"permit","permitMessages":1,"messageId":"!!"}', '{"type":"isEndOfTopic"}',
                    '{"type":"permit","permitMessages":10}'):
        consumer.send(command)
        consumer.quiet()
    filled(stage, topic, 1)
    consumer.read()


@scenario("consume/pull-partitioned", "pull permits", "topic partitioned")
def pull_partitioned(stage: Stage) -> None:
    """Permits are the session's, not a partition's."""
    topic = stage.partitioned(3)
    consumer = stage.consumer(topic, pullMode="true")
    for number in range(3):
        filled(stage, f"{topic}-partition-{number}", 2)
    consumer.quiet()
    lines, stage.transcript.lines = stage.transcript.lines, []
    consumer.send({"type": "permit", "permitMessages": 4})
    got = len(consumer.read(4))
    consumer.quiet()
    more = len(stage.transcript.lines) - got
    stage.transcript.lines = lines
    stage.note("got", (got, more))


@scenario("consume/queues", "consumer receiverQueueSize", "reader receiverQueueSize", "consumer consumerName")
def queues(stage: Stage) -> None:
    """For how many messages brokers are asked at first."""
    for size in ("0", "1", "2", "999", "1000", "1001", "5000"):
        topic = stage.topic(f"topic-{size}")
        stage.consumer(topic, label=size, receiverQueueSize=size, subscriptionType="Shared", consumerName="me")
        stage.wait(0.3)
        (consumer,) = stage.broker.admin("GET", f"persistent/public/default/{topic}/stats")["subscriptions"]["sub"]["consumers"]
        stage.note(f"permits for {size}", (consumer["availablePermits"], consumer["consumerName"]))
    topic = stage.topic("read")
    stage.reader(topic, label="reader", receiverQueueSize="5000")
    stage.wait(0.3)
    for subscription in stage.broker.admin("GET", f"persistent/public/default/{topic}/stats")["subscriptions"].values():
        stage.note("permits for a reader", [(one["availablePermits"], len(one["consumerName"])) for one in subscription["consumers"]])
