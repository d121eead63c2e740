//! What waits to be written to one broker, and where frames in flight lie.
//!
//! ```text
//!  chunk   ├── segment (taken) ──┼── segment (taken) ──┼── tail ──────── · free · ┤
//!            frame frame ping      frame ack flow        frame frame →
//! ```
//!
//! A frame is written once, at the tail of its connection's outbox. When the runtime takes the
//! outbox, the tail is split off and frozen: one contiguous write. The frozen segment stays in the
//! shard's store while one of its frames has no receipt, so that a resend copies the frame from
//! there and a publish keeps no copy of its own. When the last frame is done the segment goes, and
//! when all segments of a chunk are gone the chunk is used again: in steady state, nothing is
//! allocated for a message or a write.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use slotmap::SlotMap;

slotmap::new_key_type! {
    /// Names a segment in the store.
    pub(super) struct SegmentKey;
}

/// Chunks are this large, ...
const CHUNK_BYTES: usize = 64 << 10;
/// ... or this, where a frame does not fit: payloads of 64 KiB, which are common, are a little more than that. One
/// message larger still gets a chunk of its own, which is not used again.
const LARGE_CHUNK_BYTES: usize = 128 << 10;
/// So many used-up chunks of either size are watched for becoming free: 4 MiB a shard, and 8 of large ones.
const RETIRED_MAX: usize = 64;
/// So many of them are looked at when a chunk is needed.
const RETIRED_TRIES: usize = 4;
/// So many buffers of batches are kept, none larger than that: enough for a batch of Java's default
/// size with a kilobyte of metadata a message.
const BATCH_BUFFERS_MAX: usize = 64;
const BATCH_BUFFER_BYTES_MAX: usize = 256 << 10;
/// Room provided for commands, which are written without being measured.
const COMMAND_BYTES: usize = 1 << 10;

/// Where a frame in flight lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameRef {
    segment: SegmentKey,
    offset: u32,
    len: u32,
}

impl FrameRef {
    /// Bytes of the frame.
    pub(super) const fn len(&self) -> usize {
        self.len as usize
    }
}

/// The shard's segments with frames in flight, and chunks to be used again.
#[derive(Debug, Default)]
pub(super) struct Segments {
    segments: SlotMap<SegmentKey, Segment>,
    /// Empty handles on chunks without room, and on large ones. Each `len() <= RETIRED_MAX`.
    retired: VecDeque<BytesMut>,
    retired_large: VecDeque<BytesMut>,
    /// Buffers for open batches; of some, all but an empty handle is in flight.
    /// `batch_buffers.len() <= BATCH_BUFFERS_MAX`.
    batch_buffers: VecDeque<BytesMut>,
    /// Bytes of all frames in flight, and of open batches.
    bytes_in_flight: usize,
}

#[derive(Debug)]
struct Segment {
    /// `None` while it is the tail of an outbox.
    bytes: Option<Bytes>,
    frames_in_flight: usize,
}

impl Segments {
    /// A frame has its receipt, or is given up.
    pub(super) fn release(&mut self, frame: FrameRef) {
        let Some(segment) = self.segments.get_mut(frame.segment) else {
            debug_assert!(false, "a frame in flight keeps its segment");
            return;
        };
        segment.frames_in_flight -= 1;
        self.bytes_in_flight -= frame.len();
        if segment.frames_in_flight == 0 && segment.bytes.is_some() {
            self.segments.remove(frame.segment);
        }
    }

    /// Bytes of all frames in flight, and of open batches.
    pub(super) const fn bytes_in_flight(&self) -> usize {
        self.bytes_in_flight
    }

    /// An open batch grew.
    pub(super) const fn grew(&mut self, bytes: usize) {
        self.bytes_in_flight += bytes;
    }

    /// An open batch is no more.
    pub(super) const fn gone(&mut self, bytes: usize) {
        self.bytes_in_flight -= bytes;
    }

    /// An empty buffer for a batch, with that much room at least.
    pub(super) fn batch_buffer(&mut self, len: usize) -> BytesMut {
        for _ in 0..RETIRED_TRIES.min(self.batch_buffers.len()) {
            let Some(mut buffer) = self.batch_buffers.pop_front() else {
                break;
            };
            if buffer.try_reclaim(len) {
                return buffer;
            }
            self.batch_buffers.push_back(buffer);
        }
        BytesMut::with_capacity(len)
    }

    /// Takes a batch's buffer back. What of it was handed over comes back when it has its receipt.
    pub(super) fn give_batch_buffer(&mut self, mut buffer: BytesMut) {
        buffer.clear();
        if buffer.capacity() > BATCH_BUFFER_BYTES_MAX {
            return;
        }
        if self.batch_buffers.len() == BATCH_BUFFERS_MAX {
            self.batch_buffers.pop_back();
        }
        self.batch_buffers.push_front(buffer);
    }

