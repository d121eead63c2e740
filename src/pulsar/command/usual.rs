//! The beginning of a SEND as nearly all have it: a short name, and no number that is negative. It is put together on the
//! stack, from words.

use bytes::{BufMut, BytesMut};

use super::{
    TYPE,
    head::{CHECKSUM_LEN, METADATA_SIZE_LEN},
    metadata,
    send::{Send, SendLen},
};
use crate::{
    codec::protobuf::{Piece, ShortUint, WireType},
    pulsar::{
        proto::Kind,
        wire::{MAGIC_CHECKSUM, TOTAL_LEN},
    },
};

/// The numbers that differ from message to message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usual {
    producer_id: ShortUint,
    sequence_id: ShortUint,
    publish_time: ShortUint,
}

impl Usual {
    /// A name that brokers make up is no longer than that.
    const NAME_LEN_MAX: usize = 64;
    /// The sizes, and the fields around the producer's and the message's number.
    const BEFORE_IDS: usize = TOTAL_LEN + 4 + 4;
    const BEFORE_NAME: usize = CHECKSUM_LEN + METADATA_SIZE_LEN + 2;
    const LEN_MAX: usize =
        Self::BEFORE_IDS + Self::BEFORE_NAME + Self::NAME_LEN_MAX + 4 * size_of::<u64>();

    /// `None` where a message begins in another way.
    #[inline]
    pub(super) fn of(send: &Send<'_>) -> Option<Self> {
        if send.producer_name.len() > Self::NAME_LEN_MAX || send.is_chunk() {
            return None;
        }
        Some(Self {
            producer_id: ShortUint::new(1, send.producer_id)?,
            sequence_id: ShortUint::new(2, send.sequence_id)?,
            publish_time: ShortUint::new(3, send.publish_time_ms)?,
        })
    }

    /// Bytes up to the metadata.
    pub(super) const fn head_len(&self) -> usize {
        Self::BEFORE_IDS + self.body_len() + CHECKSUM_LEN + METADATA_SIZE_LEN
    }

    /// Bytes of the first three fields of the metadata.
    pub(super) const fn identity_len(&self, name: &str) -> usize {
        2 + name.len() + self.sequence_id.len() + self.publish_time.len()
    }

    /// Appends the head, and the first three fields of the metadata.
    pub(super) fn put(&self, name: &str, len: SendLen, out: &mut BytesMut) {
        const BYTES: u8 = WireType::Bytes as u8;
        const COMMAND: [u8; 3] = [
            tag(TYPE, WireType::Varint as u8),
            (Kind::Send as u32).to_le_bytes()[0],
            tag(Kind::Send as u32, BYTES),
        ];
        const NAME: u8 = tag(metadata::PRODUCER_NAME, BYTES);
        let [a, b, c, d] = size(len.frame() - TOTAL_LEN);
        let body_len = self.body_len();
        let [e, f, g, h] = size(COMMAND.len() + 1 + body_len);
        let [.., body_len] = size(body_len);
        let [k0, k1, k2] = COMMAND;
        let mut begin = Piece::<{ Self::LEN_MAX }>::new();
        begin.put(
            [a, b, c, d, e, f, g, h, k0, k1, k2, body_len],
            Self::BEFORE_IDS,
        );
        begin.put_uint(self.producer_id);
        begin.put_uint(self.sequence_id);
        let [m0, m1] = MAGIC_CHECKSUM;
        let [a, b, c, d] = size(len.metadata);
        let [.., name_len] = size(name.len());
        begin.put(
            [m0, m1, 0, 0, 0, 0, a, b, c, d, NAME, name_len],
            Self::BEFORE_NAME,
        );
        begin.put_slice(name.as_bytes());
        begin.put_uint(self.sequence_id);
        begin.put_uint(self.publish_time);
        out.put_slice(begin.as_slice());
    }

    const fn body_len(&self) -> usize {
        self.producer_id.len() + self.sequence_id.len()
    }
}

/// A tag of one byte.
const fn tag(field: u32, kind: u8) -> u8 {
    field.to_le_bytes()[0] << 3 | kind
}

/// A size as frames have it.
fn size(bytes: usize) -> [u8; 4] {
    debug_assert!(u32::try_from(bytes).is_ok(), "sizes are checked before");
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}
