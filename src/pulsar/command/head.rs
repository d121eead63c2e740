//! The head of a SEND: its command, and what stands between it and the metadata.

use bytes::BufMut;

use super::{TYPE, put_u32};
use crate::{
    codec::{
        crc32c::crc32c,
        protobuf::{bytes_len, put_bytes_header, put_uint, uint_len},
    },
    pulsar::{
        proto::Kind,
        wire::{MAGIC_CHECKSUM, TOTAL_LEN},
    },
};

/// Bytes of the checksum with its magic, and of the metadata's size.
pub(super) const CHECKSUM_LEN: usize = 2 + 4;
pub(super) const METADATA_SIZE_LEN: usize = 4;

/// The command of a SEND, and what stands between it and the metadata.
#[derive(Clone, Copy, Debug)]
pub struct SendHead {
    /// The producer, by our number.
    pub producer_id: u64,
    /// The (first) message's number, an `int64` in two's complement.
    pub sequence_id: u64,
    /// Of a batch, the last message's number.
    pub highest_sequence_id: Option<u64>,
    /// How many messages there are.
    pub messages: u32,
    /// It is a part of a message.
    pub is_chunk: bool,
}

impl SendHead {
    const KIND: u64 = Kind::Send as u64;
    const NUMBER: u32 = Kind::Send as u32;
    const NUM_MESSAGES: u32 = 3;
    const HIGHEST_SEQUENCE_ID: u32 = 6;
    const IS_CHUNK: u32 = 7;

    /// Bytes up to the metadata.
    #[must_use]
    pub const fn head_len(&self) -> usize {
        TOTAL_LEN + 4 + self.command_len(self.body_len()) + CHECKSUM_LEN + METADATA_SIZE_LEN
    }

    /// Appends it. The checksum is filled in by [`SendHead::put_checksum`].
    pub fn put<B: BufMut>(&self, metadata_len: usize, payload_len: usize, out: &mut B) {
        let body_len = self.body_len();
        let frame_len = self.head_len() + metadata_len + payload_len;
        put_u32(out, frame_len - TOTAL_LEN);
        put_u32(out, self.command_len(body_len));
        put_uint(out, TYPE, Self::KIND);
        put_bytes_header(out, Self::NUMBER, body_len);
        put_uint(out, 1, self.producer_id);
        put_uint(out, 2, self.sequence_id);
        if self.messages > 1 {
            put_uint(out, Self::NUM_MESSAGES, self.messages.into());
        }
        if let Some(highest) = self.highest_sequence_id {
            put_uint(out, Self::HIGHEST_SEQUENCE_ID, highest);
        }
        if self.is_chunk {
            put_uint(out, Self::IS_CHUNK, 1);
        }
        out.put_slice(&MAGIC_CHECKSUM);
        out.put_u32(0);
        put_u32(out, metadata_len);
    }

    /// Fills in the checksum of a frame that is otherwise whole.
    pub fn put_checksum(&self, frame: &mut [u8]) {
        put_checksum(self.head_len(), frame);
    }

    const fn body_len(&self) -> usize {
        let mut len = uint_len(1, self.producer_id) + uint_len(2, self.sequence_id);
        if self.messages > 1 {
            len += uint_len(Self::NUM_MESSAGES, self.messages as u64);
        }
        if let Some(highest) = self.highest_sequence_id {
            len += uint_len(Self::HIGHEST_SEQUENCE_ID, highest);
        }
        if self.is_chunk {
            len += uint_len(Self::IS_CHUNK, 1);
        }
        len
    }

    const fn command_len(&self, body_len: usize) -> usize {
        uint_len(TYPE, Self::KIND) + bytes_len(Self::NUMBER, body_len)
    }
}

/// Fills in the checksum of a frame whose head is that long.
pub(super) fn put_checksum(head_len: usize, frame: &mut [u8]) {
    let (head, covered) = frame.split_at_mut(head_len - METADATA_SIZE_LEN);
    let at = head.len() - 4;
    head[at..].copy_from_slice(&crc32c(covered).to_be_bytes());
}
