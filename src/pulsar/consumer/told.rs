//! Acknowledgements that the broker was told of lately, and may have dropped.
//!
//! Consumers acknowledge mostly in order, so whole entries are kept as runs of consecutive ones. What is
//! kept is bounded, and old after a while; the oldest is forgotten first.

use std::{collections::VecDeque, time::Duration};

use super::{
    acks::{Group, KEPT_MAX, WORDS_MAX, words},
    bits::Bits,
};
use crate::{pulsar::message_id::EntryId, timer::Instant};

/// As long as anything is kept.
pub(super) const TOLD_TIME: Duration = Duration::from_secs(30);

/// Runs, and as many entries of which messages are left. A broker that hears nothing any more can have
/// so many out with a consumer of Java's largest queue, twice.
const TOLD_MAX: usize = 2000;

/// Entries that are to be told again, and those that wait already.
const RECALLED_MAX: usize = KEPT_MAX / 2;

/// Nanoseconds in which a run may grow, so that none is both young and old.
const RUN_NANOS: u64 = 200_000_000;

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The newest is the last.
    runs: VecDeque<Run>,
    /// The same of entries that were not done as a whole.
    parts: VecDeque<Part>,
    /// Words in their ack sets.
    words: usize,
}

/// Entries that follow each other, whole.
#[derive(Debug)]
struct Run {
    ledger: u64,
    first: u64,
    last: u64,
    at: Instant,
}

/// An entry with the messages that were left of it.
#[derive(Debug)]
struct Part {
    entry: EntryId,
    left: Bits,
    at: Instant,
}

impl Told {
    /// A group goes out whose last acknowledgement came then.
    pub(super) fn add(
        &mut self,
        at: Instant,
        group: impl Iterator<Item = (EntryId, Option<Bits>)>,
    ) {
        self.expire(at);
        let mut run: Option<Run> = None;
        for (entry, left) in group {
            match (left, &mut run) {
                (Some(left), _) => self.add_part(Part { entry, left, at }),
                (None, Some(run)) if run.is_before(entry) => run.last = entry.entry,
                (None, run) => {
                    if let Some(run) = run.replace(Run::of(entry, at)) {
                        self.add_run(run);
                    }
                }
            }
        }
        if let Some(run) = run {
            self.add_run(run);
        }
    }

    /// Moves what is not older than `time` to `group`, newest first, and forgets the rest. Half of the room
    /// for acknowledgements is left to those that come while there is no broker.
    pub(super) fn recall(&mut self, now: Instant, time: Duration, group: &mut Group) {
        let Self { runs, parts, .. } = std::mem::take(self);
        let mut words_left = (WORDS_MAX / 2).saturating_sub(group.iter().map(words).sum());
        for Part { entry, left, at } in parts.into_iter().rev() {
            let acknowledged = (entry, Some(left));
            let words = words(&acknowledged);
            if now.since(at) > time || group.len() >= RECALLED_MAX || words > words_left {
                break;
            }
            words_left -= words;
            group.push(acknowledged);
        }
        for run in runs.into_iter().rev() {
            if now.since(run.at) > time {
                break;
            }
            let room = RECALLED_MAX.saturating_sub(group.len());
            group.extend(run.entries().rev().take(room).map(|entry| (entry, None)));
        }
    }

    fn add_run(&mut self, run: Run) {
        if let Some(newest) = self.runs.back_mut()
            && newest.is_before(run.first())
            && newest.at.0 / RUN_NANOS == run.at.0 / RUN_NANOS
        {
            newest.last = run.last;
            newest.at = run.at;
            return;
        }
        if self.runs.len() == TOLD_MAX {
            self.runs.pop_front();
        }
        self.runs.push_back(run);
    }

    /// What is left now says all that was told before.
    fn add_part(&mut self, part: Part) {
        if self
            .parts
            .back()
            .is_some_and(|newest| newest.entry == part.entry)
            && let Some(newest) = self.parts.pop_back()
        {
            self.words -= newest.words();
        }
        self.words += part.words();
        self.parts.push_back(part);
        while self.parts.len() > TOLD_MAX || self.words > WORDS_MAX {
            if !self.forget_part() {
                break;
            }
        }
    }

    /// What is too old goes.
    fn expire(&mut self, now: Instant) {
        let is_old = |at: Instant| now.since(at) > TOLD_TIME;
        while self.runs.front().is_some_and(|run| is_old(run.at)) {
            self.runs.pop_front();
        }
        while self.parts.front().is_some_and(|part| is_old(part.at)) {
            self.forget_part();
        }
    }

    fn forget_part(&mut self) -> bool {
        let oldest = self.parts.pop_front();
        self.words -= oldest.as_ref().map_or(0, Part::words);
        oldest.is_some()
    }
}

impl Run {
    const fn of(entry: EntryId, at: Instant) -> Self {
        Self {
            ledger: entry.ledger,
            first: entry.entry,
            last: entry.entry,
            at,
        }
    }

    const fn first(&self) -> EntryId {
        EntryId {
            ledger: self.ledger,
            entry: self.first,
        }
    }

    /// Whether the entry is the next one.
    fn is_before(&self, entry: EntryId) -> bool {
        self.ledger == entry.ledger && self.last.checked_add(1) == Some(entry.entry)
    }

    fn entries(&self) -> impl DoubleEndedIterator<Item = EntryId> + use<> {
        let ledger = self.ledger;
        (self.first..=self.last).map(move |entry| EntryId { ledger, entry })
    }
}

