//! Rings, limits of the process, and memory.

use std::num::NonZeroUsize;

use super::{Advice, Fine, Machine, Problem};
use crate::config::{Config, Driver};

#[test]
fn rings() {
    let old = Machine::good().with("proc/sys/kernel/osrelease", "5.10.0-28-amd64");
    old.says("kernel", Problem, "5.11 or newer");
    let oldest = Machine::good().with("proc/sys/kernel/osrelease", "5.11.0");
    oldest.says("kernel", Advice, "6.1 or newer");
    let good = Machine::good().with("proc/sys/kernel/osrelease", "6.1.0-44-amd64");
    good.says("kernel", Fine, "6.1.0-44-amd64");

    const SWITCH: &str = "proc/sys/kernel/io_uring_disabled";
    Machine::good().with(SWITCH, "2").says(
        "switch",
        Problem,
        "sysctl -w kernel.io_uring_disabled=0",
    );
    let kept = Machine::good().with(SWITCH, "1");
    let kept = kept.with("proc/sys/kernel/io_uring_group", "1001");
    kept.says("switch", Advice, "group 1001 may");
    Machine::good()
        .without(SWITCH)
        .says("switch", Fine, "has none");

    Machine::good()
        .refusing("no ring for you")
        .says("rings", Problem, "no ring for you");
    Machine::good()
        .changed("proc/self/status", "Seccomp:\t0", "Seccomp:\t2")
        .refusing("no ring for you")
        .says("rings", Problem, "--security-opt seccomp=");
}

#[test]
fn epoll_is_no_choice_without_need() {
    let by_epoll = |config: &mut Config| config.driver = Driver::Epoll;
    Machine::good()
        .told(by_epoll)
        .says("rings", Advice, "leave out --driver epoll");
    let needed = Machine::good().told(by_epoll).refusing("no");
    assert_eq!(needed.findings("switch"), []);
    needed.says("rings", Fine, "not to be had");
}

#[test]
fn locked_memory() {
    let short = || Machine::good().changed("proc/self/limits", "8388608", "65536");
    // The kernel gave the rings all the same, so it does not count them.
    short().says("locked memory", Fine, "does not count");
    short()
        .refusing("no")
        .says("locked memory", Problem, "420 KiB or more");
    short()
        .changed(
            "proc/self/status",
            "CapEff:\t0000000000000000",
            "CapEff:\t000001ffffffffff",
        )
        .says("locked memory", Advice, "perhaps for the service's");
    Machine::good()
        .changed("proc/self/limits", "8388608 ", "unlimited ")
        .says("locked memory", Fine, "unlimited");
}

#[test]
fn open_files() {
    let hard = |limit: &str| Machine::good().changed("proc/self/limits", "1048576", limit);
    // 2048 clients, 17 who wait for their refusal, 32 for the process, 32 for each of four shards.
    hard("2225").says("of the process", Fine, "2225 may be needed");
    hard("2224").says("of the process", Problem, "LimitNOFILE=1048576");
    let endless = hard("65536").told(|config| config.connections_max = 0);
    endless.says("of the process", Advice, "sets no limit");
    hard("unlimited").says("of the process", Fine, "");
    Machine::good().with("proc/sys/fs/nr_open", "2000").says(
        "a process's most",
        Problem,
        "sysctl -w fs.nr_open=1048576",
    );
    Machine::good().with("proc/sys/fs/file-max", "2000").says(
        "of the machine",
        Problem,
        "sysctl -w fs.file-max=",
    );
}

#[test]
fn more_cores_need_more() {
    let machine = Machine::good().on(&[None; 64]).refusing("no");
    machine.says("locked memory", Fine, "6720 KiB for 64 shards");
    let many = Machine::good().on(&[None; 200]).refusing("no");
    many.says("locked memory", Problem, "21000 KiB");
    let told = Machine::good().told(|config| config.cores = NonZeroUsize::new(4));
    told.says("pinning", Fine, "4 shards");
}

#[test]
fn memory() {
    // 1 GiB, 256 MiB, and 256 MiB for each of four shards.
    let group = "sys/fs/cgroup/system.slice/ws.service/memory.max";
    let limited = |bytes: u64| Machine::good().with(group, &bytes.to_string());
    limited(2304 << 20).says(
        "limit",
        Fine,
        "2304 MiB, and the budgets of queues are 2304 MiB",
    );
    limited((2304 << 20) - 1).says("limit", Advice, "more memory");
    Machine::good()
        .with("proc/meminfo", "MemTotal:  1000000 kB\n")
        .says("limit", Advice, "976 MiB");

    const PAGES: &str = "sys/kernel/mm/transparent_hugepage/enabled";
    Machine::good().with(PAGES, "[always] madvise never").says(
        "huge pages",
        Advice,
        "echo madvise > /sys",
    );
    Machine::good()
        .without(PAGES)
        .says("huge pages", Fine, "none");

    let swappy = || Machine::good().with("proc/sys/vm/swappiness", "60");
    swappy().says("swap", Advice, "sysctl -w vm.swappiness=10");
    swappy()
        .with("proc/swaps", "Filename Type\n")
        .says("swap", Fine, "there is none");
}
