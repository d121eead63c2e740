//! What a broker forgets: connections that end, topics that move away, topics and
//! subscriptions that are deleted.

use super::{
    broker::{Broker, Consumer, Lane},
    judge::Judge,
    rng::Rng,
    topic::Handle,
    wire::{self, BaseCommand},
};

impl Broker {
    /// A connection is gone, and with it what lived on it.
    pub(crate) fn disconnected(&mut self, key: u32, judge: &mut Judge) {
        self.connections.remove(&key);
        for handle in self.producers_where(|handle, _| handle.0 == key) {
            let producer = self.producers.remove(&handle).expect("listed");
            judge.cut_producer(&producer.name);
        }
        let lost: Vec<_> = self
            .consumers
            .keys()
            .filter(|it| it.0 == key)
            .copied()
            .collect();
        for handle in lost {
            let name = self.remove_consumer(handle);
            judge.cut_consumer(&name, self.now);
        }
    }

    /// Moves a topic to another host, as a balancing cluster does.
    pub(crate) fn unload(&mut self, topic: usize, rng: &mut Rng, judge: &mut Judge) {
        let next = (self.topics[topic].owner + 1) % self.hosts;
        self.topics[topic].owner = next;
        self.begin_ledger(topic);
        for handle in self.producers_where(|_, on| on == topic) {
            let producer = self.producers.remove(&handle).expect("listed");
            judge.cut_producer(&producer.name);
            self.send_away(handle, true, topic, rng);
        }
        for handle in self.consumers_where(|it| it.topic == topic) {
            let name = self.remove_consumer(handle);
            judge.cut_consumer(&name, self.now);
            judge.unloaded(&name);
            self.send_away(handle, false, topic, rng);
        }
    }

    /// Deletes a topic with all its subscriptions; who wants it makes it anew.
    pub(crate) fn delete_topic(&mut self, topic: usize, rng: &mut Rng, judge: &mut Judge) {
        let names: Vec<_> = self.topics[topic].subscriptions.keys().cloned().collect();
        self.unload(topic, rng, judge);
        for name in names {
            self.topics[topic].subscriptions.remove(&name);
            judge.renewed(&(topic, name));
        }
        self.topics[topic].base = self.topics[topic].entries.len();
        self.topics[topic].terminated = false;
        self.topics[topic].is_renewed = true;
    }

    /// Deletes a subscription, whoever consumes.
    pub(crate) fn delete_subscription(&mut self, topic: usize, rng: &mut Rng, judge: &mut Judge) {
        let durable = self.topics[topic].subscriptions.iter();
        let durable = durable.filter(|(_, it)| it.durable);
        let names: Vec<_> = durable.map(|(name, _)| name.clone()).collect();
        if names.is_empty() {
            return;
        }
        let name = rng.pick(&names).clone();
        for handle in self.consumers_where(|it| it.topic == topic && it.subscription == name) {
            let consumer = self.remove_consumer(handle);
            judge.cut_consumer(&consumer, self.now);
            judge.unloaded(&consumer);
            self.send_away(handle, false, topic, rng);
        }
        self.topics[topic].subscriptions.remove(&name);
        judge.renewed(&(topic, name));
    }

    fn begin_ledger(&mut self, topic: usize) {
        self.topics[topic].ledger = self.next_ledger;
        self.next_ledger += 1;
    }

    /// Tells a producer or consumer that it is not here any more, and perhaps where to go.
    fn send_away(&mut self, handle: Handle, is_producer: bool, topic: usize, rng: &mut Rng) {
        let lane = match is_producer {
            true => Lane::Producer(handle.1),
            false => Lane::Consumer(handle.1),
        };
        let connection = self.connections.get_mut(&handle.0).expect("connected");
        connection.closed.insert(lane);
        let url = |host: usize| Some(format!("pulsar://broker-{host}:6650"));
        let directs = self.chaos.directions > 0 && rng.one_in(self.chaos.directions);
        if directs && rng.one_in(2) {
            let migrated = wire::TopicMigrated {
                resource_id: handle.1,
                resource_type: i32::from(!is_producer),
                broker_service_url: url(rng.below(self.hosts)),
            };
            let topic_migrated = Some(migrated);
            self.send(
                handle.0,
                BaseCommand {
                    topic_migrated,
                    ..BaseCommand::default()
                },
            );
        }
        let assigned = url(self.topics[topic].owner).filter(|_| directs && rng.one_in(2));
        let close_producer = wire::CloseProducer {
            producer_id: handle.1,
            request_id: u64::MAX,
            assigned_broker_service_url: assigned.clone(),
        };
        let close_consumer = wire::CloseConsumer {
            consumer_id: handle.1,
            request_id: u64::MAX,
            assigned_broker_service_url: assigned,
        };
        self.send(
            handle.0,
            BaseCommand {
                close_producer: is_producer.then_some(close_producer),
                close_consumer: (!is_producer).then_some(close_consumer),
                ..BaseCommand::default()
            },
        );
    }

    fn producers_where(&self, is_meant: impl Fn(Handle, usize) -> bool) -> Vec<Handle> {
        let meant = self.producers.iter();
        let meant = meant.filter(|it| is_meant(*it.0, it.1.topic));
        meant.map(|it| *it.0).collect()
    }

    fn consumers_where(&self, is_meant: impl Fn(&Consumer) -> bool) -> Vec<Handle> {
        let meant = self.consumers.iter().filter(|it| is_meant(it.1));
        meant.map(|it| *it.0).collect()
    }

    /// Forgets a consumer, and a subscription that does not outlive it; tells its name.
    pub(crate) fn remove_consumer(&mut self, handle: Handle) -> String {
        let consumer = self.consumers.remove(&handle).expect("a consumer");
        let subscriptions = &mut self.topics[consumer.topic].subscriptions;
        if let Some(subscription) = subscriptions.get_mut(&consumer.subscription) {
            subscription.leave(handle);
            if !subscription.durable && subscription.consumers.is_empty() {
                subscriptions.remove(&consumer.subscription);
            }
        }
        consumer.name
    }
}
