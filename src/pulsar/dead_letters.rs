//! The way of dead letters: a consumer's own producer for its dead letter topic.
//!
//! It is a half like any other (or several, if the topic has partitions), opened when the first letter
//! waits and closed with its consumer. No session knows of it: it is opened under a key that no client
//! ever has and that tells whose it is, and what it has to tell is taken out here, before events
//! leave. Which messages are dead letters, and what becomes of them, is `consumer/`'s business.

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use slotmap::{Key, KeyData};

use super::{
    Event, Pulsar,
    consumer::{self, Letter, LetterMessage},
    half::{HalfKey, Role, State, half_key, wire_id},
};
use crate::{
    session::{
        Broker, Chunk, Deliver, Extra, Lane, Link, Payload, PayloadError, Publish, PublishError,
        SessionKey, Spec, Strings,
        producer::{self, Partitioning, Routing},
    },
    timer::Now,
};

/// `ProducerConfigurationData.sendTimeoutMs`.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Set in the keys of producers for dead letters. No shard has so many clients.
const MARK: u64 = 1 << 31;

/// Bytes of metadata beside properties and keys, of a message in chunks, at most.
const METADATA_BYTES: usize = 200;

/// A consumer's producer for dead letters.
#[derive(Debug, Default)]
pub(super) struct Office {
    /// The topic's full name; empty without dead letters.
    topic: String,
    producer: Option<Link>,
    is_open: bool,
    name: String,
    /// Messages so far that were too large to be published in one.
    chunked: u64,
}

impl Office {
    /// Nothing is opened.
    pub(super) fn new(topic: String) -> Self {
        Self {
            topic,
            ..Self::default()
        }
    }
}

/// Whose letters are published, by what, and how large they may be.
struct Way {
    key: HalfKey,
    link: Link,
    bytes_max: usize,
}

/// The key under which a consumer's producer for dead letters is opened.
fn key_of(consumer: HalfKey) -> SessionKey {
    KeyData::from_ffi(wire_id(consumer) | MARK).into()
}

/// Whether the session is none: a producer for dead letters has this key.
pub(super) fn is_of_letters(session: SessionKey) -> bool {
    session.data().as_ffi() & MARK != 0
}

/// The consumer whose producer for dead letters has this key.
fn consumer_of(session: SessionKey) -> Option<HalfKey> {
    is_of_letters(session).then(|| half_key(session.data().as_ffi() & !MARK))
}

