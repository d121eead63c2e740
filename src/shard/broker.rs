//! Broker → clients: events of the backend find their session by key.

use super::{Shard, client::Phase, messages};
use crate::{
    pulsar::{self, ConnectionKey, Event},
    session::{Lane, MessageId, PublishError, Session, SessionKey},
    timer::Now,
};

impl Shard {
    pub(super) fn broker_bytes(&mut self, now: Now, connection: ConnectionKey, bytes: &[u8]) {
        self.figures.counters.broker_bytes_in += bytes.len() as u64;
        let messages_before = self.figures.counters.broker_messages;
        let mut input = pulsar::Input::new(bytes);
        let mut scratch = std::mem::take(&mut self.broker_scratch);
        while let Some(event) = self
            .pulsar
            .next_event(now, connection, &mut input, &mut scratch)
        {
            self.broker_event(now, event);
        }
        self.broker_scratch = scratch;
        let messages = self.figures.counters.broker_messages - messages_before;
        if messages > 0 {
            self.figures.broker_messages.record(messages);
        }
    }

    pub(super) fn broker_event(&mut self, now: Now, event: Event<'_>) {
        match event {
            Event::Opened { session } => self.opened(now, session),
            Event::OpenFailed { session, error } => self.open_failed(now, session, &error),
            Event::Receipt {
                session,
                lane,
                message_id,
            } => self.published(now, session, lane, Ok(message_id)),
            Event::PublishFailed {
                session,
                lane,
                error,
            } => self.published(now, session, lane, Err(error)),
            Event::Entry(entry) => self.entry(now, entry),
            Event::Released { session, messages } => {
                if let Some(client) = self.clients.get_mut(session)
                    && let Phase::Open(open) = &mut client.phase
                {
                    if let Session::Consumer(consumer) = &mut open.session {
                        consumer.handle_released(messages);
                    }
                    self.may_resume(session);
                }
            }
            Event::UnsubscribeFailed { session, message } => {
                self.unsubscribe_failed(now, session, &message);
            }
        }
    }

    /// The oldest publish of a producer's lane has its outcome.
    fn published(
        &mut self,
        now: Now,
        key: SessionKey,
        lane: Lane,
        outcome: Result<MessageId, PublishError>,
    ) {
        self.figures.counters.broker_messages += 1;
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let Phase::Open(open) = &mut client.phase else {
            return;
        };
        let Session::Producer(producer) = &mut open.session else {
            return;
        };
        self.buffers.provide(&mut client.outbox);
        if let Some(sent) = producer.oldest(lane) {
            match &outcome {
                Ok(_) => {
                    open.counted.published(now, sent, &mut self.namespaces);
                    let nanos = now.mono.nanos_since(sent.at);
                    self.figures.published(nanos, sent.payload_bytes);
                }
                Err(_) => {
                    open.counted.failed(now, &mut self.namespaces);
                    self.figures.counters.publish_failures += 1;
                }
            }
        }
        let event = match &outcome {
            Ok(message_id) => producer.handle_receipt(lane, message_id),
            Err(error) => producer.handle_failure(lane, error.clone()),
        };
        client.visit.messages_out += 1;
        messages::write(
            open.dialect,
            &event,
            &mut client.outbox.bytes,
            &mut self.time,
            &mut self.deflater,
            open.ws.window_bits(),
        );
        if client.paused {
            self.may_resume(key);
        }
        self.announce(now, key);
        if self.draining.is_on() {
            self.drain_client(now, key);
        }
    }
}
