//! From a message id to the part it came from, and what concerns all parts.

use super::{FanIn, What};
use crate::{
    pulsar::{
        Event, Pulsar,
        error::exception,
        half::{HalfKey, Role, wire_id},
        message_id::PulsarId,
    },
    session::{BadMessageId, Link},
    timer::Now,
};

impl FanIn {
    /// The part that a message came from, here or in another session. In a list of topics a ledger
    /// must have been seen to be known.
    fn part_of(&self, id: &PulsarId) -> Option<HalfKey> {
        match (&self.what, id.partition) {
            (What::Partitions(_), Some(partition)) => self.parts.get(partition as usize).copied(),
            _ => self.ledgers.part(id.entry.ledger),
        }
    }
}

impl Pulsar {
    /// A part's messages come from a ledger that they did not come from before.
    pub(in crate::pulsar) fn note_ledger(&mut self, part: HalfKey, ledger: u64) {
        if let Some(root) = self.root_of(part)
            && let Some(fan_in) = self.fan_in_mut(root)
        {
            fan_in.ledgers.learn(ledger, part);
        }
    }

    /// An acknowledgement, of either kind, for one of several. An id of which nobody knows where it
    /// came from is nobody's.
    pub(in crate::pulsar) fn acknowledge_at_part(
        &mut self,
        now: Now,
        root: HalfKey,
        id: &[u8],
        acknowledge: fn(&mut Self, Now, Link, &[u8]) -> Result<bool, BadMessageId>,
    ) -> Result<bool, BadMessageId> {
        let numbers = PulsarId::decode(id)?;
        let Some(fan_in) = self.fan_in(root) else {
            return Ok(false);
        };
        let Some(part) = fan_in.part_of(&numbers) else {
            return Ok(false);
        };
        if acknowledge(self, now, Link(wire_id(part)), id)? {
            return Ok(true);
        }
        // Messages of topics that store nothing all have this id; any part that is owed one will do.
        let is_volatile = numbers.entry.ledger == 0 && numbers.entry.entry == 0;
        if !is_volatile {
            return Ok(false);
        }
        let mut others = self.leaves(root);
        others.retain(|&part| self.is_volatile(part));
        for part in others {
            if acknowledge(self, now, Link(wire_id(part)), id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_volatile(&self, part: HalfKey) -> bool {
        match self.halves.get(part).map(|half| &half.role) {
            Some(Role::Consumer(consuming)) => consuming.consumer.is_volatile(),
            _ => false,
        }
    }

    /// Every consumer there is below a half.
    pub(in crate::pulsar) fn leaves(&self, key: HalfKey) -> Vec<HalfKey> {
        let mut leaves = Vec::new();
        let Some(fan_in) = self.fan_in(key) else {
            return leaves;
        };
        for part in fan_in.parts() {
            match self.fan_in(part) {
                Some(topic) => leaves.extend(topic.parts()),
                None => leaves.push(part),
            }
        }
        leaves
    }

    /// Whether nothing will ever come of any part.
    pub(in crate::pulsar) fn all_ended(&self, root: HalfKey) -> bool {
        self.leaves(root).into_iter().all(|part| {
            let half = self.halves.get(part);
            half.is_some_and(|half| match &half.role {
                Role::Consumer(consuming) => consuming.consumer.end_of_topic(),
                _ => false,
            })
        })
    }

    /// Removes the subscription of every part (`MultiTopicsConsumerImpl.unsubscribeAsync`). The first
    /// part that fails tells the session; the others are done all the same.
    pub(in crate::pulsar) fn unsubscribe_all(&mut self, now: Now, root: HalfKey) {
        let Some(session) = self.halves.get(root).map(|half| half.session) else {
            return;
        };
        let Some(fan_in) = self.fan_in_mut(root) else {
            return;
        };
        if std::mem::replace(&mut fan_in.is_unsubscribed, true) {
            let text = "Topics Consumer was already closed";
            let message = exception("$AlreadyClosedException", text);
            self.events
                .push_back(Event::UnsubscribeFailed { session, message });
            return;
        }
        self.unwatch(now, root);
        for part in self.leaves(root) {
            self.unsubscribe_half(now, Link(wire_id(part)));
        }
    }
}
