//! Time as data: instants that are handed in, and deadlines that are asked for.
//!
//! Nothing here reads a clock. `runtime/` reads it once per completion and passes [`Now`] to every
//! `handle_*`; machines put their deadlines into [`Timers`], whose earliest one is all that the
//! runtime needs to know in order to sleep.

use std::{ops::Add, time::Duration};

use crate::paged::Heap;

/// The time of one call into the shard: read once, passed everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time, for deadlines and latencies.
    pub mono: Instant,
    /// Wall clock in milliseconds since the Unix epoch, for what is written into messages.
    pub wall_ms: u64,
}

/// A point of monotonic time, in nanoseconds since the process began (or a simulation did).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Instant(pub u64);

impl Instant {
    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// The same in nanoseconds.
    #[must_use]
    pub const fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// An instant that may be missing, in the room of one: nothing happens at the end of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaybeInstant(Instant);

impl MaybeInstant {
    /// No instant.
    pub const NONE: Self = Self(Instant(u64::MAX));

    /// The instant, if there is one.
    #[must_use]
    pub fn get(self) -> Option<Instant> {
        (self != Self::NONE).then_some(self.0)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}

impl From<Instant> for MaybeInstant {
    fn from(instant: Instant) -> Self {
        Self(instant)
    }
}

impl From<Option<Instant>> for MaybeInstant {
    fn from(instant: Option<Instant>) -> Self {
        instant.map_or(Self::NONE, Self)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, delay: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

/// Deadlines by key. A deadline is never cancelled here: its owner looks, when it fires, whether
/// it still means something, and sets it anew if the true deadline has moved on. So each owner
/// keeps few entries a purpose, and the heap stays as small as the number of owners.
#[derive(Debug)]
pub struct Timers<K> {
    heap: Heap<Entry<K>>,
    /// Of the first one: asked for much more often than any is set.
    next_deadline: MaybeInstant,
    next_order: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry<K> {
    deadline: Instant,
    /// Equal deadlines fire in the order they were set, so that a run can be repeated.
    order: u64,
    key: K,
}

impl<K: Copy> Timers<K> {
    /// No deadline set.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            heap: Heap::new(),
            next_deadline: MaybeInstant::NONE,
            next_order: 0,
        }
    }

    /// Fires `key` at `deadline`.
    pub fn set(&mut self, deadline: Instant, key: K) {
        let order = self.next_order;
        self.next_order += 1;
        self.heap.push(Entry {
            deadline,
            order,
            key,
        });
        if deadline < self.next_deadline.0 {
            self.next_deadline = deadline.into();
        }
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.next_deadline.get()
    }

    /// Takes one key whose deadline has come, earliest first.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        if self.next_deadline()? > now {
            return None;
        }
        let entry = self.heap.pop()?;
        let next = self.heap.first().map(|entry| entry.deadline);
        self.next_deadline = next.into();
        Some(entry.key)
    }
}

#[cfg(test)]
impl<K: Copy> Timers<K> {
    /// How many deadlines are set, those included that mean nothing any more.
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}

impl<K> PartialEq for Entry<K> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl<K> Eq for Entry<K> {}

impl<K> PartialOrd for Entry<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Entry<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.deadline, self.order).cmp(&(other.deadline, other.order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fires_in_order_of_deadline_then_of_setting() {
        let mut timers = Timers::new();
        timers.set(Instant(20), "c");
        timers.set(Instant(10), "a");
        timers.set(Instant(10), "b");
        assert_eq!(timers.next_deadline(), Some(Instant(10)));
        assert_eq!(timers.pop_due(Instant(9)), None);
        assert_eq!(timers.pop_due(Instant(10)), Some("a"));
        assert_eq!(timers.pop_due(Instant(10)), Some("b"));
        assert_eq!(timers.pop_due(Instant(10)), None);
        assert_eq!(timers.pop_due(Instant(u64::MAX)), Some("c"));
        assert_eq!(timers.next_deadline(), None);
    }

    #[test]
    fn an_instant_that_may_be_missing_takes_no_more_room() {
        assert_eq!(size_of::<MaybeInstant>(), size_of::<Instant>());
        assert!(MaybeInstant::NONE.is_none());
        for instant in [None, Some(Instant(0)), Some(Instant(7))] {
            let maybe = MaybeInstant::from(instant);
            assert_eq!((maybe.get(), maybe.is_none()), (instant, instant.is_none()));
        }
    }

    #[test]
    fn far_delays_saturate() {
        assert_eq!(Instant(5) + Duration::MAX, Instant(u64::MAX));
        assert_eq!(Instant(5).since(Instant(9)), Duration::ZERO);
    }
}
