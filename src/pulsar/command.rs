//! Commands written by appending and read field by field: the hot ones by hand, the rare ones from
//! their structs in `proto.rs`.
//!
//! SEND is written in the field order and with the presence of the Java client, so that the same
//! message gives the same bytes. Sizes are known before anything is written; only the checksum is
//! filled in behind.

use std::convert::Infallible;

use bytes::{BufMut, BytesMut};
use prost::Message;

use super::{
    crypto::{Cipher, TAG_LEN},
    payload::Compression,
    proto::{Kind, ServerError},
    wire::{MAGIC_CHECKSUM, TOTAL_LEN},
};
use crate::{
    codec::protobuf::{
        Field, ProtobufError, Reader, bytes_len, put_bytes, put_bytes_header, put_uint,
        take_short_bytes, take_uint, uint_len,
    },
    session::{Extra, Payload, PayloadError, Publish},
};

/// `BaseCommand.type`.
const TYPE: u32 = 1;
/// Bytes of the checksum with its magic, and of the metadata's size.
const CHECKSUM_LEN: usize = 2 + 4;
const METADATA_SIZE_LEN: usize = 4;

/// Appends a frame with one of the rare commands.
pub fn put_command(out: &mut BytesMut, kind: Kind, command: &impl Message) {
    let body_len = command.encoded_len();
    put_command_header(out, kind, body_len);
    // Appending to a buffer that grows can't fail.
    let _ = command.encode(out);
}

/// Appends the head of a frame that holds a command and nothing else; its body follows.
fn put_command_header(out: &mut BytesMut, kind: Kind, body_len: usize) {
    let (kind, number) = (kind as u64, kind as u32);
    let command_len = uint_len(TYPE, kind) + bytes_len(number, body_len);
    put_u32(out, 4 + command_len);
    put_u32(out, command_len);
    put_uint(out, TYPE, kind);
    put_bytes_header(out, number, body_len);
}

/// Appends a size as frames have it.
pub(super) fn put_u32<B: BufMut>(out: &mut B, size: usize) {
    debug_assert!(u32::try_from(size).is_ok(), "sizes are checked before");
    out.put_u32(u32::try_from(size).unwrap_or(u32::MAX));
}

/// The command of a SEND, and what stands between it and the metadata.
#[derive(Clone, Copy, Debug)]
pub struct SendHead {
    /// The producer, by our number.
    pub producer_id: u64,
    /// The (first) message's number, an `int64` in two's complement.
    pub sequence_id: u64,
    /// Of a batch, the last message's number.
    pub highest_sequence_id: Option<u64>,
    /// How many messages there are.
    pub messages: u32,
    /// It is a part of a message.
    pub is_chunk: bool,
}

impl SendHead {
    const KIND: u64 = Kind::Send as u64;
    const NUMBER: u32 = Kind::Send as u32;
    const NUM_MESSAGES: u32 = 3;
    const HIGHEST_SEQUENCE_ID: u32 = 6;
    const IS_CHUNK: u32 = 7;
    /// Of what [`SendHead::put`] writes.
    const LEN_MAX: usize = Self {
        producer_id: u64::MAX,
        sequence_id: u64::MAX,
        highest_sequence_id: Some(u64::MAX),
        messages: u32::MAX,
        is_chunk: true,
    }
    .head_len();

    /// Bytes up to the metadata.
    #[must_use]
    pub const fn head_len(&self) -> usize {
        TOTAL_LEN + 4 + self.command_len(self.body_len()) + CHECKSUM_LEN + METADATA_SIZE_LEN
    }

    /// Appends it. The checksum is filled in by [`SendHead::put_checksum`].
    pub fn put<B: BufMut>(&self, metadata_len: usize, payload_len: usize, out: &mut B) {
        let body_len = self.body_len();
        let frame_len = self.head_len() + metadata_len + payload_len;
        put_u32(out, frame_len - TOTAL_LEN);
        put_u32(out, self.command_len(body_len));
        put_uint(out, TYPE, Self::KIND);
        put_bytes_header(out, Self::NUMBER, body_len);
        put_uint(out, 1, self.producer_id);
        put_uint(out, 2, self.sequence_id);
        if self.messages > 1 {
            put_uint(out, Self::NUM_MESSAGES, self.messages.into());
        }
        if let Some(highest) = self.highest_sequence_id {
            put_uint(out, Self::HIGHEST_SEQUENCE_ID, highest);
        }
        if self.is_chunk {
            put_uint(out, Self::IS_CHUNK, 1);
        }
        out.put_slice(&MAGIC_CHECKSUM);
        out.put_u32(0);
        put_u32(out, metadata_len);
    }

