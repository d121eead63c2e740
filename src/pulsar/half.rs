//! The backend's half of a session: a producer or consumer, and how it gets to its broker, back
//! there after losing it, and away when the session ends.
//!
//! ```text
//!  Locating ──▶ Connecting ──▶ Creating ──▶ Ready ──▶ Closing ──▶ forgotten
//!     ▲             │              │          │
//!     └── Waiting ◀─┴──────────────┴──────────┘     Ended: nothing to be done until the session ends
//! ```
//!
//! The same way serves both kinds, as Java's `ConnectionHandler` does. A half that never was ready
//! is refused when its time is over or trying again makes no sense; one that was ready comes back
//! for as long as its session lives.
//!
//! A half whose topic has partitions becomes a [`Group`] of halves, and goes no way itself.

use std::{rc::Rc, time::Duration};

use super::{
    Event, Pulsar, Timer,
    backoff::Backoff,
    command,
    connection::{Address, ConnectionKey, Waiter},
    consumer::ConsumerSpec,
    consuming::Consuming,
    crypto::Sealer,
    ending,
    error::{Cause, Failure, exception},
    fan_in::FanIn,
    group::{Group, Place},
    leaving::Leaving,
    lookup::{Hosts, Located, UNREACHABLE_REST_MAX, host_and_port},
    producer::Producer,
    proto::{
        CommandCloseConsumer, CommandCloseProducer, CommandProducerSuccess, Kind, ServerError,
    },
    request::Purpose,
};
use crate::{
    session::{
        BadMessageId, Link, OpenError, OpenErrorKind, SessionKey, Spec, producer::Encryption,
    },
    timer::{Instant, Now},
};

slotmap::new_key_type! {
    /// Names a half; as a number it is the producer's or consumer's id on the wire, so that a
    /// frame is valid on any connection and what comes in finds its half without a search.
    pub(super) struct HalfKey;
}

/// Where a half stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Waits for a lookup.
    Locating,
    /// Waits for a connection.
    Connecting,
    /// PRODUCER or SUBSCRIBE waits for its answer.
    Creating {
        connection: ConnectionKey,
        request: u64,
    },
    /// At its broker.
    Ready { connection: ConnectionKey },
    /// Rests before it tries again.
    Waiting { until: Instant },
    /// CLOSE_PRODUCER or CLOSE_CONSUMER waits for its answer; the session has ended.
    Closing,
    /// Not at a broker, and never again.
    Ended,
    /// It is several, each of which stands somewhere else.
    Grouped,
}

/// What it is.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most halves are producers, and each publish looks into one"
)]
pub(super) enum Role {
    Producer(Producer),
    Consumer(Box<Consuming>),
    Group(Box<Group>),
    FanIn(Box<FanIn>),
}

/// How a half lost its broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detached<'a> {
    /// The connection is gone.
    Lost,
    /// The broker sent it away; it may tell where the topic went.
    SentAway(Option<(&'a str, u16)>),
}

impl Detached<'_> {
    /// Whether the topic has another broker from now on, or a new connection.
    pub(super) fn must_be_elsewhere(self) -> bool {
        self != Self::SentAway(None)
    }
}

/// The backend's half of a session.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) session: SessionKey,
    pub(super) role: Role,
    pub(super) state: State,
    /// It was ready once.
    pub(super) is_open: bool,
    /// Its session has ended while it was away.
    pub(super) leaving: Option<Leaving>,
    /// For people who ask why it takes so long.
    pub(super) last_failure: Option<Box<Failure>>,
    pub(super) topic: Rc<str>,
    /// As it was asked for, until it is known to be one half or several.
    pub(super) spec: Option<Box<Spec>>,
    /// Its place, if it is one of several.
    pub(super) place: Option<Box<Place>>,
    backoff: Backoff,
    /// To be opened by then.
    pub(super) deadline: Instant,
    /// The proxy to go through; `None` until a lookup said whether there is one.
    proxy: Option<Option<Box<(String, u16)>>>,
    /// The service hosts of the cluster that the topic went to; `None`: those of the settings.
    pub(super) cluster: Option<Box<Hosts>>,
}

impl Half {
    /// Its place, if it is one of several.
    pub(super) fn place(&self) -> Option<Place> {
        self.place.as_deref().copied()
    }
}

/// The keys that the service is to encrypt for.
fn names(spec: &Spec) -> Option<&[String]> {
    match spec {
        Spec::Producer(producer) => match &producer.encryption {
            Some(Encryption::Here(names)) => Some(names),
            _ => None,
        },
        _ => None,
    }
}

