//! permessage-deflate (RFC 7692) without context takeover: one inflater and one deflater serve every WebSocket of a
//! shard.
//!
//! Each message is compressed for itself, so nothing is kept between two messages but space. A message that arrives in
//! parts waits as it came, compressed, with the WebSocket, and is inflated when it is whole: that holds fewer bytes
//! than its text would, and no window per WebSocket. Neither half allocates once it has seen a message of that size.

use std::fmt;

use super::frame::{self, FrameMark};
use crate::codec::inflate;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// What a sender leaves off the end of a message (RFC 7692 section 7.2.1), and behind it a last, empty block: only
/// data that ended where a block ends comes to the end of the stream with it.
const TAIL: [u8; 6] = [0x00, 0x00, 0xFF, 0xFF, 0x03, 0x00];

/// What [`TAIL`] gives back: what the flush of a message ends with.
const FLUSHED: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// Space that a first message gets.
const FIRST_BYTES: usize = 16 * 1024;

/// Space beyond this is given back with the next message that needs less.
const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// So much may be inflated for one call into the shard, and the rest of a message that was begun: a few bytes can stand
/// for many, and nobody else is served meanwhile.
const TURN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A compressed byte counts as so many inflated ones: those that describe codes make work, and stand for nothing.
const COMPRESSED_BYTE_COUNTS: usize = 16;

/// As far back as a client looks that asked for nothing less.
pub const WINDOW_BITS_MAX: u8 = 15;

/// The cheapest level that fits its codes to the message: the payload of most is base64, which repeats little but uses
/// 64 values of a byte. Level 1 makes nothing of that, and the levels above this one hardly more.
const LEVEL: Compression = Compression::new(2);

/// Why a message could not be inflated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It has more than the given number of bytes; inflating stopped with the first of them.
    TooBig,
    /// It is no deflate data, as the decoder puts it.
    Corrupt(String),
    /// It stops in the middle of a block.
    Incomplete,
}

/// The longest compressed form of a message of `bytes` that a sender may need: what zlib states as its bound for
/// settings of any kind.
pub(super) fn compressed_bytes_max(bytes: usize) -> usize {
    bytes.saturating_add(bytes / 8).saturating_add(64)
}

/// Inflates messages of clients, one after another.
pub struct Inflater {
    stream: Option<Decompress>,
    /// Tried first.
    shortcut: inflate::Shortcut,
    /// Space, all of it initialised.
    bytes: Vec<u8>,
    /// How much of it is the message.
    message_bytes: usize,
    /// Inflated since the turn began, and what the compressed bytes count for.
    turn_bytes: usize,
}

