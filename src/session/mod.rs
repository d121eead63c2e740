//! The waist: what clients may ask, and what they are told.
//!
//! A session is one client bound to one endpoint, from upgrade to close. It knows commands and
//! events, and neither JSON nor Pulsar nor sockets: dialects plug in above, backends below. The
//! shard owns both sides and passes commands down and events up, by key.

pub mod consumer;
pub mod pattern;
pub mod producer;
pub mod reader;

use std::fmt;

use bytes::BytesMut;

use self::producer::Compression;
use crate::timer::{Instant, Now};

slotmap::new_key_type! {
    /// Names a client, and so its session, within its shard. Guarded against reuse.
    pub struct SessionKey;
}

/// Names the backend's half of a session (its producer, consumer or reader) within its shard.
/// Opaque above the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Link(pub u64);

/// One of the ways that a session's publishes take, of which there are few: within a lane, outcomes
/// come in the order of publishing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Lane(pub u32);

/// What a session is to be, as read from its URL.
#[derive(Clone, Debug, PartialEq)]
pub enum Spec {
    /// Publishes to a topic.
    Producer(producer::Spec),
    /// Consumes through a subscription.
    Consumer(consumer::Spec),
    /// Reads a topic from a position of its own.
    Reader(reader::Spec),
}

impl Spec {
    /// The topic's full name.
    #[must_use]
    pub fn topic(&self) -> &str {
        match self {
            Self::Producer(spec) => &spec.topic,
            Self::Consumer(spec) => &spec.topic,
            Self::Reader(spec) => &spec.topic,
        }
    }

    /// The same, to be changed.
    pub const fn topic_mut(&mut self) -> &mut String {
        match self {
            Self::Producer(spec) => &mut spec.topic,
            Self::Consumer(spec) => &mut spec.topic,
            Self::Reader(spec) => &mut spec.topic,
        }
    }
}

/// Client → session.
#[derive(Debug)]
pub enum Command<'a> {
    /// To a producer.
    Producer(producer::Command<'a>),
    /// To a consumer.
    Consumer(consumer::Command<'a>),
    /// To a reader.
    Reader(reader::Command),
}

impl Command<'_> {
    /// Whether it confirms a message.
    #[must_use]
    pub const fn acknowledges(&self) -> bool {
        matches!(self, Self::Consumer(consumer::Command::Acknowledge { .. }))
    }
}

/// Session → client. At most one event answers a command.
#[derive(Debug)]
pub enum Event<'a> {
    /// The broker stored a publish.
    Receipt {
        /// As the client gave it.
        context: Option<&'a str>,
        /// Where it was stored.
        message_id: &'a MessageId,
    },
    /// A publish failed; the session goes on.
    PublishFailed {
        /// As the client gave it.
        context: Option<&'a str>,
        /// Why.
        error: PublishError,
    },
    /// A message for the client.
    Delivery(&'a Delivery<'a>),
    /// The answer to "is this the end of the topic?".
    EndOfTopic(bool),
}

/// A message on its way in. Borrows from the receive buffer and the dialect's scratch.
#[derive(Clone, Copy, Debug)]
pub struct Publish<'a> {
    /// The content.
    pub payload: Payload<'a>,
    /// Echoed with the receipt.
    pub context: Option<&'a str>,
    /// Routing key; an empty one is a key too.
    pub key: Option<&'a str>,
    /// Name, value, name, value…; names are unique.
    pub properties: Strings<'a>,
    /// Clusters that the message may be replicated to; `None` leaves it to the namespace.
    pub replication_clusters: Option<Strings<'a>>,
    /// Milliseconds since the epoch.
    pub event_time_ms: Option<i64>,
    /// Not to be delivered before then.
    pub deliver: Deliver,
    /// What only a message has that was stored before.
    pub extra: Option<&'a Extra<'a>>,
    /// What goes with content that the client encrypted itself; only where the session was opened
    /// for it ([`producer::Encryption::ByClient`]).
    pub sealed: Option<Sealed<'a>>,
}

