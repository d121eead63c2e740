//! What clients have sent in part, and who goes when it is too much.

use super::{Shard, client::Phase};
use crate::{session::SessionKey, timer::Now};

impl Shard {
    /// Keeps the sum of what clients have sent in part, and gives up the largest when it is too
    /// much: a message can be as large as its limit, but not a thousand at once. A shard's only
    /// one is always let in.
    pub(super) fn account_incomplete(&mut self, now: Now, key: SessionKey) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let bytes = client.unparsed.len()
            + match &client.phase {
                Phase::Open(open) => open.ws.incomplete_bytes(),
                Phase::Head | Phase::Opening(_) | Phase::Asking(_) => 0,
            };
        if bytes == client.incomplete_bytes {
            return;
        }
        let used = self.incomplete.used() - client.incomplete_bytes + bytes;
        self.incomplete.set(used);
        client.incomplete_bytes = bytes;
        while !self.incomplete.is_covered() {
            let largest = self
                .clients
                .iter()
                .max_by_key(|(_, client)| client.incomplete_bytes);
            let Some((largest, client)) = largest else {
                return;
            };
            if client.incomplete_bytes == self.incomplete.used() {
                return;
            }
            self.close_overloaded(now, largest, "too many bytes of incomplete messages");
        }
    }

    /// A client that is forgotten has nothing incomplete.
    pub(super) fn forget_incomplete(&mut self, bytes: usize) {
        let used = self.incomplete.used() - bytes;
        self.incomplete.set(used);
    }
}
