"""Statistics, and whether the service says that it is in use."""

from __future__ import annotations

import http.client
import json
import socket
import time
from pathlib import Path

import pytest

from harness.client import PATIENCE
from harness.raw import Stream

ROOTS = ["/admin/proxy-stats", "/admin/v2/proxy-stats"]
NAMES = [
    "ns_byte_deliver_rate", "ns_byte_publish_rate", "ns_msg_ack_rate", "ns_msg_deliver_rate", "ns_msg_failure_rate",
    "ns_msg_publish_latency_1000", "ns_msg_publish_latency_10000", "ns_msg_publish_latency_100000",
    "ns_msg_publish_latency_1000000", "ns_msg_publish_latency_1000000_higher", "ns_msg_publish_latency_20000",
    "ns_msg_publish_latency_200000", "ns_msg_publish_latency_500", "ns_msg_publish_latency_5000",
    "ns_msg_publish_latency_50000", "ns_msg_publish_rate",
]


class Answer:
    def __init__(self, port: int, path: str, method: str = "GET", **headers: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        self.status, self.headers, self.body = answer.status, answer.headers, answer.read()
        connection.close()

    @property
    def content_type(self) -> str | None:
        return self.headers["Content-Type"]

    def json(self) -> object:
        assert (self.status, self.content_type) == (200, "application/json"), self.body
        return json.loads(self.body)


def stats(service, name: str) -> dict:
    return Answer(service.port, f"/admin/v2/proxy-stats/persistent/public/default/{name}/stats").json()


def until(what, wanted, seconds: float = PATIENCE):
    """What `what` gives, once it is as wanted or the time is up."""
    deadline = time.monotonic() + seconds
    while (now := what()) != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    return now


def remote(client) -> str:
    host, port = client.socket.socket.getsockname()[:2]
    return f"/{host}:{port}"


def test_sessions_of_a_topic(service, topic):
    with (service.producer(topic) as producer, service.consumer(topic, "a sub", subscriptionType="Shared") as consumer,
          service.reader(topic, messageId="earliest") as reader):
        for number in range(3):
            producer.publish(str(number))
        consumer.several(3)
        reader.several(3)
        expected_producer = {"remoteConnection": remote(producer), "numberOfMsgPublished": 3}
        expected_consumer = {
            "remoteConnection": remote(consumer), "subscriptionName": "a sub", "subscriptionType": "Shared",
            "subscriptionMode": "Durable", "numberOfMsgDelivered": 3,
        }
        # Java counts a moment after it has told the client.
        until(lambda: stats(service, topic)["producerStats"], [expected_producer])
        until(lambda: [one["numberOfMsgDelivered"] for one in stats(service, topic)["consumerStats"]], [3, 3])
        found = stats(service, topic)
        assert list(found) == ["producerStats", "consumerStats"]
        assert found["producerStats"] == [expected_producer]
        # In Java's either may be the first.
        told, read = sorted(found["consumerStats"], key=lambda one: one["subscriptionType"], reverse=True)
        assert told == expected_consumer
        assert list(told) == list(expected_consumer)
        name = read.pop("subscriptionName")
        assert name.startswith("reader-") and len(name) == 17
        assert read == {"remoteConnection": remote(reader), "subscriptionType": "Exclusive", "numberOfMsgDelivered": 3}
        for root in ROOTS:
            everything = Answer(service.port, f"{root}/stats").json()
            assert everything[f"persistent://public/default/{topic}"]["producerStats"] == [expected_producer]


def test_a_subscription_that_is_not_durable(service, topic):
    with service.consumer(topic, "s", subscriptionMode="NonDurable", subscriptionType="Key_Shared"):
        (consumer,) = stats(service, topic)["consumerStats"]
    assert (consumer["subscriptionType"], consumer["subscriptionMode"]) == ("Key_Shared", "NonDurable")


@pytest.mark.ours_only("Java keeps topics for ever")
def test_a_topic_goes_with_its_last_session(service, topic):
    path = f"/admin/v2/proxy-stats/persistent/public/default/{topic}/stats"
    with service.producer(topic):
        assert Answer(service.port, path).status == 200
    assert until(lambda: Answer(service.port, path).status, 404) == 404
    assert f"persistent://public/default/{topic}" not in Answer(service.port, "/admin/v2/proxy-stats/stats").json()


@pytest.mark.parametrize("name", ["t", "t%2Fu", "a%20b", "%C3%BC"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_no_such_topic(service, topic, name, slash):
    path = f"/admin/v2/proxy-stats/persistent/public/default/{topic}{name}/stats{slash}"
    answer = Answer(service.port, path)
    assert (answer.status, answer.content_type) == (404, "application/json")
    assert answer.body == b'{"reason":"Topic does not exist"}'
    first = Answer(service.port, f"/admin/proxy-stats/public/cluster/default/{topic}{name}/stats")
    assert (first.status, first.body) == (404, answer.body)


@pytest.mark.parametrize("path, status", [
    ("/admin/v2/proxy-stats/nowhere/public/default/t/stats", 500), ("/admin/v2/proxy-stats/persistent/a$/default/t/stats", 500),
    ("/admin/v2/proxy-stats/persistent/public/default/%20/stats", 500), ("/admin/v2/proxy-stats/persistent/public/default/t", 404),
    ("/admin/v2/proxy-stats/persistent/public/default//stats", 404), ("/admin/v2/proxy-stats/persistent/public/default/t/u/stats", 404),
    ("/admin/v2/proxy-stats", 404), ("/admin/v2/", 404), ("/admin/", 404), ("/admin/v2//proxy-stats/stats", 404),
    ("/admin", 302), ("/admin/v2", 302), ("/status.html/x", 404),
])
def test_what_has_no_statistics(service, path, status):
    answer = Answer(service.port, path)
    assert answer.status == status
    assert status == 302 or answer.content_type == "text/html;charset=iso-8859-1"


@pytest.mark.parametrize("path", [f"{root}/{what}" for root in ROOTS for what in ("metrics", "stats")])
def test_methods_and_forms(service, path):
    whole = Answer(service.port, path)
    head = Answer(service.port, path, "HEAD")
    assert (head.status, head.content_type, head.body) == (200, "application/json", b"")
    assert int(head.headers["Content-Length"]) > 1 and len(whole.body) > 1
    options = Answer(service.port, path, "OPTIONS")
    assert (options.status, options.content_type, options.body) == (200, "text/plain", b"HEAD, GET, OPTIONS")
    assert options.headers["Allow"] == "HEAD,GET,OPTIONS"
    for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE"):
        refused = Answer(service.port, path, method)
        assert (refused.status, refused.headers["Allow"]) == (405, "GET,OPTIONS")
        assert (refused.body == b"") == (method != "POST")
    assert Answer(service.port, path, Accept="text/plain").status == 406
    assert Answer(service.port, path, Accept="text/html, */*;q=0.1").status == 200


@pytest.mark.parametrize("path", ["/admin/v2/proxy-stats/stats", "/status.html"])
def test_a_client_that_shuts_its_side_gets_its_answer(service, path):
    """As `printf … | nc -N` does: statistics of all cores took longer than the end of the client's side."""
    with Stream(service.port) as stream:
        stream.ask(path, "GET", {}, "1.1")
        stream.socket.shutdown(socket.SHUT_WR)
        assert stream.answer().status in ((200,) if path.endswith("stats") else (404, 503))


def public_default(service) -> dict:
    answer = Answer(service.port, "/admin/v2/proxy-stats/metrics").json()
    (found,) = [entry["metrics"] for entry in answer if entry["dimensions"] == {"namespace": "public/default"}]
    return found


@pytest.mark.ours_only("Java's are built once a minute, first after two")
def test_metrics_of_a_namespace(start, broker, topic):
    service = start(broker)
    assert Answer(service.port, "/admin/v2/proxy-stats/metrics").body == b"[]"
    with service.producer(topic) as producer, service.consumer(topic) as consumer:
        producer.publish("12345")
        producer.publish("1234567")
        producer.send({"payload": "!"})
        producer.json()
        for delivery in consumer.several(2):
            consumer.ack(delivery)
        consumer.send({"type": "isEndOfTopic"})
        consumer.json()
        found = public_default(service)
    assert list(found) == NAMES
    latencies = sum(value for name, value in found.items() if "latency" in name)
    plain = {name: value for name, value in found.items() if "latency" not in name}
    assert latencies == 2
    assert plain == {
        "ns_msg_publish_rate": 2, "ns_byte_publish_rate": 12, "ns_msg_failure_rate": 1, "ns_msg_deliver_rate": 2,
        "ns_byte_deliver_rate": 12, "ns_msg_ack_rate": 2,
    }


def test_the_status_file(start, broker, tmp_path: Path):
    file = tmp_path / "status"
    service = start(broker, statusFilePath=file)
    assert Answer(service.port, "/status.html").status == 404
    file.write_text("whatever")
    # Java remembers for half a second.
    assert until(lambda: Answer(service.port, "/status.html").status, 200) == 200
    answer = Answer(service.port, "/status.html?x=1")
    assert (answer.body, answer.content_type) == (b"OK", "text/plain")
    for accept in ("text/html", "application/json"):
        assert Answer(service.port, "/status.html", Accept=accept).content_type == accept
    head = Answer(service.port, "/status.html", "HEAD")
    assert (head.status, head.headers["Content-Length"], head.body) == (200, "2", b"")
    assert Answer(service.port, "/status.html", "POST").status == 405
    assert Answer(service.port, "/status.html", "OPTIONS").body == b"HEAD, GET, OPTIONS"
    file.unlink()
    file.mkdir()
    assert until(lambda: Answer(service.port, "/status.html").status, 404) == 404


def test_without_a_status_file_nothing_is_in_use(service):
    assert Answer(service.port, "/status.html").status in (404, 503 if service.is_java else 404)
