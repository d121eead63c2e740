"""What a producer sends and is told."""

from __future__ import annotations

import json
import re

import pytest

from harness import ids
from harness.client import decode, encode

ID = r"[A-Za-z0-9+/]+={0,2}"


@pytest.fixture(scope="module")
def pair(service):
    """A producer, and a reader of the same topic that sees everything published from now on."""
    with service.producer("publish-fields") as producer, \
            service.reader("publish-fields", messageId="latest") as reader:
        yield producer, reader


def through(pair, text: str) -> tuple[dict, dict]:
    """Publishes a request as it is; returns the reply and what a reader then gets."""
    producer, reader = pair
    producer.send(text)
    reply = producer.json()
    assert reply["result"] == "ok", reply
    delivery = reader.json()
    reader.ack(delivery)
    assert delivery["messageId"] == reply["messageId"]
    return reply, delivery


def test_the_reply_is_exactly_so(service, topic):
    with service.producer(topic) as producer:
        producer.send({"payload": "SGVsbG8gV29ybGQ=", "properties": {"key1": "value1"}, "context": "1"})
        text = producer.text()
        assert re.fullmatch(
            rf'{{"result":"ok","messageId":"{ID}","context":"1","errorCode":0,"schemaVersion":0}}', text), text
        producer.send({"payload": ""})
        text = producer.text()
        assert re.fullmatch(rf'{{"result":"ok","messageId":"{ID}","errorCode":0,"schemaVersion":0}}', text), text


def test_ids_count_up_and_end_in_a_zero_batch_size(service, topic):
    with service.producer(topic) as producer:
        numbers = []
        for _ in range(3):
            text = producer.publish()["messageId"]
            numbers.append(ids.read(text))
            assert list(numbers[-1]) == ["ledger", "entry", "batch_size"]
            assert text == ids.write(**numbers[-1])
        assert [number["entry"] for number in numbers] == [0, 1, 2]
        assert {number["batch_size"] for number in numbers} == {0}
        assert len({number["ledger"] for number in numbers}) == 1


def test_replies_come_in_order(service, topic):
    with service.producer(topic) as producer:
        for number in range(300):
            producer.send({"payload": encode(str(number)), "context": str(number)})
        replies = producer.several(300)
    assert [reply["context"] for reply in replies] == [str(number) for number in range(300)]
    assert [ids.read(reply["messageId"])["entry"] for reply in replies] == list(range(300))


CONTEXTS = {
    '"text"': "text", '""': "", "5": "5", "5.50": "5.50", "1e3": "1e3", "-0": "-0", "true": "true", "false": "false",
    '"a\\"b\\\\c\\/d"': 'a"b\\c/d', '"\\u00e9\\ud83d\\ude00\\n"': "é😀\n", '"é😀"': "é😀", "null": None,
    "12345678901234567890123": "12345678901234567890123", '"\\ud800"': "?",
}


@pytest.mark.parametrize("source", CONTEXTS)
def test_context_comes_back_as_text(pair, source):
    reply, _ = through(pair, f'{{"payload":"YQ==","context":{source}}}')
    assert reply.get("context") == CONTEXTS[source]
    assert ("context" in reply) == (CONTEXTS[source] is not None)


def test_the_reply_escapes_no_more_than_it_must(pair):
    producer, reader = pair
    producer.send('{"payload":"","context":"\\u0001\\u001f\\b\\t\\n\\f\\r\\"\\\\/\\u00e9\\u2028\\ud83d\\ude00\\u007f"}')
    text = producer.text()
    assert '"context":"\\u0001\\u001F\\b\\t\\n\\f\\r\\"\\\\/é\u2028😀\u007f",' in text
    reader.ack(reader.json())


PAYLOADS = {
    '"SGVsbG8="': b"Hello", '"SGVsbG8"': b"Hello", '"YQ"': b"a", '"YQ=="': b"a", '"YR=="': b"a", '"YWJ"': b"ab",
    '"YWK"': b"ab", '""': b"", '"+/+/"': b"\xfb\xff\xbf", "1234": b"\xd7\x6d\xf8", "true": b"\xb6\xbb\x9e",
    '"YW\\u004a="': b"ab", '"SGVs\\u0062G8="': b"Hello", '"\\u002b\\/+/"': b"\xfb\xff\xbf",
}


@pytest.mark.parametrize("source", PAYLOADS)
def test_payload_is_base64_as_java_takes_it(pair, source):
    _, delivery = through(pair, f'{{"payload":{source}}}')
    assert decode(delivery) == PAYLOADS[source]


