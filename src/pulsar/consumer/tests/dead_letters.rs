//! Dead letters: what becomes one, when it is acknowledged, and what is asked for again.

use super::*;
use crate::session::consumer::DeadLetters;

const LANE: Lane = Lane(0);

fn dying_of(redeliveries_max: u32, subscription_type: SubscriptionType) -> Bench {
    Bench::fresh(&Spec {
        negative_ack_delay: 200 * MS,
        dead_letters: Some(DeadLetters {
            redeliveries_max,
            topic: "persistent://public/default/dead".into(),
        }),
        ..spec(subscription_type)
    })
}

fn dying() -> Bench {
    dying_of(2, SubscriptionType::Shared)
}

fn sent_before(entry: u64, redelivery_count: u32) -> Envelope {
    Envelope {
        redelivery_count: Some(redelivery_count),
        ..at(entry)
    }
}

impl Bench {
    /// Publishes the next letter; its messages, with where they came from.
    fn post(&mut self) -> Option<Vec<(Got, String)>> {
        if !self.consumer.has_letter(self.now) {
            return None;
        }
        let letter = self.consumer.take_letter()?;
        let mut messages = Vec::new();
        letter
            .try_each(|message| {
                messages.push((Got::from(message.delivery), message.origin.clone()));
                Ok::<(), ()>(())
            })
            .unwrap();
        for _ in &messages {
            self.consumer.note_letter_message(&letter, LANE);
        }
        self.consumer.note_letter(self.now, &letter, true);
        Some(messages)
    }

    fn posted(&mut self) -> Vec<String> {
        let posted = self.post().unwrap_or_default();
        posted.into_iter().map(|(_, origin)| origin).collect()
    }

    fn outcome(&mut self, is_stored: bool) {
        self.consumer
            .handle_letter_outcome(self.now, LANE, is_stored);
    }
}

#[test]
fn the_last_time_is_the_one_after_so_many_redeliveries() {
    let mut bench = dying();
    for count in 0..3 {
        assert_eq!(bench.receive(&sent_before(1, count).plain(b"x")).len(), 1);
        assert!(bench.nack(&id(1)));
        bench.pass(200 * MS);
        let asked = bench.sent();
        if count < 2 {
            assert_eq!(asked, [Sent::Redeliver(vec![1])]);
            assert_eq!(bench.post(), None);
        } else {
            assert_eq!(asked, [], "it is here");
        }
    }
    let posted = bench.post().unwrap();
    assert_eq!(posted[0].0.payload.as_deref(), Some(&b"x"[..]));
    assert_eq!(posted[0].1, "3:1:-1");
    bench.pass(1000 * MS);
    assert_eq!(bench.sent(), [], "not before it is stored");
    bench.outcome(true);
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [Sent::Ack(vec![(1, vec![])])]);
}

#[test]
fn what_came_more_often_is_not_delivered() {
    let mut bench = dying();
    assert_eq!(bench.receive(&sent_before(1, 3).plain(b"x")), []);
    assert_eq!(bench.posted(), ["3:1:-1"]);
    assert_eq!(bench.receive(&sent_before(1, 4).plain(b"x")), [], "again");
    assert_eq!(bench.posted(), [""; 0]);
    assert_eq!(bench.consumer.stats().duplicates, 1);
    bench.outcome(true);
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [Sent::Ack(vec![(1, vec![])])]);
}

#[test]
fn its_permit_comes_back() {
    let mut bench = Bench::fresh(&Spec {
        receiver_queue_size: 1,
        dead_letters: Some(DeadLetters {
            redeliveries_max: 1,
            topic: String::new(),
        }),
        ..spec(SubscriptionType::KeyShared)
    });
    bench.room = 0;
    bench.receive(&sent_before(1, 2).plain(b"x"));
    assert_eq!(bench.sent(), [Sent::Flow(1)]);
    bench.receive(&sent_before(2, 2).batch(3));
    assert_eq!(bench.sent(), [Sent::Flow(3)]);
}

#[test]
fn one_consumer_at_a_time_has_none() {
    for kind in [SubscriptionType::Exclusive, SubscriptionType::Failover] {
        let mut bench = dying_of(1, kind);
        assert_eq!(bench.receive(&sent_before(1, 9).plain(b"x")).len(), 1);
        assert!(bench.nack(&id(1)));
        bench.pass(200 * MS);
        assert_eq!(bench.sent(), [Sent::RedeliverAll(1)]);
        assert_eq!(bench.post(), None);
    }
}

#[test]
fn what_is_acknowledged_at_last_is_no_dead_letter() {
    let mut bench = dying();
    assert_eq!(bench.receive(&sent_before(1, 2).plain(b"x")).len(), 1);
    assert!(bench.consumer.tracker.spec.shard_held.get() > 0);
    assert!(bench.ack(&id(1)));
    assert_eq!(bench.consumer.tracker.spec.shard_held.get(), 0);
    bench.pass(1000 * MS);
    assert_eq!(bench.sent(), [Sent::Ack(vec![(1, vec![])])]);
    assert_eq!(bench.post(), None);
}

