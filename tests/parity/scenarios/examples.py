"""The examples of the API's documentation: its URLs, messages and programs, as they stand there."""

from __future__ import annotations

import base64
import json
import re

from harness.programs import LANGUAGES, example

from ..catalogue import scenario
from ..stage import Socket, Stage

V1 = "persistent/public/standalone/default"
V2 = "persistent/public/default"
PUBLISH = '{"payload": "SGVsbG8gV29ybGQ=", "properties": {"key1": "value1", "key2": "value2"}, "context": "1"}'
PERMIT = '{"type": "permit", "permitMessages": 100}'
IS_END_OF_TOPIC = '{"type": "isEndOfTopic"}'
CURL = {"User-Agent": "curl/7.88.1", "Accept": "*/*"}


def ack(socket: Socket, delivery: dict | None) -> None:
    socket.send('{"messageId": "%s"}' % (delivery or {}).get("messageId"))


@scenario("examples/urls", "example URL v1", "example URL v2", "example URL v3", "example URL token")
def urls(stage: Stage) -> None:
    for version, names in {"/ws": V1, "/ws/v2": V2}.items():
        topic = stage.topic(version.strip("/").replace("/", "-"))
        for token in ("", "?token=token"):
            label = f"{version}{token} "
            consumer = stage.open_path(f"{version}/consumer/{names}/{topic}/my-sub{token}", f"{label}consumer")
            reader = stage.open_path(f"{version}/reader/{names}/{topic}{token}", f"{label}reader")
            producer = stage.open_path(f"{version}/producer/{names}/{topic}{token}", f"{label}producer")
            producer.send(PUBLISH)
            producer.read()
            ack(consumer, consumer.json())
            ack(reader, reader.json())
            consumer.close()
            stage.wait(0.3)
    topic = stage.topic()
    consumer = stage.open_path(f"/ws/v3/consumer/my-sub?topics={V2.replace('/', '://', 1)}/{topic}", "/ws/v3 consumer")
    stage.producer(topic).send(PUBLISH)
    ack(consumer, consumer.json())


@scenario("examples/publish", "example producer", "example success reply")
def publish(stage: Stage) -> None:
    producer = stage.producer(stage.topic())
    producer.send(PUBLISH)
    producer.read()


@scenario("examples/publish-failure", "example failure reply")
def publish_failure(stage: Stage) -> None:
    producer = stage.producer(stage.topic())
    producer.send(PUBLISH[:-1])
    producer.read()


@scenario("examples/consume", "example consumer", "example acknowledge", "example negative acknowledge", "example end of topic")
def consume(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic, subscriptionType="Shared", negativeAckRedeliveryDelay="200")
    producer = stage.producer(topic)
    producer.send(PUBLISH)
    producer.read()
    delivery = consumer.json()
    consumer.send('{"type": "negativeAcknowledge", "messageId": "%s"}' % (delivery or {}).get("messageId"))
    ack(consumer, consumer.json())
    consumer.send(IS_END_OF_TOPIC)
    consumer.read()
    consumer.quiet()
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0))


@scenario("examples/documented-id", "example acknowledge", "example negative acknowledge")
def documented_id(stage: Stage) -> None:
    """The documentation's message id, in the form of long ago: nobody was sent it."""
    consumer = stage.consumer(stage.topic())
    consumer.send('{"messageId": "CAAQAw=="}', '{"type": "negativeAcknowledge", "messageId": "CAAQAw=="}', IS_END_OF_TOPIC)
    consumer.read()
    consumer.quiet()


@scenario("examples/flow-control", "example flow control", "example pull from another connection")
def flow_control(stage: Stage) -> None:
    """Pull mode, acknowledged by another connection."""
    topic = stage.topic()
    options = {"pullMode": "true", "subscriptionType": "Shared"}
    consumer = stage.consumer(topic, **options)
    other = stage.consumer(topic, label="other", **options)
    producer = stage.producer(topic)
    producer.send(PUBLISH)
    producer.read()
    consumer.quiet()
    consumer.send(PERMIT)
    ack(other, consumer.json())
    stage.note("backlog", stage.broker.until_backlog(topic, "sub", 0))


@scenario("examples/read", "example reader", "example reader acknowledge", "example reader end of topic")
def read(stage: Stage) -> None:
    topic = stage.topic()
    producer = stage.producer(topic)
    for _ in range(3):
        producer.send(PUBLISH)
        producer.read()
    reader = stage.reader(topic, messageId="earliest", receiverQueueSize="1")
    for _ in range(3):
        ack(reader, reader.json())
    reader.send(IS_END_OF_TOPIC)
    reader.read()


