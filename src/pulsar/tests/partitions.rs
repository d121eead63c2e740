//! A producer on a topic with partitions: how all of it opens, which way publishes take, what comes
//! back, and what happens when one part fails, moves, or more partitions come.

use super::*;
use crate::session::{
    Lane, OpenErrorKind,
    producer::{Partitioning, Routing},
};

/// A session that publishes to partitions, and what the broker knows of it.
struct Partitioned {
    link: Link,
    at: ConnectionKey,
    /// Producer ids, by partition.
    ids: Vec<u64>,
}

fn robin() -> producer::Spec {
    producer::Spec {
        partitioning: Partitioning {
            routing: Routing::RoundRobin,
            ..Partitioning::default()
        },
        ..spec()
    }
}

fn partition(n: usize) -> String {
    format!("{TOPIC}-partition-{n}")
}

impl World {
    /// Answers PARTITIONED_METADATA; tells whether asking might have made the topic.
    fn count(&mut self, key: ConnectionKey, count: u32) -> Option<bool> {
        let asked = self.sent_one(key, Kind::PartitionedMetadata);
        let asked: CommandPartitionedTopicMetadata = asked.decode();
        assert_eq!(asked.topic, TOPIC);
        self.answer(
            key,
            Kind::PartitionedMetadataResponse,
            &partitions(asked.request_id, count),
        );
        asked.metadata_auto_creation_enabled
    }

    /// Answers all LOOKUPs that were written; tells for which topics.
    fn locate_all(&mut self, key: ConnectionKey) -> Vec<String> {
        let mut topics = Vec::new();
        for sent in self.sent(key) {
            assert_eq!(sent.kind, Kind::Lookup);
            let asked: CommandLookupTopic = sent.decode();
            let answer = located(asked.request_id, "pulsar://127.0.0.1:6650");
            self.answer(key, Kind::LookupResponse, &answer);
            topics.push(asked.topic);
        }
        topics
    }

    /// The PRODUCERs that were written.
    fn producers(&mut self, key: ConnectionKey) -> Vec<CommandProducer> {
        let sent = self.sent(key);
        let all = sent.iter().map(|sent| {
            assert_eq!(sent.kind, Kind::Producer);
            sent.decode()
        });
        all.collect()
    }

    fn open_producer(&mut self, spec: producer::Spec) -> Link {
        let session = self.session();
        self.pulsar.open(self.now, session, &Spec::Producer(spec))
    }

    /// A session that is open, on so many partitions.
    fn partitioned(&mut self, spec: producer::Spec, count: usize) -> Partitioned {
        let link = self.open_producer(spec);
        let at = self.connect();
        self.count(at, u32::try_from(count).unwrap());
        self.locate_all(at);
        let first = self.create(at);
        self.locate_all(at);
        let mut ids = vec![first.producer_id];
        for asked in self.producers(at) {
            ids.push(asked.producer_id);
            self.created(at, asked.request_id);
        }
        assert_eq!(self.told(), [Told::Opened]);
        assert_eq!(ids.len(), count);
        Partitioned { link, at, ids }
    }

    /// Publishes; tells the lane.
    fn publish_keyed(&mut self, link: Link, payload: &str, key: Option<&str>) -> u32 {
        let publish = Publish {
            key,
            ..publish(payload)
        };
        let Lane(lane) = self.pulsar.publish(self.now, link, &publish).unwrap();
        lane
    }

    /// Producers and payloads of the SENDs that were written.
    fn sends_by_producer(&mut self, key: ConnectionKey) -> Vec<(u64, i64, String)> {
        let sent = self.sent(key);
        let sends = sent.iter().map(|sent| {
            let (producer, sequence, payload) = sent.send();
            (producer, sequence, String::from_utf8(payload).unwrap())
        });
        sends.collect()
    }
}

