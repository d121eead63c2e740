"""Encryption: by the client, by the service, and what becomes of what nobody here can decrypt."""

from __future__ import annotations

import base64
import json
import random

import pulsar
import pytest
from websockets.exceptions import InvalidStatus

from harness import ids
from harness.client import decode, encode
from harness.crypto import Keys, Sealer
from harness.java_peer import JavaPeer

BATCHING = {"batchingEnabled": "true", "batchingMaxMessages": 3, "batchingMaxPublishDelay": 20_000}
LONG = b"0123456789abcdef" * 2000


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def others(tmp_path_factory) -> Keys:
    return Keys(tmp_path_factory.mktemp("others"))


@pytest.fixture(scope="module")
def keyed(start, broker, keys, others):
    """The service with keys of its own: `key` is what the peers call theirs."""
    return start(
        broker, webSocketEncryptionPublicKeys=f"key={keys.public_file}, other={others.public_file}",
        webSocketEncryptionPrivateKeys=f"key={keys.private_file}")


@pytest.fixture(scope="module")
def java(broker):
    peer = JavaPeer(broker.url)
    yield peer
    peer.stop()


def refused(service, endpoint: str, topic: str, **parameters: object) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as told:
        getattr(service, endpoint)(topic, **parameters)
    response = told.value.response
    return response.status_code, response.body.decode()


# By the client.


def test_the_client_encrypts(service, topic, keys):
    sealer = Sealer(keys)
    with service.consumer(topic, cryptoFailureAction="CONSUME") as consumer:
        with service.producer(topic, encryptionKeys=sealer.parameter(), batchingEnabled="true", compressionType="x") as producer:
            sealed, nonce = sealer.seal(b"secret")
            assert producer.publish(sealed, encryptionParam=nonce, key="k")["result"] == "ok"
            assert producer.publish(
                sealed, encryptionParam=nonce, compressionType="LZ4", uncompressedMessageSize=77)["result"] == "ok"
        plain, compressed = consumer.several(2)
    assert keys.decrypt(plain) == b"secret" and plain["key"] == "k"
    given = json.loads(base64.b64decode(sealer.parameter()))
    assert plain["encryptionContext"] == {
        "keys": given, "param": nonce, "compressionType": "NONE", "uncompressedMessageSize": len(sealed), "batchSize": None}
    assert compressed["encryptionContext"]["compressionType"] == "LZ4"
    assert compressed["encryptionContext"]["uncompressedMessageSize"] == 77


@pytest.mark.ours_only("Java's producer fails with two keys, and its consumers without parameter")
def test_any_number_of_keys_and_a_parameter_for_each_message(service, topic):
    given = {name: {"keyValue": encode(name), "metadata": {"of": name}} for name in ("a", "b", "c")}
    parameter = base64.b64encode(json.dumps(given).encode()).decode()
    with service.consumer(topic, cryptoFailureAction="CONSUME") as consumer:
        with service.producer(topic, encryptionKeys=parameter) as producer:
            assert producer.publish(b"x", encryptionParam="AAEC")["result"] == "ok"
            producer.send({"payload": "", "context": "c"})
            missing = producer.json()
        assert consumer.json()["encryptionContext"]["keys"] == given
    assert (missing["result"], missing["errorMsg"], missing["context"]) == ("send-error:7", "encryptionParam is required", "c")


def test_what_cannot_be_decrypted_is_left(service, broker, topic, keys):
    sealer = Sealer(keys)
    with service.consumer(topic, ackTimeoutMillis=1000) as consumer, service.reader(topic) as reader:
        with service.producer(topic, encryptionKeys=sealer.parameter()) as producer, service.producer(topic) as plain:
            producer.publish(b"sealed", encryptionParam="AAEC")
            plain.publish(b"plain")
        for client in (consumer, reader):
            assert decode(client.json()) == b"plain"
        assert broker.until_backlog(topic, "sub", 2) == 2


def test_what_cannot_be_decrypted_is_thrown_away(service, broker, topic, keys):
    sealer = Sealer(keys)
    with service.consumer(topic, cryptoFailureAction="DISCARD") as consumer:
        with service.producer(topic, encryptionKeys=sealer.parameter()) as producer:
            producer.publish(b"sealed", encryptionParam="AAEC")
        consumer.nothing(0.5)
        assert broker.until_backlog(topic, "sub", 0) == 0


