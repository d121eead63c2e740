//! Which messages the client holds, and which members of a batch are done.
//!
//! One record an entry: a bit for each message that is with the client, and a bit for each that is
//! acknowledged. A broker by default knows entries only, so the second set must outlive a
//! redelivery: it is what keeps acknowledged members of a batch from coming back with the others.
//! Here nothing is sent and no time passes; the caller does both.

use std::{
    collections::{HashMap, VecDeque, hash_map},
    hash::{BuildHasherDefault, Hasher},
};

use super::bits::Bits;
use crate::pulsar::message_id::{EntryId, PulsarId};

/// Batches in part acknowledged whose other messages are not with the client. They wait for a
/// redelivery that may go to another consumer of the subscription and then never comes, so only so
/// many are remembered; of a forgotten one, acknowledged messages are delivered once more.
const RESTING_MAX: usize = 10_000;

/// Batches of more messages than this are acknowledged by the session that got them only: a client
/// can put any size into an id.
const STRANGE_BATCH_SIZE_MAX: u32 = 1 << 13;

/// The messages of one session that are not done.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    /// Looked up only, and sorted after each walk: its order is not visible.
    records: HashMap<EntryId, Record, BuildHasherDefault<EntryHasher>>,
    /// Entries in the order they came to rest, some of which may be gone or awake again.
    resting: VecDeque<EntryId>,
}

#[derive(Debug)]
struct Record {
    batched: bool,
    /// Done: acknowledged in this session or before, or not there any more.
    acked: Bits,
    /// With the client. Disjoint from `acked`, except after the entry was acknowledged as a whole.
    delivered: Bits,
    /// The tick of the ack timeout that ends the patience with this entry.
    expiry: Option<u64>,
    resting: bool,
}

/// What is known about a message that the broker sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing; it is to be delivered.
    Fresh,
    /// It is with the client.
    Delivered,
    /// It is done.
    Acked,
}

/// What an acknowledgement changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Acknowledged<'a> {
    /// A message that was with the client is not any more.
    pub(super) removed: bool,
    pub(super) tell: Tell<'a>,
}

/// What the broker has to be told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tell<'a> {
    /// Nothing new.
    Nothing,
    /// The whole entry is done.
    Whole,
    /// These messages of the batch are done.
    Part(&'a Bits),
    /// Nothing is known of the entry in this session.
    Unknown,
}

/// What a negative acknowledgement changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rejected {
    /// A message that was with the client is not any more.
    pub(super) removed: bool,
    /// The entry is to be asked for again.
    pub(super) again: bool,
    /// The entry is known in this session.
    pub(super) known: bool,
}

impl Outstanding {
    pub(super) fn known(&self, entry: EntryId, index: u32) -> Known {
        match self.records.get(&entry) {
            Some(record) if record.delivered.get(index) => Known::Delivered,
            Some(record) if record.acked.get(index) => Known::Acked,
            _ => Known::Fresh,
        }
    }

    /// A message goes to the client. The patience with an entry begins with its first message.
    pub(super) fn deliver(
        &mut self,
        entry: EntryId,
        batch: Option<u32>,
        index: u32,
        expiry: Option<u64>,
    ) {
        let record = self.record(entry, batch);
        record.delivered.set(index);
        record.expiry = record.expiry.or(expiry);
    }

    /// These messages of a batch are done without the client.
    pub(super) fn skip(&mut self, entry: EntryId, size: u32, done: &Bits) {
        self.record(entry, Some(size)).acked.unite(done);
    }

    /// This message of a batch is done without the client.
    pub(super) fn skip_one(&mut self, entry: EntryId, size: u32, index: u32) {
        self.record(entry, Some(size)).acked.set(index);
    }

    /// The last message of an entry was taken. Tells whether all of them are done, so that the entry
    /// must be acknowledged although the client had none of them.
    pub(super) fn finish(&mut self, entry: EntryId) -> bool {
        let hash_map::Entry::Occupied(record) = self.records.entry(entry) else {
            return false;
        };
        let done = record.get().acked.is_full() && record.get().delivered.is_empty();
        if done {
            record.remove();
        }
        done
    }

    /// An entry that is with nobody is asked for again when the patience with it ends.
    pub(super) fn track(&mut self, entry: EntryId, expiry: u64) {
        let record = self.record(entry, None);
        record.expiry = record.expiry.or(Some(expiry));
    }