/// What a receipt of [`receipt`] tells about a publish to a partition.
fn stored_in(partition: u64, sequence: i64) -> Told {
    let mut id = Vec::new();
    put_uint(&mut id, 1, 3);
    put_uint(&mut id, 2, sequence.cast_unsigned() + 100);
    put_uint(&mut id, 3, partition);
    put_uint(&mut id, 6, 0);
    Told::Receipt(id)
}

#[test]
fn opens_the_first_alone_then_the_others_under_its_name() {
    in_pieces(|mut world| {
        let link = world.open_producer(spec());
        let key = world.connect();
        assert_eq!(world.count(key, 3), Some(true));
        assert_eq!(world.locate_all(key), [partition(0)]);
        let first: CommandProducer = world.sent_one(key, Kind::Producer).decode();
        assert_eq!((first.topic, first.producer_name), (partition(0), None));
        assert_eq!(world.pulsar.waiting_for(link), "creating the producer");
        world.created(key, first.request_id);

        assert_eq!(world.locate_all(key), [partition(1), partition(2)]);
        let others = world.producers(key);
        for (n, other) in (1..).zip(&others) {
            assert_eq!(other.topic, partition(n));
            assert_eq!(other.producer_name.as_deref(), Some("made-up"));
            assert_eq!(other.user_provided_producer_name, Some(false));
        }
        world.created(key, others[1].request_id);
        assert_eq!(world.told(), []);
        world.created(key, others[0].request_id);
        assert_eq!(world.told(), [Told::Opened]);
        assert_eq!(world.pulsar.waiting_for(link), "nothing");
    });
}

#[test]
fn one_partition_is_a_partition_too() {
    let mut world = World::new(usize::MAX);
    let link = world.open_producer(spec());
    let key = world.connect();
    world.count(key, 1);
    world.locate_all(key);
    let asked = world.create(key);
    assert_eq!(world.told(), [Told::Opened]);
    assert_eq!(world.publish_keyed(link, "x", Some("key")), 0);
    world.sent(key);
    world.receive(key, &receipt(asked.producer_id, 0));
    assert_eq!(world.told(), [stored_in(0, 0)]);
}

#[test]
fn each_partition_counts_and_answers_for_itself() {
    in_pieces(|mut world| {
        let Partitioned { link, at, ids } = world.partitioned(robin(), 2);
        let lanes: Vec<_> = (0..4)
            .map(|n| world.publish_keyed(link, &n.to_string(), None))
            .collect();
        assert_eq!(lanes[0], lanes[2]);
        assert_eq!(lanes[1], lanes[3]);
        assert_ne!(lanes[0], lanes[1]);
        let [one, two] = [lanes[0], lanes[1]].map(|lane| lane as usize);
        assert_eq!(
            world.sends_by_producer(at),
            [
                (ids[one], 0, "0".into()),
                (ids[two], 0, "1".into()),
                (ids[one], 1, "2".into()),
                (ids[two], 1, "3".into()),
            ]
        );
        let in_flight = world.pulsar.in_flight_bytes(link);
        assert_eq!(in_flight, world.pulsar.publishes_bytes());
        for (part, sequence) in [(two, 0), (two, 1), (one, 0), (one, 1)] {
            world.receive(at, &receipt(ids[part], sequence));
            assert_eq!(world.told(), [stored_in(part as u64, sequence)]);
        }
        assert_eq!(world.pulsar.in_flight_bytes(link), 0);
        assert_eq!(world.pulsar.publishes_bytes(), 0);
    });
}

#[test]
fn keys_decide() {
    let mut world = World::new(usize::MAX);
    let Partitioned { link, at, ids } = world.partitioned(spec(), 3);
    let keyless = world.publish_keyed(link, "-", None);
    for (key, lane) in [("a", 97 % 3), ("ab", 3105 % 3), ("", 0), ("abc", 96354 % 3)] {
        assert_eq!(world.publish_keyed(link, key, Some(key)), lane);
        assert_eq!(world.publish_keyed(link, "-", None), keyless);
    }
    let sends = world.sends_by_producer(at);
    assert!(sends.contains(&(ids[97 % 3], sends[1].1, "a".into())));
}

