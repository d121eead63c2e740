//! Consumers and readers as halves: their entries, acknowledgements, timers and unsubscription.
//!
//! What a consumer does with an entry, a permit or an acknowledgement is `consumer/`'s business;
//! here it gets its frames, its share of the connection's outbox and its deadlines.

use super::{
    Event, Pulsar, Timer,
    armed::Armed,
    command,
    connection::ConnectionKey,
    consumer::{self, Consumer, ConsumerSpec, MessageCommand},
    dead_letters::Office,
    error::{Failure, exception},
    half::{HalfKey, Role, State, half_key, wire_id},
    payload,
    proto::{CommandUnsubscribe, Kind},
    request::Purpose,
    wire::{Frame, Stored},
};
use crate::{
    session::{BadMessageId, Delivery, Link, SessionKey},
    timer::{Now, Timers},
};

/// A consumer and what is kept about it outside.
#[derive(Debug)]
pub(super) struct Consuming {
    pub(super) consumer: Consumer,
    subscription: String,
    /// The broker was asked to remove the subscription and has not answered.
    is_unsubscribing: bool,
    /// The broker was asked so once, and may have done it.
    pub(super) was_unsubscribed: bool,
    /// Where the last entry came from, if it is one of several.
    ledger: Option<u64>,
    /// It stands in the list of those of several that may hold something.
    pub(super) is_listed: bool,
    armed: Armed,
    pub(super) office: Office,
}

impl Consuming {
    pub(super) fn new(
        session: SessionKey,
        spec: ConsumerSpec,
        subscription: String,
        id: u64,
        seed: u64,
    ) -> Self {
        let office = Office::new(spec.dead_letter_topic.clone());
        Self {
            consumer: Consumer::new(session, spec, id, seed),
            subscription,
            is_unsubscribing: false,
            was_unsubscribed: false,
            ledger: None,
            is_listed: false,
            armed: Armed::new(),
            office,
        }
    }

    /// Sets the consumer's deadline, if none that is set comes before it.
    fn arm(&mut self, key: HalfKey, timers: &mut Timers<Timer>) {
        if let Some(deadline) = self.consumer.next_deadline()
            && self.armed.is_earliest(deadline)
        {
            timers.set(deadline, Timer::Consumer(key));
        }
    }
}

/// Messages that came in one frame, for one session.
#[derive(Debug)]
pub struct Entry<'e> {
    half: HalfKey,
    entry: consumer::Entry<'e>,
}

impl Entry<'_> {
    /// The session it is for.
    #[must_use]
    pub const fn session(&self) -> SessionKey {
        self.entry.session()
    }

    /// Of a batch, all of its messages, whether or not the client may have them.
    #[must_use]
    pub const fn messages(&self) -> u32 {
        self.entry.messages()
    }

    /// Whether not all of them were taken.
    #[must_use]
    pub const fn has_more(&self) -> bool {
        self.entry.has_more()
    }
}