    /// Fills in the checksum of a frame that is otherwise whole.
    pub fn put_checksum(&self, frame: &mut [u8]) {
        let (head, covered) = frame.split_at_mut(self.head_len() - METADATA_SIZE_LEN);
        let at = head.len() - 4;
        head[at..].copy_from_slice(&crc32c::crc32c(covered).to_be_bytes());
    }

    const fn body_len(&self) -> usize {
        let mut len = uint_len(1, self.producer_id) + uint_len(2, self.sequence_id);
        if self.messages > 1 {
            len += uint_len(Self::NUM_MESSAGES, self.messages as u64);
        }
        if let Some(highest) = self.highest_sequence_id {
            len += uint_len(Self::HIGHEST_SEQUENCE_ID, highest);
        }
        if self.is_chunk {
            len += uint_len(Self::IS_CHUNK, 1);
        }
        len
    }

    const fn command_len(&self, body_len: usize) -> usize {
        uint_len(TYPE, Self::KIND) + bytes_len(Self::NUMBER, body_len)
    }
}

/// A message to be stored as an entry of its own.
#[derive(Clone, Copy, Debug)]
pub struct Send<'a> {
    /// The producer, by our number.
    pub producer_id: u64,
    /// The producer's name.
    pub producer_name: &'a str,
    /// The message's number, an `int64` in two's complement.
    pub sequence_id: u64,
    /// Now, in milliseconds since the epoch.
    pub publish_time_ms: u64,
    /// Not to be delivered before then.
    pub deliver_at_ms: Option<i64>,
    /// How the payload will be written.
    pub compression: Compression,
    /// What is stored so that the payload can be decrypted.
    pub seal: Option<Seal<'a>>,
    /// What the client gave.
    pub publish: &'a Publish<'a>,
}

/// The metadata of a payload that is encrypted.
#[derive(Clone, Copy, Debug)]
pub struct Seal<'a> {
    /// The payload's key, once for each who may read it: fields `encryption_keys`, encoded.
    pub keys: &'a [u8],
    /// What the key is used with.
    pub param: &'a [u8],
    /// `None`: the payload comes encrypted.
    pub cipher: Option<Cipher<'a>>,
}

impl Seal<'_> {
    /// Bytes of what [`Seal::put`] appends.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.keys.len() + bytes_len(metadata::ENCRYPTION_PARAM, self.param.len())
    }

    /// Bytes behind the payload.
    #[must_use]
    pub const fn tag_len(&self) -> usize {
        match self.cipher {
            Some(_) => TAG_LEN,
            None => 0,
        }
    }

    /// Encrypts the payload that `out` holds from `start` on, if it is to be.
    pub fn encrypt(&self, out: &mut BytesMut, start: usize) {
        if let (Some(cipher), Some(payload)) = (&self.cipher, out.get_mut(start..)) {
            let tag = cipher.encrypt(payload);
            out.put_slice(&tag);
        }
    }

    /// Whether it appends nothing, which it never does.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends it to metadata, before the field 17.
    pub fn put<B: BufMut>(&self, out: &mut B) {
        out.put_slice(self.keys);
        put_bytes(out, metadata::ENCRYPTION_PARAM, self.param);
    }
}

/// Appends a field `encryption_keys`.
pub fn put_encryption_key<B: BufMut>(
    name: &[u8],
    value: &[u8],
    pairs: &[(String, String)],
    out: &mut B,
) {
    let len_of = |(name, value): &(String, String)| pair_len(name.as_bytes(), value.as_bytes());
    let pairs_len: usize = pairs.iter().map(|pair| bytes_len(3, len_of(pair))).sum();
    let len = bytes_len(1, name.len()) + bytes_len(2, value.len()) + pairs_len;
    put_bytes_header(out, metadata::ENCRYPTION_KEYS, len);
    put_bytes(out, 1, name);
    put_bytes(out, 2, value);
    for pair in pairs {
        put_bytes_header(out, 3, len_of(pair));
        put_bytes(out, 1, pair.0.as_bytes());
        put_bytes(out, 2, pair.1.as_bytes());
    }
}

