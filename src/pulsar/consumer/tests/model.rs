//! A consumer between a model of a broker and a model of a client, in random order.
//!
//! The broker knows entries only, as brokers do by default, or keeps ack sets besides; it counts
//! permits, and sends again what it is asked for. The client holds so many messages and
//! acknowledges, rejects or forgets them. What is checked: what the session believes to be
//! outstanding is what the client holds; a message that was acknowledged comes again only after a
//! reconnect; the broker never sends beyond its permits by more than a batch; and in the end
//! everything is acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const QUEUE: u32 = 6;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The broker sends what it may.
    Send(u8),
    /// The client takes what is held.
    Take,
    Ack(prop::sample::Index),
    AckAgain(prop::sample::Index),
    Nack(prop::sample::Index),
    Pass(u16),
    Reconnect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u8..5).prop_map(Step::Send),
        2 => Just(Step::Take),
        4 => any::<prop::sample::Index>().prop_map(Step::Ack),
        1 => any::<prop::sample::Index>().prop_map(Step::AckAgain),
        1 => any::<prop::sample::Index>().prop_map(Step::Nack),
        2 => (1u16..1500).prop_map(Step::Pass),
        1 => Just(Step::Reconnect),
    ]
}

#[derive(Debug)]
struct Broker {
    /// `None`: one message.
    entries: Vec<Option<u32>>,
    keeps_ack_sets: bool,
    epoch: u64,
    /// Sent to the consumer and not asked for again.
    out: BTreeSet<u64>,
    done: BTreeSet<u64>,
    left: BTreeMap<u64, BTreeSet<u32>>,
    permits: i64,
}

impl Broker {
    fn handle(&mut self, sent: Vec<Sent>) {
        for sent in sent {
            match sent {
                Sent::Flow(permits) => self.permits += i64::from(permits),
                Sent::Ack(acks) => acks
                    .iter()
                    .for_each(|(entry, words)| self.ack(*entry, words)),
                Sent::Redeliver(entries) => entries.iter().for_each(|entry| {
                    self.out.remove(entry);
                }),
                Sent::RedeliverAll(epoch) => {
                    assert!(epoch > self.epoch);
                    self.epoch = epoch;
                    self.out.clear();
                }
                Sent::Corrupt(..) | Sent::Cumulative(_) => panic!("{sent:?}"),
            }
        }
    }

    fn ack(&mut self, entry: u64, words: &[u64]) {
        if words.is_empty() {
            self.done.insert(entry);
        } else if self.keeps_ack_sets {
            let size = self.entries[usize::try_from(entry).unwrap()].unwrap();
            let set = |index: &u32| {
                words
                    .get(*index as usize / 64)
                    .is_some_and(|w| w >> (index % 64) & 1 == 1)
            };
            let left = self
                .left
                .entry(entry)
                .or_insert_with(|| (0..size).collect());
            left.retain(set);
            if left.is_empty() {
                self.done.insert(entry);
            }
        }
    }

    fn next(&mut self) -> Option<Wire> {
        if self.permits <= 0 {
            return None;
        }
        let entry = (0..self.entries.len() as u64)
            .find(|entry| !self.done.contains(entry) && !self.out.contains(entry))?;
        self.out.insert(entry);
        let mut envelope = Envelope {
            epoch: Some(self.epoch),
            ..at(entry)
        };
        let Some(size) = self.entries[usize::try_from(entry).unwrap()] else {
            self.permits -= 1;
            return Some(envelope.plain(b"x"));
        };
        let mut count = size;
        if let Some(left) = self.left.get(&entry) {
            count = u32::try_from(left.len()).unwrap();
            let word: u64 = left.iter().map(|index| 1 << index).sum();
            envelope.ack_set = vec![word.cast_signed()];
        }
        self.permits -= i64::from(count);
        Some(envelope.batch(size))
    }
}

#[derive(Debug)]
struct World {
    bench: Bench,
    broker: Broker,
    limit: usize,
    /// What the session believes.
    outstanding: usize,
    client: BTreeSet<Vec<u8>>,
    acked: BTreeSet<Vec<u8>>,
}

impl World {
    fn send(&mut self) -> bool {
        self.broker.handle(self.bench.sent());
        let Some(wire) = self.broker.next() else {
            return false;
        };
        assert!(self.broker.permits > -5, "one batch beyond at most");
        self.bench.room = self.limit - self.outstanding;
        let got = self.bench.receive(&wire);
        self.delivered(got);
        true
    }