impl Pulsar {
    /// Makes the backend's half of a session. [`Event::Opened`] or [`Event::OpenFailed`] follows.
    pub fn open(&mut self, now: Now, session: SessionKey, spec: &Spec) -> Link {
        if let Err(error) = self.check_encryption(spec) {
            self.events.push_back(Event::OpenFailed { session, error });
            return Link(wire_id(HalfKey::default()));
        }
        match self.make_half(now, session, spec, None) {
            Ok(key) => {
                match spec {
                    Spec::Consumer(spec) if spec.several.is_some() => {
                        self.open_several(now, key, spec.clone());
                    }
                    _ => self.look_up(now, key),
                }
                Link(wire_id(key))
            }
            Err(BadMessageId) => self.refuse(session, exception("", "Invalid start message id")),
        }
    }

    /// Whether there are the keys that a producer is to encrypt for, in the order in which Java looks.
    fn check_encryption(&self, spec: &Spec) -> Result<(), OpenError> {
        let Some(names) = names(spec) else {
            return Ok(());
        };
        let keys = &self.settings.encryption_keys;
        let error = |kind, message: &str| {
            Err(OpenError {
                kind,
                message: message.to_owned(),
            })
        };
        if !keys.can_encrypt() {
            let message =
                "Can't add encryption key without configuring cryptoKeyReaderFactoryClassName";
            return error(OpenErrorKind::Other, message);
        }
        if names.iter().any(|name| name.trim().is_empty()) {
            return error(OpenErrorKind::Invalid, "Encryption key cannot be blank");
        }
        match Sealer::new(names, keys) {
            Ok(_) => Ok(()),
            Err(text) => error(OpenErrorKind::Other, &exception("$CryptoException", &text)),
        }
    }

    /// Makes a half that is to be looked up.
    pub(super) fn make_half(
        &mut self,
        now: Now,
        session: SessionKey,
        spec: &Spec,
        place: Option<Place>,
    ) -> Result<HalfKey, BadMessageId> {
        let seed = self.random.next();
        // The names were checked when the session was opened.
        let keys = &self.settings.encryption_keys;
        let sealer = names(spec).and_then(|names| Sealer::new(names, keys).ok());
        let message_bytes_max = self.settings.message_bytes_max;
        let deadline = now.mono + self.settings.operation_timeout;
        let topic: Rc<str> = spec.topic().into();
        let mut consumer = match spec {
            Spec::Producer(_) => None,
            Spec::Consumer(spec) => Some((ConsumerSpec::from(spec), spec.subscription.clone())),
            Spec::Reader(spec) => Some((ConsumerSpec::try_from(spec)?, String::new())),
        };
        if let Some((spec, _)) = &mut consumer {
            spec.held_bytes_max = self.settings.held_bytes_max;
            spec.shard_held_bytes_max = self.settings.shard_held_bytes_max;
            spec.shard_held = self.held.clone();
            spec.shard_chunks = self.incomplete.clone();
            // Who names a partition in a list gets ids without its number.
            spec.partition = place.map_or(spec.partition, |place| place.partition);
        }
        let asks_partitions = place.is_none_or(|place| place.partition.is_none());
        Ok(self.halves.insert_with_key(|key| {
            let id = wire_id(key);
            let (role, last_call) = match (consumer, spec) {
                (Some((spec, subscription)), _) => {
                    let consuming = Consuming::new(session, spec, subscription, id, seed);
                    (Role::Consumer(Box::new(consuming)), None)
                }
                (None, Spec::Producer(spec)) => {
                    let producer =
                        Producer::new(id, session, topic.clone(), spec, sealer, message_bytes_max);
                    let last_call = last_call(spec.send_timeout);
                    (Role::Producer(producer), Some(last_call))
                }
                (None, _) => unreachable!("all but producers are consumers"),
            };
            Box::new(Half {
                session,
                role,
                state: State::Locating,
                is_open: false,
                leaving: None,
                last_failure: None,
                topic,
                spec: asks_partitions.then(|| Box::new(spec.clone())),
                place: place.map(Box::new),
                backoff: Backoff::new(last_call),
                deadline,
                proxy: None,
                cluster: None,
            })
        }))
    }

    /// A session that can't be made, whatever the broker says.
    fn refuse(&mut self, session: SessionKey, message: String) -> Link {
        let error = OpenError {
            kind: OpenErrorKind::Other,
            message,
        };
        self.events.push_back(Event::OpenFailed { session, error });
        Link(wire_id(HalfKey::default()))
    }

