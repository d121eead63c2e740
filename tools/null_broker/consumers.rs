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
    pub(crate) messages: u64,
    /// Hashes of the message ids, added up.
    pub(crate) sum: u64,
}

/// Reads an ACK.
pub(crate) fn ack(body: &[u8]) -> Result<Acked, ProtobufError> {
    let mut acked = Acked::default();
    let mut fields = Reader::new(body);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Varint(id)) => acked.consumer = id,
            (3, Field::Bytes(id)) => {
                let (ledger, entry) = message_id(id)?;
                acked.messages += 1;
                acked.sum = acked.sum.wrapping_add(id_hash(ledger, entry));
            }
            (8, Field::Varint(id)) => acked.request = Some(id),
            _ => {}
        }
    }
    Ok(acked)
}

fn message_id(bytes: &[u8]) -> Result<(u64, u64), ProtobufError> {
    let (mut ledger, mut entry) = (0, 0);
    let mut fields = Reader::new(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Varint(value)) => ledger = value,
            (2, Field::Varint(value)) => entry = value,
            _ => {}
        }
    }
    Ok((ledger, entry))
}
