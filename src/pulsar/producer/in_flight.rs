//! What a producer has in flight.

use std::{
    cell::Cell,
    ops::{AddAssign, SubAssign},
    rc::Rc,
};

use crate::{pulsar::outbox::FrameRef, timer::Instant};

/// A frame without receipt.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) frame: FrameRef,
    /// Of its first message.
    pub(super) sequence_id: i64,
    pub(super) messages: u32,
    pub(super) created: Instant,
    pub(super) first_sent: Option<Instant>,
    pub(super) last_sent: Option<Instant>,
    pub(super) attempts: u32,
}

impl InFlight {
    /// The last message's number, by which the broker calls it when it refuses it.
    pub(super) fn highest_sequence_id(&self) -> i64 {
        self.sequence_id
            .wrapping_add(i64::from(self.messages.saturating_sub(1)))
    }

    pub(super) fn sent(&mut self, now: Instant) {
        self.first_sent.get_or_insert(now);
        self.last_sent = Some(now);
        self.attempts += 1;
    }
}

/// Bytes in flight, counted here and for all that publish for the same session.
#[derive(Debug, Default)]
pub(super) struct InFlightBytes {
    pub(super) own: usize,
    pub(super) all: Option<Rc<Cell<usize>>>,
}

impl AddAssign<usize> for InFlightBytes {
    fn add_assign(&mut self, bytes: usize) {
        self.own += bytes;
        if let Some(all) = &self.all {
            all.set(all.get() + bytes);
        }
    }
}

impl SubAssign<usize> for InFlightBytes {
    fn sub_assign(&mut self, bytes: usize) {
        self.own -= bytes;
        if let Some(all) = &self.all {
            all.set(all.get() - bytes);
        }
    }
}
