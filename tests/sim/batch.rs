//! Entries as other producers in the world make them: batched, compressed, or neither.

use std::io::{Read, Write};

use prost::Message;

use super::{
    broker::Broker,
    rng::Rng,
    topic::{CHECKSUM_MISMATCH, Content, DECOMPRESSION_ERROR, Entry},
    wire::{Body, KeyValue, MessageMetadata, SingleMessageMetadata, Style},
};

impl Broker {
    /// Puts one entry into a topic, as somebody else's producer would.
    pub(crate) fn put_entry(
        &mut self,
        index: usize,
        mut messages: Vec<Content>,
        corruption: Option<i32>,
        rng: &mut Rng,
    ) {
        if corruption.is_some() {
            messages.truncate(1);
        }
        for content in &mut messages {
            content.is_null = rng.one_in(10);
            if content.is_null {
                content.payload.clear();
            }
        }
        let batched = messages.len() > 1 || (rng.one_in(4) && corruption.is_none());
        let (key, properties) = match &*messages {
            [one] if !batched => (one.key.clone(), pairs(one)),
            _ => (None, Vec::new()),
        };
        let plain = if batched {
            batch(&messages)
        } else {
            messages[0].payload.clone()
        };
        let compression = i32::try_from(rng.below(5)).expect("small");
        let (compression, compressed) = match corruption {
            Some(DECOMPRESSION_ERROR) => (1, vec![0xff; 7]),
            _ => (compression, compress(compression, &plain)),
        };
        let topic = &mut self.topics[index];
        let id = topic.next_id();
        let metadata = MessageMetadata {
            producer_name: "somebody-else".into(),
            sequence_id: topic.entries.len() as u64,
            publish_time: self.wall_ms,
            properties,
            partition_key: key,
            compression: (compression > 0).then_some(compression),
            uncompressed_size: Some(u32::try_from(plain.len()).expect("small")),
            num_messages_in_batch: batched.then(|| i32::try_from(messages.len()).expect("small")),
            event_time: if batched {
                None
            } else {
                messages[0].event_time
            },
            null_value: (!batched && messages[0].is_null).then_some(true),
            ..MessageMetadata::default()
        };
        topic.entries.push(Entry {
            id,
            body: Body {
                style: match corruption {
                    Some(CHECKSUM_MISMATCH) => Style::Checked,
                    _ => *rng.pick(&[Style::Checked, Style::Unchecked, Style::Annotated]),
                },
                metadata: metadata.encode_to_vec(),
                payload: compressed,
            },
            messages,
            batched,
            publish_time: self.wall_ms,
            corruption,
        });
    }
}

fn pairs(content: &Content) -> Vec<KeyValue> {
    let pair = |(key, value): (&String, &String)| KeyValue {
        key: key.clone(),
        value: value.clone(),
    };
    content.properties.iter().map(pair).collect()
}

fn batch(messages: &[Content]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, content) in messages.iter().enumerate() {
        let metadata = SingleMessageMetadata {
            properties: pairs(content),
            partition_key: content.key.clone(),
            payload_size: i32::try_from(content.payload.len()).expect("small"),
            event_time: content.event_time,
            sequence_id: Some(index as u64),
            null_value: content.is_null.then_some(true),
        }
        .encode_to_vec();
        let len = u32::try_from(metadata.len()).expect("small");
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(&metadata);
        bytes.extend_from_slice(&content.payload);
    }
    bytes
}

/// Pulsar's numbers: none, LZ4, ZLIB, ZSTD, SNAPPY.
fn compress(kind: i32, plain: &[u8]) -> Vec<u8> {
    match kind {
        1 => lz4_flex::block::compress(plain),
        2 => {
            let level = flate2::Compression::default();
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(plain).expect("into memory");
            encoder.finish().expect("into memory")
        }
        3 => zstd::bulk::compress(plain, 3).expect("into memory"),
        4 => snap::raw::Encoder::new()
            .compress_vec(plain)
            .expect("small"),
        _ => plain.to_vec(),
    }
}

/// What [`compress`] does, undone.
pub(crate) fn decompress(kind: i32, compressed: &[u8], size: usize) -> Vec<u8> {
    let plain = match kind {
        1 => lz4_flex::block::decompress(compressed, size).expect("LZ4"),
        2 => {
            let mut plain = Vec::new();
            let mut decoder = flate2::read::ZlibDecoder::new(compressed);
            decoder.read_to_end(&mut plain).expect("ZLIB");
            plain
        }
        3 => zstd::bulk::decompress(compressed, size).expect("ZSTD"),
        4 => snap::raw::Decoder::new()
            .decompress_vec(compressed)
            .expect("SNAPPY"),
        _ => panic!("compression {kind}"),
    };
    assert_eq!(plain.len(), size, "as large as is told");
    plain
}