/// The sizes of a SEND's parts.
#[derive(Clone, Copy, Debug)]
pub struct SendLen {
    head: usize,
    /// Of the metadata.
    pub metadata: usize,
    /// Of the payload.
    pub payload: usize,
}

impl SendLen {
    /// Of the whole frame.
    #[must_use]
    pub const fn frame(&self) -> usize {
        self.head + self.message()
    }

    /// Of what counts against the broker's limit.
    #[must_use]
    pub const fn message(&self) -> usize {
        self.metadata + self.payload
    }
}

/// Fields of `MessageMetadata`.
pub(super) mod metadata {
    pub(in crate::pulsar) const PRODUCER_NAME: u32 = 1;
    pub(in crate::pulsar) const SEQUENCE_ID: u32 = 2;
    pub(in crate::pulsar) const PUBLISH_TIME: u32 = 3;
    pub(in crate::pulsar) const PROPERTIES: u32 = 4;
    pub(in crate::pulsar) const PARTITION_KEY: u32 = 6;
    pub(in crate::pulsar) const REPLICATE_TO: u32 = 7;
    pub(in crate::pulsar) const COMPRESSION: u32 = 8;
    pub(in crate::pulsar) const UNCOMPRESSED_SIZE: u32 = 9;
    pub(in crate::pulsar) const NUM_MESSAGES_IN_BATCH: u32 = 11;
    pub(in crate::pulsar) const EVENT_TIME: u32 = 12;
    pub(in crate::pulsar) const ENCRYPTION_KEYS: u32 = 13;
    pub(in crate::pulsar) const ENCRYPTION_PARAM: u32 = 15;
    pub(in crate::pulsar) const PARTITION_KEY_B64_ENCODED: u32 = 17;
    pub(in crate::pulsar) const ORDERING_KEY: u32 = 18;
    pub(in crate::pulsar) const DELIVER_AT_TIME: u32 = 19;
    pub(in crate::pulsar) const HIGHEST_SEQUENCE_ID: u32 = 24;
    pub(in crate::pulsar) const NULL_VALUE: u32 = 25;
    pub(in crate::pulsar) const UUID: u32 = 26;
    pub(in crate::pulsar) const NUM_CHUNKS_FROM_MSG: u32 = 27;
    pub(in crate::pulsar) const TOTAL_CHUNK_MSG_SIZE: u32 = 28;
    pub(in crate::pulsar) const CHUNK_ID: u32 = 29;
}

