"""A cluster of two real brokers with one bookie: topics move between them."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Callable

from . import tools
from .process import Process, free_port
from .servers import SMALL_BOOKIE, SMALL_BROKER, Broker, java, write_properties

NAME = "two"
# Brokers that pass those who ask on to each other, and such that tell clients where a topic goes.
MODULAR = {"loadManagerClassName": "org.apache.pulsar.broker.loadbalance.impl.ModularLoadManagerImpl"}
EXTENSIBLE = {
    "loadManagerClassName": "org.apache.pulsar.broker.loadbalance.extensions.ExtensibleLoadManagerImpl",
    "loadManagerServiceUnitStateTableViewClassName":
        "org.apache.pulsar.broker.loadbalance.extensions.channel.ServiceUnitStateMetadataStoreTableViewImpl",
    "loadBalancerLoadSheddingStrategy": "org.apache.pulsar.broker.loadbalance.extensions.scheduler.TransferShedder",
    "loadBalancerMultiPhaseBundleUnload": "true",
}
# Where such brokers talk of their load.
LOAD_DATA = "non-persistent/pulsar/system/loadbalancer-broker-load-data"
# How long a dead broker counts as alive.
SESSION_MS = 8000


@dataclass
class Hosts:
    """Brokers as a service is told of them."""

    url: str
    web_url: str
    web_port: int


class Storage:
    """ZooKeeper with the cluster's metadata, and a bookie."""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = tools.SCRATCH / f"cluster-{self.port}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        zookeeper, bookie = self.folder / "zookeeper.conf", self.folder / "bookie.conf"
        write_properties(zookeeper, {
            "dataDir": self.folder / "zookeeper",
            "clientPort": self.port,
            "clientPortAddress": "127.0.0.1",
            "tickTime": 1000,
            "admin.enableServer": "false",
            "forceSync": "no",
        })
        write_properties(bookie, {
            **SMALL_BOOKIE,
            "metadataServiceUri": f"zk+null://127.0.0.1:{self.port}/ledgers",
            "bookiePort": free_port(),
            "advertisedAddress": "127.0.0.1",
            "journalDirectories": self.folder / "journal",
            "ledgerDirectories": self.folder / "ledgers",
            "minUsableSizeForIndexFileCreation": 0,
            "minUsableSizeForEntryLogCreation": 0,
            "isForceGCAllowWhenNoSpace": "true",
        })
        self.ready = self.folder / "ready"
        self.process = Process("storage", [
            *java(heap_mb=256), "ClusterStorage", zookeeper, self.port, bookie, NAME, "http://127.0.0.1:1", self.ready,
        ], self.folder / "storage.log", cwd=self.folder)

    def wait(self) -> "Storage":
        self.process.wait_until(self.ready.exists, 120)
        return self

    def stop(self) -> None:
        self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Member(Broker):
    """One broker of a cluster."""

    def __init__(self, storage: Storage, name: str) -> None:
        self.port, self.web_port = free_port(), free_port()
        self.folder = storage.folder / name
        self.folder.mkdir()
        self.storage = storage
        self.process: Process | None = None
        self.load_manager: dict | None = None

    def begin(self, load_manager: dict) -> None:
        """Starts it with this load manager."""
        self.load_manager = load_manager
        conf = self.folder / "broker.conf"
        write_properties(conf, {
            **SMALL_BROKER,
            "clusterName": NAME,
            "brokerServicePort": self.port,
            "webServicePort": self.web_port,
            "metadataStoreUrl": f"zk:127.0.0.1:{self.storage.port}",
            "configurationMetadataStoreUrl": f"zk:127.0.0.1:{self.storage.port}",
            "metadataStoreSessionTimeoutMillis": SESSION_MS,
            "managedLedgerDefaultMarkDeleteRateLimit": 0,
            # What is acknowledged stays to be looked at.
            "defaultRetentionTimeInMinutes": 60,
            "defaultRetentionSizeInMB": -1,
            "numIOThreads": 2,
            "numHttpServerThreads": 8,
            "bookkeeperNumberOfChannelsPerBookie": 2,
            "brokerShutdownTimeoutMs": 10_000,
            "loadBalancerEnabled": "true",
            "loadBalancerSheddingEnabled": "false",
            "loadBalancerAutoBundleSplitEnabled": "false",
            **load_manager,
        })
        self.command = [
            *java(heap_mb=256), "org.apache.pulsar.PulsarBrokerStarter", "--broker-conf", conf,
        ]
        self.start()

    def is_up(self) -> bool:
        return self.process is not None and self.process.alive()

    def end(self) -> None:
        """Ends it without a chance to tidy up, if it is up."""
        if self.process is not None:
            self.process.kill()

    def terminate(self) -> int:
        """Asks it to end; it gives its topics away first."""
        return self.process.terminate(60)

    @property
    def id(self) -> str:
        """Its name among brokers."""
        return f"127.0.0.1:{self.web_port}"

    def _ready(self) -> bool:
        try:
            return self.id in self.admin("GET", f"brokers/{NAME}")
        except (OSError, ValueError):
            return False

    def call(self, method: str, path: str, body: object = None) -> object:
        """One call to its web service, passed on to whom it names; JSON, or the text if it is none."""
        url = f"http://127.0.0.1:{self.web_port}/{path}"
        for _ in range(5):
            request = urllib.request.Request(
                url, method=method, data=None if body is None else json.dumps(body).encode(),
                headers={"Content-Type": "application/json"},
            )
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    text = answer.read().decode()
                return json.loads(text) if text[:1] in ("{", "[") else text
            except urllib.error.HTTPError as error:
                if error.code != 307:
                    raise OSError(f"{method} {url}: {error.code} {error.read()[:300]!r}") from error
                url = error.headers["Location"]
        raise OSError(f"{method} {path}: too many redirects")

    def admin(self, method: str, path: str, body: object = None) -> object:
        """As any broker's, but brokers may pass the call on."""
        return self.call(method, f"admin/v2/{path}", body)


