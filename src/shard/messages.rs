//! Clients ↔ sessions: messages become commands, events become messages; and when to stop reading.

use super::{
    Effect, Shard, Timer,
    client::{Open, Phase},
    outbox::Outbox,
};
use crate::{
    config::Config,
    dialect::{Dialect, Rejection, TimeFormat},
    pulsar::{Entry, Pulsar},
    session::{Event, Session, SessionKey},
    timer::Now,
    ws::{self, Incoming, frame},
};

/// Deliveries wait at the backend while more than this is unwritten: enough to keep the socket
/// busy, little enough for a thousand slow readers.
const DELIVERIES_UNWRITTEN_BYTES_MAX: usize = 256 * 1024;

/// Why a client's input is not worked on any further for now.
enum Stop {
    /// It is all used up.
    Empty,
    /// The client has to wait: too much of it is in flight, or it doesn't read its replies.
    Pause,
    /// The session is over; the close frame, if any, is in the outbox.
    End,
}

impl Shard {
    /// Works on bytes of a client, together with those kept from before.
    pub(super) fn client_bytes(&mut self, now: Now, key: SessionKey, bytes: &mut [u8]) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        client.active = now.mono;
        if client.unparsed.is_empty() {
            let done = self.client_input(now, key, bytes);
            if let Some(client) = self.clients.get_mut(key) {
                client.unparsed.extend_from_slice(&bytes[done..]);
            }
        } else {
            client.unparsed.extend_from_slice(bytes);
            self.client_unparsed(now, key);
        }
        self.account_incomplete(now, key);
    }

    /// Lets a client go on whose reason to wait may be gone.
    pub(super) fn resume(&mut self, now: Now, key: SessionKey) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        self.buffers.provide(&mut client.outbox);
        self.deliver_held(now, key);
        self.client_unparsed(now, key);
        self.account_incomplete(now, key);
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        self.buffers.reclaim(&mut client.outbox);
        let must_wait = match &client.phase {
            Phase::Open(open) => must_wait(
                open,
                &client.outbox,
                &self.pulsar,
                &self.config,
                self.draining.is_on(),
            ),
            Phase::Head | Phase::Opening(_) => false,
        };
        if client.paused && client.unparsed.is_empty() && !must_wait {
            client.paused = false;
            client.stalled_since = None;
            self.effects.push_back(Effect::Read(key));
        }
    }

    /// Works on the bytes that were kept.
    fn client_unparsed(&mut self, now: Now, key: SessionKey) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        if client.unparsed.is_empty() {
            return;
        }
        let mut bytes = std::mem::take(&mut client.unparsed);
        let done = self.client_input(now, key, &mut bytes);
        if let Some(client) = self.clients.get_mut(key)
            && done < bytes.len()
        {
            bytes.drain(..done);
            client.unparsed = bytes;
        }
    }

    /// Works on bytes as far as the client's phase allows; tells how many are done with.
    fn client_input(&mut self, now: Now, key: SessionKey, bytes: &mut [u8]) -> usize {
        let Some(client) = self.clients.get_mut(key) else {
            return bytes.len();
        };
        match client.phase {
            Phase::Head => {
                let done = self.head_bytes(now, key, bytes);
                self.early_bytes(key);
                done
            }
            Phase::Opening(_) => {
                self.early_bytes(key);
                0
            }
            Phase::Open(_) => self.messages(now, key, bytes),
        }
    }

    /// Works on WebSocket frames until the input or the client's allowance is used up.
    fn messages(&mut self, now: Now, key: SessionKey, bytes: &mut [u8]) -> usize {
        let len = bytes.len();
        let Some(client) = self.clients.get_mut(key) else {
            return len;
        };
        let Phase::Open(open) = &mut client.phase else {
            return 0;
        };
        self.buffers.provide(&mut client.outbox);
        let mut input = ws::Input::new(bytes);
        let draining = self.draining.is_on();
        let stop = loop {
            if must_wait(open, &client.outbox, &self.pulsar, &self.config, draining) {
                break Stop::Pause;
            }
            let out = &mut client.outbox.bytes;
            let Open {
                dialect,
                kind,
                ws,
                session,
            } = &mut **open;
            let closing = match ws.next_message(&mut input, out) {
                Ok(Some(Incoming::Text(text))) => {
                    let command = dialect.read_command(*kind, text, &mut self.scratch);
                    let outcome = command.and_then(|command| {
                        session
                            .handle_command(now, command, &mut self.pulsar)
                            .map_err(|_| dialect.bad_message_id())
                    });
                    match outcome {
                        Ok(None) => None,
                        Ok(Some(event)) => {
                            write(*dialect, &event, out, &mut self.time);
                            None
                        }
                        Err(Rejection::Reply {
                            code,
                            message,
                            context,
                        }) => {
                            let mark = frame::begin_text(out, message.len());
                            dialect.write_rejection_reply(code, &message, context, out);
                            frame::finish(out, mark);
                            None
                        }
                        Err(Rejection::Close { code, reason }) => Some((code, reason)),
                    }
                }
                // Java ignores them too.
                Ok(Some(Incoming::Binary | Incoming::Pong(_))) => None,
                Ok(Some(Incoming::Closed { .. })) => break Stop::End,
                Ok(None) => break Stop::Empty,
                Err(violation) => Some((violation.code, violation.reason)),
            };
            if let Some((code, reason)) = closing {
                tracing::debug!(peer = %client.peer, code, reason, "closing");
                ws.close(out, code, &reason);
                break Stop::End;
            }
        };
        let left = input.remaining();
        match stop {
            Stop::Empty => {}
            Stop::Pause => self.pause(now, key),
            Stop::End => {
                self.finish(now, key);
                return len;
            }
        }
        self.deliver_held(now, key);
        if let Some(client) = self.clients.get_mut(key) {
            self.buffers.reclaim(&mut client.outbox);
        }
        len - left
    }

    /// Stops reading a client. If that is because it does not read, it has until the stall timeout.
    fn pause(&mut self, now: Now, key: SessionKey) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        client.paused = true;
        if client.outbox.len() > self.config.replies_bytes_max && client.stalled_since.is_none() {
            client.stalled_since = Some(now.mono);
            self.timers
                .set(now.mono + self.config.replies_timeout, Timer::Stalled(key));
        }
    }

    /// An entry came: its messages go out as far as the client may have them, the rest is held.
    pub(super) fn entry(&mut self, now: Now, mut entry: Entry<'_>) {
        let key = entry.session();
        // What is held came earlier and goes first; if any stays held, there is no room now.
        self.deliver_held(now, key);
        if let Some(client) = self.clients.get_mut(key)
            && let Phase::Open(open) = &mut client.phase
        {
            self.buffers.provide(&mut client.outbox);
            while takes_delivery(open, &client.outbox) {
                let Some(delivery) = self.pulsar.next_delivery(now, &mut entry) else {
                    self.announce(key);
                    return;
                };
                open.session.handle_delivery();
                let event = Event::Delivery(&delivery);
                write(
                    open.dialect,
                    &event,
                    &mut client.outbox.bytes,
                    &mut self.time,
                );
            }
        }
        self.pulsar.hold(now, entry);
        self.announce(key);
    }

    /// Sends what is held as far as the client may have it.
    fn deliver_held(&mut self, now: Now, key: SessionKey) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let Phase::Open(open) = &mut client.phase else {
            return;
        };
        let link = open.session.link();
        while takes_delivery(open, &client.outbox) {
            let Some(delivery) = self.pulsar.next_held(now, link) else {
                break;
            };
            open.session.handle_delivery();
            let event = Event::Delivery(&delivery);
            write(
                open.dialect,
                &event,
                &mut client.outbox.bytes,
                &mut self.time,
            );
        }
        self.announce(key);
    }

    /// The broker did not remove the subscription.
    pub(super) fn unsubscribe_failed(&mut self, now: Now, key: SessionKey, message: &str) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let Phase::Open(open) = &mut client.phase else {
            return;
        };
        tracing::info!(peer = %client.peer, message, "unsubscribe failed");
        if let Rejection::Close { code, reason } = open.dialect.unsubscribe_failed() {
            open.ws.close(&mut client.outbox.bytes, code, &reason);
        }
        self.finish(now, key);
    }

    /// Keeps the sum of what clients have sent in part, and gives up the largest when it is too
    /// much: a message can be as large as its limit, but not a thousand at once.
    fn account_incomplete(&mut self, now: Now, key: SessionKey) {
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

/// Whether the client's further messages have to wait: it does not read its replies, or as much of
/// it is in flight as may be. One message more than the limit is always let in.
fn must_wait(
    open: &Open,
    outbox: &Outbox,
    pulsar: &Pulsar,
    config: &Config,
    draining: bool,
) -> bool {
    if outbox.len() > config.replies_bytes_max {
        return true;
    }
    let Session::Producer(producer) = &open.session else {
        return false;
    };
    let in_flight = pulsar.in_flight_bytes(open.session.link()) + producer.context_bytes();
    draining || in_flight > config.publishes_in_flight_bytes_max
}

fn takes_delivery(open: &Open, outbox: &Outbox) -> bool {
    open.session.wants_delivery() && outbox.len() < DELIVERIES_UNWRITTEN_BYTES_MAX
}

/// Appends an event as one text message.
pub(super) fn write(dialect: Dialect, event: &Event<'_>, out: &mut Vec<u8>, time: &mut TimeFormat) {
    let mark = frame::begin_text(out, dialect.event_len_hint(event));
    dialect.write_event(event, out, time);
    frame::finish(out, mark);
}
