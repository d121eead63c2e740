"""What a consumer gets and may say."""

from __future__ import annotations

import re
import time

import pytest

from harness import ids
from harness.client import PATIENCE, decode

TYPES = ["Exclusive", "Shared", "Failover", "Key_Shared"]
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?(?:Z|[+-]\d\d:\d\d)"
ID = r"[A-Za-z0-9+/]+={0,2}"


def test_the_message_is_exactly_so(service, topic):
    with service.consumer(topic) as consumer, service.producer(topic) as producer:
        plain = producer.publish(b"a")
        text = consumer.text()
        assert re.fullmatch(
            rf'{{"messageId":"{re.escape(plain["messageId"])}","payload":"YQ==","properties":{{}},'
            rf'"publishTime":"{TIME}","redeliveryCount":0}}', text), text
        producer.publish(b"a", key="k", properties={"a": "2"}, eventTime="2021-01-02T03:04:05.678Z", context="no")
        text = consumer.text()
        assert re.fullmatch(
            rf'{{"messageId":"{ID}","payload":"YQ==","properties":{{"a":"2"}},"publishTime":"{TIME}",'
            rf'"redeliveryCount":0,"eventTime":"{TIME}","key":"k"}}', text), text


def test_text_is_escaped_no_more_than_it_must(service, topic):
    with service.consumer(topic) as consumer, service.producer(topic) as producer:
        producer.publish(b"a", key='/é\u2028"\\\x01\x1f\n😀', properties={"p\t": "\x7f\r"})
        text = consumer.text()
        assert '"key":"/é\u2028\\"\\\\\\u0001\\u001F\\n😀"' in text
        assert '"properties":{"p\\t":"\x7f\\r"}' in text


@pytest.mark.parametrize("kind", TYPES)
def test_in_order_and_acked_for_good(service, broker, topic, kind):
    with service.consumer(topic, subscriptionType=kind) as consumer:
        with service.producer(topic) as producer:
            sent = [producer.publish(str(number), key="same")["messageId"] for number in range(50)]
        got = consumer.several(50)
        assert [delivery["messageId"] for delivery in got] == sent
        assert [decode(delivery) for delivery in got] == [str(number).encode() for number in range(50)]
        for delivery in got:
            consumer.ack(delivery)
        assert broker.until_backlog(topic, "sub", 0) == 0
    with service.consumer(topic, subscriptionType=kind) as consumer:
        consumer.nothing()


@pytest.mark.parametrize("kind", TYPES)
def test_what_was_not_acked_comes_again(service, topic, kind):
    with service.consumer(topic, subscriptionType=kind) as consumer:
        with service.producer(topic) as producer:
            for number in range(4):
                producer.publish(str(number), key="same")
        got = consumer.several(4)
        consumer.ack(got[0])
        consumer.ack(got[2])
        # The acks leave before the subscription is given up.
    with again(service, topic, subscriptionType=kind) as consumer:
        assert [decode(delivery) for delivery in consumer.several(2)] == [b"1", b"3"]
        consumer.nothing(0.3)


def again(service, topic, subscription="sub", **parameters):
    """Subscribes once the broker has noticed that the last consumer left."""
    from websockets.exceptions import InvalidStatus

    for _ in range(50):
        try:
            return service.consumer(topic, subscription, **parameters)
        except InvalidStatus as refused:
            assert refused.response.status_code == 409
            time.sleep(0.1)
    raise AssertionError("the subscription stays busy")


def test_acks_just_before_the_close_count(service, broker, topic):
    consumer = service.consumer(topic)
    with service.producer(topic) as producer:
        for number in range(20):
            producer.publish(str(number))
    for delivery in consumer.several(20):
        consumer.ack(delivery)
    consumer.close()
    assert broker.until_backlog(topic, "sub", 0) == 0


