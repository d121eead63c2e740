//! Sockets as byte pipes with a kernel's manners: writes complete later, in part when the peer is
//! slow; reads bring pieces of any size.

use std::collections::VecDeque;

use pulsar_ws_fast::{pulsar::ConnectionKey, session::SessionKey};

use super::rng::Rng;

/// One direction of a connection.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    bytes: VecDeque<u8>,
    pub(crate) closed: bool,
}

impl Pipe {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// A piece off the front, of a size that chance decides.
    pub(crate) fn piece(&mut self, rng: &mut Rng) -> Vec<u8> {
        let len = match rng.below(8) {
            0 => 1,
            1 => rng.range(1..20),
            2 => rng.range(1..2000),
            _ => self.len(),
        };
        self.bytes.drain(..len.min(self.len())).collect()
    }
}

/// What is being written to a peer, with how much of it has gone.
#[derive(Debug)]
pub(crate) struct Write<B> {
    pub(crate) buffer: B,
    gone: usize,
}

impl<B: AsRef<[u8]>> Write<B> {
    pub(crate) fn new(buffer: B) -> Self {
        Self { buffer, gone: 0 }
    }

    /// Moves what fits; tells whether all of it has gone.
    pub(crate) fn progress(&mut self, pipe: &mut Pipe, capacity: usize) -> bool {
        let rest = &self.buffer.as_ref()[self.gone..];
        let fits = rest.len().min(capacity.saturating_sub(pipe.len()));
        pipe.push(&rest[..fits]);
        self.gone += fits;
        self.gone == self.buffer.as_ref().len()
    }
}

/// A client's socket at the shard.
#[derive(Debug)]
pub(crate) struct ClientSocket {
    pub(crate) key: SessionKey,
    pub(crate) to_shard: Pipe,
    pub(crate) to_client: Pipe,
    pub(crate) writing: Option<Write<Vec<u8>>>,
    /// More was announced while a write was under way.
    pub(crate) wants_write: bool,
    pub(crate) reading: bool,
    /// The shard has forgotten it; this is written last, if anything.
    pub(crate) finished: Option<Vec<u8>>,
    /// Bytes of the client that the shard has got, and bytes that the shard gave for it.
    pub(crate) arrived: u64,
    pub(crate) told: u64,
}

impl ClientSocket {
    pub(crate) fn new(key: SessionKey) -> Self {
        Self {
            key,
            to_shard: Pipe::default(),
            to_client: Pipe::default(),
            writing: None,
            wants_write: false,
            reading: true,
            finished: None,
            arrived: 0,
            told: 0,
        }
    }
}

/// A connection of the shard to a broker.
#[derive(Debug)]
pub(crate) struct BrokerSocket {
    pub(crate) key: ConnectionKey,
    /// Its name at the cluster.
    pub(crate) connection: u32,
    pub(crate) host: usize,
    pub(crate) up: bool,
    pub(crate) to_broker: Pipe,
    pub(crate) to_shard: Pipe,
    pub(crate) writing: Option<Write<bytes::Bytes>>,
    pub(crate) wants_write: bool,
}
