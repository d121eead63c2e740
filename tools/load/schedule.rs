//! When the publishes of an open loop are due: evenly, whatever becomes of those before.

/// Due times in nanoseconds. A time is computed from its number, so errors of rounding do not add up.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    start: f64,
    interval: f64,
    next: u64,
}

impl Schedule {
    /// `per_second` publishes from `start` on, for the client `index` of `clients`: their times are
    /// spread over the interval, so that not all are due at once.
    pub(crate) fn new(start: u64, per_second: f64, index: usize, clients: usize) -> Self {
        let interval = 1e9 / per_second;
        Self {
            start: approximate(start) + interval * fraction(index, clients),
            interval,
            next: 0,
        }
    }

    /// When the next publish is due.
    pub(crate) fn due(&self) -> u64 {
        whole(self.interval.mul_add(approximate(self.next), self.start))
    }

    /// The next one is sent.
    pub(crate) fn advance(&mut self) {
        self.next += 1;
    }

    /// How many are due before `time` that were not sent.
    pub(crate) fn behind(&self, time: u64) -> u64 {
        let due = (approximate(time) - self.start) / self.interval;
        whole(due.ceil().max(0.0)).saturating_sub(self.next)
    }
}

fn fraction(part: usize, whole: usize) -> f64 {
    approximate(part as u64) / approximate(whole.max(1) as u64)
}

/// Exact for 104 days in nanoseconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "53 bits are enough for what is counted here"
)]
pub(crate) fn approximate(number: u64) -> f64 {
    number as f64
}

/// The whole part of a number that is not negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and what is negative is none here"
)]
pub(crate) fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(mut schedule: Schedule, count: usize) -> Vec<u64> {
        let mut times = Vec::new();
        for _ in 0..count {
            times.push(schedule.due());
            schedule.advance();
        }
        times
    }

    #[test]
    fn publishes_are_due_evenly_and_never_drift() {
        let three = times(Schedule::new(1000, 3.0, 0, 1), 3_000_001);
        assert_eq!(three[..3], [1000, 333_334_333, 666_667_666]);
        // A million seconds later it is still on time.
        assert_eq!(three[3_000_000], 1_000_000_000_001_000);
    }

    #[test]
    fn clients_take_turns() {
        let mut all: Vec<u64> = (0..4)
            .flat_map(|index| times(Schedule::new(0, 1000.0, index, 4), 2))
            .collect();
        all.sort_unstable();
        assert_eq!(
            all,
            [
                0, 250_000, 500_000, 750_000, 1_000_000, 1_250_000, 1_500_000, 1_750_000
            ]
        );
    }

    #[test]
    fn what_was_due_and_not_sent_is_counted() {
        let mut schedule = Schedule::new(0, 1000.0, 0, 1);
        assert_eq!(schedule.behind(0), 0);
        assert_eq!(schedule.behind(1), 1);
        assert_eq!(schedule.behind(10_000_000), 10);
        for _ in 0..8 {
            schedule.advance();
        }
        assert_eq!(schedule.behind(10_000_000), 2);
        assert_eq!(schedule.behind(1_000_000), 0);
    }
}
