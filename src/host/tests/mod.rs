//! Machines made of files, each good but for one thing.

mod cpus;
mod network;
mod process;
mod tuning;

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use super::{Finding, Level, Plan, Report, check};
use crate::config::Config;
use Level::{Advice, Ok as Fine, Problem, Unknown};

/// A folder that stands for `/`, and what the service was told.
struct Machine {
    root: PathBuf,
    config: Config,
    layout: Vec<Option<usize>>,
    rings: Result<(), String>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

const LIMITS: &str = "\
Limit                     Soft Limit           Hard Limit           Units
Max open files            1024                 1048576              files
Max locked memory         8388608              8388608              bytes
";

impl Machine {
    fn empty() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pulsar-ws-fast-host-{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        fs::create_dir_all(&root).unwrap();
        Self {
            root,
            config: Config::default(),
            layout: (0..4).map(Some).collect(),
            rings: Ok(()),
        }
    }

    /// Eight CPUs on two nodes, siblings far apart, a card with four queues on node 0; four shards.
    fn good() -> Self {
        let mut machine = Self::empty();
        for (path, text) in [
            ("proc/sys/kernel/osrelease", "6.12.3-amd64\n"),
            ("proc/sys/kernel/io_uring_disabled", "0\n"),
            ("proc/self/limits", LIMITS),
            (
                "proc/self/status",
                "Name:\tx\nCapEff:\t0000000000000000\nSeccomp:\t0\nCpus_allowed_list:\t0-7\n",
            ),
            ("proc/self/cgroup", "0::/system.slice/ws.service\n"),
            ("sys/fs/cgroup/system.slice/cpu.max", "max 100000\n"),
            ("proc/sys/fs/nr_open", "1048576\n"),
            ("proc/sys/fs/file-max", "9223372036854775807\n"),
            (
                "proc/stat",
                "cpu  600 0 300 8000 50 0 50 0 0 0\ncpu0 1 1 1\n",
            ),
            (
                "proc/pressure/cpu",
                "some avg10=0.00 avg60=2.10 avg300=0.00 total=1\n",
            ),
            (
                "sys/devices/system/clocksource/clocksource0/current_clocksource",
                "tsc\n",
            ),
            ("sys/devices/system/cpu/online", "0-7\n"),
            ("sys/devices/system/cpu/isolated", "\n"),
            ("sys/devices/system/cpu/intel_pstate/no_turbo", "0\n"),
            ("sys/devices/system/node/node0/cpulist", "0-3\n"),
            ("sys/devices/system/node/node1/cpulist", "4-7\n"),
            ("proc/sys/net/core/somaxconn", "8192\n"),
            ("proc/sys/net/ipv4/tcp_max_syn_backlog", "8192\n"),
            ("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"),
            ("proc/sys/net/ipv4/tcp_tw_reuse", "2\n"),
            ("proc/sys/net/ipv4/tcp_slow_start_after_idle", "0\n"),
            ("proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n"),
            ("proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t4194304\n"),
            ("proc/meminfo", "MemTotal:       16384000 kB\n"),
            (
                "sys/kernel/mm/transparent_hugepage/enabled",
                "always [madvise] never\n",
            ),
            (
                "proc/swaps",
                "Filename\tType\tSize\tUsed\tPriority\n/swap file 1 0 -2\n",
            ),
            ("proc/sys/vm/swappiness", "10\n"),
            ("sys/class/net/lo/operstate", "unknown\n"),
            ("sys/class/net/eth0/operstate", "up\n"),
            ("sys/class/net/eth0/device/numa_node", "0\n"),
            ("sys/class/net/eth1/operstate", "down\n"),
            ("sys/class/net/eth1/device/numa_node", "1\n"),
        ] {
            machine.write(path, text);
        }
        let mut interrupts = String::from("           CPU0       CPU1\n");
        for cpu in 0..8 {
            let folder = format!("sys/devices/system/cpu/cpu{cpu}");
            machine.write(&format!("{folder}/cpufreq/scaling_governor"), "performance");
            let (low, high) = (cpu % 4, cpu % 4 + 4);
            machine.write(
                &format!("{folder}/topology/thread_siblings_list"),
                &format!("{low},{high}\n"),
            );
        }
        for queue in 0..4 {
            let irq = 40 + queue;
            let card = "sys/class/net/eth0";
            machine.write(&format!("{card}/queues/rx-{queue}/rps_cpus"), "00");
            let mask = format!("{:02x}", 1 << queue);
            machine.write(&format!("{card}/queues/tx-{queue}/xps_cpus"), &mask);
            machine.write(&format!("{card}/device/msi_irqs/{irq}"), "msix");
            machine.write(
                &format!("proc/irq/{irq}/effective_affinity_list"),
                &format!("{queue}\n"),
            );
            interrupts += &format!("  {irq}:          0        912   PCI-MSIX eth0-{queue}\n");
        }
        // The card's own interrupt, for what never happens.
        machine.write("sys/class/net/eth0/device/msi_irqs/50", "msix");
        machine.write("proc/irq/50/effective_affinity_list", "6");
        interrupts += "  50:          0          0   PCI-MSIX eth0-config\n";
        machine.write("proc/interrupts", &interrupts);
        machine
    }

