//! A producer: sequence ids, publishes in flight, receipts, and what becomes of them when the
//! connection, the topic or the time is over.
//!
//! It follows Java's `ProducerImpl`: a queue in the order of publishing, whose head alone can be
//! stored or fail; everything in it is sent again on a new connection, and everything in it fails
//! together when the oldest has waited too long. It knows neither connection nor lookup: frames are
//! appended to the outbox it is given, which is a socket's while there is one.

use std::{
    cell::Cell,
    collections::VecDeque,
    convert::Infallible,
    fmt::Write,
    ops::{AddAssign, SubAssign},
    rc::Rc,
    time::Duration,
};

use super::{
    Event,
    batch::{Batch, Closed, Destination},
    command::{self, Seal, Send, SendReceipt, put_encryption_key},
    crypto::Sealer,
    error::exception,
    message_id::{EntryId, PulsarId},
    outbox::{FrameRef, Outbox, Segments},
    payload::{Compression, Compressor},
    proto::{CommandProducer, CommandProducerSuccess},
};
use crate::{
    session::{
        Deliver, Lane, Publish, PublishError, SessionKey,
        producer::{Encryption, Spec},
    },
    timer::{Instant, Now},
};

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
    initial_sequence_id: Option<i64>,
    next_sequence_id: i64,
    send_timeout: Option<Duration>,
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
    topic_epoch: Option<u64>,
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

/// A frame without receipt.
#[derive(Debug)]
struct InFlight {
    frame: FrameRef,
    /// Of its first message.
    sequence_id: i64,
    messages: u32,
    created: Instant,
    first_sent: Option<Instant>,
    last_sent: Option<Instant>,
    attempts: u32,
}

impl InFlight {
    /// The last message's number, by which the broker calls it when it refuses it.
    fn highest_sequence_id(&self) -> i64 {
        self.sequence_id
            .wrapping_add(i64::from(self.messages.saturating_sub(1)))
    }

    fn sent(&mut self, now: Instant) {
        self.first_sent.get_or_insert(now);
        self.last_sent = Some(now);
        self.attempts += 1;
    }
}

/// What a receipt means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Receipt {
    /// The oldest publish was stored, or all of the oldest batch.
    Stored(Stored),
    /// It belongs to a publish that has failed already.
    Stale,
    /// The broker skipped some: only a new connection brings order.
    OutOfOrder,
}

/// Messages that were stored as one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) entry: EntryId,
    pub(super) partition: Option<u32>,
    pub(super) messages: u32,
}

impl Stored {
    /// The id of one of the messages. How many there are is no part of it, as in Java.
    pub(super) fn id(&self, index: u32) -> PulsarId {
        PulsarId {
            entry: self.entry,
            partition: self.partition,
            batch_index: (self.messages > 1).then_some(index),
            batch_size: 0,
            first_chunk: None,
        }
    }
}

