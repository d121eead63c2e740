//! How long to wait before the next try, and the chance in it.

use std::{num::NonZeroU32, time::Duration};

use crate::timer::Instant;

/// Grows from 100 ms to 60 s by doubling, less up to a tenth by chance, so that those who lost the
/// same broker don't all come back at once. The numbers, and the last try that is made in time
/// before a deadline, are those of Java's `Backoff`.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    /// One try is made no later than that long after the first one was due.
    last_call_ms: Option<NonZeroU32>,
    next_ms: u16,
    first_at: Instant,
    last_call_made: bool,
}

impl Backoff {
    const INITIAL_MS: u16 = 100;
    const MAX_MS: u16 = 60_000;

    pub(super) fn new(last_call: Option<Duration>) -> Self {
        let ms = |delay: Duration| u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
        Self {
            last_call_ms: last_call.and_then(|delay| NonZeroU32::new(ms(delay))),
            next_ms: Self::INITIAL_MS,
            first_at: Instant::default(),
            last_call_made: false,
        }
    }

    /// It worked: begins anew.
    pub(super) fn reset(&mut self) {
        self.next_ms = Self::INITIAL_MS;
        self.last_call_made = false;
    }

    /// How long to wait this time.
    pub(super) fn next(&mut self, now: Instant, random: &mut Random) -> Duration {
        let initial = Duration::from_millis(Self::INITIAL_MS.into());
        let mut delay = Duration::from_millis(self.next_ms.into());
        self.next_ms = self.next_ms.saturating_mul(2).min(Self::MAX_MS);
        if let Some(last_call_ms) = self.last_call_ms
            && !self.last_call_made
        {
            let last_call = Duration::from_millis(last_call_ms.get().into());
            if delay == initial {
                self.first_at = now;
            }
            let elapsed = now.since(self.first_at);
            if elapsed + delay > last_call {
                delay = last_call.saturating_sub(elapsed);
                self.last_call_made = true;
            }
        }
        random.less_a_tenth(delay).max(initial)
    }
}

/// A seeded generator (SplitMix64): cheap, repeatable, no secret.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A delay less up to a tenth of it.
    pub(super) fn less_a_tenth(&mut self, delay: Duration) -> Duration {
        delay - delay.mul_f64(self.fraction() / 10.0)
    }

    /// From 0 up to, not including, 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double")]
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_a_minute_less_a_tenth_at_most() {
        let mut backoff = Backoff::new(None);
        let mut random = Random::new(1);
        let mut expected = 100;
        for _ in 0..15 {
            let delay = backoff.next(Instant(0), &mut random).as_millis();
            assert!(delay <= expected && delay >= (expected * 9 / 10).max(100));
            expected = (expected * 2).min(60_000);
        }
        backoff.reset();
        assert_eq!(backoff.next(Instant(0), &mut random).as_millis(), 100);
    }

    #[test]
    fn one_try_is_made_before_the_deadline() {
        let last_call = Duration::from_millis(1000);
        let mut backoff = Backoff::new(Some(last_call));
        let mut random = Random::new(2);
        let mut now = Instant(0);
        let mut tries = Vec::new();
        for _ in 0..6 {
            now = now + backoff.next(now, &mut random);
            tries.push(now.since(Instant(0)).as_millis());
        }
        assert!(
            tries.iter().any(|at| (900..=1000).contains(at)),
            "{tries:?}"
        );
    }
}
