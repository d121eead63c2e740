//! Which timers of one owner are pending, so that none is set that does nothing.

use crate::timer::Instant;

/// As many as are remembered. One that is not may be set again, which does no harm.
const REMEMBERED_MAX: usize = 4;

/// Stands for no timer.
const NEVER: Instant = Instant(u64::MAX);

/// The timers of one owner that are set, the earliest first. Only an earlier one is ever set besides:
/// when that has fired the later ones are still there.
#[derive(Debug)]
pub(super) struct Armed([Instant; REMEMBERED_MAX]);

impl Armed {
    /// No timer is set.
    pub(super) const fn new() -> Self {
        Self([NEVER; REMEMBERED_MAX])
    }

    /// Whether a timer has to be set for this deadline; it is taken as set.
    pub(super) fn is_earliest(&mut self, deadline: Instant) -> bool {
        let is_earliest = deadline < self.0[0];
        if is_earliest {
            self.0.rotate_right(1);
            self.0[0] = deadline;
        }
        is_earliest
    }

    /// A timer fired: whether it is the earliest, whose time has come.
    pub(super) fn fires(&mut self, now: Instant) -> bool {
        let fires = self.0[0] <= now;
        if fires {
            self.0[0] = NEVER;
            self.0.rotate_left(1);
        }
        fires
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::timer::Timers;

    #[test]
    fn a_later_one_stays_set() {
        let mut armed = Armed::new();
        assert!(armed.is_earliest(Instant(30)));
        assert!(armed.is_earliest(Instant(1)));
        assert!(!armed.is_earliest(Instant(1)));
        assert!(!armed.is_earliest(Instant(2)));
        assert!(armed.fires(Instant(1)));
        assert!(!armed.is_earliest(Instant(30)));
        assert!(!armed.fires(Instant(29)));
        assert!(armed.fires(Instant(30)));
        assert!(!armed.fires(Instant(31)));
        assert!(armed.is_earliest(Instant(40)));
    }

    proptest! {
        /// Whatever is due is noticed in time, however many deadlines there are.
        #[test]
        fn nothing_is_missed(delays in prop::collection::vec(0..50u64, 1..100)) {
            let (mut armed, mut timers) = (Armed::new(), Timers::new());
            let mut due = Vec::new();
            for (now, delay) in (0..).zip(delays.into_iter().chain([0; 50])) {
                let now = Instant(now);
                due.push(now.0 + delay);
                loop {
                    if let Some(&next) = due.iter().min()
                        && armed.is_earliest(Instant(next))
                    {
                        timers.set(Instant(next), ());
                    }
                    if timers.pop_due(now).is_none() {
                        break;
                    }
                    if armed.fires(now) {
                        due.retain(|&at| at > now.0);
                    }
                }
                prop_assert!(due.iter().all(|&at| at > now.0));
            }
        }
    }
}
