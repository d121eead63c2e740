"""SIGTERM while many clients publish and acknowledge: what was confirmed holds, and everybody is told 1001.

Java's service drops its connections then, so there is nothing to compare.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time

import pulsar
import pytest
from websockets.exceptions import ConnectionClosed

from harness.client import Client, Endpoints, encode
from harness.ids import read as read_id
from harness.process import answers
from harness.servers import Broker, Ours

pytestmark = pytest.mark.ours_only("Java's service drops its clients")

PUBLISHERS = 50
CONSUMERS = 20
IN_FLIGHT = 100
# After so many confirmed publishes and as many acknowledgements the service is told to end.
UNDER_WAY = 2000
# Of the command.
DRAIN_TIMED_OUT = 1


@pytest.fixture
def own_broker():
    """A broker of the test's own, that it may stop and kill."""
    made = Broker("broker-drain")
    try:
        yield made.wait()
    finally:
        resume(made)
        made.stop()


@pytest.fixture
def serve():
    """Starts services that the test ends."""
    made = []

    def start(broker: Broker, **settings: object) -> tuple[Ours, Endpoints]:
        service = Ours(broker.url, **settings)
        made.append(service)
        service.wait()
        return service, Endpoints(f"ws://127.0.0.1:{service.port}", "ours")

    yield start
    for service in made:
        service.stop()


