//! Consumers and readers of several topics: how all of it opens, what goes to which part, what comes
//! and goes.

use std::collections::BTreeSet;

use super::{consuming::message_of, *};
use crate::{
    pulsar::proto::{
        CommandCloseConsumer, CommandGetTopicsOfNamespace, CommandGetTopicsOfNamespaceResponse,
        CommandUnsubscribe, CommandWatchTopicList, CommandWatchTopicListSuccess,
        CommandWatchTopicUpdate, FeatureFlags,
    },
    session::{
        OpenErrorKind,
        consumer::Several,
        pattern::TopicPattern,
        reader::{self, Start},
    },
};

const NAMESPACE: &str = "public/default";

fn topic(name: &str) -> String {
    format!("persistent://{NAMESPACE}/{name}")
}

fn of_names(names: &[&str]) -> consumer::Spec {
    consumer::Spec {
        several: Some(Several::Names(
            names.iter().map(|name| topic(name)).collect(),
        )),
        ..consumer_spec()
    }
}

/// Topics whose name begins with `a`.
fn of_pattern() -> consumer::Spec {
    let regex = fancy_regex::Regex::new(r"\Apublic/default/a.*\z").unwrap();
    let common = Some("public/default/a.*".to_owned());
    let pattern = TopicPattern::new(NAMESPACE.into(), regex, common);
    consumer::Spec {
        several: Some(Several::Pattern(pattern)),
        ..consumer_spec()
    }
}

fn id_of(ledger: u64, entry: u64, partition: Option<u64>) -> Vec<u8> {
    let mut id = Vec::new();
    put_uint(&mut id, 1, ledger);
    put_uint(&mut id, 2, entry);
    if let Some(partition) = partition {
        put_uint(&mut id, 3, partition);
    }
    id
}

fn payload(text: &str) -> Told {
    Told::Payload(text.as_bytes().to_vec())
}

impl World {
    fn open_spec(&mut self, spec: Spec) -> Link {
        let session = self.session();
        self.pulsar.open(self.now, session, &spec)
    }

    /// TCP and CONNECT, to a broker that tells of topics.
    fn connect_to_watcher(&mut self) -> ConnectionKey {
        self.settle();
        let (key, _) = self.connecting.remove(0);
        self.pulsar.handle_connected(self.now, key);
        self.sent_one(key, Kind::Connect);
        let connected = CommandConnected {
            server_version: "scripted".into(),
            feature_flags: Some(FeatureFlags {
                supports_topic_watchers: Some(true),
                ..FeatureFlags::default()
            }),
            ..CommandConnected::default()
        };
        self.answer(key, Kind::Connected, &connected);
        key
    }

    /// Answers everything that has to do with finding topics, until nothing more is asked; the
    /// others are given back. `counts` tells how many partitions a topic has.
    fn find(&mut self, key: ConnectionKey, counts: &[(&str, u32)]) -> Vec<Sent> {
        let mut others = Vec::new();
        loop {
            let sent = self.sent(key);
            if sent.is_empty() {
                return others;
            }
            for sent in sent {
                match sent.kind {
                    Kind::PartitionedMetadata => {
                        let asked: CommandPartitionedTopicMetadata = sent.decode();
                        let count = counts.iter().find(|(name, _)| topic(name) == asked.topic);
                        let count = count.map_or(0, |(_, count)| *count);
                        let answer = partitions(asked.request_id, count);
                        self.answer(key, Kind::PartitionedMetadataResponse, &answer);
                    }
                    Kind::Lookup => {
                        let asked: CommandLookupTopic = sent.decode();
                        let answer = located(asked.request_id, "pulsar://127.0.0.1:6650");
                        self.answer(key, Kind::LookupResponse, &answer);
                    }
                    _ => others.push(sent),
                }
            }
        }
    }

    fn succeed(&mut self, key: ConnectionKey, request_id: u64) {
        self.answer(key, Kind::Success, &CommandSuccess { request_id });
    }

    /// Answers the SUBSCRIBEs; tells them by topic.
    fn subscribe(
        &mut self,
        key: ConnectionKey,
        sent: &[Sent],
    ) -> BTreeMap<String, CommandSubscribe> {
        let mut all = BTreeMap::new();
        for sent in sent {
            assert_eq!(sent.kind, Kind::Subscribe);
            let asked: CommandSubscribe = sent.decode();
            self.succeed(key, asked.request_id);
            all.insert(asked.topic.clone(), asked);
        }
        all
    }

