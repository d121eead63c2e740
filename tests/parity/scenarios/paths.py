"""Paths: what is served where, how a path becomes a topic, and what HTTP says besides."""

from __future__ import annotations

from urllib.parse import quote

from harness.raw import UPGRADE

from ..catalogue import scenario
from ..stage import Stage

V2 = "/ws/v2"
PUBLIC = "persistent/public/default"


def round_trip(stage: Stage, prefix: str, names: str, topic: str) -> None:
    """One message through producer, consumer and reader of the same names."""
    consumer = stage.open_path(f"{prefix}/consumer/{names}/{topic}/sub", "consumer")
    reader = stage.open_path(f"{prefix}/reader/{names}/{topic}", "reader")
    producer = stage.open_path(f"{prefix}/producer/{names}/{topic}", "producer")
    producer.publish("YQ==")
    consumer.ack(consumer.json())
    reader.read()
    for opened in (producer, consumer, reader):
        opened.close()


@scenario("paths/v2", "path v2 producer", "path v2 consumer", "path v2 reader")
def v2(stage: Stage) -> None:
    round_trip(stage, V2, PUBLIC, stage.topic())


@scenario("paths/v1", "path v1 producer", "path v1 consumer", "path v1 reader")
def v1(stage: Stage) -> None:
    round_trip(stage, "/ws", "persistent/public/standalone/default", stage.topic())


@scenario("paths/non-persistent", "topic non-persistent")
def non_persistent(stage: Stage) -> None:
    topic = stage.topic()
    names = "non-persistent/public/default"
    consumer = stage.open_path(f"{V2}/consumer/{names}/{topic}/sub", "consumer")
    producer = stage.open_path(f"{V2}/producer/{names}/{topic}", "producer")
    producer.publish("YQ==")
    consumer.ack(consumer.json())


@scenario("paths/v3", "path v3 consumer", "v3 topics", "consumer topics", "v3 one topic")
def v3(stage: Stage) -> None:
    first, second = stage.topic("first"), stage.topic("second")
    listed = f"{first},%20persistent://public/default/{second}%20"
    consumer = stage.open_path(f"/ws/v3/consumer/sub/ignored/pieces?topics={listed}", "consumer")
    for topic, payload in ((first, "MQ=="), (second, "Mg==")):
        stage.producer(topic, label=f"producer-{payload[:2]}").publish(payload)
        consumer.ack(consumer.json())
    one = stage.open_path(f"/ws/v3/consumer/other?topics={first}&subscriptionInitialPosition=Earliest", "one")
    one.ack(one.json())


@scenario("paths/absent", "path absent")
def absent(stage: Stage) -> None:
    paths = ["/", "/ws", "/ws/", "/ws/v2", "/ws/v2/", "/metrics-absent", "/ws/pingpong", "/ws/v2/pingpong",
             "/ws/v3/producer/s", "/ws/v3/reader/s", "/index.html", "/ws/v2/Producer/persistent/public/default/t"]
    for path in paths:
        stage.request(path, label=f"GET {path}")
        stage.request(path, label=f"upgrade {path}", upgrade=True)


@scenario("paths/302", "path 302")
def redirect(stage: Stage) -> None:
    for path in ("/ws/v2/producer", "/ws/consumer?a=b", "/ws/v3/consumer"):
        stage.request(path, label=path.partition("?")[0])


@scenario("paths/methods", "http 405", "http OPTIONS")
def methods(stage: Stage) -> None:
    path = f"{V2}/producer/{PUBLIC}/{stage.topic()}"
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
        if method != "HEAD":
            stage.request(path, method, headers={"Content-Length": "0"}, label=method)


@scenario("paths/upgrade", "http 400 HTTP/1.0", "http 400 version", "http 400 key")
def upgrade(stage: Stage) -> None:
    path = f"{V2}/producer/{PUBLIC}/{stage.topic()}"
    cases = {
        "HTTP/1.0": ({}, "1.0"),
        "no version": ({"Sec-WebSocket-Version": None}, "1.1"),
        "version 8": ({"Sec-WebSocket-Version": "8"}, "1.1"),
        "no key": ({"Sec-WebSocket-Key": None}, "1.1"),
        "short key": ({"Sec-WebSocket-Key": "short"}, "1.1"),
        "no Upgrade": ({"Upgrade": None}, "1.1"),
        "no Connection": ({"Connection": None}, "1.1"),
        "keep-alive, Upgrade": ({"Connection": "keep-alive, Upgrade"}, "1.1"),
        "WebSocket": ({"Upgrade": "WebSocket"}, "1.1"),
        "Origin": ({"Origin": "http://elsewhere.example"}, "1.1"),
        "subprotocol": ({"Sec-WebSocket-Protocol": "a, b"}, "1.1"),
    }
    for name, (headers, version) in cases.items():
        stage.request(path, headers=UPGRADE | headers, version=version, label=name)


@scenario("paths/414", "http 414")
def too_long(stage: Stage) -> None:
    stage.request(f"{V2}/producer/{PUBLIC}/{'x' * 9000}", upgrade=True)


@scenario("paths/error-page", "http error page", "create 404")
def error_page(stage: Stage) -> None:
    topic = stage.topic()
    stage.request(f"{V2}/producer/persistent/public/none-such/{topic}", upgrade=True, label="namespace")
    stage.request(f"{V2}/producer/persistent/none-such/default/{topic}", upgrade=True, label="tenant")
    stage.request(f"{V2}/consumer/persistent/public/none-such/{topic}/s", upgrade=True, label="consumer")
    stage.request(f"{V2}/reader/persistent/public/none-such/{topic}", upgrade=True, label="reader")
    escaped = quote("<b>&\"'")
    stage.request(f"{V2}/producer/persistent/public/default/{topic}?hashingScheme={escaped}", upgrade=True, label="escaped")