#[test]
fn fails_when_one_part_fails_and_closes_the_others() {
    for failing in [0, 1] {
        let mut world = World::new(usize::MAX);
        let link = world.open_producer(spec());
        let key = world.connect();
        world.count(key, 4);
        world.locate_all(key);
        let first: CommandProducer = world.sent_one(key, Kind::Producer).decode();
        let mut others = Vec::new();
        if failing == 0 {
            world.error(key, first.request_id, ServerError::ProducerBusy);
        } else {
            world.created(key, first.request_id);
            world.locate_all(key);
            others = world.producers(key);
            world.created(key, others[0].request_id);
            world.error(key, others[1].request_id, ServerError::ProducerBusy);
        }
        let told = world.told();
        let [Told::OpenFailed(error)] = &told[..] else {
            panic!("{told:?}");
        };
        assert_eq!(error.kind, OpenErrorKind::Busy);
        // One is ready, one is open, one is being made.
        let closed: Vec<_> = world.sent(key).iter().map(|sent| sent.kind).collect();
        assert_eq!(closed, vec![Kind::CloseProducer; others.len()]);
        assert_eq!(world.pulsar.links(), others.len());
        assert!(world.publish(link, "x").is_err());
        world.pulsar.close(world.now, link);
        world.lose(key);
        assert_eq!(world.pulsar.links(), 0);
        assert_eq!(world.told(), []);
    }
}

#[test]
fn a_session_that_ends_closes_all_parts() {
    in_pieces(|mut world| {
        let Partitioned { link, at, ids } = world.partitioned(robin(), 3);
        for n in 0..3 {
            world.publish_keyed(link, &n.to_string(), None);
        }
        world.sent(at);
        world.pulsar.close(world.now, link);
        assert_eq!(world.pulsar.publishes_bytes(), 0);
        let mut closed = Vec::new();
        for sent in world.sent(at) {
            let close: super::super::proto::CommandCloseProducer = sent.decode();
            closed.push(close.producer_id);
            assert_eq!(world.pulsar.links(), 4 - closed.len());
            let success = CommandSuccess {
                request_id: close.request_id,
            };
            world.answer(at, Kind::Success, &success);
        }
        assert_eq!(closed, ids);
        assert_eq!(world.pulsar.links(), 0);
        world.pass(Duration::from_secs(300));
        assert!(world.sent(at).iter().all(|sent| sent.kind == Kind::Ping));
    });
}

#[test]
fn a_session_that_ends_while_it_opens_leaves_nothing() {
    for step in 0..4 {
        let mut world = World::new(usize::MAX);
        let link = world.open_producer(spec());
        let key = world.connect();
        if step > 0 {
            world.count(key, 3);
        }
        if step > 1 {
            world.locate_all(key);
        }
        if step > 2 {
            world.create(key);
            world.locate_all(key);
        }
        world.pulsar.close(world.now, link);
        world.sent(key);
        world.lose(key);
        assert_eq!(world.pulsar.links(), 0, "step {step}");
        assert_eq!(world.told(), []);
    }
}

