//! Acknowledgements on their way to the broker, grouped as Java's
//! `PersistentAcknowledgmentsGroupingTracker` does: one ACK command for what came in 100 ms, or for
//! 1000 entries. While the broker is away they are kept, up to a bound.

use std::time::Duration;

use bytes::BytesMut;

use super::{
    bits::Bits,
    told::{TOLD_TIME, Told},
    wire::{put_acks, put_cumulative_ack},
};
use crate::{pulsar::message_id::EntryId, timer::Instant};

/// How long an acknowledgement waits for company.
const GROUP_TIME: Duration = Duration::from_millis(100);

/// How many entries an ACK command waits for.
const GROUP_SIZE_MAX: usize = 1000;

/// Words of ack sets an ACK command waits for: half a megabyte.
const GROUP_WORDS_MAX: usize = 1 << 16;

/// Entries kept while the broker is away, which a client may fill with ids it made up. What is
/// dropped is delivered again.
pub(super) const KEPT_MAX: usize = 10 * GROUP_SIZE_MAX;

/// Words of ack sets kept.
pub(super) const WORDS_MAX: usize = 2 * GROUP_WORDS_MAX;

/// A broker that sends a consumer away may drop what it was told just now. Not for long: somebody
/// may have set the subscription back, and wants its messages again. One that is stopped, or hands a
/// topic on, drops what it is told for seconds before its consumers notice ([`TOLD_TIME`]): who sets a
/// subscription back leaves connections alone, and names no new broker.
const RECALL_TIME: Duration = Duration::from_secs(1);

/// In order of entry; with the messages that are left, when the entry is not done as a whole.
pub(super) type Group = Vec<(EntryId, Option<Bits>)>;

/// Acknowledgements the broker was not told of yet, and those it was told of lately.
#[derive(Debug, Default)]
pub(super) struct Acks {
    pending: Group,
    /// When the last one came into `pending`, or all of it was to be told anew.
    last_added: Instant,
    /// Words in the ack sets of `pending`.
    words: usize,
    /// This entry and all before it.
    cumulative: Option<EntryId>,
    deadline: Option<Instant>,
    told: Told,
    /// When all of `told` is old.
    forget_at: Option<Instant>,
}

impl Acks {
    /// The entry is done.
    pub(super) fn add_whole(&mut self, now: Instant, entry: EntryId) {
        match self.find(entry) {
            Ok(at) => {
                self.words -= words(&self.pending[at]);
                self.pending[at].1 = None;
            }
            Err(at) => self.insert(now, at, entry, None),
        }
    }

    /// These messages of the batch are done.
    pub(super) fn add_part(&mut self, now: Instant, entry: EntryId, done: &Bits) {
        match self.find(entry) {
            Ok(at) => {
                if let Some(left) = &mut self.pending[at].1 {
                    left.subtract(done);
                }
            }
            Err(at) => self.insert(now, at, entry, Some(done.inverse())),
        }
    }

    /// This entry and all before it are done.
    pub(super) fn add_cumulative(&mut self, now: Instant, entry: EntryId) {
        self.cumulative = Some(entry);
        self.deadline.get_or_insert(now + GROUP_TIME);
    }

    /// Whether the broker is about to be told that the entry is done.
    pub(super) fn is_done(&self, entry: EntryId) -> bool {
        self.find(entry)
            .is_ok_and(|at| self.pending[at].1.is_none())
    }

    /// Whether the broker has to be told.
    pub(super) const fn is_waiting(&self) -> bool {
        self.deadline.is_some()
    }

