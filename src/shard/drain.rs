//! Draining: every session is brought to its end without losing anything, then the shard is empty.
//!
//! Accepting has stopped already. A producer's further publishes are not parsed; once its receipts
//! are written it is told 1001. A consumer or reader is told at once: what it acknowledged is
//! flushed when the backend closes its half, what it did not comes again elsewhere.

use super::{Effect, Shard, Timer, client::Phase};
use crate::{
    http::refusal::Refusal,
    session::{Session, SessionKey},
    timer::Now,
    ws::frame::close_code::GOING_AWAY,
};

/// How far draining is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Business as usual.
    No,
    /// Sessions are ending.
    On,
    /// Told so.
    Done,
    /// Told so, with somebody left.
    CutShort,
}

impl State {
    pub(super) fn is_on(self) -> bool {
        self != Self::No
    }
}

const REASON: &str = "the service is shutting down";

impl Shard {
    /// Brings every session to its end; [`Effect::Drained`] says when all are there.
    pub fn handle_drain(&mut self, now: Now) {
        if self.draining.is_on() {
            return;
        }
        self.draining = State::On;
        // The farewells of those who are left take time as well.
        let timeout = self.config.drain_timeout;
        let patience = timeout
            .saturating_sub(self.config.linger_timeout)
            .max(timeout / 2);
        self.timers.set(now.mono + patience, Timer::Drain);
        let clients: Vec<_> = self.clients.keys().collect();
        for client in clients {
            self.drain_client(now, client);
        }
        self.settle(now);
    }

    /// Ends one client's session if nothing of it is in flight.
    pub(super) fn drain_client(&mut self, now: Now, key: SessionKey) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        match &mut client.phase {
            // Its request may be on its way, or lie unread in its socket.
            Phase::Head | Phase::Opening(_) | Phase::Asking(_) => {
                self.refuse(now, key, &Refusal::new(503, REASON));
            }
            Phase::Open(open) => {
                if let Session::Producer(producer) = &open.session
                    && producer.in_flight() > 0
                {
                    self.pulsar.flush(now, open.session.link());
                    return;
                }
                open.ws.close(&mut client.outbox.bytes, GOING_AWAY, REASON);
                self.finish(now, key);
            }
        }
    }

    /// The time for draining is over: whoever is left is told.
    pub(super) fn drain_timeout(&mut self, now: Now) {
        if self.draining != State::On {
            return;
        }
        let clients: Vec<_> = self.clients.keys().collect();
        for key in clients {
            let Some(client) = self.clients.get_mut(key) else {
                continue;
            };
            if let Phase::Open(open) = &mut client.phase {
                open.ws.close(&mut client.outbox.bytes, GOING_AWAY, REASON);
            }
            self.finish(now, key);
        }
        self.draining = State::CutShort;
        self.effects.push_back(Effect::Drained);
    }

    /// Whether draining ended by its deadline, so that something may be lost.
    #[must_use]
    pub fn is_cut_short(&self) -> bool {
        self.draining == State::CutShort
    }

    /// Tells once that nothing is left.
    pub(super) fn check_drained(&mut self) {
        if self.draining == State::On && self.clients.is_empty() && self.pulsar.links() == 0 {
            self.draining = State::Done;
            self.effects.push_back(Effect::Drained);
        }
    }
}
