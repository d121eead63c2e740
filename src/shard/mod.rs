//! A core's world: the clients and the backend of one shard, and the routes between them.
//!
//! A `Shard` is one synchronous, deterministic state machine. Bytes enter through `handle_*` and
//! leave through outboxes; time enters as a parameter and leaves as [`Shard::poll_timeout`]; what
//! the shard wants of the outer world leaves as [`Shard::poll_effect`]. To drive it: call one
//! `handle_*` for each completion, then take effects until there are none, then sleep until the
//! next completion or the timeout. It knows no descriptor, no clock and no field of any format.

mod access_log;
mod admission;
mod broker;
mod budget;
mod client;
mod deadlines;
mod deliveries;
mod drain;
mod effect;
mod ending;
mod flow;
mod handshake;
mod incomplete;
mod messages;
mod outbox;
mod statistics;

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    config::{Config, DataKey},
    dialect::{self, TimeFormat},
    http::refusal::Refusal,
    metrics::{Figures, Namespaces},
    paged::Slots,
    pulsar::{self, Pulsar},
    timer::{MaybeInstant, Timers},
    ws::{Deflater, Inflater},
};
use access_log::AccessLog;
use admission::Admission;
use budget::Lease;
use client::Client;
use deadlines::Timer;
use outbox::Buffers;

pub use budget::Budgets;
pub use effect::Effect;
pub use statistics::Survey;

/// What the surface speaks of, so that its driver needs to know no layer below.
pub use crate::{
    pulsar::{ConnectionKey, DataKeyRequest, Location, LookupKey, NotLocated, ResolveKey, Wanted},
    session::SessionKey,
    timer::{Instant, Now},
};

/// One core's world.
pub struct Shard {
    config: Arc<Config>,
    /// Its place among the process's shards.
    index: usize,
    clients: Slots<SessionKey, Box<Client>>,
    pulsar: Pulsar,
    /// Reusable space of the client side.
    scratch: dialect::Scratch,
    /// Reusable space of the broker side.
    broker_scratch: pulsar::Scratch,
    time: TimeFormat,
    timers: Timers<Timer>,
    effects: VecDeque<Effect>,
    buffers: Buffers,
    /// Messages of clients are inflated here.
    inflater: Inflater,
    /// Clients with messages that wait for a call in which more may be inflated.
    inflating: VecDeque<SessionKey>,
    /// This call goes on with them.
    inflates_on: bool,
    /// [`Timer::Inflating`] is set; once is enough.
    inflate_timer: bool,
    /// Messages for clients are compressed here.
    deflater: Deflater,
    /// Lent to WebSockets for messages that arrive in parts.
    rooms: Buffers,
    /// Clients whose reason to wait is gone; looked at when the call at hand is done.
    resumable: Vec<SessionKey>,
    /// Bytes of messages that have not arrived whole, of all clients.
    incomplete: Lease,
    /// Bytes of publishes that have no receipt, of all clients.
    publishes: Lease,
    /// The same, before publishes are refused; `None`: they never are.
    memory: Option<Lease>,
    draining: drain::State,
    access_log: AccessLog,
    admission: Admission,
    /// What happened, by namespace.
    namespaces: Namespaces,
    /// What happened, for whoever tunes or watches the service.
    figures: Figures,
    /// Questions of clients to all shards that are open.
    questions: usize,
}

impl Shard {
    /// A shard without clients. `index` is its place among the process's shards; `seed` makes
    /// every choice of chance repeatable; `zone` is the zone in which times are told.
    #[must_use]
    pub fn new(config: Arc<Config>, index: usize, seed: u64, zone: jiff::tz::TimeZone) -> Self {
        tracing::debug!(shard = index, "shard made");
        let budgets = Budgets::new(&config);
        Self {
            clients: Slots::new(),
            pulsar: Pulsar::new(pulsar::Settings::from(&*config), seed),
            scratch: dialect::Scratch::new(),
            broker_scratch: pulsar::Scratch::new(config.encryption_keys.clone()),
            time: TimeFormat::new(zone),
            timers: Timers::new(),
            effects: VecDeque::new(),
            buffers: Buffers::for_outboxes(),
            inflater: Inflater::new(),
            inflating: VecDeque::new(),
            inflates_on: false,
            inflate_timer: false,
            deflater: Deflater::new(config.deflate_bytes_min),
            rooms: Buffers::for_parts(),
            resumable: Vec::new(),
            incomplete: Lease::new(budgets.incomplete),
            publishes: Lease::new(budgets.publishes),
            memory: budgets.memory.map(Lease::new),
            draining: drain::State::No,
            access_log: AccessLog::new(config.logs_addresses),
            admission: Admission::new(budgets.handshakes),
            namespaces: Namespaces::default(),
            figures: Figures::new(),
            questions: 0,
            index,
            config,
        }
    }