    /// All of an entry is done, which the client had not any more.
    pub(super) fn end(&mut self, entry: EntryId) {
        self.records.remove(&entry);
    }

    pub(super) fn acknowledge(&mut self, id: &PulsarId) -> Acknowledged<'_> {
        let hash_map::Entry::Occupied(mut occupied) = self.records.entry(id.entry) else {
            return Acknowledged {
                removed: false,
                tell: Tell::Unknown,
            };
        };
        let record = occupied.get_mut();
        let (removed, news) = match record.index(id) {
            Some(index) => (record.delivered.clear(index), record.acked.set(index)),
            None => {
                // An id without a batch index means all of the entry. One message is given back
                // for it, as for any other id; the rest as the client acknowledges them.
                let news = !record.acked.is_full();
                record.acked = Bits::full(record.acked.len());
                (record.clear_first(), news)
            }
        };
        let whole = record.acked.is_full();
        if record.delivered.is_empty() {
            record.expiry = None;
            if whole {
                occupied.remove();
                return Acknowledged {
                    removed,
                    tell: if news { Tell::Whole } else { Tell::Nothing },
                };
            }
        }
        let tell = match (news, whole) {
            (false, _) => Tell::Nothing,
            (true, true) => Tell::Whole,
            (true, false) => Tell::Part(&occupied.into_mut().acked),
        };
        Acknowledged { removed, tell }
    }

    /// A message that was delivered to somebody else, or before a reconnect. Of a batch the bits are
    /// kept, so that the entry is done when all its messages are.
    pub(super) fn acknowledge_stranger(&mut self, id: &PulsarId) -> Tell<'_> {
        match (id.batch_index, id.batch_size) {
            (None, _) | (Some(0), 1) => Tell::Whole,
            (Some(index), size @ 2..=STRANGE_BATCH_SIZE_MAX) if index < size => {
                let record = self.record(id.entry, Some(size));
                record.acked.set(index);
                record.resting = true;
                self.resting.push_back(id.entry);
                self.forget_oldest();
                match self.records.get(&id.entry) {
                    Some(record) => Tell::Part(&record.acked),
                    None => Tell::Nothing,
                }
            }
            _ => Tell::Unknown,
        }
    }

    /// The client wants a message again later. As in Java, the ack timeout leaves its entry alone.
    pub(super) fn reject(&mut self, id: &PulsarId) -> Rejected {
        let hash_map::Entry::Occupied(mut occupied) = self.records.entry(id.entry) else {
            return Rejected {
                removed: false,
                again: true,
                known: false,
            };
        };
        let record = occupied.get_mut();
        let (removed, again) = match record.index(id) {
            Some(index) => {
                let removed = record.delivered.clear(index);
                (removed, removed || !record.acked.get(index))
            }
            None => (record.clear_first(), !record.acked.is_full()),
        };
        if again {
            record.expiry = None;
        }
        if record.delivered.is_empty() && (record.acked.is_empty() || record.acked.is_full()) {
            occupied.remove();
        }
        Rejected {
            removed,
            again,
            known: true,
        }
    }

    /// The entry is asked for again: its messages are with the client no more. Tells how many were,
    /// and whether anything of the entry is left to ask for.
    pub(super) fn release(&mut self, entry: EntryId) -> (u32, bool) {
        let hash_map::Entry::Occupied(mut occupied) = self.records.entry(entry) else {
            return (0, true);
        };
        let record = occupied.get_mut();
        let released = record.release();
        if record.acked.is_full() || record.acked.is_empty() {
            return (released, !occupied.remove().acked.is_full());
        }
        if !record.resting {
            record.resting = true;
            self.resting.push_back(entry);
            self.forget_oldest();
        }
        (released, true)
    }

    /// All entries are asked for again. Tells how many messages were with the client.
    pub(super) fn release_all(&mut self) -> u32 {
        let mut released = 0;
        let mut rest = Vec::new();
        self.records.retain(|&entry, record| {
            released += record.release();
            let keep = !record.acked.is_empty() && !record.acked.is_full();
            if keep && !record.resting {
                record.resting = true;
                rest.push(entry);
            }
            keep
        });
        rest.sort_unstable();
        self.resting.extend(rest);
        self.forget_oldest();
        released
    }

    /// Everything is forgotten. Tells how many messages were with the client.
    pub(super) fn clear(&mut self) -> u32 {
        let delivered = |record: &Record| record.delivered.count();
        let released = self.records.values().map(delivered).sum();
        self.records.clear();
        self.resting.clear();
        released
    }

    /// Appends the entries whose patience ended with `tick`, in order; tells when the next one's will.
    pub(super) fn expired(&self, tick: u64, entries: &mut Vec<EntryId>) -> Option<u64> {
        let start = entries.len();
        let mut next: Option<u64> = None;
        for (&entry, record) in &self.records {
            match record.expiry {
                Some(expiry) if expiry <= tick => entries.push(entry),
                Some(expiry) => next = Some(next.map_or(expiry, |next| next.min(expiry))),
                None => {}
            }
        }
        entries[start..].sort_unstable();
        next
    }

    fn record(&mut self, entry: EntryId, batch: Option<u32>) -> &mut Record {
        let size = batch.unwrap_or(1);
        let new = || Record {
            batched: batch.is_some(),
            acked: Bits::new(size),
            delivered: Bits::new(size),
            expiry: None,
            resting: false,
        };
        let record = self.records.entry(entry).or_insert_with(new);
        if record.batched != batch.is_some() || record.acked.len() != size {
            // Made of an id that said otherwise.
            *record = new();
        }
        record
    }

    fn forget_oldest(&mut self) {
        while self.resting.len() > RESTING_MAX {
            let Some(oldest) = self.resting.pop_front() else {
                return;
            };
            if let hash_map::Entry::Occupied(mut occupied) = self.records.entry(oldest) {
                occupied.get_mut().resting = false;
                if occupied.get().delivered.is_empty() {
                    occupied.remove();
                }
            }
        }
    }
}

