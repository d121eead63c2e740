"""What our service does for each message that is counted, not timed: system calls and allocations."""

from __future__ import annotations

import argparse
import struct
from pathlib import Path
from typing import Callable

from harness import tools

from . import sweep
from .bench import Bench
from .load import one_run
from .services import NullBroker, Ours, signalled
from .workloads import WORKLOADS, Workload

# Of x86_64, as in `count_syscalls.c`.
SYSCALLS = {0: "read", 1: "write", 20: "writev", 11: "munmap", 28: "madvise", 44: "sendto", 45: "recvfrom",
            202: "futex", 232: "epoll_wait", 426: "io_uring_enter"}
SLOTS = 512
SYSCALLS_OF = ("W1", "W2", "W3", "W4", "W5", "W6")
# The workloads, and the smallest and largest of what is published with two properties and a key.
ALLOCATIONS_OF = {**WORKLOADS, **{f"{size:,} B": sweep.with_properties(size) for size in (64, 16 * 1024, 64 * 1024)}}


def counted_run(bench: Bench, workload: Workload, seconds: float, broker: NullBroker, target: Ours,
                count: Callable[[], dict]) -> tuple[int, dict]:
    """Messages of a run, handshakes and all, and what was counted meanwhile."""
    before = count()
    messages = one_run(bench, workload, target, seconds, broker)["total"]
    after = count()
    return messages, {name: after[name] - before[name] for name in after}


def syscalls(bench: Bench, chosen: argparse.Namespace, broker: NullBroker) -> dict:
    """By a library that counts what goes through the C library; nothing is stopped for that."""
    tools.need("cc")
    library, shared = bench.folder / "count_syscalls.so", bench.folder / "count_syscalls.counts"
    tools.run("cc", "-O2", "-shared", "-fPIC", "-o", library, Path(__file__).with_name("count_syscalls.c"), "-ldl")
    shared.write_bytes(bytes(8 * SLOTS))
    target = Ours(bench, broker.url, env={"LD_PRELOAD": str(library), "COUNT_SYSCALLS_FILE": str(shared)})

    def count() -> dict:
        counts = struct.unpack(f"{SLOTS}Q", shared.read_bytes())
        return {"all": sum(counts), **{name: counts[number] for number, name in SYSCALLS.items()}}

    found = {}
    for key in SYSCALLS_OF:
        tools.say(f"system calls: {key}")
        workload = WORKLOADS[key]
        broker.expect(workload.payload_bytes)
        one_run(bench, workload, target, min(chosen.seconds, 1), broker)
        # A few handshakes are nothing beside a run's messages.
        messages, counts = counted_run(bench, workload, chosen.seconds, broker, target, count)
        found[key] = {"messages": messages, **{name: value / messages for name, value in counts.items()}}
    target.stop()
    return found


def allocations(bench: Bench, chosen: argparse.Namespace, broker: NullBroker) -> dict:
    """Of the running service, in a build that counts."""
    tools.say("allocations: building the service that counts them")
    folder = tools.TARGET / "compare" / "counting"
    tools.run("cargo", "build", "--release", "--locked", "--quiet", "--bin", "pulsar-ws-fast", "--features",
              "count-allocations", "--target-dir", folder, "--config", 'profile.release.lto="off"',
              "--config", "profile.release.codegen-units=16", cwd=tools.ROOT)
    target = Ours(bench, broker.url, binary=folder / "release" / "pulsar-ws-fast")
    found = {}
    for key, workload in ALLOCATIONS_OF.items():
        tools.say(f"allocations: {key}")
        broker.expect(workload.payload_bytes)
        one_run(bench, workload, target, 1, broker)
        # A long run's less those of a short one: handshakes, which do allocate, cancel out.
        (few, short), (many, long) = [
            counted_run(bench, workload, seconds, broker, target, lambda: signalled(target.process))
            for seconds in (1, 2 + chosen.seconds)]
        found[key] = {"messages": many - few, **{name: (long[name] - short[name]) / (many - few) for name in long}}
    target.stop()
    return found