    /// A session on several topics that is open; the consumers' ids by topic.
    fn several(
        &mut self,
        spec: Spec,
        counts: &[(&str, u32)],
    ) -> (Link, ConnectionKey, BTreeMap<String, u64>) {
        let link = self.open_spec(spec);
        let key = self.connect();
        let sent = self.find(key, counts);
        let asked = self.subscribe(key, &sent);
        assert_eq!(self.told(), [Told::Opened]);
        assert!(self.sent(key).iter().all(|sent| sent.kind == Kind::Flow));
        let ids = asked
            .into_iter()
            .map(|(topic, asked)| (topic, asked.consumer_id));
        (link, key, ids.collect())
    }

    fn ack(&mut self, link: Link, id: &[u8]) -> bool {
        self.pulsar.acknowledge(self.now, link, id).unwrap()
    }

    /// Consumers that an ACK went out for.
    fn acked(&mut self, key: ConnectionKey) -> Vec<u64> {
        self.pass(Duration::from_millis(100));
        let sent = self.sent(key);
        let acks = sent.iter().filter(|sent| sent.kind == Kind::Ack);
        acks.map(|sent| match Reader::new(&sent.body).next().unwrap() {
            Some((1, Field::Varint(consumer))) => consumer,
            other => panic!("{other:?}"),
        })
        .collect()
    }

    /// A broker that watches tells what came and what went.
    fn tell(&mut self, key: ConnectionKey, watcher_id: u64, new: &[&str], deleted: &[&str]) {
        let update = CommandWatchTopicUpdate {
            watcher_id,
            new_topics: new.iter().map(|name| topic(name)).collect(),
            deleted_topics: deleted.iter().map(|name| topic(name)).collect(),
        };
        self.answer(key, Kind::WatchTopicUpdate, &update);
    }

    /// A minute passes at a broker that does not tell; what it is asked for topics meanwhile.
    fn asked_in_a_minute(&mut self, key: ConnectionKey) -> Sent {
        for _ in 0..3 {
            self.pass(Duration::from_secs(20));
            self.answer(key, Kind::Pong, &super::super::proto::CommandPong {});
        }
        let mut sent = self.sent(key);
        sent.retain(|sent| sent.kind == Kind::GetTopicsOfNamespace);
        only(sent)
    }

    fn answer_topics(&mut self, key: ConnectionKey, asked: &Sent, names: &[&str]) {
        assert_eq!(asked.kind, Kind::GetTopicsOfNamespace);
        let asked: CommandGetTopicsOfNamespace = asked.decode();
        assert_eq!(asked.namespace, NAMESPACE);
        let answer = CommandGetTopicsOfNamespaceResponse {
            request_id: asked.request_id,
            topics: names.iter().map(|name| topic(name)).collect(),
        };
        self.answer(key, Kind::GetTopicsOfNamespaceResponse, &answer);
    }
}

