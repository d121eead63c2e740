//! When to ask for messages again: after a negative acknowledgement, and when the client's patience
//! with an unacknowledged one is over. The times are those of Java's `NegativeAcksTracker` and
//! `UnAckedMessageTracker`; who is asked, and how, is the consumer's business.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use crate::{
    pulsar::message_id::EntryId,
    timer::{Instant, Now},
};

/// Rejected messages rest at least that long, so that they are asked for in groups.
const REST_MIN_MS: u64 = 100;

/// Due times are rounded down to this grain of the wall clock, for the same reason. The first
/// message to rest is looked at no earlier for it: only those that follow it come sooner.
const GRAIN_MS: u64 = 256;

/// Entries that rest although they are unknown in this session; a client can name as many as it
/// likes.
const STRANGERS_MAX: usize = 10_000;

/// Entries with rejected messages, until they are asked for again.
#[derive(Debug)]
pub(super) struct Rejections {
    delay_ms: u64,
    /// When it is looked at next what is due; set while anything rests.
    look: Option<Instant>,
    by_time: BTreeSet<(Instant, EntryId)>,
    by_entry: BTreeMap<EntryId, Instant>,
}

impl Rejections {
    pub(super) fn new(delay: Duration) -> Self {
        Self {
            delay_ms: u64::try_from(delay.as_millis())
                .unwrap_or(u64::MAX)
                .max(REST_MIN_MS),
            look: None,
            by_time: BTreeSet::new(),
            by_entry: BTreeMap::new(),
        }
    }

    /// A message of this entry was rejected. An entry that rests already comes back as planned: it
    /// brings all its messages.
    pub(super) fn add(&mut self, now: Now, entry: EntryId, known: bool) {
        let is_new = !self.by_entry.contains_key(&entry);
        if is_new && (known || self.by_entry.len() < STRANGERS_MAX) {
            let due = self.due(now);
            self.by_time.insert((due, entry));
            self.by_entry.insert(entry, due);
            let delay = Duration::from_millis(self.delay_ms);
            self.look.get_or_insert_with(|| now.mono + delay);
        }
    }

    /// The entry need not be asked for any more.
    pub(super) fn remove(&mut self, entry: EntryId) {
        if let Some(due) = self.by_entry.remove(&entry) {
            self.by_time.remove(&(due, entry));
            if self.by_time.is_empty() {
                self.look = None;
            }
        }
    }

    /// When to call [`Rejections::take_due`].
    pub(super) const fn next_due(&self) -> Option<Instant> {
        self.look
    }

    /// Moves what is due to `entries`.
    pub(super) fn take_due(&mut self, now: Instant, entries: &mut Vec<EntryId>) {
        if self.look.is_none_or(|look| now < look) {
            return;
        }
        while let Some(&(due, entry)) = self.by_time.first() {
            if due > now {
                break;
            }
            self.remove(entry);
            entries.push(entry);
        }
        self.look = self.by_time.first().map(|(due, _)| *due);
    }

    pub(super) fn clear(&mut self) {
        self.look = None;
        self.by_time.clear();
        self.by_entry.clear();
    }

    fn due(&self, now: Now) -> Instant {
        let due_ms = now.wall_ms.saturating_add(self.delay_ms) / GRAIN_MS * GRAIN_MS;
        let rest_ms = due_ms.saturating_sub(now.wall_ms);
        now.mono + Duration::from_millis(rest_ms)
    }
}

/// The clock of a consumer's ack timeout. It ticks once a second from when the consumer was made; an
/// entry is asked for again with the tick that is `ticks` behind its delivery.
#[derive(Debug)]
pub(super) struct Patience {
    tick: Duration,
    ticks: u64,
    origin: Option<Instant>,
    /// No entry expires before this tick.
    next: Option<u64>,
}

impl Patience {
    pub(super) fn new(timeout: Duration) -> Self {
        let tick = timeout.min(Duration::from_secs(1));
        let blank = timeout.as_nanos().div_ceil(tick.as_nanos().max(1));
        Self {
            tick,
            ticks: u64::try_from(blank).unwrap_or(u64::MAX).saturating_add(1),
            origin: None,
            next: None,
        }
    }

    /// The consumer is made; a reconnect does not stop the clock.
    pub(super) fn start(&mut self, now: Instant) {
        self.origin.get_or_insert(now);
    }

    /// The tick that ends the patience with what is delivered now.
    pub(super) fn expiry(&mut self, now: Instant) -> u64 {
        let expiry = self.passed(now).saturating_add(self.ticks);
        self.next.get_or_insert(expiry);
        expiry
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let ticks = u32::try_from(self.next?).unwrap_or(u32::MAX);
        Some(self.origin? + self.tick.saturating_mul(ticks))
    }

    /// The latest tick, if an entry may expire with it.
    pub(super) fn due(&self, now: Instant) -> Option<u64> {
        let passed = self.passed(now);
        (self.next? <= passed).then_some(passed)
    }

    /// No entry expires before this tick.
    pub(super) const fn set_next(&mut self, next: Option<u64>) {
        self.next = next;
    }

    fn passed(&self, now: Instant) -> u64 {
        let Some(origin) = self.origin else {
            return 0;
        };
        let passed = now.since(origin).as_nanos() / self.tick.as_nanos().max(1);
        u64::try_from(passed).unwrap_or(u64::MAX)
    }
}

