//! From the first byte to the 101: what is asked for, whether it may be, and the broker's answer.
//!
//! The upgrade is answered only when the broker's half exists, so "open" means "ready", as with the
//! Java service. Nobody else waits meanwhile.

use super::{
    Effect, Shard,
    admission::Standing,
    client::{Asking, Open, Opening, Phase},
    statistics::{self, Counted},
    unmapped,
};
use crate::{
    dialect::Dialect,
    http::{
        self, Parsed,
        admin::{self, Wish},
        forwarded::Forwarded,
        page::Form,
        proxy_protocol::{self, Announced},
        refusal::Refusal,
        route::{self, Endpoint},
        upgrade::{self, Accept},
    },
    metrics::Bound,
    session::{OpenError, Session, SessionKey, Spec},
    timer::Now,
    ws::{self, WebSocket},
};

/// A client may send messages before it got its 101; more than this waits in its socket.
const EARLY_BYTES_MAX: usize = 64 * 1024;

/// As much of a head at a time is looked at, whatever it is.
const FRESH_BYTES_MIN: usize = 1024;

impl Shard {
    /// Works on the head of the request; tells how many bytes are done with.
    pub(super) fn head_bytes(&mut self, now: Now, key: SessionKey, bytes: &[u8]) -> usize {
        let Some(announced) = self.announcement(now, key, bytes) else {
            return 0;
        };
        let blank = announced + blank_bytes(&bytes[announced..]);
        let (head, len) = match http::parse(&bytes[blank..]) {
            Parsed::Partial => return blank,
            Parsed::Complete { head, len } => (head, len),
            Parsed::Refused(refusal) => {
                self.refuse(now, key, &refusal);
                return bytes.len();
            }
        };
        if let Some(client) = self.clients.get_mut(key) {
            client.visit.asks(head.method, head.target);
            client.form = Form::of(&head);
        }
        let forwarded = match self.forwarded(key, &head) {
            Ok(forwarded) => forwarded,
            Err(refusal) => {
                self.refuse(now, key, &refusal.at(head.target));
                return bytes.len();
            }
        };
        if let Some(wish) = admin::wish(&head) {
            let base = || self.base(key, &forwarded, &head);
            let wish = wish.map_err(|refusal| refusal.with_base(base));
            self.wished(now, key, wish);
            return bytes.len();
        }
        match asked_for(&head, self.config.deflate) {
            Ok((accept, endpoint, dialect, spec)) => {
                if !self.admit(now, key) {
                    return blank;
                }
                let link = self.pulsar.open(now, key, &spec);
                if let Some(client) = self.clients.get_mut(key) {
                    tracing::debug!(peer = %client.peer, local = ?client.local, ?spec, "opening");
                    let kind = endpoint.kind;
                    let opening = Opening {
                        accept,
                        dialect,
                        kind,
                        spec,
                        link,
                        path: head.target.into(),
                    };
                    client.phase = Phase::Opening(Box::new(opening));
                }
                blank + len
            }
            Err(refusal) => {
                let refusal = refusal.with_base(|| self.base(key, &forwarded, &head));
                self.refuse(now, key, &refusal);
                bytes.len()
            }
        }
    }

    /// Takes a header of the PROXY protocol where one may come: tells how long it is, or that it has to be waited for,
    /// or that the client is gone.
    fn announcement(&mut self, now: Now, key: SessionKey, bytes: &[u8]) -> Option<usize> {
        let client = self.clients.get_mut(key)?;
        if !client.may_be_announced {
            return Some(0);
        }
        match proxy_protocol::read(bytes) {
            Announced::Partial => return None,
            Announced::Malformed => {
                tracing::debug!(peer = %client.peer, "malformed header of the PROXY protocol");
                self.abort(now, key);
                return None;
            }
            Announced::Nothing => {}
            Announced::Header { client: peer, len } => {
                client.may_be_announced = false;
                if let Some(peer) = peer {
                    client.via = Some(Box::new(client.peer));
                    client.peer = unmapped(peer);
                }
                return Some(len);
            }
        }
        client.may_be_announced = false;
        Some(0)
    }

    /// What proxies say in the head, where that is to be believed.
    fn forwarded(
        &mut self,
        key: SessionKey,
        head: &http::RequestHead<'_>,
    ) -> Result<Forwarded, Refusal> {
        if !self.config.trusts_forwarded {
            return Ok(Forwarded::default());
        }
        let forwarded = Forwarded::read(head)?;
        if let Some(client) = self.clients.get_mut(key) {
            client.forwarded = forwarded.client.map(Box::new);
        }
        Ok(forwarded)
    }

    /// Where the client thinks it is, for a redirection.
    fn base(&self, key: SessionKey, forwarded: &Forwarded, head: &http::RequestHead<'_>) -> String {
        self.clients
            .get(key)
            .and_then(|client| client.local.as_deref())
            .map(|local| forwarded.base(head, *local))
            .unwrap_or_default()
    }

    /// Answers a request that wants no WebSocket, or has the answer collected.
    fn wished(&mut self, now: Now, key: SessionKey, wish: Result<Wish, Refusal>) {
        let wish = match wish {
            Ok(wish) => wish,
            Err(refusal) => return self.refuse(now, key, &refusal),
        };
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        match wish {
            Wish::Answer(answer) => self.answer(now, key, &answer),
            Wish::Statistics(question) => {
                client.phase = Phase::Asking(Box::default());
                self.survey(now, key, question);
            }
            Wish::Status { .. } if self.config.status_file.is_none() => {
                self.refuse(now, key, &admin::not_in_use());
            }
            Wish::Status { content_type } => {
                client.phase = Phase::Asking(Box::new(Asking { content_type }));
                self.effects.push_back(Effect::LookAtStatusFile(key));
            }
        }
    }