/// What a message has besides that is stored once more, as a dead letter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra<'a> {
    /// Its key was made of bytes.
    pub key_is_base64: bool,
    /// What it is ordered by, instead of its key.
    pub ordering_key: Option<&'a [u8]>,
    /// Its value is null, which is not the same as empty.
    pub is_null: bool,
    /// It is a part of a message that is too large.
    pub chunk: Option<Chunk<'a>>,
    /// How its content is encrypted, as the backend had stored it; empty if it is not.
    pub sealing: &'a [u8],
}

/// One of the parts in which a message is stored.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// What all its parts have in common.
    pub uuid: &'a str,
    /// Which part.
    pub index: u32,
    /// Of how many.
    pub count: u32,
    /// Bytes of the whole content.
    pub bytes: usize,
}

/// What goes with content that was encrypted by the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed<'a> {
    /// What the key was used with.
    pub param: &'a [u8],
    /// How the content was compressed before, and how long it had been; `None`: not at all.
    pub compressed: Option<(Compression, i32)>,
}

/// When a message may be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Deliver {
    /// As soon as it is stored.
    #[default]
    Now,
    /// At a wall time, in milliseconds since the epoch.
    AtMs(i64),
    /// That long after the publish, in milliseconds.
    AfterMs(i64),
}

/// Message content still in the client's encoding, so that it is decoded once, straight into the
/// broker's frame.
#[derive(Clone, Copy)]
pub struct Payload<'a> {
    /// As received.
    pub encoded: &'a [u8],
    /// How many bytes `decode` appends when it succeeds.
    pub len: usize,
    /// Appends the content; leaves the buffer as it was when the encoding is broken.
    pub decode: fn(&[u8], &mut BytesMut) -> Result<(), PayloadError>,
}

/// The payload's encoding is broken. The text is the dialect's, for the client.
#[derive(Debug)]
pub struct PayloadError(pub String);

impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// A list of strings laid end to end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Strings<'a> {
    /// All strings, one behind the other.
    pub text: &'a [u8],
    /// Where each one ends.
    pub ends: &'a [u32],
}

impl<'a> Strings<'a> {
    /// The strings in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let text = self.text;
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let string = &text[start..end as usize];
            start = end as usize;
            string
        })
    }

    /// The strings taken two by two.
    pub fn pairs(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut strings = self.iter();
        std::iter::from_fn(move || Some((strings.next()?, strings.next()?)))
    }
}

/// A message on its way out. Borrows from the broker's receive buffer, the shard's scratch or the
/// entry it was held in.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// Where it is stored.
    pub message_id: MessageId,
    /// The content; `None` for a tombstone (a message whose value is null).
    pub payload: Option<&'a [u8]>,
    /// Application-defined pairs; a name may repeat, then the last one counts.
    pub properties: Properties<'a>,
    /// When the producer sent it, in milliseconds since the epoch.
    pub publish_time_ms: u64,
    /// What the application said, in milliseconds since the epoch.
    pub event_time_ms: Option<i64>,
    /// When it came from the broker: all of it, if it came in parts.
    pub arrived: Instant,
    /// How often it was delivered before.
    pub redelivery_count: u32,
    /// Routing key, as stored.
    pub key: Option<&'a [u8]>,
    /// How it was stored encrypted, whether or not it was decrypted here.
    pub encryption: Option<Encryption<'a>>,
}

/// How a message, or the batch it came in, was stored encrypted.
#[derive(Clone, Copy, Debug)]
pub struct Encryption<'a> {
    /// The key of the content, once for each who may read it.
    pub keys: Keys<'a>,
    /// What the key was used with.
    pub param: Option<&'a [u8]>,
    /// As the producer named it.
    pub algorithm: Option<&'a [u8]>,
    /// What was done before.
    pub compression: Compression,
    /// Before compression.
    pub uncompressed_bytes: u32,
    /// Messages in the batch; `None`: it was none.
    pub batch_size: Option<u32>,
}