    /// The session ended. What a consumer acknowledged is sent and so is a producer's open batch,
    /// publishes in flight are left to the broker, then the half is closed there and forgotten.
    pub fn close(&mut self, now: Now, link: Link) {
        let key = half_key(link.0);
        self.close_office(now, key);
        let Some(half) = self.halves.get_mut(key) else {
            return;
        };
        match half.state.clone() {
            State::Grouped => self.close_group(now, key),
            State::Ready { connection } => {
                self.close_batch(now, key);
                if let Some(half) = self.halves.get_mut(key)
                    && let Role::Consumer(consuming) = &mut half.role
                    && let Some(connection) = self.connections.get_mut(connection)
                {
                    let out = connection.outbox.commands(&mut self.segments);
                    consuming.consumer.flush_acks(out);
                }
                self.start_closing(now, key, connection);
            }
            State::Closing => {}
            _ if self.leaves_later(now, key) => {}
            State::Creating {
                connection,
                request,
            } => {
                self.requests.remove(request);
                self.start_closing(now, key, connection);
            }
            _ => self.forget(key),
        }
    }

    pub(super) fn start_closing(&mut self, now: Now, key: HalfKey, connection: ConnectionKey) {
        if let Some(half) = self.halves.get_mut(key) {
            half.state = State::Closing;
            if let Role::Producer(producer) = &mut half.role {
                producer.abandon(&mut self.segments);
            }
        }
        self.close_at_broker(now, key, connection, Purpose::Close(key));
    }

    /// CLOSE_PRODUCER or CLOSE_CONSUMER.
    pub(super) fn close_at_broker(
        &mut self,
        now: Now,
        key: HalfKey,
        connection_key: ConnectionKey,
        purpose: Purpose,
    ) {
        let Some(half) = self.halves.get(key) else {
            return;
        };
        let is_producer = matches!(half.role, Role::Producer(_));
        let request_id = self.request(now, connection_key, purpose);
        let Some(connection) = self.connections.get_mut(connection_key) else {
            return;
        };
        let out = connection.outbox.commands(&mut self.segments);
        if is_producer {
            let close = CommandCloseProducer {
                producer_id: wire_id(key),
                request_id,
                ..CommandCloseProducer::default()
            };
            command::put_command(out, Kind::CloseProducer, &close);
        } else {
            let close = CommandCloseConsumer {
                consumer_id: wire_id(key),
                request_id,
                ..CommandCloseConsumer::default()
            };
            command::put_command(out, Kind::CloseConsumer, &close);
        }
        self.announce(connection_key);
    }

    /// Nothing is left of it.
    pub(super) fn forget(&mut self, key: HalfKey) {
        if let Some(mut half) = self.halves.remove(key) {
            self.leaving -= usize::from(half.leaving.is_some());
            if let Role::Producer(producer) = &mut half.role {
                producer.abandon(&mut self.segments);
            }
        }
    }

    /// A lookup's answer.
    pub(super) fn half_located(
        &mut self,
        now: Now,
        key: HalfKey,
        answer: &Result<Located, Failure>,
    ) {
        match self.halves.get(key).map(|half| &half.state) {
            Some(State::Grouped) => return self.partitions_counted(now, key, answer),
            Some(State::Locating) => {}
            _ => return,
        }
        if answer.is_ok() && self.rests_before_leaving(now, key) {
            return;
        }
        let Some(half) = self.halves.get_mut(key) else {
            return;
        };
        match answer {
            Ok(Located::Partitions(count)) => self.become_group(now, key, *count),
            // Nobody asks for the topics of a namespace to find one.
            Ok(Located::Topics(_)) => {}
            Ok(Located::Broker(address)) => {
                half.spec = None;
                let is_proxied = address.proxy_to.is_some();
                half.proxy =
                    Some(is_proxied.then(|| Box::new((address.host.clone(), address.port))));
                half.state = State::Connecting;
                self.acquire(now, address, Waiter::Half(key));
            }
            // The lookup has tried again for as long as there was time.
            Err(failure) if !half.is_open => self.open_failed(now, key, failure),
            Err(failure) => self.half_failed(now, key, failure),
        }
    }

    pub(super) fn open_failed(&mut self, now: Now, key: HalfKey, failure: &Failure) {
        let Some((session, place)) = self
            .halves
            .get(key)
            .map(|half| (half.session, half.place()))
        else {
            return;
        };
        self.forget(key);
        if let Some(place) = place {
            return self.part_failed(now, place, failure);
        }
        let error = failure.open_error();
        self.events.push_back(Event::OpenFailed { session, error });
    }