    /// Stops reading a client that says too much before it got its 101.
    pub(super) fn early_bytes(&mut self, key: SessionKey) {
        if let Some(client) = self.clients.get_mut(key)
            && matches!(client.phase, Phase::Opening(_))
            && client.unparsed.len() > EARLY_BYTES_MAX
            && !client.paused
        {
            client.paused = true;
            self.figures.counters.stopped(Bound::EarlyBytes);
        }
    }

    /// The broker's half is ready: the upgrade is answered, messages may flow.
    pub(super) fn opened(&mut self, now: Now, key: SessionKey) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let phase = std::mem::replace(&mut client.phase, Phase::Head);
        let Phase::Opening(opening) = phase else {
            client.phase = phase;
            return;
        };
        self.buffers.provide(&mut client.outbox);
        upgrade::write_switching_protocols(&mut client.outbox.bytes, &opening.accept);
        let limits = ws::Limits {
            text_bytes_max: self.config.text_frame_bytes_max,
            ..ws::Limits::default()
        };
        let kind = opening.kind;
        let standing = std::mem::replace(&mut client.standing, Standing::Outside);
        let mut ws = WebSocket::new(limits);
        if let Some(deflate) = opening.accept.deflate {
            ws = ws.with_deflate(deflate.window_bits());
        }
        client.phase = Phase::Open(Box::new(Open {
            dialect: opening.dialect,
            ws,
            session: Session::new(&opening.spec, opening.link),
            counted: Counted::new(now, &opening.spec, &mut self.namespaces),
            ping_at: self
                .config
                .ping_interval
                .map(|interval| now.mono + interval)
                .into(),
        }));
        client.active = now.mono;
        self.figures.counters.answered(101);
        self.figures.counters.opened(statistics::endpoint(kind));
        self.access_log.opened(now.mono, client);
        if !self.config.logs_addresses {
            client.local = None;
        }
        self.announce(now, key);
        self.leave_place(standing);
        let idle = self.config.idle_timeout;
        let first_look = self
            .config
            .ping_interval
            .map_or(idle, |interval| interval.min(idle));
        self.arm_client(key, now.mono + first_look);
        self.may_resume(key);
    }

    /// The broker's half could not be made.
    pub(super) fn open_failed(&mut self, now: Now, key: SessionKey, error: &OpenError) {
        let Some(client) = self.clients.get(key) else {
            return;
        };
        if let Phase::Opening(opening) = &client.phase {
            let refusal = opening.dialect.open_failed(opening.kind, error);
            let refusal = refusal.at(&opening.path);
            self.refuse(now, key, &refusal);
        }
    }

    /// The handshake took too long: says at which step, unless nobody spoke at all.
    pub(super) fn handshake_timeout(&mut self, now: Now, key: SessionKey) {
        let Some(client) = self.clients.get(key) else {
            return;
        };
        match &client.phase {
            Phase::Head if client.standing != Standing::Outside => {
                self.refuse(now, key, &Refusal::standard(503));
            }
            Phase::Head if client.unparsed.is_empty() => self.abort(now, key),
            Phase::Asking(_) => {
                let text = "The answer could not be collected in time";
                self.refuse(now, key, &Refusal::new(504, text));
            }
            Phase::Opening(opening) => {
                let step = self.pulsar.waiting_for(opening.link);
                let seconds = self.config.handshake_timeout.as_secs_f64();
                let message = format!("The broker did not answer within {seconds} s: {step}");
                let refusal = Refusal::new(504, message).at(&opening.path);
                self.refuse(now, key, &refusal);
            }
            Phase::Head | Phase::Open(_) => {
                self.refuse(
                    now,
                    key,
                    &Refusal::new(408, "The request head did not arrive in time"),
                );
            }
        }
    }

    /// Answers with an HTTP error and forgets the client.
    pub(super) fn refuse(&mut self, now: Now, key: SessionKey, refusal: &Refusal) {
        if let Some(client) = self.clients.get_mut(key) {
            self.figures.counters.answered(refusal.status);
            self.access_log.refused(now.mono, client, refusal);
            refusal.write(&mut client.outbox.bytes, client.form);
            self.finish(now, key);
        }
    }
}

/// Whether a head that was incomplete may be complete, or too long, with its last `fresh` bytes. A
/// head is read from its beginning each time, so a client that sends it byte by byte must not make
/// each byte cost that: only ends of lines do, of which a head has few.
pub(super) fn may_end(head: &[u8], fresh: usize) -> bool {
    fresh >= FRESH_BYTES_MIN
        || head.len() > http::HEAD_BYTES_MAX
        || head[head.len().saturating_sub(fresh)..].contains(&b'\n')
}

/// Empty lines before a request, which RFC 9112 section 2.2 asks to ignore.
fn blank_bytes(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let [b'\n', after @ ..] | [b'\r', b'\n', after @ ..] = rest {
        rest = after;
    }
    bytes.len() - rest.len()
}

/// What the head asks for, in the order in which the Java service checks it: the path's mount
/// point, the upgrade, the topic, the parameters, the version.
fn asked_for(
    head: &http::RequestHead<'_>,
    deflate: bool,
) -> Result<(Accept, Endpoint, Dialect, Spec), Refusal> {
    let mount = route::mount(head.target)?;
    upgrade::check(head)?;
    let endpoint = route::endpoint(&mount)?;
    let dialect = Dialect::PulsarJson;
    let spec = dialect
        .spec(&endpoint)
        .map_err(|refusal| refusal.at(head.target))?;
    let accept = upgrade::accept(head, deflate)?;
    Ok((accept, endpoint, dialect, spec))
}