def test_shared_consumers_share(service, topic):
    with service.consumer(topic, subscriptionType="Shared", receiverQueueSize=1) as one, \
            service.consumer(topic, subscriptionType="Shared", receiverQueueSize=1) as other, \
            service.producer(topic) as producer:
        for number in range(20):
            producer.publish(str(number))
        seen = {one: [], other: []}
        deadline = time.monotonic() + PATIENCE
        while sum(map(len, seen.values())) < 20 and time.monotonic() < deadline:
            for consumer, got in seen.items():
                try:
                    delivery = consumer.json(0.05)
                except TimeoutError:
                    continue
                got.append(int(decode(delivery)))
                consumer.ack(delivery)
        assert seen[one] and seen[other]
        assert sorted(seen[one] + seen[other]) == list(range(20))


def test_key_shared_keeps_keys_together(service, topic):
    with service.consumer(topic, subscriptionType="Key_Shared") as one, \
            service.consumer(topic, subscriptionType="Key_Shared") as other, \
            service.producer(topic) as producer:
        for number in range(60):
            producer.publish(str(number), key=f"k{number % 12}")
        by_consumer = []
        for consumer in (one, other):
            got = []
            try:
                while True:
                    got.append(consumer.json(1.0))
                    consumer.ack(got[-1])
            except TimeoutError:
                by_consumer.append(got)
        keys = [{delivery["key"] for delivery in got} for got in by_consumer]
        assert keys[0] and keys[1] and not keys[0] & keys[1]
        for key in sorted(keys[0] | keys[1]):
            numbers = [int(decode(delivery)) for got in by_consumer for delivery in got if delivery["key"] == key]
            assert numbers == sorted(numbers) and len(numbers) == 5


def test_failover_takes_over(service, topic):
    names = ("a", "b")
    consumers = [service.consumer(topic, subscriptionType="Failover", consumerName=name) for name in names]
    with consumers[0], consumers[1], service.producer(topic) as producer:
        producer.publish(b"1")
        # Which of them is the active one, the broker decides by name and topic.
        active = first_to_receive(consumers)
        passive = consumers[1 - consumers.index(active)]
        passive.nothing(0.3)
        active.close()
        assert decode(passive.json()) == b"1"


def first_to_receive(consumers: list) -> object:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for consumer in consumers:
            try:
                consumer.json(0.1)
                return consumer
            except TimeoutError:
                pass
    raise AssertionError("nobody received anything")


@pytest.mark.parametrize("position, expected", [("Earliest", [b"0", b"1", b"2"]), ("Latest", [b"2"]), (None, [b"2"])])
def test_initial_position(service, topic, position, expected):
    parameters = {"subscriptionInitialPosition": position} if position else {}
    with service.producer(topic) as producer:
        producer.publish(b"0")
        producer.publish(b"1")
        with service.consumer(topic, **parameters) as consumer:
            producer.publish(b"2")
            assert [decode(delivery) for delivery in consumer.several(len(expected))] == expected
            consumer.nothing(0.3)


def test_a_durable_subscription_waits_and_another_does_not(service, broker, topic):
    service.consumer(topic, "durable").close()
    with service.consumer(topic, "passing", subscriptionMode="NonDurable") as passing, \
            service.producer(topic) as producer:
        producer.publish(b"x")
        assert decode(passing.json()) == b"x"
    with again(service, topic, "durable") as consumer:
        assert decode(consumer.json()) == b"x"
    deadline = time.monotonic() + 5
    while "passing" in subscriptions(broker, topic) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert subscriptions(broker, topic) == ["durable"]


def subscriptions(broker, topic: str) -> list[str]:
    return sorted(broker.admin("GET", f"persistent/public/default/{topic}/stats")["subscriptions"])


def test_name_and_type_reach_the_broker(service, broker, topic):
    with service.consumer(topic, "s", consumerName="me", priorityLevel=2, subscriptionType="Shared"):
        stats = broker.admin("GET", f"persistent/public/default/{topic}/stats")["subscriptions"]["s"]
    assert stats["type"] == "Shared"
    assert [one["consumerName"] for one in stats["consumers"]] == ["me"]


def test_a_consumer_without_name_gets_one(service, broker, topic):
    with service.consumer(topic):
        stats = broker.admin("GET", f"persistent/public/default/{topic}/stats")["subscriptions"]["sub"]
    assert re.fullmatch(r"[0-9A-Za-z]{5}", stats["consumers"][0]["consumerName"])