#[test]
fn of_a_batch_those_die_that_are_not_acknowledged() {
    let mut bench = dying();
    assert_eq!(bench.receive(&sent_before(1, 2).batch(3)).len(), 3);
    assert!(bench.ack(&member(1, 1, 3)));
    assert!(bench.nack(&member(1, 0, 3)));
    bench.pass(200 * MS);
    bench.sent();
    assert_eq!(bench.posted(), ["3:1:-1:0", "3:1:-1:2"]);
    bench.outcome(true);
    bench.pass(200 * MS);
    assert_eq!(bench.sent(), [], "one of two");
    bench.outcome(true);
    bench.pass(200 * MS);
    assert_eq!(bench.sent(), [Sent::Ack(vec![(1, vec![])])]);
}

#[test]
fn what_is_not_stored_is_asked_for_again_after_longer_and_longer_rests() {
    let mut bench = dying();
    for rest in [100, 200, 400] {
        bench.receive(&sent_before(1, 3).plain(b"x"));
        assert_eq!(bench.posted(), ["3:1:-1"]);
        bench.outcome(false);
        bench.receive(&sent_before(2, 3).plain(b"y"));
        assert_eq!(bench.post(), None, "it rests");
        bench.pass((rest - 1) * MS);
        assert_eq!(bench.sent(), []);
        bench.pass(MS);
        assert_eq!(bench.sent(), [Sent::Redeliver(vec![1])]);
        bench.consumer.take_letter();
    }
    bench.receive(&sent_before(3, 3).plain(b"z"));
    assert_eq!(bench.posted(), ["3:3:-1"]);
    bench.outcome(true);
    bench.receive(&sent_before(1, 3).plain(b"x"));
    bench.posted();
    bench.outcome(false);
    bench.pass(100 * MS);
    let acked = Sent::Ack(vec![(3, vec![])]);
    assert_eq!(bench.sent(), [acked, Sent::Redeliver(vec![1])]);
}

#[test]
fn without_a_producer_all_are_asked_for_again() {
    let mut bench = dying();
    bench.receive(&sent_before(1, 3).plain(b"x"));
    bench.post();
    bench.receive(&sent_before(2, 3).batch(2));
    bench.consumer.handle_no_letters(bench.now);
    assert!(!bench.consumer.has_letters_in_flight());
    assert_eq!(bench.consumer.tracker.spec.shard_held.get(), 0);
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [Sent::Redeliver(vec![1, 2])]);
    bench.consumer.handle_letter_outcome(bench.now, LANE, true);
    bench.pass(1000 * MS);
    assert_eq!(bench.sent(), [], "an outcome that comes late means nothing");
}

#[test]
fn what_finds_no_room_is_asked_for_again() {
    let mut bench = dying();
    let large = vec![0; 5 << 20];
    for entry in 1..=3 {
        assert_eq!(bench.receive(&sent_before(entry, 3).plain(&large)), []);
    }
    bench.pass(1000 * MS);
    assert_eq!(bench.sent(), [Sent::Redeliver(vec![3])]);
    assert_eq!(bench.posted(), ["3:1:-1"]);
    assert_eq!(bench.posted(), ["3:2:-1"]);
    bench.receive(&sent_before(3, 4).plain(&large));
    assert_eq!(bench.post(), None, "the others are not stored");
    for _ in 0..2 {
        bench.outcome(true);
    }
    bench.receive(&sent_before(3, 5).plain(&large));
    assert_eq!(bench.posted(), ["3:3:-1"]);
}

#[test]
fn without_room_for_a_copy_the_broker_is_asked_once_more() {
    let mut bench = dying();
    let large = vec![0; 5 << 20];
    for entry in 1..=3 {
        assert_eq!(bench.receive(&sent_before(entry, 2).plain(&large)).len(), 1);
        assert!(bench.nack(&id(entry)));
    }
    bench.pass(256 * MS);
    assert_eq!(bench.sent(), [Sent::Redeliver(vec![3])]);
    assert_eq!(bench.posted(), ["3:1:-1"]);
}

#[test]
fn after_a_reconnect_the_broker_sends_what_was_not_published() {
    let mut bench = dying();
    bench.receive(&sent_before(1, 3).plain(b"x"));
    bench.post();
    bench.receive(&sent_before(2, 3).plain(b"y"));
    bench.receive(&sent_before(3, 2).plain(b"z"));
    bench.consumer.handle_detached();
    assert_eq!(bench.post(), None);
    bench.outcome(true);
    assert_eq!(bench.consumer.tracker.spec.shard_held.get(), 0);
    bench.consumer.handle_subscribed(bench.now, &mut bench.out);
    let acked = Sent::Ack(vec![(1, vec![])]);
    assert_eq!(bench.sent(), [acked, Sent::Flow(1000)]);
    assert_eq!(bench.receive(&sent_before(3, 2).plain(b"z")).len(), 1);
}