    /// A frame's bytes, unless they still lie in a tail.
    pub(super) fn frame(&self, frame: FrameRef) -> Option<&[u8]> {
        let bytes = self.segments.get(frame.segment)?.bytes.as_ref()?;
        let start = frame.offset as usize;
        bytes.get(start..start + frame.len())
    }

    /// How many segments have frames in flight.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.segments.len()
    }

    /// An empty chunk with that much room at least.
    fn chunk(&mut self, len: usize) -> BytesMut {
        let len = chunk_len(len);
        let Some(retired) = self.retired(len) else {
            return BytesMut::with_capacity(len);
        };
        for _ in 0..RETIRED_TRIES.min(retired.len()) {
            let Some(mut chunk) = retired.pop_front() else {
                break;
            };
            if chunk.try_reclaim(len) {
                return chunk;
            }
            retired.push_back(chunk);
        }
        BytesMut::with_capacity(len)
    }

    /// Keeps a chunk of that length for later, unless it was for a single message.
    fn retire(&mut self, chunk: BytesMut, len: usize) {
        let Some(retired) = self.retired(len) else {
            return;
        };
        if retired.len() == RETIRED_MAX {
            retired.pop_front();
        }
        retired.push_back(chunk);
    }

    /// Where chunks of that length are, if any are used again.
    const fn retired(&mut self, len: usize) -> Option<&mut VecDeque<BytesMut>> {
        match len {
            CHUNK_BYTES => Some(&mut self.retired),
            LARGE_CHUNK_BYTES => Some(&mut self.retired_large),
            _ => None,
        }
    }
}

/// What waits to be written to one broker.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Taken first, oldest first.
    ready: VecDeque<Bytes>,
    tail: BytesMut,
    /// The tail's name, once a frame in flight lies in it.
    segment: Option<SegmentKey>,
    /// How large the tail's chunk was when it was new; 0 if there is none.
    chunk_len: usize,
    /// The runtime knows that there is something to be taken.
    pub(super) is_announced: bool,
}

