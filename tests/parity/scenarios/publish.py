"""What a producer may be sent, and what it answers."""

from __future__ import annotations

import json

from ..catalogue import scenario
from ..stage import Stage


def told(group_name: str, rows: tuple[str, ...], messages: dict[str, object], **parameters: str) -> None:
    """Registers a scenario for each message: its reply, and what a reader gets of it."""
    for name, message in messages.items():
        def play(stage: Stage, message: object = message) -> None:
            topic = stage.topic()
            reader = stage.reader(topic)
            producer = stage.producer(topic, **parameters)
            producer.send(message)
            reply = producer.json()
            if reply and reply.get("result") == "ok":
                # Nobody here can decrypt what a client encrypted.
                reader.quiet() if "encryptionKeys" in parameters else reader.read()

        scenario(f"{group_name}/{name}", *rows)(play)


A = {"payload": "YQ=="}

told("publish", ("publish payload", "reply ok", "messageId unbatched"), {
    "plain": A, "empty-payload": {"payload": ""}, "all-bytes": {"payload": "AAEC/f7/"},
    "large": {"payload": "QUJD" * 20_000},
})
told("publish", ("publish context",), {
    "context": {**A, "context": "ä\u2028\"\\/\n"}, "context-empty": {**A, "context": ""},
    "context-null": {**A, "context": None}, "context-lone-surrogate": '{"payload":"YQ==","context":"a\\ud800b"}',
})
told("publish", ("publish key", "delivery key"), {
    "key": {**A, "key": "k"}, "key-empty": {**A, "key": ""}, "key-null": {**A, "key": None},
})
told("publish", ("publish properties",), {
    "properties": {**A, "properties": {"a": "1"}}, "properties-empty": {**A, "properties": {}},
    "properties-null": {**A, "properties": None}, "type-properties-text": {**A, "properties": ""},
    "properties-twice": '{"payload":"YQ==","properties":{"a":"1","a":"2"}}',
    "type-properties-list": {**A, "properties": []}, "type-properties-nested": {**A, "properties": {"a": {}}},
})
told("publish", ("publish replicationClusters",), {
    "clusters-none": {**A, "replicationClusters": []}, "clusters-own": {**A, "replicationClusters": ["standalone"]},
    "type-clusters-text": {**A, "replicationClusters": "x"},
})
told("publish", ("publish eventTime", "publish eventTime grammar", "delivery times"), {
    f"event-time-{name}": {**A, "eventTime": value} for name, value in {
        "zulu": "2021-01-02T03:04:05.678Z", "offset": "2021-01-02T03:04:05+01:00", "no-seconds": "2021-01-02T03:04+01",
        "nanoseconds": "2021-01-02T03:04:05.123456789Z", "seconds-of-offset": "2021-01-02T03:04:05+01:02:03",
        "lower-case": "2021-01-02t03:04:05z", "trimmed": "2021-01-02T03:04:05.500Z", "before-1970": "1969-12-31T23:59:59.999Z",
        "epoch": "1970-01-01T00:00:00Z", "no-offset": "2021-01-02T03:04:05", "date": "2021-01-02", "no-date": "x",
        "february-30": "2021-02-30T00:00:00Z", "hour-24": "2021-01-02T24:00:00Z", "year-10000": "+10000-01-01T00:00:00Z",
        "year-10000-plain": "10000-01-01T00:00:00Z", "empty": "", "number": 5, "space": "2021-01-02 03:04:05Z",
    }.items()
})
told("publish", ("publish deliverAt", "publish deliverAfterMs", "publish number forms"), {
    **{f"deliver-{name}": {**A, **fields} for name, fields in {
        "at-past": {"deliverAt": 1}, "at-negative": {"deliverAt": -1}, "at-text": {"deliverAt": "1"},
        "at-decimal": {"deliverAt": 1.9}, "at-empty": {"deliverAt": ""}, "at-null": {"deliverAt": None},
        "after-one": {"deliverAfterMs": 1}, "after-zero": {"deliverAfterMs": 0}, "both": {"deliverAt": 1, "deliverAfterMs": 1},
    }.items()},
    **{f"type-deliver-{name}": {**A, "deliverAt": value} for name, value in {
        "word": "x", "true": True, "overflow": 9223372036854775808, "exponent": "1e2",
    }.items()},
})
told("publish", ("publish ignored fields",), {
    "ignored-fields": {**A, "sequenceId": 7, "disableReplication": True, "schemaVersion": "1", "keySchema": "a",
                       "valueSchema": "b", "what": {"ever": [1]}},
    "type-sequence-word": {**A, "sequenceId": "x"}, "type-boolean-word": {**A, "disableReplication": "x"},
    "ignored-encryption": {**A, "encryptionParam": "!", "compressionType": "LZ4", "uncompressedMessageSize": 3},
})
told("publish", ("publish string scalars",), {
    "scalars": '{"payload":"YQ==","context":5.50,"key":1e3,"properties":{"a":true}}',
    "scalar-payload": '{"payload":1234}', "scalar-false": '{"payload":"YQ==","context":false}',
    "type-scalar-object": '{"payload":"YQ==","context":{}}', "type-scalar-list": '{"payload":"YQ==","key":[]}',
})
told("publish", ("publish JSON rules", "error 3"), {
    "json-trailing": '{"payload":"YQ=="}garbage', "json-twice": '{"payload":"YQ=="}{"payload":"Yg=="}',
    "json-whitespace": ' \t\r\n{"payload":"YQ=="}\n', "json-duplicate": '{"payload":"YQ==","payload":"Yg=="}',
    "json-case": '{"Payload":"YQ=="}', "json-garbage": "garbage", "json-empty": "", "json-list": "[]", "json-text": '"x"',
    "json-number": "5", "json-comment": '{/*x*/"payload":"YQ=="}', "json-quotes": "{'payload':'YQ=='}",
    "json-unquoted": '{payload:"YQ=="}', "json-comma": '{"payload":"YQ==",}', "json-nan": '{"payload":"YQ==","deliverAt":NaN}',
    "json-control": '{"payload":"YQ==","context":"a\tb"}', "json-bom": '\ufeff{"payload":"YQ=="}',
    "json-cut": '{"payload":"YQ=="', "json-escape": '{"payload":"YQ\\u003d="}', "json-bad-escape": '{"payload":"YQ==","context":"\\x"}',
})
told("publish", ("publish base64 rules", "error 7", "reply send-error"), {
    f"base64-{name}": {"payload": value, "context": "c"} for name, value in {
        "unpadded": "YQ", "trailing-bits": "YR==", "excess-padding": "YQ===", "one-character": "Y", "url-safe": "_-8=",
        "space": "Y Q==", "newline": "YQ==\n", "padding-inside": "Y=Q=", "non-ASCII": "ä===", "half-padded": "YQ=",
    }.items()
})
told("publish", ("error 7",), {"no-payload": {"context": "c"}, "null-payload": {"payload": None, "context": "c"}, "null": "null"})
told("publish", ("publish 1011",), {
    "null-property": {**A, "properties": {"a": None}}, "null-cluster": {**A, "replicationClusters": [None]},
})
told("publish", ("publish encryptionParam", "encryptionKeys client side"), {
    f"client-side-{name}": {**A, **fields} for name, fields in {
        "param": {"encryptionParam": "AAEC"}, "compressed": {"encryptionParam": "AAEC", "compressionType": "LZ4", "uncompressedMessageSize": 1},
        "bad-param": {"encryptionParam": "!"}, "half": {"encryptionParam": "AAEC", "compressionType": "LZ4"},
    }.items()
}, encryptionKeys="eyJhIjp7ImtleVZhbHVlIjoiQUFFQyIsIm1ldGFkYXRhIjp7Im0iOiIxIn19fQ==")


