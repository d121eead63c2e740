//! Messages in parts: put together, acknowledged and asked for again as a whole; parts that don't fit.

use proptest::prelude::*;

use super::*;
use crate::{
    pulsar::payload::{Compression, tests::compress},
    session::{consumer::DeadLetters, reader},
};

/// One part of a message whose content is `bytes` long.
fn part(entry: u64, uuid: &str, index: i32, count: i32, content: &[u8], bytes: usize) -> Wire {
    let metadata = Metadata {
        partition_key: Some("k".into()),
        publish_time: 1_700_000_000_000,
        uuid: Some(uuid.into()),
        chunk_id: Some(index),
        num_chunks_from_msg: Some(count),
        total_chunk_msg_size: Some(i32::try_from(bytes).unwrap()),
        ..metadata()
    };
    at(entry).with(&metadata, content)
}

/// A part of `abc`.
fn abc(entry: u64, uuid: &str, index: i32) -> Wire {
    let at = usize::try_from(index).unwrap();
    part(entry, uuid, index, 3, &b"abc"[at..=at], 3)
}

fn joined_id(first: u64, last: u64) -> Vec<u8> {
    let entry = |entry| EntryId {
        ledger: LEDGER,
        entry,
    };
    let id = PulsarId {
        entry: entry(last),
        partition: None,
        batch_index: None,
        batch_size: 0,
        first_chunk: Some(entry(first)),
    };
    id.encode().as_bytes().to_vec()
}

fn shared() -> Bench {
    Bench::fresh(&Spec {
        negative_ack_delay: 200 * MS,
        ..spec(SubscriptionType::Shared)
    })
}

impl Bench {
    /// Parts arrive; what the client can take then.
    fn join(&mut self, parts: &[Wire]) -> Vec<Got> {
        for part in parts {
            assert_eq!(self.receive(part), []);
        }
        self.take(usize::MAX)
    }

    /// What was asked for again, in order.
    fn redelivered(&mut self) -> Vec<u64> {
        let sent = self.sent().into_iter().flat_map(|sent| match sent {
            Sent::Redeliver(entries) => entries,
            other => panic!("{other:?}"),
        });
        let mut entries: Vec<_> = sent.collect();
        entries.sort_unstable();
        entries
    }

    fn abc(&mut self, first: u64, uuid: &str) -> Vec<Got> {
        self.join(&[
            abc(first, uuid, 0),
            abc(first + 1, uuid, 1),
            abc(first + 2, uuid, 2),
        ])
    }
}

fn acked(entries: impl IntoIterator<Item = u64>) -> Sent {
    Sent::Ack(entries.into_iter().map(|entry| (entry, vec![])).collect())
}

#[test]
fn parts_become_a_message_that_is_done_with_all_of_them() {
    let mut bench = shared();
    let got = bench.abc(5, "u");
    assert_eq!(payloads(&got), [b"abc"]);
    assert_eq!(got[0].id, joined_id(5, 7));
    assert_eq!(got[0].key.as_deref(), Some(&b"k"[..]));
    assert!(bench.ack(&got[0].id));
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [acked(5..8)]);
    assert!(!bench.ack(&got[0].id));
    assert_eq!(bench.consumer.tracker.spec.shard_chunks.get(), 0);
}

#[test]
fn several_come_in_turns() {
    let mut bench = shared();
    let parts = [
        abc(1, "u", 0),
        abc(2, "v", 0),
        abc(3, "u", 1),
        abc(4, "v", 1),
    ];
    assert_eq!(bench.join(&parts), []);
    let got = bench.join(&[abc(5, "v", 2), abc(6, "u", 2)]);
    assert_eq!(
        [&got[0].id, &got[1].id],
        [&joined_id(2, 5), &joined_id(1, 6)]
    );
    assert!(bench.ack(&got[0].id));
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [acked([2, 4, 5])]);
}

