//! One shard between one client, who speaks JSON over WebSocket, and a broker that agrees to
//! everything and speaks through the foreign `Codec`.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::BytesMut;
use prost::Message as _;
use pulsar::message::{
    BaseCommand, Codec, Message, Payload,
    proto::{
        CommandConnected, CommandError, CommandLookupTopicResponse,
        CommandPartitionedTopicMetadataResponse, CommandPong, CommandProducerSuccess,
        CommandSuccess, MessageIdData, ServerError, base_command::Type,
        command_lookup_topic_response, command_partitioned_topic_metadata_response,
    },
};
use pulsar_ws_fast::{
    config::Config,
    pulsar::ConnectionKey,
    session::SessionKey,
    shard::{Effect, Shard},
    timer::{Instant, Now},
    ws::frame::{Header, Opcode},
};
use serde_json::Value;
use tokio_util::codec::{Decoder, Encoder};

pub(crate) const WALL_MS: u64 = 1_790_000_000_000;
pub(crate) const PRODUCER_NAME: &str = "made-up-by-the-broker";
const BROKER: &str = "pulsar://127.0.0.1:6650";
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A step of opening a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Partitions,
    Lookup,
    Create,
}

pub(crate) struct World {
    shard: Shard,
    now: Now,
    connection: Option<ConnectionKey>,
    to_broker: BytesMut,
    /// What the broker was told and has not been looked at.
    pub(crate) heard: Vec<Message>,
    /// What the broker refuses, and with which error.
    pub(crate) refusal: Option<(Step, ServerError)>,
    /// What clients were sent and have not looked at.
    to_clients: BTreeMap<SessionKey, Vec<u8>>,
}

impl World {
    pub(crate) fn new() -> Self {
        let config = Arc::new(Config::default());
        Self {
            shard: Shard::new(config, 0, 1, jiff::tz::TimeZone::UTC),
            now: Now {
                mono: Instant(1_000_000),
                wall_ms: WALL_MS,
            },
            connection: None,
            to_broker: BytesMut::new(),
            heard: Vec::new(),
            refusal: None,
            to_clients: BTreeMap::new(),
        }
    }

