"""What the Java service answered when it was last asked: one file for each group of scenarios."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from . import transcript
from .transcript import Line

# Pulsar's version is a part of the answers.
FOLDER = Path(__file__).with_name("golden") / "pulsar-4.0.7"


def load() -> dict[str, list[Line]]:
    """All transcripts."""
    found: dict[str, list[Line]] = {}
    for file in sorted(FOLDER.glob("*.txt")):
        found |= transcript.read(file.read_text())
    return found


def save(transcripts: dict[str, list[Line]], whole: bool) -> None:
    """Replaces these; `whole`: there are no others."""
    kept = {} if whole else load()
    groups: dict[str, dict[str, list[Line]]] = defaultdict(dict)
    for name, lines in {**kept, **transcripts}.items():
        groups[name.split("/")[0]][name] = lines
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file in FOLDER.glob("*.txt"):
        if file.stem not in groups:
            file.unlink()
    for group, of in groups.items():
        (FOLDER / f"{group}.txt").write_text(transcript.write(of))
