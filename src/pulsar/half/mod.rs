//! The backend's half of a session: a producer or consumer, and how it gets to its broker, back
//! there after losing it, and away when the session ends.
//!
//! ```text
//!  Locating ──▶ Connecting ──▶ Creating ──▶ Ready ──▶ Closing ──▶ forgotten
//!     ▲             │              │          │
//!     └── Waiting ◀─┴──────────────┴──────────┘     Ended: nothing to be done until the session ends
//! ```
//!
//! The same way serves both kinds, as Java's `ConnectionHandler` does. A half that never was ready
//! is refused when its time is over or trying again makes no sense; one that was ready comes back
//! for as long as its session lives.
//!
//! A half whose topic has partitions becomes a [`Group`] of halves, and goes no way itself.

mod close;
mod lose;
mod open;
mod reach;
mod wait;

use std::rc::Rc;

use super::{
    backoff::Backoff,
    connection::ConnectionKey,
    consuming::Consuming,
    error::Failure,
    fan_in::FanIn,
    group::{Group, Place},
    leaving::Leaving,
    lookup::Hosts,
    producer::Producer,
};
use crate::{
    session::{SessionKey, Spec},
    timer::Instant,
};

slotmap::new_key_type! {
    /// Names a half; as a number it is the producer's or consumer's id on the wire, so that a
    /// frame is valid on any connection and what comes in finds its half without a search.
    pub(super) struct HalfKey;
}

/// Where a half stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Waits for a lookup.
    Locating,
    /// Waits for a connection.
    Connecting,
    /// PRODUCER or SUBSCRIBE waits for its answer.
    Creating {
        connection: ConnectionKey,
        request: u64,
    },
    /// At its broker.
    Ready { connection: ConnectionKey },
    /// Rests before it tries again.
    Waiting { until: Instant },
    /// CLOSE_PRODUCER or CLOSE_CONSUMER waits for its answer; the session has ended.
    Closing,
    /// Not at a broker, and never again.
    Ended,
    /// It is several, each of which stands somewhere else.
    Grouped,
}

/// What it is.
#[derive(Debug)]
pub(super) enum Role {
    /// Not boxed: most halves are producers, and each publish looks into one.
    Producer(Producer),
    Consumer(Box<Consuming>),
    Group(Box<Group>),
    FanIn(Box<FanIn>),
}

/// How a half lost its broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detached<'a> {
    /// The connection is gone.
    Lost,
    /// The broker sent it away; it may tell where the topic went.
    SentAway(Option<(&'a str, u16)>),
}

impl Detached<'_> {
    /// Whether the topic has another broker from now on, or a new connection.
    pub(super) fn must_be_elsewhere(self) -> bool {
        self != Self::SentAway(None)
    }
}

/// The backend's half of a session.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) session: SessionKey,
    pub(super) role: Role,
    pub(super) state: State,
    /// It was ready once.
    pub(super) is_open: bool,
    /// Its session has ended while it was away.
    pub(super) leaving: Option<Box<Leaving>>,
    /// For people who ask why it takes so long.
    pub(super) last_failure: Option<Box<Failure>>,
    pub(super) topic: Rc<str>,
    /// As it was asked for, until it is known to be one half or several.
    pub(super) spec: Option<Box<Spec>>,
    /// Its place, if it is one of several.
    pub(super) place: Option<Box<Place>>,
    backoff: Backoff,
    /// To be opened by then.
    pub(super) deadline: Instant,
    /// A lookup said whether there is a proxy to go through.
    is_proxy_known: bool,
    proxy: Option<Box<(String, u16)>>,
    /// The service hosts of the cluster that the topic went to; `None`: those of the settings.
    pub(super) cluster: Option<Box<Hosts>>,
}

impl Half {
    /// Its place, if it is one of several.
    pub(super) fn place(&self) -> Option<Place> {
        self.place.as_deref().copied()
    }
}

/// A half's number on the wire.
pub(super) fn wire_id(key: HalfKey) -> u64 {
    slotmap::Key::data(&key).as_ffi()
}

/// The half with a number, if there is one.
pub(super) fn half_key(id: u64) -> HalfKey {
    slotmap::KeyData::from_ffi(id).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_fits_where_the_allocator_puts_it() {
        // From 256 bytes on, the allocator's sizes lie 64 apart.
        assert!(size_of::<Half>() <= 320, "{}", size_of::<Half>());
    }
}
