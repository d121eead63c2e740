"""Two brokers: topics lie on either, move between them, and outlive the one they were on.

First brokers that send those who ask on to each other, then brokers that tell whose topic they move where it went.
The tests that end a broker come last among their kind.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
import uuid
from collections import deque
from contextlib import suppress
from typing import Callable

import pulsar
import pytest
from websockets.exceptions import ConnectionClosed

from harness.client import Client, Endpoints, decode, encode
from harness.cluster import EXTENSIBLE, MODULAR, Cluster, Relay, until
from harness.ids import read as read_id
from test_broker_away import (
    Consumer, Publisher, Worker, check_first_copies_in_order, check_stored, place, read_all,
)

IN_FLIGHT = 200
PARTS = 4
# The service tells the broker of acknowledgements in groups; a kill takes those on their way along.
YOUNG_SECONDS = 0.1
COMES_BACK_SECONDS = 90
# A broker that just came up takes its time with a first topic.
PATIENT = {"webSocketHandshakeTimeoutMillis": 30_000}


@pytest.fixture(scope="module")
def both():
    """The storage; brokers come with the first test that wants them."""
    made = Cluster()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def cluster(request, both) -> Cluster:
    """Two brokers that are up."""
    return both.ready(request.param)


modular = pytest.mark.parametrize("cluster", [MODULAR], ids=["modular"], indirect=True)
extensible = pytest.mark.parametrize("cluster", [EXTENSIBLE], ids=["extensible"], indirect=True)


@pytest.fixture(scope="module")
def told(start, both):
    """Services by what they are told of the cluster."""
    made: dict[str, Endpoints] = {}

    def service(of: str) -> Endpoints:
        leader = both.leader()
        if of not in made and of == "a broker":
            # Who does not lead has to send those on who ask for a topic of nobody.
            made[of] = start(both.hosts(both.other(leader)), **PATIENT)
        if of not in made and of == "all brokers":
            made[of] = start(both.hosts(*both.members, dead_first=True), **PATIENT)
        if of not in made and of == "web services":
            hosts = both.hosts(both.other(leader), leader, dead_first=True)
            made[of] = start(dataclasses.replace(hosts, url=""), serviceUrl=hosts.web_url, **PATIENT)
        return made[of]

    return service


@pytest.fixture(params=["a broker", "all brokers", "web services"])
def service(request, cluster, told) -> Endpoints:
    """Each of them."""
    return told(request.param)


@pytest.fixture
def cpp(both):
    """Another client, made when it is called, at a broker that is up then."""
    quiet = logging.getLogger("pulsar-cpp-cluster")
    quiet.setLevel(logging.CRITICAL)
    clients = []

    def connect() -> pulsar.Client:
        clients.append(pulsar.Client(both.any_up().url, logger=quiet))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


class Burst(Publisher):
    """Publishes as many as may be in flight at once, and again when all are answered."""

    KEYS = 1

    def _pump(self) -> None:
        try:
            while not self.stopped.wait(0.05):
                if self.sent == self.answered:
                    for _ in range(IN_FLIGHT):
                        self.client.send({
                            "payload": encode(f"{self.name}-{self.sent}"), "context": str(self.sent),
                            "key": str(self.sent % self.KEYS),
                        })
                        self.sent += 1
        except ConnectionClosed:
            pass  # The reader tells.

    def more(self, count: int = IN_FLIGHT) -> None:
        """Returns when so many more are stored."""
        stored = len(self.stored)
        until(lambda: self.problem or len(self.stored) >= stored + count, COMES_BACK_SECONDS, "nothing is stored")
        self.check()

    def end(self) -> None:
        """Stops once more are stored, and everything is answered."""
        if not self.stopped.is_set():
            self.more()
            self.finish()


class KeyedBurst(Burst):
    """The same by several keys: those of one key are answered in order."""

    KEYS = 7

    def take(self, message: dict) -> None:
        (self.stored if message["result"] == "ok" else self.failed).append((int(message["context"]), message["messageId"]))
        self.answered += 1


class Consuming(Consumer):
    """Acknowledges again what Java sends again: it counts as outstanding twice."""

    def __init__(self, client: Client, is_java: bool) -> None:
        self.is_java = is_java
        super().__init__(client)

    def take(self, message: dict) -> None:
        super().take(message)
        if self.is_java and message["messageId"] in self.came_again:
            self.client.ack(message)


class Reading(Worker):
    """Reads all there is."""

    def __init__(self, client: Client) -> None:
        self.found: list[tuple[tuple[int, int, int], str]] = []
        super().__init__(client)

    def take(self, message: dict) -> None:
        self.found.append((place(message["messageId"]), decode(message).decode()))
        self.client.ack(message)


def publishes(producer: Client) -> bool:
    """Publishes once; tells whether it was stored, or the topic was at its end."""
    producer.send({"payload": encode(b"after")})
    reply = producer.json(40)
    assert reply["result"] == "ok" or "TopicTerminatedException" in reply["errorMsg"], reply
    return reply["result"] == "ok"


def all_like(service: Endpoints, start: str) -> Client:
    """A consumer of all topics whose names start so, now or later."""
    pattern = f"public/default/{start}.*&subscriptionInitialPosition=Earliest"
    return Client(f"{service.base}/ws/v3/consumer/like?topicsPattern={pattern}")


def comes_back(producer: Client, consumer: Client) -> dict:
    """Publishes until something is delivered: a subscription that is made again begins at the topic's end."""
    for _ in range(60):
        assert publishes(producer)
        with suppress(TimeoutError):
            return consumer.json(0.5)
    raise AssertionError("the consumer did not come back")


