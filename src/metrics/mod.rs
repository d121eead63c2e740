//! What a shard counts of its sessions, and what it tells of them when asked.
//!
//! Counters are plain numbers that one shard alone changes, once for each message; nothing here is
//! shared. Whoever asks gets a copy of every shard's part, and joins them. Names and forms of
//! statistics are those of the Java service; its rates are counts of a minute, and so are these.
//! [`Figures`] are told as Prometheus and HdrHistogram want them.

mod answer;
mod documentation;
mod exposition;
mod figures;
mod hdr_log;
mod histogram;
mod table;

use std::{collections::BTreeMap, net::SocketAddr, ops::AddAssign, time::Duration};

use slotmap::{SlotMap, new_key_type};

pub use answer::answer;
pub use documentation::documentation;
pub use figures::{BackendFigures, Bound, Core, Counters, Ender, Endpoint, Figures, Gauges};
pub use histogram::Histogram;
pub use table::LOG_LINES_LOST;

new_key_type! {
    /// Names a namespace's counters within a shard. Guarded against reuse.
    pub struct NamespaceKey;
}

/// Upper bounds of the classes of publish latency, in microseconds; beyond them is one class more.
pub const LATENCY_BOUNDS_US: [u64; 9] = [
    500, 1_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 1_000_000,
];

const LATENCY_CLASSES: usize = LATENCY_BOUNDS_US.len() + 1;

/// Counts are kept in slots of this length, so that those of the last minute can be told.
const SLOT_NANOS: u64 = 5_000_000_000;
/// As many make a minute.
const SLOTS: usize = 12;

/// Namespaces without a session that are remembered until their counts are older than a minute.
const IDLE_NAMESPACES_MAX: usize = 1000;

/// What happened in a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Publishes that got their receipt.
    pub published: u64,
    /// Bytes of their payloads.
    pub published_bytes: u64,
    /// Publishes that failed.
    pub failed: u64,
    /// Messages given to consumers and readers.
    pub delivered: u64,
    /// Bytes of their payloads.
    pub delivered_bytes: u64,
    /// Acknowledgements of consumers.
    pub acknowledged: u64,
    /// Publishes that got their receipt, by the time from one to the other.
    pub latencies: [u64; LATENCY_CLASSES],
}

impl Counts {
    /// A publish got its receipt.
    pub fn published(&mut self, bytes: usize, latency: Duration) {
        self.published += 1;
        self.published_bytes += bytes as u64;
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let class = LATENCY_BOUNDS_US.partition_point(|bound| *bound < micros);
        self.latencies[class] += 1;
    }

    /// A message went to a client.
    pub const fn delivered(&mut self, bytes: usize) {
        self.delivered += 1;
        self.delivered_bytes += bytes as u64;
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.published += other.published;
        self.published_bytes += other.published_bytes;
        self.failed += other.failed;
        self.delivered += other.delivered;
        self.delivered_bytes += other.delivered_bytes;
        self.acknowledged += other.acknowledged;
        for (mine, its) in self.latencies.iter_mut().zip(other.latencies) {
            *mine += its;
        }
    }
}

/// Counts of the last minute.
#[derive(Debug, Default)]
struct Minute {
    slots: [Counts; SLOTS],
    /// The slot of the last look, counted from the beginning of time.
    newest: u64,
}

impl Minute {
    /// The counts of the slot that `nanos` lies in; what is older than a minute is gone.
    fn at(&mut self, nanos: u64) -> &mut Counts {
        let slot = nanos / SLOT_NANOS;
        while self.newest < slot {
            self.newest = (self.newest + 1).max(slot.saturating_sub(SLOTS as u64 - 1));
            self.slots[index(self.newest)] = Counts::default();
        }
        &mut self.slots[index(self.newest)]
    }

    fn sum(&mut self, nanos: u64) -> Counts {
        self.at(nanos);
        let mut sum = Counts::default();
        for slot in self.slots {
            sum += slot;
        }
        sum
    }
}

