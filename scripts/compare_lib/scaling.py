"""Shards beside one: whether each costs what one alone does, and how throughput grows with them."""

from __future__ import annotations

import argparse
import statistics

from harness import tools

from .bench import Bench
from .load import one_run
from .rounds import medians
from .services import NullBroker, Ours
from .workloads import WORKLOADS

# As many as W2 has, for each shard.
CLIENTS_EACH = 4


class Step:
    """So many shards, with a broker of their own."""

    def __init__(self, bench: Bench, shards: int) -> None:
        service, self.others, self.apart = bench.shared_out(shards)
        self.shards = shards
        self.workload = WORKLOADS["W2"].but(key=f"shards {shards}", clients=CLIENTS_EACH * shards, haproxy=False)
        self.broker = NullBroker(bench, self.others)
        self.broker.expect(self.workload.payload_bytes)
        self.target = Ours(bench, self.broker.url, shards=shards, cpus=service)
        self.runs: list[dict] = []

    def run(self, bench: Bench, seconds: float) -> dict:
        return one_run(bench, self.workload, self.target, seconds, self.broker, cpus=self.others)

    def stop(self) -> None:
        self.target.stop()
        self.broker.process.kill()


def measure(bench: Bench, chosen: argparse.Namespace) -> dict:
    """Taking turns. Two shards are measured on any machine, more where the others have as many CPUs."""
    steps = [Step(bench, shards) for shards in counts(len(bench.cpus))]
    for number in range(chosen.rounds + 1):
        for step in steps:
            run = step.run(bench, chosen.seconds)
            # The first is for warming.
            if number:
                step.runs.append(run)
                tools.say(f"shards {number}/{chosen.rounds} {step.shards}: {run['cpu_us_per_message']:.2f} µs, "
                          f"{run['messages'] / run['seconds']:,.0f}/s")
    for step in steps:
        step.stop()
    one, two = steps[:2]
    return {
        "shards": {str(step.shards): {**medians(step.runs), "apart": step.apart} for step in steps},
        "ratio": statistics.median(more["cpu_us_per_message"] / alone["cpu_us_per_message"]
                                   for alone, more in zip(one.runs, two.runs)),
    }


def counts(cpus: int) -> list[int]:
    """Doubled as long as half of the CPUs are left for broker and load client."""
    found = [1, 2]
    while found[-1] * 4 <= cpus:
        found.append(found[-1] * 2)
    return found


def rows(found: dict) -> list[dict]:
    """One for each number of shards."""
    one = found["shards"]["1"]
    return [{"shards": int(shards), **median, "times": median["messages_per_second"] / one["messages_per_second"]}
            for shards, median in found["shards"].items()]
