"""The result as Markdown."""

from __future__ import annotations

from . import scaling, words
from .words import NAMES, NOTHING, number, part, percent


def whole(result: dict) -> str:
    """Every table, for a terminal and for a report."""
    lines = [*[f"- {said}" for said in [*words.setting(result), *words.quiet(result["noise"])]], ""]
    return "\n".join([*lines, *judged(result), *details(result)])


def details(result: dict) -> list[str]:
    """All tables but the first."""
    lines: list[str] = []
    for key, measured in result["workloads"].items():
        lines += of_targets(f"{key}: {measured['title']}", measured["targets"])
    for make in (latency, end_to_end, sweep, shards, syscalls, allocations):
        lines += make(result)
    return lines


def table(head: list[str], body: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *body]] + [""]


def judged(result: dict) -> list[str]:
    """The table that says whether each limit holds."""
    body = []
    for row in result["judged"]:
        body.append([
            row["key"], row["title"], row["unit"], number(row["ours"]), number(row["theirs"]), f"**{part(row['ratio'])}**",
            words.bound(row, "limit"), words.verdict(row, "holds"), words.bound(row, "aim"), words.verdict(row, "aim_holds"),
            f"{row['of_relay']:.2f} ×" if row["of_relay"] else NOTHING,
        ])
        if row["other"] != "Java":
            body[-1][4] += f" ({row['other']})"
    head = ["", "workload", "unit", "ours", "Java", "ratio", "limit", "holds", "aim", "holds", "of the relay"]
    said = [words.ABOUT_LIFTED, ""] if any(map(words.is_lifted, result["judged"])) else []
    return [*table(head, body), *said] if body else []


def of_targets(title: str, targets: dict) -> list[str]:
    body = []
    for name, target in targets.items():
        median = target["medians"]
        latency = median.get("latency_us")
        body.append([
            NAMES[name], number(median["cpu_us_per_message"]), f"±{words.percent(median['spread'] / 2)}",
            number(median["machine_us_per_message"]), f"{median['messages_per_second']:,.0f}",
            f"{median['service_cpu']:.0%}, {median['broker_cpu']:.0%}, {median['load_cpu']:.0%}",
            ", ".join(words.duration(latency[name]) for name in ("p50", "p99", "p999")) if latency else NOTHING,
        ])
    head = ["", "CPU µs/message", "spread", "whole machine µs/message", "messages/s", "CPU of service, broker, load",
            "p50, p99, p99.9"]
    batches = [f"{NAMES[name]} {number(size)}" for name, target in targets.items()
               if (size := target["medians"].get("messages_per_batch"))]
    said = [f"Messages in a batch: {', '.join(batches)}.", ""] if batches else []
    return [f"**{title}**", "", *table(head, body), *said]


def latency(result: dict) -> list[str]:
    body = [[name, f"{found['rate']:,.0f}", f"{found['medians']['messages_per_second']:,.0f}",
             *[words.duration(found["medians"]["latency_us"][key]) for key in ("p50", "p99", "p999", "max")],
             words.runs_apart(found["runs"], "p99")]
            for name, found in result.get("latency", {}).items()]
    head = ["", "asked, messages/s", "done", "p50", "p99", "p99.9", "most", "p99 of the runs"]
    return ["**publish to receipt in an open loop, at half of the throughput of W2**", "", *table(head, body)] if body else []


def end_to_end(result: dict) -> list[str]:
    if "end_to_end" not in result:
        return []
    found = result["end_to_end"]
    body = [[NAMES[name], f"{found['saturation'][name]:,.0f}",
             *[words.duration(target["latency_us"][key]) for key in ("p50", "p99", "p999", "max")],
             words.runs_apart(found["runs"][name], "p99")]
            for name, target in found["targets"].items()]
    return [f"**publish to delivery through a real broker**, 4 clients, 1 KiB, both at {found['rate']:,.0f} messages/s, half "
            "of what goes through Java's", "", *table(["", "passes on, messages/s", "p50", "p99", "p99.9", "most", "p99 of the runs"], body)]


def sweep(result: dict) -> list[str]:
    found = result.get("sweep", {})
    names = [name for name in NAMES if any(name in targets for targets in found.values())]
    body = [[f"{int(size):,} B", *[number(targets[name]["cpu_us_per_message"]) for name in names],
             *([part(targets["ours"]["cpu_us_per_message"] / targets["java"]["cpu_us_per_message"])]
               if "java" in targets else [])] for size, targets in found.items()]
    head = ["payload", *[NAMES[name] for name in names], *(["ratio"] if "java" in names else [])]
    return ["**publish with two properties and a key, CPU µs/message**", "", *table(head, body)] if body else []


def shards(result: dict) -> list[str]:
    if "shards" not in result:
        return []
    body = [[str(row["shards"]), number(row["cpu_us_per_message"]), f"{row['messages_per_second']:,.0f}", number(row["times"]),
             percent(row["broker_cpu"] + row["load_cpu"]), "yes" if row["apart"] else "no"]
            for row in scaling.rows(result["shards"])]
    return ["**shards**, for each 4 clients × 100 in flight, 1 KiB", "",
            *table(["shards", "CPU µs/message", "messages/s", "of one shard's", "CPU of broker and load", "with CPUs of their own"],
                   body)]


def syscalls(result: dict) -> list[str]:
    body = [[key, f"{found['all']:.4f}", f"{found['io_uring_enter']:.4f}",
             f"{1 / found['io_uring_enter']:,.1f}" if found["io_uring_enter"] else NOTHING]
            for key, found in result.get("syscalls", {}).items()]
    head = ["", "system calls", "io_uring_enter", "messages for each"]
    return ["**system calls of ours, per message**", "", *table(head, body)] if body else []


def allocations(result: dict) -> list[str]:
    body = [[key, words.counted(found["allocations"]), words.counted(found["reallocations"]), words.counted(found["bytes"], 1)]
            for key, found in result.get("allocations", {}).items()]
    head = ["", "allocations", "reallocations", "bytes"]
    return ["**allocations of ours, per message**", "", *table(head, body)] if body else []