@scenario("publish/order", "publish order")
def order(stage: Stage) -> None:
    producer = stage.producer(stage.topic())
    producer.send(*[{"payload": "YQ==", "context": str(number)} for number in range(20)])
    producer.read(20)


@scenario("publish/error-goes-on", "error 3", "error 7")
def goes_on(stage: Stage) -> None:
    producer = stage.producer(stage.topic())
    for message in ("x", {"payload": "!", "context": "1"}, {"payload": "YQ==", "context": "2"}):
        producer.send(message)
        producer.read()


@scenario("publish/sequence", "producer initialSequenceId")
def sequence(stage: Stage) -> None:
    producer = stage.producer(stage.topic(), initialSequenceId="41", producerName="numbered")
    producer.publish("YQ==")
    producer.publish("Yg==")


@scenario("publish/terminated", "error 8")
def terminated(stage: Stage) -> None:
    topic = stage.topic()
    producer = stage.producer(topic)
    producer.publish("YQ==")
    stage.broker.admin("POST", f"persistent/public/default/{topic}/terminate")
    producer.publish("Yg==", context="c")
    producer.publish("Yg==", context="d")


@scenario("publish/too-large", "error 8", webSocketMaxTextFrameSize="10000000")
def too_large(stage: Stage) -> None:
    producer = stage.producer(stage.topic())
    producer.publish("QUJD" * 1_835_008, context="c")
    producer.publish("YQ==")


