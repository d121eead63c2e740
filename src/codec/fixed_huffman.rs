//! Inflates what has the fixed codes of RFC 1951, section 3.2.6, and nothing else: text several times faster than a
//! decoder for codes of any kind.
//!
//! zlib chooses these codes for short messages, zlib-ng and zlib-rs at their lowest level for all. A decoder looks a
//! code up to learn where the next one begins, so each waits for the one before. The fixed code of a byte below 144 has
//! eight bits, which are the byte plus 48, turned round: eight of them are judged and translated at once, and none waits
//! while all of them are below 128, as text is.
//!
//! This is a shortcut and no judge: whatever is not whole, or has a block of another kind in it, or much that is repeated,
//! is left to a decoder that knows all of deflate.

#[cfg(test)]
mod tests;

/// Codes that are read at once, as words of eight: many in a long text, one word at its end.
const WORDS: usize = 4;
const LANES: usize = 8;

/// The longest code, of bytes and lengths.
const CODE_BITS_MAX: usize = 9;
/// Of each distance.
const DISTANCE_CODE_BITS: u8 = 5;
/// Repetitions that are read here in any case. Where more come than one for so many bytes, the other decoder is as fast,
/// and soon faster.
const REPETITIONS: usize = 32;
const BYTES_PER_REPETITION: usize = 64;

/// The symbol that ends a block, behind those that are bytes; those of lengths follow.
const BLOCK_END: u16 = 256;

/// The shortest length of each symbol, and how many bits say what goes beyond it.
const LENGTHS: [(u16, u8); 29] = {
    let mut lengths = ranges(3, 4);
    lengths[28] = (258, 0);
    lengths
};

/// A symbol and the length of its code, by the bits that come next.
const SYMBOLS: [(u16, u8); 1 << CODE_BITS_MAX] = symbols();
/// As [`LENGTHS`] for distances, by the bits of their codes; the two codes that mean none have 0.
const DISTANCES: [(u16, u8); 1 << DISTANCE_CODE_BITS] = distances();

/// Inflates the whole of `compressed` to the beginning of `out`, and tells how many bytes that are.
///
/// `None` where it is anything but blocks with fixed codes and, behind them, the start of the empty one that a flush
/// writes (RFC 7692, section 7.2.1), where much of it is repetition, and where `out` has no room. What is in `out` then
/// means nothing.
#[must_use]
pub fn inflate(compressed: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut reader = Reader::new(compressed);
    let (mut written, mut repetitions) = (0, 0);
    loop {
        reader.fill();
        match reader.take(3) {
            // Fixed codes; not the last block.
            0b010 => written = block(&mut reader, out, written, &mut repetitions)?,
            // Bytes as they are; not the last block. Their number is what a sender leaves off.
            0b000 if reader.at().div_ceil(8) == compressed.len() => return Some(written),
            _ => return None,
        }
    }
}

/// Inflates one block, behind the first `written` bytes of `out`, and tells how many there are with it.
fn block(
    reader: &mut Reader<'_>,
    out: &mut [u8],
    mut written: usize,
    repetitions: &mut usize,
) -> Option<usize> {
    let mut bytes_in_a_row = 0;
    loop {
        reader.fill();
        let (symbol, code_bits) = SYMBOLS[usize::from(low16(reader.bits)) % SYMBOLS.len()];
        reader.take(code_bits);
        if let Ok(byte) = u8::try_from(symbol) {
            *out.get_mut(written)? = byte;
            written += 1;
            bytes_in_a_row += 1;
            if bytes_in_a_row == LANES / 2 {
                bytes_in_a_row = 0;
                written += text(reader, out.get_mut(written..)?);
            }
            continue;
        }
        bytes_in_a_row = 0;
        if symbol == BLOCK_END {
            // Where the input ends, zeros seem to follow, and they mean the end of a block.
            return (reader.at() <= 8 * reader.bytes.len()).then_some(written);
        }
        *repetitions += 1;
        if *repetitions > REPETITIONS + written / BYTES_PER_REPETITION {
            return None;
        }
        let (length, length_bits) = *LENGTHS.get(usize::from(symbol - BLOCK_END - 1))?;
        let length = usize::from(length + reader.take(length_bits));
        let (distance, distance_bits) =
            DISTANCES[usize::from(low16(reader.bits)) % DISTANCES.len()];
        reader.take(DISTANCE_CODE_BITS);
        let distance = usize::from(distance + reader.take(distance_bits));
        repeat(out, written, distance, length)?;
        written += length;
    }
}

