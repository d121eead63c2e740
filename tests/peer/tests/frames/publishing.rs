//! SEND, its receipts and its errors.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::BytesMut;
use proptest::{collection::vec, prelude::*};
use pulsar::message::{
    BaseCommand, Codec, Message, Metadata,
    proto::{
        CommandSend, CommandSendError, CommandSendReceipt, KeyValue, ServerError,
        base_command::Type,
    },
};
use serde_json::{Value, json};
use tokio_util::codec::{Decoder, Encoder};

use super::world::{Answer, PRODUCER_NAME, WALL_MS, World, entry_id, of, payload_of, read_id};

const TARGET: &str = "/ws/v2/producer/persistent/public/default/t";
/// The end of the year 9999.
const TIME_MS_MAX: i64 = 253_402_300_799_999;

#[derive(Clone, Debug)]
struct Publish {
    payload: Vec<u8>,
    key: Option<String>,
    properties: BTreeMap<String, String>,
    event_time_ms: Option<i64>,
    deliver_at_ms: Option<i64>,
    clusters: Option<Vec<String>>,
}

impl Publish {
    fn json(&self) -> Value {
        let mut json = json!({
            "payload": BASE64_STANDARD.encode(&self.payload),
            "properties": self.properties,
        });
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                json[name] = value;
            }
        };
        set("key", self.key.as_deref().map(Value::from));
        set("eventTime", self.event_time_ms.map(|ms| written(ms).into()));
        set("deliverAt", self.deliver_at_ms.map(Value::from));
        set(
            "replicationClusters",
            self.clusters.clone().map(Value::from),
        );
        json
    }

    fn metadata(&self, sequence_id: u64) -> Metadata {
        Metadata {
            producer_name: PRODUCER_NAME.into(),
            sequence_id,
            publish_time: WALL_MS,
            properties: self
                .properties
                .iter()
                .map(|(key, value)| KeyValue {
                    key: key.clone(),
                    value: value.clone(),
                })
                .collect(),
            partition_key: self.key.clone(),
            partition_key_b64_encoded: self.key.as_ref().map(|_| false),
            replicate_to: self.clusters.clone().unwrap_or_default(),
            uncompressed_size: Some(self.payload.len().try_into().unwrap()),
            event_time: self.event_time_ms.map(i64::cast_unsigned),
            deliver_at_time: self.deliver_at_ms,
            ..Metadata::default()
        }
    }
}

fn written(time_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(time_ms)
        .unwrap()
        .to_string()
}

fn publishes() -> impl Strategy<Value = Vec<Publish>> {
    let publish = (
        vec(any::<u8>(), 0..300),
        proptest::option::of("\\PC{1,20}"),
        proptest::collection::btree_map("\\PC{0,10}", "\\PC{0,10}", 0..4),
        proptest::option::of(1..TIME_MS_MAX),
        proptest::option::of(1..i64::MAX),
        proptest::option::of(vec("[a-z]{1,8}", 1..4)),
    );
    let publish = publish.prop_map(
        |(payload, key, properties, event_time_ms, deliver_at_ms, clusters)| Publish {
            payload,
            key,
            properties,
            event_time_ms,
            deliver_at_ms,
            clusters,
        },
    );
    vec(publish, 1..8)
}

/// What is in a SEND; properties are sorted, since their order means nothing.
fn read(message: &Message) -> (CommandSend, Metadata, Vec<u8>) {
    let payload = payload_of(message);
    let mut metadata = payload.metadata.clone();
    metadata.properties.sort_by(|a, b| a.key.cmp(&b.key));
    let send = message.command.send.expect("a SEND");
    (send, metadata, payload.data.clone())
}

fn sends(world: &mut World) -> Vec<Message> {
    let (sends, rest) = std::mem::take(&mut world.heard)
        .into_iter()
        .partition(|message| message.command.send.is_some());
    world.heard = rest;
    sends
}

proptest! {
    #[test]
    fn others_read_what_was_published_and_we_read_their_receipts(
        publishes in publishes(),
        ids in vec((any::<u64>(), any::<u64>()), 8),
        partition in proptest::option::of(Just(-1)),
    ) {
        let mut world = World::new();
        let client = world.open(TARGET);
        let made = world.heard_one(|command| command.producer.clone());
        for publish in &publishes {
            world.say(client, &publish.json());
        }
        let sends = sends(&mut world);
        prop_assert_eq!(sends.len(), publishes.len());
        for (number, (message, publish)) in (0..).zip(sends.iter().zip(&publishes)) {
            let (send, metadata, payload) = read(message);
            let expected = CommandSend {
                producer_id: made.producer_id,
                sequence_id: number,
                ..CommandSend::default()
            };
            prop_assert_eq!(send, expected);
            prop_assert_eq!(metadata, publish.metadata(number));
            prop_assert_eq!(&payload, &publish.payload);
        }
        let receipts = (0..).zip(&ids).take(publishes.len()).map(|(number, &id)| {
            let mut message_id = entry_id(id);
            message_id.partition = partition;
            Answer(BaseCommand {
                send_receipt: Some(CommandSendReceipt {
                    producer_id: made.producer_id,
                    sequence_id: number,
                    message_id: Some(message_id),
                    highest_sequence_id: None,
                }),
                ..of(Type::SendReceipt)
            })
            .into()
        });
        world.tell(receipts.collect::<Vec<_>>());
        let told = world.told(client);
        prop_assert_eq!(told.len(), publishes.len());
        for (reply, id) in told.iter().zip(&ids) {
            prop_assert_eq!(&reply["result"], "ok");
            let stored = read_id(&reply["messageId"]);
            prop_assert_eq!((stored.ledger_id, stored.entry_id), *id);
        }
    }

    #[test]
    fn the_text_of_a_publish_error_arrives(text in "\\PC{0,40}") {
        let mut world = World::new();
        let client = world.open(TARGET);
        let made = world.heard_one(|command| command.producer.clone());
        world.say(client, &json!({"payload": ""}));
        world.tell([Answer(BaseCommand {
            send_error: Some(CommandSendError {
                producer_id: made.producer_id,
                sequence_id: 0,
                error: ServerError::NotAllowedError.into(),
                message: text.clone(),
            }),
            ..of(Type::SendError)
        })
        .into()]);
        let told = world.told(client);
        prop_assert_eq!(told.len(), 1);
        prop_assert_ne!(&told[0]["result"], "ok");
        prop_assert!(told[0]["errorMsg"].as_str().unwrap().contains(&text), "{told:?}");
    }
}

/// So that the other tests mean something.
#[test]
fn others_refuse_a_frame_of_ours_whose_payload_changed() {
    let mut world = World::new();
    let client = world.open(TARGET);
    world.say(
        client,
        &json!({"payload": BASE64_STANDARD.encode(b"payload")}),
    );
    let mut bytes = BytesMut::new();
    Codec
        .encode(sends(&mut world).remove(0), &mut bytes)
        .unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    assert!(Codec.decode(&mut bytes).is_err());
}
