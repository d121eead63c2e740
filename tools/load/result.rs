//! What a run came to, and whether it says something about the service.

use std::io;

use crate::{
    cpu::ThreadTime,
    hdr_log::HdrLog,
    schedule::approximate,
    slot::Told,
    tally::{Latencies, Tally, Times},
    text::duration,
};

/// A thread that ran, or waited to, for a larger share of the time is a bottleneck.
const BUSY_MAX: f64 = 0.95;
/// Sends later than this are late in any case, ...
const LATE_NS: u64 = 1_000_000;
/// ... and later than this where that is a good part of the latency.
const SLIGHTLY_LATE_NS: u64 = 100_000;
const LATE_SHARE: u64 = 4;

/// What a process used in the measured time.
pub(crate) struct Used {
    pub(crate) name: String,
    pub(crate) cpu_us: u64,
    /// At its end.
    pub(crate) rss_bytes: u64,
}

pub(crate) struct Result {
    pub(crate) tally: Tally,
    /// Of all the measured time.
    pub(crate) latencies: Latencies,
    pub(crate) measured_ns: u64,
    /// Messages of the measured time.
    pub(crate) published: u64,
    pub(crate) delivered: u64,
    pub(crate) machine_us: u64,
    pub(crate) used: Vec<Used>,
    pub(crate) threads: Vec<ThreadTime>,
    log: Option<HdrLog>,
}

impl Result {
    pub(crate) fn new(log: Option<HdrLog>) -> Self {
        Self {
            tally: Tally::default(),
            latencies: Latencies::default(),
            measured_ns: 0,
            published: 0,
            delivered: 0,
            machine_us: 0,
            used: Vec::new(),
            threads: Vec::new(),
            log,
        }
    }

    /// Adds what a worker told.
    pub(crate) fn take(&mut self, told: Told) {
        self.latencies.add(&told.latencies);
        if let Some(log) = &self.log {
            let Latencies {
                publish, delivery, ..
            } = told.latencies;
            let end_to_end = delivery.get().is_some();
            log.take(told.interval, if end_to_end { delivery } else { publish });
        }
    }

    /// Writes what is left of the log.
    pub(crate) fn finish_log(&mut self) -> io::Result<()> {
        self.log.take().map_or(Ok(()), HdrLog::finish)
    }

    /// Whether exactly the confirmed messages were delivered, each of them once.
    pub(crate) fn all_delivered_once(&self) -> bool {
        let tally = &self.tally;
        tally.publish.total - tally.publish.wrong == tally.consume.total
            && tally.confirmed_sum == tally.delivered_sum
    }

    pub(crate) fn seconds(&self) -> f64 {
        approximate(self.measured_ns) / 1e9
    }

    /// The share of the measured time in which the busiest thread ran, and in which it waited for a CPU.
    pub(crate) fn busiest(&self) -> (f64, f64) {
        let share = |ns| approximate(ns) / approximate(self.measured_ns.max(1));
        let busiest = self
            .threads
            .iter()
            .max_by_key(|time| time.ran_ns + time.waited_ns);
        busiest.map_or((0.0, 0.0), |time| {
            (share(time.ran_ns), share(time.waited_ns))
        })
    }

    /// Why this program, not the service, may be what was measured.
    pub(crate) fn saturated(&self) -> Option<String> {
        let (ran, waited) = self.busiest();
        if ran + waited > BUSY_MAX {
            return Some(format!(
                "a thread of the load client ran {:.0} % of the time and waited for a CPU {:.0} %",
                ran * 100.0,
                waited * 100.0
            ));
        }
        let late = p99(&self.latencies.lateness)?;
        let of = p99(&self.latencies.delivery).or_else(|| p99(&self.latencies.publish));
        let much = of.is_none_or(|of| late > of / LATE_SHARE);
        (late > LATE_NS || (late > SLIGHTLY_LATE_NS && much)).then(|| {
            format!(
                "one of a hundred publishes left the load client {} or more after it was due",
                duration(late)
            )
        })
    }
}

fn p99(times: &Times) -> Option<u64> {
    times
        .get()
        .map(|histogram| histogram.value_at_quantile(0.99))
}
