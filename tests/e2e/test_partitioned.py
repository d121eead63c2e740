"""Publishing to topics with partitions."""

from __future__ import annotations

import base64
import re
import time
from collections import defaultdict

import pytest

from harness import ids
from harness.client import Endpoints, encode
from harness.raw import request
from harness.servers import Ours

ROBIN = "RoundRobinPartition"

# Keys with the hashes that the Java client's own classes make of them.
HASHES = {
    "": (0, 0), "a": (97, 1009084850), "ab": (3105, 465557343), "abc": (96354, 870159354), "abcd": (2987074, 1139631978),
    "abcde": (92599395, 1755028214), "key-1": (101943363, 414258592), "ключ": (33309882, 442048578),
    "😀": (1772899, 1051995898), "a😀b": (57849694, 977559804), "é": (233, 269551495),
    "polygenelubricants": (0, 1101602400), "The quick brown fox jumps over the lazy dog": (1538055507, 776992547),
}


def until(met, seconds: float = 10) -> None:
    """Returns when the condition is met."""
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def partitioned(broker, topic):
    """Makes the test's topic, with so many partitions."""
    # A topic's name must not look like a partition's.
    topic = topic.replace("partition", "part")

    def make(count: int) -> str:
        broker.admin("PUT", f"persistent/public/default/{topic}/partitions", count)
        return topic

    return make


def partition(reply: dict) -> int:
    """Where a reply says that the message is."""
    numbers = ids.read(reply["messageId"])
    assert list(numbers) == ["ledger", "entry", "partition", "batch_size"], numbers
    return numbers["partition"]


@pytest.mark.parametrize("scheme", ["JavaStringHash", "Murmur3_32Hash", None])
@pytest.mark.parametrize("mode", [None, ROBIN])
def test_a_key_has_its_partition(service, partitioned, scheme, mode):
    topic, count = partitioned(7), 7
    wishes = {"hashingScheme": scheme, "messageRoutingMode": mode}
    wishes = {name: value for name, value in wishes.items() if value}
    with service.producer(topic, **wishes) as producer:
        for key, (java, murmur) in HASHES.items():
            expected = murmur if scheme == "Murmur3_32Hash" else java
            assert [partition(producer.publish(key=key)) for _ in range(2)] == [expected % count] * 2, key


def test_messages_are_in_the_partition_that_the_reply_names(service, cpp, partitioned):
    topic = partitioned(3)
    consumer = cpp.subscribe(topic, "cpp")
    with service.producer(topic, messageRoutingMode=ROBIN) as producer:
        replies = {str(number): producer.publish(str(number))["messageId"] for number in range(9)}
    while replies:
        message = consumer.receive(10_000)
        found = message.message_id()
        written = ids.write(
            ledger=found.ledger_id(), entry=found.entry_id(), partition=found.partition(), batch_size=0)
        assert replies.pop(message.data().decode()) == written
        assert message.topic_name().endswith(f"-partition-{found.partition()}")
    consumer.close()


def test_round_robin_goes_round(service, partitioned):
    topic = partitioned(4)
    with service.producer(topic, messageRoutingMode=ROBIN) as producer:
        first = [partition(producer.publish()) for _ in range(4)]
        assert sorted(first) == [0, 1, 2, 3]
        assert first == [(first[0] + step) % 4 for step in range(4)]
        assert partition(producer.publish(key="a")) == 97 % 4
        assert [partition(producer.publish()) for _ in range(4)] == first, "keys take no turn"


@pytest.mark.parametrize("mode", [None, "SinglePartition", "CustomPartition"])
def test_a_session_keeps_to_one_partition(service, partitioned, mode):
    topic = partitioned(4)
    wishes = {"messageRoutingMode": mode} if mode else {}
    seen = set()
    for _ in range(12):
        with service.producer(topic, **wishes) as producer:
            mine = {partition(producer.publish()) for _ in range(3)}
            assert len(mine) == 1
            seen |= mine
    assert len(seen) > 1, "chosen by chance"


def test_one_partition_only(service, partitioned):
    with service.producer(partitioned(1)) as producer:
        assert [partition(producer.publish(key=key)) for key in "abc"] == [0, 0, 0]


def test_replies_come_in_order_within_a_partition(service, partitioned):
    topic = partitioned(5)
    with service.producer(topic, messageRoutingMode=ROBIN) as producer:
        for number in range(500):
            producer.send({"payload": encode(str(number)), "context": str(number)})
        replies = producer.several(500)
    assert {reply["result"] for reply in replies} == {"ok"}
    by_partition = defaultdict(list)
    for reply in replies:
        by_partition[partition(reply)].append(reply)
    for mine in by_partition.values():
        assert [ids.read(reply["messageId"])["entry"] for reply in mine] == list(range(100))
        contexts = [int(reply["context"]) for reply in mine]
        assert contexts == list(range(contexts[0], 500, 5)), "each reply has its own context"


def publishers(broker, topic: str) -> dict[str, list[str]]:
    stats = broker.admin("GET", f"persistent/public/default/{topic}/partitioned-stats?perPartition=true")
    return {
        name.rpartition("-")[2]: [publisher["producerName"] for publisher in part["publishers"]]
        for name, part in stats["partitions"].items()
    }


@pytest.mark.parametrize("name", [None, "me"])
def test_all_partitions_know_the_producer_under_one_name(service, broker, partitioned, name):
    topic = partitioned(3)
    with service.producer(topic, **({"producerName": name} if name else {})):
        names = publishers(broker, topic)
        assert sorted(names) == ["0", "1", "2"]
        assert len({tuple(mine) for mine in names.values()}) == 1, names
        assert all(len(mine) == 1 for mine in names.values())
        if name:
            assert names["0"] == [name]
    until(lambda: not any(publishers(broker, topic).values()))


