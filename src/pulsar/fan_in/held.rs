//! What parts hold for a client that can't take it yet goes out in turn, one message a part, so that
//! a busy part keeps no quiet one waiting.

use crate::{
    pulsar::{
        Pulsar,
        consuming::Consuming,
        half::{HalfKey, Role, half_key},
    },
    session::Link,
};

impl Pulsar {
    /// Whether more may be held for a session after [`Pulsar::next_held`] had nothing to give: that
    /// of another part.
    #[must_use]
    pub fn holds_more(&self, link: Link) -> bool {
        let fan_in = self.fan_in(half_key(link.0));
        fan_in.is_some_and(|fan_in| !fan_in.holding.is_empty())
    }

    /// A part holds something.
    pub(in crate::pulsar) fn note_held(&mut self, part: HalfKey) {
        let Some(root) = self.root_of(part) else {
            return;
        };
        let Some(consuming) = self.consuming_mut(part) else {
            return;
        };
        if !std::mem::replace(&mut consuming.is_listed, true)
            && let Some(fan_in) = self.fan_in_mut(root)
        {
            fan_in.holding.push_back(part);
        }
    }

    /// The part whose turn it is; it goes behind the others.
    pub(in crate::pulsar) fn next_holder(&mut self, root: HalfKey) -> Option<HalfKey> {
        loop {
            let part = self.fan_in_mut(root)?.holding.pop_front()?;
            let Some(consuming) = self.consuming_mut(part) else {
                continue;
            };
            if consuming.consumer.is_holding() {
                self.fan_in_mut(root)?.holding.push_back(part);
                return Some(part);
            }
            consuming.is_listed = false;
        }
    }

    /// What a part belongs to in the end.
    pub(super) fn root_of(&self, part: HalfKey) -> Option<HalfKey> {
        let group = self.halves.get(part)?.place()?.group;
        match self.halves.get(group)?.place() {
            Some(place) => Some(place.group),
            None => Some(group),
        }
    }

    pub(super) fn consuming_mut(&mut self, part: HalfKey) -> Option<&mut Consuming> {
        match &mut self.halves.get_mut(part)?.role {
            Role::Consumer(consuming) => Some(consuming),
            _ => None,
        }
    }
}