def at_end(consumer: Client) -> bool:
    """Whether the topic has no more messages, now or ever."""
    consumer.send({"type": "isEndOfTopic"})
    return consumer.json()["endOfTopic"]


def acknowledged(cluster: Cluster, topic: str) -> bool:
    return until_backlog(cluster, topic, "sub", 0) == 0


def until_backlog(cluster: Cluster, topic: str, subscription: str, wanted: int) -> int:
    """The backlog at the topic's broker, once it is as wanted or the time is up."""
    return cluster.owner(topic).until_backlog(topic, subscription, wanted, 15)


def spread(cluster: Cluster, topic: str) -> tuple[str, list[str]]:
    """Makes a topic whose partitions lie on both brokers; its name and theirs."""
    for number in range(20):
        name = f"{topic}-{number}"
        bundles = {f"{name}-partition-{part}": cluster.bundle(f"{name}-partition-{part}") for part in range(PARTS)}
        if len(set(bundles.values())) > 1:
            break
    cluster.first.admin("PUT", f"persistent/public/default/{name}/partitions", PARTS)
    for part, bundle in bundles.items():
        cluster.move(part, cluster.members[sorted(set(bundles.values())).index(bundle) % 2])
    return name, list(bundles)


def exchange(service: Endpoints, topic: str, count: int = 5) -> list[dict]:
    """Publishes, consumes and reads some messages; the deliveries, acknowledged."""
    with service.consumer(topic) as consumer, service.reader(topic, messageId="earliest") as reader:
        with service.producer(topic) as producer:
            stored = [producer.publish(str(number))["messageId"] for number in range(count)]
        for client in (reader, consumer):
            got = client.several(count, 30)
            assert [one["messageId"] for one in got] == stored
            assert [decode(one) for one in got] == [str(number).encode() for number in range(count)]
            for delivery in got:
                client.ack(delivery)
        return got


@modular
def test_a_topic_on_the_other_broker_is_found(cluster, service, topic):
    for owner in (cluster.leader(), cluster.other(cluster.leader())):
        name = f"{topic}-{owner.port}"
        cluster.move(name, owner)
        exchange(service, name)
        assert cluster.owner(name) is owner
        assert acknowledged(cluster, name)


@modular
def test_a_topic_of_nobody_gets_a_broker(cluster, service, topic):
    cluster.leader().admin("PUT", "namespaces/public/default/unload")
    exchange(service, topic)
    assert acknowledged(cluster, topic)


@modular
def test_partitions_lie_on_both_brokers(cluster, service, topic):
    topic, parts = spread(cluster, topic)
    assert {cluster.owner(part).port for part in parts} == {one.port for one in cluster.members}
    count = 20
    with service.consumer(topic) as consumer, service.reader(topic, messageId="earliest") as reader:
        with service.producer(topic) as producer:
            stored = {number: producer.publish(str(number), key=f"key-{number % 7}")["messageId"] for number in range(count)}
        assert len({read_id(message_id)["partition"] for message_id in stored.values()}) > 1
        for number in range(7):
            same = [read_id(stored[other])["partition"] for other in range(number, count, 7)]
            assert len(set(same)) == 1, "a key has one partition"
        for client in (reader, consumer):
            got = client.several(count, 30)
            assert {int(decode(one)): one["messageId"] for one in got} == stored
            for part in range(PARTS):
                numbers = [int(decode(one)) for one in got if read_id(one["messageId"])["partition"] == part]
                assert numbers == sorted(numbers)
            for delivery in got:
                client.ack(delivery)
        for part in parts:
            assert acknowledged(cluster, part)


