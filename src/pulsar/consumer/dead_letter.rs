//! Messages that failed too often, on their way to the dead letter topic.
//!
//! The broker counts how often it sent a message before. The last time that it may be delivered its
//! entry is copied, so that it needn't be sent again when the client fails once more; an entry that
//! was sent more often goes to the dead letters without delivery. Either becomes a [`Letter`], which
//! waits to be published; when all of it is stored the entry is acknowledged. What can't be published,
//! or finds no room here, is asked for again later: until it is stored, the broker keeps the message.
//!
//! The rules are those of Java's `ConsumerImpl`, except that members of a batch which the client has
//! acknowledged are no dead letters, that after a failure there is a rest, and that what could not be
//! decrypted keeps what it takes to decrypt it. Who publishes, and where, is not known here.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{
    bits::Bits,
    entry::{Cursor, Found, HeldEntry, Shape, delivery},
    load::HeldBytes,
    spec::ConsumerSpec,
    wire::{KeyKind, Single, sealing_fields},
};
use crate::{
    pulsar::message_id::EntryId,
    session::{Delivery, Lane},
    timer::Instant,
};

/// The rest after a failure, and the longest one after many.
const REST_MIN: Duration = Duration::from_millis(100);
const REST_MAX: Duration = Duration::from_secs(60);

/// A rest for what finds no room.
const ROOM_REST: Duration = Duration::from_secs(1);

/// A consumer's dead letters.
#[derive(Debug)]
pub(super) struct DeadLetters {
    /// Delivered that many times again; more often, and it is dead.
    redeliveries_max: u32,
    /// Copies made, and letters that are not stored.
    bytes: HeldBytes,
    bytes_max: usize,
    shard_bytes_max: usize,
    /// With the client for the last time.
    last: BTreeMap<EntryId, HeldEntry>,
    waiting: VecDeque<HeldEntry>,
    /// Letters of which something was published and is not stored.
    posted: BTreeMap<EntryId, Posted>,
    /// What was published and has no outcome, oldest first.
    in_flight: VecDeque<(Lane, EntryId)>,
    /// To be asked for again, and when.
    returned: Vec<EntryId>,
    returned_at: Option<Instant>,
    /// Nothing is published before.
    rest_until: Option<Instant>,
    /// After the next failure.
    rest: Duration,
}

#[derive(Debug, Default)]
struct Posted {
    in_flight: u32,
    bytes: usize,
}

/// What becomes of an entry that the broker sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is delivered.
    Deliver,
    /// It is a dead letter, and not for the client.
    Dead,
    /// It is one already.
    Known,
}

impl DeadLetters {
    /// `None` if the consumer has none.
    pub(super) fn new(spec: &ConsumerSpec) -> Option<Self> {
        Some(Self {
            redeliveries_max: spec.redeliveries_max?,
            bytes: HeldBytes::new(spec.shard_held.clone()),
            bytes_max: spec.held_bytes_max,
            shard_bytes_max: spec.shard_held_bytes_max,
            last: BTreeMap::new(),
            waiting: VecDeque::new(),
            posted: BTreeMap::new(),
            in_flight: VecDeque::new(),
            returned: Vec::new(),
            returned_at: None,
            rest_until: None,
            rest: REST_MIN,
        })
    }

    /// An entry came.
    pub(super) fn judge(
        &mut self,
        now: Instant,
        shape: &Shape,
        metadata: &[u8],
        payload: &[u8],
    ) -> Fate {
        let count = shape.redelivery_count;
        if count < self.redeliveries_max {
            return Fate::Deliver;
        }
        let id = shape.id;
        if self.posted.contains_key(&id) || self.waiting.iter().any(|letter| letter.shape.id == id)
        {
            return Fate::Known;
        }
        let is_dead = count > self.redeliveries_max;
        let copy = self.has_room(is_dead).then(|| {
            let copy = HeldEntry::new(shape.clone(), Cursor::default(), metadata, payload, vec![]);
            self.bytes.add(copy.len());
            copy
        });
        match (copy, is_dead) {
            (Some(copy), true) => self.waiting.push_back(copy),
            (Some(copy), false) => {
                if let Some(old) = self.last.insert(id, copy) {
                    self.bytes.remove(old.len());
                }
            }
            (None, true) => {
                self.returned.push(id);
                self.returned_at.get_or_insert(now + ROOM_REST);
            }
            // If the client fails again, the broker has to send it once more.
            (None, false) => {}
        }
        if is_dead { Fate::Dead } else { Fate::Deliver }
    }