#[test]
fn what_is_compressed_is_so_as_a_whole() {
    let content = b"a lot of the same ".repeat(100);
    let compressed = compress(Compression::Zstd, &content);
    let (head, tail) = compressed.split_at(10);
    let mut bench = shared();
    let wires = [head, tail].into_iter().zip(0..).map(|(bytes, index)| {
        let mut wire = part(
            u64::try_from(index).unwrap(),
            "u",
            index,
            2,
            bytes,
            compressed.len(),
        );
        let mut metadata = Metadata::decode(&wire.metadata[..]).unwrap();
        metadata.compression = Some(3);
        metadata.uncompressed_size = Some(u32::try_from(content.len()).unwrap());
        wire.metadata = metadata.encode_to_vec();
        wire
    });
    let wires: Vec<_> = wires.collect();
    assert_eq!(payloads(&bench.join(&wires)), [&content[..]]);
    let mut broken = wires;
    broken[1].payload[0] ^= 1;
    bench.consumer.handle_detached();
    bench.consumer.handle_subscribed(bench.now, &mut bench.out);
    bench.sent();
    assert_eq!(bench.join(&broken), []);
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [Sent::Corrupt(1, 1), acked([0])]);
}

#[test]
fn parts_cost_no_permits() {
    let mut bench = Bench::fresh(&Spec {
        receiver_queue_size: 1,
        ..spec(SubscriptionType::Shared)
    });
    bench.room = 0;
    for index in 0..2 {
        bench.receive(&abc(1, "u", index));
        assert_eq!(bench.sent(), [Sent::Flow(1)]);
    }
    bench.receive(&abc(3, "u", 2));
    assert_eq!(bench.sent(), [], "it waits for the client");
    assert_eq!(bench.take(1).len(), 1);
    assert_eq!(bench.sent(), [Sent::Flow(1)]);
}

#[test]
fn all_parts_are_asked_for_again() {
    let mut bench = shared();
    let got = bench.abc(1, "u");
    assert!(bench.nack(&got[0].id));
    bench.pass(200 * MS);
    assert_eq!(bench.sent(), [Sent::Redeliver(vec![1, 2, 3])]);
    let again = bench.abc(1, "u");
    assert_eq!(again, got);
    assert!(bench.ack(&again[0].id));
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [acked(1..4)]);

    let mut bench = Bench::fresh(&Spec {
        ack_timeout: Some(1000 * MS),
        ..spec(SubscriptionType::KeyShared)
    });
    bench.abc(1, "u");
    assert_eq!(bench.pass(2000 * MS), 1);
    assert_eq!(bench.sent(), [Sent::Redeliver(vec![1, 2, 3])]);
}

#[test]
fn of_a_message_delivered_elsewhere_the_id_tells_two_parts() {
    let mut bench = shared();
    assert!(!bench.ack(&joined_id(4, 9)));
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [acked([4, 9])]);
}

#[test]
fn after_a_reconnect_all_parts_come_again() {
    let mut bench = shared();
    bench.join(&[abc(1, "u", 0), abc(2, "u", 1)]);
    bench.consumer.handle_detached();
    assert_eq!(bench.consumer.tracker.spec.shard_chunks.get(), 0);
    bench.consumer.handle_subscribed(bench.now, &mut bench.out);
    bench.sent();
    assert_eq!(bench.abc(1, "u").len(), 1);
}

#[test]
fn what_was_stored_twice_is_acknowledged() {
    let mut bench = shared();
    bench.join(&[
        abc(1, "u", 0),
        abc(2, "u", 1),
        abc(3, "u", 0),
        abc(4, "u", 1),
        abc(5, "u", 1),
    ]);
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [acked([1, 2, 5])]);
    bench.join(&[abc(3, "u", 0), abc(4, "u", 1), abc(4, "u", 1)]);
    let got = bench.join(&[abc(6, "u", 2)]);
    assert_eq!(
        got[0].id,
        joined_id(3, 6),
        "the broker just sent them again"
    );
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), []);
}

