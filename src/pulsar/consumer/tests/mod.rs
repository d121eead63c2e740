//! The consumer driven with bytes and a fake clock.
//!
//! What it writes is read back with the generated structs, which nothing here was written with.

mod batches;
mod chunks;
mod dead_letters;
mod delivery;
mod encrypted;
mod flow;
mod golden;
mod model;
mod reader;
mod redelivery;
mod volatile;

use std::{fmt::Write, time::Duration};

use bytes::{BufMut, BytesMut};
use prost::Message;
use slotmap::KeyData;

use super::*;
use crate::{
    pulsar::{message_id::PulsarId, payload::Scratch},
    session::{
        BadMessageId, Delivery, Encryption, Lane,
        consumer::{InitialPosition, Spec, SubscriptionType, Undecryptable},
    },
    timer::{Instant, Now},
};

/// `MessageMetadata` as producers write it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Metadata {
    #[prost(string, required, tag = "1")]
    pub(super) producer_name: String,
    #[prost(uint64, required, tag = "2")]
    pub(super) sequence_id: u64,
    #[prost(uint64, required, tag = "3")]
    pub(super) publish_time: u64,
    #[prost(message, repeated, tag = "4")]
    pub(super) properties: Vec<proto::KeyValue>,
    #[prost(string, optional, tag = "6")]
    pub(super) partition_key: Option<String>,
    #[prost(int32, optional, tag = "8")]
    pub(super) compression: Option<i32>,
    #[prost(uint32, optional, tag = "9")]
    pub(super) uncompressed_size: Option<u32>,
    #[prost(int32, optional, tag = "11")]
    pub(super) num_messages_in_batch: Option<i32>,
    #[prost(uint64, optional, tag = "12")]
    pub(super) event_time: Option<u64>,
    #[prost(message, repeated, tag = "13")]
    pub(super) encryption_keys: Vec<EncryptionKeys>,
    #[prost(string, optional, tag = "14")]
    pub(super) encryption_algo: Option<String>,
    #[prost(bytes = "vec", optional, tag = "15")]
    pub(super) encryption_param: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "25")]
    pub(super) null_value: Option<bool>,
    #[prost(string, optional, tag = "26")]
    pub(super) uuid: Option<String>,
    #[prost(int32, optional, tag = "27")]
    pub(super) num_chunks_from_msg: Option<i32>,
    #[prost(int32, optional, tag = "28")]
    pub(super) total_chunk_msg_size: Option<i32>,
    #[prost(int32, optional, tag = "29")]
    pub(super) chunk_id: Option<i32>,
}

/// `SingleMessageMetadata` as producers write it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Single {
    #[prost(message, repeated, tag = "1")]
    pub(super) properties: Vec<proto::KeyValue>,
    #[prost(string, optional, tag = "2")]
    pub(super) partition_key: Option<String>,
    #[prost(int32, required, tag = "3")]
    pub(super) payload_size: i32,
    #[prost(bool, optional, tag = "4")]
    pub(super) compacted_out: Option<bool>,
    #[prost(uint64, optional, tag = "5")]
    pub(super) event_time: Option<u64>,
    #[prost(bool, optional, tag = "9")]
    pub(super) null_value: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
