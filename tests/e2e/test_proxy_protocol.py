"""Clients that come through a proxy, which says so before the request or in its headers."""

from __future__ import annotations

import ipaddress
import json
import struct

import pytest

from harness.raw import RawWebSocket, exchange, request

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 9.8.7.6 5.6.7.8 111 222\r\n"
PLAIN = {"Upgrade": None, "Connection": None}


@pytest.fixture(scope="module")
def behind(start, broker):
    return start(broker, webServiceHaProxyProtocolEnabled="true")


def v2(family: int, rest: bytes, command: int = 1, version: int = 2) -> bytes:
    return SIGNATURE + bytes([version << 4 | command, family]) + struct.pack(">H", len(rest)) + rest


def addresses(source: str, destination: str) -> bytes:
    return b"".join(ipaddress.ip_address(one).packed for one in (source, destination)) + struct.pack(">HH", 111, 222)


V4, V6 = addresses("9.8.7.6", "5.6.7.8"), addresses("2001:db8::1", "2001:db8::2")


@pytest.mark.parametrize("header, remote", [
    (b"", None), (V1, "/9.8.7.6:111"), (b"PROXY TCP6 2001:db8::1 ::2 111 222\r\n", "/[2001:db8:0:0:0:0:0:1]:111"),
    (b"PROXY UNKNOWN\r\n", None), (b"PROXY UNKNOWN ff::1 ff::2 1 2\r\n", None), (v2(0x11, V4), "/9.8.7.6:111"),
    (v2(0x21, V6), "/[2001:db8:0:0:0:0:0:1]:111"), (v2(0x11, V4 + b"\x04\0\x03abc"), "/9.8.7.6:111"),
    (v2(0x11, V4, command=0), None), (v2(0, b"", command=0), None),
])
def test_the_client_is_who_the_header_says(behind, topic, header, remote):
    with RawWebSocket(behind.port, behind.path("producer", topic), before=header) as raw:
        host, port = raw.stream.socket.getsockname()
        answer = request(behind.port, f"/admin/v2/proxy-stats/persistent/public/default/{topic}/stats", headers=PLAIN)
        (producer,) = json.loads(answer.text)["producerStats"]
        assert producer["remoteConnection"] == (remote or f"/{host}:{port}")


@pytest.mark.parametrize("header", [
    b"PROXY\r\n", b"PROXY TCP4 1.2.3.4\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 111 222\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 x 222\r\n",
    b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n", v2(0x11, V4, version=1),
    v2(0x12, V4), v2(0x41, V4), v2(0x31, bytes(216)), v2(0x11, V4 + bytes(1100)),
])
def test_a_broken_header_ends_the_connection(behind, header):
    assert exchange(behind.port, header + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n") == b""


def test_only_one_header_is_one(behind):
    answer = exchange(behind.port, V1 + V1 + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_without_the_setting_a_header_is_no_request(service):
    assert exchange(service.port, V1 + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").startswith(b"HTTP/1.1 400 ")


@pytest.fixture(scope="module")
def trusting(start, broker):
    return start(broker, webServiceTrustXForwardedFor="true")


@pytest.mark.parametrize("headers, base", [
    ({}, "http://localhost"), ({"X-Forwarded-Host": "fh:99, b"}, "http://fh:99"), ({"X-Forwarded-Proto": "https"}, "https://localhost"),
    ({"X-Forwarded-Proto": "https", "X-Forwarded-Port": "77"}, "https://localhost:77"),
    ({"Forwarded": "host=q:1;proto=https"}, "https://q:1"), ({"X-Forwarded-Server": "srv"}, "http://srv"),
    ({"X-Proxied-Https": "on"}, "https://localhost"),
])
def test_redirections_know_the_way_here(trusting, service, headers, base):
    answer = request(trusting.port, "/ws/v2/producer?a=b%20c", headers=PLAIN | headers)
    assert (answer.status, answer.headers["location"]) == (302, f"{base}/ws/v2/producer/?a=b%20c")
    untrusted = request(service.port, "/admin/v2", headers=PLAIN | headers)
    assert (untrusted.status, untrusted.headers["location"]) == (302, "http://localhost/admin/v2/")


def test_a_forwarded_address_is_not_the_connections(trusting, topic):
    with RawWebSocket(trusting.port, trusting.path("producer", topic), {"X-Forwarded-For": "9.8.7.6"}) as raw:
        host, port = raw.stream.socket.getsockname()
        answer = request(trusting.port, "/admin/v2/proxy-stats/stats", headers=PLAIN)
        stats = json.loads(answer.text)[f"persistent://public/default/{topic}"]
        assert [one["remoteConnection"] for one in stats["producerStats"]] == [f"/{host}:{port}"]
    bad = request(trusting.port, trusting.path("producer", topic), headers={"X-Forwarded-For": "1.2.3.4:x"})
    assert bad.status == 400
    assert "Bad header value for X-Forwarded-For" in bad.text
