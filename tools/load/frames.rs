//! Frames of RFC 6455, and what is looked for in the service's texts.

use std::ops::Range;

use pulsar_ws_fast::codec::{
    mask::mask,
    protobuf::{Field, Reader},
};

use crate::{shared::id_hash, texts::decode_into};

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;
/// Beside the opcode: the message is compressed.
pub(crate) const COMPRESSED: u8 = 0x40;

/// A client must mask; with which key makes no difference to a server.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A whole frame at the beginning of some bytes.
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    /// The last one of its message.
    pub(crate) last: bool,
    pub(crate) compressed: bool,
    /// The payload; the frame ends with it.
    pub(crate) payload: Range<usize>,
}

/// The frame at the beginning of `bytes`, once it is whole.
pub(crate) fn next(bytes: &[u8]) -> Option<Frame> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (start, len): (usize, usize) = match second & 0x7f {
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
    let end = start.checked_add(len)?;
    (bytes.len() >= end).then_some(Frame {
        opcode: first & 0x0f,
        last: first & 0x80 != 0,
        compressed: first & COMPRESSED != 0,
        payload: start..end,
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
    let mut bytes = [0; 64];
    let len = decode_into(message_id, &mut bytes)?;
    let mut fields = Reader::new(bytes.get(..len)?);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_back_once_it_is_whole() {
        for len in [0, 1, 125, 126, 65535, 65536] {
            let mut out = Vec::new();
            put(&mut out, TEXT, &vec![b'x'; len]);
            // A server's frame is the same without a mask.
            out[1] &= 0x7f;
            let mask = out.len() - len - 4;
            out.drain(mask..mask + 4);
            let frame = next(&out).expect("whole");
            assert_eq!(
                (frame.opcode, frame.last, frame.compressed),
                (TEXT, true, false)
            );
            assert_eq!(frame.payload, out.len() - len..out.len());
            assert!(next(&out[..out.len() - 1]).is_none());
        }
        let endless = [&[0x81, 127][..], &[0xff; 8]].concat();
        assert!(next(&endless).is_none());
    }

    #[test]
    fn fields_and_ids_are_found_in_a_reply() {
        let reply = br#"{"result":"ok","messageId":"CAMQADAA","context":"12"}"#;
        assert_eq!(field(reply, b"\"context\":"), Some(&b"12"[..]));
        assert_eq!(field(reply, b"\"absent\":"), None);
        assert_eq!(hash_of(b"CAMQADAA"), Some(id_hash(3, 0)));
        assert_eq!(hash_of(b"!"), None);
        assert_eq!(hash_of(b""), None);
    }
}
