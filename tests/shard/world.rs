//! One shard, a broker that agrees to everything unless told otherwise, and clients that say
//! exactly what a test lets them say. Nothing happens by itself, and time passes when told to.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};

use pulsar_ws_fast::{
    config::Config,
    metrics::{Part, Question},
    pulsar::ConnectionKey,
    session::SessionKey,
    shard::{Effect, Shard, Survey},
    timer::{Instant, Now},
    ws::frame::{Header, Opcode},
};

use super::{agree::agree, wire};

pub(crate) const PRODUCER: &str = "/ws/v2/producer/persistent/public/default/t";
pub(crate) const BATCHING: &str =
    "/ws/v2/producer/persistent/public/default/t?batchingEnabled=true&batchingMaxPublishDelay=1000";
pub(crate) const CONSUMER: &str = "/ws/v2/consumer/persistent/public/default/t/s";

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub(crate) struct World {
    pub(crate) shard: Shard,
    now: Now,
    connection: Option<ConnectionKey>,
    to_broker: Vec<u8>,
    /// The broker answers nothing.
    pub(crate) is_silent: bool,
    /// Commands that a silent broker has not answered.
    unanswered: VecDeque<wire::BaseCommand>,
    /// Publishes that wait for their receipt.
    pub(crate) sends: VecDeque<wire::Send>,
    /// What consumers acknowledged, as entry ids.
    pub(crate) acks: Vec<u64>,
    pub(crate) permits: u32,
    pub(crate) closes: usize,
    consumer_id: u64,
    /// Clients whose sockets are to be written, to be read again, finished with these last bytes.
    pub(crate) writes: Vec<SessionKey>,
    pub(crate) reads: Vec<SessionKey>,
    pub(crate) finished: Vec<(SessionKey, Vec<u8>)>,
    pub(crate) aborted: Vec<SessionKey>,
    pub(crate) drained: usize,
    /// Questions to all shards.
    pub(crate) surveys: Vec<(SessionKey, Question)>,
    /// Clients who want to know of the status file.
    pub(crate) status_looks: Vec<SessionKey>,
}

