"""The HTTP side: paths, parameters, and what is answered instead of 101."""

from __future__ import annotations

import socket
from urllib.parse import quote

import pytest

from harness.client import Client
from harness.raw import TEXT, UPGRADE, RawWebSocket, frame, request

V2 = "/ws/v2"


def test_the_answer_has_what_RFC_6455_asks_and_no_more(service, topic):
    with RawWebSocket(service.port, service.path("producer", topic)) as raw:
        headers = raw.upgrade.headers
    assert headers["upgrade"] == "WebSocket"
    assert headers["connection"] == "Upgrade"
    assert [name for name in headers if name not in ("date", "server")] == ["connection", "sec-websocket-accept", "upgrade"]
    assert "sec-websocket-protocol" not in headers
    assert "sec-websocket-extensions" not in headers
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("headers", [
    {"Upgrade": "WebSocket"}, {"Connection": "keep-alive, Upgrade"}, {"Origin": "http://elsewhere.example"},
    {"Sec-WebSocket-Protocol": "a, b"}, {"Sec-WebSocket-Version": "+013"}, {"X-Anything": "x" * 3000},
])
def test_upgrades_that_differ_a_little(service, topic, headers):
    with RawWebSocket(service.port, service.path("producer", topic), headers) as raw:
        assert "sec-websocket-protocol" not in raw.upgrade.headers


@pytest.mark.parametrize("key", ["short", "x" * 200])
def test_a_key_of_any_length_is_taken(service, topic, key):
    assert request(service.port, service.path("producer", topic), headers={"Sec-WebSocket-Key": key}).status == 101


@pytest.mark.parametrize("case, method, headers, version, status", [
    ("a plain GET", "GET", {"Upgrade": None, "Connection": None}, "1.1", 405),
    ("a POST", "POST", {"Upgrade": None, "Connection": None, "Content-Length": "0"}, "1.1", 405),
    ("OPTIONS", "OPTIONS", {"Upgrade": None, "Connection": None}, "1.1", 200),
    ("HTTP/1.0", "GET", {"Connection": "Upgrade"}, "1.0", 400),
    ("no Connection", "GET", {"Connection": None}, "1.1", 400),
    ("a Connection that is kept", "GET", {"Connection": "keep-alive"}, "1.1", 400),
    ("a PUT", "PUT", {"Upgrade": None, "Connection": None}, "1.1", 405),
    ("a PATCH", "PATCH", {"Upgrade": None, "Connection": None}, "1.1", 501),
    ("a version that is no number", "GET", {"Sec-WebSocket-Version": "x"}, "1.1", 500),
    ("no Host", "GET", {"Host": None}, "1.1", 400),
    ("no key", "GET", {"Sec-WebSocket-Key": None}, "1.1", 400),
    ("no version", "GET", {"Sec-WebSocket-Version": None}, "1.1", 400),
    ("another version", "GET", {"Sec-WebSocket-Version": "8"}, "1.1", 400),
])
def test_what_is_no_upgrade(service, topic, case, method, headers, version, status):
    answer = request(service.port, service.path("producer", topic), method, headers, version)
    assert answer.status == status, answer
    if "Sec-WebSocket-Version" in headers and status == 400:
        assert answer.headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize("path", [
    "/", "/ws", "/ws/v2", "/ws/v2/", "/ws/v3/producer/s", "/ws/v3/reader/s", "/metrics-absent", "/ws/pingpong",
    "/ws/v2/pingpong", "/index.html", "/ws/v2/Producer/persistent/public/default/t",
])
def test_paths_that_are_not_there(service, path):
    assert request(service.port, path).status == 404
    assert request(service.port, path, headers={"Upgrade": None, "Connection": None}).status == 404


def test_the_bare_endpoint_is_redirected(service):
    answer = request(service.port, "/ws/v2/producer", headers={"Upgrade": None, "Connection": None})
    assert answer.status == 302
    assert answer.headers["location"].endswith("/ws/v2/producer/")


@pytest.mark.parametrize("path, text", [
    ("/producer/persistent/public/default", "IllegalArgumentException"),
    ("/producer/nowhere/public/default/t", "IllegalArgumentException"),
    ("/producer/Persistent/public/default/t", "IllegalArgumentException"),
    ("/producer/persistent/pub%6Cic/default/t", "Invalid named entity"),
    ("/producer/persistent/public/de$fault/t", "Invalid named entity"),
    ("/reader/persistent/public/default/", "IllegalArgumentException"),
    ("/producer/persistent/public/default/%20", "Topic local name must not be blank"),
    ("/producer/persistent/public/default//t", "IllegalArgumentException"),
    ("/producer/persistent/public/default", "IllegalArgumentException"),
])
def test_a_bad_topic_is_500(service, path, text):
    answer = request(service.port, V2 + path)
    assert answer.status == 500, answer
    assert text in answer.text


