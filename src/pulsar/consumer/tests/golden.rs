//! Frames captured between the Java client and a broker: ours must be the same to the byte, and
//! theirs must be understood.

use prost::Message;

use super::*;
use crate::session::reader::{self, Start};

/// The frames of one capture, with who sent each and what it is.
fn golden(name: &str) -> Vec<(String, Vec<u8>)> {
    let path = format!(
        "{}/tests/data/golden/{name}.txt",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (what, hex) = line.rsplit_once(' ').unwrap();
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            (what.into(), (0..hex.len()).step_by(2).map(byte).collect())
        })
        .collect()
}

fn first(name: &str, what: &str) -> Vec<u8> {
    let frames = golden(name);
    frames.into_iter().find(|(w, _)| w == what).unwrap().1
}

/// The parts of a MESSAGE frame.
fn messages(name: &str) -> Vec<Wire> {
    let parse = |frame: &[u8]| {
        let number = |at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().unwrap()) as usize;
        let command_end = 8 + number(4);
        let mut at = command_end;
        if frame[at..at + 2] == [0x0e, 0x02] {
            at += 6 + number(at + 2);
        }
        assert_eq!(frame[at..at + 2], [0x0e, 0x01]);
        let metadata = at + 10;
        let payload = metadata + number(at + 6);
        // A `BaseCommand` of type MESSAGE, whose one field has a length below 128.
        assert_eq!(frame[8..11], [8, 9, 0x4a]);
        Wire {
            command: frame[12..command_end].to_vec(),
            metadata: frame[metadata..payload].to_vec(),
            payload: frame[payload..].to_vec(),
        }
    };
    golden(name)
        .iter()
        .filter(|(what, _)| what == "broker MESSAGE")
        .map(|(_, frame)| parse(frame))
        .collect()
}

/// A consumer with the id of the capture.
fn consumer(spec: impl Into<ConsumerSpec>, id: u64) -> Bench {
    let mut bench = Bench::fresh(spec);
    bench.consumer.tracker.id = id;
    bench
}

fn shared() -> Spec {
    spec(SubscriptionType::Shared)
}

fn at_id(ledger: u64, entry: u64, batch: Option<(u32, u32)>) -> Vec<u8> {
    let id = PulsarId {
        entry: EntryId { ledger, entry },
        partition: None,
        batch_index: batch.map(|(index, _)| index),
        batch_size: batch.map_or(0, |(_, size)| size),
        first_chunk: None,
    };
    id.encode().as_bytes().to_vec()
}

#[test]
fn acknowledgements() {
    let mut bench = consumer(&shared(), 0);
    bench.ack(&at_id(2, 0, None));
    bench.pass(100 * MS);
    assert_eq!(bench.out.split(), first("ack-one", "client ACK"));
    for entry in [3, 1, 2] {
        bench.ack(&at_id(2, entry, None));
    }
    bench.pass(100 * MS);
    assert_eq!(bench.out.split(), first("ack-grouped", "client ACK"));

    let mut bench = consumer(&shared(), 0xe);
    bench.ack(&at_id(9, 0, Some((1, 3))));
    bench.pass(100 * MS);
    assert_eq!(bench.out.split(), first("ack-batch-index", "client ACK"));
    // The rest was captured with another consumer.
    bench.consumer.tracker.id = 0xd;
    bench.ack(&at_id(9, 0, Some((0, 3))));
    bench.ack(&at_id(9, 0, Some((2, 3))));
    bench.pass(100 * MS);
    assert_eq!(bench.out.split(), first("ack-batch-rest", "client ACK"));
}

#[test]
fn redelivery() {
    for (name, entries, consumer_id) in [
        ("nack", &[0, 2][..], 3),
        ("ack-timeout", &(0..12).collect::<Vec<_>>(), 4),
    ] {
        let spec = Spec {
            negative_ack_delay: Duration::ZERO,
            ..shared()
        };
        let mut bench = consumer(&spec, consumer_id);
        for &entry in entries {
            bench.nack(&at_id(2, entry, None));
        }
        bench.pass(100 * MS);
        let mut frame = first(name, "client REDELIVER_UNACKNOWLEDGED_MESSAGES");
        let mut ours = bench.out.split().to_vec();
        // Java walks through a hashed set.
        for frame in [&mut frame, &mut ours] {
            frame[15..].as_chunks_mut::<6>().0.sort_unstable();
        }
        assert_eq!(ours, frame, "{name}");
    }
}

#[test]
fn flow() {
    let spec = Spec {
        receiver_queue_size: 2,
        ..shared()
    };
    let mut bench = consumer(&spec, 2);
    bench.receive(&messages("receive-flow")[0]);
    assert_eq!(bench.out.split(), first("receive-flow", "client FLOW"));
    let mut bench = consumer(&shared(), 3);
    bench.consumer.handle_subscribed(bench.now, &mut bench.out);
    assert_eq!(bench.out.split(), first("subscribe-shared", "client FLOW"));
}

