"""The load generator: it counts what happened, tells it in each form, and says what went wrong."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import threading

import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from harness import tools
from harness.load import NullBroker, TlsFront, load, measured, tool
from harness.process import free_port
from harness.servers import Ours

CLIENTS = 3


class Stage:
    """Our service, alone with a null broker."""

    def __init__(self, *flags: object) -> None:
        self.broker = NullBroker(*flags)
        self.service = Ours(self.broker.url, env={"maxHttpServerConnections": "0"}).wait()
        self.address = f"127.0.0.1:{self.service.port}"
        self.incomplete = flags[flags.index("--batch") + 1] - 1 if "--batch" in flags else 0

    def run(self, kind: str, *words: object) -> tuple[dict, dict]:
        """The generator's result, and by how much the broker's counts grew."""
        before = self.broker.counts()
        told = measured(kind, self.address, "--clients", CLIENTS, *words)
        if kind == "consume":
            # Acknowledgements may be sent in groups; the last entry of each client may stay incomplete.
            acks = told["total"] - self.incomplete * CLIENTS
            self.broker.process.wait_until(lambda: self.grown(before)["acks"] >= acks, 10)
        return told, self.grown(before)

    def grown(self, before: dict) -> dict:
        grown = {}
        for name, now in self.broker.counts().items():
            if name.endswith("_sum"):
                grown[name] = f"{(int(now, 16) - int(before[name], 16)) % (1 << 64):016x}"
            else:
                grown[name] = now - before[name]
        return grown

    def stop(self) -> None:
        self.service.stop()
        self.broker.process.kill()


@pytest.fixture(scope="module")
def stages():
    """Makes stages; all end with the module."""
    made: dict[tuple, Stage] = {}

    def stage(*flags: object) -> Stage:
        if flags not in made:
            made[flags] = Stage(*flags)
        return made[flags]

    yield stage
    for stage in made.values():
        stage.stop()


@pytest.fixture
def address(service) -> str:
    """The service under test, beside a real broker."""
    return service.base


def fine(told: dict) -> bool:
    return told["total"] > 0 and (told["wrong"], told["errors"], told["unanswered"]) == (0, {}, 0)


def confirmed(told: dict, broker: dict) -> bool:
    return (told["total"], told["sum"], 0) == (broker["receipts"], broker["receipts_sum"], broker["broken"])


class TestOnTheNullBroker:
    pytestmark = pytest.mark.ours_only("the null broker stands behind ours")

    def test_each_publish_is_accounted_for(self, stages):
        told, broker = stages().run("publish", "--in-flight", 7)
        assert fine(told) and confirmed(told, broker)
        assert broker["producers"] == CLIENTS
        latency = told["latency_us"]
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p999"] <= latency["max"]
        assert 0 < latency["count"] <= told["total"]
        percentiles, values = zip(*told["latency_percentiles"])
        assert list(percentiles) == sorted(set(percentiles)) and percentiles[-1] == 100
        assert list(values) == sorted(values) and values[-1] == pytest.approx(latency["max"], rel=0.01)
        assert told["saturated"] == (told["saturated_why"] is not None)
        assert told["cpu_us"]["load"] > 0 and told["rss_bytes"]["load"] > 0

    def test_an_open_loop_sends_what_is_due_whatever_comes_back(self, stages):
        stage = stages("--delay-us", 50_000, "--jitter-us", 20_000)
        told, broker = stage.run("publish", "--rate", 100, "--one-topic")
        assert fine(told) and confirmed(told, broker) and told["unsent"] == 0
        # 0.5 s of one each 10 ms, whose times do not depend on receipts; and what was under way when they began.
        assert 49 * CLIENTS <= told["lateness_us"]["count"] <= told["latency_us"]["count"] <= told["total"]
        assert told["latency_us"]["p50"] >= 50_000

    def test_a_limit_of_publishes_in_flight_leaves_some_unsent_and_shows_in_latency(self, stages):
        stage = stages("--delay-us", 50_000, "--jitter-us", 20_000)
        told, broker = stage.run("publish", "--rate", 1000, "--in-flight", 1)
        assert fine(told) and confirmed(told, broker)
        assert told["unsent"] > told["total"]
        # They waited for their turn, from when they were due.
        assert told["latency_us"]["max"] > 200_000

    @pytest.mark.parametrize("words", [
        ["--deflate"], ["--query", "batchingEnabled=true", "--query", "compressionType=ZSTD"], ["--keys", 5, "--property", 'a="b"'],
    ], ids=["deflate", "batches", "keys"])
    def test_what_is_published_is_what_the_broker_expects(self, stages, words):
        told, broker = stages().run("publish", *words)
        assert fine(told) and confirmed(told, broker)
        assert (broker["batches"] > 0) == ("batchingEnabled=true" in words)

    def test_sizes_are_drawn_and_checked(self, stages):
        sizes = "10:3,20000:1"
        told, broker = stages("--payload-bytes", sizes).run("publish", "--payload-bytes", sizes)
        assert fine(told) and confirmed(told, broker)
        assert 10 * told["total"] < told["payload_bytes"] < 20_000 * told["total"]
        _, broker = stages("--payload-bytes", sizes).run("publish", "--payload-bytes", "11")
        assert broker["broken"] == broker["receipts"] > 0

    @pytest.mark.parametrize("flags", [
        [], ["--batch", 10, "--compression", "lz4", "--keys", 3, "--property", "a=b"], ["--payload-bytes", "5-3000"],
    ], ids=["plain", "batches", "sizes"])
    def test_each_delivery_is_acknowledged(self, stages, flags):
        sizes = flags[-2:] if "--payload-bytes" in flags else []
        told, broker = stages(*flags).run("consume", *sizes)
        assert fine(told)
        if "--batch" in flags:
            assert broker["acks"] % 10 == 0
            assert broker["acks"] <= told["total"] < broker["acks"] + 10 * CLIENTS
        else:
            assert (told["total"], told["sum"]) == (broker["acks"], broker["acks_sum"])
        assert told["total"] <= broker["deliveries"]

    def test_payloads_that_are_not_expected_are_wrong(self, stages):
        told, _ = stages().run("consume", "--payload-bytes", "1000")
        assert told["wrong"] == told["total"] > 0
        told, _ = stages().run("consume", "--payload-bytes", "1000", "--no-verify")
        assert fine(told)

    def test_refused_publishes_are_counted_by_their_reason(self, stages):
        told, broker = stages("--send-errors", "0.3").run("publish")
        assert told["errors"] == {"send-error:8": told["wrong"]} and told["wrong"] == broker["send_errors"] > 0
        assert told["total"] == broker["receipts"] + broker["send_errors"]
        assert told["sum"] == broker["receipts_sum"]

    def test_publishes_survive_connections_that_are_dropped(self, stages):
        told, broker = stages("--drop-every", 500).run("publish", "--seconds", 1)
        assert fine(told) and broker["drops"] > 0
        assert (told["total"], told["sum"]) == (broker["receipts"], broker["receipts_sum"])

    def test_a_client_that_is_refused_ends_the_run(self, stages):
        # Not found: nothing that is tried again.
        stage = stages("--refuse-producers", 1, "--refuse-subscribes", 1, "--refusal-code", 11)
        for kind in ("publish", "consume"):
            ran = load(kind, "--address", stage.address, check=False)
            assert (ran.returncode, ran.stdout) == (1, "")
            assert "is refused: HTTP/1.1 404" in ran.stderr

    def test_mixed_load_tells_both_sides(self, stages):
        stage = stages()
        before = stage.broker.counts()
        told = measured("mixed", stage.address, "--clients", 2, "--consumers", 2, "--idle", 3)
        assert (told["wrong"], told["unanswered"]) == (0, 0)
        assert stage.grown(before)["producers"] == 5
        assert told["publish"]["sum"] == stage.grown(before)["receipts_sum"]
        stage.broker.process.wait_until(lambda: stage.grown(before)["acks_sum"] == told["consume"]["sum"], 10)
        assert told["total"] == told["publish"]["total"] + told["consume"]["total"]
        assert told["publish"]["latency_us"]["count"] > 0

    @pytest.mark.parametrize("kind", ["producer", "consumer", "reader"])
    def test_idle_clients_need_no_threads(self, stages, kind):
        stage = stages()
        words = ["--clients", 100, "--kind", kind, "--query", "receiverQueueSize=1"]
        told = measured("idle", stage.address, *words, "--watch", f"service={stage.service.process.pid}")
        assert told["clients"] == 100
        assert all(told["rss_bytes"]["service"])
        assert told["cpu_us"]["service"] >= 0

    def test_pings_are_answered(self):
        broker = NullBroker()
        service = Ours(broker.url, webSocketPingDurationSeconds=1).wait()
        try:
            # Three unanswered ones would end them.
            told = measured("idle", f"127.0.0.1:{service.port}", "--clients", 5, "--seconds", 6)
            assert told["clients"] == 5
            # The load may be gone before the service has seen its connections end. One more looked whether it answers.
            service.process.wait_until(lambda: service.process.log.read_text().count('by="client"') == 6, 10)
        finally:
            service.stop()
            broker.process.kill()

    def test_latencies_are_logged_for_other_tools(self, stages, tmp_path):
        log = tmp_path / "latencies.hlog"
        told, _ = stages().run("publish", "--hdr-log", log, "--interval", 0.2, "--rate", 200)
        total, intervals = HdrHistogram(1, 3_600_000_000_000, 3), 0
        reader = HistogramLogReader(str(log), HdrHistogram(1, 3_600_000_000_000, 3))
        while (interval := reader.get_next_interval_histogram()) is not None:
            total.add(interval)
            intervals += 1
        assert intervals >= 3
        assert total.get_total_count() == told["latency_us"]["count"] > 0
        for name, percentile in (("p50", 50), ("p99", 99), ("max", 100)):
            assert total.get_value_at_percentile(percentile) / 1000 == pytest.approx(told["latency_us"][name], rel=0.002)

    def test_a_person_gets_a_table(self, stages):
        stage = stages()
        ran = load("publish", "--address", stage.address, "--seconds", 2.2, "--rate", 50)
        text = re.sub(r"\d[\d,.]*\d|\d", "1", ran.stdout)
        for line in (r"publish to ws://1:1, 1 clients × 1/s", r"published +1 +1 +1 [KM]iB/s", r"latency +p1 +p1 +p1 +p1 +max",
                     r"publish( +1 [nµm]?s){5}", r"sent late by( +1 [nµm]?s){5}", r"load +1 % +1 µs +1 MiB", r"The load client was (no|a) bottleneck"):
            assert re.search(line, text), f"{line}\n{ran.stdout}"
        assert re.search(r"\d of 3 s +\d+ messages/s", ran.stderr)
        assert load("publish", "--address", stage.address, "--seconds", 1.2, "--quiet").stderr == ""

    def test_tls_and_tokens(self, stages, tmp_path):
        token = tmp_path / "token"
        token.write_text("secret\n")
        with TlsFront(stages().service.port, tmp_path) as front:
            told = measured("publish", front.address, "--tls-ca", front.ca, "--token", f"@{token}", "--clients", 2, "--payload-bytes", "1-100000")
            assert fine(told)
            assert all("Authorization: Bearer secret\r\n" in head for head in front.heads)
            front.heads.clear()
            words = ["--tls-insecure", "--token", "s=x", "--token-in-query", "--header", "X-More: yes", "--no-verify"]
            assert fine(measured("consume", front.address, *words))
            assert all("&token=s%3Dx HTTP" in head or "?token=s%3Dx" in head for head in front.heads)
            assert all("X-More: yes\r\n" in head and "Authorization" not in head for head in front.heads)
            ran = load("publish", "--address", front.address, check=False)
            assert ran.returncode == 1 and "ertificate" in ran.stderr

    def test_a_port_that_speaks_something_else(self, stages):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            def alert() -> None:
                client, _ = listener.accept()
                client.recv(65536)
                # As OpenSSL says that this was no TLS: fatal, protocol version.
                client.sendall(b"\x15\x03\x01\x00\x02\x02\x46")
                client.close()

            threading.Thread(target=alert, daemon=True).start()
            refused("publish", "--address", f"127.0.0.1:{listener.getsockname()[1]}", says="this port speaks TLS: try wss://")
        refused("publish", "--address", f"wss://{stages().address}", "--tls-insecure", says="no TLS is spoken there")

    def test_a_process_that_ends_meanwhile(self, stages):
        other = subprocess.Popen(["sleep", "0.7"])
        # A child that nobody has waited for would still be there.
        threading.Thread(target=other.wait).start()
        refused("publish", "--address", stages().address, "--seconds", 2, "--watch", f"other={other.pid}",
                says=f"there is no process {other.pid} (--watch other={other.pid})")

    @pytest.mark.parametrize("words", [["--hdr-log", "/dev/full"], []], ids=["log", "result"])
    def test_a_result_that_can_not_be_written(self, stages, words):
        command = [tool("pulsar-ws-load"), "publish", "--address", stages().address, "--seconds", "0.3", "--quiet", *words]
        with open("/dev/full", "w") as full:
            ran = subprocess.run(command, stdout=full if not words else subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        assert (ran.returncode, ran.stderr.count("\n")) == (1, 1) and "No space left on device" in ran.stderr


def refused(*words: object, says: str) -> None:
    """The generator ends with one line that says what is wrong."""
    ran = load(*words, "--quiet", check=False)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (1, "", 1) and says in ran.stderr, ran


@pytest.mark.ours_only("it gets no further than itself")
@pytest.mark.parametrize("words, says", [
    ([], "ws://127.0.0.1:PORT: Connection refused"),
    (["--address", "ws://nowhere.invalid:80"], "ws://nowhere.invalid:80: failed to lookup"),
    (["--topic", "a/b"], "a topic is"),
    (["--token", "@/nowhere"], "--token @/nowhere: No such file"),
    (["--token", "a\r\nX: y"], "a token is one line"),
    (["--hdr-log", "/nowhere/log"], "/nowhere/log: No such file"),
    (["--watch", "x=4194305"], "there is no process 4194305 (--watch x=4194305)"),
    (["--watch", "load=1"], "another load"),
    (["--tls-insecure"], "are for an address with wss://"),
    (["--address", "wss://127.0.0.1:9", "--tls-ca", "/nowhere.pem"], "/nowhere.pem: "),
    (["--address", "wss://127.0.0.1:9", "--tls-ca", "/dev/null"], "/dev/null: no certificate is in it"),
], ids=str)
def test_what_can_not_be_done_is_said_before_anything_is(words, says):
    port = free_port()
    refused("publish", "--address", f"127.0.0.1:{port}", *words, says=says.replace("PORT", str(port)))


@pytest.mark.ours_only("it gets no further than itself")
@pytest.mark.parametrize("words", [
    ["publish", "--clients", 0], ["publish", "--in-flight", 0], ["publish", "--rate", 0], ["publish", "--seconds", "nan"],
    ["publish", "--payload-bytes", "2-1"], ["publish", "--watch", "x"], ["publish", "--interval", 1], ["publish", "--property", "x"],
    ["idle", "--topics", 0], ["bytes", "--request", 0, "--answer", 1],
], ids=str)
def test_values_that_mean_nothing_are_refused(words):
    ran = load(*words, "--address", f"127.0.0.1:{free_port()}", check=False)
    assert (ran.returncode, ran.stdout) == (2, "") and ran.stderr.startswith("error: "), ran


@pytest.mark.ours_only("it gets no further than itself")
@pytest.mark.parametrize("kind", ["consume", "idle", "bytes"])
def test_a_load_without_latencies_writes_no_log_of_them(tmp_path, kind):
    log = tmp_path / "latencies.hlog"
    sizes = ["--request", 1, "--answer", 1] if kind == "bytes" else []
    refused(kind, "--address", f"127.0.0.1:{free_port()}", *sizes, "--hdr-log", log, says="--hdr-log: this load has no latencies")
    assert not log.exists()


@pytest.mark.parametrize("words", [
    ["--in-flight", 5], ["--rate", 50, "--one-topic", "--keys", 4, "--payload-bytes", "24-3000"],
    ["--query", "batchingEnabled=true", "--threads", 2],
    ["--deflate", "--property", "region=eu \"west\"", "--payload-bytes", "100:3,20000:1"],
    ["--ramp", 0.5, "--rate", 100, "--in-flight", 20, "--query", "compressionType=LZ4", "--query", "receiverQueueSize=10"],
], ids=["closed", "open", "batches", "deflate", "ramp"])
def test_every_message_comes_through_end_to_end(address, topic, words):
    told = measured("end-to-end", address, "--topic", topic, "--clients", CLIENTS, *words)
    assert fine(told), told
    assert told["all_delivered_once"] and told["lost"] == 0
    assert told["total"] == told["publish"]["total"] - told["publish"]["wrong"]
    assert told["publish"]["wrong"] == 0
    assert 0 < told["publish"]["latency_us"]["count"] <= told["publish"]["total"]
    assert 0 < told["latency_us"]["count"] <= told["total"]


@pytest.mark.parametrize("kind", ["producer", "consumer", "reader"])
def test_idle_clients_of_any_kind_are_held(address, topic, kind):
    told = measured("idle", address, "--topic", topic, "--clients", 6, "--topics", 2, "--kind", kind)
    assert told["clients"] == 6 and told["seconds"] >= 0.5


def test_what_the_service_refuses_is_said(address):
    refused("publish", "--address", address, "--topic", "persistent://no-tenant/no-namespace/x", says="is refused: HTTP/1.1 4")


def test_what_was_published_is_consumed(address, topic, broker):
    words = ["--topic", topic, "--clients", 2, "--payload-bytes", 300]
    measured("consume", address, *words, "--warm-seconds", 0, "--seconds", 0.1)
    published = measured("publish", address, *words, "--in-flight", 10, "--seconds", 0.2)
    consumed = measured("consume", address, *words, "--seconds", 2)
    assert fine(published) and fine(consumed)
    assert (consumed["total"], consumed["sum"]) == (published["total"], published["sum"])
    for index in range(2):
        assert broker.until_backlog(f"{topic}-{index}", "load", 0) == 0


def test_a_short_payload_can_not_tell_when_it_was_due(address):
    ran = load("end-to-end", "--address", address, "--payload-bytes", "23-100", check=False)
    assert ran.returncode == 1 and "24 bytes" in ran.stderr


def examples() -> list[str]:
    text = (tools.ROOT / "docs" / "load.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [line for line in "".join(blocks).replace("\\\n", " ").splitlines() if line.startswith("pulsar-ws-load ")]


@pytest.mark.parametrize("example", examples())
def test_the_examples_of_the_documentation_run(address, tmp_path, monkeypatch, example):
    monkeypatch.chdir(tmp_path)
    example = example.replace("ws://127.0.0.1:8080", address).replace("$(pidof pulsar-ws-fast)", "1")
    words = shlex.split(example.split("#")[0])[1:]
    ran = load(*words, "--seconds", 0.3, "--warm-seconds", 0, "--ramp", 0, *(["--clients", 2] if "idle" in words else []))
    assert json.loads(ran.stdout) if "json" in words else "bottleneck" in ran.stdout or "idle clients" in ran.stdout
