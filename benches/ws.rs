//! What the WebSocket layer costs per message, without a socket.
//!
//! `read` takes one receive buffer that holds 64 masked text frames of 1 KiB: header decode, unmask, UTF-8 check. The
//! copy of the buffer that each round needs, since frames are unmasked in place, is made outside the measured time.
//! `write` frames 64 replies of 100 bytes into one outgoing buffer; the copy of the reply is part of it.
//!
//! The same with permessage-deflate: `inflate` reads 64 publishes of 1 KiB that a client compressed, `deflate` writes 64
//! deliveries of 4 KiB. Their text has the shape of base64 of JSON.

mod samples;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pulsar_ws_fast::codec::base64;
use pulsar_ws_fast::ws::frame::{self, Header, Opcode};
use pulsar_ws_fast::ws::{Deflater, Incoming, Inflater, Input, Limits, WebSocket};

const MESSAGES: usize = 64;
const MESSAGE_BYTES: usize = 1024;
/// zlib's default, as clients have it.
const CLIENT_LEVEL: u32 = 6;

fn masked_frames() -> Vec<u8> {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = Vec::new();
    for _ in 0..MESSAGES {
        let header = Header {
            fin: true,
            opcode: Opcode::Text,
            compressed: false,
            mask: Some(key),
            payload_bytes: MESSAGE_BYTES as u64,
        };
        header.encode(&mut bytes);
        bytes.extend(key.iter().cycle().take(MESSAGE_BYTES).map(|key| b'x' ^ key));
    }
    bytes
}

/// A publish or delivery of that many bytes: base64 of JSON, in which much comes again.
fn message(bytes: usize) -> String {
    let mut json = String::new();
    for number in 0_u32.. {
        if json.len() >= bytes {
            break;
        }
        let noise = number.wrapping_mul(2_654_435_761);
        json.push_str(&format!(
            "{{\"id\":{number},\"name\":\"device\",\"value\":{noise}}},"
        ));
    }
    let mut payload = Vec::new();
    base64::encode_append(json.as_bytes(), &mut payload);
    let payload = String::from_utf8(payload).expect("base64 is text");
    let frame = r#"{"payload":"","context":"1"}"#.len();
    format!(
        r#"{{"payload":"{}","context":"1"}}"#,
        &payload[..bytes - frame]
    )
}

/// Reads all messages and says how many bytes of text they had, which must be all of them.
fn read(
    machine: &mut WebSocket,
    inflater: &mut Inflater,
    bytes: &mut [u8],
    out: &mut Vec<u8>,
) -> usize {
    let mut input = Input::new(bytes);
    let mut text_bytes = 0;
    while let Ok(Some(incoming)) = machine.next_message(&mut input, out, inflater) {
        if let Incoming::Text(text) = incoming {
            text_bytes += black_box(text).len();
        }
    }
    text_bytes
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ws");
    group.throughput(Throughput::Elements(MESSAGES as u64));
    let frames = masked_frames();
    let mut machine = WebSocket::new(Limits::default());
    let mut inflater = Inflater::new();
    let mut out = Vec::new();
    group.bench_function("read 64 text frames of 1 KiB", |bencher| {
        bencher.iter_batched_ref(
            || frames.clone(),
            |bytes| {
                let text_bytes = read(&mut machine, &mut inflater, bytes, &mut out);
                assert_eq!(text_bytes, MESSAGES * MESSAGE_BYTES);
            },
            BatchSize::SmallInput,
        );
    });
    let reply = [b'x'; 100];
    group.bench_function("write 64 text frames of 100 B", |bencher| {
        bencher.iter(|| {
            out.clear();
            for _ in 0..MESSAGES {
                let mark = frame::begin_text(&mut out, reply.len());
                out.extend_from_slice(black_box(&reply));
                frame::finish(&mut out, mark);
            }
            assert_eq!(out.len(), MESSAGES * (reply.len() + 2));
        });
    });
    let frames =
        samples::compressed_frames(message(MESSAGE_BYTES).as_bytes(), CLIENT_LEVEL, MESSAGES);
    let mut machine = WebSocket::new(Limits::default()).with_deflate(15);
    group.bench_function("inflate 64 text frames of 1 KiB", |bencher| {
        bencher.iter_batched_ref(
            || frames.clone(),
            |bytes| {
                let text_bytes = read(&mut machine, &mut inflater, bytes, &mut out);
                assert_eq!(text_bytes, MESSAGES * MESSAGE_BYTES);
            },
            BatchSize::SmallInput,
        );
    });
    let delivery = message(4 * MESSAGE_BYTES);
    let mut deflater = Deflater::new(1);
    group.bench_function("deflate 64 text frames of 4 KiB", |bencher| {
        bencher.iter(|| {
            out.clear();
            for _ in 0..MESSAGES {
                let mark = frame::begin_text(&mut out, delivery.len());
                out.extend_from_slice(black_box(delivery.as_bytes()));
                deflater.finish(&mut out, mark, machine.window_bits());
            }
            assert!(out.len() < MESSAGES * delivery.len() / 2);
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
