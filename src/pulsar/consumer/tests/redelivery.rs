//! Asking again.

use super::*;

fn with_delay(subscription_type: SubscriptionType, ms: u32) -> Bench {
    Bench::fresh(&Spec {
        negative_ack_delay: ms * MS,
        ..spec(subscription_type)
    })
}

fn with_timeout(subscription_type: SubscriptionType, ms: u32) -> Bench {
    Bench::fresh(&Spec {
        ack_timeout: Some(ms * MS),
        ..spec(subscription_type)
    })
}

#[test]
fn rejected_messages_are_asked_for_together() {
    for subscription_type in [SubscriptionType::Shared, SubscriptionType::KeyShared] {
        let mut bench = with_delay(subscription_type, 1024);
        for entry in 1..=4 {
            bench.receive(&at(entry).plain(b"x"));
        }
        assert!(bench.nack(&id(3)));
        assert!(!bench.nack(&id(3)));
        bench.pass(5 * MS);
        assert!(bench.nack(&id(1)));
        assert!(bench.nack(&id(4)));
        assert!(!bench.ack(&id(4)), "its place was free already");
        bench.pass(100 * MS);
        assert_eq!(bench.sent(), [Sent::Ack(vec![(4, vec![])])]);
        assert_eq!(bench.pass(918 * MS), 0);
        assert_eq!(bench.sent(), []);
        assert_eq!(bench.pass(MS), 0, "rejected ones were released before");
        assert_eq!(bench.sent(), [Sent::Redeliver(vec![1, 3])]);
        let again = Envelope {
            redelivery_count: Some(1),
            ..at(1)
        };
        assert_eq!(bench.receive(&again.plain(b"x"))[0].redelivery_count, 1);
        assert!(bench.ack(&id(1)));
    }
}

#[test]
fn strangers_are_asked_for_too() {
    let mut bench = with_delay(SubscriptionType::Shared, 0);
    assert!(!bench.nack(&id(9)));
    bench.pass(99 * MS);
    assert_eq!(bench.sent(), []);
    bench.pass(MS);
    assert_eq!(bench.sent(), [Sent::Redeliver(vec![9])]);
}

/// The broker knows entries only.
#[test]
fn siblings_that_are_done_do_not_come_back() {
    let mut bench = with_delay(SubscriptionType::Shared, 0);
    bench.receive(&at(1).batch(4));
    assert!(bench.ack(&member(1, 0, 4)));
    assert!(bench.ack(&member(1, 3, 4)));
    assert!(bench.nack(&member(1, 1, 4)));
    assert!(!bench.nack(&member(1, 0, 4)), "done is done");
    assert_eq!(
        bench.pass(100 * MS),
        1,
        "the one that is still with the client comes too"
    );
    assert_eq!(
        bench.sent(),
        [Sent::Ack(vec![(1, vec![0b0110])]), Sent::Redeliver(vec![1])]
    );
    assert_eq!(payloads(&bench.receive(&at(1).batch(4))), [b"1", b"2"]);
    assert!(bench.ack(&member(1, 1, 4)));
    assert!(bench.ack(&member(1, 2, 4)));
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [Sent::Ack(vec![(1, vec![])])]);
}

#[test]
fn copies_that_wait_are_dropped_when_their_entry_is_asked_for() {
    let mut bench = Bench::fresh(&Spec {
        negative_ack_delay: Duration::ZERO,
        receiver_queue_size: 4,
        ..spec(SubscriptionType::Shared)
    });
    bench.room = 1;
    assert_eq!(bench.receive(&at(1).batch(4)).len(), 1);
    bench.receive(&at(2).plain(b"x"));
    assert!(bench.nack(&member(1, 0, 4)));
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [Sent::Redeliver(vec![1]), Sent::Flow(4)]);
    assert_eq!(payloads(&bench.take(9)), [b"x"]);
    assert_eq!(bench.receive(&at(1).batch(4)).len(), 4);
}

/// Found by the model: the client acknowledges what was asked for again meanwhile, and the new copy
/// waits already.
#[test]
fn a_late_acknowledgement_reaches_the_copy_that_waits() {
    let mut bench = with_timeout(SubscriptionType::Shared, 1000);
    for wire in [at(1).plain(b"x"), at(2).batch(2)] {
        bench.receive(&wire);
    }
    assert_eq!(bench.pass(2000 * MS), 3);
    bench.room = 0;
    bench.receive(&at(1).plain(b"x"));
    bench.receive(&at(2).batch(2));
    assert!(!bench.ack(&id(1)));
    assert!(!bench.ack(&member(2, 1, 2)));
    assert_eq!(payloads(&bench.take(1)), [b"0"]);
    assert!(bench.ack(&member(2, 0, 2)));
    assert_eq!(bench.take(9), []);
    assert_eq!(bench.consumer.held_bytes(), 0);
}

