//! Entries on their way to the client: a cursor over the messages of one, and the queue of those
//! that have to wait.
//!
//! An [`Entry`] borrows from the receive buffer (or from the scratch it was decompressed to). One
//! that can't be delivered now is copied out of there, since a broker's socket is never kept waiting
//! for one session. Whether a message may be delivered is not decided here.

use std::{cell::Cell, collections::VecDeque, ops::Range, rc::Rc};

use super::{
    bits::Bits,
    load::{HeldBytes, Load},
    parked::{Parked, ParkedEntry},
    wire::{
        Metadata, Sealing, Single, next_encryption_key, next_metadata_property,
        next_single_property,
    },
};
use crate::{
    pulsar::message_id::{EntryId, PulsarId},
    session::{Delivery, Encryption, Keys, Properties, SessionKey, producer::Compression},
    timer::Instant,
};

/// Buffers of held entries that are kept for the next ones, how large one of them may be, and all of
/// them together: about what a receiver queue of small messages needs.
const SPARE_MAX: usize = 1024;
const SPARE_BYTES_MAX: usize = 64 << 10;
const SPARES_BYTES_MAX: usize = 1 << 20;

/// One entry that arrived, with the messages of it that were not taken yet.
#[derive(Debug)]
pub struct Entry<'e> {
    pub(super) session: SessionKey,
    pub(super) shape: Shape,
    pub(super) cursor: Cursor,
    pub(super) metadata: &'e [u8],
    /// Decompressed; of a batch, all its messages.
    pub(super) payload: &'e [u8],
}

impl Entry<'_> {
    /// The session it is for.
    #[must_use]
    pub const fn session(&self) -> SessionKey {
        self.session
    }

    /// How many messages it has, whether or not the client may have them.
    #[must_use]
    pub const fn messages(&self) -> u32 {
        self.shape.size()
    }

    /// Whether not all of them were taken.
    #[must_use]
    pub const fn has_more(&self) -> bool {
        self.cursor.index < self.shape.size()
    }
}

/// What is known of an entry before its messages are looked at.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) id: EntryId,
    /// When it came, or its last part.
    pub(super) arrived: Instant,
    pub(super) redelivery_count: u32,
    pub(super) metadata: Metadata,
    /// The messages of a batch that the broker means; `None`: all.
    pub(super) sent: Option<Bits>,
}

impl Shape {
    /// How many messages there are.
    pub(super) const fn size(&self) -> u32 {
        match self.metadata.batch_size {
            Some(size) => size,
            None => 1,
        }
    }

    /// The first part of a message in parts, of which `id` is the last one.
    pub(super) fn first_chunk(&self) -> Option<EntryId> {
        self.metadata.chunk.as_ref()?.first
    }

    /// The same entry, which was not looked at when it came.
    pub(super) const fn that_arrived(mut self, arrived: Instant) -> Self {
        self.arrived = arrived;
        self
    }

    /// Whether the broker means this message, and so took a permit for it.
    pub(super) fn is_sent(&self, index: u32) -> bool {
        self.sent.as_ref().is_none_or(|sent| sent.get(index))
    }

    /// For how many messages from `start` on the broker took a permit.
    pub(super) fn sent_from(&self, start: u32) -> u32 {
        match &self.sent {
            Some(sent) => sent.count_from(start),
            None => self.size().saturating_sub(start),
        }
    }
}

/// How far an entry was taken.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    /// Of the next message.
    pub(super) index: u32,
    /// Where it begins in a batch.
    pub(super) offset: usize,
}

/// A message that may be delivered.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// The entry is one message.
    Plain,
    /// This one of a batch.
    Member(u32, Single),
}

/// What the client is told of a message.
pub(super) fn delivery<'a>(
    shape: &Shape,
    found: &Found,
    partition: Option<u32>,
    metadata: &'a [u8],
    payload: &'a [u8],
) -> Delivery<'a> {
    let common = &shape.metadata;
    let mut id = PulsarId {
        entry: shape.id,
        partition,
        batch_index: None,
        batch_size: 0,
        first_chunk: shape.first_chunk(),
    };
    let (properties, key, content, null_value, event_time) = match found {
        Found::Plain => (
            Properties {
                encoded: metadata.get(common.properties.clone()).unwrap_or_default(),
                next: next_metadata_property,
            },
            common.key.clone().and_then(|key| metadata.get(key)),
            payload,
            common.null_value,
            common.event_time,
        ),
        Found::Member(index, single) => {
            id.batch_index = Some(*index);
            id.batch_size = shape.size();
            let slice = |range: Range<usize>| payload.get(range);
            (
                Properties {
                    encoded: slice(single.properties.clone()).unwrap_or_default(),
                    next: next_single_property,
                },
                single.key.clone().and_then(slice),
                slice(single.payload.clone()).unwrap_or_default(),
                single.null_value.unwrap_or(common.null_value),
                single.event_time.or(common.event_time),
            )
        }
    };
    Delivery {
        message_id: id.encode(),
        payload: (!null_value).then_some(content),
        properties,
        publish_time_ms: common.publish_time_ms,
        // Zero is how producers say "none"; times before the epoch are negative.
        event_time_ms: event_time.filter(|&time| time != 0).map(u64::cast_signed),
        arrived: shape.arrived,
        redelivery_count: shape.redelivery_count,
        key,
        encryption: common.encrypted.then(|| encryption(common, metadata)),
    }
}