#[test]
fn a_part_without_its_predecessors_is_acknowledged_when_it_is_old() {
    let mut bench = shared();
    bench.join(&[
        abc(1, "u", 1),
        abc(2, "v", 0),
        abc(3, "v", 2),
        abc(4, "v", 1),
    ]);
    bench.pass(60_000 * MS);
    assert_eq!(bench.sent(), [], "they are not old");
    bench.pass(MS);
    bench.join(&[abc(5, "w", 1)]);
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [acked([5])]);

    let mut bench = Bench::fresh(&Spec {
        ack_timeout: Some(1000 * MS),
        ..spec(SubscriptionType::Shared)
    });
    bench.join(&[abc(1, "u", 1)]);
    assert_eq!(bench.pass(2000 * MS), 0);
    assert_eq!(bench.sent(), [Sent::Redeliver(vec![1])]);
}

#[test]
fn what_is_never_completed_is_acknowledged_after_a_minute() {
    let mut bench = shared();
    bench.join(&[abc(1, "u", 0), abc(2, "u", 1)]);
    bench.pass(30_000 * MS);
    bench.join(&[abc(3, "v", 0)]);
    bench.pass(29_999 * MS);
    assert_eq!(bench.sent(), []);
    bench.pass(101 * MS);
    assert_eq!(bench.sent(), [acked([1, 2])]);
    bench.pass(30_000 * MS);
    assert_eq!(bench.sent(), [acked([3])]);
    assert_eq!(bench.consumer.tracker.spec.shard_chunks.get(), 0);
}

#[test]
fn a_slow_client_makes_nothing_old() {
    let mut bench = shared();
    bench.room = 0;
    bench.receive(&abc(1, "u", 0));
    bench.receive(&at(2).plain(b"x"));
    bench.pass(100_000 * MS);
    assert_eq!(bench.sent(), []);
    assert_eq!(payloads(&bench.take(1)), [b"x"]);
    let got = bench.join(&[abc(3, "u", 1), abc(4, "u", 2)]);
    assert_eq!(payloads(&got), [b"abc"]);
}

#[test]
fn the_oldest_of_too_many_makes_room() {
    let mut bench = shared();
    for number in 0..11 {
        bench.receive(&abc(number, &format!("u{number}"), 0));
    }
    assert_eq!(bench.join(&[abc(20, "u0", 1), abc(21, "u0", 2)]), []);
    assert_eq!(bench.join(&[abc(22, "u1", 1), abc(23, "u1", 2)]).len(), 1);
    bench.pass(100 * MS);
    assert_eq!(
        bench.sent(),
        [],
        "as by default in Java, nothing is acknowledged"
    );
}

#[test]
fn bytes_are_bounded() {
    let mut bench = shared();
    let (large, content) = (40 << 20, vec![0; 39 << 20]);
    let begin = |entry, uuid| part(entry, uuid, 0, 2, &content, large);
    let end = |entry, uuid| part(entry, uuid, 1, 2, b"y", large);
    bench.join(&[begin(1, "u"), begin(2, "v")]);
    assert_eq!(bench.join(&[end(3, "u")]), [], "the oldest made room");
    assert_eq!(bench.join(&[end(4, "v")]).len(), 1);
    let small = part(5, "s", 0, 2, b"x", large);
    bench.join(&[
        small,
        part(6, "t", 0, 3, &content, large),
        part(7, "s", 1, 2, &content, large),
    ]);
    assert_eq!(
        bench.join(&[part(8, "t", 1, 3, b"", large)]),
        [],
        "made room, though younger"
    );
    for wire in [
        part(14, "w", 0, 2, b"x", (64 << 20) + 1),
        part(15, "z", 0, 2, b"xy", 1),
    ] {
        assert_eq!(bench.join(&[wire]), []);
    }
    assert_eq!(bench.consumer.stats().unreadable, 2);
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), []);
}

