//! All a consumer knows of messages, and how it is done with one or leaves it alone.

use bytes::BytesMut;
use tracing::{debug, warn};

use super::{
    Stats,
    acks::Acks,
    chunks::Chunks,
    dead_letter::DeadLetters,
    load::Load,
    outstanding::Outstanding,
    permits::Permits,
    put_error_ack, put_flow,
    redelivery::{Left, Patience, Rejections},
    spec::{ConsumerSpec, Position},
    wire::{MessageCommand, ValidationError},
};
use crate::{pulsar::message_id::EntryId, timer::Now};

/// All a consumer knows of messages, apart from those it holds.
#[derive(Debug)]
pub(super) struct Tracker {
    pub(super) id: u64,
    pub(super) spec: ConsumerSpec,
    /// A broker knows the consumer.
    pub(super) attached: bool,
    /// Goes up when everything is asked for again; what the broker sent before is void.
    pub(super) epoch: u64,
    /// Behind which message a subscription that is not durable began.
    pub(super) start: Option<Position>,
    /// The last message that was taken.
    pub(super) taken: Option<Position>,
    pub(super) permits: Permits,
    pub(super) outstanding: Outstanding,
    /// How many messages of a topic that stores nothing are with the client.
    pub(super) volatile_out: u32,
    pub(super) acks: Acks,
    pub(super) rejections: Rejections,
    pub(super) patience: Option<Box<Patience>>,
    pub(super) dead_letters: Option<Box<DeadLetters>>,
    pub(super) chunks: Chunks,
    /// Entries that nobody here can decrypt, while the client has an ack timeout.
    pub(super) left: Left,
    pub(super) stats: Stats,
}

impl Tracker {
    /// Passes permits on to the broker when there are enough.
    pub(super) fn flow(&mut self, held: Load, out: Option<&mut BytesMut>) {
        if let Some(out) = out
            && self.attached
            && let Some(permits) = self.permits.take(held)
        {
            put_flow(out, self.id, permits);
        }
    }

    /// The broker is told that the entry is done.
    pub(super) fn add_whole_ack(&mut self, now: Now, entry: EntryId) {
        self.acks.add_whole(now.mono, entry);
        if !self.chunks.is_empty() {
            for part in self.chunks.take(entry).unwrap_or_default() {
                self.acks.add_whole(now.mono, part);
            }
        }
        self.rejections.remove(entry);
        if let Some(letters) = &mut self.dead_letters {
            letters.forget(entry);
        }
    }

    /// The same for an entry that the client is not asked about.
    pub(super) fn end_entry(&mut self, now: Now, entry: EntryId) {
        self.outstanding.end(entry);
        self.add_whole_ack(now, entry);
    }

    /// These parts will never be a message.
    pub(super) fn end_parts(&mut self, now: Now, entries: &[EntryId]) {
        for entry in entries {
            self.outstanding.end(*entry);
            if !self.spec.is_reader {
                self.acks.add_whole(now.mono, *entry);
            }
        }
    }

    /// One message less is with the client, of a topic whose messages can't be told apart.
    pub(super) fn take_volatile(&mut self) -> bool {
        let was_out = self.volatile_out > 0;
        self.volatile_out = self.volatile_out.saturating_sub(1);
        self.permits.make_room(u32::from(was_out));
        was_out
    }

    /// The entry is corrupt: acknowledged with a note, as in Java.
    pub(super) fn discard(
        &mut self,
        command: &MessageCommand<'_>,
        permits: u32,
        error: ValidationError,
        out: &mut BytesMut,
    ) {
        let entry = command.entry;
        self.stats.corrupt += 1;
        self.permits.give_back(permits);
        warn!(
            topic = self.spec.topic,
            ledger = entry.ledger,
            entry = entry.entry,
            ?error,
            "entry is corrupt and discarded"
        );
        put_error_ack(out, self.id, entry, error);
    }

    /// The entry is not for this build: another consumer may read it some day, so it is not
    /// acknowledged. It may come again and again, so not each time is worth a warning.
    pub(super) fn leave(&mut self, command: &MessageCommand<'_>, permits: u32, reason: &str) {
        let entry = command.entry;
        self.stats.unreadable += 1;
        self.permits.give_back(permits);
        if self.stats.unreadable.is_power_of_two() {
            warn!(
                topic = self.spec.topic,
                ledger = entry.ledger,
                entry = entry.entry,
                reason,
                so_far = self.stats.unreadable,
                "entry is left alone"
            );
        } else {
            debug!(
                ledger = entry.ledger,
                entry = entry.entry,
                reason,
                "entry is left alone"
            );
        }
    }
}
