"""Parameters of all endpoints: what is taken, what is refused and with which text."""

from __future__ import annotations

import base64
import json

from harness.raw import UPGRADE

from ..catalogue import scenario
from ..stage import Stage

SUBSCRIPTION = {"consumer": "sub"}


def asks(kind: str, row: str, name: str, **parameters: str) -> None:
    """Registers a scenario that opens one session with these parameters and sees the answer."""
    @scenario(f"parameters/{kind}-{name}", row)
    def opens(stage: Stage) -> None:
        stage.open(kind, stage.topic(), SUBSCRIPTION.get(kind), **parameters)


def table(kind: str, parameter: str, values: dict[str, str], **others: str) -> None:
    for name, value in values.items():
        asks(kind, f"{kind} {parameter}", f"{parameter}-{name}", **{parameter: value}, **others)


NUMBERS = {"word": "x", "empty": "", "plus": "+2000", "overflow": "2147483648", "decimal": "2000.0", "spaced": " 2000"}

table("producer", "producerName", {"given": "somebody-1", "empty": "", "blank": " "})
table("producer", "initialSequenceId", {"zero": "0", "negative": "-5", "word": "x", "long": "4611686018427387904",
                                        "overflow": "9223372036854775808"})
table("producer", "hashingScheme", {"java": "JavaStringHash", "murmur": "Murmur3_32Hash", "case": "javastringhash", "empty": ""})
table("producer", "sendTimeoutMillis", {**NUMBERS, "zero": "0", "negative": "-1"})
table("producer", "messageRoutingMode", {"single": "SinglePartition", "round": "RoundRobinPartition",
                                         "custom": "CustomPartition", "bad": "x", "empty": ""})
table("producer", "batchingEnabled", {"true": "true", "upper": "TRUE", "word": "yes", "empty": ""})
table("producer", "batchingMaxMessages", {"word": "x", "zero": "0", "negative": "-1"}, batchingEnabled="true")
table("producer", "maxPendingMessages", {"word": "x", "zero": "0", "negative": "-1", "ten": "10"}, batchingEnabled="true")
table("producer", "batchingMaxPublishDelay", {"word": "x", "zero": "0", "one": "1"}, batchingEnabled="true")
table("producer", "compressionType", {"none": "NONE", "lz4": "LZ4", "zlib": "ZLIB", "zstd": "ZSTD", "snappy": "SNAPPY",
                                      "case": "lz4", "empty": ""})
for unparsed in ("batchingMaxMessages", "maxPendingMessages", "batchingMaxPublishDelay"):
    asks("producer", f"producer {unparsed}", f"{unparsed}-without-batching", **{unparsed: "x"})

table("consumer", "ackTimeoutMillis", {"zero": "0", "small": "999", "thousand": "1000", "negative": "-1", **NUMBERS})
table("consumer", "subscriptionType", {"exclusive": "Exclusive", "shared": "Shared", "failover": "Failover",
                                       "key-shared": "Key_Shared", "case": "shared", "empty": ""})
table("consumer", "subscriptionMode", {"durable": "Durable", "non-durable": "NonDurable", "bad": "x"})
table("consumer", "subscriptionInitialPosition", {"latest": "Latest", "earliest": "Earliest", "case": "earliest"})
table("consumer", "receiverQueueSize", {"zero": "0", "negative": "-1", "large": "5000", **NUMBERS})
table("consumer", "consumerName", {"given": "me", "blank": " "})
table("consumer", "priorityLevel", {"two": "2", "negative": "-1", "word": "x"})
table("consumer", "negativeAckRedeliveryDelay", {"zero": "0", "negative": "-1", "word": "x"})
table("consumer", "maxRedeliverCount", {"two": "2", "zero": "0", "negative": "-1", "word": "x"}, subscriptionType="Shared")
table("consumer", "deadLetterTopic", {"alone": "dead", "empty": ""})
table("consumer", "pullMode", {"true": "true", "upper": "True", "one": "1"})
table("consumer", "cryptoFailureAction", {"fail": "FAIL", "consume": "CONSUME", "bad": "x"})

table("reader", "readerName", {"given": "me", "blank": " "})
table("reader", "receiverQueueSize", {"negative": "-1", "large": "5000", "word": "x", "empty": ""})
table("reader", "messageId", {"earliest": "earliest", "latest": "latest", "case": "Earliest", "blank": "", "junk": "!!",
                              "no-id": "AAAA", "id": "CAAQADAA", "url-safe": "__8="})
table("reader", "cryptoFailureAction", {"bad": "x"})


