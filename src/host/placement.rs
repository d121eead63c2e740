//! Where the shards stand: on which CPUs, whose siblings, of which node.

use super::{
    View,
    finding::{Finding, Topic},
    root,
};

const fn topic(name: &'static str, why: &'static str) -> Topic {
    Topic {
        group: "placement",
        name,
        why,
    }
}

const PINNING: Topic = topic(
    "pinning",
    "A pinned shard keeps its caches and never shares a CPU with another one; where a quota or \
     too few CPUs are given, shards are left to the scheduler.",
);
const ISOLATION: Topic = topic(
    "isolated CPUs",
    "The scheduler puts nobody on isolated CPUs, so shards that stand there are never disturbed, \
     and shards that are not pinned never get there, or never away.",
);
const SIBLINGS: Topic = topic(
    "siblings",
    "Two hardware threads share one core's units and caches: two shards on them do about as much \
     as one and a quarter alone.",
);
const NODES: Topic = topic(
    "NUMA nodes",
    "Memory of another node takes about twice as long to reach; one process for each node keeps a \
     shard's memory, its limits and its queues near.",
);

pub(super) fn findings(view: &View<'_>) -> Vec<Finding> {
    vec![pinning(view), isolation(view), siblings(view), nodes(view)]
}

fn pinning(view: &View<'_>) -> Finding {
    let (shards, allowed, pinned) = (view.shards(), view.allowed(), view.pinned());
    let away: Vec<usize> = pinned
        .iter()
        .copied()
        .filter(|cpu| !allowed.contains(cpu))
        .collect();
    if !away.is_empty() && !allowed.is_empty() {
        return PINNING.problem(
            format!(
                "--cpus names CPUs {}, and this process may use {}",
                root::list(&away),
                root::list(&allowed)
            ),
            "CPUs that taskset, the cpuset and the machine allow",
        );
    }
    if shards > allowed.len() && !allowed.is_empty() {
        return PINNING.problem(
            format!("{shards} shards on {} CPUs", allowed.len()),
            format!("--cores {} or less", allowed.len()),
        );
    }
    if pinned.is_empty() {
        return PINNING.advice(
            format!("{shards} shards, none pinned"),
            "--cpus, or a cpuset in place of a quota",
        );
    }
    PINNING.ok(format!("{shards} shards on CPUs {}", root::list(&pinned)))
}

fn isolation(view: &View<'_>) -> Finding {
    let isolated = view.root.cpus("sys/devices/system/cpu/isolated");
    if isolated.is_empty() {
        return ISOLATION.ok("none");
    }
    let seen = root::list(&isolated);
    let allowed = view.allowed();
    let pinned = view.pinned();
    if pinned.is_empty() && isolated.iter().any(|cpu| allowed.contains(cpu)) {
        return ISOLATION
            .problem(
                format!("{seen}, and shards are not pinned"),
                "shards pinned to them",
            )
            .by(format!("pulsar-ws-fast --cpus {seen} …"));
    }
    if pinned.iter().all(|cpu| isolated.contains(cpu)) {
        return ISOLATION.ok(format!("{seen}, and all shards stand there"));
    }
    ISOLATION
        .advice(
            format!("{seen}, and shards stand on {}", root::list(&pinned)),
            "shards pinned to them, if they were isolated for this service",
        )
        .by(format!("pulsar-ws-fast --cpus {seen} …"))
}

fn siblings(view: &View<'_>) -> Finding {
    let pinned = view.pinned();
    let allowed = view.allowed();
    let siblings = |cpu: usize| {
        let path = format!("sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        view.root.cpus(&path)
    };
    let crowded: Vec<usize> = pinned
        .iter()
        .copied()
        .filter(|&cpu| {
            let others = siblings(cpu);
            others
                .iter()
                .any(|other| *other != cpu && pinned.contains(other))
        })
        .collect();
    if crowded.is_empty() {
        return SIBLINGS.ok("no two shards share a core");
    }
    let seen = format!("shards on CPUs {} share cores", root::list(&crowded));
    // The first thread of each core, as many as there are shards.
    let firsts: Vec<usize> = allowed
        .iter()
        .copied()
        .filter(|&cpu| siblings(cpu).iter().filter(|s| allowed.contains(s)).min() == Some(&cpu))
        .collect();
    if firsts.len() >= pinned.len() {
        let better = root::list(firsts.get(..pinned.len()).unwrap_or_default());
        return SIBLINGS
            .advice(seen, "a core for each shard, as there are enough")
            .by(format!("pulsar-ws-fast --cpus {better} …"));
    }
    SIBLINGS
        .advice(
            seen,
            "one shard a core if latency counts more than the last quarter of throughput",
        )
        .by(format!("pulsar-ws-fast --cpus {} …", root::list(&firsts)))
}

fn nodes(view: &View<'_>) -> Finding {
    let cpus = view.cpus();
    let used: Vec<(usize, Vec<usize>)> = all_nodes(view)
        .into_iter()
        .map(|(node, of_node)| {
            let here = of_node.into_iter().filter(|cpu| cpus.contains(cpu));
            (node, here.collect::<Vec<_>>())
        })
        .filter(|(_, cpus)| !cpus.is_empty())
        .collect();
    let shown: Vec<String> = used
        .iter()
        .map(|(node, cpus)| format!("{} on node {node}", root::list(cpus)))
        .collect();
    match used.as_slice() {
        [] => NODES.ok("this kernel tells of none"),
        [(node, _)] => NODES.ok(format!("all on node {node}")),
        [(node, first), ..] => NODES
            .advice(
                format!("CPUs {}", shown.join(", ")),
                "a process for each node, each with its CPUs and memory, and a port of its own or \
                 --takeover to share one",
            )
            .by(format!(
                "numactl --membind {node} pulsar-ws-fast --cpus {} …",
                root::list(first)
            )),
    }
}

/// Each node with its CPUs.
pub(super) fn all_nodes(view: &View<'_>) -> Vec<(usize, Vec<usize>)> {
    const FOLDER: &str = "sys/devices/system/node";
    let mut nodes: Vec<(usize, Vec<usize>)> = view
        .root
        .names(FOLDER)
        .iter()
        .filter_map(|name| name.strip_prefix("node")?.parse().ok())
        .map(|node| {
            (
                node,
                view.root.cpus(&format!("{FOLDER}/node{node}/cpulist")),
            )
        })
        .collect();
    nodes.sort_unstable();
    nodes
}