@pytest.mark.parametrize("path, text", [
    ("/consumer/persistent/public/default/t/", "Empty subscription name"),
    ("/consumer/persistent/public/default/t/%20", "subscriptionName cannot be blank"),
    ("/consumer/persistent/public/default/t/%20?priorityLevel=-1", "priorityLevel needs to be >= 0"),
    ("/consumer/persistent/public/default/t/?priorityLevel=-1", "Empty subscription name"),
    ("/consumer/persistent/public/default/t", "Invalid topic name format"),
    ("/consumer/persistent/public/default/t/s/more", "Invalid topic name format"),
    ("/consumer/persistent/public/default/t/s/", "Invalid topic name format"),
])
def test_a_bad_subscription_is_400(service, path, text):
    answer = request(service.port, V2 + path)
    assert answer.status == 400, answer
    assert f"Invalid query params: {text}" in answer.text


@pytest.mark.parametrize("headers", [{"Sec-WebSocket-Version": "8"}, {"Sec-WebSocket-Key": None}])
def test_topic_and_parameters_are_judged_before_version_and_key(service, topic, headers):
    path = service.path("producer", topic)
    assert request(service.port, f"{path}?producerName=", headers=headers).text.count("producerName cannot be blank")
    assert request(service.port, V2 + "/producer/x/public/default/t", headers=headers).status == 500


@pytest.mark.parametrize("tail", ["a%zz", "a%", "a%2", "a%00"])
def test_malformed_escapes_in_the_path(service, tail):
    assert request(service.port, f"{V2}/producer/persistent/public/default/{tail}").status == 400


@pytest.mark.parametrize("tail", ["a?token=%zz", "a?%", "a?x=<", 'a?x="', "a?{x}", "a?x=|", "a<b>", 'a"', "a[1]", "a^", "a\\b"])
def test_what_is_no_URI_is_500(service, tail):
    answer = request(service.port, f"{V2}/producer/persistent/public/default/{tail}")
    assert answer.status == 500
    assert "java.io.IOException: Unable to accept websocket due to mangled URI" in answer.text


def test_a_query_that_is_no_UTF_8_is_400(service, topic):
    answer = request(service.port, service.path("producer", topic) + "?token=%FF&producerName=")
    assert answer.status == 400
    assert "Unable to parse URI query" in answer.text


def test_a_path_longer_than_8_KiB_is_414(service, topic):
    assert request(service.port, service.path("producer", topic) + "?x=" + "y" * 9000).status == 414


@pytest.mark.parametrize("tail, stored", [
    ("a+b-{}", "a b-{}"), ("a%20b-{}", "a b-{}"), ("{}/", "{}"), ("ü-{}", "ü-{}"), ("a;x=1-{}", "a;x=1-{}"), ("..{}", "..{}"),
])
def test_topics_are_decoded(service, topic, tail, stored):
    path = f"{V2}/producer/persistent/public/default/" + quote(tail.format(topic), safe="/%+;=.")
    with Client(service.base + path) as producer:
        producer.publish()
    with service.reader(stored.format(topic), messageId="earliest") as reader:
        reader.json()


PRODUCER_ERRORS = [
    ({"producerName": ""}, "producerName cannot be blank"),
    ({"producerName": " "}, "producerName cannot be blank"),
    ({"initialSequenceId": "x"}, 'For input string: "x"'),
    ({"initialSequenceId": ""}, 'For input string: ""'),
    ({"initialSequenceId": "9223372036854775808"}, 'For input string: "9223372036854775808"'),
    ({"sendTimeoutMillis": "-1"}, "sendTimeout needs to be >= 0"),
    ({"sendTimeoutMillis": "1.5"}, 'For input string: "1.5"'),
    ({"sendTimeoutMillis": "2147483648"}, 'For input string: "2147483648"'),
    ({"hashingScheme": "javastringhash"}, "No enum constant org.apache.pulsar.client.api.HashingScheme.javastringhash"),
    ({"messageRoutingMode": "x"}, "Invalid messageRoutingMode x"),
]


@pytest.mark.parametrize("parameters, text", PRODUCER_ERRORS)
def test_bad_producer_parameters_are_400(service, topic, parameters, text):
    answer = request(service.port, service.path("producer", topic, **parameters))
    assert (answer.status, answer.reason) == (400, "Bad Request")
    assert f"Invalid query params: {text}" in answer.text


CONSUMER_ERRORS = [
    ({"ackTimeoutMillis": "1"}, "Ack timeout should be greater than 1000 ms"),
    ({"ackTimeoutMillis": "999"}, "Ack timeout should be greater than 1000 ms"),
    ({"ackTimeoutMillis": "-1"}, "Ack timeout should be greater than 1000 ms"),
    ({"ackTimeoutMillis": ""}, 'For input string: ""'),
    ({"subscriptionType": "shared"}, "Invalid subscriptionType shared"),
    ({"subscriptionType": ""}, "Invalid subscriptionType "),
    ({"subscriptionMode": "x"}, "Invalid subscriptionMode x"),
    ({"subscriptionInitialPosition": "earliest"}, "Invalid subscriptionInitialPosition earliest"),
    ({"receiverQueueSize": "-1"}, "receiverQueueSize needs to be >= 0"),
    ({"receiverQueueSize": "x"}, 'For input string: "x"'),
    ({"consumerName": " "}, "consumerName cannot be blank"),
    ({"priorityLevel": "-1"}, "priorityLevel needs to be >= 0"),
    ({"priorityLevel": "1 "}, 'For input string: "1 "'),
    ({"negativeAckRedeliveryDelay": "-1"}, "redeliveryDelay needs to be >= 0"),
]


