//! Everything around a shard: sockets, names, time, and the choice of what happens next.
//!
//! It drives the shard as the runtime does: one completion, one call, then all effects; one read
//! and one write a socket at a time; a paused client is not read until the shard says so.

use std::{collections::VecDeque, hash::Hasher, net::SocketAddr, sync::Arc};

use pulsar_ws_fast::{
    config::Config,
    pulsar::ResolveKey,
    shard::Shard,
    timer::{Instant, Now},
};

use super::{
    actor::{Actor, Role, Scene, Stage},
    broker::Broker,
    judge::Judge,
    rng::Rng,
    socket::{BrokerSocket, ClientSocket},
    topic::Place,
    twists::Twists,
};

/// 2026-01-01, so that times are real ones.
const EPOCH_MS: u64 = 1_767_225_600_000;
pub(crate) const MILLISECOND: u64 = 1_000_000;

/// What a client needs of the world, its own place in it left out.
macro_rules! scene {
    ($world:ident) => {
        Scene {
            broker: &$world.broker,
            judge: &mut $world.judge,
            rng: &mut $world.rng,
            quiet: $world.quiet,
            faults: $world.faults,
            draining: $world.draining,
            twists: $world.twists,
        }
    };
}

pub(super) use scene;

/// A client with its socket.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) actor: Actor,
    pub(crate) socket: ClientSocket,
}

/// The world.
pub(crate) struct World {
    pub(crate) shard: Shard,
    pub(crate) broker: Broker,
    pub(crate) judge: Judge,
    pub(crate) rng: Rng,
    /// By slot; a slot has one client at a time.
    pub(crate) clients: Vec<Option<Client>>,
    pub(crate) links: Vec<BrokerSocket>,
    pub(super) resolving: Vec<(ResolveKey, String, u16)>,
    pub(crate) now: u64,
    pub(super) next_connection: u32,
    /// Bytes that a kernel holds for a client that does not read.
    pub(crate) capacity: usize,
    pub(crate) quiet: bool,
    pub(crate) faults: bool,
    pub(crate) draining: bool,
    pub(crate) twists: Twists,
    /// How far a step of time leads at most, in nanoseconds.
    pub(crate) pace: u64,
    /// One connect in so many fails; 0: none.
    pub(crate) connect_errors: usize,
    pub(crate) drained: bool,
    pub(super) broker_idle: bool,
    pub(crate) trace: Trace,
}

/// What happened, in short: the last of it as text, all of it as a number.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) last: VecDeque<String>,
    pub(crate) hash: std::hash::DefaultHasher,
    pub(crate) steps: usize,
}

impl Trace {
    const KEPT: usize = 60;

    pub(crate) fn note(&mut self, text: String) {
        log!("{text}");
        self.hash.write(text.as_bytes());
        if self.last.len() == Self::KEPT {
            self.last.pop_front();
        }
        self.last.push_back(text);
    }
}

/// Something that could happen next.
#[derive(Clone, Copy, Debug)]
enum Happening {
    ToShard(usize),
    ToClient(usize),
    ClientWrite(usize),
    Act(usize),
    Connect(usize),
    LinkToShard(usize),
    LinkToBroker(usize),
    LinkWrite(usize),
    Resolve(usize),
    Broker,
    Time,
}

impl World {
    pub(crate) fn new(config: Config, broker: Broker, slots: usize, seed: u64) -> Self {
        let zone = jiff::tz::TimeZone::UTC;
        Self {
            shard: Shard::new(Arc::new(config), 0, seed, zone),
            broker,
            judge: Judge::default(),
            rng: Rng::new(seed),
            clients: (0..slots).map(|_| None).collect(),
            links: Vec::new(),
            resolving: Vec::new(),
            now: 0,
            next_connection: 0,
            capacity: 64 * 1024,
            quiet: false,
            faults: false,
            draining: false,
            twists: Twists::default(),
            pace: MILLISECOND,
            connect_errors: 0,
            drained: false,
            broker_idle: false,
            trace: Trace::default(),
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            mono: Instant(self.now),
            wall_ms: EPOCH_MS + self.now / MILLISECOND,
        }
    }

    /// A client connects.
    pub(crate) fn connect(&mut self, slot: usize, actor: Actor) {
        let peer = SocketAddr::from(([127, 0, 0, 1], 40_000));
        let local = SocketAddr::from(([127, 0, 0, 1], 8080));
        let key = self.shard.handle_accepted(self.now(), peer, local);
        self.trace.note(format!("{} connects", actor.name));
        let mut socket = ClientSocket::new(key);
        let mut actor = actor;
        socket.to_shard.push(&std::mem::take(&mut actor.ws.out));
        self.clients[slot] = Some(Client { actor, socket });
        self.effects();
    }

