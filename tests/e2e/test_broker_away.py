"""The broker is killed, unloads topics, loses them: sessions stay, and nothing that was confirmed is lost.

`scripts/test-broker-away` runs more rounds and prints the figures.
"""

from __future__ import annotations

import base64
import json
import logging
import random
import re
import threading
import time
import uuid
from collections import Counter

import pulsar
import pytest
from websockets.exceptions import ConnectionClosed

from harness.client import Client, Endpoints, encode
from harness.ids import read as read_id
from harness.servers import Broker

pytestmark = pytest.mark.ours_only("about how our program comes back")

# The service tells the broker of acknowledgements in groups; a kill takes those on their way along.
YOUNG_SECONDS = 0.1
# Deliveries that are left unacknowledged, so that something must come back in the end.
KEPT_EVERY = 211
# A broker that comes up on a busy machine, and the longest rest between two tries to reach it.
COMES_BACK_SECONDS = 150
RATE = 150
IN_FLIGHT_MAX = 200


@pytest.fixture(scope="module", params=["false", "true"], ids=["entry-acks", "batch-index-acks"])
def broker(request):
    """Every acknowledgement is made durable at once, not only once a second."""
    made = Broker(
        "broker-away", acknowledgmentAtBatchIndexLevelEnabled=request.param,
        managedLedgerDefaultMarkDeleteRateLimit=0,
    )
    try:
        yield made.wait()
    finally:
        made.stop()


@pytest.fixture(scope="module")
def service(start, broker) -> Endpoints:
    return start(broker)


@pytest.fixture(scope="module")
def cpp(broker):
    """Clients made anew each time: one that sees the broker die would need to come back as well."""
    quiet = logging.getLogger("pulsar-cpp-away")
    quiet.setLevel(logging.CRITICAL)
    clients = []

    def connect() -> pulsar.Client:
        clients.append(pulsar.Client(broker.url, logger=quiet))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


