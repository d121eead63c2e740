//! Connections that end, brokers that fall silent or lie, topics that move.

use super::*;
use crate::pulsar::proto::{
    CommandCloseConsumer, CommandCloseProducer, CommandPong, CommandTopicMigrated,
};

/// The way back to the broker, up to PRODUCER.
fn come_back(world: &mut World) -> ConnectionKey {
    let key = world.pass_until_connecting();
    world.pulsar.handle_connected(world.now, key);
    world.sent_one(key, Kind::Connect);
    world.connected(key);
    world.locate_broker(key);
    key
}

#[test]
fn everything_in_flight_is_sent_again_in_order() {
    in_pieces(|mut world| {
        let (link, old) = world.producer();
        world.publish_all(link, &["a", "b", "c"]);
        assert_eq!(world.sends(old).len(), 3);
        world.receipt(old, link, 0);
        world.publish(link, "d").unwrap();
        world.lose(old);
        world.publish(link, "e").unwrap();
        assert_eq!(world.told(), [stored(0)]);
        let key = come_back(&mut world);
        world.publish(link, "f").unwrap();
        world.create(key);
        world.publish(link, "g").unwrap();
        let expected = [(1, "b"), (2, "c"), (3, "d"), (4, "e"), (5, "f"), (6, "g")];
        assert_eq!(world.sends(key), expected.map(|(n, s)| (n, s.to_owned())));
        for sequence in 1..=6 {
            world.receipt(key, link, sequence);
        }
        assert_eq!(world.told(), (1..=6).map(stored).collect::<Vec<_>>());
        assert_eq!(world.pulsar.segments.len(), 0);
        assert_eq!(world.pulsar.in_flight_bytes(link), 0);
    });
}

#[test]
fn it_comes_back_again_and_again_without_losing_or_repeating() {
    in_pieces(|mut world| {
        let (link, mut key) = world.producer();
        for round in 0..10 {
            let next_receipt = round;
            for n in 0..5 {
                let payload = (round * 5 + n).to_string();
                world.publish(link, &payload).unwrap();
            }
            for (sequence, payload) in world.sends(key) {
                assert_eq!(payload, sequence.to_string());
            }
            world.receipt(key, link, next_receipt);
            assert_eq!(world.told(), [stored(next_receipt)]);
            world.lose(key);
            key = come_back(&mut world);
            world.create(key);
            let sends: Vec<_> = world.sends(key).into_iter().map(|(n, _)| n).collect();
            assert_eq!(
                sends,
                (next_receipt + 1..(round + 1) * 5).collect::<Vec<_>>()
            );
        }
    });
}

#[test]
fn the_time_runs_while_the_broker_is_away() {
    let mut world = World::new(usize::MAX);
    let (link, key) = world.producer();
    world.publish(link, "a").unwrap();
    world.lose(key);
    world.publish(link, "b").unwrap();
    world.pass(Duration::from_secs(30));
    let told = world.told();
    let [Told::Failed(sent), Told::Failed(parked)] = &told[..] else {
        panic!("{told:?}");
    };
    assert!(sent.ends_with("lastSentAt 30.0 seconds ago, retryCount 1"));
    assert!(
        parked.ends_with("firstSentAt 0.0 seconds ago, lastSentAt 0.0 seconds ago, retryCount 0")
    );
    assert_eq!(world.pulsar.in_flight_bytes(link), 0);
}

/// What is parked for want of a broker leaves with its publish, whichever way that goes.
#[test]
fn nothing_is_kept_of_publishes_without_a_broker() {
    let mut world = World::new(usize::MAX);
    let (link, key) = world.producer();
    world.lose(key);
    let payload = "x".repeat(10_000);
    for _ in 0..100 {
        world.publish(link, &payload).unwrap();
    }
    assert!(world.pulsar.publishes_bytes() > 1_000_000);
    assert!(
        world.pulsar.parked.waiting_bytes() <= 64 << 10,
        "the publishes keep it"
    );
    world.pass(Duration::from_secs(30));
    assert_eq!(world.told().len(), 100);
    assert_eq!(world.pulsar.publishes_bytes(), 0);
    assert!(
        world.pulsar.segments.len() <= 1,
        "but for the one that is being filled"
    );

    world.publish(link, &payload).unwrap();
    let key = come_back(&mut world);
    world.create(key);
    assert_eq!(world.pulsar.parked.waiting_bytes(), 0);
    let sends = world.sends(key);
    assert_eq!(sends, [(100, payload)]);
    world.receipt(key, link, 100);
    assert_eq!(world.pulsar.publishes_bytes(), 0);
}

