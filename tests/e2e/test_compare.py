"""`scripts/compare`: that it runs and writes its three files, and that its judgement and its marks do what they say.
How fast anything is, is not judged here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from harness.tools import NODE, ROOT

sys.path.insert(0, str(ROOT / "scripts"))

from compare_lib import docs, judge, latencies, markdown, scaling, words  # noqa: E402

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


def test_what_was_not_measured_is_not_judged():
    row, = judge.rows({"workloads": workload("W1", None, 1.0, 0.5)})
    assert (row["holds"], row["aim_holds"], row["ratio"]) == (None, None, None)
    assert words.verdict(None) == words.part(None) == words.NOTHING


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


def test_runs_without_latencies_have_none():
    assert latencies.medians([{"latency_us": None}, {"latency_us": {"count": 0}}]) == {}


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
