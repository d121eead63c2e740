//! What a consumer reads from the wire and writes to it.
//!
//! Read as views: a MESSAGE command, the metadata of an entry and of a message in a batch. Only the
//! fields a consumer acts on are decoded; strings and properties stay where they are, named by
//! ranges, so that a message can be found again after its entry was copied. Written by appending
//! whole frames: FLOW, ACK and REDELIVER_UNACKNOWLEDGED_MESSAGES, with the fields Java's `Commands`
//! sets, in its order.

use std::ops::Range;

use bytes::{BufMut, BytesMut};

use super::bits::Bits;
use crate::{
    codec::protobuf::{Field, Reader, bytes_len, put_bytes_header, put_uint, uint_len},
    pulsar::{
        message_id::{EntryId, natural},
        payload::Compression,
    },
    session::{Key, Properties},
};

const ACK: u32 = 10;
const FLOW: u32 = 11;
const REDELIVER_UNACKNOWLEDGED_MESSAGES: u32 = 20;

/// A `CommandMessage`: which entry comes with it, and what the broker says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageCommand<'a> {
    /// The consumer it is for, by our number.
    pub consumer_id: u64,
    /// Where the entry is stored.
    pub entry: EntryId,
    /// How often it was delivered before.
    pub redelivery_count: u32,
    /// The epoch of the consumer when the broker sent it; absent for subscriptions that share.
    pub consumer_epoch: Option<u64>,
    /// The command itself; the ack set is read from it when there is one.
    encoded: &'a [u8],
    has_ack_set: bool,
}

impl<'a> MessageCommand<'a> {
    /// Reads the sub-message of a MESSAGE command; `None` if it is not one.
    #[must_use]
    pub fn decode(encoded: &'a [u8]) -> Option<Self> {
        let (mut consumer_id, mut entry) = (None, None);
        let (mut redelivery_count, mut consumer_epoch, mut has_ack_set) = (0, None, false);
        let mut fields = Reader::new(encoded);
        while let Some((number, field)) = fields.next().ok()? {
            match (number, field) {
                (1, Field::Varint(value)) => consumer_id = Some(value),
                (2, Field::Bytes(id)) => entry = Some(decode_entry(id)?),
                (3, Field::Varint(value)) => redelivery_count = low_u32(value),
                (4, _) => has_ack_set = true,
                (5, Field::Varint(value)) => consumer_epoch = Some(value),
                _ => {}
            }
        }
        Some(Self {
            consumer_id: consumer_id?,
            entry: entry?,
            redelivery_count,
            consumer_epoch,
            encoded,
            has_ack_set,
        })
    }

    /// The command as it came.
    pub(super) const fn encoded(&self) -> &'a [u8] {
        self.encoded
    }

    /// The messages of a batch of `size` that the broker means: all (`None`), or those whose bit is
    /// set, because the others are acknowledged.
    pub(super) fn sent(&self, size: u32) -> Option<Bits> {
        self.has_ack_set
            .then(|| Bits::from_words(size, self.ack_set()))
    }

    /// How many messages of a batch of `size` the broker took permits for.
    pub(super) fn sent_count(&self, size: u32) -> u32 {
        if !self.has_ack_set {
            return size;
        }
        self.ack_set()
            .fold(0, |count: u32, word| {
                count.saturating_add(word.count_ones())
            })
            .min(size)
    }

    fn ack_set(&self) -> impl Iterator<Item = u64> + use<'a> {
        let mut fields = Reader::new(self.encoded);
        let mut packed: &[u8] = &[];
        std::iter::from_fn(move || {
            loop {
                if let Some(word) = take_packed(&mut packed) {
                    return Some(word);
                }
                match fields.next().ok()?? {
                    (4, Field::Varint(word)) => return Some(word),
                    (4, Field::Bytes(words)) => packed = words,
                    _ => {}
                }
            }
        })
    }
}

/// A varint off the front of a packed list, which a `repeated int64` may arrive as.
fn take_packed(packed: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (i, &byte) in packed.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            *packed = &packed[i + 1..];
            return Some(value);
        }
    }
    None
}