/// How the entry is, or was, encrypted.
fn encryption<'a>(common: &Metadata, metadata: &'a [u8]) -> Encryption<'a> {
    let sealing = Sealing::read(metadata);
    Encryption {
        keys: keys(metadata),
        param: sealing.param,
        algorithm: sealing.algorithm,
        compression: common.compression.unwrap_or(Compression::None),
        uncompressed_bytes: common.uncompressed_size,
        batch_size: sealing.batch_size,
    }
}

/// The same, from metadata alone.
#[cfg(test)]
pub(in crate::pulsar) fn encryption_of(metadata: &[u8]) -> Option<Encryption<'_>> {
    let common = Metadata::decode(metadata)?;
    common.encrypted.then(|| encryption(&common, metadata))
}

/// The keys of an entry's content.
pub(super) fn keys(metadata: &[u8]) -> Keys<'_> {
    Keys {
        encoded: metadata,
        next: next_encryption_key,
    }
}

/// Entries that wait for the client, oldest first.
#[derive(Debug, Default)]
pub(super) struct Held {
    entries: VecDeque<HeldEntry>,
    /// Behind them, what can't be read yet.
    parked: Parked,
    /// Of all messages that wait.
    bytes: HeldBytes,
    spare: Vec<Vec<u8>>,
    /// Capacity of all of them.
    spare_bytes: usize,
}

/// An entry copied out of the receive buffer.
#[derive(Debug)]
pub(super) struct HeldEntry {
    pub(super) shape: Shape,
    pub(super) cursor: Cursor,
    /// Metadata, then payload. A batch needs no metadata any more, but for how it was encrypted, and
    /// of its messages only those that were not taken.
    buffer: Vec<u8>,
    metadata_len: usize,
}

impl HeldEntry {
    /// Copies what is left of an entry to an empty buffer.
    pub(super) fn new(
        shape: Shape,
        cursor: Cursor,
        metadata: &[u8],
        payload: &[u8],
        mut buffer: Vec<u8>,
    ) -> Self {
        let batched = shape.metadata.batch_size.is_some();
        let metadata = if batched && !shape.metadata.encrypted {
            &[][..]
        } else {
            metadata
        };
        let payload = payload.get(cursor.offset..).unwrap_or_default();
        buffer.reserve_exact(metadata.len() + payload.len());
        buffer.extend_from_slice(metadata);
        buffer.extend_from_slice(payload);
        Self {
            metadata_len: metadata.len(),
            cursor: Cursor {
                index: cursor.index,
                offset: 0,
            },
            shape,
            buffer,
        }
    }

    /// Takes over metadata and payload that lie in one buffer; not of a batch.
    pub(super) fn of_buffer(shape: Shape, buffer: Vec<u8>, metadata_len: usize) -> Self {
        Self {
            shape,
            cursor: Cursor::default(),
            buffer,
            metadata_len,
        }
    }

    /// See [`Shape::that_arrived`].
    pub(super) const fn that_arrived(mut self, arrived: Instant) -> Self {
        self.shape.arrived = arrived;
        self
    }

    /// Bytes that were copied.
    pub(super) const fn len(&self) -> usize {
        self.buffer.len()
    }

    pub(super) fn metadata(&self) -> &[u8] {
        &self.buffer[..self.metadata_len]
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.buffer[self.metadata_len..]
    }

    fn is_exhausted(&self) -> bool {
        self.cursor.index >= self.shape.size()
    }

    /// Bytes of the messages that wait.
    fn bytes(&self) -> usize {
        if self.is_exhausted() {
            0
        } else {
            self.buffer.len() - self.cursor.offset
        }
    }
}

impl Held {
    /// Nothing yet; what waits counts into the sum of the shard.
    pub(super) fn counted_into(shard: Rc<Cell<usize>>) -> Self {
        Self {
            bytes: HeldBytes::new(shard),
            ..Self::default()
        }
    }