struct Command {
    #[prost(uint64, required, tag = "1")]
    consumer_id: u64,
    #[prost(message, required, tag = "2")]
    message_id: proto::MessageIdData,
    #[prost(uint32, optional, tag = "3")]
    redelivery_count: Option<u32>,
    #[prost(int64, repeated, packed = "false", tag = "4")]
    ack_set: Vec<i64>,
    #[prost(uint64, optional, tag = "5")]
    consumer_epoch: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct Ack {
    #[prost(uint64, required, tag = "1")]
    consumer_id: u64,
    #[prost(int32, required, tag = "2")]
    ack_type: i32,
    #[prost(message, repeated, tag = "3")]
    message_id: Vec<proto::MessageIdData>,
    #[prost(int32, optional, tag = "4")]
    validation_error: Option<i32>,
}

/// FLOW and REDELIVER_UNACKNOWLEDGED_MESSAGES, of which the first has a number where the second
/// has ids.
#[derive(Clone, PartialEq, Message)]
struct Flow {
    #[prost(uint64, required, tag = "1")]
    consumer_id: u64,
    #[prost(uint32, required, tag = "2")]
    permits: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Redeliver {
    #[prost(uint64, required, tag = "1")]
    consumer_id: u64,
    #[prost(message, repeated, tag = "2")]
    message_ids: Vec<proto::MessageIdData>,
    #[prost(uint64, optional, tag = "3")]
    consumer_epoch: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct Base {
    #[prost(int32, required, tag = "1")]
    kind: i32,
    #[prost(message, optional, tag = "10")]
    ack: Option<Ack>,
    #[prost(message, optional, tag = "11")]
    flow: Option<Flow>,
    #[prost(message, optional, tag = "20")]
    redeliver: Option<Redeliver>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EncryptionKeys {
    #[prost(string, required, tag = "1")]
    pub(super) key: String,
    #[prost(bytes, required, tag = "2")]
    pub(super) value: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    pub(super) metadata: Vec<proto::KeyValue>,
}

/// What the consumer told the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Flow(u32),
    /// Entries with the words of their ack sets.
    Ack(Vec<(u64, Vec<u64>)>),
    Cumulative(u64),
    Corrupt(u64, i32),
    Redeliver(Vec<u64>),
    RedeliverAll(u64),
}

/// All entries of these tests lie in one ledger.
pub(super) const LEDGER: u64 = 3;
const CONSUMER_ID: u64 = 7;

/// Takes apart everything in `out`.
pub(super) fn sent(out: &mut BytesMut) -> Vec<Sent> {
    let mut all = Vec::new();
    while !out.is_empty() {
        let size = u32::from_be_bytes(out[..4].try_into().unwrap()) as usize;
        let frame = out.split_to(4 + size);
        let command_size = u32::from_be_bytes(frame[4..8].try_into().unwrap()) as usize;
        assert_eq!(command_size + 4, size);
        let base = Base::decode(&frame[8..]).unwrap();
        let entry = |id: &proto::MessageIdData| {
            assert_eq!(id.ledger_id, LEDGER);
            id.entry_id
        };
        all.push(match base {
            Base {
                kind: 10,
                ack: Some(ack),
                ..
            } => {
                assert_eq!(ack.consumer_id, CONSUMER_ID);
                match (ack.ack_type, ack.validation_error) {
                    (0, None) => Sent::Ack(
                        ack.message_id
                            .iter()
                            .map(|id| {
                                let words = id.ack_set.iter().map(|word| word.cast_unsigned());
                                (entry(id), words.collect())
                            })
                            .collect(),
                    ),
                    (0, Some(error)) => Sent::Corrupt(entry(&ack.message_id[0]), error),
                    (_, _) => Sent::Cumulative(entry(&ack.message_id[0])),
                }
            }
            Base {
                kind: 11,
                flow: Some(flow),
                ..
            } => {
                assert_eq!(flow.consumer_id, CONSUMER_ID);
                Sent::Flow(flow.permits)
            }
            Base {
                kind: 20,
                redeliver: Some(redeliver),
                ..
            } => {
                assert_eq!(redeliver.consumer_id, CONSUMER_ID);
                match redeliver.consumer_epoch {
                    Some(epoch) => Sent::RedeliverAll(epoch),
                    None => Sent::Redeliver(redeliver.message_ids.iter().map(entry).collect()),
                }
            }
            other => panic!("not a consumer's command: {other:?}"),
        });
    }
    all
}

/// An entry on the wire.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    pub(super) command: Vec<u8>,
    pub(super) metadata: Vec<u8>,
    pub(super) payload: Vec<u8>,
}

pub(super) fn metadata() -> Metadata {
    Metadata {
        producer_name: "p".into(),
        publish_time: 1000,
        ..Metadata::default()
    }
}

/// How the broker sends an entry: its number, and perhaps more.
#[derive(Clone, Debug, Default)]
pub(super) struct Envelope {
    pub(super) entry: u64,
    pub(super) redelivery_count: Option<u32>,
    pub(super) ack_set: Vec<i64>,
    pub(super) epoch: Option<u64>,
}

pub(super) fn at(entry: u64) -> Envelope {
    Envelope {
        entry,
        ..Envelope::default()
    }
}

impl Envelope {
    pub(super) fn with(self, metadata: &Metadata, payload: &[u8]) -> Wire {
        let command = Command {
            consumer_id: CONSUMER_ID,
            message_id: proto::MessageIdData {
                ledger_id: LEDGER,
                entry_id: self.entry,
                partition: Some(-1),
                ..proto::MessageIdData::default()
            },
            redelivery_count: self.redelivery_count,
            ack_set: self.ack_set,
            consumer_epoch: self.epoch,
        };
        Wire {
            command: command.encode_to_vec(),
            metadata: metadata.encode_to_vec(),
            payload: payload.to_vec(),
        }
    }

