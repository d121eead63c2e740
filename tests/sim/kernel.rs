//! Completions as a kernel reports them: reads, writes, connects, ends.

use std::net::SocketAddr;

use super::{
    actor::{End, Role, Scene},
    socket::Write,
    world::{Client, World, scene},
};

impl World {
    pub(super) fn read_client(&mut self, slot: usize) {
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
    pub(super) fn settle(&mut self, slot: usize) {
        let Some(Client { actor, socket }) = &mut self.clients[slot] else {
            return;
        };
        let all_told = !socket.wants_write;
        let told = all_told.then_some(socket.told);
        let now = self.now;
        if let Role::Consumer(consumer) = &mut actor.role {
            consumer.settle(&actor.name, socket.arrived, told, now, &mut self.judge);
        }
    }

    pub(super) fn tell_client(&mut self, slot: usize) {
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

    pub(super) fn act(&mut self, slot: usize) {
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
    pub(super) fn ended(&mut self, slot: usize) {
        let Some(Client { actor, socket }) = self.clients[slot].take() else {
            return;
        };
        self.trace
            .note(format!("{} ends: {:?}", actor.name, actor.end));
        self.judge.ended(&actor.name, self.now);
        if socket.finished.is_none() && !socket.to_client.closed {
            self.shard
                .handle_client_closed(self.now(), socket.key, "gone");
            return;
        }
        let orderly = actor.end == Some(End::Closed(Some(1000)));
        // Whoever is left at the drain's deadline is told so, too.
        let in_time = !self.faults && !self.shard.is_cut_short();
        let drained = actor.end == Some(End::Closed(Some(1001))) && in_time;
        if let (Role::Producer(producer), true) = (&actor.role, orderly || drained) {
            let scene = scene!(self);
            producer.nothing_unconfirmed(&actor.name, &scene);
        }
    }

    pub(super) fn client_write(&mut self, slot: usize) {
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
    pub(super) fn take_outbox(&mut self, slot: usize) {
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

    pub(super) fn connected(&mut self, link: usize) {
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

    pub(super) fn link_write(&mut self, link: usize) {
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

    pub(super) fn resolve(&mut self, index: usize) {
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

    /// What is sent again because all was asked for again may be told apart from what was sent before
    /// by when it reaches the client.
    pub(super) fn mark_rewinds(&mut self) {
        for name in std::mem::take(&mut self.broker.rewound) {
            for client in self.clients.iter_mut().flatten() {
                if let Role::Consumer(consumer) = &mut client.actor.role
                    && client.actor.name == name
                {
                    let socket = &client.socket;
                    consumer.rewound_at = (!socket.wants_write).then_some(socket.told);
                }
            }
        }
    }

    /// A connection to a broker breaks, wherever its bytes are.
    pub(crate) fn cut(&mut self, link: usize) {
        self.broker.now = self.now;
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
}
