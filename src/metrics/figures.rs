//! What a shard and its backend count for whoever tunes or watches the service, and a copy of it all.
//!
//! Plain numbers that one shard alone changes. What they are called outside, and what each means, stands in
//! [`super::table`].

use super::Histogram;

/// What a session does, as a label's place among `ENDPOINTS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Publishes.
    Producer,
    /// Consumes.
    Consumer,
    /// Reads.
    Reader,
}

pub(super) const ENDPOINTS: [&str; 3] = ["producer", "consumer", "reader"];

/// Why a client is not read any further, as a label's place among `BOUNDS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// It does not read its replies.
    Replies,
    /// Too much of what it published is in flight.
    ClientPublishes,
    /// Too much is in flight in the whole process.
    ProcessPublishes,
    /// It speaks too much before it got its 101.
    EarlyBytes,
    /// As many handshakes are under way as may.
    Handshakes,
    /// The service drains.
    Drain,
}

pub(super) const BOUNDS: [&str; 6] = [
    "replies",
    "client_publishes",
    "process_publishes",
    "early_bytes",
    "handshakes",
    "drain",
];

/// Who ended a session, as a label's place among `ENDERS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ender {
    /// The client said goodbye first.
    Client,
    /// We did.
    Service,
    /// Nobody did: the connection was lost.
    Loss,
}

pub(super) const ENDERS: [&str; 3] = ["client", "service", "loss"];

/// Classes of HTTP statuses.
pub(super) const STATUSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What happened since a shard began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes of clients, handshakes included.
    pub client_bytes_in: u64,
    /// The other way.
    pub client_bytes_out: u64,
    /// Bytes of brokers.
    pub broker_bytes_in: u64,
    /// The other way.
    pub broker_bytes_out: u64,
    /// Text messages of clients.
    pub client_messages: u64,
    /// Receipts, failures and entries of brokers.
    pub broker_messages: u64,
    /// Publishes that got their receipt.
    pub published: u64,
    /// Bytes of their payloads.
    pub published_bytes: u64,
    /// Publishes that failed.
    pub publish_failures: u64,
    /// Messages of clients that mean nothing here.
    pub rejected: u64,
    /// Messages for clients.
    pub delivered: u64,
    /// Bytes of their payloads.
    pub delivered_bytes: u64,
    /// Messages that clients acknowledged.
    pub acknowledged: u64,
    /// Entries that had to wait for their client.
    pub held_entries: u64,
    /// Clients that were given up because they cost more than they may.
    pub given_up: u64,
    opened: [u64; ENDPOINTS.len()],
    closed: [u64; ENDPOINTS.len()],
    ended: [u64; ENDERS.len()],
    answers: [u64; STATUSES.len()],
    stops: [u64; BOUNDS.len()],
}

impl Counters {
    /// A request was answered.
    pub fn answered(&mut self, status: u16) {
        let class = usize::from(status / 100).wrapping_sub(1);
        if let Some(count) = self.answers.get_mut(class) {
            *count += 1;
        }
    }

    /// A session began.
    pub const fn opened(&mut self, endpoint: Endpoint) {
        self.opened[endpoint as usize] += 1;
    }

    /// A session is over.
    pub const fn ended(&mut self, endpoint: Endpoint, ender: Ender) {
        self.closed[endpoint as usize] += 1;
        self.ended[ender as usize] += 1;
    }

    /// A client is not read any further.
    pub const fn stopped(&mut self, bound: Bound) {
        self.stops[bound as usize] += 1;
    }

    pub(super) const fn sessions_opened(&self, endpoint: usize) -> u64 {
        self.opened[endpoint]
    }

    pub(super) const fn sessions(&self, endpoint: usize) -> u64 {
        self.opened[endpoint] - self.closed[endpoint]
    }

    pub(super) const fn sessions_ended(&self, ender: usize) -> u64 {
        self.ended[ender]
    }

    pub(super) const fn answers(&self, class: usize) -> u64 {
        self.answers[class]
    }

    pub(super) const fn stops(&self, bound: usize) -> u64 {
        self.stops[bound]
    }
}

