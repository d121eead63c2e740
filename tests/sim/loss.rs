//! What a broker forgets: connections that end, topics that move away.

use super::{
    broker::{Broker, Lane},
    judge::Judge,
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
        for handle in self.consumers_where(|handle, _| handle.0 == key) {
            let name = self.remove_consumer(handle);
            judge.cut_consumer(&name);
        }
    }

    /// Moves a topic to another host, as a balancing cluster does.
    pub(crate) fn unload(&mut self, topic: usize, judge: &mut Judge) {
        let next = (self.topics[topic].owner + 1) % self.hosts;
        self.topics[topic].owner = next;
        self.topics[topic].ledger = self.next_ledger;
        self.next_ledger += 1;
        for handle in self.producers_where(|_, on| on == topic) {
            let producer = self.producers.remove(&handle).expect("listed");
            judge.cut_producer(&producer.name);
            self.closed_by_us(handle, Lane::Producer(handle.1));
            let close_producer = Some(wire::CloseProducer {
                producer_id: handle.1,
                request_id: u64::MAX,
            });
            self.send(
                handle.0,
                BaseCommand {
                    close_producer,
                    ..BaseCommand::default()
                },
            );
        }
        for handle in self.consumers_where(|_, on| on == topic) {
            let name = self.remove_consumer(handle);
            judge.cut_consumer(&name);
            judge.unloaded(&name);
            self.closed_by_us(handle, Lane::Consumer(handle.1));
            let close_consumer = Some(wire::CloseConsumer {
                consumer_id: handle.1,
                request_id: u64::MAX,
            });
            self.send(
                handle.0,
                BaseCommand {
                    close_consumer,
                    ..BaseCommand::default()
                },
            );
        }
    }

    fn producers_where(&self, is_meant: impl Fn(Handle, usize) -> bool) -> Vec<Handle> {
        let meant = self.producers.iter();
        let meant = meant.filter(|it| is_meant(*it.0, it.1.topic));
        meant.map(|it| *it.0).collect()
    }

    fn consumers_where(&self, is_meant: impl Fn(Handle, usize) -> bool) -> Vec<Handle> {
        let meant = self.consumers.iter();
        let meant = meant.filter(|it| is_meant(*it.0, it.1.topic));
        meant.map(|it| *it.0).collect()
    }

    fn closed_by_us(&mut self, handle: Handle, lane: Lane) {
        let connection = self.connections.get_mut(&handle.0).expect("connected");
        connection.closed.insert(lane);
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