impl Send<'_> {
    /// A name that brokers make up is no longer than that.
    const SHORT_NAME_LEN: usize = 64;
    /// Of what [`Send::put_identity`] writes with such a name.
    const IDENTITY_LEN_MAX: usize =
        bytes_len(metadata::PRODUCER_NAME, Self::SHORT_NAME_LEN) + 2 * uint_len(1, u64::MAX);

    /// How large the frame will be, with a payload that long before it is encrypted.
    #[must_use]
    pub fn measure(&self, payload: usize) -> SendLen {
        SendLen {
            head: self.head().head_len(),
            metadata: self.metadata_len(),
            payload: payload + self.seal.as_ref().map_or(0, Seal::tag_len),
        }
    }

    /// Appends the frame. The payload is decoded right into its place.
    ///
    /// # Errors
    /// The payload's encoding is broken; nothing was appended.
    pub fn put(&self, len: SendLen, out: &mut BytesMut) -> Result<(), PayloadError> {
        let Payload {
            encoded, decode, ..
        } = self.publish.payload;
        self.put_with(len, out, |out| decode(encoded, out))
    }

    /// Appends the frame with a payload that was compressed.
    pub fn put_compressed(&self, len: SendLen, compressed: &[u8], out: &mut BytesMut) {
        let put = self.put_with(len, out, |out| {
            out.put_slice(compressed);
            Ok::<(), Infallible>(())
        });
        let Ok(()) = put;
    }

    fn put_with<E>(
        &self,
        len: SendLen,
        out: &mut BytesMut,
        put_payload: impl FnOnce(&mut BytesMut) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = out.len();
        let head = self.head();
        // Put together on the stack, where a field costs a fraction of what it costs in a buffer that may grow.
        let mut begin = [0; SendHead::LEN_MAX + Self::IDENTITY_LEN_MAX];
        let begin_len = begin.len();
        let mut rest = &mut begin[..];
        head.put(len.metadata, len.payload, &mut rest);
        if self.producer_name.len() <= Self::SHORT_NAME_LEN {
            self.put_identity(&mut rest);
            let begin_len = begin_len - rest.len();
            out.put_slice(&begin[..begin_len]);
        } else {
            let begin_len = begin_len - rest.len();
            out.put_slice(&begin[..begin_len]);
            self.put_identity(out);
        }
        self.put_properties(out);
        self.put_common(out);
        put_compression(self.compression, out);
        self.put_times(out);
        if let Some(seal) = &self.seal {
            seal.put(out);
        }
        self.put_rest(out);
        let payload_start = out.len();
        if let Err(error) = put_payload(out) {
            out.truncate(start);
            return Err(error);
        }
        if let Some(seal) = &self.seal {
            seal.encrypt(out, payload_start);
        }
        debug_assert_eq!(out.len(), start + len.frame(), "measured as written");
        head.put_checksum(&mut out[start..]);
        Ok(())
    }

    fn head(&self) -> SendHead {
        SendHead {
            producer_id: self.producer_id,
            sequence_id: self.sequence_id,
            highest_sequence_id: None,
            messages: 1,
            is_chunk: self.is_chunk(),
        }
    }

    fn metadata_len(&self) -> usize {
        use metadata::{
            DELIVER_AT_TIME, EVENT_TIME, PARTITION_KEY, PARTITION_KEY_B64_ENCODED, PRODUCER_NAME,
            PROPERTIES, PUBLISH_TIME, REPLICATE_TO, SEQUENCE_ID, UNCOMPRESSED_SIZE,
        };
        let publish = self.publish;
        let mut len = bytes_len(PRODUCER_NAME, self.producer_name.len())
            + uint_len(SEQUENCE_ID, self.sequence_id)
            + uint_len(PUBLISH_TIME, self.publish_time_ms)
            + compression_len(self.compression)
            + uint_len(UNCOMPRESSED_SIZE, self.uncompressed_size())
            + self.seal.as_ref().map_or(0, Seal::len);
        for (name, value) in publish.properties.pairs() {
            len += bytes_len(PROPERTIES, pair_len(name, value));
        }
        if let Some(key) = publish.key {
            len += bytes_len(PARTITION_KEY, key.len()) + uint_len(PARTITION_KEY_B64_ENCODED, 0);
        }
        for cluster in publish.replication_clusters.iter().flat_map(|c| c.iter()) {
            len += bytes_len(REPLICATE_TO, cluster.len());
        }
        if let Some(time) = publish.event_time_ms {
            len += uint_len(EVENT_TIME, time.cast_unsigned());
        }
        if let Some(time) = self.deliver_at_ms {
            len += uint_len(DELIVER_AT_TIME, time.cast_unsigned());
        }
        len + publish.extra.map_or(0, extra_len)
    }

    fn is_chunk(&self) -> bool {
        self.publish
            .extra
            .is_some_and(|extra| extra.chunk.is_some())
    }

    /// The metadata comes in the order of field numbers. First, who sent it when.
    pub(super) fn put_identity<B: BufMut>(&self, out: &mut B) {
        put_bytes(out, metadata::PRODUCER_NAME, self.producer_name.as_bytes());
        put_uint(out, metadata::SEQUENCE_ID, self.sequence_id);
        put_uint(out, metadata::PUBLISH_TIME, self.publish_time_ms);
    }

    /// Second, what belongs to this message alone, in a batch as well.
    pub(super) fn put_properties<B: BufMut>(&self, out: &mut B) {
        put_properties(metadata::PROPERTIES, self.publish, out);
    }

    /// Third, what a batch has from its first message.
    pub(super) fn put_common<B: BufMut>(&self, out: &mut B) {
        if let Some(key) = self.publish.key {
            put_bytes(out, metadata::PARTITION_KEY, key.as_bytes());
        }
        let clusters = self.publish.replication_clusters.iter();
        for cluster in clusters.flat_map(|clusters| clusters.iter()) {
            put_bytes(out, metadata::REPLICATE_TO, cluster);
        }
    }

    /// Of the whole content, where this is a part of it; what the client says, where it compressed and
    /// encrypted it, but for a size that is none.
    fn uncompressed_size(&self) -> u64 {
        if let Some(chunk) = self.publish.extra.and_then(|extra| extra.chunk) {
            return chunk.bytes as u64;
        }
        let sealed = self.publish.sealed.and_then(|sealed| sealed.compressed);
        sealed
            .and_then(|(_, size)| u64::try_from(size).ok())
            .filter(|&size| size > 0)
            .unwrap_or(self.publish.payload.len as u64)
    }

    /// Behind the compression.
    pub(super) fn put_times<B: BufMut>(&self, out: &mut B) {
        put_uint(out, metadata::UNCOMPRESSED_SIZE, self.uncompressed_size());
        if let Some(time) = self.publish.event_time_ms {
            put_uint(out, metadata::EVENT_TIME, time.cast_unsigned());
        }
    }

    /// Last, behind the encryption. `partition_key_b64_encoded` is written although it is false,
    /// as Java's `TypedMessageBuilderImpl.key` sets it.
    pub(super) fn put_rest<B: BufMut>(&self, out: &mut B) {
        let publish = self.publish;
        if publish.key.is_some() {
            let is_base64 = publish.extra.is_some_and(|extra| extra.key_is_base64);
            put_uint(
                out,
                metadata::PARTITION_KEY_B64_ENCODED,
                u64::from(is_base64),
            );
        }
        if let Some(key) = publish.extra.and_then(|extra| extra.ordering_key) {
            put_bytes(out, metadata::ORDERING_KEY, key);
        }
        if let Some(time) = self.deliver_at_ms {
            put_uint(out, metadata::DELIVER_AT_TIME, time.cast_unsigned());
        }
        if let Some(extra) = publish.extra {
            put_extra(extra, out);
        }
    }
}

