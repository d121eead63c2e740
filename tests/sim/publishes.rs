//! What producers ask of the broker: to exist, to store, to go.

use std::collections::BTreeMap;

use prost::Message;

use super::{
    broker::{Broker, Lane, PRODUCER_BUSY, Producer, SERVICE_NOT_READY},
    judge::Judge,
    topic::{Content, Entry, Handle},
    wire::{self, BaseCommand, Body, KeyValue, MessageIdData, MessageMetadata},
};

impl Broker {
    pub(super) fn create_producer(&mut self, key: u32, asked: wire::Producer, unlucky: bool) {
        let topic = self.topic(&asked.topic);
        if unlucky || self.topics[topic].owner != self.connection(key).host {
            self.refuse(key, Lane::Producer(asked.producer_id));
            self.fail(key, asked.request_id, SERVICE_NOT_READY, "not here");
            return;
        }
        let handle = (key, asked.producer_id);
        let name = asked.producer_name.unwrap_or_else(|| {
            self.next_name += 1;
            format!("simulated-0-{}", self.next_name)
        });
        let taken = |other: &Producer| other.topic == topic && other.name == name;
        if self.producers.values().any(taken) {
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

    pub(super) fn store(
        &mut self,
        handle: Handle,
        send: &wire::Send,
        body: Body,
        judge: &mut Judge,
    ) {
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
            deliver_at: metadata.deliver_at_time,
            replicate_to: metadata.replicate_to,
            is_null: metadata.null_value.unwrap_or(false),
        };
        judge.stored(producer.topic, &producer.name, send.sequence_id, &content);
        let topic = &mut self.topics[producer.topic];
        let id = topic.next_id();
        topic.entries.push(Entry {
            id,
            body,
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
    pub(super) fn close_producer(&mut self, handle: Handle, request_id: u64) {
        let Some(producer) = self.producers.remove(&handle) else {
            self.close_of_nothing(handle.0, Lane::Producer(handle.1), request_id);
            return;
        };
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
}

pub(crate) fn properties(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    pairs
        .into_iter()
        .map(|pair| (pair.key, pair.value))
        .collect()
}
