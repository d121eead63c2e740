"""Metrics, read by programs that are not ours."""

from __future__ import annotations

import base64
import http.client
import re
from collections import Counter

import pytest
from hdrh.histogram import HdrHistogram
from prometheus_client.parser import text_string_to_metric_families

pytestmark = pytest.mark.ours_only("Java's service has no such metrics")

TAG = re.compile(r"^Tag=([^,]+),([0-9.]+),([0-9.]+),([0-9.]+),(\S+)$")


def get(service, path: str, method: str = "GET") -> tuple[int, dict, str]:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, dict(answer.headers), body


def families(service) -> dict:
    status, headers, body = get(service, "/metrics")
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return {family.name: family for family in text_string_to_metric_families(body)}


def sums(service) -> Counter:
    """Samples of all cores together, by name and labels."""
    found = Counter()
    for family in families(service).values():
        for sample in family.samples:
            labels = [value for name, value in sorted(sample.labels.items()) if name not in ("core", "version")]
            found["/".join([sample.name.removeprefix("pulsar_ws_"), *labels])] += sample.value
    return found


def histograms(service) -> dict[str, HdrHistogram]:
    """Those of `/metrics/hdr`, of all cores together."""
    status, headers, body = get(service, "/metrics/hdr")
    assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert body.startswith("#[Histogram log format version 1.3]\n")
    found: dict[str, HdrHistogram] = {}
    for line in body.splitlines():
        if line.startswith("#"):
            continue
        tag, _, interval, _, encoded = TAG.match(line).groups()
        core, name = tag.split(".")
        assert core.startswith("core") and float(interval) > 0
        decoded = HdrHistogram.decode(encoded)
        if name in found:
            found[name].add(decoded)
        else:
            found[name] = decoded
    return found


@pytest.fixture
def own(start, broker):
    """A service that nobody else talks to."""
    return start(broker)


def test_known_traffic_is_counted(own, topic):
    before = sums(own)
    assert before["published_messages_total"] == 0
    payload = base64.b64encode(b"x" * 100).decode()
    with (own.consumer(topic, subscriptionType="Shared") as consumer, own.producer(topic) as producer,
          own.producer(topic, batchingEnabled="true", batchingMaxMessages=10, batchingMaxPublishDelay=60_000) as batching):
        for _ in range(20):
            producer.send({"payload": payload})
        for _ in range(20):
            batching.send({"payload": payload})
        assert {producer.json()["result"] for _ in range(20)} == {"ok"}
        assert {batching.json()["result"] for _ in range(20)} == {"ok"}
        producer.send({"payload": "!"})
        assert producer.json()["result"].startswith("send-error:")
        for delivery in consumer.several(40):
            consumer.ack(delivery)
        consumer.send({"type": "isEndOfTopic"})
        consumer.json()
        open_ = sums(own)
    expected = {
        "published_messages_total": 40, "published_bytes_total": 4000, "publish_failures_total": 1,
        "delivered_messages_total": 40, "delivered_bytes_total": 4000, "acknowledged_messages_total": 40,
        "client_messages_total": 82, "client_messages_rejected_total": 0,
        "sessions/producer": 2, "sessions/consumer": 1, "sessions/reader": 0,
        "publish_latency_seconds_count": 40, "delivery_latency_seconds_count": 40,
        "broker_round_trip_seconds_count": 22, "stored_entry_messages_count": 22, "stored_entry_messages_sum": 40,
        "stored_entry_messages_bucket/1": 20, "stored_entry_messages_bucket/8": 20,
        "stored_entry_messages_bucket/16": 22, "received_entry_messages_count": 22, "received_entry_messages_sum": 40,
        "turn_client_messages_sum": 82, "publishes_in_flight_bytes": 0, "held_deliveries_bytes": 0,
    }
    assert {name: open_[name] for name in expected} == expected
    assert 0 < open_["broker_round_trip_seconds_sum"] <= open_["publish_latency_seconds_sum"] < 40 * 60
    assert open_["turn_seconds_count"] > before["turn_seconds_count"]
    assert open_["client_received_bytes_total"] > 4000 and open_["client_sent_bytes_total"] > 4000
    assert open_["broker_sent_bytes_total"] > 4000 and open_["broker_received_bytes_total"] > 4000
    assert open_["broker_connections"] >= 1
    ended = sums(own)
    assert [ended[f"sessions_closed_total/{by}"] for by in ("client", "service", "loss")] == [3, 0, 0]
    assert ended["sessions/producer"] == ended["sessions/consumer"] == 0


