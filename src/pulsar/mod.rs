//! The Pulsar backend: producers, consumers and readers on Pulsar brokers, sans-IO.
//!
//! A [`Pulsar`] holds what a shard needs of its brokers: connections, lookups, and the backend's
//! half of every session. To drive it: hand in what happened (`handle_*`), pull what a broker's
//! bytes mean ([`Pulsar::next_event`]) and what happened besides ([`Pulsar::poll_event`]), do what
//! it wants of the outer world ([`Pulsar::poll_effect`], [`Pulsar::take_outbox`]), and come back
//! when its time has come ([`Pulsar::poll_timeout`]).
//!
//! ```text
//!  publish ─▶ producer ─▶ command ─▶ outbox ─▶ broker ─▶ reader ─▶ wire ─▶ dispatch ─▶ producer, consumer ─▶ event
//! ```
//!
//! Architecture invariants: it opens no socket, reads no clock and draws no chance but from its
//! seed; nothing here knows of WebSockets, JSON or the client; events name sessions by key.

mod armed;
mod backoff;
mod batch;
pub mod command;
mod connection;
pub mod consumer;
mod consuming;
mod crypto;
mod data_keys;
mod dead_letters;
mod dispatch;
mod ending;
mod error;
mod fan_in;
mod group;
mod half;
mod hash;
mod http_lookup;
mod incomplete;
mod leaving;
mod lookup;
pub mod message_id;
mod outbox;
pub mod payload;
mod producer;
pub mod proto;
mod reader;
mod request;
mod routing;
#[cfg(test)]
mod tests;
pub mod wire;

use std::{
    cell::Cell,
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use slotmap::SlotMap;

use crate::{
    config::{Config, EncryptionKeys},
    metrics::BackendFigures,
    session::{
        BadMessageId, Broker, Lane, Link, MessageId, OpenError, Publish, PublishError, SessionKey,
    },
    timer::{Instant, Now, Timers},
};
use backoff::Random;
use connection::{Address, Connection};
use crypto::Opener;
use data_keys::DataKeys;
use dead_letters::is_of_letters;
use error::exception;
use half::{Half, HalfKey, Role, State, half_key};
use lookup::Lookups;
use outbox::{Outbox, Segments};
use payload::Compressor;
use producer::{Stored, Way};
use request::Requests;

pub use connection::{ConnectionKey, ResolveKey};
pub use consuming::Entry;
pub use data_keys::DataKeyRequest;
pub use http_lookup::{Location, NotLocated};
pub use lookup::{LookupKey, Wanted};
pub use reader::Input;

/// What is chosen once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Service hosts, asked in turn.
    pub brokers: Vec<(String, u16)>,
    /// Topics' brokers are asked for outside: [`Effect::Locate`].
    pub locates_outside: bool,
    /// A request's time, and an opening session's.
    pub operation_timeout: Duration,
    /// For a host's addresses, and for TCP.
    pub connect_timeout: Duration,
    /// How often to ask a silent broker whether it is there; `None`: never.
    pub keep_alive_interval: Option<Duration>,
    /// The largest message, until the broker says how large.
    pub message_bytes_max: usize,
    /// Lookups under way at a time.
    pub lookups_max: usize,
    /// How often to ask whether a topic got more partitions.
    pub partitions_interval: Duration,
    /// Bytes of deliveries held for one session; then its broker gets no permits.
    pub held_bytes_max: usize,
    /// The same of all sessions.
    pub shard_held_bytes_max: usize,
    /// Bytes of chunked messages that are not complete, of all sessions.
    pub shard_incomplete_bytes_max: usize,
    /// What producers encrypt for.
    pub encryption_keys: EncryptionKeys,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            brokers: vec![("127.0.0.1".into(), 6650)],
            locates_outside: false,
            operation_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            keep_alive_interval: Some(Duration::from_secs(30)),
            message_bytes_max: wire::MESSAGE_BYTES_MAX_DEFAULT,
            lookups_max: 500,
            partitions_interval: Duration::from_secs(60),
            held_bytes_max: 8 << 20,
            shard_held_bytes_max: 256 << 20,
            shard_incomplete_bytes_max: 256 << 20,
            encryption_keys: EncryptionKeys::default(),
        }
    }
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        Self {
            brokers: config.brokers.clone(),
            locates_outside: !config.service_urls.is_empty(),
            operation_timeout: config.operation_timeout,
            connect_timeout: config.connect_timeout,
            keep_alive_interval: config.keep_alive_interval,
            partitions_interval: config.partitions_interval,
            held_bytes_max: config.held_deliveries_bytes_max,
            encryption_keys: config.encryption_keys.clone(),
            ..Self::default()
        }
    }
}