/// Reads the codes of bytes below 128 up to the first other code, or until little room is left, and tells how many.
fn text(reader: &mut Reader<'_>, out: &mut [u8]) -> usize {
    let mut written = 0;
    for block in out.as_chunks_mut::<{ WORDS * LANES }>().0 {
        let Some(codes) = reader.words::<WORDS>(written) else {
            break;
        };
        let bytes = codes.map(translate);
        if bytes.iter().fold(0, |all, word| all | word) & HIGH != 0 {
            break;
        }
        for (place, word) in block.as_chunks_mut().0.iter_mut().zip(bytes) {
            *place = word.to_le_bytes();
        }
        written += WORDS * LANES;
    }
    while let Some(place) = out.get_mut(written..).and_then(<[u8]>::first_chunk_mut)
        && let Some([codes]) = reader.words(written)
    {
        let bytes = translate(codes);
        *place = bytes.to_le_bytes();
        let count = ((bytes & HIGH).trailing_zeros() / 8) as usize;
        written += count;
        if count < LANES {
            break;
        }
    }
    reader.skip(written);
    written
}

const HIGH: u64 = u64::MAX / 255 * 0x80;

/// Translates eight codes. A byte of the result has its highest bit where the code is none of a byte below 128.
#[inline(always)]
fn translate(codes: u64) -> u64 {
    const ODD: u64 = u64::MAX / 3;
    const PAIRS: u64 = u64::MAX / 5;
    const NIBBLES: u64 = u64::MAX / 17;
    // Each byte turned round.
    let codes = ((codes >> 1) & ODD) | ((codes & ODD) << 1);
    let codes = ((codes >> 2) & PAIRS) | ((codes & PAIRS) << 2);
    let codes = ((codes >> 4) & NIBBLES) | ((codes & NIBBLES) << 4);
    // 48 off each of them: its highest bit is set first, so that it borrows of no other, and put right after.
    ((codes | HIGH) - u64::MAX / 255 * 48) ^ (!codes & HIGH)
}

/// Writes `length` bytes at `at` that stood `distance` before; they may reach into themselves.
#[inline(always)]
fn repeat(out: &mut [u8], at: usize, distance: usize, length: usize) -> Option<()> {
    if distance == 0 {
        return None;
    }
    let from = at.checked_sub(distance)?;
    let end = at + length;
    if distance >= LANES && out.len() >= end + LANES {
        // Up to a word too many is overwritten by what follows.
        let mut step = 0;
        while step < length {
            let word: [u8; LANES] = *out.get(from + step..)?.first_chunk()?;
            *out.get_mut(at + step..)?.first_chunk_mut()? = word;
            step += LANES;
        }
    } else {
        let span = out.get_mut(from..end)?;
        for place in distance..span.len() {
            span[place] = span[place - distance];
        }
    }
    Some(())
}

/// Bits of bytes, the lowest first; zeros seem to follow behind their end.
struct Reader<'b> {
    bytes: &'b [u8],
    /// Of these, the first [`count`](Self::count) come next, and those behind are as [`fill`](Self::fill) finds them.
    bits: u64,
    count: u32,
    /// The byte behind the bits that count.
    next: usize,
}

impl<'b> Reader<'b> {
    const fn new(bytes: &'b [u8]) -> Self {
        Self {
            bytes,
            bits: 0,
            count: 0,
            next: 0,
        }
    }