    /// The same shard with a part in the process's budgets instead of its own ones. To be called
    /// before anybody is accepted.
    #[must_use]
    pub fn sharing(mut self, budgets: Budgets) -> Self {
        self.incomplete = Lease::new(budgets.incomplete);
        self.publishes = Lease::new(budgets.publishes);
        self.admission = Admission::new(budgets.handshakes);
        self.memory = budgets.memory.map(Lease::new);
        self
    }

    /// A client connected. Its key names its socket from now on.
    pub fn handle_accepted(&mut self, now: Now, peer: SocketAddr, local: SocketAddr) -> SessionKey {
        let client = Box::new(Client::new(now.mono, peer, local));
        let client = self.clients.insert(client);
        if let Some(client) = self.clients.get_mut(client) {
            client.may_be_announced = self.config.proxy_protocol;
        }
        self.arm_client(client, now.mono + self.config.handshake_timeout);
        if self.draining.is_on() {
            self.drain_client(now, client);
        }
        client
    }

    /// A client connected beyond the number that may: it is told so, and its key is forgotten.
    pub fn handle_surplus(&mut self, now: Now, peer: SocketAddr, local: SocketAddr) -> SessionKey {
        let client = Box::new(Client::new(now.mono, peer, local));
        let client = self.clients.insert(client);
        let message =
            "There are as many connections as maxHttpServerConnections or open files allow";
        self.refuse(now, client, &Refusal::new(503, message));
        client
    }

    /// Bytes of a client, all of which are taken: what can't be worked on yet is kept.
    pub fn handle_client_bytes(&mut self, now: Now, client: SessionKey, bytes: &mut [u8]) {
        self.client_bytes(now, client, bytes);
        self.settle(now);
    }

    /// The client says nothing more, but may listen yet. Whether it is to be told something: if not,
    /// [`handle_client_closed`](Self::handle_client_closed) follows.
    pub fn handle_client_ended(&mut self, now: Now, client: SessionKey) -> bool {
        let told = self.end_client(now, client);
        self.settle(now);
        told
    }

    /// The client's socket ended or failed. The key is forgotten.
    pub fn handle_client_closed(&mut self, now: Now, client: SessionKey, reason: &str) {
        if let Some(gone) = self.clients.remove(client) {
            tracing::debug!(peer = %gone.peer, reason, "client gone");
            self.release(now, *gone);
        }
        self.settle(now);
    }

    /// A whole outbox was written; its buffer comes back.
    pub fn handle_client_written(&mut self, now: Now, key: SessionKey, buffer: Vec<u8>) {
        self.buffers.put(buffer);
        let mut may_wait = false;
        if let Some(client) = self.clients.get_mut(key) {
            client.outbox.handle_written();
            client.active = now.mono;
            client.stalled_since = MaybeInstant::NONE;
            // A producer that is read has nothing that waits for room.
            may_wait = client.paused || !client.is_producer();
        }
        // What came meanwhile may be too much again.
        self.announce(now, key);
        if may_wait {
            self.may_resume(key);
        }
        self.settle(now);
    }

    /// Part of an outbox was written: the client is alive, if slow.
    pub fn handle_client_progress(&mut self, now: Now, client: SessionKey) {
        if let Some(client) = self.clients.get_mut(client) {
            client.active = now.mono;
            if !client.stalled_since.is_none() {
                client.stalled_since = now.mono.into();
            }
        }
    }

    /// Everything that waits for this client, to be written in one go.
    pub fn take_client_outbox(&mut self, client: SessionKey) -> Option<Vec<u8>> {
        let client = self.clients.get_mut(client)?;
        let bytes = client.outbox.take()?;
        client.visit.bytes_out += bytes.len() as u64;
        self.figures.counters.client_bytes_out += bytes.len() as u64;
        Some(bytes)
    }

