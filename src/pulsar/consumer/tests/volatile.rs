//! Topics that store nothing: all their messages have one id.

use super::*;
use crate::session::reader::{self, Start};

fn consumer(ack_timeout: Option<Duration>) -> Bench {
    Bench::fresh(&Spec {
        topic: "non-persistent://public/default/t".into(),
        ack_timeout,
        negative_ack_delay: 100 * MS,
        receiver_queue_size: 100,
        ..spec(SubscriptionType::Shared)
    })
}

#[test]
fn messages_of_one_id_are_all_delivered() {
    let mut bench = consumer(None);
    for payload in [b"a", b"b"] {
        assert_eq!(payloads(&bench.receive(&at(0).plain(payload))), [payload]);
    }
    for _ in 0..2 {
        assert_eq!(payloads(&bench.receive(&at(0).batch(2))), [b"0", b"1"]);
    }
    bench.room = 0;
    bench.receive(&at(0).plain(b"c"));
    bench.receive(&at(0).plain(b"d"));
    assert_eq!(payloads(&bench.take(2)), [b"c", b"d"]);
}

#[test]
fn acknowledgements_free_places_and_stay_here() {
    let mut bench = consumer(Some(Duration::from_secs(1)));
    bench.receive(&at(0).plain(b"a"));
    bench.receive(&at(0).batch(2));
    assert!(bench.ack(&id(0)));
    assert!(bench.nack(&member(0, 1, 2)));
    assert_eq!(bench.pass(5000 * MS), 0, "nothing comes again");
    assert!(bench.ack(&id(0)));
    assert!(!bench.ack(&id(0)), "more than there were");
    assert!(!bench.nack(&id(0)));
    bench.pass(5000 * MS);
    assert_eq!(bench.sent(), []);
}

#[test]
fn places_outlive_a_reconnect() {
    let mut bench = consumer(None);
    bench.receive(&at(0).plain(b"a"));
    assert_eq!(bench.consumer.handle_detached(), 0);
    bench.consumer.handle_subscribed(bench.now, &mut bench.out);
    assert_eq!(bench.sent(), [Sent::Flow(100)]);
    assert_eq!(payloads(&bench.receive(&at(0).plain(b"b"))), [b"b"]);
    assert!(bench.ack(&id(0)) && bench.ack(&id(0)) && !bench.ack(&id(0)));
}

#[test]
fn readers_acknowledge_nothing() {
    let spec = reader::Spec {
        topic: "non-persistent://public/default/t".into(),
        name: None,
        receiver_queue_size: 100,
        start: Start::After(id(0)),
        undecryptable: Undecryptable::Leave,
    };
    let mut bench = Bench::fresh(ConsumerSpec::try_from(&spec).unwrap());
    for payload in [b"a", b"b"] {
        assert_eq!(payloads(&bench.receive(&at(0).plain(payload))), [payload]);
    }
    bench.pass(5000 * MS);
    assert_eq!(bench.sent(), []);
    bench.consumer.handle_detached();
    bench.consumer.handle_subscribed(bench.now, &mut bench.out);
    assert_eq!(payloads(&bench.receive(&at(0).plain(b"c"))), [b"c"]);
}