    fn write(&mut self, path: &str, text: &str) -> &mut Self {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn with(mut self, path: &str, text: &str) -> Self {
        self.write(path, text);
        self
    }

    fn without(self, path: &str) -> Self {
        fs::remove_file(self.root.join(path)).unwrap();
        self
    }

    /// In a file that is there, one text for another.
    fn changed(self, path: &str, old: &str, new: &str) -> Self {
        let text = fs::read_to_string(self.root.join(path)).unwrap();
        assert!(text.contains(old), "{path} has no {old}");
        self.with(path, &text.replace(old, new))
    }

    fn on(mut self, layout: &[Option<usize>]) -> Self {
        layout.clone_into(&mut self.layout);
        self
    }

    fn told(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    fn refusing(mut self, sentence: &str) -> Self {
        self.rings = Err(sentence.to_owned());
        self
    }

    fn report(&self) -> Report {
        let plan = Plan {
            config: &self.config,
            layout: &self.layout,
            rings: self.rings.clone(),
        };
        check(&self.root, &plan)
    }

    fn findings(&self, name: &str) -> Vec<Finding> {
        let report = self.report();
        let all = report.findings().iter();
        all.filter(|f| f.name == name).cloned().collect()
    }

    /// The only finding of that name.
    fn finding(&self, name: &str) -> Finding {
        let found = self.findings(name);
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        found[0].clone()
    }

    /// That finding has this level, and says these words somewhere.
    #[track_caller]
    fn says(self, name: &str, level: Level, words: &str) {
        let finding = self.finding(name);
        assert_eq!(finding.level, level, "{finding:?}");
        let said = format!("{finding:?}");
        assert!(said.contains(words), "\"{words}\" is not in {said}");
        let must_tell = matches!(level, Advice | Problem);
        assert_eq!(finding.set.is_some(), must_tell, "{finding:?}");
    }
}

#[test]
fn nothing_is_wrong_with_a_good_machine() {
    let machine = Machine::good();
    let report = machine.report();
    for finding in report.findings() {
        assert_eq!(finding.level, Fine, "{finding:?}");
        assert!(finding.why.ends_with('.'), "{finding:?}");
    }
    assert!(report.findings().len() >= 28, "{report:?}");
    assert!(!report.has_problem());
}

#[test]
fn what_cannot_be_read_is_said() {
    let report = Machine::empty().report();
    assert!(!report.has_problem());
    for name in [
        "kernel",
        "locked memory",
        "of the process",
        "a process's most",
        "of the machine",
        "clock",
        "stolen time",
        "neighbours",
        "cards",
        "accept queue",
        "SYN queue",
        "ports",
        "ports in TIME-WAIT",
        "slow start",
        "receive buffer",
        "send buffer",
        "limit",
    ] {
        Machine::empty().says(name, Unknown, "");
    }
    // Not a file that could be read.
    let machine = Machine::good().without("proc/sys/net/core/somaxconn");
    fs::create_dir(machine.root.join("proc/sys/net/core/somaxconn")).unwrap();
    machine.says("accept queue", Unknown, "can't read /proc/sys/net/core/");
    let machine = Machine::good().with("proc/sys/net/core/somaxconn", "many");
    machine.says("accept queue", Unknown, "no number");
}