#[test]
fn an_unloaded_topic_is_followed() {
    in_pieces(|mut world| {
        let (link, old) = world.producer();
        world.publish_all(link, &["a"]);
        world.sends(old);
        let close = CommandCloseProducer {
            producer_id: link.0,
            request_id: u64::MAX,
            assigned_broker_service_url: Some("pulsar://10.0.0.9:6650".into()),
            ..CommandCloseProducer::default()
        };
        world.publish(link, "b").unwrap();
        world.answer(old, Kind::CloseProducer, &close);
        world.publish(link, "c").unwrap();
        assert_eq!(world.connecting[0].1, "10.0.0.9:6650".parse().unwrap());
        let new = world.connect();
        world.create(new);
        world.receipt(old, link, 0);
        assert_eq!(world.told(), [], "the old broker's word does not count");
        let expected = [(0, "a"), (1, "b"), (2, "c")].map(|(n, s)| (n, s.to_owned()));
        assert_eq!(world.sends(new), expected);
        world.receipt(new, link, 0);
        assert_eq!(world.told(), [stored(0)]);
    });
}

#[test]
fn an_unloaded_topic_is_looked_up() {
    in_pieces(|mut world| {
        let (link, key) = world.producer();
        world.publish_all(link, &["a"]);
        world.sends(key);
        let close = CommandCloseProducer {
            producer_id: link.0,
            request_id: u64::MAX,
            ..CommandCloseProducer::default()
        };
        world.answer(key, Kind::CloseProducer, &close);
        assert!(world.sent(key).is_empty(), "not at once");
        world.pass(Duration::from_millis(100));
        world.locate_broker(key);
        world.create(key);
        assert_eq!(world.sends(key), [(0, "a".into())]);
    });
}

fn migrated(id: u64, resource_type: i32, url: Option<&str>) -> CommandTopicMigrated {
    CommandTopicMigrated {
        resource_id: id,
        resource_type,
        broker_service_url: url.map(Into::into),
        broker_service_url_tls: Some("pulsar+ssl://green:6651".into()),
    }
}

fn sent_away(link: Link) -> CommandCloseProducer {
    CommandCloseProducer {
        producer_id: link.0,
        request_id: u64::MAX,
        ..CommandCloseProducer::default()
    }
}

#[test]
fn a_topic_that_went_to_another_cluster_is_looked_up_there() {
    const ELSEWHERE: &str = "pulsar://10.0.0.1:6650,10.0.0.2:6650";
    in_pieces(|mut world| {
        let (link, blue) = world.producer();
        world.publish_all(link, &["a"]);
        world.sends(blue);
        let told = migrated(link.0, CommandTopicMigrated::PRODUCER, Some(ELSEWHERE));
        world.answer(blue, Kind::TopicMigrated, &told);
        world.publish(link, "b").unwrap();
        assert_eq!(
            world.sends(blue),
            [(1, "b".into())],
            "until it is sent away"
        );
        world.answer(blue, Kind::CloseProducer, &sent_away(link));
        world.pass(Duration::from_millis(100));
        assert_eq!(world.connecting[0].1, "10.0.0.1:6650".parse().unwrap());
        let green = world.connect();
        world.locate_at(green, "pulsar://10.0.0.3:6650");
        assert_eq!(world.connecting[0].1, "10.0.0.3:6650".parse().unwrap());
        let owner = world.connect();
        world.create(owner);
        assert_eq!(world.sends(owner), [(0, "a".into()), (1, "b".into())]);
        for sequence in 0..2 {
            world.receipt(owner, link, sequence);
        }
        assert_eq!(world.told(), [stored(0), stored(1)]);

        // It stays there, and the cluster's next host is asked when the first is gone.
        world.lose(green);
        world.lose(owner);
        world.pass(Duration::from_millis(100));
        let (key, address) = world.connecting.remove(0);
        assert_eq!(address, "10.0.0.1:6650".parse().unwrap());
        world.lose(key);
        assert_eq!(world.connecting[0].1, "10.0.0.2:6650".parse().unwrap());
        assert!(world.sent(blue).is_empty());
    });
}

