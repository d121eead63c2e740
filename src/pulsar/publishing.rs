//! Publishes on their way to their producer, and batches to their broker.

use super::{
    Effect, Pulsar, Timer,
    error::exception,
    half::{HalfKey, Role, State, half_key},
    producer::Way,
};
use crate::{
    session::{Lane, Link, Publish, PublishError},
    timer::Now,
};

impl Pulsar {
    /// Sends what a producer has not sent yet.
    pub fn flush(&mut self, now: Now, link: Link) {
        let key = half_key(link.0);
        let parts = self.group(key).map(|group| group.parts.clone());
        for part in parts.unwrap_or_else(|| vec![key]) {
            self.close_batch(now, part);
        }
    }

    pub(super) fn batch_timeout(&mut self, now: Now, key: HalfKey) {
        let Some(half) = self.halves.get_mut(key) else {
            return;
        };
        let Role::Producer(producer) = &mut half.role else {
            return;
        };
        let is_due = producer.batch_timer_fired(now.mono);
        // Without a broker there is no hurry: the batch grows until there is one.
        if !matches!(half.state, State::Ready { .. }) {
            return;
        }
        if is_due {
            self.close_batch(now, key);
        } else if let Some(deadline) = producer.arm_batch_timer() {
            self.timers.set(deadline, Timer::Batch(key));
        }
    }

    /// Sends a producer's open batch, if the producer is at its broker.
    pub(super) fn close_batch(&mut self, now: Now, key: HalfKey) {
        if let Some(half) = self.halves.get_mut(key)
            && let (State::Ready { connection: at }, Role::Producer(producer)) =
                (&half.state, &mut half.role)
            && let Some(connection) = self.connections.get_mut(*at)
        {
            let at = *at;
            let mut way = Way {
                outbox: &mut connection.outbox,
                is_sent: true,
                segments: &mut self.segments,
                compressor: &mut self.compressor,
            };
            if producer.close_batch(now, &mut way) {
                self.announce(at);
            }
        }
    }

    pub(super) fn send_timeout(&mut self, now: Now, key: HalfKey) {
        if let Some(half) = self.halves.get_mut(key)
            && let Role::Producer(producer) = &mut half.role
            && let Some(deadline) =
                producer.handle_timeout(now, &mut self.segments, &mut self.events)
        {
            self.timers.set(deadline, Timer::Send(key));
        }
    }

    pub(super) fn publish_at(
        &mut self,
        now: Now,
        key: HalfKey,
        publish: &Publish<'_>,
    ) -> Result<Lane, PublishError> {
        let Some(half) = self.halves.get_mut(key) else {
            return Err(closed());
        };
        let Role::Producer(producer) = &mut half.role else {
            return self.publish_routed(now, key, publish);
        };
        let lane = producer.lane();
        let (outbox, connection) = match half.state {
            State::Ready { connection } => match self.connections.get_mut(connection) {
                Some(found) => (&mut found.outbox, Some(connection)),
                None => return Err(closed()),
            },
            State::Closing => return Err(closed()),
            _ if !half.is_open => {
                let text = exception("$NotConnectedException", "Not connected to broker");
                return Err(PublishError::Backend(text));
            }
            _ => (&mut self.parked, None),
        };
        let way = Way {
            outbox: &mut *outbox,
            is_sent: connection.is_some(),
            segments: &mut self.segments,
            compressor: &mut self.compressor,
        };
        let published = producer.publish(now, publish, self.is_memory_full, way);
        // Also where this message was refused, others may have been sent to make way for it.
        if let Some(at) = connection {
            if outbox.announces() {
                self.effects.push_back(Effect::Write(at));
            }
            if let Some(deadline) = producer.arm_batch_timer() {
                self.timers.set(deadline, Timer::Batch(key));
            }
        } else {
            self.parked.forget_ready();
        }
        if published.is_ok()
            && let Some(deadline) = producer.arm_timer(now)
        {
            self.timers.set(deadline, Timer::Send(key));
        }
        published.map(|()| lane)
    }
}

/// Its producer is no more.
pub(super) fn closed() -> PublishError {
    PublishError::Backend(exception(
        "$AlreadyClosedException",
        "Producer already closed",
    ))
}
