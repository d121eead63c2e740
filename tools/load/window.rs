//! What workers and the thread that measures share.

use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

/// The measured time. Its ends are known once all clients are connected.
pub(crate) struct Window {
    begin: AtomicU64,
    end: AtomicU64,
}

impl Window {
    pub(crate) fn unknown() -> Self {
        Self {
            begin: AtomicU64::new(u64::MAX),
            end: AtomicU64::new(u64::MAX),
        }
    }

    pub(crate) fn set(&self, begin: u64, end: u64) {
        self.end.store(end, Relaxed);
        self.begin.store(begin, Relaxed);
    }

    /// Ends it before its time.
    pub(crate) fn cut(&self, end: u64) {
        self.end.fetch_min(end, Relaxed);
    }

    pub(crate) fn begin(&self) -> u64 {
        self.begin.load(Relaxed)
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(Relaxed)
    }

    /// Whether what is over at `time` counts. What was due earlier does: it waited. So does what comes
    /// after the end: nothing is sent any more, only waited for.
    pub(crate) fn begun(&self, time: u64) -> bool {
        self.begin() <= time
    }
}

/// Counts over all workers, added to once a turn.
pub(crate) struct Shared {
    pub(crate) window: Window,
    /// Publishes that were answered, and those of them that were refused.
    pub(crate) published: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) delivered: AtomicU64,
    /// Publishes without an answer; wraps around below zero.
    in_flight: AtomicU64,
    /// Workers that send no further publishes.
    stopped: AtomicUsize,
    finish: AtomicBool,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            window: Window::unknown(),
            published: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            stopped: AtomicUsize::new(0),
            finish: AtomicBool::new(false),
        }
    }

    pub(crate) fn change_in_flight(&self, before: u64, after: u64) {
        if before != after {
            self.in_flight
                .fetch_add(after.wrapping_sub(before), Relaxed);
        }
    }

    /// This worker sends nothing more, and has counted what is in flight.
    pub(crate) fn stop(&self) {
        self.stopped.fetch_add(1, Release);
    }

    /// Whether all of `workers` have stopped, and everything is answered.
    pub(crate) fn drained(&self, workers: usize) -> bool {
        self.stopped.load(Acquire) == workers && self.in_flight.load(Relaxed) == 0
    }

    /// Tells workers to close their clients.
    pub(crate) fn finish(&self) {
        self.finish.store(true, Release);
    }

    pub(crate) fn finished(&self) -> bool {
        self.finish.load(Acquire)
    }

    /// Messages that came through, in either direction.
    pub(crate) fn done(&self) -> u64 {
        self.published.load(Relaxed) + self.delivered.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_counts_before_the_window_begins() {
        let window = Window::unknown();
        assert!(!window.begun(0) && !window.begun(u64::MAX - 1));
        window.set(10, 20);
        assert!(!window.begun(9) && window.begun(10) && window.begun(20));
        window.cut(15);
        window.cut(18);
        assert_eq!(window.end(), 15);
    }

    #[test]
    fn a_run_is_drained_when_all_have_stopped_and_nothing_is_in_flight() {
        let shared = Shared::new();
        shared.change_in_flight(0, 3);
        shared.stop();
        assert!(!shared.drained(1));
        shared.change_in_flight(3, 1);
        shared.change_in_flight(1, 0);
        assert!(shared.drained(1));
        assert!(!shared.drained(2));
    }
}
