//! What the shard wants, done as the runtime does it.

use std::net::SocketAddr;

use pulsar_ws_fast::{session::SessionKey, shard::Effect};

use super::{
    actor::End,
    socket::{BrokerSocket, Pipe, Write},
    topic::Handle,
    world::{Client, World},
};

impl World {
    fn slot_of(&self, key: SessionKey) -> Option<usize> {
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
                        self.judge.ended(&client.actor.name, self.now);
                    }
                }
                Effect::Abort(key) => {
                    let Some(slot) = self.slot_of(key) else {
                        continue;
                    };
                    if let Some(mut client) = self.clients[slot].take() {
                        client.actor.end = Some(End::Dropped);
                        self.trace.note(format!("{} is dropped", client.actor.name));
                        self.judge.ended(&client.actor.name, self.now);
                    }
                }
                Effect::Survey { .. } | Effect::LookAtStatusFile(_) | Effect::DecryptKey { .. } => {
                    panic!("nobody asks for that")
                }
                Effect::Locate { topic, .. } => panic!("nobody is asked over HTTP: {topic}"),
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
                        to_broker: Pipe::default(),
                        to_shard: Pipe::default(),
                        writing: None,
                        wants_write: false,
                    });
                }
                Effect::Disconnect(key) => {
                    let link = self.links.iter().position(|link| link.key == key);
                    let socket = self.links.remove(link.expect("a connection that exists"));
                    let lives = |handle: &Handle| handle.0 == socket.connection;
                    let inhabited = self.broker.producers.keys().any(lives)
                        || self.broker.consumers.keys().any(lives);
                    assert!(self.faults || !inhabited, "the shard cuts itself off");
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
                    let untold = self.untold();
                    let is_cut_short = self.shard.is_cut_short();
                    assert!(untold.is_empty() || is_cut_short, "drained: {untold:?}");
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
