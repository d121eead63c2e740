//! Acknowledgements: grouped, of entries, and of members of a batch.

use super::*;

fn shared() -> Bench {
    Bench::fresh(&spec(SubscriptionType::Shared))
}

#[test]
fn acknowledgements_are_grouped_for_100_ms() {
    let mut bench = shared();
    for entry in 1..=3 {
        bench.receive(&at(entry).plain(b"x"));
    }
    assert!(bench.ack(&id(2)));
    assert!(!bench.ack(&id(2)), "not outstanding any more");
    bench.pass(60 * MS);
    assert!(bench.ack(&id(1)));
    bench.pass(39 * MS);
    assert_eq!(bench.sent(), []);
    bench.pass(MS);
    assert_eq!(bench.sent(), [Sent::Ack(vec![(1, vec![]), (2, vec![])])]);
    bench.pass(30_000 * MS);
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.consumer.next_deadline(), None);
    assert!(bench.ack(&id(3)));
    bench.consumer.flush_acks(&mut bench.out);
    assert_eq!(bench.sent(), [Sent::Ack(vec![(3, vec![])])]);
}

#[test]
fn a_thousand_go_at_once() {
    let mut bench = shared();
    for entry in 0..1000 {
        assert_eq!(bench.sent(), []);
        assert!(!bench.ack(&id(entry)), "somebody else's");
    }
    let expected = (0..1000).map(|entry| (entry, vec![])).collect();
    assert_eq!(bench.sent(), [Sent::Ack(expected)]);
}

#[test]
fn what_is_acknowledged_but_not_told_is_not_delivered_again() {
    let mut bench = Bench::fresh(&Spec {
        receiver_queue_size: 2,
        ..spec(SubscriptionType::Shared)
    });
    bench.receive(&at(1).plain(b"x"));
    bench.receive(&at(2).batch(2));
    bench.sent();
    bench.ack(&id(1));
    bench.ack(&member(2, 0, 2));
    bench.ack(&member(2, 1, 2));
    assert_eq!(bench.receive(&at(1).plain(b"x")), []);
    assert_eq!(bench.receive(&at(2).batch(2)), []);
    assert_eq!(bench.sent(), [Sent::Flow(1), Sent::Flow(2)]);
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [Sent::Ack(vec![(1, vec![]), (2, vec![])])]);
}

#[test]
fn what_is_with_the_client_is_not_delivered_twice() {
    let mut bench = shared();
    assert_eq!(bench.receive(&at(1).plain(b"x")).len(), 1);
    assert_eq!(bench.receive(&at(1).plain(b"x")).len(), 0);
    assert_eq!(bench.receive(&at(2).batch(2)).len(), 2);
    assert_eq!(bench.receive(&at(2).batch(2)).len(), 0);
    assert_eq!(bench.consumer.stats().duplicates, 3);
    assert_eq!(bench.consumer.handle_detached(), 3);
}

#[test]
fn kept_while_the_broker_is_away() {
    let mut bench = shared();
    bench.receive(&at(1).plain(b"x"));
    assert_eq!(bench.consumer.handle_detached(), 1);
    let now = bench.now;
    assert_eq!(bench.consumer.acknowledge(now, &id(1), None), Ok(false));
    assert_eq!(bench.consumer.next_deadline(), None);
    bench.pass(1000 * MS);
    bench.consumer.flush_acks(&mut bench.out);
    assert_eq!(bench.sent(), []);
    bench.consumer.handle_subscribed(bench.now, &mut bench.out);
    assert_eq!(
        bench.sent(),
        [Sent::Ack(vec![(1, vec![])]), Sent::Flow(1000)]
    );
}

#[test]
fn a_batch_is_acknowledged_in_parts_and_then_as_a_whole() {
    let mut bench = shared();
    bench.receive(&at(1).batch(3));
    assert!(bench.ack(&member(1, 1, 3)));
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [Sent::Ack(vec![(1, vec![0b101])])]);
    assert!(!bench.ack(&member(1, 1, 3)));
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [], "nothing new");
    assert!(bench.ack(&member(1, 0, 3)));
    assert!(bench.ack(&member(1, 2, 3)));
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [Sent::Ack(vec![(1, vec![])])]);
}

