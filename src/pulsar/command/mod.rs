//! Commands written by appending and read field by field: the hot ones by hand, the rare ones from
//! their structs in `proto/`.
//!
//! SEND is written in the field order and with the presence of the Java client, so that the same
//! message gives the same bytes. Sizes are known before anything is written; only the checksum is
//! filled in behind.

mod head;
pub(super) mod metadata;
mod receipt;
mod seal;
mod send;
#[cfg(test)]
mod tests;
mod usual;

use bytes::{BufMut, BytesMut};
use prost::Message;

use super::proto::Kind;
use crate::codec::protobuf::{bytes_len, put_bytes_header, put_uint, uint_len};

pub use head::SendHead;
pub use receipt::{SendError, SendReceipt};
pub use seal::{Seal, put_encryption_key};
pub use send::{Send, SendLen};

/// `BaseCommand.type`.
const TYPE: u32 = 1;

/// Appends a frame with one of the rare commands.
pub fn put_command(out: &mut BytesMut, kind: Kind, command: &impl Message) {
    let body_len = command.encoded_len();
    put_command_header(out, kind, body_len);
    // Appending to a buffer that grows can't fail.
    let _ = command.encode(out);
}

/// Appends the head of a frame that holds a command and nothing else; its body follows.
fn put_command_header(out: &mut BytesMut, kind: Kind, body_len: usize) {
    let (kind, number) = (kind as u64, kind as u32);
    let command_len = uint_len(TYPE, kind) + bytes_len(number, body_len);
    put_u32(out, 4 + command_len);
    put_u32(out, command_len);
    put_uint(out, TYPE, kind);
    put_bytes_header(out, number, body_len);
}

/// Appends a size as frames have it.
pub(super) fn put_u32<B: BufMut>(out: &mut B, size: usize) {
    debug_assert!(u32::try_from(size).is_ok(), "sizes are checked before");
    out.put_u32(u32::try_from(size).unwrap_or(u32::MAX));
}
/// Whether a SEND frame that was written still has its checksum.
#[must_use]
pub fn is_intact(frame: &[u8]) -> bool {
    super::wire::Frame::parse(frame)
        .ok()
        .and_then(|frame| super::wire::Stored::parse(frame.rest))
        .is_some()
}