impl Part {
    const fn words(&self) -> usize {
        self.left.word_count()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pulsar::consumer::acks::Acks;

    const MS: Duration = Duration::from_millis(1);

    fn entry(entry: u64) -> EntryId {
        EntryId { ledger: 1, entry }
    }

    fn whole(entries: impl IntoIterator<Item = u64>) -> Group {
        let entries = entries.into_iter();
        entries.map(|number| (entry(number), None)).collect()
    }

    fn recalled(told: &mut Told, now: Instant) -> Group {
        let mut group = Group::new();
        told.recall(now, TOLD_TIME, &mut group);
        group.reverse();
        group
    }

    #[test]
    fn in_order_all_is_few_runs_that_become_old() {
        let mut told = Told::default();
        for number in 0..600u32 {
            let at = Instant(5) + 100 * MS * number;
            told.add(at, whole([number.into()]).into_iter());
        }
        assert!(told.runs.len() <= 152, "{}", told.runs.len());
        let now = Instant(5) + 100 * MS * 599;
        // As many as were told in the time, and those of one run besides.
        let count = recalled(&mut told, now).len();
        assert!((301..=302).contains(&count), "{count}");
        assert!(recalled(&mut told, now).is_empty(), "told once");
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut told = Told::default();
        told.add(Instant(5), whole((0..10_000).step_by(2)).into_iter());
        assert_eq!(told.runs.len(), TOLD_MAX);
        assert_eq!(
            recalled(&mut told, Instant(5)),
            whole((6000..10_000).step_by(2))
        );
        told.add(Instant(5), whole(0..50_000).into_iter());
        let newest = 50_000 - RECALLED_MAX as u64;
        assert_eq!(recalled(&mut told, Instant(5)), whole(newest..50_000));
    }

    #[test]
    fn ack_sets_are_bounded() {
        let mut told = Told::default();
        let left = Bits::full(64 * u32::try_from(WORDS_MAX / 4).unwrap());
        for number in 0..20 {
            told.add(
                Instant(5),
                [(entry(number), Some(left.clone()))].into_iter(),
            );
            assert!(told.words <= WORDS_MAX);
        }
        assert_eq!(told.parts.len(), 4);
        let mut group = vec![(entry(100), Some(left))];
        told.recall(Instant(5), TOLD_TIME, &mut group);
        let entries: Vec<_> = group.iter().map(|(entry, _)| entry.entry).collect();
        assert_eq!(entries, [100, 19]);
        let small = Bits::full(2);
        for number in 0..3000 {
            told.add(
                Instant(5),
                [(entry(number), Some(small.clone()))].into_iter(),
            );
            told.add(
                Instant(5),
                [(entry(number), Some(small.clone()))].into_iter(),
            );
        }
        assert_eq!((told.parts.len(), told.words), (TOLD_MAX, TOLD_MAX));
    }

    const MESSAGES: u32 = 3;

    #[derive(Clone, Debug)]
    enum Step {
        /// A message of an entry is done.
        Done(usize, u32),
        FlushAndPass(u16),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..30usize, 0..MESSAGES).prop_map(|(entry, message)| Step::Done(entry, message)),
            1 => (0..100u16).prop_map(Step::FlushAndPass),
            1 => (0..10_000u16).prop_map(Step::FlushAndPass),
        ]
    }

    proptest! {
        /// What a broker was told lately is told again, as it was told last.
        #[test]
        fn as_if_all_was_kept(steps in prop::collection::vec(step(), 0..200), is_elsewhere: bool) {
            let (mut acks, mut now) = (Acks::default(), Instant(5));
            let mut done = vec![Bits::new(MESSAGES); 30];
            let (mut waiting, mut young) = (Vec::new(), vec![None; 30]);
            for step in steps {
                match step {
                    Step::Done(number, message) => {
                        let done = &mut done[number];
                        if done.set(message) {
                            match done.is_full() {
                                true => acks.add_whole(now, entry(number as u64)),
                                false => acks.add_part(now, entry(number as u64), done),
                            }
                            waiting.push(number);
                        }
                    }
                    Step::FlushAndPass(ms) => {
                        acks.flush(7, &mut bytes::BytesMut::new());
                        for number in waiting.drain(..) {
                            young[number] = Some(now);
                        }
                        now = now + MS * ms.into();
                    }
                }
            }
            acks.recall(now, is_elsewhere);
            let time = if is_elsewhere { TOLD_TIME } else { Duration::from_secs(1) };
            let again = acks.pending();
            prop_assert!(again.is_sorted_by(|(one, _), (next, _)| one < next));
            for (number, at) in (0..).zip(&young) {
                let found = again.binary_search_by_key(&entry(number as u64), |(entry, _)| *entry);
                let is_waiting = waiting.contains(&number);
                let age = at.map(|at| now.since(at));
                if is_waiting || age.is_some_and(|age| age <= time) {
                    let left = found.ok().and_then(|at| again[at].1.as_ref());
                    let all_left = done[number].inverse();
                    prop_assert!(found.is_ok());
                    prop_assert_eq!(left, Some(&all_left).filter(|left| !left.is_empty()));
                } else if age.is_none_or(|age| age > time + 200 * MS) {
                    prop_assert!(found.is_err());
                }
            }
            for number in 0..30 {
                acks.add_whole(now, entry(number));
            }
            prop_assert!(acks.pending().iter().all(|(_, left)| left.is_none()));
        }
    }
}
