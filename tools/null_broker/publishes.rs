//! SEND, field by field, and the messages in it.

use pulsar_ws_fast::{
    codec::protobuf::{Field, ProtobufError, Reader},
    pulsar::{
        payload::{Compression, Space},
        wire::Stored,
    },
};

use crate::shared::payloads::Payloads;

/// What a SEND says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Send {
    pub(crate) producer: u64,
    pub(crate) sequence: u64,
    /// Of a batch: its last message's.
    pub(crate) highest: Option<u64>,
    messages: Option<u64>,
}

/// Reads a SEND.
pub(crate) fn send(body: &[u8]) -> Result<Send, ProtobufError> {
    let mut send = Send::default();
    let mut fields = Reader::new(body);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Varint(id)) => send.producer = id,
            (2, Field::Varint(id)) => send.sequence = id,
            (3, Field::Varint(count)) => send.messages = Some(count),
            (6, Field::Varint(id)) => send.highest = Some(id),
            _ => {}
        }
    }
    Ok(send)
}

/// Parts of a `MessageMetadata`.
#[derive(Default)]
struct Metadata {
    compression: u64,
    uncompressed: u32,
    messages: Option<u64>,
}

fn metadata(bytes: &[u8]) -> Result<Metadata, ProtobufError> {
    let mut metadata = Metadata::default();
    let mut fields = Reader::new(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (8, Field::Varint(kind)) => metadata.compression = kind,
            (9, Field::Varint(size)) => {
                metadata.uncompressed = u32::try_from(size).unwrap_or(u32::MAX)
            }
            (11, Field::Varint(count)) => metadata.messages = Some(count),
            _ => {}
        }
    }
    Ok(metadata)
}

/// Looks at the messages behind SENDs.
pub(crate) struct Judge {
    space: Space,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) messages: u64,
    pub(crate) broken: u64,
    pub(crate) batch: bool,
}

impl Judge {
    pub(crate) fn new() -> Self {
        Self {
            space: Space::default(),
        }
    }

    /// How many messages there are, and how many are not those that are expected.
    pub(crate) fn judge(&mut self, send: &Send, rest: &[u8], payloads: &Payloads) -> Found {
        let told = send.messages.unwrap_or(1);
        let looked = Stored::parse(rest).and_then(|stored| self.look(stored, payloads));
        match looked {
            Some(found) if found.messages == told => found,
            _ => Found {
                messages: told,
                broken: told,
                batch: send.messages.is_some(),
            },
        }
    }

    fn look(&mut self, stored: Stored<'_>, payloads: &Payloads) -> Option<Found> {
        let metadata = metadata(stored.metadata).ok()?;
        let compression = Compression::from_wire(metadata.compression)?;
        let payload = self
            .space
            .decompress(compression, stored.payload, metadata.uncompressed)
            .ok()?;
        let Some(messages) = metadata.messages else {
            return Some(Found {
                messages: 1,
                broken: u64::from(!expected(payloads, payload)),
                batch: false,
            });
        };
        let (mut rest, mut broken) = (payload, 0);
        for _ in 0..messages {
            let (single, behind) = single(rest)?;
            broken += u64::from(!expected(payloads, single));
            rest = behind;
        }
        rest.is_empty().then_some(Found {
            messages,
            broken,
            batch: true,
        })
    }
}

/// The first message of a batch, and what is behind it.
fn single(batch: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, rest) = batch.split_first_chunk()?;
    let (metadata, rest) =
        rest.split_at_checked(usize::try_from(u32::from_be_bytes(*size)).ok()?)?;
    let mut fields = Reader::new(metadata);
    let mut bytes = None;
    while let Some(field) = fields.next().ok()? {
        if let (3, Field::Varint(size)) = field {
            bytes = usize::try_from(size).ok();
        }
    }
    rest.split_at_checked(bytes?)
}

/// Whether a payload is one of those that the load client publishes.
fn expected(payloads: &Payloads, payload: &[u8]) -> bool {
    payloads.sizes().contain(payload.len()) && payloads.of(payload.len()) == payload
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        deliveries::{Deliveries, DeliveryOptions},
        shared::sizes::Sizes,
    };

    /// What this broker delivers, it takes as a publish too.
    fn judged(words: &[&str], told: Option<u64>, spoil: impl Fn(&mut Vec<u8>)) -> Found {
        let payloads = Payloads::new(Sizes::Uniform(10, 20));
        let deliveries = Deliveries::new(&DeliveryOptions::of(words), &payloads, 1);
        let mut rest = deliveries.entry(0).to_vec();
        spoil(&mut rest);
        let send = Send {
            messages: told,
            ..Send::default()
        };
        Judge::new().judge(&send, &rest, &payloads)
    }

    #[test]
    fn messages_of_batches_are_counted_and_looked_at() {
        let fine = |messages, batch| Found {
            messages,
            broken: 0,
            batch,
        };
        assert_eq!(judged(&[], None, |_| ()), fine(1, false));
        assert_eq!(judged(&["--batch", "1"], Some(1), |_| ()), fine(1, true));
        for compression in ["none", "lz4", "zlib", "zstd", "snappy"] {
            let words = [
                "--batch",
                "7",
                "--compression",
                compression,
                "--keys",
                "3",
                "--property",
                "a=b",
            ];
            assert_eq!(judged(&words, Some(7), |_| ()), fine(7, true));
        }
    }

    #[test]
    fn what_is_not_whole_or_not_as_told_is_broken() {
        let broken = Found {
            messages: 7,
            broken: 7,
            batch: true,
        };
        let flip = |rest: &mut Vec<u8>| {
            if let Some(byte) = rest.last_mut() {
                *byte ^= 1;
            }
        };
        assert_eq!(judged(&["--batch", "7"], Some(7), flip), broken);
        assert_eq!(judged(&["--batch", "6"], Some(7), |_| ()), broken);
        assert_eq!(
            judged(&["--batch", "7"], Some(7), |rest| rest.truncate(9)),
            broken
        );
    }

    #[test]
    fn a_send_is_read() {
        let read = send(b"\x08\x05\x10\x07\x18\x03\x30\x09").expect("a send");
        let expected = Send {
            producer: 5,
            sequence: 7,
            highest: Some(9),
            messages: Some(3),
        };
        assert_eq!(read, expected);
        assert!(send(b"\x08").is_err());
    }
}
