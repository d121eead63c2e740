//! FLOW and ACK, field by field: they come with every message.

use pulsar_ws_fast::codec::protobuf::{Field, ProtobufError, Reader};

use crate::shared::id_hash;

/// Consumer and permits of a FLOW.
pub(crate) fn flow(body: &[u8]) -> Result<(u64, u64), ProtobufError> {
    let (mut consumer, mut permits) = (0, 0);
    let mut fields = Reader::new(body);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Varint(id)) => consumer = id,
            (2, Field::Varint(count)) => permits = count,
            _ => {}
        }
    }
    Ok((consumer, permits))
}

/// What an ACK says.
#[derive(Default)]
pub(crate) struct Acked {
    pub(crate) consumer: u64,
    pub(crate) request: Option<u64>,
    /// Whole entries.
    pub(crate) entries: u64,
    /// Parts of entries: single messages of a batch.
    pub(crate) parts: u64,
    /// Hashes of the message ids, added up.
    pub(crate) sum: u64,
}

/// Reads an ACK of entries.
pub(crate) fn ack(body: &[u8]) -> Result<Acked, ProtobufError> {
    let mut acked = Acked::default();
    let mut fields = Reader::new(body);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Varint(id)) => acked.consumer = id,
            (3, Field::Bytes(id)) => match message_id(id)? {
                (_, true) => acked.parts += 1,
                ((ledger, entry), false) => {
                    acked.entries += 1;
                    acked.sum = acked.sum.wrapping_add(id_hash(ledger, entry));
                }
            },
            (8, Field::Varint(id)) => acked.request = Some(id),
            _ => {}
        }
    }
    Ok(acked)
}

/// Ledger and entry, and whether only a part of it is meant: what is left of it is told.
fn message_id(bytes: &[u8]) -> Result<((u64, u64), bool), ProtobufError> {
    let (mut ledger, mut entry, mut part) = (0, 0, false);
    let mut fields = Reader::new(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Varint(value)) => ledger = value,
            (2, Field::Varint(value)) => entry = value,
            (5, Field::Varint(left)) => part |= left != 0,
            (5, Field::Bytes(left)) => part |= left.iter().any(|byte| *byte != 0),
            _ => {}
        }
    }
    Ok(((ledger, entry), part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_batches_do_not_count_as_entries() {
        // Consumer 1; (3, 4) whole; (3, 5) with something left; (3, 6) with nothing left; request 9.
        let body = b"\x08\x01\x10\x00\x1a\x04\x08\x03\x10\x04\x1a\x06\x08\x03\x10\x05\x28\x02\x1a\x06\x08\x03\x10\x06\x28\x00\x40\x09";
        let acked = ack(body).expect("an ack");
        assert_eq!((acked.consumer, acked.entries, acked.parts), (1, 2, 1));
        assert_eq!(acked.request, Some(9));
        assert_eq!(acked.sum, id_hash(3, 4).wrapping_add(id_hash(3, 6)));
    }
}
