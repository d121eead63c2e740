//! Permits, and what waits.

use super::*;

fn queue_of(receiver_queue_size: u32) -> Bench {
    Bench::new(&Spec {
        receiver_queue_size,
        ..spec(SubscriptionType::Shared)
    })
}

#[test]
fn permits_go_out_by_halves_of_the_queue() {
    let mut bench = queue_of(4);
    assert_eq!(bench.sent(), [Sent::Flow(4)]);
    bench.receive(&at(1).plain(b"x"));
    assert_eq!(bench.sent(), []);
    bench.receive(&at(2).plain(b"x"));
    assert_eq!(bench.sent(), [Sent::Flow(2)]);
    bench.receive(&at(3).batch(3));
    assert_eq!(bench.sent(), [Sent::Flow(2)]);
    bench.receive(&at(4).plain(b"x"));
    assert_eq!(bench.sent(), [Sent::Flow(2)]);
}

#[test]
fn a_queue_of_zero_is_one_permit_at_a_time_with_batches() {
    let mut bench = queue_of(0);
    assert_eq!(bench.sent(), [Sent::Flow(1)]);
    assert_eq!(bench.receive(&at(1).plain(b"x")).len(), 1);
    assert_eq!(bench.sent(), [Sent::Flow(1)]);
    assert_eq!(bench.receive(&at(2).batch(3)).len(), 3);
    assert_eq!(bench.sent(), [Sent::Flow(1), Sent::Flow(1), Sent::Flow(1)]);
}

#[test]
fn what_waits_keeps_its_permits_and_its_order() {
    let mut bench = queue_of(4);
    bench.sent();
    bench.room = 0;
    for entry in [1, 2] {
        assert_eq!(bench.receive(&at(entry.into()).plain(&[entry; 10])), []);
    }
    bench.room = 5;
    assert_eq!(
        bench.receive(&at(3).batch(2)),
        [],
        "does not overtake what is held"
    );
    assert!(bench.consumer.is_holding());
    assert!(bench.consumer.held_bytes() > 20);
    assert_eq!(bench.sent(), []);
    let got = bench.take(3);
    assert_eq!(payloads(&got), [&[1; 10][..], &[2; 10], b"0"]);
    assert_eq!(bench.sent(), [Sent::Flow(2)]);
    assert_eq!(payloads(&bench.take(3)), [b"1"]);
    assert_eq!(bench.sent(), [Sent::Flow(2)]);
    assert!(!bench.consumer.is_holding());
    assert_eq!(bench.consumer.held_bytes(), 0);
    bench.room = 1;
    assert_eq!(bench.receive(&at(4).plain(b"x")).len(), 1);
}

#[test]
fn no_new_permits_while_much_is_held() {
    let mut bench = queue_of(4);
    bench.sent();
    bench.room = 0;
    let large = vec![0; 5 << 20];
    for entry in 1..=4 {
        bench.receive(&at(entry).plain(&large));
    }
    assert_eq!(bench.take(2).len(), 2);
    assert_eq!(bench.sent(), [], "10 MiB are still held");
    assert_eq!(bench.take(1).len(), 1);
    assert_eq!(bench.sent(), [Sent::Flow(3)]);
}

#[test]
fn a_reconnect_starts_the_permits_anew() {
    let mut bench = queue_of(4);
    bench.sent();
    bench.receive(&at(1).plain(b"x"));
    bench.room = 0;
    bench.receive(&at(2).batch(2));
    assert_eq!(bench.consumer.handle_detached(), 1);
    assert!(!bench.consumer.is_holding());
    assert_eq!(bench.consumer.held_bytes(), 0);
    assert_eq!(bench.consumer.next_deadline(), None);
    bench.consumer.handle_subscribed(bench.now, &mut bench.out);
    assert_eq!(bench.sent(), [Sent::Flow(4)]);
    bench.room = 9;
    bench.receive(&at(1).plain(b"x"));
    assert_eq!(bench.sent(), []);
}

#[test]
fn end_of_topic_is_remembered() {
    let mut bench = queue_of(4);
    assert!(!bench.consumer.end_of_topic());
    bench.consumer.handle_reached_end();
    bench.consumer.handle_detached();
    assert!(bench.consumer.end_of_topic());
}