/// Keys still in the backend's encoding.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    /// Where the keys are.
    pub encoded: &'a [u8],
    /// Takes the next key off `encoded`.
    pub next: NextKey,
}

/// Takes the next key off the front of a backend's encoding.
pub type NextKey = for<'a> fn(&mut &'a [u8]) -> Option<Key<'a>>;

/// A content's key, encrypted with somebody's public key.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// Of the public key.
    pub name: &'a [u8],
    /// The encrypted key.
    pub value: &'a [u8],
    /// What the producer says about the public key.
    pub metadata: Properties<'a>,
}

impl<'a> Iterator for Keys<'a> {
    type Item = Key<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.next)(&mut self.encoded)
    }
}

impl fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.map(|key| key.name)).finish()
    }
}

/// Pairs still in the backend's encoding.
#[derive(Clone, Copy)]
pub struct Properties<'a> {
    /// Where the pairs are.
    pub encoded: &'a [u8],
    /// Takes the next pair off `encoded`.
    pub next: NextProperty,
}

/// Takes the next name and value off the front of a backend's encoding.
pub type NextProperty = for<'a> fn(&mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])>;

impl<'a> Iterator for Properties<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        (self.next)(&mut self.encoded)
    }
}

impl fmt::Debug for Properties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

/// A message id in the backend's own encoding, opaque above it; small enough to live on the stack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MessageId {
    bytes: [u8; Self::BYTES_MAX],
    len: u8,
}

impl MessageId {
    /// Two ids of four 64-bit varints each, with tags: more than any broker hands out.
    pub const BYTES_MAX: usize = 94;

    /// `None` if the encoding is longer than an id can be.
    #[must_use]
    pub fn new(encoded: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::BYTES_MAX];
        bytes.get_mut(..encoded.len())?.copy_from_slice(encoded);
        Some(Self {
            bytes,
            len: u8::try_from(encoded.len()).ok()?,
        })
    }

    /// The first `len` of these bytes; the others are zero.
    #[must_use]
    pub fn whole(bytes: [u8; Self::BYTES_MAX], len: usize) -> Self {
        let len = u8::try_from(len.min(Self::BYTES_MAX)).unwrap_or(0);
        Self { bytes, len }
    }

    /// The encoding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({:02x?})", self.as_bytes())
    }
}

/// Why a publish failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishError {
    /// The client's encoding is broken; nothing was sent.
    Encoding(String),
    /// Anything behind the session: the backend's own text, beginning with its kind.
    Backend(String),
}

/// Why the backend's half of a session could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenError {
    /// What kind of refusal, for the status the client gets.
    pub kind: OpenErrorKind,
    /// What the backend said.
    pub message: String,
}

/// Kinds of refusal, each with its own answer to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenErrorKind {
    /// The service's own credentials were refused.
    Authentication,
    /// The service's own role may not do this.
    Authorization,
    /// No such topic, namespace or subscription.
    NotFound,
    /// Somebody else holds the name or the subscription.
    Busy,
    /// The backend asks to come again later.
    TooManyRequests,
    /// Over quota, or the topic is terminated.
    Unavailable,
    /// The backend did not answer in time.
    Timeout,
    /// A parameter says what can't be.
    Invalid,
    /// Everything else.
    Other,
}

/// What a session may ask of a backend. Answers come later, as events of the backend.
pub trait Broker {
    /// Sends a message. Its outcome comes later, in the order of publishing among those of the lane
    /// that it took, unless it is refused here.
    ///
    /// # Errors
    /// Nothing was sent: the payload's encoding is broken, or the message can't be accepted.
    fn publish(
        &mut self,
        now: Now,
        link: Link,
        publish: &Publish<'_>,
    ) -> Result<Lane, PublishError>;

