"""Latency at half of what a service can do."""

from __future__ import annotations

import argparse

from harness import tools

from .bench import Bench
from .load import one_run
from .rounds import medians
from .services import NullBroker
from .words import NAMES, duration
from .workloads import WORKLOADS, Workload


def measure(bench: Bench, chosen: argparse.Namespace, broker: NullBroker, services: list, workloads: dict) -> dict:
    """From when a publish was due to its receipt, in an open loop: each at half of its own throughput of W2, and
    ours at half of Java's as well."""
    broker.expect(1024)
    most = {service.name: throughput(bench, chosen, broker, service, workloads) for service in services}
    cases = [(f"{NAMES[service.name]} at its half", service, most[service.name] / 2) for service in services]
    if "java" in most:
        cases.append(("ours at Java's half", services[-1], most["java"] / 2))
    runs: dict[str, list[dict]] = {name: [] for name, _, _ in cases}
    for number in range(chosen.rounds):
        for name, service, rate in cases:
            run = one_run(bench, paced(rate), service, chosen.seconds, broker)
            runs[name].append(run)
            tools.say(f"latency {number + 1}/{chosen.rounds} {name}: p99 {duration(run['latency_us']['p99'])} "
                      f"at {run['messages'] / run['seconds']:,.0f}/s")
    return {name: {"service": service.name, "rate": rate, "medians": medians(runs[name]), "runs": runs[name]}
            for name, service, rate in cases}


def throughput(bench: Bench, chosen: argparse.Namespace, broker: NullBroker, service: object, workloads: dict) -> float:
    """That of W2, from its row or from a run."""
    if "W2" in workloads:
        return workloads["W2"]["targets"][service.name]["medians"]["messages_per_second"]
    for _ in range(1 if chosen.quick or service.name == "ours" else 4):
        run = one_run(bench, WORKLOADS["W2"], service, chosen.seconds, broker)
    return run["messages"] / run["seconds"]


def paced(rate: float) -> Workload:
    clients = 16
    return WORKLOADS["W2"].but(key="latency", clients=clients, rate=max(1, round(rate / clients)), haproxy=False)
