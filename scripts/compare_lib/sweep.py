"""How the cost of a message grows with its payload, and whether two shards cost what one does."""

from __future__ import annotations

import argparse
import statistics

from harness import tools

from .bench import Bench
from .load import one_run
from .rounds import medians, take_turns
from .services import NullBroker, Ours, Relay
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


def of_shards(bench: Bench, chosen: argparse.Namespace) -> dict:
    """Twice the clients, so that each shard has as many as one alone."""
    broker = NullBroker(bench, bench.two_other_cpus)
    workload = WORKLOADS["W2"].but(key="shards", clients=8, haproxy=False)
    runs: dict[str, list[dict]] = {"1": [], "2": []}
    targets = {"1": Ours(bench, broker.url), "2": Ours(bench, broker.url, shards=2, cpus=bench.two_service_cpus)}
    for number in range(chosen.rounds + 1):
        for shards, target in targets.items():
            run = one_run(bench, workload, target, chosen.seconds, broker, cpus=bench.two_other_cpus)
            # The first is for warming.
            if number:
                runs[shards].append(run)
                tools.say(f"shards {number}/{chosen.rounds} {shards}: {run['cpu_us_per_message']:.2f} µs")
    for target in targets.values():
        target.stop()
    broker.process.kill()
    found = {shards: medians(of) for shards, of in runs.items()}
    pairs = zip(runs["1"], runs["2"])
    return {"apart": bench.two_shards_apart, "shards": found, "ratio": statistics.median(
        two["cpu_us_per_message"] / one["cpu_us_per_message"] for one, two in pairs)}
