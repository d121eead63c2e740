//! Consumers as halves: entries, acknowledgements and their place in the outbox, the ways to end.

use super::*;
use crate::pulsar::{
    proto::{CommandCloseConsumer, CommandUnsubscribe},
    wire::MAGIC_CHECKSUM,
};

pub(super) fn message(consumer: u64, entry: u64, payload: &[u8]) -> Vec<u8> {
    stored(consumer, (3, entry), payload, 0)
}

pub(super) fn message_of(consumer: u64, ledger: u64, entry: u64, payload: &[u8]) -> Vec<u8> {
    stored(consumer, (ledger, entry), payload, 0)
}

/// A message that was sent so many times before.
pub(super) fn message_again(consumer: u64, entry: u64, payload: &[u8], count: u64) -> Vec<u8> {
    stored(consumer, (3, entry), payload, count)
}

fn stored(consumer: u64, at: (u64, u64), payload: &[u8], count: u64) -> Vec<u8> {
    stored_with(consumer, at, (&[], payload), count)
}

/// A message with more metadata than it needs.
pub(super) fn stored_with(
    consumer: u64,
    (ledger, entry): (u64, u64),
    (more, payload): (&[u8], &[u8]),
    count: u64,
) -> Vec<u8> {
    let mut metadata = Vec::new();
    put_bytes(&mut metadata, 1, b"p");
    put_uint(&mut metadata, 2, entry);
    put_uint(&mut metadata, 3, 1_700_000_000_000);
    metadata.extend_from_slice(more);
    let mut covered = Vec::new();
    covered.extend(u32::try_from(metadata.len()).unwrap().to_be_bytes());
    covered.extend([&metadata[..], payload].concat());
    let checksum = crc32c::crc32c(&covered).to_be_bytes();
    let rest = [&MAGIC_CHECKSUM[..], &checksum, &covered].concat();
    let mut id = Vec::new();
    put_uint(&mut id, 1, ledger);
    put_uint(&mut id, 2, entry);
    let mut body = Vec::new();
    put_uint(&mut body, 1, consumer);
    put_bytes(&mut body, 2, &id);
    if count > 0 {
        put_uint(&mut body, 3, count);
    }
    raw_frame(Kind::Message, &body, &rest)
}

pub(super) fn id(entry: u64) -> Vec<u8> {
    let mut id = Vec::new();
    put_uint(&mut id, 1, 3);
    put_uint(&mut id, 2, entry);
    put_uint(&mut id, 6, 0);
    id
}

#[test]
fn messages_arrive_and_are_acknowledged() {
    in_pieces(|mut world| {
        let (link, key, consumer) = world.consumer();
        let both = [message(consumer, 0, b"one"), message(consumer, 1, b"two")].concat();
        world.receive(key, &both);
        let payloads = [&b"one"[..], b"two"].map(|p| Told::Payload(p.to_vec()));
        assert_eq!(world.told(), payloads);
        assert_eq!(world.pulsar.acknowledge(world.now, link, &id(0)), Ok(true));
        assert_eq!(world.pulsar.acknowledge(world.now, link, &id(0)), Ok(false));
        assert!(world.pulsar.acknowledge(world.now, link, b"\xff").is_err());
        assert!(world.sent(key).is_empty(), "grouped");
        world.pass(Duration::from_millis(100));
        world.sent_one(key, Kind::Ack);
    });
}

#[test]
fn a_corrupted_message_is_discarded_at_the_broker() {
    in_pieces(|mut world| {
        let (_, key, consumer) = world.consumer();
        let mut broken = message(consumer, 0, b"one");
        *broken.last_mut().unwrap() ^= 1;
        world.receive(key, &broken);
        world.receive(key, &message(consumer, 1, b"two"));
        assert_eq!(world.told(), [Told::Payload(b"two".to_vec())]);
        let sent = world.sent(key);
        assert!(sent.iter().any(|sent| sent.kind == Kind::Ack));
    });
}

#[test]
fn messages_for_nobody_are_let_pass() {
    in_pieces(|mut world| {
        let (link, key, consumer) = world.consumer();
        world.receive(key, &message(consumer + 1, 0, b"one"));
        assert_eq!(world.told(), []);
        world.pulsar.close(world.now, link);
        world.receive(key, &message(consumer, 0, b"one"));
        assert_eq!(world.told(), []);
    });
}

