//! What a broker keeps: topics as logs of entries, subscriptions as cursors over them.
//!
//! Written from how Pulsar's dispatchers behave, simplified: no priorities, no hash ranges, no
//! deduplication, delayed delivery at once. Knows nothing of connections.

use std::collections::{BTreeMap, BTreeSet};

use super::wire::{Body, MessageIdData};

/// A consumer's place in the broker: its connection and its id there.
pub(crate) type Handle = (u32, u64);

/// One message, wherever it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Index of the topic.
    pub(crate) topic: usize,
    /// Index of the entry in the topic.
    pub(crate) entry: usize,
    /// Index of the message in the entry.
    pub(crate) member: usize,
}

/// What an application put into a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) payload: Vec<u8>,
    pub(crate) key: Option<String>,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) event_time: Option<u64>,
    /// What only a publisher can say.
    pub(crate) deliver_at: Option<i64>,
    pub(crate) replicate_to: Vec<String>,
    /// A tombstone, which only others make.
    pub(crate) is_null: bool,
}

/// One entry of a topic.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: (u64, u64),
    pub(crate) body: Body,
    /// Its messages; one unless it is a batch.
    pub(crate) messages: Vec<Content>,
    pub(crate) batched: bool,
    pub(crate) publish_time: u64,
    /// Nobody can read it, and so the broker is told, by this number of Pulsar's.
    pub(crate) corruption: Option<i32>,
}

/// Why an entry can't be read, in Pulsar's numbers.
pub(crate) const DECOMPRESSION_ERROR: i32 = 1;
pub(crate) const CHECKSUM_MISMATCH: i32 = 2;

/// A topic.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    /// Index of the broker host that owns it.
    pub(crate) owner: usize,
    pub(crate) ledger: u64,
    pub(crate) entries: Vec<Entry>,
    pub(crate) subscriptions: BTreeMap<String, Subscription>,
    pub(crate) terminated: bool,
    /// Entries before this one were deleted with the topic's last life.
    pub(crate) base: usize,
    /// This is not its first life.
    pub(crate) is_renewed: bool,
}

/// How a subscription's messages are shared out, in Pulsar's numbers.
pub(crate) const EXCLUSIVE: i32 = 0;
pub(crate) const SHARED: i32 = 1;
pub(crate) const FAILOVER: i32 = 2;
pub(crate) const KEY_SHARED: i32 = 3;

/// A cursor with its consumers.
#[derive(Debug, Default)]
pub(crate) struct Subscription {
    pub(crate) kind: i32,
    pub(crate) durable: bool,
    /// The first one is the active one.
    pub(crate) consumers: Vec<Handle>,
    /// Entries done with; those before `start` are not listed.
    acked: BTreeSet<usize>,
    /// Members done with, of entries that are not.
    partial: BTreeMap<usize, BTreeSet<usize>>,
    /// With a consumer, not acknowledged.
    pending: BTreeMap<usize, Handle>,
    /// To be sent again before anything new.
    replay: BTreeSet<usize>,
    /// How often each entry was asked for again.
    redeliveries: BTreeMap<usize, u32>,
    read: usize,
    start: usize,
}

impl Topic {
    /// The id that the next entry gets.
    pub(crate) fn next_id(&self) -> (u64, u64) {
        let entry = self.entries.iter().rev();
        let entry = entry.take_while(|entry| entry.id.0 == self.ledger).count();
        (self.ledger, entry as u64)
    }

    /// The place itself, or the next one that somebody can read.
    pub(crate) fn readable(&self, mut place: Place) -> Place {
        let is_corrupt = |entry: &Entry| entry.corruption.is_some();
        while self.entries.get(place.entry).is_some_and(is_corrupt) {
            place.entry += 1;
            place.member = 0;
        }
        place
    }

    /// As [`Topic::readable`], in the topic's life as it is now.
    pub(crate) fn readable_now(&self, place: Place) -> Place {
        let (entry, member) = (place.entry, place.member).max((self.base, 0));
        self.readable(Place {
            entry,
            member,
            ..place
        })
    }

    /// Where an id is, if it is here.
    pub(crate) fn find(&self, id: &MessageIdData) -> Option<usize> {
        let id = (id.ledger_id, id.entry_id);
        self.entries
            .binary_search_by_key(&id, |entry| entry.id)
            .ok()
    }

    /// The first entry behind a reader's start position, as Pulsar's non-durable cursors have it:
    /// a position inside a batch begins with that batch.
    pub(crate) fn start_of(&self, id: &MessageIdData) -> usize {
        // Both are signed to a broker: -1 is before everything, and before a ledger's first entry.
        let signed = |id: (u64, u64)| (id.0.cast_signed(), id.1.cast_signed());
        let position = signed((id.ledger_id, id.entry_id));
        let inside = id.batch_index.is_some_and(|index| index >= 0);
        self.entries.partition_point(|entry| {
            let entry = signed(entry.id);
            entry < position || (!inside && entry == position)
        })
    }
}

impl Subscription {
    pub(crate) fn new(kind: i32, durable: bool, start: usize) -> Self {
        Self {
            kind,
            durable,
            read: start,
            start,
            ..Self::default()
        }
    }