impl Record {
    /// Which bit an id means; `None`: the entry.
    const fn index(&self, id: &PulsarId) -> Option<u32> {
        if self.batched {
            id.batch_index
        } else {
            Some(0)
        }
    }

    fn clear_first(&mut self) -> bool {
        let first = self.delivered.first();
        first.is_some_and(|index| self.delivered.clear(index))
    }

    fn release(&mut self) -> u32 {
        let released = self.delivered.count();
        self.delivered.clear_all();
        self.expiry = None;
        released
    }
}

/// Ids come from the broker, which we trust not to collide on purpose: two multiplications are
/// enough, and the same in every run.
#[derive(Debug, Default)]
pub(super) struct EntryHasher(u64);

impl Hasher for EntryHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(entry: u64) -> EntryId {
        EntryId { ledger: 1, entry }
    }

    fn member(number: u64, index: u32) -> PulsarId {
        PulsarId {
            entry: entry(number),
            partition: None,
            batch_index: Some(index),
            batch_size: 3,
            first_chunk: None,
        }
    }

    fn whole(number: u64) -> PulsarId {
        PulsarId {
            batch_index: None,
            batch_size: 0,
            ..member(number, 0)
        }
    }

    fn batch_of_three() -> Outstanding {
        let mut outstanding = Outstanding::default();
        for index in 0..3 {
            outstanding.deliver(entry(1), Some(3), index, None);
        }
        outstanding
    }

    #[test]
    fn an_entry_is_done_with_its_last_message() {
        let mut outstanding = batch_of_three();
        let acknowledged = outstanding.acknowledge(&member(1, 1));
        assert!(acknowledged.removed);
        let mut done = Bits::new(3);
        done.set(1);
        assert_eq!(acknowledged.tell, Tell::Part(&done));
        let again = outstanding.acknowledge(&member(1, 1));
        assert_eq!((again.removed, again.tell), (false, Tell::Nothing));
        assert!(outstanding.acknowledge(&member(1, 0)).removed);
        let last = outstanding.acknowledge(&member(1, 2));
        assert_eq!((last.removed, last.tell), (true, Tell::Whole));
        assert!(outstanding.records.is_empty());
    }

    #[test]
    fn a_batch_that_somebody_else_got_is_done_with_its_last_message_too() {
        let mut outstanding = Outstanding::default();
        assert_eq!(outstanding.acknowledge(&member(1, 0)).tell, Tell::Unknown);
        let first = outstanding.acknowledge_stranger(&member(1, 0));
        assert!(matches!(first, Tell::Part(done) if done.count() == 1));
        let second = outstanding.acknowledge(&member(1, 1));
        assert!(!second.removed);
        assert!(matches!(second.tell, Tell::Part(done) if done.count() == 2));
        assert_eq!(outstanding.known(entry(1), 1), Known::Acked);
        let last = outstanding.acknowledge(&member(1, 2));
        assert_eq!((last.removed, last.tell), (false, Tell::Whole));
        assert_eq!(outstanding.acknowledge_stranger(&whole(1)), Tell::Whole);
        let id = |index, size| PulsarId {
            batch_size: size,
            ..member(9, index)
        };
        assert_eq!(outstanding.acknowledge_stranger(&id(0, 1)), Tell::Whole);
        for (index, size) in [(3, 3), (0, 0), (1, 1), (0, STRANGE_BATCH_SIZE_MAX + 1)] {
            let tell = outstanding.acknowledge_stranger(&id(index, size));
            assert_eq!(tell, Tell::Unknown);
        }
        assert!(outstanding.records.is_empty());
    }

    #[test]
    fn an_id_of_the_entry_ends_all_of_it_but_gives_back_one_message_a_time() {
        let mut outstanding = batch_of_three();
        let first = outstanding.acknowledge(&whole(1));
        assert_eq!((first.removed, first.tell), (true, Tell::Whole));
        let second = outstanding.acknowledge(&whole(1));
        assert_eq!((second.removed, second.tell), (true, Tell::Nothing));
        let (released, again) = outstanding.release(entry(1));
        assert_eq!(
            (released, again),
            (1, false),
            "an acknowledged entry is not asked for"
        );
    }

    #[test]
    fn what_is_acknowledged_outlives_a_redelivery() {
        let mut outstanding = batch_of_three();
        outstanding.acknowledge(&member(1, 0));
        let rejected = outstanding.reject(&member(1, 1));
        assert!(rejected.removed && rejected.again);
        assert_eq!(
            outstanding.release(entry(1)),
            (1, true),
            "the sibling comes again too"
        );
        assert_eq!(outstanding.known(entry(1), 0), Known::Acked);
        assert_eq!(outstanding.known(entry(1), 1), Known::Fresh);
        assert_eq!(outstanding.known(entry(1), 2), Known::Fresh);
        let done = outstanding.reject(&member(1, 0));
        assert_eq!((done.removed, done.again), (false, false));
    }

    #[test]
    fn only_so_many_entries_rest() {
        let mut outstanding = Outstanding::default();
        for number in 0..RESTING_MAX as u64 + 5 {
            outstanding.deliver(entry(number), Some(2), 0, None);
            outstanding.acknowledge(&member(number, 0));
            assert_eq!(outstanding.release(entry(number)), (0, true));
            assert_eq!(outstanding.release(entry(number)), (0, true));
        }
        assert_eq!(outstanding.records.len(), RESTING_MAX);
        assert_eq!(outstanding.known(entry(4), 0), Known::Fresh);
        assert_eq!(outstanding.known(entry(5), 0), Known::Acked);
    }

    #[test]
    fn patience_begins_with_the_first_message_and_ends_in_order() {
        let mut outstanding = Outstanding::default();
        for number in (0..20).rev() {
            outstanding.deliver(entry(number), Some(2), 0, Some(3));
            outstanding.deliver(entry(number), Some(2), 1, Some(4));
        }
        outstanding.deliver(entry(30), None, 0, Some(9));
        let mut entries = Vec::new();
        assert_eq!(outstanding.expired(2, &mut entries), Some(3));
        assert!(entries.is_empty());
        assert_eq!(outstanding.expired(3, &mut entries), Some(9));
        assert_eq!(entries, (0..20).map(entry).collect::<Vec<_>>());
    }

    #[test]
    fn all_released_or_cleared() {
        let mut outstanding = batch_of_three();
        outstanding.deliver(entry(2), None, 0, None);
        outstanding.acknowledge(&member(1, 2));
        assert_eq!(outstanding.release_all(), 3);
        assert_eq!(outstanding.known(entry(1), 2), Known::Acked);
        outstanding.deliver(entry(1), Some(3), 0, None);
        assert_eq!(outstanding.clear(), 1);
        assert_eq!(outstanding.known(entry(1), 2), Known::Fresh);
    }
}
