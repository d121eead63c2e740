//! Network cards: their queues, and on which CPUs their interrupts arrive.

use super::{
    View,
    finding::{Finding, Topic},
    placement,
    root::{self, Unread},
};

const fn topic(name: &'static str, why: &'static str) -> Topic {
    Topic {
        group: "network card",
        name,
        why,
    }
}

const CARDS: Topic = topic(
    "cards",
    "A container sees its own network only; its packets come through the machine's cards.",
);
const QUEUES: Topic = topic(
    "queues",
    "Each receive queue is emptied by one CPU at a time; with few queues that CPU is full before \
     the shards are.",
);
const STEERING: Topic = topic(
    "receive steering",
    "Where a card has fewer queues than there are shards, RPS lets other CPUs do the work of the \
     protocols.",
);
const SENDING: Topic = topic(
    "send queues",
    "XPS gives each CPU a send queue of its own, so shards don't wait for one another's lock.",
);
const INTERRUPTS: Topic = topic(
    "interrupts",
    "Packets are worked on where their interrupt arrives, before anybody else runs there: shards \
     that share their CPU with them have less of it than the others.",
);
const NODE: Topic = topic(
    "NUMA node",
    "Packets lie in the memory of the card's node; shards on another one fetch each byte from \
     there.",
);
const NET: &str = "sys/class/net";

pub(super) fn findings(view: &View<'_>) -> Vec<Finding> {
    // Bridges, tunnels and the loopback device have no device behind them.
    let cards: Vec<String> = view
        .root
        .names(NET)
        .into_iter()
        .filter(|card| view.root.has(&format!("{NET}/{card}/device")))
        .filter(|card| {
            let state = view.root.text(&format!("{NET}/{card}/operstate"));
            state.is_ok_and(|state| state != "down")
        })
        .collect();
    if cards.is_empty() {
        let sentence = "no network card that is up is seen from here: check on the host too";
        return vec![CARDS.unknown(&Unread::Failed(sentence.to_owned()))];
    }
    cards.iter().flat_map(|card| of_card(view, card)).collect()
}

fn of_card(view: &View<'_>, card: &str) -> Vec<Finding> {
    let queues = view.root.names(&format!("{NET}/{card}/queues"));
    let of_kind = |kind: &str| -> Vec<&String> {
        let these = queues.iter().filter(|name| name.starts_with(kind));
        these.collect()
    };
    let (receive, send) = (of_kind("rx-"), of_kind("tx-"));
    let mut found = vec![count(view, card, receive.len())];
    if receive.len() < view.shards() && !receive.is_empty() {
        found.push(steering(view, card, &receive));
    }
    if send.len() > 1 {
        found.push(sending(view, card, &send));
    }
    found.push(interrupts(view, card));
    found.extend(node(view, card));
    found
}

fn count(view: &View<'_>, card: &str, queues: usize) -> Finding {
    let shards = view.shards();
    let seen = format!("{card} has {queues} to receive from, for {shards} shards");
    if queues >= shards {
        return QUEUES.ok(seen);
    }
    QUEUES
        .advice(seen, format!("{shards}, if the card has as many"))
        .by(format!(
            "ethtool -l {card}; ethtool -L {card} combined {shards}"
        ))
}

fn steering(view: &View<'_>, card: &str, queues: &[&String]) -> Finding {
    let without = unset(view, card, queues, "rps_cpus");
    if without.is_empty() {
        return STEERING.ok(format!("{card} has RPS on all queues"));
    }
    let mask = mask(&view.cpus());
    let commands: Vec<String> = without
        .iter()
        .map(|queue| format!("echo {mask} > /{NET}/{card}/queues/{queue}/rps_cpus"))
        .collect();
    STEERING
        .advice(
            format!("{card} has no RPS on {}", without.join(", ")),
            "the shards' CPUs, or others that have time, if more queues are not to be had",
        )
        .by(commands.join("; "))
}

fn sending(view: &View<'_>, card: &str, queues: &[&String]) -> Finding {
    let without = unset(view, card, queues, "xps_cpus");
    if without.is_empty() {
        return SENDING.ok(format!("{card} has XPS on all {}", queues.len()));
    }
    let cpus = view.cpus();
    let commands: Vec<String> = queues
        .iter()
        .enumerate()
        .map(|(index, queue)| {
            let mine: Vec<usize> = cpus
                .iter()
                .copied()
                .skip(index)
                .step_by(queues.len())
                .collect();
            format!(
                "echo {} > /{NET}/{card}/queues/{queue}/xps_cpus",
                mask(&mine)
            )
        })
        .collect();
    SENDING
        .advice(
            format!("{card} has no XPS on {}", without.join(", ")),
            "a queue for each CPU",
        )
        .by(commands.join("; "))
}

