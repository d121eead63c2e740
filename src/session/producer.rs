//! A publishing session: publishes in flight, and the context that belongs to each receipt.

use std::{collections::VecDeque, time::Duration};

use super::{Broker, Event, Lane, Link, MessageId, Publish, PublishError};
use crate::timer::{Instant, Now};

/// What a producer is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Full name, `persistent://tenant/namespace/topic`.
    pub topic: String,
    /// `None`: the broker makes one up.
    pub name: Option<String>,
    /// The first message gets the next one; `None`: the first message gets what the broker says.
    pub initial_sequence_id: Option<i64>,
    /// How long a publish may take; `None`: for ever.
    pub send_timeout: Option<Duration>,
    /// Where messages go if the topic has partitions.
    pub partitioning: Partitioning,
    /// `None`: each message is stored on its own.
    pub batching: Option<Batching>,
    /// How payloads are stored.
    pub compression: Compression,
    /// `None`: readable for all who may read the topic.
    pub encryption: Option<Encryption>,
}

impl Spec {
    /// Whether the client encrypts.
    #[must_use]
    pub const fn is_sealed(&self) -> bool {
        matches!(self.encryption, Some(Encryption::ByClient(_)))
    }
}

/// Who encrypts what is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// The client does. These keys are stored with each message.
    ByClient(Vec<EncryptionKey>),
    /// The service does, with its keys of these names.
    Here(Vec<String>),
}

/// A content's key, encrypted with somebody's public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptionKey {
    /// Of the public key.
    pub name: String,
    /// The encrypted key.
    pub value: Vec<u8>,
    /// Names and values that are stored with it.
    pub metadata: Vec<(String, String)>,
}

/// Which partition a message goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Partitioning {
    /// Of messages without a key.
    pub routing: Routing,
    /// Of messages with a key, which decides alone.
    pub hashing: Hashing,
}

/// Where messages without a key go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Routing {
    /// All to one partition, chosen by chance.
    #[default]
    Single,
    /// To one after the other.
    RoundRobin,
    /// To one after the other, each for so many milliseconds, so that batches fill up.
    RoundRobinInTime {
        /// At least one.
        ms: u32,
    },
}

/// What is made of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Hashing {
    /// Java's hash of strings.
    #[default]
    JavaString,
    /// Murmur3 in 32 bits.
    Murmur3,
}

/// How messages are put together. A batch is closed by whatever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// That many messages; `None`: any number.
    pub messages_max: Option<u32>,
    /// That long after its first message.
    pub delay: Duration,
    /// That many may wait for their outcome, further ones are refused; `None`: any number.
    pub pending_max: Option<u32>,
}

/// How a payload is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// LZ4, one bare block.
    Lz4,
    /// Deflate with a zlib header.
    Zlib,
    /// Zstandard, one frame.
    Zstd,
    /// Snappy, raw.
    Snappy,
}

/// What a producing client may ask.
#[derive(Debug)]
pub enum Command<'a> {
    /// Store this message.
    Publish(Publish<'a>),
}

/// A publishing session. Within a lane, receipts come in the order of publishing, so contexts wait in
/// a queue for each.
#[derive(Debug)]
pub struct Producer {
    link: Link,
    is_sealed: bool,
    /// Of lane 0, mostly the only one. Who never published has none.
    contexts: Option<Box<Contexts>>,
    more: Option<Box<MoreLanes>>,
}

/// The lanes from 1 on, counted together: there may be many.
#[derive(Debug, Default)]
struct MoreLanes {
    contexts: Vec<Contexts>,
    in_flight: usize,
    bytes: usize,
}

impl Producer {
    /// A session whose backend half is ready. `is_sealed`: the client encrypts what it publishes.
    #[must_use]
    pub fn new(link: Link, is_sealed: bool) -> Self {
        Self {
            link,
            is_sealed,
            contexts: None,
            more: None,
        }
    }