    /// One thing happens; tells whether anything could.
    pub(crate) fn step(&mut self, wake: Option<u64>) -> bool {
        self.trace.steps += 1;
        self.broker.wall_ms = self.now().wall_ms;
        self.broker.now = self.now;
        let mut could = self.happenings();
        if could.is_empty() {
            return self.sleep(wake);
        }
        if self.rng.one_in(20) {
            could.push(Happening::Time);
        }
        let happening = *self.rng.pick(&could);
        self.trace.note(format!("{} {happening:?}", self.now));
        match happening {
            Happening::ToShard(slot) => self.read_client(slot),
            Happening::ToClient(slot) => self.tell_client(slot),
            Happening::ClientWrite(slot) => self.client_write(slot),
            Happening::Act(slot) => self.act(slot),
            Happening::Connect(link) => self.connected(link),
            Happening::LinkToShard(link) => {
                let mut bytes = self.links[link].to_shard.piece(&mut self.rng);
                self.shard
                    .handle_broker_bytes(self.now(), self.links[link].key, &mut bytes);
            }
            Happening::LinkToBroker(link) => {
                let bytes = self.links[link].to_broker.piece(&mut self.rng);
                self.broker.bytes(self.links[link].connection, &bytes);
                self.broker_idle = false;
            }
            Happening::LinkWrite(link) => self.link_write(link),
            Happening::Resolve(index) => self.resolve(index),
            Happening::Broker => {
                let stepped = self.broker.step(self.now, &mut self.rng, &mut self.judge);
                self.broker_idle = !stepped;
                self.mark_rewinds();
            }
            Happening::Time => {
                let ahead = self.rng.next() % self.pace;
                self.pass(self.now + ahead);
            }
        }
        self.effects();
        self.carry();
        true
    }

    fn happenings(&self) -> Vec<Happening> {
        let mut could = Vec::new();
        for (slot, client) in self.clients.iter().enumerate() {
            let Some(Client { actor, socket }) = client else {
                continue;
            };
            if socket.finished.is_none() && socket.reading && !socket.to_shard.is_empty() {
                could.push(Happening::ToShard(slot));
            }
            let reads = self.quiet || !actor.is_deaf || socket.finished.is_some();
            if reads && (!socket.to_client.is_empty() || socket.to_client.closed) {
                could.push(Happening::ToClient(slot));
            }
            let room = socket.to_client.len() < self.capacity;
            let last = socket.finished.is_some() && !socket.to_client.closed;
            if (socket.writing.is_some() && room) || (socket.writing.is_none() && last) {
                could.push(Happening::ClientWrite(slot));
            }
            let unsent = socket.to_shard.len() < self.capacity;
            if unsent && actor.restless(self.quiet, &self.judge) {
                could.push(Happening::Act(slot));
            }
        }
        for (link, socket) in self.links.iter().enumerate() {
            if !socket.up {
                could.push(Happening::Connect(link));
            }
            if !socket.to_shard.is_empty() {
                could.push(Happening::LinkToShard(link));
            }
            if !socket.to_broker.is_empty() {
                could.push(Happening::LinkToBroker(link));
            }
            if socket.writing.is_some() {
                could.push(Happening::LinkWrite(link));
            }
        }
        could.extend((0..self.resolving.len()).map(Happening::Resolve));
        if !self.broker_idle {
            could.push(Happening::Broker);
        }
        could
    }

    /// Nothing can happen but time.
    fn sleep(&mut self, wake: Option<u64>) -> bool {
        let timeout = self.shard.poll_timeout().map(|deadline| deadline.0);
        let stalled = self.broker.connections.values().map(|it| it.stalled_until);
        let stalled = stalled.filter(|until| *until > self.now).min();
        let Some(until) = [timeout, wake, stalled].into_iter().flatten().min() else {
            return false;
        };
        // A machine that asks for the past would spin for ever.
        let until = until.max(self.now + 1);
        self.trace
            .note(format!("{} sleeps until {until}", self.now));
        self.pass(until);
        self.effects();
        self.carry();
        true
    }

    fn pass(&mut self, until: u64) {
        self.now = until;
        self.broker_idle = false;
        if self
            .shard
            .poll_timeout()
            .is_some_and(|deadline| deadline.0 <= until)
        {
            self.shard.handle_timeout(self.now());
            let next = self.shard.poll_timeout().map(|deadline| deadline.0);
            assert!(
                next.is_none_or(|next| next > until),
                "a timeout leaves nothing due"
            );
        }
    }

    /// Moves what the actors and the broker have to say into their pipes.
    pub(crate) fn carry(&mut self) {
        for client in self.clients.iter_mut().flatten() {
            client
                .socket
                .to_shard
                .push(&std::mem::take(&mut client.actor.ws.out));
        }
        for link in &mut self.links {
            if let Some(connection) = self.broker.connections.get_mut(&link.connection) {
                link.to_shard.push(&std::mem::take(&mut connection.out));
            }
        }
    }

    /// Every consumer that is there asks whether its topic has ended.
    pub(crate) fn ask_for_the_end(&mut self) {
        for client in self.clients.iter_mut().flatten() {
            if let Role::Consumer(consumer) = &mut client.actor.role
                && client.actor.stage == Stage::Open
            {
                consumer.ask(&mut client.actor.ws, &mut scene!(self));
            }
        }
        self.carry();
    }

    /// Acknowledgements of sessions that have ended, of which the broker was not told.
    pub(crate) fn untold(&self) -> Vec<(String, Vec<Place>)> {
        let leaving = self.judge.leaving(self.now);
        let untold = leaving.map(|(name, (topic, subscription))| {
            let owed = self.judge.owed(name);
            let places = self.broker.untold(*topic, subscription, &owed);
            (name.clone(), places)
        });
        untold.filter(|(_, places)| !places.is_empty()).collect()
    }

    /// Something about the broker changed from outside.
    pub(crate) fn wake_broker(&mut self) {
        self.broker_idle = false;
    }
}
