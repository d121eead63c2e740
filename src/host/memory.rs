//! Memory: how much there may be, and what the kernel does with it behind the service's back.

use super::{
    View, cgroup,
    finding::{Finding, Topic},
};

const LIMIT: Topic = Topic {
    group: "memory",
    name: "limit",
    why: "Publishes in flight, incomplete messages and held deliveries may grow up to their \
          budgets; a process that is killed for memory takes all its clients along.",
};
const HUGE_PAGES: Topic = Topic {
    group: "memory",
    name: "huge pages",
    why: "With \"always\" each small piece of the heap can become 2 MiB, so idle clients take more \
          memory, and the kernel stops a thread to put such pages together.",
};
const SWAP: Topic = Topic {
    group: "memory",
    name: "swap",
    why: "A shard that waits for one swapped page holds up all its clients.",
};
/// Deliveries that a shard may hold; see the table of queues in ARCHITECTURE.md.
const HELD_BYTES_OF_SHARD: u64 = 256 * MIB;
const MIB: u64 = 1024 * 1024;
/// From here on the kernel swaps only to avoid running out of memory.
const SWAPPINESS_MAX: u32 = 10;

pub(super) fn findings(view: &View<'_>) -> Vec<Finding> {
    vec![limit(view), huge_pages(view), swap(view)]
}

fn limit(view: &View<'_>) -> Finding {
    let config = view.plan.config;
    let budgets = config.all_publishes_in_flight_bytes_max as u64
        + config.incomplete_messages_bytes_max as u64
        + HELD_BYTES_OF_SHARD * view.shards() as u64;
    let total = view.root.field("proc/meminfo", "MemTotal:");
    let total = total
        .and_then(|total| total.strip_suffix("kB")?.trim().parse::<u64>().ok())
        .map(|kib| kib * 1024);
    let group = cgroup::memory_limit(view);
    let Some(limit) = total.into_iter().chain(group).min() else {
        let sentence = "can't read /proc/meminfo, and no control group has a limit";
        return LIMIT.unknown(&super::root::Unread::Failed(sentence.to_owned()));
    };
    let seen = format!(
        "{} MiB, and the budgets of queues are {} MiB",
        limit / MIB,
        budgets / MIB
    );
    if limit >= budgets {
        return LIMIT.ok(seen);
    }
    LIMIT.advice(
        seen,
        "more memory, or less in webSocketMaxPublishBytesInFlightOfAll and \
         webSocketMaxIncompleteMessageBytes, or fewer shards",
    )
}

fn huge_pages(view: &View<'_>) -> Finding {
    const FILE: &str = "sys/kernel/mm/transparent_hugepage/enabled";
    match view.root.chosen(FILE) {
        Ok(chosen) if chosen == "always" => HUGE_PAGES
            .advice("transparent huge pages: always", "madvise")
            .by(format!("echo madvise > /{FILE}")),
        Ok(chosen) => HUGE_PAGES.ok(format!("transparent huge pages: {chosen}")),
        Err(super::root::Unread::Absent(_)) => HUGE_PAGES.ok("this kernel has none"),
        Err(unread) => HUGE_PAGES.unknown(&unread),
    }
}

fn swap(view: &View<'_>) -> Finding {
    let areas = match view.root.text("proc/swaps") {
        // The first line is a headline.
        Ok(text) => text.lines().skip(1).count(),
        Err(super::root::Unread::Absent(_)) => 0,
        Err(unread) => return SWAP.unknown(&unread),
    };
    if areas == 0 {
        return SWAP.ok("there is none");
    }
    match view.root.number::<u32>("proc/sys/vm/swappiness") {
        Ok(number) if number <= SWAPPINESS_MAX => SWAP.ok(format!("vm.swappiness is {number}")),
        Ok(number) => SWAP
            .advice(
                format!("there is swap, and vm.swappiness is {number}"),
                format!("{SWAPPINESS_MAX} or less; in the unit, MemorySwapMax=0"),
            )
            .by(format!("sysctl -w vm.swappiness={SWAPPINESS_MAX}")),
        Err(unread) => SWAP.unknown(&unread),
    }
}