fn extra_len(extra: &Extra<'_>) -> usize {
    let ordering_key = extra.ordering_key;
    let mut len = ordering_key.map_or(0, |key| bytes_len(metadata::ORDERING_KEY, key.len()));
    if extra.is_null {
        len += uint_len(metadata::NULL_VALUE, 1);
    }
    if let Some(chunk) = &extra.chunk {
        len += bytes_len(metadata::UUID, chunk.uuid.len())
            + uint_len(metadata::NUM_CHUNKS_FROM_MSG, u64::from(chunk.count))
            + uint_len(metadata::TOTAL_CHUNK_MSG_SIZE, chunk.bytes as u64)
            + uint_len(metadata::CHUNK_ID, u64::from(chunk.index));
    }
    len + extra.sealing.len()
}

/// What follows the other fields. Of a field that is there twice, the last one counts.
fn put_extra<B: BufMut>(extra: &Extra<'_>, out: &mut B) {
    if extra.is_null {
        put_uint(out, metadata::NULL_VALUE, 1);
    }
    if let Some(chunk) = &extra.chunk {
        put_bytes(out, metadata::UUID, chunk.uuid.as_bytes());
        put_uint(out, metadata::NUM_CHUNKS_FROM_MSG, u64::from(chunk.count));
        put_uint(out, metadata::TOTAL_CHUNK_MSG_SIZE, chunk.bytes as u64);
        put_uint(out, metadata::CHUNK_ID, u64::from(chunk.index));
    }
    out.put_slice(extra.sealing);
}

/// Appends how the payload is compressed, if it is.
pub(super) fn put_compression<B: BufMut>(compression: Compression, out: &mut B) {
    if compression != Compression::None {
        put_uint(out, metadata::COMPRESSION, compression.to_wire());
    }
}

fn compression_len(compression: Compression) -> usize {
    match compression {
        Compression::None => 0,
        some => uint_len(metadata::COMPRESSION, some.to_wire()),
    }
}

/// Appends a message's properties as fields of that number.
pub(super) fn put_properties<B: BufMut>(number: u32, publish: &Publish<'_>, out: &mut B) {
    for (name, value) in publish.properties.pairs() {
        put_bytes_header(out, number, pair_len(name, value));
        put_bytes(out, 1, name);
        put_bytes(out, 2, value);
    }
}