@scenario("examples/encryption", "example encryption keys", "example encryption context")
def encryption(stage: Stage) -> None:
    """The client encrypts, and another one is told what it needs to decrypt."""
    topic = stage.topic()
    consumer = stage.consumer(topic, cryptoFailureAction="CONSUME")
    keys = base64.b64encode(json.dumps({"client-rsa.pem": {"keyValue": "jEuwS+PeUzmCo7IfLNxqoj4h7txb", "metadata": {}}}).encode())
    producer = stage.producer(topic, encryptionKeys=keys.decode())
    for fields in ({}, {"compressionType": "NONE", "uncompressedMessageSize": 25}, {"compressionType": "ZSTD", "uncompressedMessageSize": 99}):
        producer.publish("hvXcJvHW7kOSrUn17P2q71RA5SdiXwZBqw==", encryptionParam="Tfu1PxVm6S9D3+Hk", **fields)
        ack(consumer, consumer.json())


@scenario("examples/parameters", "example producer parameters", "example consumer parameters", "example reader parameters")
def parameters(stage: Stage) -> None:
    """Every parameter with the value that the documentation gives as its default, or its first one."""
    topic = stage.topic()
    consumer = stage.consumer(
        topic, ackTimeoutMillis="0", subscriptionType="Shared", receiverQueueSize="1000", consumerName="my-consumer",
        priorityLevel="0", maxRedeliverCount="3", deadLetterTopic=f"{topic}-sub-DLQ", pullMode="false",
        negativeAckRedeliveryDelay="60000", token="token")
    reader = stage.reader(topic, readerName="my-reader", receiverQueueSize="1000", messageId="latest", token="token")
    producer = stage.producer(
        topic, sendTimeoutMillis="30000", batchingEnabled="true", batchingMaxMessages="1000", maxPendingMessages="1000",
        batchingMaxPublishDelay="10", messageRoutingMode="RoundRobinPartition", compressionType="LZ4", producerName="my-producer",
        initialSequenceId="0", hashingScheme="Murmur3_32Hash", token="token")
    producer.send(PUBLISH)
    producer.read()
    ack(consumer, consumer.json())
    ack(reader, reader.json())


def told(stage: Stage, field: str, line: str) -> None:
    """A program's line; the JSON in it as the service sends it, since Python prints it with spaces."""
    found = re.search(r"\{.*\}", line)
    if found:
        line = line.replace(found[0], json.dumps(json.loads(found[0]), separators=(",", ":"), ensure_ascii=False))
    stage.note(field, line)


def programs(stage: Stage, language: str, root: str, names: str) -> None:
    topic = stage.topic()
    base = f"ws://127.0.0.1:{stage.port}"
    with (example(language, "consumer", base, f"{root}/consumer/{names}/{topic}/my-sub") as consumer,
          example(language, "reader", base, f"{root}/reader/{names}/{topic}") as reader):
        told(stage, "consumer", consumer.lines.get(timeout=20))
        told(stage, "reader", reader.lines.get(timeout=20))
        with example(language, "producer", base, f"{root}/producer/{names}/{topic}") as producer:
            told(stage, "producer", producer.lines.get(timeout=20))
        told(stage, "consumer", consumer.lines.get(timeout=20))
        told(stage, "reader", reader.lines.get(timeout=20))


for language in LANGUAGES:
    for version, root, names in (("v1", "/ws", V1), ("v2", "/ws/v2", V2)):
        scenario(f"examples/{language}-{version}", *(f"example {language} {kind}" for kind in ("producer", "consumer", "reader")))(
            lambda stage, language=language, root=root, names=names: programs(stage, language, root, names))


@scenario("examples/curl", "example curl statistics", "example curl upgrade")
def curl(stage: Stage) -> None:
    """What one looks at with curl, which lets go of the answer's body where it is not compared."""
    topic = stage.topic()
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "SGVsbG8sIHdvcmxkIQ==", "Sec-WebSocket-Version": "13"}
    stage.request(f"/ws/v2/reader/{V2}/{topic}", headers=CURL | upgrade, label="upgrade")
    stage.request(f"/ws/v2/reader/{V2}/{topic}", headers=CURL, label="no upgrade")
    for path in ("/admin/v2/proxy-stats/metrics", "/admin/proxy-stats/metrics"):
        stage.request_unseen(path, headers=CURL, label=path)
    for path in (f"/admin/v2/proxy-stats/{V2}/{topic}-none/stats", f"/admin/proxy-stats/public/standalone/default/{topic}-none/stats"):
        stage.request(path, headers=CURL, label="none")
