//! Inflates messages of text (RFC 1951) faster than a decoder for data of any kind.
//!
//! This is a shortcut and no judge: whatever is not whole, or has a block without codes in it, or much that is repeated,
//! is left to a decoder that knows all of deflate, and says what is wrong.

mod bits;
mod fixed;
mod lengths;
mod own_codes;
mod repeat;
mod symbols;
mod tables;
mod turned;
#[cfg(target_arch = "x86_64")]
mod wide;

#[cfg(test)]
mod tests;

use bits::Reader;
use own_codes::{Block, Space};

/// Inflates messages, one after another.
pub struct Shortcut {
    space: Space,
}

impl Shortcut {
    /// A shortcut that takes memory with the first message that has codes of its own: 24 KiB, and as much as the longest of
    /// them has compressed bytes, at most 1 MiB.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            space: Space::new(),
        }
    }

    /// Inflates the whole of `compressed` to the beginning of `out`, and tells how many bytes that are.
    ///
    /// `None` where it is anything but blocks with codes, none of them the last, and, behind them, the start of the empty
    /// one that a flush writes (RFC 7692, section 7.2.1), where much of it is repetition, and where `out` has no room. What
    /// is in `out` then means nothing.
    #[must_use]
    pub fn inflate(&mut self, compressed: &[u8], out: &mut [u8]) -> Option<usize> {
        self.inflate_by(own_codes::block, compressed, out)
    }

    /// The same as on a processor without wider vectors.
    #[cfg(feature = "fuzzing")]
    #[must_use]
    pub fn inflate_anywhere(&mut self, compressed: &[u8], out: &mut [u8]) -> Option<usize> {
        self.inflate_by(own_codes::block_anywhere, compressed, out)
    }

    /// The same by one way or another to inflate a block with codes of its own.
    #[inline(always)]
    fn inflate_by(&mut self, block: Block, compressed: &[u8], out: &mut [u8]) -> Option<usize> {
        let mut reader = Reader::new(compressed);
        let (mut written, mut repetitions) = (0, 0);
        let mut is_first = true;
        loop {
            reader.fill();
            match reader.take(3) {
                // Fixed codes; not the last block.
                0b010 => written = fixed::block(&mut reader, out, written, &mut repetitions)?,
                // Codes of its own; not the last block.
                0b100 => {
                    written = block(&mut reader, out, written, is_first, &mut self.space)?;
                    is_first = false;
                }
                // Bytes as they are; not the last block. Their number is what a sender leaves off.
                0b000 if reader.at().div_ceil(8) == compressed.len() => return Some(written),
                _ => return None,
            }
        }
    }
}
