"""Where two transcripts differ, and which differences are announced."""

from __future__ import annotations

import json
import re
from difflib import SequenceMatcher
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from .transcript import Line

# In `docs/differences.md`: `group/name: field, field`, both with wildcards.
ANNOUNCED = re.compile(r"`([\w*?-]+/[\w*?.+-]+): ([^`]+)`")

PROPERTIES = re.compile(r'"properties":\{(?:"(?:[^"\\]|\\.)*"[:,]?)*\}')


class Difference(NamedTuple):
    """One field in which Java and ours are not the same."""

    scenario: str
    field: str
    java: str | None
    ours: str | None

    def __str__(self) -> str:
        return f"{self.scenario}: {self.field}\n    java: {shown(self.java)}\n    ours: {shown(self.ours)}"


class Announcement(NamedTuple):
    """A difference that is meant."""

    scenario: str
    field: str

    def covers(self, difference: Difference) -> bool:
        return fnmatchcase(difference.scenario, self.scenario) and (
            fnmatchcase(difference.field, self.field) or fnmatchcase(difference.field, f"*.{self.field}"))


def shown(value: str | None) -> str:
    return "(nothing)" if value is None else value if len(value) < 600 else f"{value[:600]}…"


def differences(scenario: str, java: list[Line], ours: list[Line]) -> list[Difference]:
    """All of them. Lines that only one side has count as one difference each."""
    found = []
    matcher = SequenceMatcher(None, [line.field for line in java], [line.field for line in ours], autojunk=False)
    for kind, from_java, to_java, from_ours, to_ours in matcher.get_opcodes():
        if kind == "equal":
            for theirs, mine in zip(java[from_java:to_java], ours[from_ours:to_ours]):
                if theirs.value != mine.value:
                    found += within(scenario, theirs, mine)
        else:
            found += [Difference(scenario, line.field, line.value, None) for line in java[from_java:to_java]]
            found += [Difference(scenario, line.field, None, line.value) for line in ours[from_ours:to_ours]]
    return found


def within(scenario: str, java: Line, ours: Line) -> list[Difference]:
    """The members in which two JSON objects differ; the text as a whole where it is not the members."""
    try:
        theirs, mine = json.loads(java.value), json.loads(ours.value)
    except ValueError:
        theirs = mine = None
    if isinstance(theirs, dict) and isinstance(mine, dict):
        names = [name for name in {**theirs, **mine} if theirs.get(name, ...) != mine.get(name, ...)]
        if names:
            return [Difference(scenario, f"{java.field}.{name}", member(theirs, name), member(mine, name))
                    for name in names]
        if list(theirs) == list(mine) and unordered(java.value) == unordered(ours.value):
            return []
    return [Difference(scenario, java.field, java.value, ours.value)]


def unordered(text: str) -> str:
    """The text without its properties, whose order means nothing."""
    return PROPERTIES.sub("", text)


def member(of: dict, name: str) -> str | None:
    return json.dumps(of[name]) if name in of else None


def announced(page: Path) -> list[Announcement]:
    """What the page on differences names as `scenario: field, field`."""
    return [
        Announcement(scenario, field.strip())
        for scenario, fields in ANNOUNCED.findall(page.read_text())
        for field in fields.split(",")
    ]


def judge(found: list[Difference], meant: list[Announcement], unplayed: set[str]) -> tuple[list[Difference], list[Announcement]]:
    """Differences that nobody announced, and announcements that no longer occur though all their scenarios were played."""
    surprising = [difference for difference in found if not any(one.covers(difference) for one in meant)]
    outdated = [
        one for one in meant
        if not any(fnmatchcase(name, one.scenario) for name in unplayed) and not any(one.covers(each) for each in found)]
    return surprising, outdated