class Load:
    """One who publishes, one who consumes in order, one who shares and one who reads, all of the same topic."""

    def __init__(self, service: Endpoints, topic: str) -> None:
        self.service, self.topic = service, topic
        self.consumers = {
            kind: Consuming(service.consumer(topic, kind, subscriptionType=kind), service.is_java)
            for kind in ("Exclusive", "Shared")
        }
        self.reading = Reading(service.reader(topic, messageId="earliest"))
        self.publisher = Burst(service.producer(topic, sendTimeoutMillis=0), "moved")
        self.publisher.more()

    def check_nothing_is_lost(self, cpp: Callable[[], pulsar.Client]) -> None:
        """Everything is stored, in order, as was promised; everything was delivered, in order."""
        publisher = self.publisher
        publisher.end()
        assert publisher.failed == []
        content = read_all(cpp(), self.topic)
        check_stored(publisher, content)
        check_first_copies_in_order(publisher, content)
        assert {payload for _, payload in content} == {f"moved-{number}" for number in range(publisher.sent)}
        until(lambda: self.reading.problem or len(self.reading.found) >= len(content), COMES_BACK_SECONDS, "not all was read")
        self.reading.close()
        assert self.reading.found == content
        for kind, consumer in self.consumers.items():
            until(lambda: consumer.problem or len(consumer.payloads) >= len(content), COMES_BACK_SECONDS,
                  f"not all was delivered to the {kind} one")
            consumer.check()
            assert sorted(map(place, consumer.payloads)) == [at for at, _ in content]
            if kind == "Exclusive":
                first_seen = list(dict.fromkeys(consumer.payloads.values()))
                assert first_seen == [f"moved-{number}" for number in range(publisher.sent)]

    def left(self, cluster: Cluster) -> dict[str, set[str]]:
        """Ends the sessions; what each subscription still has."""
        self.publisher.close()
        for consumer in self.consumers.values():
            consumer.close()
        return {kind: left(cluster, self.service, self.topic, kind) for kind in self.consumers}

    def check_acks_hold(self, cluster: Cluster) -> None:
        """What was acknowledged does not come again: Java loses acks that left shortly before a move."""
        if not self.service.is_java:
            assert self.left(cluster) == {kind: consumer.kept for kind, consumer in self.consumers.items()}


class Slow(Worker):
    """Has a topic's messages, and acknowledges one each 100 ms, so that none has company on its way."""

    def __init__(self, service: Endpoints, topic: str) -> None:
        self.service, self.topic = service, topic
        self.waiting: deque[str] = deque()
        self.acked: set[str] = set()
        self.done = threading.Event()
        client = service.consumer(topic, "slow", subscriptionType="Shared")
        with service.producer(topic) as producer:
            self.stored = {producer.publish(str(number))["messageId"] for number in range(600)}
        super().__init__(client)
        self.pump = threading.Thread(target=self._pump, daemon=True)
        self.pump.start()

    def take(self, message: dict) -> None:
        if message["messageId"] not in self.acked and message["messageId"] not in self.waiting:
            self.waiting.append(message["messageId"])

    def _pump(self) -> None:
        while not self.done.wait(0.1):
            if self.waiting:
                message_id = self.waiting.popleft()
                self.acked.add(message_id)
                self.client.ack({"messageId": message_id})

    def more(self, count: int = 30) -> None:
        """Returns when so many more are acknowledged, or all."""
        wanted = min(len(self.acked) + count, len(self.stored))
        until(lambda: self.problem or len(self.acked) >= wanted, COMES_BACK_SECONDS, "nothing is acknowledged")
        self.check()

    def check_acks_hold(self, cluster: Cluster) -> None:
        """What was acknowledged does not come again, as with the load."""
        until(lambda: subscription(cluster, self.topic, "slow")["consumers"], COMES_BACK_SECONDS, "it did not come back")
        self.more()
        self.done.set()
        self.pump.join(10)
        self.close()
        if not self.service.is_java:
            assert left(cluster, self.service, self.topic, "slow") == self.stored - self.acked


def subscription(cluster: Cluster, topic: str, name: str) -> dict:
    path = f"persistent/public/default/{topic}/stats?getPreciseBacklog=true"
    return cluster.owner(topic).admin("GET", path)["subscriptions"][name]


