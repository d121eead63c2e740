//! What producers ask of the broker: to exist, to store, to go.

use std::collections::BTreeMap;

use prost::Message;

use super::{
    batch::decompress,
    broker::{
        Broker, CHECKSUM_ERROR, Lane, NOT_ALLOWED, PRODUCER_BUSY, Producer, SERVICE_NOT_READY,
        TOPIC_TERMINATED,
    },
    judge::Judge,
    rng::Rng,
    topic::{Content, Entry, Handle},
    wire::{
        self, BaseCommand, Body, KeyValue, MessageIdData, MessageMetadata, SingleMessageMetadata,
    },
};

impl Broker {
    pub(super) fn create_producer(
        &mut self,
        key: u32,
        asked: wire::Producer,
        unlucky: bool,
        rng: &mut Rng,
    ) {
        let topic = self.topic(&asked.topic);
        if unlucky || self.topics[topic].owner != self.connection(key).host {
            self.refuse(key, Lane::Producer(asked.producer_id));
            self.fail(key, asked.request_id, SERVICE_NOT_READY, "not here");
            return;
        }
        if self.topics[topic].terminated {
            self.refuse(key, Lane::Producer(asked.producer_id));
            self.fail(key, asked.request_id, TOPIC_TERMINATED, "it has ended");
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
            readiness: None,
            repeats: false,
        };
        assert!(
            self.producers.insert(handle, state).is_none(),
            "{handle:?} exists"
        );
        let answer = |is_ready| BaseCommand {
            producer_success: Some(wire::ProducerSuccess {
                request_id: asked.request_id,
                producer_name: name.clone(),
                last_sequence_id: Some(-1),
                producer_ready: Some(is_ready),
            }),
            ..BaseCommand::default()
        };
        let is_ready = self.chaos.not_ready == 0 || !rng.one_in(self.chaos.not_ready);
        self.send(key, answer(is_ready));
        if !is_ready {
            let producer = self.producers.get_mut(&handle).expect("just made");
            producer.readiness = Some(answer(true));
        }
    }

    pub(super) fn store(
        &mut self,
        handle: Handle,
        send: &wire::Send,
        body: Body,
        rng: &mut Rng,
        judge: &mut Judge,
    ) {
        let metadata = MessageMetadata::decode(&*body.metadata).expect("metadata");
        let producer = self
            .producers
            .get_mut(&handle)
            .expect("the producer exists");
        assert!(producer.readiness.is_none(), "it is ready");
        assert_eq!(metadata.producer_name, producer.name, "the producer's name");
        assert_eq!(metadata.sequence_id, send.sequence_id, "one sequence id");
        assert!(
            producer.repeats
                || producer
                    .last_sequence_id
                    .is_none_or(|last| last < send.sequence_id),
            "sequence ids ascend"
        );
        let messages = contents(&metadata, &body);
        let highest = send.sequence_id + messages.len() as u64 - 1;
        producer.last_sequence_id = Some(highest);
        let batched = messages.len() > 1;
        let several = i32::try_from(messages.len())
            .ok()
            .filter(|messages| *messages > 1);
        assert_eq!(send.num_messages, several, "as many as are told");
        assert_eq!(metadata.num_messages_in_batch, several, "told twice");
        let last = batched.then_some(highest);
        assert_eq!(send.highest_sequence_id, last, "and the last one");
        assert_eq!(metadata.highest_sequence_id, last, "twice, too");
        assert!(
            metadata.publish_time <= self.wall_ms && metadata.publish_time + 600_000 > self.wall_ms,
            "publish time {}, now {}",
            metadata.publish_time,
            self.wall_ms
        );
        let topic = &mut self.topics[producer.topic];
        let error = if topic.terminated {
            Some(TOPIC_TERMINATED)
        } else if self.chaos.send_errors > 0 && rng.one_in(self.chaos.send_errors) {
            Some(*rng.pick(&[CHECKSUM_ERROR, NOT_ALLOWED]))
        } else {
            None
        };
        if let Some(error) = error {
            producer.repeats |= error == CHECKSUM_ERROR;
            judge.refused(&messages);
            let send_error = Some(wire::SendError {
                producer_id: handle.1,
                sequence_id: send.sequence_id,
                error,
                message: "no".into(),
            });
            producer.receipts.push_back(BaseCommand {
                send_error,
                ..BaseCommand::default()
            });
            return;
        }
        for (sequence_id, content) in (send.sequence_id..).zip(&messages) {
            judge.stored(producer.topic, &producer.name, sequence_id, content);
        }
        let id = topic.next_id();
        topic.entries.push(Entry {
            id,
            body,
            messages,
            batched,
            publish_time: metadata.publish_time,
            corruption: None,
        });
        let receipt = wire::SendReceipt {
            producer_id: handle.1,
            sequence_id: send.sequence_id,
            message_id: Some(MessageIdData {
                ledger_id: id.0,
                entry_id: id.1,
                ..MessageIdData::default()
            }),
            highest_sequence_id: last,
        };
        producer.receipts.push_back(BaseCommand {
            send_receipt: Some(receipt),
            ..BaseCommand::default()
        });
    }