#[test]
fn exclusive_consumers_ask_for_everything_in_a_new_epoch() {
    for subscription_type in [SubscriptionType::Exclusive, SubscriptionType::Failover] {
        let mut bench = Bench::fresh(&Spec {
            negative_ack_delay: Duration::ZERO,
            receiver_queue_size: 4,
            ..spec(subscription_type)
        });
        let epoch = |entry, epoch| Envelope {
            epoch: Some(epoch),
            ..at(entry)
        };
        bench.room = 3;
        for entry in 1..=4 {
            bench.receive(&epoch(entry, 0).plain(b"x"));
        }
        bench.sent();
        assert!(bench.ack(&id(1)));
        assert!(bench.nack(&id(2)));
        assert_eq!(bench.pass(100 * MS), 1, "3 was with the client, 4 was not");
        assert_eq!(
            bench.sent(),
            [
                Sent::Ack(vec![(1, vec![])]),
                Sent::RedeliverAll(1),
                Sent::Flow(2)
            ]
        );
        bench.room = 9;
        assert_eq!(bench.receive(&epoch(5, 0).plain(b"x")), [], "void");
        assert_eq!(bench.receive(&epoch(2, 1).plain(b"x")).len(), 1);
        assert_eq!(
            bench.receive(&at(3).plain(b"x")).len(),
            1,
            "a broker without epochs"
        );
        assert_eq!(bench.receive(&epoch(4, u64::MAX).plain(b"x")).len(), 1);
        assert_eq!(bench.consumer.subscribe(1).consumer_epoch, Some(1));
    }
}

#[test]
fn patience_ends_with_a_tick() {
    let mut bench = with_timeout(SubscriptionType::Shared, 1000);
    bench.pass(300 * MS);
    bench.receive(&at(1).plain(b"x"));
    bench.receive(&at(2).plain(b"x"));
    bench.receive(&at(3).batch(2));
    assert!(bench.ack(&id(2)));
    assert!(bench.ack(&member(3, 1, 2)));
    bench.pass(900 * MS);
    bench.receive(&at(4).plain(b"x"));
    bench.sent();
    assert_eq!(bench.pass(799 * MS), 0);
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.pass(MS), 2);
    assert_eq!(bench.sent(), [Sent::Redeliver(vec![1, 3])]);
    assert_eq!(payloads(&bench.receive(&at(3).batch(2))), [b"0"]);
    assert_eq!(bench.pass(1000 * MS), 1);
    assert_eq!(bench.sent(), [Sent::Redeliver(vec![4])]);
    assert_eq!(bench.pass(1000 * MS), 1, "from its last delivery");
    assert_eq!(bench.sent(), [Sent::Redeliver(vec![3])]);
    bench.pass(30_000 * MS);
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.consumer.next_deadline(), None);
}

#[test]
fn patience_of_an_exclusive_consumer_ends_for_all() {
    let mut bench = with_timeout(SubscriptionType::Exclusive, 1000);
    bench.receive(&at(1).plain(b"x"));
    bench.pass(1500 * MS);
    bench.receive(&at(2).plain(b"x"));
    bench.sent();
    assert_eq!(bench.pass(500 * MS), 2);
    assert_eq!(bench.sent(), [Sent::RedeliverAll(1)]);
    assert_eq!(bench.pass(5000 * MS), 0);
    assert_eq!(bench.sent(), []);
}

/// As in Java: the negative acknowledgement has its own delay.
#[test]
fn a_rejected_entry_is_not_subject_to_patience() {
    let mut bench = Bench::fresh(&Spec {
        ack_timeout: Some(1000 * MS),
        negative_ack_delay: 4096 * MS,
        ..spec(SubscriptionType::Shared)
    });
    bench.receive(&at(1).batch(2));
    assert!(bench.nack(&member(1, 0, 2)));
    assert_eq!(bench.pass(4095 * MS), 0);
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.pass(MS), 1);
    assert_eq!(bench.sent(), [Sent::Redeliver(vec![1])]);
}

#[test]
fn many_are_asked_for_by_the_thousand() {
    let mut bench = with_delay(SubscriptionType::Shared, 0);
    for entry in 0..1500 {
        bench.nack(&id(entry));
    }
    bench.pass(100 * MS);
    let sent = bench.sent();
    assert_eq!(
        sent,
        [
            Sent::Redeliver((0..1000).collect()),
            Sent::Redeliver((1000..1500).collect())
        ]
    );
}

#[test]
fn a_reconnect_brings_everything_back_at_once() {
    let mut bench = with_delay(SubscriptionType::Shared, 1000);
    for entry in 1..=2 {
        bench.receive(&at(entry).plain(b"x"));
    }
    bench.nack(&id(1));
    assert_eq!(bench.consumer.handle_detached(), 1);
    assert!(!bench.nack(&id(2)));
    assert_eq!(
        bench
            .consumer
            .handle_timeout(bench.now, Some(&mut bench.out)),
        0
    );
    bench.consumer.handle_subscribed(bench.now, &mut bench.out);
    bench.sent();
    assert_eq!(bench.receive(&at(1).plain(b"x")).len(), 1);
    assert_eq!(bench.pass(5000 * MS), 0);
    assert_eq!(bench.sent(), []);
}
