"""Statistics, status, and the examples of the documentation."""

from __future__ import annotations

import json
import tempfile

from ..catalogue import scenario
from ..stage import Stage

STATUS_FILE = tempfile.NamedTemporaryFile(prefix="pulsar-ws-status-")


@scenario("around/stats-of-topic", "stats topic", "path admin stats v2", "path admin stats v1")
def stats_of_topic(stage: Stage) -> None:
    topic = stage.topic()
    consumer = stage.consumer(topic, subscriptionType="Shared")
    reader = stage.reader(topic)
    producer = stage.producer(topic)
    producer.publish("YQ==")
    consumer.ack(consumer.json())
    reader.read()
    stage.wait(0.5)
    for label, path in {"v2": f"/admin/v2/proxy-stats/persistent/public/default/{topic}/stats",
                        "v1": f"/admin/proxy-stats/public/standalone/default/{topic}/stats"}.items():
        answer = stage.request(path, label=label)
        if answer and answer.status == 200:
            stage.transcript.lines = [line for line in stage.transcript.lines if line.field != f"{label}.body"]
            stats = json.loads(answer.text)
            stats["consumerStats"].sort(key=lambda one: one["subscriptionType"])
            for one in stats["consumerStats"]:
                if one["subscriptionName"].startswith("reader-"):
                    one["subscriptionName"] = "reader-<name>"
            stage.note(f"{label}.body", json.dumps(stats))


# A service of its own: the Java service fails when a session opens or ends while it counts.
@scenario("around/stats", "stats all", webSocketPingDurationSeconds="0")
def stats(stage: Stage) -> None:
    topic = stage.topic()
    stage.producer(topic)
    answer = stage.request("/admin/v2/proxy-stats/stats", label="stats")
    stage.transcript.lines = [line for line in stage.transcript.lines if line.field != "stats.body"]
    if answer and answer.status == 200:
        stage.note("stats.topic", json.dumps(json.loads(answer.text).get(f"persistent://public/default/{topic}")))


@scenario("around/stats-absent", "stats absent topic")
def stats_absent(stage: Stage) -> None:
    topic = stage.topic()
    for label, path in {"v2": f"/admin/v2/proxy-stats/persistent/public/default/{topic}/stats",
                        "v1": f"/admin/proxy-stats/public/standalone/default/{topic}/stats",
                        "wrong": "/admin/v2/proxy-stats/nothing", "root": "/admin/v2/proxy-stats"}.items():
        stage.request(path, label=label)


@scenario("around/metrics", "stats metrics")
def metrics(stage: Stage) -> None:
    answer = stage.request("/admin/v2/proxy-stats/metrics", label="metrics")
    stage.transcript.lines = [line for line in stage.transcript.lines if line.field != "metrics.body"]
    if answer and answer.status == 200:
        stage.note("metrics.is a list", isinstance(json.loads(answer.text), list))


@scenario("around/status-absent", "status.html absent", "path status.html")
def status_absent(stage: Stage) -> None:
    stage.request("/status.html")


@scenario("around/status", "status.html present", "path status.html", statusFilePath=STATUS_FILE.name)
def status(stage: Stage) -> None:
    stage.request("/status.html")


@scenario("around/examples", "example producer", "example consumer", "example acknowledge")
def examples(stage: Stage) -> None:
    """The messages of the documentation's page on the API, as they stand there."""
    topic = stage.topic()
    consumer = stage.consumer(topic)
    producer = stage.producer(topic)
    producer.send('{"payload": "SGVsbG8gV29ybGQ=", "properties": {"key1": "value1", "key2": "value2"}, "context": "1"}')
    producer.read()
    delivery = consumer.json()
    consumer.ack(delivery)
