"""Which layer a stack belongs to, by the names of its functions."""

from __future__ import annotations

import re

# On a message's way, from the wire in to the wire out.
CLIENT_READ = "read from clients (kernel)"
CLIENT_WRITE = "write to clients (kernel)"
BROKER_WRITE = "write to the broker (kernel)"
BROKER_READ = "read from the broker (kernel)"
UNMASK = "frames: unmask, UTF-8"
JSON_READ = "JSON read"
BASE64 = "base64"
CHECKSUM = "checksum"
SEND = "producer: SEND, what is in flight"
FRAMES_READ = "broker's frames read: receipts, deliveries"
CONSUMER = "consumer: what is delivered and acknowledged"
JSON_WRITTEN = "JSON and frames written"
ROUTING = "sessions, routing, statistics"
SOCKETS = "sockets otherwise (kernel)"
TURN = "turn: tasks, ring, timers"
TURN_KERNEL = "turn: entering, waiting (kernel)"
LAYERS = [
    CLIENT_READ, UNMASK, JSON_READ, BASE64, CHECKSUM, SEND, BROKER_WRITE, BROKER_READ, FRAMES_READ, CONSUMER, JSON_WRITTEN,
    CLIENT_WRITE, ROUTING, SOCKETS, TURN, TURN_KERNEL,
]
# What the kernel copies: whose it was is told by bytes, not by stacks.
READ_COPY, WRITE_COPY = "copied out of sockets", "copied into sockets"

IN_KERNEL = r"do_syscall_64|entry_SYSCALL|asm_sysvec|asm_exc|asm_common_interrupt"
# The first that matches counts. The broker's connection is IPv6 and the clients' are IPv4, which tells them apart.
KERNEL = [
    (READ_COPY, r"recvmsg.*copy_to_iter|recvmsg.*check_object_size"),
    (WRITE_COPY, r"sendmsg.*copy_from_iter|sendmsg.*check_object_size"),
    (BROKER_READ, r"recvmsg.*(inet6_|ip6_|ipv6_|tcp_v6)"),
    (CLIENT_READ, r"recvmsg.*(;ip_|tcp_v4)"),
    (BROKER_WRITE, r"sendmsg.*(inet6_|ip6_|ipv6_|tcp_v6)"),
    (CLIENT_WRITE, r"sendmsg.*(;ip_|tcp_v4)"),
    (SOCKETS, r"recvmsg|sendmsg|io_recv|io_send"),
    (TURN_KERNEL, r""),
]
OURS = [
    (UNMASK, r";next_message;"),
    (CHECKSUM, r"crc32c|crc_u64|crc32_u64|;by_three(;|$)"),
    (BASE64, r"base64|encode_append"),
    (JSON_READ, r";read_command(;|$)"),
    (JSON_WRITTEN, r"write_event|event_len_hint|messages::write|frame::finish"),
    (SEND, r"publish_at|Producer::publish"),
    (CONSUMER, r"acknowledge|next_delivery|next_held|handle_entry|;hold(;|$)"),
    (FRAMES_READ, r"next_event|;broker_bytes(;|$)"),
    (ROUTING, r";handle_(client_bytes|broker_bytes|written|progress)(;|$)|take_outbox|Shard::|pulsar_ws_fast::(shard|session|pulsar)::"),
    (TURN, r""),
]


def layer(stack: str) -> str:
    """Of functions between semicolons, outermost first."""
    rules = KERNEL if re.search(IN_KERNEL, stack) else OURS
    return next(name for name, pattern in rules if re.search(pattern, stack))


def by_layer(stacks: dict[str, int], bytes_per_message: dict[str, float]) -> dict[str, float]:
    """The share of each layer."""
    costs = dict.fromkeys([*LAYERS, READ_COPY, WRITE_COPY], 0.0)
    for stack, cost in stacks.items():
        costs[layer(stack)] += cost
    for copied, clients, broker, client_bytes, broker_bytes in (
            (READ_COPY, CLIENT_READ, BROKER_READ, "from_clients", "from_broker"),
            (WRITE_COPY, CLIENT_WRITE, BROKER_WRITE, "to_clients", "to_broker")):
        cost = costs.pop(copied)
        share = bytes_per_message[client_bytes] / (bytes_per_message[client_bytes] + bytes_per_message[broker_bytes])
        costs[clients] += cost * share
        costs[broker] += cost * (1 - share)
    total = sum(costs.values())
    return {name: cost / total for name, cost in costs.items()}