@scenario("parameters/rules", "parameter rules")
def rules(stage: Stage) -> None:
    path = f"/ws/v2/producer/persistent/public/default/{stage.topic()}"
    for name, query in {
        "unknown name": "what=ever", "other case": "HashingScheme=x", "first of two": "sendTimeoutMillis=x&sendTimeoutMillis=1",
        "second of two": "sendTimeoutMillis=1&sendTimeoutMillis=x", "no value": "sendTimeoutMillis", "escaped": "sendTimeoutMillis=%31",
        "name escaped": "sendTimeout%4dillis=x", "plus is a space": "producerName=+", "empty pieces": "&&a=b&&",
        "digits of another script": "sendTimeoutMillis=%D9%A1%D9%A2",
    }.items():
        stage.request(f"{path}?{query}", headers=UPGRADE, label=name)


@scenario("parameters/producer-name-taken", "create 409", "producer producerName")
def name_taken(stage: Stage) -> None:
    topic = stage.topic()
    stage.producer(topic, label="first", producerName="mine")
    stage.producer(topic, label="second", producerName="mine")


@scenario("parameters/exclusive-taken", "create 409", "consumer subscriptionType")
def exclusive_taken(stage: Stage) -> None:
    topic = stage.topic()
    stage.consumer(topic, label="first")
    stage.consumer(topic, label="second")
    stage.consumer(topic, label="another type", subscriptionType="Shared")


@scenario("parameters/non-durable-on-durable", "create 500", "consumer subscriptionMode")
def non_durable_on_durable(stage: Stage) -> None:
    topic = stage.topic()
    stage.consumer(topic, label="durable").close()
    stage.wait(0.3)
    stage.consumer(topic, label="non-durable", subscriptionMode="NonDurable")


@scenario("parameters/terminated", "create 503", "create reader 500")
def terminated(stage: Stage) -> None:
    topic = stage.topic()
    stage.producer(topic, label="before").publish("YQ==")
    stage.broker.admin("POST", f"persistent/public/default/{topic}/terminate")
    stage.producer(topic, label="producer")
    stage.consumer(topic, label="consumer")
    stage.reader(topic, label="reader")
    stage.reader(f"{topic}-partition-3", label="reader of no partition")


@scenario("parameters/queue-of-partitions", "consumer receiverQueueSize partitioned")
def queue_of_partitions(stage: Stage) -> None:
    topic = stage.partitioned(2)
    stage.consumer(topic, label="ten", receiverQueueSize="10")


def keys(**of: object) -> str:
    return base64.b64encode(json.dumps(of).encode()).decode()


@scenario("parameters/encryption-keys", "producer encryptionKeys", "encryptionKeys client side", "encryptionKeys names")
def encryption_keys(stage: Stage) -> None:
    topic = stage.topic()
    for name, value in {
        "one": keys(a={"keyValue": "AAAA", "metadata": {"m": "1"}}), "blank name": keys(**{" ": {"keyValue": "AAAA"}}),
        "second without value": keys(a={"keyValue": "AAAA"}, b={"metadata": {}}),
        "names": "a,b", "empty": "", "empty object": keys(),
    }.items():
        stage.producer(topic, label=name, encryptionKeys=value)


@scenario("parameters/encryption-keys-forms", "producer encryptionKeys", "encryptionKeys client side", "encryptionKeys names")
def encryption_keys_forms(stage: Stage) -> None:
    """What is read as keys, what as names, and what as neither. Whatever opens can publish."""
    topic = stage.topic()
    one = {"keyValue": "AAAA"}
    for name, value in {
        "no value": keys(a={"keyValue": None}), "no metadata": keys(a=one), "metadata null": keys(a={**one, "metadata": None}), "number in metadata": keys(a={**one, "metadata": {"a": 1}}),
        "nested metadata": keys(a={**one, "metadata": {"a": {}}}), "list": base64.b64encode(b"[]").decode(), "text": base64.b64encode(b'"a"').decode(), "empty value": keys(a={"keyValue": ""}),
        "value that is no base64": keys(a={"keyValue": "!!"}), "unknown member": keys(a={**one, "x": 1}), "null": keys(a=None), "empty name": keys(**{"": one}), "number": keys(a=5),
        "second null": keys(a=one, b=None), "unpadded": keys(a=one).rstrip("="), "trailing": base64.b64encode(b'{"a":{"keyValue":"AAAA"}}x').decode(), "empty among names": "a,,b", "blank": " ",
        "same name twice": base64.b64encode(b'{"a":{"keyValue":"AAAA"},"a":{"keyValue":"AAEC"}}').decode(),
    }.items():
        producer = stage.producer(topic, label=name, encryptionKeys=value, batchingEnabled="true", maxPendingMessages="x")
        producer.publish("YQ==", encryptionParam="AAEC")
    consumer = stage.consumer(topic, subscriptionInitialPosition="Earliest", cryptoFailureAction="CONSUME")
    consumer.quiet(1)
