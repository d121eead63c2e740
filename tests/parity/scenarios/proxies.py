"""Clients behind a proxy: the PROXY protocol, and headers that name the client."""

from __future__ import annotations

import socket
import struct

from ..catalogue import scenario
from ..stage import Stage
from .paths import PUBLIC, V2

HEAD = ("GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
IPV4 = socket.inet_aton("10.1.2.3") + socket.inet_aton("10.4.5.6") + struct.pack(">HH", 1234, 80)
IPV6 = socket.inet_pton(socket.AF_INET6, "2001:db8::1") + socket.inet_pton(socket.AF_INET6, "::1") + struct.pack(">HH", 1234, 80)
MAPPED = socket.inet_pton(socket.AF_INET6, "::ffff:10.1.2.3") + socket.inet_pton(socket.AF_INET6, "::1") + struct.pack(">HH", 1234, 80)
NOTE = b"\x04\0\x03abc"


def version_2(first: int, second: int, addresses: bytes, more: bytes = b"") -> bytes:
    return SIGNATURE + bytes([first, second]) + struct.pack(">H", len(addresses + more)) + addresses + more


def known_as(stage: Stage, label: str, topic: str) -> None:
    """As whom the statistics know the producer. Java's fail while a session opens or ends."""
    lines, stage.transcript.lines = stage.transcript.lines, []
    for _ in range(20):
        answer = stage.request(f"/admin/v2/proxy-stats/{PUBLIC}/{topic}/stats")
        if answer and answer.status == 200:
            break
        stage.wait(0.1)
    stage.transcript.lines = lines
    stage.note(f"{label} statistics", answer.text if answer else None)


def announces(name: str, headers: dict[str, bytes]) -> None:
    """Registers a scenario with producers that begin with these bytes."""
    @scenario(f"proxies/{name}", "PROXY protocol", webServiceHaProxyProtocolEnabled="true")
    def comes(stage: Stage) -> None:
        for label, header in headers.items():
            topic = stage.topic(label.replace(" ", "-"))
            producer = stage.raw_socket(header + HEAD.replace("{path}", f"{V2}/producer/{PUBLIC}/{topic}").encode(), label)
            if producer.is_open:
                known_as(stage, label, topic)


announces("version-1", {
    "none": b"", "IPv4": b"PROXY TCP4 10.1.2.3 10.4.5.6 1234 80\r\n", "IPv6": b"PROXY TCP6 2001:db8::1 ::1 1234 80\r\n",
    "long IPv6": b"PROXY TCP6 2001:0db8:0000:0000:0000:0000:0000:0001 ::1 1234 80\r\n", "unknown": b"PROXY UNKNOWN\r\n", "unknown with addresses": b"PROXY UNKNOWN 1.1.1.1 2.2.2.2 1 2\r\n",
    "bad port": b"PROXY TCP4 10.1.2.3 10.4.5.6 x 80\r\n", "port too large": b"PROXY TCP4 10.1.2.3 10.4.5.6 70000 80\r\n", "port zero": b"PROXY TCP4 10.1.2.3 10.4.5.6 0 80\r\n",
    "too few": b"PROXY TCP4 10.1.2.3\r\n", "too long": b"PROXY UNKNOWN " + b"x" * 100 + b"\r\n", "line feed": b"PROXY TCP4 10.1.2.3 10.4.5.6 1234 80\n",
})
announces("version-1-wrong", {
    "no address": b"PROXY TCP4 10.1.2.999 10.4.5.6 1234 80\r\n", "UDP": b"PROXY UDP4 10.1.2.3 10.4.5.6 1234 80\r\n", "IPv6 as IPv4": b"PROXY TCP4 2001:db8::1 ::1 1234 80\r\n",
    "leading zeros": b"PROXY TCP4 10.1.2.3 10.4.5.6 01234 80\r\n",
})
announces("version-2", {
    "IPv4": version_2(0x21, 0x11, IPV4), "IPv6": version_2(0x21, 0x21, IPV6), "mapped": version_2(0x21, 0x21, MAPPED), "local": version_2(0x20, 0, b""),
    "local with address": version_2(0x20, 0x11, IPV4), "note": version_2(0x21, 0x11, IPV4, NOTE), "local with note": version_2(0x20, 0, b"", NOTE),
    "UDP": version_2(0x21, 0x12, IPV4), "UNIX": version_2(0x21, 0x31, b"a" * 216), "version 1": version_2(0x11, 0x11, IPV4),
})
announces("version-2-wrong", {
    "no address": version_2(0x21, 0, b""), "cut note": version_2(0x21, 0x11, IPV4, b"\x04\0\xffabc"), "unknown command": version_2(0x22, 0x11, IPV4),
})


@scenario("proxies/forwarded", "X-Forwarded-For", webServiceTrustXForwardedFor="true")
def forwarded(stage: Stage) -> None:
    for label, headers in {
        "one": {"X-Forwarded-For": "10.1.2.3"}, "list": {"X-Forwarded-For": "10.1.2.3, 10.9.9.9"}, "port": {"X-Forwarded-For": "10.1.2.3:55"},
        "IPv6 with port": {"X-Forwarded-For": "[2001:db8::1]:55"}, "IPv6": {"X-Forwarded-For": "2001:db8::1"}, "other port": {"X-Forwarded-For": "10.1.2.3", "X-Forwarded-Port": "99"},
        "standard": {"Forwarded": "for=10.1.2.3;proto=https;by=1.1.1.1"}, "standard IPv6": {"Forwarded": 'for="[2001:db8::1]:55"'}, "standard list": {"Forwarded": "for=10.1.2.3, for=10.9.9.9"},
        "both": {"Forwarded": "for=10.1.2.3", "X-Forwarded-For": "10.7.7.7"}, "no address": {"X-Forwarded-For": "not an address"}, "empty": {"X-Forwarded-For": ""},
        "standard unknown": {"Forwarded": "for=unknown"}, "hidden": {"Forwarded": "for=_hidden"}, "host": {"X-Forwarded-Host": "a.example:5", "X-Forwarded-Proto": "https"},
        "secure": {"X-Proxied-Https": "on"}, "server": {"X-Forwarded-Server": "s.example"}, "bad port": {"X-Forwarded-For": "10.1.2.3:x"}, "comma first": {"X-Forwarded-For": ", 10.1.2.3"},
    }.items():
        topic = stage.topic(label.replace(" ", "-"))
        if stage.producer(topic, label=label, headers=headers).is_open:
            known_as(stage, label, topic)
        stage.request("/ws/v2/producer", headers=headers, label=f"{label} redirect")
