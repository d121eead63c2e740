"""The servers under test and around it: a real broker, the Java WebSocket service, and ours."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from . import tools
from .process import Process, answers, free_port

OPENED = [
    "java.base/java.lang", "java.base/java.io", "java.base/java.net", "java.base/java.nio",
    "java.base/java.util.zip", "java.base/sun.net", "java.base/jdk.internal.loader",
    "java.base/jdk.internal.misc", "java.base/jdk.internal.platform",
    "java.management/sun.management", "jdk.management/com.sun.management.internal",
]


# A broker on the loopback address with one bookie, and nothing that a test does not ask for.
SMALL_BROKER = {
    "bindAddress": "127.0.0.1",
    "advertisedAddress": "127.0.0.1",
    "managedLedgerDefaultEnsembleSize": 1,
    "managedLedgerDefaultWriteQuorum": 1,
    "managedLedgerDefaultAckQuorum": 1,
    "managedLedgerMaxSingleLedgerRolloverTimeMs": 86_400_000,
    "brokerDeleteInactiveTopicsEnabled": "false",
    "allowAutoTopicCreation": "true",
    "systemTopicEnabled": "false",
    "topicLevelPoliciesEnabled": "false",
    "transactionCoordinatorEnabled": "false",
    "webSocketServiceEnabled": "false",
}

# Throwaway data: no need to wait for the disk.
SMALL_BOOKIE = {
    "journalSyncData": "false",
    "journalMaxGroupWaitMSec": 1,
    "allowLoopback": "true",
    "listeningInterface": "lo",
    "diskUsageThreshold": "0.999",
    "diskUsageWarnThreshold": "0.998",
    "diskUsageLwmThreshold": "0.998",
}


def java(*, heap_mb: int) -> list[object]:
    """A JVM that starts fast and stays small: these servers live for minutes."""
    classes = tools.java_classes()
    return [
        "java", *[f"--add-opens={module}=ALL-UNNAMED" for module in OPENED],
        "-Dio.netty.tryReflectionSetAccessible=true",
        f"-Dlog4j.configurationFile={tools.JAVA_SOURCES / 'log4j2.properties'}",
        "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Xmx{heap_mb}m",
        f"-XX:MaxDirectMemorySize={heap_mb}m", "-cp", f"{classes}:{tools.PULSAR_LIB}/*",
    ]


class Broker:
    """Pulsar standalone with fresh data, on free ports."""

    def __init__(self, name: str = "broker", **settings: object) -> None:
        self.settings = settings
        self.port, self.web_port = free_port(), free_port()
        self.folder = tools.SCRATCH / f"{name}-{self.port}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        conf = self.folder / "standalone.conf"
        write_properties(conf, {
            "clusterName": "standalone",
            "brokerServicePort": self.port,
            "webServicePort": self.web_port,
            "loadBalancerEnabled": "false",
            **SMALL_BROKER,
            **SMALL_BOOKIE,
            **settings,
        })
        self.command = [
            *java(heap_mb=512), "org.apache.pulsar.PulsarStandaloneStarter", "--config", conf,
            "--no-stream-storage", "--no-functions-worker", "--num-bookies", 1,
            "--bookkeeper-port", free_port(), "--bookkeeper-dir", self.folder / "bk",
            "--metadata-dir", self.folder / "metadata",
        ]
        self.start()

    def start(self) -> None:
        """Starts it, again after a `crash`: with its data, on its ports."""
        self.process = Process("broker", self.command, self.folder / "broker.log", cwd=self.folder)

    def crash(self) -> None:
        """Ends it without a chance to tidy up; its data stays as it is."""
        self.process.kill()

    def wait(self) -> "Broker":
        """Returns when topics can be made."""
        self.process.wait_until(self._ready, 180)
        return self

    def _ready(self) -> bool:
        try:
            return "public/default" in self.admin("GET", "namespaces/public")
        except (OSError, ValueError):
            return False

    @property
    def url(self) -> str:
        return f"pulsar://127.0.0.1:{self.port}"

    def admin(self, method: str, path: str, body: object = None) -> object:
        """One call to the admin interface; the answer as JSON, or None."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.web_port}/admin/v2/{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def backlog(self, topic: str, subscription: str) -> int:
        """Entries that the subscription has not finished with."""
        stats = self.admin("GET", f"persistent/public/default/{topic}/stats?getPreciseBacklog=true")
        return stats["subscriptions"][subscription]["msgBacklog"]

    def until_backlog(self, topic: str, subscription: str, wanted: int, seconds: float = 5) -> int:
        """The backlog, once it is as wanted or the time is up."""
        deadline = time.monotonic() + seconds
        while (now := self.backlog(topic, subscription)) != wanted and time.monotonic() < deadline:
            time.sleep(0.05)
        return now

    def stop(self) -> None:
        self.process.kill()
        for part in ("bk", "metadata"):
            shutil.rmtree(self.folder / part, ignore_errors=True)