    fn take(&mut self) {
        let got = self.bench.take(self.limit - self.outstanding);
        self.delivered(got);
    }

    fn delivered(&mut self, got: Vec<Got>) {
        for got in got {
            assert!(
                !self.acked.contains(&got.id),
                "acknowledged: {:02x?}",
                got.id
            );
            self.outstanding += 1;
            self.client.insert(got.id);
        }
        assert!(self.outstanding <= self.limit);
    }

    fn released(&mut self, count: u32) {
        let count = count as usize;
        assert!(count <= self.outstanding);
        self.outstanding -= count;
    }

    fn ack(&mut self, id: &[u8]) {
        let removed = self.bench.ack(id);
        self.released(u32::from(removed));
        self.client.remove(id);
        self.acked.insert(id.to_vec());
    }

    fn step(&mut self, step: Step) {
        let pick = |ids: &BTreeSet<Vec<u8>>, index: prop::sample::Index| {
            (!ids.is_empty()).then(|| ids.iter().nth(index.index(ids.len())).unwrap().clone())
        };
        match step {
            Step::Send(count) => {
                for _ in 0..count {
                    self.send();
                }
            }
            Step::Take => self.take(),
            Step::Ack(index) => {
                if let Some(id) = pick(&self.client, index) {
                    self.ack(&id);
                }
            }
            Step::AckAgain(index) => {
                if let Some(id) = pick(&self.acked, index) {
                    assert!(!self.bench.ack(&id));
                }
            }
            Step::Nack(index) => {
                if let Some(id) = pick(&self.client, index) {
                    let removed = self.bench.nack(&id);
                    self.released(u32::from(removed));
                    self.client.remove(&id);
                }
            }
            Step::Pass(ms) => {
                let released = self.bench.pass(Duration::from_millis(u64::from(ms)));
                self.released(released);
            }
            Step::Reconnect => {
                self.broker.handle(self.bench.sent());
                self.broker.out.clear();
                self.broker.permits = 0;
                let released = self.bench.consumer.handle_detached();
                self.released(released);
                assert_eq!(self.outstanding, 0);
                // Bits of batches are forgotten: somebody may have set the subscription back.
                self.acked.clear();
                let now = self.bench.now;
                self.bench
                    .consumer
                    .handle_subscribed(now, &mut self.bench.out);
            }
        }
    }
}

fn run(spec: &Spec, entries: Vec<Option<u32>>, keeps_ack_sets: bool, limit: usize, steps: &[Step]) {
    let count = entries.len();
    let mut world = World {
        bench: Bench::new(spec),
        broker: Broker {
            entries,
            keeps_ack_sets,
            epoch: 0,
            out: BTreeSet::new(),
            done: BTreeSet::new(),
            left: BTreeMap::new(),
            permits: 0,
        },
        limit,
        outstanding: 0,
        client: BTreeSet::new(),
        acked: BTreeSet::new(),
    };
    for &step in steps {
        world.step(step);
    }
    for _ in 0..50 * count {
        while world.send() {}
        world.take();
        for id in std::mem::take(&mut world.client) {
            world.ack(&id);
        }
        let released = world.bench.pass(300 * MS);
        world.released(released);
    }
    world.broker.handle(world.bench.sent());
    assert_eq!(world.broker.done.len(), count, "{world:?}");
    assert_eq!(world.outstanding, 0);
    assert_eq!(world.bench.consumer.held_bytes(), 0);
    assert!(world.broker.permits <= i64::from(QUEUE));
    assert!(
        world.broker.permits > i64::from(QUEUE / 2),
        "no permit is lost"
    );
    world.bench.pass(30_000 * MS);
    assert_eq!(world.bench.sent(), []);
    assert_eq!(world.bench.consumer.next_deadline(), None);
}

proptest! {
    #[test]
    fn everything_is_acknowledged_in_the_end(
        entries in prop::collection::vec(prop::option::of(1u32..5), 1..12),
        steps in prop::collection::vec(step(), 0..60),
        limit in 1usize..8,
        shared: bool,
        keeps_ack_sets: bool,
        patience: bool,
    ) {
        let spec = Spec {
            receiver_queue_size: QUEUE,
            negative_ack_delay: 300 * MS,
            ack_timeout: patience.then_some(1000 * MS),
            ..spec(if shared { SubscriptionType::Shared } else { SubscriptionType::Failover })
        };
        run(&spec, entries, keeps_ack_sets, limit, &steps);
    }
}