/// Bytes of a `KeyValue`.
pub(super) fn pair_len(name: &[u8], value: &[u8]) -> usize {
    bytes_len(1, name.len()) + bytes_len(2, value.len())
}

/// Whether a SEND frame that was written still has its checksum.
#[must_use]
pub fn is_intact(frame: &[u8]) -> bool {
    super::wire::Frame::parse(frame)
        .ok()
        .and_then(|frame| super::wire::Stored::parse(frame.rest))
        .is_some()
}

/// SEND_RECEIPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SendReceipt {
    /// The producer, by our number.
    pub producer_id: u64,
    /// The message's number, an `int64` in two's complement.
    pub sequence_id: u64,
    /// Of a batch, the last message's number.
    pub highest_sequence_id: u64,
    /// Ledger and entry; `None`: a duplicate whose place is not known.
    pub stored: Option<(u64, u64)>,
}

impl SendReceipt {
    /// Reads one.
    ///
    /// # Errors
    /// The bytes are no message.
    pub fn decode(body: &[u8]) -> Result<Self, ProtobufError> {
        if let Some(receipt) = Self::decode_usual(body) {
            return Ok(receipt);
        }
        let mut receipt = Self::default();
        let mut fields = Reader::new(body);
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (1, Field::Varint(id)) => receipt.producer_id = id,
                (2, Field::Varint(id)) => receipt.sequence_id = id,
                (3, Field::Bytes(id)) => receipt.stored = Some(decode_entry_id(id)?),
                (4, Field::Varint(id)) => receipt.highest_sequence_id = id,
                _ => {}
            }
        }
        Ok(receipt)
    }
}

impl SendReceipt {
    /// Reads one that has the fields that brokers write, in their order, and no other ones.
    fn decode_usual(mut body: &[u8]) -> Option<Self> {
        let producer_id = take_uint(&mut body, 1)?;
        let sequence_id = take_uint(&mut body, 2)?;
        let mut id = take_short_bytes(&mut body, 3)?;
        let stored = Some((take_uint(&mut id, 1)?, take_uint(&mut id, 2)?));
        let highest_sequence_id = take_uint(&mut body, 4)?;
        (id.is_empty() && body.is_empty()).then_some(Self {
            producer_id,
            sequence_id,
            highest_sequence_id,
            stored,
        })
    }
}

/// Ledger and entry of a `MessageIdData`.
fn decode_entry_id(bytes: &[u8]) -> Result<(u64, u64), ProtobufError> {
    let (mut ledger, mut entry) = (0, 0);
    let mut fields = Reader::new(bytes);
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Field::Varint(value)) => ledger = value,
            (2, Field::Varint(value)) => entry = value,
            _ => {}
        }
    }
    Ok((ledger, entry))
}

/// SEND_ERROR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendError<'a> {
    /// The producer, by our number.
    pub producer_id: u64,
    /// The message's number.
    pub sequence_id: u64,
    /// Why.
    pub error: ServerError,
    /// Why, in words.
    pub message: &'a [u8],
}

impl<'a> SendError<'a> {
    /// Reads one.
    ///
    /// # Errors
    /// The bytes are no message.
    pub fn decode(body: &'a [u8]) -> Result<Self, ProtobufError> {
        let mut error = Self {
            producer_id: 0,
            sequence_id: 0,
            error: ServerError::UnknownError,
            message: b"",
        };
        let mut fields = Reader::new(body);
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (1, Field::Varint(id)) => error.producer_id = id,
                (2, Field::Varint(id)) => error.sequence_id = id,
                (3, Field::Varint(code)) => error.error = server_error(code),
                (4, Field::Bytes(message)) => error.message = message,
                _ => {}
            }
        }
        Ok(error)
    }
}

