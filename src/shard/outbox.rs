//! What waits to be written to a client, and the buffers it waits in.

use crate::ws::ROOM_BYTES_MAX;

/// Bytes waiting for one client. The writer takes them all at once; what comes meanwhile gathers
/// in another buffer, so that each write carries everything a turn produced.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Appended to by everybody who has something to say to the client.
    pub(super) bytes: Vec<u8>,
    /// Taken by the writer, not yet reported as written.
    writing: usize,
    /// The writer knows that there is something.
    announced: bool,
}

impl Outbox {
    /// Bytes waiting or being written.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() + self.writing
    }

    /// True once for each time the outbox went from empty to not empty.
    pub(super) fn announces(&mut self) -> bool {
        let announces = !self.announced && !self.bytes.is_empty();
        self.announced |= announces;
        announces
    }

    /// Everything there is, for the writer.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        self.announced = false;
        if self.bytes.is_empty() {
            return None;
        }
        self.writing += self.bytes.len();
        Some(std::mem::take(&mut self.bytes))
    }

    /// Everything there is, for a client that is being forgotten.
    pub(super) fn take_last(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// What the writer took is written.
    pub(super) const fn handle_written(&mut self) {
        self.writing = 0;
    }

    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }
}

/// Empty buffers of which an idle client holds none: those of outboxes, and those in which messages are put together
/// that arrive in parts.
#[derive(Debug)]
pub(super) struct Buffers {
    free: Vec<Vec<u8>>,
    /// Capacity of all of them.
    free_bytes: usize,
    /// Larger ones are not kept: one large message should not hold its memory for good.
    bytes_max: usize,
}

impl Buffers {
    /// More than that many are not kept; a burst's memory goes back.
    const FREE_MAX: usize = 256;
    /// All of them together.
    const FREE_BYTES_MAX: usize = 16 * 1024 * 1024;
    /// As large as an outbox's buffer gets that has doubled until it held the deliveries that may be unwritten, and
    /// one more.
    const OUTBOX_BYTES_MAX: usize = 512 * 1024;

    pub(super) const fn for_outboxes() -> Self {
        Self::keeping(Self::OUTBOX_BYTES_MAX)
    }

    pub(super) const fn for_parts() -> Self {
        Self::keeping(ROOM_BYTES_MAX)
    }

    const fn keeping(bytes_max: usize) -> Self {
        Self {
            free: Vec::new(),
            free_bytes: 0,
            bytes_max,
        }
    }

    /// Capacity of all that are kept.
    pub(super) const fn free_bytes(&self) -> usize {
        self.free_bytes
    }

    /// One with capacity, or else one that will get it.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let buffer = self.free.pop().unwrap_or_default();
        self.free_bytes -= buffer.capacity();
        buffer
    }

    /// Sees that the outbox has a buffer with capacity before something is appended.
    pub(super) fn provide(&mut self, outbox: &mut Outbox) {
        if outbox.bytes.capacity() == 0 {
            outbox.bytes = self.take();
        }
    }

    /// Takes an unused buffer back out of an outbox.
    pub(super) fn reclaim(&mut self, outbox: &mut Outbox) {
        if outbox.bytes.is_empty() {
            self.put(std::mem::take(&mut outbox.bytes));
        }
    }

    /// Takes a buffer back.
    pub(super) fn put(&mut self, mut buffer: Vec<u8>) {
        let bytes = buffer.capacity();
        if self.free.len() < Self::FREE_MAX
            && (1..=self.bytes_max).contains(&bytes)
            && self.free_bytes + bytes <= Self::FREE_BYTES_MAX
        {
            buffer.clear();
            self.free_bytes += bytes;
            self.free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announces_once_until_taken() {
        let mut outbox = Outbox::default();
        assert!(!outbox.announces());
        outbox.bytes.push(1);
        assert!(outbox.announces());
        outbox.bytes.push(2);
        assert!(!outbox.announces());
        assert_eq!(outbox.take(), Some(vec![1, 2]));
        assert_eq!(outbox.len(), 2, "still being written");
        outbox.bytes.push(3);
        assert!(outbox.announces());
        assert_eq!(outbox.len(), 3);
        outbox.handle_written();
        assert_eq!(outbox.len(), 1);
    }

    #[test]
    fn buffers_come_round_unless_too_large() {
        let mut buffers = Buffers::for_outboxes();
        let mut outbox = Outbox::default();
        buffers.put(Vec::with_capacity(100));
        buffers.put(Vec::with_capacity(Buffers::OUTBOX_BYTES_MAX + 1));
        buffers.provide(&mut outbox);
        assert_eq!(outbox.bytes.capacity(), 100);
        buffers.reclaim(&mut outbox);
        assert_eq!((outbox.bytes.capacity(), buffers.free.len()), (0, 1));
    }

    #[test]
    fn free_buffers_are_bounded_in_sum() {
        let mut buffers = Buffers::for_outboxes();
        for _ in 0..2 * Buffers::FREE_MAX {
            buffers.put(Vec::with_capacity(Buffers::OUTBOX_BYTES_MAX));
        }
        assert_eq!(
            buffers.free.len(),
            Buffers::FREE_BYTES_MAX / Buffers::OUTBOX_BYTES_MAX
        );
        buffers.provide(&mut Outbox::default());
        assert_eq!(
            buffers.free_bytes,
            Buffers::FREE_BYTES_MAX - Buffers::OUTBOX_BYTES_MAX
        );
    }
}
