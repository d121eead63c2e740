//! Several messages in one entry: the batch that a producer is filling.
//!
//! ```text
//!  buffer  ├── room for the frame's head ──┼ u32 size │ about message 0 │ payload ┼ u32 size │ about message 1 │ payload ┼─ free ─┤
//! ```
//!
//! A payload is decoded straight into its place. When the batch is closed, a small one is copied to
//! the outbox, so that it leaves in one write with whatever else waits there; a large one gets its
//! head into the room in front and is written, and kept for a resend, from where it lies. One that is
//! compressed or encrypted goes to the outbox from there. A batch of one is no batch: the message goes as it would
//! have gone alone. Rules and bytes are those of Java's `BatchMessageContainerImpl`.

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    command::{
        Seal, Send, SendHead,
        metadata::{self, pair_len, put_compression, put_properties as put_pairs},
        put_u32,
    },
    outbox::{FrameRef, Outbox, Segments},
    payload::{Compression, Compressor},
};
use crate::{
    codec::protobuf::{bytes_len, put_bytes, put_uint, uint_len},
    session::{PayloadError, Publish, producer::Batching},
    timer::Instant,
};

/// `ProducerConfigurationData.DEFAULT_BATCHING_MAX_BYTES`: of payloads, without what is said about
/// them.
pub(super) const PAYLOAD_BYTES_MAX: usize = 128 << 10;
/// A frame up to this size is copied to the outbox: copying costs less than a write of its own.
const COPIED_BYTES_MAX: usize = 16 << 10;
/// What a buffer has room for before anything is known of the producer's batches.
const BUFFER_BYTES_MIN: usize = 2 << 10;
/// At most that much stands before the metadata of a SEND, and is added to a first message's
/// metadata in a batch.
const HEAD_BYTES_MAX: usize = 64;
const ADDED_BYTES_MAX: usize = 32;
/// At least what a message takes beyond its metadata with the sequence id 0, and beyond its payload.
const SINGLE_SLACK: usize = 4 + 9;
/// The same, of a batch with one message.
const EMPTY_BYTES_MAX: usize = HEAD_BYTES_MAX + ADDED_BYTES_MAX + SINGLE_SLACK;

/// Fields of `SingleMessageMetadata`.
mod single {
    pub(super) const PROPERTIES: u32 = 1;
    pub(super) const PARTITION_KEY: u32 = 2;
    pub(super) const PAYLOAD_SIZE: u32 = 3;
    pub(super) const EVENT_TIME: u32 = 5;
    pub(super) const PARTITION_KEY_B64_ENCODED: u32 = 6;
    pub(super) const SEQUENCE_ID: u32 = 8;
}

/// The batch a producer is filling, and what it keeps for the next one. Empty, it holds no buffer.
#[derive(Debug)]
pub(super) struct Batch {
    settings: Batching,
    buffer: BytesMut,
    /// The first message's metadata as if it went alone, but for its compression; at the end, for a
    /// moment, that of the batch.
    head: Vec<u8>,
    /// In `head`: the end of the name and so on, then what a batch takes from the first message:
    /// key and clusters.
    identity_end: usize,
    common_start: usize,
    key_end: usize,
    common_end: usize,
    /// The end of what comes before encryption.
    times_end: usize,
    has_key: bool,
    /// In `buffer`: the end of the room in front, and the first message's payload.
    room: usize,
    first_payload: usize,
    messages: u32,
    payload_bytes: usize,
    sequence_id: i64,
    opened: Instant,
    /// As large as the last one became.
    expected_bytes: usize,
}

/// A batch that was closed.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) frame: FrameRef,
    pub(super) sequence_id: i64,
    pub(super) messages: u32,
}

/// Where a batch goes.
#[derive(Debug)]
pub(super) struct Destination<'a> {
    pub(super) producer_id: u64,
    pub(super) compression: Compression,
    /// What the batch is encrypted with.
    pub(super) seal: Option<Seal<'a>>,
    pub(super) message_bytes_max: usize,
    pub(super) outbox: &'a mut Outbox,
    pub(super) segments: &'a mut Segments,
    pub(super) compressor: &'a mut Compressor,
}

