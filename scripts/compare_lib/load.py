"""One run of the load tool, every message of which is accounted for."""

from __future__ import annotations

import json
import os
import subprocess
import time

from .bench import Bench, tool
from .noise import Stolen
from .services import NullBroker, Passing
from .workloads import Workload

WARM_SECONDS = 0.5
# For handshakes, of 10,000 idle producers even, and for answers that are still under way at the end.
PATIENCE_SECONDS = 120


def load(bench: Bench, kind: str, target: object, seconds: float, watch: dict[str, int], *flags: object,
         warm: float = WARM_SECONDS, cpus: str | None = None) -> dict:
    """What the load tool tells."""
    watched = ",".join(f"{name}={pid}" for name, pid in watch.items())
    command = ["taskset", "--cpu-list", cpus or bench.other_cpus, tool("pulsar-ws-load"), kind, "--format", "json",
               "--quiet", "--address", target.address, "--warm-seconds", warm, "--seconds", seconds, "--watch", watched, *flags]
    words = [str(word) for word in command]
    try:
        ran = subprocess.run(words, capture_output=True, text=True, timeout=seconds + warm + PATIENCE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise SystemExit(f"{kind} against {target.name} did not end: {' '.join(words)}\n{target.process.tail()}") from None
    if ran.returncode != 0:
        raise SystemExit(f"{kind} against {target.name} failed: {ran.stderr}\n{' '.join(words)}\n{target.process.tail()}")
    return json.loads(ran.stdout)


def one_run(bench: Bench, workload: Workload, target: object, seconds: float, broker: NullBroker,
            cpus: str | None = None) -> dict:
    """A run, and what it cost for each message. A window too short for a single answer is tried again, longer."""
    for longer in (1, 2, 4, 8):
        stolen = Stolen()
        run = accounted(bench, workload, target, seconds * longer, broker, cpus)
        if run["messages"]:
            break
    else:
        raise SystemExit(f"{workload.key} against {target.name}: nothing came in {seconds * longer} s\n{target.process.tail()}")
    run["cpu_us_per_message"] = run["cpu_us"]["service"] / run["messages"]
    run["machine_us_per_message"] = run["machine_us"] / run["messages"]
    run["stolen"] = stolen.share()
    # What neither the service nor broker and load client used: kernel work of no process, and other programs.
    run["others_cpu"] = max(0.0, run["machine_us"] - sum(run["cpu_us"].values())) / run["seconds"] / 1e6
    run["load_average"] = os.getloadavg()[0]
    return run


def accounted(bench: Bench, workload: Workload, target: object, seconds: float, broker: NullBroker,
              cpus: str | None) -> dict:
    """What the load tool tells of a run, once the broker tells the same."""
    common = ["--clients", workload.clients, "--payload-bytes", workload.payload_bytes]
    if isinstance(target, Passing):
        flags = [*common, "--request", target.request, "--answer", target.answer, *workload.bytes_flags]
        return load(bench, "bytes", target, seconds, {"service": target.pid, "broker": target.mirror.pid}, *flags)
    before = broker.counts()
    run = load(bench, workload.kind, target, seconds, {"service": target.pid, "broker": broker.pid},
               *common, *workload.load_flags, cpus=cpus)
    verify(workload, target, run, before, broker)
    return run


def verify(workload: Workload, target: object, run: dict, before: dict, broker: NullBroker) -> None:
    """What the client was told is what the broker did, message by message."""
    counted = "receipts" if workload.kind == "publish" else "acks"
    deadline = time.monotonic() + 10
    while True:
        now = broker.counts()
        count = now[counted] - before[counted]
        total = (int(now[f"{counted}_sum"], 16) - int(before[f"{counted}_sum"], 16)) % (1 << 64)
        fine = count == run["total"] and total == int(run["sum"], 16)
        # Acknowledgements may be sent in groups, a moment later.
        if fine or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    broken = now["broken"] - before["broken"]
    if not fine or run["wrong"] or broken:
        raise SystemExit(f"{workload.key} against {target.name}: the client has {run['total']} ({run['sum']}), "
                         f"{run['wrong']} wrong; the broker has {count} {counted} ({total:016x}), {broken} broken")
    # Between the service and the broker, handshakes included.
    run["broker_bytes"] = {"sent": now["bytes_received"] - before["bytes_received"],
                           "back": now["bytes_sent"] - before["bytes_sent"]}
    run["messages_per_batch"] = count / batches if (batches := now["batches"] - before["batches"]) else None
