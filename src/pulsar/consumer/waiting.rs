//! Messages on their way to the client, and what the broker may send besides.

use bytes::BytesMut;

use super::{Consumer, Entry, entry::delivery};
use crate::{pulsar::crypto::SealedKey, session::Delivery, timer::Now};

impl Consumer {
    /// The client permits so many messages more (in pull mode).
    pub fn permit(&mut self, messages: u32, out: Option<&mut BytesMut>) {
        self.tracker.permits.ask(messages);
        self.renew_permits(out);
    }

    /// Gives the broker new permits if there are enough to give.
    pub fn renew_permits(&mut self, out: Option<&mut BytesMut>) {
        self.tracker.flow(self.held.load(), out);
    }

    /// The next message of an entry that the client may have; a permit is spent.
    pub fn next_delivery<'e>(
        &mut self,
        now: Now,
        entry: &mut Entry<'e>,
        out: &mut BytesMut,
    ) -> Option<Delivery<'e>> {
        let tracker = &mut self.tracker;
        let mut out = Some(out);
        let cursor = &mut entry.cursor;
        let found = tracker.next(now, &entry.shape, cursor, entry.payload, out.as_deref_mut());
        tracker
            .permits
            .set_at_hand(entry.cursor.index < entry.shape.size());
        tracker.flow(self.held.load(), out);
        Some(delivery(
            &entry.shape,
            &found?,
            tracker.spec.partition,
            entry.metadata,
            entry.payload,
        ))
    }

    /// Keeps what is left of an entry until the client can take it.
    pub fn hold(&mut self, entry: Entry<'_>) {
        self.held.push(entry);
        self.tracker.permits.set_at_hand(false);
    }

    /// The next message that was held and that the client may have; a permit is spent.
    pub fn next_held(&mut self, now: Now, out: Option<&mut BytesMut>) -> Option<Delivery<'_>> {
        let mut out = out;
        let found = loop {
            self.held.drop_exhausted();
            let Some(front) = self.held.front() else {
                break None;
            };
            let mut cursor = front.cursor;
            let out = out.as_deref_mut();
            let found = self
                .tracker
                .next(now, &front.shape, &mut cursor, front.payload(), out);
            self.held.set_front_cursor(cursor);
            if found.is_some() {
                break found;
            }
        };
        self.tracker.flow(self.held.load(), out);
        let front = self.held.front()?;
        Some(delivery(
            &front.shape,
            &found?,
            self.tracker.spec.partition,
            front.metadata(),
            front.payload(),
        ))
    }

    /// A data key that has to be decrypted, for [`Consumer::open_parked`] to go on. Told once.
    pub(in crate::pulsar) const fn take_wanted_key(&mut self) -> Option<SealedKey> {
        self.held.parked().take_wanted()
    }

    /// Whether entries can't be read yet.
    #[must_use]
    pub fn is_parking(&self) -> bool {
        self.held.is_parking()
    }

    /// Whether a message that came in parts is held now, so that the client may be given it.
    pub const fn take_joined(&mut self) -> bool {
        std::mem::replace(&mut self.has_joined, false)
    }

    /// Whether messages are held, so that new ones have to wait behind them.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.held.first_waiting().is_some()
    }

    /// Bytes of the messages that are held.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.load().own
    }
}