impl Batch {
    pub(super) fn new(settings: Batching) -> Self {
        Self {
            settings,
            buffer: BytesMut::new(),
            head: Vec::new(),
            identity_end: 0,
            common_start: 0,
            key_end: 0,
            common_end: 0,
            times_end: 0,
            has_key: false,
            room: 0,
            first_payload: 0,
            messages: 0,
            payload_bytes: 0,
            sequence_id: 0,
            opened: Instant::default(),
            expected_bytes: BUFFER_BYTES_MIN,
        }
    }

    pub(super) const fn settings(&self) -> Batching {
        self.settings
    }

    /// How many messages are in it.
    pub(super) const fn messages(&self) -> u32 {
        self.messages
    }

    /// What it holds, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// When it is to be closed; `None` if it is empty.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (self.messages > 0).then(|| self.opened + self.settings.delay)
    }

    /// Whether a message may be one of several, in a batch that is still empty.
    pub(super) fn takes(&self, send: &Send<'_>, message_bytes_max: usize) -> bool {
        let payload = send.publish.payload.len;
        self.settings.messages_max != Some(1)
            && payload < PAYLOAD_BYTES_MAX
            && send.measure(payload).message() + single_len(send.publish, 0) + EMPTY_BYTES_MAX
                <= message_bytes_max
    }

    /// Whether this one, which is not empty, has room for a message. Messages for different clusters
    /// are kept apart, since clusters belong to an entry.
    pub(super) fn has_room(&self, publish: &Publish<'_>, message_bytes_max: usize) -> bool {
        let payload = self.payload_bytes + publish.payload.len;
        let single = single_len(publish, 0) + SINGLE_SLACK + publish.payload.len;
        payload <= PAYLOAD_BYTES_MAX
            && self.buffer.len() + single <= message_bytes_max
            && self.is_for(publish)
    }

    /// Whether nothing more goes in.
    pub(super) fn is_full(&self) -> bool {
        self.payload_bytes >= PAYLOAD_BYTES_MAX
            || self
                .settings
                .messages_max
                .is_some_and(|max| self.messages >= max)
    }

    fn is_for(&self, publish: &Publish<'_>) -> bool {
        let mut ours = &self.head[self.key_end..self.common_end];
        let theirs = publish.replication_clusters.iter();
        for cluster in theirs.flat_map(|clusters| clusters.iter()) {
            let len = bytes_len(metadata::REPLICATE_TO, cluster.len());
            match ours.split_at_checked(len) {
                Some((one, rest)) if one.ends_with(cluster) => ours = rest,
                _ => return false,
            }
        }
        ours.is_empty()
    }

    /// Adds a message, for which there is room.
    ///
    /// # Errors
    /// The payload's encoding is broken; nothing was added.
    pub(super) fn add(
        &mut self,
        now: Instant,
        send: &Send<'_>,
        segments: &mut Segments,
    ) -> Result<(), PayloadError> {
        let publish = send.publish;
        let single_len = single_len(publish, send.sequence_id);
        let len = 4 + single_len + publish.payload.len;
        if self.messages == 0 {
            self.open(now, send, len, segments);
        }
        self.buffer.reserve(len);
        let start = self.buffer.len();
        put_u32(&mut self.buffer, single_len);
        put_single(publish, send.sequence_id, &mut self.buffer);
        let payload_start = self.buffer.len();
        debug_assert_eq!(payload_start, start + 4 + single_len, "measured as written");
        if let Err(error) = (publish.payload.decode)(publish.payload.encoded, &mut self.buffer) {
            self.buffer.truncate(start);
            if self.messages == 0 {
                segments.give_batch_buffer(std::mem::take(&mut self.buffer));
            }
            return Err(error);
        }
        let mut grown = self.buffer.len() - start;
        if self.messages == 0 {
            self.first_payload = payload_start;
            grown = self.buffer.len();
        }
        segments.grew(grown);
        self.messages += 1;
        self.payload_bytes += publish.payload.len;
        Ok(())
    }

    fn open(&mut self, now: Instant, send: &Send<'_>, len: usize, segments: &mut Segments) {
        self.head.clear();
        send.put_identity(&mut self.head);
        self.identity_end = self.head.len();
        send.put_properties(&mut self.head);
        self.common_start = self.head.len();
        self.key_end = self.common_start;
        self.has_key = send.publish.key.is_some();
        if let Some(key) = send.publish.key {
            self.key_end += bytes_len(metadata::PARTITION_KEY, key.len());
        }
        send.put_common(&mut self.head);
        self.common_end = self.head.len();
        send.put_times(&mut self.head);
        self.times_end = self.head.len();
        send.put_rest(&mut self.head);
        self.room = HEAD_BYTES_MAX + self.head.len() + ADDED_BYTES_MAX;
        self.buffer = segments.batch_buffer((self.room + len).max(self.expected_bytes));
        self.buffer.put_bytes(0, self.room);
        self.payload_bytes = 0;
        self.sequence_id = send.sequence_id.cast_signed();
        self.opened = now;
    }

    /// Closes it, if there is anything in it.
    pub(super) fn close(&mut self, to: Destination<'_>) -> Option<Closed> {
        if self.messages == 0 {
            return None;
        }
        let Destination {
            producer_id,
            compression,
            seal,
            message_bytes_max,
            outbox,
            segments,
            compressor,
        } = to;
        let bytes = self.buffer.len();
        self.expected_bytes = bytes.max(BUFFER_BYTES_MIN);
        let highest = self.sequence_id.wrapping_add(i64::from(self.messages) - 1);
        let head = SendHead {
            producer_id,
            sequence_id: self.sequence_id.cast_unsigned(),
            highest_sequence_id: u64::try_from(highest).ok().filter(|_| self.messages > 1),
            messages: self.messages,
            is_chunk: false,
        };
        let start = if self.messages == 1 {
            self.first_payload
        } else {
            self.room
        };
        let compressed = match compression {
            Compression::None => None,
            _ => compressor.compress(compression, &self.buffer[start..]),
        };
        // What grew beyond the limit by being compressed goes without.
        let compressed = compressed.filter(|bytes| bytes.len() + self.room <= message_bytes_max);
        let metadata_start = match compressed {
            Some(_) => self.put_metadata(compression, seal.as_ref(), bytes - start),
            None => self.put_metadata(Compression::None, seal.as_ref(), bytes - start),
        };
        let metadata = &self.head[metadata_start..];
        let frame = if let Some(payload) = compressed {
            put(outbox, segments, &head, metadata, payload, seal)
        } else if bytes <= COPIED_BYTES_MAX || seal.is_some() {
            put(
                outbox,
                segments,
                &head,
                metadata,
                &self.buffer[start..],
                seal,
            )
        } else {
            let frame = finish(&mut self.buffer, start, &head, metadata);
            outbox.hand_over(frame, segments)
        };
        segments.gone(bytes);
        let closed = Closed {
            frame,
            sequence_id: self.sequence_id,
            messages: self.messages,
        };
        self.reset(segments);
        Some(closed)
    }

    /// Throws away what is in it, and tells how many messages that were.
    pub(super) fn discard(&mut self, segments: &mut Segments) -> u32 {
        let messages = self.messages;
        if messages > 0 {
            segments.gone(self.buffer.len());
            self.reset(segments);
        }
        messages
    }

    fn reset(&mut self, segments: &mut Segments) {
        self.messages = 0;
        segments.give_batch_buffer(std::mem::take(&mut self.buffer));
    }

    /// Appends the entry's metadata to `head`, and tells where it begins. `size`: of the payload
    /// before it is compressed.
    fn put_metadata(
        &mut self,
        compression: Compression,
        seal: Option<&Seal<'_>>,
        size: usize,
    ) -> usize {
        let head = &mut self.head;
        if self.messages == 1 && compression == Compression::None && seal.is_none() {
            return 0;
        }
        let start = head.len();
        if self.messages == 1 {
            head.extend_from_within(..self.common_end);
            put_compression(compression, head);
            head.extend_from_within(self.common_end..self.times_end);
            if let Some(seal) = seal {
                seal.put(head);
            }
            head.extend_from_within(self.times_end..start);
            return start;
        }
        head.extend_from_within(..self.identity_end);
        head.extend_from_within(self.common_start..self.common_end);
        if compression != Compression::None {
            put_compression(compression, head);
            put_uint(head, metadata::UNCOMPRESSED_SIZE, size as u64);
        }
        put_uint(
            head,
            metadata::NUM_MESSAGES_IN_BATCH,
            u64::from(self.messages),
        );
        if let Some(seal) = seal {
            seal.put(head);
        }
        if self.has_key {
            put_uint(head, metadata::PARTITION_KEY_B64_ENCODED, 0);
        }
        let highest = self.sequence_id.wrapping_add(i64::from(self.messages) - 1);
        put_uint(head, metadata::HIGHEST_SEQUENCE_ID, highest.cast_unsigned());
        start
    }
}

