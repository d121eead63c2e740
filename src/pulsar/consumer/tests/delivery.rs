//! What of an entry becomes a delivery, and what does not.

use proptest::prelude::*;

use super::*;
use crate::pulsar::payload::{Compression, tests::compress};

fn pair(key: &str, value: &str) -> proto::KeyValue {
    proto::KeyValue {
        key: key.into(),
        value: value.into(),
    }
}

fn exclusive() -> Bench {
    Bench::fresh(&spec(SubscriptionType::Exclusive))
}

#[test]
fn a_message_with_everything() {
    let mut bench = exclusive();
    let metadata = Metadata {
        properties: vec![pair("a", "1"), pair("b", ""), pair("a", "2")],
        partition_key: Some("k".into()),
        event_time: Some(5),
        ..metadata()
    };
    let envelope = Envelope {
        redelivery_count: Some(2),
        ..at(9)
    };
    let got = bench.receive(&envelope.with(&metadata, b"hello"));
    let text = |text: &str| text.as_bytes().to_vec();
    assert_eq!(
        got,
        [Got {
            id: b"\x08\x03\x10\x09\x30\x00".to_vec(),
            payload: Some(text("hello")),
            properties: vec![
                (text("a"), text("1")),
                (text("b"), text("")),
                (text("a"), text("2"))
            ],
            publish_time_ms: 1000,
            event_time_ms: Some(5),
            redelivery_count: 2,
            key: Some(text("k")),
            encryption: None,
        }]
    );
}

#[test]
fn a_tombstone_and_times() {
    let mut bench = exclusive();
    let tombstone = Metadata {
        null_value: Some(true),
        event_time: Some((-5i64).cast_unsigned()),
        partition_key: Some(String::new()),
        ..metadata()
    };
    let got = bench.receive(&at(1).with(&tombstone, b""));
    assert_eq!(got[0].payload, None);
    assert_eq!(got[0].event_time_ms, Some(-5));
    assert_eq!(got[0].key.as_deref(), Some(&b""[..]));
    let no_time = Metadata {
        event_time: Some(0),
        ..metadata()
    };
    let got = bench.receive(&at(2).with(&no_time, b""));
    assert_eq!(got[0].payload.as_deref(), Some(&b""[..]));
    assert_eq!(got[0].event_time_ms, None);
    assert_eq!(got[0].key, None);
}

#[test]
fn members_of_a_batch_have_their_own_metadata() {
    let mut bench = exclusive();
    let members = [
        (
            Single {
                properties: vec![pair("a", "1")],
                partition_key: Some("k".into()),
                event_time: Some(7),
                ..Single::default()
            },
            b"one".to_vec(),
        ),
        (Single::default(), b"two".to_vec()),
        (
            Single {
                null_value: Some(true),
                event_time: Some(0),
                ..Single::default()
            },
            vec![],
        ),
    ];
    let common = Metadata {
        properties: vec![pair("not", "mine")],
        partition_key: Some("not mine".into()),
        event_time: Some(9),
        num_messages_in_batch: Some(3),
        ..metadata()
    };
    let wire = at(0).with(&common, &batch_payload(&members));
    let direct = bench.receive(&wire);
    assert_eq!(direct[0].id, b"\x08\x03\x10\x00\x20\x00\x30\x03");
    assert_eq!(direct[0].properties, [(b"a".to_vec(), b"1".to_vec())]);
    assert_eq!(direct[0].key.as_deref(), Some(&b"k"[..]));
    assert_eq!(direct[0].event_time_ms, Some(7));
    assert_eq!(direct[1].id, b"\x08\x03\x10\x00\x20\x01\x30\x03");
    assert!(direct[1].properties.is_empty());
    assert_eq!(direct[1].key, None);
    assert_eq!(direct[1].event_time_ms, Some(9), "Java takes the batch's");
    assert_eq!(direct[2].payload, None);
    assert_eq!(direct[2].event_time_ms, None);

    let mut bench = exclusive();
    bench.room = 1;
    let mut held = bench.receive(&wire);
    held.extend(bench.take(9));
    assert_eq!(held, direct, "waiting changes nothing");
}

#[test]
fn every_compression_is_read_for_messages_and_batches() {
    for (number, codec) in [
        (0, Compression::None),
        (1, Compression::Lz4),
        (2, Compression::Zlib),
        (3, Compression::Zstd),
        (4, Compression::Snappy),
    ] {
        let mut bench = exclusive();
        let content = b"hello hello hello hello".repeat(30);
        let batch = batch_payload(&[(Single::default(), content.clone())]);
        for (entry, count, bytes) in [(1, None, &content), (2, Some(1), &batch)] {
            let metadata = Metadata {
                compression: Some(number),
                uncompressed_size: Some(u32::try_from(bytes.len()).unwrap()),
                num_messages_in_batch: count,
                ..metadata()
            };
            let got = bench.receive(&at(entry).with(&metadata, &compress(codec, bytes)));
            assert_eq!(payloads(&got), [&content[..]], "{codec:?}");
        }
    }
}