impl Inflater {
    /// An inflater that takes memory with its first message.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            stream: None,
            shortcut: inflate::Shortcut::new(),
            bytes: Vec::new(),
            message_bytes: 0,
            turn_bytes: 0,
        }
    }

    /// Another call into the shard begins.
    pub const fn begin_turn(&mut self) {
        self.turn_bytes = 0;
    }

    /// As much was inflated in this turn as may be.
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        self.turn_bytes >= TURN_BYTES_MAX
    }

    /// The message that was inflated last.
    pub(super) fn message(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.message_bytes]
    }

    /// Inflates a whole message of at most `bytes_max` bytes.
    pub(super) fn inflate(&mut self, compressed: &[u8], bytes_max: usize) -> Result<(), Fault> {
        self.message_bytes = 0;
        let inflated = self.inflate_whole(compressed, bytes_max);
        let work = compressed.len().saturating_mul(COMPRESSED_BYTE_COUNTS);
        self.turn_bytes = self
            .turn_bytes
            .saturating_add(self.message_bytes.saturating_add(work));
        inflated
    }

    fn inflate_whole(&mut self, compressed: &[u8], bytes_max: usize) -> Result<(), Fault> {
        if self.bytes.len() > KEPT_BYTES_MAX {
            self.bytes = Vec::new();
        }
        // Nothing at all is no deflate data, but Java takes it for an empty message too.
        if compressed.is_empty() {
            return Ok(());
        }
        let stop = bytes_max.saturating_add(1);
        if self.bytes.is_empty() {
            self.bytes.resize(FIRST_BYTES.min(stop), 0);
        }
        let end = self.bytes.len().min(bytes_max);
        if let Some(bytes) = self.shortcut.inflate(compressed, &mut self.bytes[..end]) {
            self.message_bytes = bytes;
            return Ok(());
        }
        if let Some(stream) = &mut self.stream {
            stream.reset(false);
        }
        // Some don't leave off what they should. No message ends so otherwise: its last byte ends with zeros.
        let tail = if compressed.ends_with(&FLUSHED) {
            &TAIL[FLUSHED.len()..]
        } else {
            &TAIL
        };
        // Some flush with a last block, behind which there may be an empty one, or nothing.
        if self.feed(compressed, bytes_max)? || self.feed(tail, bytes_max)? {
            Ok(())
        } else {
            Err(Fault::Incomplete)
        }
    }

    /// Takes all of `input`; tells whether it came to the end of a stream just there.
    fn feed(&mut self, mut input: &[u8], bytes_max: usize) -> Result<bool, Fault> {
        let stream = self.stream.get_or_insert_with(|| Decompress::new(false));
        let stop = bytes_max.saturating_add(1);
        loop {
            if self.message_bytes == self.bytes.len() {
                let bytes = self.bytes.len().saturating_mul(2);
                self.bytes
                    .resize(bytes.min(stop).max(self.message_bytes + 1), 0);
            }
            let end = self.bytes.len().min(stop);
            let (total_in, total_out) = (stream.total_in(), stream.total_out());
            let status = stream
                .decompress(
                    input,
                    &mut self.bytes[self.message_bytes..end],
                    FlushDecompress::None,
                )
                .map_err(|error| Fault::Corrupt(error.message().unwrap_or_default().to_owned()))?;
            let taken = length(stream.total_in() - total_in);
            let written = length(stream.total_out() - total_out);
            input = input.get(taken..).unwrap_or_default();
            self.message_bytes += written;
            if self.message_bytes > bytes_max {
                return Err(Fault::TooBig);
            }
            if status == Status::StreamEnd {
                if input.is_empty() {
                    return Ok(true);
                }
                stream.reset(false);
            } else if self.message_bytes < end && input.is_empty() {
                return Ok(false);
            } else if taken == 0 && written == 0 {
                return Err(Fault::Incomplete);
            }
        }
    }
}

/// Compresses messages for clients, one after another.
pub struct Deflater {
    stream: Option<Compress>,
    /// Space, all of it initialised.
    bytes: Vec<u8>,
    message_bytes_min: usize,
}

impl Deflater {
    /// A deflater that takes memory with its first message, and leaves those of less than `message_bytes_min` as they
    /// are.
    #[must_use]
    pub const fn new(message_bytes_min: usize) -> Self {
        Self {
            stream: None,
            bytes: Vec::new(),
            message_bytes_min,
        }
    }

    /// Writes the header of the message begun at `mark`, as [`frame::finish`] does, and puts the compressed form in the
    /// message's place where that pays and [`window_bits`](super::WebSocket::window_bits) says that it may.
    #[inline]
    pub fn finish(&mut self, out: &mut Vec<u8>, mark: FrameMark, window_bits: Option<u8>) {
        let compressed = window_bits.and_then(|bits| self.deflate(mark.payload(out), bits));
        match compressed {
            Some(compressed) => frame::finish_compressed(out, &mark, compressed),
            None => frame::finish(out, mark),
        }
    }

