"""Which rows of the API have scenarios: all of them, or the run fails."""

from __future__ import annotations

from pathlib import Path

from .catalogue import Scenario

ROWS = Path(__file__).with_name("rows.txt")


def rows() -> list[str]:
    """`section name`, one a line; what begins with `#` is for people."""
    lines = ROWS.read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def problems(scenarios: dict[str, Scenario]) -> list[str]:
    """Rows without a scenario, rows named twice, and scenarios that name a row that is not there."""
    known = rows()
    covered = {row for one in scenarios.values() for row in one.rows}
    return (
        [f"no scenario covers the row '{row}'" for row in known if row not in covered]
        + [f"the row '{row}' stands twice" for row in sorted({row for row in known if known.count(row) > 1})]
        + [f"{one.name} names '{row}', which is no row" for one in scenarios.values() for row in one.rows if row not in known]
    )


def table(scenarios: dict[str, Scenario]) -> str:
    """Rows with their scenarios, as Markdown."""
    lines = ["| row | scenarios |", "|---|---|"]
    for row in rows():
        names = [f"`{one.name}`" for one in scenarios.values() if row in one.rows]
        lines.append(f"| {row} | {' '.join(names)} |")
    return "\n".join(lines) + "\n"
