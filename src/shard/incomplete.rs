//! What clients have sent in part.

use super::{Shard, client::Phase};
use crate::{session::SessionKey, timer::Now};

impl Shard {
    /// Keeps the sum of what clients have sent in part, and gives up the largest when it is too
    /// much: a message can be as large as its limit, but not a thousand at once.
    pub(super) fn account_incomplete(&mut self, now: Now, key: SessionKey) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let incomplete = client.unparsed.len()
            + match &client.phase {
                Phase::Open(open) => open.ws.incomplete_bytes(),
                Phase::Head | Phase::Opening(_) => 0,
            };
        self.incomplete_bytes = self.incomplete_bytes - client.incomplete_bytes + incomplete;
        client.incomplete_bytes = incomplete;
        while self.incomplete_bytes > self.incomplete_bytes_max {
            let largest = self
                .clients
                .iter()
                .max_by_key(|(_, client)| client.incomplete_bytes);
            let Some((largest, _)) = largest else { return };
            self.close_overloaded(now, largest, "too many bytes of incomplete messages");
        }
    }
}