    /// Takes over what is left of an entry.
    pub(super) fn push(&mut self, entry: Entry<'_>) {
        let buffer = self.spare.pop().unwrap_or_default();
        self.spare_bytes -= buffer.capacity();
        let Entry {
            shape,
            cursor,
            metadata,
            payload,
            ..
        } = entry;
        self.push_held(HeldEntry::new(shape, cursor, metadata, payload, buffer));
    }

    /// Takes over an entry that was copied.
    pub(super) fn push_held(&mut self, held: HeldEntry) {
        if held.is_exhausted() {
            self.keep_spare(held.buffer);
        } else {
            self.bytes.add(held.bytes());
            self.entries.push_back(held);
        }
    }

    /// Keeps an entry that can't be read yet, behind all others.
    pub(super) fn park(&mut self, entry: ParkedEntry) {
        self.bytes.add(entry.len());
        self.parked.push(entry);
    }

    /// The oldest entry that could not be read when it came.
    pub(super) fn unpark(&mut self) -> Option<ParkedEntry> {
        let entry = self.parked.take()?;
        self.bytes.remove(entry.len());
        Some(entry)
    }

    /// It still can't be.
    pub(super) fn park_again(&mut self, entry: ParkedEntry) {
        self.bytes.add(entry.len());
        self.parked.put_back(entry);
    }

    /// What can't be read yet.
    pub(super) const fn parked(&mut self) -> &mut Parked {
        &mut self.parked
    }

    /// Whether entries can't be read yet, so that new ones have to wait behind them.
    pub(super) fn is_parking(&self) -> bool {
        !self.parked.is_empty()
    }

    /// The oldest entry.
    pub(super) fn front(&self) -> Option<&HeldEntry> {
        self.entries.front()
    }

    /// Moves the cursor of the oldest entry, which is dropped only afterwards, by
    /// [`Held::drop_exhausted`]: its last message may still be borrowed.
    pub(super) fn set_front_cursor(&mut self, cursor: Cursor) {
        if let Some(front) = self.entries.front_mut() {
            let before = front.bytes();
            front.cursor = cursor;
            self.bytes.remove(before.saturating_sub(front.bytes()));
        }
    }

    /// Drops the oldest entry if all its messages were taken.
    pub(super) fn drop_exhausted(&mut self) {
        if self.front().is_some_and(HeldEntry::is_exhausted)
            && let Some(entry) = self.entries.pop_front()
        {
            self.keep_spare(entry.buffer);
        }
    }

    /// Drops the copies of entries (sorted) that are asked for again; tells for how many messages
    /// the broker took a permit.
    pub(super) fn release(&mut self, entries: &[EntryId]) -> u32 {
        let (bytes, mut permits) = self.parked.release(entries);
        self.bytes.remove(bytes);
        // The usual case asks for none of them, and leaves the queue as it is.
        let is_wanted = |entry: &HeldEntry| entries.binary_search(&entry.shape.id).is_ok();
        if !self.entries.iter().any(is_wanted) {
            return permits;
        }
        for _ in 0..self.entries.len() {
            let Some(entry) = self.entries.pop_front() else {
                break;
            };
            if is_wanted(&entry) {
                permits += self.forget(entry);
            } else {
                self.entries.push_back(entry);
            }
        }
        permits
    }

    /// Drops everything; tells for how many messages the broker took a permit.
    pub(super) fn clear(&mut self) -> u32 {
        let (bytes, mut permits) = self.parked.clear();
        self.bytes.remove(bytes);
        while let Some(entry) = self.entries.pop_front() {
            permits = permits.saturating_add(self.forget(entry));
        }
        debug_assert_eq!(self.bytes.load().own, 0, "all bytes belonged to entries");
        permits
    }

    /// The oldest entry that has messages left.
    pub(super) fn first_waiting(&self) -> Option<&HeldEntry> {
        self.entries.iter().find(|entry| !entry.is_exhausted())
    }

    pub(super) fn load(&self) -> Load {
        self.bytes.load()
    }

    fn forget(&mut self, entry: HeldEntry) -> u32 {
        self.bytes.remove(entry.bytes());
        let permits = entry.shape.sent_from(entry.cursor.index);
        self.keep_spare(entry.buffer);
        permits
    }

    fn keep_spare(&mut self, mut buffer: Vec<u8>) {
        let bytes = buffer.capacity();
        if self.spare.len() < SPARE_MAX
            && bytes <= SPARE_BYTES_MAX
            && self.spare_bytes + bytes <= SPARES_BYTES_MAX
        {
            buffer.clear();
            self.spare_bytes += bytes;
            self.spare.push(buffer);
        }
    }
}