impl Outbox {
    /// Nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.tail.is_empty()
    }

    /// True once for each time that there is something of which the runtime does not know.
    pub(super) fn announces(&mut self) -> bool {
        let announces = !self.is_announced && !self.is_empty();
        self.is_announced |= announces;
        announces
    }

    /// Bytes that wait.
    #[cfg(test)]
    pub(super) fn waiting_bytes(&self) -> usize {
        let ready: usize = self.ready.iter().map(Bytes::len).sum();
        ready + self.tail.len()
    }

    /// Where commands are appended.
    pub(super) fn commands(&mut self, segments: &mut Segments) -> &mut BytesMut {
        self.reserve(COMMAND_BYTES, segments);
        &mut self.tail
    }

    /// Appends a frame that will be in flight. `write` appends exactly `len` bytes, or fails and
    /// appends nothing.
    pub(super) fn put_frame<E>(
        &mut self,
        len: usize,
        segments: &mut Segments,
        write: impl FnOnce(&mut BytesMut) -> Result<(), E>,
    ) -> Result<FrameRef, E> {
        self.reserve(len, segments);
        let offset = self.tail.len();
        write(&mut self.tail)?;
        debug_assert_eq!(self.tail.len(), offset + len);
        let segment = *self.segment.get_or_insert_with(|| {
            segments.segments.insert(Segment {
                bytes: None,
                frames_in_flight: 0,
            })
        });
        if let Some(segment) = segments.segments.get_mut(segment) {
            segment.frames_in_flight += 1;
            segments.bytes_in_flight += self.tail.len() - offset;
        }
        Ok(FrameRef {
            segment,
            offset: size(offset),
            len: size(self.tail.len() - offset),
        })
    }

    /// Appends a frame that lies in a buffer of its own, which is written from there.
    pub(super) fn hand_over(&mut self, frame: Bytes, segments: &mut Segments) -> FrameRef {
        self.seal(segments);
        segments.bytes_in_flight += frame.len();
        let len = size(frame.len());
        let segment = segments.segments.insert(Segment {
            bytes: Some(frame.clone()),
            frames_in_flight: 1,
        });
        self.ready.push_back(frame);
        FrameRef {
            segment,
            offset: 0,
            len,
        }
    }

    /// Appends a frame once more. It must not lie in a tail: see [`Outbox::seal`]. The old place is
    /// released.
    pub(super) fn put_again(&mut self, frame: FrameRef, segments: &mut Segments) -> FrameRef {
        let Some(Segment {
            bytes: Some(bytes), ..
        }) = segments.segments.get(frame.segment)
        else {
            debug_assert!(false, "sealed before");
            return frame;
        };
        let start = frame.offset as usize;
        let bytes = bytes.slice(start..start + frame.len());
        let again = self.put_frame(frame.len(), segments, |tail| {
            tail.put_slice(&bytes);
            Ok::<(), std::convert::Infallible>(())
        });
        let Ok(again) = again;
        segments.release(frame);
        again
    }

    /// Ends the tail, so that the frames in it can be read from the store.
    pub(super) fn seal(&mut self, segments: &mut Segments) {
        if let Some(bytes) = self.freeze_tail(segments) {
            self.ready.push_back(bytes);
        }
    }

    /// As [`Outbox::seal`], where nothing is ever taken: the outbox is that of no connection, or
    /// its connection is gone. Frames in flight stay, everything else goes.
    pub(super) fn seal_unwritten(&mut self, segments: &mut Segments) {
        self.freeze_tail(segments);
        self.forget_ready();
    }

    /// Of an outbox that is never taken: what is sealed lies in the store as long as it is in flight,
    /// and is no longer needed here.
    pub(super) fn forget_ready(&mut self) {
        self.ready.clear();
    }

    /// The connection is gone: keeps the frames in flight and gives the chunk back.
    pub(super) fn retire(mut self, segments: &mut Segments) {
        self.seal_unwritten(segments);
        self.replace_chunk(BytesMut::new(), 0, segments);
    }

    /// The next bytes to be written.
    pub(super) fn take(&mut self, segments: &mut Segments) -> Option<Bytes> {
        self.ready
            .pop_front()
            .or_else(|| self.freeze_tail(segments))
    }

    fn freeze_tail(&mut self, segments: &mut Segments) -> Option<Bytes> {
        if self.tail.is_empty() {
            return None;
        }
        let bytes = self.tail.split().freeze();
        if self.chunk_len > LARGE_CHUNK_BYTES {
            self.replace_chunk(BytesMut::new(), 0, segments);
        }
        if let Some(key) = self.segment.take()
            && let Some(segment) = segments.segments.get_mut(key)
        {
            if segment.frames_in_flight == 0 {
                segments.segments.remove(key);
            } else {
                segment.bytes = Some(bytes.clone());
            }
        }
        Some(bytes)
    }

    /// Makes room for `len` bytes without moving what is there.
    fn reserve(&mut self, len: usize, segments: &mut Segments) {
        if self.tail.capacity() - self.tail.len() >= len {
            return;
        }
        self.seal(segments);
        if self.tail.try_reclaim(len) {
            return;
        }
        let chunk = segments.chunk(len);
        self.replace_chunk(chunk, chunk_len(len), segments);
    }

    fn replace_chunk(&mut self, chunk: BytesMut, len: usize, segments: &mut Segments) {
        let old = std::mem::replace(&mut self.tail, chunk);
        segments.retire(old, self.chunk_len);
        self.chunk_len = len;
    }
}

/// How large a chunk is that has room for `len` bytes.
fn chunk_len(len: usize) -> usize {
    if len <= CHUNK_BYTES {
        CHUNK_BYTES
    } else {
        len.max(LARGE_CHUNK_BYTES)
    }
}

