//! What becomes due for a client: its handshake, its idleness, its replies that nobody reads.

use super::{Shard, client::Phase};
use crate::{
    session::SessionKey,
    timer::{Instant, Now},
    ws::frame::close_code,
};

/// Deadlines of the shard itself; those of the backend are kept there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timer {
    /// The handshake's deadline; afterwards, a look at how long the client has been idle.
    Client(SessionKey),
    /// A client that does not read what it is told is given up unless it made progress.
    Stalled(SessionKey),
    /// Handshakes wait for their turn.
    Admission,
    /// Draining ends, whoever is left.
    Drain,
}

impl Shard {
    /// Sets a client's deadline, unless an earlier one is set, at which it is looked for anew.
    pub(super) fn arm_client(&mut self, key: SessionKey, deadline: Instant) {
        if let Some(client) = self.clients.get_mut(key)
            && client.armed.is_none_or(|armed| deadline < armed)
        {
            client.armed = Some(deadline);
            self.timers.set(deadline, Timer::Client(key));
        }
    }

    /// A client's deadline: the handshake's, or a look at its idleness.
    pub(super) fn client_timeout(&mut self, now: Now, key: SessionKey) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        if client.armed.is_none_or(|armed| armed > now.mono) {
            return;
        }
        client.armed = None;
        match &mut client.phase {
            Phase::Open(open) => {
                let idle = self.config.idle_timeout;
                let deadline = client.active + idle;
                if now.mono < deadline {
                    return self.arm_client(key, deadline);
                }
                let silent = now.mono.since(client.active).as_millis();
                let reason = format!(
                    "java.util.concurrent.TimeoutException: Idle timeout expired: {silent}/{} ms",
                    idle.as_millis()
                );
                open.ws
                    .close(&mut client.outbox.bytes, close_code::GOING_AWAY, &reason);
                self.finish(now, key);
            }
            Phase::Head | Phase::Opening(_) | Phase::Asking(_) => {
                self.handshake_timeout(now, key);
            }
        }
    }

    /// A client that had too much to read made no progress for the whole stall timeout?
    pub(super) fn stalled_timeout(&mut self, now: Now, key: SessionKey) {
        let timeout = self.config.replies_timeout;
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        client.stall_timer = false;
        let Some(since) = client.stalled_since else {
            return;
        };
        if now.mono < since + timeout {
            client.stall_timer = true;
            self.timers.set(since + timeout, Timer::Stalled(key));
        } else {
            self.close_overloaded(now, key, "replies are not read");
        }
    }
}
