//! What the broker answers to a SEND: it was stored, or it was not.

use crate::{
    codec::protobuf::{Field, ProtobufError, Reader, take_short_bytes, take_uint},
    pulsar::proto::ServerError,
};

/// The field `highest_sequence_id` of what was no batch: -1.
const NO_HIGHEST: &[u8; 11] = b"\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";

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
        let highest_sequence_id = if body == NO_HIGHEST {
            body = &[];
            u64::MAX
        } else {
            take_uint(&mut body, 4)?
        };
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
    use prost::Message;

    use super::*;
    use crate::{
        codec::protobuf::{put_bytes, put_uint},
        pulsar::proto::MessageIdData,
    };

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
            let sent = body.len();
            for highest in [u64::MAX, sequence] {
                body.truncate(sent);
                put_uint(&mut body, 4, highest);
                expected.highest_sequence_id = highest;
                prop_assert_eq!(SendReceipt::decode_usual(&body), Some(expected));
            }
            put_uint(&mut body, 9, 1);
            prop_assert_eq!(SendReceipt::decode_usual(&body), None, "it has a field more");
            prop_assert_eq!(SendReceipt::decode(&body), Ok(expected));
        }
    }
}
