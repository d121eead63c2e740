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
        let producers: Vec<_> = self.producers.keys().filter(|it| it.0 == key).collect();
        for handle in producers.into_iter().copied().collect::<Vec<_>>() {
            let producer = self.producers.remove(&handle).expect("listed");
            judge.cut_producer(&producer.name);
        }
        let consumers: Vec<_> = self.consumers.keys().copied().collect();
        for handle in consumers.into_iter().filter(|it| it.0 == key) {
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
        let producers = self.producers.iter().filter(|it| it.1.topic == topic);
        for handle in producers.map(|it| *it.0).collect::<Vec<_>>() {
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
        let consumers = self.consumers.iter().filter(|it| it.1.topic == topic);
        for handle in consumers.map(|it| *it.0).collect::<Vec<_>>() {
            let name = self.remove_consumer(handle);
            judge.cut_consumer(&name);
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
