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

mod acks;
mod arrive;
mod bits;
mod chunks;
mod dead_letter;
mod deliver;
mod entry;
mod join;
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
pub mod wire;

use bytes::BytesMut;

pub(super) use self::spec::{Names, is_an_end, partition_of};
use self::{
    acks::Acks,
    bits::Bits,
    chunks::Chunks,
    dead_letter::DeadLetters,
    entry::{Held, delivery},
    load::{HeldBytes, Load},
    outstanding::{Known, Outstanding, Tell},
    permits::Permits,
    redelivery::{Left, Patience, Rejections},
    spec::Position,
    tracker::Tracker,
    wire::{put_error_ack, put_flow, put_redeliver, put_redeliver_all},
};
pub use self::{
    dead_letter::{Letter, LetterMessage},
    entry::Entry,
    spec::ConsumerSpec,
    wire::MessageCommand,
};
#[cfg(test)]
pub(super) use self::{entry::encryption_of, wire::next_encryption_key};
use super::{
    crypto::SealedKey,
    message_id::{EntryId, PulsarId},
    proto,
};
use crate::{
    session::{BadMessageId, Delivery, Lane, SessionKey},
    timer::{Instant, Now},
};

/// Entries in one request for redelivery, as in Java.
const REDELIVER_MAX: usize = 1000;

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