#[allow(clippy::cast_possible_truncation, reason = "below the number of slots")]
const fn index(slot: u64) -> usize {
    (slot % SLOTS as u64) as usize
}

/// The counters of a shard, by namespace. A namespace is there while it has sessions, and until what
/// they did is older than a minute.
#[derive(Debug, Default)]
pub struct Namespaces {
    entries: SlotMap<NamespaceKey, Namespace>,
    by_name: BTreeMap<Box<str>, NamespaceKey>,
    /// How many have no session.
    idle: usize,
    /// The slot in which silent ones were last looked for.
    swept: u64,
}

#[derive(Debug)]
struct Namespace {
    name: Box<str>,
    sessions: usize,
    minute: Minute,
}

impl Namespaces {
    /// A session begins. Time is in nanoseconds since any moment, here and below.
    pub fn enter(&mut self, nanos: u64, name: &str) -> NamespaceKey {
        self.forget_silent(nanos);
        if let Some(&key) = self.by_name.get(name) {
            if let Some(namespace) = self.entries.get_mut(key) {
                self.idle -= usize::from(namespace.sessions == 0);
                namespace.sessions += 1;
            }
            return key;
        }
        let key = self.entries.insert(Namespace {
            name: name.into(),
            sessions: 1,
            minute: Minute::default(),
        });
        self.by_name.insert(name.into(), key);
        key
    }

    /// A session ends.
    pub fn leave(&mut self, key: NamespaceKey) {
        let Some(namespace) = self.entries.get_mut(key) else {
            return;
        };
        namespace.sessions = namespace.sessions.saturating_sub(1);
        if namespace.sessions > 0 {
            return;
        }
        if self.idle < IDLE_NAMESPACES_MAX {
            self.idle += 1;
        } else if let Some(gone) = self.entries.remove(key) {
            self.by_name.remove(&gone.name);
        }
    }

    /// The counters of a namespace, to be added to.
    pub fn at(&mut self, nanos: u64, key: NamespaceKey) -> Option<&mut Counts> {
        Some(self.entries.get_mut(key)?.minute.at(nanos))
    }

    /// What happened in the last minute.
    pub fn counts(&mut self, nanos: u64) -> Vec<(Box<str>, Counts)> {
        self.forget_silent(nanos);
        self.by_name
            .iter()
            .filter_map(|(name, &key)| {
                let counts = self.entries.get_mut(key)?.minute.sum(nanos);
                Some((name.clone(), counts))
            })
            .collect()
    }

    /// Forgets namespaces in which nothing happened for a minute and that have no session.
    fn forget_silent(&mut self, nanos: u64) {
        let slot = nanos / SLOT_NANOS;
        if self.idle == 0 || self.swept == slot {
            return;
        }
        self.swept = slot;
        let silent: Vec<NamespaceKey> = self
            .entries
            .iter_mut()
            .filter(|(_, it)| it.sessions == 0)
            .filter_map(|(key, it)| (it.minute.sum(nanos) == Counts::default()).then_some(key))
            .collect();
        for key in silent {
            self.idle -= 1;
            if let Some(gone) = self.entries.remove(key) {
                self.by_name.remove(&gone.name);
            }
        }
    }
}

/// What may be asked of all shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The counts of each namespace.
    Namespaces,
    /// The sessions of each topic.
    Topics,
    /// The sessions of the topic of this full name.
    Topic(String),
    /// What each core counts, in this form.
    Figures(Form),
}

/// A form in which figures are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As Prometheus reads them.
    Prometheus,
    /// As HdrHistogram's tools do.
    HdrLog,
}

impl Form {
    /// What a text of this form is.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => exposition::CONTENT_TYPE,
            Self::HdrLog => hdr_log::CONTENT_TYPE,
        }
    }
}