impl World {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            shard: Shard::new(Arc::new(config), 0, 1, jiff::tz::TimeZone::UTC),
            now: Now {
                mono: Instant(1_000_000),
                wall_ms: 1_790_000_000_000,
            },
            connection: None,
            to_broker: Vec::new(),
            is_silent: false,
            unanswered: VecDeque::new(),
            sends: VecDeque::new(),
            acks: Vec::new(),
            permits: 0,
            closes: 0,
            consumer_id: 0,
            writes: Vec::new(),
            reads: Vec::new(),
            finished: Vec::new(),
            aborted: Vec::new(),
            drained: 0,
            surveys: Vec::new(),
            status_looks: Vec::new(),
        }
    }

    pub(crate) fn accept(&mut self) -> SessionKey {
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let client = self.shard.handle_accepted(self.now, address, address);
        self.turn();
        client
    }

    /// A client that asked for `target`; whether it was let in is not looked at.
    pub(crate) fn ask(&mut self, target: &str) -> SessionKey {
        let client = self.accept();
        self.bytes(client, &head(target));
        client
    }

    /// A client with an open session.
    pub(crate) fn open(&mut self, target: &str) -> SessionKey {
        let client = self.ask(target);
        let answer = self.written(client);
        assert!(
            answer.starts_with(b"HTTP/1.1 101"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        client
    }

    /// Bytes of a client arrive, whether or not it is being read.
    pub(crate) fn bytes(&mut self, client: SessionKey, bytes: &[u8]) {
        self.shard
            .handle_client_bytes(self.now, client, &mut bytes.to_vec());
        self.turn();
    }

    pub(crate) fn text(&mut self, client: SessionKey, text: &str) {
        self.bytes(client, &frame(true, Opcode::Text, text.as_bytes()));
    }

    /// A publish of a payload of that many bytes.
    pub(crate) fn publish(&mut self, client: SessionKey, payload_bytes: usize) {
        let message = publish(payload_bytes);
        self.text(client, &message);
    }

    /// The client's socket takes everything there is for it.
    pub(crate) fn written(&mut self, client: SessionKey) -> Vec<u8> {
        let Some(outbox) = self.shard.take_client_outbox(client) else {
            return Vec::new();
        };
        let copy = outbox.clone();
        self.end_write(client, outbox);
        copy
    }

    /// The client's socket begins a write that does not end.
    pub(crate) fn begin_write(&mut self, client: SessionKey) -> Vec<u8> {
        self.shard.take_client_outbox(client).expect("a write")
    }

    pub(crate) fn end_write(&mut self, client: SessionKey, outbox: Vec<u8>) {
        self.shard.handle_client_written(self.now, client, outbox);
        self.turn();
    }

    pub(crate) fn progress(&mut self, client: SessionKey) {
        self.shard.handle_client_progress(self.now, client);
    }

    pub(crate) fn gone(&mut self, client: SessionKey) {
        self.shard.handle_client_closed(self.now, client, "gone");
        self.turn();
    }

    /// The client says nothing more; whether it is still told something.
    pub(crate) fn ended(&mut self, client: SessionKey) -> bool {
        let told = self.shard.handle_client_ended(self.now, client);
        self.turn();
        told
    }

    /// What this shard says to a question.
    pub(crate) fn question(&mut self, question: &Question) -> Part {
        self.shard.handle_question(self.now, question)
    }

    pub(crate) fn survey(&mut self, client: SessionKey, survey: Survey) {
        self.shard.handle_survey(self.now, client, survey);
        self.turn();
    }

    pub(crate) fn status(&mut self, client: SessionKey, is_there: Option<bool>) {
        self.shard.handle_status(self.now, client, is_there);
        self.turn();
    }

    /// The broker stores the oldest publishes.
    pub(crate) fn receipts(&mut self, publishes: usize) {
        let mut out = Vec::new();
        for sent in self.sends.drain(..publishes) {
            let receipt = wire::SendReceipt {
                producer_id: sent.producer_id,
                sequence_id: sent.sequence_id,
                message_id: Some(message_id(sent.sequence_id)),
                highest_sequence_id: None,
            };
            let command = wire::BaseCommand {
                send_receipt: Some(receipt),
                ..Default::default()
            };
            wire::put_frame(&mut out, command, None);
        }
        self.broker_says(out);
    }

    /// The broker sends these messages to the consumer.
    pub(crate) fn deliver(&mut self, entries: std::ops::Range<u64>, payload: &[u8]) {
        let mut out = Vec::new();
        for entry in entries {
            let metadata = wire::MessageMetadata {
                producer_name: "p".into(),
                sequence_id: entry,
                publish_time: 1,
                ..Default::default()
            };
            let body = wire::Body {
                metadata: prost::Message::encode_to_vec(&metadata),
                payload: payload.to_vec(),
                style: wire::Style::Checked,
            };
            let deliver = wire::Deliver {
                consumer_id: self.consumer_id,
                message_id: message_id(entry),
                ..Default::default()
            };
            let command = wire::BaseCommand {
                deliver: Some(deliver),
                ..Default::default()
            };
            wire::put_frame(&mut out, command, Some(&body));
        }
        self.broker_says(out);
    }

    /// A silent broker answers everything, and is not silent any more.
    pub(crate) fn speak(&mut self) {
        self.is_silent = false;
        let unanswered = std::mem::take(&mut self.unanswered);
        for command in unanswered {
            self.answer(command);
        }
        self.turn();
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
            let next = self.shard.poll_timeout();
            assert!(
                next.is_none_or(|next| next > self.now.mono),
                "a timeout leaves nothing due"
            );
        }
        self.now.mono = until;
    }

    pub(crate) fn drain(&mut self) {
        self.shard.handle_drain(self.now);
        self.turn();
    }

    /// The last bytes for a client that was finished.
    pub(crate) fn last(&self, client: SessionKey) -> &[u8] {
        let found = self.finished.iter().find(|(key, _)| *key == client);
        &found.expect("the client was finished").1
    }

    pub(crate) fn is_finished(&self, client: SessionKey) -> bool {
        self.finished.iter().any(|(key, _)| *key == client)
    }

    /// Code and reason of the close frame that ends a finished client's bytes.
    pub(crate) fn closed(&self, client: SessionKey) -> (u16, String) {
        let last = self.last(client);
        let mut rest = last;
        loop {
            let (header, len) = Header::decode(rest)
                .expect("frames")
                .expect("a close frame");
            let payload = &rest[len..];
            let (payload, after) =
                payload.split_at(usize::try_from(header.payload_bytes).expect("short"));
            if header.opcode == Opcode::Close {
                assert!(after.is_empty(), "nothing follows a close frame");
                let code = u16::from_be_bytes([payload[0], payload[1]]);
                return (
                    code,
                    String::from_utf8(payload[2..].to_vec()).expect("UTF-8"),
                );
            }
            rest = after;
        }
    }

    fn broker_says(&mut self, mut bytes: Vec<u8>) {
        let connection = self.connection.expect("connected");
        self.shard
            .handle_broker_bytes(self.now, connection, &mut bytes);
        self.turn();
    }

    /// Does what the shard wants until it wants nothing.
    pub(crate) fn turn(&mut self) {
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
            while let Some(frame) = wire::take_frame(&mut self.to_broker) {
                is_over = false;
                self.asked(frame.command);
            }
            if is_over {
                return;
            }
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::WriteClient(client) => self.writes.push(client),
            Effect::Read(client) => self.reads.push(client),
            Effect::Finish { client, last } => self.finished.push((client, last)),
            Effect::Abort(client) => self.aborted.push(client),
            Effect::Connect { connection, .. } => {
                self.connection = Some(connection);
                self.shard.handle_connected(self.now, connection);
            }
            Effect::Disconnect(_) => self.connection = None,
            Effect::Drained => self.drained += 1,
            Effect::WriteBroker(_) => {}
            Effect::Resolve { .. } => panic!("the broker has an address"),
            Effect::Locate { .. } => panic!("nobody is asked over HTTP"),
            Effect::DecryptKey { name, .. } => panic!("there is no key {name}"),
            Effect::Survey { client, question } => self.surveys.push((client, question)),
            Effect::LookAtStatusFile(client) => self.status_looks.push(client),
        }
    }

    fn asked(&mut self, command: wire::BaseCommand) {
        if self.is_silent && command.send.is_none() {
            self.unanswered.push_back(command);
        } else {
            self.answer(command);
        }
    }

    fn answer(&mut self, asked: wire::BaseCommand) {
        if let Some(answer) = agree(&asked, 6650) {
            return self.tell(answer);
        }
        let mut answer = wire::BaseCommand::default();
        if let Some(asked) = asked.subscribe {
            self.consumer_id = asked.consumer_id;
            answer.success = Some(success(asked.request_id));
        } else if let Some(asked) = asked.close_producer {
            self.closes += 1;
            self.sends
                .retain(|sent| sent.producer_id != asked.producer_id);
            answer.success = Some(success(asked.request_id));
        } else if let Some(asked) = asked.close_consumer {
            self.closes += 1;
            answer.success = Some(success(asked.request_id));
        } else if let Some(sent) = asked.send {
            return self.sends.push_back(sent);
        } else if let Some(flow) = asked.flow {
            self.permits += flow.message_permits;
            return;
        } else if let Some(ack) = asked.ack {
            self.acks
                .extend(ack.message_id.iter().map(|id| id.entry_id));
            return;
        } else if asked.ping.is_some() {
            answer.pong = Some(wire::Empty {});
        } else {
            return;
        }
        self.tell(answer);
    }

    fn tell(&mut self, answer: wire::BaseCommand) {
        let mut out = Vec::new();
        wire::put_frame(&mut out, answer, None);
        if let Some(connection) = self.connection {
            self.shard
                .handle_broker_bytes(self.now, connection, &mut out);
        }
    }
}