    /// Publishes that have neither receipt nor failure yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        let first = self.contexts.as_ref().map_or(0, |it| it.sent.len());
        first + self.more.as_ref().map_or(0, |more| more.in_flight)
    }

    /// Bytes kept for publishes in flight on this side of the waist.
    #[must_use]
    pub fn context_bytes(&self) -> usize {
        let first = self.contexts.as_ref();
        let first = first.map_or(0, |it| it.text.len() - it.head);
        first + self.more.as_ref().map_or(0, |more| more.bytes)
    }

    pub(super) const fn is_sealed(&self) -> bool {
        self.is_sealed
    }

    pub(super) fn handle_command<'a>(
        &mut self,
        now: Now,
        command: &Command<'a>,
        broker: &mut impl Broker,
    ) -> Option<Event<'a>> {
        let Command::Publish(publish) = command;
        match broker.publish(now, self.link, publish) {
            Ok(lane) => {
                let sent = Sent {
                    at: now.mono,
                    payload_bytes: publish.payload.len,
                };
                self.push(lane, publish.context, sent);
                None
            }
            Err(error) => Some(Event::PublishFailed {
                context: publish.context,
                error,
            }),
        }
    }

    /// The oldest publish in flight of a lane.
    #[must_use]
    pub fn oldest(&self, Lane(lane): Lane) -> Option<Sent> {
        let contexts = match (lane as usize).checked_sub(1) {
            None => self.contexts.as_ref()?,
            Some(index) => self.more.as_ref()?.contexts.get(index)?,
        };
        contexts.sent.front().map(|(_, sent)| *sent)
    }

    /// The oldest publish in flight of a lane was stored.
    pub fn handle_receipt<'a>(&'a mut self, lane: Lane, message_id: &'a MessageId) -> Event<'a> {
        Event::Receipt {
            context: self.pop(lane),
            message_id,
        }
    }

    /// The oldest publish in flight of a lane failed.
    pub fn handle_failure(&mut self, lane: Lane, error: PublishError) -> Event<'_> {
        Event::PublishFailed {
            context: self.pop(lane),
            error,
        }
    }

    fn push(&mut self, lane: Lane, context: Option<&str>, sent: Sent) {
        match lane {
            Lane(0) => {
                let contexts = self.contexts.get_or_insert_default();
                contexts.push(context, sent);
            }
            Lane(lane) => {
                let more = self.more.get_or_insert_default();
                more.push(lane as usize - 1, context, sent);
            }
        }
    }

    fn pop(&mut self, lane: Lane) -> Option<&str> {
        match lane {
            Lane(0) => self.contexts.as_mut()?.pop(),
            Lane(lane) => self.more.as_mut()?.pop(lane as usize - 1),
        }
    }

    pub(super) const fn link(&self) -> Link {
        self.link
    }
}

impl MoreLanes {
    #[inline(never)]
    fn push(&mut self, index: usize, context: Option<&str>, sent: Sent) {
        if self.contexts.len() <= index {
            self.contexts.resize_with(index + 1, Contexts::default);
        }
        self.contexts[index].push(context, sent);
        self.in_flight += 1;
        self.bytes += context.map_or(0, str::len);
    }

    #[inline(never)]
    fn pop(&mut self, index: usize) -> Option<&str> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let context = self.contexts.get_mut(index)?.pop()?;
        self.bytes -= context.len();
        Some(context)
    }
}

/// A publish in flight, for whoever counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// When it was asked for.
    pub at: Instant,
    /// Its content's length.
    pub payload_bytes: usize,
}

/// A queue of optional strings in one buffer, so that a publish in flight costs no allocation.
#[derive(Debug, Default)]
struct Contexts {
    /// `text[head..]` holds the strings of `sent`, whose lengths are there, one behind the other.
    text: String,
    head: usize,
    sent: VecDeque<(Option<usize>, Sent)>,
}

impl Contexts {
    /// Consumed text is moved out of the way only when it is at least this long and half of all.
    const COMPACT_BYTES_MIN: usize = 4096;
    /// An empty queue keeps no more than this, or than its places take, which it keeps too: for short contexts that is
    /// enough to never grow again.
    const IDLE_BYTES_MIN: usize = 4096;

