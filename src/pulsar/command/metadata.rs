//! `MessageMetadata`: its fields, and those parts of it that are not only a SEND's.

use bytes::BufMut;

use crate::{
    codec::protobuf::{WireType, bytes_len, put_bytes, put_bytes_header, put_uint, uint_len},
    pulsar::payload::Compression,
    session::{Extra, Publish},
};

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

/// Bytes of what [`put_extra`] appends.
pub(super) fn extra_len(extra: &Extra<'_>) -> usize {
    let ordering_key = extra.ordering_key;
    let mut len = ordering_key.map_or(0, |key| bytes_len(ORDERING_KEY, key.len()));
    if extra.is_null {
        len += uint_len(NULL_VALUE, 1);
    }
    if let Some(chunk) = &extra.chunk {
        len += bytes_len(UUID, chunk.uuid.len())
            + uint_len(NUM_CHUNKS_FROM_MSG, u64::from(chunk.count))
            + uint_len(TOTAL_CHUNK_MSG_SIZE, chunk.bytes as u64)
            + uint_len(CHUNK_ID, u64::from(chunk.index));
    }
    len + extra.sealing.len()
}

/// What follows the other fields. Of a field that is there twice, the last one counts.
pub(super) fn put_extra<B: BufMut>(extra: &Extra<'_>, out: &mut B) {
    if extra.is_null {
        put_uint(out, NULL_VALUE, 1);
    }
    if let Some(chunk) = &extra.chunk {
        put_bytes(out, UUID, chunk.uuid.as_bytes());
        put_uint(out, NUM_CHUNKS_FROM_MSG, u64::from(chunk.count));
        put_uint(out, TOTAL_CHUNK_MSG_SIZE, chunk.bytes as u64);
        put_uint(out, CHUNK_ID, u64::from(chunk.index));
    }
    out.put_slice(extra.sealing);
}

/// Appends how the payload is compressed, if it is.
pub(in crate::pulsar) fn put_compression<B: BufMut>(compression: Compression, out: &mut B) {
    if compression != Compression::None {
        put_uint(out, COMPRESSION, compression.to_wire());
    }
}

/// Bytes of what [`put_compression`] appends.
pub(super) fn compression_len(compression: Compression) -> usize {
    match compression {
        Compression::None => 0,
        some => uint_len(COMPRESSION, some.to_wire()),
    }
}

/// The tags in a `KeyValue`.
const NAME: u8 = 1 << 3 | WireType::Bytes as u8;
const VALUE: u8 = 2 << 3 | WireType::Bytes as u8;

/// Appends a message's properties as fields of that number.
pub(in crate::pulsar) fn put_properties<B: BufMut>(
    number: u32,
    publish: &Publish<'_>,
    out: &mut B,
) {
    for (name, value) in publish.properties.pairs() {
        let len = pair_len(name, value);
        // Sizes and tags of one byte each, which they nearly always are.
        if let (Ok(len @ ..0x80), Ok(name_len), Ok(value_len), Ok(tag @ ..0x80)) = (
            u8::try_from(len),
            u8::try_from(name.len()),
            u8::try_from(value.len()),
            u8::try_from(number << 3 | WireType::Bytes as u32),
        ) {
            out.put_slice(&[tag, len, NAME, name_len]);
            out.put_slice(name);
            out.put_slice(&[VALUE, value_len]);
            out.put_slice(value);
        } else {
            put_bytes_header(out, number, len);
            put_bytes(out, 1, name);
            put_bytes(out, 2, value);
        }
    }
}

/// Bytes of a `KeyValue`.
pub(in crate::pulsar) fn pair_len(name: &[u8], value: &[u8]) -> usize {
    bytes_len(1, name.len()) + bytes_len(2, value.len())
}
