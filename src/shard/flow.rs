//! When a client is not read, and when it is again.

use std::time::Duration;

use super::{
    Effect, Shard, Timer,
    budget::Lease,
    client::{Open, Phase},
    outbox::Outbox,
};
use crate::{
    config::Config,
    metrics::Bound,
    pulsar::Pulsar,
    session::{Session, SessionKey},
    timer::Now,
};

/// Between two calls in which clients go on inflating: the shortest sleep there is.
const INFLATING_INTERVAL: Duration = Duration::from_millis(1);

impl Shard {
    /// Lets a client go on whose reason to wait may be gone.
    pub(super) fn resume(&mut self, now: Now, key: SessionKey) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        client.resumable = false;
        self.buffers.provide(&mut client.outbox);
        self.deliver_held(now, key);
        self.client_unparsed(now, key);
        self.account_incomplete(now, key);
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        self.buffers.reclaim(&mut client.outbox);
        let must_wait = match &client.phase {
            Phase::Open(open) => must_wait(
                open,
                &client.outbox,
                &self.pulsar,
                &self.config,
                &mut self.publishes,
                self.draining.is_on(),
            )
            .is_some(),
            Phase::Head | Phase::Opening(_) | Phase::Asking(_) => false,
        };
        if client.paused && client.unparsed.is_empty() && !must_wait {
            client.paused = false;
            self.effects.push_back(Effect::Read(key));
        }
    }

    /// A client's reason to wait may be gone; it is looked at when the call at hand is done, once.
    pub(super) fn may_resume(&mut self, key: SessionKey) {
        if let Some(client) = self.clients.get_mut(key)
            && !client.resumable
        {
            client.resumable = true;
            self.resumable.push(key);
        }
    }

    /// Has a client's messages wait for a later call.
    pub(super) fn inflate_later(&mut self, key: SessionKey) {
        if let Some(client) = self.clients.get_mut(key)
            && !std::mem::replace(&mut client.inflates_later, true)
        {
            self.inflating.push_back(key);
        }
    }

    /// The next of those who wait to inflate, as long as this call may go on with them.
    pub(super) fn next_inflating(&mut self) -> Option<SessionKey> {
        if !self.inflates_on || self.inflater.is_spent() {
            return None;
        }
        let key = self.inflating.pop_front()?;
        if let Some(client) = self.clients.get_mut(key) {
            client.inflates_later = false;
        }
        Some(key)
    }

    /// At the end of a call: who still waits to inflate gets another one.
    pub(super) fn inflate_next_time(&mut self, now: Now) {
        self.inflater.begin_turn();
        self.inflates_on = false;
        if !self.inflating.is_empty() && !self.inflate_timer {
            self.inflate_timer = true;
            self.timers
                .set(now.mono + INFLATING_INTERVAL, Timer::Inflating);
        }
    }

    /// Time for who waits to inflate.
    pub(super) const fn inflating_timeout(&mut self) {
        self.inflate_timer = false;
        self.inflates_on = true;
    }

    /// Something was appended for a client: says so once, and begins to watch whether the client
    /// reads it when it is more than may wait. That does not depend on the client's saying more.
    pub(super) fn announce(&mut self, now: Now, key: SessionKey) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        if client.outbox.announces() {
            self.effects.push_back(Effect::WriteClient(key));
        }
        if client.outbox.len() > self.config.replies_bytes_max && client.stalled_since.is_none() {
            client.stalled_since = now.mono.into();
            if !client.stall_timer {
                client.stall_timer = true;
                self.timers
                    .set(now.mono + self.config.replies_timeout, Timer::Stalled(key));
            }
        }
    }
}

/// Looks whether the process has memory for another publish, and has it refused if not. As in Java,
/// one message may go beyond the limit.
pub(super) fn check_memory(memory: &mut Option<Lease>, pulsar: &mut Pulsar) {
    if let Some(memory) = memory {
        memory.set(pulsar.publishes_bytes());
        pulsar.set_memory_full(!memory.is_covered());
    }
}

/// Why the client's further messages have to wait: it does not read its replies, or as much of
/// it is in flight as may be. One message more than the limit is always let in. When the process has
/// used up its budget, one in flight is left to each client: its receipt lets the client go on.
pub(super) fn must_wait(
    open: &Open,
    outbox: &Outbox,
    pulsar: &Pulsar,
    config: &Config,
    publishes: &mut Lease,
    draining: bool,
) -> Option<Bound> {
    if outbox.len() > config.replies_bytes_max {
        return Some(Bound::Replies);
    }
    let Session::Producer(producer) = &open.session else {
        return None;
    };
    let in_flight = pulsar.in_flight_bytes(open.session.link()) + producer.context_bytes();
    if draining {
        return Some(Bound::Drain);
    }
    if in_flight > config.publishes_in_flight_bytes_max {
        return Some(Bound::ClientPublishes);
    }
    publishes.set(pulsar.publishes_bytes());
    (in_flight > 0 && !publishes.is_covered()).then_some(Bound::ProcessPublishes)
}
