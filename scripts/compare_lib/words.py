"""Figures as words, the same in Markdown and on the page."""

from __future__ import annotations

from .workloads import OF_THE_FLOOR

NAMES = {"java": "Java", "ours": "ours", "relay": "bare relay", "haproxy": "HAProxy", "haproxy-java": "HAProxy before Java's"}
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


def spoken(ratio: float) -> str:
    """A part as one says it, and no smaller than it is: a 17th, where it is 1/17.5."""
    over = int(1 / ratio)
    ending = {1: "st", 2: "nd", 3: "rd"}.get(over % 10, "th") if over % 100 not in (11, 12, 13) else "th"
    article = "an" if over in (8, 11, 18) or 80 <= over < 90 else "a"
    return f"{article} {({2: 'half', 3: 'third', 4: 'quarter', 5: 'fifth'}.get(over) or f'{over}{ending}')}"


def counted(each: float, digits: int = 4) -> str:
    """What is counted per message, of two runs the difference: what others did in them may make it less than nothing."""
    return f"{max(each, 0.0):,.{digits}f}"


def runs_apart(runs: list[dict], name: str) -> str:
    """Between which values a percentile lay."""
    told = [run["latency_us"][name] for run in runs]
    return f"{duration(min(told))} to {duration(max(told))}"


# Behind it stands what the floor makes of what was asked.
LIFTED = " → "
ABOUT_LIFTED = (f"A →: what was asked is less than {OF_THE_FLOOR} times the relay, which moves the same bytes and looks at none; "
                f"behind the arrow stands {OF_THE_FLOOR} times the relay, and whether that holds.")


def bound(row: dict, name: str) -> str:
    """A limit or an aim of a row, and what the floor makes of it."""
    asked, lifted = row[name], row[f"{name}_by_floor"]
    if asked is None:
        return NOTHING
    if lifted is not None:
        return f"{part(asked)}{LIFTED}{part(lifted)}"
    return f"{asked:,} B" if row["absolute"] else part(asked)


def verdict(row: dict, name: str, said: tuple[str, str] = ("yes", "**no**")) -> str:
    """Whether it holds, and whether what the floor makes of it does."""
    both = [said[0] if holds else said[1] for holds in (row[name], row[f"{name}_by_floor"]) if holds is not None]
    return LIFTED.join(both) or NOTHING


def is_lifted(row: dict) -> bool:
    return (row["limit_by_floor"], row["aim_by_floor"]) != (None, None)


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
