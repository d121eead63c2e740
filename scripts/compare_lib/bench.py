"""The bench: which CPU each takes, and where files go."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from harness import tools
from harness.process import Process, free_port


@dataclass
class Bench:
    """What all measurements share."""

    folder: Path
    # For `taskset`: the service under test has one CPU to itself, broker and load client have others.
    service_cpu: str
    other_cpus: str
    # All there are; those of other cores come before a core's second thread.
    cpus: list[int]

    def shared_out(self, shards: int) -> tuple[str, str, bool]:
        """CPUs for so many shards, those for broker and load client, which need nearly as many, and whether they are apart."""
        service, others = self.cpus[:shards], self.cpus[shards:]
        apart = len(others) >= shards
        return listed(service), listed(others if apart else self.cpus), apart

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}-{free_port()}.log"

    def start(self, name: str, cpus: str, *command: object, env: dict | None = None) -> Process:
        """A program in the background, on these CPUs."""
        return Process(name, ["taskset", "--cpu-list", cpus, *command], self.log(name.replace(" ", "-")), env,
                       self.folder)


def make(folder: Path) -> Bench:
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise SystemExit("two CPUs are needed: one for the service, one for its load and broker")
    first, rest = allowed[0], allowed[1:]
    # The other thread of the service's core would take from it, where others are to be had.
    others = [cpu for cpu in rest if cpu not in siblings(first)] or rest
    folder.mkdir(parents=True, exist_ok=True)
    return Bench(folder=folder, service_cpu=str(first), other_cpus=listed(others[:3]), cpus=cores_first(allowed))


def cores_first(cpus: list[int]) -> list[int]:
    """One CPU of each core, then what is left."""
    first = [cpu for cpu in cpus if not any(other < cpu for other in siblings(cpu) if other in cpus)]
    return first + [cpu for cpu in cpus if cpu not in first]


def siblings(cpu: int) -> set[int]:
    """Those on the same core."""
    told = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    found: set[int] = set()
    for part in told.read_text().strip().split(",") if told.exists() else []:
        low, _, high = part.partition("-")
        found.update(range(int(low), int(high or low) + 1))
    return found


def listed(cpus: list[int]) -> str:
    return ",".join(str(cpu) for cpu in cpus)


def tool(name: str) -> Path:
    """A program of this package that is not the service."""
    return tools.our_binary().with_name(name)
