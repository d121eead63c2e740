//! CPUs, and where the shards stand on them.

use super::{Advice, Fine, Machine, Problem, Unknown};

#[test]
fn speed_of_the_cpus() {
    let governor = |cpu: usize| format!("sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor");
    Machine::good().with(&governor(2), "powersave").says(
        "governor",
        Advice,
        "cpupower --cpu 2 frequency-set --governor performance",
    );
    // No shard stands there.
    Machine::good()
        .with(&governor(6), "powersave")
        .says("governor", Fine, "performance");

    const INTEL: &str = "sys/devices/system/cpu/intel_pstate/no_turbo";
    const OTHERS: &str = "sys/devices/system/cpu/cpufreq/boost";
    Machine::good()
        .with(INTEL, "1")
        .says("turbo", Advice, "echo 0 > /sys");
    let amd = || Machine::good().without(INTEL);
    amd()
        .with(OTHERS, "0")
        .says("turbo", Advice, "echo 1 > /sys");
    amd().with(OTHERS, "1").says("turbo", Fine, "on");
    amd().says("turbo", Fine, "no switch");

    const CLOCK: &str = "sys/devices/system/clocksource/clocksource0";
    let slow = Machine::good().with(&format!("{CLOCK}/current_clocksource"), "hpet\n");
    slow.says("clock", Problem, "hpet");
    Machine::good()
        .with(&format!("{CLOCK}/current_clocksource"), "acpi_pm\n")
        .with(&format!("{CLOCK}/available_clocksource"), "acpi_pm tsc \n")
        .says("clock", Problem, "echo tsc > /sys");
}

#[test]
fn quotas_of_all_groups_above() {
    const GROUP: &str = "sys/fs/cgroup/system.slice";
    Machine::good()
        .with(&format!("{GROUP}/cpu.max"), "350000 100000")
        .says("quota", Problem, "3.5 CPUs for 4 shards");
    Machine::good()
        .with(&format!("{GROUP}/ws.service/cpu.max"), "400000 100000")
        .says("quota", Advice, "cpuset");
    // A container sees its own group at the root.
    Machine::good()
        .with("sys/fs/cgroup/cpu.max", "50000 100000")
        .says("quota", Problem, "0.5 CPUs");
    let old = || Machine::good().with("proc/self/cgroup", "4:cpu,cpuacct:/docker/a\n1:name=x:/\n");
    old()
        .with("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000")
        .with("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000")
        .says("quota", Problem, "2.0 CPUs");
    old()
        .with("sys/fs/cgroup/cpu/docker/a/cpu.cfs_quota_us", "-1")
        .with("sys/fs/cgroup/cpu/docker/a/cpu.cfs_period_us", "100000")
        .says("quota", Fine, "no control group");
}

#[test]
fn who_else_wants_the_cpus() {
    Machine::good()
        .with("proc/stat", "cpu  500 0 100 300 0 0 0 100 0 0\n")
        .says("stolen time", Advice, "10.0 %");
    Machine::good().with("proc/stat", "cpu  1 2 3\n").says(
        "stolen time",
        Unknown,
        "no stolen time",
    );
    Machine::good()
        .changed("proc/pressure/cpu", "avg60=2.10", "avg60=31.00")
        .says("neighbours", Advice, "31 %");
    Machine::good()
        .with("proc/pressure/cpu", "?")
        .says("neighbours", Unknown, "no avg60");
}

#[test]
fn pinning() {
    Machine::good()
        .changed("proc/self/status", "0-7", "0-2")
        .says("pinning", Problem, "CPUs 3, and this process may use 0-2");
    Machine::good()
        .on(&[None; 9])
        .says("pinning", Problem, "9 shards on 8 CPUs");
    Machine::good()
        .on(&[None; 2])
        .says("pinning", Advice, "none pinned");
}

#[test]
fn isolated_cpus() {
    const FILE: &str = "sys/devices/system/cpu/isolated";
    let isolated = |list: &str| Machine::good().with(FILE, list);
    isolated("0-3").says("isolated CPUs", Fine, "all shards stand there");
    isolated("2-7").says("isolated CPUs", Advice, "--cpus 2-7");
    isolated("2-7")
        .on(&[None; 4])
        .says("isolated CPUs", Problem, "not pinned");
}

#[test]
fn siblings() {
    let on = |cpus: &[usize]| {
        let layout: Vec<Option<usize>> = cpus.iter().copied().map(Some).collect();
        Machine::good().on(&layout)
    };
    on(&[0, 1, 4, 6]).says("siblings", Advice, "--cpus 0-3 ");
    on(&[0, 1, 2, 3, 4]).says("siblings", Advice, "one shard a core");
}

#[test]
fn nodes() {
    Machine::good().on(&[Some(2), Some(3), Some(4)]).says(
        "NUMA nodes",
        Advice,
        "numactl --membind 0 pulsar-ws-fast --cpus 2-3 ",
    );
    let far = || Machine::good().on(&[Some(4), Some(5)]);
    far().says("NUMA nodes", Fine, "all on node 1");
    far().says("NUMA node", Advice, "pulsar-ws-fast --cpus 0-3 ");
    let unknown = Machine::good().with("sys/class/net/eth0/device/numa_node", "-1");
    assert_eq!(unknown.findings("NUMA node"), []);
}
