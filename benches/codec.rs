//! The byte kernels alone, and the measurement behind the choice of our JSON reader.
//!
//! `json` reads the three fields of a typical publish, properties included, three ways: with our pull reader, with sonic-rs (lazy
//! iterators over checked text) and with simd-json (a tape in reused buffers, over a copy, as it rewrites its input). All three are given
//! a message whose UTF-8 has been checked. Every bench returns the lengths of what it found, so that no work can be left out.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pulsar_ws_fast::codec::json::{ObjectReader, Text, Value, write_string};
use pulsar_ws_fast::codec::{base64, mask};
use simd_json::{Buffers, Node, Tape};

/// Payload sizes before base64.
const SIZES: [usize; 3] = [100, 1024, 65536];

fn payload(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * 31 % 251).to_le_bytes()[0]).collect()
}

fn publish(size: usize) -> String {
    let mut text = Vec::new();
    base64::encode_append(&payload(size), &mut text);
    let payload = String::from_utf8(text).unwrap_or_default();
    format!(
        r#"{{"payload":"{payload}","properties":{{"key1":"value1","key2":"value2"}},"context":"1"}}"#
    )
}

fn json(c: &mut Criterion) {
    let mut group = c.benchmark_group("json");
    for size in SIZES {
        let message = publish(size);
        let expected = base64::encoded_len(size) + "key1value1key2value2".len() + 1;
        group.throughput(Throughput::Bytes(message.len() as u64));

        assert_eq!(read_ours(message.as_bytes()), Some(expected));
        group.bench_with_input(BenchmarkId::new("ours", size), &message, |b, message| {
            b.iter(|| read_ours(black_box(message.as_bytes())));
        });

        assert_eq!(read_sonic(&message), Some(expected));
        group.bench_with_input(
            BenchmarkId::new("sonic-rs", size),
            &message,
            |b, message| {
                b.iter(|| read_sonic(black_box(message)));
            },
        );

        let mut simd = SimdJson {
            copy: Vec::new(),
            buffers: Buffers::new(message.len()),
            tape: Some(Tape::null()),
        };
        assert_eq!(simd.read(message.as_bytes()), Some(expected));
        group.bench_with_input(
            BenchmarkId::new("simd-json", size),
            &message,
            |b, message| {
                b.iter(|| simd.read(black_box(message.as_bytes())));
            },
        );
    }
    group.finish();
}

fn read_ours(message: &[u8]) -> Option<usize> {
    let len = |text: Text<'_>| text.plain_bytes().map(<[u8]>::len);
    let mut found = 0;
    let mut reader = ObjectReader::new(message).ok()??;
    while let Some((name, value)) = reader.next().ok()? {
        found += match (name.plain_bytes()?, value) {
            (b"payload" | b"context", Value::String(text)) => len(text)?,
            (b"properties", Value::Object(object)) => {
                let mut members = object.reader();
                let mut all = 0;
                while let Some((name, Value::String(text))) = members.next().ok()? {
                    all += len(name)? + len(text)?;
                }
                all
            }
            _ => 0,
        };
    }
    Some(found)
}

fn read_sonic(message: &str) -> Option<usize> {
    let len = |raw: &str| raw.len().checked_sub(2);
    let mut found = 0;
    for member in sonic_rs::to_object_iter(message) {
        let (name, value) = member.ok()?;
        found += match &*name {
            "payload" | "context" => len(value.as_raw_str())?,
            "properties" => {
                let mut all = 0;
                for member in value.into_object_iter()? {
                    let (name, value) = member.ok()?;
                    all += name.len() + len(value.as_raw_str())?;
                }
                all
            }
            _ => 0,
        };
    }
    Some(found)
}

struct SimdJson {
    copy: Vec<u8>,
    buffers: Buffers,
    tape: Option<Tape<'static>>,
}

impl SimdJson {
    fn read(&mut self, message: &[u8]) -> Option<usize> {
        self.copy.clear();
        self.copy.extend_from_slice(message);
        let mut tape = self.tape.take()?.reset();
        simd_json::fill_tape(&mut self.copy, &mut self.buffers, &mut tape).ok()?;
        let mut found = 0;
        let mut nodes = tape.0.iter();
        nodes.next(); // the object itself
        while let (Some(Node::String(name)), Some(value)) = (nodes.next(), nodes.next()) {
            found += match (*name, value) {
                ("payload" | "context", Node::String(text)) => text.len(),
                ("properties", Node::Object { count, .. }) => {
                    let strings = nodes.by_ref().take(*count);
                    strings
                        .map(|node| {
                            if let Node::String(text) = node {
                                text.len()
                            } else {
                                0
                            }
                        })
                        .sum()
                }
                _ => 0,
            };
        }
        self.tape = Some(tape.reset());
        Some(found)
    }
}

fn base64_both_ways(c: &mut Criterion) {
    let mut group = c.benchmark_group("base64");
    for size in SIZES {
        let bytes = payload(size);
        let mut text = Vec::new();
        base64::encode_append(&bytes, &mut text);
        group.throughput(Throughput::Bytes(size as u64));
        let mut out = Vec::with_capacity(text.len());
        group.bench_function(BenchmarkId::new("encode", size), |b| {
            b.iter(|| {
                out.clear();
                base64::encode_append(black_box(&bytes), &mut out);
                out.last().copied()
            });
        });
        let mut out = BytesMut::with_capacity(size + 8);
        group.bench_function(BenchmarkId::new("decode", size), |b| {
            b.iter(|| {
                out.clear();
                let result = base64::decode_append(black_box(&text), &mut out);
                (result, out.last().copied())
            });
        });
    }
    group.finish();
}

fn masking(c: &mut Criterion) {
    let mut group = c.benchmark_group("mask");
    for size in SIZES {
        let mut bytes = payload(size);
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("in place", size), |b| {
            b.iter(|| {
                mask::mask(black_box(&mut bytes), [1, 2, 3, 4]);
                bytes.last().copied()
            });
        });
        let mut out = Vec::with_capacity(size);
        group.bench_function(BenchmarkId::new("append", size), |b| {
            b.iter(|| {
                out.clear();
                mask::mask_append(&mut out, black_box(&bytes), [1, 2, 3, 4]);
                out.last().copied()
            });
        });
    }
    group.finish();
}

fn writing_strings(c: &mut Criterion) {
    let mut group = c.benchmark_group("write_string");
    let texts = [
        ("short", "key1".to_owned()),
        ("plain 1 KiB", "plain text ".repeat(94)),
        ("escaped 1 KiB", "line\n\"q\" \\".repeat(103)),
        ("non-ascii 1 KiB", "zwölf Fälle, 你好 ".repeat(44)),
    ];
    for (name, text) in &texts {
        group.throughput(Throughput::Bytes(text.len() as u64));
        let mut out = Vec::with_capacity(2 * text.len() + 2);
        group.bench_function(*name, |b| {
            b.iter(|| {
                out.clear();
                write_string(&mut out, black_box(text.as_bytes()));
                out.len()
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(std::time::Duration::from_millis(200))
        .measurement_time(std::time::Duration::from_millis(500));
    targets = json, base64_both_ways, masking, writing_strings
}
criterion_main!(benches);