fn only<T>(mut all: Vec<T>) -> T {
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn partitions_are_subscribed_together_under_one_name() {
    in_pieces(|mut world| {
        let link = world.open_spec(Spec::Consumer(consumer_spec()));
        let key = world.connect();
        let sent = world.find(key, &[("t", 3)]);
        assert_eq!(world.pulsar.waiting_for(link), "subscribing");
        let asked = world.subscribe(key, &sent);
        assert_eq!(world.told(), [Told::Opened]);
        let topics: Vec<_> = asked.keys().cloned().collect();
        let expected = [0, 1, 2].map(|n| topic(&format!("t-partition-{n}")));
        assert_eq!(topics, expected);
        let names: BTreeSet<_> = asked.values().map(|asked| &asked.consumer_name).collect();
        assert_eq!(names.len(), 1);
        assert_eq!(world.pulsar.waiting_for(link), "nothing");
        world.pulsar.close(world.now, link);
        let mut closed = 0;
        for sent in world.sent(key) {
            if sent.kind == Kind::CloseConsumer {
                let close: CommandCloseConsumer = sent.decode();
                world.succeed(key, close.request_id);
                closed += 1;
            }
        }
        assert_eq!((closed, world.pulsar.links()), (3, 0));
    });
}

#[test]
fn queues_of_many_partitions_are_small() {
    let mut world = World::new(usize::MAX);
    let spec = consumer::Spec {
        receiver_queue_size: 1000,
        ..consumer_spec()
    };
    world.open_spec(Spec::Consumer(spec));
    let key = world.connect();
    let sent = world.find(key, &[("t", 5000)]);
    world.subscribe(key, &sent);
    assert_eq!(world.told(), [Told::Opened]);
    let flows = world.sent(key);
    assert_eq!(flows.len(), 5000);
    for flow in flows {
        let mut fields = Reader::new(&flow.body);
        fields.next().unwrap();
        assert!(matches!(fields.next(), Ok(Some((2, Field::Varint(10))))));
    }
}

#[test]
fn one_part_that_fails_fails_all_in_javas_words() {
    let mut world = World::new(usize::MAX);
    world.open_spec(Spec::Consumer(consumer_spec()));
    let key = world.connect();
    let sent = world.find(key, &[("t", 3)]);
    let asked: Vec<CommandSubscribe> = sent.iter().map(Sent::decode).collect();
    world.succeed(key, asked[0].request_id);
    world.error(key, asked[1].request_id, ServerError::ConsumerBusy);
    let Told::OpenFailed(error) = only(world.told()) else {
        panic!("not refused");
    };
    assert_eq!(error.kind, OpenErrorKind::Busy);
    let expected = format!("Failed to subscribe {TOPIC} with 3 partitions\n{{\"errorMsg\":\"no\"");
    assert!(error.message.starts_with(&expected), "{}", error.message);
    let kinds: Vec<_> = world.sent(key).iter().map(|sent| sent.kind).collect();
    assert_eq!(
        kinds,
        [Kind::Flow, Kind::CloseConsumer, Kind::CloseConsumer]
    );
    world.lose(key);
    assert_eq!(world.pulsar.links(), 0);
    assert_eq!(world.told(), []);
}

#[test]
fn readers_of_partitions_begin_at_an_end() {
    let reader = |start| {
        Spec::Reader(reader::Spec {
            topic: TOPIC.into(),
            name: None,
            receiver_queue_size: 10,
            start,
            undecryptable: consumer::Undecryptable::Leave,
        })
    };
    let mut world = World::new(usize::MAX);
    world.open_spec(reader(Start::Earliest));
    let key = world.connect();
    let sent = world.find(key, &[("t", 2)]);
    let asked = world.subscribe(key, &sent);
    assert_eq!(world.told(), [Told::Opened]);
    let subscriptions: BTreeSet<_> = asked.values().map(|asked| &asked.subscription).collect();
    let subscription = only(subscriptions.into_iter().collect());
    assert!(subscription.starts_with("multiTopicsReader-"));
    assert_eq!(subscription.len(), "multiTopicsReader-".len() + 10);

    world.sent(key);
    world.open_spec(reader(Start::After(id_of(1, 2, None))));
    world.find(key, &[("t", 2)]);
    let Told::OpenFailed(error) = only(world.told()) else {
        panic!("not refused");
    };
    assert_eq!(
        error.message,
        "java.util.concurrent.ExecutionException: org.apache.pulsar.client.api.\
         PulsarClientException: The partitioned topic startMessageId is illegal"
    );

    let earliest = id_of(u64::MAX, u64::MAX, None);
    world.open_spec(reader(Start::After(earliest)));
    let sent = world.find(key, &[("t", 2)]);
    assert_eq!(world.subscribe(key, &sent).len(), 2);
    assert_eq!(world.told(), [Told::Opened]);
}

#[test]
fn acknowledgements_find_their_partition() {
    in_pieces(|mut world| {
        let (link, key, ids) = world.several(Spec::Consumer(consumer_spec()), &[("t", 3)]);
        let part = |n: u64| ids[&topic(&format!("t-partition-{n}"))];
        world.receive(key, &message_of(part(1), 21, 0, b"one"));
        world.receive(key, &message_of(part(2), 22, 0, b"two"));
        assert_eq!(world.told(), [payload("one"), payload("two")]);
        assert!(
            !world.ack(link, &id_of(21, 0, Some(2))),
            "not of that partition"
        );
        assert!(world.ack(link, &id_of(21, 0, Some(1))));
        assert!(world.ack(link, &id_of(22, 0, None)), "its ledger tells");
        // A message that another session got, on a partition that told nothing here.
        assert!(!world.ack(link, &id_of(20, 7, Some(0))));
        assert!(!world.ack(link, &id_of(99, 7, Some(3))), "there is none");
        assert!(!world.ack(link, &id_of(99, 7, None)), "nobody knows");
        assert!(world.pulsar.acknowledge(world.now, link, b"\xff").is_err());
        let acked: BTreeSet<_> = world.acked(key).into_iter().collect();
        assert_eq!(acked, BTreeSet::from([part(0), part(1), part(2)]));
    });
}

#[test]
fn what_is_held_comes_in_turn() {
    let mut world = World::new(usize::MAX);
    let (link, key, ids) = world.several(Spec::Consumer(consumer_spec()), &[("t", 2)]);
    let [a, b] = [0, 1].map(|n| ids[&topic(&format!("t-partition-{n}"))]);
    for (part, ledger, entries) in [(a, 1, 0..4), (b, 2, 0..2)] {
        for entry in entries {
            let text = format!("{ledger}:{entry}");
            let bytes = message_of(part, ledger, entry, text.as_bytes());
            let mut input = Input::new(&bytes);
            let event = world
                .pulsar
                .next_event(world.now, key, &mut input, &mut world.scratch);
            let Some(Event::Entry(entry)) = event else {
                panic!("{event:?}");
            };
            world.pulsar.hold(world.now, entry);
        }
    }
    let mut got = Vec::new();
    loop {
        let held = world.pulsar.next_held(world.now, link);
        if let Some(delivery) = held {
            got.push(String::from_utf8(delivery.payload.unwrap().to_vec()).unwrap());
        } else if !world.pulsar.holds_more(link) {
            break;
        }
    }
    assert_eq!(got, ["1:0", "2:0", "1:1", "2:1", "1:2", "1:3"]);
}

#[test]
fn a_part_that_is_sent_away_disturbs_no_other() {
    in_pieces(|mut world| {
        let (link, key, ids) = world.several(Spec::Consumer(consumer_spec()), &[("t", 2)]);
        let [a, b] = [0, 1].map(|n| ids[&topic(&format!("t-partition-{n}"))]);
        world.receive(key, &message_of(a, 1, 0, b"one"));
        world.receive(key, &message_of(b, 2, 0, b"two"));
        world.told();
        let close = CommandCloseConsumer {
            consumer_id: a,
            ..CommandCloseConsumer::default()
        };
        world.answer(key, Kind::CloseConsumer, &close);
        assert_eq!(world.told(), [Told::Released(1)]);
        world.receive(key, &message_of(b, 2, 1, b"three"));
        assert_eq!(world.told(), [payload("three")]);
        assert!(world.ack(link, &id_of(2, 0, Some(1))));
        world.pass(Duration::from_millis(200));
        let sent = world.find(key, &[]);
        let again = sent
            .iter()
            .find(|sent| sent.kind == Kind::Subscribe)
            .unwrap();
        let again: CommandSubscribe = again.decode();
        assert_eq!(
            (again.consumer_id, again.topic),
            (a, topic("t-partition-0"))
        );
        world.succeed(key, again.request_id);
        assert_eq!(world.told(), [], "opened once");
    });
}

#[test]
fn the_end_is_the_end_of_all() {
    let mut world = World::new(usize::MAX);
    let (link, key, ids) = world.several(Spec::Consumer(consumer_spec()), &[("t", 2)]);
    for (ended, consumer_id) in ids.values().enumerate() {
        assert!(!world.pulsar.end_of_topic(link), "{ended} of 2");
        let end = super::super::proto::CommandReachedEndOfTopic {
            consumer_id: *consumer_id,
        };
        world.answer(key, Kind::ReachedEndOfTopic, &end);
    }
    assert!(world.pulsar.end_of_topic(link));
}

#[test]
fn unsubscribing_is_for_all() {
    let mut world = World::new(usize::MAX);
    let (link, key, _) = world.several(Spec::Consumer(consumer_spec()), &[("t", 2)]);
    world.pulsar.unsubscribe(world.now, link);
    let asked: Vec<CommandUnsubscribe> = world.sent(key).iter().map(Sent::decode).collect();
    assert_eq!(asked.len(), 2);
    world.succeed(key, asked[0].request_id);
    world.error(key, asked[1].request_id, ServerError::MetadataError);
    assert!(matches!(only(world.told()), Told::UnsubscribeFailed(_)));
    world.pulsar.unsubscribe(world.now, link);
    let Told::UnsubscribeFailed(text) = only(world.told()) else {
        panic!("it was done already");
    };
    assert!(text.ends_with("Topics Consumer was already closed"));
    assert!(world.sent(key).is_empty());
}

#[test]
fn new_partitions_are_consumed_and_failed_ones_tried_again() {
    let mut world = World::new(usize::MAX);
    let (link, key, _) = world.several(Spec::Consumer(consumer_spec()), &[("t", 1)]);
    for round in 0..2 {
        world.pass(Duration::from_secs(20));
        world.answer(key, Kind::Pong, &super::super::proto::CommandPong {});
        world.pass(Duration::from_secs(20));
        world.answer(key, Kind::Pong, &super::super::proto::CommandPong {});
        world.pass(Duration::from_secs(20));
        let mut sent = world.find(key, &[("t", 3)]);
        sent.retain(|sent| sent.kind == Kind::Subscribe);
        let asked: Vec<CommandSubscribe> = sent.iter().map(Sent::decode).collect();
        if round == 0 {
            assert_eq!(asked.len(), 2);
            world.error(key, asked[0].request_id, ServerError::ConsumerBusy);
            world.succeed(key, asked[1].request_id);
        } else {
            assert_eq!(only(asked).topic, topic("t-partition-1"));
            world.subscribe(key, &sent);
        }
        assert_eq!(world.told(), []);
        world.sent(key);
    }
    world.pulsar.close(world.now, link);
    let closed = world.sent(key);
    let closed = closed
        .iter()
        .filter(|sent| sent.kind == Kind::CloseConsumer);
    assert_eq!(closed.count(), 3);
}

#[test]
fn topics_of_a_list_are_told_apart_by_their_ledgers() {
    in_pieces(|mut world| {
        let spec = Spec::Consumer(of_names(&["a", "b"]));
        let (link, key, ids) = world.several(spec, &[("b", 2)]);
        let topics: Vec<_> = ids.keys().cloned().collect();
        assert_eq!(topics, ["a", "b-partition-0", "b-partition-1"].map(topic));
        let [a, b0, b1] = ["a", "b-partition-0", "b-partition-1"].map(|name| ids[&topic(name)]);
        for (part, ledger) in [(a, 1), (b0, 2), (b1, 3)] {
            world.receive(key, &message_of(part, ledger, 0, b"x"));
        }
        assert_eq!(world.told().len(), 3);
        // Another session got it, of the same ledger.
        assert!(!world.ack(link, &id_of(2, 5, Some(0))));
        assert!(world.ack(link, &id_of(3, 0, Some(1))));
        assert!(world.ack(link, &id_of(1, 0, None)));
        let nack = id_of(77, 0, None);
        assert_eq!(
            world.pulsar.negative_acknowledge(world.now, link, &nack),
            Ok(false)
        );
        let acked: BTreeSet<_> = world.acked(key).into_iter().collect();
        assert_eq!(acked, BTreeSet::from([a, b0, b1]));
    });
}

#[test]
fn a_topic_of_a_list_that_fails_fails_all() {
    let mut world = World::new(usize::MAX);
    world.open_spec(Spec::Consumer(of_names(&["a", "b"])));
    let key = world.connect();
    let sent = world.find(key, &[("b", 2)]);
    let asked: Vec<CommandSubscribe> = sent.iter().map(Sent::decode).collect();
    let b1 = asked
        .iter()
        .find(|asked| asked.topic == topic("b-partition-1"))
        .unwrap();
    world.error(key, b1.request_id, ServerError::ConsumerBusy);
    let Told::OpenFailed(error) = only(world.told()) else {
        panic!("not refused");
    };
    assert!(
        error.message.starts_with("{\"errorMsg\":\"no\""),
        "{}",
        error.message
    );
    let closed = world.sent(key);
    assert_eq!(closed.len(), 2);
    assert!(closed.iter().all(|sent| sent.kind == Kind::CloseConsumer));
    world.lose(key);
    assert_eq!(world.pulsar.links(), 0);
}

#[test]
fn a_partition_beside_its_topic_is_refused() {
    let mut world = World::new(usize::MAX);
    world.open_spec(Spec::Consumer(of_names(&["b-partition-1", "b"])));
    let key = world.connect();
    world.find(key, &[("b", 2)]);
    let Told::OpenFailed(error) = only(world.told()) else {
        panic!("not refused");
    };
    assert!(
        error
            .message
            .contains("Topic is already being subscribed for")
    );
    assert_eq!(error.kind, OpenErrorKind::Other);
}

/// A session on a pattern, whose broker tells of topics; the connection and the watcher's id.
fn watching(world: &mut World, names: &[&str]) -> (Link, ConnectionKey, u64) {
    let link = world.open_spec(Spec::Consumer(of_pattern()));
    let key = world.connect_to_watcher();
    let asked = only(world.sent(key));
    world.answer_topics(key, &asked, names);
    let mut sent = world.find(key, &[]);
    let watch = sent.extract_if(.., |sent| sent.kind == Kind::WatchTopicList);
    let mut watch: Vec<_> = watch.collect();
    let asked = world.subscribe(key, &sent);
    assert!(
        asked
            .values()
            .all(|asked| asked.force_topic_creation == Some(false))
    );
    assert_eq!(world.told(), [Told::Opened]);
    let more = world.sent(key).into_iter();
    watch.extend(more.filter(|sent| sent.kind != Kind::Flow));
    let watch: CommandWatchTopicList = only(watch).decode();
    assert_eq!(watch.namespace, NAMESPACE);
    assert_eq!(watch.topics_pattern, "public/default/a.*");
    let success = CommandWatchTopicListSuccess {
        request_id: watch.request_id,
        watcher_id: watch.watcher_id,
        topic: names.iter().map(|name| topic(name)).collect(),
    };
    world.answer(key, Kind::WatchTopicListSuccess, &success);
    (link, key, watch.watcher_id)
}

#[test]
fn topics_of_a_pattern_come_and_go() {
    in_pieces(|mut world| {
        let (link, key, watcher_id) = watching(&mut world, &["b", "a1", "a2-partition-0"]);
        world.tell(key, watcher_id, &["a3", "c", "a1"], &[]);
        let sent = world.find(key, &[]);
        let new = world.subscribe(key, &sent);
        assert_eq!(new.keys().cloned().collect::<Vec<_>>(), [topic("a3")]);
        let a3 = new[&topic("a3")].consumer_id;
        world.sent(key);
        world.receive(key, &message_of(a3, 5, 0, b"x"));
        assert_eq!(world.told(), [payload("x")]);

        world.tell(key, watcher_id, &[], &["a3", "never-there"]);
        let close: CommandCloseConsumer = world.sent_one(key, Kind::CloseConsumer).decode();
        assert_eq!(close.consumer_id, a3);
        world.succeed(key, close.request_id);
        assert_eq!(world.told(), [Told::Released(1)]);
        assert!(!world.ack(link, &id_of(5, 0, None)));

        world.pulsar.close(world.now, link);
        let kinds: Vec<_> = world.sent(key).iter().map(|sent| sent.kind).collect();
        assert_eq!(
            kinds,
            [
                Kind::WatchTopicListClose,
                Kind::CloseConsumer,
                Kind::CloseConsumer
            ]
        );
        world.lose(key);
        assert_eq!(world.pulsar.links(), 0);
    });
}

#[test]
fn a_topic_that_ended_and_came_again_is_consumed_again() {
    let mut world = World::new(usize::MAX);
    let (_, key, watcher_id) = watching(&mut world, &["a1"]);
    let links = world.pulsar.links();
    let (part, _) = world
        .pulsar
        .halves
        .iter()
        .find(|(_, half)| *half.topic == *topic("a1"))
        .unwrap();
    let close = CommandCloseConsumer {
        consumer_id: slotmap::Key::data(&part).as_ffi(),
        ..CommandCloseConsumer::default()
    };
    world.answer(key, Kind::CloseConsumer, &close);
    world.pass(Duration::from_millis(200));
    let asked: CommandSubscribe = only(world.find(key, &[])).decode();
    world.error(key, asked.request_id, ServerError::TopicNotFound);
    world.pass(Duration::from_secs(5));
    let asked = only(world.find(key, &[]));
    world.answer_topics(key, &asked, &[]);
    assert!(world.find(key, &[]).is_empty(), "it is gone");
    world.tell(key, watcher_id, &["a1"], &[]);
    let sent = world.find(key, &[]);
    assert_eq!(world.subscribe(key, &sent).len(), 1);
    assert_eq!(
        world.pulsar.links(),
        links,
        "nothing is left of the old one"
    );
}

#[test]
fn a_pattern_that_finds_nothing_waits() {
    let mut world = World::new(usize::MAX);
    let (link, key, watcher_id) = watching(&mut world, &[]);
    assert!(world.sent(key).is_empty());
    world.tell(key, watcher_id, &["a1"], &[]);
    let sent = world.find(key, &[]);
    assert_eq!(world.subscribe(key, &sent).len(), 1);
    assert!(!world.pulsar.end_of_topic(link));
}

#[test]
fn what_came_before_the_broker_began_to_tell_is_looked_for() {
    let mut world = World::new(usize::MAX);
    let (_, key, watcher_id) = watching(&mut world, &["a1"]);
    world.tell(key, watcher_id, &["a2"], &[]);
    let sent = world.find(key, &[]);
    world.subscribe(key, &sent);
    world.sent(key);
    world.pass(Duration::from_secs(1));
    let asked = only(world.sent(key));
    // A list that is older than what was told takes nothing away.
    world.answer_topics(key, &asked, &["a1", "a3"]);
    let sent = world.find(key, &[]);
    assert!(sent.iter().all(|sent| sent.kind != Kind::CloseConsumer));
    let asked = world.subscribe(key, &sent);
    let topics: Vec<_> = asked.values().map(|asked| asked.topic.clone()).collect();
    assert_eq!(topics, [topic("a3")]);
    world.pass(Duration::from_secs(5));
    let sent = world.sent(key);
    assert!(
        sent.iter()
            .all(|sent| sent.kind != Kind::GetTopicsOfNamespace)
    );
}

#[test]
fn topics_are_looked_for_again_after_a_list_that_failed() {
    let mut world = World::new(usize::MAX);
    world.open_spec(Spec::Consumer(of_pattern()));
    let key = world.connect();
    let asked = only(world.sent(key));
    world.answer_topics(key, &asked, &[]);
    assert_eq!(world.told(), [Told::Opened]);
    for _ in 0..3 {
        let asked: CommandGetTopicsOfNamespace = world.asked_in_a_minute(key).decode();
        world.error(key, asked.request_id, ServerError::AuthorizationError);
    }
}

#[test]
fn a_topic_that_cannot_be_consumed_yet_does_not_put_looking_off() {
    let mut world = World::new(usize::MAX);
    let (_, key, watcher_id) = watching(&mut world, &["a1"]);
    world.tell(key, watcher_id, &["a2"], &[]);
    let sent = world.find(key, &[]);
    let asked = sent.iter().find(|sent| sent.kind == Kind::Subscribe);
    let asked: CommandSubscribe = asked.expect("a2 is subscribed to").decode();
    world.error(key, asked.request_id, ServerError::AuthorizationError);
    world.sent(key);
    world.pass(Duration::from_secs(1));
    let sent = world.sent(key);
    assert!(
        sent.iter()
            .any(|sent| sent.kind == Kind::GetTopicsOfNamespace)
    );
}

#[test]
fn a_watcher_that_is_lost_is_made_again() {
    let mut world = World::new(usize::MAX);
    let (_, key, _) = watching(&mut world, &[]);
    world.lose(key);
    world.pass(Duration::from_secs(1));
    let key = world.connect_to_watcher();
    let asked = only(world.sent(key));
    world.answer_topics(key, &asked, &["a1"]);
    let sent = world.find(key, &[]);
    world.subscribe(key, &sent);
    let sent = world.sent(key);
    assert!(sent.iter().any(|sent| sent.kind == Kind::WatchTopicList));
    assert_eq!(world.told(), []);
}

#[test]
fn a_broker_that_does_not_tell_is_asked_each_minute() {
    let mut world = World::new(usize::MAX);
    world.open_spec(Spec::Consumer(of_pattern()));
    let key = world.connect();
    let asked = only(world.sent(key));
    world.answer_topics(key, &asked, &[]);
    assert_eq!(world.told(), [Told::Opened]);
    for (round, names) in [&["a1", "a2"][..], &["a2"], &["a2"]]
        .into_iter()
        .enumerate()
    {
        let asked = world.asked_in_a_minute(key);
        world.answer_topics(key, &asked, names);
        let sent = world.find(key, &[]);
        let kinds: Vec<_> = sent.iter().map(|sent| sent.kind).collect();
        match round {
            0 => assert_eq!(world.subscribe(key, &sent).len(), 2),
            1 => assert_eq!(kinds, [Kind::CloseConsumer]),
            _ => assert_eq!(kinds, []),
        }
    }
}