    /// The compressed form of a message for a client that looks back by 2 to the power of `window_bits`; `None` where
    /// it had better stay as it is.
    ///
    /// One deflater with the largest window serves everybody: nothing in a message lies further back than the message
    /// is long, so a longer one is what a smaller window can't have.
    fn deflate(&mut self, message: &[u8], window_bits: u8) -> Option<&[u8]> {
        let fits = window_bits >= WINDOW_BITS_MAX || message.len() <= 1 << window_bits;
        if message.len() < self.message_bytes_min || !fits {
            return None;
        }
        if self.bytes.len() > KEPT_BYTES_MAX {
            self.bytes = Vec::new();
        }
        // What does not get shorter is not wanted; what is left off at the end needs its room.
        let room = message.len() + FLUSHED.len();
        if self.bytes.len() < room {
            self.bytes
                .resize(room.next_power_of_two().max(FIRST_BYTES), 0);
        }
        let stream = self
            .stream
            .get_or_insert_with(|| Compress::new(LEVEL, false));
        stream.reset();
        stream
            .compress(message, &mut self.bytes[..room], FlushCompress::Sync)
            .ok()?;
        let written = length(stream.total_out());
        if length(stream.total_in()) < message.len() || written >= room {
            return None;
        }
        let compressed = self.bytes.get(..written)?.strip_suffix(&FLUSHED)?;
        (compressed.len() < message.len()).then_some(compressed)
    }
}

