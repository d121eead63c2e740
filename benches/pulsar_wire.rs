//! The Pulsar wire, without sockets: SENDs written, receipts read, and both through the machine.
//!
//! `encode` and `decode` are the kernels; `turn` is what a shard does for 64 publishes of one
//! producer and their receipts, so `turn` less the two is what the machine costs.

mod samples;

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pulsar_ws_fast::{
    codec::protobuf::{put_bytes, put_bytes_header, put_uint},
    pulsar::{
        ConnectionKey, Effect, Event, Input, Pulsar, Scratch, Settings,
        command::{Send, SendReceipt, put_command},
        payload::Compression,
        proto::{
            CommandConnected, CommandLookupTopicResponse, CommandPartitionedTopicMetadataResponse,
            CommandProducerSuccess, Kind,
        },
        wire::{Frame, frame_len},
    },
    session::{Broker, Link, SessionKey, Spec, producer},
    timer::{Instant, Now},
};

const COUNT: u64 = 64;
const NOW: Now = Now {
    mono: Instant(1_000_000_000),
    wall_ms: 1_700_000_000_000,
};

/// Receipts of one producer, `first` and those that follow.
fn receipts(producer: u64, first: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for sequence in first..first + COUNT {
        let mut id = Vec::new();
        put_uint(&mut id, 1, 123_456);
        put_uint(&mut id, 2, sequence);
        let mut body = Vec::new();
        put_uint(&mut body, 1, producer);
        put_uint(&mut body, 2, sequence);
        put_bytes(&mut body, 3, &id);
        put_uint(&mut body, 4, u64::MAX);
        let mut command = Vec::new();
        put_uint(&mut command, 1, Kind::SendReceipt as u64);
        put_bytes_header(&mut command, Kind::SendReceipt as u32, body.len());
        command.extend(body);
        let len = u32::try_from(command.len()).unwrap_or_default();
        out.extend((len + 4).to_be_bytes());
        out.extend(len.to_be_bytes());
        out.extend(command);
    }
    out
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("pulsar encode");
    group.throughput(Throughput::Elements(COUNT));
    for size in [100, 1024] {
        let payload = vec![b'x'; size];
        let publish = samples::publish(&payload);
        let mut out = BytesMut::with_capacity(256 << 10);
        group.bench_function(format!("64 SENDs of {size} B"), |b| {
            b.iter(|| {
                out.clear();
                for sequence_id in 0..COUNT {
                    let send = Send {
                        producer_id: 1 << 32,
                        producer_name: "standalone-0-1",
                        sequence_id,
                        publish_time_ms: NOW.wall_ms,
                        deliver_at_ms: None,
                        compression: Compression::None,
                        seal: None,
                        publish: black_box(&publish),
                    };
                    let len = send.measure(publish.payload.len);
                    assert!(send.put(len, &mut out).is_ok());
                }
                out.len()
            });
        });
    }
}

fn decode(c: &mut Criterion) {
    let bytes = receipts(1 << 32, 1000);
    let mut group = c.benchmark_group("pulsar decode");
    group.throughput(Throughput::Elements(COUNT));
    group.bench_function("64 SEND_RECEIPTs", |b| {
        b.iter(|| {
            let mut rest = &black_box(&bytes)[..];
            let mut sum = 0;
            while let Ok(Some(len)) = frame_len(rest, 1 << 20) {
                let (frame, after) = rest.split_at(len);
                rest = after;
                let receipt = Frame::parse(frame).map(|frame| SendReceipt::decode(frame.body));
                if let Ok(Ok(receipt)) = receipt {
                    sum += receipt.sequence_id;
                }
            }
            assert_eq!(sum, (1000..1000 + COUNT).sum::<u64>());
            sum
        });
    });
}

fn turn(c: &mut Criterion) {
    let mut group = c.benchmark_group("pulsar turn");
    group.throughput(Throughput::Elements(COUNT));
    for size in [100, 1024] {
        let payload = vec![b'x'; size];
        let (mut pulsar, link, key) = opened();
        let mut scratch = Scratch::default();
        let mut next = 0;
        group.bench_function(format!("64 publishes of {size} B and receipts"), |b| {
            b.iter_batched(
                || {
                    next += COUNT;
                    receipts(link.0, next - COUNT)
                },
                |receipts| {
                    for _ in 0..COUNT {
                        assert!(
                            pulsar
                                .publish(NOW, link, &samples::publish(&payload))
                                .is_ok()
                        );
                    }
                    let mut written = 0;
                    while let Some(bytes) = pulsar.take_outbox(key) {
                        written += bytes.len();
                    }
                    while pulsar.poll_effect().is_some() {}
                    let mut input = Input::new(&receipts);
                    let mut told = 0;
                    while let Some(event) = pulsar.next_event(NOW, key, &mut input, &mut scratch) {
                        told += u64::from(matches!(event, Event::Receipt { .. }));
                    }
                    assert_eq!(told, COUNT);
                    written
                },
                BatchSize::SmallInput,
            );
        });
    }
}

/// A producer that is ready, at a broker made of four frames.
fn opened() -> (Pulsar, Link, ConnectionKey) {
    let mut pulsar = Pulsar::new(Settings::default(), 1);
    let spec = producer::Spec {
        topic: "persistent://public/default/t".into(),
        name: None,
        initial_sequence_id: None,
        send_timeout: None,
        partitioning: producer::Partitioning::default(),
        batching: None,
        compression: Compression::None,
        encryption: None,
    };
    let link = pulsar.open(NOW, SessionKey::default(), &Spec::Producer(spec));
    let connect = std::iter::from_fn(|| pulsar.poll_effect()).find_map(|effect| match effect {
        Effect::Connect { connection, .. } => Some(connection),
        _ => None,
    });
    let key = connect.expect("the service host is an address");
    pulsar.handle_connected(NOW, key);
    let mut answers = BytesMut::new();
    let connected = CommandConnected {
        server_version: "bench".into(),
        ..CommandConnected::default()
    };
    put_command(&mut answers, Kind::Connected, &connected);
    let partitions = CommandPartitionedTopicMetadataResponse {
        partitions: Some(0),
        request_id: 0,
        response: Some(CommandPartitionedTopicMetadataResponse::SUCCESS),
        ..CommandPartitionedTopicMetadataResponse::default()
    };
    put_command(&mut answers, Kind::PartitionedMetadataResponse, &partitions);
    let located = CommandLookupTopicResponse {
        broker_service_url: Some("pulsar://127.0.0.1:6650".into()),
        response: Some(CommandLookupTopicResponse::CONNECT),
        request_id: 1,
        ..CommandLookupTopicResponse::default()
    };
    put_command(&mut answers, Kind::LookupResponse, &located);
    let success = CommandProducerSuccess {
        request_id: 2,
        producer_name: "standalone-0-1".into(),
        ..CommandProducerSuccess::default()
    };
    put_command(&mut answers, Kind::ProducerSuccess, &success);
    let mut input = Input::new(&answers);
    let mut scratch = Scratch::default();
    let event = pulsar.next_event(NOW, key, &mut input, &mut scratch);
    assert!(matches!(event, Some(Event::Opened { .. })), "{event:?}");
    while pulsar.take_outbox(key).is_some() {}
    (pulsar, link, key)
}

criterion_group!(benches, encode, decode, turn);
criterion_main!(benches);