    fn push(&mut self, context: Option<&str>, sent: Sent) {
        if self.sent.is_empty() {
            self.text.clear();
            self.head = 0;
        } else if self.head >= Self::COMPACT_BYTES_MIN && self.head * 2 >= self.text.len() {
            self.text.drain(..self.head);
            self.head = 0;
        }
        self.text.push_str(context.unwrap_or_default());
        self.sent.push_back((context.map(str::len), sent));
    }

    fn pop(&mut self) -> Option<&str> {
        if self.sent.len() == 1 && self.text.capacity() > self.idle_bytes_max() {
            self.text.drain(..self.head);
            self.text.shrink_to(self.idle_bytes_max());
            self.head = 0;
        }
        let (len, _) = self.sent.pop_front()?;
        let len = len?;
        let start = self.head;
        self.head += len;
        self.text.get(start..self.head)
    }

    fn idle_bytes_max(&self) -> usize {
        let places = self.sent.capacity() * size_of::<(Option<usize>, Sent)>();
        places.max(Self::IDLE_BYTES_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_come_back_in_order() {
        let mut contexts = Contexts::default();
        for round in 0..3000 {
            contexts.push(Some(&format!("context-{round}")), Sent::default());
            contexts.push(None, Sent::default());
            contexts.push(Some(""), Sent::default());
            if round >= 10 {
                assert_eq!(contexts.pop(), Some(&*format!("context-{}", round - 10)));
                assert_eq!(contexts.pop(), None);
                assert_eq!(contexts.pop(), Some(""));
            }
        }
        assert_eq!(contexts.sent.len(), 30);
        assert!(
            contexts.text.len() < 2 * Contexts::COMPACT_BYTES_MIN + 1000,
            "consumed text goes"
        );
    }

    #[test]
    fn each_lane_has_an_order_of_its_own() {
        let mut producer = Producer::new(Link(1), false);
        for (lane, context) in [(2, "a"), (0, "b"), (2, "c"), (1, "d")] {
            producer.push(Lane(lane), Some(context), Sent::default());
        }
        producer.push(Lane(0), None, Sent::default());
        assert_eq!((producer.in_flight(), producer.context_bytes()), (5, 4));
        let expected = [
            (0, Some("b")),
            (1, Some("d")),
            (2, Some("a")),
            (0, None),
            (2, Some("c")),
        ];
        for (lane, context) in expected {
            let event = producer.handle_failure(Lane(lane), PublishError::Backend("x".into()));
            let Event::PublishFailed { context: told, .. } = event else {
                panic!("{event:?}");
            };
            assert_eq!(told, context);
        }
        assert_eq!((producer.in_flight(), producer.context_bytes()), (0, 0));
    }

    #[test]
    fn an_empty_queue_lets_go_of_its_memory() {
        let mut contexts = Contexts::default();
        let long = "x".repeat(1 << 20);
        contexts.push(Some(&long), Sent::default());
        assert_eq!(contexts.pop().map(str::len), Some(1 << 20));
        contexts.push(Some("a"), Sent::default());
        assert_eq!(contexts.pop(), Some("a"));
        assert!(contexts.text.capacity() <= 2 * Contexts::IDLE_BYTES_MIN);
    }

    #[test]
    fn a_queue_that_fills_and_empties_does_not_grow_again() {
        let mut contexts = Contexts::default();
        let mut capacities = Vec::new();
        for _ in 0..3 {
            for number in 0..500 {
                contexts.push(Some(&format!("context-{number:08}")), Sent::default());
            }
            while contexts.pop().is_some() {}
            capacities.push((contexts.text.capacity(), contexts.sent.capacity()));
        }
        assert!(capacities[0].0 >= 500 * "context-00000000".len());
        assert_eq!(capacities[1..], [capacities[0]; 2]);
    }
}
