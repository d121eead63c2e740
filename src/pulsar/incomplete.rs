//! Chunked messages of which parts are missing, of all sessions, and who goes when they are too much.
//!
//! One that has not grown for a while may never be complete, so it goes first. If all of them grow, it is
//! the one whose part was too much: the others get complete then, and it comes again.

use std::time::Duration;

use super::{
    Pulsar,
    half::{HalfKey, Role},
};
use crate::timer::Now;

/// Parts of a message that is being delivered come closer upon each other.
const IDLE_TIME: Duration = Duration::from_secs(1);

impl Pulsar {
    /// A part may have come for this half: gives up what is too much. The shard's only message is always
    /// kept.
    pub(super) fn account_incomplete(&mut self, now: Now, grown: HalfKey) {
        while self.incomplete.get() > self.settings.shard_incomplete_bytes_max {
            let (mut idlest, mut messages) = (None, 0);
            for (key, half) in self.halves.iter() {
                let Role::Consumer(consuming) = &half.role else {
                    continue;
                };
                messages += consuming.consumer.incomplete();
                if let Some(since) = consuming.consumer.incomplete_idle_since()
                    && idlest.is_none_or(|(other, _)| since < other)
                {
                    idlest = Some((since, key));
                }
            }
            let Some((since, idlest)) = idlest.filter(|_| messages > 1) else {
                return;
            };
            let is_idle = now.mono.since(since) >= IDLE_TIME;
            let key = if is_idle { idlest } else { grown };
            let Some(half) = self.halves.get_mut(key) else {
                return;
            };
            let Role::Consumer(consuming) = &mut half.role else {
                return;
            };
            tracing::debug!(
                topic = &*half.topic,
                is_idle,
                "no room for an incomplete chunked message; it is asked for again"
            );
            let before = self.incomplete.get();
            consuming.consumer.give_up_incomplete(now.mono, !is_idle);
            self.arm_consumer(key);
            if self.incomplete.get() == before {
                return;
            }
        }
    }
}