def left(cluster: Cluster, service: Endpoints, topic: str, name: str) -> set[str]:
    """What a subscription still has once its sessions have ended."""
    until(lambda: not subscription(cluster, topic, name)["consumers"], 15, "the consumer stayed")
    with service.consumer(topic, name, subscriptionType="Shared") as other:
        count = subscription(cluster, topic, name)["msgBacklog"]
        return {one["messageId"] for one in other.several(count)}


class PartitionedLoad:
    """One who publishes by keys, in batches, and one who consumes, with partitions on both brokers."""

    def __init__(self, cluster: Cluster, service: Endpoints, topic: str) -> None:
        self.topic, self.parts = spread(cluster, topic)
        self.consumer = Consuming(service.consumer(self.topic), service.is_java)
        self.publisher = KeyedBurst(service.producer(self.topic, sendTimeoutMillis=0, batchingEnabled="true"), "spread")
        self.publisher.more()

    def check_nothing_is_lost(self, cpp: Callable[[], pulsar.Client]) -> None:
        """Everything is stored where it was promised, and in order for each key; everything was delivered."""
        publisher = self.publisher
        publisher.end()
        publisher.close()
        assert publisher.failed == []
        client = cpp()
        content = {
            (number, at): int(payload.split("-")[1])
            for number, part in enumerate(self.parts) for at, payload in read_all(client, part)
        }
        for sent, message_id in publisher.stored:
            assert content.get((read_id(message_id)["partition"], place(message_id))) == sent
        assert set(content.values()) == set(range(publisher.sent))
        for key in range(KeyedBurst.KEYS):
            # Resent ones may be there twice, but none before its predecessor.
            first_seen = list(dict.fromkeys(sent for sent in content.values() if sent % KeyedBurst.KEYS == key))
            assert first_seen == sorted(first_seen)
            answered = [sent for sent, _ in publisher.stored if sent % KeyedBurst.KEYS == key]
            assert answered == sorted(answered)
        consumer = self.consumer
        until(lambda: consumer.problem or len(consumer.payloads) >= len(content), COMES_BACK_SECONDS, "not all was delivered")
        consumer.close()


def move_under_load(cluster: Cluster, service: Endpoints, cpp: Callable[[], pulsar.Client], topic: str) -> None:
    cluster.move(topic, cluster.first)
    load = Load(service, topic)
    for to in (cluster.second, cluster.first, cluster.second):
        cluster.move(topic, to)
        load.publisher.more()
    load.check_nothing_is_lost(cpp)
    load.check_acks_hold(cluster)


@modular
@pytest.mark.parametrize("of, there", [
    ("a broker", 1),
    pytest.param("web services", 3, marks=pytest.mark.ours_only("Java asks one web service for a pattern's topics, dead or not")),
])
def test_topics_of_both_brokers_are_consumed_together(cluster, told, of, there):
    service, found = told(of), uuid.uuid4().hex[:8]
    names = [f"{found}-{number}" for number in range(3)]
    for name, owner in zip(names, [cluster.first, cluster.second, cluster.leader()]):
        cluster.move(name, owner)
    # Brokers tell of topics that come; their web services are only asked each minute.
    for name in names[:there]:
        cluster.first.admin("PUT", f"persistent/public/default/{name}")
    listed = Client(f"{service.base}/ws/v3/consumer/list?topics={names[0]},{names[1]}")
    with listed, all_like(service, found) as like:
        stored = []
        for name in names:
            with service.producer(name) as producer:
                stored.append(producer.publish(name)["messageId"])
        for client, expected in ((listed, stored[:2]), (like, stored)):
            got = client.several(len(expected), 30)
            assert sorted(one["messageId"] for one in got) == sorted(expected)
            for delivery in got:
                client.ack(delivery)
        for name in names:
            assert until_backlog(cluster, name, "like", 0) == 0


@modular
def test_a_topic_of_the_other_broker_is_deleted_and_made_again(cluster, told, topic):
    owner = cluster.leader()
    cluster.move(topic, owner)
    service = told("a broker")
    with service.consumer(topic) as consumer, service.producer(topic) as producer:
        old = producer.publish(b"old")["messageId"]
        assert consumer.json()["messageId"] == old
        owner.admin("DELETE", f"persistent/public/default/{topic}?force=true")
        again = comes_back(producer, consumer)
        assert read_id(again["messageId"])["ledger"] != read_id(old)["ledger"]
        consumer.ack(again)


