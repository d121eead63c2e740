//! MESSAGE in all its forms, and what is said about messages: ACK, REDELIVER, FLOW.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::BytesMut;
use proptest::{collection::vec, prelude::*};
use prost::Message as _;
use pulsar::message::{
    BaseCommand, Codec, Message, Metadata, Payload,
    proto::{
        CommandAck, CommandMessage, CommandReachedEndOfTopic, KeyValue, SingleMessageMetadata,
        base_command::Type, command_ack::AckType,
    },
};
use pulsar_ws_fast::session::SessionKey;
use serde_json::{Value, json};
use tokio_util::codec::Encoder;

use super::world::{Answer, World, entry_id, of, read_id};

const TARGET: &str = "/ws/v2/consumer/persistent/public/default/t/s?receiverQueueSize=1000&negativeAckRedeliveryDelay=1000";
/// The end of the year 9999.
const TIME_MS_MAX: u64 = 253_402_300_799_999;

#[derive(Clone, Debug)]
struct Single {
    payload: Vec<u8>,
    key: Option<String>,
    properties: BTreeMap<String, String>,
    event_time: Option<u64>,
}

impl Single {
    fn pairs(&self) -> Vec<KeyValue> {
        let pairs = self.properties.iter();
        pairs
            .map(|(key, value)| KeyValue {
                key: key.clone(),
                value: value.clone(),
            })
            .collect()
    }

    fn is_in(&self, delivery: &Value) -> bool {
        let time = |name: &str| delivery[name].as_str().map(read_time);
        delivery["payload"] == BASE64_STANDARD.encode(&self.payload)
            && delivery["properties"] == json!(self.properties)
            && delivery.get("key").and_then(Value::as_str) == self.key.as_deref()
            && time("eventTime") == self.event_time
    }
}

/// What the broker stores as one.
#[derive(Clone, Debug)]
struct Entry {
    messages: Vec<Single>,
    is_batch: bool,
    publish_time: u64,
    redelivery_count: Option<u32>,
    partition: Option<i32>,
}

impl Entry {
    fn frame(&self, consumer_id: u64, number: u64) -> Message {
        let mut metadata = Metadata {
            producer_name: "p".into(),
            sequence_id: number,
            publish_time: self.publish_time,
            ..Metadata::default()
        };
        let mut data = Vec::new();
        if self.is_batch {
            metadata.num_messages_in_batch = Some(self.messages.len().try_into().unwrap());
            for single in &self.messages {
                let head = SingleMessageMetadata {
                    properties: single.pairs(),
                    partition_key: single.key.clone(),
                    payload_size: single.payload.len().try_into().unwrap(),
                    event_time: single.event_time,
                    ..SingleMessageMetadata::default()
                };
                let len = u32::try_from(head.encoded_len()).unwrap();
                data.extend(len.to_be_bytes());
                data.extend(head.encode_to_vec());
                data.extend(&single.payload);
            }
        } else {
            let single = &self.messages[0];
            metadata.properties = single.pairs();
            metadata.partition_key = single.key.clone();
            metadata.event_time = single.event_time;
            data.extend(&single.payload);
        }
        let mut message_id = entry_id((7, number));
        message_id.partition = self.partition;
        let message = CommandMessage {
            consumer_id,
            message_id,
            redelivery_count: self.redelivery_count,
            ..CommandMessage::default()
        };
        Message {
            command: BaseCommand {
                message: Some(message),
                ..of(Type::Message)
            },
            payload: Some(Payload { metadata, data }),
        }
    }
}

fn read_time(text: &str) -> u64 {
    let time: jiff::Timestamp = text.parse().unwrap();
    time.as_millisecond().try_into().unwrap()
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let single = (
        vec(any::<u8>(), 0..100),
        proptest::option::of("\\PC{0,12}"),
        proptest::collection::btree_map("\\PC{0,8}", "\\PC{0,8}", 0..3),
        proptest::option::of(1..TIME_MS_MAX),
    );
    let single = single.prop_map(|(payload, key, properties, event_time)| Single {
        payload,
        key,
        properties,
        event_time,
    });
    let entry = (
        vec(single, 1..6),
        any::<bool>(),
        1..TIME_MS_MAX,
        proptest::option::of(0..1000_u32),
        proptest::option::of(Just(-1)),
    );
    let entry = entry.prop_map(
        |(messages, is_batch, publish_time, redelivery_count, partition)| Entry {
            is_batch: is_batch || messages.len() > 1,
            messages,
            publish_time,
            redelivery_count,
            partition,
        },
    );
    vec(entry, 1..6)
}

/// A consumer, and its number at the broker.
fn consumer(world: &mut World, kind: &str) -> (SessionKey, u64) {
    let client = world.open(&format!("{TARGET}&subscriptionType={kind}"));
    let subscribed = world.heard_one(|command| command.subscribe.clone());
    let flow = world.heard_one(|command| command.flow);
    assert_eq!(flow.consumer_id, subscribed.consumer_id);
    assert_eq!(flow.message_permits, 1000);
    (client, subscribed.consumer_id)
}

fn is_unacked(ack_set: &[i64], index: usize) -> bool {
    let word = ack_set.get(index / 64).copied().unwrap_or_default();
    word.cast_unsigned() >> (index % 64) & 1 == 1
}

