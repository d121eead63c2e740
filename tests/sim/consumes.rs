//! What consumers ask of the broker, and what it sends them.

use std::collections::BTreeSet;

use super::{
    broker::{Broker, CONSUMER_BUSY, Consumer, Lane, SERVICE_NOT_READY},
    judge::Judge,
    rng::Rng,
    topic::{CHECKSUM_MISMATCH, EXCLUSIVE, Entry, Handle, Place, Subscription},
    wire::{self, BaseCommand, MessageIdData},
};

impl Broker {
    pub(super) fn subscribe(
        &mut self,
        key: u32,
        asked: wire::Subscribe,
        unlucky: bool,
        judge: &mut Judge,
    ) {
        let index = self.topic(&asked.topic);
        if unlucky || self.topics[index].owner != self.connection(key).host {
            self.refuse(key, Lane::Consumer(asked.consumer_id));
            self.fail(key, asked.request_id, SERVICE_NOT_READY, "not here");
            return;
        }
        let handle = (key, asked.consumer_id);
        let topic = &mut self.topics[index];
        let start = match &asked.start_message_id {
            Some(id) => topic.start_of(id),
            None if asked.initial_position == Some(1) => 0,
            None => topic.entries.len(),
        };
        let start = start.max(topic.base);
        let durable = asked.durable.unwrap_or(true);
        let subscription = topic
            .subscriptions
            .entry(asked.subscription.clone())
            .or_insert_with(|| Subscription::new(asked.sub_type, durable, start));
        let busy = subscription.kind != asked.sub_type || asked.sub_type == EXCLUSIVE;
        if busy && !subscription.consumers.is_empty() {
            self.refuse(key, Lane::Consumer(asked.consumer_id));
            self.fail(
                key,
                asked.request_id,
                CONSUMER_BUSY,
                "somebody else consumes",
            );
            if let Some(name) = &asked.consumer_name {
                judge.taken(name);
            }
            return;
        }
        subscription.kind = asked.sub_type;
        subscription.consumers.push(handle);
        let state = Consumer {
            topic: index,
            subscription: asked.subscription,
            name: asked.consumer_name.expect("scripted clients give names"),
            permits: 0,
            known: false,
            epoch: asked.consumer_epoch,
            told_end: false,
        };
        judge.subscribed(&state.name, self.now);
        assert!(
            self.consumers.insert(handle, state).is_none(),
            "{handle:?} exists"
        );
        self.succeed(key, asked.request_id);
    }

    pub(super) fn ack(&mut self, key: u32, ack: &wire::Ack, judge: &Judge) {
        let consumer = self
            .consumers
            .get(&(key, ack.consumer_id))
            .expect("the consumer exists");
        let topic = &mut self.topics[consumer.topic];
        let entries = &topic.entries;
        let subscription = topic
            .subscriptions
            .get_mut(&consumer.subscription)
            .expect("subscribed");
        for id in &ack.message_id {
            let find = |entry: &Entry| entry.id.cmp(&(id.ledger_id, id.entry_id));
            let at = entries
                .binary_search_by(find)
                .expect("acknowledges what exists");
            let size = entries[at].messages.len();
            if let Some(corruption) = entries[at].corruption
                && subscription.durable
            {
                let reason = ack.validation_error;
                assert_eq!(reason, Some(corruption), "{:?}", entries[at].id);
                subscription.ack(at, None, size);
                continue;
            }
            if ack.ack_type == 1 {
                let done = if id.ack_set.is_empty() { at + 1 } else { at };
                for (entry, stored) in entries[..done].iter().enumerate() {
                    subscription.ack(entry, None, stored.messages.len());
                }
                continue;
            }
            let done: BTreeSet<_> = match id.ack_set.is_empty() {
                true => (0..size).collect(),
                false => (0..size)
                    .filter(|member| !bit(&id.ack_set, *member))
                    .collect(),
            };
            for member in &done {
                let place = Place {
                    topic: consumer.topic,
                    entry: at,
                    member: *member,
                };
                judge.may_ack(&consumer.name, place);
            }
            if id.ack_set.is_empty() || done.len() == size {
                subscription.ack(at, None, size);
            } else if self.batch_index_acks {
                subscription.ack(at, Some(done), size);
            }
        }
        if let Some(request_id) = ack.request_id {
            let ack_response = Some(wire::AckResponse {
                consumer_id: ack.consumer_id,
                request_id: Some(request_id),
            });
            self.send(
                key,
                BaseCommand {
                    ack_response,
                    ..BaseCommand::default()
                },
            );
        }
    }

    pub(super) fn redeliver(&mut self, key: u32, asked: &wire::Redeliver, judge: &mut Judge) {
        let handle = (key, asked.consumer_id);
        let consumer = self
            .consumers
            .get_mut(&handle)
            .expect("the consumer exists");
        consumer.epoch = asked.consumer_epoch.or(consumer.epoch);
        if asked.message_ids.is_empty() {
            judge.asked_for_all(&consumer.name);
            self.rewound.push(consumer.name.clone());
        }
        let topic = &mut self.topics[consumer.topic];
        let named: Vec<_> = asked
            .message_ids
            .iter()
            .filter_map(|id| topic.find(id))
            .collect();
        let subscription = topic.subscriptions.get_mut(&consumer.subscription);
        subscription.expect("subscribed").redeliver(handle, &named);
    }