/// What the broker's "broken on arrival" means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// It was broken on the way.
    Resend,
    /// It is broken here; it failed.
    Failed,
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
            initial_sequence_id: spec.initial_sequence_id,
            next_sequence_id: spec
                .initial_sequence_id
                .map_or(0, |initial| initial.wrapping_add(1)),
            send_timeout: spec.send_timeout,
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
            topic_epoch: self.topic_epoch,
            txn_enabled: Some(false),
        }
    }

    /// The broker made it.
    pub(super) fn handle_created(&mut self, success: CommandProducerSuccess) {
        // Only while no number was given out: what the broker says later is about messages that
        // are still in the queue.
        if self.next_sequence_id == 0 && self.initial_sequence_id.is_none() {
            self.next_sequence_id = success.last_sequence_id().wrapping_add(1);
        }
        self.topic_epoch = success.topic_epoch;
        self.name
            .get_or_insert_with(|| success.producer_name.into());
    }

    /// Adds a message to the open batch, or puts it in flight.
    pub(super) fn publish(
        &mut self,
        now: Now,
        publish: &Publish<'_>,
        is_memory_full: bool,
        mut way: Way<'_>,
    ) -> Result<(), PublishError> {
        if let Some(text) = self.refusal(is_memory_full) {
            // Java would not have let it come so far.
            return Err(match way.compressor.check(publish.payload) {
                Ok(()) => PublishError::Backend(text),
                Err(error) => PublishError::Encoding(error.0),
            });
        }
        if let Some(sealer) = &mut self.sealer {
            sealer.prepare(now.mono).map_err(PublishError::Backend)?;
        }
        let Some(batch) = &self.batch else {
            return self.publish_alone(now, publish, &mut way);
        };
        let is_timed = publish.deliver != Deliver::Now;
        if batch.messages() > 0 && (is_timed || !batch.has_room(publish, self.batch_bytes_max())) {
            self.close_batch(now, &mut way);
        }
        if is_timed || !self.takes(now, publish) {
            return self.publish_alone(now, publish, &mut way);
        }
        self.add_to_batch(now, publish, &mut way)
    }

    /// Why no message is accepted (`ProducerImpl.isValidProducerState`, `canEnqueueRequest`).
    fn refusal(&self, is_memory_full: bool) -> Option<String> {
        let batching = self.batch.as_ref().map(|batch| batch.settings());
        let pending_max = batching.and_then(|batching| batching.pending_max);
        if let Some(end) = self.end {
            Some(end.refusal())
        } else if pending_max.is_some_and(|max| self.pending >= max) {
            let text = "Producer send queue is full";
            Some(exception("$ProducerQueueIsFullError", text))
        } else if is_memory_full {
            let text = "Client memory buffer is full";
            Some(exception("$MemoryBufferIsFullError", text))
        } else {
            None
        }
    }

    const fn message_bytes_max(&self) -> usize {
        self.message_bytes_max as usize
    }

    /// What a batch may hold, so that it is not too large when it is encrypted.
    fn batch_bytes_max(&self) -> usize {
        let added = self.sealer.as_ref().map_or(0, |sealer| sealer.added_len());
        self.message_bytes_max().saturating_sub(added)
    }

    /// Whether the batch, maybe an empty one, has room for a message.
    fn takes(&self, now: Now, publish: &Publish<'_>) -> bool {
        // One that is not empty was asked before.
        self.batch.as_ref().is_some_and(|batch| {
            batch.messages() > 0 || batch.takes(&self.send(now, publish), self.batch_bytes_max())
        })
    }

    fn add_to_batch(
        &mut self,
        now: Now,
        publish: &Publish<'_>,
        way: &mut Way<'_>,
    ) -> Result<(), PublishError> {
        let Some(mut batch) = self.batch.take() else {
            return Ok(());
        };
        let send = self.send(now, publish);
        let added = batch.add(now.mono, &send, way.segments);
        let is_full = batch.is_full();
        self.batch = Some(batch);
        self.count_batch();
        added.map_err(|error| PublishError::Encoding(error.0))?;
        self.next_sequence_id = self.next_sequence_id.wrapping_add(1);
        self.pending += 1;
        if is_full {
            self.close_batch(now, way);
        }
        Ok(())
    }

    /// Puts the open batch in flight, if there is anything in it. Tells whether there was.
    pub(super) fn close_batch(&mut self, now: Now, way: &mut Way<'_>) -> bool {
        let message_bytes_max = self.batch_bytes_max();
        let seal = match (&self.batch, &mut self.sealer) {
            (Some(batch), Some(sealer)) if batch.messages() > 0 => {
                // There is a data key since its first message.
                let Some(seal) = sealer.next() else {
                    return false;
                };
                Some(seal)
            }
            _ => None,
        };
        let Some(closed) = self.batch.as_mut().and_then(|batch| {
            batch.close(Destination {
                seal,
                producer_id: self.id,
                compression: self.compression,
                message_bytes_max,
                outbox: way.outbox,
                segments: way.segments,
                compressor: way.compressor,
            })
        }) else {
            return false;
        };
        self.count_batch();
        self.put_in_flight(now, &closed, way.is_sent);
        true
    }

    /// The open batch changed: what it holds is part of what is in flight.
    fn count_batch(&mut self) {
        let bytes = self.batch.as_ref().map_or(0, |batch| batch.bytes());
        self.in_flight_bytes -= self.batch_bytes;
        self.in_flight_bytes += bytes;
        self.batch_bytes = bytes;
    }

    fn publish_alone(
        &mut self,
        now: Now,
        publish: &Publish<'_>,
        way: &mut Way<'_>,
    ) -> Result<(), PublishError> {
        // What is encrypted with is taken apart from the rest, which it is used together with.
        let mut sealer = self.sealer.take();
        let framed = match sealer.as_mut().map(|sealer| sealer.next()) {
            Some(None) => Err(PublishError::Backend(unsealed())),
            seal => self.frame_alone(now, publish, seal.flatten(), way),
        };
        self.sealer = sealer;
        let alone = Closed {
            frame: framed?,
            sequence_id: self.next_sequence_id,
            messages: 1,
        };
        self.put_in_flight(now, &alone, way.is_sent);
        self.next_sequence_id = self.next_sequence_id.wrapping_add(1);
        self.pending += 1;
        Ok(())
    }

    /// Appends the frame of a message that goes alone.
    fn frame_alone(
        &self,
        now: Now,
        publish: &Publish<'_>,
        seal: Option<Seal<'_>>,
        way: &mut Way<'_>,
    ) -> Result<FrameRef, PublishError> {
        let mut send = self.send(now, publish);
        send.seal = seal.or(send.seal);
        if self.compression == Compression::None {
            let len = send.measure(publish.payload.len);
            if len.message() > self.message_bytes_max() {
                return Err(self.too_large(publish, len.payload, len.message()));
            }
            way.outbox
                .put_frame(len.frame(), way.segments, |tail| send.put(len, tail))
                .map_err(|error| PublishError::Encoding(error.0))
        } else {
            let compressed = way
                .compressor
                .compress_payload(self.compression, publish.payload)
                .map_err(|error| PublishError::Encoding(error.0))?
                .ok_or_else(|| self.too_large(publish, publish.payload.len, publish.payload.len))?;
            let len = send.measure(compressed.len());
            if len.message() > self.message_bytes_max() {
                return Err(self.too_large(publish, len.payload, len.message()));
            }
            let put = way.outbox.put_frame(len.frame(), way.segments, |tail| {
                send.put_compressed(len, compressed, tail);
                Ok::<(), Infallible>(())
            });
            let Ok(frame) = put;
            Ok(frame)
        }
    }

    /// A message as it would be sent alone, and as the next one.
    fn send<'a>(&'a self, now: Now, publish: &'a Publish<'a>) -> Send<'a> {
        let compressed = publish.sealed.and_then(|sealed| sealed.compressed);
        Send {
            producer_id: self.id,
            producer_name: self.name.as_deref().unwrap_or_default(),
            sequence_id: self.next_sequence_id.cast_unsigned(),
            publish_time_ms: now.wall_ms,
            deliver_at_ms: match publish.deliver {
                Deliver::Now => None,
                Deliver::AtMs(at) => Some(at),
                Deliver::AfterMs(delay) => Some(now.wall_ms.cast_signed().saturating_add(delay)),
            },
            compression: compressed.map_or(self.compression, |(compression, _)| compression),
            seal: publish.sealed.map(|sealed| Seal {
                keys: &self.client_keys,
                param: sealed.param,
                cipher: None,
            }),
            publish,
        }
    }

    fn put_in_flight(&mut self, now: Now, closed: &Closed, is_sent: bool) {
        let mut in_flight = InFlight {
            frame: closed.frame,
            sequence_id: closed.sequence_id,
            messages: closed.messages,
            created: now.mono,
            first_sent: None,
            last_sent: None,
            attempts: 0,
        };
        if is_sent {
            in_flight.sent(now.mono);
        }
        self.in_flight_bytes += closed.frame.len();
        self.in_flight.push_back(in_flight);
    }

    /// Java looks at the content first, then at the content with its metadata. Where nothing is
    /// compressed its first text has a gap. A message that could have been part of a batch gets a
    /// text of its own.
    fn too_large(&self, publish: &Publish<'_>, payload: usize, message: usize) -> PublishError {
        let max = self.message_bytes_max();
        if self.batch.is_some() && publish.deliver == Deliver::Now {
            let text = format!("Message size is bigger than {max} bytes");
            return PublishError::Backend(exception("$InvalidMessageException", &text));
        }
        let (what, bytes) = match self.compression {
            _ if payload <= max => ("", message),
            Compression::None => (" ", payload),
            _ => ("Compressed ", payload),
        };
        PublishError::Backend(exception(
            "$InvalidMessageException",
            &format!(
                "The producer {} of the topic {} sends a {what}message with {bytes} bytes that exceeds {max} bytes",
                self.name(),
                self.topic
            ),
        ))
    }

    /// Sends everything in flight again, in order. All of it must be sealed.
    pub(super) fn resend(&mut self, now: Now, outbox: &mut Outbox, segments: &mut Segments) {
        for publish in &mut self.in_flight {
            publish.frame = outbox.put_again(publish.frame, segments);
            publish.sent(now.mono);
        }
    }

    /// When what the next receipt is for was last sent.
    pub(super) fn last_sent(&self) -> Option<Instant> {
        self.in_flight.front()?.last_sent
    }

    /// `ProducerImpl.ackReceived`.
    pub(super) fn handle_receipt(
        &mut self,
        receipt: &SendReceipt,
        segments: &mut Segments,
    ) -> Receipt {
        let sequence_id = receipt.sequence_id.cast_signed();
        let Some(head) = self.in_flight.front() else {
            return Receipt::Stale;
        };
        if sequence_id < head.sequence_id {
            return Receipt::Stale;
        }
        let highest = receipt.highest_sequence_id.cast_signed();
        // The broker is not told a highest number below zero.
        let is_whole = sequence_id >= highest
            || highest == head.highest_sequence_id()
            || head.highest_sequence_id() < 0;
        if sequence_id > head.sequence_id || !is_whole {
            return Receipt::OutOfOrder;
        }
        let messages = head.messages;
        self.pop(segments);
        // Java keeps -1 for both where the broker does not know the place.
        let (ledger, entry) = receipt.stored.unwrap_or((u64::MAX, u64::MAX));
        Receipt::Stored(Stored {
            entry: EntryId { ledger, entry },
            partition: self.partition,
            messages,
        })
    }

    /// `ProducerImpl.recoverChecksumError`: a message that is whole on this side was broken on the
    /// way, and is sent again with all others.
    pub(super) fn handle_broken(
        &mut self,
        sequence_id: u64,
        segments: &mut Segments,
        events: &mut VecDeque<Event<'static>>,
    ) -> Broken {
        let Some(head) = self.head_is(sequence_id) else {
            return Broken::Resend;
        };
        // What still waits in an outbox can't have been refused.
        if segments.frame(head.frame).is_none_or(command::is_intact) {
            return Broken::Resend;
        }
        let text = format!(
            "The checksum of the message which is produced by producer {} to the topic {} is corrupted",
            self.name(),
            self.topic
        );
        self.fail_head(&exception("$ChecksumException", &text), segments, events);
        Broken::Failed
    }

    /// `ProducerImpl.recoverNotAllowedError`: this one message is refused.
    pub(super) fn handle_not_allowed(
        &mut self,
        sequence_id: u64,
        message: &str,
        segments: &mut Segments,
        events: &mut VecDeque<Event<'static>>,
    ) {
        if self.head_is(sequence_id).is_some() {
            let text = exception("$NotAllowedException", message);
            self.fail_head(&text, segments, events);
        }
    }

    /// Nothing can be published any more. What is in flight fails with `text`.
    pub(super) fn end(
        &mut self,
        end: End,
        text: &str,
        segments: &mut Segments,
        events: &mut VecDeque<Event<'static>>,
    ) {
        self.end = Some(end);
        self.fail_all(text, segments, events);
    }

    /// What is in flight fails with `text`.
    pub(super) fn fail_all(
        &mut self,
        text: &str,
        segments: &mut Segments,
        events: &mut VecDeque<Event<'static>>,
    ) {
        while !self.in_flight.is_empty() {
            self.fail_head(text, segments, events);
        }
        self.fail_batch(text, segments, events);
    }

    /// What is in the open batch fails with `text`.
    fn fail_batch(
        &mut self,
        text: &str,
        segments: &mut Segments,
        events: &mut VecDeque<Event<'static>>,
    ) {
        if let Some(batch) = &mut self.batch {
            let messages = batch.discard(segments);
            self.pending -= messages;
            self.failed(messages, text, events);
            self.count_batch();
        }
    }

    /// The session ended: nobody waits for receipts any more.
    pub(super) fn abandon(&mut self, segments: &mut Segments) {
        while self.pop(segments).is_some() {}
        if let Some(batch) = &mut self.batch {
            self.pending -= batch.discard(segments);
            self.count_batch();
        }
    }

    /// When the open batch is to be closed, if it just began to wait and nothing is set yet.
    pub(super) fn arm_batch_timer(&mut self) -> Option<Instant> {
        if self.is_batch_timer_set {
            return None;
        }
        let deadline = self.batch.as_ref()?.deadline()?;
        self.is_batch_timer_set = true;
        Some(deadline)
    }

    /// The time set for the batch is over: whether to close it now. If it is another batch by now,
    /// the timer is to be armed again.
    pub(super) fn batch_timer_fired(&mut self, now: Instant) -> bool {
        self.is_batch_timer_set = false;
        let deadline = self.batch.as_ref().and_then(|batch| batch.deadline());
        deadline.is_some_and(|deadline| deadline <= now)
    }

    /// When to be called next, if a publish just began to wait and nothing is set yet.
    pub(super) fn arm_timer(&mut self, now: Now) -> Option<Instant> {
        if self.is_timer_set {
            return None;
        }
        let deadline = now.mono + self.send_timeout?;
        self.is_timer_set = true;
        Some(deadline)
    }

    /// `ProducerImpl.run`: when the oldest publish has waited too long, all fail. Tells when to be
    /// called next.
    pub(super) fn handle_timeout(
        &mut self,
        now: Now,
        segments: &mut Segments,
        events: &mut VecDeque<Event<'static>>,
    ) -> Option<Instant> {
        self.is_timer_set = false;
        let timeout = self.send_timeout?;
        // A batch that can't be closed for want of a broker is as old as if it had been.
        let created = match self.in_flight.front() {
            Some(oldest) => oldest.created,
            None => self.batch.as_ref()?.deadline()?,
        };
        let deadline = created + timeout;
        if now.mono < deadline {
            self.is_timer_set = true;
            return Some(deadline);
        }
        while let Some(publish) = self.pop(segments) {
            let text = self.timeout_text(Some((now.mono, &publish)));
            self.failed(publish.messages, &text, events);
        }
        let text = self.timeout_text(None);
        self.fail_batch(&text, segments, events);
        None
    }

    /// What is in an open batch has no history.
    fn timeout_text(&self, history: Option<(Instant, &InFlight)>) -> String {
        let mut text = format!(
            "The producer {} can not send message to the topic {} within given timeout",
            self.name(),
            self.topic
        );
        if let Some((now, publish)) = history {
            let ago = |at: Option<Instant>| at.map_or(0.0, |at| seconds(now.since(at)));
            let _ = write!(
                text,
                " : createdAt {:?} seconds ago, firstSentAt {:?} seconds ago, lastSentAt {:?} seconds ago, retryCount {}",
                ago(Some(publish.created)),
                ago(publish.first_sent),
                ago(publish.last_sent),
                publish.attempts
            );
        }
        exception("$TimeoutException", &text)
    }

    /// Bytes in flight, and in the open batch.
    pub(super) const fn in_flight_bytes(&self) -> usize {
        self.in_flight_bytes.own
    }

    /// The topic's name.
    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// The producer's name, as Java prints it before the broker has made one up.
    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("null")
    }

    fn head_is(&self, sequence_id: u64) -> Option<&InFlight> {
        self.in_flight
            .front()
            .filter(|head| head.highest_sequence_id() == sequence_id.cast_signed())
    }

    fn fail_head(
        &mut self,
        text: &str,
        segments: &mut Segments,
        events: &mut VecDeque<Event<'static>>,
    ) {
        if let Some(publish) = self.pop(segments) {
            self.failed(publish.messages, text, events);
        }
    }

    fn failed(&self, messages: u32, text: &str, events: &mut VecDeque<Event<'static>>) {
        for _ in 0..messages {
            events.push_back(Event::PublishFailed {
                session: self.session,
                lane: self.lane(),
                error: PublishError::Backend(text.to_owned()),
            });
        }
    }

    fn pop(&mut self, segments: &mut Segments) -> Option<InFlight> {
        let publish = self.in_flight.pop_front()?;
        self.in_flight_bytes -= publish.frame.len();
        self.pending -= publish.messages;
        segments.release(publish.frame);
        Some(publish)
    }
}

/// Nothing leaves unencrypted that should not.
fn unsealed() -> String {
    exception("$CryptoException", "There is no data key")
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

/// Bytes in flight, counted here and for all that publish for the same session.
#[derive(Debug, Default)]
struct InFlightBytes {
    own: usize,
    all: Option<Rc<Cell<usize>>>,
}

impl AddAssign<usize> for InFlightBytes {
    fn add_assign(&mut self, bytes: usize) {
        self.own += bytes;
        if let Some(all) = &self.all {
            all.set(all.get() + bytes);
        }
    }
}

impl SubAssign<usize> for InFlightBytes {
    fn sub_assign(&mut self, bytes: usize) {
        self.own -= bytes;
        if let Some(all) = &self.all {
            all.set(all.get() - bytes);
        }
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

/// Java's `RelativeTimeUtil.nsToSeconds`: rounded to milliseconds.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