    /// When [`Acks::handle_timeout`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline.or(self.forget_at)
    }

    /// Tells the broker, if it is time; who has nothing to tell for long keeps no space for it.
    pub(super) fn handle_timeout(&mut self, now: Instant, consumer_id: u64, out: &mut BytesMut) {
        if self.deadline.is_some_and(|due| due <= now) {
            self.flush(consumer_id, out);
        } else if self.deadline.is_none() && self.forget_at.is_some_and(|due| due <= now) {
            *self = Self::default();
        }
    }

    /// Whether to flush at once.
    pub(super) const fn is_full(&self) -> bool {
        self.pending.len() >= GROUP_SIZE_MAX || self.words >= GROUP_WORDS_MAX
    }

    /// Tells the broker.
    pub(super) fn flush(&mut self, consumer_id: u64, out: &mut BytesMut) {
        if let Some(entry) = self.cumulative.take() {
            put_cumulative_ack(out, consumer_id, entry);
        }
        if !self.pending.is_empty() {
            put_acks(out, consumer_id, &self.pending);
            self.told.add(self.last_added, self.pending.drain(..));
            // After a broker was away for long.
            self.pending.shrink_to(2 * GROUP_SIZE_MAX);
            self.words = 0;
            self.forget_at = Some(self.last_added + TOLD_TIME);
        }
        self.deadline = None;
    }

    /// A broker is about to be told of what was kept while there was none.
    pub(super) const fn renew(&mut self, now: Instant) {
        self.last_added = now;
    }

    /// The connection broke. What went out shortly before may never have arrived, so it goes out
    /// once more; to acknowledge twice does no harm.
    pub(super) fn recall(&mut self, now: Instant, must_be_elsewhere: bool) {
        let time = if must_be_elsewhere {
            TOLD_TIME
        } else {
            RECALL_TIME
        };
        let before = self.pending.len();
        self.told.recall(now, time, &mut self.pending);
        self.forget_at = None;
        if self.pending.len() > before {
            // Of an entry the newest is the first, unless an older one says more.
            self.pending.sort_by_key(|(entry, _)| *entry);
            self.pending.dedup_by(|older, newest| {
                let is_same = older.0 == newest.0;
                if is_same && older.1.is_none() {
                    newest.1 = None;
                }
                is_same
            });
            self.words = self.pending.iter().map(words).sum();
            self.last_added = now;
            self.deadline.get_or_insert(now + GROUP_TIME);
        }
    }

    /// Where the entry is, or would be. Acknowledgements mostly come in order, so the end is tried
    /// first.
    fn find(&self, entry: EntryId) -> Result<usize, usize> {
        match self.pending.last() {
            Some((last, _)) if *last >= entry => self
                .pending
                .binary_search_by_key(&entry, |(entry, _)| *entry),
            _ => Err(self.pending.len()),
        }
    }

    fn insert(&mut self, now: Instant, at: usize, entry: EntryId, left: Option<Bits>) {
        let acknowledged = (entry, left);
        let words = words(&acknowledged);
        if self.pending.len() < KEPT_MAX && self.words + words <= WORDS_MAX {
            self.words += words;
            self.last_added = now;
            self.pending.insert(at, acknowledged);
            self.deadline.get_or_insert(now + GROUP_TIME);
        }
    }
}

/// Words in the ack set.
pub(super) fn words((_, left): &(EntryId, Option<Bits>)) -> usize {
    left.as_ref().map_or(0, Bits::word_count)
}

