"""The command line."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Callable

from harness import tools

from .workloads import PARTS


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/compare", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures this service beside Pulsar's own, and beside what only moves the same bytes.",
        epilog=f"Parts: {', '.join(PARTS)}. Without arguments all of them, in about a quarter of an hour.")
    parser.add_argument("--only", type=parts, metavar="PARTS", help="only these parts, as W1,W6")
    parser.add_argument("--skip", type=parts, metavar="PARTS", default=[], help="all parts but these")
    parser.add_argument("--quick", action="store_true", help="2 rounds of 1 s: shows that it works, measures little")
    parser.add_argument("--rounds", type=at_least(int, 1), help="runs of each target, taking turns (3)")
    parser.add_argument("--seconds", type=at_least(float, 0.1), help="measured time of a run (2)")
    parser.add_argument("--idle", type=at_least(int, 1), help="idle producers of W7 (10,000; 1,000 with --quick)")
    parser.add_argument("--no-java", action="store_true", help="leave the Java service out: no Java, no Maven")
    parser.add_argument("--no-haproxy", action="store_true", help="leave HAProxy out")
    parser.add_argument("--no-build", action="store_true", help="take the release binaries as they are")
    parser.add_argument("--folder", type=Path, default=tools.TARGET / "compare", help="where results and logs go")
    parser.add_argument("--write-docs", action="store_true",
                        help="measure nothing, but put the table of FOLDER/result.json into the documents")
    chosen = parser.parse_args(words)
    chosen.folder = chosen.folder.resolve()
    chosen.rounds = chosen.rounds or (2 if chosen.quick else 3)
    chosen.seconds = chosen.seconds or (1 if chosen.quick else 2)
    chosen.idle = chosen.idle or (1_000 if chosen.quick else 10_000)
    chosen.parts = [part for part in chosen.only or PARTS if part not in chosen.skip]
    if not chosen.parts:
        parser.error("nothing is left to be measured")
    return chosen


def at_least(kind: type, least: float) -> Callable[[str], float]:
    """A type of arguments: numbers from `least` on."""
    def number(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not least <= value < math.inf:
            raise argparse.ArgumentTypeError(f"expected {'a whole number' if kind is int else 'a number'} from {least} on")
        return value
    return number


def parts(text: str) -> list[str]:
    names = {part.lower(): part for part in PARTS}
    wanted = [word.strip().lower() for word in text.split(",")]
    unknown = [word for word in wanted if word not in names]
    if unknown:
        raise argparse.ArgumentTypeError(f"no part is called {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return [part for part in PARTS if part.lower() in wanted]
