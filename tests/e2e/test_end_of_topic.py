"""Topics that are terminated."""

from __future__ import annotations

import time

import pytest
from websockets.exceptions import InvalidStatus

from harness.client import decode


def terminate(broker, topic: str) -> None:
    broker.admin("POST", f"persistent/public/default/{topic}/terminate")


def ask(client) -> str:
    client.send({"type": "isEndOfTopic"})
    return client.text()


def until_end(client) -> str:
    """The answer, once it is yes or five seconds have passed."""
    deadline = time.monotonic() + 5
    while (answer := ask(client)) != '{"endOfTopic":true}' and time.monotonic() < deadline:
        time.sleep(0.1)
    return answer


def test_a_consumer_learns_of_the_end(service, broker, topic):
    with service.consumer(topic) as consumer, service.producer(topic) as producer:
        producer.publish(b"last")
        delivery = consumer.json()
        assert ask(consumer) == '{"endOfTopic":false}'
        terminate(broker, topic)
        consumer.ack(delivery)
        assert until_end(consumer) == '{"endOfTopic":true}'


def test_a_reader_learns_of_the_end(service, broker, topic):
    with service.producer(topic) as producer:
        producer.publish(b"last")
    with service.reader(topic, messageId="earliest") as reader:
        assert decode(reader.json()) == b"last"
        assert ask(reader) == '{"endOfTopic":false}'
        terminate(broker, topic)
        assert until_end(reader) == '{"endOfTopic":true}'


def test_asking_is_no_ack(service, topic):
    with service.producer(topic) as producer:
        producer.publish(b"1")
        producer.publish(b"2")
    for client in (service.reader(topic, messageId="earliest", receiverQueueSize=1),
                   service.consumer(topic, receiverQueueSize=1, subscriptionInitialPosition="Earliest")):
        with client:
            assert decode(client.json()) == b"1"
            assert ask(client) == '{"endOfTopic":false}'
            client.nothing(0.3)


def test_publishing_past_the_end_fails_with_code_8(service, broker, topic):
    with service.producer(topic) as producer:
        producer.publish(b"last")
        terminate(broker, topic)
        time.sleep(0.5)
        producer.send({"payload": "YQ==", "context": "c"})
        reply = producer.json()
        assert list(reply) == ["result", "errorMsg", "context", "errorCode", "schemaVersion"]
        assert (reply["result"], reply["context"]) == ("send-error:8", "c")
        assert reply["errorMsg"].startswith("org.apache.pulsar.client.api.PulsarClientException$TopicTerminatedException: ")


def test_a_terminated_topic_takes_consumers_and_no_producers(service, broker, topic):
    with service.producer(topic) as producer:
        producer.publish(b"last")
    terminate(broker, topic)
    with service.consumer(topic, subscriptionInitialPosition="Earliest") as consumer:
        assert decode(consumer.json()) == b"last"
    with pytest.raises(InvalidStatus) as refused:
        service.producer(topic)
    assert refused.value.response.status_code == 503