#[test]
fn acknowledgements_go_before_the_close() {
    in_pieces(|mut world| {
        let (link, key, consumer) = world.consumer();
        world.receive(key, &message(consumer, 0, b"one"));
        world.told();
        world.pulsar.acknowledge(world.now, link, &id(0)).unwrap();
        world.pulsar.close(world.now, link);
        let sent = world.sent(key);
        let kinds: Vec<_> = sent.iter().map(|sent| sent.kind).collect();
        assert_eq!(kinds, [Kind::Ack, Kind::CloseConsumer]);
        let close: CommandCloseConsumer = sent[1].decode();
        assert_eq!(close.consumer_id, consumer);
        let success = CommandSuccess {
            request_id: close.request_id,
        };
        world.answer(key, Kind::Success, &success);
        assert_eq!(world.pulsar.links(), 0);
    });
}

#[test]
fn what_was_delivered_is_released_when_the_broker_is_lost() {
    in_pieces(|mut world| {
        let (link, key, consumer) = world.consumer();
        let both = [message(consumer, 0, b"one"), message(consumer, 1, b"two")].concat();
        world.receive(key, &both);
        world.told();
        world.lose(key);
        assert_eq!(world.told(), [Told::Released(2)]);
        assert_eq!(world.pulsar.acknowledge(world.now, link, &id(0)), Ok(false));
        let key = world.pass_until_connecting();
        world.pulsar.handle_connected(world.now, key);
        world.sent_one(key, Kind::Connect);
        world.connected(key);
        world.locate_broker(key);
        let asked: CommandSubscribe = world.sent_one(key, Kind::Subscribe).decode();
        assert_eq!(asked.consumer_id, consumer);
        let success = CommandSuccess {
            request_id: asked.request_id,
        };
        world.answer(key, Kind::Success, &success);
        let kinds: Vec<_> = world.sent(key).iter().map(|sent| sent.kind).collect();
        assert_eq!(kinds, [Kind::Ack, Kind::Flow], "what was kept goes first");
        assert_eq!(world.told(), [], "opened once");
    });
}

#[test]
fn held_entries_come_again_and_their_deadlines_are_set() {
    let mut world = World::new(usize::MAX);
    let (link, key, consumer) = world.consumer();
    let bytes = message(consumer, 0, b"one");
    let mut input = Input::new(&bytes);
    let event = world
        .pulsar
        .next_event(world.now, key, &mut input, &mut world.scratch);
    let Some(Event::Entry(entry)) = event else {
        panic!("{event:?}");
    };
    world.pulsar.hold(world.now, entry);
    let delivery = world.pulsar.next_held(world.now, link).unwrap();
    assert_eq!(delivery.payload, Some(&b"one"[..]));
    assert!(world.pulsar.next_held(world.now, link).is_none());
    assert_eq!(world.pulsar.acknowledge(world.now, link, &id(0)), Ok(true));
}

#[test]
fn a_consumer_with_ack_timeout_asks_again() {
    let mut world = World::new(usize::MAX);
    let session = world.session();
    let spec = Spec::Consumer(consumer::Spec {
        ack_timeout: Some(Duration::from_secs(1)),
        ..consumer_spec()
    });
    let link = world.pulsar.open(world.now, session, &spec);
    let key = world.connect();
    world.locate(key);
    let asked: CommandSubscribe = world.sent_one(key, Kind::Subscribe).decode();
    let success = CommandSuccess {
        request_id: asked.request_id,
    };
    world.answer(key, Kind::Success, &success);
    let bytes = message(asked.consumer_id, 0, b"one");
    let mut input = Input::new(&bytes);
    let event = world
        .pulsar
        .next_event(world.now, key, &mut input, &mut world.scratch);
    if let Some(Event::Opened { .. }) = event {
        panic!("told before");
    }
    let Some(Event::Entry(entry)) = event else {
        panic!("{event:?}");
    };
    world.pulsar.hold(world.now, entry);
    assert!(world.pulsar.next_held(world.now, link).is_some());
    world.told();
    world.sent(key);
    for _ in 0..25 {
        world.pass(Duration::from_millis(100));
    }
    assert_eq!(world.told(), [Told::Released(1)]);
    let kinds: Vec<_> = world.sent(key).iter().map(|sent| sent.kind).collect();
    assert!(
        kinds.contains(&Kind::RedeliverUnacknowledgedMessages),
        "{kinds:?}"
    );
}

