//! Clients → sessions: bytes become messages, messages become commands.

use bytes::Buf;

use super::{
    Shard,
    client::{Open, Phase},
    flow::{check_memory, must_wait},
    handshake,
};
use crate::{
    dialect::{Dialect, Rejection, TimeFormat},
    metrics::Bound,
    session::{Event, SessionKey},
    timer::Now,
    ws::{self, Deflater, Incoming, frame},
};

/// Why a client's input is not worked on any further for now.
enum Stop {
    /// It is all used up.
    Empty,
    /// The client has to wait: too much of it is in flight, or it doesn't read its replies.
    Pause(Bound),
    /// As much was inflated as may be in one call.
    Inflated,
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
        client.pings = 0;
        client.visit.bytes_in += bytes.len() as u64;
        self.figures.counters.client_bytes_in += bytes.len() as u64;
        let messages_before = self.figures.counters.client_messages;
        if client.unparsed.is_empty() {
            let done = self.client_input(now, key, bytes);
            if let Some(client) = self.clients.get_mut(key) {
                client.unparsed.extend_from_slice(&bytes[done..]);
            }
        } else {
            let is_head = matches!(client.phase, Phase::Head);
            client.unparsed.extend_from_slice(bytes);
            if !is_head || handshake::may_end(&client.unparsed, bytes.len()) {
                self.client_unparsed(now, key);
            }
        }
        let messages = self.figures.counters.client_messages - messages_before;
        if messages > 0 {
            self.figures.client_messages.record(messages);
        }
        self.early_bytes(key);
        self.account_incomplete(now, key);
    }

    /// Works on the bytes that were kept.
    pub(super) fn client_unparsed(&mut self, now: Now, key: SessionKey) {
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
            // Nothing moves: a client that waits may have to do so once for each message.
            bytes.advance(done);
            client.unparsed = bytes;
        }
    }

    /// Works on bytes as far as the client's phase allows; tells how many are done with.
    fn client_input(&mut self, now: Now, key: SessionKey, bytes: &mut [u8]) -> usize {
        let Some(client) = self.clients.get_mut(key) else {
            return bytes.len();
        };
        match client.phase {
            Phase::Head => self.head_bytes(now, key, bytes),
            Phase::Opening(_) => 0,
            // Whatever follows, the connection ends with the answer.
            Phase::Asking(_) => bytes.len(),
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
        let room = self.rooms.take();
        self.rooms.put(open.ws.lend(room));
        let mut input = ws::Input::new(bytes);
        let draining = self.draining.is_on();
        let window_bits = open.ws.window_bits();
        let stop = loop {
            if let Some(bound) = must_wait(
                open,
                &client.outbox,
                &self.pulsar,
                &self.config,
                &mut self.publishes,
                draining,
            ) {
                break Stop::Pause(bound);
            }
            if input.remaining() == 0 {
                break Stop::Empty;
            }
            if window_bits.is_some() && self.inflater.is_spent() {
                break Stop::Inflated;
            }
            let out = &mut client.outbox.bytes;
            let kind = open.kind();
            let Open {
                dialect,
                ws,
                session,
                counted,
                ..
            } = &mut **open;
            let closing = match ws.next_message(&mut input, out, &mut self.inflater) {
                Ok(Some(Incoming::Text(text))) => {
                    client.visit.messages_in += 1;
                    self.figures.counters.client_messages += 1;
                    check_memory(&mut self.memory, &mut self.pulsar);
                    let is_sealed = session.is_sealed();
                    let command = dialect.read_command(kind, is_sealed, text, &mut self.scratch);
                    // By reference: a publish is large.
                    let outcome = match command {
                        Ok(ref command) => {
                            let acknowledges = command.acknowledges();
                            session
                                .handle_command(now, command, &mut self.pulsar)
                                .map_err(|_| dialect.bad_message_id())
                                .inspect(|event| {
                                    if acknowledges {
                                        self.figures.counters.acknowledged += 1;
                                        counted.acknowledged(now, &mut self.namespaces);
                                    } else if matches!(event, Some(Event::PublishFailed { .. })) {
                                        self.figures.counters.publish_failures += 1;
                                        counted.failed(now, &mut self.namespaces);
                                    }
                                })
                        }
                        Err(rejection) => Err(rejection),
                    };
                    self.figures.counters.rejected += u64::from(outcome.is_err());
                    match outcome {
                        Ok(None) => None,
                        Ok(Some(event)) => {
                            client.visit.messages_out += 1;
                            let deflater = &mut self.deflater;
                            write(*dialect, &event, out, &mut self.time, deflater, window_bits);
                            None
                        }
                        Err(Rejection::Reply {
                            code,
                            message,
                            context,
                        }) => {
                            client.visit.messages_out += 1;
                            let mark = frame::begin_text(out, message.len());
                            dialect.write_rejection_reply(code, &message, context, out);
                            self.deflater.finish(out, mark, window_bits);
                            None
                        }
                        Err(Rejection::Close { code, reason }) => Some((code, reason)),
                    }
                }
                // Java ignores them too.
                Ok(Some(Incoming::Binary | Incoming::Pong(_))) => None,
                Ok(Some(Incoming::Closed { code, .. })) => {
                    client.visit.closed_by_client = Some(code);
                    break Stop::End;
                }
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
        self.rooms.put(open.ws.give_back());
        match stop {
            Stop::Empty => {}
            Stop::Pause(bound) => {
                if !std::mem::replace(&mut client.paused, true) {
                    self.figures.counters.stopped(bound);
                }
            }
            Stop::Inflated => {
                client.paused = true;
                self.inflate_later(key);
            }
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
}

/// Appends an event as one text message.
pub(super) fn write(
    dialect: Dialect,
    event: &Event<'_>,
    out: &mut Vec<u8>,
    time: &mut TimeFormat,
    deflater: &mut Deflater,
    window_bits: Option<u8>,
) {
    let mark = frame::begin_text(out, dialect.event_len_hint(event));
    dialect.write_event(event, out, time);
    deflater.finish(out, mark, window_bits);
}
