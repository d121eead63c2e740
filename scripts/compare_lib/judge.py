"""What the figures are held against: rows of the table, and whether each limit holds.

Where a limit or an aim asks for less than 1.3 times what the relay costs on the same workload, which is next to nothing above
the kernel's work on the bytes alone, it is set to that as well. What was asked stays in the row, with its own judgement."""

from __future__ import annotations

from .workloads import (
    HAPROXY_AIM, HAPROXY_LIMIT, IDLE_AIM, IDLE_LIMIT, OF_THE_FLOOR, SHARDS_LIMIT, WORKLOADS,
)

KEYS = {"haproxy": "HAProxy", "haproxy-java": "HAProxy-Java"}


def rows(result: dict) -> list[dict]:
    """Each with `ours`, what it is compared with, and `holds` (None where that was not measured)."""
    found: list[dict] = []
    for key, measured in result["workloads"].items():
        found += of_workload(key, measured)
    if "idle" in result:
        found.append(of_idle(result["idle"]))
    if "shards" in result:
        found.append(of_shards(result["shards"]))
    if "end_to_end" in result:
        found += of_end_to_end(result["end_to_end"])
    return found


def of_workload(key: str, measured: dict) -> list[dict]:
    workload = WORKLOADS[key]
    targets = {name: target["medians"] for name, target in measured["targets"].items()}
    ours, relay, java = (targets.get(name) for name in ("ours", "relay", "java"))
    cpu = "cpu_us_per_message"
    found = [row(key, workload.title, "CPU, µs/message", ours[cpu], "Java", java and java[cpu],
                 1 / workload.limit, 1 / workload.aim, relay[cpu])]
    if workload.latency_limit and "latency_us" in ours:
        found.append(row(f"{key}-p99", f"{workload.title}: 99th percentile", "latency, µs", ours["latency_us"]["p99"], "Java",
                         java and java["latency_us"]["p99"], workload.latency_limit, None))
    for name, place in (("haproxy", "beside HAProxy"), ("haproxy-java", "beside HAProxy before Java's service")):
        if name in targets:
            found.append(row(f"{key}-{KEYS[name]}", f"{workload.title}, {place}", "CPU, µs/message", ours[cpu], "HAProxy",
                             targets[name][cpu], 1 / HAPROXY_LIMIT, 1 / HAPROXY_AIM, relay[cpu]))
    return found


def of_idle(idle: dict) -> dict:
    """Judged by itself; Java's stands beside it."""
    ours = idle["ours"]["bytes_each"]
    java = idle.get("java", {}).get("bytes_each")
    return {
        "key": "W7", "title": f"idle producers, {idle['ours']['connections']:,}", "unit": "resident bytes each",
        "ours": ours, "other": "Java", "theirs": java, "ratio": ours / java if java else None,
        "limit": IDLE_LIMIT, "aim": IDLE_AIM, "absolute": True, "relay": None, "of_relay": None,
        "holds": ours <= IDLE_LIMIT, "aim_holds": ours <= IDLE_AIM, **by_floor(None, IDLE_LIMIT, IDLE_AIM, None),
    }


def of_shards(shards: dict) -> dict:
    one, two = (shards["shards"][name]["cpu_us_per_message"] for name in ("1", "2"))
    return row("shards", "two shards, beside one", "CPU, µs/message", two, "one shard", one, SHARDS_LIMIT, None)


def of_end_to_end(measured: dict) -> list[dict]:
    """Nothing is asked of these; they stand in the table because a user asks for them first."""
    found = []
    for name, title in (("p99", "99th percentile"), ("p999", "99.9th percentile")):
        ours, java = (measured["targets"][of]["latency_us"][name] for of in ("ours", "java"))
        found.append(row(f"end-to-end-{name}", f"publish to delivery at {measured['rate']:,.0f}/s, half of what goes through "
                         f"Java's: {title}", "latency, µs", ours, "Java", java, None, None))
    return found


def row(key: str, title: str, unit: str, ours: float, other: str, theirs: float | None, limit: float | None,
        aim: float | None, relay: float | None = None) -> dict:
    """`limit` and `aim` are the largest parts of the other's that ours may be."""
    ratio = ours / theirs if theirs else None
    floor = OF_THE_FLOOR * relay / theirs if relay and theirs else None
    return {
        "key": key, "title": title, "unit": unit, "ours": ours, "other": other, "theirs": theirs, "ratio": ratio,
        "limit": limit, "aim": aim, "absolute": False, "relay": relay, "of_relay": ours / relay if relay else None,
        "holds": None if ratio is None or limit is None else ratio <= limit,
        "aim_holds": None if ratio is None or aim is None else ratio <= aim,
        **by_floor(ratio, limit, aim, floor),
    }


def by_floor(ratio: float | None, limit: float | None, aim: float | None, floor: float | None) -> dict:
    """What the floor makes of a limit and an aim, and whether that holds; None where they lie above it."""
    found: dict = {}
    for name, holds, asked in (("limit_by_floor", "holds_by_floor", limit), ("aim_by_floor", "aim_holds_by_floor", aim)):
        below = floor is not None and asked is not None and asked < floor
        found |= {name: floor if below else None, holds: ratio <= floor if below else None}
    return found
