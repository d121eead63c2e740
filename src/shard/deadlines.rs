//! What becomes due for a client: its handshake, its pings, its idleness, its replies that nobody reads.

use super::{Shard, client::Phase};
use crate::{
    session::SessionKey,
    timer::{Instant, MaybeInstant, Now},
    ws::frame::{self, close_code},
};

/// What pings carry, as with the Java service.
const PING: &[u8] = b"PING";

/// So many pings in a row may go without a sign of life.
const PINGS_UNANSWERED_MAX: u8 = 3;

/// Deadlines of the shard itself; those of the backend are kept there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timer {
    /// The handshake's deadline; afterwards, a ping or a look at how long the client has been idle.
    Client(SessionKey),
    /// A client that does not read what it is told is given up unless it made progress.
    Stalled(SessionKey),
    /// Handshakes wait for their turn.
    Admission,
    /// Messages wait because the call they came with had inflated enough.
    Inflating,
    /// Draining ends, whoever is left.
    Drain,
}

impl Shard {
    /// Sets a client's deadline, unless an earlier one is set, at which it is looked for anew.
    pub(super) fn arm_client(&mut self, key: SessionKey, deadline: Instant) {
        if let Some(client) = self.clients.get_mut(key)
            && client.armed.get().is_none_or(|armed| deadline < armed)
        {
            client.armed = deadline.into();
            self.timers.set(deadline, Timer::Client(key));
        }
    }

    /// A client's deadline: the handshake's, a ping, or a look at its idleness.
    pub(super) fn client_timeout(&mut self, now: Now, key: SessionKey) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        if client.armed.get().is_none_or(|armed| armed > now.mono) {
            return;
        }
        client.armed = MaybeInstant::NONE;
        match &mut client.phase {
            Phase::Open(open) => {
                if open.ping_at.get().is_some_and(|at| at <= now.mono) {
                    return self.ping(now, key);
                }
                let idle = self.config.idle_timeout;
                let deadline = client.active + idle;
                if now.mono < deadline {
                    let next = open.ping_at.get().map_or(deadline, |at| at.min(deadline));
                    return self.arm_client(key, next);
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

    /// Pings a client, unless it left too many pings without any word: then it is gone, whatever its socket says.
    ///
    /// While bytes wait to be written none is sent: it would only wait behind them, and whether they are taken is
    /// watched by the idle timeout. A client that is not read for now can't be heard, so it owes nothing.
    fn ping(&mut self, now: Now, key: SessionKey) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let Phase::Open(open) = &mut client.phase else {
            return;
        };
        if client.pings >= PINGS_UNANSWERED_MAX {
            let reason = format!("No answer to {PINGS_UNANSWERED_MAX} pings");
            let out = &mut client.outbox.bytes;
            open.ws.close(out, close_code::GOING_AWAY, &reason);
            return self.finish(now, key);
        }
        let next = self
            .config
            .ping_interval
            .map(|interval| now.mono + interval);
        open.ping_at = next.into();
        if client.outbox.len() == 0 {
            client.pings = if client.paused { 0 } else { client.pings + 1 };
            self.buffers.provide(&mut client.outbox);
            frame::write_ping(&mut client.outbox.bytes, PING);
            self.announce(now, key);
        }
        let idle = self
            .clients
            .get(key)
            .map(|client| client.active + self.config.idle_timeout);
        if let Some(deadline) = next.into_iter().chain(idle).min() {
            self.arm_client(key, deadline);
        }
    }

    /// A client that had too much to read made no progress for the whole stall timeout?
    pub(super) fn stalled_timeout(&mut self, now: Now, key: SessionKey) {
        let timeout = self.config.replies_timeout;
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        client.stall_timer = false;
        let Some(since) = client.stalled_since.get() else {
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
