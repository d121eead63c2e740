//! Consumers whose session ended while they were away from their broker, with acknowledgements it
//! was not told of: they come back once more, tell it, and are closed.
//!
//! They get as long as a request may take. They ask for no message, make no topic, and are few:
//! beyond [`LEAVING_MAX`] of a shard, and when their time is over, what was kept is given up, and
//! the broker delivers it again.
//!
//! A session that wants the same Exclusive subscription must not be refused for the sake of one that
//! has ended. So there a consumer on its way out rests for [`PRECEDENCE`] before it subscribes, and
//! gives up when it finds somebody: that one has been sent the messages already. On other kinds of
//! subscriptions nobody is in the other's way.

use std::time::Duration;

use super::{
    Pulsar, Timer,
    connection::ConnectionKey,
    error::{Cause, Failure},
    half::{Detached, HalfKey, Role, State},
    proto::ServerError,
};
use crate::timer::{Instant, Now};

/// So many of a shard at a time.
pub(super) const LEAVING_MAX: usize = 1000;

/// How long those go first who open a session on an Exclusive subscription.
const PRECEDENCE: Duration = Duration::from_secs(5);

/// A half whose session has ended and that has something to tell its broker.
#[derive(Debug)]
pub(super) struct Leaving {
    /// It is forgotten then.
    until: Instant,
    /// Others went first, or need not.
    has_rested: bool,
}

impl Pulsar {
    /// The session of a half that is not at its broker ended. Tells whether the half stays for the
    /// sake of what was acknowledged; if not, it is to be forgotten.
    pub(super) fn leaves_later(&mut self, now: Now, key: HalfKey) -> bool {
        let is_full = self.leaving >= LEAVING_MAX;
        let Some(half) = self.halves.get_mut(key) else {
            return false;
        };
        let Role::Consumer(consuming) = &mut half.role else {
            return false;
        };
        if let Some(leaving) = &half.leaving {
            return leaving.until > now.mono;
        }
        // To subscribe anew would bring back a subscription that is perhaps removed.
        if is_full || !half.is_open || consuming.was_unsubscribed {
            return false;
        }
        if half.state == State::Ended || !consuming.consumer.keeps_acks_only() {
            return false;
        }
        let until = now.mono + self.settings.operation_timeout;
        half.leaving = Some(Box::new(Leaving {
            until,
            has_rested: !consuming.consumer.is_alone(),
        }));
        self.leaving += 1;
        self.timers.set(until, Timer::Leave(key));
        true
    }

    /// Whether a half has to let others go first, now that its broker can be reached.
    pub(super) fn rests_before_leaving(&mut self, now: Now, key: HalfKey) -> bool {
        let Some(half) = self.halves.get_mut(key) else {
            return false;
        };
        match &mut half.leaving {
            Some(leaving) if !leaving.has_rested => leaving.has_rested = true,
            _ => return false,
        }
        let until = now.mono + PRECEDENCE;
        half.state = State::Waiting { until };
        self.timers.set(until, Timer::Wait(key));
        true
    }

    /// It is at its broker again: what was acknowledged is told, and that was all. Tells whether it
    /// was on its way out.
    pub(super) fn leave(&mut self, now: Now, key: HalfKey, connection: ConnectionKey) -> bool {
        let Some(half) = self.halves.get_mut(key) else {
            return false;
        };
        let Role::Consumer(consuming) = &mut half.role else {
            return false;
        };
        if half.leaving.is_none() {
            return false;
        }
        if let Some(connection) = self.connections.get_mut(connection) {
            let out = connection.outbox.commands(&mut self.segments);
            consuming.consumer.tell_acks(now, out);
        }
        self.start_closing(now, key, connection);
        true
    }

    /// Whether it makes no sense for a half on its way out to try again.
    pub(super) fn gives_up_leaving(&self, key: HalfKey, failure: &Failure) -> bool {
        let is_taken = failure.cause == Cause::Broker(ServerError::ConsumerBusy);
        let half = self.halves.get(key);
        let is_leaving = half.is_some_and(|half| half.leaving.is_some());
        is_leaving && (is_taken || !failure.is_retriable())
    }

    /// The connection broke before the answer to CLOSE_CONSUMER came, or the broker's own crossed it:
    /// what was told just before may be lost.
    pub(super) fn close_lost(
        &mut self,
        now: Now,
        key: HalfKey,
        how: Detached<'_>,
        failure: &Failure,
    ) {
        if let Some(half) = self.halves.get_mut(key)
            && let Role::Consumer(consuming) = &mut half.role
        {
            consuming.consumer.recall_acks(now, how.must_be_elsewhere());
            consuming.consumer.handle_detached();
        }
        if self.leaves_later(now, key) {
            self.wait(now, key, failure.clone());
        } else {
            self.forget(key);
        }
    }

    /// The time of a half on its way out is over?
    pub(super) fn leave_timeout(&mut self, now: Now, key: HalfKey) {
        let Some(half) = self.halves.get(key) else {
            return;
        };
        let leaving = half.leaving.as_ref();
        if leaving.is_none_or(|leaving| leaving.until > now.mono) {
            return;
        }
        tracing::info!(topic = &*half.topic, "acknowledgements were given up");
        match half.state {
            State::Closing => {}
            State::Creating {
                connection,
                request,
            } => {
                self.requests.remove(request);
                self.start_closing(now, key, connection);
            }
            _ => self.forget(key),
        }
    }
}