@modular
def test_a_subscription_at_the_other_broker_is_deleted_and_made_again(cluster, told, topic):
    owner = cluster.leader()
    cluster.move(topic, owner)
    service = told("a broker")
    with service.consumer(topic) as consumer, service.producer(topic) as producer:
        producer.publish(b"old")
        assert decode(consumer.json()) == b"old"
        owner.admin("DELETE", f"persistent/public/default/{topic}/subscription/sub?force=true")
        consumer.ack(comes_back(producer, consumer))
    # It begins at the end: nothing older comes, acknowledged or not.
    assert owner.admin("GET", f"persistent/public/default/{topic}/stats")["subscriptions"].keys() == {"sub"}


@modular
def test_a_topic_of_the_other_broker_ends(cluster, told, topic):
    owner = cluster.leader()
    cluster.move(topic, owner)
    service = told("a broker")
    with service.consumer(topic) as consumer, service.producer(topic) as producer:
        producer.publish(b"last")
        consumer.ack(consumer.json())
        owner.admin("POST", f"persistent/public/default/{topic}/terminate")
        until(lambda: not publishes(producer), 30, "the topic takes messages for ever")
        until(lambda: at_end(consumer), 30, "the end is not told")
        # It stays the end, wherever the topic goes.
        cluster.move(topic, cluster.other(owner))
        assert not publishes(producer)
        until(lambda: at_end(consumer), 30, "the end is forgotten")


@modular
def test_a_topic_that_moves_is_looked_up_again(cluster, told, cpp, topic):
    move_under_load(cluster, told("a broker"), cpp, topic)


@pytest.mark.heavy
@modular
@pytest.mark.ours_only("Java rests longer each time it asks a broker that is dead, though another one is not")
def test_sessions_outlive_a_broker_that_is_killed(cluster, told, cpp, topic):
    service = told("all brokers")
    partitioned = PartitionedLoad(cluster, service, f"{topic}-parts")
    owner = cluster.leader()
    cluster.move(topic, owner)
    load = Load(service, topic)
    found = uuid.uuid4().hex[:8]
    with all_like(service, found) as consumer, service.producer(f"{found}-1") as producer:
        producer.publish(b"before")
        consumer.ack(consumer.json())
        assert cluster.owner(topic) is owner
        owner.crash()
        killed = time.monotonic()
        load.publisher.end()
        partitioned.publisher.end()
        partitioned.check_nothing_is_lost(cpp)
        producer.publish(b"after")
        with service.producer(f"{found}-2") as other:
            other.publish(b"new")
        assert {decode(one) for one in consumer.several(2, COMES_BACK_SECONDS)} == {b"after", b"new"}
    load.check_nothing_is_lost(cpp)
    assert cluster.owner(topic) is cluster.other(owner)
    for kind, left in load.left(cluster).items():
        consumer = load.consumers[kind]
        assert consumer.kept <= left
        lost = [killed - consumer.acked[message_id] for message_id in left - consumer.kept]
        assert all(0 <= age <= YOUNG_SECONDS for age in lost), sorted(lost)


@extensible
def test_a_topic_that_moves_tells_where_it_goes(cluster, start, cpp, topic):
    cluster.move(topic, cluster.first)
    relay = Relay(cluster.first.port)
    hosts = cluster.hosts(cluster.first)
    service = start(dataclasses.replace(hosts, url=f"pulsar://127.0.0.1:{relay.port}"), **PATIENT)
    load = Load(service, topic)
    # Nobody can be asked from now on.
    relay.cut()
    for to in (cluster.second, cluster.first, cluster.second):
        cluster.move(topic, to)
        load.publisher.more()
    load.check_nothing_is_lost(cpp)


@extensible
def test_a_topic_moves_under_load(cluster, told, cpp, topic):
    move_under_load(cluster, told("a broker"), cpp, topic)


@extensible
def test_partitions_move_under_load(cluster, told, cpp, topic):
    load = PartitionedLoad(cluster, told("a broker"), topic)
    for _ in range(2):
        for part in load.parts:
            cluster.move(part, cluster.other(cluster.owner(part)))
            load.publisher.more()
    load.check_nothing_is_lost(cpp)


@pytest.mark.heavy
@extensible
def test_sessions_outlive_a_broker_that_is_stopped(cluster, told, cpp, topic):
    owner = cluster.leader()
    cluster.move(topic, owner)
    cluster.move(f"{topic}-slow", owner)
    load = Load(told("all brokers"), topic)
    slow = Slow(told("all brokers"), f"{topic}-slow")
    slow.more()
    owner.terminate()
    load.check_nothing_is_lost(cpp)
    assert cluster.owner(topic) is cluster.other(owner)
    slow.check_acks_hold(cluster)
    load.check_acks_hold(cluster)
