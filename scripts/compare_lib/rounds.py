"""A workload's targets take turns in short runs; medians are told."""

from __future__ import annotations

import argparse
import statistics

from harness import tools

from .bench import Bench
from .haproxy import HAProxy
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
    runs = take_turns(bench, workload, chosen, broker, [*services, *passing])
    for target in passing:
        target.stop()
    return {
        "title": workload.title, "kind": workload.kind, "clients": workload.clients,
        "payload_bytes": workload.payload_bytes, "relay_bytes": {"request": passing[0].request, "answer": passing[0].answer},
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
        "saturated_why": sorted({run.get("saturated_why") or "saturated" for run in runs if run.get("saturated")}),
    }
    if all(run.get("latency_us", {}).get("count") for run in runs):
        found["latency_us"] = {name: median(lambda run: run["latency_us"][name])
                               for name in ("p50", "p90", "p99", "p999", "max")}
        found["latency_percentiles"] = curve(runs)
    return found


def curve(runs: list[dict]) -> list[list[float]]:
    """The median of the runs at each percentile that all of them tell."""
    tables = [dict(map(tuple, run.get("latency_percentiles") or [])) for run in runs]
    shared = sorted(set.intersection(*(set(table) for table in tables)))
    return [[percentile, statistics.median(table[percentile] for table in tables)] for percentile in shared]
