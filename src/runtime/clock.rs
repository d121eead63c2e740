//! The only place that reads clocks.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::shard::{Instant, Now};

/// Turns the machine's clocks into [`Now`]. All shards share one beginning.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    began: std::time::Instant,
}

impl Clock {
    #[allow(clippy::disallowed_methods, reason = "clocks are read here alone")]
    pub(super) fn start() -> Self {
        Self {
            began: std::time::Instant::now(),
        }
    }

    #[allow(clippy::disallowed_methods, reason = "clocks are read here alone")]
    pub(super) fn now(&self) -> Now {
        // 2^64 ns are 584 years. A wall clock before 1970 counts as 1970.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        Now {
            mono: self.mono(),
            wall_ms: wall.map_or(0, |wall| {
                u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)
            }),
        }
    }

    /// Monotonic time alone.
    #[allow(clippy::disallowed_methods, reason = "clocks are read here alone")]
    pub(super) fn mono(&self) -> Instant {
        Instant(u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}
