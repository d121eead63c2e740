//! What is read of the metadata of an entry, and of a message in a batch.

use std::ops::Range;

use super::low_u32;
use crate::{
    codec::protobuf::{Field, Reader, take_short_bytes, take_uint},
    pulsar::{
        message_id::{EntryId, natural},
        payload::Compression,
    },
};

/// What a consumer reads of a `MessageMetadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pulsar::consumer) struct Metadata {
    pub(in crate::pulsar::consumer) publish_time_ms: u64,
    /// From the first property to the last one, within the metadata.
    pub(in crate::pulsar::consumer) properties: Range<usize>,
    /// Within the metadata.
    pub(in crate::pulsar::consumer) key: Option<Range<usize>>,
    /// `None` for a codec this build does not know.
    pub(in crate::pulsar::consumer) compression: Option<Compression>,
    pub(in crate::pulsar::consumer) uncompressed_size: u32,
    /// `None` for an entry that is one message; one that says so, but with a nonsensical number, has
    /// 0 here.
    pub(in crate::pulsar::consumer) batch_size: Option<u32>,
    pub(in crate::pulsar::consumer) event_time: Option<u64>,
    pub(in crate::pulsar::consumer) encrypted: bool,
    /// Its content is as it was stored, because nobody here can decrypt it.
    pub(in crate::pulsar::consumer) sealed: bool,
    /// Of an entry that is a part of a message.
    pub(in crate::pulsar::consumer) chunk: Option<Box<ChunkOf>>,
    pub(in crate::pulsar::consumer) null_value: bool,
}

/// What an entry says about the message of which it is a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::pulsar::consumer) struct ChunkOf {
    /// Within the metadata: what all parts have in common.
    pub(in crate::pulsar::consumer) uuid: Range<usize>,
    /// Which part.
    pub(in crate::pulsar::consumer) index: u32,
    /// Of how many, at least two.
    pub(in crate::pulsar::consumer) count: u32,
    /// Bytes of the whole message as it was stored.
    pub(in crate::pulsar::consumer) bytes: usize,
    /// The entry of the first part, once all are joined.
    pub(in crate::pulsar::consumer) first: Option<EntryId>,
}

impl Metadata {
    /// `None` if the bytes are no metadata.
    pub(in crate::pulsar::consumer) fn decode(encoded: &[u8]) -> Option<Self> {
        // All producers begin with their name, a sequence id and the time.
        let mut rest = encoded;
        take_short_bytes(&mut rest, 1);
        take_uint(&mut rest, 2);
        let mut publish_time_ms = take_uint(&mut rest, 3);
        let head = encoded.len() - rest.len();
        let mut metadata = Self {
            publish_time_ms: 0,
            properties: 0..0,
            key: None,
            compression: Some(Compression::None),
            uncompressed_size: 0,
            batch_size: None,
            event_time: None,
            encrypted: false,
            sealed: false,
            chunk: None,
            null_value: false,
        };
        let mut chunk = ChunkOf::default();
        let mut fields = Reader::new(rest);
        let mut begin = head;
        while let Some((number, field)) = fields.next().ok()? {
            let end = head + fields.position();
            match (number, field) {
                (3, Field::Varint(value)) => publish_time_ms = Some(value),
                (4, Field::Bytes(_)) => widen(&mut metadata.properties, begin..end),
                (6, Field::Bytes(key)) => metadata.key = Some(end - key.len()..end),
                (8, Field::Varint(value)) => metadata.compression = Compression::from_wire(value),
                (9, Field::Varint(value)) => metadata.uncompressed_size = low_u32(value),
                (11, Field::Varint(value)) => {
                    metadata.batch_size = Some(natural(value).unwrap_or(0));
                }
                (12, Field::Varint(value)) => metadata.event_time = Some(value),
                (13, _) => metadata.encrypted = true,
                (25, Field::Varint(value)) => metadata.null_value = value != 0,
                (26, Field::Bytes(uuid)) => chunk.uuid = end - uuid.len()..end,
                (27, Field::Varint(value)) => chunk.count = natural(value).unwrap_or(0),
                (28, Field::Varint(value)) => {
                    chunk.bytes = natural(value).map_or(usize::MAX, |bytes| bytes as usize);
                }
                (29, Field::Varint(value)) => chunk.index = natural(value).unwrap_or(u32::MAX),
                _ => {}
            }
            begin = end;
        }
        if chunk.count > 1 {
            metadata.chunk = Some(Box::new(chunk));
        }
        metadata.publish_time_ms = publish_time_ms?;
        Some(metadata)
    }
}

