"""Figures as words, the same in Markdown and on the page."""

from __future__ import annotations

NAMES = {"java": "Java", "ours": "ours", "relay": "bare relay", "haproxy": "HAProxy"}
NOTHING = "–"


def number(value: float | None) -> str:
    """Three digits, or all of those before the point."""
    if value is None:
        return NOTHING
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def part(ratio: float | None) -> str:
    """1/11.7 where it is less than half, a factor otherwise."""
    if ratio is None:
        return NOTHING
    if ratio > 0.55:
        return f"{ratio:.2f}"
    over = 1 / ratio
    return f"1/{over:.0f}" if abs(over - round(over)) < 0.05 else f"1/{over:.1f}"


def bound(row: dict, name: str) -> str:
    """A limit or an aim of a row."""
    value = row[name]
    if value is None:
        return NOTHING
    return f"{value:,} B" if row["absolute"] else part(value)


def verdict(holds: bool | None) -> str:
    return NOTHING if holds is None else "yes" if holds else "**no**"


def percent(value: float) -> str:
    return f"{value:.0%}" if value >= 0.1 else f"{value:.1%}"


def duration(us: float | None) -> str:
    """Of microseconds."""
    if us is None:
        return NOTHING
    return f"{us / 1000:,.1f} ms" if us >= 10_000 else f"{us / 1000:.2f} ms" if us >= 1000 else f"{us:.0f} µs"


def setting(result: dict) -> list[str]:
    """Where and with what it was measured."""
    machine, versions = result["machine"], result["versions"]
    options = result["options"]
    said = [
        f"{machine['cpus']} CPUs ({machine['model']}), {machine['memory_gib']} GiB, Linux {machine['kernel']}",
        f"service on CPU {result['cpus']['service']}, broker and load client on {result['cpus']['others']}",
        f"medians of {options['rounds']} runs of {options['seconds']:g} s, taking turns",
        f"ours {versions['ours']}",
    ]
    if "java" in versions:
        said.append(f"Java's {versions['java']} on Java {versions['jvm']}")
    if "haproxy" in versions:
        said.append(f"HAProxy {versions['haproxy']}")
    return said


def quiet(noise: dict) -> list[str]:
    """How quiet the machine was."""
    if not noise:
        return []
    before, after = noise["load_average_before"], noise["load_average_after"]
    said = [
        f"Runs of one target lay {percent(noise['spread_median'])} apart (median), at most "
        f"{percent(noise['spread_max'])} ({noise['spread_max_of']}).",
        f"Load average {before[0]:.2f} before, {after[0]:.2f} after.",
        f"The host took {percent(noise['stolen_median'])} of the CPUs (at most {percent(noise['stolen_max'])}).",
        f"Kernel work of no process and other programs used {percent(noise['others_cpu_median'])} of a CPU "
        f"(at most {percent(noise['others_cpu_max'])}).",
    ]
    said += [f"The load client was a bottleneck too: {why}." for why in noise["saturated"]]
    return said + [f"Not kept up with: {what}." for what in noise["left_behind"]]
