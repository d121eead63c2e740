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
    ops::{AddAssign, SubAssign},
    rc::Rc,
    time::Duration,
};

use super::{
    Event,
    command::{self, Send, SendReceipt},
    error::exception,
    message_id::{EntryId, PulsarId},
    outbox::{FrameRef, Outbox, Segments},
    proto::{CommandProducer, CommandProducerSuccess},
};
use crate::{
    session::{Deliver, Lane, MessageId, Publish, PublishError, SessionKey, producer::Spec},
    timer::{Instant, Now},
};

/// A producer at the broker, or on its way there.
#[derive(Debug)]
pub(super) struct Producer {
    id: u64,
    session: SessionKey,
    topic: String,
    /// Which one of its topic's, and so its lane.
    partition: Option<u32>,
    /// The user's, or what the broker made up when it first answered.
    name: Option<String>,
    is_user_named: bool,
    initial_sequence_id: Option<i64>,
    next_sequence_id: i64,
    send_timeout: Option<Duration>,
    /// Oldest first, numbers ascending.
    in_flight: VecDeque<InFlight>,
    /// The sum of their frames' sizes.
    in_flight_bytes: InFlightBytes,
    message_bytes_max: usize,
    /// How often it was made; the broker takes the highest for the living one.
    epoch: u64,
    topic_epoch: Option<u64>,
    end: Option<End>,
    is_timer_set: bool,
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

#[derive(Debug)]
struct InFlight {
    frame: FrameRef,
    sequence_id: i64,
    created: Instant,
    first_sent: Option<Instant>,
    last_sent: Option<Instant>,
    attempts: u32,
}

impl InFlight {
    fn sent(&mut self, now: Instant) {
        self.first_sent.get_or_insert(now);
        self.last_sent = Some(now);
        self.attempts += 1;
    }
}

/// What a receipt means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Receipt {
    /// The oldest publish was stored.
    Stored(MessageId),
    /// It belongs to a publish that has failed already.
    Stale,
    /// The broker skipped some: only a new connection brings order.
    OutOfOrder,
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
    pub(super) fn new(id: u64, session: SessionKey, spec: &Spec, message_bytes_max: usize) -> Self {
        Self {
            id,
            session,
            topic: spec.topic.clone(),
            partition: None,
            name: spec.name.clone(),
            is_user_named: spec
                .name
                .as_ref()
                .is_some_and(|name| !name.trim().is_empty()),
            initial_sequence_id: spec.initial_sequence_id,
            next_sequence_id: spec
                .initial_sequence_id
                .map_or(0, |initial| initial.wrapping_add(1)),
            send_timeout: spec.send_timeout,
            in_flight: VecDeque::new(),
            in_flight_bytes: InFlightBytes::default(),
            message_bytes_max,
            epoch: 0,
            topic_epoch: None,
            end: None,
            is_timer_set: false,
        }
    }

