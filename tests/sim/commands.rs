//! The broker's answer to each command.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

use super::{
    broker::{Broker, CONSUMER_BUSY, Consumer, Lane, PRODUCER_BUSY, Producer, SERVICE_NOT_READY},
    judge::Judge,
    rng::Rng,
    topic::{Content, EXCLUSIVE, Entry, Handle, Place, Subscription},
    wire::{self, BaseCommand, Body, Frame, KeyValue, MessageIdData, MessageMetadata},
};

/// Lookup types in Pulsar's numbers.
const REDIRECT: i32 = 0;
const CONNECT: i32 = 1;
const FAILED: i32 = 2;

impl Broker {
    pub(super) fn command(
        &mut self,
        key: u32,
        lane: Lane,
        frame: Frame,
        rng: &mut Rng,
        judge: &mut Judge,
    ) {
        let command = frame.command;
        if command.producer.is_some() || command.subscribe.is_some() {
            self.connection(key).closed.remove(&lane);
        } else if self.connection(key).closed.contains(&lane) {
            self.ignored(key, &command);
            return;
        }
        let unlucky = self.chaos.request_errors > 0 && rng.one_in(self.chaos.request_errors);
        match command {
            BaseCommand {
                connect: Some(connect),
                ..
            } => self.connect(key, &connect),
            BaseCommand {
                partition_metadata: Some(asked),
                ..
            } => {
                self.partition_metadata(key, &asked, unlucky);
            }
            BaseCommand {
                lookup: Some(lookup),
                ..
            } => self.lookup(key, &lookup, unlucky, rng),
            BaseCommand {
                producer: Some(producer),
                ..
            } => {
                self.create_producer(key, producer, unlucky);
            }
            BaseCommand {
                send: Some(send), ..
            } => {
                let body = frame.body.expect("a SEND has a body");
                self.store((key, send.producer_id), &send, body, judge);
            }
            BaseCommand {
                close_producer: Some(close),
                ..
            } => {
                self.close_producer((key, close.producer_id), close.request_id);
            }
            BaseCommand {
                subscribe: Some(subscribe),
                ..
            } => {
                self.subscribe(key, subscribe, unlucky);
            }
            BaseCommand {
                flow: Some(flow), ..
            } => {
                let consumer = self.consumer((key, flow.consumer_id));
                assert!(flow.message_permits > 0, "permits for nothing");
                consumer.permits += i64::from(flow.message_permits);
                judge.permits(&consumer.name, consumer.permits);
            }
            BaseCommand { ack: Some(ack), .. } => self.ack(key, &ack, judge),
            BaseCommand {
                redeliver: Some(redeliver),
                ..
            } => self.redeliver(key, &redeliver),
            BaseCommand {
                unsubscribe: Some(asked),
                ..
            } => self.unsubscribe(key, &asked, judge),
            BaseCommand {
                close_consumer: Some(close),
                ..
            } => {
                self.close_consumer((key, close.consumer_id), close.request_id, judge);
            }
            other => panic!("a broker does not expect {other:?}"),
        }
    }

    fn connection(&mut self, key: u32) -> &mut super::broker::Connection {
        self.connections.get_mut(&key).expect("connected")
    }

    fn consumer(&mut self, handle: Handle) -> &mut Consumer {
        self.consumers
            .get_mut(&handle)
            .expect("the consumer exists")
    }

    /// Commands that crossed a close of ours: those that wait for an answer get one.
    fn ignored(&mut self, key: u32, command: &BaseCommand) {
        let closed = command
            .close_producer
            .as_ref()
            .map(|close| close.request_id);
        let closed = closed.or(command
            .close_consumer
            .as_ref()
            .map(|close| close.request_id));
        if let Some(request_id) = closed {
            self.succeed(key, request_id);
        } else if let Some(asked) = &command.unsubscribe {
            self.fail(
                key,
                asked.request_id,
                SERVICE_NOT_READY,
                "not here any more",
            );
        }
    }

    fn succeed(&mut self, key: u32, request_id: u64) {
        let success = Some(wire::Success { request_id });
        self.send(
            key,
            BaseCommand {
                success,
                ..BaseCommand::default()
            },
        );
    }

    fn fail(&mut self, key: u32, request_id: u64, error: i32, message: &str) {
        let error = Some(wire::Failure {
            request_id,
            error,
            message: message.into(),
        });
        self.send(
            key,
            BaseCommand {
                error,
                ..BaseCommand::default()
            },
        );
    }

    fn connect(&mut self, key: u32, connect: &wire::Connect) {
        assert_eq!(connect.protocol_version, Some(21), "protocol version");
        let connected = Some(wire::Connected {
            server_version: "simulated".into(),
            protocol_version: Some(21),
            max_message_size: Some(5 << 20),
        });
        self.send(
            key,
            BaseCommand {
                connected,
                ..BaseCommand::default()
            },
        );
    }