    fn single_active(&self) -> bool {
        matches!(self.kind, EXCLUSIVE | FAILOVER)
    }

    /// Whether a member of an entry is done with.
    pub(crate) fn is_acked(&self, entry: usize, member: usize) -> bool {
        entry < self.start
            || self.acked.contains(&entry)
            || self
                .partial
                .get(&entry)
                .is_some_and(|members| members.contains(&member))
    }

    /// How many entries are not done with.
    pub(crate) fn backlog(&self, entries: usize) -> usize {
        (self.start..entries)
            .filter(|entry| !self.acked.contains(entry))
            .count()
    }

    /// An entry, or some members of it, are done with.
    pub(crate) fn ack(&mut self, entry: usize, members: Option<BTreeSet<usize>>, size: usize) {
        if let Some(members) = members {
            let done = self.partial.entry(entry).or_default();
            done.extend(members);
            if done.len() < size {
                return;
            }
        }
        self.partial.remove(&entry);
        self.pending.remove(&entry);
        self.replay.remove(&entry);
        if entry >= self.start {
            self.acked.insert(entry);
        }
    }

    /// A consumer went away: what it held goes to others.
    pub(crate) fn leave(&mut self, consumer: Handle) {
        let active = self.consumers.first() == Some(&consumer);
        self.consumers.retain(|handle| *handle != consumer);
        if self.single_active() {
            if active {
                self.rewind();
            }
        } else {
            let held = self.pending.iter().filter(|held| *held.1 == consumer);
            let held: Vec<_> = held.map(|held| *held.0).collect();
            for entry in held {
                self.pending.remove(&entry);
                self.replay.insert(entry);
            }
        }
    }

    /// A consumer asks for entries again; for all it holds if it names none.
    pub(crate) fn redeliver(&mut self, consumer: Handle, named: &[usize]) {
        if self.single_active() {
            if self.consumers.first() == Some(&consumer) {
                self.rewind();
            }
            return;
        }
        let held = self
            .pending
            .iter()
            .filter(|held| *held.1 == consumer && (named.is_empty() || named.contains(held.0)));
        let held: Vec<_> = held.map(|held| *held.0).collect();
        for entry in held {
            self.pending.remove(&entry);
            self.replay.insert(entry);
            *self.redeliveries.entry(entry).or_default() += 1;
        }
    }

    fn rewind(&mut self) {
        self.pending.clear();
        self.read = self.start;
    }

    /// The next entry that may be sent, and to whom; `ready` tells who has permits.
    pub(crate) fn next(
        &self,
        entries: &[Entry],
        chance: usize,
        ready: impl Fn(Handle) -> bool,
    ) -> Option<(usize, Handle)> {
        let mut fresh = (self.read..entries.len()).filter(|entry| !self.acked.contains(entry));
        if self.single_active() {
            let active = *self.consumers.first()?;
            return ready(active).then(|| Some((fresh.next()?, active)))?;
        }
        if self.kind == SHARED {
            let able: Vec<_> = self.consumers.iter().filter(|c| ready(**c)).collect();
            let consumer = **able.get(chance % able.len().max(1))?;
            let entry = self.replay.first().copied().or_else(|| fresh.next())?;
            return Some((entry, consumer));
        }
        // One key, one consumer, in order: a key whose earlier message waits must wait too.
        let key = |entry: usize| key_of(entries, entry);
        let mut holders: BTreeMap<_, BTreeSet<Handle>> = BTreeMap::new();
        for (entry, holder) in &self.pending {
            holders.entry(key(*entry)).or_default().insert(*holder);
        }
        let mut blocked = BTreeSet::new();
        for entry in self.replay.iter().copied().chain(fresh) {
            let key = key(entry);
            let hash = key
                .bytes()
                .fold(7, |hash, byte| hash * 31 % 9973 + usize::from(byte));
            let consumer = *self.consumers.get(hash % self.consumers.len().max(1))?;
            let mut held_by = holders.get(&key).into_iter().flatten();
            let elsewhere = held_by.any(|holder| *holder != consumer);
            if !elsewhere && !blocked.contains(&key) && ready(consumer) {
                return Some((entry, consumer));
            }
            blocked.insert(key);
        }
        None
    }

    /// An entry is sent; tells how often it was asked for again, and which members remain.
    pub(crate) fn sent(
        &mut self,
        entry: usize,
        consumer: Handle,
        size: usize,
    ) -> (u32, Vec<usize>) {
        if !self.replay.remove(&entry) {
            // Key_Shared may pass by entries that wait for their consumer.
            if self.kind == KEY_SHARED {
                self.replay.extend(
                    (self.read..entry)
                        .filter(|skipped| !self.acked.contains(skipped))
                        .filter(|skipped| !self.pending.contains_key(skipped)),
                );
                self.read = self.read.max(entry + 1);
            } else {
                self.read = entry + 1;
            }
        }
        self.pending.insert(entry, consumer);
        let left = (0..size).filter(|member| !self.is_acked(entry, *member));
        let redeliveries = self.redeliveries.get(&entry).copied().unwrap_or(0);
        (redeliveries, left.collect())
    }
}

fn key_of(entries: &[Entry], entry: usize) -> String {
    entries[entry].messages[0].key.clone().unwrap_or_default()
}