def test_a_partition_alone(service, partitioned):
    topic = partitioned(3)
    with service.producer(f"{topic}-partition-1") as producer:
        numbers = ids.read(producer.publish(key="abcd")["messageId"])
        assert list(numbers) == ["ledger", "entry", "batch_size"]


def refused(service, topic: str, **parameters: object) -> tuple[int, str]:
    """Status and message, without what differs each time."""
    answer = request(service.port, service.path("producer", topic, **parameters))
    message = re.search("<td>(Failed to create producer/consumer: .*)</td>", answer.text)
    return answer.status, re.sub(r',"reqId":.*', "", message[1])


def test_a_partition_that_is_none(service, partitioned):
    topic = partitioned(3)
    expected = 'Failed to create producer/consumer: {"errorMsg":""'
    assert refused(service, f"{topic}-partition-3") == (404, expected)


@pytest.mark.parametrize("part", [0, 2])
def test_a_name_that_is_taken_in_one_partition(service, broker, partitioned, part):
    topic = partitioned(3)
    named = f"persistent://public/default/{topic}-partition-{part}"
    with service.producer(f"{topic}-partition-{part}", producerName="taken") as holder:
        status, message = refused(service, topic, producerName="taken")
        assert status == 409
        assert message.endswith(f"Producer with name 'taken' is already connected to topic '{named}'\""), message
        # Nothing is left of it where the name was free.
        until(lambda: publishers(broker, topic)[str(part)] == ["taken"])
        until(lambda: sum(map(len, publishers(broker, topic).values())) == 1)
        holder.publish()
    with service.producer(topic, producerName="taken") as producer:
        producer.publish()


@pytest.mark.parametrize("part", [0, 1])
def test_a_terminated_partition(service, broker, partitioned, part):
    topic = partitioned(2)
    with service.producer(topic, messageRoutingMode=ROBIN) as producer:
        while partition(producer.publish()) != part:
            pass
        broker.admin("POST", f"persistent/public/default/{topic}-partition-{part}/terminate")
        replies = []
        for _ in range(6):
            producer.send({"payload": encode("x")})
            replies.append(producer.json())
    assert {partition(reply) for reply in replies[::2]} == {1 - part}
    errors = [reply["errorMsg"] for reply in replies[1::2]]
    assert {reply["result"] for reply in replies[1::2]} == {"send-error:8"}
    terminated = "org.apache.pulsar.client.api.PulsarClientException$TopicTerminatedException: "
    assert errors[0].startswith(terminated + '{"errorMsg":"')
    assert errors[1:] == [terminated + "Topic was terminated"] * 2
    status, message = refused(service, topic)
    assert status == 503
    assert "Topic was already terminated" in message


def test_a_partition_that_is_unloaded_while_others_go_on(service, broker, partitioned):
    topic, count = partitioned(3), 600
    with service.producer(topic, messageRoutingMode=ROBIN) as producer, \
            service.reader(f"{topic}-partition-1", messageId="earliest") as reader:
        for number in range(count):
            producer.send({"payload": encode(str(number)), "context": str(number)})
            if number % 100 == 50:
                broker.admin("PUT", f"persistent/public/default/{topic}-partition-1/unload")
        replies = producer.several(count, 60)
        assert {reply["result"] for reply in replies} == {"ok"}
        mine = defaultdict(list)
        for reply in replies:
            mine[partition(reply)].append(int(reply["context"]))
        for contexts in mine.values():
            assert contexts == list(range(contexts[0], count, 3))
        wanted, at = list(map(str, mine[1])), 0
        # What was sent again may be there twice.
        while at < len(wanted):
            delivery = reader.json()
            reader.ack(delivery)
            payload = base64.b64decode(delivery["payload"]).decode()
            if payload == wanted[at]:
                at += 1
            else:
                assert payload in wanted[:at]


def test_partitions_that_are_added_are_used(start, broker, partitioned):
    # Java, which does not know the setting, looks every 60 seconds.
    service = start(broker, webSocketAutoUpdatePartitionsIntervalMillis=200)
    topic = partitioned(2)
    with service.producer(topic, messageRoutingMode=ROBIN) as producer:
        names = publishers(broker, topic)
        assert {partition(producer.publish()) for _ in range(4)} == {0, 1}
        broker.admin("POST", f"persistent/public/default/{topic}/partitions", 5)
        until(lambda: partition(producer.publish()) > 1, 80)
        assert {partition(producer.publish()) for _ in range(5)} == {0, 1, 2, 3, 4}
        assert partition(producer.publish(key="ab")) == 3105 % 5
        now = publishers(broker, topic)
        assert sorted(now) == ["0", "1", "2", "3", "4"]
        assert {tuple(mine) for mine in now.values()} == {tuple(names["0"])}
    until(lambda: not any(publishers(broker, topic).values()))


@pytest.mark.ours_only("Java's service always has both addresses")
def test_partitions_that_are_found_over_http(broker, partitioned):
    topic = partitioned(3)
    ours = Ours("", env={"serviceUrl": f"http://127.0.0.1:{broker.web_port}"},
                webSocketAutoUpdatePartitionsIntervalMillis=200)
    try:
        ours.wait()
        with Endpoints(f"ws://127.0.0.1:{ours.port}", "ours").producer(topic, messageRoutingMode=ROBIN) as producer:
            assert {partition(producer.publish()) for _ in range(3)} == {0, 1, 2}
            broker.admin("POST", f"persistent/public/default/{topic}/partitions", 4)
            until(lambda: partition(producer.publish()) == 3)
    finally:
        ours.stop()
