//! A whole shard between clients and a broker that may say anything: no input stops it, what it writes is well-formed on
//! both sides, nothing is confirmed twice, every deadline passes, and when everybody is gone nothing is left.

use std::{
    collections::{BTreeSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use flate2::{Decompress, FlushDecompress};
use prost::Message;
use pulsar_ws_fast::{
    config::Config,
    shard::{
        ConnectionKey, DataKeyRequest, Effect, Instant, Location, LookupKey, NotLocated, Now,
        ResolveKey, SessionKey, Shard, Survey,
    },
    ws::frame::{Header, Opcode},
};
use serde_json::Value;

use crate::{
    agree::agree,
    proto::{
        BaseCommand, Empty, Failure, KeyValue, MessageIdData, MessageMetadata, SendReceipt,
        SingleMessageMetadata, Success,
    },
    script::{Chance, Script, pieces},
    wire::{self, Body, Style},
};

/// No script asks for more steps.
const STEPS_MAX: usize = 300;

/// What a client may ask for behind `/ws/`.
const TARGETS: [&str; 20] = [
    "/ws/v2/producer/persistent/public/default/t",
    "/ws/v2/producer/persistent/public/default/t?sendTimeoutMillis=5000&maxPendingMessages=3",
    "/ws/v2/producer/persistent/public/default/t?batchingEnabled=true&batchingMaxPublishDelay=5&batchingMaxMessages=3",
    "/ws/v2/producer/persistent/public/default/t?compressionType=LZ4&batchingEnabled=true",
    "/ws/v2/producer/persistent/public/default/t?messageRoutingMode=RoundRobinPartition&hashingScheme=Murmur3_32Hash",
    "/ws/v2/producer/persistent/public/default/t?encryptionKeys=eyJhIjp7ImtleVZhbHVlIjoiQUFBQSIsIm1ldGFkYXRhIjp7ImIiOiJjIn19fQ==",
    "/ws/v2/consumer/persistent/public/default/t/s",
    "/ws/v2/consumer/persistent/public/default/t/s?subscriptionType=Shared&receiverQueueSize=3",
    "/ws/v2/consumer/persistent/public/default/t/s?subscriptionType=Shared&ackTimeoutMillis=2000&negativeAckRedeliveryDelay=100",
    "/ws/v2/consumer/persistent/public/default/t/s?subscriptionType=Key_Shared&maxRedeliverCount=1&deadLetterTopic=d",
    "/ws/v2/consumer/persistent/public/default/t/s?pullMode=true&receiverQueueSize=5",
    "/ws/v2/consumer/persistent/public/default/t/s?subscriptionType=Failover&cryptoFailureAction=CONSUME",
    "/ws/v3/consumer/s?topics=a,b&subscriptionType=Shared",
    "/ws/v3/consumer/s?topicsPattern=persistent://public/default/.*",
    "/ws/v2/reader/persistent/public/default/t",
    "/ws/v2/reader/persistent/public/default/t?messageId=earliest&receiverQueueSize=2",
    "/ws/v2/reader/persistent/public/default/t?messageId=CAMQAyAAMAA=",
    "/metrics",
    "/admin/v2/proxy-stats/stats",
    "/status.html",
];

/// What a script says happens.
pub fn run(data: &[u8]) {
    play(data);
}

/// What a script led to.
#[derive(Debug, Default)]
struct Reached {
    opened: usize,
    answered: usize,
    delivered: usize,
}

fn play(data: &[u8]) -> Reached {
    let mut script = Script::new(data);
    let kind = script.byte();
    let mut world = World::new(kind, script.byte());
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        world.step(&mut script);
    }
    world.end();
    world.reached
}

struct Client {
    key: SessionKey,
    /// Not yet taken apart.
    received: Vec<u8>,
    is_open: bool,
    /// Contexts of publishes that were answered.
    answered: BTreeSet<String>,
    /// Ids of messages that came.
    delivered: Vec<String>,
    /// An outbox that is being written.
    writing: Option<Vec<u8>>,
}

struct Link {
    key: ConnectionKey,
    is_up: bool,
    /// Not yet taken apart.
    received: Vec<u8>,
}

struct World {
    shard: Shard,
    now: Now,
    chance: Chance,
    clients: Vec<Client>,
    links: Vec<Link>,
    /// Commands that were not answered, and where they came.
    unanswered: VecDeque<(ConnectionKey, BaseCommand)>,
    /// The broker answers at once.
    agrees: bool,
    resolving: Vec<ResolveKey>,
    locating: Vec<LookupKey>,
    decrypting: Vec<DataKeyRequest>,
    surveys: Vec<SessionKey>,
    looks: Vec<SessionKey>,
    consumers: Vec<u64>,
    producers: Vec<u64>,
    /// By producer: the sequence ids that were sent and not confirmed.
    sent: VecDeque<(ConnectionKey, u64, u64)>,
    publishes: usize,
    drained: usize,
    drains: bool,
    reached: Reached,
}

impl World {
    fn new(kind: u8, seed: u8) -> Self {
        let limits = kind & 1 != 0;
        let mut config = Config {
            text_frame_bytes_max: 20_000,
            proxy_protocol: kind & 2 != 0,
            ping_interval: (kind & 4 != 0).then_some(Duration::from_secs(20)),
            deflate_bytes_min: 10,
            ..Config::default()
        };
        if limits {
            config.publishes_in_flight_bytes_max = 2_000;
            config.all_publishes_in_flight_bytes_max = 3_000;
            config.replies_bytes_max = 1_000;
            config.held_deliveries_bytes_max = 2_000;
            config.incomplete_messages_bytes_max = 4_000;
            config.handshakes_max = 2;
        }
        if kind & 8 != 0 {
            config.brokers = Vec::new();
            config.service_urls = vec!["http://127.0.0.1:1".to_owned()];
        }
        if kind & 16 != 0 {
            config.brokers = vec![("broker".to_owned(), 6650), ("other".to_owned(), 6650)];
        }
        let zone = jiff::tz::TimeZone::UTC;
        Self {
            shard: Shard::new(Arc::new(config), 0, u64::from(seed), zone),
            now: Now {
                mono: Instant(1_000_000),
                wall_ms: 1_790_000_000_000,
            },
            chance: Chance(u64::from(seed)),
            clients: Vec::new(),
            links: Vec::new(),
            unanswered: VecDeque::new(),
            agrees: kind & 32 == 0,
            resolving: Vec::new(),
            locating: Vec::new(),
            decrypting: Vec::new(),
            surveys: Vec::new(),
            looks: Vec::new(),
            consumers: Vec::new(),
            producers: Vec::new(),
            sent: VecDeque::new(),
            publishes: 0,
            drained: 0,
            drains: false,
            reached: Reached::default(),
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.byte() % 20 {
            0 | 1 => self.come(script),
            2..=5 => self.say(script),
            6 => self.write(script),
            7 => self.leave(script),
            8 | 9 => self.answer_one(script),
            10 => self.confirm(script),
            11..=13 => self.deliver(script),
            14 => self.broker_says(script),
            15 => self.anything(script),
            16 => self.links(script),
            17 => self.answer_outside(script),
            18 => {
                let ms = [0, 1, 10, 1_000, 31_000][script.below(5)];
                self.pass(ms);
            }
            _ if script.byte() == 77 => {
                self.drains = true;
                self.shard.handle_drain(self.now);
                self.turn();
            }
            _ => self.agrees = script.byte() & 1 == 0,
        }
    }

    /// A client comes and asks for something.
    fn come(&mut self, script: &mut Script<'_>) {
        if self.clients.len() >= 6 {
            return;
        }
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let key = self.shard.handle_accepted(self.now, address, address);
        self.clients.push(Client {
            key,
            received: Vec::new(),
            is_open: false,
            answered: BTreeSet::new(),
            delivered: Vec::new(),
            writing: None,
        });
        self.turn();
        let target = script.pick(&TARGETS);
        let kind = script.byte();
        let extension = if kind & 1 == 0 {
            ""
        } else {
            "Sec-WebSocket-Extensions: permessage-deflate\r\n"
        };
        let announcement = if kind & 6 == 6 {
            "PROXY TCP4 1.2.3.4 5.6.7.8 111 222\r\n"
        } else {
            ""
        };
        let head = format!(
            "{announcement}GET {target} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             {extension}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        self.bytes(key, head.as_bytes(), kind & 8 != 0);
    }

    /// A client's bytes arrive, perhaps in pieces.
    fn bytes(&mut self, key: SessionKey, bytes: &[u8], in_pieces: bool) {
        let pieces = if in_pieces {
            pieces(bytes, Chance(self.chance.number()))
        } else {
            vec![bytes.to_vec()]
        };
        for mut piece in pieces {
            if self.clients.iter().any(|client| client.key == key) {
                self.run_timers();
                self.shard.handle_client_bytes(self.now, key, &mut piece);
                self.turn();
            }
        }
    }

    fn client(&self, script: &mut Script<'_>) -> Option<usize> {
        let at = script.below(self.clients.len().max(1));
        (at < self.clients.len()).then_some(at)
    }

    /// One that nobody can have guessed.
    fn context(&mut self) -> String {
        self.publishes += 1;
        format!("c{}-{:x}", self.publishes, self.chance.number())
    }

    /// A client says something, mostly what clients say.
    fn say(&mut self, script: &mut Script<'_>) {
        let Some(at) = self.client(script) else {
            return;
        };
        let kind = script.byte();
        let id = |script: &mut Script<'_>, client: &Client| {
            let len = client.delivered.len();
            match client.delivered.get(script.below(len.max(1))) {
                Some(id) => id.clone(),
                None => base64_simd::STANDARD.encode_to_string(script.some()),
            }
        };
        let text = match kind % 10 {
            0..=2 => {
                let content = crate::script::repeated(script);
                let payload = base64_simd::STANDARD.encode_to_string(&content);
                let more = script.pick(&[
                    "",
                    r#","key":"k""#,
                    r#","properties":{"a":"b"}"#,
                    r#","deliverAfterMs":5"#,
                    r#","encryptionParam":"AAAA""#,
                ]);
                format!(
                    r#"{{"payload":"{payload}","context":"{}"{more}}}"#,
                    self.context()
                )
            }
            3 | 4 => format!(r#"{{"messageId":"{}"}}"#, id(script, &self.clients[at])),
            5 => {
                let id = id(script, &self.clients[at]);
                format!(r#"{{"type":"negativeAcknowledge","messageId":"{id}"}}"#)
            }
            6 => format!(r#"{{"type":"permit","permitMessages":{}}}"#, script.byte()),
            7 => script
                .pick(&[r#"{"type":"unsubscribe"}"#, r#"{"type":"isEndOfTopic"}"#])
                .to_owned(),
            8 => script.text(),
            _ => {
                let key = self.clients[at].key;
                return self.bytes(key, script.some(), false);
            }
        };
        let key = self.clients[at].key;
        let opcode = match kind / 10 {
            24 => Opcode::Close,
            23 => Opcode::Ping,
            22 => Opcode::Binary,
            _ => Opcode::Text,
        };
        let mask = self.chance.number().to_le_bytes();
        let mask = [mask[0], mask[1], mask[2], mask[3]];
        let mut frame = Vec::new();
        Header {
            fin: kind / 10 != 21,
            opcode,
            compressed: false,
            mask: Some(mask),
            payload_bytes: text.len() as u64,
        }
        .encode(&mut frame);
        let masked = text.bytes().zip(mask.iter().cycle()).map(|(a, b)| a ^ b);
        frame.extend(masked);
        self.bytes(key, &frame, kind & 32 != 0);
    }

    /// A client's socket takes what there is for it, or begins to.
    fn write(&mut self, script: &mut Script<'_>) {
        let Some(at) = self.client(script) else {
            return;
        };
        let begins_only = script.byte() & 1 == 1;
        self.take(at);
        if !begins_only {
            self.written(at);
        }
    }

    fn take(&mut self, at: usize) {
        let client = &mut self.clients[at];
        if client.writing.is_none()
            && let Some(outbox) = self.shard.take_client_outbox(client.key)
        {
            assert!(!outbox.is_empty());
            client.received.extend_from_slice(&outbox);
            client.writing = Some(outbox);
            client.read(&mut self.reached);
        }
    }

    fn written(&mut self, at: usize) {
        let client = &mut self.clients[at];
        let key = client.key;
        if let Some(outbox) = client.writing.take() {
            self.shard.handle_client_written(self.now, key, outbox);
            self.turn();
        }
    }

    fn leave(&mut self, script: &mut Script<'_>) {
        let Some(at) = self.client(script) else {
            return;
        };
        let key = self.clients[at].key;
        if script.byte() & 1 == 0 && self.shard.handle_client_ended(self.now, key) {
            return self.turn();
        }
        if self.clients.iter().any(|client| client.key == key) {
            self.gone(key);
        }
    }

    fn gone(&mut self, key: SessionKey) {
        self.clients.retain(|client| client.key != key);
        self.shard.handle_client_closed(self.now, key, "gone");
        self.turn();
    }

    fn link(&self, script: &mut Script<'_>) -> Option<ConnectionKey> {
        let up: Vec<_> = self.links.iter().filter(|link| link.is_up).collect();
        Some(up.get(script.below(up.len().max(1)))?.key)
    }

    /// The broker answers what it was asked longest ago, or refuses it.
    fn answer_one(&mut self, script: &mut Script<'_>) {
        let kind = script.byte();
        if let Some((link, asked)) = self.unanswered.pop_front() {
            self.answer(link, &asked, kind);
            self.turn();
        }
    }

    fn answer(&mut self, link: ConnectionKey, asked: &BaseCommand, kind: u8) {
        let request_id = [
            asked.producer.as_ref().map(|it| it.request_id),
            asked.subscribe.as_ref().map(|it| it.request_id),
            asked.lookup.as_ref().map(|it| it.request_id),
            asked.partition_metadata.as_ref().map(|it| it.request_id),
            asked.close_producer.as_ref().map(|it| it.request_id),
            asked.close_consumer.as_ref().map(|it| it.request_id),
            asked.unsubscribe.as_ref().map(|it| it.request_id),
        ];
        let request_id = request_id.into_iter().flatten().next();
        let mut answer = BaseCommand::default();
        if kind % 8 == 7 {
            answer.error = Some(Failure {
                request_id: request_id.unwrap_or_default(),
                error: i32::from(kind / 8),
                message: "no".to_owned(),
            });
        } else if let Some(mut agreed) = agree(asked, 6650 + u16::from(kind / 64)) {
            if let Some(response) = &mut agreed.partition_metadata_response
                && kind % 8 == 5
            {
                response.partitions = Some(u32::from(kind / 8));
            }
            answer = agreed;
        } else if asked.ping.is_some() {
            answer.pong = Some(Empty {});
        } else if let Some(request_id) = request_id {
            answer.success = Some(Success { request_id });
        } else {
            return;
        }
        self.tell(link, answer, None);
    }

    fn tell(&mut self, link: ConnectionKey, command: BaseCommand, body: Option<&Body>) {
        let mut bytes = Vec::new();
        wire::put_frame(&mut bytes, command, body);
        self.link_bytes(link, &bytes);
    }

    fn link_bytes(&mut self, link: ConnectionKey, bytes: &[u8]) {
        let is_up = self.links.iter().any(|it| it.key == link && it.is_up);
        if is_up {
            let mut bytes = bytes.to_vec();
            self.run_timers();
            self.shard.handle_broker_bytes(self.now, link, &mut bytes);
        }
    }

    /// A receipt: of the oldest publish, of any, or of none.
    fn confirm(&mut self, script: &mut Script<'_>) {
        let kind = script.byte();
        let picked = match kind % 4 {
            0 | 1 => self.sent.pop_front(),
            2 => self.sent.get(script.below(self.sent.len().max(1))).copied(),
            _ => self
                .link(script)
                .map(|link| (link, script.pick(&[0, 1, 2, 3]), u64::from(script.byte()))),
        };
        let Some((link, producer_id, sequence_id)) = picked else {
            return;
        };
        let receipt = SendReceipt {
            producer_id,
            sequence_id,
            message_id: Some(message_id(sequence_id)),
            highest_sequence_id: (kind & 16 != 0).then_some(sequence_id + u64::from(kind >> 5)),
        };
        self.tell(
            link,
            BaseCommand {
                send_receipt: Some(receipt),
                ..BaseCommand::default()
            },
            None,
        );
        self.turn();
    }

    /// An entry for a consumer: one message, a batch, a part of one, or nonsense.
    fn deliver(&mut self, script: &mut Script<'_>) {
        let Some(link) = self.link(script) else {
            return;
        };
        let consumer_id = match self
            .consumers
            .get(script.below(self.consumers.len().max(1)))
        {
            Some(id) => *id,
            None => u64::from(script.byte()),
        };
        let kind = script.byte();
        let entry_id = u64::from(script.byte());
        let content = script.some();
        let mut metadata = MessageMetadata {
            producer_name: "p".into(),
            sequence_id: entry_id,
            publish_time: 1,
            partition_key: (kind & 16 != 0).then(|| "k".into()),
            ..MessageMetadata::default()
        };
        let mut payload = content.to_vec();
        let mut extra = Vec::new();
        match kind % 8 {
            0 | 1 => {}
            2 => {
                payload.clear();
                for message in content.chunks(5) {
                    let single = SingleMessageMetadata {
                        payload_size: i32::try_from(message.len()).expect("short"),
                        properties: vec![KeyValue {
                            key: "a".into(),
                            value: "b".into(),
                        }],
                        ..SingleMessageMetadata::default()
                    }
                    .encode_to_vec();
                    payload.extend(u32::try_from(single.len()).expect("short").to_be_bytes());
                    payload.extend_from_slice(&single);
                    payload.extend_from_slice(message);
                }
                let count = content.len().div_ceil(5) + usize::from(kind >> 7);
                metadata.num_messages_in_batch = Some(i32::try_from(count).expect("few"));
            }
            3 => metadata.num_messages_in_batch = Some(i32::from(script.byte()) - 5),
            4 => {
                metadata.compression = Some(1);
                metadata.uncompressed_size = Some(u32::try_from(payload.len()).expect("short"));
                payload = lz4_flex::block::compress(&payload);
            }
            5 => {
                metadata.compression = Some(i32::from(script.byte() % 7));
                metadata.uncompressed_size = Some(u32::from(script.short()) << (kind >> 5));
            }
            6 => {
                // uuid, number of chunks, bytes of all, which
                let (count, index) = (script.byte() % 6, script.byte() % 6);
                let bytes = script.byte();
                extra.extend_from_slice(&[0xd2, 0x01, 2, b'u', b'0' + script.byte() % 3]);
                extra.extend_from_slice(&[0xd8, 0x01, count, 0xe0, 0x01, bytes & 0x7f]);
                extra.extend_from_slice(&[0xe8, 0x01, index]);
            }
            _ => extra.extend_from_slice(script.some()),
        }
        let mut metadata = metadata.encode_to_vec();
        metadata.extend_from_slice(&extra);
        let body = Body {
            style: script.pick(&[
                Style::Checked,
                Style::Checked,
                Style::Unchecked,
                Style::Annotated,
            ]),
            metadata,
            payload,
        };
        let command = BaseCommand {
            deliver: Some(wire::Deliver {
                consumer_id,
                message_id: message_id(entry_id),
                redelivery_count: (kind & 32 != 0).then(|| u32::from(script.byte())),
                ack_set: if kind & 64 == 0 {
                    Vec::new()
                } else {
                    vec![i64::from(script.byte())]
                },
                consumer_epoch: None,
            }),
            ..BaseCommand::default()
        };
        self.tell(link, command, Some(&body));
        self.turn();
    }

    /// A command that nobody asked for.
    fn broker_says(&mut self, script: &mut Script<'_>) {
        let Some(link) = self.link(script) else {
            return;
        };
        let id =
            |ids: &[u64], script: &mut Script<'_>| match ids.get(script.below(ids.len().max(1))) {
                Some(id) => *id,
                None => u64::from(script.byte()),
            };
        let consumer_id = id(&self.consumers, script);
        let producer_id = id(&self.producers, script);
        let mut command = BaseCommand::default();
        match script.byte() % 8 {
            0 => {
                command.close_producer = Some(wire::CloseProducer {
                    producer_id,
                    ..wire::CloseProducer::default()
                });
            }
            1 => {
                command.close_consumer = Some(wire::CloseConsumer {
                    consumer_id,
                    ..wire::CloseConsumer::default()
                });
            }
            2 => command.end_of_topic = Some(wire::EndOfTopic { consumer_id }),
            3 => {
                command.send_error = Some(wire::SendError {
                    producer_id,
                    sequence_id: u64::from(script.byte()),
                    error: i32::from(script.byte() % 30),
                    message: "no".to_owned(),
                });
            }
            4 => command.ping = Some(Empty {}),
            5 => {
                command.topic_migrated = Some(wire::TopicMigrated {
                    resource_id: producer_id,
                    resource_type: i32::from(script.byte() % 3),
                    broker_service_url: Some("pulsar://127.0.0.1:6651".to_owned()),
                });
            }
            6 => {
                command.active_change = Some(wire::ActiveChange {
                    consumer_id,
                    is_active: Some(true),
                });
            }
            _ => {
                command.ack_response = Some(wire::AckResponse {
                    consumer_id,
                    request_id: Some(u64::from(script.byte())),
                });
            }
        }
        self.tell(link, command, None);
        self.turn();
    }

    /// Bytes of a broker that are a frame by its sizes at most.
    fn anything(&mut self, script: &mut Script<'_>) {
        let Some(link) = self.link(script) else {
            return;
        };
        let kind = script.byte();
        let mut bytes = Vec::new();
        if kind & 1 == 0 {
            let (number, body) = (u32::from(kind >> 1), script.some());
            let mut command = vec![8];
            prost::encoding::encode_varint(u64::from(number), &mut command);
            prost::encoding::encode_varint(u64::from(number << 3 | 2), &mut command);
            prost::encoding::encode_varint(body.len() as u64, &mut command);
            command.extend_from_slice(body);
            let behind = script.some();
            let len = |len: usize| u32::try_from(len).expect("short").to_be_bytes();
            bytes.extend(len(4 + command.len() + behind.len()));
            bytes.extend(len(command.len()));
            bytes.extend_from_slice(&command);
            bytes.extend_from_slice(behind);
        } else {
            bytes.extend_from_slice(script.some());
        }
        self.link_bytes(link, &bytes);
        self.turn();
    }

    /// Connections come up, or go.
    fn links(&mut self, script: &mut Script<'_>) {
        let at = script.below(self.links.len().max(1));
        let goes = script.byte() & 3 == 0;
        let Some(link) = self.links.get_mut(at) else {
            return;
        };
        let key = link.key;
        if goes {
            self.forget(key);
            self.shard.handle_disconnected(self.now, key, "gone");
        } else if !link.is_up {
            link.is_up = true;
            self.shard.handle_connected(self.now, key);
        }
        self.turn();
    }

    fn forget(&mut self, key: ConnectionKey) {
        self.links.retain(|link| link.key != key);
        self.unanswered.retain(|(link, _)| *link != key);
        self.sent.retain(|(link, ..)| *link != key);
    }

    /// Names, lookups over HTTP, data keys and questions are answered.
    fn answer_outside(&mut self, script: &mut Script<'_>) {
        let kind = script.byte();
        if let Some(request) = self.resolving.pop() {
            let answer = match kind % 4 {
                0 => Err("no such host".to_owned()),
                1 => Ok(Vec::new()),
                _ => Ok(vec![SocketAddr::from(([127, 0, 0, 1], 6650))]),
            };
            self.shard.handle_resolved(self.now, request, answer);
        } else if let Some(lookup) = self.locating.pop() {
            let answer = match kind % 4 {
                0 => Err(NotLocated {
                    status: [None, Some(401), Some(404), Some(500)][usize::from(kind >> 6)],
                    message: script.text(),
                }),
                1 => Ok(Location {
                    partitions: script.number() >> (kind >> 2),
                    broker_url: script.text(),
                    topics: vec![script.text(), script.text()],
                }),
                _ => Ok(Location {
                    partitions: u64::from(kind >> 6),
                    broker_url: "pulsar://127.0.0.1:6650".to_owned(),
                    topics: vec!["persistent://public/default/a".to_owned()],
                }),
            };
            self.shard.handle_located(self.now, lookup, answer);
        } else if let Some(request) = self.decrypting.pop() {
            match kind % 2 {
                0 => self.shard.handle_data_key(self.now, request, None),
                _ => self.shard.handle_no_data_key(self.now, request),
            }
        } else if let Some(client) = self.surveys.pop() {
            let survey = match kind % 3 {
                0 => Survey::Text(b"{}".to_vec()),
                1 => Survey::NoSuchTopic,
                _ => Survey::Failed,
            };
            self.shard.handle_survey(self.now, client, survey);
        } else if let Some(client) = self.looks.pop() {
            let is_there = [None, Some(true), Some(false)][usize::from(kind) % 3];
            self.shard.handle_status(self.now, client, is_there);
        }
        self.turn();
    }

    /// Due deadlines come before anything that happens.
    fn run_timers(&mut self) {
        if self
            .shard
            .poll_timeout()
            .is_some_and(|due| due <= self.now.mono)
        {
            self.shard.handle_timeout(self.now);
            self.turn();
        }
    }

    fn pass(&mut self, ms: u64) {
        let until = self.now.mono + Duration::from_millis(ms);
        let mut times = 0;
        while let Some(deadline) = self.shard.poll_timeout()
            && deadline <= until
        {
            self.advance(deadline.max(self.now.mono));
            self.shard.handle_timeout(self.now);
            self.turn();
            let next = self.shard.poll_timeout();
            assert!(
                next.is_none_or(|next| next > self.now.mono),
                "nothing is left due"
            );
            times += 1;
            assert!(times < 200_000, "deadlines without end");
        }
        self.advance(until);
    }

    fn advance(&mut self, mono: Instant) {
        let ms = (mono.0 - self.now.mono.0) / 1_000_000;
        self.now = Now {
            mono,
            wall_ms: self.now.wall_ms + ms,
        };
    }

    /// Does what the shard wants until it wants nothing.
    fn turn(&mut self) {
        for _ in 0..10_000 {
            let mut is_over = true;
            while let Some(effect) = self.shard.poll_effect() {
                is_over = false;
                self.effect(effect);
            }
            for at in 0..self.links.len() {
                let link = &mut self.links[at];
                let key = link.key;
                while let Some(piece) = self.shard.take_broker_outbox(key) {
                    assert!(!piece.is_empty());
                    link.received.extend_from_slice(&piece);
                }
                while let Some(frame) = wire::take_frame(&mut self.links[at].received) {
                    is_over = false;
                    self.asked(key, frame.command);
                    if self.links.get(at).is_none_or(|link| link.key != key) {
                        break;
                    }
                }
                if at + 1 >= self.links.len() {
                    break;
                }
            }
            if is_over {
                return;
            }
        }
        panic!("wishes without end");
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::WriteClient(_) | Effect::Read(_) | Effect::WriteBroker(_) => {}
            Effect::Finish { client, last } => {
                let at = self.clients.iter().position(|it| it.key == client);
                let mut client = self.clients.remove(at.expect("a client"));
                client.received.extend_from_slice(&last);
                client.read(&mut self.reached);
            }
            Effect::Abort(client) => self.clients.retain(|it| it.key != client),
            Effect::Connect { connection, .. } => {
                assert!(self.links.iter().all(|link| link.key != connection));
                let is_up = self.agrees;
                self.links.push(Link {
                    key: connection,
                    is_up,
                    received: Vec::new(),
                });
                if is_up {
                    self.shard.handle_connected(self.now, connection);
                }
            }
            Effect::Disconnect(connection) => self.forget(connection),
            Effect::Resolve { request, .. } => self.resolving.push(request),
            Effect::Locate { lookup, .. } => self.locating.push(lookup),
            Effect::DecryptKey { request, .. } => self.decrypting.push(request),
            Effect::Survey { client, question } => {
                let _ = self.shard.handle_question(self.now, &question);
                self.surveys.push(client);
            }
            Effect::LookAtStatusFile(client) => self.looks.push(client),
            Effect::Drained => self.drained += 1,
        }
        assert!(self.drained <= usize::from(self.drains), "drained once");
    }

    fn asked(&mut self, link: ConnectionKey, command: BaseCommand) {
        if let Some(asked) = &command.subscribe {
            self.consumers.push(asked.consumer_id);
        } else if let Some(asked) = &command.producer {
            self.producers.push(asked.producer_id);
        } else if let Some(send) = &command.send {
            return self
                .sent
                .push_back((link, send.producer_id, send.sequence_id));
        }
        if self.agrees {
            self.answer(link, &command, 0);
        } else if self.unanswered.len() < 1_000 {
            self.unanswered.push_back((link, command));
        }
    }

    /// Everybody goes, and the broker agrees to what is left to do, for as long as anything may take.
    fn end(&mut self) {
        for at in 0..self.clients.len() {
            if at < self.clients.len() {
                self.take(at);
                self.written(at);
            }
        }
        while let Some(client) = self.clients.last() {
            let key = client.key;
            self.gone(key);
        }
        assert_eq!(self.shard.clients(), 0);
        self.agrees = true;
        for link in self.links.iter().map(|link| link.key).collect::<Vec<_>>() {
            self.forget(link);
            self.shard.handle_disconnected(self.now, link, "gone");
            self.turn();
        }
        self.pass(120_000);
        assert!(
            self.drained == usize::from(self.drains),
            "drained when all are gone"
        );
    }
}

impl Client {
    /// Takes apart what came: the response, then frames.
    fn read(&mut self, reached: &mut Reached) {
        if !self.is_open {
            let Some(end) = self.received.windows(4).position(|it| it == b"\r\n\r\n") else {
                return;
            };
            if !self.received.starts_with(b"HTTP/1.1 101 ") {
                return;
            }
            self.received.drain(..end + 4);
            self.is_open = true;
            reached.opened += 1;
        }
        let mut rest = &self.received[..];
        let mut texts = Vec::new();
        while let Some((header, len)) = Header::decode_with(rest, true).expect("a frame's header") {
            let payload_bytes = usize::try_from(header.payload_bytes).expect("short");
            let Some(payload) = rest[len..].get(..payload_bytes) else {
                break;
            };
            assert!(header.fin && header.mask.is_none(), "as servers write it");
            match (header.opcode, header.compressed) {
                (Opcode::Text, true) => texts.push(inflated(payload)),
                (Opcode::Text, false) => texts.push(payload.to_vec()),
                (opcode, _) => assert!(opcode.is_control()),
            }
            rest = &rest[len + payload_bytes..];
        }
        self.received = rest.to_vec();
        for text in texts {
            self.told(&text, reached);
        }
    }

    fn told(&mut self, text: &[u8], reached: &mut Reached) {
        let told: Value = serde_json::from_slice(text).expect("JSON");
        if told.get("result").is_some() {
            reached.answered += usize::from(told["result"] == "ok");
            if let Some(context) = told["context"].as_str() {
                let is_new = self.answered.insert(context.to_owned());
                assert!(
                    is_new || !context.starts_with('c'),
                    "{context} was answered twice"
                );
            }
        } else if let Some(id) = told["messageId"].as_str() {
            reached.delivered += 1;
            self.delivered.push(id.to_owned());
        }
    }
}

fn inflated(payload: &[u8]) -> Vec<u8> {
    let bytes = [payload, &[0x00, 0x00, 0xFF, 0xFF, 0x03, 0x00]].concat();
    let mut text = Vec::with_capacity(1 << 20);
    Decompress::new(false)
        .decompress_vec(&bytes, &mut text, FlushDecompress::Finish)
        .expect("deflate data");
    text
}

fn message_id(entry_id: u64) -> MessageIdData {
    MessageIdData {
        ledger_id: 12,
        entry_id,
        partition: Some(-1),
        ..MessageIdData::default()
    }
}

/// A session of each kind with a few messages, quiet ones and some where much goes wrong.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for target in 0..TARGETS.len() as u8 {
        let come = [0, target, 0];
        let publish = [2, 0, 0, 0, 5, b'H', b'e', b'l', b'l', b'o', 1];
        let confirm = [10, 0];
        let deliver = [11, 0, 0, 0, 7, 3, b'a', b'b', b'c', 0];
        let batch = [11, 0, 0, 2, 8, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0];
        let write = [6, 0, 0];
        let ack = [2, 0, 3, 0];
        let pass = [18, 3];
        let leave = [7, 0, 1];
        for kind in [0, 1, 8, 16, 32] {
            seeds.push(
                [
                    &[kind, target][..],
                    &come,
                    &[17, 2, 17, 2, 17, 2, 16, 0, 1, 8, 0, 8, 0, 8, 0, 8, 0],
                    &publish,
                    &confirm,
                    &deliver,
                    &batch,
                    &write,
                    &ack,
                    &ack,
                    &pass,
                    &[16, 0, 0],
                    &pass,
                    &publish,
                    &deliver,
                    &write,
                    &leave,
                ]
                .concat(),
            );
        }
    }
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_open_sessions_and_pass_messages() {
        let mut all = Reached::default();
        for seed in seeds() {
            let reached = play(&seed);
            all.opened += reached.opened;
            all.answered += reached.answered;
            all.delivered += reached.delivered;
        }
        let is_alive = all.opened > 50 && all.answered > 10 && all.delivered > 20;
        assert!(is_alive, "{all:?}");
    }
}