def test_without_keys_the_service_encrypts_nothing(service, topic):
    for names in ("key", "key,other", ""):
        status, body = refused(service, "producer", topic, encryptionKeys=names)
        assert status == 500
        assert "Can&apos;t add encryption key without configuring cryptoKeyReaderFactoryClassName" in body.replace("&#39;", "&apos;")


# By the service.


@pytest.mark.ours_only("Java takes its keys from a class")
@pytest.mark.parametrize("batching", [{}, BATCHING], ids=["alone", "batched"])
@pytest.mark.parametrize("compression", ["NONE", "LZ4", "ZSTD"])
def test_we_read_what_we_encrypt(keyed, service, broker, topic, batching, compression):
    payloads = [b"", b"secret", LONG]
    with keyed.consumer(topic) as consumer, keyed.reader(topic) as reader:
        with service.consumer(topic, "blind", cryptoFailureAction="CONSUME") as blind:
            with keyed.producer(topic, encryptionKeys="other,key", compressionType=compression, **batching) as producer:
                for number, payload in enumerate(payloads):
                    producer.send({"payload": encode(payload), "key": f"k{number}", "eventTime": "1970-01-01T00:00:01Z"})
                assert {reply["result"] for reply in producer.several(3)} == {"ok"}
            for client in (consumer, reader):
                got = client.several(3)
                assert [decode(delivery) for delivery in got] == payloads
                assert [delivery["key"] for delivery in got] == ["k0", "k1", "k2"]
                assert all(("encryptionContext" in delivery) == (client is consumer) for delivery in got)
                if client is consumer:
                    context = got[0]["encryptionContext"]
                    assert list(context["keys"]) == ["key", "other"]
                    assert (context["compressionType"], context["batchSize"]) == (compression, 3 if batching else None)
                    assert len(base64.b64decode(context["param"])) == 12
                    for delivery in got:
                        client.ack(delivery)
            assert broker.until_backlog(topic, "sub", 0) == 0
            sealed = blind.several(1 if batching else 3)
            params = {delivery["encryptionContext"]["param"] for delivery in sealed}
            assert len(params) == len(sealed), "no nonce twice"
            assert b"secret" not in b"".join(decode(delivery) for delivery in sealed)


@pytest.mark.ours_only("Java takes its keys from a class")
@pytest.mark.parametrize("batching", [{}, BATCHING], ids=["alone", "batched"])
@pytest.mark.parametrize("compression", ["NONE", "LZ4", "ZLIB", "ZSTD", "SNAPPY"])
def test_the_java_and_the_cpp_client_read_what_we_encrypt(keyed, java, cpp, topic, keys, batching, compression):
    reader = pulsar.CryptoKeyReader(str(keys.public_file), str(keys.private_file))
    theirs = cpp.subscribe(topic, "cpp", crypto_key_reader=reader)
    with keyed.producer(topic, encryptionKeys="key", compressionType=compression, **batching) as producer:
        for number in range(3):
            producer.send({"payload": encode(LONG[number:]), "key": f"k{number}"})
        replies = producer.several(3)
    assert {reply["result"] for reply in replies} == {"ok"}
    expected = [LONG[number:] for number in range(3)]
    assert [theirs.receive(10_000).data() for _ in range(3)] == expected
    theirs.close()
    got = java.consume(topic, 3, privateKey=str(keys.private_file))
    assert [base64.b64decode(message["payload"]) for message in got] == expected
    assert {message["encryptionKeys"] for message in got} == {1}


