//! Who goes on at which time.

use std::{cmp::Reverse, collections::BinaryHeap};

use rustix::event::Timespec;

/// Times in nanoseconds with numbers of clients.
#[derive(Default)]
pub(crate) struct Due(BinaryHeap<Reverse<(u64, usize)>>);

impl Due {
    pub(crate) fn push(&mut self, due: u64, index: usize) {
        self.0.push(Reverse((due, index)));
    }

    /// The earliest of all times; the largest there is if nobody waits.
    pub(crate) fn next(&self) -> u64 {
        self.0.peek().map_or(u64::MAX, |Reverse((due, _))| *due)
    }

    /// Takes the earliest that is not after `now`.
    pub(crate) fn pop(&mut self, now: u64) -> Option<(u64, usize)> {
        if self.next() > now {
            return None;
        }
        self.0.pop().map(|Reverse(first)| first)
    }
}

/// Of so many nanoseconds.
pub(crate) fn duration(ns: u64) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(ns / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(ns % 1_000_000_000).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_none_before_its_time() {
        let mut due = Due::default();
        assert_eq!((due.next(), due.pop(100)), (u64::MAX, None));
        due.push(7, 0);
        due.push(5, 1);
        assert_eq!((due.next(), due.pop(4)), (5, None));
        assert_eq!(due.pop(7), Some((5, 1)));
        assert_eq!(due.pop(7), Some((7, 0)));
        assert_eq!(due.pop(u64::MAX - 1), None);
    }
}
