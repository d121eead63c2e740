"""Our command: its flags, its refusals, how it ends. Java's service has nothing of the kind to compare."""

from __future__ import annotations

import subprocess

import pytest
from websockets.exceptions import ConnectionClosed

from harness import tools
from harness.client import Endpoints
from harness.process import Process, answers, free_port
from harness.raw import request
from harness.servers import Ours, write_properties

pytestmark = pytest.mark.ours_only("our own command line")


@pytest.fixture
def own(broker):
    """A service of the test's own, that it may end."""
    made = Ours(broker.url)
    try:
        yield made.wait()
    finally:
        made.stop()


def endpoints(service: Ours) -> Endpoints:
    return Endpoints(f"ws://127.0.0.1:{service.port}", "ours")


def command(*words: object, seconds: float = 20) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(word) for word in (tools.our_binary(), *words)], capture_output=True, text=True, timeout=seconds, check=False)


def test_SIGTERM_closes_with_1001_and_exits_with_0(own, topic):
    service = endpoints(own)
    with service.producer(topic) as producer, service.consumer(topic) as consumer:
        producer.publish(b"x")
        delivery = consumer.json()
        consumer.ack(delivery)
        own.process.popen.terminate()
        assert producer.closed()[0] == 1001
        assert consumer.closed()[0] == 1001
    assert own.process.popen.wait(15) == 0


def test_publishes_before_SIGTERM_are_answered_and_acks_flushed(own, broker, topic):
    service = endpoints(own)
    with service.producer(topic) as producer, service.consumer(topic) as consumer:
        producer.publish(b"x")
        delivery = consumer.json()
        for number in range(200):
            producer.send({"payload": "YQ==", "context": str(number)})
        consumer.ack(delivery)
        first = producer.json()
        own.process.popen.terminate()
        answered = [first["context"]]
        try:
            while True:
                answered.append(producer.json()["context"])
        except ConnectionClosed as closed:
            assert closed.rcvd is not None and closed.rcvd.code == 1001
    assert own.process.popen.wait(15) == 0
    assert answered == [str(number) for number in range(len(answered))]
    stored = broker.admin("GET", f"persistent/public/default/{topic}/stats")["msgInCounter"]
    assert stored == 1 + len(answered)


def test_version_and_help():
    ran = command("--version")
    assert ran.returncode == 0 and ran.stdout.startswith("pulsar-ws-fast ")
    ran = command("--help")
    assert ran.returncode == 0
    for flag in ("--config", "--cores", "--cpus", "--bind", "--port", "--broker-url"):
        assert flag in ran.stdout


@pytest.mark.parametrize("flag", [(), ("--config",)])
def test_a_file_in_javas_format_is_taken(broker, topic, tmp_path, flag):
    port = free_port()
    conf = tmp_path / "websocket.conf"
    write_properties(conf, {
        "clusterName": "standalone", "brokerServiceUrl": broker.url, "serviceUrl": "", "webServicePort": port,
        "bindAddress": "127.0.0.1", "webSocketNumIoThreads": 1, "somethingElse": "x",
    })
    process = Process("pulsar-ws-fast", [tools.our_binary(), *flag, conf], tmp_path / "log")
    try:
        process.wait_until(lambda: answers(port), 15)
        with Endpoints(f"ws://127.0.0.1:{port}", "ours").producer(topic) as producer:
            producer.publish(b"x")
    finally:
        process.kill()


@pytest.mark.parametrize("key, value", [
    ("authenticationEnabled", "true"), ("authorizationEnabled", "true"), ("tlsEnabled", "true"),
    ("webServicePortTls", "8443"), ("brokerClientTlsEnabled", "true"), ("tlsEnabledWithKeyStore", "true"),
    ("brokerClientAuthenticationPlugin", "org.apache.pulsar.client.impl.auth.AuthenticationToken"),
    ("tlsRequireTrustedClientCertOnConnect", "true"),
])
def test_a_key_that_would_change_security_is_refused_by_name(tmp_path, key, value):
    conf = tmp_path / "websocket.conf"
    write_properties(conf, {"clusterName": "standalone", "webServicePort": free_port(), "bindAddress": "127.0.0.1", key: value})
    ran = command(conf)
    assert ran.returncode not in (0, 101)
    assert key in ran.stderr


@pytest.mark.parametrize("text", ["webServicePort=8080\n", "clusterName=standalone\nwebServicePort=many\n"])
def test_a_wrong_file_is_refused(tmp_path, text):
    conf = tmp_path / "websocket.conf"
    conf.write_text(text)
    ran = command(conf)
    assert ran.returncode not in (0, 101)
    assert ran.stderr


def test_a_taken_port_is_said(own):
    ran = command("--port", own.port, "--bind", "127.0.0.1")
    assert ran.returncode not in (0, 101)
    assert str(own.port) in ran.stderr


def test_a_broker_that_is_not_there_is_a_refused_upgrade(topic):
    lonely = Ours(f"pulsar://127.0.0.1:{free_port()}")
    try:
        lonely.wait()
        answer = request(lonely.port, endpoints(lonely).path("producer", topic))
        assert answer.status in (500, 503, 504), answer
    finally:
        lonely.stop()
