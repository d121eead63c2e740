//! Message ids: `MessageIdData` read from any encoding, written as the Java client writes it.
//!
//! An id names an entry (ledger and number), perhaps the partition it came from, and perhaps one
//! message of a batch. Above this folder it is opaque bytes. What an id means to a subscription is
//! the consumer's business; here it is only read and written.

use crate::{
    codec::protobuf::{Field, Reader, take_uint, uint_len},
    session::{BadMessageId, MessageId},
};

/// An entry of a topic, in the order of the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// The ledger it lies in.
    pub ledger: u64,
    /// Its number there.
    pub entry: u64,
}

/// A message id taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PulsarId {
    /// The entry.
    pub entry: EntryId,
    /// The partition it came from, unless the topic has none.
    pub partition: Option<u32>,
    /// Which message of a batch; `None` for an entry that is one message.
    pub batch_index: Option<u32>,
    /// Messages in the batch; 0 when there is none, and in ids made by a producer, which does not
    /// know the size when it hands the id out.
    pub batch_size: u32,
    /// Of a message in parts, of which `entry` is the last one.
    pub first_chunk: Option<EntryId>,
}

impl PulsarId {
    /// Reads any encoding that has the ledger and the entry, old ones without the batch size too.
    ///
    /// # Errors
    /// The bytes are no `MessageIdData`, or lack one of the two.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadMessageId> {
        Self::decode_usual(bytes).map_or_else(|| Self::decode_any(bytes), Ok)
    }

    /// As it is written here, with no parts: every field in order, and small numbers.
    fn decode_usual(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let entry = EntryId {
            ledger: take_uint(&mut rest, 1)?,
            entry: take_uint(&mut rest, 2)?,
        };
        let partition = take_uint(&mut rest, 3);
        let batch_index = take_uint(&mut rest, 4);
        let batch_size = take_uint(&mut rest, 6);
        rest.is_empty().then(|| Self {
            entry,
            partition: partition.and_then(natural),
            batch_index: batch_index.and_then(natural),
            batch_size: batch_size.and_then(natural).unwrap_or(0),
            first_chunk: None,
        })
    }

    fn decode_any(bytes: &[u8]) -> Result<Self, BadMessageId> {
        let (mut ledger, mut entry) = (None, None);
        let (mut partition, mut batch_index, mut batch_size) = (None, None, 0);
        let mut first_chunk = None;
        let mut fields = Reader::new(bytes);
        while let Some((number, field)) = fields.next().map_err(|_| BadMessageId)? {
            let value = match field {
                Field::Varint(value) => value,
                Field::Bytes(id) if number == 7 => {
                    first_chunk = decode_entry(id);
                    continue;
                }
                _ => continue,
            };
            match number {
                1 => ledger = Some(value),
                2 => entry = Some(value),
                3 => partition = natural(value),
                4 => batch_index = natural(value),
                6 => batch_size = natural(value).unwrap_or(0),
                _ => {}
            }
        }
        let (Some(ledger), Some(entry)) = (ledger, entry) else {
            return Err(BadMessageId);
        };
        Ok(Self {
            entry: EntryId { ledger, entry },
            partition,
            batch_index,
            batch_size,
            first_chunk,
        })
    }

    /// Writes what Java's `MessageIdImpl.toByteArray` writes: the partition and the batch index only
    /// when there is one, the batch size always.
    #[must_use]
    pub fn encode(&self) -> MessageId {
        let mut id = Encoded::default();
        id.put(1, self.entry.ledger);
        id.put(2, self.entry.entry);
        if let Some(partition) = self.partition {
            id.put(3, u64::from(partition));
        }
        if let Some(index) = self.batch_index {
            id.put(4, u64::from(index));
        }
        id.put(6, u64::from(self.batch_size));
        if let Some(first) = self.first_chunk {
            let partition = self.partition.map(u64::from);
            let len = uint_len(1, first.ledger)
                + uint_len(2, first.entry)
                + partition.map_or(0, |partition| uint_len(3, partition))
                + uint_len(6, 0);
            id.put_bytes([7 << 3 | 2, u8::try_from(len).unwrap_or_default()]);
            id.put(1, first.ledger);
            id.put(2, first.entry);
            if let Some(partition) = partition {
                id.put(3, partition);
            }
            id.put(6, 0);
        }
        MessageId::whole(id.bytes, id.len)
    }
}

/// An id being written, in room enough for the longest one.
struct Encoded {
    bytes: [u8; MessageId::BYTES_MAX],
    len: usize,
}

impl Default for Encoded {
    fn default() -> Self {
        Self {
            bytes: [0; MessageId::BYTES_MAX],
            len: 0,
        }
    }
}

impl Encoded {
    /// A number, whose field is below 16.
    #[inline]
    fn put(&mut self, field: u8, value: u64) {
        let mut rest = value;
        let mut before = field << 3;
        while rest >= 0x80 {
            self.put_bytes([before]);
            before = rest.to_le_bytes()[0] | 0x80;
            rest >>= 7;
        }
        self.put_bytes([before, rest.to_le_bytes()[0]]);
    }

