"""`scripts/profile`: that it finds what the service does, and that it reads what perf and callgrind write."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
import subprocess
import sys

import pytest

from harness.tools import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

from profile_lib import budget, layers  # noqa: E402

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


def test_a_budget_has_each_layer_that_takes_part():
    ran = subprocess.run([PROGRAM, "--no-build", "--seconds", "2", "--budget", "W2,W6"],
                         capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    lines = {cells[0]: cells[1:] for line in ran.stdout.splitlines() if (cells := re.split(r" *\| *", line.strip("| ")))}
    assert set(layers.LAYERS) <= set(lines)
    ns = {name: [float(re.match(r"[\d,]+", cell)[0].replace(",", "")) if cell != "–" else 0 for cell in cells]
          for name, cells in lines.items() if name in [*layers.LAYERS, "sum"]}
    for column in (0, 1):
        # Each is rounded.
        assert sum(ns[name][column] for name in layers.LAYERS) == pytest.approx(ns["sum"][column], abs=len(layers.LAYERS))
    # What publishes goes from clients to the broker, what is consumed the other way.
    assert ns[layers.BROKER_WRITE][0] > ns[layers.BROKER_WRITE][1] and ns[layers.SEND][0] > 0
    assert ns[layers.CONSUMER][1] > ns[layers.CONSUMER][0]
    assert re.search(r"1,[01]\d\d B", lines[layers.BROKER_WRITE][0]) and re.search(r"1,[01]\d\d B", lines[layers.BROKER_READ][1])


def test_stacks_have_their_layers():
    turn = "shard-0;with;park;enter;syscall;entry_SYSCALL_64_after_hwframe;do_syscall_64;io_submit_sqes"
    inside = "shard-0;with;run;poll;enter;call"
    for stack, name in {
        turn: layers.TURN_KERNEL,
        f"{turn};io_send;tcp_sendmsg;tcp_sendmsg_locked;_copy_from_iter": layers.WRITE_COPY,
        f"{turn};io_send;tcp_sendmsg;tcp_push;inet6_csk_xmit;ip6_xmit": layers.BROKER_WRITE,
        f"{turn};io_send;tcp_sendmsg;tcp_push;__ip_queue_xmit;ip_local_out": layers.CLIENT_WRITE,
        f"{turn};io_recv;tcp_recvmsg;tcp_recvmsg_locked;_copy_to_iter": layers.READ_COPY,
        f"{turn};io_recv;tcp_recvmsg;lock_sock_nested": layers.SOCKETS,
        f"{inside};handle_client_bytes;client_input;messages;next_message;find;mask_avx2": layers.UNMASK,
        f"{inside};handle_client_bytes;messages;read_command;read;ObjectReader::next": layers.JSON_READ,
        f"{inside};handle_client_bytes;messages;read_command;pulsar_ws_fast::codec::base64::avx2::decode": layers.BASE64,
        f"{inside};handle_client_bytes;messages;handle_command;publish_at;Producer::publish;crc32c::hw": layers.CHECKSUM,
        f"{inside};handle_client_bytes;messages;handle_command;pulsar_ws_fast::pulsar::Pulsar::publish_at": layers.SEND,
        f"{inside};handle_broker_bytes;broker_bytes;pulsar_ws_fast::pulsar::dispatch::next_event": layers.FRAMES_READ,
        f"{inside};handle_broker_bytes;broker_bytes;next_event;handle_message;by_three;next": layers.CHECKSUM,
        f"{inside};handle_broker_bytes;broker_event;entry;next_delivery;note_taken;insert;write;write": layers.CONSUMER,
        f"{inside};handle_broker_bytes;broker_event;published;write;write_event;write_receipt": layers.JSON_WRITTEN,
        f"{inside};handle_client_bytes;client_input;must_wait": layers.ROUTING,
        "shard-0;with;run;poll;transition_to_idle": layers.TURN,
    }.items():
        assert layers.layer(stack) == name, stack


def test_copies_are_shared_out_by_bytes_and_shares_add_up():
    moved = {"from_clients": 300, "from_broker": 100, "to_clients": 0, "to_broker": 50}
    read, write = (f"a;do_syscall_64;tcp_{name}" for name in ("recvmsg;_copy_to_iter", "sendmsg;_copy_from_iter"))
    shares = layers.by_layer({read: 40, write: 10, "b": 50}, moved)
    assert (shares[layers.CLIENT_READ], shares[layers.BROKER_READ]) == (pytest.approx(0.3), pytest.approx(0.1))
    assert (shares[layers.CLIENT_WRITE], shares[layers.BROKER_WRITE], shares[layers.TURN]) == (0, 0.1, 0.5)
    assert set(shares) == set(layers.LAYERS)
    found = {"W2": {"title": "t", "ns": 1000, "samples": 100, "bytes": moved, "layers": shares}}
    assert f"| {layers.CLIENT_READ} | 300, 300 B |" in budget.table(found)
    assert f"| {layers.JSON_READ} | – |" in budget.table(found)


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
