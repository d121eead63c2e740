//! What a consumer or reader is to be, in the terms of the broker.

use std::{cell::Cell, rc::Rc, time::Duration};

use crate::{
    pulsar::{
        message_id::{EntryId, PulsarId},
        proto::{InitialPosition, SubType},
    },
    session::{
        BadMessageId,
        consumer::{self, SubscriptionType, Undecryptable},
        reader::{self, Start},
    },
};

/// A message in the order of a topic, or a place before its first or behind its last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) entry: EntryId,
    /// `None`: the whole entry.
    pub(super) batch_index: Option<u32>,
}

impl Position {
    /// Java's `MessageId.earliest`: minus one, twice.
    const EARLIEST: Self = Self::at(u64::MAX);
    /// Java's `MessageId.latest`: its largest number, twice.
    const LATEST: Self = Self::at(i64::MAX.cast_unsigned());

    /// The end of the entry before, whatever it is, and whether or not it exists. Brokers step back
    /// one entry and send that of the position, too: so all of it must be recognised as passed,
    /// which by its number alone a batch is not.
    pub(super) const fn before(entry: EntryId) -> Self {
        Self {
            entry: EntryId {
                ledger: entry.ledger,
                entry: entry.entry.wrapping_sub(1),
            },
            batch_index: Some(i32::MAX.cast_unsigned()),
        }
    }

    const fn at(number: u64) -> Self {
        let entry = EntryId {
            ledger: number,
            entry: number,
        };
        Self {
            entry,
            batch_index: None,
        }
    }
}

/// What a consumer is to be. A reader is one that subscribes for itself alone, begins where it
/// likes, and acknowledges what it has read without being asked.
#[derive(Clone, Debug)]
pub struct ConsumerSpec {
    pub(super) topic: String,
    /// `None`: a name of its own, for a reader.
    pub(super) subscription: Option<String>,
    pub(super) sub_type: SubType,
    pub(super) durable: bool,
    pub(super) initial_position: InitialPosition,
    /// At least 1, unless messages are fetched one by one.
    pub(super) receiver_queue_size: u32,
    /// Messages come when the client permits them.
    pub(super) pull: bool,
    /// `None`: a random one.
    pub(super) name: Option<String>,
    pub(super) priority_level: i32,
    pub(super) ack_timeout: Option<Duration>,
    pub(super) negative_ack_delay: Duration,
    /// Messages that come again more often are dead letters.
    pub(super) redeliveries_max: Option<u32>,
    /// Where those go; empty without any.
    pub(in crate::pulsar) dead_letter_topic: String,
    pub(super) undecryptable: Undecryptable,
    /// Behind which message to begin; a durable subscription knows by itself.
    pub(super) start: Option<Position>,
    pub(super) is_reader: bool,
    /// The topic stores nothing: its messages all have one id, nothing comes again, and the broker
    /// wants no acknowledgements (`NonPersistentAcknowledgmentGroupingTracker`).
    pub(super) is_volatile: bool,
    /// Written into message ids, as Java does for a topic whose name says that it is a partition.
    pub(in crate::pulsar) partition: Option<u32>,
    /// Subscribing makes the topic, where brokers allow that.
    pub(super) makes_topic: bool,
    /// The broker gets no permits while messages of more bytes are held.
    pub(in crate::pulsar) held_bytes_max: usize,
    /// The same for all sessions of the shard.
    pub(in crate::pulsar) shard_held_bytes_max: usize,
    /// How much those hold.
    pub(in crate::pulsar) shard_held: Rc<Cell<usize>>,
    /// Bytes of their incomplete messages.
    pub(in crate::pulsar) shard_chunks: Rc<Cell<usize>>,
}

impl ConsumerSpec {
    /// Whether messages are told apart by their ids, until they are acknowledged one by one.
    pub(super) const fn tracks_messages(&self) -> bool {
        !self.is_reader && !self.is_volatile
    }

    /// Redelivery means everything that is unacknowledged, and epochs tell old from new: there is
    /// one consumer at a time. The others ask for single entries.
    pub(super) const fn is_exclusive(&self) -> bool {
        matches!(self.sub_type, SubType::Exclusive | SubType::Failover)
    }
}

