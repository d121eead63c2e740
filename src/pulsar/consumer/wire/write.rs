//! Frames that a consumer writes: FLOW, ACK and REDELIVER_UNACKNOWLEDGED_MESSAGES.

use bytes::{BufMut, BytesMut};

use crate::{
    codec::protobuf::{bytes_len, put_bytes_header, put_uint, uint_len},
    pulsar::{consumer::bits::Bits, message_id::EntryId},
};

const ACK: u32 = 10;
const FLOW: u32 = 11;
const REDELIVER_UNACKNOWLEDGED_MESSAGES: u32 = 20;

/// Why a consumer could not deliver an entry, as the broker is told with its acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pulsar::consumer) enum ValidationError {
    Decompression = 1,
    ChecksumMismatch = 2,
    BatchDeSerialize = 3,
    Decryption = 4,
}

/// Appends a FLOW: that many more messages may come.
pub(in crate::pulsar::consumer) fn put_flow(out: &mut BytesMut, consumer_id: u64, permits: u32) {
    let permits = u64::from(permits);
    let len = uint_len(1, consumer_id) + uint_len(2, permits);
    put_frame(out, FLOW, len, |out| {
        put_uint(out, 1, consumer_id);
        put_uint(out, 2, permits);
    });
}

/// Appends an individual ACK of entries, whole or (with the messages that are left) in part.
pub(in crate::pulsar::consumer) fn put_acks(
    out: &mut BytesMut,
    consumer_id: u64,
    acks: &[(EntryId, Option<Bits>)],
) {
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
pub(in crate::pulsar::consumer) fn put_cumulative_ack(
    out: &mut BytesMut,
    consumer_id: u64,
    entry: EntryId,
) {
    let len = uint_len(1, consumer_id) + uint_len(2, 1) + bytes_len(3, entry_len(entry, None));
    put_frame(out, ACK, len, |out| {
        put_uint(out, 1, consumer_id);
        put_uint(out, 2, 1);
        put_entry(out, 3, entry, None);
    });
}

/// Appends an ACK that says the entry was unusable.
pub(in crate::pulsar::consumer) fn put_error_ack(
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
pub(in crate::pulsar::consumer) fn put_redeliver(
    out: &mut BytesMut,
    consumer_id: u64,
    entries: &[EntryId],
) {
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
pub(in crate::pulsar::consumer) fn put_redeliver_all(
    out: &mut BytesMut,
    consumer_id: u64,
    epoch: u64,
) {
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
    use crate::{
        codec::protobuf::{Field, Reader},
        pulsar::proto,
    };
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
    }
}