fn decode_entry(id: &[u8]) -> Option<EntryId> {
    let (mut ledger, mut entry) = (None, None);
    let mut fields = Reader::new(id);
    while let Some((number, field)) = fields.next().ok()? {
        match (number, field) {
            (1, Field::Varint(value)) => ledger = Some(value),
            (2, Field::Varint(value)) => entry = Some(value),
            _ => {}
        }
    }
    Some(EntryId {
        ledger: ledger?,
        entry: entry?,
    })
}

/// What a consumer reads of a `MessageMetadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) publish_time_ms: u64,
    /// Where in the metadata the first property begins; its end if there is none.
    pub(super) properties: usize,
    /// Within the metadata.
    pub(super) key: Option<Range<usize>>,
    /// `None` for a codec this build does not know.
    pub(super) compression: Option<Compression>,
    pub(super) uncompressed_size: u32,
    /// `None` for an entry that is one message; one that says so, but with a nonsensical number, has
    /// 0 here.
    pub(super) batch_size: Option<u32>,
    pub(super) event_time: Option<u64>,
    pub(super) encrypted: bool,
    /// Its content is as it was stored, because nobody here can decrypt it.
    pub(super) sealed: bool,
    /// Of an entry that is a part of a message.
    pub(super) chunk: Option<Box<ChunkOf>>,
    pub(super) null_value: bool,
}

/// What an entry says about the message of which it is a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ChunkOf {
    /// Within the metadata: what all parts have in common.
    pub(super) uuid: Range<usize>,
    /// Which part.
    pub(super) index: u32,
    /// Of how many, at least two.
    pub(super) count: u32,
    /// Bytes of the whole message as it was stored.
    pub(super) bytes: usize,
    /// The entry of the first part, once all are joined.
    pub(super) first: Option<EntryId>,
}

