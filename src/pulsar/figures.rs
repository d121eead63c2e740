//! What may be asked of the backend: its sessions, and how much it holds.

use super::{
    Pulsar,
    half::{Role, half_key},
};
use crate::{metrics::BackendFigures, session::Link};

impl Pulsar {
    /// How many halves there are, those included whose session has ended and that are still being
    /// closed at their broker. A session has at least one, and none when all is done.
    #[must_use]
    pub fn links(&self) -> usize {
        self.halves.len()
    }

    /// The topic's full name, as it was asked for.
    #[must_use]
    pub fn topic(&self, link: Link) -> Option<&str> {
        let half = self.halves.get(half_key(link.0))?;
        Some(&half.topic)
    }

    /// The subscription of a consumer or reader.
    #[must_use]
    pub fn subscription(&self, link: Link) -> Option<&str> {
        match &self.halves.get(half_key(link.0))?.role {
            Role::Consumer(consuming) => Some(consuming.consumer.subscription()),
            Role::FanIn(fan_in) => fan_in.subscription(),
            _ => None,
        }
    }

    /// Bytes of deliveries that are held for all sessions.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.get()
    }

    /// A copy of what is counted here.
    pub fn figures(&mut self) -> BackendFigures {
        self.figures.snapshot()
    }

    /// Bytes of all publishes in flight, of all producers.
    #[must_use]
    pub fn publishes_bytes(&self) -> usize {
        self.segments.bytes_in_flight()
    }

    /// Bytes of a producer's publishes that have no outcome yet.
    #[must_use]
    pub fn in_flight_bytes(&self, link: Link) -> usize {
        match self.halves.get(half_key(link.0)).map(|half| &half.role) {
            Some(Role::Producer(producer)) => producer.in_flight_bytes(),
            Some(Role::Group(group)) => group.in_flight_bytes(),
            _ => 0,
        }
    }
}
