"""The workloads of the table, and what is asked of each."""

from __future__ import annotations

from dataclasses import dataclass, replace

# What a consumer may have under way: the default of receiverQueueSize.
CONSUMER_WINDOW = 1000


@dataclass(frozen=True)
class Workload:
    """One row of the table."""

    key: str
    title: str
    # What the load tool does: publish or consume.
    kind: str
    payload_bytes: int = 1024
    clients: int = 4
    # Publishes in flight of each client, where the loop is closed.
    in_flight: int = 100
    # Publishes a second of each client, where it is open.
    rate: int | None = None
    # Further flags of the load tool.
    flags: tuple[str, ...] = ()
    # Our CPU per message is to be at most one part in so many of Java's, and better one in so many.
    limit: int | None = None
    aim: int | None = None
    # Our 99th percentile is to be at most this part of Java's.
    latency_limit: float | None = None
    # HAProxy takes part, with the same bytes.
    haproxy: bool = False

    @property
    def load_flags(self) -> list[object]:
        """For the load tool, beside what each run takes."""
        pace: list[object] = []
        if self.kind == "publish":
            pace = ["--rate", self.rate] if self.rate else ["--in-flight", self.in_flight]
        return [*pace, *self.flags]

    @property
    def bytes_flags(self) -> list[object]:
        """For the load tool where it exchanges bare bytes: what it sends before it has heard anything, or how often."""
        return ["--rate", self.rate] if self.rate else ["--window", self.in_flight if self.kind == "publish" else 0]

    @property
    def ahead(self) -> int:
        """Answers for each client of bare bytes that come before it has asked."""
        return 0 if self.kind == "publish" else CONSUMER_WINDOW

    def but(self, **changes: object) -> "Workload":
        """The same with other values."""
        return replace(self, **changes)


def query(**values: object) -> tuple[str, ...]:
    """Flags for parameters of the address."""
    return tuple(word for name, value in values.items() for word in ("--query", f"{name}={value}"))


BATCHED = query(batchingEnabled="true", batchingMaxPublishDelay=1, batchingMaxMessages=1000)

WORKLOADS = {workload.key: workload for workload in [
    Workload("W1", "publish, 4 clients × 100 in flight, 100 B", "publish", payload_bytes=100, limit=10, aim=16),
    Workload("W2", "publish, 4 clients × 100 in flight, 1 KiB", "publish", limit=10, aim=15, haproxy=True),
    Workload("W2-deflate", "the same with permessage-deflate", "publish", flags=("--deflate",), limit=6, aim=10),
    Workload("W3", "publish in batches (1 ms, 1,000), 4 clients × 500 in flight, 1 KiB", "publish", in_flight=500,
             flags=BATCHED, limit=10, aim=15),
    Workload("W4", "publish, 256 clients × 1 in flight, 1 KiB, one topic", "publish", clients=256, in_flight=1,
             flags=("--one-topic",), limit=7, aim=10),
    Workload("W5", "publish, 16 clients × 500/s, 1 KiB", "publish", clients=16, rate=500, limit=5, aim=8,
             latency_limit=0.5),
    Workload("W6", "consume and acknowledge, 4 clients, 1 KiB", "consume", limit=12, aim=20),
]}

# Resident bytes of an idle producer: the limit, and what is aimed at.
IDLE_LIMIT, IDLE_AIM = 4096, 2048
# Our CPU per message is to be at most one part in so many of HAProxy's for the same bytes.
HAPROXY_LIMIT, HAPROXY_AIM = 4, 8
# Nobody does it for less than the relay does; whatever asks for less than this many times the relay is set to that.
OF_THE_FLOOR = 1.3
# Two shards may cost so much more per message than one.
SHARDS_LIMIT = 1.10

PARTS = [*WORKLOADS, "W7", "latency", "end-to-end", "sweep", "shards", "syscalls", "allocations"]
