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

fn pulling(receiver_queue_size: u32) -> Bench {
    Bench::new(&Spec {
        receiver_queue_size,
        pull: true,
        ..spec(SubscriptionType::Shared)
    })
}

impl Bench {
    /// The client permits so many messages; those of them that are held.
    fn permit(&mut self, messages: u32) -> Vec<Got> {
        self.consumer.permit(messages, Some(&mut self.out));
        self.take(self.room.saturating_add(messages as usize))
    }
}

#[test]
fn without_a_queue_the_next_message_is_asked_for_when_the_client_is_done() {
    let mut bench = queue_of(0);
    bench.room = 1;
    assert_eq!(bench.sent(), [Sent::Flow(1)]);
    assert_eq!(payloads(&bench.receive(&at(1).plain(b"x"))), [b"x"]);
    assert_eq!(bench.sent(), [], "none is fetched ahead");
    assert!(bench.ack(&id(1)));
    assert_eq!(bench.sent(), [Sent::Flow(1)]);
    bench.room = 1;
    assert_eq!(payloads(&bench.receive(&at(2).batch(3))), [b"0"]);
    for index in 0..2 {
        assert!(bench.ack(&member(2, index, 3)));
        assert_eq!(bench.sent(), [], "more of the batch is held");
        assert_eq!(bench.take(1).len(), 1);
        assert_eq!(bench.sent(), []);
    }
    assert!(bench.nack(&member(2, 2, 3)));
    bench.consumer.renew_permits(Some(&mut bench.out));
    assert_eq!(
        bench.sent(),
        [Sent::Flow(3)],
        "what the batch took is made up"
    );
}

#[test]
fn without_a_queue_the_broker_is_permitted_what_the_client_permits() {
    let mut bench = pulling(0);
    bench.room = 0;
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.permit(2), []);
    assert_eq!(bench.sent(), [Sent::Flow(1)]);
    bench.room = 2;
    assert_eq!(bench.receive(&at(1).plain(b"x")).len(), 1);
    assert_eq!(bench.sent(), [Sent::Flow(1)], "the second one");
    assert_eq!(bench.receive(&at(2).batch(3)).len(), 1);
    assert!(bench.ack(&id(1)));
    assert_eq!(bench.sent(), [], "two are held");
    assert_eq!(payloads(&bench.permit(1)), [b"1"]);
    assert_eq!(bench.sent(), []);
    assert_eq!(payloads(&bench.permit(2)), [b"2"]);
    assert_eq!(bench.sent(), [Sent::Flow(3)]);
}

#[test]
fn without_a_queue_what_is_not_for_the_client_costs_it_no_permit() {
    let mut bench = pulling(0);
    bench.permit(1);
    assert_eq!(bench.sent(), [Sent::Flow(1)]);
    let corrupt = at(1).plain(b"x");
    let command = MessageCommand::decode(&corrupt.command).unwrap();
    bench.consumer.handle_corrupt(&command, &mut bench.out);
    assert_eq!(bench.sent(), [Sent::Corrupt(1, 2), Sent::Flow(1)]);
    assert_eq!(bench.consumer.handle_detached(), 0);
    bench.consumer.handle_subscribed(bench.now, &mut bench.out);
    assert_eq!(bench.sent(), [Sent::Flow(1)], "it is still waited for");
    assert_eq!(bench.receive(&at(2).plain(b"x")).len(), 1);
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.consumer.handle_detached(), 1);
    bench.consumer.handle_subscribed(bench.now, &mut bench.out);
    assert_eq!(bench.sent(), [], "the one that was permitted came");
}

#[test]
fn a_queue_is_filled_before_anything_is_permitted() {
    let mut bench = pulling(2);
    bench.room = 0;
    assert_eq!(bench.sent(), [Sent::Flow(2)]);
    for entry in 1..=2 {
        assert_eq!(bench.receive(&at(entry).plain(b"x")), []);
    }
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.permit(1).len(), 1);
    assert_eq!(bench.sent(), [Sent::Flow(1)]);
    assert!(bench.ack(&id(1)));
    assert_eq!(bench.sent(), [], "acknowledgements count for nothing");
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
