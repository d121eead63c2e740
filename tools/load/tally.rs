//! What clients did, counted, and how long it took.

use std::{collections::BTreeMap, mem};

use hdrhistogram::Histogram;

use crate::client::Traffic;

/// Longer times count as this one: an hour.
const NS_MAX: u64 = 3_600_000_000_000;
/// Values are told with so many digits.
const DIGITS: u8 = 3;
/// Kinds of errors that are told apart.
const KINDS_MAX: usize = 20;

/// One direction's messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Side {
    /// Messages that were answered: confirmed or refused, or else acknowledged.
    pub(crate) total: u64,
    /// Hashes of their ids, added up.
    pub(crate) sum: u64,
    /// Answers that were not as they must be, errors among them.
    pub(crate) wrong: u64,
    /// Answers that came before those of earlier messages.
    pub(crate) reordered: u64,
    /// What was refused, by its reason.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Bytes of payloads, before base64.
    pub(crate) payload_bytes: u64,
}

impl Side {
    pub(crate) fn refused(&mut self, reason: &[u8]) {
        let reason = String::from_utf8_lossy(reason).into_owned();
        let full = self.errors.len() >= KINDS_MAX && !self.errors.contains_key(&reason);
        let reason = if full { "others".into() } else { reason };
        *self.errors.entry(reason).or_default() += 1;
    }

    fn add(&mut self, other: Self) {
        self.total += other.total;
        self.sum = self.sum.wrapping_add(other.sum);
        self.wrong += other.wrong;
        self.reordered += other.reordered;
        self.payload_bytes += other.payload_bytes;
        for (reason, count) in other.errors {
            *self.errors.entry(reason).or_default() += count;
        }
    }
}

/// What a worker's clients did.
#[derive(Clone, Default)]
pub(crate) struct Tally {
    pub(crate) publish: Side,
    pub(crate) consume: Side,
    /// Publishes that were never answered.
    pub(crate) unanswered: u64,
    /// Publishes that were due and never sent.
    pub(crate) unsent: u64,
    /// Deliveries of an earlier run.
    pub(crate) stale: u64,
    /// Hashes of end-to-end messages: those confirmed, and those delivered.
    pub(crate) confirmed_sum: u64,
    pub(crate) delivered_sum: u64,
    pub(crate) traffic: Traffic,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.publish.add(other.publish);
        self.consume.add(other.consume);
        self.unanswered += other.unanswered;
        self.unsent += other.unsent;
        self.stale += other.stale;
        self.confirmed_sum = self.confirmed_sum.wrapping_add(other.confirmed_sum);
        self.delivered_sum = self.delivered_sum.wrapping_add(other.delivered_sum);
        self.traffic.sent += other.traffic.sent;
        self.traffic.received += other.traffic.received;
    }
}

/// Times, in nanoseconds. The space for them comes with the first.
#[derive(Clone, Default)]
pub(crate) struct Times(Option<Box<Histogram<u64>>>);

impl Times {
    pub(crate) fn record(&mut self, ns: u64) {
        self.space().saturating_record(ns);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        if let Some(other) = &other.0 {
            // Both have the same bounds, so nothing can be out of them.
            let _ = self.space().add(&**other);
        }
    }

    pub(crate) fn get(&self) -> Option<&Histogram<u64>> {
        self.0.as_deref()
    }

    fn space(&mut self) -> &mut Histogram<u64> {
        self.0.get_or_insert_with(|| Box::new(space()))
    }
}

#[expect(clippy::unwrap_used, reason = "constant bounds, which a test tries")]
fn space() -> Histogram<u64> {
    Histogram::new_with_bounds(1, NS_MAX, DIGITS).unwrap()
}

/// How long things took, of those that were over after the measured time began.
#[derive(Clone, Default)]
pub(crate) struct Latencies {
    /// From due, or sent, to receipt.
    pub(crate) publish: Times,
    /// From due to delivery.
    pub(crate) delivery: Times,
    /// From due to sent, where nothing but this program was in the way.
    pub(crate) lateness: Times,
}

impl Latencies {
    pub(crate) fn take(&mut self) -> Self {
        mem::take(self)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.publish.add(&other.publish);
        self.delivery.add(&other.delivery);
        self.lateness.add(&other.lateness);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_to_three_digits_and_add_up() {
        let mut times = Times::default();
        for ns in 1..=100_000 {
            times.record(ns * 1000);
        }
        let mut more = Times::default();
        more.record(u64::MAX);
        times.add(&more);
        let histogram = times.get().expect("recorded");
        assert_eq!(histogram.len(), 100_001);
        let median = histogram.value_at_quantile(0.5);
        assert!((49_950_000..=50_050_000).contains(&median), "{median}");
        assert!(histogram.max() >= NS_MAX);
        assert!(Times::default().get().is_none());
    }

    #[test]
    fn kinds_of_errors_are_bounded() {
        let mut side = Side::default();
        for number in 0..100 {
            side.refused(format!("error {number}").as_bytes());
            side.refused(b"error 0");
        }
        assert_eq!(side.errors.len(), KINDS_MAX + 1);
        assert_eq!(side.errors["error 0"], 101);
        assert_eq!(side.errors.values().sum::<u64>(), 200);
    }
}
