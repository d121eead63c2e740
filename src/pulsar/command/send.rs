//! SEND: a message to be stored as an entry of its own.

use std::convert::Infallible;

use bytes::{BufMut, BytesMut};

use super::{
    SendHead,
    head::put_checksum,
    metadata::{self, compression_len, extra_len, pair_len, put_compression, put_extra},
    seal::Seal,
    usual::Usual,
};
use crate::{
    codec::protobuf::{bytes_len, put_bytes, put_uint, uint_len},
    pulsar::payload::Compression,
    session::{Payload, PayloadError, Publish},
};

/// A message to be stored as an entry of its own.
#[derive(Clone, Copy, Debug)]
pub struct Send<'a> {
    /// The producer, by our number.
    pub producer_id: u64,
    /// The producer's name.
    pub producer_name: &'a str,
    /// The message's number, an `int64` in two's complement.
    pub sequence_id: u64,
    /// Now, in milliseconds since the epoch.
    pub publish_time_ms: u64,
    /// Not to be delivered before then.
    pub deliver_at_ms: Option<i64>,
    /// How the payload will be written.
    pub compression: Compression,
    /// What is stored so that the payload can be decrypted.
    pub seal: Option<Seal<'a>>,
    /// What the client gave.
    pub publish: &'a Publish<'a>,
}

/// The sizes of a SEND's parts.
#[derive(Clone, Copy, Debug)]
pub struct SendLen {
    pub(super) head: usize,
    /// Of the metadata.
    pub metadata: usize,
    /// Of the payload.
    pub payload: usize,
    /// How it begins, if it begins as nearly all do.
    pub(super) usual: Option<Usual>,
}

impl SendLen {
    /// Of the whole frame.
    #[must_use]
    pub const fn frame(&self) -> usize {
        self.head + self.message()
    }

    /// Of what counts against the broker's limit.
    #[must_use]
    pub const fn message(&self) -> usize {
        self.metadata + self.payload
    }
}

