//! A half that did not get to its broker, or lost it: it rests and tries again, or ends.

use super::{Detached, HalfKey, Role, State};
use crate::{
    pulsar::{
        Event, Pulsar, Timer,
        connection::{Address, Waiter},
        ending,
        error::{Cause, Failure},
        lookup::{UNREACHABLE_REST_MAX, host_and_port},
        proto::ServerError,
    },
    timer::Now,
};

impl Pulsar {
    /// It could not be located, connected or made.
    pub(in crate::pulsar) fn half_failed(&mut self, now: Now, key: HalfKey, failure: &Failure) {
        if self.gives_up_leaving(key, failure) {
            return self.forget(key);
        }
        let Some(half) = self.halves.get_mut(key) else {
            return;
        };
        if matches!(half.state, State::Closing | State::Ended) {
            return;
        }
        tracing::debug!(
            topic = &*half.topic,
            error = failure.text(),
            open = half.is_open,
            "not at a broker"
        );
        if !half.is_open {
            if failure.ends_opening() || now.mono >= half.deadline {
                self.open_failed(now, key, failure);
                return;
            }
        } else if let Some(end) = ending::of(failure) {
            self.end(key, end, failure);
            return;
        } else if failure.cause == Cause::Broker(ServerError::ProducerBlockedQuotaExceededException)
        {
            self.fail_over_quota(key);
        }
        self.wait(now, key, failure.clone());
    }

    /// It lost its broker: the connection is gone, or the broker sent it away (maybe with a new
    /// address).
    pub(in crate::pulsar) fn half_detached(&mut self, now: Now, key: HalfKey, how: Detached<'_>) {
        let Some(half) = self.halves.get_mut(key) else {
            return;
        };
        let connection = match half.state {
            State::Ready { connection } => connection,
            State::Creating {
                connection,
                request,
            } => {
                self.requests.remove(request);
                connection
            }
            _ => return,
        };
        if let Role::Consumer(consuming) = &mut half.role {
            consuming.consumer.recall_acks(now, how.must_be_elsewhere());
            let messages = consuming.consumer.handle_detached();
            if messages > 0 {
                let session = half.session;
                self.events.push_back(Event::Released { session, messages });
            }
        }
        // Frames in flight may still lie in the tail; they are needed for the resend.
        if let Some(connection) = self.connections.get_mut(connection) {
            connection.outbox.seal(&mut self.segments);
        }
        if let Detached::SentAway(Some((host, port))) = how
            && half.is_proxy_known
        {
            let address = match &half.proxy {
                Some(proxy) => Address {
                    host: proxy.0.clone(),
                    port: proxy.1,
                    proxy_to: Some(host_and_port(host, port)),
                },
                None => Address::direct(host, port),
            };
            half.state = State::Connecting;
            self.acquire(now, &address, Waiter::Half(key));
        } else {
            let failure = Failure::connection("the broker is gone or sent the session away");
            self.wait(now, key, failure);
        }
    }

    /// Rests, then tries again.
    pub(in crate::pulsar) fn wait(&mut self, now: Now, key: HalfKey, failure: Failure) {
        if let Some(half) = self.halves.get_mut(key) {
            let mut rest = half.backoff.next(now.mono, &mut self.random);
            // The broker said to have the topic may be dead, and the others have yet to notice.
            if half.state == State::Connecting && failure.cause == Cause::Connection {
                rest = rest.min(self.random.less_a_tenth(UNREACHABLE_REST_MAX));
            }
            let until = now.mono + rest;
            half.state = State::Waiting { until };
            half.last_failure = Some(Box::new(failure));
            self.timers.set(until, Timer::Wait(key));
        }
    }

    /// The rest is over?
    pub(in crate::pulsar) fn wait_over(&mut self, now: Now, key: HalfKey) {
        if let Some(half) = self.halves.get_mut(key)
            && let State::Waiting { until } = half.state
            && until <= now.mono
        {
            half.state = State::Locating;
            self.look_up(now, key);
        }
    }
}
