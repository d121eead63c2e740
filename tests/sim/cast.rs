//! Who takes part: each slot has one client after another.

use super::{
    actor::{Actor, Role},
    broker::PARTITIONED,
    consumer::Consumer,
    judge::{BATCH_MAX, Consuming, Producing},
    partitions::{Partitions, Target},
    producer::Producer,
    reader::{Reader, after},
    scenario::{Run, Slot},
    text::consumer_id,
    topic::Place,
    world::{MILLISECOND, World},
};

impl Run {
    /// Clients come where there is a place for one.
    pub(super) fn spawn(&mut self) {
        for slot in 0..self.slots.len() {
            if self.world.clients[slot].is_some()
                || self.next[slot].is_none_or(|at| at > self.world.now)
            {
                continue;
            }
            self.count += 1;
            let actor = self.actor(slot);
            self.world.connect(slot, actor);
            let pause = (50 + self.world.rng.next() % 1000) * MILLISECOND;
            self.next[slot] = Some(self.world.now + pause);
        }
    }

    fn actor(&mut self, slot: usize) -> Actor {
        let world = &mut self.world;
        let rng = &mut world.rng;
        let path = |topic: usize| format!("persistent/public/default/topic-{topic}");
        match self.slots[slot].clone() {
            slot @ (Slot::Producer { .. } | Slot::Partitioned) => {
                let (path, publishes_to) = match slot {
                    Slot::Producer { topic } => (path(topic), Target::Topic(topic)),
                    _ => (
                        format!("persistent/public/default/topic-{PARTITIONED}"),
                        Target::Partitions(Partitions::new(&world.broker, rng)),
                    ),
                };
                let name = format!("producer-{}", self.count);
                let mut producing = Producing::default();
                let mut target = format!("/ws/v2/producer/{path}?");
                if let Target::Partitions(partitions) = &publishes_to {
                    target += partitions.parameters();
                }
                if rng.one_in(2) {
                    producing.name = Some(name.clone());
                    target += &format!("producerName={name}&");
                }
                if rng.one_in(3) {
                    producing.first_sequence_id = rng.next() % 1000;
                    let initial = i128::from(producing.first_sequence_id) - 1;
                    target += &format!("initialSequenceId={initial}&");
                }
                if rng.one_in(2) {
                    let messages = rng.range(1..usize::try_from(BATCH_MAX).expect("small") + 1);
                    target += &format!(
                        "batchingEnabled=true&batchingMaxMessages={messages}&batchingMaxPublishDelay={}&",
                        rng.range(1..300)
                    );
                }
                let compression = rng.pick(&["NONE", "NONE", "LZ4", "ZLIB", "ZSTD", "SNAPPY"]);
                target += &format!("compressionType={compression}&");
                if world.twists.impatience {
                    target += &format!("sendTimeoutMillis={}&", rng.range(20..2000));
                }
                world.judge.producing.insert(name.clone(), producing);
                let role = Producer::new(publishes_to, rng.range(1..120), rng.one_in(8));
                Actor::new(name, &target, Role::Producer(role))
            }
            Slot::Consumer {
                topic,
                subscription,
                kind,
            } => {
                let name = format!("consumer-{}", self.count);
                let limit = *rng.pick(&[0, 1, 2, 10, 1000]);
                let kind_name = ["Exclusive", "Shared", "Failover", "Key_Shared"];
                let kind_name = kind_name[usize::try_from(kind).expect("small")];
                let subscription_path = subscription.replace(' ', "+").replace('/', "%2F");
                let mut target = format!(
                    "/ws/v2/consumer/{}/{subscription_path}?consumerName={name}&subscriptionType={kind_name}\
                     &receiverQueueSize={limit}&negativeAckRedeliveryDelay={}",
                    path(topic),
                    rng.range(0..500)
                );
                if rng.one_in(2) {
                    target += "&subscriptionInitialPosition=Earliest";
                }
                let hoards = rng.one_in(6);
                let ack_timeout = rng.one_in(6);
                if ack_timeout {
                    target += "&ackTimeoutMillis=1000";
                }
                let consuming = Consuming::new(limit, Some((topic, subscription)));
                world.judge.consuming.insert(name.clone(), consuming);
                let role = Consumer::new(topic, kind, limit, ack_timeout, hoards);
                Actor::new(name, &target, Role::Consumer(role))
            }
            Slot::Reader { topic } => {
                let name = format!("reader-{}", self.count);
                let limit = *rng.pick(&[0, 1, 3, 1000]);
                let (start, next, from) = start(world, topic);
                let start = start.replace('+', "%2B").replace('=', "%3D");
                let target = format!(
                    "/ws/v2/reader/{}?readerName={name}&receiverQueueSize={limit}&messageId={start}",
                    path(topic)
                );
                world
                    .judge
                    .consuming
                    .insert(name.clone(), Consuming::new(limit, None));
                Actor::new(
                    name,
                    &target,
                    Role::Reader(Reader::new(topic, next, from, limit)),
                )
            }
        }
    }
}

/// Where a reader begins: as it says, what must come first, and what may at the earliest.
fn start(world: &mut World, topic: usize) -> (String, Option<Place>, usize) {
    let entries = &world.broker.topics[topic].entries;
    match world.rng.below(3) {
        0 => ("latest".into(), None, entries.len()),
        1 if !entries.is_empty() => {
            let entry = world.rng.below(entries.len());
            let member = world.rng.below(entries[entry].messages.len());
            let place = Place {
                topic,
                entry,
                member,
            };
            let id = consumer_id(&world.broker.topics[topic], place);
            (id, Some(after(&world.broker.topics[topic], place)), entry)
        }
        _ => (
            "earliest".into(),
            Some(Place {
                topic,
                entry: 0,
                member: 0,
            }),
            0,
        ),
    }
}