/// Left entries that are remembered; what comes beyond them comes again with the next connection.
const LEFT_MAX: usize = 10_000;

/// Entries that were not delivered and not acknowledged, until the client's patience would be over
/// with them.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Ticks ascending.
    entries: VecDeque<(u64, EntryId)>,
}

impl Left {
    pub(super) fn push(&mut self, expiry: u64, entry: EntryId) {
        if self.entries.len() < LEFT_MAX {
            self.entries.push_back((expiry, entry));
        }
    }

    /// Moves what expires with this tick to `entries`; tells when the next one does.
    pub(super) fn expired(&mut self, tick: u64, entries: &mut Vec<EntryId>) -> Option<u64> {
        while let Some(&(expiry, entry)) = self.entries.front() {
            if expiry > tick {
                return Some(expiry);
            }
            self.entries.pop_front();
            entries.push(entry);
        }
        None
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: EntryId = EntryId {
        ledger: 1,
        entry: 2,
    };

    fn at_ms(ms: u64) -> Now {
        Now {
            mono: Instant(ms * 1_000_000),
            wall_ms: 1_700_000_000_000 + ms,
        }
    }

    fn entry(entry: u64) -> EntryId {
        EntryId { ledger: 9, entry }
    }

    /// Rejects one entry at each of the times; when each of them is asked for.
    fn asked_for_ms(delay_ms: u64, rejected_ms: &[u64]) -> Vec<u64> {
        let mut rejections = Rejections::new(Duration::from_millis(delay_ms));
        let mut rejected = (0..).zip(rejected_ms).peekable();
        let mut asked_for = vec![0; rejected_ms.len()];
        while let Some(look) = rejected
            .peek()
            .map(|(_, at)| **at)
            .into_iter()
            .chain(rejections.next_due().map(|due| due.0 / 1_000_000))
            .min()
        {
            let mut entries = Vec::new();
            rejections.take_due(at_ms(look).mono, &mut entries);
            for entry in entries {
                asked_for[usize::try_from(entry.entry).unwrap()] = look;
            }
            while let Some((number, _)) = rejected.next_if(|(_, at)| **at == look) {
                rejections.add(at_ms(look), entry(number), true);
            }
        }
        asked_for
    }

    #[test]
    fn the_first_rests_for_the_whole_delay() {
        for (delay_ms, at_ms, rest_ms) in [
            (0, 0, 100),
            (100, 300, 100),
            (300, 0, 300),
            (300, 250, 300),
            (1000, 1, 1000),
            (60_000, 7, 60_000),
        ] {
            assert_eq!(asked_for_ms(delay_ms, &[at_ms]), [at_ms + rest_ms]);
        }
    }

    #[test]
    fn those_behind_it_come_with_their_grain() {
        // 1_700_000_000_000 is a multiple of 256; 1200 rounds down to 1024, 1700 to 1536.
        assert_eq!(asked_for_ms(1000, &[0, 20, 200]), [1000, 1000, 1024]);
        assert_eq!(asked_for_ms(1000, &[0, 700]), [1000, 1536]);
        assert_eq!(asked_for_ms(100, &[0, 50]), [100, 100]);
        assert_eq!(asked_for_ms(300, &[0, 400]), [300, 700], "two firsts");
    }

    #[test]
    fn an_entry_comes_back_once() {
        let mut rejections = Rejections::new(Duration::from_millis(512));
        rejections.add(at_ms(0), ENTRY, true);
        rejections.add(at_ms(300), ENTRY, true);
        let mut entries = Vec::new();
        rejections.take_due(at_ms(511).mono, &mut entries);
        assert!(entries.is_empty());
        rejections.take_due(at_ms(512).mono, &mut entries);
        assert_eq!(entries, [ENTRY]);
        assert_eq!(rejections.next_due(), None);
        rejections.add(at_ms(600), ENTRY, true);
        rejections.remove(ENTRY);
        assert_eq!(rejections.next_due(), None);
        rejections.add(at_ms(900), ENTRY, true);
        assert_eq!(rejections.next_due(), Some(at_ms(1412).mono));
    }

    #[test]
    fn strangers_are_bounded() {
        let mut rejections = Rejections::new(Duration::ZERO);
        for number in 0..STRANGERS_MAX as u64 + 10 {
            rejections.add(at_ms(0), entry(number), false);
        }
        rejections.add(at_ms(0), ENTRY, true);
        assert_eq!(rejections.by_time.len(), STRANGERS_MAX + 1);
    }

    #[test]
    fn a_timeout_of_a_second_ends_with_the_second_tick() {
        let mut patience = Patience::new(Duration::from_secs(1));
        patience.start(at_ms(500).mono);
        patience.start(at_ms(700).mono);
        assert_eq!(patience.deadline(), None);
        assert_eq!(patience.expiry(at_ms(1400).mono), 2);
        assert_eq!(patience.deadline(), Some(at_ms(2500).mono));
        assert_eq!(patience.expiry(at_ms(1500).mono), 3);
        assert_eq!(patience.due(at_ms(2499).mono), None);
        assert_eq!(patience.due(at_ms(2500).mono), Some(2));
        patience.set_next(Some(3));
        assert_eq!(patience.due(at_ms(2500).mono), None);
        let mut longer = Patience::new(Duration::from_millis(2500));
        longer.start(at_ms(0).mono);
        assert_eq!(longer.expiry(at_ms(0).mono), 4);
    }
}