@scenario("paths/wrong", "topic pieces", "topic domain", "topic names", "topic blank", "topic malformed escape")
def wrong(stage: Stage) -> None:
    paths = {
        "too few": f"/producer/persistent/public/default",
        "no topic": f"/producer/{PUBLIC}/",
        "reader too few": "/reader/persistent/public",
        "domain": "/producer/nowhere/public/default/t",
        "domain case": "/producer/Persistent/public/default/t",
        "escaped tenant": "/producer/persistent/pub%6cic/default/t",
        "namespace": "/producer/persistent/public/de*fault/t",
        "blank": f"/producer/{PUBLIC}/%20",
        "plus": f"/producer/{PUBLIC}/+",
        "escape in path": f"/producer/{PUBLIC}/%zz",
        "escape in query": f"/producer/{PUBLIC}/t?a=%zz",
        "cut escape": f"/producer/{PUBLIC}/t%2",
    }
    for name, path in paths.items():
        stage.request(V2 + path, upgrade=True, label=name)
    stage.request("/ws/producer/persistent/public/default/t", upgrade=True, label="v1 too few")


@scenario("paths/topic-text", "topic not normalised", "topic joined", "topic decoded")
def topic_text(stage: Stage) -> None:
    topic = stage.topic()
    same = {
        "plain": (f"{topic}x y", f"{topic}x%20y"),
        "plus": (f"{topic}x y", f"{topic}x+y"),
        "semicolon": (f"{topic};v=1", f"{topic};v=1"),
        "dots": (f"{topic}..", f"{topic}.."),
        "trailing slash": (topic, f"{topic}/"),
        "non-ASCII": (f"{topic}ä", f"{topic}%C3%A4"),
    }
    for name, (whole, path) in same.items():
        consumer = stage.consumer(whole, label=f"consumer of {name}")
        stage.open_path(f"{V2}/producer/{PUBLIC}/{path}", f"producer of {name}").publish("YQ==")
        consumer.read()


@scenario("paths/slash", "topic slash")
def slash(stage: Stage) -> None:
    topic = stage.topic()
    for name, path in (("escaped", f"standalone/a%2F{topic}"), ("literal", f"default/standalone/{topic}")):
        stage.request(f"{V2}/producer/persistent/public/{path}", upgrade=True, label=name)


@scenario("paths/subscription", "subscription decoded", "subscription wrong", "create 400")
def subscription(stage: Stage) -> None:
    topic = stage.topic()
    for name in ("a%2Fb", "a+b", "%C3%A4", "", "%20", "a/b", "sub/", "a;b=1"):
        stage.request(f"{V2}/consumer/{PUBLIC}/{topic}/{name}", upgrade=True, label=f"'{name}'")


@scenario("paths/v3-wrong", "v3 both or neither", "v3 first topic", "v3 topicsPattern")
def v3_wrong(stage: Stage) -> None:
    topic = stage.topic()
    queries = {
        "neither": "", "both": f"?topics={topic}&topicsPattern=public/default/x.*", "empty list": "?topics=",
        "empty entry": f"?topics={topic},,", "blank entry": f"?topics={topic},%20", "bad first": "?topics=a/b,c",
        "pattern without names": "?topicsPattern=.*-nobody", "pattern with open names": "?topicsPattern=public/.*/x",
        "bad name": "?topics=persistent://public/def*ault/t",
    }
    for name, query in queries.items():
        stage.request(f"/ws/v3/consumer/sub{query}", upgrade=True, label=name)
    stage.request(f"/ws/v3/consumer?topics={topic}", upgrade=True, label="no subscription")
    stage.request(f"/ws/v3/consumer/?topics={topic}", upgrade=True, label="empty subscription")


@scenario("paths/order", "order of checks")
def order(stage: Stage) -> None:
    """Of several wrong things the one is named that is looked at first."""
    topic = stage.topic()
    paths = {
        "topic before parameter": f"/consumer/nowhere/public/default/{topic}/s?ackTimeoutMillis=x",
        "subscription before parameter": f"/consumer/{PUBLIC}/{topic}/?ackTimeoutMillis=x",
        "parameter before namespace": f"/consumer/persistent/public/none-such/{topic}/s?ackTimeoutMillis=x",
        "two parameters": f"/consumer/{PUBLIC}/{topic}/s?priorityLevel=x&ackTimeoutMillis=y",
        "producer's two": f"/producer/{PUBLIC}/{topic}?compressionType=x&hashingScheme=y",
        "reader": f"/reader/persistent/public/none-such/{topic}?receiverQueueSize=x",
    }
    for name, path in paths.items():
        stage.request(V2 + path, upgrade=True, label=name)


@scenario("paths/partitioned", "topic partitioned", "messageId partitioned")
def partitioned(stage: Stage) -> None:
    topic = stage.partitioned(1)
    consumer = stage.consumer(topic)
    reader = stage.reader(topic)
    stage.producer(topic).publish("YQ==")
    consumer.ack(consumer.json())
    reader.read()


@scenario("paths/one-partition", "topic one partition")
def one_partition(stage: Stage) -> None:
    topic = stage.partitioned(2)
    consumer = stage.consumer(f"{topic}-partition-1")
    stage.producer(f"{topic}-partition-1").publish("YQ==")
    consumer.read()
    stage.request(f"{V2}/producer/{PUBLIC}/{topic}-partition-7", upgrade=True, label="no such partition")
    stage.request(f"{V2}/consumer/{PUBLIC}/{topic}-partition-7/s", upgrade=True, label="consumer")
    stage.request(f"{V2}/reader/{PUBLIC}/{topic}-partition-7", upgrade=True, label="reader")
