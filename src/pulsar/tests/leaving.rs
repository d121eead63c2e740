//! Sessions that end while their broker is away, or is about to be.

use super::{
    consuming::{id, message},
    *,
};
use crate::pulsar::{leaving::LEAVING_MAX, proto::CommandCloseConsumer};

const SUCCESS: fn(u64) -> CommandSuccess = |request_id| CommandSuccess { request_id };

/// A consumer that lost its broker while the client held these entries.
fn bereft(world: &mut World, spec: consumer::Spec, entries: u64) -> Link {
    let session = world.session();
    let link = world.pulsar.open(world.now, session, &Spec::Consumer(spec));
    let key = world.connect();
    world.locate(key);
    let asked: CommandSubscribe = world.sent_one(key, Kind::Subscribe).decode();
    world.answer(key, Kind::Success, &SUCCESS(asked.request_id));
    for entry in 0..entries {
        world.receive(key, &message(asked.consumer_id, entry, b"x"));
    }
    world.lose(key);
    world.told();
    link
}

fn exclusive() -> consumer::Spec {
    consumer::Spec {
        subscription_type: consumer::SubscriptionType::Exclusive,
        ..consumer_spec()
    }
}

/// The way back to the broker, up to LOOKUP's answer.
fn come_back(world: &mut World) -> ConnectionKey {
    let key = world.pass_until_connecting();
    world.pulsar.handle_connected(world.now, key);
    world.sent_one(key, Kind::Connect);
    world.connected(key);
    world.locate_broker(key);
    key
}

fn kinds(sent: &[Sent]) -> Vec<Kind> {
    sent.iter().map(|sent| sent.kind).collect()
}

/// Answers SUBSCRIBE and sees the consumer tell what is kept, and go.
fn let_leave(world: &mut World, key: ConnectionKey) {
    let asked: CommandSubscribe = world.sent_one(key, Kind::Subscribe).decode();
    assert_eq!(
        asked.force_topic_creation,
        Some(false),
        "it makes no topic anew"
    );
    world.answer(key, Kind::Success, &SUCCESS(asked.request_id));
    let sent = world.sent(key);
    assert_eq!(kinds(&sent), [Kind::Ack, Kind::CloseConsumer], "no FLOW");
    let close: CommandCloseConsumer = sent[1].decode();
    world.answer(key, Kind::Success, &SUCCESS(close.request_id));
    assert_eq!((world.pulsar.links(), world.pulsar.leaving), (0, 0));
    assert_eq!(world.told(), []);
}

#[test]
fn an_acknowledgement_kept_while_the_broker_is_away_outlives_the_session() {
    in_pieces(|mut world| {
        let link = bereft(&mut world, consumer_spec(), 1);
        world.pulsar.acknowledge(world.now, link, &id(0)).unwrap();
        world.pulsar.close(world.now, link);
        world.pulsar.close(world.now, link);
        let key = come_back(&mut world);
        let_leave(&mut world, key);
    });
}

#[test]
fn a_session_that_ends_while_it_subscribes_again_tells_what_it_kept() {
    in_pieces(|mut world| {
        let link = bereft(&mut world, consumer_spec(), 1);
        world.pulsar.acknowledge(world.now, link, &id(0)).unwrap();
        let key = come_back(&mut world);
        let asked: CommandSubscribe = world.sent_one(key, Kind::Subscribe).decode();
        world.pulsar.close(world.now, link);
        assert!(world.sent(key).is_empty(), "not before it is answered");
        world.answer(key, Kind::Success, &SUCCESS(asked.request_id));
        let sent = world.sent(key);
        assert_eq!(kinds(&sent), [Kind::Ack, Kind::CloseConsumer]);
    });
}

#[test]
fn who_has_nothing_to_tell_is_forgotten_at_once() {
    let mut world = World::new(usize::MAX);
    let link = bereft(&mut world, consumer_spec(), 1);
    world.pulsar.close(world.now, link);
    assert_eq!(world.pulsar.links(), 0);
    // What is not durable has ended with its connection.
    let spec = consumer::Spec {
        durable: false,
        ..consumer_spec()
    };
    let link = bereft(&mut world, spec, 1);
    world.pulsar.acknowledge(world.now, link, &id(0)).unwrap();
    world.pulsar.close(world.now, link);
    assert_eq!(world.pulsar.links(), 0);
}

#[test]
fn what_was_told_with_the_close_is_told_again_when_the_connection_breaks_then() {
    in_pieces(|mut world| {
        let (link, key, consumer) = world.consumer();
        world.receive(key, &message(consumer, 0, b"one"));
        world.pulsar.acknowledge(world.now, link, &id(0)).unwrap();
        world.pulsar.close(world.now, link);
        assert_eq!(kinds(&world.sent(key)), [Kind::Ack, Kind::CloseConsumer]);
        world.told();
        world.lose(key);
        let key = come_back(&mut world);
        let_leave(&mut world, key);
    });
}

#[test]
fn what_a_stopping_broker_was_told_seconds_before_the_close_is_told_again() {
    in_pieces(|mut world| {
        let (link, key, consumer) = world.consumer();
        world.receive(key, &message(consumer, 0, b"one"));
        world.told();
        world.pulsar.acknowledge(world.now, link, &id(0)).unwrap();
        world.pass(Duration::from_secs(3));
        world.sent_one(key, Kind::Ack);
        world.pulsar.close(world.now, link);
        world.sent_one(key, Kind::CloseConsumer);
        world.lose(key);
        let key = come_back(&mut world);
        let_leave(&mut world, key);
    });
}