impl Pulsar {
    /// Takes out what is told by a producer for dead letters.
    pub(super) fn tell<'e>(&mut self, now: Now, event: Event<'e>) -> Option<Event<'e>> {
        let (Event::Opened { session }
        | Event::OpenFailed { session, .. }
        | Event::Receipt { session, .. }
        | Event::PublishFailed { session, .. }) = &event
        else {
            return Some(event);
        };
        let Some(key) = consumer_of(*session) else {
            return Some(event);
        };
        match event {
            Event::Opened { .. } => {
                if let Some(office) = self.office(key) {
                    office.is_open = true;
                }
            }
            Event::OpenFailed { error, .. } => {
                self.letters_failed(now, key, &error.message);
                if let Some(office) = self.office(key) {
                    office.producer = None;
                }
            }
            Event::Receipt { lane, .. } => self.letter_outcome(now, key, lane, None),
            Event::PublishFailed { lane, error, .. } => {
                self.letter_outcome(now, key, lane, Some(error));
            }
            _ => {}
        }
        self.post_letters(now, key);
        self.arm_consumer(key);
        None
    }

    /// Publishes the dead letters that wait, or begins to open what publishes them.
    pub(super) fn post_letters(&mut self, now: Now, key: HalfKey) {
        while let Some(half) = self.halves.get_mut(key)
            && half.state != State::Closing
            && let Role::Consumer(consuming) = &mut half.role
            && consuming.consumer.has_letter(now)
        {
            let office = &consuming.office;
            let Some(link) = office.producer else {
                return self.open_office(now, key);
            };
            if !office.is_open {
                return;
            }
            let Some(letter) = consuming.consumer.take_letter() else {
                return;
            };
            let posted = self.post(now, key, link, &letter);
            if let Err(error) = &posted {
                self.log_failure(key, error);
            }
            if let Some(half) = self.halves.get_mut(key)
                && let Role::Consumer(consuming) = &mut half.role
            {
                consuming.consumer.note_letter(now, &letter, posted.is_ok());
            }
            if posted.is_err() {
                self.close_office_if_idle(now, key);
            }
        }
    }

    /// The consumer is closed, and with it its producer for dead letters.
    pub(super) fn close_office(&mut self, now: Now, key: HalfKey) {
        if let Some(office) = self.office(key)
            && let Some(link) = office.producer.take()
        {
            office.is_open = false;
            self.close(now, link);
        }
    }

    fn open_office(&mut self, now: Now, key: HalfKey) {
        let suffix = consumer::short_name(self.random.next());
        let Some(half) = self.halves.get_mut(key) else {
            return;
        };
        let Role::Consumer(consuming) = &mut half.role else {
            return;
        };
        let consumer = &consuming.consumer;
        let (topic, subscription) = (consumer.topic(), consumer.subscription());
        let name = format!("{topic}-{subscription}-{}-{suffix}-DLQ", consumer.name());
        let office = &mut consuming.office;
        office.name = name;
        let spec = Spec::Producer(producer::Spec {
            topic: office.topic.clone(),
            name: Some(office.name.clone()),
            initial_sequence_id: None,
            send_timeout: Some(SEND_TIMEOUT),
            partitioning: Partitioning {
                routing: Routing::RoundRobin,
                ..Partitioning::default()
            },
            batching: None,
            compression: producer::Compression::None,
            encryption: None,
        });
        let link = self.open(now, key_of(key), &spec);
        if let Some(office) = self.office(key) {
            office.producer = Some(link);
            office.is_open = false;
        }
    }

    fn office(&mut self, key: HalfKey) -> Option<&mut Office> {
        match &mut self.halves.get_mut(key)?.role {
            Role::Consumer(consuming) => Some(&mut consuming.office),
            _ => None,
        }
    }

    fn letter_outcome(&mut self, now: Now, key: HalfKey, lane: Lane, error: Option<PublishError>) {
        if let Some(error) = &error {
            self.log_failure(key, error);
        }
        self.consume(key, |consumer, out| {
            consumer.handle_letter_outcome(now, lane, error.is_none());
            consumer.renew_permits(out);
        });
        if error.is_some() {
            self.close_office_if_idle(now, key);
        }
    }

    /// After a failure a new producer is made, unless outcomes of this one are to come.
    fn close_office_if_idle(&mut self, now: Now, key: HalfKey) {
        if let Some(half) = self.halves.get(key)
            && let Role::Consumer(consuming) = &half.role
            && !consuming.consumer.has_letters_in_flight()
        {
            self.close_office(now, key);
        }
    }

    fn letters_failed(&mut self, now: Now, key: HalfKey, error: &str) {
        self.log_failure(key, &PublishError::Backend(error.to_owned()));
        self.consume(key, |consumer, _| consumer.handle_no_letters(now));
    }

    fn log_failure(&self, key: HalfKey, error: &PublishError) {
        if let Some(half) = self.halves.get(key)
            && let Role::Consumer(consuming) = &half.role
        {
            tracing::warn!(
                topic = &*half.topic,
                dead_letter_topic = consuming.office.topic,
                ?error,
                "a dead letter was not stored; the broker keeps the message"
            );
        }
    }

    /// Publishes all messages of a letter.
    fn post(
        &mut self,
        now: Now,
        key: HalfKey,
        link: Link,
        letter: &Letter,
    ) -> Result<(), PublishError> {
        let Some(half) = self.halves.get_mut(key) else {
            return Ok(());
        };
        let topic = half.topic.clone();
        let bytes_max = match half.state {
            State::Ready { connection } => self.connections.get(connection),
            _ => None,
        }
        .map_or(self.settings.message_bytes_max, |connection| {
            connection.message_bytes_max
        });
        let Some(subscription) =
            self.consume(key, |consumer, _| consumer.subscription().to_owned())
        else {
            return Ok(());
        };
        letter.try_each(|message| {
            let properties = Properties::new(message, &topic, &subscription);
            let way = Way {
                key,
                link,
                bytes_max,
            };
            self.post_message(now, &way, letter, message, &properties)
        })
    }

    /// Publishes one message, in chunks if need be. All of them take one lane.
    fn post_message(
        &mut self,
        now: Now,
        way: &Way,
        letter: &Letter,
        message: &LetterMessage<'_>,
        properties: &Properties,
    ) -> Result<(), PublishError> {
        let &Way {
            key,
            link,
            bytes_max,
        } = way;
        let delivery = &message.delivery;
        let content = delivery.payload.unwrap_or_default();
        let message_key = delivery.key.map(String::from_utf8_lossy);
        let mut extra = Extra {
            key_is_base64: message.key_is_base64,
            ordering_key: message.ordering_key,
            is_null: delivery.payload.is_none(),
            chunk: None,
            sealing: &message.sealing,
        };
        let Some(office) = self.office(key) else {
            return Ok(());
        };
        let metadata = METADATA_BYTES
            + 2 * office.name.len()
            + properties.bytes()
            + message_key.as_deref().map_or(0, str::len)
            + message.ordering_key.map_or(0, <[u8]>::len)
            + message.sealing.len();
        let part_bytes = bytes_max.saturating_sub(metadata).max(1);
        let count = content.len().div_ceil(part_bytes).max(1);
        let uuid = format!("{}-{}", office.name, office.chunked);
        office.chunked += u64::from(count > 1);
        if count > 1 {
            // Each part would have to be encrypted by itself.
            extra.sealing = &[];
        }
        let mut to = link;
        for index in 0..count {
            let start = index * part_bytes;
            let end = content.len().min(start + part_bytes);
            let part = content.get(start..end).unwrap_or_default();
            if count > 1 {
                extra.chunk = Some(Chunk {
                    uuid: &uuid,
                    index: u32::try_from(index).unwrap_or(u32::MAX),
                    count: u32::try_from(count).unwrap_or(u32::MAX),
                    bytes: content.len(),
                });
            }
            let publish = Publish {
                sealed: None,
                payload: Payload {
                    encoded: part,
                    len: part.len(),
                    decode: copy,
                },
                context: None,
                key: message_key.as_deref(),
                properties: properties.strings(),
                replication_clusters: None,
                event_time_ms: delivery.event_time_ms,
                deliver: Deliver::Now,
                extra: Some(&extra),
            };
            let lane = self.publish(now, to, &publish)?;
            if let Some(part) = self.part(link, lane) {
                to = part;
            }
            self.consume(key, |consumer, _| {
                consumer.note_letter_message(letter, lane)
            });
        }
        Ok(())
    }

    /// The half that publishes in this lane, if the link names several.
    fn part(&mut self, link: Link, Lane(lane): Lane) -> Option<Link> {
        let group = self.group(half_key(link.0))?;
        let part = group.parts.get(usize::try_from(lane).ok()?)?;
        Some(Link(wire_id(*part)))
    }
}