    /// A client that asked for `target`; whether it was let in is not looked at.
    pub(crate) fn ask(&mut self, target: &str) -> SessionKey {
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let client = self.shard.handle_accepted(self.now, address, address);
        let mut head = format!(
            "GET {target} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .into_bytes();
        self.shard.handle_client_bytes(self.now, client, &mut head);
        self.turn();
        client
    }

    /// A client that was let in.
    pub(crate) fn open(&mut self, target: &str) -> SessionKey {
        let client = self.ask(target);
        assert_eq!(self.status(client), Some(101), "{target}");
        client
    }

    /// The status of the answer to a client's request, once there is one. Takes the head off.
    pub(crate) fn status(&mut self, client: SessionKey) -> Option<u16> {
        let bytes = self.to_clients.get_mut(&client)?;
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head: Vec<u8> = bytes.drain(..end).collect();
        Some(std::str::from_utf8(&head[9..12]).unwrap().parse().unwrap())
    }

    pub(crate) fn say(&mut self, client: SessionKey, message: &Value) {
        self.frame(client, Opcode::Text, message.to_string().as_bytes());
    }

    /// The client's farewell.
    pub(crate) fn close(&mut self, client: SessionKey) {
        self.frame(client, Opcode::Close, &1000_u16.to_be_bytes());
    }

    fn frame(&mut self, client: SessionKey, opcode: Opcode, payload: &[u8]) {
        let header = Header {
            fin: true,
            opcode,
            compressed: false,
            mask: Some(MASK),
            payload_bytes: payload.len() as u64,
        };
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(a, b)| a ^ b));
        self.shard.handle_client_bytes(self.now, client, &mut bytes);
        self.turn();
    }

    /// What the client was told.
    pub(crate) fn told(&mut self, client: SessionKey) -> Vec<Value> {
        let bytes = self.to_clients.remove(&client).unwrap_or_default();
        let (mut rest, mut told) = (&bytes[..], Vec::new());
        while !rest.is_empty() {
            let (header, len) = Header::decode(rest).unwrap().expect("a whole frame");
            assert_eq!(header.opcode, Opcode::Text);
            let (text, after) = rest[len..].split_at(header.payload_bytes.try_into().unwrap());
            told.push(serde_json::from_slice(text).unwrap());
            rest = after;
        }
        told
    }

    /// The broker says these things in one write.
    pub(crate) fn tell(&mut self, messages: impl IntoIterator<Item = Message>) {
        let mut bytes = BytesMut::new();
        for message in messages {
            Codec.encode(message, &mut bytes).unwrap();
        }
        self.tell_bytes(&mut bytes);
    }

    pub(crate) fn tell_bytes(&mut self, bytes: &mut [u8]) {
        let connection = self.connection.expect("connected");
        self.shard.handle_broker_bytes(self.now, connection, bytes);
        self.turn();
    }

    /// Takes the commands of one kind out of what the broker heard.
    pub(crate) fn heard<T>(&mut self, pick: impl Fn(&BaseCommand) -> Option<T>) -> Vec<T> {
        let mut picked = Vec::new();
        self.heard.retain(|message| match pick(&message.command) {
            Some(command) => {
                picked.push(command);
                false
            }
            None => true,
        });
        picked
    }

    /// The same where there must be exactly one.
    pub(crate) fn heard_one<T>(&mut self, pick: impl Fn(&BaseCommand) -> Option<T>) -> T {
        let mut picked = self.heard(pick);
        assert_eq!(picked.len(), 1);
        picked.remove(0)
    }

    /// Time passes; whatever is due happens when it is due.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now.mono + time;
        while let Some(deadline) = self.shard.poll_timeout()
            && deadline <= until
        {
            self.now.mono = deadline.max(self.now.mono);
            self.shard.handle_timeout(self.now);
            self.turn();
        }
        self.now.mono = until;
    }

    /// Does what the shard wants until it wants nothing.
    fn turn(&mut self) {
        loop {
            let mut is_over = true;
            while let Some(effect) = self.shard.poll_effect() {
                is_over = false;
                self.effect(effect);
            }
            if let Some(connection) = self.connection {
                while let Some(piece) = self.shard.take_broker_outbox(connection) {
                    self.to_broker.extend_from_slice(&piece);
                }
            }
            while let Some(message) = take_frame(&mut self.to_broker) {
                is_over = false;
                if let Some(answer) = self.answer(&message.command)
                    && let Some(connection) = self.connection
                {
                    let mut bytes = BytesMut::new();
                    Codec.encode(answer.into(), &mut bytes).unwrap();
                    self.shard
                        .handle_broker_bytes(self.now, connection, &mut bytes);
                }
                self.heard.push(message);
            }
            if is_over {
                return;
            }
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::WriteClient(client) => {
                while let Some(outbox) = self.shard.take_client_outbox(client) {
                    let told = self.to_clients.entry(client).or_default();
                    told.extend_from_slice(&outbox);
                    self.shard.handle_client_written(self.now, client, outbox);
                }
            }
            Effect::Finish { client, last } => {
                self.to_clients.entry(client).or_default().extend(last);
            }
            Effect::Connect { connection, .. } => {
                assert!(self.connection.is_none(), "one broker, one connection");
                self.connection = Some(connection);
                self.shard.handle_connected(self.now, connection);
            }
            Effect::Read(_) | Effect::WriteBroker(_) => {}
            other => panic!("unexpected: {other:?}"),
        }
    }

    fn answer(&self, asked: &BaseCommand) -> Option<Answer> {
        let refused = self
            .refusal
            .and_then(|(step, error)| refuse(asked, step, error));
        refused.or_else(|| agree(asked)).map(Answer)
    }
}

/// A command that nothing follows.
pub(crate) struct Answer(pub(crate) BaseCommand);

impl From<Answer> for Message {
    fn from(answer: Answer) -> Self {
        Self {
            command: answer.0,
            payload: None,
        }
    }
}

pub(crate) fn of(kind: Type) -> BaseCommand {
    BaseCommand {
        r#type: kind.into(),
        ..BaseCommand::default()
    }
}

/// The broker's no, if this is the step it says no to.
fn refuse(asked: &BaseCommand, step: Step, error: ServerError) -> Option<BaseCommand> {
    let message = "because".to_owned();
    match step {
        Step::Partitions => {
            let asked = asked.partition_metadata.as_ref()?;
            Some(BaseCommand {
                partition_metadata_response: Some(CommandPartitionedTopicMetadataResponse {
                    request_id: asked.request_id,
                    response: Some(
                        command_partitioned_topic_metadata_response::LookupType::Failed.into(),
                    ),
                    error: Some(error.into()),
                    message: Some(message),
                    ..Default::default()
                }),
                ..of(Type::PartitionedMetadataResponse)
            })
        }
        Step::Lookup => {
            let asked = asked.lookup_topic.as_ref()?;
            Some(BaseCommand {
                lookup_topic_response: Some(CommandLookupTopicResponse {
                    request_id: asked.request_id,
                    response: Some(command_lookup_topic_response::LookupType::Failed.into()),
                    error: Some(error.into()),
                    message: Some(message),
                    ..Default::default()
                }),
                ..of(Type::LookupResponse)
            })
        }
        Step::Create => {
            let producer = asked.producer.as_ref().map(|asked| asked.request_id);
            let consumer = asked.subscribe.as_ref().map(|asked| asked.request_id);
            Some(BaseCommand {
                error: Some(CommandError {
                    request_id: producer.or(consumer)?,
                    error: error.into(),
                    message,
                }),
                ..of(Type::Error)
            })
        }
    }
}