    /// A connection to its broker is there: it is made at the broker.
    pub(super) fn half_connected(&mut self, now: Now, key: HalfKey, connection_key: ConnectionKey) {
        if !self
            .halves
            .get(key)
            .is_some_and(|half| half.state == State::Connecting)
        {
            return;
        }
        let request = self.request(now, connection_key, Purpose::Create(key));
        let (Some(half), Some(connection)) = (
            self.halves.get_mut(key),
            self.connections.get_mut(connection_key),
        ) else {
            return;
        };
        half.state = State::Creating {
            connection: connection_key,
            request,
        };
        let max = connection.message_bytes_max;
        let out = connection.outbox.commands(&mut self.segments);
        match &mut half.role {
            Role::Producer(producer) => {
                command::put_command(out, Kind::Producer, &producer.create(request, max));
            }
            Role::Consumer(consuming) => {
                let mut subscribe = consuming.consumer.subscribe(request);
                if half.leaving.is_some() {
                    subscribe.force_topic_creation = Some(false);
                }
                command::put_command(out, Kind::Subscribe, &subscribe);
            }
            Role::Group(_) | Role::FanIn(_) => {}
        }
        self.announce(connection_key);
    }

    /// PRODUCER_SUCCESS: what is in flight is sent (again), new publishes go out at once.
    pub(super) fn producer_created(
        &mut self,
        now: Now,
        key: HalfKey,
        connection_key: ConnectionKey,
        success: CommandProducerSuccess,
    ) {
        let Some(half) = self.halves.get_mut(key) else {
            return;
        };
        if let Role::Producer(producer) = &mut half.role {
            producer.handle_created(success);
            self.half_ready(now, key, connection_key);
            self.resend(now, key);
        }
    }

    /// Sends everything in flight (again).
    pub(super) fn resend(&mut self, now: Now, key: HalfKey) {
        let Some(half) = self.halves.get_mut(key) else {
            return;
        };
        if let (State::Ready { connection: at }, Role::Producer(producer)) =
            (&half.state, &mut half.role)
            && producer.in_flight_bytes() > 0
            && let Some(connection) = self.connections.get_mut(*at)
        {
            let at = *at;
            self.parked.seal_unwritten(&mut self.segments);
            connection.outbox.seal(&mut self.segments);
            producer.resend(now, &mut connection.outbox, &mut self.segments);
            self.announce(at);
            self.close_batch(now, key);
        }
    }

    /// SUCCESS to SUBSCRIBE: messages may come.
    pub(super) fn consumer_created(
        &mut self,
        now: Now,
        key: HalfKey,
        connection_key: ConnectionKey,
    ) {
        if self.leave(now, key, connection_key) {
            return;
        }
        if let Some(half) = self.halves.get_mut(key)
            && let Role::Consumer(consuming) = &mut half.role
            && let Some(connection) = self.connections.get_mut(connection_key)
        {
            let out = connection.outbox.commands(&mut self.segments);
            consuming.consumer.handle_subscribed(now, out);
            self.announce(connection_key);
            self.half_ready(now, key, connection_key);
            self.arm_consumer(key);
        }
    }

    fn half_ready(&mut self, now: Now, key: HalfKey, connection: ConnectionKey) {
        let Some(half) = self.halves.get_mut(key) else {
            return;
        };
        half.state = State::Ready { connection };
        half.backoff.reset();
        half.last_failure = None;
        if !half.is_open {
            half.is_open = true;
            let (session, place) = (half.session, half.place());
            match place {
                None => self.events.push_back(Event::Opened { session }),
                Some(place) => self.part_opened(now, key, place),
            }
        }
    }

    /// It could not be located, connected or made.
    pub(super) fn half_failed(&mut self, now: Now, key: HalfKey, failure: &Failure) {
        if self.gives_up_leaving(key, failure) {
            return self.forget(key);
        }
        let Some(half) = self.halves.get_mut(key) else {
            return;
        };
        if matches!(half.state, State::Closing | State::Ended) {
            return;
        }
        tracing::debug!(
            topic = &*half.topic,
            error = failure.text(),
            open = half.is_open,
            "not at a broker"
        );
        if !half.is_open {
            if failure.ends_opening() || now.mono >= half.deadline {
                self.open_failed(now, key, failure);
                return;
            }
        } else if let Some(end) = ending::of(failure) {
            self.end(key, end, failure);
            return;
        } else if failure.cause == Cause::Broker(ServerError::ProducerBlockedQuotaExceededException)
        {
            self.fail_over_quota(key);
        }
        self.wait(now, key, failure.clone());
    }

