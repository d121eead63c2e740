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

/// Between two clients that go on inflating: the shortest sleep there is.
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
    pub(super) fn inflate_later(&mut self, now: Now, key: SessionKey) {
        if self.inflating.is_empty() {
            self.timers
                .set(now.mono + INFLATING_INTERVAL, Timer::Inflating);
        }
        if !self.inflating.contains(&key) {
            self.inflating.push_back(key);
        }
    }

    /// Lets the client go on that waits longest because others had inflated enough, or itself.
    pub(super) fn inflating_timeout(&mut self, now: Now) {
        if let Some(key) = self.inflating.pop_front() {
            self.may_resume(key);
        }
        if !self.inflating.is_empty() {
            self.timers
                .set(now.mono + INFLATING_INTERVAL, Timer::Inflating);
        }
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
            client.stalled_since = Some(now.mono);
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