/// Copies a frame to the outbox.
fn put(
    outbox: &mut Outbox,
    segments: &mut Segments,
    head: &SendHead,
    metadata: &[u8],
    payload: &[u8],
    seal: Option<Seal<'_>>,
) -> FrameRef {
    let payload_len = payload.len() + seal.as_ref().map_or(0, Seal::tag_len);
    let len = head.head_len() + metadata.len() + payload_len;
    let put = outbox.put_frame(len, segments, |tail| {
        let start = tail.len();
        head.put(metadata.len(), payload_len, tail);
        tail.put_slice(metadata);
        let payload_start = tail.len();
        tail.put_slice(payload);
        if let Some(seal) = seal {
            seal.encrypt(tail, payload_start);
        }
        head.put_checksum(&mut tail[start..]);
        Ok::<(), std::convert::Infallible>(())
    });
    let Ok(frame) = put;
    frame
}

/// Puts what belongs before the payload, which begins at `start`, into the room in front of it.
fn finish(buffer: &mut BytesMut, start: usize, head: &SendHead, metadata: &[u8]) -> Bytes {
    let metadata_start = start - metadata.len();
    let frame_start = metadata_start - head.head_len();
    let payload_len = buffer.len() - start;
    buffer[metadata_start..start].copy_from_slice(metadata);
    head.put(
        metadata.len(),
        payload_len,
        &mut &mut buffer[frame_start..metadata_start],
    );
    head.put_checksum(&mut buffer[frame_start..]);
    buffer.split().freeze().slice(frame_start..)
}