/// What a shard counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// From the turn in which a publish was taken up to its reply, in nanoseconds.
    pub publish_latency: Histogram,
    /// From the turn that brought a message to its place in the outbox, in nanoseconds.
    pub delivery_latency: Histogram,
    /// Calls into the shard, in nanoseconds.
    pub turns: Histogram,
    /// Messages of clients, by turn that brought any.
    pub client_messages: Histogram,
    /// Receipts and entries of brokers, by turn that brought any.
    pub broker_messages: Histogram,
    /// Messages of each entry that came.
    pub entry_messages: Histogram,
    /// The rest.
    pub counters: Counters,
}

impl Figures {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            publish_latency: Histogram::of_nanos(),
            delivery_latency: Histogram::of_nanos(),
            turns: Histogram::of_nanos(),
            client_messages: Histogram::of_messages(),
            broker_messages: Histogram::of_messages(),
            entry_messages: Histogram::of_messages(),
            counters: Counters::default(),
        }
    }

    /// A publish got its receipt.
    #[inline]
    pub fn published(&mut self, nanos: u64, bytes: usize) {
        self.publish_latency.record(nanos);
        self.counters.published += 1;
        self.counters.published_bytes += bytes as u64;
    }

    /// A message went into a client's outbox.
    #[inline]
    pub fn delivered(&mut self, nanos: u64, bytes: usize) {
        self.delivery_latency.record(nanos);
        self.counters.delivered += 1;
        self.counters.delivered_bytes += bytes as u64;
    }

    /// A copy, to be told elsewhere.
    pub fn snapshot(&mut self) -> Self {
        Self {
            publish_latency: self.publish_latency.snapshot(),
            delivery_latency: self.delivery_latency.snapshot(),
            turns: self.turns.snapshot(),
            client_messages: self.client_messages.snapshot(),
            broker_messages: self.broker_messages.snapshot(),
            entry_messages: self.entry_messages.snapshot(),
            counters: self.counters,
        }
    }
}

/// What a shard's backend counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendFigures {
    /// From the turn in which an entry was written to its receipt, in nanoseconds.
    pub round_trip: Histogram,
    /// Messages of each entry that was stored.
    pub entry_messages: Histogram,
    /// Connections that a broker took.
    pub connections_opened: u64,
    /// Of those, the ones that are over.
    pub connections_lost: u64,
    /// Connections that no broker took.
    pub connections_failed: u64,
}

impl BackendFigures {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            round_trip: Histogram::of_nanos(),
            entry_messages: Histogram::of_messages(),
            connections_opened: 0,
            connections_lost: 0,
            connections_failed: 0,
        }
    }

    /// An entry was stored.
    #[inline]
    pub fn stored(&mut self, nanos: u64, messages: u32) {
        self.round_trip.record(nanos);
        self.entry_messages.record(u64::from(messages));
    }

    /// A copy, to be told elsewhere.
    pub fn snapshot(&mut self) -> Self {
        Self {
            round_trip: self.round_trip.snapshot(),
            entry_messages: self.entry_messages.snapshot(),
            ..*self
        }
    }
}

/// What a core has at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Clients, whether or not they have their 101.
    pub clients: u64,
    /// Bytes of publishes without receipt.
    pub in_flight_bytes: u64,
    /// Bytes of deliveries that wait for their client.
    pub held_bytes: u64,
    /// Bytes of messages that have not arrived whole.
    pub incomplete_bytes: u64,
    /// Bytes of buffers that are kept for outboxes.
    pub spare_bytes: u64,
    /// Read buffers that are lent to sockets of clients, and of brokers.
    pub buffers_lent: [u64; 2],
    /// Read buffers that there are.
    pub buffers_made: [u64; 2],
}

/// All of one core, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Core {
    /// Which one.
    pub index: usize,
    /// Nanoseconds since the process began.
    pub uptime_nanos: u64,
    /// Milliseconds since the epoch.
    pub wall_ms: u64,
    /// The shard's.
    pub figures: Figures,
    /// Its backend's.
    pub backend: BackendFigures,
    /// As it is.
    pub gauges: Gauges,
}