/// Asked with each message: it costs less than the minimum of a list does.
fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
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

    /// Makes the consumer known to a broker, for the first time or again.
    #[must_use]
    pub fn subscribe(&self, request_id: u64) -> proto::CommandSubscribe {
        let tracker = &self.tracker;
        let spec = &tracker.spec;
        proto::CommandSubscribe {
            topic: spec.topic.clone(),
            subscription: self.subscription.clone(),
            sub_type: spec.sub_type.into(),
            consumer_id: tracker.id,
            request_id,
            consumer_name: Some(self.name.clone()),
            priority_level: Some(spec.priority_level),
            durable: Some(spec.durable),
            start_message_id: tracker.start.map(|start| proto::MessageIdData {
                ledger_id: start.entry.ledger,
                entry_id: start.entry.entry,
                batch_index: Some(
                    start
                        .batch_index
                        .and_then(|index| i32::try_from(index).ok())
                        .unwrap_or(-1),
                ),
                ..proto::MessageIdData::default()
            }),
            read_compacted: Some(false),
            initial_position: Some(spec.initial_position.into()),
            force_topic_creation: Some(spec.makes_topic),
            consumer_epoch: Some(tracker.epoch),
            ..proto::CommandSubscribe::default()
        }
    }

    /// The broker knows the consumer. Acknowledgements that were kept while it was away go before
    /// the permits, so that it does not send what is acknowledged.
    pub fn handle_subscribed(&mut self, now: Now, out: &mut BytesMut) {
        let tracker = &mut self.tracker;
        tracker.attached = true;
        if let Some(patience) = &mut tracker.patience {
            patience.start(now.mono);
        }
        tracker.acks.renew(now.mono);
        tracker.acks.flush(tracker.id, out);
        if let Some(permits) = tracker.permits.restart() {
            put_flow(out, tracker.id, permits);
        }
    }

    /// The connection is lost, or the broker closed the consumer, and it may not have got the
    /// acknowledgements that went out last; `must_be_elsewhere` unless the broker only
    /// sent the consumer away.
    /// [`Consumer::handle_detached`] is to follow.
    pub fn recall_acks(&mut self, now: Now, must_be_elsewhere: bool) {
        self.tracker.acks.recall(now.mono, must_be_elsewhere);
    }

    /// The connection is lost, or the broker closed the consumer. It will send everything again that
    /// is not acknowledged; tells how many messages the client can't acknowledge any more.
    pub fn handle_detached(&mut self) -> u32 {
        self.tracker.attached = false;
        if !self.tracker.spec.durable {
            self.tracker.start = self.resume_position();
        }
        self.held.clear();
        self.tracker.rejections.clear();
        self.tracker.left.clear();
        if let Some(patience) = &mut self.tracker.patience {
            patience.set_next(None);
        }
        if let Some(letters) = &mut self.tracker.dead_letters {
            letters.handle_detached();
        }
        self.tracker.chunks.handle_detached();
        let released = if self.tracker.spec.durable {
            // Acknowledged members of a batch stay acknowledged when the entry comes again.
            self.tracker.outstanding.release_all()
        } else {
            self.tracker.outstanding.clear()
        };
        self.tracker.permits.make_room(released);
        released
    }

    /// The client permits so many messages more (in pull mode).
    pub fn permit(&mut self, messages: u32, out: Option<&mut BytesMut>) {
        self.tracker.permits.ask(messages);
        self.renew_permits(out);
    }

    /// Gives the broker new permits if there are enough to give.
    pub fn renew_permits(&mut self, out: Option<&mut BytesMut>) {
        self.tracker.flow(self.held.load(), out);
    }

    /// The next message of an entry that the client may have; a permit is spent.
    pub fn next_delivery<'e>(
        &mut self,
        now: Now,
        entry: &mut Entry<'e>,
        out: &mut BytesMut,
    ) -> Option<Delivery<'e>> {
        let tracker = &mut self.tracker;
        let mut out = Some(out);
        let cursor = &mut entry.cursor;
        let found = tracker.next(now, &entry.shape, cursor, entry.payload, out.as_deref_mut());
        tracker
            .permits
            .set_at_hand(entry.cursor.index < entry.shape.size());
        tracker.flow(self.held.load(), out);
        Some(delivery(
            &entry.shape,
            &found?,
            tracker.spec.partition,
            entry.metadata,
            entry.payload,
        ))
    }

    /// Keeps what is left of an entry until the client can take it.
    pub fn hold(&mut self, entry: Entry<'_>) {
        self.held.push(entry);
        self.tracker.permits.set_at_hand(false);
    }

    /// The next message that was held and that the client may have; a permit is spent.
    pub fn next_held(&mut self, now: Now, out: Option<&mut BytesMut>) -> Option<Delivery<'_>> {
        let mut out = out;
        let found = loop {
            self.held.drop_exhausted();
            let Some(front) = self.held.front() else {
                break None;
            };
            let mut cursor = front.cursor;
            let out = out.as_deref_mut();
            let found = self
                .tracker
                .next(now, &front.shape, &mut cursor, front.payload(), out);
            self.held.set_front_cursor(cursor);
            if found.is_some() {
                break found;
            }
        };
        self.tracker.flow(self.held.load(), out);
        let front = self.held.front()?;
        Some(delivery(
            &front.shape,
            &found?,
            self.tracker.spec.partition,
            front.metadata(),
            front.payload(),
        ))
    }

    /// A data key that has to be decrypted, for [`Consumer::open_parked`] to go on. Told once.
    pub(super) const fn take_wanted_key(&mut self) -> Option<SealedKey> {
        self.held.parked().take_wanted()
    }

    /// Whether entries can't be read yet.
    #[must_use]
    pub fn is_parking(&self) -> bool {
        self.held.is_parking()
    }

    /// Whether a message that came in parts is held now, so that the client may be given it.
    pub const fn take_joined(&mut self) -> bool {
        std::mem::replace(&mut self.has_joined, false)
    }

    /// Whether messages are held, so that new ones have to wait behind them.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.held.first_waiting().is_some()
    }

    /// Bytes of the messages that are held.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.load().own
    }

    /// The client is done with a message. Tells whether it was outstanding.
    ///
    /// # Errors
    /// The bytes are no message id.
    pub fn acknowledge(
        &mut self,
        now: Now,
        id: &[u8],
        out: Option<&mut BytesMut>,
    ) -> Result<bool, BadMessageId> {
        let id = PulsarId::decode(id)?;
        let tracker = &mut self.tracker;
        if tracker.spec.is_volatile {
            let removed = tracker.take_volatile();
            tracker.flow(self.held.load(), out);
            return Ok(removed);
        }
        if tracker.spec.is_reader {
            return Ok(false);
        }
        let acknowledged = tracker.outstanding.acknowledge(&id);
        let removed = acknowledged.removed;
        tracker.permits.make_room(u32::from(removed));
        let tell = match acknowledged.tell {
            Tell::Unknown => tracker.outstanding.acknowledge_stranger(&id),
            tell => tell,
        };
        match tell {
            Tell::Nothing => {}
            Tell::Whole => {
                // Of a message in parts that was not delivered here, the id tells two.
                if let Some(first) = id.first_chunk {
                    tracker.acks.add_whole(now.mono, first);
                }
                tracker.add_whole_ack(now, id.entry);
                if !removed || id.batch_index.is_some() {
                    // Some of it came late: after it was asked for again, and the new copy may be
                    // here already.
                    tracker.permits.give_back(self.held.release(&[id.entry]));
                }
            }
            Tell::Part(done) => tracker.acks.add_part(now.mono, id.entry, done),
            // Without the size of a batch no ack set can be written, and to acknowledge the whole
            // entry (as Java does then) would lose its other messages.
            Tell::Unknown => {}
        }
        if let Some(out) = out.filter(|_| tracker.attached) {
            if tracker.acks.is_full() {
                tracker.acks.flush(tracker.id, out);
            }
            tracker.flow(self.held.load(), Some(out));
        }
        Ok(removed)
    }

    /// The client wants a message again later. Tells whether it was outstanding.
    ///
    /// # Errors
    /// The bytes are no message id.
    pub fn negative_acknowledge(&mut self, now: Now, id: &[u8]) -> Result<bool, BadMessageId> {
        let id = PulsarId::decode(id)?;
        let tracker = &mut self.tracker;
        if tracker.spec.is_volatile {
            return Ok(tracker.take_volatile());
        }
        // To a detached consumer everything comes again anyway.
        if tracker.spec.is_reader || !tracker.attached {
            return Ok(false);
        }
        let rejected = tracker.outstanding.reject(&id);
        if rejected.again {
            tracker.rejections.add(now, id.entry, rejected.known);
        }
        tracker.permits.make_room(u32::from(rejected.removed));
        Ok(rejected.removed)
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

    /// Does what is due. Tells how many messages the client can't acknowledge any more, because they
    /// will come again.
    pub fn handle_timeout(&mut self, now: Now, out: Option<&mut BytesMut>) -> u32 {
        let tracker = &mut self.tracker;
        let Some(out) = out.filter(|_| tracker.attached) else {
            return 0;
        };
        self.again.clear();
        let is_waiting = self.held.first_waiting().is_some() || self.held.is_parking();
        tracker.chunks.expire(now.mono, is_waiting, &mut self.again);
        tracker.end_parts(now, &self.again);
        tracker.acks.handle_timeout(now.mono, tracker.id, out);
        self.again.clear();
        tracker.rejections.take_due(now.mono, &mut self.again);
        tracker.chunks.take_returned(now.mono, &mut self.again);
        if tracker.spec.is_volatile {
            self.again.clear();
        }
        if let Some(letters) = &mut tracker.dead_letters {
            letters.take_returned(now.mono, &mut self.again);
        }
        if let Some(patience) = &mut tracker.patience
            && let Some(tick) = patience.due(now.mono)
        {
            let next = tracker.outstanding.expired(tick, &mut self.again);
            let left = tracker.left.expired(tick, &mut self.again);
            patience.set_next(next.into_iter().chain(left).min());
        }
        if self.again.is_empty() {
            return 0;
        }
        if tracker.spec.is_exclusive() {
            self.redeliver_all(out)
        } else {
            self.redeliver(out)
        }
    }

    /// When [`Consumer::handle_timeout`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let tracker = &self.tracker;
        if !tracker.attached {
            return None;
        }
        let patience = tracker.patience.as_deref().and_then(Patience::deadline);
        let letters = tracker.dead_letters.as_deref();
        let deadline = earlier(tracker.acks.deadline(), tracker.rejections.next_due());
        let deadline = earlier(deadline, patience);
        let deadline = earlier(deadline, letters.and_then(DeadLetters::deadline));
        earlier(deadline, tracker.chunks.deadline())
    }

    /// Sends what is acknowledged at once, before the consumer is closed.
    pub fn flush_acks(&mut self, out: &mut BytesMut) {
        if self.tracker.attached {
            self.tracker.acks.flush(self.tracker.id, out);
        }
    }

    /// The session ended while the consumer was detached: only what the broker must be told of stays.
    /// Tells whether there is any.
    pub fn keeps_acks_only(&mut self) -> bool {
        self.held.clear();
        self.tracker.outstanding.clear();
        self.tracker.spec.durable && self.tracker.acks.is_waiting()
    }

    /// The broker knows the consumer again, which wants nothing but to tell it what is acknowledged.
    pub fn tell_acks(&mut self, now: Now, out: &mut BytesMut) {
        self.tracker.attached = true;
        self.tracker.acks.renew(now.mono);
        self.flush_acks(out);
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

    /// Whether a dead letter is to be published now.
    #[must_use]
    pub fn has_letter(&self, now: Now) -> bool {
        let letters = self.tracker.dead_letters.as_deref();
        letters.is_some_and(|letters| letters.is_due(now.mono))
    }

    /// The next dead letter. When its messages are published, [`Consumer::note_letter`] is to follow.
    pub fn take_letter(&mut self) -> Option<Letter> {
        let tracker = &mut self.tracker;
        let entry = tracker.dead_letters.as_mut()?.take()?;
        let (id, size) = (entry.shape.id, entry.shape.size());
        let mut done = Bits::new(size);
        for index in 0..size {
            if tracker.outstanding.known(id, index) == Known::Acked {
                done.set(index);
            }
        }
        Some(Letter {
            entry,
            done,
            partition: tracker.spec.partition,
        })
    }

    /// A message of a dead letter is on its way.
    pub fn note_letter_message(&mut self, letter: &Letter, lane: Lane) {
        if let Some(letters) = &mut self.tracker.dead_letters {
            letters.note_sent(letter.entry.shape.id, lane);
        }
    }

    /// A dead letter is on its way, or could not be published.
    pub fn note_letter(&mut self, now: Now, letter: &Letter, is_published: bool) {
        let tracker = &mut self.tracker;
        let Some(letters) = &mut tracker.dead_letters else {
            return;
        };
        if !is_published {
            letters.note_unpublished(now.mono, &letter.entry);
        } else if letters.note_published(&letter.entry) {
            tracker.end_entry(now, letter.entry.shape.id);
        }
    }

    /// The oldest message of a dead letter that took this lane has its outcome. When all of the
    /// letter is stored, the broker may forget its entry.
    pub fn handle_letter_outcome(&mut self, now: Now, lane: Lane, is_stored: bool) {
        let tracker = &mut self.tracker;
        let Some(letters) = &mut tracker.dead_letters else {
            return;
        };
        if !is_stored {
            letters.handle_refused(now.mono, lane);
        } else if let Some(entry) = letters.handle_stored(lane) {
            tracker.end_entry(now, entry);
        }
    }

    /// There is no producer for dead letters, or none any more.
    pub fn handle_no_letters(&mut self, now: Now) {
        if let Some(letters) = &mut self.tracker.dead_letters {
            letters.handle_closed(now.mono);
        }
    }

    /// Whether messages of dead letters have no outcome.
    #[must_use]
    pub fn has_letters_in_flight(&self) -> bool {
        let letters = self.tracker.dead_letters.as_deref();
        letters.is_some_and(DeadLetters::is_in_flight)
    }

    /// Its name at the broker.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks for the entries in `again` once more.
    fn redeliver(&mut self, out: &mut BytesMut) -> u32 {
        let tracker = &mut self.tracker;
        self.again.sort_unstable();
        self.again.dedup();
        let mut released = 0;
        self.again.retain(|&entry| {
            let (messages, left) = tracker.outstanding.release(entry);
            released += messages;
            tracker.rejections.remove(entry);
            left
        });
        let held = self.held.release(&self.again);
        if let Some(letters) = &mut tracker.dead_letters {
            self.again.retain(|&entry| !letters.bury(entry));
        }
        if !tracker.chunks.is_empty() {
            let asked = 0..self.again.len();
            for at in asked {
                let parts = tracker.chunks.take(self.again[at]).unwrap_or_default();
                self.again.extend(parts);
            }
            self.again.sort_unstable();
            self.again.dedup();
        }
        // Told of the acknowledgements first, the broker has no reason to send those messages.
        tracker.acks.flush(tracker.id, out);
        for entries in self.again.chunks(REDELIVER_MAX) {
            put_redeliver(out, tracker.id, entries);
        }
        tracker.permits.give_back(held);
        tracker.permits.make_room(released);
        tracker.flow(self.held.load(), Some(out));
        released
    }

    /// Asks for everything unacknowledged, as Java does for subscriptions with one consumer at a
    /// time: there the broker does not answer to single entries.
    fn redeliver_all(&mut self, out: &mut BytesMut) -> u32 {
        let tracker = &mut self.tracker;
        tracker.epoch += 1;
        tracker.chunks.forget_given_up();
        tracker.acks.flush(tracker.id, out);
        put_redeliver_all(out, tracker.id, tracker.epoch);
        tracker.rejections.clear();
        if let Some(patience) = &mut tracker.patience {
            patience.set_next(None);
        }
        tracker.left.clear();
        let released = tracker.outstanding.release_all();
        tracker.permits.give_back(self.held.clear());
        tracker.permits.make_room(released);
        tracker.flow(Load::default(), Some(out));
        released
    }

    /// Behind which message a subscription that is not durable goes on after a reconnect: the one
    /// before the first that waits, or else the last that was taken (`ConsumerImpl.clearReceiverQueue`).
    fn resume_position(&self) -> Option<Position> {
        let start = self.tracker.start;
        let Some(waiting) = self.held.first_waiting() else {
            return self.tracker.taken.or(start);
        };
        let shape = &waiting.shape;
        let (entry, next) = (
            shape.first_chunk().unwrap_or(shape.id),
            waiting.cursor.index,
        );
        let already_behind =
            |start: Position| start.entry == entry && start.batch_index.is_some_and(|i| i >= next);
        if start.is_some_and(already_behind) {
            return start;
        }
        Some(match next.checked_sub(1) {
            Some(index) => Position {
                entry,
                batch_index: Some(index),
            },
            None => Position::before(entry),
        })
    }
}
