"""Commands that make little sense, and sensible ones at odd moments."""

from __future__ import annotations

import json

from harness.raw import BINARY, TEXT, frame

from ..catalogue import scenario
from ..stage import Stage
from .consume import STRANGER, batch, deliveries, filled

for name, message in {
    "blank-behind-type": {"type": "ack ", "messageId": STRANGER}, "number-for-type": {"type": 5, "messageId": STRANGER}, "list-for-type": {"type": [], "messageId": STRANGER},
    "two-types": '{"type":"isEndOfTopic","type":"ack","messageId":"CAUQBTAA"}', "other-name": {"type": "ack", "messageid": STRANGER}, "list-for-id": {"messageId": [STRANGER]},
    "true-for-id": {"messageId": True}, "blank-id": {"messageId": " "}, "line-feed-in-id": {"messageId": STRANGER + "\n"}, "unpadded-id": {"messageId": "CAUQBQ"}, "url-safe-id": {"messageId": "CPv_AxAFMAA="},
    "negative-id": {"messageId": "CP///////////wEQ////////////AQ=="}, "index-beyond": {"messageId": "CAUQBSAJMAM="}, "negative-index": {"messageId": "CAUQBSD///////////8BMAM="},
    "unknown-field-in-id": {"messageId": "CAUQBUgB"}, "half-an-id": {"messageId": "CAU="}, "cut-id": {"messageId": "CAUQ"}, "chunked-id": {"messageId": "CEEQBDAAOgYIQRACMAA="},
    "long-id": {"messageId": "A" * 100_000}, "permit-true": {"type": "permit", "permitMessages": True}, "permit-word": {"type": "permit", "permitMessages": "x"}, "permit-null": {"type": "permit", "permitMessages": None},
    "permit-list": {"type": "permit", "permitMessages": [5]}, "permit-exponent": '{"type":"permit","permitMessages":1e2}', "permit-empty": {"type": "permit", "permitMessages": ""},
    "end-with-id": {"type": "isEndOfTopic", "messageId": "!!"}, "publish": {"payload": "YQ=="}, "blanks": "   ", "two-objects": '{"messageId":"CAUQBTAA"}{"messageId":"!!"}', "text": '"ack"', "empty-text": '""', "number": "5",
    "bad-permit-beside": {"messageId": STRANGER, "permitMessages": "x"}, "nack-bad-base64": {"type": "negativeAcknowledge", "messageId": "!!"}, "nack-empty-id": {"type": "negativeAcknowledge", "messageId": ""},
    "deep": '{"messageId":"CAUQBTAA","x":' + "[" * 1001 + "]" * 1001 + "}",
}.items():
    def command(stage: Stage, message: object = message) -> None:
        consumer = stage.consumer(stage.topic())
        consumer.send(message)
        consumer.quiet(0.3)
        consumer.send({"type": "isEndOfTopic"})
        consumer.quiet(0.3)

    scenario(f"hostile/command-{name}", "command odd")(command)


@scenario("hostile/command-binary", "command odd", "frame binary")
def binary_command(stage: Stage) -> None:
    """Commands in binary messages are none."""
    topic = stage.topic()
    consumer = stage.consumer(topic)
    filled(stage, topic, 1)
    (delivery,) = deliveries(consumer, 1)
    consumer.send_frame(BINARY, json.dumps({"messageId": delivery["messageId"]}).encode())
    consumer.send_frame(BINARY, b'{"type":"isEndOfTopic"}')
    consumer.quiet()
    consumer.close()
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0, seconds=1))


@scenario("hostile/flood-of-commands", "command odd")
def flood(stage: Stage) -> None:
    """A thousand acks for nothing, and then a question."""
    consumer = stage.consumer(stage.topic())
    consumer.send_bytes(frame(TEXT, b'{"messageId":"CAUQBTAA"}') * 1000)
    consumer.send(*[{"type": "isEndOfTopic"}] * 3)
    consumer.read(3)


@scenario("hostile/ack-and-nack", "command ack", "command negativeAcknowledge")
def ack_and_nack(stage: Stage) -> None:
    """Of two words on one message the first holds."""
    topic = stage.topic()
    consumer = stage.consumer(topic, subscriptionType="Shared", negativeAckRedeliveryDelay="200")
    filled(stage, topic, 2)
    first, second = deliveries(consumer, 2)
    consumer.ack(first).nack(first)
    consumer.nack(second).nack(second)
    consumer.ack(consumer.json())
    consumer.quiet(1)
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0))


@scenario("hostile/after-unsubscribe", "command unsubscribe")
def after_unsubscribe(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic)
    filled(stage, topic, 1)
    delivery = consumer.json()
    consumer.send({"type": "unsubscribe"})
    stage.wait(0.5)
    consumer.ack(delivery).nack(delivery).send({"type": "permit", "permitMessages": 5}, {"type": "isEndOfTopic"})
    consumer.quiet(1)
    stage.consumer(topic, label="again").quiet(0.5)


@scenario("hostile/pull-large-permits", "pull odd permits")
def large_permits(stage: Stage) -> None:
    """As much as there can be, once."""
    topic = stage.topic()
    consumer = stage.consumer(topic, pullMode="true")
    filled(stage, topic, 3)
    consumer.send({"type": "permit", "permitMessages": 2147483647})
    consumer.read(3)


@scenario("hostile/pull-nack", "pull permits", "command negativeAcknowledge")
def pull_nack(stage: Stage) -> None:
    """What is rejected comes again for a permit of its own."""
    topic = stage.topic()
    consumer = stage.consumer(topic, pullMode="true", subscriptionType="Shared", negativeAckRedeliveryDelay="200")
    filled(stage, topic, 1)
    consumer.send({"type": "permit", "permitMessages": 1})
    consumer.nack(consumer.json())
    consumer.quiet(1)
    consumer.send({"type": "permit", "permitMessages": 1})
    consumer.ack(consumer.json())


@scenario("hostile/reencoded-ids", "command lenient", "ack foreign unbatched")
def reencoded_ids(stage: Stage) -> None:
    """The same id in other letters: without padding, without its last field."""
    topic = stage.topic()
    consumer = stage.consumer(topic)
    filled(stage, topic, 2)
    for delivery in deliveries(consumer, 2):
        consumer.send({"messageId": delivery["messageId"].rstrip("=")})
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0))


@scenario("hostile/reader-commands", "reader any frame acks")
def reader_commands(stage: Stage) -> None:
    topic = stage.topic()
    filled(stage, topic, 4)
    reader = stage.reader(topic, messageId="earliest", receiverQueueSize="1")
    for message in ('{"type":5}', '{"type":"negativeAcknowledge"}', '{"type":"permit","permitMessages":0}'):
        reader.read()
        reader.send(message)
    reader.read()
    reader.send('{"type":"permit","permitMessages":"x"}')
    reader.end(2)


@scenario("hostile/batch-acked-twice", "command ack", "messageId batched")
def batch_acked_twice(stage: Stage) -> None:
    """One message of a batch, acknowledged as often as the batch has messages, does not finish the batch."""
    topic = stage.topic()
    consumer = stage.consumer(topic)
    batch(stage, topic, 3)
    first, *_ = deliveries(consumer, 3)
    for _ in range(3):
        consumer.ack(first)
    stage.wait(0.5)
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0, seconds=1))