def test_every_byte_survives(pair):
    everything = bytes(range(256)) * 3 + b"\x00"
    for size in [*range(0, 12), 255, 256, 769]:
        _, delivery = through(pair, json.dumps({"payload": encode(everything[:size])}))
        assert decode(delivery) == everything[:size]


PROPERTIES = {
    '{"a":"b"}': {"a": "b"}, "{}": {}, "null": {}, '{"a":1.50}': {"a": "1.50"}, '{"a":true,"b":1e2}': {"a": "true", "b": "1e2"},
    '{"a":"1","a":"2"}': {"a": "2"}, '{"":"x"}': {"": "x"}, '{"ключ":"значение 😀"}': {"ключ": "значение 😀"},
    '{"a\\"\\n":"b\\\\"}': {'a"\n': "b\\"}, '{"a":"\\udc00x"}': {"a": "?x"},
}


@pytest.mark.parametrize("source", PROPERTIES)
def test_properties(pair, source):
    _, delivery = through(pair, f'{{"payload":"YQ==","properties":{source}}}')
    assert delivery["properties"] == PROPERTIES[source]


KEYS = {'"k"': "k", '""': "", "7": "7", "false": "false", "null": None, '"ключ"': "ключ", '"a b/+="': "a b/+="}


@pytest.mark.parametrize("source", KEYS)
def test_key(pair, source):
    _, delivery = through(pair, f'{{"payload":"YQ==","key":{source}}}')
    assert delivery.get("key") == KEYS[source]
    assert ("key" in delivery) == (KEYS[source] is not None)


# As the client writes it, and as it is shown where the zone is UTC.
EVENT_TIMES = {
    "2021-01-02T03:04:05.678+02:00": "2021-01-02T01:04:05.678Z",
    "2021-01-02T03:04Z": "2021-01-02T03:04:00Z",
    "2021-01-02T03:04:05Z": "2021-01-02T03:04:05Z",
    "2021-01-02T03:04:05.1Z": "2021-01-02T03:04:05.1Z",
    "2021-01-02T03:04:05.410Z": "2021-01-02T03:04:05.41Z",
    "2021-01-02T03:04:05.123999999Z": "2021-01-02T03:04:05.123Z",
    "2021-01-02t03:04:05z": "2021-01-02T03:04:05Z",
    "2021-01-02T03:04:05-05": "2021-01-02T08:04:05Z",
    "2021-01-02T03:04:05+05:30": "2021-01-01T21:34:05Z",
    "2020-02-29T23:59:59+00:00:30": "2020-02-29T23:59:29Z",
    "1970-01-01T00:00:00.001Z": "1970-01-01T00:00:00.001Z",
    "1969-12-31T23:59:59.999Z": "1969-12-31T23:59:59.999Z",
    "0001-01-01T00:00:00Z": "0001-01-01T00:00:00Z",
    "+12345-06-07T08:09:10Z": "+12345-06-07T08:09:10Z",
    "1970-01-01T00:00:00Z": None,
}


@pytest.fixture(scope="module")
def utc_pair(start, broker):
    """As `pair`, with the zone of the service known."""
    utc = start(broker, env={"TZ": "UTC"})
    with utc.producer("event-times") as producer, utc.reader("event-times", messageId="latest") as reader:
        yield producer, reader


@pytest.mark.parametrize("source", EVENT_TIMES)
def test_event_time(utc_pair, source):
    _, delivery = through(utc_pair, json.dumps({"payload": "YQ==", "eventTime": source}))
    assert delivery.get("eventTime") == EVENT_TIMES[source]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,2}[1-9])?Z", delivery["publishTime"])