class Cluster:
    """The storage, and two brokers that can be ended one by one."""

    def __init__(self) -> None:
        self.storage = Storage()
        self.storage.wait()
        self.members = [Member(self.storage, name) for name in ("first", "second")]
        self.first, self.second = self.members

    def ready(self, load_manager: dict) -> "Cluster":
        """Returns when both brokers are up with this load manager, topics can be made and moved."""
        if any(member.load_manager not in (None, load_manager) for member in self.members):
            # Who leaves in good order is not taken for alive by the next one.
            together([member.terminate for member in self.members if member.is_up()])
        for member in self.members:
            if not member.is_up():
                member.begin(load_manager)
        for member in self.members:
            member.wait()
        # A load manager goes on starting after its broker says that it is there.
        until(lambda: self._agree("ready"), 60, "the brokers know of no owner")
        if load_manager is EXTENSIBLE:
            until(self._tell_each_other, 60, "the brokers do not tell each other of their load")
        return self

    def _tell_each_other(self) -> bool:
        """Whether each broker says what load it has, and hears of all; until then owners are not final."""
        with suppress(OSError):
            topics = [member.admin("GET", f"{LOAD_DATA}/stats") for member in self.members]
            return all(len(self.members) == len(topic["publishers"]) == len(topic["subscriptions"]) for topic in topics)
        return False

    def _agree(self, topic: str, on: Member | None = None) -> bool:
        """Whether all brokers name the same owner of the topic, this one if it is told."""
        with suppress(OSError):
            owners = [self.owner(topic, member) for member in self.members]
            return all(owner is (on or owners[0]) for owner in owners)
        return False

    def hosts(self, *members: Member, dead_first: bool = False) -> Hosts:
        """These brokers, behind one that is not there if that is asked for."""
        ports = [(free_port(), free_port())] if dead_first else []
        ports += [(member.port, member.web_port) for member in members]
        binary, web = (",".join(f"127.0.0.1:{pair[index]}" for pair in ports) for index in (0, 1))
        return Hosts(f"pulsar://{binary}", f"http://{web}", members[0].web_port)

    def other(self, member: Member) -> Member:
        return self.second if member is self.first else self.first

    def owner(self, topic: str, ask: Member | None = None) -> Member:
        """The topic's broker; who is asked may be told."""
        url = (ask or self.any_up()).call("GET", f"lookup/v2/topic/persistent/public/default/{topic}")["brokerUrl"]
        return next(member for member in self.members if member.url == url)

    def bundle(self, topic: str) -> str:
        """The part of the namespace that moves along with the topic."""
        return self.any_up().call("GET", f"lookup/v2/topic/persistent/public/default/{topic}/bundle")

    def move(self, topic: str, to: Member) -> None:
        """Moves the topic, and what lies in the same bundle; returns when all know it."""
        path = f"namespaces/public/default/{self.bundle(topic)}/unload?destinationBroker={to.id}"
        deadline = time.monotonic() + 60
        while not self._agree(topic, to):
            assert time.monotonic() < deadline, f"{topic} did not move"
            # A client that asks in between may take it back to where it was.
            with suppress(OSError):
                if self.owner(topic) is not to:
                    self.other(to).admin("PUT", path)
            with suppress(AssertionError):
                until(lambda: self._agree(topic, to), 3, "not yet")

    def leader(self) -> Member:
        """Who assigns topics that nobody owns."""
        told = self.any_up().admin("GET", "brokers/leaderBroker")
        return next(member for member in self.members if member.id in (told.get("brokerId"), told["serviceUrl"][7:]))

    def any_up(self) -> Member:
        return next(member for member in self.members if member.is_up())

    def stop(self) -> None:
        for member in self.members:
            member.end()
        self.storage.stop()


def together(actions: list[Callable[[], object]]) -> None:
    """Does all of it at the same time."""
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(action) for action in actions]:
            done.result()


class Relay:
    """Passes connections on to a port until it is cut."""

    def __init__(self, to: int) -> None:
        self.to = to
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.to))
                self.sockets += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Nobody gets through any more."""
        for end in [self.listener, *self.sockets]:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def until(condition: Callable[[], bool], seconds: float, sentence: str) -> None:
    """Waits for a condition; fails with the sentence when that takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, sentence
        time.sleep(0.05)