    /// Makes at least 56 bits count.
    #[inline(always)]
    fn fill(&mut self) {
        let rest = self.bytes.get(self.next..).unwrap_or_default();
        let word = match rest.first_chunk() {
            Some(bytes) => u64::from_le_bytes(*bytes),
            None => {
                let mut bytes = [0; 8];
                bytes[..rest.len()].copy_from_slice(rest);
                u64::from_le_bytes(bytes)
            }
        };
        self.bits |= word << self.count;
        self.next += (63 - self.count as usize) / 8;
        self.count |= 56;
    }

    /// The number in the next bits, at most 15 of them.
    #[inline(always)]
    const fn take(&mut self, count: u8) -> u16 {
        let number = low16(self.bits) & ((1 << count) - 1);
        self.bits >>= count;
        self.count -= count as u32;
        number
    }

    /// Bits that were taken.
    const fn at(&self) -> usize {
        8 * self.next - self.count as usize
    }

    /// Takes bytes, after which as many bits of the next byte have been taken as before.
    fn skip(&mut self, bytes: usize) {
        let at = self.at() + 8 * bytes;
        (self.next, self.count, self.bits) = (at / 8, 0, 0);
        self.fill();
        self.bits >>= at % 8;
        self.count -= u32::from(at.to_le_bytes()[0] % 8);
    }

    /// Bits as many bytes behind the next one as given, all of which count; `None` close to the end.
    #[inline(always)]
    fn words<const N: usize>(&self, ahead: usize) -> Option<[u64; N]> {
        let at = self.at();
        let rest = self.bytes.get(at / 8 + ahead..)?;
        let (low, high) = (words::<N>(rest)?, words::<N>(rest.get(8..)?)?);
        let shift = at % 8;
        Some(std::array::from_fn(|place| {
            // By two steps, since 64 at once is too much.
            (low[place] >> shift) | (high[place] << 1 << (63 - shift))
        }))
    }
}

#[inline(always)]
fn words<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let words = bytes.as_chunks().0.first_chunk::<N>()?;
    Some(words.map(u64::from_le_bytes))
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "the lowest bits are wanted"
)]
#[inline(always)]
const fn low16(bits: u64) -> u16 {
    bits as u16
}

/// What the symbols of lengths or distances begin with, the first of all with `first`. Each group of symbols has a bit
/// more than the group before, except that the first two have none.
const fn ranges<const N: usize>(mut first: u16, group: u8) -> [(u16, u8); N] {
    let mut ranges = [(0, 0); N];
    let mut at: u8 = 0;
    while (at as usize) < N {
        let bits = (at / group).saturating_sub(1);
        ranges[at as usize] = (first, bits);
        first = first.wrapping_add(1 << bits);
        at += 1;
    }
    ranges
}

const fn distances() -> [(u16, u8); 1 << DISTANCE_CODE_BITS] {
    let by_code: [_; 30] = ranges(1, 2);
    let mut distances = [(0, 0); 1 << DISTANCE_CODE_BITS];
    let mut code: u16 = 0;
    while (code as usize) < by_code.len() {
        let bits = code.reverse_bits() >> (16 - DISTANCE_CODE_BITS);
        distances[bits as usize] = by_code[code as usize];
        code += 1;
    }
    distances
}

const fn symbols() -> [(u16, u8); 1 << CODE_BITS_MAX] {
    let mut symbols = [(0, 0); 1 << CODE_BITS_MAX];
    let mut bits: u16 = 0;
    while (bits as usize) < symbols.len() {
        // A code comes with its highest bit first.
        let code = bits.reverse_bits() >> (16 - CODE_BITS_MAX);
        symbols[bits as usize] = match code {
            0..0x60 => (BLOCK_END + (code >> 2), 7),
            0x60..0x180 => ((code >> 1) - 0x30, 8),
            0x180..0x190 => (280 + (code >> 1) - 0xC0, 8),
            _ => (144 + code - 0x190, 9),
        };
        bits += 1;
    }
    symbols
}
