"""Latency from publish to delivery, through a real broker."""

from __future__ import annotations

import argparse
import os

from harness import tools
from harness.servers import Broker

from . import latencies
from .bench import Bench
from .load import load
from .noise import Stolen
from .rounds import saturated as saturated_in
from .services import Java, Ours
from .words import duration

CLIENTS = 4
PAYLOAD_BYTES = 1024
# So much in flight when the most that goes through is looked for.
IN_FLIGHT = 100
SATURATE_RUNS, SATURATE_RUNS_MAX = 3, 8


def measure(bench: Bench, chosen: argparse.Namespace) -> dict:
    """Both at one rate: half of what goes through Java's. More than that the broker might not take."""
    broker = started(bench)
    targets = [Java(bench, broker.url), Ours(bench, broker.url)]
    most = {target.name: saturated(bench, chosen, target) for target in targets}
    rate = most["java"] / 2
    runs: dict[str, list[dict]] = {target.name: [] for target in targets}
    for number in range(chosen.rounds):
        for target in targets[:: -1 if number % 2 else 1]:
            run = one_run(bench, target, chosen.seconds, "--rate", rate / CLIENTS)
            runs[target.name].append(run)
            if not run["messages"]:
                raise SystemExit(f"end to end: nothing came through {target.name}\n{target.process.tail()}")
            tools.say(f"end to end {number + 1}/{chosen.rounds} {target.name}: p99 {duration(run['latency_us']['p99'])} "
                      f"at {run['messages'] / run['seconds']:,.0f}/s")
    for target in targets:
        target.stop()
    broker.stop()
    return {"rate": rate, "saturation": most, "runs": runs,
            "targets": {name: {**latencies.medians(of), "saturated": saturated_in(of)} for name, of in runs.items()}}


def started(bench: Bench) -> Broker:
    """With the load client, away from the service; who starts it hands its CPUs on."""
    tools.say("end to end: starting a real broker")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(cpu) for cpu in bench.other_cpus.split(",")})
    try:
        broker = Broker()
    finally:
        os.sched_setaffinity(0, before)
    return broker.wait()


def saturated(bench: Bench, chosen: argparse.Namespace, target: object) -> float:
    """Messages a second in a closed loop. In the first seconds topics are made and Java compiles: nothing may come then."""
    most, runs = 0.0, 0
    while runs < SATURATE_RUNS or (most == 0 and runs < SATURATE_RUNS_MAX):
        run = one_run(bench, target, max(chosen.seconds, 2), "--in-flight", IN_FLIGHT)
        most, runs = max(most, run["messages"] / run["seconds"]), runs + 1
    if most == 0:
        raise SystemExit(f"end to end: nothing came through {target.name}\n{target.process.tail()}")
    tools.say(f"end to end: {target.name} passes on {most:,.0f}/s")
    return most


def one_run(bench: Bench, target: object, seconds: float, *pace: object) -> dict:
    stolen = Stolen()
    run = load(bench, "end-to-end", target, seconds, {"service": target.pid}, "--clients", CLIENTS,
               "--payload-bytes", PAYLOAD_BYTES, *pace)
    if run["wrong"]:
        raise SystemExit(f"end to end through {target.name}: {run['wrong']} of {run['total']} messages are wrong")
    run["stolen"] = stolen.share()
    return run
