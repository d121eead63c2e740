//! The whole backend against a scripted broker, with bytes and a fake clock.
//!
//! A [`World`] hands what the backend writes to the test, frame by frame, and what the test answers
//! to the backend, cut into pieces of a given size: every scenario runs with whole frames and byte
//! by byte.

mod batching;
mod consuming;
mod dead_letters;
mod decrypting;
mod encrypting;
mod fan_in;
mod golden;
mod incomplete;
mod leaving;
mod losing;
mod opening;
mod partitions;
mod publishing;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use bytes::{BufMut, BytesMut};
use prost::Message;
use slotmap::SlotMap;

use super::{
    Effect, Event, Input, Pulsar, Scratch, Settings, command,
    connection::ConnectionKey,
    payload::Compression,
    proto::{
        CommandConnected, CommandError, CommandLookupTopic, CommandLookupTopicResponse,
        CommandPartitionedTopicMetadata, CommandPartitionedTopicMetadataResponse, CommandProducer,
        CommandProducerSuccess, CommandSubscribe, CommandSuccess, Kind, ServerError,
    },
    wire::{Frame, Stored, frame_len},
};
use crate::{
    codec::protobuf::{Field, Reader, put_bytes, put_uint},
    session::{
        Broker, Deliver, Link, OpenError, Payload, PayloadError, Publish, PublishError, SessionKey,
        Spec, Strings, consumer, producer,
    },
    timer::{Instant, Now},
};

pub(super) const TOPIC: &str = "persistent://public/default/t";
const SIZES: [usize; 3] = [usize::MAX, 1, 7];

/// Runs a scenario with the broker's bytes cut in several ways.
fn in_pieces(scenario: impl Fn(World)) {
    for size in SIZES {
        scenario(World::new(size));
    }
}

/// What a session was told.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Opened,
    OpenFailed(OpenError),
    Receipt(Vec<u8>),
    Failed(String),
    Payload(Vec<u8>),
    Released(u32),
    UnsubscribeFailed(String),
}

/// A frame that the backend wrote.
#[derive(Debug)]
struct Sent {
    kind: Kind,
    body: Vec<u8>,
    rest: Vec<u8>,
    frame: Vec<u8>,
}

impl Sent {
    fn decode<T: Message + Default>(&self) -> T {
        T::decode(&self.body[..]).unwrap()
    }

    /// Producer, sequence id and payload of a SEND, whose checksum is right.
    fn send(&self) -> (u64, i64, Vec<u8>) {
        assert_eq!(self.kind, Kind::Send);
        let mut fields = Reader::new(&self.body);
        let (mut producer, mut sequence) = (0, 0);
        while let Some((number, Field::Varint(value))) = fields.next().unwrap() {
            match number {
                1 => producer = value,
                2 => sequence = value.cast_signed(),
                _ => {}
            }
        }
        let payload = Stored::parse(&self.rest).unwrap().payload.to_vec();
        (producer, sequence, payload)
    }
}

struct World {
    pulsar: Pulsar,
    now: Now,
    sessions: SlotMap<SessionKey, ()>,
    scratch: Scratch,
    piece: usize,
    written: BTreeMap<ConnectionKey, BytesMut>,
    connecting: Vec<(ConnectionKey, SocketAddr)>,
    others: Vec<Effect>,
    told: Vec<Told>,
}

impl World {
    fn new(piece: usize) -> Self {
        Self::with(Settings::default(), piece)
    }

