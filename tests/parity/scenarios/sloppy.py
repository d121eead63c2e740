"""What careless and hostile clients send as HTTP, as parameters and as topics."""

from __future__ import annotations

from ..catalogue import scenario
from ..stage import Stage

V2 = "/ws/v2"
PUBLIC = "persistent/public/default"
HEAD = "GET {path} HTTP/1.1\r\n"
HOST = "Host: localhost\r\n"
UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\n"
KEY = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


def heads(name: str, cases: dict[str, str], *rows: str) -> None:
    """Registers a scenario that sends these heads, each on a connection of its own."""
    @scenario(f"sloppy/{name}", *rows)
    def sends(stage: Stage) -> None:
        path = f"{V2}/producer/{PUBLIC}/{stage.topic()}"
        for label, head in cases.items():
            stage.bytes(head.replace("{path}", path).encode("latin-1"), label)


heads("header-names", {
    "lower": (HEAD + HOST + UPGRADE + KEY).replace("Upgrade", "upgrade").replace("Sec-WebSocket", "sec-websocket") + "\r\n",
    "upper": HEAD + (HOST + UPGRADE + KEY).split("dGhl")[0].upper() + "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "no blanks": HEAD + HOST + UPGRADE.replace(": ", ":") + KEY.replace(": ", ":") + "\r\n",
    "many blanks": HEAD + HOST + UPGRADE.replace(": ", ": \t ").replace("\r\n", " \t\r\n") + KEY + "\r\n",
}, "http header forms")

heads("header-twice", {
    "two Connections": HEAD + HOST + "Connection: keep-alive\r\n" + UPGRADE + KEY + "\r\n",
    "two Upgrades": HEAD + HOST + "Upgrade: h2c\r\n" + UPGRADE + KEY + "\r\n",
    "a list of Upgrades": HEAD + HOST + "Upgrade: h2c, websocket\r\nConnection: Upgrade\r\n" + KEY + "\r\n",
    "two keys": HEAD + HOST + UPGRADE + KEY + "Sec-WebSocket-Key: x\r\n\r\n",
    "two versions": HEAD + HOST + UPGRADE + "Sec-WebSocket-Version: 8\r\n" + KEY + "\r\n",
    "two hosts": HEAD + HOST + HOST + UPGRADE + KEY + "\r\n",
}, "http header twice")

heads("header-values", {
    "versions": HEAD + HOST + UPGRADE + KEY.replace("13", "13, 8") + "\r\n",
    "version with zero": HEAD + HOST + UPGRADE + KEY.replace("13", "013") + "\r\n",
    "version in words": HEAD + HOST + UPGRADE + KEY.replace("13", "thirteen") + "\r\n",
    "empty version": HEAD + HOST + UPGRADE + KEY.replace("13", "") + "\r\n",
    "empty key": HEAD + HOST + UPGRADE + KEY.replace("dGhlIHNhbXBsZSBub25jZQ==", "") + "\r\n",
    "key that is no base64": HEAD + HOST + UPGRADE + KEY.replace("dGhl", "!!!") + "\r\n",
    "non-ASCII": HEAD + HOST + UPGRADE + KEY + "User-Agent: \xe4\xf6\r\n\r\n",
    "Connection and close": HEAD + HOST + UPGRADE.replace(": Upgrade", ": close, Upgrade") + KEY + "\r\n",
    "Upgrade in the plural": HEAD + HOST + UPGRADE.replace("websocket", "websockets") + KEY + "\r\n",
}, "http header values")

heads("host", {
    "none": HEAD + UPGRADE + KEY + "\r\n",
    "empty": HEAD + "Host:\r\n" + UPGRADE + KEY + "\r\n",
    "odd": HEAD + "Host: not a host\r\n" + UPGRADE + KEY + "\r\n",
    "port in words": HEAD + "Host: localhost:http\r\n" + UPGRADE + KEY + "\r\n",
    "other": HEAD + "Host: pulsar.example:1\r\n" + UPGRADE + KEY + "\r\n",
    "in the target": "GET http://elsewhere.example{path} HTTP/1.1\r\n" + HOST + UPGRADE + KEY + "\r\n",
    "only in the target": "GET http://elsewhere.example{path} HTTP/1.1\r\n" + UPGRADE + KEY + "\r\n",
}, "http host")