#[test]
fn a_part_that_moves_disturbs_no_other() {
    in_pieces(|mut world| {
        let Partitioned { link, at, ids } = world.partitioned(robin(), 2);
        let first = world.publish_keyed(link, "0", None) as usize;
        let other = 1 - first;
        world.sent(at);
        let close = super::super::proto::CommandCloseProducer {
            producer_id: ids[first],
            assigned_broker_service_url: Some("pulsar://10.0.0.2:6651".into()),
            ..Default::default()
        };
        world.answer(at, Kind::CloseProducer, &close);
        for n in 1..5 {
            world.publish_keyed(link, &n.to_string(), None);
        }
        let sends = world.sends_by_producer(at);
        assert_eq!(
            sends,
            [(ids[other], 0, "1".into()), (ids[other], 1, "3".into())]
        );
        world.receive(at, &receipt(ids[other], 0));
        assert_eq!(world.told(), [stored_in(other as u64, 0)]);

        let moved = world.connect();
        let again = world.create(moved);
        assert_eq!((again.topic, again.epoch), (partition(first), Some(1)));
        assert_eq!(again.producer_name.as_deref(), Some("made-up"));
        let sends = world.sends_by_producer(moved);
        let id = ids[first];
        assert_eq!(
            sends,
            [
                (id, 0, "0".into()),
                (id, 1, "2".into()),
                (id, 2, "4".into())
            ]
        );
        world.receive(moved, &receipt(id, 0));
        assert_eq!(world.told(), [stored_in(first as u64, 0)]);
    });
}

#[test]
fn a_late_publish_fails_on_its_own_lane() {
    let mut world = World::new(usize::MAX);
    let Partitioned { link, at, ids } = world.partitioned(robin(), 2);
    let one = world.publish_keyed(link, "0", None) as usize;
    world.pass(Duration::from_secs(20));
    let two = world.publish_keyed(link, "1", None) as usize;
    world.pass(Duration::from_secs(10));
    let event = world.told();
    assert!(matches!(&event[..], [Told::Failed(text)] if class(text).contains("TimeoutException")));
    world.receive(at, &receipt(ids[two], 0));
    assert_eq!(world.told(), [stored_in(two as u64, 0)]);
    world.receive(at, &receipt(ids[one], 0));
    assert_eq!(world.told(), [], "it has failed already");
}

#[test]
fn new_partitions_are_used_once_all_are_open() {
    in_pieces(|mut world| {
        let Partitioned { link, at, .. } = world.partitioned(robin(), 2);
        world.pass(Duration::from_secs(59));
        for sent in world.sent(at) {
            assert_eq!(sent.kind, Kind::Ping);
            world.answer(at, Kind::Pong, &super::super::proto::CommandPong {});
        }
        world.pass(Duration::from_secs(1));
        let asked = world.sent(at);
        let asked = asked
            .iter()
            .find(|sent| sent.kind == Kind::PartitionedMetadata);
        let asked: CommandPartitionedTopicMetadata = asked.unwrap().decode();
        assert_eq!(asked.metadata_auto_creation_enabled, Some(false));
        let answer = partitions(asked.request_id, 4);
        world.answer(at, Kind::PartitionedMetadataResponse, &answer);
        assert_eq!(world.locate_all(at), [partition(2), partition(3)]);
        let new = world.producers(at);
        assert!(
            new.iter()
                .all(|new| new.producer_name.as_deref() == Some("made-up"))
        );
        world.created(at, new[0].request_id);
        for n in 0..4 {
            assert!(world.publish_keyed(link, &n.to_string(), None) < 2);
        }
        world.created(at, new[1].request_id);
        assert_eq!(world.told(), [], "the session was open already");
        let mut lanes: Vec<_> = (0..4)
            .map(|n| world.publish_keyed(link, &n.to_string(), None))
            .collect();
        lanes.sort_unstable();
        assert_eq!(lanes, [0, 1, 2, 3]);
        assert_eq!(world.publish_keyed(link, "a", Some("a")), 97 % 4);
    });
}