/// What a session is told.
#[derive(Debug)]
pub enum Event<'e> {
    /// The backend's half is ready.
    Opened {
        /// Whose.
        session: SessionKey,
    },
    /// The backend's half can't be made, and is forgotten.
    OpenFailed {
        /// Whose.
        session: SessionKey,
        /// Why.
        error: OpenError,
    },
    /// The oldest publish in flight of a lane was stored.
    Receipt {
        /// Whose.
        session: SessionKey,
        /// Which one's oldest.
        lane: Lane,
        /// Where.
        message_id: MessageId,
    },
    /// The oldest publish in flight of a lane failed.
    PublishFailed {
        /// Whose.
        session: SessionKey,
        /// Which one's oldest.
        lane: Lane,
        /// Why.
        error: PublishError,
    },
    /// Messages came.
    Entry(Entry<'e>),
    /// Deliveries that were not acknowledged are the broker's again. None at all is possible: then
    /// something came that is not for the client, or that is held and may be for it.
    Released {
        /// Whose.
        session: SessionKey,
        /// How many.
        messages: u32,
    },
    /// The subscription is still there.
    UnsubscribeFailed {
        /// Whose.
        session: SessionKey,
        /// Why.
        message: String,
    },
}

/// What the backend wants of the outer world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Look a name up; answer with [`Pulsar::handle_resolved`].
    Resolve {
        /// To be given back with the answer.
        request: ResolveKey,
        /// A host name, never an address.
        host: String,
        /// For the answer's addresses.
        port: u16,
    },
    /// Find a topic's broker; answer with [`Pulsar::handle_located`].
    Locate {
        /// To be given back with the answer.
        lookup: LookupKey,
        /// The topic's whole name.
        topic: String,
        /// What to ask.
        wanted: Wanted,
    },
    /// Open a TCP connection; answer with [`Pulsar::handle_connected`] or
    /// [`Pulsar::handle_disconnected`].
    Connect {
        /// Its name from now on.
        connection: ConnectionKey,
        /// Where to.
        address: SocketAddr,
    },
    /// Decrypt a data key, which would take too long here; answer with [`Pulsar::handle_data_key`], or
    /// with [`Pulsar::handle_no_data_key`] if it can't be done now.
    DecryptKey {
        /// To be given back with the answer.
        request: DataKeyRequest,
        /// The private key.
        name: String,
        /// The data key as it was encrypted.
        encrypted: Vec<u8>,
    },
    /// The connection's outbox went from empty to not empty: [`Pulsar::take_outbox`].
    Write(ConnectionKey),
    /// Close the socket, or give up connecting. The key is forgotten here.
    Disconnect(ConnectionKey),
}

/// Space that calls need and sessions don't keep.
#[derive(Default)]
pub struct Scratch {
    /// A frame that came in parts.
    frame: Vec<u8>,
    /// A payload that was compressed.
    decompressed: payload::Scratch,
}

impl Scratch {
    /// Space where entries are decrypted with these keys.
    #[must_use]
    pub fn new(keys: EncryptionKeys) -> Self {
        Self {
            decompressed: payload::Scratch::opening(Opener::new(keys)),
            ..Self::default()
        }
    }
}