/// The command of a SUBSCRIBE frame, with the numbers and the name that the capture had.
fn subscribed(name: &str, spec: impl Into<ConsumerSpec>) -> (Vec<u8>, Vec<u8>) {
    let frame = first(name, "client SUBSCRIBE");
    // A `BaseCommand` of type SUBSCRIBE, whose one field has a length of one or two bytes.
    assert_eq!(frame[8..11], [8, 4, 0x22]);
    let header = if frame[11] < 128 { 12 } else { 13 };
    let golden = proto::CommandSubscribe::decode(&frame[header..]).unwrap();
    let mut bench = consumer(spec, golden.consumer_id);
    bench.consumer.name = golden.consumer_name.unwrap();
    bench.consumer.subscription = golden.subscription;
    bench.consumer.tracker.spec.topic = golden.topic;
    let command = bench.consumer.subscribe(golden.request_id);
    (command.encode_to_vec(), frame[header..].to_vec())
}

#[test]
fn subscriptions() {
    let earliest = |subscription_type, priority_level, durable| Spec {
        initial_position: InitialPosition::Earliest,
        priority_level,
        durable,
        ..spec(subscription_type)
    };
    for (name, spec) in [
        (
            "subscribe-exclusive",
            earliest(SubscriptionType::Exclusive, 0, true),
        ),
        (
            "subscribe-failover",
            earliest(SubscriptionType::Failover, 0, true),
        ),
        (
            "subscribe-shared",
            earliest(SubscriptionType::Shared, 3, true),
        ),
        (
            "subscribe-key-shared",
            earliest(SubscriptionType::KeyShared, 0, true),
        ),
        (
            "subscribe-non-durable",
            earliest(SubscriptionType::Exclusive, 0, false),
        ),
        ("subscribe-latest", spec(SubscriptionType::Exclusive)),
    ] {
        let (ours, golden) = subscribed(name, &spec);
        assert_eq!(ours, golden, "{name}");
    }
}

fn reader(start: Start) -> ConsumerSpec {
    let spec = reader::Spec {
        topic: String::new(),
        name: None,
        receiver_queue_size: 1000,
        start,
        undecryptable: Undecryptable::Leave,
    };
    ConsumerSpec::try_from(&spec).unwrap()
}

#[test]
fn readers() {
    for (name, start, payloads_expected) in [
        (
            "reader-earliest",
            Start::Earliest,
            &["s0", "s1", "s2", "b0", "b1", "b2"][..],
        ),
        ("reader-latest", Start::Latest, &[]),
        (
            "reader-id",
            Start::After(at_id(0xc, 1, None)),
            &["s2", "b0", "b1", "b2"],
        ),
        (
            "reader-id-in-batch",
            Start::After(at_id(0xc, 3, Some((1, 3)))),
            &["b2"],
        ),
    ] {
        let spec = reader(start);
        let (ours, golden) = subscribed(name, spec.clone());
        assert_eq!(ours, golden, "{name}");
        let messages = messages(name);
        let Some(first_message) = messages.first() else {
            continue;
        };
        let id = MessageCommand::decode(&first_message.command)
            .unwrap()
            .consumer_id;
        let mut bench = consumer(spec, id);
        let got: Vec<_> = messages
            .iter()
            .flat_map(|wire| bench.receive(wire))
            .collect();
        let expected: Vec<_> = payloads_expected
            .iter()
            .map(|text| text.as_bytes())
            .collect();
        assert_eq!(payloads(&got), expected, "{name}");
        assert!(bench.out.is_empty(), "{name}");
        bench.pass(100 * MS);
        assert_eq!(bench.out.split(), first(name, "client ACK"), "{name}");
    }
}

#[test]
fn compressed_entries() {
    let text = |text: &str| text.as_bytes().to_vec();
    let mut seen: Vec<Vec<Got>> = Vec::new();
    for kind in ["batch", "compressed"] {
        seen.clear();
        for codec in ["none", "lz4", "zlib", "zstd", "snappy"] {
            let name = format!("{kind}-{codec}");
            let wires = messages(&name);
            assert_eq!(wires.len(), 1);
            let mut bench = consumer(&shared(), 9);
            let mut got = bench.receive(&wires[0]);
            assert_eq!(bench.consumer.stats(), Stats::default(), "{name}");
            assert!(!got.is_empty());
            for got in &mut got {
                got.id.clear();
                got.publish_time_ms = 0;
            }
            seen.push(got);
        }
        assert!(seen.iter().all(|got| *got == seen[0]), "{seen:?}");
        if kind == "batch" {
            assert_eq!(seen[0][0].properties, [(text("a"), text("1"))]);
            assert_eq!(seen[0][0].key, Some(text("k1")));
            let two = b"two ".repeat(20);
            assert_eq!(payloads(&seen[0][..2]), [&b"one"[..], &two]);
            assert_eq!(seen[0][2].payload, None);
        }
    }
}

#[test]
fn entries_with_a_brokers_own_metadata_chunks_and_ack_sets() {
    let mut bench = consumer(&shared(), 0);
    let stamped = &messages("entry-metadata")[0];
    assert_eq!(payloads(&bench.receive(stamped)), [b"stamped"]);
    for wire in messages("chunked") {
        assert_eq!(bench.receive(&wire), []);
    }
    assert_eq!(payloads(&bench.take(9)), [&b"0123456789".repeat(10)[..]]);
    let left = &messages("subscribe-ack-set")[0];
    assert_eq!(payloads(&bench.receive(left)), [b"m0", b"m2"]);
}
