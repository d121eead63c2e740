"""The result as one page that needs nothing else: no network, no other file."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

from harness import tools

from . import scaling, words
from .words import LIFTED, NOTHING, number, part
from .workloads import OF_THE_FLOOR

PARTS = Path(__file__).resolve().parent / "page"
# Observable's Plot, and what it stands on.
BADGES = ('<span class=yes title="holds">✓</span>', '<span class=no title="does not hold">✗</span>')
SCRIPTS = ["d3/dist/d3.min.js", "@observablehq/plot/dist/plot.umd.min.js"]


def whole(result: dict) -> str:
    modules = tools.node_modules()
    # Plots show medians and single costs; whole runs stay in result.json.
    values = {
        "style": (PARTS / "page.css").read_text(),
        "when": html.escape(result["when"].replace("T", " ").replace("+00:00", " UTC")),
        "setting": items(words.setting(result)),
        "noise": items(words.quiet(result["noise"])),
        "score": score(result["judged"]),
        "table": table(result["judged"]),
        "lifted": " " + html.escape(words.ABOUT_LIFTED) if any(map(words.is_lifted, result["judged"])) else "",
        "counted": counted(result),
        "scripts": "\n".join(f"<script>{inline((modules / name).read_text())}</script>" for name in SCRIPTS),
        "data": inline(json.dumps(shown(result), separators=(",", ":"))),
        "program": (PARTS / "page.js").read_text(),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found.group(1)], (PARTS / "page.html").read_text())


def inline(text: str) -> str:
    """Nothing in a script may look like its end."""
    return text.replace("</", "<\\/").replace("<!--", "<\\!--")


def items(said: list[str]) -> str:
    return "".join(f"<li>{html.escape(sentence)}</li>" for sentence in said)


def shown(result: dict) -> dict:
    """What the plots are made of."""
    workloads = {}
    for key, measured in result["workloads"].items():
        workloads[key] = {"title": measured["title"], "targets": {
            name: {**target["medians"], "runs": [run["cpu_us_per_message"] for run in target["runs"]]}
            for name, target in measured["targets"].items()}}
    latency = {name: {key: value for key, value in found.items() if key != "runs"}
               for name, found in result.get("latency", {}).items()}
    return {"workloads": workloads, "latency": latency, "end_to_end": {**result.get("end_to_end", {}), "runs": None}, "idle": result.get("idle", {}), "judged": result["judged"],
            "sweep": result.get("sweep", {})}


def score(rows: list[dict]) -> str:
    """How many of those that could be judged hold."""
    said = []
    for row in rows:
        if row["key"] in ("W2", "W6") and row["ratio"]:
            what = "publishing" if row["key"] == "W2" else "consuming"
            said.append(f"<div class=score><b>{part(row['ratio'])}</b>of Java's CPU for {what} 1 KiB</div>")
    for holds, name in (("holds", "limits"), ("aim_holds", "aims")):
        known = [row[holds] for row in rows if row[holds] is not None]
        if known:
            said.append(f"<div class=score><b>{sum(known)}<small> of {len(known)}</small></b>{name} hold</div>")
    lifted = [row[holds] for row in rows for holds in ("holds_by_floor", "aim_holds_by_floor") if row[holds] is not None]
    if lifted:
        said.append(f"<div class=score><b>{sum(lifted)}<small> of {len(lifted)}</small></b>that ask for less than {OF_THE_FLOOR} × "
                    f"the relay hold at {OF_THE_FLOOR} × the relay</div>")
    return "".join(said)


def table(rows: list[dict]) -> str:
    """The table that says whether each limit holds."""
    body = []
    for row in rows:
        other = "" if row["other"] == "Java" else f" <small>{html.escape(row['other'])}</small>"
        relay = f"{row['of_relay']:.2f} ×" if row["of_relay"] else NOTHING
        cells = [
            f"<td><b>{html.escape(row['key'])}</b></td><td class=text>{html.escape(row['title'])}<br>"
            f"<small>{html.escape(row['unit'])}</small></td>",
            # Labels stand before the values where the page is too narrow for a head.
            *[f'<td data-label="{label}">{value}</td>' for label, value in (
                ("ours", number(row["ours"])), ("theirs", f"{number(row['theirs'])}{other}"),
                ("ratio", f"<span class=ratio>{part(row['ratio'])}</span>"), ("limit", judged(row, "limit", "holds")),
                ("aim", judged(row, "aim", "aim_holds")), ("of the relay", relay))],
        ]
        body.append(f"<tr>{''.join(cells)}</tr>")
    return "\n".join(body)


def judged(row: dict, bound: str, holds: str) -> str:
    """A limit or an aim with its judgement, and what the floor makes of it with that one's."""
    bounds, verdict = words.bound(row, bound), words.verdict(row, holds, BADGES)
    if verdict == NOTHING:
        return bounds
    return LIFTED.join(f"<span class=kept>{said} {badge}</span>" for said, badge in zip(bounds.split(LIFTED), verdict.split(LIFTED)))


def counted(result: dict) -> str:
    """Small tables of what is counted, not timed."""
    made = ""
    if "syscalls" in result:
        made += small("System calls of ours", ["", "all, per message", "io_uring_enter, per message", "messages for each"], [
            [key, f"{found['all']:.4f}", f"{found['io_uring_enter']:.4f}",
             number(1 / found["io_uring_enter"]) if found["io_uring_enter"] else NOTHING]
            for key, found in result["syscalls"].items()])
    if "allocations" in result:
        made += small("Allocations of ours, per message", ["", "allocations", "reallocations", "bytes"], [
            [key, words.counted(found["allocations"]), words.counted(found["reallocations"]), words.counted(found["bytes"], 1)]
            for key, found in result["allocations"].items()])
    if "shards" in result:
        made += small("Shards, for each 4 clients × 100 in flight, 1 KiB",
                      ["shards", "CPU µs/message", "messages/s", "of one shard's"], [
            [str(row["shards"]), number(row["cpu_us_per_message"]), f"{row['messages_per_second']:,.0f}", number(row["times"])]
            for row in scaling.rows(result["shards"])])
    return made


def small(title: str, head: list[str], body: list[list[str]]) -> str:
    def line(cells: list[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    lines = "".join(line(cells, "td") for cells in body)
    return (f"<figure><figcaption><h3>{html.escape(title)}</h3></figcaption><div class=wide><table><thead>{line(head, 'th')}"
            f"</thead><tbody>{lines}</tbody></table></div></figure>")