/// What becomes due. Each is looked at when it fires: it may mean nothing any more.
#[derive(Clone, Copy, Debug)]
enum Timer {
    /// A host's addresses should be known.
    Resolve(ResolveKey),
    /// TCP should be up.
    Connect(ConnectionKey),
    /// CONNECTED should have come.
    Handshake(ConnectionKey),
    /// Is the broker there?
    KeepAlive(ConnectionKey),
    /// The oldest request's answer should have come.
    Request,
    /// A lookup's backoff is over.
    Lookup(LookupKey),
    /// A half's backoff is over.
    Wait(HalfKey),
    /// The oldest publish may have waited too long.
    Send(HalfKey),
    /// An open batch may have waited long enough.
    Batch(HalfKey),
    /// A consumer has something to do.
    Consumer(HalfKey),
    /// A topic may have more partitions.
    Partitions(HalfKey),
    /// A consumer whose session ended had its time.
    Leave(HalfKey),
    /// Data keys wait to be asked for.
    DataKeys,
    /// Consumers have more entries to read whose data key is known.
    Parked,
}

/// A batch that was stored, whose messages are told one by one.
#[derive(Debug)]
struct Unfolding {
    session: SessionKey,
    lane: Lane,
    stored: Stored,
    next: u32,
}

/// A shard's view of its brokers.
#[derive(Debug)]
pub struct Pulsar {
    settings: Settings,
    random: Random,
    /// Boxed, so that halves stay where they are when the map grows.
    halves: SlotMap<HalfKey, Box<Half>>,
    connections: SlotMap<ConnectionKey, Connection>,
    by_address: BTreeMap<Address, ConnectionKey>,
    resolves: SlotMap<ResolveKey, ConnectionKey>,
    lookups: Lookups,
    data_keys: DataKeys,
    requests: Requests,
    segments: Segments,
    compressor: Compressor,
    /// A batch that was stored, and how many of its messages were told.
    unfolding: Option<Unfolding>,
    /// Publishes are refused: the process has no memory for them.
    is_memory_full: bool,
    /// Publishes of producers that are not at a broker. Nothing of it is ever written.
    parked: Outbox,
    /// Bytes of deliveries held for all sessions.
    held: Rc<Cell<usize>>,
    /// What happened, for whoever tunes or watches the service.
    figures: BackendFigures,
    /// Bytes of chunked messages that are not complete, of all sessions.
    incomplete: Rc<Cell<usize>>,
    timers: Timers<Timer>,
    events: VecDeque<Event<'static>>,
    effects: VecDeque<Effect>,
    /// How many halves stay, though their session ended, until their broker was told of acknowledgements.
    leaving: usize,
    /// Consumers whose deadline may have moved; looked at before the next effect is given out.
    unarmed: Vec<HalfKey>,
}

