//! A consumer of one topic, sans-IO: subscribes, takes entries apart, acknowledges, asks again.
//!
//! It is driven by its connection. [`Consumer::subscribe`] gives the command that makes it known to a
//! broker, and [`Consumer::handle_subscribed`] is told the answer; from then until
//! [`Consumer::handle_detached`] it is attached, and everything it has to say is appended to `out`,
//! the outbox of that connection. While it is detached acknowledgements are kept.
//!
//! Each entry is given to [`Consumer::handle_entry`], and comes back as an [`Entry`] when it holds
//! something for the client. [`Consumer::next_delivery`] takes its messages one by one; what the
//! client can't take now goes to [`Consumer::hold`], and comes again from [`Consumer::next_held`]. An
//! entry that arrives while others are held must be held behind them, or they would overtake. One that
//! can't be decrypted before its data key is waits here, and all behind it
//! (`Consumer::take_wanted_key`, [`Consumer::open_parked`]).
//!
//! Semantics are those of the Java client 4.0 (`ConsumerImpl` and its trackers), except that a batch
//! whose members are acknowledged one by one never brings an acknowledged one back: its bits are kept
//! until the entry is complete, and sent as an ack set besides. It does not know what a client is,
//! nor how many messages one may hold; that is the session's business, which is told how many
//! messages the client can't acknowledge any more.

mod acknowledge;
mod acks;
mod arrive;
mod attach;
mod bits;
mod chunks;
mod dead_letter;
mod deliver;
mod due;
mod entry;
mod join;
mod letters;
mod load;
mod outstanding;
mod parked;
mod permits;
mod redelivery;
mod spec;
#[cfg(test)]
mod tests;
mod told;
mod tracker;
mod waiting;
pub mod wire;

pub(super) use self::spec::{Names, is_an_end, partition_of};
use self::{
    acks::Acks,
    chunks::Chunks,
    dead_letter::DeadLetters,
    entry::Held,
    load::HeldBytes,
    outstanding::Outstanding,
    permits::Permits,
    redelivery::{Left, Patience, Rejections},
    tracker::Tracker,
    wire::{put_error_ack, put_flow},
};
pub use self::{
    dead_letter::{Letter, LetterMessage},
    entry::Entry,
    spec::ConsumerSpec,
    wire::MessageCommand,
};
#[cfg(test)]
pub(super) use self::{entry::encryption_of, wire::next_encryption_key};
use super::{message_id::EntryId, proto};
use crate::{session::SessionKey, timer::Instant};

/// What became of entries that were not delivered, or not all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Entries that were corrupt, and acknowledged as such.
    pub corrupt: u64,
    /// Entries that this build can't read (encrypted, in chunks, too large, compressed in an unknown
    /// way): neither delivered nor acknowledged.
    pub unreadable: u64,
    /// Messages that came again although they were acknowledged, or are with the client.
    pub duplicates: u64,
}

/// Five characters that nobody chose.
#[must_use]
pub fn short_name(seed: u64) -> String {
    Names::new(seed).consumer()
}

/// A consumer or reader of one topic.
#[derive(Debug)]
pub struct Consumer {
    session: SessionKey,
    name: String,
    subscription: String,
    tracker: Tracker,
    held: Held,
    end_of_topic: bool,
    /// A message in parts is held since [`Consumer::take_joined`] was asked.
    has_joined: bool,
    /// Reused by each redelivery.
    again: Vec<EntryId>,
}

impl Consumer {
    /// A consumer that no broker knows yet; `id` is its number on its connection.
    #[must_use]
    pub fn new(session: SessionKey, spec: ConsumerSpec, id: u64, seed: u64) -> Self {
        let mut names = Names::new(seed);
        let name = spec.name.clone().unwrap_or_else(|| names.consumer());
        let subscription = spec
            .subscription
            .clone()
            .unwrap_or_else(|| names.reader_subscription());
        Self {
            session,
            name,
            subscription,
            held: Held::counted_into(spec.shard_held.clone()),
            tracker: Tracker {
                id,
                attached: false,
                epoch: 0,
                start: spec.start,
                taken: None,
                permits: Permits::new(&spec),
                outstanding: Outstanding::default(),
                volatile_out: 0,
                acks: Acks::default(),
                rejections: Rejections::new(spec.negative_ack_delay),
                patience: spec.ack_timeout.map(Patience::new).map(Box::new),
                dead_letters: DeadLetters::new(&spec).map(Box::new),
                chunks: Chunks::new(HeldBytes::new(spec.shard_chunks.clone())),
                left: Left::default(),
                stats: Stats::default(),
                spec,
            },
            end_of_topic: false,
            has_joined: false,
            again: Vec::new(),
        }
    }

    /// One of several that are one to the session. A reader's parts share a subscription.
    pub(super) fn join(&mut self, subscription: Option<String>, makes_topic: bool) {
        if let Some(subscription) = subscription {
            self.subscription = subscription;
        }
        self.tracker.spec.makes_topic = makes_topic;
    }

    /// How many bytes may be held of this one. To be said before anything is.
    pub(super) const fn set_held_bytes_max(&mut self, bytes: usize) {
        self.tracker.permits.set_held_bytes_max(bytes);
    }

    /// Whether its messages can't be told apart by their ids.
    pub(super) const fn is_volatile(&self) -> bool {
        self.tracker.spec.is_volatile
    }

    /// Since when the one of its incomplete messages that grew least lately has not grown.
    #[must_use]
    pub fn incomplete_idle_since(&self) -> Option<Instant> {
        self.tracker.chunks.idle_since()
    }

    /// How many incomplete messages may be given up.
    #[must_use]
    pub fn incomplete(&self) -> usize {
        self.tracker.chunks.kept()
    }

    /// Gives up the incomplete message that grew last, or the one that did not for longest: it is asked
    /// for again.
    pub fn give_up_incomplete(&mut self, now: Instant, newest: bool) {
        self.tracker.chunks.give_up(now, newest);
    }

    /// Whether the subscription has one consumer only.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.tracker.spec.sub_type == proto::SubType::Exclusive
    }

    /// The broker says that nothing will ever come again.
    pub const fn handle_reached_end(&mut self) {
        self.end_of_topic = true;
    }

    /// Whether the broker said so.
    #[must_use]
    pub const fn end_of_topic(&self) -> bool {
        self.end_of_topic
    }

    /// The name of its subscription, which is made up for a reader.
    #[must_use]
    pub fn subscription(&self) -> &str {
        &self.subscription
    }

    /// Its number on its connection.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.tracker.id
    }

    /// The session it is for.
    #[must_use]
    pub const fn session(&self) -> SessionKey {
        self.session
    }

    /// The topic it consumes.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.tracker.spec.topic
    }

    /// What became of entries that were not delivered.
    #[must_use]
    pub const fn stats(&self) -> Stats {
        self.tracker.stats
    }

    /// Its name at the broker.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}