LENIENT = {
    "unknown fields": '{"nope":[1,{"a":null}],"payload":"YQ=="}',
    "field names are case-sensitive": '{"Payload":"!","PAYLOAD":7,"payload":"YQ=="}',
    "the last of two counts": '{"payload":"!!","payload":"YQ=="}',
    "text behind the object": '{"payload":"YQ=="}garbage',
    "an object behind the object": '{"payload":"YQ=="}{"payload":"Yg=="}',
    "white space around": ' \t\r\n{ "payload" : "YQ==" } \n',
    "escaped names": '{"p\\u0061yload":"YQ=="}',
    "null where nothing is meant": '{"payload":"YQ==","properties":null,"context":null,"key":null,"eventTime":null,'
                                   '"replicationClusters":null,"deliverAt":null,"deliverAfterMs":null,"sequenceId":null,'
                                   '"encryptionParam":null,"compressionType":null,"uncompressedMessageSize":null}',
    "numbers as text": '{"payload":"YQ==","deliverAt":"12","deliverAfterMs":"","sequenceId":"-3"}',
    "numbers with a fraction": '{"payload":"YQ==","deliverAt":1.9,"sequenceId":1e2,"schemaVersion":"7"}',
    "negative delays": '{"payload":"YQ==","deliverAt":-5,"deliverAfterMs":-1}',
    "booleans as text": '{"payload":"YQ==","disableReplication":"True"}',
    "booleans as numbers": '{"payload":"YQ==","disableReplication":3}',
    "an empty boolean": '{"payload":"YQ==","disableReplication":""}',
    "schemas are not looked at": '{"payload":"YQ==","keySchema":"x","valueSchema":5}',
    "encryption fields without encryption": '{"payload":"YQ==","encryptionParam":"!!","compressionType":"LZ4",'
                                            '"uncompressedMessageSize":"5"}',
    "an unknown compression": '{"payload":"YQ==","compressionType":"BROTLI"}',
    "a compression by number": '{"payload":"YQ==","compressionType":2}',
    "no clusters": '{"payload":"YQ==","replicationClusters":[]}',
    "clusters that are no text": '{"payload":"YQ==","replicationClusters":["standalone",1,true]}',
    "nesting": '{"x":' + "[" * 900 + "]" * 900 + ',"payload":"YQ=="}',
}


@pytest.mark.parametrize("case", LENIENT)
def test_what_java_forgives(pair, case):
    _, delivery = through(pair, LENIENT[case])
    assert decode(delivery) == b"a"


MALFORMED = {
    "nothing": "",
    "white space": "  ",
    "not JSON": "garbage",
    "an array": "[]",
    "a string": '"payload"',
    "a number": "5",
    "cut off": '{"payload":"YQ=="',
    "byte order mark": '\ufeff{"payload":"YQ=="}',
    "single quotes": "{'payload':'YQ=='}",
    "unquoted names": '{payload:"YQ=="}',
    "trailing comma": '{"payload":"YQ==",}',
    "comment": '{"payload":"YQ=="/**/}',
    "NaN": '{"payload":"YQ==","deliverAt":NaN}',
    "leading zero": '{"payload":"YQ==","deliverAt":01}',
    "leading plus": '{"payload":"YQ==","deliverAt":+1}',
    "control character in a string": '{"payload":"YQ==","context":"a\nb"}',
    "bad escape": '{"payload":"YQ==","context":"\\x"}',
    "bad unicode escape": '{"payload":"YQ==","context":"\\u12g4"}',
    "object as payload": '{"payload":{}}',
    "array as payload": '{"payload":["YQ=="]}',
    "object as context": '{"payload":"YQ==","context":{}}',
    "array as key": '{"payload":"YQ==","key":[]}',
    "text as properties": '{"payload":"YQ==","properties":""}',
    "array as properties": '{"payload":"YQ==","properties":[]}',
    "object as property": '{"payload":"YQ==","properties":{"a":{}}}',
    "array as property": '{"payload":"YQ==","properties":{"a":[1]}}',
    "text as clusters": '{"payload":"YQ==","replicationClusters":"a"}',
    "object as clusters": '{"payload":"YQ==","replicationClusters":{}}',
    "array as cluster": '{"payload":"YQ==","replicationClusters":[[]]}',
    "boolean as number": '{"payload":"YQ==","deliverAt":true}',
    "word as number": '{"payload":"YQ==","deliverAfterMs":"soon"}',
    "array as number": '{"payload":"YQ==","deliverAt":[]}',
    "too large a number": '{"payload":"YQ==","deliverAt":9223372036854775808}',
    "too small a number": '{"payload":"YQ==","sequenceId":-9223372036854775809}',
    "too large an int": '{"payload":"YQ==","uncompressedMessageSize":2147483648}',
    "word as boolean": '{"payload":"YQ==","disableReplication":"yes"}',
    "array as boolean": '{"payload":"YQ==","disableReplication":[]}',
    "object as event time": '{"payload":"YQ==","eventTime":{}}',
    "object as compression": '{"payload":"YQ==","compressionType":{}}',
    "nested too deep": '{"x":' + "[" * 1001 + "]" * 1001 + ',"payload":"YQ=="}',
}


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_no_request_gets_code_3_without_context(pair, case):
    producer, _ = pair
    producer.send(MALFORMED[case].replace('{"payload"', '{"context":"c","payload"'))
    text = producer.text()
    reply = json.loads(text)
    assert list(reply) == ["result", "errorMsg", "errorCode", "schemaVersion"], text
    assert reply["result"] == "send-error:3"
    assert reply["errorMsg"]
    assert text.endswith(',"errorCode":0,"schemaVersion":0}')