    /// One entry larger than the bounds is always let in, if it is dead.
    fn has_room(&self, is_dead: bool) -> bool {
        let load = self.bytes.load();
        (load.own <= self.bytes_max && load.shard <= self.shard_bytes_max)
            || (is_dead && load.own == 0)
    }

    /// The entry would be asked for again. Tells whether it is a dead letter instead.
    pub(super) fn bury(&mut self, entry: EntryId) -> bool {
        let Some(copy) = self.last.remove(&entry) else {
            return false;
        };
        self.waiting.push_back(copy);
        true
    }

    /// The entry is done.
    pub(super) fn forget(&mut self, entry: EntryId) {
        if let Some(copy) = self.last.remove(&entry) {
            self.bytes.remove(copy.len());
        }
        let bytes = &mut self.bytes;
        self.waiting.retain(|letter| {
            let is_other = letter.shape.id != entry;
            bytes.remove(if is_other { 0 } else { letter.len() });
            is_other
        });
    }

    /// The broker will send everything again that is not acknowledged. What is published is waited
    /// for, and acknowledged when it is stored.
    pub(super) fn handle_detached(&mut self) {
        let last = std::mem::take(&mut self.last).into_values();
        for copy in last.chain(self.waiting.drain(..)) {
            self.bytes.remove(copy.len());
        }
        self.returned.clear();
        self.returned_at = None;
    }

    /// Whether a letter may be published now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.waiting.is_empty() && self.rest_until.is_none_or(|until| until <= now)
    }

    /// The next letter to be published; its bytes count on until [`DeadLetters::note_published`].
    pub(super) fn take(&mut self) -> Option<HeldEntry> {
        self.waiting.pop_front()
    }

    /// A message of a letter, or a part of one, was published.
    pub(super) fn note_sent(&mut self, entry: EntryId, lane: Lane) {
        self.posted.entry(entry).or_default().in_flight += 1;
        self.in_flight.push_back((lane, entry));
    }

    /// All of a letter was published. Tells whether there was nothing to publish, so that it is done.
    pub(super) fn note_published(&mut self, letter: &HeldEntry) -> bool {
        match self.posted.get_mut(&letter.shape.id) {
            Some(posted) => {
                posted.bytes = letter.len();
                false
            }
            None => {
                self.bytes.remove(letter.len());
                true
            }
        }
    }

    /// A letter could not be published.
    pub(super) fn note_unpublished(&mut self, now: Instant, letter: &HeldEntry) {
        self.bytes.remove(letter.len());
        self.posted.remove(&letter.shape.id);
        self.fail(now, letter.shape.id);
    }

    /// The oldest message in flight of a lane was stored. Tells the entry that is done with it.
    pub(super) fn handle_stored(&mut self, lane: Lane) -> Option<EntryId> {
        self.rest = REST_MIN;
        let entry = self.pop(lane)?;
        let posted = self.posted.get_mut(&entry)?;
        posted.in_flight -= 1;
        if posted.in_flight > 0 {
            return None;
        }
        let bytes = posted.bytes;
        self.posted.remove(&entry);
        self.bytes.remove(bytes);
        Some(entry)
    }

    /// The oldest message in flight of a lane was not stored.
    pub(super) fn handle_refused(&mut self, now: Instant, lane: Lane) {
        if let Some(entry) = self.pop(lane)
            && let Some(posted) = self.posted.remove(&entry)
        {
            self.bytes.remove(posted.bytes);
            self.fail(now, entry);
        }
    }

    /// There is no way to publish.
    pub(super) fn handle_closed(&mut self, now: Instant) {
        self.in_flight.clear();
        for (entry, posted) in std::mem::take(&mut self.posted) {
            self.bytes.remove(posted.bytes);
            self.returned.push(entry);
        }
        for letter in self.waiting.drain(..) {
            self.bytes.remove(letter.len());
            self.returned.push(letter.shape.id);
        }
        self.begin_rest(now);
    }

    /// Whether something was published that has no outcome.
    pub(super) fn is_in_flight(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// When [`DeadLetters::take_returned`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let rest_until = self.rest_until.filter(|_| !self.waiting.is_empty());
        [self.returned_at, rest_until].into_iter().flatten().min()
    }

    /// Moves what is to be asked for again to `entries`, if the rest is over.
    pub(super) fn take_returned(&mut self, now: Instant, entries: &mut Vec<EntryId>) {
        self.rest_until = self.rest_until.filter(|&until| until > now);
        if self.returned_at.is_some_and(|at| at <= now) {
            self.returned_at = None;
            entries.append(&mut self.returned);
        }
    }

    fn fail(&mut self, now: Instant, entry: EntryId) {
        self.returned.push(entry);
        self.begin_rest(now);
    }

    fn begin_rest(&mut self, now: Instant) {
        if self.rest_until.is_none_or(|until| until <= now) {
            self.rest_until = Some(now + self.rest);
            self.rest = REST_MAX.min(self.rest * 2);
        }
        if !self.returned.is_empty() {
            self.returned_at = self.rest_until;
        }
    }

    fn pop(&mut self, lane: Lane) -> Option<EntryId> {
        let at = self.in_flight.iter().position(|(at, _)| *at == lane)?;
        self.in_flight.remove(at).map(|(_, entry)| entry)
    }
}