class Worker:
    """A WebSocket with a thread that reads it until it is closed."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.over = False
        self.problem: str | None = None
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        try:
            while True:
                self.take(json.loads(self.client.socket.recv()))
        except ConnectionClosed as closed:
            if not self.over:
                self.problem = f"{type(self).__name__} was closed: {closed}"
        except Exception as error:  # noqa: BLE001 - told by the test, not by a thread
            self.problem = f"{type(self).__name__}: {error!r}"

    def take(self, message: dict) -> None:
        raise NotImplementedError

    def check(self) -> None:
        assert self.problem is None, self.problem

    def close(self) -> None:
        self.check()
        self.over = True
        self.client.close()
        self.thread.join(10)


class Publisher(Worker):
    """Publishes numbers at a steady rate, whatever the broker does."""

    def __init__(self, client: Client, name: str) -> None:
        self.name = name
        self.sent = self.answered = 0
        self.stored: list[tuple[int, str]] = []
        self.failed: list[tuple[int, dict]] = []
        self.stopped = threading.Event()
        super().__init__(client)
        self.pump = threading.Thread(target=self._pump, daemon=True)
        self.pump.start()

    def _pump(self) -> None:
        try:
            while not self.stopped.wait(1 / RATE):
                if self.sent - self.answered < IN_FLIGHT_MAX:
                    self.client.send({"payload": encode(f"{self.name}-{self.sent}"), "context": str(self.sent)})
                    self.sent += 1
        except ConnectionClosed:
            pass  # The reader tells.

    def take(self, message: dict) -> None:
        # Replies come in the order of publishing.
        assert message["context"] == str(self.answered), (message, self.answered)
        if message["result"] == "ok":
            self.stored.append((self.answered, message["messageId"]))
        else:
            self.failed.append((self.answered, message))
        self.answered += 1

    def finish(self) -> None:
        """Stops publishing and waits for what is in flight."""
        self.stopped.set()
        self.pump.join(10)
        until(lambda: self.problem or self.answered == self.sent, COMES_BACK_SECONDS, "a publish was never answered")
        self.check()


class Consumer(Worker):
    """Acknowledges what comes, except for a few, and never a second time."""

    def __init__(self, client: Client, pause: float = 0) -> None:
        self.pause = pause
        self.acked: dict[str, float] = {}
        self.kept: set[str] = set()
        self.payloads: dict[str, str] = {}
        self.came_again: set[str] = set()
        super().__init__(client)

    def take(self, message: dict) -> None:
        message_id = message["messageId"]
        payload = base64.b64decode(message["payload"]).decode()
        known = self.payloads.setdefault(message_id, payload)
        assert known == payload, f"{message_id} was {known}, now it is {payload}"
        if message_id in self.acked:
            self.came_again.add(message_id)
        elif int(payload.rsplit("-", 1)[1]) % KEPT_EVERY == 0:
            self.kept.add(message_id)
        else:
            time.sleep(self.pause)
            # What is on its way when the broker dies counts from when it was written.
            self.acked[message_id] = time.monotonic()
            self.client.ack(message)


def until(condition, seconds: float, sentence: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, sentence
        time.sleep(0.02)


def place(message_id: str) -> tuple[int, int, int]:
    """A message id as something that has an order."""
    numbers = read_id(message_id)
    return numbers["ledger"], numbers["entry"], numbers.get("batch_index", -1)


def place_of(message: pulsar.Message) -> tuple[int, int, int]:
    found = message.message_id()
    return found.ledger_id(), found.entry_id(), found.batch_index()


def read_all(client: pulsar.Client, topic: str) -> list[tuple[tuple[int, int, int], str]]:
    """Everything in the topic, in its order."""
    reader = client.create_reader(f"persistent://public/default/{topic}", pulsar.MessageId.earliest)
    found = []
    try:
        while reader.has_message_available():
            message = reader.read_next(timeout_millis=10_000)
            found.append((place_of(message), message.data().decode()))
    finally:
        reader.close()
    return found


def drain(client: pulsar.Client, topic: str, subscription: str, quiet_ms: int = 3000) -> list[tuple[int, int, int]]:
    """What the subscription still has."""
    consumer = client.subscribe(
        f"persistent://public/default/{topic}", subscription, consumer_type=pulsar.ConsumerType.Shared,
        initial_position=pulsar.InitialPosition.Earliest, receiver_queue_size=5000,
    )
    found = []
    try:
        while True:
            found.append(place_of(consumer.receive(timeout_millis=quiet_ms)))
    except pulsar.Timeout:
        return found
    finally:
        consumer.close()


def check_stored(publisher: Publisher, topic_content: list[tuple[tuple[int, int, int], str]]) -> None:
    """Every id that was promised is there, with its payload, in the order of publishing."""
    content = dict(topic_content)
    places = [place(message_id) for _, message_id in publisher.stored]
    for (number, _), at in zip(publisher.stored, places):
        assert content.get(at) == f"{publisher.name}-{number}", f"publish {number}, stored at {at}, is {content.get(at)}"
    assert places == sorted(set(places)), "the order is lost"


def check_first_copies_in_order(publisher: Publisher, topic_content: list[tuple[tuple[int, int, int], str]]) -> int:
    """A publish may be stored twice around a kill, but never before its predecessor; tells how many were."""
    seen: set[int] = set()
    highest = copies = 0
    for _, payload in topic_content:
        name, number = payload.rsplit("-", 1)
        if name != publisher.name:
            continue
        number = int(number)
        copies += number in seen
        if number not in seen:
            assert number >= highest, f"{number} was stored after {highest}"
            highest = number
        seen.add(number)
    return copies


def publish_batches(client: pulsar.Client, topic: str, messages: int) -> None:
    """Entries of ten messages each, which only another client's publishes make."""
    producer = client.create_producer(
        f"persistent://public/default/{topic}", batching_enabled=True, batching_max_messages=10,
        batching_max_publish_delay_ms=10_000, block_if_queue_full=True,
    )
    for number in range(messages):
        producer.send_async(f"batched-{number + 1}".encode(), lambda *_: None)
    producer.flush()
    producer.close()