/// A message of a batch: what a consumer reads of its `SingleMessageMetadata`. All ranges lie within
/// the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pulsar::consumer) struct Single {
    pub(in crate::pulsar::consumer) metadata: Range<usize>,
    /// From the first property to the last one.
    pub(in crate::pulsar::consumer) properties: Range<usize>,
    pub(in crate::pulsar::consumer) key: Option<Range<usize>>,
    pub(in crate::pulsar::consumer) payload: Range<usize>,
    pub(in crate::pulsar::consumer) event_time: Option<u64>,
    pub(in crate::pulsar::consumer) null_value: Option<bool>,
    pub(in crate::pulsar::consumer) compacted_out: bool,
}

impl Single {
    /// Reads the message that begins at `start`; `None` if there is none.
    pub(in crate::pulsar::consumer) fn decode(batch: &[u8], start: usize) -> Option<Self> {
        let (size, rest) = batch.get(start..)?.split_first_chunk::<4>()?;
        let size = usize::try_from(u32::from_be_bytes(*size)).ok()?;
        let (encoded, rest) = rest.split_at_checked(size)?;
        let begin = start + 4;
        let mut payload_size = None;
        let mut single = Self {
            metadata: begin..begin + size,
            properties: 0..0,
            key: None,
            payload: 0..0,
            event_time: None,
            null_value: None,
            compacted_out: false,
        };
        let mut fields = Reader::new(encoded);
        let mut before = begin;
        while let Some((number, field)) = fields.next().ok()? {
            let end = begin + fields.position();
            match (number, field) {
                (1, Field::Bytes(_)) => widen(&mut single.properties, before..end),
                (2, Field::Bytes(key)) => single.key = Some(end - key.len()..end),
                (3, Field::Varint(value)) => payload_size = natural(value),
                (4, Field::Varint(value)) => single.compacted_out = value != 0,
                (5, Field::Varint(value)) => single.event_time = Some(value),
                (9, Field::Varint(value)) => single.null_value = Some(value != 0),
                _ => {}
            }
            before = end;
        }
        let payload_size = usize::try_from(payload_size?).ok()?;
        if payload_size > rest.len() {
            return None;
        }
        let payload = begin + size;
        single.payload = payload..payload + payload_size;
        Some(single)
    }
}

/// What the key of a message is, as far as only its dead letter needs to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pulsar::consumer) struct KeyKind<'a> {
    /// It was made of bytes.
    pub(in crate::pulsar::consumer) is_base64: bool,
    pub(in crate::pulsar::consumer) ordering_key: Option<&'a [u8]>,
}

impl<'a> KeyKind<'a> {
    /// Of a `MessageMetadata`.
    pub(in crate::pulsar::consumer) fn of_metadata(encoded: &'a [u8]) -> Self {
        Self::read(encoded, 17, 18)
    }

    /// Of a `SingleMessageMetadata`.
    pub(in crate::pulsar::consumer) fn of_single(encoded: &'a [u8]) -> Self {
        Self::read(encoded, 6, 7)
    }

    fn read(encoded: &'a [u8], is_base64: u32, ordering_key: u32) -> Self {
        let mut kind = Self::default();
        let mut fields = Reader::new(encoded);
        while let Ok(Some((number, field))) = fields.next() {
            match field {
                Field::Varint(value) if number == is_base64 => kind.is_base64 = value != 0,
                Field::Bytes(key) if number == ordering_key => kind.ordering_key = Some(key),
                _ => {}
            }
        }
        kind
    }
}

/// Takes in what lies behind.
const fn widen(range: &mut Range<usize>, more: Range<usize>) {
    if range.start == range.end {
        range.start = more.start;
    }
    range.end = more.end;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::protobuf::put_uint;
    use proptest::prelude::*;

    #[test]
    fn metadata_needs_what_is_required_and_skips_the_rest() {
        let mut encoded = Vec::new();
        for (number, value) in [(2, 8), (3, 1000), (9, 77), (12, 5), (24, 1), (25, 1)] {
            put_uint(&mut encoded, number, value);
        }
        let metadata = Metadata::decode(&encoded).unwrap();
        assert_eq!(metadata.publish_time_ms, 1000);
        assert_eq!(metadata.uncompressed_size, 77);
        assert_eq!(metadata.event_time, Some(5));
        assert!(metadata.null_value && !metadata.encrypted && metadata.chunk.is_none());
        assert_eq!(metadata.batch_size, None);
        assert_eq!(Metadata::decode(b"\x10\x08"), None, "no publish time");
        for cut in 1..encoded.len() {
            let _ = Metadata::decode(&encoded[..cut]);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>, start in 0usize..64) {
            let _ = Metadata::decode(&bytes);
            let _ = Single::decode(&bytes, start);
        }
    }
}
