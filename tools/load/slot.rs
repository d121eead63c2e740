//! What workers are given, and what they tell.

use std::{
    os::fd::OwnedFd,
    sync::{
        Arc,
        mpsc::{Receiver, Sender},
    },
};

use crate::{
    bytes::Bytes, client::Client, consumer::Consumer, publisher::Publisher, tally::Latencies,
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