impl Pulsar {
    /// A MESSAGE: its consumer makes an entry of it, if it holds something for the client.
    pub(super) fn handle_message<'e>(
        &mut self,
        now: Now,
        at: ConnectionKey,
        frame: &Frame<'e>,
        scratch: &'e mut payload::Scratch,
    ) -> Result<Option<Entry<'e>>, String> {
        let command =
            MessageCommand::decode(frame.body).ok_or("the broker sent a broken MESSAGE")?;
        let key = half_key(command.consumer_id);
        let Some(half) = self.halves.get_mut(key) else {
            return Ok(None);
        };
        let Role::Consumer(consuming) = &mut half.role else {
            return Ok(None);
        };
        if half.state != (State::Ready { connection: at }) {
            return Ok(None);
        }
        let Some(connection) = self.connections.get_mut(at) else {
            return Ok(None);
        };
        let out = connection.outbox.commands(&mut self.segments);
        let is_new_ledger = half.place.is_some()
            && consuming.ledger.replace(command.entry.ledger) != Some(command.entry.ledger);
        let consumer = &mut consuming.consumer;
        let entry = match Stored::parse(frame.rest) {
            Some(Stored { metadata, payload }) => {
                consumer.handle_entry(now, &command, metadata, payload, scratch, out)
            }
            None => {
                consumer.handle_corrupt(&command, out);
                None
            }
        };
        let has_letter = consumer.has_letter(now);
        let has_too_much = self.incomplete.get() > self.settings.shard_incomplete_bytes_max;
        let wanted_key = consumer.take_wanted_key();
        if consumer.take_joined() {
            let (session, messages) = (half.session, 0);
            let is_part = half.place.is_some();
            self.events.push_back(Event::Released { session, messages });
            if is_part {
                self.note_held(key);
            }
        }
        self.announce(at);
        if let Some(wanted) = wanted_key {
            self.want_data_key(key, wanted);
        }
        if has_letter {
            self.post_letters(now, key);
        }
        if has_too_much {
            self.account_incomplete(now, key);
        }
        // What becomes of an entry moves the deadline once more.
        if entry.is_none() {
            self.arm_consumer(key);
        }
        if is_new_ledger {
            self.note_ledger(key, command.entry.ledger);
        }
        Ok(entry.map(|entry| Entry { half: key, entry }))
    }

    /// Whether there may be something that came before this entry and was held.
    #[must_use]
    pub fn may_hold(&self, entry: &Entry<'_>) -> bool {
        self.halves.get(entry.half).is_none_or(|half| {
            // Of several, any one may hold something.
            half.place.is_some()
                || matches!(&half.role, Role::Consumer(consuming) if consuming.consumer.has_held())
        })
    }

    /// The next message of an entry that just came.
    pub fn next_delivery<'e>(&mut self, now: Now, entry: &mut Entry<'e>) -> Option<Delivery<'e>> {
        let half = self.halves.get_mut(entry.half)?;
        let (State::Ready { connection: at }, Role::Consumer(consuming)) =
            (&half.state, &mut half.role)
        else {
            return None;
        };
        let at = *at;
        let connection = self.connections.get_mut(at)?;
        let out = connection.outbox.commands(&mut self.segments);
        let delivery = consuming.consumer.next_delivery(now, &mut entry.entry, out);
        connection.announce(at, &mut self.effects);
        consuming.arm(entry.half, &mut self.timers);
        delivery
    }

    /// Keeps the rest of an entry until its client has room.
    pub fn hold(&mut self, _now: Now, entry: Entry<'_>) {
        if let Some(half) = self.halves.get_mut(entry.half)
            && let (State::Ready { .. }, Role::Consumer(consuming)) = (&half.state, &mut half.role)
        {
            consuming.consumer.hold(entry.entry);
            consuming.arm(entry.half, &mut self.timers);
            if half.place.is_some() {
                self.note_held(entry.half);
            }
        }
    }

    /// The next message that is held.
    pub fn next_held(&mut self, now: Now, link: Link) -> Option<Delivery<'_>> {
        let mut key = half_key(link.0);
        if let Role::FanIn(_) = self.halves.get(key)?.role {
            key = self.next_holder(key)?;
        }
        let half = self.halves.get_mut(key)?;
        let Role::Consumer(consuming) = &mut half.role else {
            return None;
        };
        let connection = match half.state {
            State::Ready { connection: at } => Some((at, self.connections.get_mut(at)?)),
            _ => None,
        };
        // The delivery borrows from the consumer: its deadline is set when the call is over.
        if self.unarmed.last() != Some(&key) {
            self.unarmed.push(key);
        }
        let Some((at, connection)) = connection else {
            return consuming.consumer.next_held(now, None);
        };
        let out = connection.outbox.commands(&mut self.segments);
        let delivery = consuming.consumer.next_held(now, Some(out));
        connection.announce(at, &mut self.effects);
        delivery
    }

    /// Calls a consumer with its connection's outbox, if it is at its broker, and sets its deadline.
    pub(super) fn consume<T>(
        &mut self,
        key: HalfKey,
        call: impl FnOnce(&mut Consumer, Option<&mut bytes::BytesMut>) -> T,
    ) -> Option<T> {
        let half = self.halves.get_mut(key)?;
        let Role::Consumer(consuming) = &mut half.role else {
            return None;
        };
        let State::Ready { connection: at } = half.state else {
            let result = call(&mut consuming.consumer, None);
            consuming.arm(key, &mut self.timers);
            return Some(result);
        };
        let connection = self.connections.get_mut(at)?;
        let out = connection.outbox.commands(&mut self.segments);
        let result = call(&mut consuming.consumer, Some(out));
        connection.announce(at, &mut self.effects);
        consuming.arm(key, &mut self.timers);
        Some(result)
    }

    pub(super) fn acknowledge_message(
        &mut self,
        now: Now,
        link: Link,
        id: &[u8],
    ) -> Result<bool, BadMessageId> {
        let key = half_key(link.0);
        let removed = self.consume(key, |consumer, out| consumer.acknowledge(now, id, out));
        removed.unwrap_or_else(|| self.acknowledge_at_part(now, key, id, Self::acknowledge_message))
    }

    pub(super) fn negative_acknowledge_message(
        &mut self,
        now: Now,
        link: Link,
        id: &[u8],
    ) -> Result<bool, BadMessageId> {
        let key = half_key(link.0);
        let removed = self.consume(key, |consumer, out| {
            let removed = consumer.negative_acknowledge(now, id);
            consumer.renew_permits(out);
            removed
        });
        removed.unwrap_or_else(|| {
            self.acknowledge_at_part(now, key, id, Self::negative_acknowledge_message)
        })
    }

    pub(super) fn permit_messages(&mut self, link: Link, messages: u32) {
        let key = half_key(link.0);
        let permit = |consumer: &mut Consumer, out: Option<&mut bytes::BytesMut>| {
            consumer.permit(messages, out);
        };
        if self.consume(key, permit).is_none() {
            // Any of them may be the one that has a message.
            for part in self.leaves(key) {
                self.consume(part, permit);
            }
        }
    }

    /// Sets the deadlines of consumers whose held messages were taken.
    pub(super) fn arm_consumers(&mut self) {
        while let Some(key) = self.unarmed.pop() {
            self.arm_consumer(key);
        }
    }

    /// Sets a consumer's deadline, if it moved forward.
    pub(super) fn arm_consumer(&mut self, key: HalfKey) {
        if let Some(half) = self.halves.get_mut(key)
            && let Role::Consumer(consuming) = &mut half.role
        {
            consuming.arm(key, &mut self.timers);
        }
    }

    /// A consumer's deadline has come?
    pub(super) fn consumer_timeout(&mut self, now: Now, key: HalfKey) {
        let Some(half) = self.halves.get_mut(key) else {
            return;
        };
        let Role::Consumer(consuming) = &mut half.role else {
            return;
        };
        if !consuming.armed.fires(now.mono) {
            return;
        }
        let session = half.session;
        if matches!(half.state, State::Closing | State::Ended) {
            return;
        }
        let released = self.consume(key, |consumer, out| consumer.handle_timeout(now, out));
        if let Some(messages @ 1..) = released {
            self.events.push_back(Event::Released { session, messages });
        }
        self.post_letters(now, key);
        self.arm_consumer(key);
    }

    /// UNSUBSCRIBE, as `ConsumerImpl.unsubscribeAsync`.
    pub(super) fn unsubscribe_half(&mut self, now: Now, link: Link) {
        let key = half_key(link.0);
        let Some(half) = self.halves.get_mut(key) else {
            return;
        };
        let Role::Consumer(consuming) = &mut half.role else {
            return self.unsubscribe_all(now, key);
        };
        match half.state {
            State::Ready { connection: at } if !consuming.is_unsubscribing => {
                consuming.is_unsubscribing = true;
                consuming.was_unsubscribed = true;
                let request_id = self.request(now, at, Purpose::Unsubscribe(key));
                let Some(connection) = self.connections.get_mut(at) else {
                    return;
                };
                let unsubscribe = CommandUnsubscribe {
                    consumer_id: wire_id(key),
                    request_id,
                    force: Some(false),
                };
                let out = connection.outbox.commands(&mut self.segments);
                command::put_command(out, Kind::Unsubscribe, &unsubscribe);
                self.announce(at);
            }
            // Asked again before the broker answered: it can succeed only once.
            State::Ready { .. } | State::Ended | State::Closing => {
                let message = exception("$AlreadyClosedException", "Consumer was already closed");
                let session = half.session;
                self.events
                    .push_back(Event::UnsubscribeFailed { session, message });
            }
            _ => {
                let message = exception(
                    "$NotConnectedException",
                    &format!(
                        "The client is not connected to the broker when unsubscribing the \
                         subscription {} of the topic {}",
                        consuming.subscription, half.topic
                    ),
                );
                let session = half.session;
                self.events
                    .push_back(Event::UnsubscribeFailed { session, message });
            }
        }
    }

    /// SUCCESS to UNSUBSCRIBE: the broker has closed the consumer as well.
    pub(super) fn unsubscribed(&mut self, key: HalfKey) {
        if let Some(half) = self.halves.get_mut(key)
            && matches!(half.state, State::Ready { .. })
        {
            half.state = State::Ended;
        }
    }

    pub(super) fn unsubscribe_failed(&mut self, key: HalfKey, failure: &Failure) {
        if let Some(half) = self.halves.get_mut(key)
            && half.state != State::Closing
        {
            if let Role::Consumer(consuming) = &mut half.role {
                consuming.is_unsubscribing = false;
            }
            let session = half.session;
            let message = failure.text();
            self.events
                .push_back(Event::UnsubscribeFailed { session, message });
        }
    }
}
