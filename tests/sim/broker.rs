//! A cluster in memory: several hosts, one world of topics, connections that bring commands.
//!
//! What it may do next is a list of candidates, and chance picks one: so replies overtake each
//! other wherever Pulsar lets them, and come in order where it does not. What one producer or
//! consumer asks is done in the order it was asked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    judge::Judge,
    rng::Rng,
    topic::{Handle, Topic},
    wire::{self, BaseCommand, Frame},
};

/// Errors in Pulsar's numbers.
pub(crate) const METADATA_ERROR: i32 = 1;
pub(crate) const CONSUMER_BUSY: i32 = 5;
pub(crate) const SERVICE_NOT_READY: i32 = 6;
pub(crate) const CHECKSUM_ERROR: i32 = 9;
pub(crate) const TOPIC_TERMINATED: i32 = 15;
pub(crate) const PRODUCER_BUSY: i32 = 16;
pub(crate) const NOT_ALLOWED: i32 = 22;

/// What topics' names begin with.
pub(crate) const BASE: &str = "persistent://public/default/topic-";
/// What the name of the topic with partitions ends with; others have numbers.
pub(crate) const PARTITIONED: &str = "p";

/// What goes wrong, by chance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chaos {
    /// One request in so many fails in a way that asks for another try; 0: none.
    pub(crate) request_errors: usize,
    /// One lookup in so many is redirected first; 0: none.
    pub(crate) redirects: usize,
    /// One producer in so many is ready some time after the answer; 0: none.
    pub(crate) not_ready: usize,
    /// One publish in so many is refused; 0: none.
    pub(crate) send_errors: usize,
    /// One receipt in so many is sent behind the one after it; 0: none.
    pub(crate) disorder: usize,
    /// One that is sent away in so many is told where to, or to which cluster; 0: none.
    pub(crate) directions: usize,
}

/// What a command is about; commands on the same thing keep their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    Connection,
    Producer(u64),
    Consumer(u64),
    Request(u64),
}

/// A connection from the shard.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) host: usize,
    input: Vec<u8>,
    /// Bytes for the shard.
    pub(crate) out: Vec<u8>,
    pub(crate) tasks: Vec<(Lane, Frame)>,
    connected: bool,
    /// Pings of the broker that have no pong yet.
    pub(crate) pings: usize,
    /// Does nothing until then, in virtual nanoseconds.
    pub(crate) stalled_until: u64,
    /// Ids that the broker closed: what is still on its way to them is ignored.
    pub(crate) closed: BTreeSet<Lane>,
    /// Ids that never came to be.
    pub(crate) refused: BTreeSet<Lane>,
}

/// A producer at the broker.
#[derive(Debug)]
pub(crate) struct Producer {
    pub(crate) topic: usize,
    pub(crate) name: String,
    pub(crate) last_sequence_id: Option<u64>,
    /// Receipts and errors that are owed, in order.
    pub(crate) receipts: VecDeque<BaseCommand>,
    /// The answer that says that it is ready, if it is not.
    pub(crate) readiness: Option<BaseCommand>,
    /// Something of it was refused in a way that makes it send all again.
    pub(crate) repeats: bool,
}

/// A consumer at the broker.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) topic: usize,
    pub(crate) subscription: String,
    pub(crate) name: String,
    pub(crate) permits: i64,
    /// Permits came, so the shard knows that it was made.
    pub(crate) known: bool,
    pub(crate) epoch: Option<u64>,
    pub(crate) told_end: bool,
}

/// The cluster.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) connections: BTreeMap<u32, Connection>,
    pub(crate) producers: BTreeMap<Handle, Producer>,
    pub(crate) consumers: BTreeMap<Handle, Consumer>,
    pub(crate) topics: Vec<Topic>,
    pub(crate) hosts: usize,
    pub(crate) chaos: Chaos,
    /// `acknowledgmentAtBatchIndexLevelEnabled`.
    pub(crate) batch_index_acks: bool,
    pub(crate) next_name: u32,
    pub(crate) next_ledger: u64,
    pub(crate) wall_ms: u64,
    pub(crate) now: u64,
    /// Consumers that asked for everything again, since the world looked.
    pub(crate) rewound: Vec<String>,
}

/// Something the broker could do next.
enum Candidate {
    Task(u32),
    Receipt(Handle),
    Ready(Handle),
    Dispatch(usize, String),
    EndOfTopic(Handle),
}

