//! What a message costs in the dialect alone: one publish read, one receipt written, one delivery written.
//!
//! Reading leaves the payload in base64, as the service does; `decoded` adds the decoding that the backend does later.

mod samples;

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::tz::TimeZone;
use pulsar_ws_fast::{
    codec::base64::encode_append,
    dialect::{Dialect, Scratch, TimeFormat},
    http::route::EndpointKind,
    session::{Command, Event, producer},
};

const DIALECT: Dialect = Dialect::PulsarJson;

const PROPERTIES: &str = r#""properties":{"key1":"value1","key2":"value2"},"#;

fn publish_of(payload_len: usize, properties: &str) -> Vec<u8> {
    let mut text = br#"{"payload":""#.to_vec();
    encode_append(&vec![b'x'; payload_len], &mut text);
    text.extend_from_slice(format!(r#"",{properties}"context":"1234"}}"#).as_bytes());
    text
}

fn read_publish(c: &mut Criterion) {
    for (len, properties) in [(100, ""), (100, PROPERTIES), (1024, "")] {
        let text = publish_of(len, properties);
        let with = if properties.is_empty() {
            ""
        } else {
            " with properties"
        };
        let mut group = c.benchmark_group(format!("publish of {len} B{with}"));
        group.throughput(Throughput::Bytes(text.len() as u64));
        let mut scratch = Scratch::new();
        let mut content = BytesMut::with_capacity(2 * len);
        for decode in [false, true] {
            group.bench_function(if decode { "decoded" } else { "read" }, |b| {
                b.iter(|| {
                    let command = DIALECT
                        .read_command(
                            EndpointKind::Producer,
                            false,
                            black_box(&text),
                            &mut scratch,
                        )
                        .expect("a publish");
                    let Command::Producer(producer::Command::Publish(publish)) = command else {
                        panic!("{command:?}");
                    };
                    if decode {
                        content.clear();
                        (publish.payload.decode)(publish.payload.encoded, &mut content)
                            .expect("base64");
                        assert_eq!(content.len(), len);
                    }
                    publish.payload.len + publish.properties.text.len()
                });
            });
        }
        group.finish();
    }
}

fn write_events(c: &mut Criterion) {
    let message_id = samples::message_id();
    let mut times = TimeFormat::new(TimeZone::UTC);
    let mut out = Vec::with_capacity(1 << 12);
    let receipt = Event::Receipt {
        context: Some("1234"),
        message_id: &message_id,
    };
    c.bench_function("receipt", |b| {
        b.iter(|| {
            out.clear();
            DIALECT.write_event(black_box(&receipt), &mut out, &mut times);
            out.len()
        });
    });
    for len in [100, 1024] {
        let payload = vec![b'x'; len];
        let delivery = samples::delivery(&payload);
        let event = Event::Delivery(&delivery);
        c.bench_function(&format!("delivery of {len} B"), |b| {
            b.iter(|| {
                out.clear();
                DIALECT.write_event(black_box(&event), &mut out, &mut times);
                out.len()
            });
        });
    }
}

criterion_group!(benches, read_publish, write_events);
criterion_main!(benches);
