//! A half on its way to its broker: located, connected, made there, ready.

use super::{HalfKey, Role, State};
use crate::{
    pulsar::{
        Event, Pulsar, command,
        connection::{ConnectionKey, Waiter},
        error::Failure,
        lookup::Located,
        proto::{CommandProducerSuccess, Kind},
        request::Purpose,
    },
    timer::Now,
};

impl Pulsar {
    /// A lookup's answer.
    pub(in crate::pulsar) fn half_located(
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
                half.is_proxy_known = true;
                half.proxy = is_proxied.then(|| Box::new((address.host.clone(), address.port)));
                half.state = State::Connecting;
                self.acquire(now, address, Waiter::Half(key));
            }
            // The lookup has tried again for as long as there was time.
            Err(failure) if !half.is_open => self.open_failed(now, key, failure),
            Err(failure) => self.half_failed(now, key, failure),
        }
    }

    /// A connection to its broker is there: it is made at the broker.
    pub(in crate::pulsar) fn half_connected(
        &mut self,
        now: Now,
        key: HalfKey,
        connection_key: ConnectionKey,
    ) {
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
    pub(in crate::pulsar) fn producer_created(
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
    pub(in crate::pulsar) fn resend(&mut self, now: Now, key: HalfKey) {
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
    pub(in crate::pulsar) fn consumer_created(
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
}