    fn with(settings: Settings, piece: usize) -> Self {
        Self {
            pulsar: Pulsar::new(settings, 42),
            now: Now {
                mono: Instant(1_000_000_000),
                wall_ms: 1_700_000_000_000,
            },
            sessions: SlotMap::with_key(),
            scratch: Scratch::default(),
            piece,
            written: BTreeMap::new(),
            connecting: Vec::new(),
            others: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Takes all effects and events.
    fn settle(&mut self) {
        while let Some(event) = self.pulsar.poll_event(self.now) {
            self.told.push(told(&mut self.pulsar, self.now, event));
        }
        while let Some(effect) = self.pulsar.poll_effect() {
            match effect {
                Effect::Connect {
                    connection,
                    address,
                } => self.connecting.push((connection, address)),
                Effect::Write(key) => {
                    while let Some(bytes) = self.pulsar.take_outbox(key) {
                        self.written.entry(key).or_default().put(bytes);
                    }
                }
                other => self.others.push(other),
            }
        }
    }

    fn told(&mut self) -> Vec<Told> {
        self.settle();
        std::mem::take(&mut self.told)
    }

    fn others(&mut self) -> Vec<Effect> {
        self.settle();
        std::mem::take(&mut self.others)
    }

    /// What was written to a connection since the last look.
    fn sent(&mut self, key: ConnectionKey) -> Vec<Sent> {
        self.settle();
        let mut bytes = self.written.remove(&key).unwrap_or_default();
        let mut sent = Vec::new();
        while !bytes.is_empty() {
            let len = frame_len(&bytes, usize::MAX).unwrap().unwrap();
            let frame = bytes.split_to(len);
            let parsed = Frame::parse(&frame).unwrap();
            sent.push(Sent {
                kind: Kind::try_from(parsed.kind).unwrap(),
                body: parsed.body.to_vec(),
                rest: parsed.rest.to_vec(),
                frame: frame.to_vec(),
            });
        }
        sent
    }

    /// The one frame that was written.
    fn sent_one(&mut self, key: ConnectionKey, kind: Kind) -> Sent {
        let mut sent = self.sent(key);
        let kinds: Vec<_> = sent.iter().map(|sent| sent.kind).collect();
        assert_eq!(kinds, [kind]);
        sent.remove(0)
    }

    /// The broker says something.
    fn receive(&mut self, key: ConnectionKey, bytes: &[u8]) {
        for piece in bytes.chunks(self.piece) {
            // Only what is told borrows from the piece.
            let mut input = Input::new(piece);
            while let Some(event) =
                self.pulsar
                    .next_event(self.now, key, &mut input, &mut self.scratch)
            {
                if let Event::Released { messages: 0, .. } = event {
                    continue;
                }
                let told = told(&mut self.pulsar, self.now, event);
                self.told.push(told);
            }
        }
        self.settle();
    }

    fn answer(&mut self, key: ConnectionKey, kind: Kind, command: &impl Message) {
        self.receive(key, &frame(kind, command));
    }

    fn error(&mut self, key: ConnectionKey, request_id: u64, error: ServerError) {
        let error = CommandError {
            request_id,
            error: error.into(),
            message: "no".into(),
        };
        self.answer(key, Kind::Error, &error);
    }

    fn pass(&mut self, time: Duration) {
        self.now.mono = self.now.mono + time;
        self.now.wall_ms += u64::try_from(time.as_millis()).unwrap();
        self.pulsar.handle_timeout(self.now);
        self.settle();
    }

    /// Lets time pass from deadline to deadline, until something connects.
    fn pass_until_connecting(&mut self) -> ConnectionKey {
        for _ in 0..100 {
            self.settle();
            if !self.connecting.is_empty() {
                return self.connecting.remove(0).0;
            }
            let next = self.pulsar.poll_timeout().expect("something is due");
            self.pass(next.since(self.now.mono));
        }
        panic!("nothing connects");
    }

    fn session(&mut self) -> SessionKey {
        self.sessions.insert(())
    }

    /// TCP and CONNECT of the connection that is wanted.
    fn connect(&mut self) -> ConnectionKey {
        self.settle();
        let (key, _) = self.connecting.remove(0);
        self.pulsar.handle_connected(self.now, key);
        self.sent_one(key, Kind::Connect);
        self.connected(key);
        key
    }

    fn connected(&mut self, key: ConnectionKey) {
        let connected = CommandConnected {
            server_version: "scripted".into(),
            protocol_version: Some(21),
            max_message_size: Some(5 << 20),
            ..CommandConnected::default()
        };
        self.answer(key, Kind::Connected, &connected);
    }

    /// Answers PARTITIONED_METADATA with no partitions, and LOOKUP with the service host.
    fn locate(&mut self, key: ConnectionKey) {
        let asked = self.sent_one(key, Kind::PartitionedMetadata);
        let asked: CommandPartitionedTopicMetadata = asked.decode();
        assert_eq!(asked.topic, TOPIC);
        self.answer(
            key,
            Kind::PartitionedMetadataResponse,
            &partitions(asked.request_id, 0),
        );
        self.locate_broker(key);
    }

    fn locate_broker(&mut self, key: ConnectionKey) {
        self.locate_at(key, "pulsar://127.0.0.1:6650");
    }

    /// Answers LOOKUP.
    fn locate_at(&mut self, key: ConnectionKey, url: &str) {
        let asked: CommandLookupTopic = self.sent_one(key, Kind::Lookup).decode();
        let answer = located(asked.request_id, url);
        self.answer(key, Kind::LookupResponse, &answer);
    }

    /// Answers PRODUCER.
    fn create(&mut self, key: ConnectionKey) -> CommandProducer {
        let asked: CommandProducer = self.sent_one(key, Kind::Producer).decode();
        self.created(key, asked.request_id);
        asked
    }

    fn created(&mut self, key: ConnectionKey, request_id: u64) {
        self.answer(key, Kind::ProducerSuccess, &success(request_id));
    }

    /// A producer that is ready, and its connection.
    fn producer(&mut self) -> (Link, ConnectionKey) {
        self.producer_of(&spec())
    }

    fn producer_of(&mut self, spec: &producer::Spec) -> (Link, ConnectionKey) {
        let session = self.session();
        let link = self
            .pulsar
            .open(self.now, session, &Spec::Producer(spec.clone()));
        let key = self.connect();
        self.locate(key);
        self.create(key);
        assert_eq!(self.told(), [Told::Opened]);
        (link, key)
    }

    /// A consumer that is ready, its connection and its number.
    fn consumer(&mut self) -> (Link, ConnectionKey, u64) {
        self.consumer_of(&consumer_spec())
    }

    fn consumer_of(&mut self, spec: &consumer::Spec) -> (Link, ConnectionKey, u64) {
        let session = self.session();
        let spec = Spec::Consumer(spec.clone());
        let link = self.pulsar.open(self.now, session, &spec);
        let key = self.connect();
        (link, key, self.subscribed(key))
    }

    /// Another one on a connection.
    fn consumer_at(&mut self, key: ConnectionKey) -> (Link, u64) {
        let session = self.session();
        let spec = Spec::Consumer(consumer_spec());
        let link = self.pulsar.open(self.now, session, &spec);
        (link, self.subscribed(key))
    }

    fn subscribed(&mut self, key: ConnectionKey) -> u64 {
        self.locate(key);
        let asked: CommandSubscribe = self.sent_one(key, Kind::Subscribe).decode();
        let success = CommandSuccess {
            request_id: asked.request_id,
        };
        self.answer(key, Kind::Success, &success);
        assert_eq!(self.told(), [Told::Opened]);
        self.sent_one(key, Kind::Flow);
        asked.consumer_id
    }

    fn publish(&mut self, link: Link, payload: &str) -> Result<(), PublishError> {
        let publish = publish(payload);
        self.pulsar.publish(self.now, link, &publish).map(|_| ())
    }

    /// Publishes that must be accepted.
    fn publish_all(&mut self, link: Link, payloads: &[&str]) {
        for payload in payloads {
            self.publish(link, payload).unwrap();
        }
    }

    /// Receives the receipt of the batch that a SEND held.
    fn batch_receipt(&mut self, key: ConnectionKey, link: Link, sequence: i64, highest: i64) {
        self.receive(key, &batch_receipt(link.0, sequence, highest));
    }

    fn receipt(&mut self, key: ConnectionKey, link: Link, sequence: i64) {
        self.receive(key, &receipt(link.0, sequence));
    }

    /// Sequence ids and payloads of the SENDs that were written.
    fn sends(&mut self, key: ConnectionKey) -> Vec<(i64, String)> {
        self.sent(key)
            .iter()
            .map(|sent| {
                let (_, sequence, payload) = sent.send();
                (sequence, String::from_utf8(payload).unwrap())
            })
            .collect()
    }

    fn lose(&mut self, key: ConnectionKey) {
        self.pulsar.handle_disconnected(self.now, key, "reset");
        self.settle();
    }
}

fn told(pulsar: &mut Pulsar, now: Now, event: Event<'_>) -> Told {
    match event {
        Event::Opened { .. } => Told::Opened,
        Event::OpenFailed { error, .. } => Told::OpenFailed(error),
        Event::Receipt { message_id, .. } => Told::Receipt(message_id.as_bytes().to_vec()),
        Event::PublishFailed {
            error: PublishError::Backend(text),
            ..
        } => Told::Failed(text),
        Event::PublishFailed { error, .. } => panic!("{error:?}"),
        Event::Entry(mut entry) => {
            let delivery = pulsar.next_delivery(now, &mut entry).unwrap();
            Told::Payload(delivery.payload.unwrap().to_vec())
        }
        Event::Released { messages, .. } => Told::Released(messages),
        Event::UnsubscribeFailed { message, .. } => Told::UnsubscribeFailed(message),
    }
}

fn spec() -> producer::Spec {
    producer::Spec {
        topic: TOPIC.into(),
        name: None,
        initial_sequence_id: None,
        send_timeout: Some(Duration::from_secs(30)),
        partitioning: producer::Partitioning::default(),
        batching: None,
        compression: Compression::None,
        encryption: None,
    }
}

fn consumer_spec() -> consumer::Spec {
    consumer::Spec {
        topic: TOPIC.into(),
        several: None,
        subscription: "s".into(),
        subscription_type: consumer::SubscriptionType::Shared,
        durable: true,
        initial_position: consumer::InitialPosition::Latest,
        receiver_queue_size: 10,
        pull: false,
        name: None,
        priority_level: 0,
        ack_timeout: None,
        negative_ack_delay: Duration::from_secs(60),
        dead_letters: None,
        undecryptable: consumer::Undecryptable::Leave,
    }
}

fn publish(payload: &str) -> Publish<'_> {
    fn copy(encoded: &[u8], out: &mut BytesMut) -> Result<(), PayloadError> {
        if encoded == b"broken" {
            return Err(PayloadError("bad base64".into()));
        }
        out.put_slice(encoded);
        Ok(())
    }
    Publish {
        payload: Payload {
            encoded: payload.as_bytes(),
            len: payload.len(),
            decode: copy,
        },
        context: None,
        key: None,
        properties: Strings::default(),
        replication_clusters: None,
        event_time_ms: None,
        deliver: Deliver::Now,
        extra: None,
        sealed: None,
    }
}

fn frame(kind: Kind, command: &impl Message) -> BytesMut {
    let mut out = BytesMut::new();
    command::put_command(&mut out, kind, command);
    out
}

/// A frame of a hot command.
fn raw_frame(kind: Kind, body: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut command = Vec::new();
    put_uint(&mut command, 1, kind as u64);
    put_bytes(&mut command, kind as u32, body);
    let mut out = Vec::new();
    let total = 4 + command.len() + rest.len();
    out.extend(u32::try_from(total).unwrap().to_be_bytes());
    out.extend(u32::try_from(command.len()).unwrap().to_be_bytes());
    out.extend([&command, rest].concat());
    out
}

fn receipt(producer: u64, sequence: i64) -> Vec<u8> {
    batch_receipt(producer, sequence, -1)
}

/// As brokers send it: of a message that is no batch, the highest number is -1.
fn batch_receipt(producer: u64, sequence: i64, highest: i64) -> Vec<u8> {
    let mut body = Vec::new();
    put_uint(&mut body, 1, producer);
    put_uint(&mut body, 2, sequence.cast_unsigned());
    let mut id = Vec::new();
    put_uint(&mut id, 1, 3);
    put_uint(&mut id, 2, sequence.cast_unsigned() + 100);
    put_bytes(&mut body, 3, &id);
    put_uint(&mut body, 4, highest.cast_unsigned());
    raw_frame(Kind::SendReceipt, &body, b"")
}

/// What a receipt of [`receipt`] tells the session.
fn stored(sequence: i64) -> Told {
    let mut id = Vec::new();
    put_uint(&mut id, 1, 3);
    put_uint(&mut id, 2, sequence.cast_unsigned() + 100);
    put_uint(&mut id, 6, 0);
    Told::Receipt(id)
}

fn send_error(producer: u64, sequence: i64, error: ServerError) -> Vec<u8> {
    let mut body = Vec::new();
    put_uint(&mut body, 1, producer);
    put_uint(&mut body, 2, sequence.cast_unsigned());
    put_uint(&mut body, 3, error as u64);
    put_bytes(&mut body, 4, b"no");
    raw_frame(Kind::SendError, &body, b"")
}

fn partitions(request_id: u64, partitions: u32) -> CommandPartitionedTopicMetadataResponse {
    CommandPartitionedTopicMetadataResponse {
        partitions: Some(partitions),
        request_id,
        response: Some(CommandPartitionedTopicMetadataResponse::SUCCESS),
        ..CommandPartitionedTopicMetadataResponse::default()
    }
}

fn located(request_id: u64, url: &str) -> CommandLookupTopicResponse {
    CommandLookupTopicResponse {
        broker_service_url: Some(url.into()),
        response: Some(CommandLookupTopicResponse::CONNECT),
        request_id,
        authoritative: Some(true),
        ..CommandLookupTopicResponse::default()
    }
}

fn success(request_id: u64) -> CommandProducerSuccess {
    CommandProducerSuccess {
        request_id,
        producer_name: "made-up".into(),
        last_sequence_id: Some(-1),
        ..CommandProducerSuccess::default()
    }
}

fn class(text: &str) -> &str {
    text.split(": ").next().unwrap()
}
