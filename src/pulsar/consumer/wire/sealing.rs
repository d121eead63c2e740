//! How an entry is encrypted: read only if it is.

use super::properties::{next_field, next_key_property};
use crate::{
    codec::protobuf::{Field, Reader},
    pulsar::message_id::natural,
    session::{Key, Properties},
};

/// How an entry is encrypted, but for its keys: what is read of a `MessageMetadata` only if it is.
#[derive(Debug, Default)]
pub(in crate::pulsar::consumer) struct Sealing<'a> {
    pub(in crate::pulsar::consumer) param: Option<&'a [u8]>,
    pub(in crate::pulsar::consumer) algorithm: Option<&'a [u8]>,
    pub(in crate::pulsar::consumer) batch_size: Option<u32>,
}

impl<'a> Sealing<'a> {
    pub(in crate::pulsar::consumer) fn read(encoded: &'a [u8]) -> Self {
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
pub(in crate::pulsar::consumer) fn sealing_fields(encoded: &[u8]) -> Vec<u8> {
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