#[test]
fn readers_join_too() {
    let mut bench = Bench::fresh(
        ConsumerSpec::try_from(&reader::Spec {
            topic: "t".into(),
            name: None,
            receiver_queue_size: 10,
            start: reader::Start::Earliest,
            undecryptable: Undecryptable::Leave,
        })
        .unwrap(),
    );
    let got = bench.abc(1, "u");
    assert_eq!(
        (payloads(&got)[0], &got[0].id),
        (&b"abc"[..], &joined_id(1, 3))
    );
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [Sent::Cumulative(3)]);
    bench.room = 0;
    for index in 0..3u8 {
        bench.receive(&abc(4 + u64::from(index), "v", index.into()));
    }
    bench.consumer.handle_detached();
    let start = bench.consumer.subscribe(1).start_message_id.unwrap();
    assert_eq!(start.entry_id, 3, "before its first part");
}

#[test]
fn they_die_as_a_whole() {
    let mut bench = Bench::fresh(&Spec {
        dead_letters: Some(DeadLetters {
            redeliveries_max: 1,
            topic: String::new(),
        }),
        ..spec(SubscriptionType::Shared)
    });
    let mut parts = [abc(1, "u", 0), abc(2, "u", 1), abc(3, "u", 2)];
    for (part, entry) in parts.iter_mut().zip(1..) {
        let again = Envelope {
            redelivery_count: Some(2),
            ..at(entry)
        };
        part.command = again.plain(b"").command;
    }
    assert_eq!(bench.join(&parts), []);
    let letter = bench.consumer.take_letter().unwrap();
    letter
        .try_each(|message| {
            assert_eq!(message.origin, "3:1:-1;3:3:-1");
            assert_eq!(message.delivery.payload, Some(&b"abc"[..]));
            Ok::<(), ()>(())
        })
        .unwrap();
    bench.consumer.note_letter_message(&letter, Lane(0));
    bench.consumer.note_letter(bench.now, &letter, true);
    bench
        .consumer
        .handle_letter_outcome(bench.now, Lane(0), true);
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [acked(1..4)]);
}

/// There was no room for it in the shard. Its parts are old, and yet none of them is acknowledged.
#[test]
fn what_was_given_up_is_asked_for_when_it_is_whole() {
    let mut bench = shared();
    bench.pass(100_000 * MS);
    bench.join(&[abc(1, "u", 0), abc(2, "v", 0)]);
    bench.consumer.give_up_incomplete(bench.now.mono, false);
    assert_eq!(bench.consumer.incomplete(), 1);
    assert_eq!(bench.join(&[abc(3, "u", 1), abc(3, "u", 1)]), []);
    bench.pass(10_000 * MS);
    assert_eq!(bench.sent(), [], "the last part is missing");
    assert_eq!(bench.join(&[abc(4, "u", 2)]), []);
    bench.pass(999 * MS);
    assert_eq!(bench.sent(), [], "it rests");
    bench.pass(MS);
    assert_eq!(bench.sent(), [Sent::Redeliver(vec![1, 3, 4])]);
    let parts = [abc(1, "u", 0), abc(3, "u", 1), abc(4, "u", 2)];
    assert_eq!(payloads(&bench.join(&parts)), [b"abc"]);
    assert_eq!(bench.join(&[abc(5, "v", 1), abc(6, "v", 2)]).len(), 1);
    assert_eq!(bench.consumer.tracker.spec.shard_chunks.get(), 0);
}

#[test]
fn the_rest_grows_until_a_message_is_complete() {
    let mut bench = shared();
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        bench.join(&[abc(1, "u", 0)]);
        bench.consumer.give_up_incomplete(bench.now.mono, true);
        bench.join(&[abc(2, "u", 1), abc(3, "u", 2)]);
        bench.pass(seconds * 1000 * MS - MS);
        assert_eq!(bench.sent(), []);
        bench.pass(MS);
        assert_eq!(bench.sent(), [Sent::Redeliver(vec![1, 2, 3])]);
    }
    bench.abc(1, "u");
    bench.join(&[abc(4, "v", 0)]);
    bench.consumer.give_up_incomplete(bench.now.mono, true);
    bench.join(&[abc(5, "v", 1), abc(6, "v", 2)]);
    bench.pass(1000 * MS);
    assert_eq!(bench.sent(), [Sent::Redeliver(vec![4, 5, 6])]);
}

