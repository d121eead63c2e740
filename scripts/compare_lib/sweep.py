"""How the cost of a message grows with its payload."""

from __future__ import annotations

import argparse

from .bench import Bench
from .load import one_run
from .rounds import medians, take_turns
from .services import NullBroker, Relay
from .workloads import WORKLOADS, Workload

PAYLOADS = [64, 256, 1024, 4096, 16 * 1024, 64 * 1024]
# Fewer where messages are large: what is in flight should not be more than sockets hold anyway.
BYTES_IN_FLIGHT = 400 * 1024


def of_payloads(bench: Bench, chosen: argparse.Namespace, broker: NullBroker, services: list) -> dict:
    """Publishes with two properties and a key, of these sizes."""
    found = {}
    shorter = argparse.Namespace(**{**vars(chosen), "rounds": min(chosen.rounds, 2)})
    for size in PAYLOADS[1::2] if chosen.quick else PAYLOADS:
        workload = with_properties(size)
        broker.expect(size)
        for service in services:
            # Java has seen publishes before; only what differs with the size is still to be compiled.
            for _ in range(1 if service.name == "ours" or chosen.quick else 2):
                sample = one_run(bench, workload, service, min(chosen.seconds, 1), broker)
        relay = Relay(bench, workload, sample)
        runs = take_turns(bench, workload, shorter, broker, [*services, relay])
        relay.stop()
        found[str(size)] = {name: medians(of) for name, of in runs.items()}
    return found


def with_properties(size: int) -> Workload:
    in_flight = max(4, min(100, BYTES_IN_FLIGHT // size))
    return WORKLOADS["W2"].but(
        key=f"sweep {size}", title=f"publish with two properties and a key, {size} B", payload_bytes=size,
        in_flight=in_flight, haproxy=False, flags=PROPERTIES)


PROPERTIES = ("--property", "trace=00-4bf92f3577b34da6a3ce929d0e0e4736", "--property", "kind=measurement",
              "--keys", "1000")
