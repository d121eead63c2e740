"""Puts the figures of a run between the marks in the documents."""

from __future__ import annotations

import json
import re
from pathlib import Path

from harness import tools

from . import markdown, noise, words
from .workloads import WORKLOADS

MARKED = r"(<!-- compare: {name} -->)(.*?)(<!-- /compare -->)"


def write(result: dict) -> int:
    """Only of a whole measurement: half a table beside half of an older one would say nothing."""
    missing = [key for key in WORKLOADS if "java" not in result["workloads"].get(key, {}).get("targets", {})]
    missing += [part for part in ("idle", "latency", "end_to_end", "sweep", "shards", "syscalls", "allocations") if part not in result]
    if missing:
        raise SystemExit(f"the documents show whole measurements, and this one lacks {', '.join(missing)}")
    if result["options"]["quick"]:
        raise SystemExit("the documents show whole measurements, and this one was made with --quick")
    # As it is judged today.
    result["noise"] = noise.summary(result)
    for name, text in texts(result).items():
        for path in (tools.ROOT / "README.md", tools.ROOT / "docs" / "performance.md"):
            put(path, name, text)
    return 0


def result_in(folder: Path) -> dict:
    """What the last run that wrote there found."""
    path = folder / "result.json"
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise SystemExit(f"{path} is not there: run scripts/compare first") from None
    except ValueError as error:
        raise SystemExit(f"{path} is no result of scripts/compare: {error}") from None


def texts(result: dict) -> dict[str, str]:
    """By the names of the marks."""
    said = [f"- {sentence}" for sentence in [*words.setting(result), *words.quiet(result["noise"])]]
    details = markdown.details(result)
    return {
        "setting": "\n" + "\n".join(said) + "\n",
        "table": "\n" + "\n".join(markdown.judged(result)),
        "details": "\n" + "\n".join(details),
        "headline": headline(result),
    }


def headline(result: dict) -> str:
    """A sentence for the README."""
    def both(key: str) -> tuple[float, float]:
        targets = result["workloads"][key]["targets"]
        return tuple(targets[name]["medians"]["cpu_us_per_message"] for name in ("ours", "java"))

    (publish, java_publish), (consume, java_consume) = both("W2"), both("W6")
    return (f"**{words.spoken(publish / java_publish).capitalize()} of the CPU.** {words.number(publish)} µs for each published 1 KiB message "
            f"where the Java service takes\n  {words.number(java_publish)}, and {words.number(consume)} for each consumed and "
            f"acknowledged one where it takes {words.number(java_consume)}, side by side on the same core;")


def put(path: Path, name: str, text: str) -> None:
    """Every place in the file that is marked so."""
    whole = path.read_text()
    pattern = re.compile(MARKED.format(name=re.escape(name)), re.DOTALL)
    changed = pattern.sub(lambda found: found.group(1) + text + found.group(3), whole)
    if changed != whole:
        path.write_text(changed)
        tools.say(f"wrote {name} into {path.relative_to(tools.ROOT)}")
