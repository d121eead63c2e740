//! What one whole shard call costs, without a socket: a client's buffer with 64 publishes goes in, the broker's outbox
//! holds 64 frames afterwards, or one with a batch of 64; and the receipts come in, the client's outbox holds 64 replies.
//!
//! `kernels` does to the same bytes what can't be avoided (unmask, UTF-8, JSON, base64, checksum) and nothing else. The
//! difference between `publish` and `kernels` is what the shard itself costs: sessions, sequence ids, frames in flight,
//! routing. Buffers are prepared outside the measured time.

#[allow(
    dead_code,
    reason = "shared with the count of instructions, which needs all of it"
)]
mod world;

use std::{hint::black_box, time::Duration};

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pulsar_ws_fast::{
    dialect::{Dialect, Scratch},
    http::route::EndpointKind,
    session::{Command, producer},
    ws::{Incoming, Inflater, Input, Limits, WebSocket},
};
use world::World;

const MESSAGES: usize = 64;
/// Kinds of producers: one entry for each message, or one for all.
const KINDS: [(&str, &str); 2] = [
    ("", ""),
    (
        ", batched",
        "?batchingEnabled=true&batchingMaxMessages=64&batchingMaxPublishDelay=1000",
    ),
];

/// The receipts for what is in the broker's outbox.
fn receipts(world: &mut World) -> Vec<u8> {
    world.take();
    let receipts = world.answers();
    world.written();
    receipts
}

fn take_replies(world: &mut World) {
    world.take();
    assert!(world.texts().len() > MESSAGES * 80);
    world.written();
}

fn kernels(
    bytes: &mut [u8],
    ws: &mut WebSocket,
    inflater: &mut Inflater,
    scratch: &mut Scratch,
    frame: &mut BytesMut,
) -> u32 {
    let mut input = Input::new(bytes);
    let mut out = Vec::new();
    let mut sum = 0;
    while let Ok(Some(Incoming::Text(text))) = ws.next_message(&mut input, &mut out, inflater) {
        let command =
            Dialect::PulsarJson.read_command(EndpointKind::Producer, false, text, scratch);
        let Ok(Command::Producer(producer::Command::Publish(publish))) = command else {
            continue;
        };
        frame.clear();
        (publish.payload.decode)(publish.payload.encoded, frame).expect("the payload is base64");
        sum ^= crc32c::crc32c(frame);
    }
    sum
}

fn bench(criterion: &mut Criterion) {
    for (name, payload_bytes) in [("100 B", 100), ("1 KiB", 1024)] {
        let mut group = criterion.benchmark_group(format!("shard, {MESSAGES} × {name}"));
        group.throughput(Throughput::Elements(MESSAGES as u64));
        let bytes = world::input::publishes(MESSAGES, payload_bytes, "");
        let mut ws = WebSocket::new(Limits::default());
        let mut inflater = Inflater::new();
        let mut scratch = Scratch::new();
        let mut frame = BytesMut::with_capacity(4096);
        group.bench_function("kernels", |bencher| {
            bencher.iter_custom(|rounds| {
                timed(
                    rounds,
                    || bytes.clone(),
                    |mut bytes| {
                        black_box(kernels(
                            &mut bytes,
                            &mut ws,
                            &mut inflater,
                            &mut scratch,
                            &mut frame,
                        ));
                        bytes
                    },
                )
            });
        });
        for (kind, query) in KINDS {
            let endpoint = format!("producer/persistent/public/default/t{query}");
            let mut world = World::open(&[endpoint]);
            let client = world.clients[0];
            group.bench_function(format!("publish{kind}"), |bencher| {
                bencher.iter_custom(|rounds| {
                    let mut elapsed = Duration::ZERO;
                    for _ in 0..rounds {
                        let mut bytes = bytes.clone();
                        elapsed += time(|| world.client_bytes(client, &mut bytes));
                        let mut receipts = receipts(&mut world);
                        world.broker_bytes(&mut receipts);
                        take_replies(&mut world);
                    }
                    elapsed
                });
            });
            group.bench_function(format!("receipts{kind}"), |bencher| {
                bencher.iter_custom(|rounds| {
                    let mut elapsed = Duration::ZERO;
                    for _ in 0..rounds {
                        world.client_bytes(client, &mut bytes.clone());
                        let mut receipts = receipts(&mut world);
                        elapsed += time(|| world.broker_bytes(&mut receipts));
                        take_replies(&mut world);
                    }
                    elapsed
                });
            });
        }
        group.finish();
    }
}

fn timed<T>(rounds: u64, mut setup: impl FnMut() -> T, mut call: impl FnMut(T) -> T) -> Duration {
    (0..rounds)
        .map(|_| {
            let input = setup();
            time(|| call(input))
        })
        .sum()
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn time<T>(call: impl FnOnce() -> T) -> Duration {
    let start = std::time::Instant::now();
    drop(black_box(call()));
    start.elapsed()
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_secs(1));
    targets = bench
}
criterion_main!(benches);