    fn partition_metadata(&mut self, key: u32, asked: &wire::PartitionMetadata, unlucky: bool) {
        let partition_metadata_response = Some(wire::PartitionMetadataResponse {
            partitions: (!unlucky).then_some(0),
            request_id: asked.request_id,
            response: Some(i32::from(unlucky)),
            error: unlucky.then_some(SERVICE_NOT_READY),
            message: unlucky.then(|| "try again".into()),
        });
        self.send(
            key,
            BaseCommand {
                partition_metadata_response,
                ..BaseCommand::default()
            },
        );
    }

    fn lookup(&mut self, key: u32, lookup: &wire::Lookup, unlucky: bool, rng: &mut Rng) {
        let topic = self.topic(&lookup.topic);
        let owner = self.topics[topic].owner;
        let host = self.connection(key).host;
        let redirected = lookup.authoritative != Some(true)
            && self.chaos.redirects > 0
            && rng.one_in(self.chaos.redirects);
        let target = if redirected {
            rng.below(self.hosts)
        } else {
            owner
        };
        // Names for even hosts, addresses for odd ones.
        let url = match target % 2 {
            0 => format!("pulsar://broker-{target}:6650"),
            _ => format!("pulsar://10.0.0.{}:6650", target + 1),
        };
        let response = if unlucky {
            FAILED
        } else if redirected {
            REDIRECT
        } else {
            CONNECT
        };
        let lookup_response = Some(wire::LookupResponse {
            broker_service_url: (!unlucky).then_some(url),
            response: Some(response),
            request_id: lookup.request_id,
            authoritative: Some(redirected || host == owner),
            error: unlucky.then_some(SERVICE_NOT_READY),
            message: unlucky.then(|| "try again".into()),
            proxy_through_service_url: Some(false),
        });
        self.send(
            key,
            BaseCommand {
                lookup_response,
                ..BaseCommand::default()
            },
        );
    }

    pub(crate) fn topic(&self, name: &str) -> usize {
        let found = self.topics.iter().position(|topic| topic.name == name);
        found.unwrap_or_else(|| panic!("no topic {name}"))
    }

    fn create_producer(&mut self, key: u32, asked: wire::Producer, unlucky: bool) {
        let topic = self.topic(&asked.topic);
        if unlucky || self.topics[topic].owner != self.connection(key).host {
            self.fail(key, asked.request_id, SERVICE_NOT_READY, "not here");
            return;
        }
        let handle = (key, asked.producer_id);
        let name = asked.producer_name.unwrap_or_else(|| {
            self.next_name += 1;
            format!("simulated-0-{}", self.next_name)
        });
        if self.producers.values().any(|other| other.name == name) {
            self.fail(key, asked.request_id, PRODUCER_BUSY, "the name is taken");
            return;
        }
        let state = Producer {
            topic,
            name: name.clone(),
            last_sequence_id: None,
            receipts: std::collections::VecDeque::new(),
        };
        assert!(
            self.producers.insert(handle, state).is_none(),
            "{handle:?} exists"
        );
        let producer_success = Some(wire::ProducerSuccess {
            request_id: asked.request_id,
            producer_name: name,
            last_sequence_id: Some(-1),
            producer_ready: Some(true),
        });
        self.send(
            key,
            BaseCommand {
                producer_success,
                ..BaseCommand::default()
            },
        );
    }

    fn store(&mut self, handle: Handle, send: &wire::Send, body: Body, judge: &mut Judge) {
        let metadata = MessageMetadata::decode(&*body.metadata).expect("metadata");
        let producer = self
            .producers
            .get_mut(&handle)
            .expect("the producer exists");
        assert_eq!(metadata.producer_name, producer.name, "the producer's name");
        assert_eq!(metadata.sequence_id, send.sequence_id, "one sequence id");
        assert!(
            producer
                .last_sequence_id
                .is_none_or(|last| last < send.sequence_id),
            "sequence ids ascend"
        );
        producer.last_sequence_id = Some(send.sequence_id);
        assert_eq!(send.num_messages.unwrap_or(1), 1, "unbatched");
        assert!(metadata.num_messages_in_batch.is_none(), "unbatched");
        let size = metadata.uncompressed_size.map(|size| size as usize);
        assert_eq!(size, Some(body.payload.len()), "uncompressed size");
        assert!(
            metadata.publish_time <= self.wall_ms && metadata.publish_time + 600_000 > self.wall_ms,
            "publish time {}, now {}",
            metadata.publish_time,
            self.wall_ms
        );
        let content = Content {
            payload: body.payload.clone(),
            key: metadata.partition_key,
            properties: properties(metadata.properties),
            event_time: metadata.event_time,
        };
        judge.stored(&producer.name, send.sequence_id, &content);
        let topic = &mut self.topics[producer.topic];
        let id = topic.next_id();
        topic.entries.push(Entry {
            id,
            body,
            sent_by: Some((producer.name.clone(), send.sequence_id)),
            messages: vec![content],
            batched: false,
            publish_time: metadata.publish_time,
        });
        producer.receipts.push_back(wire::SendReceipt {
            producer_id: handle.1,
            sequence_id: send.sequence_id,
            message_id: Some(MessageIdData {
                ledger_id: id.0,
                entry_id: id.1,
                ..MessageIdData::default()
            }),
        });
    }