/// A request for an upgrade.
pub(crate) fn head(target: &str) -> Vec<u8> {
    format!(
        "GET {target} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes()
}

/// One masked frame.
pub(crate) fn frame(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        fin,
        opcode,
        compressed: false,
        mask: Some(MASK),
        payload_bytes: payload.len() as u64,
    };
    let mut bytes = Vec::new();
    header.encode(&mut bytes);
    let masked = payload.iter().zip(MASK.iter().cycle());
    bytes.extend(masked.map(|(byte, key)| byte ^ key));
    bytes
}

pub(crate) fn publish(payload_bytes: usize) -> String {
    let mut payload = Vec::new();
    pulsar_ws_fast::codec::base64::encode_append(&vec![b'p'; payload_bytes], &mut payload);
    let payload = String::from_utf8(payload).expect("base64 is text");
    format!(r#"{{"payload":"{payload}"}}"#)
}

/// How often a text stands in bytes.
pub(crate) fn count(bytes: &[u8], text: &str) -> usize {
    let text = text.as_bytes();
    bytes.windows(text.len()).filter(|it| *it == text).count()
}

fn message_id(entry_id: u64) -> wire::MessageIdData {
    wire::MessageIdData {
        ledger_id: 12,
        entry_id,
        partition: Some(-1),
        ..Default::default()
    }
}

fn success(request_id: u64) -> wire::Success {
    wire::Success { request_id }
}