    /// It lost its broker: the connection is gone, or the broker sent it away (maybe with a new
    /// address).
    pub(super) fn half_detached(&mut self, now: Now, key: HalfKey, how: Detached<'_>) {
        let Some(half) = self.halves.get_mut(key) else {
            return;
        };
        let connection = match half.state {
            State::Ready { connection } => connection,
            State::Creating {
                connection,
                request,
            } => {
                self.requests.remove(request);
                connection
            }
            _ => return,
        };
        if let Role::Consumer(consuming) = &mut half.role {
            consuming.consumer.recall_acks(now, how.must_be_elsewhere());
            let messages = consuming.consumer.handle_detached();
            if messages > 0 {
                let session = half.session;
                self.events.push_back(Event::Released { session, messages });
            }
        }
        // Frames in flight may still lie in the tail; they are needed for the resend.
        if let Some(connection) = self.connections.get_mut(connection) {
            connection.outbox.seal(&mut self.segments);
        }
        if let (Detached::SentAway(Some((host, port))), Some(proxy)) = (how, &half.proxy) {
            let address = match proxy {
                Some(proxy) => Address {
                    host: proxy.0.clone(),
                    port: proxy.1,
                    proxy_to: Some(host_and_port(host, port)),
                },
                None => Address::direct(host, port),
            };
            half.state = State::Connecting;
            self.acquire(now, &address, Waiter::Half(key));
        } else {
            let failure = Failure::connection("the broker is gone or sent the session away");
            self.wait(now, key, failure);
        }
    }

    /// Rests, then tries again.
    pub(super) fn wait(&mut self, now: Now, key: HalfKey, failure: Failure) {
        if let Some(half) = self.halves.get_mut(key) {
            let mut rest = half.backoff.next(now.mono, &mut self.random);
            // The broker said to have the topic may be dead, and the others have yet to notice.
            if half.state == State::Connecting && failure.cause == Cause::Connection {
                rest = rest.min(self.random.less_a_tenth(UNREACHABLE_REST_MAX));
            }
            let until = now.mono + rest;
            half.state = State::Waiting { until };
            half.last_failure = Some(Box::new(failure));
            self.timers.set(until, Timer::Wait(key));
        }
    }

    /// The rest is over?
    pub(super) fn wait_over(&mut self, now: Now, key: HalfKey) {
        if let Some(half) = self.halves.get_mut(key)
            && let State::Waiting { until } = half.state
            && until <= now.mono
        {
            half.state = State::Locating;
            self.look_up(now, key);
        }
    }

    /// What a session that is being opened waits for, in words.
    #[must_use]
    pub fn waiting_for(&self, link: Link) -> String {
        let Some(half) = self.halves.get(half_key(link.0)) else {
            return "nothing".into();
        };
        if half.state == State::Grouped {
            return self.group_waits_for(half);
        }
        let step = match half.state {
            State::Locating => "looking up the topic",
            State::Connecting => "connecting to the topic's broker",
            State::Creating { .. } => match half.role {
                Role::Producer(_) => "creating the producer",
                Role::Consumer(_) => "subscribing",
                Role::Group(_) | Role::FanIn(_) => "nothing",
            },
            State::Waiting { .. } => "waiting to try again",
            State::Ready { .. } | State::Closing | State::Ended | State::Grouped => "nothing",
        };
        match &half.last_failure {
            Some(failure) => format!("{step} (before: {})", failure.message),
            None => step.into(),
        }
    }
}

impl Pulsar {
    /// What the first part waits for that does.
    fn group_waits_for(&self, half: &Half) -> String {
        let waits = |part: &HalfKey| self.halves.get(*part).is_some_and(|part| !part.is_open);
        let part = match &half.role {
            Role::Group(group) => group.parts.iter().copied().find(waits),
            Role::FanIn(fan_in) => fan_in.parts().find(waits),
            Role::Producer(_) | Role::Consumer(_) => None,
        };
        match part {
            Some(part) => self.waiting_for(Link(wire_id(part))),
            None if half.is_open => "nothing".into(),
            None => "looking for topics".into(),
        }
    }
}

/// A half's number on the wire.
pub(super) fn wire_id(key: HalfKey) -> u64 {
    slotmap::Key::data(&key).as_ffi()
}

/// The half with a number, if there is one.
pub(super) fn half_key(id: u64) -> HalfKey {
    slotmap::KeyData::from_ffi(id).into()
}

/// A producer tries once more shortly before its oldest publish times out.
fn last_call(send_timeout: Option<Duration>) -> Duration {
    const SHORTLY: Duration = Duration::from_millis(100);
    send_timeout
        .unwrap_or_default()
        .saturating_sub(SHORTLY)
        .max(SHORTLY)
}