    /// Whether the client's socket may be read. If not, [`Effect::Read`] says when it may again.
    #[must_use]
    pub fn reads_client(&self, client: SessionKey) -> bool {
        self.clients
            .get(client)
            .is_some_and(|client| !client.paused)
    }

    /// A connection to a broker is up.
    pub fn handle_connected(&mut self, now: Now, connection: ConnectionKey) {
        self.pulsar.handle_connected(now, connection);
        self.settle(now);
    }

    /// A connection to a broker ended, failed, or never came up. The key is forgotten.
    pub fn handle_disconnected(&mut self, now: Now, connection: ConnectionKey, reason: &str) {
        self.pulsar.handle_disconnected(now, connection, reason);
        self.settle(now);
    }

    /// Bytes of a broker, all of which are taken.
    pub fn handle_broker_bytes(&mut self, now: Now, connection: ConnectionKey, bytes: &mut [u8]) {
        self.broker_bytes(now, connection, bytes);
        self.settle(now);
    }

    /// Everything that waits for this connection, to be written in one go.
    pub fn take_broker_outbox(&mut self, connection: ConnectionKey) -> Option<Bytes> {
        let bytes = self.pulsar.take_outbox(connection)?;
        self.figures.counters.broker_bytes_out += bytes.len() as u64;
        Some(bytes)
    }

    /// The answer to [`Effect::Resolve`].
    pub fn handle_resolved(
        &mut self,
        now: Now,
        request: ResolveKey,
        answer: Result<Vec<SocketAddr>, String>,
    ) {
        self.pulsar.handle_resolved(now, request, answer);
        self.settle(now);
    }

    /// The answer to [`Effect::Locate`].
    pub fn handle_located(
        &mut self,
        now: Now,
        lookup: LookupKey,
        answer: Result<Location, NotLocated>,
    ) {
        self.pulsar.handle_located(now, lookup, answer);
        self.settle(now);
    }

    /// The answer to [`Effect::DecryptKey`]; `None`: it can't be decrypted.
    pub fn handle_data_key(&mut self, now: Now, request: DataKeyRequest, key: Option<DataKey>) {
        let scratch = &mut self.broker_scratch;
        self.pulsar.handle_data_key(now, request, key, scratch);
        self.settle(now);
    }

    /// [`Effect::DecryptKey`] can't be done now: there is too much to do.
    pub fn handle_no_data_key(&mut self, now: Now, request: DataKeyRequest) {
        self.pulsar.handle_no_data_key(now, request);
    }

    /// Time has come: runs every deadline that is due.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(timer) = self.timers.pop_due(now.mono) {
            match timer {
                Timer::Client(client) => self.client_timeout(now, client),
                Timer::Stalled(client) => self.stalled_timeout(now, client),
                Timer::Admission => self.admission_timeout(now),
                Timer::Inflating => self.inflating_timeout(),
                Timer::Drain => self.drain_timeout(now),
            }
        }
        self.pulsar.handle_timeout(now);
        self.settle(now);
    }

    /// When to call [`Shard::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.timers.next_deadline(), self.pulsar.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The next thing to do in the outer world.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects
            .pop_front()
            .or_else(|| self.pulsar.poll_effect().map(Effect::from))
    }

    /// The call that began at `now` took that long, with the deadlines that were due at its beginning.
    pub fn handle_turn_over(&mut self, nanos: u64) {
        self.figures.turns.record(nanos);
    }

    /// How many clients this shard has.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Works off what a call set in motion: events of the backend that came without bytes, and
    /// clients that may go on.
    fn settle(&mut self, now: Now) {
        self.pulsar.open_parked(now, &mut self.broker_scratch);
        loop {
            if let Some(event) = self.pulsar.poll_event(now) {
                self.broker_event(now, event);
            } else if let Some(client) = self.resumable.pop() {
                self.resume(now, client);
            } else if let Some(client) = self.next_inflating() {
                self.resume(now, client);
            } else {
                break;
            }
        }
        self.inflate_next_time(now);
        self.publishes.set(self.pulsar.publishes_bytes());
        if let Some(memory) = &mut self.memory {
            memory.set(self.pulsar.publishes_bytes());
        }
        self.check_drained();
    }
}

/// Dual-stack sockets tell IPv4 peers as mapped IPv6 addresses; people know them as IPv4.
fn unmapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or(address, |ip| {
            SocketAddr::new(IpAddr::V4(ip), address.port())
        }),
        IpAddr::V4(_) => address,
    }
}