impl Broker {
    pub(crate) fn new(hosts: usize, topics: usize, batch_index_acks: bool) -> Self {
        let mut broker = Self {
            connections: BTreeMap::new(),
            producers: BTreeMap::new(),
            consumers: BTreeMap::new(),
            topics: Vec::new(),
            hosts,
            chaos: Chaos::default(),
            batch_index_acks,
            next_name: 0,
            next_ledger: 100,
            wall_ms: 0,
            now: 0,
            rewound: Vec::new(),
        };
        for index in 0..topics {
            broker.add_topic(format!("{BASE}{index}"), index);
        }
        broker
    }

    /// A topic comes into being.
    pub(crate) fn add_topic(&mut self, name: String, owner: usize) {
        self.topics.push(Topic {
            name,
            owner: owner % self.hosts,
            ledger: 10 + self.topics.len() as u64,
            entries: Vec::new(),
            subscriptions: BTreeMap::new(),
            terminated: false,
            base: 0,
            is_renewed: false,
        });
    }

    /// The topic with partitions gets one more.
    pub(crate) fn add_partition(&mut self, rng: &mut Rng) {
        let name = format!("{BASE}{PARTITIONED}");
        let number = self.partitions(&name);
        self.add_topic(format!("{name}-partition-{number}"), rng.below(self.hosts));
    }

    /// The shard connected to a host.
    pub(crate) fn accept(&mut self, connection: u32, host: usize) {
        let state = Connection {
            host,
            input: Vec::new(),
            out: Vec::new(),
            tasks: Vec::new(),
            connected: false,
            pings: 0,
            stalled_until: 0,
            closed: BTreeSet::new(),
            refused: BTreeSet::new(),
        };
        self.connections.insert(connection, state);
    }

    /// Bytes of the shard.
    pub(crate) fn bytes(&mut self, key: u32, bytes: &[u8]) {
        let connection = self.connections.get_mut(&key).expect("connected");
        connection.input.extend_from_slice(bytes);
        while let Some(frame) = wire::take_frame(&mut connection.input) {
            let command = &frame.command;
            if command.ping.is_some() {
                let pong = BaseCommand {
                    pong: Some(wire::Empty {}),
                    ..BaseCommand::default()
                };
                wire::put_frame(&mut connection.out, pong, None);
            } else if command.pong.is_some() {
                assert!(connection.pings > 0, "a pong that nobody asked for");
                connection.pings -= 1;
            } else {
                let lane = lane_of(command);
                assert_eq!(
                    lane == Lane::Connection,
                    !connection.connected,
                    "CONNECT comes first and once: {command:?}"
                );
                connection.connected = true;
                connection.tasks.push((lane, frame));
            }
        }
    }

    /// Asks the shard for a sign of life.
    pub(crate) fn ping(&mut self, key: u32) {
        let connection = self.connections.get_mut(&key).expect("connected");
        if connection.connected && connection.tasks.is_empty() {
            connection.pings += 1;
            let ping = BaseCommand {
                ping: Some(wire::Empty {}),
                ..BaseCommand::default()
            };
            wire::put_frame(&mut connection.out, ping, None);
        }
    }

    pub(crate) fn send(&mut self, connection: u32, command: BaseCommand) {
        let connection = self.connections.get_mut(&connection).expect("connected");
        wire::put_frame(&mut connection.out, command, None);
    }

