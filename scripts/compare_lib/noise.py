"""What else the machine did: a figure is worth what the quiet around it was."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

# Who did less of an open loop's messages did not keep up.
KEPT_UP = 0.97
TICKS = os.sysconf("SC_CLK_TCK")
STEAL = 7


class Stolen:
    """The share of all CPUs that the host took from this machine, from here on."""

    def __init__(self) -> None:
        self.at, self.ticks = time.monotonic(), steal_ticks()

    def share(self) -> float:
        seconds = max(time.monotonic() - self.at, 1e-6)
        return (steal_ticks() - self.ticks) / TICKS / seconds / (os.cpu_count() or 1)


def steal_ticks() -> int:
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    return int(fields[STEAL]) if len(fields) > STEAL else 0


def machine() -> dict:
    """What it is, in words that a reader can compare with another."""
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "unknown")
    memory = next(int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines()
                  if line.startswith("MemTotal"))
    return {"cpus": os.cpu_count(), "model": model, "kernel": os.uname().release,
            "memory_gib": round(memory / 1024**2, 1)}


def spread(values: list[float]) -> float:
    """How far the runs lay apart, as a part of their median."""
    middle = statistics.median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


def summary(result: dict) -> dict:
    """Over all measured runs, for the reader."""
    runs = [run for found in result.get("workloads", {}).values()
            for target in found["targets"].values() for run in target["runs"]]
    if not runs:
        return {}
    spreads = {f"{key} {name}": target["medians"]["spread"] for key, found in result["workloads"].items()
               for name, target in found["targets"].items()}
    widest = max(spreads, key=spreads.get)
    return {
        "runs": len(runs),
        "load_average_before": result["load_average_before"],
        "load_average_after": result.get("load_average_after"),
        "stolen_median": statistics.median(run["stolen"] for run in runs),
        "stolen_max": max(run["stolen"] for run in runs),
        "others_cpu_median": statistics.median(run["others_cpu"] for run in runs),
        "others_cpu_max": max(run["others_cpu"] for run in runs),
        "spread_median": statistics.median(spreads.values()),
        "spread_max": spreads[widest], "spread_max_of": widest,
        "saturated": saturated(result),
        "left_behind": left_behind(result["workloads"]),
    }


def saturated(result: dict) -> list[str]:
    """Where the load client was a bottleneck too, in whatever was measured with it."""
    medians = {f"{key} {name}": target["medians"] for key, found in result["workloads"].items()
               for name, target in found["targets"].items()}
    medians |= {f"latency, {name}": found["medians"] for name, found in result.get("latency", {}).items()}
    medians |= {f"end to end, {name}": target for name, target in result.get("end_to_end", {}).get("targets", {}).items()}
    medians |= {f"payload of {int(size):,} B, {name}": target for size, targets in result.get("sweep", {}).items()
                for name, target in targets.items()}
    medians |= {f"{shards} shards": median for shards, median in result.get("shards", {}).get("shards", {}).items()}
    return [f"{name} {why}" for name, median in medians.items() if (why := median.get("saturated"))]


def left_behind(workloads: dict) -> list[str]:
    """Who did not keep up with an open loop: its cost and its latency are those of another load."""
    return [f"{key} {name} did {done:,.0f} of {found['asked_per_second']:,.0f} messages/s"
            for key, found in workloads.items() if found.get("asked_per_second")
            for name, target in found["targets"].items()
            if (done := target["medians"]["messages_per_second"]) < KEPT_UP * found["asked_per_second"]]