/// A broker that knows entries only sends the whole batch again.
#[test]
fn acknowledged_members_stay_so_when_the_broker_is_lost() {
    let mut bench = shared();
    bench.receive(&at(1).batch(3));
    bench.receive(&at(2).batch(2));
    assert!(bench.ack(&member(1, 1, 3)));
    assert_eq!(bench.consumer.handle_detached(), 4);
    let now = bench.now;
    // An old id, while the broker is away.
    let late = bench.consumer.acknowledge(now, &member(1, 2, 3), None);
    assert_eq!(late, Ok(false));
    bench.consumer.handle_subscribed(bench.now, &mut bench.out);
    assert_eq!(
        bench.sent(),
        [Sent::Ack(vec![(1, vec![0b001])]), Sent::Flow(1000)]
    );
    assert_eq!(bench.receive(&at(1).batch(3)).len(), 1);
    assert_eq!(bench.receive(&at(2).batch(2)).len(), 2);
    assert!(bench.ack(&member(1, 0, 3)));
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [Sent::Ack(vec![(1, vec![])])]);
}

/// The size is known here, so ids as a producer got them do as well.
#[test]
fn ids_of_a_producer_are_understood() {
    let mut bench = shared();
    bench.receive(&at(1).batch(2));
    assert!(bench.ack(&member(1, 0, 0)));
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [Sent::Ack(vec![(1, vec![0b10])])]);
    assert!(!bench.ack(&member(9, 0, 0)));
    bench.pass(100 * MS);
    assert_eq!(
        bench.sent(),
        [],
        "but not without the size, or siblings would be lost"
    );
}

#[test]
fn members_that_another_connection_got() {
    let mut bench = shared();
    assert!(!bench.ack(&member(1, 1, 70)));
    bench.pass(100 * MS);
    assert_eq!(
        bench.sent(),
        [Sent::Ack(vec![(1, vec![u64::MAX - 2, 0b11_1111])])]
    );
    assert!(!bench.ack(&member(2, 0, 2)));
    assert!(!bench.ack(&member(2, 1, 2)));
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [Sent::Ack(vec![(2, vec![])])]);
    for strange in [member(3, 5, 5), member(4, 1, u32::MAX >> 1)] {
        assert!(!bench.ack(&strange));
        bench.pass(100 * MS);
        assert_eq!(bench.sent(), []);
    }
}

#[test]
fn a_wrong_size_in_an_id_does_no_harm() {
    let mut bench = shared();
    assert!(!bench.ack(&member(1, 0, 2)));
    let got = bench.receive(&at(1).batch(3));
    assert!(got.len() >= 2);
    for got in &got {
        assert!(bench.ack(&got.id), "each one frees its place");
    }
}

/// A broker that keeps ack sets sends only what is left, and takes no permits for the rest.
#[test]
fn only_what_the_broker_means_is_delivered() {
    let mut bench = Bench::fresh(&Spec {
        receiver_queue_size: 2,
        ..spec(SubscriptionType::Shared)
    });
    let envelope = Envelope {
        ack_set: vec![0b1010],
        ..at(1)
    };
    let got = bench.receive(&envelope.batch(4));
    assert_eq!(payloads(&got), [b"1", b"3"]);
    assert_eq!(bench.sent(), [Sent::Flow(1), Sent::Flow(1)]);
    bench.ack(&got[0].id);
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [Sent::Ack(vec![(1, vec![0b1000])])]);
    bench.ack(&got[1].id);
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [Sent::Ack(vec![(1, vec![])])]);
}

#[test]
fn compacted_members_are_done() {
    let mut bench = Bench::fresh(&Spec {
        receiver_queue_size: 2,
        ..spec(SubscriptionType::Shared)
    });
    let gone = Single {
        compacted_out: Some(true),
        ..Single::default()
    };
    let members = [(gone.clone(), vec![]), (Single::default(), b"x".to_vec())];
    let got = bench.receive(&at(1).members(&members));
    assert_eq!(payloads(&got), [b"x"]);
    assert_eq!(bench.sent(), [Sent::Flow(2)]);
    bench.ack(&got[0].id);
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [Sent::Ack(vec![(1, vec![])])]);
    bench.receive(&at(2).members(&[(gone, vec![])]));
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [Sent::Flow(1), Sent::Ack(vec![(2, vec![])])]);
}

#[test]
fn an_id_without_a_batch_index_means_the_entry() {
    let mut bench = shared();
    bench.receive(&at(1).batch(3));
    assert!(bench.ack(&id(1)));
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [Sent::Ack(vec![(1, vec![])])]);
    assert!(bench.ack(&member(1, 2, 3)));
    assert!(bench.ack(&id(1)));
    assert!(!bench.ack(&id(1)));
}
