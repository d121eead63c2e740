//! Readers, and consumers whose subscription is not durable: where they begin, and go on.

use super::*;
use crate::session::reader::{self, Start};

fn reader_from(start: Start) -> ConsumerSpec {
    let spec = reader::Spec {
        topic: "persistent://public/default/t".into(),
        name: None,
        receiver_queue_size: 4,
        start,
        undecryptable: Undecryptable::Leave,
    };
    ConsumerSpec::try_from(&spec).unwrap()
}

fn start_of(bench: &Bench) -> (u64, u64, Option<i32>) {
    let start = bench.consumer.subscribe(1).start_message_id.unwrap();
    assert_eq!(start.partition, None);
    (start.ledger_id, start.entry_id, start.batch_index)
}

#[test]
fn subscribes_for_itself_alone() {
    let bench = Bench::new(reader_from(Start::Earliest));
    let command = bench.consumer.subscribe(1);
    let digits = command.subscription.strip_prefix("reader-").unwrap();
    assert_eq!(digits.len(), 10);
    assert!(digits.bytes().all(|b| b"0123456789abcdef".contains(&b)));
    assert_eq!(command.sub_type, 0);
    assert_eq!(command.durable, Some(false));
    assert_eq!(command.initial_position, Some(0));
    assert_eq!(command.consumer_name.map(|name| name.len()), Some(5));
    assert_eq!(
        bench.consumer.subscribe(2).subscription,
        command.subscription
    );
}

#[test]
fn begins_where_it_likes() {
    let bench = |start| Bench::new(reader_from(start));
    let start_of = |start| start_of(&bench(start));
    assert_eq!(start_of(Start::Earliest), (u64::MAX, u64::MAX, Some(-1)));
    let latest = i64::MAX.cast_unsigned();
    assert_eq!(start_of(Start::Latest), (latest, latest, Some(-1)));
    assert_eq!(start_of(Start::After(id(5))), (LEDGER, 5, Some(-1)));
    assert_eq!(
        start_of(Start::After(member(5, 2, 3))),
        (LEDGER, 5, Some(2))
    );
    let spec = reader::Spec {
        topic: String::new(),
        name: None,
        receiver_queue_size: 1,
        start: Start::After(b"junk".to_vec()),
        undecryptable: Undecryptable::Leave,
    };
    assert!(ConsumerSpec::try_from(&spec).is_err());
}

#[test]
fn the_start_is_exclusive_also_within_a_batch() {
    let mut bench = Bench::fresh(reader_from(Start::After(member(5, 1, 0))));
    let got = bench.receive(&at(5).batch(4));
    assert_eq!(payloads(&got), [b"2", b"3"]);
    assert_eq!(
        bench.sent(),
        [Sent::Flow(3)],
        "permits come back for those left out"
    );
    let mut bench = Bench::fresh(reader_from(Start::After(id(5))));
    assert_eq!(bench.receive(&at(5).plain(b"x")), []);
    assert_eq!(payloads(&bench.receive(&at(6).plain(b"y"))), [b"y"]);
}

#[test]
fn acknowledges_what_it_has_read() {
    let mut bench = Bench::fresh(reader_from(Start::Earliest));
    bench.receive(&at(1).plain(b"x"));
    bench.room = 1;
    bench.receive(&at(2).batch(2));
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [Sent::Flow(2), Sent::Cumulative(1)]);
    bench.take(1);
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [Sent::Cumulative(2)]);
    assert!(!bench.ack(&id(1)));
    assert!(!bench.nack(&id(1)));
    assert_eq!(bench.pass(1000 * MS), 0);
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.consumer.handle_detached(), 0, "nothing comes again");
}

#[test]
fn a_queue_of_zero_reads() {
    let spec = reader::Spec {
        topic: "t".into(),
        name: Some(" ".into()),
        receiver_queue_size: 0,
        start: Start::Earliest,
        undecryptable: Undecryptable::Leave,
    };
    let mut bench = Bench::new(ConsumerSpec::try_from(&spec).unwrap());
    assert_eq!(bench.sent(), [Sent::Flow(1)]);
    assert_eq!(
        bench.consumer.subscribe(1).consumer_name.as_deref(),
        Some(" ")
    );
}

#[test]
fn goes_on_behind_the_last_one_read() {
    let mut bench = Bench::fresh(reader_from(Start::Earliest));
    bench.consumer.handle_detached();
    assert_eq!(start_of(&bench), (u64::MAX, u64::MAX, Some(-1)));
    bench.consumer.handle_subscribed(bench.now, &mut bench.out);
    bench.receive(&at(4).plain(b"x"));
    bench.consumer.handle_detached();
    assert_eq!(start_of(&bench), (LEDGER, 4, Some(-1)));
    bench.consumer.handle_subscribed(bench.now, &mut bench.out);
    bench.room = 2;
    assert_eq!(payloads(&bench.receive(&at(5).batch(3))), [b"0", b"1"]);
    bench.consumer.handle_detached();
    assert_eq!(start_of(&bench), (LEDGER, 5, Some(1)));
    bench.consumer.handle_subscribed(bench.now, &mut bench.out);
    bench.room = 9;
    assert_eq!(payloads(&bench.receive(&at(5).batch(3))), [b"2"]);
    assert_eq!(bench.receive(&at(5).batch(3)), [], "read is read");
}

/// What was prefetched counts as not read, though the reader began with "latest".
#[test]
fn goes_on_before_the_first_that_waits() {
    for start in [Start::Latest, Start::Earliest] {
        let mut bench = Bench::fresh(reader_from(start));
        bench.room = 0;
        bench.receive(&at(4).batch(2));
        bench.receive(&at(5).plain(b"x"));
        bench.consumer.handle_detached();
        assert_eq!(start_of(&bench), (LEDGER, 3, Some(i32::MAX)));
        bench.consumer.handle_subscribed(bench.now, &mut bench.out);
        bench.room = 9;
        assert_eq!(bench.receive(&at(3).batch(2)), [], "brokers step back");
        assert_eq!(payloads(&bench.receive(&at(4).batch(2))), [b"0", b"1"]);
    }
    let mut bench = Bench::fresh(reader_from(Start::Latest));
    bench.room = 0;
    bench.receive(&at(0).plain(b"x"));
    bench.consumer.handle_detached();
    assert_eq!(start_of(&bench), (LEDGER, u64::MAX, Some(i32::MAX)));
}

#[test]
fn does_not_fall_back_before_its_start() {
    let mut bench = Bench::fresh(reader_from(Start::After(member(5, 1, 4))));
    bench.room = 0;
    bench.receive(&at(5).batch(4));
    bench.consumer.handle_detached();
    assert_eq!(start_of(&bench), (LEDGER, 5, Some(1)));
}

#[test]
fn a_subscription_that_is_not_durable_goes_on_too() {
    let mut bench = Bench::fresh(&Spec {
        durable: false,
        ..spec(SubscriptionType::Exclusive)
    });
    bench.receive(&at(4).plain(b"x"));
    assert_eq!(bench.consumer.handle_detached(), 1);
    assert_eq!(start_of(&bench), (LEDGER, 4, Some(-1)));
}
