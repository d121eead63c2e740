//! Looks at the machine before the service runs on it: what is right, what could be better, what
//! will fail, and the command that changes it.
//!
//! Read-only, and no privilege is needed; what can't be read is said to be so. Everything is read
//! below a root folder, so that tests give a machine of files. Cold: nothing here runs while
//! clients are served.
//!
//! ```text
//!  /proc, /sys ─▶ root ─▶ ring, files, network, card, cpu, placement, memory ─▶ findings ─▶ report (text or JSON)
//! ```

mod card;
mod cgroup;
mod cpu;
mod files;
mod finding;
mod memory;
mod network;
mod placement;
mod report;
mod ring;
mod root;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use finding::{Finding, Level};
pub use report::Report;

use self::root::Root;
use crate::config::Config;

/// What the service would do on this machine, as far as the files don't tell.
pub struct Plan<'a> {
    /// What it was told.
    pub config: &'a Config,
    /// One entry a shard: the CPU it would be pinned to, if to any.
    pub layout: &'a [Option<usize>],
    /// Whether the kernel gave each shard a ring just now, or why it did not.
    pub rings: Result<(), String>,
}

/// Compares the machine whose files lie below `root` with what `plan` needs.
#[must_use]
pub fn check(root: &Path, plan: &Plan<'_>) -> Report {
    let view = View {
        root: Root::new(root),
        plan,
    };
    let checks: [fn(&View<'_>) -> Vec<Finding>; 7] = [
        ring::findings,
        files::findings,
        cpu::findings,
        placement::findings,
        card::findings,
        network::findings,
        memory::findings,
    ];
    Report::new(checks.iter().flat_map(|check| check(&view)).collect())
}

/// What a check may look at.
struct View<'a> {
    root: Root,
    plan: &'a Plan<'a>,
}

impl View<'_> {
    fn shards(&self) -> usize {
        self.plan.layout.len().max(1)
    }

    /// CPUs that shards are pinned to.
    fn pinned(&self) -> Vec<usize> {
        self.plan.layout.iter().copied().flatten().collect()
    }

    /// CPUs that shards may run on: those they are pinned to, or all that the process may use.
    fn cpus(&self) -> Vec<usize> {
        let pinned = self.pinned();
        if pinned.is_empty() {
            self.allowed()
        } else {
            pinned
        }
    }

    /// CPUs of this process's affinity mask.
    fn allowed(&self) -> Vec<usize> {
        self.root
            .field("proc/self/status", "Cpus_allowed_list:")
            .map(|list| root::cpus(&list))
            .unwrap_or_default()
    }

    /// Whether this process has a capability, by its number in capabilities(7).
    fn is_capable(&self, number: u32) -> bool {
        self.root
            .field("proc/self/status", "CapEff:")
            .and_then(|mask| u64::from_str_radix(&mask, 16).ok())
            .is_some_and(|mask| mask >> number & 1 == 1)
    }
}
