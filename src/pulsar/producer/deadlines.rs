//! Deadlines of a producer: of its oldest publish, and of its open batch.

use std::{collections::VecDeque, fmt::Write, time::Duration};

use super::{InFlight, Producer};
use crate::{
    pulsar::{Event, error::exception, outbox::Segments},
    timer::{Instant, Now},
};

impl Producer {
    /// When the open batch is to be closed, if it just began to wait and nothing is set yet.
    pub(in crate::pulsar) fn arm_batch_timer(&mut self) -> Option<Instant> {
        if self.is_batch_timer_set {
            return None;
        }
        let deadline = self.batch.as_ref()?.deadline()?;
        self.is_batch_timer_set = true;
        Some(deadline)
    }

    /// The time set for the batch is over: whether to close it now. If it is another batch by now,
    /// the timer is to be armed again.
    pub(in crate::pulsar) fn batch_timer_fired(&mut self, now: Instant) -> bool {
        self.is_batch_timer_set = false;
        let deadline = self.batch.as_ref().and_then(|batch| batch.deadline());
        deadline.is_some_and(|deadline| deadline <= now)
    }

    /// When to be called next, if a publish just began to wait and nothing is set yet.
    pub(in crate::pulsar) fn arm_timer(&mut self, now: Now) -> Option<Instant> {
        if self.is_timer_set {
            return None;
        }
        let deadline = now.mono + self.send_timeout()?;
        self.is_timer_set = true;
        Some(deadline)
    }

    /// `ProducerImpl.run`: when the oldest publish has waited too long, all fail. Tells when to be
    /// called next.
    pub(in crate::pulsar) fn handle_timeout(
        &mut self,
        now: Now,
        segments: &mut Segments,
        events: &mut VecDeque<Event<'static>>,
    ) -> Option<Instant> {
        self.is_timer_set = false;
        let timeout = self.send_timeout()?;
        // A batch that can't be closed for want of a broker is as old as if it had been.
        let created = match self.in_flight.front() {
            Some(oldest) => oldest.created,
            None => self.batch.as_ref()?.deadline()?,
        };
        let deadline = created + timeout;
        if now.mono < deadline {
            self.is_timer_set = true;
            return Some(deadline);
        }
        while let Some(publish) = self.pop(segments) {
            let text = self.timeout_text(Some((now.mono, &publish)));
            self.failed(publish.messages, &text, events);
        }
        let text = self.timeout_text(None);
        self.fail_batch(&text, segments, events);
        None
    }

    /// What is in an open batch has no history.
    fn timeout_text(&self, history: Option<(Instant, &InFlight)>) -> String {
        let mut text = format!(
            "The producer {} can not send message to the topic {} within given timeout",
            self.name(),
            self.topic
        );
        if let Some((now, publish)) = history {
            let ago = |at: Option<Instant>| at.map_or(0.0, |at| seconds(now.since(at)));
            let _ = write!(
                text,
                " : createdAt {:?} seconds ago, firstSentAt {:?} seconds ago, lastSentAt {:?} seconds ago, retryCount {}",
                ago(Some(publish.created)),
                ago(publish.first_sent),
                ago(publish.last_sent),
                publish.attempts
            );
        }
        exception("$TimeoutException", &text)
    }
}

/// Java's `RelativeTimeUtil.nsToSeconds`: rounded to milliseconds.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
