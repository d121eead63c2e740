"""A transcript: what a scenario saw, line by line, in terms that two runs share.

Each line has a *field* (`consumer.close.code`) and a value. What differs from run to run by nature is replaced where it
stands, with its structure kept: message ids become their numbers, ledgers are numbered as they appear, times must have
the form that Java gives them, topics and generated names become placeholders. What does not have that form stays as it
is, and so is seen as a difference.
"""

from __future__ import annotations

import base64
import re
from typing import NamedTuple

ID = re.compile(r'"(messageId)":"([A-Za-z0-9+/=_-]*)"')
TIME = re.compile(r'"publishTime":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{0,2}[1-9])?(?:Z|[+-]\d\d:\d\d)"')
PRODUCER_NAME = re.compile(r"\bstandalone(-\d+)+\b")
ADDRESS = re.compile(r"(?:(?:localhost|127\.0\.0\.1)?/)?\b127\.0\.0\.1:\d+")
REQUEST = re.compile(r'(reqId\\?":)\d+')
# Java tells the addresses of brokers, ours doesn't (docs/differences.md).
WHERE = re.compile(r', \\?"remote\\?":\\?"[^"]*", \\?"local\\?":\\?"[^"]*"')
ORIGIN = re.compile(r'"(ORIGIN_MESSAGE_ID(?:Y_TIME)?)":"(\d+):')
IDLE = re.compile(r"(Idle timeout expired: )\d+/")
SECONDS = re.compile(r"\b\d+\.\d+ seconds ago")
FIELDS = {1: "ledger", 2: "entry", 3: "partition", 4: "index", 5: "acks", 6: "size", 7: "first"}


class Line(NamedTuple):
    """One thing seen."""

    field: str
    value: str

    def __str__(self) -> str:
        return f"{self.field}: {self.value}"


class Transcript:
    """What one scenario saw of one service."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.names: dict[str, str] = {}
        self.ledgers: dict[int, str] = {}

    def name(self, text: str, placeholder: str) -> None:
        """From now on `text` is written as `placeholder`."""
        self.names[text] = placeholder

    def add(self, field: str, value: object) -> None:
        if ": " in field:
            raise ValueError(f"'{field}' can't be told from its value")
        self.lines.append(Line(field, self.normalised(str(value)).replace("\n", "\\n")))

    def normalised(self, text: str) -> str:
        text = ID.sub(lambda found: f'"{found[1]}":"{self.message_id(found[2])}"', text)
        text = ORIGIN.sub(lambda found: f'"{found[1]}":"{self.field_value(1, int(found[2]))}:', text)
        text = TIME.sub('"publishTime":"<time>"', text)
        for name, placeholder in sorted(self.names.items(), key=lambda pair: -len(pair[0])):
            text = text.replace(name, placeholder)
        text = PRODUCER_NAME.sub("<producer>", text)
        text = IDLE.sub(r"\1<n>/", text)
        text = REQUEST.sub(r"\1<n>", WHERE.sub("", text))
        text = ADDRESS.sub("<address>", text)
        return SECONDS.sub("<n> seconds ago", text)

    def message_id(self, text: str) -> str:
        """The id's fields in the order they were written; as it is when it is none, or is encoded otherwise."""
        try:
            fields = decoded(base64.b64decode(text, validate=True))
        except ValueError:
            return text
        return "<" + " ".join(f"{FIELDS[number]}={self.field_value(number, value)}" for number, value in fields) + ">"

    def field_value(self, number: int, value: int | bytes) -> str:
        if isinstance(value, bytes):
            return "[" + " ".join(f"{FIELDS[n]}={self.field_value(n, v)}" for n, v in decoded(value)) + "]"
        if number == 1:
            return self.ledgers.setdefault(value, f"L{len(self.ledgers) + 1}")
        return str(value)


def decoded(raw: bytes) -> list[tuple[int, int | bytes]]:
    """A protobuf's fields as they come; ValueError for what `MessageIdData` does not have."""
    found, at = [], 0
    while at < len(raw):
        tag, at = varint(raw, at)
        value, at = varint(raw, at)
        if tag >> 3 not in FIELDS or tag & 7 not in (0, 2):
            raise ValueError("no message id")
        if tag & 7 == 2:
            value, at = raw[at:at + value], at + value
        found.append((tag >> 3, value))
    return found


def varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(raw):
        value |= (raw[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if raw[at - 1] < 0x80:
            return value, at
    raise ValueError("cut off")


def write(transcripts: dict[str, list[Line]]) -> str:
    """Transcripts by name, as a golden file keeps them."""
    return "".join(
        f"== {name}\n" + "".join(f"{line}\n" for line in lines) for name, lines in sorted(transcripts.items()))


def read(text: str) -> dict[str, list[Line]]:
    """The inverse of `write`."""
    transcripts: dict[str, list[Line]] = {}
    for line in text.split("\n")[:-1]:
        if line.startswith("== "):
            lines = transcripts.setdefault(line[3:], [])
        else:
            field, _, value = line.partition(": ")
            lines.append(Line(field, value))
    return transcripts
