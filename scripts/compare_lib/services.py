"""The services under test, the broker behind them, and what only passes bytes on."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

from harness import tools
from harness.process import Process, answers, free_port
from harness.servers import OPENED, write_properties

from .bench import Bench, tool
from .workloads import Workload


class Listening:
    """A tool that prints its address first."""

    def __init__(self, bench: Bench, name: str, cpus: str, *flags: object, port: int = 0, host: str = "127.0.0.1") -> None:
        self.process = bench.start(name, cpus, tool(name), "--listen", f"{host}:{port}", *flags)
        self.process.wait_until(lambda: self.lines(), 10)
        self.address = self.lines()[0]
        self.pid = self.process.pid

    def lines(self) -> list[str]:
        text = self.process.log.read_text()
        return text[: text.rfind("\n") + 1].splitlines()


class NullBroker:
    """Always at the same address, whatever it is to expect and deliver: services outlive its changes."""

    def __init__(self, bench: Bench, cpus: str | None = None, host: str = "127.0.0.1") -> None:
        self.bench, self.cpus, self.host = bench, cpus or bench.other_cpus, host
        self.port = free_port()
        self.url = f"pulsar://{host}:{self.port}"
        self.flags: tuple[object, ...] | None = None
        self.expect(1024)

    def expect(self, payload_bytes: int, *flags: object) -> None:
        """Makes it one that publishes and deliveries of this size agree with."""
        wanted = ("--payload-bytes", payload_bytes, *flags)
        if wanted == self.flags:
            return
        if self.flags:
            self.process.kill()
        self.flags = wanted
        self.process = Listening(self.bench, "pulsar-null-broker", self.cpus, *wanted, port=self.port, host=self.host).process
        self.pid = self.process.pid

    def counts(self) -> dict:
        return signalled(self.process)


def signalled(process: Process) -> dict:
    """What the process tells on SIGUSR1: a line of JSON."""
    def told() -> list[str]:
        return [line for line in process.log.read_text().splitlines() if line.startswith("{")]

    # A signal before the program expects it would end it.
    process.wait_until(lambda: expects(process.pid, signal.SIGUSR1), 10)
    before = len(told())
    process.popen.send_signal(signal.SIGUSR1)
    process.wait_until(lambda: len(told()) > before, 10)
    return json.loads(told()[-1])


def expects(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for this signal."""
    caught = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


class Ours:
    """This repository's service."""

    name = "ours"

    def __init__(self, bench: Bench, url: str, *, binary: Path | None = None, shards: int = 1,
                 cpus: str | None = None, env: dict | None = None) -> None:
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        # The limit of connections is Java's default otherwise, far below the idle producers' number.
        self.process = bench.start(
            "pulsar-ws-fast", cpus or bench.service_cpu, binary or tools.our_binary(), "--port", port,
            "--bind", "127.0.0.1", "--broker-url", url, "--cores", shards,
            env={"maxHttpServerConnections": "0", **(env or {})},
        )
        self.process.wait_until(lambda: answers(port), 15)
        self.pid = self.process.pid

    def stop(self) -> None:
        self.process.kill()


class Java:
    """Pulsar's service with its defaults, in a JVM with its defaults: both compilers at work."""

    name = "java"

    def __init__(self, bench: Bench, url: str) -> None:
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        conf = bench.log("java").with_suffix(".conf")
        conf.parent.mkdir(parents=True, exist_ok=True)
        write_properties(conf, {
            "clusterName": "standalone",
            "brokerServiceUrl": url,
            "webServicePort": port,
            # 2048 by default, and whoever comes after that waits for ever.
            "maxHttpServerConnections": 20_000,
        })
        classes = tools.java_classes()
        self.process = bench.start(
            "java", bench.service_cpu, "java", *[f"--add-opens={module}=ALL-UNNAMED" for module in OPENED],
            "-Dio.netty.tryReflectionSetAccessible=true",
            f"-Dlog4j.configurationFile={tools.JAVA_SOURCES / 'log4j2.properties'}",
            "-Xmx2g", "-XX:MaxDirectMemorySize=2g", "-cp", f"{classes}:{tools.PULSAR_LIB}/*",
            "LoopbackWebSocketService", conf,
        )
        self.process.wait_until(lambda: answers(port), 120)
        self.pid = self.process.pid

    def move(self, cpus: str) -> None:
        """To other CPUs, with all its threads."""
        numbers = {int(cpu) for cpu in cpus.split(",")}
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            # A thread may end meanwhile; one that begins has its parent's CPUs.
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), numbers)

    def stop(self) -> None:
        self.process.kill()


class Passing:
    """Whatever only passes bytes on, between the load client and a peer that answers: as many for each message as in `sample`."""

    name = ""

    def __init__(self, bench: Bench, workload: Workload, sample: dict) -> None:
        self.workload = workload
        per_message = {name: max(1, round(count / sample["total"])) for name, count in {
            "request": sample["bytes_sent"], "answer": sample["bytes_received"], **sample["broker_bytes"]}.items()}
        self.request, self.answer = per_message["request"], per_message["answer"]
        self.sent, self.back = per_message["sent"], per_message["back"]
        asked, answered = self.at_the_far_end()
        self.mirror = Listening(bench, "pulsar-null-broker", bench.other_cpus, "--mirror", f"{asked}:{answered}")
        self.process, self.address = self.between(bench, self.mirror.address)
        self.pid = self.process.pid

    def at_the_far_end(self) -> tuple[int, int]:
        """Bytes that come there for each message, and that leave."""
        return self.request, self.answer

    def between(self, bench: Bench, far: str) -> tuple[Process, str]:
        """Starts what passes on to `far`; the process and its address."""
        raise NotImplementedError

    def stop(self) -> None:
        self.process.kill()
        self.mirror.process.kill()


class Relay(Passing):
    """The bare relay: on our runtime, looking at nothing, with as many bytes on each socket as ours has there."""

    name = "relay"

    def at_the_far_end(self) -> tuple[int, int]:
        return self.sent, self.back

    def between(self, bench: Bench, far: str) -> tuple[Process, str]:
        shape = f"{self.request}:{self.sent}:{self.back}:{self.answer}:{self.workload.ahead}"
        relay = Listening(bench, "pulsar-relay", bench.service_cpu, "--to", far, "--shape", shape)
        return relay.process, relay.address