    /// One message.
    pub(super) fn plain(self, payload: &[u8]) -> Wire {
        self.with(&metadata(), payload)
    }

    /// A batch whose messages are `0`, `1`, …
    pub(super) fn batch(self, size: u32) -> Wire {
        let members: Vec<_> = (0..size)
            .map(|index| (Single::default(), index.to_string().into_bytes()))
            .collect();
        self.members(&members)
    }

    pub(super) fn members(self, members: &[(Single, Vec<u8>)]) -> Wire {
        let metadata = Metadata {
            num_messages_in_batch: Some(i32::try_from(members.len()).unwrap()),
            ..metadata()
        };
        self.with(&metadata, &batch_payload(members))
    }
}

pub(super) fn batch_payload(members: &[(Single, Vec<u8>)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (single, content) in members {
        let single = Single {
            payload_size: i32::try_from(content.len()).unwrap(),
            ..single.clone()
        };
        let single = single.encode_to_vec();
        payload.put_u32(u32::try_from(single.len()).unwrap());
        payload.extend_from_slice(&single);
        payload.extend_from_slice(content);
    }
    payload
}

pub(super) fn spec(subscription_type: SubscriptionType) -> Spec {
    Spec {
        topic: "persistent://public/default/t".into(),
        several: None,
        subscription: "s".into(),
        subscription_type,
        durable: true,
        initial_position: InitialPosition::Latest,
        receiver_queue_size: 1000,
        pull: false,
        name: None,
        priority_level: 0,
        ack_timeout: None,
        negative_ack_delay: Duration::from_secs(60),
        dead_letters: None,
        undecryptable: Undecryptable::Leave,
    }
}

pub(super) fn id(entry: u64) -> Vec<u8> {
    encoded(entry, None, 0)
}

pub(super) fn member(entry: u64, index: u32, size: u32) -> Vec<u8> {
    encoded(entry, Some(index), size)
}

fn encoded(entry: u64, batch_index: Option<u32>, batch_size: u32) -> Vec<u8> {
    let id = PulsarId {
        entry: EntryId {
            ledger: LEDGER,
            entry,
        },
        partition: None,
        batch_index,
        batch_size,
        first_chunk: None,
    };
    id.encode().as_bytes().to_vec()
}

/// Each key with its value and its metadata, then the rest.
fn in_words(encryption: Encryption<'_>) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes);
    let mut words = String::new();
    for key in encryption.keys {
        write!(words, "{}={}", text(key.name), text(key.value)).unwrap();
        for (name, value) in key.metadata {
            write!(words, " {}:{}", text(name), text(value)).unwrap();
        }
        words.push_str(", ");
    }
    let (param, algorithm) = (encryption.param.map(text), encryption.algorithm.map(text));
    write!(
        words,
        "{param:?} {algorithm:?} {:?} {} {:?}",
        encryption.compression, encryption.uncompressed_bytes, encryption.batch_size
    )
    .unwrap();
    words
}

/// A delivery, copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) id: Vec<u8>,
    pub(super) payload: Option<Vec<u8>>,
    pub(super) properties: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) publish_time_ms: u64,
    pub(super) event_time_ms: Option<i64>,
    pub(super) redelivery_count: u32,
    pub(super) key: Option<Vec<u8>>,
    /// In words.
    pub(super) encryption: Option<String>,
}

impl From<Delivery<'_>> for Got {
    fn from(delivery: Delivery<'_>) -> Self {
        Self {
            id: delivery.message_id.as_bytes().to_vec(),
            payload: delivery.payload.map(<[u8]>::to_vec),
            properties: delivery
                .properties
                .map(|(name, value)| (name.to_vec(), value.to_vec()))
                .collect(),
            publish_time_ms: delivery.publish_time_ms,
            event_time_ms: delivery.event_time_ms,
            redelivery_count: delivery.redelivery_count,
            key: delivery.key.map(<[u8]>::to_vec),
            encryption: delivery.encryption.map(in_words),
        }
    }
}

