"""Memory of producers that do nothing."""

from __future__ import annotations

import argparse
import resource

from harness import tools

from .bench import Bench
from .load import load
from .services import NullBroker


def measure(bench: Bench, chosen: argparse.Namespace, broker: NullBroker, kinds: list) -> dict:
    """Fresh processes: what was used before would hide what idle connections need."""
    room_for(chosen.idle)
    broker.expect(1024)
    found = {}
    for make in kinds:
        tools.say(f"W7: {chosen.idle} idle producers of {make.name}")
        target = make(bench, broker.url)
        told = load(bench, "idle", target, 1 if chosen.quick else 2, {"service": target.pid}, "--clients", chosen.idle, warm=1)
        before, after = told["rss_bytes"]["service"]
        found[make.name] = {"connections": told["clients"], "rss_before": before, "rss_after": after,
                            "bytes_each": (after - before) / told["clients"]}
        target.stop()
    return found


def room_for(connections: int) -> None:
    """As many open files as that takes, as far as this user may have them."""
    wanted = connections + 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise SystemExit(f"{connections} idle producers need {wanted} open files and {hard} are allowed: "
                         "raise `ulimit -n`, or give --idle")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
