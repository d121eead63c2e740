//! A consumer at its broker, and away from it.

use bytes::BytesMut;

use super::{Consumer, put_flow, spec::Position};
use crate::{pulsar::proto, timer::Now};

impl Consumer {
    /// Makes the consumer known to a broker, for the first time or again.
    #[must_use]
    pub fn subscribe(&self, request_id: u64) -> proto::CommandSubscribe {
        let tracker = &self.tracker;
        let spec = &tracker.spec;
        proto::CommandSubscribe {
            topic: spec.topic.clone(),
            subscription: self.subscription.clone(),
            sub_type: spec.sub_type.into(),
            consumer_id: tracker.id,
            request_id,
            consumer_name: Some(self.name.clone()),
            priority_level: Some(spec.priority_level),
            durable: Some(spec.durable),
            start_message_id: tracker.start.map(|start| proto::MessageIdData {
                ledger_id: start.entry.ledger,
                entry_id: start.entry.entry,
                batch_index: Some(
                    start
                        .batch_index
                        .and_then(|index| i32::try_from(index).ok())
                        .unwrap_or(-1),
                ),
                ..proto::MessageIdData::default()
            }),
            read_compacted: Some(false),
            initial_position: Some(spec.initial_position.into()),
            force_topic_creation: Some(spec.makes_topic),
            consumer_epoch: Some(tracker.epoch),
            ..proto::CommandSubscribe::default()
        }
    }

    /// The broker knows the consumer. Acknowledgements that were kept while it was away go before
    /// the permits, so that it does not send what is acknowledged.
    pub fn handle_subscribed(&mut self, now: Now, out: &mut BytesMut) {
        let tracker = &mut self.tracker;
        tracker.attached = true;
        if let Some(patience) = &mut tracker.patience {
            patience.start(now.mono);
        }
        tracker.acks.renew(now.mono);
        tracker.acks.flush(tracker.id, out);
        if let Some(permits) = tracker.permits.restart() {
            put_flow(out, tracker.id, permits);
        }
    }

    /// The connection is lost, or the broker closed the consumer, and it may not have got the
    /// acknowledgements that went out last; `must_be_elsewhere` unless the broker only
    /// sent the consumer away.
    /// [`Consumer::handle_detached`] is to follow.
    pub fn recall_acks(&mut self, now: Now, must_be_elsewhere: bool) {
        self.tracker.acks.recall(now.mono, must_be_elsewhere);
    }

    /// The connection is lost, or the broker closed the consumer. It will send everything again that
    /// is not acknowledged; tells how many messages the client can't acknowledge any more.
    pub fn handle_detached(&mut self) -> u32 {
        self.tracker.attached = false;
        if !self.tracker.spec.durable {
            self.tracker.start = self.resume_position();
        }
        self.held.clear();
        self.tracker.rejections.clear();
        self.tracker.left.clear();
        if let Some(patience) = &mut self.tracker.patience {
            patience.set_next(None);
        }
        if let Some(letters) = &mut self.tracker.dead_letters {
            letters.handle_detached();
        }
        self.tracker.chunks.handle_detached();
        let released = if self.tracker.spec.durable {
            // Acknowledged members of a batch stay acknowledged when the entry comes again.
            self.tracker.outstanding.release_all()
        } else {
            self.tracker.outstanding.clear()
        };
        self.tracker.permits.make_room(released);
        released
    }

    /// The session ended while the consumer was detached: only what the broker must be told of stays.
    /// Tells whether there is any.
    pub fn keeps_acks_only(&mut self) -> bool {
        self.held.clear();
        self.tracker.outstanding.clear();
        self.tracker.spec.durable && self.tracker.acks.is_waiting()
    }

    /// The broker knows the consumer again, which wants nothing but to tell it what is acknowledged.
    pub fn tell_acks(&mut self, now: Now, out: &mut BytesMut) {
        self.tracker.attached = true;
        self.tracker.acks.renew(now.mono);
        self.flush_acks(out);
    }

    /// Sends what is acknowledged at once, before the consumer is closed.
    pub fn flush_acks(&mut self, out: &mut BytesMut) {
        if self.tracker.attached {
            self.tracker.acks.flush(self.tracker.id, out);
        }
    }

    /// Behind which message a subscription that is not durable goes on after a reconnect: the one
    /// before the first that waits, or else the last that was taken (`ConsumerImpl.clearReceiverQueue`).
    fn resume_position(&self) -> Option<Position> {
        let start = self.tracker.start;
        let Some(waiting) = self.held.first_waiting() else {
            return self.tracker.taken.or(start);
        };
        let shape = &waiting.shape;
        let (entry, next) = (
            shape.first_chunk().unwrap_or(shape.id),
            waiting.cursor.index,
        );
        let already_behind =
            |start: Position| start.entry == entry && start.batch_index.is_some_and(|i| i >= next);
        if start.is_some_and(already_behind) {
            return start;
        }
        Some(match next.checked_sub(1) {
            Some(index) => Position {
                entry,
                batch_index: Some(index),
            },
            None => Position::before(entry),
        })
    }
}
