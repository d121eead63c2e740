//! Cards and TCP.

use std::fs;

use super::{Advice, Fine, Machine, Problem, Unknown};
use crate::config::Config;

#[test]
fn queues_of_the_card() {
    let six = || Machine::good().on(&(0..6).map(Some).collect::<Vec<_>>());
    six().says("queues", Advice, "ethtool -L eth0 combined 6");
    six().says(
        "receive steering",
        Advice,
        "echo 3f > /sys/class/net/eth0/queues/rx-3/rps_cpus",
    );
    let mut steered = six();
    for queue in 0..4 {
        steered.write(
            &format!("sys/class/net/eth0/queues/rx-{queue}/rps_cpus"),
            "3f",
        );
    }
    steered.says("receive steering", Fine, "RPS on all");
    Machine::good()
        .with(
            "sys/class/net/eth0/queues/tx-1/xps_cpus",
            "00000000,00000000",
        )
        .says(
            "send queues",
            Advice,
            "echo 2 > /sys/class/net/eth0/queues/tx-1/xps_cpus",
        );
    // A mask has 32 CPUs in each part.
    let many = Machine::good().on(&(30..35).map(Some).collect::<Vec<_>>());
    many.says("receive steering", Advice, "echo 7,c0000000 > ");
}

#[test]
fn interrupts_beside_shards() {
    let irq = |irq: usize| format!("proc/irq/{irq}/effective_affinity_list");
    let uneven = |cpu: &str| {
        let mut machine = Machine::good();
        for number in 40..44 {
            machine.write(&irq(number), cpu);
        }
        machine
    };
    uneven("1").says(
        "interrupts",
        Advice,
        "eth0's 4 interrupts arrive on CPUs 1, 1 of the 4 that shards have",
    );
    uneven("1").says(
        "interrupts",
        Advice,
        "echo 4 > /proc/irq/40/smp_affinity_list",
    );
    uneven("7").says("interrupts", Fine, "on CPUs 7");
    let mut by_mask = uneven("7");
    fs::remove_file(by_mask.root.join(irq(41))).unwrap();
    by_mask.write("proc/irq/41/smp_affinity_list", "2");
    by_mask.says("interrupts", Advice, "CPUs 2,7");
    let mut hidden = Machine::good();
    for number in 40..44 {
        fs::remove_file(hidden.root.join(irq(number))).unwrap();
    }
    hidden.write("proc/interrupts", "");
    fs::remove_file(hidden.root.join(irq(50))).unwrap();
    hidden.says("interrupts", Unknown, "eth0's interrupts");
}

#[test]
fn a_container_sees_no_card() {
    let machine = Machine::good();
    fs::remove_dir_all(machine.root.join("sys/class/net/eth0")).unwrap();
    machine.says("cards", Unknown, "on the host");
}

#[test]
fn tcp() {
    let key = |key: &str, value: &str| {
        let path = format!("proc/sys/net/{}", key.replace('.', "/"));
        Machine::good().with(&path, value)
    };
    key("core.somaxconn", "4096").says("accept queue", Advice, "sysctl -w net.core.somaxconn=8192");
    key("core.somaxconn", "4096")
        .told(|config| config.accept_backlog = 4096)
        .says("accept queue", Fine, "4096");
    key("ipv4.tcp_max_syn_backlog", "2048").says(
        "SYN queue",
        Advice,
        "sysctl -w net.ipv4.tcp_max_syn_backlog=8192",
    );
    key("ipv4.tcp_tw_reuse", "0").says(
        "ports in TIME-WAIT",
        Advice,
        "sysctl -w net.ipv4.tcp_tw_reuse=2",
    );
    key("ipv4.tcp_slow_start_after_idle", "1").says(
        "slow start",
        Advice,
        "sysctl -w net.ipv4.tcp_slow_start_after_idle=0",
    );
    key("ipv4.tcp_rmem", "4096 87380 1000000").says(
        "receive buffer",
        Advice,
        "sysctl -w net.ipv4.tcp_rmem=\\\"4096 87380 4194304\\\"",
    );
    key("ipv4.tcp_wmem", "4096 16384 1000000").says("send buffer", Advice, "4194304");
    key("ipv4.tcp_wmem", "4096").says("send buffer", Unknown, "no three numbers");
    key("netfilter.nf_conntrack_max", "4095").says(
        "connection tracking",
        Problem,
        "sysctl -w net.netfilter.nf_conntrack_max=4096",
    );
    key("netfilter.nf_conntrack_max", "4096").says("connection tracking", Fine, "4096");
    let takeover = |config: &mut Config| config.takeover = true;
    key("ipv4.tcp_migrate_req", "0").told(takeover).says(
        "takeover",
        Advice,
        "sysctl -w net.ipv4.tcp_migrate_req=1",
    );
    key("ipv4.tcp_migrate_req", "1")
        .told(takeover)
        .says("takeover", Fine, "1");
}

#[test]
fn ports() {
    const RANGE: &str = "proc/sys/net/ipv4/ip_local_port_range";
    const RESERVED: &str = "proc/sys/net/ipv4/ip_local_reserved_ports";
    let wide = || Machine::good().with(RANGE, "1024 65535");
    Machine::good()
        .with(RANGE, "50000 50999")
        .says("ports", Advice, "8192 ports or more");
    wide().says("ports", Advice, "ip_local_reserved_ports=8080");
    let others = wide().with(RESERVED, "9000-9010");
    others.says("ports", Advice, "ip_local_reserved_ports=9000-9010,8080");
    wide().with(RESERVED, "8000-8100").says("ports", Fine, "");
    Machine::good()
        .with(RANGE, "all")
        .says("ports", Unknown, "no two ports");
}
