//! Permits: how many messages the broker may still send.

use super::{load::Load, spec::ConsumerSpec};

/// Permits that came back and were not passed on to the broker yet.
#[derive(Clone, Debug)]
pub(super) struct Permits {
    ahead: Ahead,
    /// No new ones while messages of more bytes wait for the client. The queue bounds their number
    /// only, and one message may have 5 MiB.
    held_bytes_max: usize,
    /// The same for all sessions of the shard. Only who holds something waits for it: taking that
    /// is what lets it go on.
    shard_held_bytes_max: usize,
}

/// How far ahead of the client the broker may be.
#[derive(Clone, Debug)]
enum Ahead {
    /// By a queue. As in Java's `ConsumerImpl`, permits go in portions of half the queue.
    Queue {
        /// What the broker gets to begin with; at least 1.
        size: u32,
        available: u32,
    },
    /// Not at all (Java's `ZeroQueueConsumerImpl`): one message is asked for when the client waits for
    /// one and none is here. A batch brings more, which are held.
    One(One),
}

/// Of a consumer that fetches nothing ahead.
#[derive(Clone, Debug)]
struct One {
    /// Messages are asked for by the client, and not when it has room.
    pull: bool,
    /// So many messages the client waits for.
    wanted: u32,
    /// Permits the broker got and did not use; negative after a batch.
    open: i64,
    /// An entry is being worked on, and has messages left.
    is_at_hand: bool,
}

impl Permits {
    pub(super) fn new(spec: &ConsumerSpec) -> Self {
        let ahead = match spec.receiver_queue_size {
            0 => Ahead::One(One {
                pull: spec.pull,
                wanted: u32::from(!spec.pull),
                open: 0,
                is_at_hand: false,
            }),
            size => Ahead::Queue { size, available: 0 },
        };
        Self {
            ahead,
            held_bytes_max: spec.held_bytes_max,
            shard_held_bytes_max: spec.shard_held_bytes_max,
        }
    }

    /// See [`Permits::held_bytes_max`].
    pub(super) const fn set_held_bytes_max(&mut self, bytes: usize) {
        self.held_bytes_max = bytes;
    }

    /// The broker knows the consumer anew and has no permits; tells how many it gets, if any.
    pub(super) fn restart(&mut self) -> Option<u32> {
        match &mut self.ahead {
            Ahead::Queue { size, available } => {
                *available = 0;
                Some(*size)
            }
            Ahead::One(one) => {
                one.open = 0;
                one.is_at_hand = false;
                one.take()
            }
        }
    }

    /// That many messages are out of the way.
    pub(super) fn give_back(&mut self, messages: u32) {
        match &mut self.ahead {
            Ahead::Queue { available, .. } => *available = available.saturating_add(messages),
            Ahead::One(one) => one.open = one.open.saturating_sub(i64::from(messages)),
        }
    }

    /// How many to pass on now, if any.
    pub(super) fn take(&mut self, held: Load) -> Option<u32> {
        match &mut self.ahead {
            Ahead::Queue { size, available } => {
                let enough = *available > 0 && *available >= *size / 2;
                let too_much = held.own > self.held_bytes_max
                    || held.own > 0 && held.shard > self.shard_held_bytes_max;
                if !enough || too_much {
                    return None;
                }
                let permits = *available;
                *available = 0;
                Some(permits)
            }
            Ahead::One(one) if held.own == 0 => one.take(),
            Ahead::One(_) => None,
        }
    }

    /// The client asked for so many messages more.
    pub(super) const fn ask(&mut self, messages: u32) {
        if let Ahead::One(one) = &mut self.ahead
            && one.pull
        {
            one.wanted = one.wanted.saturating_add(messages);
        }
    }

    /// The client got rid of so many messages.
    pub(super) const fn make_room(&mut self, messages: u32) {
        if let Ahead::One(one) = &mut self.ahead
            && !one.pull
        {
            one.wanted = one.wanted.saturating_add(messages);
        }
    }

    /// The client got a message.
    pub(super) const fn note_delivered(&mut self) {
        if let Ahead::One(one) = &mut self.ahead {
            one.wanted = one.wanted.saturating_sub(1);
        }
    }

    /// Whether an entry that came has messages left that are not held.
    pub(super) const fn set_at_hand(&mut self, is_at_hand: bool) {
        if let Ahead::One(one) = &mut self.ahead {
            one.is_at_hand = is_at_hand;
        }
    }
}

impl One {
    /// What lets one message come, if the client waits for one and none is on its way.
    fn take(&mut self) -> Option<u32> {
        if self.wanted == 0 || self.open > 0 || self.is_at_hand {
            return None;
        }
        // What the last batch overdrew is made up for.
        let permits = 1i64.saturating_sub(self.open);
        self.open = 1;
        Some(u32::try_from(permits).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::spec, *};
    use crate::session::consumer::{Spec, SubscriptionType};

    fn permits(receiver_queue_size: u32, pull: bool) -> Permits {
        let mut spec = ConsumerSpec::from(&Spec {
            receiver_queue_size,
            pull,
            ..spec(SubscriptionType::Shared)
        });
        spec.held_bytes_max = 1000;
        spec.shard_held_bytes_max = 5000;
        Permits::new(&spec)
    }

    const NONE: Load = Load { own: 0, shard: 0 };

    #[test]
    fn passed_on_by_halves_of_the_queue() {
        for (queue, portion) in [(1, 1), (2, 1), (3, 1), (5, 2), (1000, 500)] {
            for pull in [false, true] {
                let mut permits = permits(queue, pull);
                assert_eq!(permits.restart(), Some(queue));
                permits.ask(2000);
                for _ in 1..portion {
                    permits.give_back(1);
                    assert_eq!(permits.take(NONE), None);
                }
                permits.give_back(1);
                let held = |own, shard| Load { own, shard };
                assert_eq!(permits.take(held(1001, 1001)), None);
                assert_eq!(permits.take(held(1, 5001)), None);
                let mut idle = permits.clone();
                assert_eq!(idle.take(held(0, 5001)), Some(portion));
                assert_eq!(permits.take(held(1000, 5000)), Some(portion));
                assert_eq!(permits.take(NONE), None);
            }
        }
    }

    #[test]
    fn without_a_queue_one_message_is_asked_for_at_a_time() {
        let mut permits = permits(0, true);
        assert_eq!(permits.restart(), None);
        permits.ask(2);
        permits.make_room(5);
        assert_eq!(permits.take(Load { own: 1, shard: 1 }), None, "one is held");
        assert_eq!(permits.take(NONE), Some(1));
        assert_eq!(permits.take(NONE), None, "one is on its way");
        permits.set_at_hand(true);
        permits.give_back(1);
        assert_eq!(permits.take(NONE), None, "there may be more of it");
        permits.note_delivered();
        permits.set_at_hand(false);
        assert_eq!(permits.take(NONE), Some(1));
        assert_eq!(permits.restart(), Some(1), "it is still waited for");
        permits.note_delivered();
        permits.give_back(3);
        permits.ask(u32::MAX);
        permits.ask(u32::MAX);
        assert_eq!(permits.take(NONE), Some(3), "a batch of three took three");
    }

    #[test]
    fn without_a_queue_room_asks_in_push_mode() {
        let mut permits = permits(0, false);
        assert_eq!(permits.restart(), Some(1));
        permits.note_delivered();
        permits.give_back(1);
        permits.ask(5);
        assert_eq!(permits.take(NONE), None);
        permits.make_room(1);
        assert_eq!(permits.take(NONE), Some(1));
    }
}
