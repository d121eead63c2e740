//! A publish and a delivery, as the benches of single layers give them to be written, and frames that a client compressed.

#![allow(dead_code, reason = "each bench needs a part")]

use bytes::{BufMut, BytesMut};
use flate2::{Compress, Compression, FlushCompress};
use pulsar_ws_fast::{
    session::{Deliver, Delivery, MessageId, Payload, PayloadError, Properties, Publish, Strings},
    ws::frame::{Header, Opcode},
};

/// With a key and a property; its payload is copied as it is.
pub(crate) fn publish(payload: &[u8]) -> Publish<'_> {
    fn copy(encoded: &[u8], out: &mut BytesMut) -> Result<(), PayloadError> {
        out.put_slice(encoded);
        Ok(())
    }
    Publish {
        payload: Payload {
            encoded: payload,
            len: payload.len(),
            decode: copy,
        },
        context: None,
        key: Some("key"),
        properties: Strings {
            text: b"namevalue",
            ends: &[4, 9],
        },
        replication_clusters: None,
        event_time_ms: None,
        deliver: Deliver::Now,
        extra: None,
        sealed: None,
    }
}

/// With a property.
pub(crate) fn delivery(payload: &[u8]) -> Delivery<'_> {
    Delivery {
        message_id: message_id(),
        payload: Some(payload),
        properties: Properties {
            encoded: &[0, 1],
            next: |encoded| {
                let (_, rest) = encoded.split_first()?;
                *encoded = rest;
                Some((b"key", b"value"))
            },
        },
        publish_time_ms: 1_637_510_905_917,
        event_time_ms: None,
        arrived: Default::default(),
        redelivery_count: 0,
        encryption: None,
        key: None,
    }
}

/// A small one, as brokers give them.
pub(crate) fn message_id() -> MessageId {
    MessageId::new(&[8, 3, 16, 0, 48, 0]).expect("short")
}

/// So many frames of `text`, compressed by zlib at `level` as a client does it, and masked by nothing.
pub(crate) fn compressed_frames(text: &[u8], level: u32, messages: usize) -> Vec<u8> {
    let mut compressed = Vec::with_capacity(2 * text.len());
    Compress::new(Compression::new(level), false)
        .compress_vec(text, &mut compressed, FlushCompress::Sync)
        .expect("compresses");
    compressed.truncate(compressed.len() - 4);
    let header = Header {
        fin: true,
        opcode: Opcode::Text,
        compressed: true,
        mask: Some([0; 4]),
        payload_bytes: compressed.len() as u64,
    };
    let mut frames = Vec::new();
    for _ in 0..messages {
        header.encode(&mut frames);
        frames.extend_from_slice(&compressed);
    }
    frames
}