class JavaPublisher:
    """`scripts/java/Publish.java`: publishes what only the Java client can. It ends when its input does, and so with the tests."""

    def __init__(self, broker: Broker) -> None:
        log = broker.folder / "publish.log"
        with log.open("wb") as errors:
            self.popen = subprocess.Popen(
                [str(word) for word in [*java(heap_mb=128), "Publish", broker.url]],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, bufsize=1)
        self.log = log
        self.lock = threading.Lock()

    def publish(self, what: str, topic: str) -> None:
        """Returns when it is stored."""
        with self.lock:
            self.popen.stdin.write(f"{what} {topic}\n")
            while (line := self.popen.stdout.readline()) != "done\n":
                if not line:
                    raise RuntimeError(f"the Java client has left: see {self.log}")

    def stop(self) -> None:
        self.popen.kill()
        self.popen.wait()


class JavaService:
    """Apache Pulsar's own WebSocket service: the reference."""

    name = "java"

    def __init__(self, broker: Broker, port: int | None = None, env: dict | None = None, **settings: object) -> None:
        self.port = free_port(port)
        self.folder = tools.SCRATCH / f"java-{self.port}"
        self.folder.mkdir(parents=True, exist_ok=True)
        conf = self.folder / "websocket.conf"
        write_properties(conf, {
            "clusterName": "standalone",
            "brokerServiceUrl": broker.url,
            "serviceUrl": f"http://127.0.0.1:{broker.web_port}",
            "webServicePort": self.port,
            "webSocketNumIoThreads": 2,
            "webSocketConnectionsPerBroker": 1,
            "numHttpServerThreads": 16,
            **settings,
        })
        self.process = Process("Java WebSocket service", [
            *java(heap_mb=512), "LoopbackWebSocketService", conf,
        ], self.folder / "service.log", env, self.folder)

    def wait(self) -> "JavaService":
        self.process.wait_until(lambda: answers(self.port), 120)
        return self

    def stop(self) -> None:
        self.process.kill()


class Ours:
    """The program this repository makes."""

    name = "ours"

    def __init__(self, broker_url: str, port: int | None = None, env: dict | None = None, flags: tuple = (),
                 **settings: object) -> None:
        binary = tools.our_binary()
        if not binary.exists():
            raise RuntimeError(f"{binary} is not there: cargo build --release")
        self.port = free_port(port)
        self.folder = tools.SCRATCH / f"ours-{self.port}"
        if settings:
            self.folder.mkdir(parents=True, exist_ok=True)
            conf = self.folder / "websocket.conf"
            write_properties(conf, {"clusterName": "standalone", **settings})
            flags = (*flags, "--config", conf)
        self.process = Process("pulsar-ws-fast", [
            binary, "--port", self.port, "--bind", "127.0.0.1", *(["--broker-url", broker_url] if broker_url else []),
            "--cores", 1, *flags,
        ], self.folder / "service.log", env)

    def wait(self) -> "Ours":
        self.process.wait_until(lambda: answers(self.port), 15)
        return self

    def stop(self) -> None:
        self.process.kill()


class PulsarLite:
    """A small embedded broker, for a first try without Java. Keeps its data while the folder stays."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        conf = folder / "pulsar-lite.toml"
        # Its metrics would otherwise be open to the network, on the very port a proxy likes to have.
        conf.write_text(
            f'addr = "127.0.0.1:{self.port}"\ndb_path = "{folder / "data"}"\nlog_level = "warn"\n'
            'cluster = "standalone"\n\n[metrics]\nenabled = false\n'
        )
        binary = next((tools.VENV / "lib").glob("python*/site-packages/pulsar_lite/bin/pulsar-lite"))
        self.process = Process("pulsar-lite", [binary, "--config", conf], folder / "pulsar-lite.log", cwd=folder)

    @property
    def url(self) -> str:
        return f"pulsar://127.0.0.1:{self.port}"

    def wait(self) -> "PulsarLite":
        self.process.wait_until(lambda: answers(self.port), 30)
        return self

    def stop(self) -> None:
        self.process.terminate()


def write_properties(path: Path, values: dict[str, object]) -> None:
    """Writes what java.util.Properties reads."""
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
