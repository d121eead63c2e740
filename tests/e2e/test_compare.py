"""`scripts/compare`: that it runs and writes its three files, and that its judgement and its marks do what they say.
How fast anything is, is not judged here."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from harness.load import tool
from harness.tools import NODE, ROOT

sys.path.insert(0, str(ROOT / "scripts"))

from compare_lib import docs, judge, latencies, markdown, noise, page, scaling, words  # noqa: E402

pytestmark = pytest.mark.ours_only("it measures services, it is none")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The folder of a run as small as can be: ours and the relay."""
    folder = tmp_path_factory.mktemp("compare")
    ran = subprocess.run(
        [ROOT / "scripts" / "compare", "--no-build", "--no-java", "--no-haproxy", "--quick", "--rounds", "1", "--seconds", "0.4",
         "--idle", "20", "--skip", "W2,allocations", "--folder", folder],
        capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, f"{ran.stdout}{ran.stderr}"[-3000:]
    return folder


def figures(page) -> dict[str, int]:
    """The figures of a page and how many shapes and cells each has, once its scripts have run."""
    told = subprocess.run(
        ["node", ROOT / "tests" / "e2e" / "harness" / "draw_page.cjs", page], capture_output=True, text=True, check=True,
        env={**os.environ, "NODE_PATH": str(NODE / "node_modules")})
    return dict(json.loads(told.stdout))


def test_the_result_has_every_part(measured):
    result = json.loads((measured / "result.json").read_text())
    assert set(result["workloads"]) == set(judge.WORKLOADS) & set(result["options"]["parts"])
    for workload in result["workloads"].values():
        assert set(workload["targets"]) == {"ours", "relay"}
        for target in workload["targets"].values():
            assert all(run["messages"] > 0 for run in target["runs"])
    assert result["idle"]["ours"]["connections"] == 20
    assert result["latency"]["ours at its half"]["medians"]["latency_us"]["p99"] > 0
    assert all(set(of) == {"ours", "relay"} for of in result["sweep"].values())
    assert set(result["shards"]["shards"]) >= {"1", "2"}
    assert all(0 < found["io_uring_enter"] <= found["all"] for found in result["syscalls"].values())
    assert result["noise"]["runs"] == 2 * len(result["workloads"])


def test_the_relay_moves_what_the_service_moves(measured):
    workloads = json.loads((measured / "result.json").read_text())["workloads"]
    for workload in workloads.values():
        for run in workload["targets"]["relay"]["runs"]:
            # What was under way at the end was sent and not answered.
            assert run["bytes_received"] / run["total"] == pytest.approx(workload["bytes_per_message"]["received"], rel=0.05)
            assert run["bytes_sent"] / run["total"] >= 0.95 * workload["bytes_per_message"]["sent"]
    # One SEND and one receipt for each publish, one delivery for each message that is consumed.
    published, consumed = (workloads[key]["bytes_per_message"] for key in ("W4", "W6"))
    assert 1024 < published["to_broker"] < 1200 and 20 < published["from_broker"] < 100
    assert 1024 < consumed["from_broker"] and consumed["to_broker"] < 100
    # At the rate that was asked for, and no faster.
    open_loop, = workloads["W5"]["targets"]["relay"]["runs"]
    assert open_loop["total"] <= workloads["W5"]["asked_per_second"] * 4


def test_the_markdown_has_a_line_for_each_row(measured):
    text = (measured / "result.md").read_text()
    for row in json.loads((measured / "result.json").read_text())["judged"]:
        assert f"| {row['key']} | {row['title']} |" in text


def test_the_page_needs_no_network_and_draws(measured):
    page = measured / "result.html"
    text = page.read_text()
    assert len(text) < 1_000_000
    assert not re.search(r"<(script|img|link|iframe)[^>]*\b(src|href)=", text)
    assert "{{" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    drawn = figures(page)
    result = json.loads((measured / "result.json").read_text())
    for key, workload in result["workloads"].items():
        assert drawn.pop(f"{key}: {workload['title']}") >= 4
    for title in ("Resident bytes of an idle producer", "CPU for each message, by payload",
                  "Publish to receipt, at half of saturation"):
        assert drawn.pop(title) > 0
    assert all(shapes > 3 for shapes in drawn.values())


def test_shards_leave_half_of_the_cpus_to_others_but_for_two():
    assert [scaling.counts(cpus) for cpus in (2, 4, 7, 16)] == [[1, 2], [1, 2], [1, 2], [1, 2, 4, 8]]


def test_what_fails_ends_with_a_sentence():
    ran = subprocess.run([ROOT / "scripts" / "compare", "--only", "W1,W99"], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "no part is called w99" in ran.stderr


def workload(key: str, java: float | None, ours: float, relay: float) -> dict:
    """As `rounds.measure` tells it."""
    costs = {"java": java, "ours": ours, "relay": relay}
    return {key: {"title": judge.WORKLOADS[key].title, "targets": {
        name: {"medians": {"cpu_us_per_message": cost}} for name, cost in costs.items() if cost}}}


def test_a_limit_holds_up_to_the_limit():
    rows = {java: judge.rows({"workloads": workload("W1", java, 1.0, 0.5)})[0] for java in (9.99, 10.0, 15.9, 16.0)}
    assert {java: (row["holds"], row["aim_holds"]) for java, row in rows.items()} == {
        9.99: (False, False), 10.0: (True, False), 15.9: (True, False), 16.0: (True, True)}
    assert rows[10.0]["of_relay"] == 2


def test_what_asks_for_less_than_the_floor_is_set_to_the_floor_and_stays_visible():
    # 1/10 of Java's is 1.0 µs, 1/16 0.625 µs; 1.3 times the relay is in order: below both, between them, above both.
    below, between, above = (judge.rows({"workloads": workload("W1", 10.0, 1.03, relay)})[0] for relay in (0.4, 0.7, 0.8))
    assert (below["limit_by_floor"], below["aim_by_floor"], below["aim_holds_by_floor"]) == (None, None, None)
    assert not words.is_lifted(below)
    assert (between["limit_by_floor"], between["aim_by_floor"]) == (None, pytest.approx(0.091))
    assert (between["limit"], between["holds"], between["aim_holds"], between["aim_holds_by_floor"]) == (0.1, False, False, False)
    assert (above["limit_by_floor"], above["aim_by_floor"]) == (pytest.approx(0.104), pytest.approx(0.104))
    assert (above["holds"], above["holds_by_floor"], above["aim_holds"], above["aim_holds_by_floor"]) == (False, True, False, True)
    lines = markdown.judged({"judged": [below, between, above]})
    assert "| 1/10 | **no** | 1/16 | **no** |" in lines[2]
    assert "| 1/10 | **no** | 1/16 → 1/11 | **no** → **no** |" in lines[3]
    assert "| 1/10 → 1/9.6 | **no** → yes | 1/16 → 1/9.6 | **no** → yes |" in lines[4]
    assert words.ABOUT_LIFTED in lines and words.ABOUT_LIFTED not in markdown.judged({"judged": [below]})
    cells = page.table([above])
    assert f"1/10 {page.BADGES[1]}</span> → <span class=kept>1/9.6 {page.BADGES[0]}" in cells
    assert f">1/10 {page.BADGES[1]}</span></td>" in page.table([below]) and '">1/10</td>' in page.table([{**below, "holds": None}])
    scores = page.score([below, between, above])
    assert "0<small> of 3</small></b>limits hold" in scores and "2<small> of 3</small></b>that ask for less" in scores


def test_beside_haproxy_the_floor_counts_too():
    measured = workload("W2", 20.0, 1.0, 0.5)
    measured["W2"]["targets"]["haproxy"] = {"medians": {"cpu_us_per_message": 1.0}}
    row = next(row for row in judge.rows({"workloads": measured}) if row["key"] == "W2-HAProxy")
    assert (row["limit"], row["holds"]) == (0.25, False)
    assert (row["limit_by_floor"], row["holds_by_floor"]) == (0.65, False)
    measured["W2"]["targets"]["haproxy-java"] = {"medians": {"cpu_us_per_message": 5.0}}
    row = next(row for row in judge.rows({"workloads": measured}) if row["key"] == "W2-HAProxy-Java")
    assert (row["theirs"], row["holds"], row["limit_by_floor"]) == (5.0, True, None)


def test_what_was_not_measured_is_not_judged():
    row, = judge.rows({"workloads": workload("W1", None, 1.0, 0.5)})
    assert (row["holds"], row["aim_holds"], row["ratio"]) == (None, None, None)
    assert words.verdict(row, "holds") == words.verdict(row, "aim_holds") == words.part(None) == words.NOTHING


def test_memory_is_judged_by_itself():
    idle = {"ours": {"connections": 10, "bytes_each": 4096.0}}
    row, = judge.rows({"workloads": {}, "idle": idle})
    assert (row["holds"], row["aim_holds"]) == (True, False)
    assert "| 4,096 B | yes | 2,048 B | **no** |" in markdown.judged({"judged": [row]})[2]


def test_a_curve_goes_as_far_as_all_runs_do_and_lies_between_their_points():
    one = [[0.0, 100.0], [90.0, 200.0], [99.0, 400.0], [100.0, 900.0]]
    other = [[0.0, 300.0], [90.0, 600.0], [100.0, 700.0]]
    curve = latencies.curve([one, other])
    assert [percentile for percentile, _ in curve[:: latencies.POINTS_PER_DECADE]] == [0.0, 90.0]
    assert curve[0][1] == 200 and curve[-1][1] == 400
    assert curve == sorted(curve)
    # Halfway from 0 % to 90 % on the axis of decades is 68.4 %.
    assert curve[10][0] == pytest.approx(68.377, abs=0.001)
    assert curve[10][1] == pytest.approx((150 + 450) / 2)


def test_a_busy_load_client_is_told_of_in_whatever_it_measured():
    busy, free = {"saturated": "ran all the time"}, {"saturated": None}
    assert noise.saturated({
        "workloads": {"W1": {"targets": {"ours": {"medians": busy}, "java": {"medians": free}}}},
        "latency": {"ours at its half": {"medians": busy}}, "end_to_end": {"targets": {"java": busy, "ours": {}}},
        "sweep": {"1024": {"relay": busy, "ours": free}}, "shards": {"shards": {"1": free, "2": busy}},
    }) == [f"{what} ran all the time" for what in (
        "W1 ours", "latency, ours at its half", "end to end, java", "payload of 1,024 B, relay", "2 shards")]


def test_a_percentile_is_told_with_how_far_runs_lay_apart():
    runs = [{"latency_us": {"p99": us}} for us in (900.0, 159_907.0, 18_055.0)]
    assert words.runs_apart(runs, "p99") == "900 µs to 159.9 ms"


@pytest.mark.parametrize(("each", "text"), [(0.0006, "0.0006"), (-0.0004, "0.0000"), (-0.00001, "0.0000"), (3.0, "3.0000")])
def test_nothing_is_counted_less_than_never(each, text):
    assert words.counted(each) == text


def test_runs_without_latencies_have_none():
    assert latencies.medians([{"latency_us": None}, {"latency_us": {"count": 0}}]) == {}


@pytest.mark.parametrize(("over", "text"), [
    (17.56, "a 17th"), (18.0, "an 18th"), (11.2, "an 11th"), (21.9, "a 21st"), (22.3, "a 22nd"), (4.5, "a quarter"), (8.1, "an 8th")])
def test_parts_are_spoken(over, text):
    assert words.spoken(1 / over) == text


@pytest.mark.parametrize(("ratio", "text"), [(1 / 11.7, "1/11.7"), (0.1, "1/10"), (0.5, "1/2"), (1.07, "1.07")])
def test_ratios_read_as_parts(ratio, text):
    assert words.part(ratio) == text


def test_only_what_is_between_the_marks_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(docs.tools, "ROOT", tmp_path)
    file = tmp_path / "README.md"
    file.write_text("a <!-- compare: table -->old\nlines<!-- /compare --> b <!-- compare: other -->kept<!-- /compare -->")
    docs.put(file, "table", r"new \1 ")
    assert file.read_text() == (
        r"a <!-- compare: table -->new \1 <!-- /compare --> b <!-- compare: other -->kept<!-- /compare -->")


def test_the_documents_have_each_mark_and_take_whole_results_only():
    both = (ROOT / "README.md").read_text() + (ROOT / "docs" / "performance.md").read_text()
    for name in ("setting", "table", "details", "headline"):
        assert re.search(docs.MARKED.format(name=name), both, re.DOTALL), name
    with pytest.raises(SystemExit, match="lacks"):
        docs.write({"workloads": {}, "options": {}})


@pytest.mark.parametrize("command, says", [
    (["compare", "--only", "W9"], "no part is called w9"),
    (["compare", "--rounds", "0"], "expected a whole number from 1 on"),
    (["compare", "--seconds", "nan"], "expected a number from 0.1 on"),
    (["compare", "--only", "W1", "--skip", "W1"], "nothing is left to be measured"),
    (["compare", "--no-java", "--no-build", "--folder", "/dev/null/x"], "Not a directory: '/dev/null/x'"),
    (["compare", "--write-docs", "--folder", "/nowhere"], "/nowhere/result.json is not there"),
    (["profile", "--pid", "4194305"], "there is no process 4194305"),
    (["profile", "--seconds", "0"], "expected a number from 0.1 on"),
    (["profile", "--budget", "W9"], "W9"),
    (["quickstart", "--nonsense"], "unrecognized arguments"),
    (["setup", "--nonsense"], "unrecognized arguments"),
], ids=str)
def test_what_can_not_be_done_is_said_and_no_trace_shown(command, says):
    ran = subprocess.run([ROOT / "scripts" / command[0], *command[1:]], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode in (1, 2) and "Traceback" not in ran.stderr and says in ran.stderr.splitlines()[-1], ran


def test_whoever_interrupts_a_comparison_sees_no_trace(tmp_path):
    command = [ROOT / "scripts" / "compare", "--no-build", "--no-java", "--no-haproxy", "--only", "W1", "--folder", tmp_path]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as ran:
        while "warming" not in (line := ran.stderr.readline()):
            assert line
        ran.send_signal(signal.SIGINT)
        said = ran.stderr.read()
        assert ran.wait(60) == 130
    assert said.endswith("interrupted\n") and "Traceback" not in said, said


@pytest.mark.parametrize("command, says", [
    (["pulsar-relay", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:1", "--shape", "1:1:1:1:0"], "can't connect to 127.0.0.1:1: "),
    (["pulsar-relay", "--listen", "192.0.2.1:1", "--to", "127.0.0.1:1", "--shape", "1:1:1:1:0"], "can't listen at 192.0.2.1:1: "),
    (["pulsar-null-broker", "--listen", "192.0.2.1:1"], "can't listen at 192.0.2.1:1: "),
], ids=str)
def test_what_takes_part_says_in_a_line_why_it_can_not(command, says):
    ran = subprocess.run([tool(command[0]), *command[1:]], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (1, "", 1) and says in ran.stderr, ran