#[test]
fn corrupt_entries_are_acknowledged_with_a_note() {
    let mut bench = Bench::fresh(&Spec {
        receiver_queue_size: 2,
        ..spec(SubscriptionType::Shared)
    });
    let compressed = |size| Metadata {
        compression: Some(1),
        uncompressed_size: Some(size),
        ..metadata()
    };
    assert_eq!(bench.receive(&at(1).with(&compressed(6), b"\x50hello")), []);
    assert_eq!(bench.sent(), [Sent::Corrupt(1, 1), Sent::Flow(1)]);
    let mut wire = at(2).plain(b"x");
    wire.metadata = b"\x0a\x01p".to_vec();
    assert_eq!(bench.receive(&wire), []);
    assert_eq!(bench.sent(), [Sent::Corrupt(2, 2), Sent::Flow(1)]);
    let command = MessageCommand::decode(&wire.command).unwrap();
    bench.consumer.handle_corrupt(&command, &mut bench.out);
    assert_eq!(bench.sent(), [Sent::Corrupt(2, 2), Sent::Flow(1)]);
    for (entry, count) in [(3, 0), (4, -1), (5, 2), (6, i32::MAX)] {
        let lie = Metadata {
            num_messages_in_batch: Some(count),
            ..metadata()
        };
        assert_eq!(bench.receive(&at(entry).with(&lie, b"1234")), []);
        let sent = bench.sent();
        assert_eq!(sent[0], Sent::Corrupt(entry, 3));
        // The broker counts what the metadata says, too.
        let permits = u32::try_from(count).unwrap_or(0);
        assert_eq!(sent.get(1), (permits > 0).then_some(&Sent::Flow(permits)));
    }
    assert_eq!(bench.consumer.stats().corrupt, 7);
    assert_eq!(bench.consumer.handle_detached(), 0);
}

#[test]
fn a_batch_that_breaks_off_is_delivered_up_to_there() {
    let mut bench = Bench::fresh(&Spec {
        receiver_queue_size: 2,
        ..spec(SubscriptionType::Shared)
    });
    let mut wire = at(1).batch(3);
    wire.payload.truncate(wire.payload.len() - 1);
    assert_eq!(payloads(&bench.receive(&wire)), [b"0", b"1"]);
    let sent = bench.sent();
    assert_eq!(
        sent,
        [
            Sent::Flow(1),
            Sent::Flow(1),
            Sent::Corrupt(1, 3),
            Sent::Flow(1)
        ]
    );
    assert!(bench.ack(&member(1, 0, 3)));
    assert!(bench.ack(&member(1, 1, 3)));
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [Sent::Ack(vec![(1, vec![])])]);
}

#[test]
fn what_this_build_cannot_read_is_left_alone() {
    let unreadable = [
        Metadata {
            encryption_keys: vec![EncryptionKeys::default()],
            ..metadata()
        },
        Metadata {
            num_chunks_from_msg: Some(2),
            uuid: Some("u".into()),
            ..metadata()
        },
        Metadata {
            compression: Some(5),
            ..metadata()
        },
        Metadata {
            compression: Some(3),
            uncompressed_size: Some((64 << 20) + 1),
            ..metadata()
        },
    ];
    let mut bench = Bench::fresh(&Spec {
        receiver_queue_size: 2,
        ..spec(SubscriptionType::Shared)
    });
    for metadata in &unreadable {
        assert_eq!(bench.receive(&at(1).with(metadata, b"x")), []);
        assert_eq!(
            bench.sent(),
            [Sent::Flow(1)],
            "its permit, no acknowledgement"
        );
    }
    let encrypted_batch = Metadata {
        num_messages_in_batch: Some(10),
        ..unreadable[0].clone()
    };
    bench.receive(&at(1).with(&encrypted_batch, b"x"));
    assert_eq!(bench.sent(), [Sent::Flow(10)]);
    assert_eq!(bench.consumer.stats().unreadable, 5);
    let one_chunk = Metadata {
        num_chunks_from_msg: Some(1),
        ..metadata()
    };
    assert_eq!(bench.receive(&at(2).with(&one_chunk, b"x")).len(), 1);
}

#[test]
fn partitions_are_named_in_ids() {
    let mut of_partition = ConsumerSpec::from(&spec(SubscriptionType::Shared));
    of_partition.partition = Some(2);
    let mut bench = Bench::fresh(of_partition);
    let got = bench.receive(&at(0).plain(b"x"));
    assert_eq!(got[0].id, b"\x08\x03\x10\x00\x18\x02\x30\x00");
    assert!(bench.ack(&got[0].id));
}