#[test]
fn the_end_of_the_topic_is_known() {
    in_pieces(|mut world| {
        let (link, key, consumer) = world.consumer();
        assert!(!world.pulsar.end_of_topic(link));
        let end = super::super::proto::CommandReachedEndOfTopic {
            consumer_id: consumer,
        };
        world.answer(key, Kind::ReachedEndOfTopic, &end);
        assert!(world.pulsar.end_of_topic(link));
    });
}

#[test]
fn a_subscription_is_removed_or_not() {
    in_pieces(|mut world| {
        let (link, key, consumer) = world.consumer();
        world.pulsar.unsubscribe(world.now, link);
        let asked: CommandUnsubscribe = world.sent_one(key, Kind::Unsubscribe).decode();
        assert_eq!(asked.consumer_id, consumer);
        world.error(key, asked.request_id, ServerError::ConsumerBusy);
        let told = world.told();
        assert!(
            matches!(&told[..], [Told::UnsubscribeFailed(text)] if text.contains("$ConsumerBusyException")),
            "{told:?}"
        );
        world.pulsar.unsubscribe(world.now, link);
        let asked: CommandUnsubscribe = world.sent_one(key, Kind::Unsubscribe).decode();
        let success = CommandSuccess {
            request_id: asked.request_id,
        };
        world.answer(key, Kind::Success, &success);
        assert_eq!(world.told(), []);
        world.receive(key, &message(consumer, 0, b"one"));
        assert_eq!(world.told(), []);
        world.pulsar.unsubscribe(world.now, link);
        assert!(matches!(&world.told()[..], [Told::UnsubscribeFailed(_)]));
        world.lose(key);
        world.pass(Duration::from_secs(60));
        assert!(world.connecting.is_empty(), "it does not come back");
        world.pulsar.close(world.now, link);
        assert_eq!(world.pulsar.links(), 0);
    });
}

#[test]
fn a_subscription_is_asked_to_be_removed_once_at_a_time() {
    in_pieces(|mut world| {
        let (link, key, _) = world.consumer();
        world.pulsar.unsubscribe(world.now, link);
        world.pulsar.unsubscribe(world.now, link);
        world.sent_one(key, Kind::Unsubscribe);
        assert!(
            matches!(&world.told()[..], [Told::UnsubscribeFailed(text)] if text.contains("$AlreadyClosedException"))
        );
    });
}

#[test]
fn who_is_not_connected_can_not_unsubscribe() {
    let mut world = World::new(usize::MAX);
    let (link, key, _) = world.consumer();
    world.lose(key);
    world.pulsar.unsubscribe(world.now, link);
    let told = world.told();
    assert!(
        matches!(&told[..], [Told::UnsubscribeFailed(text)] if text.contains("$NotConnectedException")),
        "{told:?}"
    );
}

#[test]
fn a_consumer_that_the_broker_sends_away_subscribes_again() {
    in_pieces(|mut world| {
        let (_, key, consumer) = world.consumer();
        let close = CommandCloseConsumer {
            consumer_id: consumer,
            request_id: u64::MAX,
            ..CommandCloseConsumer::default()
        };
        world.answer(key, Kind::CloseConsumer, &close);
        world.pass(Duration::from_millis(100));
        world.locate_broker(key);
        world.sent_one(key, Kind::Subscribe);
    });
}

/// Something far away stays set while acknowledgements are told, ten times a second.
#[test]
fn a_far_deadline_is_set_once() {
    let mut world = World::new(usize::MAX);
    let (link, key, consumer) = world.consumer_of(&consumer::Spec {
        negative_ack_delay: Duration::from_secs(60),
        ..consumer_spec()
    });
    for entry in 0..101 {
        world.receive(key, &message(consumer, entry, b"x"));
    }
    world
        .pulsar
        .negative_acknowledge(world.now, link, &id(100))
        .unwrap();
    let before = world.pulsar.timers.len();
    for entry in 0..100 {
        world
            .pulsar
            .acknowledge(world.now, link, &id(entry))
            .unwrap();
        world.pass(Duration::from_millis(100));
        assert!(world.pulsar.timers.len() <= before + 1);
    }
    world.sent(key);
    world.pass(Duration::from_secs(50));
    let sent = world.sent(key);
    let again = |sent: &Sent| sent.kind == Kind::RedeliverUnacknowledgedMessages;
    assert!(sent.iter().any(again), "and it is not forgotten");
}