@pytest.mark.parametrize("name, text", [("a/b", "a/b"), ("a b", "a b"), ("ä", "ä")])
def test_subscription_names_are_decoded(service, broker, topic, name, text):
    with service.consumer(topic, name):
        assert subscriptions(broker, topic) == [text]


def test_unsubscribe_ends_the_subscription_and_not_the_session(service, broker, topic):
    with service.consumer(topic) as consumer, service.producer(topic) as producer:
        producer.publish(b"1")
        consumer.ack(consumer.json())
        consumer.send({"type": "unsubscribe"})
        deadline = time.monotonic() + 10
        while subscriptions(broker, topic) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert subscriptions(broker, topic) == []
        producer.publish(b"2")
        consumer.nothing()
        assert consumer.socket.ping().wait(5)


@pytest.mark.parametrize("command", [
    '{"messageId":"%s"}', '{"type":"ack","messageId":"%s"}', '{"type":null,"messageId":"%s"}', '{"type":"","messageId":"%s"}',
    '{"type":"Unsubscribe","messageId":"%s"}', '{"type":5,"messageId":"%s"}', '{"x":[{}],"messageId":"%s"} trailing',
    '{"messageId":"no","messageId":"%s"}', '{"messageId":"%s","permitMessages":"7"}', '{"messageId":"%s","permitMessages":null}',
])
def test_whatever_is_no_known_command_acks(service, broker, topic, command):
    with service.consumer(topic) as consumer, service.producer(topic) as producer:
        producer.publish(b"1")
        consumer.send(command.replace("%s", consumer.json()["messageId"]))
        assert broker.until_backlog(topic, "sub", 0) == 0
        assert consumer.socket.ping().wait(5)


def test_an_id_may_come_in_any_encoding(service, broker, topic):
    with service.consumer(topic) as consumer, service.producer(topic) as producer:
        for number in range(3):
            producer.publish(str(number))
        one, two, three = (ids.read(delivery["messageId"]) for delivery in consumer.several(3))
        consumer.send({"messageId": ids.write(ledger=one["ledger"], entry=one["entry"])})
        consumer.send({"messageId": ids.write(entry=two["entry"], ledger=two["ledger"], batch_size=0)})
        consumer.send({"messageId": ids.write(**three).rstrip("=")})
        assert broker.until_backlog(topic, "sub", 0) == 0


def test_an_unknown_id_is_no_error(service, topic):
    with service.consumer(topic) as consumer:
        consumer.send({"messageId": ids.write(ledger=999_999, entry=7, batch_size=0)})
        consumer.send({"type": "negativeAcknowledge", "messageId": ids.write(ledger=999_999, entry=7, batch_size=0)})
        consumer.send({"type": "permit", "permitMessages": 10})
        consumer.nothing(0.5)
        assert consumer.socket.ping().wait(5)


NO_COMMANDS = {
    "not JSON": "garbage",
    "nothing": "",
    "an array": "[]",
    "a number": "5",
    "object as type": '{"type":{}}',
    "object as id": '{"messageId":{}}',
    "array as permits": '{"permitMessages":[]}',
    "word as permits": '{"type":"permit","permitMessages":"x"}',
    "permit without a number": '{"type":"permit"}',
    "empty id": '{"messageId":""}',
    "id that is no id": '{"messageId":"AAAA"}',
    "nacked id that is no id": '{"type":"negativeAcknowledge","messageId":"AAAA"}',
}


@pytest.mark.parametrize("case", NO_COMMANDS)
def test_what_is_no_command_ends_the_session(service, topic, case):
    """Java means to close with code 3, which no WebSocket may send, and so just leaves."""
    with service.consumer(topic) as consumer:
        consumer.send(NO_COMMANDS[case])
        expected = (1006, "") if service.is_java else (4003, "Failed to de-serialize from JSON")
        assert consumer.closed() == expected


WITHOUT_ID = {
    "no id": "{}",
    "null id": '{"messageId":null}',
    "null": "null",
    "no id to nack": '{"type":"negativeAcknowledge"}',
}