    /// Does one thing that can be done; tells whether there was one.
    pub(crate) fn step(&mut self, now: u64, rng: &mut Rng, judge: &mut Judge) -> bool {
        let mut candidates = Vec::new();
        let awake = |connection: &u32| self.connections[connection].stalled_until <= now;
        let busy = self.connections.iter().filter(|it| !it.1.tasks.is_empty());
        candidates.extend(busy.map(|it| *it.0).filter(awake).map(Candidate::Task));
        let owing = self.producers.iter().filter(|it| !it.1.receipts.is_empty());
        let owing = owing.map(|it| *it.0).filter(|it| awake(&it.0));
        candidates.extend(owing.map(Candidate::Receipt));
        let unready = self.producers.iter().filter(|it| it.1.readiness.is_some());
        let unready = unready.map(|it| *it.0).filter(|it| awake(&it.0));
        candidates.extend(unready.map(Candidate::Ready));
        for (index, topic) in self.topics.iter().enumerate() {
            for (name, subscription) in &topic.subscriptions {
                let ready = |it: Handle| awake(&it.0) && self.consumers[&it].permits > 0;
                if subscription.next(&topic.entries, 0, ready).is_some() {
                    candidates.push(Candidate::Dispatch(index, name.clone()));
                } else if topic.terminated && subscription.backlog(topic.entries.len()) == 0 {
                    let untold = subscription.consumers.iter();
                    let untold = untold.filter(|it| awake(&it.0) && !self.consumers[it].told_end);
                    candidates.extend(untold.copied().map(Candidate::EndOfTopic));
                }
            }
        }
        if candidates.is_empty() {
            return false;
        }
        let chosen = rng.below(candidates.len());
        match candidates.swap_remove(chosen) {
            Candidate::Task(connection) => self.task(connection, rng, judge),
            Candidate::Receipt(producer) => self.receipts(producer, rng),
            Candidate::Ready(handle) => {
                let producer = self.producers.get_mut(&handle).expect("listed");
                let ready = producer.readiness.take().expect("listed");
                self.send(handle.0, ready);
            }
            Candidate::Dispatch(topic, subscription) => {
                for _ in 0..rng.range(1..6) {
                    self.dispatch(now, topic, &subscription, rng, judge);
                }
            }
            Candidate::EndOfTopic(consumer) => self.end_of_topic(consumer),
        }
        true
    }

    /// Works on a command of a connection; only what is about the same thing comes before it.
    fn task(&mut self, key: u32, rng: &mut Rng, judge: &mut Judge) {
        let tasks = &mut self.connections.get_mut(&key).expect("connected").tasks;
        let lane = tasks[rng.below(tasks.len())].0;
        let lane = if tasks[0].0 == Lane::Connection {
            Lane::Connection
        } else {
            lane
        };
        let mut left = rng.range(1..10);
        while left > 0 {
            left -= 1;
            let Some(connection) = self.connections.get_mut(&key) else {
                return;
            };
            let Some(at) = connection.tasks.iter().position(|task| task.0 == lane) else {
                return;
            };
            let (_, frame) = connection.tasks.remove(at);
            self.command(key, lane, frame, rng, judge);
        }
    }

    fn receipts(&mut self, producer: Handle, rng: &mut Rng) {
        let state = self.producers.get_mut(&producer).expect("listed");
        let count = rng.range(1..state.receipts.len() + 1);
        let mut receipts: Vec<_> = state.receipts.drain(..count).collect();
        if count > 1 && self.chaos.disorder > 0 && rng.one_in(self.chaos.disorder) {
            receipts.swap(0, 1);
        }
        for receipt in receipts {
            self.send(producer.0, receipt);
        }
    }

    fn end_of_topic(&mut self, consumer: Handle) {
        self.consumers.get_mut(&consumer).expect("listed").told_end = true;
        let end_of_topic = Some(wire::EndOfTopic {
            consumer_id: consumer.1,
        });
        self.send(
            consumer.0,
            BaseCommand {
                end_of_topic,
                ..BaseCommand::default()
            },
        );
    }
}

fn lane_of(command: &BaseCommand) -> Lane {
    let BaseCommand {
        producer,
        send,
        close_producer,
        ..
    } = command;
    let producer = producer.as_ref().map(|it| it.producer_id);
    let producer = producer.or_else(|| send.as_ref().map(|it| it.producer_id));
    let producer = producer.or_else(|| close_producer.as_ref().map(|it| it.producer_id));
    let consumer = command.subscribe.as_ref().map(|it| it.consumer_id);
    let consumer = consumer.or_else(|| command.ack.as_ref().map(|it| it.consumer_id));
    let consumer = consumer.or_else(|| command.flow.as_ref().map(|it| it.consumer_id));
    let consumer = consumer.or_else(|| command.redeliver.as_ref().map(|it| it.consumer_id));
    let consumer = consumer.or_else(|| command.unsubscribe.as_ref().map(|it| it.consumer_id));
    let consumer = consumer.or_else(|| command.close_consumer.as_ref().map(|it| it.consumer_id));
    let request = command.lookup.as_ref().map(|it| it.request_id);
    let request = request.or_else(|| command.partition_metadata.as_ref().map(|it| it.request_id));
    match (producer, consumer, request) {
        (Some(id), ..) => Lane::Producer(id),
        (_, Some(id), _) => Lane::Consumer(id),
        (_, _, Some(id)) => Lane::Request(id),
        _ => {
            assert!(command.connect.is_some(), "what is {command:?}");
            Lane::Connection
        }
    }
}