    pub(super) fn unsubscribe(&mut self, key: u32, asked: &wire::Unsubscribe, judge: &mut Judge) {
        let handle = (key, asked.consumer_id);
        let consumer = &self.consumers[&handle];
        let (topic, name) = (consumer.topic, consumer.subscription.clone());
        if self.topics[topic].subscriptions[&name].consumers.len() > 1 {
            self.fail(key, asked.request_id, CONSUMER_BUSY, "others consume");
            return;
        }
        judge.unsubscribed(&consumer.name);
        self.remove_consumer(handle);
        self.topics[topic].subscriptions.remove(&name);
        judge.renewed(&(topic, name));
        self.connection(key).closed.insert(Lane::Consumer(handle.1));
        self.succeed(key, asked.request_id);
    }

    /// What the client acknowledged must have come before.
    pub(super) fn close_consumer(&mut self, handle: Handle, request_id: u64, judge: &Judge) {
        let Some(consumer) = self.consumers.get(&handle) else {
            self.close_of_nothing(handle.0, Lane::Consumer(handle.1), request_id);
            return;
        };
        self.all_is_told(handle, &judge.owed(&consumer.name));
        self.remove_consumer(handle);
        self.succeed(handle.0, request_id);
    }

    /// The broker knows all of these acknowledgements of a consumer.
    pub(super) fn all_is_told(&self, handle: Handle, owed: &BTreeSet<Place>) {
        let consumer = &self.consumers[&handle];
        let untold = self.untold(consumer.topic, &consumer.subscription, owed);
        let name = &consumer.name;
        assert_eq!(untold, [], "{name}: these acknowledgements never came");
    }

    /// Those acknowledgements that the broker has not.
    pub(crate) fn untold(
        &self,
        topic: usize,
        subscription: &str,
        owed: &BTreeSet<Place>,
    ) -> Vec<Place> {
        let topic = &self.topics[topic];
        let Some(subscription) = topic.subscriptions.get(subscription) else {
            return Vec::new();
        };
        let is_whole = |place: &Place| {
            let size = topic.entries[place.entry].messages.len();
            let mut members = (0..size).map(|member| Place { member, ..*place });
            // Without batch index acknowledgement only whole entries count.
            self.batch_index_acks || members.all(|it| owed.contains(&it))
        };
        let untold = owed.iter().filter(|place| is_whole(place));
        let untold = untold.filter(|it| !subscription.is_acked(it.entry, it.member));
        untold.copied().collect()
    }

    /// Sends one entry to one consumer, if any may have one.
    pub(super) fn dispatch(
        &mut self,
        now: u64,
        index: usize,
        name: &str,
        rng: &mut Rng,
        judge: &mut Judge,
    ) {
        let topic = &mut self.topics[index];
        let Some(subscription) = topic.subscriptions.get_mut(name) else {
            return;
        };
        let ready = |it: Handle| {
            self.connections[&it.0].stalled_until <= now && self.consumers[&it].permits > 0
        };
        let chance = rng.below(1 << 20);
        let Some((at, handle)) = subscription.next(&topic.entries, chance, ready) else {
            return;
        };
        let entry = &topic.entries[at];
        let size = entry.messages.len();
        let (redeliveries, left) = subscription.sent(at, handle, size);
        let consumer = self.consumers.get_mut(&handle).expect("dispatched to it");
        log!(
            "    broker sends {handle:?} entry {at} {:?}, members {left:?}",
            entry.id
        );
        consumer.permits -= i64::try_from(left.len()).expect("small");
        for member in left.iter().filter(|_| entry.corruption.is_none()) {
            judge.offered(
                &consumer.name,
                Place {
                    topic: index,
                    entry: at,
                    member: *member,
                },
            );
        }
        let ack_set = if left.len() < size {
            ack_set(&left, size)
        } else {
            Vec::new()
        };
        let deliver = wire::Deliver {
            consumer_id: handle.1,
            message_id: MessageIdData {
                ledger_id: entry.id.0,
                entry_id: entry.id.1,
                ..MessageIdData::default()
            },
            redelivery_count: Some(redeliveries),
            ack_set,
            consumer_epoch: consumer.epoch,
        };
        let command = BaseCommand {
            deliver: Some(deliver),
            ..BaseCommand::default()
        };
        let out = &mut self.connections.get_mut(&handle.0).expect("connected").out;
        wire::put_frame(out, command, Some(&entry.body));
        if let (Some(CHECKSUM_MISMATCH), Some(last)) = (entry.corruption, out.last_mut()) {
            *last ^= 1;
        }
    }
}

fn bit(words: &[i64], index: usize) -> bool {
    words
        .get(index / 64)
        .is_some_and(|word| word >> (index % 64) & 1 == 1)
}

fn ack_set(left: &[usize], size: usize) -> Vec<i64> {
    let mut words = vec![0; size.div_ceil(64)];
    for member in left {
        words[member / 64] |= 1 << (member % 64);
    }
    words
}