impl Send<'_> {
    /// How large the frame will be, with a payload that long before it is encrypted.
    #[must_use]
    pub fn measure(&self, payload: usize) -> SendLen {
        let usual = Usual::of(self);
        let (head, identity) = match &usual {
            Some(usual) => (usual.head_len(), usual.identity_len(self.producer_name)),
            None => (self.head().head_len(), self.identity_len()),
        };
        SendLen {
            head,
            metadata: identity + self.metadata_len(),
            payload: payload + self.seal.as_ref().map_or(0, Seal::tag_len),
            usual,
        }
    }

    /// Appends the frame. The payload is decoded right into its place.
    ///
    /// # Errors
    /// The payload's encoding is broken; nothing was appended.
    pub fn put(&self, len: SendLen, out: &mut BytesMut) -> Result<(), PayloadError> {
        let Payload {
            encoded, decode, ..
        } = self.publish.payload;
        self.put_with(len, out, |out| decode(encoded, out))
    }

    /// Appends the frame with a payload that was compressed.
    pub fn put_compressed(&self, len: SendLen, compressed: &[u8], out: &mut BytesMut) {
        let put = self.put_with(len, out, |out| {
            out.put_slice(compressed);
            Ok::<(), Infallible>(())
        });
        let Ok(()) = put;
    }

    fn put_with<E>(
        &self,
        len: SendLen,
        out: &mut BytesMut,
        put_payload: impl FnOnce(&mut BytesMut) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = out.len();
        match &len.usual {
            Some(usual) => usual.put(self.producer_name, len, out),
            None => {
                self.head().put(len.metadata, len.payload, out);
                self.put_identity(out);
            }
        }
        self.put_properties(out);
        self.put_common(out);
        put_compression(self.compression, out);
        self.put_times(out);
        if let Some(seal) = &self.seal {
            seal.put(out);
        }
        self.put_rest(out);
        let payload_start = out.len();
        if let Err(error) = put_payload(out) {
            out.truncate(start);
            return Err(error);
        }
        if let Some(seal) = &self.seal {
            seal.encrypt(out, payload_start);
        }
        debug_assert_eq!(out.len(), start + len.frame(), "measured as written");
        put_checksum(len.head, &mut out[start..]);
        Ok(())
    }

    pub(super) fn head(&self) -> SendHead {
        SendHead {
            producer_id: self.producer_id,
            sequence_id: self.sequence_id,
            highest_sequence_id: None,
            messages: 1,
            is_chunk: self.is_chunk(),
        }
    }

    /// Of what [`Send::put_identity`] appends.
    pub(super) fn identity_len(&self) -> usize {
        bytes_len(metadata::PRODUCER_NAME, self.producer_name.len())
            + uint_len(metadata::SEQUENCE_ID, self.sequence_id)
            + uint_len(metadata::PUBLISH_TIME, self.publish_time_ms)
    }

    /// Of the rest of the metadata.
    fn metadata_len(&self) -> usize {
        use metadata::{
            DELIVER_AT_TIME, EVENT_TIME, PARTITION_KEY, PARTITION_KEY_B64_ENCODED, PROPERTIES,
            REPLICATE_TO, UNCOMPRESSED_SIZE,
        };
        let publish = self.publish;
        let mut len = compression_len(self.compression)
            + uint_len(UNCOMPRESSED_SIZE, self.uncompressed_size())
            + self.seal.as_ref().map_or(0, Seal::len);
        for (name, value) in publish.properties.pairs() {
            len += bytes_len(PROPERTIES, pair_len(name, value));
        }
        if let Some(key) = publish.key {
            len += bytes_len(PARTITION_KEY, key.len()) + uint_len(PARTITION_KEY_B64_ENCODED, 0);
        }
        for cluster in publish.replication_clusters.iter().flat_map(|c| c.iter()) {
            len += bytes_len(REPLICATE_TO, cluster.len());
        }
        if let Some(time) = publish.event_time_ms {
            len += uint_len(EVENT_TIME, time.cast_unsigned());
        }
        if let Some(time) = self.deliver_at_ms {
            len += uint_len(DELIVER_AT_TIME, time.cast_unsigned());
        }
        len + publish.extra.map_or(0, extra_len)
    }

    pub(super) fn is_chunk(&self) -> bool {
        self.publish
            .extra
            .is_some_and(|extra| extra.chunk.is_some())
    }

    /// The metadata comes in the order of field numbers. First, who sent it when.
    pub(in crate::pulsar) fn put_identity<B: BufMut>(&self, out: &mut B) {
        put_bytes(out, metadata::PRODUCER_NAME, self.producer_name.as_bytes());
        put_uint(out, metadata::SEQUENCE_ID, self.sequence_id);
        put_uint(out, metadata::PUBLISH_TIME, self.publish_time_ms);
    }

    /// Second, what belongs to this message alone, in a batch as well.
    pub(in crate::pulsar) fn put_properties<B: BufMut>(&self, out: &mut B) {
        metadata::put_properties(metadata::PROPERTIES, self.publish, out);
    }

    /// Third, what a batch has from its first message.
    pub(in crate::pulsar) fn put_common<B: BufMut>(&self, out: &mut B) {
        if let Some(key) = self.publish.key {
            put_bytes(out, metadata::PARTITION_KEY, key.as_bytes());
        }
        let clusters = self.publish.replication_clusters.iter();
        for cluster in clusters.flat_map(|clusters| clusters.iter()) {
            put_bytes(out, metadata::REPLICATE_TO, cluster);
        }
    }

    /// Of the whole content, where this is a part of it; what the client says, where it compressed and
    /// encrypted it, but for a size that is none.
    fn uncompressed_size(&self) -> u64 {
        if let Some(chunk) = self.publish.extra.and_then(|extra| extra.chunk) {
            return chunk.bytes as u64;
        }
        let sealed = self.publish.sealed.and_then(|sealed| sealed.compressed);
        sealed
            .and_then(|(_, size)| u64::try_from(size).ok())
            .filter(|&size| size > 0)
            .unwrap_or(self.publish.payload.len as u64)
    }

    /// Behind the compression.
    pub(in crate::pulsar) fn put_times<B: BufMut>(&self, out: &mut B) {
        put_uint(out, metadata::UNCOMPRESSED_SIZE, self.uncompressed_size());
        if let Some(time) = self.publish.event_time_ms {
            put_uint(out, metadata::EVENT_TIME, time.cast_unsigned());
        }
    }

    /// Last, behind the encryption. `partition_key_b64_encoded` is written although it is false,
    /// as Java's `TypedMessageBuilderImpl.key` sets it.
    pub(in crate::pulsar) fn put_rest<B: BufMut>(&self, out: &mut B) {
        let publish = self.publish;
        if publish.key.is_some() {
            let is_base64 = publish.extra.is_some_and(|extra| extra.key_is_base64);
            put_uint(
                out,
                metadata::PARTITION_KEY_B64_ENCODED,
                u64::from(is_base64),
            );
        }
        if let Some(key) = publish.extra.and_then(|extra| extra.ordering_key) {
            put_bytes(out, metadata::ORDERING_KEY, key);
        }
        if let Some(time) = self.deliver_at_ms {
            put_uint(out, metadata::DELIVER_AT_TIME, time.cast_unsigned());
        }
        if let Some(extra) = publish.extra {
            put_extra(extra, out);
        }
    }
}
