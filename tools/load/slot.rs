//! What workers are given, and what they tell.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        mpsc::{Receiver, Sender},
    },
};

use crate::{
    bytes::Bytes, client::Client, clock::Clock, consumer::Consumer, deflate::Deflate,
    publisher::Publisher, tally::Latencies, window::Shared,
};

/// What a client is for.
pub(crate) enum Role {
    Publish(Box<Publisher>),
    Consume(Box<Consumer>),
    Bytes(Bytes),
    /// Nothing; pings are answered.
    Hold,
}

/// A client with what it is for.
pub(crate) struct Slot {
    pub(crate) client: Client,
    pub(crate) role: Role,
    /// Waits to be writable.
    pub(crate) blocked: bool,
    /// Its due time is in the queue.
    pub(crate) armed: bool,
}

impl Slot {
    pub(crate) fn new(client: Client, role: Role) -> Self {
        Self {
            client,
            role,
            blocked: false,
            armed: false,
        }
    }

    /// Sends what is due and writes; whether the socket did not take everything.
    pub(crate) fn fill(
        &mut self,
        clock: Clock,
        shared: &Shared,
        deflate: &mut Deflate,
        latencies: &mut Latencies,
    ) -> io::Result<bool> {
        let (client, window) = (&mut self.client, &shared.window);
        let publisher = match &mut self.role {
            Role::Publish(publisher) => publisher,
            Role::Bytes(bytes) => {
                bytes.fill(clock.now(), window.end(), &mut client.out);
                return Ok(!client.flush()?);
            }
            Role::Consume(_) | Role::Hold => return Ok(!client.flush()?),
        };
        loop {
            let in_flight = publisher.in_flight();
            publisher.fill(clock.now(), window, client, deflate, latencies)?;
            shared.change_in_flight(in_flight, publisher.in_flight());
            let blocked = !client.flush()?;
            if blocked || !publisher.wants_room() {
                return Ok(blocked);
            }
        }
    }

    /// When to send next, if nothing but time is waited for.
    pub(crate) fn due(&self) -> Option<u64> {
        match &self.role {
            Role::Publish(publisher) => publisher.due(),
            Role::Bytes(bytes) => bytes.due(),
            Role::Consume(_) | Role::Hold => None,
        }
    }
}

/// What a worker tells from time to time.
pub(crate) struct Told {
    pub(crate) interval: u64,
    pub(crate) latencies: Latencies,
}

/// How to reach a worker.
pub(crate) struct Post {
    pub(crate) inbox: Receiver<Slot>,
    pub(crate) wake: Arc<OwnedFd>,
    pub(crate) told: Sender<Told>,
    /// Told at the beginning: the number of the thread.
    pub(crate) thread: Sender<i32>,
}