/// What went through a buffer, which is no longer than memory.
fn length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater")
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater")
            .field("bytes", &self.bytes.len())
            .field("message_bytes_min", &self.message_bytes_min)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: usize = 100_000;

    /// What zlib makes of `text` at `level`, with a flush at its end that is left off.
    fn compressed(text: &[u8], level: u32) -> Vec<u8> {
        let mut stream = Compress::new(Compression::new(level), false);
        let mut bytes = Vec::with_capacity(compressed_bytes_max(text.len()) + 4);
        let flush = FlushCompress::Sync;
        stream.compress_vec(text, &mut bytes, flush).unwrap();
        assert_eq!(length(stream.total_in()), text.len());
        bytes.truncate(bytes.len() - FLUSHED.len());
        bytes
    }

    fn inflated(inflater: &mut Inflater, compressed: &[u8]) -> Result<Vec<u8>, Fault> {
        inflater.inflate(compressed, LIMIT)?;
        Ok(inflater.message().to_vec())
    }

    fn inflate(compressed: &[u8]) -> Result<Vec<u8>, Fault> {
        inflated(&mut Inflater::new(), compressed)
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        // RFC 7692 section 7.2.3: one block, no compression, a final block, two blocks.
        let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
        let plain = b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00";
        let last = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00";
        let two = b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00";
        for bytes in [&hello[..], plain, last, two] {
            assert_eq!(inflate(bytes).unwrap(), b"Hello", "{bytes:02x?}");
        }
        // Section 7.2.3.6.
        assert_eq!(inflate(b"\x00").unwrap(), b"");
    }

    #[test]
    fn clients_that_end_otherwise_are_understood_as_by_java() {
        assert_eq!(inflate(b"").unwrap(), b"");
        let last = b"\xf3\x48\xcd\xc9\xc9\x07\x00";
        let flushed = b"\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff";
        for bytes in [&last[..], flushed] {
            assert_eq!(inflate(bytes).unwrap(), b"Hello", "{bytes:02x?}");
        }
    }

    #[test]
    fn nothing_is_remembered_from_one_message_to_the_next() {
        // RFC 7692 section 7.2.3.2: the second "Hello" refers to the first.
        let mut inflater = Inflater::new();
        let first = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
        assert_eq!(inflated(&mut inflater, first).unwrap(), b"Hello");
        let fault = inflated(&mut inflater, b"\xf2\x00\x11\x00\x00").unwrap_err();
        let text = "invalid distance too far back".to_owned();
        assert_eq!(fault, Fault::Corrupt(text));
        assert_eq!(inflated(&mut inflater, first).unwrap(), b"Hello");
    }

    #[test]
    fn what_is_no_deflate_data_is_a_fault() {
        let text = "invalid block type".to_owned();
        assert_eq!(inflate(&[0xFF; 20]), Err(Fault::Corrupt(text)));
        let whole = compressed(&b"{\"payload\":\"YWJj\"}".repeat(20), 6);
        for end in 1..whole.len() {
            assert!(inflate(&whole[..end]).is_err(), "cut at {end}");
        }
        let behind = [&whole[..], &[0xFF]].concat();
        assert!(inflate(&behind).is_err());
    }

    #[test]
    fn inflating_stops_with_the_first_byte_too_many() {
        let mut inflater = Inflater::new();
        let fits = compressed(&vec![b'x'; LIMIT], 9);
        assert_eq!(inflated(&mut inflater, &fits).unwrap().len(), LIMIT);
        for bytes in [LIMIT + 1, 100 * LIMIT] {
            let bomb = compressed(&vec![b'x'; bytes], 9);
            assert_eq!(inflated(&mut inflater, &bomb), Err(Fault::TooBig));
            assert_eq!(inflater.message_bytes, LIMIT + 1);
            assert_eq!(inflater.bytes.len(), LIMIT + 1);
        }
        assert_eq!(inflated(&mut inflater, &fits).unwrap().len(), LIMIT);
    }

    #[test]
    fn what_is_inflated_in_a_turn_is_counted_until_the_next() {
        let mut inflater = Inflater::new();
        let messages = [
            compressed(&vec![b'x'; LIMIT], 9),
            compressed(&vec![b'x'; 2 * LIMIT], 9),
        ];
        for _ in 0..2 {
            let mut count = 0;
            while !inflater.is_spent() {
                let fits = inflater.inflate(&messages[count % 2], LIMIT).is_ok();
                assert_eq!(fits, count % 2 == 0);
                count += 1;
            }
            let most = TURN_BYTES_MAX.div_ceil(LIMIT);
            assert!((most * 9 / 10..=most).contains(&count), "{count} of {most}");
            inflater.begin_turn();
        }
    }

    #[test]
    fn blocks_without_content_count_too() {
        let mut inflater = Inflater::new();
        let nothing =
            [0x00, 0x00, 0x00, 0xff, 0xff].repeat(TURN_BYTES_MAX / COMPRESSED_BYTE_COUNTS / 5 + 1);
        assert!(inflated(&mut inflater, &nothing).unwrap().is_empty());
        assert!(inflater.is_spent());
    }

    #[test]
    fn short_messages_and_those_that_do_not_shrink_stay_as_they_are() {
        let mut deflater = Deflater::new(100);
        assert_eq!(deflater.deflate(&[b'x'; 99], 15), None);
        assert!(deflater.deflate(&[b'x'; 100], 15).is_some());
        let mut state = 1_u32;
        let noise: Vec<u8> = (0..5000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
            .collect();
        assert_eq!(deflater.deflate(&noise, 15), None);
        assert!(deflater.deflate(&[b'x'; 5000], 15).is_some());
    }

    #[test]
    fn nothing_refers_beyond_a_smaller_window() {
        let mut deflater = Deflater::new(1);
        for bits in 8..15 {
            let fits = vec![b'x'; 1 << bits];
            assert!(deflater.deflate(&fits, bits).is_some(), "{bits}");
            let longer = vec![b'x'; (1 << bits) + 1];
            assert_eq!(deflater.deflate(&longer, bits), None, "{bits}");
        }
        assert!(deflater.deflate(&vec![b'x'; 1 << 17], 15).is_some());
    }

    proptest! {
        #[test]
        fn inflating_undoes_deflating(
            text in prop_oneof!["[a-z]{1,40}", "(\\{\"a\":\"[A-Za-z0-9]{20}\"\\}){1,200}", "\\PC{0,500}"],
            bits in 8..=15_u8,
        ) {
            let mut deflater = Deflater::new(1);
            let mut inflater = Inflater::new();
            for _ in 0..2 {
                if let Some(bytes) = deflater.deflate(text.as_bytes(), bits) {
                    prop_assert!(bytes.len() < text.len());
                    let bytes = bytes.to_vec();
                    prop_assert_eq!(inflated(&mut inflater, &bytes).unwrap(), text.as_bytes());
                }
            }
        }

        #[test]
        fn whatever_a_client_compresses_is_read(
            text in proptest::collection::vec(0..4_u8, 0..3000),
            level in 0..=9_u32,
        ) {
            let bytes = compressed(&text, level);
            prop_assert!(bytes.len() <= compressed_bytes_max(text.len()));
            prop_assert_eq!(inflate(&bytes).unwrap(), text);
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut inflater = Inflater::new();
            let first = inflated(&mut inflater, &bytes);
            prop_assert_eq!(inflated(&mut inflater, &bytes), first);
            prop_assert!(inflater.message_bytes <= LIMIT + 1);
        }
    }
}
