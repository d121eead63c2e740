//! What is due: acknowledgements are told, and entries asked for again.

use bytes::BytesMut;

use super::{
    Consumer,
    dead_letter::DeadLetters,
    load::Load,
    redelivery::Patience,
    wire::{put_redeliver, put_redeliver_all},
};
use crate::timer::{Instant, Now};

/// Entries in one request for redelivery, as in Java.
const REDELIVER_MAX: usize = 1000;

/// Asked with each message: it costs less than the minimum of a list does.
fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

impl Consumer {
    /// Does what is due. Tells how many messages the client can't acknowledge any more, because they
    /// will come again.
    pub fn handle_timeout(&mut self, now: Now, out: Option<&mut BytesMut>) -> u32 {
        let tracker = &mut self.tracker;
        let Some(out) = out.filter(|_| tracker.attached) else {
            return 0;
        };
        self.again.clear();
        let is_waiting = self.held.first_waiting().is_some() || self.held.is_parking();
        tracker.chunks.expire(now.mono, is_waiting, &mut self.again);
        tracker.end_parts(now, &self.again);
        tracker.acks.handle_timeout(now.mono, tracker.id, out);
        self.again.clear();
        tracker.rejections.take_due(now.mono, &mut self.again);
        tracker.chunks.take_returned(now.mono, &mut self.again);
        if tracker.spec.is_volatile {
            self.again.clear();
        }
        if let Some(letters) = &mut tracker.dead_letters {
            letters.take_returned(now.mono, &mut self.again);
        }
        if let Some(patience) = &mut tracker.patience
            && let Some(tick) = patience.due(now.mono)
        {
            let next = tracker.outstanding.expired(tick, &mut self.again);
            let left = tracker.left.expired(tick, &mut self.again);
            patience.set_next(next.into_iter().chain(left).min());
        }
        if self.again.is_empty() {
            return 0;
        }
        if tracker.spec.is_exclusive() {
            self.redeliver_all(out)
        } else {
            self.redeliver(out)
        }
    }

    /// When [`Consumer::handle_timeout`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let tracker = &self.tracker;
        if !tracker.attached {
            return None;
        }
        let patience = tracker.patience.as_deref().and_then(Patience::deadline);
        let letters = tracker.dead_letters.as_deref();
        let deadline = earlier(tracker.acks.deadline(), tracker.rejections.next_due());
        let deadline = earlier(deadline, patience);
        let deadline = earlier(deadline, letters.and_then(DeadLetters::deadline));
        earlier(deadline, tracker.chunks.deadline())
    }

    /// Asks for the entries in `again` once more.
    fn redeliver(&mut self, out: &mut BytesMut) -> u32 {
        let tracker = &mut self.tracker;
        self.again.sort_unstable();
        self.again.dedup();
        let mut released = 0;
        self.again.retain(|&entry| {
            let (messages, left) = tracker.outstanding.release(entry);
            released += messages;
            tracker.rejections.remove(entry);
            left
        });
        let held = self.held.release(&self.again);
        if let Some(letters) = &mut tracker.dead_letters {
            self.again.retain(|&entry| !letters.bury(entry));
        }
        if !tracker.chunks.is_empty() {
            let asked = 0..self.again.len();
            for at in asked {
                let parts = tracker.chunks.take(self.again[at]).unwrap_or_default();
                self.again.extend(parts);
            }
            self.again.sort_unstable();
            self.again.dedup();
        }
        // Told of the acknowledgements first, the broker has no reason to send those messages.
        tracker.acks.flush(tracker.id, out);
        for entries in self.again.chunks(REDELIVER_MAX) {
            put_redeliver(out, tracker.id, entries);
        }
        tracker.permits.give_back(held);
        tracker.permits.make_room(released);
        tracker.flow(self.held.load(), Some(out));
        released
    }

    /// Asks for everything unacknowledged, as Java does for subscriptions with one consumer at a
    /// time: there the broker does not answer to single entries.
    fn redeliver_all(&mut self, out: &mut BytesMut) -> u32 {
        let tracker = &mut self.tracker;
        tracker.epoch += 1;
        tracker.chunks.forget_given_up();
        tracker.acks.flush(tracker.id, out);
        put_redeliver_all(out, tracker.id, tracker.epoch);
        tracker.rejections.clear();
        if let Some(patience) = &mut tracker.patience {
            patience.set_next(None);
        }
        tracker.left.clear();
        let released = tracker.outstanding.release_all();
        tracker.permits.give_back(self.held.clear());
        tracker.permits.make_room(released);
        tracker.flow(Load::default(), Some(out));
        released
    }
}