#[test]
fn a_producer_learns_while_it_is_being_made_that_the_topic_went_elsewhere() {
    in_pieces(|mut world| {
        let session = world.session();
        let link = world
            .pulsar
            .open(world.now, session, &Spec::Producer(spec()));
        let blue = world.connect();
        world.locate(blue);
        world.sent_one(blue, Kind::Producer);
        let told = migrated(
            link.0,
            CommandTopicMigrated::PRODUCER,
            Some("pulsar://10.0.0.1:6650"),
        );
        world.answer(blue, Kind::TopicMigrated, &told);
        world.answer(blue, Kind::CloseProducer, &sent_away(link));
        world.pass(Duration::from_millis(100));
        assert_eq!(world.connecting[0].1, "10.0.0.1:6650".parse().unwrap());
        let green = world.connect();
        world.locate_at(green, "pulsar://10.0.0.1:6650");
        let asked: CommandProducer = world.sent_one(green, Kind::Producer).decode();
        assert_eq!(asked.topic, TOPIC);
        world.created(green, asked.request_id);
        assert_eq!(world.told(), [Told::Opened]);
    });
}

#[test]
fn a_consumer_follows_its_topic_to_another_cluster() {
    in_pieces(|mut world| {
        let (_, blue, id) = world.consumer();
        let told = migrated(
            id,
            CommandTopicMigrated::CONSUMER,
            Some("pulsar://10.0.0.1:6650"),
        );
        world.answer(blue, Kind::TopicMigrated, &told);
        let close = CommandCloseConsumer {
            consumer_id: id,
            request_id: u64::MAX,
            ..CommandCloseConsumer::default()
        };
        world.answer(blue, Kind::CloseConsumer, &close);
        world.pass(Duration::from_millis(100));
        assert_eq!(world.connecting[0].1, "10.0.0.1:6650".parse().unwrap());
    });
}

#[test]
fn who_is_told_of_another_topic_or_of_no_way_there_stays_in_its_cluster() {
    in_pieces(|mut world| {
        let (link, blue) = world.producer();
        let elsewhere = Some("pulsar://10.0.0.1:6650");
        for told in [
            migrated(link.0 + 1, CommandTopicMigrated::PRODUCER, elsewhere),
            migrated(link.0, CommandTopicMigrated::CONSUMER, elsewhere),
            migrated(link.0, CommandTopicMigrated::PRODUCER, None),
            migrated(link.0, CommandTopicMigrated::PRODUCER, Some("pulsar://")),
        ] {
            world.answer(blue, Kind::TopicMigrated, &told);
        }
        world.answer(blue, Kind::CloseProducer, &sent_away(link));
        world.pass(Duration::from_millis(100));
        world.locate_broker(blue);
        world.create(blue);
        assert!(world.connecting.is_empty());
    });
}