impl Pulsar {
    /// A view without connections. `seed` makes every choice of chance repeatable.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            random: Random::new(seed),
            halves: SlotMap::with_key(),
            connections: SlotMap::with_key(),
            by_address: BTreeMap::new(),
            resolves: SlotMap::with_key(),
            lookups: Lookups::default(),
            data_keys: DataKeys::default(),
            requests: Requests::default(),
            segments: Segments::default(),
            compressor: Compressor::default(),
            unfolding: None,
            is_memory_full: false,
            parked: Outbox::default(),
            held: Rc::default(),
            figures: BackendFigures::new(),
            incomplete: Rc::default(),
            timers: Timers::new(),
            events: VecDeque::new(),
            effects: VecDeque::new(),
            leaving: 0,
            unarmed: Vec::new(),
        }
    }

    /// Time has come: runs every deadline that is due.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(timer) = self.timers.pop_due(now.mono) {
            match timer {
                Timer::Resolve(request) => self.resolve_timeout(now, request),
                Timer::Connect(connection) => self.connect_timeout(now, connection),
                Timer::Handshake(connection) => self.handshake_timeout(now, connection),
                Timer::KeepAlive(connection) => self.keep_alive(now, connection),
                Timer::Request => self.requests_timeout(now),
                Timer::Lookup(lookup) => self.lookup_again(now, lookup),
                Timer::Wait(half) => self.wait_over(now, half),
                Timer::Send(half) => self.send_timeout(now, half),
                Timer::Batch(half) => self.batch_timeout(now, half),
                Timer::Consumer(half) => self.consumer_timeout(now, half),
                Timer::Partitions(group) => self.count_partitions(now, group),
                Timer::Leave(half) => self.leave_timeout(now, half),
                Timer::DataKeys => self.ask_for_data_keys(),
                // Parked entries are looked at when the call is over.
                Timer::Parked => {}
            }
        }
    }

    /// When to call [`Pulsar::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next_deadline()
    }

    /// What is to be told and came without bytes: from deadlines, and from connections that ended.
    pub fn poll_event(&mut self, now: Now) -> Option<Event<'static>> {
        // Nearly always there is nothing, or the receipt of one message, which is for a session.
        if let Some(unfolding) = &self.unfolding {
            if !is_of_letters(unfolding.session) {
                return self.unfold();
            }
        } else if self.events.is_empty() {
            return None;
        }
        while let Some(event) = self.unfold().or_else(|| self.events.pop_front()) {
            if let Some(event) = self.tell(now, event) {
                return Some(event);
            }
        }
        None
    }

    /// The outcome of the next message of a batch. It comes before whatever happened after the
    /// batch was stored.
    fn unfold(&mut self) -> Option<Event<'static>> {
        let unfolding = self.unfolding.as_mut()?;
        let event = Event::Receipt {
            session: unfolding.session,
            lane: unfolding.lane,
            message_id: unfolding.stored.id(unfolding.next).encode(),
        };
        unfolding.next += 1;
        if unfolding.next >= unfolding.stored.messages {
            self.unfolding = None;
        }
        Some(event)
    }

    /// The next thing to do in the outer world. To be asked until there is none, before
    /// [`Pulsar::poll_timeout`] is.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.arm_consumers();
        self.effects.pop_front()
    }

    /// How many halves there are, those included whose session has ended and that are still being
    /// closed at their broker. A session has at least one, and none when all is done.
    #[must_use]
    pub fn links(&self) -> usize {
        self.halves.len()
    }

    /// The topic's full name, as it was asked for.
    #[must_use]
    pub fn topic(&self, link: Link) -> Option<&str> {
        let half = self.halves.get(half_key(link.0))?;
        Some(&half.topic)
    }

    /// The subscription of a consumer or reader.
    #[must_use]
    pub fn subscription(&self, link: Link) -> Option<&str> {
        match &self.halves.get(half_key(link.0))?.role {
            Role::Consumer(consuming) => Some(consuming.consumer.subscription()),
            Role::FanIn(fan_in) => fan_in.subscription(),
            _ => None,
        }
    }

    /// Bytes of deliveries that are held for all sessions.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.get()
    }

    /// A copy of what is counted here.
    pub fn figures(&mut self) -> BackendFigures {
        self.figures.snapshot()
    }

    /// Bytes of all publishes in flight, of all producers.
    #[must_use]
    pub fn publishes_bytes(&self) -> usize {
        self.segments.bytes_in_flight()
    }

    /// Bytes of a producer's publishes that have no outcome yet.
    #[must_use]
    pub fn in_flight_bytes(&self, link: Link) -> usize {
        match self.halves.get(half_key(link.0)).map(|half| &half.role) {
            Some(Role::Producer(producer)) => producer.in_flight_bytes(),
            Some(Role::Group(group)) => group.in_flight_bytes(),
            _ => 0,
        }
    }

    /// Whether publishes are refused because the process has no memory for them.
    pub const fn set_memory_full(&mut self, is_full: bool) {
        self.is_memory_full = is_full;
    }

    /// Sends what a producer has not sent yet.
    pub fn flush(&mut self, now: Now, link: Link) {
        let key = half_key(link.0);
        let parts = self.group(key).map(|group| group.parts.clone());
        for part in parts.unwrap_or_else(|| vec![key]) {
            self.close_batch(now, part);
        }
    }

    fn batch_timeout(&mut self, now: Now, key: HalfKey) {
        let Some(half) = self.halves.get_mut(key) else {
            return;
        };
        let Role::Producer(producer) = &mut half.role else {
            return;
        };
        let is_due = producer.batch_timer_fired(now.mono);
        // Without a broker there is no hurry: the batch grows until there is one.
        if !matches!(half.state, State::Ready { .. }) {
            return;
        }
        if is_due {
            self.close_batch(now, key);
        } else if let Some(deadline) = producer.arm_batch_timer() {
            self.timers.set(deadline, Timer::Batch(key));
        }
    }

    /// Sends a producer's open batch, if the producer is at its broker.
    fn close_batch(&mut self, now: Now, key: HalfKey) {
        if let Some(half) = self.halves.get_mut(key)
            && let (State::Ready { connection: at }, Role::Producer(producer)) =
                (&half.state, &mut half.role)
            && let Some(connection) = self.connections.get_mut(*at)
        {
            let at = *at;
            let mut way = Way {
                outbox: &mut connection.outbox,
                is_sent: true,
                segments: &mut self.segments,
                compressor: &mut self.compressor,
            };
            if producer.close_batch(now, &mut way) {
                self.announce(at);
            }
        }
    }

    fn send_timeout(&mut self, now: Now, key: HalfKey) {
        if let Some(half) = self.halves.get_mut(key)
            && let Role::Producer(producer) = &mut half.role
            && let Some(deadline) =
                producer.handle_timeout(now, &mut self.segments, &mut self.events)
        {
            self.timers.set(deadline, Timer::Send(key));
        }
    }

    fn publish_at(
        &mut self,
        now: Now,
        key: HalfKey,
        publish: &Publish<'_>,
    ) -> Result<Lane, PublishError> {
        let Some(half) = self.halves.get_mut(key) else {
            return Err(closed());
        };
        let Role::Producer(producer) = &mut half.role else {
            return self.publish_routed(now, key, publish);
        };
        let lane = producer.lane();
        let (outbox, connection) = match half.state {
            State::Ready { connection } => match self.connections.get_mut(connection) {
                Some(found) => (&mut found.outbox, Some(connection)),
                None => return Err(closed()),
            },
            State::Closing => return Err(closed()),
            _ if !half.is_open => {
                let text = exception("$NotConnectedException", "Not connected to broker");
                return Err(PublishError::Backend(text));
            }
            _ => (&mut self.parked, None),
        };
        let way = Way {
            outbox: &mut *outbox,
            is_sent: connection.is_some(),
            segments: &mut self.segments,
            compressor: &mut self.compressor,
        };
        let published = producer.publish(now, publish, self.is_memory_full, way);
        // Also where this message was refused, others may have been sent to make way for it.
        if let Some(at) = connection {
            if !outbox.is_announced && !outbox.is_empty() {
                outbox.is_announced = true;
                self.effects.push_back(Effect::Write(at));
            }
            if let Some(deadline) = producer.arm_batch_timer() {
                self.timers.set(deadline, Timer::Batch(key));
            }
        } else {
            self.parked.forget_ready();
        }
        if published.is_ok()
            && let Some(deadline) = producer.arm_timer(now)
        {
            self.timers.set(deadline, Timer::Send(key));
        }
        published.map(|()| lane)
    }
}

