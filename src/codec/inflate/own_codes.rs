//! Inflates blocks that bring codes of their own (RFC 1951, section 3.2.7).
//!
//! A decoder looks a code up to learn where the next one begins, so each waits for the one before. Where two bytes have
//! short codes, one look finds both.

use super::bits::Reader;
use super::lengths::{Lengths, WHOLE};
use super::repeat::repeat;
use super::tables::{
    self, DISTANCE_BITS, END, LENGTH_MASK, LENGTH_SHIFT, LONG, MORE_SHIFT, NO_BYTE, Order, SECONDS,
    TABLE, TABLE_BITS_MAX,
};
use super::turned::{self, Turned};
#[cfg(target_arch = "x86_64")]
use super::wide;
#[cfg(target_arch = "x86_64")]
use crate::codec::vectors::has_avx512;

/// Codes that are looked up before bits are read again: 56 are there, and four have at most 48.
const LOOKS: usize = 4;

/// For shorter messages a smaller table is made, in which hardly two bytes fit: the larger one would cost more than it saves.
const FULL_TABLE_BYTES: usize = 400;
const SHORT_TABLE_BITS: usize = 9;

/// A message of so many bytes is left to the other decoder where its first block seems to repeat much: prose takes a tenth
/// longer here than there.
const LONG_BYTES: usize = 5000;
const REPETITIONS_MAX: u32 = WHOLE / 4;
/// A longer message is left to the other decoder, since space for it would be kept.
const BYTES_MAX: usize = 1024 * 1024;

/// A way to inflate a block, as [`block`] does.
pub(super) type Block = fn(&mut Reader<'_>, &mut [u8], usize, bool, &mut Space) -> Option<usize>;

/// Space for codes and for a message whose bytes were turned round, taken with the first that needs it.
pub(super) struct Space {
    turned: Vec<u8>,
    /// It holds this message.
    is_turned: bool,
    codes: Option<Box<Codes>>,
}

struct Codes {
    table: [u32; TABLE],
    seconds: [u32; SECONDS],
    distance_table: [u32; 1 << DISTANCE_BITS],
    symbols: Order,
    distances: Order,
}

impl Codes {
    #[cold]
    #[inline(never)]
    fn make_distances(&mut self, lengths: &Lengths) -> Option<()> {
        let counts = &lengths.distance_counts;
        self.distances.fill(lengths.distances(), counts);
        tables::distances(&self.distances, &mut self.distance_table)
    }
}

impl Space {
    pub(super) const fn new() -> Self {
        Self {
            turned: Vec::new(),
            is_turned: false,
            codes: None,
        }
    }

    /// Reads what stands before a block's codes.
    #[inline(always)]
    fn begin(&mut self, reader: &mut Reader<'_>, is_first: bool) -> Option<Lengths> {
        let lengths = Lengths::read(reader)?;
        if is_first {
            let bytes = reader.bytes.len();
            let repeats = bytes >= LONG_BYTES && lengths.repetitions() > REPETITIONS_MAX;
            if repeats || bytes > BYTES_MAX {
                return None;
            }
            self.is_turned = false;
        }
        let codes = self.codes.get_or_insert_with(|| {
            Box::new(Codes {
                table: [0; _],
                seconds: [0; _],
                distance_table: [0; _],
                symbols: Order::new(),
                distances: Order::new(),
            })
        });
        codes
            .symbols
            .fill(lengths.symbols(), &lengths.symbol_counts);
        Some(lengths)
    }
}

/// Inflates one block, behind the first `written` bytes of `out`, and tells how many there are with it. With the first of a
/// message, `space` forgets the message before.
pub(super) fn block(
    reader: &mut Reader<'_>,
    out: &mut [u8],
    written: usize,
    is_first: bool,
    space: &mut Space,
) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("bmi2") && has_avx512() {
        #[allow(unsafe_code, reason = "a call of what the processor may lack")]
        // SAFETY: the processor has what it needs.
        return unsafe { block_avx512(reader, out, written, is_first, space) };
    }
    block_narrow(reader, out, written, is_first, space)
}

/// The same by tables alone.
pub(super) fn block_narrow(
    reader: &mut Reader<'_>,
    out: &mut [u8],
    written: usize,
    is_first: bool,
    space: &mut Space,
) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2") {
        #[allow(unsafe_code, reason = "a call of what the processor may lack")]
        // SAFETY: the processor has what it needs.
        return unsafe { block_avx2(reader, out, written, is_first, space) };
    }
    block_anywhere(reader, out, written, is_first, space)
}

