"""What the service says about itself: statistics after known traffic, and whether it is in use."""

from __future__ import annotations

import json
import re
import tempfile
import time

from harness.raw import Answer

from ..catalogue import scenario
from ..stage import Stage
from .consume import filled

STATUS_FILE = tempfile.NamedTemporaryFile(prefix="pulsar-ws-status-")
V1 = "/admin/proxy-stats"
V2 = "/admin/v2/proxy-stats"
ROOTS = (V2, V1)
# How many messages were delivered to it, of every session.
COUNTS = re.compile(r'"numberOfMsg(?:Published|Delivered)":(\d+)')


def in_order(stats: dict) -> dict:
    """The sessions in an order of their own, since Java's is chance, and readers without their random names."""
    for one in stats["consumerStats"]:
        one["subscriptionName"] = re.sub(r"^(reader|multiTopicsReader)-[0-9a-f]{10}$", r"\1-<name>", one["subscriptionName"])
    for sessions in stats.values():
        sessions.sort(key=lambda one: json.dumps({**one, "remoteConnection": ""}))
    return stats


def counted(stage: Stage, path: str, label: str, total: int) -> Answer | None:
    """The statistics of a topic, once they add up to that: Java counts a moment after it has told the client."""
    deadline = time.monotonic() + 5
    while True:
        lines, stage.transcript.lines = stage.transcript.lines, []
        answer = stage.request_unseen(path, label=label)
        lines, stage.transcript.lines = stage.transcript.lines, lines
        is_there = answer and answer.status == 200
        if not is_there or sum(map(int, COUNTS.findall(answer.text))) == total or time.monotonic() > deadline:
            break
        stage.wait(0.05)
    stage.transcript.lines += lines
    if answer and answer.headers.get("content-type") == "application/json":
        found = json.loads(answer.text)
        stage.note(f"{label}.body", json.dumps(in_order(found) if is_there else found))
    return answer


@scenario("statistics/topic", "stats topic", "path admin stats v2", "path admin stats v1")
def topic_of_version_2(stage: Stage) -> None:
    """Version 1 of the statistics does not know topics of version 2."""
    topic = stage.topic()
    consumer = stage.consumer(topic, subscriptionType="Shared")
    reader = stage.reader(topic)
    producer = stage.producer(topic)
    producer.publish("YQ==")
    consumer.ack(consumer.json())
    reader.read()
    counted(stage, f"{V2}/persistent/public/default/{topic}/stats", "v2", 3)
    counted(stage, f"{V1}/public/standalone/default/{topic}/stats", "v1", 3)


@scenario("statistics/topic-v1", "stats topic v1", "path admin stats v1")
def topic_of_version_1(stage: Stage) -> None:
    topic = stage.topic()
    names = "persistent/public/standalone/default"
    consumer = stage.open_path(f"/ws/consumer/{names}/{topic}/my-sub?subscriptionType=Failover", "consumer")
    reader = stage.open_path(f"/ws/reader/{names}/{topic}", "reader")
    producer = stage.open_path(f"/ws/producer/{names}/{topic}", "producer")
    for _ in range(3):
        producer.publish("YQ==")
        consumer.ack(consumer.json())
        reader.read()
    counted(stage, f"{V1}/public/standalone/default/{topic}/stats", "v1", 9)
    counted(stage, f"{V2}/persistent/public/default/{topic}/stats", "v2", 9)
    counted(stage, f"{V2}/persistent/public/standalone/default/{topic}/stats", "v2 with cluster", 9)


@scenario("statistics/topic-non-persistent", "stats topic non-persistent")
def topic_not_persistent(stage: Stage) -> None:
    topic = stage.topic()
    names = "non-persistent/public/default"
    consumer = stage.open_path(f"/ws/v2/consumer/{names}/{topic}/my-sub", "consumer")
    producer = stage.open_path(f"/ws/v2/producer/{names}/{topic}", "producer")
    producer.publish("YQ==")
    consumer.ack(consumer.json())
    counted(stage, f"{V2}/{names}/{topic}/stats", "of its own", 2)
    counted(stage, f"{V2}/persistent/public/default/{topic}/stats", "persistent", 2)


@scenario("statistics/topic-partitioned", "stats topic partitioned")
def topic_partitioned(stage: Stage) -> None:
    """Sessions count under the name that they asked for."""
    topic = stage.partitioned(2)
    consumer, reader = stage.consumer(topic), stage.reader(topic)
    one = stage.consumer(f"{topic}-partition-1", "other", label="one")
    producer = stage.producer(topic)
    for key in ("a", "b", "c", "d"):
        producer.publish("YQ==", key=key)
        consumer.ack(consumer.json())
        reader.read()
    mine = len(one.read(2))
    counted(stage, f"{V2}/persistent/public/default/{topic}/stats", "whole", 12)
    counted(stage, f"{V2}/persistent/public/default/{topic}-partition-1/stats", "one", mine)
    counted(stage, f"{V2}/persistent/public/default/{topic}-partition-0/stats", "none", 0)


