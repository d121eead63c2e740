//! What a client says of the messages that it has.

use bytes::BytesMut;

use super::{Consumer, outstanding::Tell};
use crate::{pulsar::message_id::PulsarId, session::BadMessageId, timer::Now};

impl Consumer {
    /// The client is done with a message. Tells whether it was outstanding.
    ///
    /// # Errors
    /// The bytes are no message id.
    pub fn acknowledge(
        &mut self,
        now: Now,
        id: &[u8],
        out: Option<&mut BytesMut>,
    ) -> Result<bool, BadMessageId> {
        let id = PulsarId::decode(id)?;
        let tracker = &mut self.tracker;
        if tracker.spec.is_volatile {
            let removed = tracker.take_volatile();
            tracker.flow(self.held.load(), out);
            return Ok(removed);
        }
        if tracker.spec.is_reader {
            return Ok(false);
        }
        let acknowledged = tracker.outstanding.acknowledge(&id);
        let removed = acknowledged.removed;
        tracker.permits.make_room(u32::from(removed));
        let tell = match acknowledged.tell {
            Tell::Unknown => tracker.outstanding.acknowledge_stranger(&id),
            tell => tell,
        };
        match tell {
            Tell::Nothing => {}
            Tell::Whole => {
                // Of a message in parts that was not delivered here, the id tells two.
                if let Some(first) = id.first_chunk {
                    tracker.acks.add_whole(now.mono, first);
                }
                tracker.add_whole_ack(now, id.entry);
                if !removed || id.batch_index.is_some() {
                    // Some of it came late: after it was asked for again, and the new copy may be
                    // here already.
                    tracker.permits.give_back(self.held.release(&[id.entry]));
                }
            }
            Tell::Part(done) => tracker.acks.add_part(now.mono, id.entry, done),
            // Without the size of a batch no ack set can be written, and to acknowledge the whole
            // entry (as Java does then) would lose its other messages.
            Tell::Unknown => {}
        }
        if let Some(out) = out.filter(|_| tracker.attached) {
            if tracker.acks.is_full() {
                tracker.acks.flush(tracker.id, out);
            }
            tracker.flow(self.held.load(), Some(out));
        }
        Ok(removed)
    }

    /// The client wants a message again later. Tells whether it was outstanding.
    ///
    /// # Errors
    /// The bytes are no message id.
    pub fn negative_acknowledge(&mut self, now: Now, id: &[u8]) -> Result<bool, BadMessageId> {
        let id = PulsarId::decode(id)?;
        let tracker = &mut self.tracker;
        if tracker.spec.is_volatile {
            return Ok(tracker.take_volatile());
        }
        // To a detached consumer everything comes again anyway.
        if tracker.spec.is_reader || !tracker.attached {
            return Ok(false);
        }
        let rejected = tracker.outstanding.reject(&id);
        if rejected.again {
            tracker.rejections.add(now, id.entry, rejected.known);
        }
        tracker.permits.make_room(u32::from(rejected.removed));
        Ok(rejected.removed)
    }
}
