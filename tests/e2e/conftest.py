"""Brings up a real broker and the service under test, once for all tests."""

from __future__ import annotations

import logging
import re
import uuid

import pulsar
import pytest

from harness.client import Endpoints
from harness.process import end_on_signals
from harness.servers import Broker, JavaPublisher, JavaService, Ours


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--target", default="ours", help="the service under test: ours or java")
    parser.addoption("--heavy", action="store_true", help="also what needs a machine with nothing else to do")
    parser.addoption("--rounds", type=int, default=3, help="how often the broker is killed")


def pytest_configure(config: pytest.Config) -> None:
    end_on_signals()
    config.addinivalue_line("markers", "ours_only(reason): says something about our program alone")
    config.addinivalue_line("markers", "heavy: needs a machine with nothing else to do; runs with --heavy")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--heavy"):
        for item in items:
            if item.get_closest_marker("heavy"):
                item.add_marker(pytest.mark.skip(reason="runs with --heavy"))
    if config.getoption("--target") == "ours":
        return
    for item in items:
        for mark in item.iter_markers("ours_only"):
            item.add_marker(pytest.mark.skip(reason=f"ours only: {mark.args[0]}"))


@pytest.fixture(scope="session")
def usual_broker():
    """Pulsar as it comes: acknowledgements of single batch members are dropped."""
    made = Broker(acknowledgmentAtBatchIndexLevelEnabled="false")
    try:
        yield made.wait()
    finally:
        made.stop()


@pytest.fixture(scope="session")
def broker(usual_broker):
    """The broker of most tests; some modules have one of their own."""
    return usual_broker


@pytest.fixture(scope="session")
def start(request):
    """Starts a service of the kind under test beside a broker; all end with the tests."""
    started = []

    def start_service(broker: Broker, env: dict | None = None, **settings: object) -> Endpoints:
        kind = request.config.getoption("--target")
        made = JavaService if kind == "java" else Ours
        service = made(broker if kind == "java" else broker.url, env=env, **settings)
        started.append(service)
        service.wait()
        return Endpoints(f"ws://127.0.0.1:{service.port}", kind)

    yield start_service
    for service in started:
        service.stop()


@pytest.fixture(scope="session")
def service(start, broker) -> Endpoints:
    """The service under test."""
    return start(broker)


@pytest.fixture
def topic(request) -> str:
    """A topic of the test's own."""
    return re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:60] + "-" + uuid.uuid4().hex[:8]


@pytest.fixture(scope="session")
def cpp(broker):
    """The C++ client, independent of Java's and of ours."""
    quiet = logging.getLogger("pulsar-cpp")
    quiet.setLevel(logging.CRITICAL)
    client = pulsar.Client(broker.url, logger=quiet)
    yield client
    client.close()


@pytest.fixture(scope="session")
def java_only_client(broker):
    """Does a step of `scripts/java/Publish.java`: what only the Java client can publish."""
    publisher = JavaPublisher(broker)
    yield publisher.publish
    publisher.stop()
