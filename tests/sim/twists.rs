//! What happens rarely in a cluster's life, and happens often in some runs. Each run has some of it.

use std::time::Duration;

use pulsar_ws_fast::config::Config;

use super::{
    broker::Chaos,
    rng::Rng,
    topic::{CHECKSUM_MISMATCH, DECOMPRESSION_ERROR},
    world::World,
};

/// Which of it a run has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Twists {
    /// Producers that have to wait for their turn.
    queues: bool,
    /// Publishes that the broker refuses.
    refusals: bool,
    /// Receipts that overtake each other.
    disorder: bool,
    /// Brokers that say where to go.
    directions: bool,
    /// Topics that end.
    terminations: bool,
    /// Topics and subscriptions that are deleted.
    deletions: bool,
    /// Entries that nobody can read.
    corruption: bool,
    /// Publishes with little time.
    pub(crate) impatience: bool,
    /// Clients that are given up because they say nothing.
    pub(crate) idleness: bool,
    /// Clients that do not read.
    pub(crate) deafness: bool,
    /// Clients that remove their subscription.
    pub(crate) unsubscribes: bool,
}

impl Twists {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let mut draw = || rng.one_in(3);
        Self {
            queues: draw(),
            refusals: draw(),
            disorder: draw(),
            directions: draw(),
            terminations: draw(),
            deletions: draw(),
            corruption: draw(),
            impatience: draw(),
            idleness: draw(),
            deafness: draw(),
            unsubscribes: draw(),
        }
    }

    /// What the service must be set to.
    pub(crate) fn configure(self, config: &mut Config) {
        if self.idleness {
            config.idle_timeout = Duration::from_secs(3);
        }
        if self.deafness {
            config.replies_timeout = Duration::from_millis(500);
            config.replies_bytes_max = config.replies_bytes_max.min(2000);
        }
    }

    /// What goes wrong at the broker.
    pub(crate) fn prepare(self, chaos: &mut Chaos) {
        let one_in = |often: usize, is_on: bool| if is_on { often } else { 0 };
        chaos.not_ready = one_in(2, self.queues);
        chaos.send_errors = one_in(40, self.refusals);
        chaos.disorder = one_in(20, self.disorder);
        chaos.directions = one_in(2, self.directions);
    }

    /// What is wrong with the next entry, if anything.
    pub(crate) fn corruption(self, rng: &mut Rng) -> Option<i32> {
        if !self.corruption || !rng.one_in(3) {
            return None;
        }
        Some(*rng.pick(&[CHECKSUM_MISMATCH, DECOMPRESSION_ERROR]))
    }
}

impl World {
    /// Lets something happen, perhaps.
    pub(crate) fn twist(&mut self) {
        let Self {
            broker, rng, judge, ..
        } = self;
        let topic = rng.below(broker.topics.len());
        broker.now = self.now;
        let mut happened = "";
        if self.twists.terminations && rng.one_in(700) {
            broker.topics[topic].terminated = true;
            happened = "termination";
        }
        if self.twists.deletions && rng.one_in(1500) {
            broker.delete_topic(topic, rng, judge);
            happened = "deletion";
        }
        if self.twists.deletions && rng.one_in(1000) {
            broker.delete_subscription(topic, rng, judge);
            happened = "deletion of a subscription";
        }
        if !happened.is_empty() {
            self.trace.note(format!("{happened} on {topic}"));
            self.wake_broker();
            self.carry();
        }
    }
}