#[test]
fn a_partition_is_known_by_its_topics_name() {
    let partition = |local: &str| {
        let mut named = spec(SubscriptionType::Shared);
        named.topic = format!("persistent://public/default/{local}");
        ConsumerSpec::from(&named).partition
    };
    assert_eq!(partition("t-partition-0"), Some(0));
    assert_eq!(partition("t-partition-1-partition-12"), Some(12));
    assert_eq!(partition("t-partition-2147483647"), Some(2_147_483_647));
    for local in [
        "t",
        "t-partition-",
        "t-partition-x",
        "t-partition-1x",
        "t-partition--1",
        "t-partition-+1",
        "t-partition-01",
        "t-partition-2147483648",
    ] {
        assert_eq!(partition(local), None, "{local}");
    }
    let reader = crate::session::reader::Spec {
        topic: "persistent://public/default/t-partition-3".into(),
        name: None,
        receiver_queue_size: 1,
        start: crate::session::reader::Start::Earliest,
        undecryptable: Undecryptable::Leave,
    };
    assert_eq!(ConsumerSpec::try_from(&reader).unwrap().partition, Some(3));
}

#[test]
fn subscribes_as_java_does() {
    let consumer = exclusive().consumer;
    let command = consumer.subscribe(5);
    let name = command.consumer_name.clone().unwrap();
    assert_eq!(name.len(), 5);
    assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(
        command,
        proto::CommandSubscribe {
            topic: "persistent://public/default/t".into(),
            subscription: "s".into(),
            sub_type: 0,
            consumer_id: 7,
            request_id: 5,
            consumer_name: Some(name),
            priority_level: Some(0),
            durable: Some(true),
            start_message_id: None,
            read_compacted: Some(false),
            initial_position: Some(0),
            force_topic_creation: Some(true),
            consumer_epoch: Some(0),
            ..proto::CommandSubscribe::default()
        }
    );
    for (subscription_type, number) in [
        (SubscriptionType::Shared, 1),
        (SubscriptionType::Failover, 2),
        (SubscriptionType::KeyShared, 3),
    ] {
        let spec = Spec {
            name: Some("me".into()),
            priority_level: 4,
            durable: false,
            initial_position: InitialPosition::Earliest,
            ..spec(subscription_type)
        };
        let command = Bench::new(&spec).consumer.subscribe(1);
        assert_eq!(command.sub_type, number);
        assert_eq!(command.consumer_name.as_deref(), Some("me"));
        assert_eq!(command.priority_level, Some(4));
        assert_eq!(command.durable, Some(false));
        assert_eq!(command.initial_position, Some(1));
        assert_eq!(command.start_message_id, None);
    }
}

#[test]
fn bad_ids_are_refused() {
    let mut bench = exclusive();
    for id in [&b""[..], b"\x08\x03", b"junk"] {
        let now = bench.now;
        assert_eq!(
            bench.consumer.acknowledge(now, id, Some(&mut bench.out)),
            Err(BadMessageId)
        );
        assert_eq!(
            bench.consumer.negative_acknowledge(now, id),
            Err(BadMessageId)
        );
    }
}

proptest! {
    #[test]
    fn garbage_is_answered(
        metadata: Vec<u8>, payload: Vec<u8>, ack_set: Vec<i64>, size in 0i32..70, room in 0usize..5
    ) {
        for subscription_type in [SubscriptionType::Exclusive, SubscriptionType::Shared] {
            let mut bench = Bench::new(&spec(subscription_type));
            bench.room = room;
            let envelope = Envelope { ack_set: ack_set.clone(), ..at(1) };
            let mut wire = envelope.plain(&payload);
            wire.metadata = metadata.clone();
            bench.receive(&wire);
            let batch = Metadata { num_messages_in_batch: Some(size), ..super::metadata() };
            let envelope = Envelope { ack_set: ack_set.clone(), ..at(2) };
            bench.receive(&envelope.with(&batch, &payload));
            bench.take(100);
        }
    }

    #[test]
    fn damaged_batches_are_answered(
        size in 1u32..70, at_byte: prop::sample::Index, byte: u8, cut: prop::sample::Index
    ) {
        let mut bench = Bench::new(&spec(SubscriptionType::Shared));
        let mut wire = at(1).batch(size);
        let position = at_byte.index(wire.payload.len());
        wire.payload[position] = byte;
        let keep = cut.index(wire.payload.len() + 1);
        wire.payload.truncate(keep);
        prop_assert!(bench.receive(&wire).len() <= size as usize);
    }
}
