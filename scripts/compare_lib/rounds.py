"""A workload's targets take turns in short runs; medians are told."""

from __future__ import annotations

import argparse
import statistics
from contextlib import nullcontext

from harness import tools

from . import latencies
from .bench import Bench
from .haproxy import HAProxy, HAProxyBefore
from .load import one_run
from .noise import spread
from .services import NullBroker, Relay
from .workloads import Workload

WARM_ENOUGH = 0.03
WARM_RUNS_MAX = 16
WARM_SECONDS_MAX = 1.5


def measure(bench: Bench, workload: Workload, chosen: argparse.Namespace, broker: NullBroker, services: list) -> dict:
    """All targets of a workload. The last service is the one whose bytes are then passed on bare."""
    broker.expect(workload.payload_bytes)
    warmed = {service.name: warm(bench, workload, service, chosen, broker) for service in services}
    sample = one_run(bench, workload, services[-1], min(chosen.seconds, 1), broker)
    passing = [Relay(bench, workload, sample)]
    if workload.haproxy and not chosen.no_haproxy:
        passing.append(HAProxy(bench, workload, sample))
        passing += [HAProxyBefore(bench, service) for service in services if service.name == "java"]
    runs = take_turns(bench, workload, chosen, broker, [*services, *passing])
    for target in passing:
        target.stop()
    asked = workload.rate and workload.rate * workload.clients
    return {
        "title": workload.title, "asked_per_second": asked, "kind": workload.kind, "clients": workload.clients,
        "payload_bytes": workload.payload_bytes,
        "bytes_per_message": {"sent": sample["bytes_sent"] / sample["total"],
                              "received": sample["bytes_received"] / sample["total"],
                              "to_broker": sample["broker_bytes"]["sent"] / sample["total"],
                              "from_broker": sample["broker_bytes"]["back"] / sample["total"]},
        "targets": {name: {"runs": of, "medians": medians(of), "warm_runs": warmed.get(name, [])}
                    for name, of in runs.items()},
    }


def take_turns(bench: Bench, workload: Workload, chosen: argparse.Namespace, broker: NullBroker,
               targets: list) -> dict[str, list[dict]]:
    """Another one begins each round: none always follows the same."""
    runs: dict[str, list[dict]] = {target.name: [] for target in targets}
    for number in range(chosen.rounds):
        turn = number % len(targets)
        for target in [*targets[turn:], *targets[:turn]]:
            with getattr(target, "turn", nullcontext)():
                run = one_run(bench, workload, target, chosen.seconds, broker)
            runs[target.name].append(run)
            tools.say(f"{workload.key} {number + 1}/{chosen.rounds} {target.name}: {run['cpu_us_per_message']:.2f} µs, "
                      f"{run['messages'] / run['seconds']:,.0f}/s")
    return runs


def warm(bench: Bench, workload: Workload, service: object, chosen: argparse.Namespace, broker: NullBroker) -> list[float]:
    """Ours compiles nothing while it runs. Java does: until three runs in a row cost no less than those before."""
    runs_max = 1 if service.name == "ours" else 2 if chosen.quick else WARM_RUNS_MAX
    tools.say(f"{workload.key}: warming {service.name}")
    costs: list[float] = []
    while len(costs) < runs_max:
        run = one_run(bench, workload, service, min(chosen.seconds, WARM_SECONDS_MAX), broker)
        costs.append(run["cpu_us_per_message"])
        if len(costs) >= 6 and min(costs[-3:]) > min(costs[:-3]) * (1 - WARM_ENOUGH):
            break
    return costs


def medians(runs: list[dict]) -> dict:
    def median(value) -> float:
        return statistics.median(value(run) for run in runs)

    def share(name: str) -> float:
        return median(lambda run: run["cpu_us"][name] / run["seconds"] / 1e6)

    found = {
        "cpu_us_per_message": median(lambda run: run["cpu_us_per_message"]),
        "machine_us_per_message": median(lambda run: run["machine_us_per_message"]),
        "messages_per_second": median(lambda run: run["messages"] / run["seconds"]),
        "service_cpu": share("service"), "broker_cpu": share("broker"), "load_cpu": share("load"),
        "spread": spread([run["cpu_us_per_message"] for run in runs]),
        "saturated": saturated(runs),
    }
    if all(run.get("messages_per_batch") for run in runs):
        found["messages_per_batch"] = median(lambda run: run["messages_per_batch"])
    return found | latencies.medians(runs)


def saturated(runs: list[dict]) -> str | None:
    """Where the load client was a bottleneck too: how often, and what it says of one of these runs."""
    told = [run["saturated_why"] for run in runs if run.get("saturated")]
    return f"in {len(told)} of {len(runs)} runs, as: {told[-1]}" if told else None
