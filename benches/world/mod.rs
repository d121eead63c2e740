//! A whole shard without a socket: clients whose sessions are open, and a broker that agrees to everything.
//!
//! The shard is driven as `runtime/` drives it: due timers first, then the call, then effects until there are none;
//! what waits to be written is taken once a turn, and its buffers come back. So what a turn costs beyond its
//! messages is there too, except for the kernel and the tasks.

#[path = "../../tests/sim/agree.rs"]
mod agree;
pub(crate) mod input;
#[path = "../../tests/sim/proto.rs"]
pub(crate) mod proto;
#[allow(
    dead_code,
    clippy::cast_possible_truncation,
    reason = "the simulation's wire format, of which a part is needed here"
)]
#[path = "../../tests/sim/wire.rs"]
pub(crate) mod wire;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use pulsar_ws_fast::{
    config::Config,
    pulsar::ConnectionKey,
    session::SessionKey,
    shard::{Effect, Shard},
    timer::{Instant, Now},
};

/// A shard with some clients whose sessions are open.
pub(crate) struct World {
    shard: Shard,
    pub(crate) clients: Vec<SessionKey>,
    connection: ConnectionKey,
    /// By which the broker knows whoever subscribed last.
    pub(crate) consumer_id: u64,
    now: Now,
    /// Clients for whom something waits.
    writable: Vec<SessionKey>,
    /// Taken and not yet written.
    to_clients: Vec<(SessionKey, Vec<u8>)>,
    to_broker: Vec<Bytes>,
}

impl World {
    /// One client for each of `endpoints`, what stands behind `/ws/v2/`.
    pub(crate) fn open(endpoints: &[String]) -> Self {
        let shard = Shard::new(Arc::new(Config::default()), 0, 1, jiff::tz::TimeZone::UTC);
        let mut world = Self {
            shard,
            clients: Vec::new(),
            connection: ConnectionKey::default(),
            consumer_id: 0,
            now: Now {
                mono: Instant(1_000_000),
                wall_ms: 1_790_000_000_000,
            },
            writable: Vec::new(),
            to_clients: Vec::new(),
            to_broker: Vec::new(),
        };
        for endpoint in endpoints {
            world.accept(endpoint);
        }
        world
    }

    fn accept(&mut self, endpoint: &str) {
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let client = self.shard.handle_accepted(self.now, address, address);
        self.clients.push(client);
        let mut head = format!(
            "GET /ws/v2/{endpoint} HTTP/1.1\r\nHost: h\r\n\
            Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .into_bytes();
        self.client_bytes(client, &mut head);
        let mut answer = Vec::new();
        for _ in 0..16 {
            self.take();
            let mut answers = self.answers();
            answer.extend(self.texts());
            self.written();
            if !answers.is_empty() {
                self.broker_bytes(&mut answers);
            }
        }
        assert!(
            answer.starts_with(b"HTTP/1.1 101"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }

    /// Time goes on between two turns.
    pub(crate) fn pass(&mut self, ms: u64) {
        self.now.mono = self.now.mono + Duration::from_millis(ms);
        self.now.wall_ms += ms;
    }

    /// A client's read.
    pub(crate) fn client_bytes(&mut self, client: SessionKey, bytes: &mut [u8]) {
        self.run_timers();
        self.shard.handle_client_bytes(self.now, client, bytes);
        self.settle();
    }

    /// A read of the broker's socket.
    pub(crate) fn broker_bytes(&mut self, bytes: &mut [u8]) {
        self.run_timers();
        self.shard
            .handle_broker_bytes(self.now, self.connection, bytes);
        self.settle();
    }

    fn run_timers(&mut self) {
        let due = self.shard.poll_timeout();
        if due.is_some_and(|deadline| deadline <= self.now.mono) {
            self.shard.handle_timeout(self.now);
        }
    }

    fn settle(&mut self) {
        while let Some(effect) = self.shard.poll_effect() {
            match effect {
                Effect::Connect { connection, .. } => {
                    self.connection = connection;
                    self.shard.handle_connected(self.now, connection);
                }
                Effect::WriteClient(client) => self.writable.push(client),
                _ => {}
            }
        }
        std::hint::black_box(self.shard.poll_timeout());
    }

    /// The writers take all there is; an outbox for a broker comes in as many pieces as it filled chunks.
    pub(crate) fn take(&mut self) {
        for client in self.writable.drain(..) {
            if let Some(outbox) = self.shard.take_client_outbox(client) {
                self.to_clients.push((client, outbox));
            }
        }
        while let Some(piece) = self.shard.take_broker_outbox(self.connection) {
            self.to_broker.push(piece);
        }
    }

    /// The kernel has what the writers took.
    pub(crate) fn written(&mut self) {
        self.to_broker.clear();
        while let Some((client, outbox)) = self.to_clients.pop() {
            self.shard.handle_client_written(self.now, client, outbox);
            self.settle();
        }
    }

    /// What was taken for clients.
    pub(crate) fn texts(&self) -> Vec<u8> {
        let texts = self.to_clients.iter().map(|(_, text)| &text[..]);
        texts.collect::<Vec<_>>().concat()
    }

    /// What the broker says to what was taken for it.
    pub(crate) fn answers(&mut self) -> Vec<u8> {
        let mut asked = self.to_broker.concat();
        let mut answers = Vec::new();
        while let Some(frame) = wire::take_frame(&mut asked) {
            if let Some(subscribe) = &frame.command.subscribe {
                self.consumer_id = subscribe.consumer_id;
            }
            if let Some(answer) = answer(&frame.command) {
                wire::put_frame(&mut answers, answer, None);
            }
        }
        answers
    }
}

/// A broker that agrees to everything.
fn answer(command: &proto::BaseCommand) -> Option<proto::BaseCommand> {
    if let Some(answer) = agree::agree(command, 6650) {
        return Some(answer);
    }
    let mut answer = proto::BaseCommand::default();
    if let Some(sent) = &command.send {
        answer.send_receipt = Some(proto::SendReceipt {
            producer_id: sent.producer_id,
            sequence_id: sent.sequence_id,
            message_id: Some(proto::MessageIdData {
                ledger_id: 1234,
                entry_id: sent.sequence_id,
                ..Default::default()
            }),
            // -1 unless it was a batch.
            highest_sequence_id: Some(sent.highest_sequence_id.unwrap_or(u64::MAX)),
        });
    } else {
        let asked = command.subscribe.as_ref()?;
        answer.success = Some(proto::Success {
            request_id: asked.request_id,
        });
    }
    Some(answer)
}
