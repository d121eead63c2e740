//! What processes and the machine have used, as `/proc` tells it.

use std::{fs, io, str::FromStr};

/// Linux counts in hundredths of a second, on every architecture.
const TICK_US: u64 = 10_000;

/// A process to be watched.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) name: String,
    pid: u32,
}

impl FromStr for Watched {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split_once('=')
            .and_then(|(name, pid)| {
                Some(Self {
                    name: name.to_owned(),
                    pid: pid.parse().ok()?,
                })
            })
            .ok_or_else(|| "expected NAME=PID".into())
    }
}

impl Watched {
    pub(crate) fn this_process() -> Self {
        Self {
            name: "load".into(),
            pid: std::process::id(),
        }
    }

    /// Time of all its threads, those of the kernel that work for its io_uring included.
    pub(crate) fn cpu_us(&self) -> io::Result<u64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        // The name in parentheses may hold spaces; user and system time are fields 14 and 15.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks = fields.split_whitespace().skip(11).take(2);
        Ok(sum(ticks) * TICK_US)
    }

    /// Resident memory.
    pub(crate) fn rss_bytes(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        Ok(sum(line.unwrap_or_default().split_whitespace().take(1)) * 1024)
    }
}

/// Time that all CPUs were busy, with interrupts and with what others take of a virtual machine.
pub(crate) fn machine_us() -> io::Result<u64> {
    const IDLE: usize = 3;
    const IO_WAIT: usize = 4;
    const FIELDS: usize = 8;
    let stat = fs::read_to_string("/proc/stat")?;
    let fields = stat.lines().next().unwrap_or_default().split_whitespace();
    let busy = fields
        .skip(1)
        .take(FIELDS)
        .enumerate()
        .filter(|(at, _)| !matches!(*at, IDLE | IO_WAIT))
        .map(|(_, ticks)| ticks);
    Ok(sum(busy) * TICK_US)
}

/// What a thread of this program had of a CPU, and how long it waited for one.
#[derive(Clone, Copy, Default)]
pub(crate) struct ThreadTime {
    pub(crate) ran_ns: u64,
    pub(crate) waited_ns: u64,
}

impl ThreadTime {
    /// Nothing where the kernel does not count it.
    pub(crate) fn of(thread: i32) -> Self {
        let stat = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat"));
        let stat = stat.unwrap_or_default();
        let mut fields = stat.split_whitespace().flat_map(str::parse::<u64>);
        Self {
            ran_ns: fields.next().unwrap_or(0),
            waited_ns: fields.next().unwrap_or(0),
        }
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            ran_ns: self.ran_ns.saturating_sub(before.ran_ns),
            waited_ns: self.waited_ns.saturating_sub(before.waited_ns),
        }
    }
}

fn sum<'t>(numbers: impl Iterator<Item = &'t str>) -> u64 {
    numbers.flat_map(str::parse::<u64>).sum()
}