/// The same, many codes at once where they are such.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512bw,avx512vbmi,bmi2")]
fn block_avx512(
    reader: &mut Reader<'_>,
    out: &mut [u8],
    written: usize,
    is_first: bool,
    space: &mut Space,
) -> Option<usize> {
    let lengths = space.begin(reader, is_first)?;
    let codes = space.codes.as_deref_mut()?;
    match wide::ShortCodes::of(&codes.symbols) {
        Some(short) => {
            let orders = [&mut codes.symbols, &mut codes.distances];
            wide::decode(reader, &lengths, orders, &short, out, written)
        }
        None => by_table(reader, out, written, &lengths, space),
    }
}

/// The same, translated for wider vectors and for shifts by any register.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi2")]
fn block_avx2(
    reader: &mut Reader<'_>,
    out: &mut [u8],
    written: usize,
    is_first: bool,
    space: &mut Space,
) -> Option<usize> {
    block_anywhere(reader, out, written, is_first, space)
}

/// The same on any processor.
#[inline(always)]
pub(super) fn block_anywhere(
    reader: &mut Reader<'_>,
    out: &mut [u8],
    written: usize,
    is_first: bool,
    space: &mut Space,
) -> Option<usize> {
    let lengths = space.begin(reader, is_first)?;
    by_table(reader, out, written, &lengths, space)
}

/// Inflates a block by tables of its codes.
#[inline(always)]
fn by_table(
    reader: &mut Reader<'_>,
    out: &mut [u8],
    written: usize,
    lengths: &Lengths,
    space: &mut Space,
) -> Option<usize> {
    if !space.is_turned {
        turned::turn(reader.bytes, &mut space.turned);
        space.is_turned = true;
    }
    let codes = space.codes.as_deref_mut()?;
    let mut turned = Turned::new(&space.turned, reader.at())?;
    let written = if reader.bytes.len() >= FULL_TABLE_BYTES {
        decode::<TABLE_BITS_MAX>(&mut turned, lengths, codes, out, written)?
    } else {
        decode::<SHORT_TABLE_BITS>(&mut turned, lengths, codes, out, written)?
    };
    reader.go_to(turned.at());
    (turned.at() <= 8 * reader.bytes.len()).then_some(written)
}

#[inline(always)]
fn decode<const BITS: usize>(
    turned: &mut Turned<'_>,
    lengths: &Lengths,
    codes: &mut Codes,
    out: &mut [u8],
    mut written: usize,
) -> Option<usize> {
    tables::symbols::<BITS>(&codes.symbols, &mut codes.table, &mut codes.seconds)?;
    let mut has_distances = false;
    loop {
        turned.fill()?;
        let (mut word, mut bits, mut entry) = (0_u64, 0, 0);
        for _ in 0..LOOKS {
            entry = codes.table[turned.next::<BITS>()];
            if entry & NO_BYTE != 0 {
                break;
            }
            turned.drop(entry & 0xFF);
            word |= u64::from(entry >> 16) << (bits & 63);
            bits += entry >> 8 & 0xFF;
        }
        let count = bits as usize / 8;
        match out.get_mut(written..)?.first_chunk_mut() {
            Some(place) => *place = word.to_le_bytes(),
            None => put_last(out, written, word, count)?,
        }
        written += count;
        if entry & NO_BYTE == 0 {
            continue;
        }
        if entry & LONG != 0 {
            entry = tables::long_symbol(&codes.symbols, turned.bits, BITS)?;
            if entry & NO_BYTE == 0 {
                turned.drop(entry & 0xFF);
                let [.., byte, _] = entry.to_le_bytes();
                *out.get_mut(written)? = byte;
                written += 1;
                continue;
            }
        }
        if entry & END != 0 {
            turned.drop(entry & 0xFF);
            return Some(written);
        }
        if !has_distances {
            codes.make_distances(lengths)?;
            has_distances = true;
        }
        turned.fill()?;
        let more = turned.number(entry >> 8 & 0xF, entry >> MORE_SHIFT);
        turned.drop(entry & 0xFF);
        let length = (entry >> LENGTH_SHIFT & LENGTH_MASK) as usize + usize::from(more);
        let mut entry = codes.distance_table[turned.next::<DISTANCE_BITS>()];
        if entry == 0 {
            entry = tables::long_distance(&codes.distances, turned.bits)?;
        }
        let more = turned.number(entry >> 8 & 0xF, entry >> 12 & 0xF);
        turned.drop(entry & 0xFF);
        let distance = (entry >> 16) as usize + usize::from(more);
        repeat(out, written, distance, length)?;
        written += length;
    }
}

/// Writes the first `count` bytes of `word` where there is no room for all of them.
#[cold]
#[inline(never)]
fn put_last(out: &mut [u8], at: usize, word: u64, count: usize) -> Option<()> {
    let place = out.get_mut(at..at + count)?;
    place.copy_from_slice(word.to_le_bytes().get(..count)?);
    Some(())
}