UNENCODABLE = {
    "url-safe alphabet": ('"_-_-"', "Invalid Base64 message-payload error="),
    "a space": ('"YQ= ="', "Invalid Base64 message-payload error="),
    "a newline": ('"YQ\\n=="', "Invalid Base64 message-payload error="),
    "half a pad": ('"YQ="', "Invalid Base64 message-payload error="),
    "too much padding": ('"YQ==="', "Invalid Base64 message-payload error="),
    "padding inside": ('"YQ==YQ=="', "Invalid Base64 message-payload error="),
    "only padding": ('"="', "Invalid Base64 message-payload error="),
    "one digit": ('"Y"', "Invalid Base64 message-payload error="),
    "non-ASCII": ('"é"', "Invalid Base64 message-payload error="),
    "null": ("null", ""),
    "event time without offset": ('"YQ==","eventTime":"2021-01-02T03:04:05"', "Text '2021-01-02T03:04:05' could not be parsed"),
    "event time as number": ('"YQ==","eventTime":1609556645678', "Text '1609556645678' could not be parsed"),
    "event time on no real day": ('"YQ==","eventTime":"2021-02-29T03:04:05Z"', "Text '2021-02-29T03:04:05Z' could not be parsed"),
    "event time at hour 24": ('"YQ==","eventTime":"2021-01-02T24:00:00Z"', "Text '2021-01-02T24:00:00Z' could not be parsed"),
    "event time empty": ('"YQ==","eventTime":""', "Text '' could not be parsed"),
}


@pytest.mark.parametrize("case", UNENCODABLE)
def test_what_cannot_be_decoded_gets_code_7_with_context(pair, case):
    producer, _ = pair
    source, error = UNENCODABLE[case]
    producer.send(f'{{"context":"c","payload":{source}}}')
    text = producer.text()
    reply = json.loads(text)
    assert list(reply) == ["result", "errorMsg", "context", "errorCode", "schemaVersion"], text
    assert (reply["result"], reply["context"]) == ("send-error:7", "c")
    assert reply["errorMsg"].startswith(error), reply


def test_a_missing_payload_gets_code_7(pair):
    producer, _ = pair
    producer.send('{"context":5}')
    reply = producer.json()
    assert (reply["result"], reply["context"]) == ("send-error:7", "5")
    producer.send("null")
    reply = producer.json()
    assert reply["result"] == "send-error:7"
    assert "context" not in reply


def test_the_offending_base64_character_is_named(pair):
    producer, _ = pair
    producer.send('{"payload":"YQ_="}')
    assert producer.json()["errorMsg"] == "Invalid Base64 message-payload error=Illegal base64 character 5f"


def test_the_session_goes_on_after_every_error(service, topic):
    with service.producer(topic) as producer:
        for bad in ("garbage", '{"payload":"!"}', "null"):
            producer.send(bad)
            assert producer.json()["result"] != "ok"
        assert ids.read(producer.publish()["messageId"])["entry"] == 0


@pytest.mark.parametrize("request_text", [
    '{"payload":"YQ==","properties":{"a":null}}',
    '{"payload":"YQ==","replicationClusters":[null]}',
])
def test_a_null_inside_closes_with_1011(service, topic, request_text):
    with service.producer(topic) as producer:
        producer.send(request_text)
        code, reason = producer.closed()
    assert code == 1011
    if "properties" in request_text:
        assert reason == "Need Non-Null value for key: a"


def test_binary_messages_are_ignored(service, topic):
    with service.producer(topic) as producer:
        producer.send(b'{"payload":"YQ=="}')
        producer.nothing(0.3)
        assert ids.read(producer.publish()["messageId"])["entry"] == 0


@pytest.mark.parametrize("size", [100, 65_536, 700_000, 785_000])
def test_large_messages(service, topic, size):
    payload = bytes(number * 7 % 251 for number in range(size))
    with service.producer(topic) as producer, service.reader(topic, messageId="earliest") as reader:
        producer.publish(payload)
        assert decode(reader.json()) == payload


def test_initial_sequence_id_and_name_are_taken(service, topic, cpp):
    listener = cpp.subscribe(topic, "cpp")
    with service.producer(topic, producerName=f"{topic}-me", initialSequenceId=41) as producer:
        producer.publish(b"x")
    message = listener.receive(10_000)
    assert message.data() == b"x"
    listener.close()


def test_a_repeated_sequence_is_not_stored_twice_only_with_deduplication(service, topic):
    """`sequenceId` in a request is checked for its type and otherwise ignored."""
    with service.producer(topic) as producer:
        entries = [ids.read(producer.publish(sequenceId=5)["messageId"])["entry"] for _ in range(3)]
    assert entries == [0, 1, 2]