impl Broker for Pulsar {
    fn publish(
        &mut self,
        now: Now,
        link: Link,
        publish: &Publish<'_>,
    ) -> Result<Lane, PublishError> {
        self.publish_at(now, half_key(link.0), publish)
    }

    fn acknowledge(
        &mut self,
        now: Now,
        link: Link,
        message_id: &[u8],
    ) -> Result<bool, BadMessageId> {
        self.acknowledge_message(now, link, message_id)
    }

    fn negative_acknowledge(
        &mut self,
        now: Now,
        link: Link,
        message_id: &[u8],
    ) -> Result<bool, BadMessageId> {
        self.negative_acknowledge_message(now, link, message_id)
    }

    fn permit(&mut self, _now: Now, link: Link, messages: u32) {
        self.permit_messages(link, messages);
    }

    fn unsubscribe(&mut self, now: Now, link: Link) {
        self.unsubscribe_half(now, link);
    }

    fn end_of_topic(&self, link: Link) -> bool {
        match self.halves.get(half_key(link.0)).map(|half| &half.role) {
            Some(Role::Consumer(consuming)) => consuming.consumer.end_of_topic(),
            Some(Role::FanIn(_)) => self.all_ended(half_key(link.0)),
            _ => false,
        }
    }
}

fn closed() -> PublishError {
    PublishError::Backend(exception(
        "$AlreadyClosedException",
        "Producer already closed",
    ))
}
