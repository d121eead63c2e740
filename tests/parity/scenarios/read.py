"""What a reader is sent, and what its frames mean."""

from __future__ import annotations

from ..catalogue import scenario
from ..stage import Stage
from .consume import CLIENT_SIDE, batch, deliveries, filled


@scenario("read/earliest", "reader start earliest", "reader delivery", "reader messageId", "example reader")
def earliest(stage: Stage) -> None:
    topic = stage.topic()
    filled(stage, topic, 2)
    stage.reader(topic, messageId="earliest").read(2)


@scenario("read/latest", "reader start latest")
def latest(stage: Stage) -> None:
    topic = stage.topic()
    filled(stage, topic, 1)
    reader = stage.reader(topic)
    reader.quiet()
    filled(stage, topic, 1)
    reader.read()


@scenario("read/from-id", "reader start id")
def from_id(stage: Stage) -> None:
    topic = stage.topic()
    producer = stage.producer(topic)
    ids = [producer.publish("YQ==") for _ in range(3)]
    reader = stage.reader(topic, messageId=ids[1])
    reader.read()
    reader.quiet()


@scenario("read/from-id-in-batch", "reader start id")
def from_id_in_batch(stage: Stage) -> None:
    topic = stage.topic()
    batch(stage, topic, 3)
    first, *_ = deliveries(stage.reader(topic, label="whole", messageId="earliest"), 3)
    stage.reader(topic, messageId=first["messageId"]).read(2)


@scenario("read/partitioned", "reader start partitioned", "topic partitioned")
def partitioned(stage: Stage) -> None:
    topic = stage.partitioned(2)
    filled(stage, topic, 2)
    reader = stage.reader(topic, messageId="earliest")
    lines, stage.transcript.lines = stage.transcript.lines, []
    found = len(reader.read(2))
    stage.transcript.lines = lines
    stage.note("messages", found)
    stage.reader(topic, label="id", messageId="CAAQADAA")


@scenario("read/limit", "reader limit", "reader receiverQueueSize")
def limit(stage: Stage) -> None:
    topic = stage.topic()
    filled(stage, topic, 4)
    reader = stage.reader(topic, messageId="earliest", receiverQueueSize="2")
    reader.read(2)
    reader.quiet()
    reader.send({})
    reader.read(1)
    reader.quiet()


for name, message in {"empty-object": {}, "permit": {"type": "permit", "permitMessages": 5}, "unsubscribe": {"type": "unsubscribe"},
                      "nack": {"type": "negativeAcknowledge", "messageId": "x"}, "garbage-id": {"messageId": "!!"}}.items():
    def any_frame(stage: Stage, message: object = message) -> None:
        topic = stage.topic()
        filled(stage, topic, 2)
        reader = stage.reader(topic, messageId="earliest", receiverQueueSize="1")
        reader.read()
        reader.send(message)
        reader.read()

    scenario(f"read/frame-{name}", "reader any frame acks")(any_frame)


for name, message in {"garbage": "garbage", "empty": "", "null": "null", "list": "[]"}.items():
    def not_json(stage: Stage, message: str = message) -> None:
        reader = stage.reader(stage.topic())
        reader.send(message)
        reader.quiet(1)

    scenario(f"read/not-json-{name}", "reader not JSON")(not_json)


@scenario("read/end-of-topic", "reader isEndOfTopic")
def end_of_topic(stage: Stage) -> None:
    topic = stage.topic()
    filled(stage, topic, 1)
    reader = stage.reader(topic, messageId="earliest")
    reader.read()
    reader.send({"type": "isEndOfTopic"})
    reader.read()
    stage.broker.admin("POST", f"persistent/public/default/{topic}/terminate")
    stage.wait(1)
    reader.send({"type": "isEndOfTopic"})
    reader.read()


@scenario("read/encrypted", "reader cryptoFailureAction", "reader delivery")
def encrypted(stage: Stage) -> None:
    topic = stage.topic()
    stage.producer(topic, encryptionKeys=CLIENT_SIDE).publish("YQ==", encryptionParam="AAEC")
    stage.reader(topic, messageId="earliest", cryptoFailureAction="CONSUME").quiet(1)


@scenario("read/zero", "reader receiverQueueSize")
def zero(stage: Stage) -> None:
    topic = stage.topic()
    filled(stage, topic, 1)
    stage.reader(topic, messageId="earliest", receiverQueueSize="0").quiet(1)


@scenario("read/name", "reader readerName")
def name(stage: Stage) -> None:
    topic = stage.topic()
    reader = stage.reader(topic, readerName="me")
    stats = stage.broker.admin("GET", f"persistent/public/default/{topic}/stats")
    for subscription in stats["subscriptions"].values():
        stage.note("consumers", [consumer["consumerName"] for consumer in subscription["consumers"]])
        stage.note("durable", subscription["durable"])
        stage.note("type", subscription["type"])
    stage.note("name", sorted(name[:7] for name in stats["subscriptions"]))
    reader.close()