/// A tail never grows beyond a chunk or one message, whose sizes are checked before.
fn size(bytes: usize) -> u32 {
    debug_assert!(u32::try_from(bytes).is_ok());
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn put(outbox: &mut Outbox, segments: &mut Segments, bytes: &[u8]) -> FrameRef {
        let Ok(frame) = outbox.put_frame(bytes.len(), segments, |tail| {
            tail.put_slice(bytes);
            Ok::<(), Infallible>(())
        });
        frame
    }

    #[test]
    fn a_turn_leaves_in_one_piece_and_stays_until_its_last_receipt() {
        let (mut outbox, mut segments) = (Outbox::default(), Segments::default());
        let one = put(&mut outbox, &mut segments, b"one");
        outbox.commands(&mut segments).put_slice(b"ping");
        let two = put(&mut outbox, &mut segments, b"two");
        assert_eq!(outbox.take(&mut segments).unwrap(), &b"onepingtwo"[..]);
        assert!(outbox.is_empty() && outbox.take(&mut segments).is_none());
        assert_eq!(segments.frame(one), Some(&b"one"[..]));
        segments.release(one);
        assert_eq!(segments.frame(two), Some(&b"two"[..]));
        segments.release(two);
        assert_eq!(segments.len(), 0);
    }

    #[test]
    fn a_receipt_before_the_write_keeps_nothing() {
        let (mut outbox, mut segments) = (Outbox::default(), Segments::default());
        let one = put(&mut outbox, &mut segments, b"one");
        segments.release(one);
        let two = put(&mut outbox, &mut segments, b"two");
        segments.release(two);
        assert_eq!(outbox.take(&mut segments).unwrap(), &b"onetwo"[..]);
        assert_eq!(segments.len(), 0);
    }

    #[test]
    fn a_failed_write_appends_nothing() {
        let (mut outbox, mut segments) = (Outbox::default(), Segments::default());
        assert_eq!(outbox.put_frame(3, &mut segments, |_| Err("no")), Err("no"));
        assert!(outbox.is_empty());
        assert_eq!(segments.len(), 0);
    }

    #[test]
    fn frames_go_to_another_outbox_in_order() {
        let (mut old, mut new) = (Outbox::default(), Outbox::default());
        let mut segments = Segments::default();
        let one = put(&mut old, &mut segments, b"one");
        old.take(&mut segments);
        let two = put(&mut old, &mut segments, b"two");
        old.retire(&mut segments);
        let frames = [one, two].map(|frame| new.put_again(frame, &mut segments));
        assert_eq!(segments.len(), 1, "the old places are released");
        assert_eq!(new.take(&mut segments).unwrap(), &b"onetwo"[..]);
        assert_eq!(frames.map(|f| segments.frame(f).unwrap()), [b"one", b"two"]);
    }

    #[test]
    fn chunks_are_used_again() {
        let (mut outbox, mut segments) = (Outbox::default(), Segments::default());
        let mut in_flight = VecDeque::new();
        let mut places = std::collections::BTreeSet::new();
        let message = [7; 1000];
        for turn in 0..1000 {
            for _ in 0..10 {
                in_flight.push_back(put(&mut outbox, &mut segments, &message));
            }
            while let Some(bytes) = outbox.take(&mut segments) {
                if turn > 100 {
                    places.insert(bytes.as_ptr() as usize / (4 * CHUNK_BYTES));
                }
            }
            while in_flight.len() > 100 {
                segments.release(in_flight.pop_front().unwrap());
            }
        }
        assert!(segments.retired.len() < 8, "{}", segments.retired.len());
        assert!(places.len() < 16, "the same few chunks: {}", places.len());
    }

    #[test]
    fn chunks_of_payloads_of_64_kib_are_used_again() {
        let (mut outbox, mut segments) = (Outbox::default(), Segments::default());
        let mut in_flight = VecDeque::new();
        let message = vec![7; CHUNK_BYTES + 100];
        for _ in 0..1000 {
            in_flight.push_back(put(&mut outbox, &mut segments, &message));
            assert!(outbox.take(&mut segments).is_some());
            if in_flight.len() > 10 {
                segments.release(in_flight.pop_front().unwrap());
            }
        }
        // None, where they are thrown away; ever more, where others are made.
        let kept = segments.retired_large.len();
        assert!((1..20).contains(&kept), "the same few chunks: {kept}");
    }

    #[test]
    fn a_frame_that_is_handed_over_keeps_its_place_in_the_order() {
        let (mut outbox, mut segments) = (Outbox::default(), Segments::default());
        let one = put(&mut outbox, &mut segments, b"one");
        let mut buffer = segments.batch_buffer(1000);
        let place = buffer.as_ptr();
        buffer.put_slice(b"two");
        let two = outbox.hand_over(buffer.split().freeze(), &mut segments);
        segments.give_batch_buffer(buffer);
        let three = put(&mut outbox, &mut segments, b"three");
        assert_eq!(segments.bytes_in_flight(), 11);
        let other = segments.batch_buffer(1000);
        assert_ne!(other.as_ptr(), place, "it is in flight");
        for expected in ["one", "two", "three"] {
            assert_eq!(outbox.take(&mut segments).unwrap(), expected.as_bytes());
        }
        assert_eq!(segments.frame(two), Some(&b"two"[..]));
        for frame in [one, two, three] {
            segments.release(frame);
        }
        assert_eq!((segments.len(), segments.bytes_in_flight()), (0, 0));
        let again = segments.batch_buffer(1000);
        assert_eq!(again.as_ptr(), place);
    }

    #[test]
    fn a_large_message_takes_a_chunk_of_its_own_and_leaves_with_it() {
        let (mut outbox, mut segments) = (Outbox::default(), Segments::default());
        let small = put(&mut outbox, &mut segments, b"small");
        let large = put(&mut outbox, &mut segments, &vec![1; 3 * CHUNK_BYTES]);
        assert_eq!(outbox.take(&mut segments).unwrap(), &b"small"[..]);
        assert_eq!(outbox.take(&mut segments).unwrap().len(), 3 * CHUNK_BYTES);
        assert_eq!(outbox.tail.capacity(), 0, "idle, it holds no large chunk");
        segments.release(small);
        segments.release(large);
        assert_eq!(segments.len(), 0);
    }
}
