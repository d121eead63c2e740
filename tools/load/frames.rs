//! Frames of RFC 6455, and what is looked for in the service's texts.

use std::ops::Range;

use pulsar_ws_fast::codec::{
    base64,
    mask::mask,
    protobuf::{Field, Reader},
};

use crate::shared::id_hash;

pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
/// Beside the opcode: the message is compressed.
pub(crate) const COMPRESSED: u8 = 0x40;

/// A client must mask; with which key makes no difference to a server.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A whole frame at the beginning of some bytes.
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) compressed: bool,
    /// The payload; the frame ends with it.
    pub(crate) payload: Range<usize>,
}

/// The frame at the beginning of `bytes`, once it is whole.
pub(crate) fn next(bytes: &[u8]) -> Option<Frame> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (start, len) = match second & 0x7f {
        126 => {
            let len = bytes.get(2..4)?.try_into().ok()?;
            (4, usize::from(u16::from_be_bytes(len)))
        }
        127 => {
            let len = bytes.get(2..10)?.try_into().ok()?;
            (10, usize::try_from(u64::from_be_bytes(len)).ok()?)
        }
        len => (2, usize::from(len)),
    };
    (bytes.len() >= start + len).then_some(Frame {
        opcode: first & 0x0f,
        compressed: first & COMPRESSED != 0,
        payload: start..start + len,
    })
}

/// Appends a masked frame.
pub(crate) fn put(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    match payload.len() {
        len @ 0..126 => out.push(0x80 | len.to_le_bytes()[0]),
        len => match u16::try_from(len) {
            Ok(len) => {
                out.push(0x80 | 126);
                out.extend_from_slice(&len.to_be_bytes());
            }
            Err(_) => {
                out.push(0x80 | 127);
                out.extend_from_slice(&(len as u64).to_be_bytes());
            }
        },
    }
    out.extend_from_slice(&MASK);
    let start = out.len();
    out.extend_from_slice(payload);
    mask(&mut out[start..], MASK);
}

/// The text of a field whose name, quotes and colon are `key`.
pub(crate) fn field<'t>(text: &'t [u8], key: &[u8]) -> Option<&'t [u8]> {
    let start = memchr::memmem::find(text, key)? + key.len();
    let value = text[start..].strip_prefix(b"\"")?;
    Some(&value[..memchr::memchr(b'"', value)?])
}

/// The hash of a message id as clients see it.
pub(crate) fn hash_of(message_id: &[u8]) -> Option<u64> {
    let bytes = base64::decode_vec(message_id).ok()?;
    let mut fields = Reader::new(&bytes);
    let (mut ledger, mut entry) = (None, None);
    while let Some(field) = fields.next().ok()? {
        match field {
            (1, Field::Varint(value)) => ledger = Some(value),
            (2, Field::Varint(value)) => entry = Some(value),
            _ => {}
        }
    }
    Some(id_hash(ledger?, entry?))
}