#[test]
fn new_partitions_that_fail_are_tried_again_later() {
    let mut world = World::new(usize::MAX);
    world.pulsar.settings.keep_alive_interval = None;
    let Partitioned { link, at, .. } = world.partitioned(robin(), 1);
    world.pass(Duration::from_secs(60));
    assert_eq!(world.count(at, 3), Some(false));
    world.locate_all(at);
    let new = world.producers(at);
    world.created(at, new[0].request_id);
    world.error(at, new[1].request_id, ServerError::AuthorizationError);
    assert_eq!(world.told(), []);
    let close = world.sent_one(at, Kind::CloseProducer);
    let close: super::super::proto::CommandCloseProducer = close.decode();
    assert_eq!(close.producer_id, new[0].producer_id);
    assert_eq!(world.publish_keyed(link, "x", None), 0);
    world.sent(at);

    // Fewer, as many, and no answer: none of it changes anything.
    for count in [Some(0), Some(1), None, Some(2)] {
        world.pass(Duration::from_secs(60));
        let asked = world.sent_one(at, Kind::PartitionedMetadata);
        let asked: CommandPartitionedTopicMetadata = asked.decode();
        match count {
            Some(count) => world.answer(
                at,
                Kind::PartitionedMetadataResponse,
                &partitions(asked.request_id, count),
            ),
            None => world.error(at, asked.request_id, ServerError::TopicNotFound),
        }
    }
    assert_eq!(world.locate_all(at), [partition(1)]);
    let new = world.producers(at);
    world.created(at, new[0].request_id);
    let lanes = [0, 1].map(|_| world.publish_keyed(link, "x", None));
    assert_ne!(lanes[0], lanes[1]);
}

#[test]
fn more_partitions_than_any_topic_has_are_refused() {
    let mut world = World::new(usize::MAX);
    world.open_producer(spec());
    let key = world.connect();
    world.count(key, u32::MAX);
    let told = world.told();
    assert!(matches!(&told[..], [Told::OpenFailed(error)] if error.message.contains("partitions")));
    assert_eq!(world.pulsar.links(), 0);
}

#[test]
fn partitions_that_are_found_outside() {
    let settings = Settings {
        locates_outside: true,
        ..Settings::default()
    };
    let mut world = World::with(settings, usize::MAX);
    let link = world.open_producer(spec());
    let mut at = None;
    for n in 0..4 {
        let [
            Effect::Locate {
                lookup,
                topic,
                wanted,
            },
        ] = &world.others()[..]
        else {
            panic!("{n}");
        };
        let (expected, asks, partitions, url) = match n {
            0 => (
                TOPIC.to_owned(),
                super::super::Wanted::PartitionsOrBroker,
                2,
                "",
            ),
            3 => (TOPIC.to_owned(), super::super::Wanted::Partitions, 2, ""),
            n => (
                partition(n - 1),
                super::super::Wanted::Broker,
                0,
                "pulsar://127.0.0.1:6650",
            ),
        };
        assert_eq!((topic, *wanted), (&expected, asks));
        let answer = super::super::Location {
            partitions,
            broker_url: url.into(),
            topics: Vec::new(),
        };
        world.pulsar.handle_located(world.now, *lookup, Ok(answer));
        if n == 1 {
            at = Some(world.connect());
        }
        if let Some(at) = at.filter(|_| n < 3) {
            world.create(at);
        }
        if n == 2 {
            assert_eq!(world.told(), [Told::Opened]);
            world.pass(Duration::from_secs(60));
        }
    }
    assert!(world.publish(link, "x").is_ok());
}

#[test]
fn a_flush_sends_the_open_batches_of_all_partitions() {
    let mut world = World::new(usize::MAX);
    let batching = producer::Batching {
        messages_max: None,
        delay: Duration::from_secs(60),
        pending_max: None,
    };
    let group = world.partitioned(
        producer::Spec {
            batching: Some(batching),
            ..robin()
        },
        2,
    );
    for payload in ["a", "b"] {
        world.publish_keyed(group.link, payload, None);
    }
    assert!(world.sent(group.at).is_empty(), "they wait for more");
    world.pulsar.flush(world.now, group.link);
    let mut flushed: Vec<u64> = world
        .sends_by_producer(group.at)
        .into_iter()
        .map(|(producer, ..)| producer)
        .collect();
    flushed.sort_unstable();
    let mut ids = group.ids;
    ids.sort_unstable();
    assert_eq!(flushed, ids);
}
