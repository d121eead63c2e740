"""What a message costs on its way, layer by layer: a workload of `scripts/compare`, sampled while it runs."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable

from compare_lib import bench as benches
from compare_lib.bench import Bench
from compare_lib.load import WARM_SECONDS, one_run
from compare_lib.services import NullBroker, Ours
from compare_lib.workloads import WORKLOADS

from .layers import BROKER_READ, BROKER_WRITE, CLIENT_READ, CLIENT_WRITE, LAYERS, by_layer

# Which bytes a layer moves.
MOVED = {CLIENT_READ: "from_clients", BROKER_WRITE: "to_broker", BROKER_READ: "from_broker", CLIENT_WRITE: "to_clients"}

# The load goes on for so much longer than the sampling, which may begin late on a busy machine.
PERF_STARTS_SECONDS = 2


def measure(keys: list[str], seconds: float, folder: Path, record: Callable[[int, float], dict[str, int]]) -> dict[str, dict]:
    """Of each workload: CPU for a message, the shares of layers, and bytes. `record` samples a process for so long."""
    bench = benches.make(folder)
    # So that stacks tell the broker's connection from those of clients.
    broker = NullBroker(bench, host="[::1]")
    service = Ours(bench, broker.url)
    try:
        return {key: of_workload(bench, key, seconds, broker, service, record) for key in keys}
    finally:
        service.stop()
        broker.process.kill()


def of_workload(bench: Bench, key: str, seconds: float, broker: NullBroker, service: Ours,
                record: Callable[[int, float], dict[str, int]]) -> dict:
    workload = WORKLOADS[key]
    broker.expect(workload.payload_bytes)
    one_run(bench, workload, service, 1, broker)

    def sample() -> dict[str, int]:
        time.sleep(WARM_SECONDS)
        return record(service.pid, seconds)

    with ThreadPoolExecutor(1) as beside:
        sampling = beside.submit(sample)
        run = one_run(bench, workload, service, seconds + PERF_STARTS_SECONDS, broker)
        stacks = sampling.result()
    moved = {name: count / run["total"] for name, count in {
        "from_clients": run["bytes_sent"], "to_clients": run["bytes_received"],
        "to_broker": run["broker_bytes"]["sent"], "from_broker": run["broker_bytes"]["back"]}.items()}
    return {"title": workload.title, "ns": run["cpu_us_per_message"] * 1000, "samples": sum(stacks.values()),
            "bytes": moved, "layers": by_layer(stacks, moved)}


def table(found: dict[str, dict]) -> list[str]:
    """As Markdown: nanoseconds of each layer, and bytes where they are moved."""
    def line(name: str, cells: list[str]) -> str:
        return f"| {' | '.join([name, *cells])} |"

    lines = [line("ns for each message", list(found)), line("---", ["---"] * len(found))]
    for name in LAYERS:
        cells = []
        for of in found.values():
            moved = f", {of['bytes'][MOVED[name]]:,.0f} B" if name in MOVED else ""
            share = of["layers"][name]
            cells.append(f"{share * of['ns']:,.0f}{moved}" if share else "–")
        lines.append(line(name, cells))
    lines.append(line("sum", [f"{of['ns']:,.0f}" for of in found.values()]))
    return [*lines, "", *[f"- {key}: {of['title']}; {of['samples']:,} samples" for key, of in found.items()]]