@pytest.mark.parametrize("parameters, text", CONSUMER_ERRORS)
def test_bad_consumer_parameters_are_400(service, topic, parameters, text):
    answer = request(service.port, service.path("consumer", topic, "s", **parameters))
    assert (answer.status, answer.reason) == (400, "Bad Request")
    assert f"Invalid query params: {text}" in answer.text


@pytest.mark.parametrize("parameters, text", [
    ({"receiverQueueSize": "x"}, 'java.lang.NumberFormatException: For input string: "x"'),
    ({"receiverQueueSize": "-1"}, "Failed to create reader: receiverQueueSize needs to be >= 0"),
    ({"messageId": "Earliest"}, "Failed to create reader: "),
    ({"messageId": "!!"}, "Failed to create reader: "),
    ({"messageId": "AAAA"}, "Failed to create reader: "),
])
def test_bad_reader_parameters_are_500(service, topic, parameters, text):
    answer = request(service.port, service.path("reader", topic, **parameters))
    assert (answer.status, answer.reason) == (500, "Server Error")
    assert text in answer.text


@pytest.mark.parametrize("endpoint, query", [
    ("producer", "sendTimeoutMillis=0"), ("producer", "sendTimeoutMillis=%2B5"), ("producer", "initialSequenceId=-7"),
    ("producer", "unknown=1&Producername=%20"), ("producer", "sendTimeoutMillis=5&sendTimeoutMillis=x"),
    ("producer", "maxPendingMessages=x&batchingMaxMessages=x"), ("producer", "messageRoutingMode=CustomPartition"),
    ("producer", "hashingScheme=Murmur3_32Hash&messageRoutingMode=RoundRobinPartition"), ("producer", "batchingEnabled=no"),
    ("consumer", "ackTimeoutMillis=1000"), ("consumer", "ackTimeoutMillis=0"), ("consumer", "receiverQueueSize=5000"),
    ("consumer", "cryptoFailureAction=nonsense"), ("consumer", "pullMode=0"), ("consumer", "subscriptionMode=NonDurable"),
    ("reader", "readerName=%20"), ("reader", "cryptoFailureAction=x"), ("reader", "receiverQueueSize=%2B3"),
])
def test_parameters_that_are_fine(service, topic, endpoint, query):
    path = service.path(endpoint, topic, *(["s"] if endpoint == "consumer" else []))
    answer = request(service.port, f"{path}?{query}")
    assert answer.status == 101, answer


def test_a_plus_in_the_query_is_a_space(service, topic):
    answer = request(service.port, service.path("producer", topic) + "?sendTimeoutMillis=+3")
    assert answer.status == 400
    assert 'Invalid query params: For input string: " 3"' in answer.text


def test_a_name_in_use_is_409(service, topic):
    with service.producer(topic, producerName=topic):
        answer = request(service.port, service.path("producer", topic, producerName=topic))
        assert answer.status == 409
        assert "Failed to create producer/consumer: " in answer.text
    with service.consumer(topic, "s"):
        for parameters in ({}, {"subscriptionType": "Shared"}):
            answer = request(service.port, service.path("consumer", topic, "s", **parameters))
            assert answer.status == 409
            assert "Failed to create producer/consumer: " in answer.text


def test_what_does_not_exist_is_404_and_500_for_readers(service):
    base = "persistent/public/no-such-namespace/t"
    assert request(service.port, f"{V2}/producer/{base}").status == 404
    assert request(service.port, f"{V2}/consumer/{base}/s").status == 404
    assert request(service.port, f"{V2}/reader/{base}").status == 500


def test_open_means_ready(service, topic):
    """A consumer that sees 101 has its subscription: nothing published afterwards is missed."""
    for number in range(10):
        with service.consumer(topic, f"s{number}") as consumer, service.producer(topic) as producer:
            producer.publish(str(number))
            assert consumer.json()


def test_a_waiting_handshake_holds_up_nobody(service, topic):
    """Half a request line does not keep others waiting."""
    slow = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(20)]
    try:
        for one in slow:
            one.sendall(b"GET /ws/v2/prod")
        with service.producer(topic) as producer:
            producer.publish()
    finally:
        for one in slow:
            one.close()


def test_frames_right_behind_the_handshake_are_read(service, topic):
    """A client may send before it has read the 101."""
    lines = [f"GET {service.path('producer', topic)} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in UPGRADE.items()]
    eager = socket.create_connection(("127.0.0.1", service.port), timeout=20)
    eager.sendall("\r\n".join([*lines, "", ""]).encode() + frame(TEXT, b'{"payload":"YQ==","context":"eager"}'))
    seen = b""
    while b'"context":"eager"' not in seen:
        data = eager.recv(4096)
        assert data, seen
        seen += data
    eager.close()
    assert b'"result":"ok"' in seen