@scenario("publish/queue-full", "producer maxPendingMessages", "error 8")
def queue_full(stage: Stage) -> None:
    """More than may wait for a batch that only its delay closes."""
    producer = stage.producer(
        stage.topic(), batchingEnabled="true", maxPendingMessages="2", batchingMaxPublishDelay="400", producerName="full")
    producer.send(*[{"payload": "YQ==", "context": str(number)} for number in range(3)])
    producer.read(3)


@scenario("publish/batched", "producer batchingEnabled", "producer batchingMaxMessages", "messageId batched",
          "producer batchingMaxPublishDelay")
def batched(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic)
    producer = stage.producer(topic, batchingEnabled="true", batchingMaxMessages="3", batchingMaxPublishDelay="60000")
    producer.send(*[{"payload": "YQ==", "context": str(number), "key": "k", "properties": {"n": str(number)}} for number in range(3)])
    producer.read(3)
    for text in consumer.read(3):
        consumer.ack(json.loads(text))


@scenario("publish/batch-of-one", "producer batchingEnabled", "messageId unbatched")
def batch_of_one(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic)
    producer = stage.producer(topic, batchingEnabled="true", batchingMaxPublishDelay="5")
    producer.publish("YQ==", context="c")
    consumer.read()


@scenario("publish/batch-with-delay", "publish deliverAt", "producer batchingEnabled")
def batch_with_delay(stage: Stage) -> None:
    """A message with a time of its own goes alone."""
    topic = stage.topic()
    consumer = stage.consumer(topic, subscriptionType="Shared")
    producer = stage.producer(topic, batchingEnabled="true", batchingMaxPublishDelay="200")
    producer.send({"payload": "MQ==", "context": "1"}, {"payload": "Mg==", "context": "2"},
                  {"payload": "Mw==", "context": "3", "deliverAfterMs": 1}, {"payload": "NA==", "context": "4"})
    producer.read(4)
    consumer.read(4)


for kind in ("LZ4", "ZLIB", "ZSTD", "SNAPPY"):
    def compressed(stage: Stage, kind: str = kind) -> None:
        topic = stage.topic()
        consumer = stage.consumer(topic)
        producer = stage.producer(topic, compressionType=kind)
        producer.publish("QUJD" * 3000)
        consumer.read()

    scenario(f"publish/compressed-{kind}", "producer compressionType")(compressed)


@scenario("publish/routed-by-key", "producer hashingScheme", "messageId partitioned", "topic partitioned")
def routed_by_key(stage: Stage) -> None:
    topic = stage.partitioned(5)
    for scheme in ("JavaStringHash", "Murmur3_32Hash"):
        producer = stage.producer(topic, label=scheme, hashingScheme=scheme)
        for key in ("", "a", "key-1", "key-2", "ä", "\U0001f600", "a longer key than the others"):
            producer.publish("YQ==", key=key)


@scenario("publish/round-robin", "producer messageRoutingMode", "topic partitioned")
def round_robin(stage: Stage) -> None:
    """Where it begins is a matter of chance, so what is compared is how many each partition gets."""
    topic = stage.partitioned(3)
    consumers = [stage.consumer(f"{topic}-partition-{number}", label=f"partition-{number}") for number in range(3)]
    producer = stage.producer(topic, label="producer", messageRoutingMode="RoundRobinPartition")
    quiet, stage.transcript.lines = stage.transcript.lines, []
    for _ in range(6):
        producer.publish("YQ==")
    counts = [len(consumer.read(2, seconds=5)) for consumer in consumers]
    stage.transcript.lines = quiet
    stage.note("messages of each partition", counts)


@scenario("publish/single-partition", "producer messageRoutingMode", "topic partitioned")
def single_partition(stage: Stage) -> None:
    producer = stage.producer(stage.partitioned(3), label="producer")
    quiet, stage.transcript.lines = stage.transcript.lines, []
    ids = {producer.publish("YQ==") is not None for _ in range(3)}
    partitions = {line.value.split("partition=")[1].split(" ")[0] for line in stage.transcript.lines if "partition=" in line.value}
    stage.transcript.lines = quiet
    stage.note("published", ids)
    stage.note("partitions", len(partitions))
