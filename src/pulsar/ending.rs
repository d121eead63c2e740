//! What ends a producer or consumer that was open, and what its publishes in flight are told.

use super::{
    Pulsar,
    connection::ConnectionKey,
    error::{Cause, Failure, exception},
    half::{HalfKey, Role, State},
    producer::End,
    proto::ServerError,
    request::Purpose,
};
use crate::timer::Now;

/// What ends a half that was open.
pub(super) fn of(failure: &Failure) -> Option<End> {
    match failure.cause {
        Cause::Broker(ServerError::TopicTerminatedError) => Some(End::Terminated),
        Cause::Broker(ServerError::ProducerFenced) => Some(End::Fenced),
        _ if failure.is_unrecoverable() => Some(End::Closed),
        _ => None,
    }
}

impl Pulsar {
    /// Never again.
    pub(super) fn end(&mut self, key: HalfKey, end: End, failure: &Failure) {
        let Some(half) = self.halves.get_mut(key) else {
            return;
        };
        tracing::warn!(topic = &*half.topic, error = failure.text(), "given up");
        half.state = State::Ended;
        if let Role::Producer(producer) = &mut half.role {
            let text = match end {
                End::Terminated | End::Fenced => failure.text(),
                End::Closed => exception(
                    "$AlreadyClosedException",
                    &format!(
                        "The producer {} of the topic {} was already closed when closing the producers",
                        producer.name(),
                        half.topic
                    ),
                ),
            };
            producer.end(end, &text, &mut self.segments, &mut self.events);
        }
    }

    /// The topic takes no more messages (`ProducerImpl.terminated`).
    pub(super) fn terminated(&mut self, now: Now, key: HalfKey, connection: ConnectionKey) {
        self.close_at_broker(now, key, connection, Purpose::Forget);
        if let Some(half) = self.halves.get_mut(key)
            && let Role::Producer(producer) = &mut half.role
        {
            half.state = State::Ended;
            let text = format!(
                "The topic {} that the producer {} produces to has been terminated",
                producer.topic(),
                producer.name()
            );
            let text = exception("$TopicTerminatedException", &text);
            producer.end(End::Terminated, &text, &mut self.segments, &mut self.events);
        }
    }

    pub(super) fn fail_over_quota(&mut self, key: HalfKey) {
        if let Some(half) = self.halves.get_mut(key)
            && let Role::Producer(producer) = &mut half.role
        {
            let text = format!(
                "The backlog quota of the topic {} that the producer {} produces to is exceeded",
                producer.topic(),
                producer.name()
            );
            let text = exception("$ProducerBlockedQuotaExceededException", &text);
            producer.fail_all(&text, &mut self.segments, &mut self.events);
        }
    }
}