def test_a_killed_broker_costs_nothing_that_was_confirmed(request, broker, service, cpp, topic):
    rounds = request.config.getoption("--rounds")
    entries_only = broker.settings["acknowledgmentAtBatchIndexLevelEnabled"] == "false"
    random.seed(rounds)
    batched = f"{topic}-batched"
    consumers = {
        topic: Consumer(service.consumer(topic, subscriptionType="Shared")),
        batched: Consumer(service.consumer(batched, subscriptionType="Shared", receiverQueueSize=100), 0.04),
    }
    publish_batches(cpp(), batched, 300 * rounds)
    publishers = [
        Publisher(service.producer(topic, sendTimeoutMillis=0), "patient"),
        Publisher(service.producer(topic, sendTimeoutMillis=2000), "hasty"),
    ]
    everybody = [*publishers, *consumers.values()]
    kills, recoveries = [], []
    for _ in range(rounds):
        time.sleep(random.uniform(1, 3))
        broker.crash()
        # Only now it is certain that nothing is taken any more.
        kills.append(time.monotonic())
        time.sleep(random.uniform(0, 2))
        broker.start()
        broker.wait()
        up = time.monotonic()
        before = [len(publisher.stored) for publisher in publishers]
        until(
            lambda: any(worker.problem for worker in everybody)
            or all(len(publisher.stored) > count for publisher, count in zip(publishers, before)),
            COMES_BACK_SECONDS, "nothing was stored after the broker had come back",
        )
        recoveries.append(time.monotonic() - up)
        for worker in everybody:
            worker.check()
    for publisher in publishers:
        publisher.finish()

    content = read_all(cpp(), topic)
    promised = {at for at, _ in content}
    until(lambda: {place(known) for known in consumers[topic].payloads} >= promised, 60, "not all was delivered")
    consumers[batched].pause = 0
    until(lambda: len(consumers[batched].payloads) == 300 * rounds, 60, "not all batches were delivered")
    time.sleep(1)
    for worker in everybody:
        worker.close()

    for publisher in publishers:
        check_stored(publisher, content)
    copies = sum(check_first_copies_in_order(publisher, content) for publisher in publishers)
    patient, hasty = publishers
    assert patient.failed == []
    for number, failure in hasty.failed:
        assert failure["result"].startswith("send-error:8"), (number, failure)
        assert "TimeoutException" in failure["errorMsg"], (number, failure)

    lost: list[tuple[float, str, str, float]] = []
    for name, consumer in consumers.items():
        left = set(drain(cpp(), name, "sub"))
        kept = {place(known) for known in consumer.kept}
        assert kept <= left, f"not acknowledged, and gone: {sorted(kept - left)[:5]}"
        # Without acknowledgements of batch members an entry is acknowledged with its last one.
        told: dict[tuple[int, ...], float] = {}
        for message_id, at in consumer.acked.items():
            entry = place(message_id)[: 2 if entries_only else 3]
            told[entry] = max(told.get(entry, 0), at)
        open_entries = {at[:2] for at in kept} if entries_only else set()
        for message_id, at in consumer.acked.items():
            if place(message_id) in left and place(message_id)[:2] not in open_entries:
                entry = told[place(message_id)[: 2 if entries_only else 3]]
                age = min((kill - entry for kill in kills if kill >= entry), default=float("inf"))
                since = min((entry - kill for kill in kills if kill <= entry), default=float("inf"))
                payload = f"{consumer.payloads[message_id]} {place(message_id)}"
                lost.append((age, payload, "and came again" if message_id in consumer.came_again else "and did not come again", since))
    ages = [age for age, *_ in lost]
    print(
        f"\n{rounds} kills: {sum(publisher.sent for publisher in publishers)} published, "
        f"{sum(len(publisher.stored) for publisher in publishers)} ok, {len(hasty.failed)} timed out, "
        f"{copies} stored twice; {sum(len(consumer.acked) for consumer in consumers.values())} acknowledged, "
        f"{len(ages)} of them lost by a kill, the oldest {max(ages, default=0) * 1000:.0f} ms old "
        f"({sum(age > YOUNG_SECONDS for age in ages)} older than {YOUNG_SECONDS * 1000:.0f} ms); back after the broker within "
        f"{sorted(recoveries)[len(recoveries) // 2]:.1f} s (median), {max(recoveries):.1f} s (longest)"
    )
    old = sorted(one for one in lost if one[0] > YOUNG_SECONDS)
    sentence = "{0:.3f} s before a kill, {3:.3f} s after one: {1} {2}"
    assert not old, "acknowledged, and back again:\n" + "\n".join(sentence.format(*one) for one in old[:40])