@pytest.mark.ours_only("Java takes its keys from a class")
@pytest.mark.parametrize("batch", [None, 3])
@pytest.mark.parametrize("compression", ["NONE", "LZ4", "ZLIB", "ZSTD", "SNAPPY"])
def test_we_read_what_the_java_client_encrypts(keyed, broker, java, topic, keys, batch, compression):
    messages = [{"payload": encode(LONG[number:]), "key": f"k{number}"} for number in range(3)]
    settings = {"batch": batch} if batch else {}
    with keyed.consumer(topic) as consumer, keyed.reader(topic) as reader:
        stored = java.publish(topic, messages, publicKey=str(keys.public_file), compression=compression, **settings)
        for client in (consumer, reader):
            got = client.several(3)
            assert [decode(delivery) for delivery in got] == [LONG[number:] for number in range(3)]
            assert [delivery["key"] for delivery in got] == ["k0", "k1", "k2"]
            assert [ids.read(delivery["messageId"])["entry"] for delivery in got] == [ids.read(one)["entry"] for one in stored]
            if client is consumer:
                for delivery in got:
                    client.ack(delivery)
        assert broker.until_backlog(topic, "sub", 0) == 0


@pytest.mark.ours_only("Java takes its keys from a class")
@pytest.mark.parametrize("compression", [pulsar.CompressionType.NONE, pulsar.CompressionType.ZSTD], ids=["none", "zstd"])
@pytest.mark.parametrize("batched", [False, True])
def test_we_read_what_the_cpp_client_encrypts(keyed, cpp, topic, keys, batched, compression):
    reader = pulsar.CryptoKeyReader(str(keys.public_file), str(keys.private_file))
    with keyed.consumer(topic) as consumer:
        producer = cpp.create_producer(
            topic, encryption_key="key", crypto_key_reader=reader, batching_enabled=batched, compression_type=compression)
        for number in range(3):
            producer.send_async(LONG[number:], lambda *_: None)
        producer.flush()
        assert [decode(delivery) for delivery in consumer.several(3)] == [LONG[number:] for number in range(3)]
        producer.close()


@pytest.mark.ours_only("Java takes its keys from a class")
@pytest.mark.parametrize("compression", ["NONE", "ZSTD"])
def test_chunks_of_the_java_client_are_encrypted_one_by_one(keyed, broker, java, topic, keys, compression):
    # Random bytes in hexadecimal: they shrink, and yet need several parts.
    content = random.Random(1).randbytes(60_000).hex().encode()
    messages = [{"payload": encode(payload), "key": "k"} for payload in (content, b"small")]
    with keyed.consumer(topic) as consumer, keyed.reader(topic) as reader:
        stored = java.publish(
            topic, messages, publicKey=str(keys.public_file), compression=compression, chunkBytes=20_000)
        for client in (consumer, reader):
            large, small = client.several(2)
            assert (decode(large) == content, decode(small)) == (True, b"small")
            assert large["messageId"] == stored[0] and "first_chunk" in ids.read(stored[0])
            if client is consumer:
                assert list(large["encryptionContext"]["keys"]) == ["key"]
                client.ack(large)
                client.ack(small)
        assert broker.until_backlog(topic, "sub", 0) == 0


@pytest.mark.ours_only("Java takes its keys from a class")
def test_each_message_may_have_a_key_of_its_own(keyed, broker, topic, keys):
    sealers = [Sealer(keys) for _ in range(20)]
    with keyed.consumer(topic) as consumer, keyed.producer(topic) as plain:
        for number, sealer in enumerate(sealers):
            with keyed.producer(topic, encryptionKeys=sealer.parameter()) as producer:
                sealed, nonce = sealer.seal(b"sealed %d" % number)
                assert producer.publish(sealed, encryptionParam=nonce)["result"] == "ok"
            plain.publish(b"plain %d" % number)
        got = consumer.several(40)
        assert [decode(delivery) for delivery in got] == [
            word % number for number in range(20) for word in (b"sealed %d", b"plain %d")]
        for delivery in got:
            consumer.ack(delivery)
        assert broker.until_backlog(topic, "sub", 0) == 0


