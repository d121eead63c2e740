//! What one whole shard call costs, without a socket: a client's buffer with 64 publishes goes in, the broker's outbox
//! holds 64 frames afterwards, or one with a batch of 64; and the receipts come in, the client's outbox holds 64 replies.
//!
//! `kernels` does to the same bytes what can't be avoided (unmask, UTF-8, JSON, base64, checksum) and nothing else. The
//! difference between `publish` and `kernels` is what the shard itself costs: sessions, sequence ids, frames in flight,
//! routing. Buffers are prepared outside the measured time.

#[path = "../tests/sim/agree.rs"]
mod agree;
#[path = "../tests/sim/proto.rs"]
mod proto;
#[allow(
    dead_code,
    clippy::cast_possible_truncation,
    reason = "the simulation's wire format, of which the bench needs a part"
)]
#[path = "../tests/sim/wire.rs"]
mod wire;

use std::{hint::black_box, net::SocketAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pulsar_ws_fast::{
    config::Config,
    dialect::{Dialect, Scratch},
    http::route::EndpointKind,
    pulsar::ConnectionKey,
    session::{Command, SessionKey, producer},
    shard::{Effect, Shard},
    timer::{Instant, Now},
    ws::{
        Incoming, Inflater, Input, Limits, WebSocket,
        frame::{Header, Opcode},
    },
};

const MESSAGES: usize = 64;
/// Kinds of producers: one entry for each message, or one for all.
const KINDS: [(&str, &str); 2] = [
    ("", ""),
    (
        ", batched",
        "?batchingEnabled=true&batchingMaxMessages=64&batchingMaxPublishDelay=1000",
    ),
];
const NOW: Now = Now {
    mono: Instant(1_000_000),
    wall_ms: 1_790_000_000_000,
};

/// A shard with one producer whose session is open.
struct World {
    shard: Shard,
    client: SessionKey,
    connection: Option<ConnectionKey>,
}

impl World {
    fn new(query: &str) -> Self {
        let mut shard = Shard::new(Arc::new(Config::default()), 0, 1, jiff::tz::TimeZone::UTC);
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let client = shard.handle_accepted(NOW, address, address);
        let mut head = format!(
            "GET /ws/v2/producer/persistent/public/default/t{query} HTTP/1.1\r\nHost: h\r\n\
            Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .into_bytes();
        shard.handle_client_bytes(NOW, client, &mut head);
        let mut world = Self {
            shard,
            client,
            connection: None,
        };
        for _ in 0..16 {
            world.turn();
        }
        let answer = world.take_client();
        assert!(
            answer.starts_with(b"HTTP/1.1 101"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        world
    }

    /// Answers whatever the shard wants.
    fn turn(&mut self) {
        while let Some(effect) = self.shard.poll_effect() {
            if let Effect::Connect { connection, .. } = effect {
                self.connection = Some(connection);
                self.shard.handle_connected(NOW, connection);
            }
        }
        let mut asked = self.take_broker();
        let mut answers = Vec::new();
        while let Some(frame) = wire::take_frame(&mut asked) {
            if let Some(answer) = answer(frame.command) {
                wire::put_frame(&mut answers, answer, None);
            }
        }
        if let (Some(connection), false) = (self.connection, answers.is_empty()) {
            self.shard
                .handle_broker_bytes(NOW, connection, &mut answers);
        }
    }

    /// Everything for the broker; an outbox comes in as many pieces as it filled chunks.
    fn take_broker(&mut self) -> Vec<u8> {
        let Some(connection) = self.connection else {
            return Vec::new();
        };
        let mut bytes = Vec::new();
        while let Some(piece) = self.shard.take_broker_outbox(connection) {
            bytes.extend_from_slice(&piece);
        }
        bytes
    }

    fn take_client(&mut self) -> Vec<u8> {
        let Some(outbox) = self.shard.take_client_outbox(self.client) else {
            return Vec::new();
        };
        let copy = outbox.clone();
        self.shard.handle_client_written(NOW, self.client, outbox);
        copy
    }

    /// The receipts for what is in the broker's outbox.
    fn receipts(&mut self) -> Vec<u8> {
        let mut asked = self.take_broker();
        let mut answers = Vec::new();
        while let Some(frame) = wire::take_frame(&mut asked) {
            if let Some(answer) = answer(frame.command) {
                wire::put_frame(&mut answers, answer, None);
            }
        }
        answers
    }

    fn drop_effects(&mut self) {
        while self.shard.poll_effect().is_some() {}
    }
}

/// A broker that agrees to everything.
fn answer(command: proto::BaseCommand) -> Option<proto::BaseCommand> {
    if let Some(answer) = agree::agree(&command, 6650) {
        return Some(answer);
    }
    let sent = command.send?;
    Some(proto::BaseCommand {
        send_receipt: Some(proto::SendReceipt {
            producer_id: sent.producer_id,
            sequence_id: sent.sequence_id,
            message_id: Some(proto::MessageIdData {
                ledger_id: 12,
                entry_id: sent.sequence_id,
                partition: Some(-1),
                ..Default::default()
            }),
            highest_sequence_id: sent.highest_sequence_id,
        }),
        ..Default::default()
    })
}

fn publishes(payload_bytes: usize) -> Vec<u8> {
    let mut payload = Vec::new();
    pulsar_ws_fast::codec::base64::encode_append(&vec![b'p'; payload_bytes], &mut payload);
    let payload = String::from_utf8(payload).expect("base64 is text");
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = Vec::new();
    for context in 0..MESSAGES {
        let text = format!(r#"{{"payload":"{payload}","context":"{context}"}}"#);
        let header = Header {
            fin: true,
            opcode: Opcode::Text,
            compressed: false,
            mask: Some(key),
            payload_bytes: text.len() as u64,
        };
        header.encode(&mut bytes);
        bytes.extend(
            text.bytes()
                .zip(key.into_iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
    }
    bytes
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
        let bytes = publishes(payload_bytes);
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
            let mut world = World::new(query);
            let connection = world.connection.expect("connected");
            group.bench_function(format!("publish{kind}"), |bencher| {
                bencher.iter_custom(|rounds| {
                    let mut elapsed = Duration::ZERO;
                    for _ in 0..rounds {
                        let mut bytes = bytes.clone();
                        let shard = &mut world.shard;
                        let client = world.client;
                        elapsed += time(|| shard.handle_client_bytes(NOW, client, &mut bytes));
                        let mut receipts = world.receipts();
                        world
                            .shard
                            .handle_broker_bytes(NOW, connection, &mut receipts);
                        assert!(world.take_client().len() > MESSAGES * 80);
                        world.drop_effects();
                    }
                    elapsed
                });
            });
            group.bench_function(format!("receipts{kind}"), |bencher| {
                bencher.iter_custom(|rounds| {
                    let mut elapsed = Duration::ZERO;
                    for _ in 0..rounds {
                        world
                            .shard
                            .handle_client_bytes(NOW, world.client, &mut bytes.clone());
                        let mut receipts = world.receipts();
                        let shard = &mut world.shard;
                        elapsed +=
                            time(|| shard.handle_broker_bytes(NOW, connection, &mut receipts));
                        assert!(world.take_client().len() > MESSAGES * 80);
                        world.drop_effects();
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