def test_publishes_fail_by_timeout_only_and_go_on_afterwards(broker, service, topic):
    with service.producer(topic, sendTimeoutMillis=1500, producerName="patience") as producer:
        producer.publish(b"before")
        broker.crash()
        try:
            began = time.monotonic()
            for _ in range(2):
                producer.send({"payload": encode(b"during")})
            replies = producer.several(2)
            waited = time.monotonic() - began
        finally:
            broker.start()
        assert 1.4 <= waited < 4, waited
        for reply in replies:
            assert reply["result"] == "send-error:8", reply
            assert re.fullmatch(
                r"org\.apache\.pulsar\.client\.api\.PulsarClientException\$TimeoutException: The producer patience "
                rf"can not send message to the topic persistent://public/default/{topic} within given timeout : "
                r"createdAt 1\.\d+ seconds ago, firstSentAt \d+\.\d+ seconds ago, lastSentAt \d+\.\d+ seconds ago, "
                r"retryCount [01]", reply["errorMsg"],
            ), reply
        broker.wait()
        until(lambda: publishes(producer), 30, "the producer did not come back")


def publishes(producer: Client) -> bool:
    producer.send({"payload": encode(b"after")})
    return producer.json(20)["result"] == "ok"


def test_a_topic_that_is_unloaded_under_load_keeps_its_sessions_and_its_order(broker, service, cpp, topic):
    consumer = Consumer(service.consumer(topic, subscriptionType="Shared"))
    publisher = Publisher(service.producer(topic), "unloaded")
    for _ in range(6):
        stored = len(publisher.stored)
        until(lambda: publisher.problem or len(publisher.stored) > stored + 20, 30, "nothing is stored any more")
        broker.admin("PUT", f"persistent/public/default/{topic}/unload")
    publisher.finish()
    assert publisher.failed == []
    content = read_all(cpp(), topic)
    check_stored(publisher, content)
    check_first_copies_in_order(publisher, content)
    until(lambda: len(consumer.payloads) == len(content), 30, "not all was delivered")
    time.sleep(1)
    consumer.close()
    publisher.close()
    left = set(drain(cpp(), topic, "sub", 1500))
    assert left == {place(kept) for kept in consumer.kept}, "an unload takes no acknowledgement along"


def test_sessions_go_on_when_their_topic_is_deleted_and_made_again(broker, service, topic):
    with service.consumer(topic) as consumer, service.producer(topic) as producer:
        producer.publish(b"old")
        old = consumer.json()
        broker.admin("DELETE", f"persistent/public/default/{topic}?force=true")
        until(lambda: publishes(producer), 30, "the producer did not come back")
        # The subscription begins anew at the end of the new topic, some time after the producer did.
        delivery = None
        for _ in range(60):
            assert publishes(producer)
            try:
                delivery = consumer.json(0.5)
                break
            except TimeoutError:
                continue
        assert delivery, "the consumer did not come back"
        assert base64.b64decode(delivery["payload"]) == b"after"
        assert read_id(delivery["messageId"])["ledger"] != read_id(old["messageId"])["ledger"]
        consumer.ack(old)
        consumer.ack(delivery)