    /// Makes it one of those that publish to a topic's partitions, under the name of the first.
    pub(super) fn join(&mut self, partition: u32, name: Option<&str>, all: &Rc<Cell<usize>>) {
        self.partition = Some(partition);
        if let Some(name) = name {
            self.name = Some(name.to_owned());
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
        self.message_bytes_max = message_bytes_max;
        let epoch = self.epoch;
        self.epoch += 1;
        CommandProducer {
            topic: self.topic.clone(),
            producer_id: self.id,
            request_id,
            producer_name: self.name.clone(),
            encrypted: Some(false),
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
        self.name.get_or_insert(success.producer_name);
    }

    /// Appends a message to the outbox and puts it in flight. `is_sent`: the outbox is that of a
    /// connection on which the producer is ready.
    pub(super) fn publish(
        &mut self,
        now: Now,
        publish: &Publish<'_>,
        outbox: &mut Outbox,
        is_sent: bool,
        segments: &mut Segments,
    ) -> Result<(), PublishError> {
        if let Some(end) = self.end {
            return Err(PublishError::Backend(end.refusal()));
        }
        let send = Send {
            producer_id: self.id,
            producer_name: self.name.as_deref().unwrap_or_default(),
            sequence_id: self.next_sequence_id.cast_unsigned(),
            publish_time_ms: now.wall_ms,
            deliver_at_ms: match publish.deliver {
                Deliver::Now => None,
                Deliver::AtMs(at) => Some(at),
                Deliver::AfterMs(delay) => Some(now.wall_ms.cast_signed().saturating_add(delay)),
            },
            publish,
        };
        let len = send.measure();
        if len.message() > self.message_bytes_max {
            return Err(self.too_large(len.payload, len.message()));
        }
        let frame = outbox
            .put_frame(len.frame(), segments, |tail| send.put(len, tail))
            .map_err(|error| PublishError::Encoding(error.0))?;
        let mut publish = InFlight {
            frame,
            sequence_id: self.next_sequence_id,
            created: now.mono,
            first_sent: None,
            last_sent: None,
            attempts: 0,
        };
        if is_sent {
            publish.sent(now.mono);
        }
        self.next_sequence_id = self.next_sequence_id.wrapping_add(1);
        self.in_flight_bytes += frame.len();
        self.in_flight.push_back(publish);
        Ok(())
    }

    /// Java looks at the content first, then at the content with its metadata, and its first text
    /// has a gap where it would say "Compressed".
    fn too_large(&self, payload: usize, message: usize) -> PublishError {
        let max = self.message_bytes_max;
        let (gap, bytes) = if payload > max {
            (" ", payload)
        } else {
            ("", message)
        };
        PublishError::Backend(exception(
            "$InvalidMessageException",
            &format!(
                "The producer {} of the topic {} sends a {gap}message with {bytes} bytes that exceeds {max} bytes",
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
        if sequence_id > head.sequence_id || sequence_id < receipt.highest_sequence_id.cast_signed()
        {
            return Receipt::OutOfOrder;
        }
        self.pop(segments);
        // Java keeps -1 for both where the broker does not know the place.
        let (ledger, entry) = receipt.stored.unwrap_or((u64::MAX, u64::MAX));
        let id = PulsarId {
            entry: EntryId { ledger, entry },
            partition: self.partition,
            batch_index: None,
            batch_size: 0,
        };
        Receipt::Stored(id.encode())
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
        self.fail_head(exception("$ChecksumException", &text), segments, events);
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
            self.fail_head(exception("$NotAllowedException", message), segments, events);
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
            self.fail_head(text.to_owned(), segments, events);
        }
    }

    /// The session ended: nobody waits for receipts any more.
    pub(super) fn abandon(&mut self, segments: &mut Segments) {
        while self.pop(segments).is_some() {}
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
        let deadline = self.in_flight.front()?.created + timeout;
        if now.mono < deadline {
            self.is_timer_set = true;
            return Some(deadline);
        }
        while let Some(publish) = self.pop(segments) {
            let text = self.timeout_text(now.mono, &publish);
            events.push_back(self.failed(text));
        }
        None
    }

    fn timeout_text(&self, now: Instant, publish: &InFlight) -> String {
        let ago = |at: Option<Instant>| at.map_or(0.0, |at| seconds(now.since(at)));
        exception(
            "$TimeoutException",
            &format!(
                "The producer {} can not send message to the topic {} within given timeout : \
                 createdAt {:?} seconds ago, firstSentAt {:?} seconds ago, lastSentAt {:?} seconds ago, retryCount {}",
                self.name(),
                self.topic,
                ago(Some(publish.created)),
                ago(publish.first_sent),
                ago(publish.last_sent),
                publish.attempts
            ),
        )
    }

    /// Bytes in flight.
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
            .filter(|head| head.sequence_id == sequence_id.cast_signed())
    }

    fn fail_head(
        &mut self,
        text: String,
        segments: &mut Segments,
        events: &mut VecDeque<Event<'static>>,
    ) {
        if self.pop(segments).is_some() {
            events.push_back(self.failed(text));
        }
    }

    fn failed(&self, text: String) -> Event<'static> {
        Event::PublishFailed {
            session: self.session,
            lane: self.lane(),
            error: PublishError::Backend(text),
        }
    }

    fn pop(&mut self, segments: &mut Segments) -> Option<InFlight> {
        let publish = self.in_flight.pop_front()?;
        self.in_flight_bytes -= publish.frame.len();
        segments.release(publish.frame);
        Some(publish)
    }
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