/// An entry to be published.
#[derive(Debug)]
pub struct Letter {
    pub(super) entry: HeldEntry,
    /// Members of a batch that are done.
    pub(super) done: Bits,
    /// Written into ids.
    pub(super) partition: Option<u32>,
}

/// One message of a letter.
#[derive(Debug)]
pub struct LetterMessage<'a> {
    /// As the client would have got it.
    pub delivery: Delivery<'a>,
    /// Its key was made of bytes.
    pub key_is_base64: bool,
    /// What it is ordered by, instead of its key.
    pub ordering_key: Option<&'a [u8]>,
    /// Where it was stored, in Java's words.
    pub origin: String,
    /// How its content is encrypted, as it was stored; empty if it is not.
    pub sealing: Vec<u8>,
}

impl Letter {
    /// Hands its messages over one by one, until one is not taken.
    ///
    /// # Errors
    /// The one of the message that was not taken.
    pub fn try_each<E>(
        &self,
        mut publish: impl FnMut(&LetterMessage<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let entry = &self.entry;
        if entry.shape.metadata.batch_size.is_none() {
            let kind = KeyKind::of_metadata(entry.metadata());
            return publish(&self.message(&Found::Plain, kind, None));
        }
        let mut offset = 0;
        for index in 0..entry.shape.size() {
            let Some(single) = Single::decode(entry.payload(), offset) else {
                break;
            };
            offset = single.payload.end;
            if self.done.get(index) || single.compacted_out || !entry.shape.is_sent(index) {
                continue;
            }
            let metadata = entry.payload().get(single.metadata.clone());
            let kind = KeyKind::of_single(metadata.unwrap_or_default());
            publish(&self.message(&Found::Member(index, single), kind, Some(index)))?;
        }
        Ok(())
    }

    fn message<'a>(
        &'a self,
        found: &Found,
        kind: KeyKind<'a>,
        index: Option<u32>,
    ) -> LetterMessage<'a> {
        let entry = &self.entry;
        let EntryId {
            ledger,
            entry: number,
        } = entry.shape.id;
        let partition = self.partition.map_or(-1, i64::from);
        let mut origin = format!("{ledger}:{number}:{partition}");
        if let Some(EntryId { ledger, entry }) = entry.shape.first_chunk() {
            origin = format!("{ledger}:{entry}:{partition};{origin}");
        }
        if let Some(index) = index {
            origin.push_str(&format!(":{index}"));
        }
        LetterMessage {
            delivery: delivery(
                &entry.shape,
                found,
                self.partition,
                entry.metadata(),
                entry.payload(),
            ),
            key_is_base64: kind.is_base64,
            ordering_key: kind.ordering_key,
            origin,
            sealing: if entry.shape.metadata.sealed {
                sealing_fields(entry.metadata())
            } else {
                Vec::new()
            },
        }
    }
}
