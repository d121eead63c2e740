//! Times as nanoseconds since the start of the program.

use std::time::{Duration, Instant, SystemTime};

/// Where times begin, and when that was.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    epoch: Instant,
    wall: SystemTime,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            epoch: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    pub(crate) fn now(&self) -> u64 {
        nanoseconds(self.epoch.elapsed())
    }

    /// The time of day at `time`.
    pub(crate) fn wall(&self, time: u64) -> SystemTime {
        self.wall + Duration::from_nanos(time)
    }

    pub(crate) fn sleep_until(&self, time: u64) {
        std::thread::sleep(Duration::from_nanos(time.saturating_sub(self.now())));
    }
}

pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