impl From<&consumer::Spec> for ConsumerSpec {
    fn from(spec: &consumer::Spec) -> Self {
        Self {
            topic: spec.topic.clone(),
            subscription: Some(spec.subscription.clone()),
            sub_type: match spec.subscription_type {
                SubscriptionType::Exclusive => SubType::Exclusive,
                SubscriptionType::Shared => SubType::Shared,
                SubscriptionType::Failover => SubType::Failover,
                SubscriptionType::KeyShared => SubType::KeyShared,
            },
            durable: spec.durable,
            initial_position: match spec.initial_position {
                consumer::InitialPosition::Latest => InitialPosition::Latest,
                consumer::InitialPosition::Earliest => InitialPosition::Earliest,
            },
            receiver_queue_size: spec.receiver_queue_size,
            pull: spec.pull,
            name: spec.name.clone(),
            priority_level: spec.priority_level,
            ack_timeout: spec.ack_timeout.filter(|_| !is_volatile(&spec.topic)),
            negative_ack_delay: spec.negative_ack_delay,
            // Brokers count, and take single messages back, only for those that share.
            redeliveries_max: spec
                .dead_letters
                .as_ref()
                .filter(|_| {
                    use SubscriptionType::{KeyShared, Shared};
                    matches!(spec.subscription_type, Shared | KeyShared)
                })
                .map(|letters| letters.redeliveries_max),
            dead_letter_topic: spec
                .dead_letters
                .as_ref()
                .map_or_else(String::new, |letters| letters.topic.clone()),
            undecryptable: spec.undecryptable,
            start: None,
            is_reader: false,
            is_volatile: is_volatile(&spec.topic),
            partition: partition_of(&spec.topic),
            makes_topic: true,
            held_bytes_max: usize::MAX,
            shard_held_bytes_max: usize::MAX,
            shard_held: Rc::default(),
            shard_chunks: Rc::default(),
        }
    }
}

impl TryFrom<&reader::Spec> for ConsumerSpec {
    type Error = BadMessageId;

    fn try_from(spec: &reader::Spec) -> Result<Self, BadMessageId> {
        let start = match &spec.start {
            Start::Earliest => Position::EARLIEST,
            Start::Latest => Position::LATEST,
            Start::After(id) => {
                let id = PulsarId::decode(id)?;
                Position {
                    entry: id.entry,
                    batch_index: id.batch_index,
                }
            }
        };
        Ok(Self {
            topic: spec.topic.clone(),
            subscription: None,
            sub_type: SubType::Exclusive,
            durable: false,
            initial_position: InitialPosition::Latest,
            receiver_queue_size: spec.receiver_queue_size.max(1),
            pull: false,
            name: spec.name.clone(),
            priority_level: 0,
            ack_timeout: None,
            negative_ack_delay: Duration::ZERO,
            redeliveries_max: None,
            dead_letter_topic: String::new(),
            undecryptable: spec.undecryptable,
            start: Some(start),
            is_reader: true,
            is_volatile: is_volatile(&spec.topic),
            partition: partition_of(&spec.topic),
            makes_topic: true,
            held_bytes_max: usize::MAX,
            shard_held_bytes_max: usize::MAX,
            shard_held: Rc::default(),
            shard_chunks: Rc::default(),
        })
    }
}

/// Whether the topic's domain says that nothing of it is stored.
fn is_volatile(topic: &str) -> bool {
    topic.starts_with("non-persistent://")
}

/// `TopicName.getPartitionIndex`: a number behind the last `-partition-`, written as Java writes it.
pub(in crate::pulsar) fn partition_of(topic: &str) -> Option<u32> {
    let (_, digits) = topic.rsplit_once("-partition-")?;
    let index: u32 = digits.parse().ok()?;
    (i32::try_from(index).is_ok() && index.to_string() == digits).then_some(index)
}

/// Whether an id is one of the two that stand for the ends of every topic.
pub(in crate::pulsar) fn is_an_end(id: &[u8]) -> bool {
    let ends = [Position::EARLIEST.entry, Position::LATEST.entry];
    PulsarId::decode(id).is_ok_and(|id| {
        ends.contains(&id.entry) && id.partition.is_none() && id.batch_index.is_none()
    })
}

/// A few characters nobody chose, from a seed: the consumer's name when it got none, and the
/// subscription of a reader.
#[derive(Debug)]
pub(in crate::pulsar) struct Names {
    state: u64,
}

impl Names {
    pub(in crate::pulsar) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// As Java's `RandomStringUtils.randomAlphanumeric(5)`.
    pub(in crate::pulsar) fn consumer(&mut self) -> String {
        self.pick(
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            5,
        )
    }

    /// As Java's `ReaderImpl`: the first ten digits of a hash.
    pub(super) fn reader_subscription(&mut self) -> String {
        format!("reader-{}", self.pick(b"0123456789abcdef", 10))
    }

    /// What all readers of a topic's partitions subscribe as.
    pub(in crate::pulsar) fn partitions_reader_subscription(&mut self) -> String {
        format!("multiTopicsReader-{}", self.pick(b"0123456789abcdef", 10))
    }

    fn pick(&mut self, alphabet: &[u8], len: usize) -> String {
        (0..len)
            .filter_map(|_| {
                let at = self.next() % alphabet.len() as u64;
                alphabet.get(usize::try_from(at).ok()?)
            })
            .map(|&byte| char::from(byte))
            .collect()
    }

    /// `SplitMix64`.
    const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}