fn copy(content: &[u8], out: &mut BytesMut) -> Result<(), PayloadError> {
    out.put_slice(content);
    Ok(())
}

/// A message's properties, and those that tell where it came from, unless it has them.
struct Properties {
    text: Vec<u8>,
    ends: Vec<u32>,
}

impl Properties {
    fn new(message: &LetterMessage<'_>, topic: &str, subscription: &str) -> Self {
        let mut sorted = std::collections::BTreeMap::new();
        // Of one name the last counts.
        sorted.extend(message.delivery.properties);
        for (name, value) in [
            ("REAL_TOPIC", topic),
            ("ORIGIN_MESSAGE_IDY_TIME", &message.origin),
            ("ORIGIN_MESSAGE_ID", &message.origin),
            ("REAL_SUBSCRIPTION", subscription),
        ] {
            sorted.entry(name.as_bytes()).or_insert(value.as_bytes());
        }
        let (mut text, mut ends) = (Vec::new(), Vec::new());
        for string in sorted.into_iter().flat_map(|(name, value)| [name, value]) {
            text.extend_from_slice(string);
            ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
        }
        Self { text, ends }
    }

    fn strings(&self) -> Strings<'_> {
        Strings {
            text: &self.text,
            ends: &self.ends,
        }
    }

    /// About what they take when encoded, with tags and sizes.
    fn bytes(&self) -> usize {
        self.text.len() + 12 * self.ends.len()
    }
}