proptest! {
    #[test]
    fn we_read_what_others_store_and_they_read_what_we_say_about_it(
        entries in entries(),
        is_acked in vec(any::<bool>(), 25),
        is_shared in any::<bool>(),
    ) {
        let mut world = World::new();
        let kind = if is_shared { "Shared" } else { "Exclusive" };
        let (client, consumer_id) = consumer(&mut world, kind);
        let frames = (0..).zip(&entries).map(|(number, entry)| entry.frame(consumer_id, number));
        world.tell(frames.collect::<Vec<_>>());

        let told = world.told(client);
        let places: Vec<(usize, usize)> = (0..)
            .zip(&entries)
            .flat_map(|(number, entry)| (0..entry.messages.len()).map(move |index| (number, index)))
            .collect();
        prop_assert_eq!(told.len(), places.len());
        let mut left: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
        for ((delivery, &(number, index)), &is_acked) in told.iter().zip(&places).zip(&is_acked) {
            let entry = &entries[number];
            prop_assert!(entry.messages[index].is_in(delivery), "{delivery} {entry:?}");
            prop_assert_eq!(read_time(delivery["publishTime"].as_str().unwrap()), entry.publish_time);
            prop_assert_eq!(&delivery["redeliveryCount"], &json!(entry.redelivery_count.unwrap_or(0)));
            let id = read_id(&delivery["messageId"]);
            prop_assert_eq!((id.ledger_id, id.entry_id), (7, number as u64));
            if entry.is_batch {
                prop_assert_eq!(id.batch_index, Some(index.try_into().unwrap()));
                prop_assert_eq!(id.batch_size, Some(entry.messages.len().try_into().unwrap()));
            } else {
                prop_assert_eq!(id.batch_index, None);
            }
            if is_acked {
                world.say(client, &json!({"messageId": delivery["messageId"]}));
            } else {
                left.entry(number as u64).or_default().insert(index);
            }
        }

        world.pass(Duration::from_millis(300));
        let acks = world.heard(|command| command.ack.clone());
        let mut acked = BTreeMap::new();
        for CommandAck { consumer_id: whose, ack_type, message_id, .. } in acks {
            prop_assert_eq!((whose, ack_type), (consumer_id, AckType::Individual.into()));
            acked.extend(message_id.into_iter().map(|id| (id.entry_id, id.ack_set)));
        }
        for (number, entry) in (0..).zip(&entries) {
            let left = left.get(&number).cloned().unwrap_or_default();
            let Some(ack_set) = acked.get(&number) else {
                prop_assert_eq!(left.len(), entry.messages.len(), "entry {} was not acknowledged", number);
                continue;
            };
            prop_assert!(left.len() < entry.messages.len(), "entry {number} was");
            prop_assert_eq!(ack_set.is_empty(), left.is_empty());
            for index in 0..entry.messages.len() {
                prop_assert_eq!(is_unacked(ack_set, index), left.contains(&index));
            }
        }

        for delivery in told.iter().zip(&is_acked).filter(|(_, is_acked)| !**is_acked) {
            let id = &delivery.0["messageId"];
            world.say(client, &json!({"type": "negativeAcknowledge", "messageId": id}));
        }
        world.pass(Duration::from_secs(5));
        let redelivers = world.heard(|command| command.redeliver_unacknowledged_messages.clone());
        prop_assert!(redelivers.iter().all(|redeliver| redeliver.consumer_id == consumer_id));
        let again: BTreeSet<u64> = redelivers
            .iter()
            .flat_map(|redeliver| redeliver.message_ids.iter().map(|id| id.entry_id))
            .collect();
        if is_shared {
            prop_assert_eq!(again, left.into_keys().collect::<BTreeSet<_>>());
        } else {
            // With one consumer at a time everything is asked for at once, by epoch.
            let epochs: Vec<_> = redelivers.iter().map(|redeliver| redeliver.consumer_epoch).collect();
            prop_assert!(again.is_empty());
            prop_assert_eq!(epochs, if left.is_empty() { vec![] } else { vec![Some(1)] });
        }

        world.close(client);
        world.pass(Duration::from_secs(1));
        let closed = world.heard_one(|command| command.close_consumer);
        prop_assert_eq!(closed.consumer_id, consumer_id);
    }
}

/// So that the other tests mean something.
#[test]
fn a_message_of_others_whose_payload_changed_is_not_delivered() {
    let mut world = World::new();
    let (client, consumer_id) = consumer(&mut world, "Exclusive");
    let entry = Entry {
        messages: vec![Single {
            payload: b"payload".to_vec(),
            key: None,
            properties: BTreeMap::new(),
            event_time: None,
        }],
        is_batch: false,
        publish_time: 1,
        redelivery_count: None,
        partition: None,
    };
    let mut bytes = BytesMut::new();
    Codec
        .encode(entry.frame(consumer_id, 0), &mut bytes)
        .unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    world.tell_bytes(&mut bytes);
    assert_eq!(world.told(client), [Value::Null; 0]);
    world.tell([entry.frame(consumer_id, 1)]);
    assert_eq!(world.told(client).len(), 1);
}

#[test]
fn the_end_of_a_topic_is_understood() {
    let mut world = World::new();
    let (client, consumer_id) = consumer(&mut world, "Exclusive");
    world.tell([Answer(BaseCommand {
        reached_end_of_topic: Some(CommandReachedEndOfTopic { consumer_id }),
        ..of(Type::ReachedEndOfTopic)
    })
    .into()]);
    world.say(client, &json!({"type": "isEndOfTopic"}));
    assert_eq!(world.told(client)[0]["endOfTopic"], json!(true));
}

#[test]
fn a_subscription_is_removed() {
    let mut world = World::new();
    let (client, consumer_id) = consumer(&mut world, "Exclusive");
    world.say(client, &json!({"type": "unsubscribe"}));
    let asked = world.heard_one(|command| command.unsubscribe);
    assert_eq!(asked.consumer_id, consumer_id);
}
