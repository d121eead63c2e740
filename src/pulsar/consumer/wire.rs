//! What a consumer reads from the wire and writes to it.
//!
//! Read as views: a MESSAGE command, the metadata of an entry and of a message in a batch. Only the
//! fields a consumer acts on are decoded; strings and properties stay where they are, named by
//! ranges, so that a message can be found again after its entry was copied. Written by appending
//! whole frames, with the fields Java's `Commands` sets, in its order.

mod message;
mod metadata;
mod properties;
mod sealing;
mod write;

pub use self::message::MessageCommand;
pub(in crate::pulsar) use self::sealing::next_encryption_key;
pub(super) use self::{
    metadata::{ChunkOf, KeyKind, Metadata, Single},
    properties::{next_metadata_property, next_single_property},
    sealing::{Sealing, sealing_fields},
    write::{
        ValidationError, put_acks, put_cumulative_ack, put_error_ack, put_flow, put_redeliver,
        put_redeliver_all,
    },
};

/// A `uint32` of the wire; Java takes the low half of what is larger.
const fn low_u32(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
