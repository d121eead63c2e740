//! What is delivered: entries made once, at the beginning, and told again and again.

use clap::{Args, ValueEnum};
use pulsar_ws_fast::{
    codec::protobuf::{put_bytes, put_uint},
    pulsar::payload::{Compression, Compressor},
};

use crate::{
    answers::stored,
    shared::{payloads::Payloads, random::Random},
};

/// Different entries, at most: in number, ...
const ENTRIES_MAX: usize = 256;
/// ... and in bytes, if there is more than one.
const BYTES_MAX: usize = 64 << 20;
/// 2026-01-01T00:00:00Z; nothing hangs on it.
const PUBLISH_TIME_MS: u64 = 1_767_225_600_000;

/// What delivered messages are like.
#[derive(Args, Clone, Debug)]
pub(crate) struct DeliveryOptions {
    /// Deliver batches of so many messages; 0: no batches
    #[arg(long, value_name = "MESSAGES", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=10_000))]
    batch: u16,
    /// Compress what is delivered
    #[arg(long, value_enum, default_value_t = Codec::None)]
    compression: Codec,
    /// Property of every delivery; may be repeated
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = pair)]
    properties: Vec<(String, String)>,
    /// Give deliveries one of so many keys, by chance
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    keys: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Codec {
    None,
    Lz4,
    Zlib,
    Zstd,
    Snappy,
}

/// Numbers of fields: of `MessageMetadata`, or else of `SingleMessageMetadata`.
struct Fields {
    properties: u32,
    key: u32,
}

const WHOLE: Fields = Fields {
    properties: 4,
    key: 6,
};
const SINGLE: Fields = Fields {
    properties: 1,
    key: 2,
};

pub(crate) struct Deliveries {
    entries: Vec<Vec<u8>>,
    /// In each entry.
    pub(crate) messages: u64,
}

impl Deliveries {
    pub(crate) fn new(options: &DeliveryOptions, payloads: &Payloads, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let sizes = payloads.sizes();
        let alike = options.keys == 0 && sizes.least() == sizes.most();
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while entries.is_empty() || (!alike && entries.len() < ENTRIES_MAX && bytes < BYTES_MAX) {
            let entry = options.entry(payloads, &mut random);
            bytes += entry.len();
            entries.push(entry);
        }
        Self {
            entries,
            messages: u64::from(options.batch.max(1)),
        }
    }

    /// What stands behind the MESSAGE command of the entry of that number.
    pub(crate) fn entry(&self, number: u64) -> &[u8] {
        let at = usize::try_from(number).unwrap_or(0) % self.entries.len();
        &self.entries[at]
    }
}

impl DeliveryOptions {
    fn entry(&self, payloads: &Payloads, random: &mut Random) -> Vec<u8> {
        let mut metadata = Vec::new();
        put_bytes(&mut metadata, 1, b"null-broker");
        put_uint(&mut metadata, 2, 0);
        put_uint(&mut metadata, 3, PUBLISH_TIME_MS);
        let mut content = Vec::new();
        for _ in 0..self.batch {
            let payload = payloads.of(payloads.sizes().draw(random));
            let mut single = Vec::new();
            self.describe(&mut single, &SINGLE, random);
            put_uint(&mut single, 3, payload.len() as u64);
            content.extend_from_slice(&u32::try_from(single.len()).unwrap_or(0).to_be_bytes());
            content.extend_from_slice(&single);
            content.extend_from_slice(payload);
        }
        if self.batch == 0 {
            self.describe(&mut metadata, &WHOLE, random);
            content.extend_from_slice(payloads.of(payloads.sizes().draw(random)));
        }
        let codec = self.codec();
        let mut compressor = Compressor::default();
        let content = match compressor.compress(codec, &content) {
            Some(compressed) if codec != Compression::None => {
                put_uint(&mut metadata, 8, codec.to_wire());
                put_uint(&mut metadata, 9, content.len() as u64);
                compressed
            }
            _ => &content,
        };
        if self.batch > 0 {
            put_uint(&mut metadata, 11, u64::from(self.batch));
        }
        stored(&metadata, content)
    }

    /// Properties and key.
    fn describe(&self, metadata: &mut Vec<u8>, fields: &Fields, random: &mut Random) {
        for (name, value) in &self.properties {
            let mut pair = Vec::new();
            put_bytes(&mut pair, 1, name.as_bytes());
            put_bytes(&mut pair, 2, value.as_bytes());
            put_bytes(metadata, fields.properties, &pair);
        }
        if self.keys > 0 {
            let key = format!("key-{}", random.below(self.keys));
            put_bytes(metadata, fields.key, key.as_bytes());
        }
    }

    fn codec(&self) -> Compression {
        match self.compression {
            Codec::None => Compression::None,
            Codec::Lz4 => Compression::Lz4,
            Codec::Zlib => Compression::Zlib,
            Codec::Zstd => Compression::Zstd,
            Codec::Snappy => Compression::Snappy,
        }
    }

    #[cfg(test)]
    pub(crate) fn of(words: &[&str]) -> Self {
        use clap::Parser;

        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            deliveries: DeliveryOptions,
        }
        Line::parse_from([&["test"], words].concat()).deliveries
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.into(), value.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::sizes::Sizes;

    #[test]
    fn one_entry_is_enough_where_all_are_alike() {
        let fixed = Payloads::new(Sizes::Fixed(100));
        let made =
            |words: &[&str], payloads| Deliveries::new(&DeliveryOptions::of(words), payloads, 1);
        assert_eq!(made(&[], &fixed).entries.len(), 1);
        assert_eq!(made(&["--keys", "2"], &fixed).entries.len(), ENTRIES_MAX);
        let sizes = Payloads::new(Sizes::Uniform(1, 100));
        let batches = made(&["--batch", "5"], &sizes);
        assert_eq!((batches.entries.len(), batches.messages), (ENTRIES_MAX, 5));
        assert_ne!(batches.entry(0), batches.entry(1));
        assert_eq!(batches.entry(0), batches.entry(256));
    }

    #[test]
    fn large_entries_are_few() {
        let sizes = Payloads::new(Sizes::Uniform(5 << 20, (5 << 20) + 1));
        let made = Deliveries::new(&DeliveryOptions::of(&[]), &sizes, 1);
        assert!((1..=13).contains(&made.entries.len()));
    }
}
