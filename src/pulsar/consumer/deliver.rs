//! From an entry to the messages a client may have: those that are done, or with the client
//! already, are left out, and their permits given back.

use bytes::BytesMut;
use tracing::warn;

use super::{
    Consumer,
    bits::Bits,
    entry::{Cursor, Found, Shape},
    outstanding::Known,
    put_error_ack,
    spec::Position,
    tracker::Tracker,
    wire::{MessageCommand, Metadata, Single, ValidationError},
};
use crate::{pulsar::message_id::EntryId, timer::Now};

impl Consumer {
    /// Whether there are held entries, maybe without a message that is left.
    pub(in crate::pulsar) fn has_held(&self) -> bool {
        self.held.front().is_some()
    }
}

impl Tracker {
    /// The next message of an entry that the client may have; the cursor stands behind it, and it
    /// counts as delivered. The permits of those left out are given back, as is its own.
    pub(super) fn next(
        &mut self,
        now: Now,
        shape: &Shape,
        cursor: &mut Cursor,
        payload: &[u8],
        mut out: Option<&mut BytesMut>,
    ) -> Option<Found> {
        let size = shape.size();
        let mut found = None;
        while found.is_none() && cursor.index < size {
            let index = cursor.index;
            let member = if shape.metadata.batch_size.is_some() {
                let Some(single) = Single::decode(payload, cursor.offset) else {
                    cursor.index = size;
                    self.discard_rest(shape, index, out.as_deref_mut());
                    return None;
                };
                cursor.offset = single.payload.end;
                Some(single)
            } else {
                cursor.offset = payload.len();
                None
            };
            cursor.index += 1;
            // The broker took no permit for what it does not mean.
            if !shape.is_sent(index) {
                continue;
            }
            self.permits.give_back(1);
            if member.as_ref().is_some_and(|single| single.compacted_out) {
                self.note_one_done(shape, index);
            } else if self.is_wanted(shape, index) {
                self.note_taken(now, shape, index);
                self.permits.note_delivered();
                found = Some(member.map_or(Found::Plain, |single| Found::Member(index, single)));
            } else {
                self.stats.duplicates += 1;
            }
        }
        if cursor.index >= size {
            self.finish(now, shape);
        }
        found
    }

    /// Sent before everything was asked for again (`ConsumerBase.isValidConsumerEpoch`).
    pub(super) fn is_stale(&self, command: &MessageCommand<'_>) -> bool {
        // -1 says "none", as Java's client has it.
        self.spec.is_exclusive()
            && command
                .consumer_epoch
                .is_some_and(|epoch| epoch != u64::MAX && epoch < self.epoch)
    }

    /// All of the entry is acknowledged, or lies before the start.
    pub(super) fn is_done(&self, entry: EntryId, metadata: &Metadata) -> bool {
        if self.spec.is_volatile {
            return false;
        }
        if self.acks.is_done(entry) {
            return true;
        }
        metadata.batch_size.is_none()
            && (self.is_before(entry, None) || self.outstanding.known(entry, 0) != Known::Fresh)
    }

    /// The message lies before the start of a subscription that is not durable, or the reader read
    /// it.
    fn is_before(&self, entry: EntryId, index: Option<u32>) -> bool {
        let at_start = self.start.is_some_and(|start| {
            start.entry == entry
                && index.is_none_or(|index| start.batch_index.is_some_and(|start| index <= start))
        });
        let read = self.spec.is_reader
            && self.taken.is_some_and(|taken| {
                let whole = |index: Option<u32>| index.unwrap_or(u32::MAX);
                (entry, whole(index)) <= (taken.entry, whole(taken.batch_index))
            });
        at_start || read
    }

    /// Neither done, nor with the client, nor before the start.
    fn is_wanted(&self, shape: &Shape, index: u32) -> bool {
        if self.spec.is_volatile {
            return true;
        }
        let member = shape.metadata.batch_size.map(|_| index);
        !self.is_before(shape.id, member)
            && (self.spec.is_reader || self.outstanding.known(shape.id, index) == Known::Fresh)
    }

    /// What the broker left out of a batch is acknowledged there.
    pub(super) fn note_left_out(&mut self, shape: &Shape) {
        if let (Some(sent), true) = (&shape.sent, self.spec.tracks_messages()) {
            self.outstanding
                .skip(shape.id, shape.size(), &sent.inverse());
        }
    }

    fn note_one_done(&mut self, shape: &Shape, index: u32) {
        if self.spec.tracks_messages() {
            self.outstanding.skip_one(shape.id, shape.size(), index);
        }
    }

    fn note_taken(&mut self, now: Now, shape: &Shape, index: u32) {
        let batch = shape.metadata.batch_size;
        self.taken = Some(Position {
            entry: shape.id,
            batch_index: batch.map(|_| index),
        });
        if self.spec.tracks_messages() {
            let patience = self.patience.as_mut();
            let expiry = patience.map(|patience| patience.expiry(now.mono));
            self.outstanding.deliver(shape.id, batch, index, expiry);
        } else if !self.spec.is_reader {
            self.volatile_out += 1;
        }
    }

    /// The last message of an entry was taken.
    fn finish(&mut self, now: Now, shape: &Shape) {
        if self.spec.is_volatile {
            return;
        }
        if self.spec.is_reader {
            self.acks.add_cumulative(now.mono, shape.id);
        } else if shape.metadata.batch_size.is_some() && self.outstanding.finish(shape.id) {
            self.add_whole_ack(now, shape.id);
        }
    }

    /// A batch can't be read from this message on. As in Java all of the entry is acknowledged with
    /// a note.
    fn discard_rest(&mut self, shape: &Shape, index: u32, out: Option<&mut BytesMut>) {
        self.permits.give_back(shape.sent_from(index));
        self.stats.corrupt += 1;
        warn!(
            topic = self.spec.topic,
            ledger = shape.id.ledger,
            entry = shape.id.entry,
            index,
            "batch is corrupt; what is left of it is discarded"
        );
        if let Some(out) = out {
            put_error_ack(out, self.id, shape.id, ValidationError::BatchDeSerialize);
        }
        if self.spec.tracks_messages() {
            let mut rest = Bits::full(shape.size());
            for taken in 0..index {
                rest.clear(taken);
            }
            self.outstanding.skip(shape.id, shape.size(), &rest);
            self.outstanding.finish(shape.id);
        }
    }
}
