"""HTTP beside the handshake: versions, methods, lines that fit together or do not, and the redirections."""

from __future__ import annotations

import pytest

from harness.raw import UPGRADE, exchange, request

PLAIN = {"Upgrade": None, "Connection": None}


def status(port: int, text: str) -> int:
    answer = exchange(port, text.encode("latin-1"))
    assert answer.startswith(b"HTTP/1.1 "), answer
    return int(answer[9:12])


def get(port: int, lines: str) -> bytes:
    return exchange(port, f"GET /nowhere HTTP/1.1\r\n{lines}\r\n\r\n".encode("latin-1"))


@pytest.mark.parametrize("line, expected", [
    ("GET /nowhere HTTP/1.1", 404), ("GET  /nowhere  HTTP/1.1", 404), ("GET /nowhere HTTP/1.0", 404), ("GET /nowhere HTTP/1.2", 505),
    ("GET /nowhere HTTP/2.0", 426), ("GET /nowhere HTTP/3.0", 505), ("GET /nowhere HTTP/11", 505), ("GET /nowhere HTTP/0.9", 505),
    ("GET /nowhere", 505), ("PRI * HTTP/2.0", 426), ("GET /no where HTTP/1.1", (400, 505)), ("GET nowhere HTTP/1.1", 400), ("GET * HTTP/1.1", 400),
    ("OPTIONS * HTTP/1.1", 404), ("GE(T /nowhere HTTP/1.1", 400), ("get /nowhere HTTP/1.1", 404),
])
def test_request_lines(service, line, expected):
    found = status(service.port, f"{line}\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert found in (expected if isinstance(expected, tuple) else (expected,))


def test_nothing_is_tunnelled(service):
    assert request(service.port, "h:80", "CONNECT", PLAIN).status == 400


@pytest.mark.parametrize("lines, text", [
    ("A: b", "No Host"), ("Host: h:", "Bad HostPort"), ("Host: h:x", "Bad HostPort"), ("Host: h:0", "Bad HostPort"),
    ("Host: h:99999", "Bad HostPort"), ("Host: [::1", "Bad HostPort"), ("Host: h\r\nContent-Length: x", "Invalid Content-Length Value"),
    ("Host: h\r\nContent-Length: -1", "Invalid Content-Length Value"), ("Host: h\r\nContent-Length: +5", "Invalid Content-Length Value"),
    ("Host: h\r\nContent-Length: 1,1", "Invalid Content-Length Value"), ("Host: h\r\nContent-Length:", "Invalid Content-Length Value"),
    ("Host: h\r\nContent-Length: 99999999999999999999", "Bad Request"),
    ("Host: h\r\nContent-Length: 1\r\nContent-Length: 1", "Multiple Content-Lengths"),
    ("Host: h\r\nTransfer-Encoding: gzip", "Bad Transfer-Encoding, chunked not last"),
    ("Host: h\r\nTransfer-Encoding: chunked, gzip", "Bad Transfer-Encoding, chunked not last"),
    ("Host: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Bad Transfer-Encoding, chunked not last"),
    ("Host: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3", "Transfer-Encoding and Content-Length"),
    ("Host: h\r\nA: b\r\n folded", ""), ("Host: h\r\nA : b", ""), ("Host: h\r\nA(: b", ""), ("Host: h\r\nA", ""), ("Host: h\r\nA: \x01", ""),
])
def test_lines_that_are_refused(service, lines, text):
    answer = get(service.port, lines)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert text.encode() in answer


@pytest.mark.parametrize("lines", [
    "Host:", "Host: h:80", "Host: [::1]:80", "Host: a/b", "Host: :80", "Host: h\r\nA: \xff", "Host: h\r\nContent-Length: 0",
    "Host: h\r\nExpect: 102-processing", "Host: h\r\n" + "A: b\r\n" * 150 + "B: c",
])
def test_lines_that_are_fine(service, lines):
    assert get(service.port, f"{lines}\r\nConnection: close").startswith(b"HTTP/1.1 404 ")


def test_what_cannot_be_expected_is_417(service):
    assert get(service.port, "Host: h\r\nExpect: x").startswith(b"HTTP/1.1 417 ")


def test_a_head_that_is_too_long_is_431(service):
    assert get(service.port, "Host: h\r\nA: " + "x" * 70_000).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("method, path, expected, has_page", [
    ("GET", "/nowhere", 404, True), ("POST", "/nowhere", 404, True), ("HEAD", "/nowhere", 404, False), ("PUT", "/nowhere", 404, False),
    ("DELETE", "/ws/v2/producer/persistent/public/default/t", 405, False), ("HEAD", "/ws/v2/producer/persistent/public/default/t", 405, False),
    ("PATCH", "/ws/v2/producer/persistent/public/default/t", 501, False),
])
def test_who_gets_a_page(service, method, path, expected, has_page):
    answer = exchange(service.port, f"{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {expected} ".encode())
    assert (body != b"") == has_page
    if method == "HEAD":
        assert b"Content-Length: 0" not in head and b"Content-Type: text/html;charset=iso-8859-1" in head


@pytest.mark.parametrize("path", [
    "/admin", "/admin/v2", "/ws/producer", "/ws/consumer", "/ws/reader", "/ws/v2/producer", "/ws/v2/consumer", "/ws/v2/reader", "/ws/v3/consumer",
])
@pytest.mark.parametrize("host, base", [("h:8080", "http://h:8080"), ("[::1]:8080", "http://[::1]:8080"), ("", None)])
def test_redirections_are_whole_urls(service, path, host, base):
    base = base or f"http://127.0.0.1:{service.port}"
    for method in ("GET", "HEAD", "POST"):
        answer = request(service.port, path, method, PLAIN | {"Host": host, "Content-Length": "0"})
        assert (answer.status, answer.headers["location"]) == (302, f"{base}{path}/")
    absolute = request(service.port, f"http://other:99{path}?a=b", headers=PLAIN | {"Host": host})
    assert absolute.headers["location"] == f"http://other:99{path}/?a=b"


def test_the_page_of_a_broker_s_refusal_names_the_path(service, topic):
    path = service.path("producer", topic, producerName=topic)
    with service.producer(topic, producerName=topic):
        answer = request(service.port, path)
    assert answer.status == 409
    assert f"<tr><th>URI:</th><td>{path.split('?')[0]}</td></tr>" in answer.text


def test_handshakes_in_turn(start, broker, topic):
    service = start(broker, maxConcurrentHttpRequests=1)
    for _ in range(3):
        with service.producer(topic) as one, service.producer(topic) as other:
            one.publish()
            other.publish()
    assert request(service.port, "/nowhere", headers=UPGRADE).status == 404
