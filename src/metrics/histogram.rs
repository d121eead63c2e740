//! How often a figure had which value, of one core: recorded without allocation, told with an error below one
//! percent.
//!
//! The cells are those of HdrHistogram, with two significant digits and a range that never grows. Messages
//! that one turn brought mostly have the same figure, so a run of equal values is counted first and put
//! into its cell when another value comes: most messages cost a comparison and an addition.

use hdrhistogram::Histogram as Cells;

/// The longest latency that is told apart from longer ones: an hour.
const NANOS_MAX: u64 = 3_600_000_000_000;
/// The largest number of messages that is told apart from larger ones.
const MESSAGES_MAX: u64 = 1 << 20;
const SIGNIFICANT_DIGITS: u8 = 2;

/// One figure of one core.
#[derive(Clone, Debug)]
pub struct Histogram {
    cells: Cells<u64>,
    /// Of all values in cells, exact.
    sum: u64,
    run: Run,
}

/// Equal values that came one after the other, and are in no cell yet.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    value: u64,
    count: u64,
}

impl Histogram {
    /// Of times in nanoseconds: 36 KiB.
    #[must_use]
    pub fn of_nanos() -> Self {
        Self::up_to(NANOS_MAX)
    }

    /// Of numbers of messages: 15 KiB.
    #[must_use]
    pub fn of_messages() -> Self {
        Self::up_to(MESSAGES_MAX)
    }

    fn up_to(max: u64) -> Self {
        let Ok(cells) = Cells::new_with_bounds(1, max, SIGNIFICANT_DIGITS) else {
            unreachable!("the range is a constant");
        };
        Self {
            cells,
            sum: 0,
            run: Run::default(),
        }
    }

    /// Counts a value. One beyond the range counts as the range's end, and whole in the sum.
    #[inline]
    pub fn record(&mut self, value: u64) {
        if value != self.run.value {
            self.end_run();
            self.run.value = value;
        }
        self.run.count += 1;
    }

    #[inline(never)]
    fn end_run(&mut self) {
        let Run { value, count } = std::mem::take(&mut self.run);
        if count > 0 {
            self.cells.saturating_record_n(value, count);
            self.sum = self.sum.saturating_add(value.saturating_mul(count));
        }
    }

    /// What was counted until now.
    pub fn snapshot(&mut self) -> Self {
        self.end_run();
        self.clone()
    }

    /// How many values there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.cells.len() + self.run.count
    }

    /// The sum of all values of a snapshot.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.sum
    }

    /// How many values of a snapshot were at most each of `bounds`, which ascend. A cell belongs to the bounds
    /// that its lowest value is within, so what equals a bound is within it, and so is what lies less than one
    /// percent beyond.
    #[must_use]
    pub fn within(&self, bounds: &[u64]) -> Vec<u64> {
        let mut counts = vec![0; bounds.len()];
        for cell in self.cells.iter_recorded() {
            let lowest = self.cells.lowest_equivalent(cell.value_iterated_to());
            let first = bounds.partition_point(|bound| *bound < lowest);
            if let Some(count) = counts.get_mut(first) {
                *count += cell.count_at_value();
            }
        }
        let mut within = 0;
        for count in &mut counts {
            within += *count;
            *count = within;
        }
        counts
    }

    /// The cells of a snapshot.
    pub(super) const fn cells(&self) -> &Cells<u64> {
        &self.cells
    }
}

impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        let of = |it: &Self| (it.sum + it.run.value * it.run.count, it.count());
        of(self) == of(other) && self.cells == other.cells
    }
}

impl Eq for Histogram {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_lie_within_their_bounds() {
        let mut histogram = Histogram::of_nanos();
        for value in [0, 999, 1000, 1000, 1020, 5000, u64::MAX] {
            histogram.record(value);
        }
        let snapshot = histogram.snapshot();
        assert_eq!(
            snapshot.within(&[0, 995, 1000, 4980, 5000, NANOS_MAX]),
            [1, 1, 4, 5, 6, 7]
        );
        assert_eq!(snapshot.count(), 7);
        assert_eq!(snapshot.sum(), u64::MAX, "it does not wrap");
    }

    #[test]
    fn a_run_is_counted_as_it_goes_on() {
        let mut histogram = Histogram::of_messages();
        assert_eq!((histogram.count(), histogram.snapshot().sum()), (0, 0));
        for _ in 0..3 {
            histogram.record(7);
        }
        assert_eq!(histogram.count(), 3);
        assert_eq!(histogram.snapshot().sum(), 21);
        histogram.record(7);
        histogram.record(0);
        let snapshot = histogram.snapshot();
        assert_eq!((snapshot.count(), snapshot.sum()), (5, 28));
        assert_eq!(snapshot.within(&[0, 6, 7]), [1, 1, 5]);
    }

    proptest! {
        #[test]
        fn the_error_is_below_one_percent(
            values in prop::collection::vec(0..2 * NANOS_MAX, 1..50),
            bounds in prop::collection::btree_set(1..NANOS_MAX / 2, 1..9),
        ) {
            let mut histogram = Histogram::of_nanos();
            values.iter().for_each(|value| histogram.record(*value));
            let snapshot = histogram.snapshot();
            prop_assert_eq!(snapshot.sum(), values.iter().sum::<u64>());
            let bounds: Vec<u64> = bounds.into_iter().collect();
            for (bound, within) in bounds.iter().zip(snapshot.within(&bounds)) {
                let at_most = |limit: u64| values.iter().filter(|it| **it <= limit).count() as u64;
                prop_assert!((at_most(*bound)..=at_most(bound + bound / 100)).contains(&within));
            }
        }
    }
}
