//! The session ended: its half is closed at the broker and forgotten.

use super::{HalfKey, Role, State, half_key, wire_id};
use crate::{
    pulsar::{
        Pulsar, command,
        connection::ConnectionKey,
        proto::{CommandCloseConsumer, CommandCloseProducer, Kind},
        request::Purpose,
    },
    session::Link,
    timer::Now,
};

impl Pulsar {
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

    pub(in crate::pulsar) fn start_closing(
        &mut self,
        now: Now,
        key: HalfKey,
        connection: ConnectionKey,
    ) {
        if let Some(half) = self.halves.get_mut(key) {
            half.state = State::Closing;
            if let Role::Producer(producer) = &mut half.role {
                producer.abandon(&mut self.segments);
            }
        }
        self.close_at_broker(now, key, connection, Purpose::Close(key));
    }

    /// CLOSE_PRODUCER or CLOSE_CONSUMER.
    pub(in crate::pulsar) fn close_at_broker(
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
    pub(in crate::pulsar) fn forget(&mut self, key: HalfKey) {
        if let Some(mut half) = self.halves.remove(key) {
            self.leaving -= usize::from(half.leaving.is_some());
            if let Role::Producer(producer) = &mut half.role {
                producer.abandon(&mut self.segments);
            }
        }
    }
}
