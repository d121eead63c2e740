//! A run from a seed: who takes part, what goes wrong, and what must have come of it.

use std::{hash::Hasher, time::Duration};

use pulsar_ws_fast::config::Config;

use super::{
    actor::{Role, Stage},
    broker::{Broker, Chaos},
    producer,
    rng::Rng,
    topic::{EXCLUSIVE, FAILOVER, KEY_SHARED, SHARED},
    twists::Twists,
    world::{MILLISECOND, Trace, World},
};

/// What kind of run it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) producers: usize,
    /// Producers on the topic that has partitions.
    pub(crate) partitioned: usize,
    pub(crate) subscriptions: usize,
    pub(crate) readers: usize,
    pub(crate) faults: bool,
    pub(crate) drain: bool,
    /// What happens rarely happens often.
    pub(crate) twists: bool,
}

/// Steps of the part in which everybody does what they like.
const BUSY_STEPS: usize = 3000;
/// Steps and virtual time in which everything must come to an end once all are good.
const QUIET_STEPS: usize = 60_000;
const QUIET_NANOS: u64 = 300_000 * MILLISECOND;

/// A place for one client after another.
#[derive(Clone, Debug)]
pub(super) enum Slot {
    Producer {
        topic: usize,
    },
    Partitioned,
    Consumer {
        topic: usize,
        subscription: String,
        kind: i32,
    },
    Reader {
        topic: usize,
    },
}

/// A run under way.
pub(super) struct Run {
    pub(super) world: World,
    scenario: Scenario,
    pub(super) slots: Vec<Slot>,
    /// When a slot's next client comes; never, if `None`.
    pub(super) next: Vec<Option<u64>>,
    pub(super) count: usize,
    drain_at: Option<usize>,
}

/// Runs one seed to its end; the trace is the caller's, so that it outlives a panic.
pub(crate) fn run(scenario: Scenario, seed: u64, trace: &mut Trace) {
    let mut run = Run::new(scenario, seed);
    std::mem::swap(&mut run.world.trace, trace);
    // The trace must come back however the run ends.
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.play()));
    std::mem::swap(&mut run.world.trace, trace);
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
    trace.hash.write_u64(run.world.now);
}