/// Bytes of what is said about a message in a batch.
fn single_len(publish: &Publish<'_>, sequence_id: u64) -> usize {
    let mut len = uint_len(single::PAYLOAD_SIZE, publish.payload.len as u64)
        + uint_len(single::SEQUENCE_ID, sequence_id);
    for (name, value) in publish.properties.pairs() {
        len += bytes_len(single::PROPERTIES, pair_len(name, value));
    }
    if let Some(key) = publish.key {
        len += bytes_len(single::PARTITION_KEY, key.len())
            + uint_len(single::PARTITION_KEY_B64_ENCODED, 0);
    }
    if let Some(time) = publish.event_time_ms {
        len += uint_len(single::EVENT_TIME, time.cast_unsigned());
    }
    len
}

/// Appends what is said about a message in a batch, in the order of field numbers.
fn put_single(publish: &Publish<'_>, sequence_id: u64, out: &mut BytesMut) {
    put_pairs(single::PROPERTIES, publish, out);
    if let Some(key) = publish.key {
        put_bytes(out, single::PARTITION_KEY, key.as_bytes());
    }
    put_uint(out, single::PAYLOAD_SIZE, publish.payload.len as u64);
    if let Some(time) = publish.event_time_ms {
        put_uint(out, single::EVENT_TIME, time.cast_unsigned());
    }
    if publish.key.is_some() {
        put_uint(out, single::PARTITION_KEY_B64_ENCODED, 0);
    }
    put_uint(out, single::SEQUENCE_ID, sequence_id);
}
