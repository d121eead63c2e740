//! What sessions are told, and what the outer world is asked for.

use std::net::SocketAddr;

use super::{ConnectionKey, DataKeyRequest, Entry, LookupKey, ResolveKey, Wanted};
use crate::session::{Lane, MessageId, OpenError, PublishError, SessionKey};

/// What a session is told.
#[derive(Debug)]
pub enum Event<'e> {
    /// The backend's half is ready.
    Opened {
        /// Whose.
        session: SessionKey,
    },
    /// The backend's half can't be made, and is forgotten.
    OpenFailed {
        /// Whose.
        session: SessionKey,
        /// Why.
        error: OpenError,
    },
    /// The oldest publish in flight of a lane was stored.
    Receipt {
        /// Whose.
        session: SessionKey,
        /// Which one's oldest.
        lane: Lane,
        /// Where.
        message_id: MessageId,
    },
    /// The oldest publish in flight of a lane failed.
    PublishFailed {
        /// Whose.
        session: SessionKey,
        /// Which one's oldest.
        lane: Lane,
        /// Why.
        error: PublishError,
    },
    /// Messages came.
    Entry(Entry<'e>),
    /// Deliveries that were not acknowledged are the broker's again. None at all is possible: then
    /// something came that is not for the client, or that is held and may be for it.
    Released {
        /// Whose.
        session: SessionKey,
        /// How many.
        messages: u32,
    },
    /// The subscription is still there.
    UnsubscribeFailed {
        /// Whose.
        session: SessionKey,
        /// Why.
        message: String,
    },
}

/// What the backend wants of the outer world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Look a name up; answer with [`Pulsar::handle_resolved`](super::Pulsar::handle_resolved).
    Resolve {
        /// To be given back with the answer.
        request: ResolveKey,
        /// A host name, never an address.
        host: String,
        /// For the answer's addresses.
        port: u16,
    },
    /// Find a topic's broker; answer with [`Pulsar::handle_located`](super::Pulsar::handle_located).
    Locate {
        /// To be given back with the answer.
        lookup: LookupKey,
        /// The topic's whole name.
        topic: String,
        /// What to ask.
        wanted: Wanted,
    },
    /// Open a TCP connection; answer with [`Pulsar::handle_connected`](super::Pulsar::handle_connected) or
    /// [`Pulsar::handle_disconnected`](super::Pulsar::handle_disconnected).
    Connect {
        /// Its name from now on.
        connection: ConnectionKey,
        /// Where to.
        address: SocketAddr,
    },
    /// Decrypt a data key, which would take too long here; answer with
    /// [`Pulsar::handle_data_key`](super::Pulsar::handle_data_key), or with
    /// [`Pulsar::handle_no_data_key`](super::Pulsar::handle_no_data_key) if it can't be done now.
    DecryptKey {
        /// To be given back with the answer.
        request: DataKeyRequest,
        /// The private key.
        name: String,
        /// The data key as it was encrypted.
        encrypted: Vec<u8>,
    },
    /// The connection's outbox went from empty to not empty: [`Pulsar::take_outbox`](super::Pulsar::take_outbox).
    Write(ConnectionKey),
    /// Close the socket, or give up connecting. The key is forgotten here.
    Disconnect(ConnectionKey),
}
