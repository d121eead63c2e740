//! How a client is forgotten. There is no closing phase: the runtime sees its last bytes out.

use super::{
    Effect, Shard,
    client::{Client, Phase},
    statistics,
};
use crate::{
    http::refusal::Refusal, metrics::Ender, session::SessionKey, timer::Now, ws::frame::close_code,
};

impl Shard {
    /// Forgets a client: its last words are written, then its socket is closed.
    pub(super) fn finish(&mut self, now: Now, key: SessionKey) {
        if let Some(mut client) = self.clients.remove(key) {
            let last = client.outbox.take_last();
            client.visit.bytes_out += last.len() as u64;
            self.figures.counters.client_bytes_out += last.len() as u64;
            self.effects.push_back(Effect::Finish { client: key, last });
            self.release(now, *client);
        }
    }

    /// Forgets a client without a word.
    pub(super) fn abort(&mut self, now: Now, key: SessionKey) {
        if let Some(client) = self.clients.remove(key) {
            self.effects.push_back(Effect::Abort(key));
            self.release(now, *client);
        }
    }

    /// A client that says nothing more is told that its session ends, or gets the answer it asked for.
    /// One whose handshake is on its way would have no use for a session.
    pub(super) fn end_client(&mut self, now: Now, key: SessionKey) -> bool {
        let Some(client) = self.clients.get_mut(key) else {
            return false;
        };
        match &mut client.phase {
            Phase::Head | Phase::Opening(_) => false,
            Phase::Asking(_) => true,
            Phase::Open(open) => {
                let out = &mut client.outbox.bytes;
                open.ws.close(out, close_code::GOING_AWAY, "");
                client.visit.is_lost = true;
                self.finish(now, key);
                true
            }
        }
    }

    /// Gives back what a removed client held.
    pub(super) fn release(&mut self, now: Now, client: Client) {
        self.access_log.ended(now.mono, &client);
        self.leave_place(client.standing);
        self.forget_incomplete(client.incomplete_bytes);
        if let Some(link) = client.phase.link() {
            self.pulsar.close(now, link);
        }
        if let Phase::Open(open) = &client.phase {
            self.namespaces.leave(open.counted.namespace());
            let (ender, _) = client.ender();
            let endpoint = statistics::endpoint(open.kind());
            self.figures.counters.ended(endpoint, ender);
        }
        self.buffers.put(client.outbox.into_buffer());
    }

    /// Gives up a client that costs more than it may.
    pub(super) fn close_overloaded(&mut self, now: Now, key: SessionKey, reason: &str) {
        if let Some(client) = self.clients.get_mut(key) {
            tracing::warn!(peer = %client.peer, reason, "client given up");
            self.figures.counters.given_up += 1;
            let Phase::Open(open) = &mut client.phase else {
                return self.refuse(now, key, &Refusal::new(503, reason));
            };
            let out = &mut client.outbox.bytes;
            open.ws.close(out, close_code::TRY_AGAIN_LATER, reason);
            self.finish(now, key);
        }
    }
}

impl Client {
    /// Who ended the session first, and the code of the WebSocket's close, if that was how.
    pub(super) fn ender(&self) -> (Ender, Option<u16>) {
        let sent = match &self.phase {
            Phase::Open(open) => open.ws.close_code(),
            Phase::Head | Phase::Opening(_) | Phase::Asking(_) => None,
        };
        match (sent, self.visit.closed_by_client) {
            _ if self.visit.is_lost => (Ender::Loss, None),
            (Some(code), _) => (Ender::Service, Some(code)),
            (None, Some(code)) => (Ender::Client, code),
            (None, None) => (Ender::Loss, None),
        }
    }
}
