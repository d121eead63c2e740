//! Permits: how many messages the broker may still send.

use super::load::Load;

/// Permits that came back and were not passed on to the broker yet. As in Java's `ConsumerImpl`, they
/// go in portions of half the queue.
#[derive(Clone, Debug)]
pub(super) struct Permits {
    /// What the broker gets to begin with; at least 1.
    queue_size: u32,
    /// No new ones while messages of more bytes wait for the client. The queue bounds their number
    /// only, and one message may have 5 MiB.
    held_bytes_max: usize,
    /// The same for all sessions of the shard. Only who holds something waits for it: taking that
    /// is what lets it go on.
    shard_held_bytes_max: usize,
    available: u32,
}

impl Permits {
    pub(super) const fn new(
        queue_size: u32,
        held_bytes_max: usize,
        shard_held_bytes_max: usize,
    ) -> Self {
        Self {
            queue_size,
            held_bytes_max,
            shard_held_bytes_max,
            available: 0,
        }
    }

    /// The broker knows the consumer anew and has no permits; tells how many it gets.
    pub(super) const fn restart(&mut self) -> u32 {
        self.available = 0;
        self.queue_size
    }

    /// That many messages are out of the way.
    pub(super) const fn give_back(&mut self, messages: u32) {
        self.available = self.available.saturating_add(messages);
    }

    /// How many to pass on now, if any.
    pub(super) const fn take(&mut self, held: Load) -> Option<u32> {
        let enough = self.available > 0 && self.available >= self.queue_size / 2;
        let too_much = held.own > self.held_bytes_max
            || held.own > 0 && held.shard > self.shard_held_bytes_max;
        if !enough || too_much {
            return None;
        }
        let permits = self.available;
        self.available = 0;
        Some(permits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_on_by_halves_of_the_queue() {
        for (queue, portion) in [(1, 1), (2, 1), (3, 1), (5, 2), (1000, 500)] {
            let mut permits = Permits::new(queue, 1000, 5000);
            assert_eq!(permits.restart(), queue);
            for _ in 1..portion {
                permits.give_back(1);
                assert_eq!(permits.take(Load::default()), None);
            }
            permits.give_back(1);
            let held = |own, shard| Load { own, shard };
            assert_eq!(permits.take(held(1001, 1001)), None);
            assert_eq!(permits.take(held(1, 5001)), None);
            let mut idle = permits.clone();
            assert_eq!(idle.take(held(0, 5001)), Some(portion));
            assert_eq!(permits.take(held(1000, 5000)), Some(portion));
            assert_eq!(permits.take(Load::default()), None);
        }
    }
}