impl Metadata {
    /// `None` if the bytes are no metadata.
    pub(super) fn decode(encoded: &[u8]) -> Option<Self> {
        let mut publish_time_ms = None;
        let mut metadata = Self {
            publish_time_ms: 0,
            properties: encoded.len(),
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
        let mut fields = Reader::new(encoded);
        let mut begin = 0;
        while let Some((number, field)) = fields.next().ok()? {
            match (number, field) {
                (3, Field::Varint(value)) => publish_time_ms = Some(value),
                (4, Field::Bytes(_)) => metadata.properties = metadata.properties.min(begin),
                (6, Field::Bytes(key)) => metadata.key = Some(range_before(&fields, key)),
                (8, Field::Varint(value)) => metadata.compression = Compression::from_wire(value),
                (9, Field::Varint(value)) => metadata.uncompressed_size = low_u32(value),
                (11, Field::Varint(value)) => {
                    metadata.batch_size = Some(natural(value).unwrap_or(0));
                }
                (12, Field::Varint(value)) => metadata.event_time = Some(value),
                (13, _) => metadata.encrypted = true,
                (25, Field::Varint(value)) => metadata.null_value = value != 0,
                (26, Field::Bytes(uuid)) => chunk.uuid = range_before(&fields, uuid),
                (27, Field::Varint(value)) => chunk.count = natural(value).unwrap_or(0),
                (28, Field::Varint(value)) => {
                    chunk.bytes = natural(value).map_or(usize::MAX, |bytes| bytes as usize);
                }
                (29, Field::Varint(value)) => chunk.index = natural(value).unwrap_or(u32::MAX),
                _ => {}
            }
            begin = fields.position();
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
pub(super) struct Single {
    pub(super) metadata: Range<usize>,
    /// Where the first property begins; the end of the metadata if there is none.
    pub(super) properties: usize,
    pub(super) key: Option<Range<usize>>,
    pub(super) payload: Range<usize>,
    pub(super) event_time: Option<u64>,
    pub(super) null_value: Option<bool>,
    pub(super) compacted_out: bool,
}

impl Single {
    /// Reads the message that begins at `start`; `None` if there is none.
    pub(super) fn decode(batch: &[u8], start: usize) -> Option<Self> {
        let (size, rest) = batch.get(start..)?.split_first_chunk::<4>()?;
        let size = usize::try_from(u32::from_be_bytes(*size)).ok()?;
        let (encoded, rest) = rest.split_at_checked(size)?;
        let begin = start + 4;
        let mut payload_size = None;
        let mut single = Self {
            metadata: begin..begin + size,
            properties: begin + size,
            key: None,
            payload: 0..0,
            event_time: None,
            null_value: None,
            compacted_out: false,
        };
        let mut fields = Reader::new(encoded);
        let mut before = 0;
        while let Some((number, field)) = fields.next().ok()? {
            match (number, field) {
                (1, Field::Bytes(_)) => single.properties = single.properties.min(begin + before),
                (2, Field::Bytes(key)) => {
                    let key = range_before(&fields, key);
                    single.key = Some(begin + key.start..begin + key.end);
                }
                (3, Field::Varint(value)) => payload_size = natural(value),
                (4, Field::Varint(value)) => single.compacted_out = value != 0,
                (5, Field::Varint(value)) => single.event_time = Some(value),
                (9, Field::Varint(value)) => single.null_value = Some(value != 0),
                _ => {}
            }
            before = fields.position();
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
pub(super) struct KeyKind<'a> {
    /// It was made of bytes.
    pub(super) is_base64: bool,
    pub(super) ordering_key: Option<&'a [u8]>,
}

impl<'a> KeyKind<'a> {
    /// Of a `MessageMetadata`.
    pub(super) fn of_metadata(encoded: &'a [u8]) -> Self {
        Self::read(encoded, 17, 18)
    }

    /// Of a `SingleMessageMetadata`.
    pub(super) fn of_single(encoded: &'a [u8]) -> Self {
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

/// Takes the next pair off a `MessageMetadata`.
pub(super) fn next_metadata_property<'a>(encoded: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    next_property(encoded, 4)
}

/// Takes the next pair off a `SingleMessageMetadata`.
pub(super) fn next_single_property<'a>(encoded: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    next_property(encoded, 1)
}

/// How an entry is encrypted, but for its keys: what is read of a `MessageMetadata` only if it is.
#[derive(Debug, Default)]
pub(super) struct Sealing<'a> {
    pub(super) param: Option<&'a [u8]>,
    pub(super) algorithm: Option<&'a [u8]>,
    pub(super) batch_size: Option<u32>,
}

impl<'a> Sealing<'a> {
    pub(super) fn read(encoded: &'a [u8]) -> Self {
        let mut sealing = Self::default();
        let mut fields = Reader::new(encoded);
        while let Ok(Some((number, field))) = fields.next() {
            match (number, field) {
                (11, Field::Varint(value)) => {
                    sealing.batch_size = Some(natural(value).unwrap_or(0));
                }
                (14, Field::Bytes(name)) => sealing.algorithm = Some(name),
                (15, Field::Bytes(param)) => sealing.param = Some(param),
                _ => {}
            }
        }
        sealing
    }
}

/// The fields of a `MessageMetadata` that tell how the content is encrypted, and what is in there:
/// compression, sizes, keys, algorithm and parameter.
pub(super) fn sealing_fields(encoded: &[u8]) -> Vec<u8> {
    let (mut found, mut start) = (Vec::new(), 0);
    let mut fields = Reader::new(encoded);
    while let Ok(Some((number, _))) = fields.next() {
        let end = fields.position();
        if matches!(number, 8 | 9 | 11 | 13..=15) {
            found.extend_from_slice(encoded.get(start..end).unwrap_or_default());
        }
        start = end;
    }
    found
}

/// Takes the next key off a `MessageMetadata`.
pub(in crate::pulsar) fn next_encryption_key<'a>(encoded: &mut &'a [u8]) -> Option<Key<'a>> {
    let key = next_field(encoded, 13)?;
    let (mut name, mut value) = (&[][..], &[][..]);
    let mut fields = Reader::new(key);
    while let Ok(Some((number, field))) = fields.next() {
        match (number, field) {
            (1, Field::Bytes(bytes)) => name = bytes,
            (2, Field::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    Some(Key {
        name,
        value,
        metadata: Properties {
            encoded: key,
            next: next_key_property,
        },
    })
}

fn next_key_property<'a>(encoded: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    next_property(encoded, 3)
}

fn next_property<'a>(encoded: &mut &'a [u8], wanted: u32) -> Option<(&'a [u8], &'a [u8])> {
    next_field(encoded, wanted).map(decode_pair)
}

/// Takes everything off up to the next field of that number, and that field.
fn next_field<'a>(encoded: &mut &'a [u8], wanted: u32) -> Option<&'a [u8]> {
    let mut fields = Reader::new(encoded);
    while let Ok(Some((number, field))) = fields.next() {
        if let (true, Field::Bytes(bytes)) = (number == wanted, field) {
            *encoded = encoded.get(fields.position()..)?;
            return Some(bytes);
        }
    }
    *encoded = &[];
    None
}

fn decode_pair(pair: &[u8]) -> (&[u8], &[u8]) {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    let mut fields = Reader::new(pair);
    while let Ok(Some((number, field))) = fields.next() {
        match (number, field) {
            (1, Field::Bytes(text)) => key = text,
            (2, Field::Bytes(text)) => value = text,
            _ => {}
        }
    }
    (key, value)
}

/// Where the bytes field that was just read lies in its message.
fn range_before(fields: &Reader<'_>, bytes: &[u8]) -> Range<usize> {
    let end = fields.position();
    end - bytes.len()..end
}

/// A `uint32` of the wire; Java takes the low half of what is larger.
const fn low_u32(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Why a consumer could not deliver an entry, as the broker is told with its acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValidationError {
    Decompression = 1,
    ChecksumMismatch = 2,
    BatchDeSerialize = 3,
    Decryption = 4,
}

/// Appends a FLOW: that many more messages may come.
pub(super) fn put_flow(out: &mut BytesMut, consumer_id: u64, permits: u32) {
    let permits = u64::from(permits);
    let len = uint_len(1, consumer_id) + uint_len(2, permits);
    put_frame(out, FLOW, len, |out| {
        put_uint(out, 1, consumer_id);
        put_uint(out, 2, permits);
    });
}

/// Appends an individual ACK of entries, whole or (with the messages that are left) in part.
pub(super) fn put_acks(out: &mut BytesMut, consumer_id: u64, acks: &[(EntryId, Option<Bits>)]) {
    let len = uint_len(1, consumer_id)
        + uint_len(2, 0)
        + acks
            .iter()
            .map(|(entry, left)| bytes_len(3, entry_len(*entry, left.as_ref())))
            .sum::<usize>();
    put_frame(out, ACK, len, |out| {
        put_uint(out, 1, consumer_id);
        put_uint(out, 2, 0);
        for (entry, left) in acks {
            put_entry(out, 3, *entry, left.as_ref());
        }
    });
}

/// Appends a cumulative ACK: this entry and all before it.
pub(super) fn put_cumulative_ack(out: &mut BytesMut, consumer_id: u64, entry: EntryId) {
    let len = uint_len(1, consumer_id) + uint_len(2, 1) + bytes_len(3, entry_len(entry, None));
    put_frame(out, ACK, len, |out| {
        put_uint(out, 1, consumer_id);
        put_uint(out, 2, 1);
        put_entry(out, 3, entry, None);
    });
}

/// Appends an ACK that says the entry was unusable.
pub(super) fn put_error_ack(
    out: &mut BytesMut,
    consumer_id: u64,
    entry: EntryId,
    error: ValidationError,
) {
    let len = uint_len(1, consumer_id)
        + uint_len(2, 0)
        + bytes_len(3, entry_len(entry, None))
        + uint_len(4, error as u64);
    put_frame(out, ACK, len, |out| {
        put_uint(out, 1, consumer_id);
        put_uint(out, 2, 0);
        put_entry(out, 3, entry, None);
        put_uint(out, 4, error as u64);
    });
}

/// Appends a request for these entries again.
pub(super) fn put_redeliver(out: &mut BytesMut, consumer_id: u64, entries: &[EntryId]) {
    let len = uint_len(1, consumer_id)
        + entries
            .iter()
            .map(|entry| bytes_len(2, entry_len(*entry, None)))
            .sum::<usize>();
    put_frame(out, REDELIVER_UNACKNOWLEDGED_MESSAGES, len, |out| {
        put_uint(out, 1, consumer_id);
        for entry in entries {
            put_entry(out, 2, *entry, None);
        }
    });
}

/// Appends a request for everything unacknowledged again; what was sent in an earlier epoch is void.
pub(super) fn put_redeliver_all(out: &mut BytesMut, consumer_id: u64, epoch: u64) {
    let len = uint_len(1, consumer_id) + uint_len(3, epoch);
    put_frame(out, REDELIVER_UNACKNOWLEDGED_MESSAGES, len, |out| {
        put_uint(out, 1, consumer_id);
        put_uint(out, 3, epoch);
    });
}

fn entry_len(entry: EntryId, left: Option<&Bits>) -> usize {
    let words = left.map_or(&[][..], Bits::trimmed_words);
    uint_len(1, entry.ledger)
        + uint_len(2, entry.entry)
        + words.iter().map(|&word| uint_len(5, word)).sum::<usize>()
}

fn put_entry(out: &mut BytesMut, field: u32, entry: EntryId, left: Option<&Bits>) {
    put_bytes_header(out, field, entry_len(entry, left));
    put_uint(out, 1, entry.ledger);
    put_uint(out, 2, entry.entry);
    for &word in left.map_or(&[][..], Bits::trimmed_words) {
        put_uint(out, 5, word);
    }
}

/// A frame that is one command: its size, the command's size, and a `BaseCommand` of type `kind`
/// whose field of the same number holds `len` bytes.
fn put_frame(out: &mut BytesMut, kind: u32, len: usize, command: impl FnOnce(&mut BytesMut)) {
    let base_len = uint_len(1, u64::from(kind)) + bytes_len(kind, len);
    let size = u32::try_from(base_len).unwrap_or(u32::MAX - 4);
    out.reserve(8 + base_len);
    out.put_u32(size + 4);
    out.put_u32(size);
    put_uint(out, 1, u64::from(kind));
    put_bytes_header(out, kind, len);
    let start = out.len();
    command(out);
    debug_assert_eq!(out.len() - start, len, "lengths are reckoned right");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pulsar::proto;
    use proptest::prelude::*;
    use prost::Message;

    fn entry(ledger: u64, entry: u64) -> EntryId {
        EntryId { ledger, entry }
    }

    fn framed(put: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
        let mut out = BytesMut::new();
        put(&mut out);
        out.to_vec()
    }

    #[test]
    fn frames_are_what_java_writes() {
        assert_eq!(
            framed(|out| put_flow(out, 5, 1000)),
            b"\0\0\0\x0d\0\0\0\x09\x08\x0b\x5a\x05\x08\x05\x10\xe8\x07"
        );
        assert_eq!(
            framed(|out| put_acks(out, 1, &[(entry(3, 0), None), (entry(3, 1), None)])),
            b"\0\0\0\x18\0\0\0\x14\x08\x0a\x52\x10\x08\x01\x10\x00\
                \x1a\x04\x08\x03\x10\x00\x1a\x04\x08\x03\x10\x01"
        );
        let mut left = Bits::full(3);
        left.clear(1);
        assert_eq!(
            framed(|out| put_acks(out, 1, &[(entry(3, 0), Some(left))])),
            b"\0\0\0\x14\0\0\0\x10\x08\x0a\x52\x0c\x08\x01\x10\x00\x1a\x06\x08\x03\x10\x00\x28\x05"
        );
        assert_eq!(
            framed(|out| put_cumulative_ack(out, 1, entry(3, 0))),
            b"\0\0\0\x12\0\0\0\x0e\x08\x0a\x52\x0a\x08\x01\x10\x01\x1a\x04\x08\x03\x10\x00"
        );
        assert_eq!(
            framed(|out| put_error_ack(out, 1, entry(3, 0), ValidationError::Decompression)),
            b"\0\0\0\x14\0\0\0\x10\x08\x0a\x52\x0c\x08\x01\x10\x00\x1a\x04\x08\x03\x10\x00\x20\x01"
        );
        assert_eq!(
            framed(|out| put_redeliver(out, 1, &[entry(3, 0)])),
            b"\0\0\0\x11\0\0\0\x0d\x08\x14\xa2\x01\x08\x08\x01\x12\x04\x08\x03\x10\x00"
        );
        assert_eq!(
            framed(|out| put_redeliver_all(out, 1, 2)),
            b"\0\0\0\x0d\0\0\0\x09\x08\x14\xa2\x01\x04\x08\x01\x18\x02"
        );
    }

    #[test]
    fn a_message_command() {
        let encoded =
            b"\x08\x07\x12\x0f\x08\x03\x10\x09\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\
            \x18\x02\x20\x05\x28\x04";
        let command = MessageCommand::decode(encoded).unwrap();
        assert_eq!(command.consumer_id, 7);
        assert_eq!(command.entry, entry(3, 9));
        assert_eq!(command.redelivery_count, 2);
        assert_eq!(command.consumer_epoch, Some(4));
        assert_eq!(command.sent(3).unwrap().trimmed_words(), [5]);
        assert_eq!(command.sent_count(3), 2);
        assert_eq!(command.sent_count(1), 1);
        assert_eq!(
            MessageCommand::decode(b"\x08\x07"),
            None,
            "an id is required"
        );
        let packed = b"\x08\x07\x12\x04\x08\x03\x10\x09\x22\x03\x85\x80\x00\x20\x01";
        let command = MessageCommand::decode(packed).unwrap();
        assert_eq!(command.sent(70).unwrap().trimmed_words(), [5, 1]);
        let plain = MessageCommand::decode(&packed[..8]).unwrap();
        assert_eq!((plain.sent(3), plain.sent_count(3)), (None, 3));
    }

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

    #[test]
    fn properties_are_taken_one_by_one() {
        let metadata = b"\x08\x01\x0a\x06\x0a\x01a\x12\x01b\x12\x01k\x0a\x04\x12\x00\x0a\x00";
        let mut rest = &metadata[..];
        assert_eq!(
            next_single_property(&mut rest),
            Some((&b"a"[..], &b"b"[..]))
        );
        assert_eq!(next_single_property(&mut rest), Some((&b""[..], &b""[..])));
        assert_eq!(next_single_property(&mut rest), None);
        assert_eq!(next_single_property(&mut rest), None);
        assert_eq!(next_metadata_property(&mut &metadata[..]), None);
    }

    proptest! {
        /// The generated structs are the oracle for the bytes written by hand.
        #[test]
        fn acks_read_back(
            consumer_id: u64,
            acks in prop::collection::vec((any::<u64>(), any::<u64>(), prop::option::of(1u32..200)), 0..20),
        ) {
            #[derive(Clone, PartialEq, Message)]
            struct Ack {
                #[prost(uint64, required, tag = "1")]
                consumer_id: u64,
                #[prost(int32, required, tag = "2")]
                ack_type: i32,
                #[prost(message, repeated, tag = "3")]
                message_id: Vec<proto::MessageIdData>,
            }
            let acks: Vec<_> = acks
                .iter()
                .map(|&(ledger, entry, left)| (EntryId { ledger, entry }, left.map(Bits::full)))
                .collect();
            let frame = framed(|out| put_acks(out, consumer_id, &acks));
            let size = u32::from_be_bytes(frame[..4].try_into().unwrap()) as usize;
            prop_assert_eq!(size + 4, frame.len());
            let mut fields = Reader::new(&frame[8..]);
            prop_assert_eq!(fields.next(), Ok(Some((1, Field::Varint(10)))));
            let Ok(Some((10, Field::Bytes(ack)))) = fields.next() else { panic!("no ACK") };
            let ack = Ack::decode(ack).unwrap();
            prop_assert_eq!(ack.consumer_id, consumer_id);
            prop_assert_eq!(ack.message_id.len(), acks.len());
            for (id, (entry, left)) in ack.message_id.iter().zip(&acks) {
                prop_assert_eq!((id.ledger_id, id.entry_id), (entry.ledger, entry.entry));
                let words: Vec<u64> = id.ack_set.iter().map(|word| word.cast_unsigned()).collect();
                prop_assert_eq!(&words[..], left.as_ref().map_or(&[][..], Bits::trimmed_words));
            }
        }

        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>, start in 0usize..64) {
            if let Some(command) = MessageCommand::decode(&bytes) {
                let _ = (command.sent(100), command.sent_count(100));
            }
            let _ = Metadata::decode(&bytes);
            let _ = Single::decode(&bytes, start);
            let mut rest = &bytes[..];
            while next_metadata_property(&mut rest).is_some() {}
        }
    }
}