@scenario("statistics/failures", "stats topic")
def failures(stage: Stage) -> None:
    """What is refused is not published, what comes again is delivered again."""
    topic = stage.topic()
    consumer = stage.consumer(topic, subscriptionType="Shared", negativeAckRedeliveryDelay="100")
    producer = stage.producer(topic)
    for message in ({"payload": "!"}, {"payload": "Y"}, {"payload": "YQ=="}):
        producer.send(message)
        producer.read()
    for _ in range(2):
        consumer.nack(consumer.json())
    consumer.ack(consumer.json())
    counted(stage, f"{V2}/persistent/public/default/{topic}/stats", "v2", 4)


@scenario("statistics/topic-text", "stats topic")
def topic_text(stage: Stage) -> None:
    """How a topic's name may be written in the path."""
    topic = stage.topic()
    stage.consumer(f"{topic} ä+", "my sub/ä")
    for name, text in {"escaped": f"{topic}%20%C3%A4%2B", "plus": f"{topic}+%C3%A4%2B", "bare": f"{topic} ä+".replace(" ", "%20")}.items():
        counted(stage, f"{V2}/persistent/public/default/{text}/stats".encode().decode("latin-1"), name, 0)


def listed(stage: Stage) -> None:
    """All that is in the statistics. Topics without sessions are in Java's for ever, and left out here."""
    stage.wait(0.5)
    for root in ROOTS:
        answer = stage.request_unseen(f"{root}/stats", label=root)
        if answer and answer.status == 200:
            found = [
                (re.sub(r"MultiTopicsConsumer-\w{5}$", "MultiTopicsConsumer-<name>", stage.transcript.normalised(name)), json.dumps(in_order(of)))
                for name, of in json.loads(answer.text).items() if of["producerStats"] or of["consumerStats"]]
            for name, of in sorted(found):
                stage.note(f"{root} {name}", of)


# Services of their own: the Java service fails when a session opens or ends while it counts.
@scenario("statistics/all", "stats all", "stats all v1", webSocketPingDurationSeconds="0")
def everything(stage: Stage) -> None:
    topic = stage.topic()
    stage.reader(topic)
    stage.open_path(f"/ws/producer/persistent/public/standalone/default/{topic}", "v1").publish("YQ==")
    stage.open_path(f"/ws/v2/consumer/non-persistent/public/default/{topic}/sub?subscriptionMode=NonDurable", "non-persistent")
    stage.producer(topic).publish("YQ==")
    listed(stage)


@scenario("statistics/all-several", "stats v3", webSocketPingDurationSeconds="-1")
def several(stage: Stage) -> None:
    first, second, third = stage.topic("first"), stage.topic("second"), stage.topic("third")
    consumers = [
        stage.open_path(f"/ws/v3/consumer/several?topics={first},{second}&subscriptionType=Key_Shared", "several"),
        stage.open_path(f"/ws/v3/consumer/one?topics={third}&subscriptionType=Shared", "one"),
        stage.open_path(f"/ws/v3/consumer/whole?topics=persistent://public/default/{third}&subscriptionType=Shared", "whole"),
        stage.open_path(f"/ws/v3/consumer/pattern?topicsPattern=public/default/{first}.*", "pattern"),
    ]
    filled(stage, first, 1)
    for consumer in (consumers[0], consumers[3]):
        consumer.ack(consumer.json())
    listed(stage)


@scenario("statistics/absent", "stats absent topic")
def absent(stage: Stage) -> None:
    topic = stage.topic()
    for label, path in {"v2": f"{V2}/persistent/public/default/{topic}/stats", "v1": f"{V1}/public/standalone/default/{topic}/stats",
                        "wrong": f"{V2}/nothing", "root": V2}.items():
        stage.request(path, label=label)


@scenario("statistics/metrics", "stats metrics")
def metrics(stage: Stage) -> None:
    for root in ROOTS:
        answer = stage.request_unseen(f"{root}/metrics", label=root)
        if answer and answer.status == 200:
            stage.note(f"{root} is a list", isinstance(json.loads(answer.text), list))


@scenario("statistics/status-absent", "status.html absent", "path status.html")
def status_absent(stage: Stage) -> None:
    stage.request("/status.html")


@scenario("statistics/status", "status.html present", "path status.html", statusFilePath=STATUS_FILE.name)
def status(stage: Stage) -> None:
    stage.request("/status.html")