heads("lines", {
    "line feeds": (HEAD + HOST + UPGRADE + KEY + "\r\n").replace("\r\n", "\n"),
    "folded": HEAD + HOST + UPGRADE + KEY + "X-Long: a\r\n b\r\n\r\n",
    "blank before colon": HEAD + HOST + "Upgrade : websocket\r\nConnection: Upgrade\r\n" + KEY + "\r\n",
    "no colon": HEAD + HOST + UPGRADE + KEY + "nonsense\r\n\r\n",
    "no name": HEAD + HOST + UPGRADE + KEY + ": x\r\n\r\n",
    "NUL": HEAD + HOST + UPGRADE + KEY + "X: a\0b\r\n\r\n",
    "empty lines before": "\r\n\r\n" + HEAD + HOST + UPGRADE + KEY + "\r\n",
}, "http header forms")

heads("request-line", {
    "lower-case method": (HEAD + HOST + UPGRADE + KEY + "\r\n").replace("GET", "get"),
    "unknown method": (HEAD + HOST + "\r\n").replace("GET", "BREW"),
    "HTTP/1.2": (HEAD + HOST + UPGRADE + KEY + "\r\n").replace("/1.1", "/1.2"),
    "HTTP/2.0": (HEAD + HOST + UPGRADE + KEY + "\r\n").replace("/1.1", "/2.0"),
    "HTTP/2 preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "two blanks": (HEAD + HOST + UPGRADE + KEY + "\r\n").replace("GET ", "GET  "),
    "star": (HEAD + HOST + "\r\n").replace("GET {path}", "OPTIONS *"),
    "no slash": (HEAD + HOST + "\r\n").replace("{path}", "ws"),
    "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}, "http request line")

heads("bodies", {
    "length zero": HEAD + HOST + UPGRADE + KEY + "Content-Length: 0\r\n\r\n",
    "negative length": HEAD + HOST + UPGRADE + KEY + "Content-Length: -1\r\n\r\n",
    "length in words": HEAD + HOST + UPGRADE + KEY + "Content-Length: five\r\n\r\n",
    "two lengths": HEAD + HOST + UPGRADE + KEY + "Content-Length: 0\r\nContent-Length: 1\r\n\r\nx",
    "length and chunks": HEAD + HOST + UPGRADE + KEY + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}, "http bodies")


@scenario("sloppy/targets", "path odd forms", "path absent")
def targets(stage: Stage) -> None:
    """How else one could name an endpoint."""
    topic = stage.topic()
    whole = f"producer/{PUBLIC}/{topic}"
    for path in (f"//ws/v2/{whole}", f"/ws//v2/{whole}", f"/ws/v2//{whole}", f"/./ws/v2/{whole}", f"/ws/../ws/v2/{whole}",
                 f"/x/../ws/v2/{whole}", f"/%77s/v2/{whole}", f"/ws%2Fv2/{whole}", f"/WS/v2/{whole}", f"/ws/V2/{whole}", f"\\ws\\v2\\{whole}",
                 f"/ws;a=b/v2/{whole}", f"/ws/v2/producer;a=b/{PUBLIC}/{topic}", f"/ws/v2/{whole}#fragment", f"/ws/v2/{whole}?",
                 f"/ws/v2/{whole}??", f"/ws/v2/{whole}?a=b;c=d", f"/ws/v2/{whole}?#x", f"/ws/v2/producer/persistent//public/default/{topic}",
                 f"/ws/v3/producer/{PUBLIC}/{topic}", f"/ws/v1/{whole}"):
        stage.request(path, upgrade=True, label=path.replace(topic, "T"))


@scenario("sloppy/topics", "topic decoded", "topic odd characters")
def topics(stage: Stage) -> None:
    topic = stage.topic()
    for name, text in {
        "NUL": "%00", "line feed": "%0A", "tab": "%09", "emoji": "%F0%9F%98%80", "not UTF-8": "%FF", "overlong": "%C0%80", "surrogate": "%ED%A0%80",
        "escape of an escape": "%2525", "form of long ago": "%u0041", "one digit": "%4", "colon": ":", "at": "@", "quotes": "%22'", "comma": ",",
        "scheme": "://", "question": "%3F", "number sign": "%23", "no-break space": "%C2%A0", "long": "x" * 500, "upper-case escape": "%c3%A4",
    }.items():
        stage.request(f"{V2}/producer/{PUBLIC}/{topic}{text}", upgrade=True, label=name)
    for name, text in {"partition of nothing": "-partition-", "partition in words": "-partition-x", "negative partition": "-partition--1",
                       "partition with zero": "-partition-00", "huge partition": "-partition-99999999999"}.items():
        stage.request(f"{V2}/producer/{PUBLIC}/{topic}{text}", upgrade=True, label=name)
    for name, names in {"dots": "persistent/../default", "underscore": "persistent/pub_lic/default", "non-ASCII tenant": "persistent/p%C3%BCblic/default",
                        "empty tenant": "persistent//default", "blank namespace": "persistent/public/%20"}.items():
        stage.request(f"{V2}/producer/{names}/{topic}", upgrade=True, label=name)


@scenario("sloppy/raw-bytes", "topic odd characters")
def raw_bytes(stage: Stage) -> None:
    """Bytes beyond ASCII that nobody escaped, in the path and in the query."""
    topic = stage.topic()
    for name, target in {"UTF-8 in path": f"{topic}ä".encode(), "Latin-1 in path": f"{topic}ä".encode("latin-1"),
                         "UTF-8 in query": f"{topic}?producerName=ä".encode(), "Latin-1 in query": f"{topic}?producerName=ä".encode("latin-1")}.items():
        path = f"{V2}/producer/{PUBLIC}/".encode() + target
        stage.bytes(HEAD.encode().replace(b"{path}", path) + (HOST + UPGRADE + KEY + "\r\n").encode(), name)


@scenario("sloppy/subscriptions", "subscription decoded", "subscription wrong")
def subscriptions(stage: Stage) -> None:
    topic = stage.topic()
    for name in ("%00", "%0A", "%F0%9F%98%80", "%FF", "%", "%zz", "x" * 300, "persistent:%2F%2Fa%2Fb%2Fc", "%22", "..", "*", "a,b"):
        stage.request(f"{V2}/consumer/{PUBLIC}/{topic}/{name}", upgrade=True, label=f"'{name[:30]}'")


@scenario("sloppy/queries", "parameter rules", "parameter odd forms")
def queries(stage: Stage) -> None:
    path = f"{V2}/consumer/{PUBLIC}/{stage.topic()}/sub"
    for name, query in {
        "nothing before equals": "=x", "two equals": "subscriptionType==Shared", "equals in value": "consumerName=a=b", "semicolon": "receiverQueueSize=x;a=b",
        "not UTF-8": "consumerName=%FF", "NUL": "consumerName=%00", "cut escape": "a=%4", "escaped ampersand": "consumerName=a%26receiverQueueSize=x",
        "html ampersand": "a=b&amp;receiverQueueSize=x", "question": "a=b?receiverQueueSize=x", "brackets": "receiverQueueSize[]=x",
        "hexadecimal": "receiverQueueSize=0x10", "exponent": "receiverQueueSize=1e3", "underscores": "receiverQueueSize=1_000", "minus zero": "receiverQueueSize=-0",
        "many zeros": "receiverQueueSize=" + "0" * 400 + "5", "plus escaped": "receiverQueueSize=%2B5", "line feed": "receiverQueueSize=5%0A",
        "largest": "ackTimeoutMillis=2147483647", "smallest": "receiverQueueSize=-2147483648", "below the smallest": "receiverQueueSize=-2147483649",
        "quoted": "subscriptionType=%22Shared%22", "blank": "subscriptionType=Shared%20", "ordinal": "subscriptionType=1", "yes": "pullMode=yes",
        "other access mode": "accessMode=WaitForExclusive&readCompacted=true&subscriptionProperties=a",
        "five thousand parameters": "&".join(["a=b"] * 1500),
    }.items():
        stage.request(f"{path}?{query}", upgrade=True, label=name)


@scenario("sloppy/reader-ids", "reader messageId")
def reader_ids(stage: Stage) -> None:
    """Ids that name nothing, or too much."""
    topic = stage.topic()
    stage.producer(topic, label="producer").publish("YQ==")
    for name, text in {"no field": "CAA=", "negative": "CP%2F%2F%2F%2F%2F%2F%2F%2F%2F%2FARD%2F%2F%2F%2F%2F%2F%2F%2F%2F%2FAQ==", "unknown field": "CAAQAEgB", "cut": "CAAQ",
                       "blank": "%20", "quoted": "%22latest%22", "twice": "latest&messageId=earliest", "later than all": "CP%2F%2F%2F%2F8HEAA=",
                       "upper": "LATEST", "line feed": "latest%0A"}.items():
        stage.request(f"{V2}/reader/{PUBLIC}/{topic}?messageId={text}", upgrade=True, label=name)


@scenario("sloppy/v3-queries", "v3 topics", "v3 odd topics")
def v3_queries(stage: Stage) -> None:
    topic = stage.topic()
    for name, query in {
        "the same twice": f"topics={topic},{topic}", "the same, short and long": f"topics={topic},persistent://public/default/{topic}",
        "two domains": f"topics=persistent://public/default/{topic},non-persistent://public/default/{topic}",
        "semicolons": f"topics={topic};{topic}x", "escaped comma": f"topics={topic}%2C{topic}x", "two parameters": f"topics={topic}&topics=a/b",
        "comma before": f"topics=,{topic}", "comma behind": f"topics={topic},", "bad second": f"topics={topic},a/b", "one of a partitioned": f"topics={topic}-partition-0",
        "missing namespace": f"topics=public/none-such/{topic}", "empty pattern": "topicsPattern=", "both empty": "topics=&topicsPattern=",
        "v1 name": f"topics=persistent://public/standalone/default/{topic}", "pattern of non-persistent": f"topicsPattern=non-persistent://public/default/{topic}",
        "many": "topics=" + ",".join(f"{topic}-{number}" for number in range(10)),
    }.items():
        stage.request(f"/ws/v3/consumer/sub?{query}", upgrade=True, label=name)


@scenario("sloppy/pipelined", "http pipelined")
def pipelined(stage: Stage) -> None:
    """Frames behind the request in the same segment, before there was an answer."""
    from harness.raw import TEXT, frame
    topic = stage.topic()
    head = (HEAD.replace("{path}", f"{V2}/producer/{PUBLIC}/{topic}") + HOST + UPGRADE + KEY + "\r\n").encode()
    opened = stage.raw_socket(head + frame(TEXT, b'{"payload":"YQ=="}') + frame(TEXT, b'{"payload":"Yg=="}'), "producer")
    opened.read(2)
    opened.close()


@scenario("sloppy/slow-head", "http pipelined")
def slow_head(stage: Stage) -> None:
    """A head that comes in pieces."""
    topic = stage.topic()
    head = (HEAD.replace("{path}", f"{V2}/producer/{PUBLIC}/{topic}") + HOST + UPGRADE + KEY + "\r\n").encode()
    opened = stage.raw_socket(head[:1], "producer", *[head[at:at + 40] for at in range(1, len(head), 40)])
    opened.publish("YQ==")
    opened.close()


@scenario("sloppy/half-closed", "half-closed")
def half_closed(stage: Stage) -> None:
    """Clients that say nothing more but listen."""
    topic = stage.topic()
    producer = stage.producer(topic)
    producer.send({"payload": "YQ==", "context": "last"})
    producer.half_close()
    producer.end()
    consumer = stage.consumer(topic, subscriptionInitialPosition="Earliest")
    consumer.read()
    consumer.half_close()
    consumer.end()
    path = f"{V2}/producer/{PUBLIC}/{topic}"
    stage.bytes((HEAD.replace("{path}", path) + HOST + UPGRADE + KEY + "\r\n").encode(), "whole head", half_close=True)
    stage.bytes((HEAD.replace("{path}", path) + HOST).encode(), "half a head", half_close=True)
    for path in ("/status.html", f"/admin/v2/proxy-stats/{PUBLIC}/{topic}-none/stats", "/none-such"):
        stage.bytes((HEAD.replace("{path}", path) + HOST + "\r\n").encode(), path.replace(topic, "T"), half_close=True)


@scenario("sloppy/names-again", "reconnect storm", "producer producerName")
def names_again(stage: Stage) -> None:
    """A producer that comes again with its name while it is still there, and after it left."""
    topic = stage.topic()
    first = stage.producer(topic, label="first", producerName="mine")
    for number in range(5):
        stage.producer(topic, label=f"again {number}", producerName="mine")
    first.publish("YQ==")
    first.close()
    stage.wait(0.5)
    for number in range(5):
        later = stage.producer(topic, label=f"later {number}", producerName="mine")
        later.publish("YQ==")
        later.leave()
        stage.wait(0.5)


@scenario("sloppy/subscriptions-taken", "consumer subscriptionType", "create 409")
def subscriptions_taken(stage: Stage) -> None:
    """Every type of subscription meets every other."""
    types = ("Exclusive", "Shared", "Failover", "Key_Shared")
    for mine in types:
        topic = stage.topic(f"topic-{mine}")
        stage.consumer(topic, label=f"{mine} first", subscriptionType=mine)
        for other in types:
            stage.consumer(topic, label=f"{mine} then {other}", subscriptionType=other)


@scenario("sloppy/failover", "consumer failover")
def failover(stage: Stage) -> None:
    """The second of two takes over when the first one leaves."""
    topic = stage.topic()
    first = stage.consumer(topic, label="first", subscriptionType="Failover", consumerName="a", priorityLevel="0")
    second = stage.consumer(topic, label="second", subscriptionType="Failover", consumerName="b", priorityLevel="1")
    producer = stage.producer(topic)
    producer.publish("YQ==")
    first.ack(first.json())
    second.quiet()
    first.close()
    stage.wait(0.5)
    producer.publish("Yg==")
    second.ack(second.json())


@scenario("sloppy/unexpected-parameters", "parameter rules")
def unexpected_parameters(stage: Stage) -> None:
    """Parameters of other endpoints, and of other clients, mean nothing."""
    topic = stage.topic()
    others = {"accessMode": "WaitForExclusive", "readCompacted": "maybe", "subscriptionName": "x", "schema": "{", "chunkingEnabled": "true"}
    producers = [stage.producer(topic, label=f"producer {number}", subscriptionType="x", receiverQueueSize="x", **others) for number in (1, 2)]
    consumer = stage.consumer(topic, hashingScheme="x", compressionType="x", messageId="!!", **others)
    reader = stage.reader(topic, subscriptionType="x", ackTimeoutMillis="x", pullMode="true", **others)
    for producer in producers:
        producer.publish("YQ==")
        consumer.ack(consumer.json())
        reader.read()


@scenario("sloppy/credentials", "credentials ignored")
def credentials(stage: Stage) -> None:
    """Where nobody has to say who he is, it does not matter what he says."""
    path = f"{V2}/reader/{PUBLIC}/{stage.topic()}"
    for name, headers in {
        "bearer": {"Authorization": "Bearer x"}, "basic": {"Authorization": "Basic !!"}, "empty": {"Authorization": ""},
        "unknown method": {"X-Pulsar-Auth-Method-Name": "sasl"}, "cookie": {"Cookie": "JSESSIONID=x; " * 50}, "forwarded": {"X-Forwarded-For": "not an address"},
        "original principal": {"X-Original-Principal": "admin"},
    }.items():
        stage.request(path, upgrade=True, headers=headers, label=name)
    for query in ("token=", "token=Bearer%20x", "token=x&token=y"):
        stage.request(f"{path}?{query}", upgrade=True, label=query)
        stage.request(f"/admin/v2/proxy-stats/{PUBLIC}/none-such/stats?{query}", label=f"statistics {query}")
