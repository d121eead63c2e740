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
mod broker;
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
mod event;
mod fan_in;
mod figures;
mod group;
mod half;
mod hash;
mod http_lookup;
mod incomplete;
mod leaving;
mod lookup;
pub mod message_id;
mod outages;
mod outbox;
pub mod payload;
mod producer;
pub mod proto;
mod publishing;
mod reader;
mod request;
mod routing;
mod settings;
#[cfg(test)]
mod tests;
pub mod wire;

use std::{
    cell::Cell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
};

use slotmap::SlotMap;

use crate::{
    config::EncryptionKeys,
    metrics::BackendFigures,
    paged::Slots,
    session::{Lane, SessionKey},
    timer::{Instant, Now, Timers},
};
use backoff::Random;
use connection::{Address, Connection};
use crypto::Opener;
use data_keys::DataKeys;
use dead_letters::is_of_letters;
use half::{Half, HalfKey};
use lookup::Lookups;
use outages::Outages;
use outbox::{Outbox, Segments};
use payload::Compressor;
use producer::Stored;
use request::Requests;

pub use connection::{ConnectionKey, ResolveKey};
pub use consuming::Entry;
pub use data_keys::DataKeyRequest;
pub use event::{Effect, Event};
pub use http_lookup::{Location, NotLocated};
pub use lookup::{LookupKey, Wanted};
pub use reader::Input;
pub use settings::Settings;

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
    halves: Slots<HalfKey, Box<Half>>,
    connections: SlotMap<ConnectionKey, Connection>,
    by_address: BTreeMap<Address, ConnectionKey>,
    outages: Outages,
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
            halves: Slots::new(),
            connections: SlotMap::with_key(),
            by_address: BTreeMap::new(),
            outages: Outages::default(),
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

    /// Whether publishes are refused because the process has no memory for them.
    pub const fn set_memory_full(&mut self, is_full: bool) {
        self.is_memory_full = is_full;
    }
}