class Worker:
    """A client with a thread of its own that works until the service closes it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.code: int | None = None
        self.problem: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.begin()
            while True:
                self.take(json.loads(self.client.socket.recv()))
        except ConnectionClosed:
            self.code = self._told()
        except BaseException as error:  # noqa: BLE001 - told by the test, not by a thread
            self.problem = error

    def _told(self) -> int:
        """A send that fails leaves replies unread that came before the close frame."""
        try:
            while True:
                self.take_last(json.loads(self.client.socket.recv(timeout=10)))
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006

    def begin(self) -> None:
        """What it says first."""

    def take(self, message: dict) -> None:
        raise NotImplementedError

    def take_last(self, message: dict) -> None:
        """A message, when nothing can be said any more."""
        raise NotImplementedError

    def end(self) -> int | None:
        self.thread.join(60)
        assert not self.thread.is_alive(), "it was never closed"
        assert self.problem is None, repr(self.problem)
        self.client.close()
        return self.code


class Publisher(Worker):
    """Has as many publishes in flight as it may, and knows which were confirmed."""

    def __init__(self, client: Client, name: str) -> None:
        self.name = name
        self.sent = 0
        self.stored: dict[str, str] = {}
        super().__init__(client)

    def _publish(self) -> None:
        self.client.send({"payload": encode(f"{self.name}-{self.sent}"), "context": str(self.sent)})
        self.sent += 1

    def begin(self) -> None:
        for _ in range(IN_FLIGHT):
            self._publish()

    def take(self, message: dict) -> None:
        self.take_last(message)
        self._publish()

    def take_last(self, message: dict) -> None:
        assert message["result"] == "ok", message
        assert message["context"] == str(len(self.stored)), "replies come in order, each once"
        self.stored[f"{self.name}-{message['context']}"] = message["messageId"]


class Consumer(Worker):
    """Acknowledges what comes; the answer to a question proves that what was said before it was heard."""

    def __init__(self, client: Client) -> None:
        self.acked: list[str] = []
        self.asked: list[int] = []
        self.heard = 0
        super().__init__(client)

    def take(self, message: dict) -> None:
        self.take_last(message)
        if "messageId" in message:
            self.client.ack(message)
            self.acked.append(message["messageId"])
            if len(self.acked) % 7 == 0:
                self.client.send({"type": "isEndOfTopic"})
                self.asked.append(len(self.acked))

    def take_last(self, message: dict) -> None:
        if "endOfTopic" in message:
            self.heard = self.asked.pop(0)


def stop(broker: Broker) -> None:
    """It says nothing any more, and its connections stay."""
    os.killpg(broker.process.pid, signal.SIGSTOP)


def resume(broker: Broker) -> None:
    if broker.process.alive():
        os.killpg(broker.process.pid, signal.SIGCONT)


def until(condition, seconds: float, sentence: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, sentence
        time.sleep(0.02)


def fill(cpp: pulsar.Client, topic: str, messages: int) -> None:
    producer = cpp.create_producer(f"persistent://public/default/{topic}", block_if_queue_full=True)
    for number in range(messages):
        producer.send_async(str(number).encode(), lambda *_: None)
    producer.flush()
    producer.close()


def place(message_id: str) -> tuple[int, int, int]:
    numbers = read_id(message_id)
    return numbers["ledger"], numbers["entry"], numbers.get("batch_index", -1)


def place_of(message: pulsar.Message) -> tuple[int, int, int]:
    found = message.message_id()
    return found.ledger_id(), found.entry_id(), found.batch_index()


def everything(cpp: pulsar.Client, topic: str) -> dict[tuple[int, int, int], str]:
    """What the topic stores."""
    reader = cpp.create_reader(f"persistent://public/default/{topic}", pulsar.MessageId.earliest)
    found = {}
    while reader.has_message_available():
        message = reader.read_next(timeout_millis=10_000)
        found[place_of(message)] = message.data().decode()
    reader.close()
    return found


def left(cpp: pulsar.Client, topic: str) -> set[tuple[int, int, int]]:
    """What the subscription still has."""
    consumer = cpp.subscribe(
        f"persistent://public/default/{topic}", "sub", consumer_type=pulsar.ConsumerType.Shared,
        receiver_queue_size=5000,
    )
    found = set()
    try:
        while True:
            found.add(place_of(consumer.receive(timeout_millis=3000)))
    except pulsar.Timeout:
        return found
    finally:
        consumer.close()


def test_a_drain_among_busy_clients_loses_nothing(broker, serve, cpp, topic):
    service, endpoints = serve(broker)
    consumed = f"{topic}-consumed"
    fill(cpp, consumed, 20_000)
    parameters = {"subscriptionType": "Shared", "receiverQueueSize": 50, "subscriptionInitialPosition": "Earliest"}
    consumers = [Consumer(endpoints.consumer(consumed, **parameters)) for _ in range(CONSUMERS)]
    publishers = [Publisher(endpoints.producer(topic), f"p{number}") for number in range(PUBLISHERS)]
    until(lambda: sum(len(it.stored) for it in publishers) > UNDER_WAY, 60, "nothing is stored")
    until(lambda: sum(it.heard for it in consumers) > UNDER_WAY, 60, "nothing is acknowledged")
    service.process.popen.terminate()
    assert {worker.end() for worker in [*publishers, *consumers]} == {1001}
    assert service.process.popen.wait(30) == 0

    confirmed = {place(known): payload for it in publishers for payload, known in it.stored.items()}
    assert len(confirmed) == sum(len(it.stored) for it in publishers)
    stored = everything(cpp, topic)
    assert stored == confirmed, "what is stored was confirmed, and the other way round"
    heard = {place(known) for it in consumers for known in it.acked[: it.heard]}
    again = heard & left(cpp, consumed)
    assert not again, f"{len(again)} of {len(heard)} acknowledgements were lost"
    print(f"\n{len(confirmed)} confirmed of {sum(it.sent for it in publishers)} sent, {len(heard)} acknowledged")


def is_still(publisher: Publisher) -> bool:
    """Whether nothing was stored for a while."""
    before = len(publisher.stored)
    time.sleep(0.5)
    return len(publisher.stored) == before


def test_a_drain_ends_by_its_deadline_when_the_broker_dies_in_it(own_broker, serve, topic):
    service, endpoints = serve(own_broker, webSocketDrainTimeoutMillis=4000)
    publishers = [Publisher(endpoints.producer(topic), f"p{number}") for number in range(10)]
    consumers = [Consumer(endpoints.consumer(topic, subscriptionType="Shared")) for _ in range(5)]
    until(lambda: all(it.stored for it in publishers), 60, "nothing is stored")
    until(lambda: any(it.heard for it in consumers), 60, "nothing is acknowledged")
    stop(own_broker)
    service.process.popen.terminate()
    until(lambda: not answers(service.port), 10, "it still accepts clients")
    own_broker.crash()
    assert {worker.end() for worker in [*publishers, *consumers]} == {1001}
    assert service.process.popen.wait(30) == DRAIN_TIMED_OUT


def test_a_second_signal_ends_at_once(own_broker, serve, topic):
    service, endpoints = serve(own_broker, webSocketDrainTimeoutMillis=600_000)
    publisher = Publisher(endpoints.producer(topic), "p")
    until(lambda: publisher.stored, 60, "nothing is stored")
    stop(own_broker)
    # What the broker had answered before may still be on its way; then nothing comes, and everything is in flight.
    until(lambda: is_still(publisher), 20, "something is in flight")
    service.process.popen.terminate()
    until(lambda: not answers(service.port), 10, "it still accepts clients")
    assert service.process.alive(), "publishes wait for their receipts"
    service.process.popen.terminate()
    # Far less than the time it would have had.
    assert service.process.popen.wait(60) == 128 + signal.SIGTERM
    assert publisher.end() == 1006