@pytest.mark.ours_only("Java takes its keys from a class")
def test_partitions_and_keys_we_have_not(keyed, broker, topic):
    broker.admin("PUT", f"persistent/public/default/{topic}/partitions", 2)
    with keyed.producer(topic, encryptionKeys="key", messageRoutingMode="RoundRobinPartition") as producer:
        assert {producer.publish(b"x")["result"] for _ in range(4)} == {"ok"}
    with keyed.consumer(topic + "-partition-0", subscriptionInitialPosition="Earliest") as consumer:
        assert [decode(delivery) for delivery in consumer.several(2)] == [b"x", b"x"]
    # Of `other` we have the public half only.
    with keyed.consumer(f"{topic}-o", cryptoFailureAction="CONSUME") as consumer:
        with keyed.producer(f"{topic}-o", encryptionKeys="other") as producer:
            producer.publish(b"secret")
        delivery = consumer.json()
        assert list(delivery["encryptionContext"]["keys"]) == ["other"] and decode(delivery) != b"secret"


@pytest.mark.ours_only("Java takes its keys from a class")
def test_names_of_keys_that_are_none(keyed, topic):
    status, body = refused(keyed, "producer", topic, encryptionKeys="key,nobody")
    assert status == 500 and "Failed to create producer/consumer: " in body and "nobody" in body
    status, body = refused(keyed, "producer", topic, encryptionKeys="")
    assert status == 400 and "Invalid query params: Encryption key cannot be blank" in body


# Dead letters.


def dying(service, topic: str, **parameters: object):
    return service.consumer(
        topic, subscriptionType="Shared", negativeAckRedeliveryDelay=100, maxRedeliverCount=1, **parameters)


def test_a_letter_that_cannot_be_decrypted(service, topic, keys):
    sealer = Sealer(keys)
    with dying(service, topic, cryptoFailureAction="CONSUME") as consumer, \
            service.consumer(f"{topic}-sub-DLQ", "letters", cryptoFailureAction="CONSUME") as dead:
        with service.producer(topic, encryptionKeys=sealer.parameter()) as producer:
            sealed, nonce = sealer.seal(b"secret")
            assert producer.publish(sealed, encryptionParam=nonce, key="k")["result"] == "ok"
        for _ in range(2):
            consumer.nack(consumer.json())
        letter = dead.json(20)
        assert (decode(letter), letter["key"]) == (sealed, "k")
        if not service.is_java:  # Java loses what it takes to decrypt it
            assert keys.decrypt(letter) == b"secret"


@pytest.mark.ours_only("Java takes its keys from a class")
@pytest.mark.parametrize("batch", [None, 3])
def test_letters_that_were_not_decrypted_can_be_later(keyed, service, java, topic, keys, batch):
    messages = [{"payload": encode(LONG[number:]), "key": f"k{number}"} for number in range(3)]
    settings = {"batch": batch} if batch else {}
    with dying(service, topic, cryptoFailureAction="CONSUME") as consumer, \
            keyed.consumer(f"{topic}-sub-DLQ", "letters") as dead:
        java.publish(topic, messages, publicKey=str(keys.public_file), compression="ZSTD", **settings)
        for _ in range(2 * (1 if batch else 3)):
            consumer.nack(consumer.json())
        assert {decode(letter) for letter in dead.several(3, 20)} == {LONG[number:] for number in range(3)}


@pytest.mark.ours_only("Java takes its keys from a class")
def test_letters_that_were_decrypted_are_clear(keyed, service, topic):
    with dying(keyed, topic) as consumer, service.consumer(f"{topic}-sub-DLQ", "letters") as dead:
        with keyed.producer(topic, encryptionKeys="key") as producer:
            producer.publish(b"secret")
        for _ in range(2):
            consumer.nack(consumer.json())
        letter = dead.json(20)
        assert decode(letter) == b"secret" and "encryptionContext" not in letter


@pytest.mark.ours_only("Java's consumer gets nothing any more")
def test_chunks_that_cannot_be_decrypted_are_left(service, topic, keys, java, broker):
    content = random.Random(1).randbytes(30_000).hex().encode()
    messages = [{"payload": encode(payload)} for payload in (content, b"small")]
    with service.consumer(topic, cryptoFailureAction="CONSUME") as consumer:
        java.publish(topic, messages, publicKey=str(keys.public_file), chunkBytes=20_000)
        small = consumer.json(20)
        assert "encryptionContext" in small and len(decode(small)) == len(b"small") + 16
        consumer.ack(small)
        consumer.nothing()
        assert broker.until_backlog(topic, "sub", 3) == 3
