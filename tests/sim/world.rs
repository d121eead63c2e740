//! Everything around a shard: sockets, names, time, and the choice of what happens next.
//!
//! It drives the shard as the runtime does: one completion, one call, then all effects; one read
//! and one write a socket at a time; a paused client is not read until the shard says so.

use std::{collections::VecDeque, hash::Hasher, net::SocketAddr, sync::Arc};

use pulsar_ws_fast::{
    config::Config,
    pulsar::ResolveKey,
    shard::{Effect, Shard},
    timer::{Instant, Now},
};

use super::{
    actor::{Actor, End, Role, Scene, Stage},
    broker::Broker,
    judge::Judge,
    rng::Rng,
    socket::{BrokerSocket, ClientSocket, Write},
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
        }
    };
}

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
    resolving: Vec<(ResolveKey, String, u16)>,
    pub(crate) now: u64,
    next_connection: u32,
    /// Bytes that a kernel holds for a client that does not read.
    pub(crate) capacity: usize,
    pub(crate) quiet: bool,
    pub(crate) faults: bool,
    pub(crate) draining: bool,
    /// How far a step of time leads at most, in nanoseconds.
    pub(crate) pace: u64,
    /// One connect in so many fails; 0: none.
    pub(crate) connect_errors: usize,
    pub(crate) drained: bool,
    broker_idle: bool,
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
            Happening::ToShard(slot) => self.to_shard(slot),
            Happening::ToClient(slot) => self.to_client(slot),
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
            if !socket.to_client.is_empty() || socket.to_client.closed {
                could.push(Happening::ToClient(slot));
            }
            let room = socket.to_client.len() < self.capacity;
            let last = socket.finished.is_some() && !socket.to_client.closed;
            if (socket.writing.is_some() && room) || (socket.writing.is_none() && last) {
                could.push(Happening::ClientWrite(slot));
            }
            let unsent = socket.to_shard.len() < self.capacity;
            if unsent && actor.restless(self.quiet) {
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

    fn to_shard(&mut self, slot: usize) {
        let now = self.now();
        let Some(Client { actor, socket }) = &mut self.clients[slot] else {
            return;
        };
        let mut bytes = socket.to_shard.piece(&mut self.rng);
        self.shard.handle_client_bytes(now, socket.key, &mut bytes);
        socket.arrived += bytes.len() as u64;
        socket.reading = self.shard.reads_client(socket.key);
        let consumes = matches!(actor.role, Role::Consumer(_));
        self.effects();
        let taken = self.clients[slot].as_ref();
        let taken = taken.is_some_and(|it| it.socket.reading || it.socket.finished.is_some());
        if consumes && taken {
            self.settle(slot);
        }
    }

    /// Acknowledgements that arrived count from now on.
    fn settle(&mut self, slot: usize) {
        let Some(Client { actor, socket }) = &mut self.clients[slot] else {
            return;
        };
        let all_told = !socket.wants_write;
        let told = all_told.then_some(socket.told);
        if let Role::Consumer(consumer) = &mut actor.role {
            consumer.settle(&actor.name, socket.arrived, told, &mut self.judge);
        }
    }

    fn to_client(&mut self, slot: usize) {
        let Some(Client { actor, socket }) = &mut self.clients[slot] else {
            return;
        };
        let bytes = socket.to_client.piece(&mut self.rng);
        let ended = bytes.is_empty() && socket.to_client.closed;
        let mut scene = scene!(self);
        actor.bytes(&bytes, &mut scene);
        if ended && actor.end.is_none() {
            actor.end = Some(End::Dropped);
        }
        if ended {
            self.ended(slot);
        }
    }

    fn act(&mut self, slot: usize) {
        let Some(Client { actor, .. }) = &mut self.clients[slot] else {
            return;
        };
        let mut scene = scene!(self);
        actor.act(&mut scene);
        if actor.end.is_some() {
            self.ended(slot);
        }
    }

    /// The client is gone; the shard is told unless it ended the session itself.
    fn ended(&mut self, slot: usize) {
        let Some(Client { actor, socket }) = self.clients[slot].take() else {
            return;
        };
        self.trace
            .note(format!("{} ends: {:?}", actor.name, actor.end));
        if socket.finished.is_none() && !socket.to_client.closed {
            self.shard
                .handle_client_closed(self.now(), socket.key, "gone");
            return;
        }
        let orderly = actor.end == Some(End::Closed(Some(1000)));
        let drained = actor.end == Some(End::Closed(Some(1001))) && !self.faults;
        if let (Role::Producer(producer), true) = (&actor.role, orderly || drained) {
            let scene = scene!(self);
            producer.nothing_unconfirmed(&actor.name, &scene);
        }
    }

    fn client_write(&mut self, slot: usize) {
        let now = self.now();
        let Some(Client { socket, .. }) = &mut self.clients[slot] else {
            return;
        };
        if let Some(write) = &mut socket.writing {
            let done = write.progress(&mut socket.to_client, self.capacity);
            let known = socket.finished.is_none();
            if !done {
                if known {
                    self.shard.handle_client_progress(now, socket.key);
                }
                return;
            }
            let write = socket.writing.take().expect("just looked at");
            if known {
                let key = socket.key;
                self.shard.handle_client_written(now, key, write.buffer);
                self.effects();
                self.take_outbox(slot);
            }
        } else if let Some(last) = &mut socket.finished {
            socket.to_client.push(&std::mem::take(last));
            socket.to_client.closed = true;
        }
    }

    /// Begins the write that waited for the one before.
    fn take_outbox(&mut self, slot: usize) {
        let Some(Client { socket, .. }) = &mut self.clients[slot] else {
            return;
        };
        if !socket.wants_write || socket.writing.is_some() || socket.finished.is_some() {
            return;
        }
        socket.wants_write = false;
        if let Some(bytes) = self.shard.take_client_outbox(socket.key) {
            assert!(!bytes.is_empty(), "a write of nothing");
            socket.told += bytes.len() as u64;
            socket.writing = Some(Write::new(bytes));
        }
    }

    fn connected(&mut self, link: usize) {
        let now = self.now();
        let socket = &mut self.links[link];
        if self.connect_errors > 0 && self.rng.one_in(self.connect_errors) {
            let socket = self.links.remove(link);
            self.shard
                .handle_disconnected(now, socket.key, "connection refused");
            return;
        }
        socket.up = true;
        self.broker.accept(socket.connection, socket.host);
        self.shard.handle_connected(now, socket.key);
    }

    fn link_write(&mut self, link: usize) {
        let socket = &mut self.links[link];
        let Some(write) = &mut socket.writing else {
            return;
        };
        if !write.progress(&mut socket.to_broker, self.capacity) {
            return;
        }
        socket.writing = None;
        if socket.wants_write {
            socket.wants_write = false;
            socket.writing = self.shard.take_broker_outbox(socket.key).map(Write::new);
        }
    }

    fn resolve(&mut self, index: usize) {
        let (request, host, port) = self.resolving.swap_remove(index);
        let host = host.strip_prefix("broker-").expect("a host of ours");
        let host: u8 = host.parse().expect("a host of ours");
        let answer = if self.connect_errors > 0 && self.rng.one_in(self.connect_errors) {
            Err("no such name, for now".to_owned())
        } else {
            Ok(vec![SocketAddr::from(([10, 0, 0, host + 1], port))])
        };
        self.shard.handle_resolved(self.now(), request, answer);
    }

    /// A connection to a broker breaks, wherever its bytes are.
    pub(crate) fn cut(&mut self, link: usize) {
        let socket = self.links.remove(link);
        self.trace.note(format!("{} is cut", socket.connection));
        if socket.up {
            self.broker.disconnected(socket.connection, &mut self.judge);
        }
        self.shard
            .handle_disconnected(self.now(), socket.key, "reset by peer");
        self.effects();
        self.broker_idle = false;
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

    /// Something about the broker changed from outside.
    pub(crate) fn wake_broker(&mut self) {
        self.broker_idle = false;
    }

    fn slot_of(&self, key: pulsar_ws_fast::session::SessionKey) -> Option<usize> {
        let held = |client: &Option<Client>| client.as_ref().is_some_and(|it| it.socket.key == key);
        self.clients.iter().position(held)
    }

    /// Does what the shard wants, until it wants nothing.
    pub(crate) fn effects(&mut self) {
        while let Some(effect) = self.shard.poll_effect() {
            self.trace.note(brief(&effect));
            match effect {
                Effect::WriteClient(key) => {
                    let Some(slot) = self.slot_of(key) else {
                        continue;
                    };
                    if let Some(client) = &mut self.clients[slot] {
                        client.socket.wants_write = true;
                    }
                    self.take_outbox(slot);
                }
                Effect::WriteBroker(key) => {
                    let link = self.links.iter_mut().find(|link| link.key == key);
                    let link = link.expect("a write to a connection that exists");
                    match link.writing {
                        Some(_) => link.wants_write = true,
                        None => link.writing = self.shard.take_broker_outbox(key).map(Write::new),
                    }
                }
                Effect::Read(key) => {
                    if let Some(slot) = self.slot_of(key)
                        && let Some(client) = &mut self.clients[slot]
                    {
                        client.socket.reading = self.shard.reads_client(key);
                        self.settle(slot);
                    }
                }
                Effect::Finish { client, last } => {
                    let Some(slot) = self.slot_of(client) else {
                        continue;
                    };
                    if let Some(client) = &mut self.clients[slot] {
                        client.socket.finished = Some(last);
                    }
                }
                Effect::Abort(key) => {
                    let Some(slot) = self.slot_of(key) else {
                        continue;
                    };
                    if let Some(mut client) = self.clients[slot].take() {
                        client.actor.end = Some(End::Dropped);
                        self.trace.note(format!("{} is dropped", client.actor.name));
                    }
                }
                Effect::Connect {
                    connection,
                    address,
                } => {
                    let SocketAddr::V4(address) = address else {
                        panic!("{address}")
                    };
                    let host = usize::from(address.ip().octets()[3]) - 1;
                    assert!(
                        host < self.broker.hosts && address.port() == 6650,
                        "{address}"
                    );
                    self.next_connection += 1;
                    self.links.push(BrokerSocket {
                        key: connection,
                        connection: self.next_connection,
                        host,
                        up: false,
                        to_broker: super::socket::Pipe::default(),
                        to_shard: super::socket::Pipe::default(),
                        writing: None,
                        wants_write: false,
                    });
                }
                Effect::Disconnect(key) => {
                    let link = self.links.iter().position(|link| link.key == key);
                    let socket = self.links.remove(link.expect("a connection that exists"));
                    if socket.up {
                        self.broker.disconnected(socket.connection, &mut self.judge);
                    }
                }
                Effect::Resolve {
                    request,
                    host,
                    port,
                } => self.resolving.push((request, host, port)),
                Effect::Drained => {
                    assert!(!self.drained, "drained twice");
                    self.drained = true;
                }
            }
        }
    }
}

fn brief(effect: &Effect) -> String {
    match effect {
        Effect::Finish { client, last } => format!("  Finish({client:?}, {} bytes)", last.len()),
        other => format!("  {other:?}"),
    }
}