#[test]
fn what_crosses_the_brokers_own_close_is_told_again() {
    in_pieces(|mut world| {
        let (link, key, consumer) = world.consumer();
        world.receive(key, &message(consumer, 0, b"one"));
        world.told();
        world.pulsar.acknowledge(world.now, link, &id(0)).unwrap();
        world.pulsar.close(world.now, link);
        let sent = world.sent(key);
        let crossed: CommandCloseConsumer = sent[1].decode();
        let close = CommandCloseConsumer {
            consumer_id: consumer,
            request_id: u64::MAX,
            ..CommandCloseConsumer::default()
        };
        world.answer(key, Kind::CloseConsumer, &close);
        world.answer(key, Kind::Success, &SUCCESS(crossed.request_id));
        world.pass(Duration::from_millis(100));
        world.locate_broker(key);
        let_leave(&mut world, key);
    });
}

#[test]
fn its_time_is_bounded() {
    let mut world = World::new(usize::MAX);
    let link = bereft(&mut world, consumer_spec(), 1);
    world.pulsar.acknowledge(world.now, link, &id(0)).unwrap();
    world.pulsar.close(world.now, link);
    world.pass(Duration::from_millis(29_999));
    assert_eq!(world.pulsar.links(), 1);
    world.pass(Duration::from_millis(1));
    assert_eq!((world.pulsar.links(), world.pulsar.leaving), (0, 0));
}

#[test]
fn who_is_being_made_when_its_time_is_over_is_unmade() {
    let mut world = World::new(usize::MAX);
    let link = bereft(&mut world, consumer_spec(), 1);
    world.pulsar.acknowledge(world.now, link, &id(0)).unwrap();
    world.pulsar.close(world.now, link);
    let key = world.pass_until_connecting();
    world.pass(Duration::from_secs(9));
    world.pulsar.handle_connected(world.now, key);
    world.sent_one(key, Kind::Connect);
    world.connected(key);
    world.locate_broker(key);
    world.sent_one(key, Kind::Subscribe);
    world.pass(Duration::from_secs(21));
    let close: CommandCloseConsumer = world.sent_one(key, Kind::CloseConsumer).decode();
    world.answer(key, Kind::Success, &SUCCESS(close.request_id));
    assert_eq!((world.pulsar.links(), world.pulsar.leaving), (0, 0));
}

#[test]
fn its_number_is_bounded() {
    let mut world = World::new(usize::MAX);
    let links = [(); 2].map(|()| {
        world.connecting.clear();
        let link = bereft(&mut world, consumer_spec(), 1);
        world.pulsar.acknowledge(world.now, link, &id(0)).unwrap();
        link
    });
    world.pulsar.leaving = LEAVING_MAX - 1;
    for link in links {
        world.pulsar.close(world.now, link);
    }
    assert_eq!(
        (world.pulsar.links(), world.pulsar.leaving),
        (1, LEAVING_MAX)
    );
}

#[test]
fn an_exclusive_subscription_is_left_to_whoever_takes_it_meanwhile() {
    in_pieces(|mut world| {
        let link = bereft(&mut world, exclusive(), 1);
        world.pulsar.acknowledge(world.now, link, &id(0)).unwrap();
        world.pulsar.close(world.now, link);
        let key = come_back(&mut world);
        assert!(world.sent(key).is_empty(), "others go first");
        world.pass(Duration::from_millis(4999));
        assert!(world.sent(key).is_empty());
        world.pass(Duration::from_millis(1));
        world.locate_broker(key);
        let asked: CommandSubscribe = world.sent_one(key, Kind::Subscribe).decode();
        world.error(key, asked.request_id, ServerError::ConsumerBusy);
        assert_eq!((world.pulsar.links(), world.pulsar.leaving), (0, 0));
        assert_eq!(world.told(), []);
    });
}

#[test]
fn an_exclusive_subscription_that_nobody_took_is_told() {
    in_pieces(|mut world| {
        let link = bereft(&mut world, exclusive(), 1);
        world.pulsar.acknowledge(world.now, link, &id(0)).unwrap();
        world.pulsar.close(world.now, link);
        let key = come_back(&mut world);
        world.pass(Duration::from_secs(5));
        world.locate_broker(key);
        let_leave(&mut world, key);
    });
}

#[test]
fn a_subscription_that_was_perhaps_removed_is_not_made_again() {
    let mut world = World::new(usize::MAX);
    let (link, key, consumer) = world.consumer();
    world.receive(key, &message(consumer, 0, b"one"));
    world.pulsar.acknowledge(world.now, link, &id(0)).unwrap();
    world.pulsar.unsubscribe(world.now, link);
    world.sent_one(key, Kind::Unsubscribe);
    world.lose(key);
    world.pulsar.close(world.now, link);
    assert_eq!(world.pulsar.links(), 0);
}

#[test]
fn a_topic_that_is_gone_is_not_made_again() {
    in_pieces(|mut world| {
        let link = bereft(&mut world, consumer_spec(), 1);
        world.pulsar.acknowledge(world.now, link, &id(0)).unwrap();
        world.pulsar.close(world.now, link);
        let key = come_back(&mut world);
        let asked: CommandSubscribe = world.sent_one(key, Kind::Subscribe).decode();
        world.error(key, asked.request_id, ServerError::TopicNotFound);
        assert_eq!((world.pulsar.links(), world.pulsar.leaving), (0, 0));
    });
}
