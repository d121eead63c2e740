//! A producer: sequence ids, publishes in flight, receipts, and what becomes of them when the
//! connection, the topic or the time is over.
//!
//! It follows Java's `ProducerImpl`: a queue in the order of publishing, whose head alone can be
//! stored or fail; everything in it is sent again on a new connection, and everything in it fails
//! together when the oldest has waited too long. It knows neither connection nor lookup: frames are
//! appended to the outbox it is given, which is a socket's while there is one.

mod deadlines;
mod in_flight;
mod outcome;
mod publish;

use std::{cell::Cell, collections::VecDeque, num::NonZeroU64, rc::Rc, time::Duration};

use super::{
    batch::Batch,
    command::put_encryption_key,
    crypto::Sealer,
    error::exception,
    outbox::{Outbox, Segments},
    payload::{Compression, Compressor},
    proto::{CommandProducer, CommandProducerSuccess},
};
use crate::session::{
    Lane, SessionKey,
    producer::{Encryption, Spec},
};
use in_flight::{InFlight, InFlightBytes};

pub(super) use outcome::{Broken, Receipt, Stored};

/// A producer at the broker, or on its way there.
#[derive(Debug)]
pub(super) struct Producer {
    id: u64,
    session: SessionKey,
    topic: Rc<str>,
    /// Which one of its topic's, and so its lane.
    partition: Option<u32>,
    /// The user's, or what the broker made up when it first answered.
    name: Option<Box<str>>,
    is_user_named: bool,
    /// The client said where its numbers begin.
    is_user_numbered: bool,
    next_sequence_id: i64,
    send_timeout_ms: Option<NonZeroU64>,
    compression: Compression,
    /// The keys of a client that encrypts: fields of the metadata of each message.
    client_keys: Box<[u8]>,
    /// What encrypts here.
    sealer: Option<Box<Sealer>>,
    /// What is not yet in flight, if messages are put together.
    batch: Option<Box<Batch>>,
    /// Oldest first, numbers ascending.
    in_flight: VecDeque<InFlight>,
    /// The sum of their frames' sizes.
    in_flight_bytes: InFlightBytes,
    /// What of them is the open batch.
    batch_bytes: usize,
    /// Messages without outcome: in flight, or in the open batch.
    pending: u32,
    message_bytes_max: u32,
    /// How often it was made; the broker takes the highest for the living one.
    epoch: u64,
    /// Boxed, because brokers tell it to producers only that want to be alone.
    topic_epoch: Option<Box<u64>>,
    end: Option<End>,
    is_timer_set: bool,
    is_batch_timer_set: bool,
}

/// Where a producer's frames go, and what it takes to make them.
#[derive(Debug)]
pub(super) struct Way<'a> {
    pub(super) outbox: &'a mut Outbox,
    /// The outbox is that of a connection on which the producer is ready.
    pub(super) is_sent: bool,
    pub(super) segments: &'a mut Segments,
    pub(super) compressor: &'a mut Compressor,
}

/// Why nothing can be published any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The topic takes no more messages.
    Terminated,
    /// Another producer took over.
    Fenced,
    /// The topic is gone.
    Closed,
}

impl Producer {
    pub(super) fn new(
        id: u64,
        session: SessionKey,
        topic: Rc<str>,
        spec: &Spec,
        sealer: Option<Sealer>,
        message_bytes_max: usize,
    ) -> Self {
        Self {
            id,
            session,
            topic,
            partition: None,
            name: spec.name.as_deref().map(Box::from),
            is_user_named: spec
                .name
                .as_ref()
                .is_some_and(|name| !name.trim().is_empty()),
            is_user_numbered: spec.initial_sequence_id.is_some(),
            next_sequence_id: spec
                .initial_sequence_id
                .map_or(0, |initial| initial.wrapping_add(1)),
            send_timeout_ms: spec.send_timeout.and_then(millis),
            compression: spec.compression,
            client_keys: client_keys(spec),
            sealer: sealer.map(Box::new),
            batch: spec.batching.map(|batching| Box::new(Batch::new(batching))),
            in_flight: VecDeque::new(),
            in_flight_bytes: InFlightBytes::default(),
            batch_bytes: 0,
            pending: 0,
            message_bytes_max: at_most_u32(message_bytes_max),
            epoch: 0,
            topic_epoch: None,
            end: None,
            is_timer_set: false,
            is_batch_timer_set: false,
        }
    }

