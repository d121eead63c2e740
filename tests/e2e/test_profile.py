"""`scripts/profile`: that it finds what the service does, and that it reads what perf and callgrind write."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import subprocess

import pytest

from harness.tools import ROOT

pytestmark = pytest.mark.ours_only("it profiles our program, it is none")

PROGRAM = ROOT / "scripts" / "profile"


@pytest.fixture(scope="module")
def profile():
    """The script as a module."""
    loader = importlib.machinery.SourceFileLoader("scripts_profile", str(PROGRAM))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def test_a_profile_of_publishing_shows_the_shard(tmp_path):
    ran = subprocess.run(
        [PROGRAM, "--no-build", "--seconds", "1", "--folded", "--out", tmp_path / "p.svg"],
        capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    stacks = (tmp_path / "p.folded").read_text()
    assert "client_input" in stacks or "handle_client_bytes" in stacks, stacks[-3000:]
    assert ran.stdout.startswith(str(tmp_path / "p.folded"))


def test_samples_become_stacks(profile):
    listing = """\
shard-0 28440/28446 15870.93: cpu-clock:
\t          317fa2 pulsar_ws_fast::codec::mask::mask::h0123456789abcdef (/x/pulsar-ws-fast)
\t          2deaa8 next<A, B::{closure#0}<C>> (inlined)
\t          2deaa8 <impl Shard<u8> for X>::input (/x/pulsar-ws-fast)
\t          3baef0 block_on<Driver, bool> (inlined)
\t          3baef0 run (inlined)

shard 1 28440/28447 15870.94: cpu-clock:
\tffffffff81423c0b [unknown] ([kernel.kallsyms])
"""
    assert profile.sampled_stacks(listing.splitlines()) == {
        "shard-0;<impl Shard for X>::input;next;pulsar_ws_fast::codec::mask::mask": 1,
        "shard 1;[[kernel.kallsyms]]": 1,
    }


def test_costs_become_stacks(profile):
    lines = ["fl=(1) a.rs", "fn=(1) a", "3 5", "cfn=(2) b'a", "calls=1 7", "3 40", "+1 2", "fn=(2)", "7 39", "* 1"]
    assert profile.folded_stacks(lines) == {"a": 7, "a;b": 40}
    case = ["fn=(1) b'a'pulsar_instructions::counted'main", "3 5", "fn=(2) pulsar_instructions::counted'main", "3 1"]
    assert profile.folded_stacks(case) == {"a;b": 5, "main;pulsar_instructions::counted": 1}


def test_the_heaviest_come_first(profile):
    shares = list(profile.heaviest({"a;b": 3, "b": 1, "a": 1}))
    assert shares == [(0.8, "b"), (0.2, "a")]