/// The answers without which nothing opens or closes.
fn agree(asked: &BaseCommand) -> Option<BaseCommand> {
    let success = |request_id| BaseCommand {
        success: Some(CommandSuccess {
            request_id,
            schema: None,
        }),
        ..of(Type::Success)
    };
    Some(if asked.connect.is_some() {
        BaseCommand {
            connected: Some(CommandConnected {
                server_version: "scripted".into(),
                protocol_version: Some(21),
                max_message_size: Some(5 << 20),
            }),
            ..of(Type::Connected)
        }
    } else if let Some(asked) = &asked.partition_metadata {
        BaseCommand {
            partition_metadata_response: Some(CommandPartitionedTopicMetadataResponse {
                partitions: Some(0),
                request_id: asked.request_id,
                response: Some(
                    command_partitioned_topic_metadata_response::LookupType::Success.into(),
                ),
                ..Default::default()
            }),
            ..of(Type::PartitionedMetadataResponse)
        }
    } else if let Some(asked) = &asked.lookup_topic {
        BaseCommand {
            lookup_topic_response: Some(CommandLookupTopicResponse {
                broker_service_url: Some(BROKER.into()),
                response: Some(command_lookup_topic_response::LookupType::Connect.into()),
                request_id: asked.request_id,
                authoritative: Some(true),
                proxy_through_service_url: Some(false),
                ..Default::default()
            }),
            ..of(Type::LookupResponse)
        }
    } else if let Some(asked) = &asked.producer {
        let name = asked.producer_name.as_deref().unwrap_or(PRODUCER_NAME);
        BaseCommand {
            producer_success: Some(CommandProducerSuccess {
                request_id: asked.request_id,
                producer_name: name.into(),
                last_sequence_id: Some(-1),
                schema_version: Some(Vec::new()),
                topic_epoch: None,
                producer_ready: Some(true),
            }),
            ..of(Type::ProducerSuccess)
        }
    } else if let Some(asked) = &asked.subscribe {
        success(asked.request_id)
    } else if let Some(asked) = &asked.close_producer {
        success(asked.request_id)
    } else if let Some(asked) = &asked.close_consumer {
        success(asked.request_id)
    } else if asked.ping.is_some() {
        BaseCommand {
            pong: Some(CommandPong {}),
            ..of(Type::Pong)
        }
    } else {
        return None;
    })
}

/// Reads the next whole frame with the foreign decoder. What it read, the foreign encoder must
/// write as we did, unless the crate's protocol is too old to know all fields.
fn take_frame(bytes: &mut BytesMut) -> Option<Message> {
    let before = bytes.clone();
    let message = Codec.decode(bytes).expect("a frame others can read")?;
    let ours = &before[..before.len() - bytes.len()];
    let mut theirs = BytesMut::new();
    Codec.encode(message.clone(), &mut theirs).unwrap();
    let command = &message.command;
    let knows_less = command.connect.is_some()
        || command.partition_metadata.is_some()
        || command.unsubscribe.is_some();
    if knows_less {
        assert!(theirs.len() < ours.len(), "known by now: compare the bytes");
        let again = Codec.decode(&mut theirs).unwrap().unwrap();
        assert_eq!(again.command, message.command);
    } else {
        assert_eq!(&theirs[..], ours, "{message:?}");
    }
    Some(message)
}

/// A message id as the WebSocket API writes it.
pub(crate) fn read_id(written: &Value) -> MessageIdData {
    let bytes = BASE64_STANDARD.decode(written.as_str().unwrap()).unwrap();
    MessageIdData::decode(&bytes[..]).unwrap()
}

pub(crate) fn entry_id((ledger_id, entry_id): (u64, u64)) -> MessageIdData {
    MessageIdData {
        ledger_id,
        entry_id,
        ..MessageIdData::default()
    }
}

pub(crate) fn payload_of(message: &Message) -> &Payload {
    message.payload.as_ref().expect("a message with a payload")
}