def test_both_forms_tell_the_same(own, topic):
    with own.producer(topic) as producer:
        for number in range(7):
            producer.publish(str(number))
        decoded, told = histograms(own), sums(own)
    assert sorted(decoded) == [
        "broker_round_trip", "delivery_latency", "publish_latency", "received_entry_messages", "stored_entry_messages",
        "turn", "turn_broker_messages", "turn_client_messages"]
    for name in ("publish_latency", "broker_round_trip"):
        assert decoded[name].get_total_count() == told[f"{name}_seconds_count"] == 7
        mean = told[f"{name}_seconds_sum"] / 7
        assert abs(decoded[name].get_mean_value() / 1e9 - mean) <= mean / 100
    assert decoded["stored_entry_messages"].get_max_value() == 1
    assert 0 < decoded["turn"].get_total_count() <= told["turn_seconds_count"]
    assert decoded["delivery_latency"].get_total_count() == 0


def test_asking_counts_as_nothing_but_asking(own, topic):
    with own.producer(topic) as producer, own.consumer(topic) as consumer:
        producer.publish("x")
        consumer.ack(consumer.json())
        consumer.send({"type": "isEndOfTopic"})
        consumer.json()
        before = sums(own)
        for _ in range(3):
            after = sums(own)
        changed = {name for name in before | after if before[name] != after[name]}
    of_asking = {"answers_total/2xx", "client_received_bytes_total", "client_sent_bytes_total"}
    # Keep-alives of the broker come when they like.
    of_time = {"broker_received_bytes_total", "broker_sent_bytes_total", "read_buffers/broker", "read_buffers_lent/broker"}
    assert after["answers_total/2xx"] - before["answers_total/2xx"] == 3
    assert {name for name in changed - of_time if not name.startswith("turn_seconds")} == of_asking


def test_names_and_forms_are_as_prometheus_wants_them(service):
    """The rules of `promtool check metrics`."""
    body = get(service, "/metrics")[2]
    lines = body.splitlines()
    for family in families(service).values():
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge", "histogram"), family
        assert re.fullmatch(r"pulsar_ws_[a-z_]+", family.name)
        is_counter = family.type == "counter"
        full = family.name + "_total" * is_counter
        assert lines.count(f"# TYPE {full} {family.type}") == 1
        assert len([line for line in lines if line.startswith(f"# HELP {full} ")]) == 1
        assert is_counter or not re.search("_(total|count|sum|bucket)$", family.name)
        assert not re.search("milli|micro|nano|kilo|mega|minutes|hours", family.name)
        assert not any(family.type in part for part in family.name.split("_"))
        for sample in family.samples:
            assert set(sample.labels) <= {"core", "endpoint", "by", "status", "bound", "leg", "le", "version"}
        if family.type == "histogram":
            by_core: dict[str, list] = {}
            for sample in family.samples:
                if sample.name.endswith("_bucket"):
                    by_core.setdefault(sample.labels["core"], []).append((float(sample.labels["le"]), sample.value))
            for buckets in by_core.values():
                assert buckets == sorted(buckets) and buckets[-1][0] == float("inf")
                counts = [count for _, count in buckets]
                assert counts == sorted(counts)


def test_methods(service):
    for path in ("/metrics", "/metrics/hdr", "/metrics/"):
        status, headers, body = get(service, path, "HEAD")
        assert (status, body) == (200, "") and int(headers["Content-Length"]) > 100
        assert get(service, path, "POST")[0] == 405
        assert get(service, path, "OPTIONS")[2] == "HEAD, GET, OPTIONS"
    assert get(service, "/metrics/x")[0] == 404