#[test]
fn what_was_given_up_and_is_never_completed_is_asked_for_after_a_minute() {
    let mut bench = shared();
    bench.join(&[abc(1, "u", 0), abc(2, "u", 1)]);
    bench.consumer.give_up_incomplete(bench.now.mono, true);
    bench.pass(59_999 * MS);
    assert_eq!(bench.sent(), []);
    bench.pass(MS);
    assert_eq!(bench.sent(), [Sent::Redeliver(vec![1, 2])]);
    bench.join(&[abc(1, "u", 0), abc(2, "u", 1)]);
    bench.pass(60_000 * MS);
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [acked([1, 2])], "it is as old as others");
    // One whose parts don't follow each other is asked for as far as it came; what comes behind the gap
    // is old.
    bench.join(&[abc(3, "v", 0)]);
    bench.consumer.give_up_incomplete(bench.now.mono, true);
    bench.join(&[abc(4, "v", 2)]);
    bench.pass(1000 * MS);
    assert_eq!(bench.sent(), [acked([4]), Sent::Redeliver(vec![3])]);
}

#[test]
fn one_consumer_at_a_time_asks_for_all_again_once() {
    let mut bench = Bench::fresh(&spec(SubscriptionType::Exclusive));
    bench.join(&[abc(1, "u", 0), abc(2, "v", 0)]);
    bench.consumer.give_up_incomplete(bench.now.mono, true);
    bench.consumer.give_up_incomplete(bench.now.mono, true);
    bench.join(&[
        abc(3, "u", 1),
        abc(4, "u", 2),
        abc(5, "v", 1),
        abc(6, "v", 2),
    ]);
    bench.pass(1000 * MS);
    assert!(matches!(bench.sent()[..], [Sent::RedeliverAll(_)]));
    bench.pass(10_000 * MS);
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.consumer.tracker.spec.shard_chunks.get(), 0);
}

#[test]
fn what_was_given_up_takes_no_place_of_others() {
    let mut bench = shared();
    let given_up: Vec<_> = (0..15).map(|n| (100 + 3 * n, format!("g{n}"))).collect();
    for (first, uuid) in &given_up {
        bench.join(&[abc(*first, uuid, 0)]);
        bench.consumer.give_up_incomplete(bench.now.mono, true);
    }
    let kept: Vec<_> = (0..10).map(|n| (200 + 3 * n, format!("k{n}"))).collect();
    for (first, uuid) in &kept {
        bench.join(&[abc(*first, uuid, 0)]);
    }
    for (first, uuid) in &kept {
        let got = bench.join(&[abc(first + 1, uuid, 1), abc(first + 2, uuid, 2)]);
        assert_eq!(payloads(&got), [b"abc"]);
    }
    for (first, uuid) in &given_up {
        bench.join(&[abc(first + 1, uuid, 1), abc(first + 2, uuid, 2)]);
    }
    bench.pass(60_000 * MS);
    assert_eq!(bench.redelivered(), (100..145).collect::<Vec<_>>());
    assert_eq!(bench.consumer.tracker.spec.shard_chunks.get(), 0);
}