    #[inline]
    fn put_bytes<const N: usize>(&mut self, bytes: [u8; N]) {
        let place = self.bytes.get_mut(self.len..self.len + N);
        debug_assert!(place.is_some(), "an id fits");
        if let Some(place) = place {
            place.copy_from_slice(&bytes);
            self.len += N;
        }
    }
}

/// The ledger and the entry of an id within an id; `None` if it lacks one.
fn decode_entry(bytes: &[u8]) -> Option<EntryId> {
    let (mut ledger, mut entry) = (None, None);
    let mut fields = Reader::new(bytes);
    while let Ok(Some((number, field))) = fields.next() {
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

/// An `int32` of the wire, which is sign-extended to 64 bits; `None` when negative, the way these
/// messages say "none".
pub(super) fn natural(value: u64) -> Option<u32> {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::try_from(i32::from_le_bytes([a, b, c, d])).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::protobuf::put_uint;
    use proptest::prelude::*;

    fn id(ledger: u64, entry: u64) -> PulsarId {
        PulsarId {
            entry: EntryId { ledger, entry },
            partition: None,
            batch_index: None,
            batch_size: 0,
            first_chunk: None,
        }
    }

    /// What the Java service answers, seen on the wire.
    #[test]
    fn golden_ids() {
        let golden: [(PulsarId, &[u8]); 4] = [
            (id(3, 0), b"\x08\x03\x10\x00\x30\x00"),
            (
                PulsarId {
                    partition: Some(2),
                    ..id(27, 0)
                },
                b"\x08\x1b\x10\x00\x18\x02\x30\x00",
            ),
            (
                PulsarId {
                    batch_index: Some(1),
                    batch_size: 3,
                    ..id(30, 0)
                },
                b"\x08\x1e\x10\x00\x20\x01\x30\x03",
            ),
            (
                PulsarId {
                    batch_index: Some(1),
                    ..id(30, 0)
                },
                b"\x08\x1e\x10\x00\x20\x01\x30\x00",
            ),
        ];
        for (id, bytes) in golden {
            assert_eq!(id.encode().as_bytes(), bytes);
            assert_eq!(PulsarId::decode(bytes), Ok(id));
        }
    }

    #[test]
    fn any_encoding_with_ledger_and_entry_is_accepted() {
        assert_eq!(PulsarId::decode(b"\x08\x03\x10\x00"), Ok(id(3, 0)));
        assert_eq!(PulsarId::decode(b"\x10\x00\x08\x03"), Ok(id(3, 0)));
        let minus_one = b"\x08\x03\x10\x00\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\
            \x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert_eq!(PulsarId::decode(minus_one), Ok(id(3, 0)));
        let chunked = b"\x08\x41\x10\x04\x30\x00\x3a\x06\x08\x41\x10\x02\x30\x00";
        let joined = PulsarId {
            first_chunk: Some(id(0x41, 2).entry),
            ..id(0x41, 4)
        };
        assert_eq!(PulsarId::decode(chunked), Ok(joined));
        assert_eq!(joined.encode().as_bytes(), chunked);
        let no_id = b"\x08\x41\x10\x04\x3a\x02\x08\x41";
        assert_eq!(PulsarId::decode(no_id), Ok(id(0x41, 4)));
    }

    #[test]
    fn others_are_refused() {
        for bytes in [
            &b""[..],
            b"\x08\x03",
            b"\x10\x00",
            b"\x08\x03\x10",
            b"\x0a\x01a\x10\x00",
            b"hello",
        ] {
            assert_eq!(PulsarId::decode(bytes), Err(BadMessageId), "{bytes:02x?}");
        }
    }

    #[test]
    fn the_longest_id_fits() {
        let longest = PulsarId {
            entry: EntryId {
                ledger: u64::MAX,
                entry: u64::MAX,
            },
            partition: Some(u32::MAX >> 1),
            batch_index: Some(u32::MAX >> 1),
            batch_size: u32::MAX >> 1,
            first_chunk: Some(EntryId {
                ledger: u64::MAX,
                entry: u64::MAX,
            }),
        };
        assert_eq!(PulsarId::decode(longest.encode().as_bytes()), Ok(longest));
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(
            ledger: u64, entry: u64, shift in 0..64, partition: Option<u16>, index: Option<u16>, size: u16
        ) {
            let (ledger, entry) = (ledger >> shift, entry >> shift);
            let id = PulsarId {
                entry: EntryId { ledger, entry },
                partition: partition.map(u32::from),
                batch_index: index.map(u32::from),
                batch_size: u32::from(size),
                first_chunk: None,
            };
            prop_assert_eq!(PulsarId::decode_usual(id.encode().as_bytes()), Some(id));
            prop_assert_eq!(PulsarId::decode_any(id.encode().as_bytes()), Ok(id));
        }

        #[test]
        fn the_short_way_reads_what_the_long_one_reads(fields in prop::collection::vec((1u32..8, any::<u64>()), 0..5)) {
            let mut bytes = Vec::new();
            for (field, value) in fields {
                put_uint(&mut bytes, field, value);
            }
            if let Some(id) = PulsarId::decode_usual(&bytes) {
                prop_assert_eq!(PulsarId::decode_any(&bytes), Ok(id));
            }
        }

        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let _ = PulsarId::decode(&bytes);
        }
    }
}