/// The queues whose mask is there and names no CPU.
fn unset<'a>(view: &View<'_>, card: &str, queues: &[&'a String], file: &str) -> Vec<&'a str> {
    let is_unset = |queue: &str| {
        let mask = view
            .root
            .text(&format!("{NET}/{card}/queues/{queue}/{file}"));
        mask.is_ok_and(|mask| !mask.contains(|c: char| c != '0' && c != ','))
    };
    let names = queues.iter().map(|queue| queue.as_str());
    names.filter(|queue| is_unset(queue)).collect()
}

/// A CPU mask as the kernel reads it: 32 bits in each part, the highest first.
fn mask(cpus: &[usize]) -> String {
    let parts = cpus.iter().max().map_or(1, |cpu| cpu / 32 + 1);
    let part = |index: usize| {
        let bits = cpus.iter().filter(|&&cpu| cpu / 32 == index);
        bits.fold(0u32, |mask, cpu| mask | 1 << (cpu % 32))
    };
    let shown: Vec<String> = (0..parts)
        .rev()
        .map(|index| match index + 1 == parts {
            true => format!("{:x}", part(index)),
            false => format!("{:08x}", part(index)),
        })
        .collect();
    shown.join(",")
}

fn interrupts(view: &View<'_>, card: &str) -> Finding {
    let irqs = busy_irqs(view, card);
    let arriving: Vec<(u32, Vec<usize>)> = irqs
        .into_iter()
        .map(|irq| {
            let effective = view
                .root
                .cpus(&format!("proc/irq/{irq}/effective_affinity_list"));
            let cpus = if effective.is_empty() {
                view.root.cpus(&format!("proc/irq/{irq}/smp_affinity_list"))
            } else {
                effective
            };
            (irq, cpus)
        })
        .filter(|(_, cpus)| !cpus.is_empty())
        .collect();
    if arriving.is_empty() {
        let sentence = format!("the CPUs of {card}'s interrupts are not to be read here");
        return INTERRUPTS.unknown(&Unread::Failed(sentence));
    }
    let mut all: Vec<usize> = arriving.iter().flat_map(|(_, cpus)| cpus.clone()).collect();
    all.sort_unstable();
    all.dedup();
    let seen = format!(
        "{card}'s {} interrupts arrive on CPUs {}",
        arriving.len(),
        root::list(&all)
    );
    let pinned = view.pinned();
    let shared = pinned.iter().filter(|cpu| all.contains(cpu)).count();
    if shared == 0 || shared == pinned.len() {
        return INTERRUPTS.ok(seen);
    }
    // Away from the shards where CPUs are left, else over all of theirs.
    let online = view.root.cpus("sys/devices/system/cpu/online");
    let free: Vec<usize> = online
        .into_iter()
        .filter(|cpu| !pinned.contains(cpu))
        .collect();
    let places = if free.is_empty() { &pinned } else { &free };
    let commands: Vec<String> = arriving
        .iter()
        .zip(places.iter().cycle())
        .map(|((irq, _), cpu)| format!("echo {cpu} > /proc/irq/{irq}/smp_affinity_list"))
        .collect();
    INTERRUPTS
        .advice(
            format!("{seen}, {shared} of the {} that shards have", pinned.len()),
            "CPUs without shards, or all of theirs alike (irqbalance undoes it: stop it, or ban them)",
        )
        .by(commands.join("; "))
}

/// Interrupts of the card, or of the device it stands on (virtio), that have ever come.
fn busy_irqs(view: &View<'_>, card: &str) -> Vec<u32> {
    let counted = view.root.text("proc/interrupts").unwrap_or_default();
    let has_come = |irq: u32| {
        let line = counted
            .lines()
            .find_map(|line| line.trim_start().strip_prefix(&format!("{irq}:")));
        // One whose count can't be read may have.
        line.is_none_or(|line| {
            let mut counts = line
                .split_whitespace()
                .map_while(|count| count.parse::<u64>().ok());
            counts.any(|count| count > 0)
        })
    };
    let mut irqs: Vec<u32> = ["device/msi_irqs", "device/../msi_irqs"]
        .iter()
        .flat_map(|folder| view.root.names(&format!("{NET}/{card}/{folder}")))
        .filter_map(|name| name.parse().ok())
        .collect();
    irqs.sort_unstable();
    irqs.dedup();
    irqs.retain(|&irq| has_come(irq));
    irqs
}

/// Nothing where neither the card nor the machine has nodes.
fn node(view: &View<'_>, card: &str) -> Option<Finding> {
    let path = format!("{NET}/{card}/device/numa_node");
    // -1 is "the firmware doesn't say".
    let node = view.root.number::<usize>(&path).ok()?;
    let nodes = placement::all_nodes(view);
    let (_, cpus) = nodes.iter().find(|(number, _)| *number == node)?;
    if nodes.len() < 2 {
        return None;
    }
    let used = view.cpus();
    let near = used.iter().filter(|cpu| cpus.contains(cpu)).count();
    let seen = format!(
        "{card} is on node {node}, with {near} of {} CPUs",
        used.len()
    );
    Some(if near == used.len() {
        NODE.ok(seen)
    } else {
        NODE.advice(seen, format!("CPUs of node {node}: {}", root::list(cpus)))
            .by(format!("pulsar-ws-fast --cpus {} …", root::list(cpus)))
    })
}
