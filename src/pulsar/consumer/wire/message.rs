//! A MESSAGE command: which entry comes, and what the broker says about it.

use super::low_u32;
use crate::{
    codec::protobuf::{Field, Reader, take_short_bytes, take_uint},
    pulsar::{consumer::bits::Bits, message_id::EntryId},
};

/// The partition of a message whose topic has none.
const NO_PARTITION: [u8; 11] = *b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";

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
        Self::decode_usual(encoded).or_else(|| Self::decode_any(encoded))
    }

    /// As brokers write it: everything in order, and no ack set.
    fn decode_usual(encoded: &'a [u8]) -> Option<Self> {
        let mut rest = encoded;
        let consumer_id = take_uint(&mut rest, 1)?;
        let mut id = take_short_bytes(&mut rest, 2)?;
        let entry = EntryId {
            ledger: take_uint(&mut id, 1)?,
            entry: take_uint(&mut id, 2)?,
        };
        if id != NO_PARTITION {
            take_uint(&mut id, 3);
            if !id.is_empty() {
                return None;
            }
        }
        let redelivery_count = take_uint(&mut rest, 3).map_or(0, low_u32);
        let consumer_epoch = take_uint(&mut rest, 5);
        rest.is_empty().then_some(Self {
            consumer_id,
            entry,
            redelivery_count,
            consumer_epoch,
            encoded,
            has_ack_set: false,
        })
    }

    fn decode_any(encoded: &'a [u8]) -> Option<Self> {
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
    pub(in crate::pulsar::consumer) const fn encoded(&self) -> &'a [u8] {
        self.encoded
    }

    /// The messages of a batch of `size` that the broker means: all (`None`), or those whose bit is
    /// set, because the others are acknowledged.
    pub(in crate::pulsar::consumer) fn sent(&self, size: u32) -> Option<Bits> {
        self.has_ack_set
            .then(|| Bits::from_words(size, self.ack_set()))
    }

    /// How many messages of a batch of `size` the broker took permits for.
    pub(in crate::pulsar::consumer) fn sent_count(&self, size: u32) -> u32 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::protobuf::{put_bytes, put_uint};
    use proptest::prelude::*;

    #[test]
    fn a_message_command() {
        let encoded =
            b"\x08\x07\x12\x0f\x08\x03\x10\x09\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\
            \x18\x02\x20\x05\x28\x04";
        let command = MessageCommand::decode(encoded).unwrap();
        assert_eq!(command.consumer_id, 7);
        assert_eq!(
            command.entry,
            EntryId {
                ledger: 3,
                entry: 9
            }
        );
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

    proptest! {
        #[test]
        fn the_short_way_reads_what_the_long_one_reads(
            (consumer_id, ledger, number) in any::<(u64, u64, u64)>(),
            partition in prop::option::of(-1i64..5),
            (redelivered, epoch) in any::<(Option<u64>, Option<u64>)>(),
            extra in prop::option::of((1u32..9, any::<u64>())),
        ) {
            let mut id = Vec::new();
            put_uint(&mut id, 1, ledger);
            put_uint(&mut id, 2, number);
            if let Some(partition) = partition {
                put_uint(&mut id, 3, partition.cast_unsigned());
            }
            let mut encoded = Vec::new();
            put_uint(&mut encoded, 1, consumer_id);
            put_bytes(&mut encoded, 2, &id);
            for (field, value) in [(3, redelivered), (5, epoch)] {
                if let Some(value) = value {
                    put_uint(&mut encoded, field, value);
                }
            }
            let usual = MessageCommand::decode_usual(&encoded);
            prop_assert!(usual.is_some());
            prop_assert_eq!(usual, MessageCommand::decode_any(&encoded));
            if let Some((field, value)) = extra {
                put_uint(&mut encoded, field, value);
            }
            if let Some(usual) = MessageCommand::decode_usual(&encoded) {
                prop_assert_eq!(Some(usual), MessageCommand::decode_any(&encoded));
            }
        }

        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            if let Some(command) = MessageCommand::decode(&bytes) {
                let _ = (command.sent(100), command.sent_count(100));
            }
        }
    }
}