#[test]
fn what_was_given_up_and_makes_room_is_asked_for_again() {
    let mut bench = shared();
    let large = 40 << 20;
    let begin = |entry, uuid| part(entry, uuid, 0, 2, &vec![0; 39 << 20], large);
    bench.join(&[abc(1, "g", 0), abc(2, "g", 1)]);
    bench.consumer.give_up_incomplete(bench.now.mono, true);
    bench.join(&[begin(3, "u"), begin(4, "v")]);
    assert_eq!(bench.consumer.incomplete(), 1);
    bench.pass(1000 * MS);
    assert_eq!(bench.sent(), [Sent::Redeliver(vec![1, 2])]);
    bench.join(&[part(5, "h", 0, 3, b"x", large)]);
    bench.consumer.give_up_incomplete(bench.now.mono, true);
    let content = vec![0; 39 << 20];
    bench.join(&[begin(6, "w"), part(7, "h", 1, 3, &content, large)]);
    let got = bench.join(&[part(8, "w", 1, 2, b"y", large)]);
    assert_eq!(got.len(), 1, "what is given up is not stored");

    let mut bench = shared();
    for entry in 0..101 {
        bench.join(&[abc(entry, &format!("g{entry}"), 0)]);
        bench.consumer.give_up_incomplete(bench.now.mono, true);
    }
    bench.pass(1000 * MS);
    assert_eq!(bench.sent(), [], "so many are known");
    bench.join(&[abc(101, "k", 0)]);
    bench.pass(1000 * MS);
    assert_eq!(bench.redelivered(), [0]);
}

/// Parts without content take room, too.
#[test]
fn empty_parts_count() {
    let mut bench = shared();
    for index in 0..1000u16 {
        let index = i32::from(index);
        bench.receive(&part(
            u64::from(index.unsigned_abs()),
            "u",
            index,
            5000,
            b"",
            3,
        ));
    }
    let bytes = bench.consumer.tracker.spec.shard_chunks.get();
    assert!(bytes >= 1000 * size_of::<EntryId>(), "{bytes}");
    bench.consumer.handle_detached();
    assert_eq!(bench.consumer.tracker.spec.shard_chunks.get(), 0);
}

/// What may happen to messages in parts.
#[derive(Clone, Copy, Debug)]
enum Twist {
    /// Of which message, and which part.
    Part(u8, i32),
    GiveUp(bool),
    PassSeconds(u8),
    Lose,
}

fn twist() -> impl Strategy<Value = Twist> {
    prop_oneof![
        12 => (0..4u8, 0..3i32).prop_map(|(message, index)| Twist::Part(message, index)),
        2 => any::<bool>().prop_map(Twist::GiveUp),
        2 => (0..70u8).prop_map(Twist::PassSeconds),
        1 => Just(Twist::Lose),
    ]
}

proptest! {
    /// However parts come and go, what is delivered is whole, and nothing is counted that is not there.
    #[test]
    fn parts_in_any_order(twists in prop::collection::vec(twist(), 0..200), is_shared: bool) {
        let kind = if is_shared { SubscriptionType::Shared } else { SubscriptionType::Failover };
        let mut bench = Bench::fresh(&spec(kind));
        for twist in twists {
            match twist {
                Twist::Part(message, index) => {
                    let entry = 10 * u64::from(message) + u64::from(index.unsigned_abs());
                    let got = bench.join(&[abc(entry, &format!("u{message}"), index)]);
                    prop_assert!(payloads(&got).iter().all(|content| *content == b"abc"));
                }
                Twist::GiveUp(newest) => {
                    let before = bench.consumer.tracker.spec.shard_chunks.get();
                    let messages = bench.consumer.incomplete();
                    bench.consumer.give_up_incomplete(bench.now.mono, newest);
                    prop_assert_eq!(bench.consumer.incomplete(), messages.saturating_sub(1));
                    let after = bench.consumer.tracker.spec.shard_chunks.get();
                    prop_assert_eq!(after < before, messages > 0);
                }
                Twist::PassSeconds(seconds) => {
                    bench.pass(Duration::from_secs(seconds.into()));
                }
                Twist::Lose => {
                    bench.consumer.handle_detached();
                    prop_assert_eq!(bench.consumer.tracker.spec.shard_chunks.get(), 0);
                    bench.consumer.handle_subscribed(bench.now, &mut bench.out);
                }
            }
            bench.sent();
        }
        bench.consumer.handle_detached();
        prop_assert_eq!(bench.consumer.tracker.spec.shard_chunks.get(), 0);
        prop_assert_eq!(bench.consumer.tracker.spec.shard_held.get(), 0);
    }
}