#[test]
fn a_producer_is_fenced_off_while_away() {
    let mut world = World::new(usize::MAX);
    let (link, old) = world.producer();
    world.publish(link, "a").unwrap();
    world.lose(old);
    let key = come_back(&mut world);
    let asked: CommandProducer = world.sent_one(key, Kind::Producer).decode();
    assert_eq!(asked.producer_name.as_deref(), Some("made-up"));
    assert_eq!(asked.user_provided_producer_name, Some(false));
    world.error(key, asked.request_id, ServerError::ProducerFenced);
    let told = world.told();
    let [Told::Failed(text)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(
        class(text),
        "org.apache.pulsar.client.api.PulsarClientException$ProducerFencedException"
    );
    let error = world.publish(link, "b").unwrap_err();
    let text = "org.apache.pulsar.client.api.PulsarClientException$ProducerFencedException: \
                Producer was fenced";
    assert_eq!(error, PublishError::Backend(text.into()));
}

#[test]
fn a_name_taken_while_away_is_waited_for() {
    let mut world = World::new(usize::MAX);
    let (link, old) = world.producer();
    world.publish(link, "a").unwrap();
    world.lose(old);
    let key = come_back(&mut world);
    let asked: CommandProducer = world.sent_one(key, Kind::Producer).decode();
    world.error(key, asked.request_id, ServerError::ProducerBusy);
    assert_eq!(world.told(), []);
    world.pass(Duration::from_millis(200));
    world.locate_broker(key);
    world.create(key);
    assert_eq!(world.sends(key), [(0, "a".into())]);
}

#[test]
fn a_topic_that_is_gone_is_given_up() {
    let mut world = World::new(usize::MAX);
    let (link, old) = world.producer();
    world.publish(link, "a").unwrap();
    world.lose(old);
    let key = come_back(&mut world);
    let asked: CommandProducer = world.sent_one(key, Kind::Producer).decode();
    world.error(key, asked.request_id, ServerError::TopicNotFound);
    let told = world.told();
    assert!(
        matches!(&told[..], [Told::Failed(text)] if text.contains("was already closed when closing")),
        "{told:?}"
    );
    let error = world.publish(link, "b").unwrap_err();
    let text = "org.apache.pulsar.client.api.PulsarClientException$AlreadyClosedException: \
                Producer already closed";
    assert_eq!(error, PublishError::Backend(text.into()));
}

#[test]
fn a_silent_broker_is_asked_and_left() {
    in_pieces(|mut world| {
        let (_, key) = world.producer();
        world.pass(Duration::from_secs(30));
        world.sent_one(key, Kind::Ping);
        world.answer(key, Kind::Pong, &CommandPong {});
        world.pass(Duration::from_secs(30));
        world.sent_one(key, Kind::Ping);
        assert_eq!(world.others(), []);
        world.pass(Duration::from_secs(30));
        assert_eq!(world.others(), [Effect::Disconnect(key)]);
    });
}

#[test]
fn pings_are_answered() {
    in_pieces(|mut world| {
        let (_, key) = world.producer();
        let ping = frame(Kind::Ping, &super::super::proto::CommandPing {});
        world.receive(key, &ping);
        let pong = world.sent_one(key, Kind::Pong);
        assert_eq!(pong.frame, b"\0\0\0\x09\0\0\0\x05\x08\x13\x9a\x01\x00");
    });
}

#[test]
fn a_broker_that_does_not_shake_hands_is_left() {
    let mut world = World::new(usize::MAX);
    let session = world.session();
    world
        .pulsar
        .open(world.now, session, &Spec::Producer(spec()));
    world.settle();
    let (key, _) = world.connecting.remove(0);
    world.pulsar.handle_connected(world.now, key);
    world.pass(Duration::from_secs(30));
    assert_eq!(world.others(), [Effect::Disconnect(key)]);
}

#[test]
fn lies_and_nonsense_end_the_connection() {
    let lies: [&[u8]; 6] = [
        b"\xff\xff\xff\xff",
        b"\0\0\0\x03abc",
        b"\0\0\0\x09\0\0\0\x55\x08\x12\x92\x01\x00",
        b"\0\0\0\x06\0\0\0\x02\x08\x12",
        &raw_frame(Kind::SendReceipt, b"\x08", b""),
        &raw_frame(Kind::Error, b"\x1a\xff", b""),
    ];
    for lie in lies {
        in_pieces(|mut world| {
            let (link, key) = world.producer();
            world.publish(link, "a").unwrap();
            world.settle();
            world.receive(key, lie);
            assert_eq!(world.others(), [Effect::Disconnect(key)], "{lie:02x?}");
            world.receive(key, &receipt(link.0, 0));
            assert_eq!(world.told(), [], "what follows a lie does not count");
            assert!(world.pulsar.take_outbox(key).is_none());
        });
    }
}

#[test]
fn what_is_unknown_is_let_pass() {
    in_pieces(|mut world| {
        let (link, key) = world.producer();
        world.publish(link, "a").unwrap();
        world.settle();
        world.receive(key, &raw_frame(Kind::AckResponse, b"\x08\x01", b""));
        world.receive(key, b"\0\0\0\x0a\0\0\0\x06\x08\x63\x9a\x06\x01x");
        world.receive(key, &receipt(12345, 0));
        world.answer(key, Kind::Success, &CommandSuccess { request_id: 999 });
        world.error(key, 999, ServerError::UnknownError);
        assert_eq!(world.told(), []);
        world.receipt(key, link, 0);
        assert_eq!(world.told(), [stored(0)]);
        assert_eq!(world.others(), []);
    });
}

#[test]
fn a_broker_that_comes_back_is_found_within_two_seconds() {
    let mut world = World::new(usize::MAX);
    let (link, key) = world.producer();
    world.publish(link, "a").unwrap();
    world.lose(key);
    let began = world.now.mono;
    let mut last = began;
    while world.now.mono.since(began) < Duration::from_secs(28) {
        let key = world.pass_until_connecting();
        let rest = world.now.mono.since(last);
        assert!(rest <= Duration::from_secs(2), "{rest:?}");
        last = world.now.mono;
        world.lose(key);
    }
    let key = come_back(&mut world);
    world.create(key);
    world.receipt(key, link, 0);
    assert_eq!(world.told(), [stored(0)]);
}

#[test]
fn a_topic_that_lies_at_a_dead_broker_is_asked_for_every_two_seconds() {
    let mut world = World::new(usize::MAX);
    let (link, old) = world.producer();
    world.publish(link, "a").unwrap();
    world.lose(old);
    let key = world.pass_until_connecting();
    world.pulsar.handle_connected(world.now, key);
    world.sent_one(key, Kind::Connect);
    world.connected(key);
    let began = world.now.mono;
    let mut last = began;
    while world.now.mono.since(began) < Duration::from_secs(20) {
        // The others have not noticed yet.
        world.locate_at(key, "pulsar://10.0.0.9:6650");
        let (dead, address) = world.connecting.remove(0);
        assert_eq!(address, "10.0.0.9:6650".parse().unwrap());
        world.lose(dead);
        while !world.written.contains_key(&key) {
            let next = world.pulsar.poll_timeout().expect("something is due");
            world.pass(next.since(world.now.mono));
        }
        let rest = world.now.mono.since(last);
        assert!(rest <= Duration::from_secs(2), "{rest:?}");
        last = world.now.mono;
    }
    world.locate_broker(key);
    world.create(key);
    world.receipt(key, link, 0);
    assert_eq!(world.told(), [stored(0)]);
}

#[test]
fn thousands_come_back_without_one_timing_out() {
    let mut world = World::new(usize::MAX);
    let count = 2000;
    let mut links = Vec::new();
    for n in 0..count {
        let session = world.session();
        let spec = producer::Spec {
            topic: format!("{TOPIC}-{n}"),
            ..spec()
        };
        links.push(world.pulsar.open(world.now, session, &Spec::Producer(spec)));
    }
    serve_all(&mut world, count);
    for link in &links {
        world.publish(*link, "x").unwrap();
    }
    world.settle();
    let keys: Vec<_> = world.pulsar.connections.keys().collect();
    world.lose(keys[0]);
    let key = world.pass_until_connecting();
    assert!(world.connecting.is_empty(), "all share one attempt");
    world
        .connecting
        .push((key, "127.0.0.1:6650".parse().unwrap()));
    serve_all(&mut world, 0);
    for _ in 0..20 {
        world.pass(Duration::from_millis(100));
        serve_all(&mut world, 0);
    }
    let told = world.told();
    assert_eq!(told.len(), count, "a receipt each");
    assert!(told.iter().all(|told| matches!(told, Told::Receipt(_))));
}

/// A broker that answers everything at once.
fn serve_all(world: &mut World, opened: usize) {
    for _ in 0..100 {
        world.settle();
        while let Some((key, _)) = world.connecting.pop() {
            world.pulsar.handle_connected(world.now, key);
            world.sent_one(key, Kind::Connect);
            world.connected(key);
        }
        let keys: Vec<_> = world.pulsar.connections.keys().collect();
        let mut answers = BTreeMap::new();
        for key in keys {
            let out = answers.entry(key).or_insert_with(BytesMut::new);
            for sent in world.sent(key) {
                match sent.kind {
                    Kind::PartitionedMetadata => {
                        let asked: CommandPartitionedTopicMetadata = sent.decode();
                        let answer = partitions(asked.request_id, 0);
                        command::put_command(out, Kind::PartitionedMetadataResponse, &answer);
                    }
                    Kind::Lookup => {
                        let asked: CommandLookupTopic = sent.decode();
                        let answer = located(asked.request_id, "pulsar://127.0.0.1:6650");
                        command::put_command(out, Kind::LookupResponse, &answer);
                    }
                    Kind::Producer => {
                        let asked: CommandProducer = sent.decode();
                        let answer = success(asked.request_id);
                        command::put_command(out, Kind::ProducerSuccess, &answer);
                    }
                    Kind::Send => {
                        let (producer, sequence, _) = sent.send();
                        out.put_slice(&receipt(producer, sequence));
                    }
                    _ => {}
                }
            }
        }
        answers.retain(|_, bytes| !bytes.is_empty());
        if answers.is_empty() {
            break;
        }
        for (key, bytes) in answers {
            world.receive(key, &bytes);
        }
    }
    if opened > 0 {
        let told = world.told();
        assert_eq!(told.len(), opened);
        assert!(told.iter().all(|told| *told == Told::Opened));
    }
}
