//! A client as its shard keeps it: from accept to close.

use std::net::SocketAddr;

use bytes::BytesMut;

use super::{
    access_log::Visit, admission::Standing, outbox::Outbox, statistics::Counted, unmapped,
};
use crate::{
    dialect::Dialect,
    http::{forwarded::Address, page::Form, route::EndpointKind, upgrade::Accept},
    session::{Link, Session, Spec},
    timer::{Instant, MaybeInstant},
    ws::WebSocket,
};

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) peer: SocketAddr,
    /// What it connected to. Forgotten with the handshake, unless the access log tells it.
    pub(super) local: Option<Box<SocketAddr>>,
    pub(super) phase: Phase,
    pub(super) outbox: Outbox,
    /// Whether its handshake may go on.
    pub(super) standing: Standing,
    /// Whether a header of the PROXY protocol may still come.
    pub(super) may_be_announced: bool,
    /// Whom it speaks for, as far as proxies said, and whom it said so through.
    pub(super) forwarded: Option<Box<Address>>,
    pub(super) via: Option<Box<SocketAddr>>,
    /// How much of an answer its request's method allows.
    pub(super) form: Form,
    /// What the access log will say of it.
    pub(super) visit: Visit,
    /// Bytes received that could not be worked on yet. Empty unless the head is incomplete, the
    /// handshake waits for the broker, or parsing is paused.
    pub(super) unparsed: BytesMut,
    /// Its socket is not read: [`super::Effect::Read`] is owed.
    pub(super) paused: bool,
    /// This client's share of what the shard holds of incomplete messages.
    pub(super) incomplete_bytes: usize,
    /// When bytes last came or went.
    pub(super) active: Instant,
    /// Pings since it was last heard of.
    pub(super) pings: u8,
    /// When [`super::Timer::Client`] fires; one that fires earlier or later means nothing.
    pub(super) armed: MaybeInstant,
    /// It stands in the shard's list of clients that may go on.
    pub(super) resumable: bool,
    /// It stands in the shard's list of clients that wait to inflate.
    pub(super) inflates_later: bool,
    /// Since when more replies wait than may, without any having been written.
    pub(super) stalled_since: MaybeInstant,
    /// [`super::Timer::Stalled`] is set; once is enough.
    pub(super) stall_timer: bool,
}

/// How far a client has come. There is no closing phase: a client that is to be closed is
/// forgotten, and the runtime sees its last bytes out.
#[derive(Debug)]
pub(super) enum Phase {
    /// The request head has not arrived whole.
    Head,
    /// The broker's half is being made; the answer to the upgrade waits for it.
    Opening(Box<Opening>),
    /// The answer to a request that wants no WebSocket is being collected.
    Asking(Box<Asking>),
    /// Messages flow.
    Open(Box<Open>),
}

/// A handshake that waits for the broker.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) accept: Accept,
    pub(super) dialect: Dialect,
    pub(super) kind: EndpointKind,
    pub(super) spec: Spec,
    pub(super) link: Link,
    /// The path that was asked for, for a refusal's page.
    pub(super) path: Box<str>,
}

/// A request that wants no WebSocket and waits for its answer.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// What the answer will be, where there is a choice.
    pub(super) content_type: String,
}

/// A WebSocket with its session.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) dialect: Dialect,
    pub(super) ws: WebSocket,
    /// When it is pinged next; never, where pings are off.
    pub(super) ping_at: MaybeInstant,
    pub(super) session: Session,
    /// For statistics.
    pub(super) counted: Counted,
}

impl Client {
    pub(super) fn new(now: Instant, peer: SocketAddr, local: SocketAddr) -> Self {
        Self {
            peer: unmapped(peer),
            local: Some(Box::new(unmapped(local))),
            phase: Phase::Head,
            outbox: Outbox::default(),
            standing: Standing::Outside,
            may_be_announced: false,
            forwarded: None,
            via: None,
            form: Form::default(),
            visit: Visit::new(now),
            unparsed: BytesMut::new(),
            paused: false,
            incomplete_bytes: 0,
            active: now,
            pings: 0,
            armed: MaybeInstant::NONE,
            resumable: false,
            inflates_later: false,
            stalled_since: MaybeInstant::NONE,
            stall_timer: false,
        }
    }

    /// Whether its session publishes.
    pub(super) fn is_producer(&self) -> bool {
        matches!(&self.phase, Phase::Open(open) if matches!(open.session, Session::Producer(_)))
    }
}

impl Open {
    /// What its client asked for.
    pub(super) const fn kind(&self) -> EndpointKind {
        match &self.session {
            Session::Producer(_) => EndpointKind::Producer,
            Session::Consumer(_) => EndpointKind::Consumer,
            Session::Reader(_) => EndpointKind::Reader,
        }
    }
}

impl Phase {
    /// The backend's half, once there is one.
    pub(super) fn link(&self) -> Option<Link> {
        match self {
            Self::Head | Self::Asking(_) => None,
            Self::Opening(opening) => Some(opening.link),
            Self::Open(open) => Some(open.session.link()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_fits_where_the_allocator_puts_it() {
        // From 128 bytes on, the allocator's sizes lie 32 apart, from 256 on 64.
        assert!(size_of::<Client>() <= 256, "{}", size_of::<Client>());
        assert!(size_of::<Open>() <= 192, "{}", size_of::<Open>());
    }
}
