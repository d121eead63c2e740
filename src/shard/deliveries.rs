//! Sessions → clients: messages of the broker, as far as the client may have them.

use super::{
    Shard,
    client::{Open, Phase},
    messages::write,
    outbox::Outbox,
};
use crate::{
    pulsar::Entry,
    session::{Event, SessionKey},
    timer::Now,
};

/// Deliveries wait at the backend while more than this is unwritten: enough to keep the socket
/// busy, little enough for a thousand slow readers.
const DELIVERIES_UNWRITTEN_BYTES_MAX: usize = 256 * 1024;

impl Shard {
    /// An entry came: its messages go out as far as the client may have them, the rest is held.
    pub(super) fn entry(&mut self, now: Now, mut entry: Entry<'_>) {
        let key = entry.session();
        self.figures.counters.broker_messages += 1;
        let messages = u64::from(entry.messages());
        self.figures.entry_messages.record(messages);
        // What is held came earlier and goes first; if any stays held, there is no room now.
        if self.pulsar.may_hold(&entry) {
            self.deliver_held(now, key);
        }
        if let Some(client) = self.clients.get_mut(key)
            && let Phase::Open(open) = &mut client.phase
        {
            while entry.has_more() && takes_delivery(open, &client.outbox) {
                let Some(delivery) = self.pulsar.next_delivery(now, &mut entry) else {
                    self.announce(now, key);
                    return;
                };
                self.buffers.provide(&mut client.outbox);
                open.session.handle_delivery();
                let bytes = delivery.payload.map_or(0, <[u8]>::len);
                open.counted.delivered(now, bytes, &mut self.namespaces);
                let nanos = now.mono.nanos_since(delivery.arrived);
                self.figures.delivered(nanos, bytes);
                client.visit.messages_out += 1;
                let event = Event::Delivery(&delivery);
                write(
                    open.dialect,
                    &event,
                    &mut client.outbox.bytes,
                    &mut self.time,
                    &mut self.deflater,
                    open.ws.window_bits(),
                );
            }
        }
        if entry.has_more() {
            self.figures.counters.held_entries += 1;
            self.pulsar.hold(now, entry);
        }
        self.announce(now, key);
    }

    /// Sends what is held as far as the client may have it.
    pub(super) fn deliver_held(&mut self, now: Now, key: SessionKey) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let Phase::Open(open) = &mut client.phase else {
            return;
        };
        let link = open.session.link();
        while takes_delivery(open, &client.outbox) {
            let Some(delivery) = self.pulsar.next_held(now, link) else {
                if self.pulsar.holds_more(link) {
                    continue;
                }
                break;
            };
            self.buffers.provide(&mut client.outbox);
            open.session.handle_delivery();
            let bytes = delivery.payload.map_or(0, <[u8]>::len);
            open.counted.delivered(now, bytes, &mut self.namespaces);
            let nanos = now.mono.nanos_since(delivery.arrived);
            self.figures.delivered(nanos, bytes);
            client.visit.messages_out += 1;
            let event = Event::Delivery(&delivery);
            write(
                open.dialect,
                &event,
                &mut client.outbox.bytes,
                &mut self.time,
                &mut self.deflater,
                open.ws.window_bits(),
            );
        }
        self.announce(now, key);
    }
}

fn takes_delivery(open: &Open, outbox: &Outbox) -> bool {
    open.session.wants_delivery() && outbox.len() < DELIVERIES_UNWRITTEN_BYTES_MAX
}