/// A consumer with its connection's outbox, a clock, and a client that may have `room` messages.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) consumer: Consumer,
    pub(super) out: BytesMut,
    pub(super) now: Now,
    pub(super) room: usize,
    scratch: Scratch,
}

impl Bench {
    pub(super) fn new(spec: impl Into<ConsumerSpec>) -> Self {
        let session = SessionKey::from(KeyData::from_ffi(1));
        let mut spec = spec.into();
        spec.held_bytes_max = 8 << 20;
        let mut bench = Self {
            consumer: Consumer::new(session, spec, CONSUMER_ID, 42),
            out: BytesMut::new(),
            now: Now {
                mono: Instant(5_000_000_000),
                wall_ms: 1_700_000_000_000,
            },
            room: usize::MAX,
            scratch: Scratch::new(),
        };
        bench.consumer.handle_subscribed(bench.now, &mut bench.out);
        bench
    }

    /// A consumer to whom the broker said nothing yet, and whose FLOW was seen.
    pub(super) fn fresh(spec: impl Into<ConsumerSpec>) -> Self {
        let mut bench = Self::new(spec);
        assert!(matches!(bench.sent()[..], [Sent::Flow(_)]));
        bench
    }

    pub(super) fn sent(&mut self) -> Vec<Sent> {
        sent(&mut self.out)
    }

    /// An entry arrives; what the client can take of it now.
    pub(super) fn receive(&mut self, wire: &Wire) -> Vec<Got> {
        let command = MessageCommand::decode(&wire.command).unwrap();
        let entry = self.consumer.handle_entry(
            self.now,
            &command,
            &wire.metadata,
            &wire.payload,
            &mut self.scratch,
            &mut self.out,
        );
        let mut got = Vec::new();
        let Some(mut entry) = entry else {
            return got;
        };
        assert_eq!(entry.session(), self.consumer.session());
        if !self.consumer.is_holding() {
            while self.room > 0 {
                let delivery = self
                    .consumer
                    .next_delivery(self.now, &mut entry, &mut self.out);
                let Some(delivery) = delivery else {
                    return got;
                };
                self.room -= 1;
                got.push(delivery.into());
            }
        }
        self.consumer.hold(entry);
        got
    }

    /// The client takes messages that were held.
    pub(super) fn take(&mut self, room: usize) -> Vec<Got> {
        self.room = room;
        let mut got = Vec::new();
        while self.room > 0 {
            let Some(delivery) = self.consumer.next_held(self.now, Some(&mut self.out)) else {
                break;
            };
            self.room -= 1;
            got.push(delivery.into());
        }
        got
    }

    pub(super) fn ack(&mut self, id: &[u8]) -> bool {
        let out = Some(&mut self.out);
        self.consumer.acknowledge(self.now, id, out).unwrap()
    }

    pub(super) fn nack(&mut self, id: &[u8]) -> bool {
        self.consumer.negative_acknowledge(self.now, id).unwrap()
    }

    /// Lets time pass, doing what is due at its time; tells how many messages were released.
    pub(super) fn pass(&mut self, time: Duration) -> u32 {
        let end = self.now.mono + time;
        let mut released = 0;
        while let Some(due) = self.consumer.next_deadline().filter(|&due| due <= end) {
            self.set_time(due.max(self.now.mono));
            released += self.consumer.handle_timeout(self.now, Some(&mut self.out));
            let next = self.consumer.next_deadline();
            assert!(
                next.is_none_or(|next| next > self.now.mono),
                "work was done"
            );
        }
        self.set_time(end);
        released
    }

    fn set_time(&mut self, mono: Instant) {
        let passed = mono.since(self.now.mono);
        self.now.wall_ms += u64::try_from(passed.as_millis()).unwrap();
        self.now.mono = mono;
    }
}

pub(super) fn payloads(got: &[Got]) -> Vec<&[u8]> {
    got.iter()
        .map(|got| got.payload.as_deref().unwrap())
        .collect()
}

pub(super) const MS: Duration = Duration::from_millis(1);