impl Run {
    fn new(scenario: Scenario, seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x5eed);
        let topics = rng.range(1..4);
        let hosts = rng.range(1..4);
        let mut slots = Vec::new();
        for _ in 0..scenario.producers {
            slots.push(Slot::Producer {
                topic: rng.below(topics),
            });
        }
        slots.extend((0..scenario.partitioned).map(|_| Slot::Partitioned));
        for index in 0..scenario.subscriptions {
            let kind = *rng.pick(&[EXCLUSIVE, SHARED, FAILOVER, KEY_SHARED]);
            let topic = rng.below(topics);
            let consumers = if kind == EXCLUSIVE {
                rng.range(1..3)
            } else {
                rng.range(1..4)
            };
            for _ in 0..consumers {
                let subscription = format!("sub {index}/x");
                slots.push(Slot::Consumer {
                    topic,
                    subscription,
                    kind,
                });
            }
        }
        for _ in 0..scenario.readers {
            slots.push(Slot::Reader {
                topic: rng.below(topics),
            });
        }
        let mut config = Config {
            brokers: vec![("broker-0".to_owned(), 6650)],
            idle_timeout: Duration::from_secs(100_000),
            partitions_interval: Duration::from_millis(700),
            ..Config::default()
        };
        if rng.one_in(3) {
            config.publishes_in_flight_bytes_max = rng.range(1..5000);
        }
        if rng.one_in(3) {
            config.replies_bytes_max = rng.range(100..5000);
        }
        let mut twists = Twists::default();
        if scenario.twists {
            twists = Twists::draw(&mut rng);
            twists.configure(&mut config);
        }
        let mut broker = Broker::new(hosts, topics, rng.one_in(2));
        if scenario.partitioned > 0 {
            for _ in 0..rng.range(1..5) {
                broker.add_partition(&mut rng);
            }
        }
        if scenario.faults {
            broker.chaos = Chaos {
                request_errors: *rng.pick(&[0, 4, 20]),
                redirects: rng.range(0..4),
                ..Chaos::default()
            };
        } else if rng.one_in(2) {
            broker.chaos.redirects = 2;
        }
        let next = slots
            .iter()
            .map(|_| Some(rng.next() % (50 * MILLISECOND)))
            .collect();
        let mut world = World::new(config, broker, slots.len(), seed);
        world.twists = twists;
        twists.prepare(&mut world.broker.chaos);
        world.faults = scenario.faults;
        world.judge.strict = !scenario.faults;
        world.pace = *rng.pick(&[1, 10, 60, 200]) * MILLISECOND;
        world.capacity = *rng.pick(&[100, 5000, 64 * 1024, 1 << 20]);
        world.connect_errors = if scenario.faults {
            *rng.pick(&[0, 4, 20])
        } else {
            0
        };
        let drain_at = scenario.drain.then(|| rng.below(BUSY_STEPS));
        Self {
            world,
            scenario,
            slots,
            next,
            count: 0,
            drain_at,
        }
    }

    fn play(&mut self) {
        for step in 0..BUSY_STEPS {
            if self.drain_at.is_some_and(|at| at <= step) {
                return self.drain();
            }
            self.spawn();
            self.meddle();
            assert!(self.step(), "nothing can happen, and not all is done");
        }
        self.quiet();
        self.until("everything is settled", Self::settled);
        if !self.scenario.faults {
            self.end_of_topic();
        } else if self.scenario.twists {
            self.ends_are_known();
        }
        for slot in 0..self.slots.len() {
            if let Some(client) = &mut self.world.clients[slot] {
                client.actor.close(&mut self.world.rng);
            }
        }
        self.world.carry();
        self.next.fill(None);
        self.until("everybody has gone", Self::gone);
    }

    /// Topics end, and whoever consumes all of one can learn so, but not before.
    fn end_of_topic(&mut self) {
        self.world.ask_for_the_end();
        self.until("all is answered", Self::settled);
        let ended = |run: &Self| {
            let answers = run.world.clients.iter().flatten();
            let answers = answers.filter_map(|client| match &client.actor.role {
                Role::Consumer(consumer) if client.actor.stage == Stage::Open => {
                    consumer.end_of_topic
                }
                _ => None,
            });
            answers.collect::<Vec<_>>()
        };
        assert!(!ended(self).contains(&true), "no topic has ended yet");
        for topic in &mut self.world.broker.topics {
            topic.terminated = true;
        }
        self.world.wake_broker();
        // Whoever would come now is not waited for.
        self.next.fill(None);
        self.until("nobody is on the way", Self::settled);
        self.until("all consumers are told", |run| {
            let told = run
                .world
                .broker
                .consumers
                .values()
                .all(|consumer| consumer.told_end);
            told && run.world.links.iter().all(|link| link.to_shard.is_empty())
        });
        self.world.ask_for_the_end();
        self.until("all is answered", Self::settled);
        assert!(!ended(self).contains(&false), "every topic has ended");
    }

    /// Whoever consumes all of a topic that has ended can learn so.
    fn ends_are_known(&mut self) {
        self.next.fill(None);
        self.until("nobody is on the way", Self::settled);
        self.until("the consumers of what has ended are told", |run| {
            let broker = &run.world.broker;
            let is_told = |name: &str| {
                let mut made = broker.consumers.values();
                made.any(|it| it.name == name && it.told_end)
            };
            let mut clients = run.world.clients.iter().flatten();
            let told = clients.all(|client| match &client.actor.role {
                Role::Consumer(consumer) if client.actor.stage == Stage::Open => {
                    let name = &client.actor.name;
                    // Of an Exclusive subscription somebody else may have taken hold.
                    let may_be_out = consumer.kind == EXCLUSIVE;
                    may_be_out || !broker.topics[consumer.topic].terminated || is_told(name)
                }
                _ => true,
            });
            told && run.world.links.iter().all(|link| link.to_shard.is_empty())
        });
        let consumers = self.world.broker.consumers.values();
        let told = consumers.filter(|it| it.told_end).map(|it| it.name.clone());
        let told: Vec<_> = told.collect();
        self.world.ask_for_the_end();
        self.until("all is answered", |run| {
            let mut clients = run.world.clients.iter().flatten();
            clients.all(|client| match &client.actor.role {
                Role::Consumer(consumer) if client.actor.stage == Stage::Open => {
                    consumer.answered()
                }
                _ => true,
            })
        });
        for client in self.world.clients.iter().flatten() {
            let Role::Consumer(consumer) = &client.actor.role else {
                continue;
            };
            let topic = &self.world.broker.topics[consumer.topic];
            // One that was deleted may have ended before.
            let name = &client.actor.name;
            let is_known = !topic.terminated || told.contains(name);
            if client.actor.stage == Stage::Open && !topic.is_renewed && is_known {
                assert_eq!(consumer.end_of_topic, Some(topic.terminated), "{name}");
            }
        }
    }

    fn step(&mut self) -> bool {
        let wake = self.next.iter().enumerate();
        let wake = wake.filter(|(slot, _)| self.world.clients[*slot].is_none());
        let wake = wake
            .filter_map(|(_, at)| *at)
            .filter(|at| *at > self.world.now)
            .min();
        self.world.step(wake)
    }

    fn until(&mut self, what: &str, done: fn(&Self) -> bool) {
        let end = self.world.now + QUIET_NANOS;
        for step in 0..QUIET_STEPS {
            if step % 10 == 0 {
                if done(self) {
                    return;
                }
                self.spawn();
            }
            if !self.step() {
                assert!(
                    done(self),
                    "nothing can happen, yet not: {what}; {}",
                    self.state()
                );
                return;
            }
            assert!(
                self.world.now < end,
                "it takes for ever until {what}; {}",
                self.state()
            );
        }
        panic!("too many steps until {what}; {}", self.state());
    }

    /// From now on nothing goes wrong, and clients finish what they began.
    fn quiet(&mut self) {
        self.world.trace.note("quiet".into());
        self.world.quiet = true;
        self.world.broker.chaos = Chaos::default();
        self.world.connect_errors = 0;
        self.world.capacity = 1 << 20;
        for (slot, next) in self.next.iter_mut().enumerate() {
            if matches!(
                self.slots[slot],
                Slot::Producer { .. } | Slot::Partitioned | Slot::Reader { .. }
            ) {
                *next = None;
            }
        }
    }

    fn settled(&self) -> bool {
        let open = self.world.clients.iter().flatten().all(|client| {
            client.actor.stage == Stage::Open
                && match &client.actor.role {
                    Role::Producer(_) => false,
                    Role::Consumer(consumer) => !consumer.owes() && consumer.answered(),
                    Role::Reader(reader) => {
                        reader.caught_up(&self.world.broker.topics[reader.topic])
                    }
                }
        });
        open && self.world.broker.topics.iter().all(|topic| {
            let entries = topic.entries.len();
            let durable = topic.subscriptions.values().filter(|it| it.durable);
            durable
                .into_iter()
                .all(|subscription| subscription.backlog(entries) == 0)
        })
    }

    fn gone(&self) -> bool {
        self.world.clients.iter().all(Option::is_none)
            && self.world.shard.clients() == 0
            && self.world.broker.producers.is_empty()
            && self.world.broker.consumers.is_empty()
            && self.world.untold().is_empty()
            && self
                .world
                .broker
                .connections
                .values()
                .all(|it| it.pings == 0)
    }

    fn state(&self) -> String {
        let mut state = String::new();
        for client in self.world.clients.iter().flatten() {
            let role = format!("{:?}", client.actor.role);
            let (name, stage) = (&client.actor.name, client.actor.stage);
            state += &format!("\n{name}: {stage:?} {role:.300}");
        }
        for topic in &self.world.broker.topics {
            for (name, subscription) in &topic.subscriptions {
                let backlog = subscription.backlog(topic.entries.len());
                state += &format!(
                    "\n{} {name}: {backlog} of {} left",
                    topic.name,
                    topic.entries.len()
                );
            }
        }
        state += &format!("\nuntold: {:?}", self.world.untold());
        state += &format!(
            "\n{:?}\n{:?}",
            self.world.broker.consumers, self.world.broker.producers
        );
        state
    }

    /// Ends the shard's work in the middle of it.
    fn drain(&mut self) {
        self.world.trace.note("drain".into());
        self.world.quiet = true;
        self.world.draining = true;
        self.next.fill(None);
        let now = self.world.now();
        self.world.shard.handle_drain(now);
        self.world.effects();
        self.until("all is drained", |run| run.world.drained && run.gone());
    }

    /// What nobody asked for.
    fn meddle(&mut self) {
        let world = &mut self.world;
        if world.rng.one_in(60) && self.scenario.subscriptions + self.scenario.readers > 0 {
            let topic = world.rng.below(world.broker.topics.len());
            let count = world.rng.range(1..6);
            let rng = &mut world.rng;
            let messages = (0..count)
                .map(|number| producer::content(number, "else", false, rng))
                .collect();
            let corruption = world.twists.corruption(&mut world.rng);
            if !world.broker.topics[topic].terminated {
                world
                    .broker
                    .put_entry(topic, messages, corruption, &mut world.rng);
                world.wake_broker();
            }
        }
        if self.scenario.partitioned > 0 && world.rng.one_in(900) {
            world.broker.add_partition(&mut world.rng);
            world.trace.note("one more partition".into());
        }
        if world.rng.one_in(100)
            && let Some(link) = world.links.first()
            && link.up
        {
            world.broker.ping(link.connection);
            world.carry();
        }
        if !self.scenario.faults {
            return;
        }
        if world.rng.one_in(300) && !world.links.is_empty() {
            let link = world.rng.below(world.links.len());
            world.cut(link);
        }
        if world.rng.one_in(400) {
            let topic = world.rng.below(world.broker.topics.len());
            world.broker.now = world.now;
            world.broker.unload(topic, &mut world.rng, &mut world.judge);
            world.trace.note(format!("unload of {topic}"));
            world.carry();
        }
        if self.scenario.twists {
            world.twist();
        }
        let pause = *world.rng.pick(&[20, 200, 5000]);
        if world.rng.one_in(200)
            && let Some(link) = world.links.last()
            && let Some(connection) = world.broker.connections.get_mut(&link.connection)
        {
            connection.stalled_until = world.now + world.rng.next() % (pause * MILLISECOND);
        }
    }
}