fn server_error(code: u64) -> ServerError {
    i32::try_from(code)
        .ok()
        .and_then(|code| ServerError::try_from(code).ok())
        .unwrap_or(ServerError::UnknownError)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        pulsar::{
            proto::{CommandPing, MessageIdData},
            wire::{Frame, Stored},
        },
        session::{Chunk, Deliver, Strings},
    };

    fn copy(encoded: &[u8], out: &mut BytesMut) -> Result<(), PayloadError> {
        if encoded == b"broken" {
            out.put_slice(b"half");
            out.truncate(out.len() - 4);
            return Err(PayloadError("broken".into()));
        }
        out.put_slice(encoded);
        Ok(())
    }

    fn publish(payload: &[u8]) -> Publish<'_> {
        Publish {
            payload: Payload {
                encoded: payload,
                len: payload.len(),
                decode: copy,
            },
            context: None,
            key: None,
            properties: Strings::default(),
            replication_clusters: None,
            event_time_ms: None,
            deliver: Deliver::Now,
            extra: None,
            sealed: None,
        }
    }

    fn send<'a>(publish: &'a Publish<'a>) -> Send<'a> {
        Send {
            producer_id: 1,
            producer_name: "standalone-0-1",
            sequence_id: 7,
            publish_time_ms: 1_700_000_000_000,
            deliver_at_ms: None,
            compression: Compression::None,
            seal: None,
            publish,
        }
    }

    fn measure(send: &Send<'_>) -> SendLen {
        send.measure(send.publish.payload.len)
    }

    fn put(send: &Send<'_>) -> BytesMut {
        let mut out = BytesMut::new();
        send.put(measure(send), &mut out).unwrap();
        out
    }

    #[test]
    fn a_plain_send_byte_by_byte() {
        let publish = publish(b"hello");
        let frame = put(&send(&publish));
        let metadata = b"\x0a\x0estandalone-0-1\x10\x07\x18\x80\xd0\x95\xff\xbc\x31\x48\x05";
        let mut covered = vec![0, 0, 0, 0x1b];
        covered.extend(metadata);
        covered.extend(b"hello");
        let command = b"\x08\x06\x32\x04\x08\x01\x10\x07";
        let mut expected = vec![0, 0, 0, 4 + 8 + 6 + 4 + 0x1b + 5, 0, 0, 0, 8];
        expected.extend(command);
        expected.extend(b"\x0e\x01");
        expected.extend(crc32c::crc32c(&covered).to_be_bytes());
        expected.extend(&covered);
        assert_eq!(&frame[..], &expected[..]);
        assert!(is_intact(&frame));
    }

    #[test]
    fn every_field_in_the_order_of_the_java_client() {
        let properties = Strings {
            text: b"ab1",
            ends: &[1, 2, 3, 3],
        };
        let clusters = Strings {
            text: b"xyz",
            ends: &[1, 3],
        };
        let publish = Publish {
            key: Some("k"),
            properties,
            replication_clusters: Some(clusters),
            event_time_ms: Some(-1),
            ..publish(b"")
        };
        let send = Send {
            deliver_at_ms: Some(300),
            sequence_id: (-4i64).cast_unsigned(),
            producer_name: "p",
            ..send(&publish)
        };
        let frame = put(&send);
        let frame = Frame::parse(&frame).unwrap();
        let minus_four = b"\xfc\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert_eq!(frame.body, [b"\x08\x01\x10", &minus_four[..]].concat());
        let expected = [
            b"\x0a\x01p\x10",
            &minus_four[..],
            b"\x18\x80\xd0\x95\xff\xbc\x31",
            b"\x22\x06\x0a\x01a\x12\x01b",
            b"\x22\x05\x0a\x011\x12\x00",
            b"\x32\x01k",
            b"\x3a\x01x\x3a\x02yz",
            b"\x48\x00",
            b"\x60\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x88\x01\x00",
            b"\x98\x01\xac\x02",
        ]
        .concat();
        assert_eq!(Stored::parse(frame.rest).unwrap().metadata, expected);
    }

    #[test]
    fn what_only_stored_messages_have() {
        let chunk = Chunk {
            uuid: "u",
            index: 1,
            count: 2,
            bytes: 300,
        };
        let extra = Extra {
            key_is_base64: true,
            ordering_key: Some(b"o"),
            is_null: true,
            chunk: Some(chunk),
            sealing: b"\x7a\x01n",
        };
        let publish = Publish {
            key: Some("k"),
            extra: Some(&extra),
            ..publish(b"part")
        };
        let send = Send {
            producer_name: "p",
            ..send(&publish)
        };
        let frame = put(&send);
        let frame = Frame::parse(&frame).unwrap();
        assert_eq!(frame.body, b"\x08\x01\x10\x07\x38\x01");
        let expected = [
            &b"\x0a\x01p\x10\x07\x18\x80\xd0\x95\xff\xbc\x31"[..],
            b"\x32\x01k\x48\xac\x02\x88\x01\x01\x92\x01\x01o",
            b"\xc8\x01\x01\xd2\x01\x01u\xd8\x01\x02\xe0\x01\xac\x02\xe8\x01\x01",
            b"\x7a\x01n",
        ]
        .concat();
        assert_eq!(Stored::parse(frame.rest).unwrap().metadata, expected);
    }

    #[test]
    fn a_broken_payload_leaves_nothing_behind() {
        let publish = publish(b"broken");
        let send = send(&publish);
        let mut out = BytesMut::from(&b"before"[..]);
        assert!(send.put(measure(&send), &mut out).is_err());
        assert_eq!(&out[..], b"before");
    }

    #[test]
    fn a_rare_command_is_framed() {
        let mut out = BytesMut::new();
        put_command(&mut out, Kind::Ping, &CommandPing {});
        assert_eq!(&out[..], b"\0\0\0\x09\0\0\0\x05\x08\x12\x92\x01\x00");
    }

    #[test]
    fn receipts_are_read() {
        let body = b"\x08\x05\x10\x07\x1a\x04\x08\x03\x10\x00\x20\x07\x50\x01";
        let expected = SendReceipt {
            producer_id: 5,
            sequence_id: 7,
            highest_sequence_id: 7,
            stored: Some((3, 0)),
        };
        assert_eq!(SendReceipt::decode(body), Ok(expected));
        assert_eq!(
            SendReceipt::decode(b"\x08\x05\x10\x07").unwrap().stored,
            None
        );
        assert!(SendReceipt::decode(&body[..7]).is_err());
    }

    #[test]
    fn send_errors_are_read() {
        let error = SendError::decode(b"\x08\x05\x10\x07\x18\x0f\x22\x03bad").unwrap();
        assert_eq!(error.error, ServerError::TopicTerminatedError);
        assert_eq!((error.producer_id, error.message), (5, &b"bad"[..]));
        let unknown = SendError::decode(b"\x08\x05\x18\xff\x01").unwrap();
        assert_eq!(unknown.error, ServerError::UnknownError);
    }

    proptest! {
        #[test]
        fn what_is_measured_is_written(
            name in ".{0,20}", key: Option<String>, event: Option<i64>, deliver: Option<i64>,
            sequence: u64, producer_id: u64, payload in proptest::collection::vec(any::<u8>(), 0..300)
        ) {
            prop_assume!(payload != b"broken");
            let publish = Publish { key: key.as_deref(), event_time_ms: event, ..publish(&payload) };
            let send = Send {
                producer_name: &name, producer_id, sequence_id: sequence, deliver_at_ms: deliver,
                ..send(&publish)
            };
            let out = put(&send);
            prop_assert_eq!(out.len(), measure(&send).frame());
            let frame = Frame::parse(&out).unwrap();
            let stored = Stored::parse(frame.rest).unwrap();
            prop_assert_eq!(stored.payload, &payload[..]);
            prop_assert_eq!(stored.metadata.len() + payload.len(), measure(&send).message());
        }

        #[test]
        fn receipts_as_prost_writes_them(producer_id: u64, sequence: u64, ledger: u64, entry: u64) {
            let mut body = Vec::new();
            put_uint(&mut body, 1, producer_id);
            put_uint(&mut body, 2, sequence);
            let id = MessageIdData { ledger_id: ledger, entry_id: entry, ..Default::default() };
            put_bytes(&mut body, 3, &id.encode_to_vec());
            let mut expected = SendReceipt {
                producer_id, sequence_id: sequence, highest_sequence_id: 0, stored: Some((ledger, entry)),
            };
            prop_assert_eq!(SendReceipt::decode_usual(&body), None, "its last field is missing");
            prop_assert_eq!(SendReceipt::decode(&body), Ok(expected));
            put_uint(&mut body, 4, sequence);
            expected.highest_sequence_id = sequence;
            prop_assert_eq!(SendReceipt::decode_usual(&body), Some(expected));
            put_uint(&mut body, 9, 1);
            prop_assert_eq!(SendReceipt::decode_usual(&body), None, "it has a field more");
            prop_assert_eq!(SendReceipt::decode(&body), Ok(expected));
        }
    }
}