    /// Makes it one of those that publish to a topic's partitions, under the name of the first.
    pub(super) fn join(&mut self, partition: u32, name: Option<&str>, all: &Rc<Cell<usize>>) {
        self.partition = Some(partition);
        if let Some(name) = name {
            self.name = Some(name.into());
        }
        self.in_flight_bytes.all = Some(all.clone());
    }

    /// Outcomes of its publishes come in order.
    pub(super) fn lane(&self) -> Lane {
        Lane(self.partition.unwrap_or(0))
    }

    /// What makes it at the broker. Each call counts as one more try.
    pub(super) fn create(&mut self, request_id: u64, message_bytes_max: usize) -> CommandProducer {
        const SHARED: i32 = 0;
        self.message_bytes_max = at_most_u32(message_bytes_max);
        let epoch = self.epoch;
        self.epoch += 1;
        CommandProducer {
            topic: self.topic.to_string(),
            producer_id: self.id,
            request_id,
            producer_name: self.name.as_deref().map(str::to_owned),
            encrypted: Some(self.sealer.is_some() || !self.client_keys.is_empty()),
            epoch: Some(epoch),
            user_provided_producer_name: Some(self.is_user_named),
            producer_access_mode: Some(SHARED),
            topic_epoch: self.topic_epoch.as_deref().copied(),
            txn_enabled: Some(false),
        }
    }

    /// The broker made it.
    pub(super) fn handle_created(&mut self, success: CommandProducerSuccess) {
        // Only while no number was given out: what the broker says later is about messages that
        // are still in the queue.
        if self.next_sequence_id == 0 && !self.is_user_numbered {
            self.next_sequence_id = success.last_sequence_id().wrapping_add(1);
        }
        self.topic_epoch = success.topic_epoch.map(Box::new);
        self.name
            .get_or_insert_with(|| success.producer_name.into());
    }

    /// Bytes in flight, and in the open batch.
    pub(super) const fn in_flight_bytes(&self) -> usize {
        self.in_flight_bytes.own
    }

    /// How long a publish may take; `None`: for ever.
    fn send_timeout(&self) -> Option<Duration> {
        self.send_timeout_ms
            .map(|ms| Duration::from_millis(ms.get()))
    }

    /// The topic's name.
    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// The producer's name, as Java prints it before the broker has made one up.
    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("null")
    }
}

impl End {
    /// What every publish is told (`ProducerImpl.isValidProducerState`).
    fn refusal(self) -> String {
        match self {
            Self::Terminated => exception("$TopicTerminatedException", "Topic was terminated"),
            Self::Fenced => exception("$ProducerFencedException", "Producer was fenced"),
            Self::Closed => exception("$AlreadyClosedException", "Producer already closed"),
        }
    }
}

/// Clients say it in whole milliseconds.
fn millis(duration: Duration) -> Option<NonZeroU64> {
    NonZeroU64::new(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// Brokers say it in 31 bits.
fn at_most_u32(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// What a client that encrypts wants stored with each message.
fn client_keys(spec: &Spec) -> Box<[u8]> {
    let mut encoded = Vec::new();
    if let Some(Encryption::ByClient(keys)) = &spec.encryption {
        for key in keys {
            put_encryption_key(key.name.as_bytes(), &key.value, &key.metadata, &mut encoded);
        }
    }
    encoded.into_boxed_slice()
}