    /// Receipts that are still owed come before the answer, as in Pulsar.
    fn close_producer(&mut self, handle: Handle, request_id: u64) {
        let producer = self.producers.remove(&handle).expect("the producer exists");
        for receipt in producer.receipts {
            let send_receipt = Some(receipt);
            self.send(
                handle.0,
                BaseCommand {
                    send_receipt,
                    ..BaseCommand::default()
                },
            );
        }
        self.succeed(handle.0, request_id);
    }

    fn subscribe(&mut self, key: u32, asked: wire::Subscribe, unlucky: bool) {
        let index = self.topic(&asked.topic);
        if unlucky || self.topics[index].owner != self.connection(key).host {
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
        let durable = asked.durable.unwrap_or(true);
        let subscription = topic
            .subscriptions
            .entry(asked.subscription.clone())
            .or_insert_with(|| Subscription::new(asked.sub_type, durable, start));
        let busy = subscription.kind != asked.sub_type || asked.sub_type == EXCLUSIVE;
        if busy && !subscription.consumers.is_empty() {
            self.fail(
                key,
                asked.request_id,
                CONSUMER_BUSY,
                "somebody else consumes",
            );
            return;
        }
        subscription.kind = asked.sub_type;
        subscription.consumers.push(handle);
        let state = Consumer {
            topic: index,
            subscription: asked.subscription,
            name: asked.consumer_name.expect("scripted clients give names"),
            permits: 0,
            epoch: asked.consumer_epoch,
            told_end: false,
        };
        assert!(
            self.consumers.insert(handle, state).is_none(),
            "{handle:?} exists"
        );
        self.succeed(key, asked.request_id);
    }

    fn ack(&mut self, key: u32, ack: &wire::Ack, judge: &mut Judge) {
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
            if ack.ack_type == 1 {
                let done = if id.ack_set.is_empty() { at + 1 } else { at };
                for entry in 0..done {
                    subscription.ack(entry, None, entries[entry].messages.len());
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

    fn redeliver(&mut self, key: u32, asked: &wire::Redeliver) {
        let handle = (key, asked.consumer_id);
        let consumer = self
            .consumers
            .get_mut(&handle)
            .expect("the consumer exists");
        consumer.epoch = asked.consumer_epoch.or(consumer.epoch);
        let topic = &mut self.topics[consumer.topic];
        let named: Vec<_> = asked
            .message_ids
            .iter()
            .filter_map(|id| topic.find(id))
            .collect();
        let subscription = topic.subscriptions.get_mut(&consumer.subscription);
        subscription.expect("subscribed").redeliver(handle, &named);
    }

    fn unsubscribe(&mut self, key: u32, asked: &wire::Unsubscribe, judge: &mut Judge) {
        let handle = (key, asked.consumer_id);
        let consumer = &self.consumers[&handle];
        let (topic, name) = (consumer.topic, consumer.subscription.clone());
        if self.topics[topic].subscriptions[&name].consumers.len() > 1 {
            self.fail(key, asked.request_id, CONSUMER_BUSY, "others consume");
            return;
        }
        judge.cut_consumer(&consumer.name);
        self.remove_consumer(handle);
        self.topics[topic].subscriptions.remove(&name);
        self.connection(key).closed.insert(Lane::Consumer(handle.1));
        self.succeed(key, asked.request_id);
    }

    /// What the client acknowledged must have come before.
    fn close_consumer(&mut self, handle: Handle, request_id: u64, judge: &Judge) {
        let consumer = &self.consumers[&handle];
        let topic = &self.topics[consumer.topic];
        if let Some(subscription) = topic.subscriptions.get(&consumer.subscription) {
            let owed = judge.owed(&consumer.name);
            for place in owed {
                let size = topic.entries[place.entry].messages.len();
                let members = (0..size).map(|member| Place { member, ..*place });
                // Without batch index acknowledgement only whole entries count.
                let whole =
                    self.batch_index_acks || members.into_iter().all(|it| owed.contains(&it));
                assert!(
                    !whole || subscription.is_acked(place.entry, place.member),
                    "{} closes, its acknowledgement of {place:?} never came",
                    consumer.name
                );
            }
        }
        self.remove_consumer(handle);
        self.succeed(handle.0, request_id);
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
        consumer.permits -= i64::try_from(left.len()).expect("small");
        for member in &left {
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

pub(crate) fn properties(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    pairs
        .into_iter()
        .map(|pair| (pair.key, pair.value))
        .collect()
}