#[cfg(test)]
impl Acks {
    pub(super) fn pending(&self) -> &[(EntryId, Option<Bits>)] {
        &self.pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(entry: u64) -> EntryId {
        EntryId { ledger: 1, entry }
    }

    #[test]
    fn grouped_in_order_for_100_ms() {
        let mut acks = Acks::default();
        let start = Instant(5);
        for number in [3, 1, 2, 2] {
            acks.add_whole(start + Duration::from_millis(number), entry(number));
        }
        assert_eq!(acks.deadline(), Some(start + Duration::from_millis(103)));
        let mut out = BytesMut::new();
        acks.flush(7, &mut out);
        let mut expected = BytesMut::new();
        put_acks(&mut expected, 7, &[1, 2, 3].map(|n| (entry(n), None)));
        assert_eq!(out, expected);
        assert!(!acks.is_waiting());
        acks.flush(7, &mut out);
        assert_eq!(out, expected, "nothing is sent twice");
    }

    #[test]
    fn what_a_dead_broker_was_told_last_is_told_again() {
        let mut acks = Acks::default();
        let (second, mut ignored) = (Duration::from_secs(1), BytesMut::new());
        let at = |seconds| Instant(5) + second * seconds;
        let mut done = Bits::new(2);
        done.set(1);
        for (seconds, number) in [(0, 1), (1, 2), (2, 3)] {
            acks.add_whole(at(seconds), entry(number));
            acks.add_part(at(seconds), entry(10 * number), &done);
            acks.flush(7, &mut ignored);
        }
        acks.add_whole(at(2), entry(30));
        acks.recall(at(2), false);
        let mut told = BytesMut::new();
        acks.flush(7, &mut told);
        let part = Some(done.inverse());
        let group = [
            (entry(2), None),
            (entry(3), None),
            (entry(20), part),
            (entry(30), None),
        ];
        let mut expected = BytesMut::new();
        put_acks(&mut expected, 7, &group);
        assert_eq!(told, expected);

        acks.recall(at(4), false);
        assert!(acks.pending.is_empty(), "too long ago");
        acks.recall(at(2), false);
        assert!(acks.pending.is_empty(), "forgotten");

        acks.add_whole(at(4), entry(4));
        acks.flush(7, &mut ignored);
        acks.recall(at(34), true);
        assert!(!acks.pending.is_empty(), "a broker that died took it along");
    }

    /// A client that acknowledges slowly, while its broker stops slowly.
    #[test]
    fn many_small_groups_are_told_again() {
        let mut acks = Acks::default();
        let (mut ignored, mut told) = (BytesMut::new(), BytesMut::new());
        for (number, groups) in (0..100).rev().zip(0..) {
            acks.add_whole(Instant(5) + GROUP_TIME * groups, entry(number));
            acks.flush(7, &mut ignored);
        }
        acks.recall(Instant(5) + TOLD_TIME, true);
        acks.flush(7, &mut told);
        let group: Vec<_> = (0..100).map(|number| (entry(number), None)).collect();
        let mut expected = BytesMut::new();
        put_acks(&mut expected, 7, &group);
        assert_eq!(told, expected);
    }

    /// The client has messages still, and goes on.
    #[test]
    fn what_is_told_again_leaves_room_for_more() {
        let mut acks = Acks::default();
        for number in 0..10 * KEPT_MAX as u64 {
            acks.add_whole(Instant(5), entry(number));
            if acks.is_full() {
                acks.flush(7, &mut BytesMut::new());
            }
        }
        acks.recall(Instant(5), true);
        let count = acks.pending.len();
        assert_eq!(count, KEPT_MAX / 2);
        let first = acks.pending[0].0.entry;
        for number in 0..1000 {
            acks.add_whole(Instant(5), entry(first + number));
            acks.add_whole(Instant(5), entry(10 * KEPT_MAX as u64 + number));
        }
        assert_eq!(acks.pending.len(), count + 1000);
    }

    #[test]
    fn who_has_acknowledged_nothing_for_long_keeps_nothing() {
        let mut acks = Acks::default();
        let mut out = BytesMut::new();
        for number in 0..KEPT_MAX as u64 {
            acks.add_whole(Instant(5), entry(2 * number));
        }
        assert_eq!(acks.deadline(), Some(Instant(5) + GROUP_TIME));
        acks.handle_timeout(Instant(5) + GROUP_TIME, 7, &mut out);
        assert!(acks.pending.capacity() <= 2 * GROUP_SIZE_MAX);
        acks.add_whole(Instant(6), entry(1));
        acks.handle_timeout(Instant(6) + GROUP_TIME, 7, &mut out);
        assert_eq!(acks.deadline(), Some(Instant(6) + TOLD_TIME));
        out.clear();
        acks.handle_timeout(Instant(5) + TOLD_TIME, 7, &mut out);
        assert_ne!(acks.pending.capacity(), 0, "not yet");
        acks.handle_timeout(Instant(6) + TOLD_TIME, 7, &mut out);
        assert_eq!((acks.pending.capacity(), acks.deadline()), (0, None));
        acks.recall(Instant(6), true);
        assert!(acks.pending.is_empty() && out.is_empty());
    }

    #[test]
    fn what_was_kept_for_long_is_told_again_when_the_next_broker_dies_at_once() {
        let mut acks = Acks::default();
        let (hour, mut told) = (Duration::from_secs(3600), BytesMut::new());
        acks.add_whole(Instant(5), entry(1));
        acks.renew(Instant(5) + hour);
        acks.flush(7, &mut BytesMut::new());
        acks.recall(Instant(6) + hour, false);
        acks.flush(7, &mut told);
        let mut expected = BytesMut::new();
        put_acks(&mut expected, 7, &[(entry(1), None)]);
        assert_eq!(told, expected);
    }

    #[test]
    fn parts_of_an_entry_add_up() {
        let mut acks = Acks::default();
        let mut done = Bits::new(3);
        done.set(0);
        acks.add_part(Instant(0), entry(1), &done);
        done.set(2);
        acks.add_part(Instant(0), entry(1), &done);
        assert_eq!(acks.pending[0].1.as_ref().unwrap().trimmed_words(), [2]);
        assert!(!acks.is_done(entry(1)));
        acks.add_whole(Instant(0), entry(1));
        assert!(acks.is_done(entry(1)));
        acks.add_part(Instant(0), entry(1), &done);
        assert!(acks.is_done(entry(1)), "whole stays whole");
        assert_eq!((acks.pending.len(), acks.words), (1, 0));
    }

    #[test]
    fn bounded() {
        let mut acks = Acks::default();
        for number in 0..KEPT_MAX as u64 + 9 {
            assert_eq!(acks.is_full(), number >= 1000);
            acks.add_whole(Instant(0), entry(number));
        }
        assert_eq!(acks.pending.len(), KEPT_MAX);
        let mut acks = Acks::default();
        for number in 0..100 {
            acks.add_part(Instant(0), entry(number), &Bits::new(1 << 20));
        }
        assert!(acks.is_full());
        assert_eq!(acks.words, 2 * GROUP_WORDS_MAX);
    }
}