/// What all cores count; `None` if it can't be told.
#[must_use]
pub fn figures(form: Form, parts: Vec<Part>) -> Option<Vec<u8>> {
    let cores = parts.into_iter().filter_map(|part| part.core);
    let mut cores: Vec<Core> = cores.map(|core| *core).collect();
    cores.sort_by_key(|core| core.index);
    match form {
        Form::Prometheus => Some(exposition::write(&cores)),
        Form::HdrLog => hdr_log::write(&cores),
    }
    .map(String::into_bytes)
}

/// A shard's part of the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Sessions, if the question is about those.
    pub sessions: Vec<Session>,
    /// Namespaces, if it is about those.
    pub namespaces: Vec<(Box<str>, Counts)>,
    /// All that the core counts, if it is about that.
    pub core: Option<Box<Core>>,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its topic's full name.
    pub topic: Box<str>,
    /// Where its client is.
    pub remote: SocketAddr,
    /// Messages that it published, or that were delivered to it.
    pub messages: u64,
    /// What a consumer or reader has, and a producer has not.
    pub subscription: Option<Subscription>,
}

/// How a session consumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The subscription's name.
    pub name: Box<str>,
    /// Its type, as in Pulsar.
    pub kind: &'static str,
    /// Its mode, as in Pulsar; readers have none.
    pub mode: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn latencies_fall_into_their_class() {
        let mut counts = Counts::default();
        for micros in [0, 500, 501, 1_000_000, 1_000_001, u64::MAX] {
            counts.published(10, Duration::from_micros(micros));
        }
        assert_eq!(counts.latencies, [2, 1, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!((counts.published, counts.published_bytes), (6, 60));
    }

    #[test]
    fn counts_are_those_of_the_last_minute() {
        let mut minute = Minute::default();
        let start = 1_000_000 * SECOND;
        minute.at(start).failed = 1;
        minute.at(start + 30 * SECOND).failed = 10;
        assert_eq!(minute.sum(start + 54 * SECOND).failed, 11);
        assert_eq!(minute.sum(start + 60 * SECOND).failed, 10);
        assert_eq!(minute.sum(start + 90 * SECOND).failed, 0);
        minute.at(start + 100_000 * SECOND).failed = 5;
        assert_eq!(minute.sum(start + 100_000 * SECOND).failed, 5);
        // A clock that stands or goes back adds to what there is.
        minute.at(0).failed += 1;
        assert_eq!(minute.sum(0).failed, 6);
    }

    #[test]
    fn a_namespace_goes_when_its_last_minute_is_over() {
        let mut namespaces = Namespaces::default();
        let first = namespaces.enter(0, "a/b");
        assert_eq!(namespaces.enter(0, "a/b"), first);
        namespaces.at(SECOND, first).unwrap().acknowledged += 1;
        namespaces.leave(first);
        namespaces.leave(first);
        let counts = namespaces.counts(2 * SECOND);
        assert_eq!((&*counts[0].0, counts[0].1.acknowledged), ("a/b", 1));
        assert_eq!(namespaces.counts(70 * SECOND), []);
        assert_eq!(namespaces.at(70 * SECOND, first), None);
        // With a session it stays.
        let second = namespaces.enter(70 * SECOND, "a/b");
        assert_ne!(first, second);
        assert_eq!(namespaces.counts(200 * SECOND).len(), 1);
        namespaces.leave(second);
        assert_eq!(
            namespaces.enter(201 * SECOND, "c/d"),
            namespaces.enter(201 * SECOND, "c/d")
        );
        assert_eq!(namespaces.by_name.len(), 1);
    }

    #[test]
    fn namespaces_without_a_session_are_bounded() {
        let mut namespaces = Namespaces::default();
        for number in 0..3 * IDLE_NAMESPACES_MAX {
            let key = namespaces.enter(0, &number.to_string());
            namespaces.at(0, key).unwrap().failed += 1;
            namespaces.leave(key);
        }
        assert_eq!(namespaces.by_name.len(), IDLE_NAMESPACES_MAX);
        assert_eq!(namespaces.entries.len(), IDLE_NAMESPACES_MAX);
    }
}
