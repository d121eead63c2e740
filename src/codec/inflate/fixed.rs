//! Inflates blocks with the fixed codes of RFC 1951, section 3.2.6: text several times faster than a decoder for codes of
//! any kind.
//!
//! zlib chooses these codes for short messages, zlib-ng and zlib-rs at their lowest level for all. A decoder looks a
//! code up to learn where the next one begins, so each waits for the one before. The fixed code of a byte below 144 has
//! eight bits, which are the byte plus 48, turned round: eight of them are judged and translated at once, and none waits
//! while all of them are below 128, as text is.

use super::bits::{Reader, low16};
use super::repeat::repeat;
use super::symbols::{BLOCK_END, DISTANCES as DISTANCES_BY_CODE, LENGTHS};

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

/// A symbol and the length of its code, by the bits that come next.
const SYMBOLS: [(u16, u8); 1 << CODE_BITS_MAX] = symbols();
/// As [`LENGTHS`] for distances, by the bits of their codes; the two codes that mean none have 0.
const DISTANCES: [(u16, u8); 1 << DISTANCE_CODE_BITS] = distances();

/// Inflates one block, behind the first `written` bytes of `out`, and tells how many there are with it.
#[inline(always)]
pub(super) fn block(
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

const fn distances() -> [(u16, u8); 1 << DISTANCE_CODE_BITS] {
    let mut distances = [(0, 0); 1 << DISTANCE_CODE_BITS];
    let mut code: u16 = 0;
    while (code as usize) < DISTANCES_BY_CODE.len() {
        let bits = code.reverse_bits() >> (16 - DISTANCE_CODE_BITS);
        distances[bits as usize] = DISTANCES_BY_CODE[code as usize];
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