@pytest.mark.parametrize("case", WITHOUT_ID)
def test_an_ack_without_id_closes_with_1011(service, topic, case):
    with service.consumer(topic) as consumer:
        consumer.send(WITHOUT_ID[case])
        code, reason = consumer.closed()
        assert code == 1011
        if not service.is_java:
            object_missing = case == "null"
            assert reason == ("A command must be a JSON object" if object_missing else "messageId is required")


@pytest.mark.parametrize("text", ["!!", "CAMQ ADAA", "CAMQADAA=", "C"])
def test_an_id_in_bad_base64_closes_with_1011(service, topic, text):
    with service.consumer(topic) as consumer:
        consumer.send({"messageId": text})
        assert consumer.closed()[0] == 1011


def test_a_second_unsubscribe_ends_the_session(service, topic):
    with service.consumer(topic) as consumer:
        consumer.send({"type": "unsubscribe"})
        consumer.send({"type": "unsubscribe"})
        assert consumer.closed()[0] == (1006 if service.is_java else 4003)


def test_unsubscribe_fails_while_others_consume(service, topic):
    with service.consumer(topic, subscriptionType="Shared") as one, \
            service.consumer(topic, subscriptionType="Shared") as other, service.producer(topic) as producer:
        one.send({"type": "unsubscribe"})
        assert one.closed()[0] == (1006 if service.is_java else 4003)
        producer.publish(b"x")
        assert decode(other.json()) == b"x"


def test_a_tombstone_is_delivered(service, topic, cpp, java_only_client):
    """Java stops delivering for good when it meets a message without value."""
    if service.is_java:
        pytest.skip("Java's session dies of it")
    with service.consumer(topic) as consumer, service.producer(topic) as producer:
        java_only_client("tombstone", topic)
        delivery = consumer.json()
        assert delivery["payload"] == ""
        assert delivery["key"] == "k"
        assert delivery["nullValue"] is True
        producer.publish(b"next")
        assert decode(consumer.json()) == b"next"


@pytest.mark.parametrize("zone, pattern", [
    ("Asia/Kolkata", r"2021-01-02T08:34:05\.678\+05:30"), ("America/St_Johns", r"2021-01-01T23:34:05\.678-03:30"),
    ("UTC", r"2021-01-02T03:04:05\.678Z"),
])
def test_times_are_in_the_zone_of_the_service(start, broker, topic, zone, pattern):
    there = start(broker, env={"TZ": zone})
    with there.consumer(topic) as consumer, there.producer(topic) as producer:
        producer.publish(b"x", eventTime="2021-01-02T03:04:05.678Z")
        assert re.fullmatch(pattern, consumer.json()["eventTime"])


def test_a_late_message_comes_late(service, topic):
    with service.consumer(topic, subscriptionType="Shared") as consumer, service.producer(topic) as producer:
        started = time.monotonic()
        producer.publish(b"later", deliverAfterMs=2000)
        producer.publish(b"at", deliverAt=int(time.time() * 1000) + 2000)
        producer.publish(b"past", deliverAt=1)
        assert decode(consumer.json()) == b"past"
        assert time.monotonic() - started < 1.5
        assert sorted(decode(delivery) for delivery in consumer.several(2)) == [b"at", b"later"]
        assert time.monotonic() - started > 1.5


def test_who_consumes_one_part_of_a_topic_is_told_its_number(service, broker, topic):
    broker.admin("PUT", f"persistent/public/default/{topic}/partitions", 3)
    part = f"{topic}-partition-1"
    with service.producer(part) as producer, service.consumer(part) as consumer, service.reader(part) as reader:
        receipt = producer.publish()["messageId"]
        delivery = consumer.json()
        number = ids.read(receipt)
        assert list(number) == ["ledger", "entry", "batch_size"]
        named = ids.write(ledger=number["ledger"], entry=number["entry"], partition=1, batch_size=0)
        assert delivery["messageId"] == named == reader.json()["messageId"]
        consumer.ack(delivery)
        assert broker.until_backlog(part, "sub", 0) == 0
        producer.publish("next")
    for start in (receipt, named):
        with service.reader(part, messageId=start) as reader:
            assert decode(reader.json()) == b"next"
