//! What leaves a shard besides bytes.

use std::net::SocketAddr;

use crate::{
    metrics::Question,
    pulsar::{self, ConnectionKey, DataKeyRequest, LookupKey, ResolveKey, Wanted},
    session::SessionKey,
};

/// What the shard wants of the outer world.
#[derive(Debug)]
pub enum Effect {
    /// The client's outbox went from empty to not empty: write it.
    WriteClient(SessionKey),
    /// The broker connection's outbox went from empty to not empty: write it.
    WriteBroker(ConnectionKey),
    /// A client whose reads had stopped may be read again.
    Read(SessionKey),
    /// Write `last` behind what is being written, shut the write side down, read and discard until
    /// the client has closed too or a deadline passes, then close. The shard has forgotten the key.
    Finish {
        /// Whose socket.
        client: SessionKey,
        /// The last bytes for it.
        last: Vec<u8>,
    },
    /// Close the socket at once. The shard has forgotten the key.
    Abort(SessionKey),
    /// Open a TCP connection; answer with `handle_connected` or `handle_disconnected`.
    Connect {
        /// Its name from now on.
        connection: ConnectionKey,
        /// Where to.
        address: SocketAddr,
    },
    /// Close a broker's socket. The shard has forgotten the key.
    Disconnect(ConnectionKey),
    /// Look a name up; answer with `handle_resolved`.
    Resolve {
        /// To be given back with the answer.
        request: ResolveKey,
        /// A host name, never an address.
        host: String,
        /// For the answer's addresses.
        port: u16,
    },
    /// Find a topic's broker over HTTP; answer with `handle_located`.
    Locate {
        /// To be given back with the answer.
        lookup: LookupKey,
        /// The topic's whole name.
        topic: String,
        /// What to ask.
        wanted: Wanted,
    },
    /// Decrypt a data key with a private key of the configuration; answer with `handle_data_key`, or
    /// with `handle_no_data_key` if it can't be done now.
    DecryptKey {
        /// To be given back with the answer.
        request: DataKeyRequest,
        /// The private key.
        name: String,
        /// The data key as it was encrypted.
        encrypted: Vec<u8>,
    },
    /// Ask every shard, this one too, with `handle_question`; answer with `handle_survey`.
    Survey {
        /// To be given back with the answer.
        client: SessionKey,
        /// What to ask.
        question: Question,
    },
    /// Look whether the status file is there; answer with `handle_status`.
    LookAtStatusFile(SessionKey),
    /// Every session has ended and the backend has let go.
    Drained,
}

impl From<pulsar::Effect> for Effect {
    fn from(effect: pulsar::Effect) -> Self {
        match effect {
            pulsar::Effect::Resolve {
                request,
                host,
                port,
            } => Self::Resolve {
                request,
                host,
                port,
            },
            pulsar::Effect::Locate {
                lookup,
                topic,
                wanted,
            } => Self::Locate {
                lookup,
                topic,
                wanted,
            },
            pulsar::Effect::DecryptKey {
                request,
                name,
                encrypted,
            } => Self::DecryptKey {
                request,
                name,
                encrypted,
            },
            pulsar::Effect::Connect {
                connection,
                address,
            } => Self::Connect {
                connection,
                address,
            },
            pulsar::Effect::Write(connection) => Self::WriteBroker(connection),
            pulsar::Effect::Disconnect(connection) => Self::Disconnect(connection),
        }
    }
}
