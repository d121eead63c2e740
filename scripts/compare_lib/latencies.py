"""Percentiles of several runs as one."""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left

# A curve has so many points from one decade (90 %, 99 %, 99.9 %) to the next.
POINTS_PER_DECADE = 20


def medians(runs: list[dict]) -> dict:
    """The median of the runs at each percentile; nothing where a run tells none."""
    if not all((run.get("latency_us") or {}).get("count") for run in runs):
        return {}
    return {
        "latency_us": {name: statistics.median(run["latency_us"][name] for run in runs)
                       for name in ("p50", "p90", "p99", "p999", "max")},
        "latency_percentiles": curve([run["latency_percentiles"] for run in runs]),
    }


def curve(curves: list[list[list[float]]]) -> list[list[float]]:
    """Runs tell their percentiles at places of their own; the curve goes as far as all of them do."""
    placed = [[(decades(percentile), us) for percentile, us in told if percentile < 100] for told in curves]
    if not all(placed):
        return []
    last = min(points[-1][0] for points in placed)
    places = [number / POINTS_PER_DECADE for number in range(math.floor(last * POINTS_PER_DECADE + 1e-9) + 1)]
    return [[100 - 100 * 10 ** -place, statistics.median(at(points, place) for points in placed)] for place in places]


def decades(percentile: float) -> float:
    """90 is at 1, 99 at 2, 99.9 at 3."""
    return -math.log10(1 - percentile / 100)


def at(points: list[tuple[float, float]], place: float) -> float:
    """On the line between the two points around `place`."""
    after = bisect_left(points, (place,))
    if after == 0:
        return points[0][1]
    if after == len(points):
        return points[-1][1]
    (low, low_us), (high, high_us) = points[after - 1], points[after]
    return low_us + (high_us - low_us) * (place - low) / (high - low)
