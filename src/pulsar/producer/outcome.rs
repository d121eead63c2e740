//! What becomes of publishes: receipts, refusals, and the end of everything.

use std::collections::VecDeque;

use super::{End, InFlight, Producer};
use crate::{
    pulsar::{
        Event,
        command::{self, SendReceipt},
        error::exception,
        message_id::{EntryId, PulsarId},
        outbox::Segments,
    },
    session::PublishError,
    timer::Instant,
};

/// What a receipt means.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::pulsar) enum Receipt {
    /// The oldest publish was stored, or all of the oldest batch.
    Stored(Stored),
    /// It belongs to a publish that has failed already.
    Stale,
    /// The broker skipped some: only a new connection brings order.
    OutOfOrder,
}

/// Messages that were stored as one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pulsar) struct Stored {
    pub(in crate::pulsar) entry: EntryId,
    pub(in crate::pulsar) partition: Option<u32>,
    pub(in crate::pulsar) messages: u32,
}

impl Stored {
    /// The id of one of the messages. How many there are is no part of it, as in Java.
    pub(in crate::pulsar) fn id(&self, index: u32) -> PulsarId {
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
pub(in crate::pulsar) enum Broken {
    /// It was broken on the way.
    Resend,
    /// It is broken here; it failed.
    Failed,
}

impl Producer {
    /// When what the next receipt is for was last sent.
    pub(in crate::pulsar) fn last_sent(&self) -> Option<Instant> {
        self.in_flight.front()?.last_sent
    }

    /// `ProducerImpl.ackReceived`.
    pub(in crate::pulsar) fn handle_receipt(
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
    pub(in crate::pulsar) fn handle_broken(
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
    pub(in crate::pulsar) fn handle_not_allowed(
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
    pub(in crate::pulsar) fn end(
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
    pub(in crate::pulsar) fn fail_all(
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
    pub(super) fn fail_batch(
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
    pub(in crate::pulsar) fn abandon(&mut self, segments: &mut Segments) {
        while self.pop(segments).is_some() {}
        if let Some(batch) = &mut self.batch {
            self.pending -= batch.discard(segments);
            self.count_batch();
        }
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

    pub(super) fn failed(&self, messages: u32, text: &str, events: &mut VecDeque<Event<'static>>) {
        for _ in 0..messages {
            events.push_back(Event::PublishFailed {
                session: self.session,
                lane: self.lane(),
                error: PublishError::Backend(text.to_owned()),
            });
        }
    }

    pub(super) fn pop(&mut self, segments: &mut Segments) -> Option<InFlight> {
        let publish = self.in_flight.pop_front()?;
        self.in_flight_bytes -= publish.frame.len();
        self.pending -= publish.messages;
        segments.release(publish.frame);
        Some(publish)
    }
}
