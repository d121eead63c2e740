"""From the first service to the last file."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import sys

from harness import tools

from . import bench as benches
from . import counted, docs, end_to_end, idle, judge, latency, markdown, noise, page, rounds, scaling, sweep, versions
from .bench import Bench
from .options import arguments
from .services import Java, NullBroker, Ours
from .workloads import WORKLOADS


def main() -> int:
    chosen = arguments(sys.argv[1:])
    if chosen.write_docs:
        return docs.write(docs.result_in(chosen.folder))
    bench = ready(chosen)
    result = beginning(chosen, bench)
    try:
        measure(result, chosen, bench)
    finally:
        # What was measured before something failed, or before Ctrl-C, is worth its minutes.
        result["load_average_after"] = os.getloadavg()
        write(result, chosen)
    print((chosen.folder / "result.md").read_text())
    tools.say(f"result.json, result.md and result.html are in {chosen.folder}")
    return 0


def ready(chosen: argparse.Namespace) -> Bench:
    """Everything that is needed, or a sentence that says what is missing, before minutes are spent."""
    tools.need("cargo", "cc", "node", "npm", *([] if chosen.no_java else ["java", "javac", "mvn"]))
    if not shutil.which("taskset"):
        raise SystemExit("taskset is missing: install it (Debian: apt install util-linux).")
    bench = benches.make(chosen.folder)
    tools.node_modules()
    if not chosen.no_java:
        tools.java_classes()
    if not chosen.no_build:
        tools.say("building")
        tools.run("cargo", "build", "--release", "--locked", "--quiet", "--bins", cwd=tools.ROOT)
    return bench


def beginning(chosen: argparse.Namespace, bench: Bench) -> dict:
    """What is known before anything runs."""
    return {
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": noise.machine(), "versions": versions.all_of(chosen),
        "cpus": {"service": bench.service_cpu, "others": bench.other_cpus},
        "options": {name: str(value) if name == "folder" else value for name, value in vars(chosen).items()},
        "load_average_before": os.getloadavg(), "workloads": {},
    }


def measure(result: dict, chosen: argparse.Namespace, bench: Bench) -> None:
    """Every part that is chosen, into `result`."""
    broker = NullBroker(bench)
    kinds = [Ours] if chosen.no_java else [Java, Ours]
    if set(chosen.parts) & {*WORKLOADS, "sweep", "latency"}:
        services = [make(bench, broker.url) for make in kinds]
        for key, workload in WORKLOADS.items():
            if key in chosen.parts:
                result["workloads"][key] = rounds.measure(bench, workload, chosen, broker, services)
        if "latency" in chosen.parts:
            result["latency"] = latency.measure(bench, chosen, broker, services, result["workloads"])
        if "sweep" in chosen.parts:
            result["sweep"] = sweep.of_payloads(bench, chosen, broker, services)
        for service in services:
            service.stop()
    if "W7" in chosen.parts:
        result["idle"] = idle.measure(bench, chosen, broker, kinds)
    if "end-to-end" in chosen.parts and not chosen.no_java:
        result["end_to_end"] = end_to_end.measure(bench, chosen)
    if "shards" in chosen.parts:
        result["shards"] = scaling.measure(bench, chosen)
    if "syscalls" in chosen.parts:
        result["syscalls"] = counted.syscalls(bench, chosen, broker)
    if "allocations" in chosen.parts:
        result["allocations"] = counted.allocations(bench, chosen, broker)


def write(result: dict, chosen: argparse.Namespace) -> None:
    result["noise"] = noise.summary(result)
    result["judged"] = judge.rows(result)
    (chosen.folder / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    (chosen.folder / "result.md").write_text(markdown.whole(result))
    (chosen.folder / "result.html").write_text(page.whole(result))