    /// Confirms one message. Tells whether it was outstanding in this session, so that its place
    /// is free for another delivery.
    ///
    /// # Errors
    /// The bytes are no message id.
    fn acknowledge(
        &mut self,
        now: Now,
        link: Link,
        message_id: &[u8],
    ) -> Result<bool, BadMessageId>;

    /// Asks for one message again, after the session's delay. The answer is as for
    /// [`Broker::acknowledge`].
    ///
    /// # Errors
    /// The bytes are no message id.
    fn negative_acknowledge(
        &mut self,
        now: Now,
        link: Link,
        message_id: &[u8],
    ) -> Result<bool, BadMessageId>;

    /// The session will take so many deliveries more. A backend that fetches ahead has no use for it.
    fn permit(&mut self, now: Now, link: Link, messages: u32);

    /// Removes the subscription. Failure comes later, as an event.
    fn unsubscribe(&mut self, now: Now, link: Link);

    /// Whether the backend said that nothing will ever come again.
    fn end_of_topic(&self, link: Link) -> bool;
}

/// The bytes are no message id of this backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadMessageId;

/// One client bound to one endpoint.
#[derive(Debug)]
pub enum Session {
    /// A publishing session.
    Producer(producer::Producer),
    /// A consuming session.
    Consumer(consumer::Consumer),
    /// A reading session.
    Reader(reader::Reader),
}

impl Session {
    /// A session as the client asked for it, once the backend's half (`link`) is ready.
    #[must_use]
    pub fn new(spec: &Spec, link: Link) -> Self {
        match spec {
            Spec::Producer(spec) => Self::Producer(producer::Producer::new(link, spec.is_sealed())),
            Spec::Consumer(spec) => Self::Consumer(consumer::Consumer::new(link, spec)),
            Spec::Reader(spec) => Self::Reader(reader::Reader::new(link, spec.receiver_queue_size)),
        }
    }

    /// The backend's half.
    #[must_use]
    pub const fn link(&self) -> Link {
        match self {
            Self::Producer(producer) => producer.link(),
            Self::Consumer(consumer) => consumer.link(),
            Self::Reader(reader) => reader.link(),
        }
    }

    /// Does what the client asks. What it is told at once comes back; the rest comes as the
    /// backend's events.
    ///
    /// # Errors
    /// The command names a message by something that is no message id.
    pub fn handle_command<'a>(
        &mut self,
        now: Now,
        command: &Command<'a>,
        broker: &mut impl Broker,
    ) -> Result<Option<Event<'a>>, BadMessageId> {
        match (self, command) {
            (Self::Producer(producer), Command::Producer(command)) => {
                Ok(producer.handle_command(now, command, broker))
            }
            (Self::Consumer(consumer), Command::Consumer(command)) => {
                consumer.handle_command(now, command, broker)
            }
            (Self::Reader(reader), Command::Reader(command)) => {
                Ok(reader.handle_command(*command, broker))
            }
            (_, command) => {
                debug_assert!(
                    false,
                    "the dialect reads commands of the session's kind: {command:?}"
                );
                Ok(None)
            }
        }
    }

    /// Whether the client encrypts what it publishes, and says so with each message.
    #[must_use]
    pub const fn is_sealed(&self) -> bool {
        matches!(self, Self::Producer(producer) if producer.is_sealed())
    }

    /// Whether one more message may go to the client.
    #[must_use]
    pub const fn wants_delivery(&self) -> bool {
        match self {
            Self::Producer(_) => false,
            Self::Consumer(consumer) => consumer.wants_delivery(),
            Self::Reader(reader) => reader.wants_delivery(),
        }
    }

    /// A message goes to the client.
    pub const fn handle_delivery(&mut self) {
        match self {
            Self::Producer(_) => {}
            Self::Consumer(consumer) => consumer.handle_delivery(),
            Self::Reader(reader) => reader.handle_delivery(),
        }
    }
}
