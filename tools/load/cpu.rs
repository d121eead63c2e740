//! What processes and the machine have used, as `/proc` tells it.

use std::{collections::HashSet, fs, io, str::FromStr};

use crate::shared::about::about;

/// Linux counts in hundredths of a second, on every architecture.
const TICK_US: u64 = 10_000;
/// This program's name among those watched.
const THIS: &str = "load";

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
            name: THIS.into(),
            pid: std::process::id(),
        }
    }

    /// Time of all its threads, those of the kernel that work for its io_uring included.
    pub(crate) fn cpu_us(&self) -> io::Result<u64> {
        let stat = self.read("stat")?;
        // The name in parentheses may hold spaces; user and system time are fields 14 and 15.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks = fields.split_whitespace().skip(11).take(2);
        Ok(sum(ticks) * TICK_US)
    }

    /// Resident memory.
    pub(crate) fn rss_bytes(&self) -> io::Result<u64> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        Ok(sum(line.unwrap_or_default().split_whitespace().take(1)) * 1024)
    }

    fn read(&self, what: &str) -> io::Result<String> {
        let Self { name, pid } = self;
        fs::read_to_string(format!("/proc/{pid}/{what}")).map_err(|error| match error.kind() {
            // The latter where it ends while it is read.
            io::ErrorKind::NotFound | io::ErrorKind::Other => {
                io::Error::other(format!("there is no process {pid} (--watch {name}={pid})"))
            }
            _ => about(format!("process {pid} (--watch {name}={pid})"))(error),
        })
    }
}

/// Fails where somebody is not there, or two have one name: before a run, not at its end.
pub(crate) fn check(watched: &[Watched]) -> io::Result<()> {
    let mut names = HashSet::from([THIS]);
    for process in watched {
        process.cpu_us()?;
        if !names.insert(&process.name) {
            let text = format!("--watch: there is another {} already", process.name);
            return Err(io::Error::other(text));
        }
    }
    Ok(())
}

/// The machine's CPUs, and for how long they have been idle in all.
///
/// Its busy time is told by what is left of the time that passed. The kernel's own sums of busy time come
/// from looking at each tick who runs; whoever works between ticks, as an open loop may, is hardly in them.
#[derive(Clone, Copy)]
pub(crate) struct Machine {
    cpus: u64,
    idle_us: u64,
}

impl Machine {
    pub(crate) fn now() -> io::Result<Self> {
        Ok(Self::read(&fs::read_to_string("/proc/stat")?))
    }

    fn read(stat: &str) -> Self {
        const IDLE: usize = 4;
        let is_cpu = |line: &&str| {
            let number = line.strip_prefix("cpu").unwrap_or_default();
            number.starts_with(|first: char| first.is_ascii_digit())
        };
        let all = stat.lines().next().unwrap_or_default();
        // Idle, and idle while a disk was waited for.
        let idle = all.split_whitespace().skip(IDLE).take(2);
        Self {
            cpus: stat.lines().filter(is_cpu).count() as u64,
            idle_us: sum(idle) * TICK_US,
        }
    }

    /// Time that all CPUs were busy in the `passed_us` since `before`, with interrupts and with what others
    /// take of a virtual machine.
    pub(crate) fn busy_us(self, before: Self, passed_us: u64) -> u64 {
        let idle_us = self.idle_us.saturating_sub(before.idle_us);
        (self.cpus * passed_us).saturating_sub(idle_us)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_machine_was_not_idle_it_was_busy() {
        // Sums of busy time stand still here: nobody ran when the kernel looked.
        let before = Machine::read(
            "cpu  900 0 100 5000 700 0 3 4 0 0\ncpu0 500 0 50 2500 300 0 1 2 0 0\ncpu1 400 0 50 2500 400 0 2 2 0 0\nintr 9\n",
        );
        let after = Machine::read(
            "cpu  900 0 100 5150 710 0 3 4 0 0\ncpu0 500 0 50 2600 305 0 1 2 0 0\ncpu1 400 0 50 2550 405 0 2 2 0 0\nintr 9\n",
        );
        // Two CPUs, a second: 2 s less the 1.6 s that they were idle.
        assert_eq!(after.busy_us(before, 1_000_000), 400_000);
        assert_eq!(after.busy_us(before, 700_000), 0);
    }
}