    /// Receipts that are still owed come before the answer, as in Pulsar.
    pub(super) fn close_producer(&mut self, handle: Handle, request_id: u64) {
        let Some(producer) = self.producers.remove(&handle) else {
            self.close_of_nothing(handle.0, Lane::Producer(handle.1), request_id);
            return;
        };
        for receipt in producer.receipts {
            self.send(handle.0, receipt);
        }
        self.succeed(handle.0, request_id);
    }
}

/// The messages of an entry as the broker would have to hand them out.
fn contents(metadata: &MessageMetadata, body: &Body) -> Vec<Content> {
    let size = metadata.uncompressed_size.map(|size| size as usize);
    let compression = metadata.compression.unwrap_or(0);
    let plain = match (compression, size) {
        (0, _) => body.payload.clone(),
        (_, size) => decompress(compression, &body.payload, size.expect("a size")),
    };
    let Some(messages) = metadata.num_messages_in_batch else {
        assert_eq!(size, Some(plain.len()), "uncompressed size");
        return vec![Content {
            payload: plain,
            key: metadata.partition_key.clone(),
            properties: properties(metadata.properties.clone()),
            event_time: metadata.event_time,
            deliver_at: metadata.deliver_at_time,
            replicate_to: metadata.replicate_to.clone(),
            is_null: metadata.null_value.unwrap_or(false),
        }];
    };
    assert!(metadata.properties.is_empty() && metadata.deliver_at_time.is_none());
    assert_eq!(size.is_some(), compression > 0, "a size of what is smaller");
    let mut rest = &plain[..];
    let contents: Vec<_> = (metadata.sequence_id..)
        .take(usize::try_from(messages).expect("some"))
        .map(|sequence_id| {
            let (len, tail) = rest.split_at(4);
            let len = u32::from_be_bytes(len.try_into().expect("four")) as usize;
            let (single, tail) = tail.split_at(len);
            let single = SingleMessageMetadata::decode(single).expect("metadata");
            assert_eq!(single.sequence_id, Some(sequence_id), "numbers count up");
            let len = usize::try_from(single.payload_size).expect("a size");
            let (payload, tail) = tail.split_at(len);
            rest = tail;
            Content {
                payload: payload.to_vec(),
                key: single.partition_key,
                properties: properties(single.properties),
                event_time: single.event_time,
                deliver_at: None,
                replicate_to: metadata.replicate_to.clone(),
                is_null: single.null_value.unwrap_or(false),
            }
        })
        .collect();
    assert!(rest.is_empty(), "nothing behind the last message");
    assert_eq!(metadata.partition_key, contents[0].key, "the first one's");
    contents
}

pub(crate) fn properties(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    pairs
        .into_iter()
        .map(|pair| (pair.key, pair.value))
        .collect()
}
