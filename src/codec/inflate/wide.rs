//! Inflates blocks in which nearly all codes are short ones of bytes, as in base64: many codes at once, with AVX-512 VBMI.
//!
//! Where a code begins is known when the one before has been read. So each of 64 bits is taken for the first of a code, and two
//! tables tell for all of them at once which byte that would be and where the next code would begin. Steps put together
//! are steps over two codes, four, eight and sixteen. By the longest, one look leads from the first code of these bits to the
//! first one of the next 64; by the others, the codes between are found, each in its own lane.
//!
//! Its twins are the tables of `own_codes`, for other processors and other codes, and zlib.
#![allow(unsafe_code, reason = "loads and stores by pointer")]

use std::arch::x86_64::{
    __m512i, _mm_cvtsi128_si32, _mm_loadu_si128, _mm_storeu_si128, _mm512_add_epi8,
    _mm512_broadcast_i32x4, _mm512_castsi512_si128, _mm512_cmpeq_epi8_mask, _mm512_loadu_epi8,
    _mm512_mask_permutexvar_epi8, _mm512_movepi8_mask, _mm512_multishift_epi64_epi8,
    _mm512_or_si512, _mm512_permutex2var_epi8, _mm512_permutexvar_epi8, _mm512_set1_epi8,
    _mm512_set1_epi64, _mm512_storeu_epi8,
};

use super::bits::{Reader, low16};
use super::lengths::Lengths;
use super::repeat::repeat;
use super::symbols::{BLOCK_END, DISTANCES, LENGTHS};
use super::tables::Order;

/// The longest code that is found among others.
const BITS_MAX: usize = 7;
/// The shortest of a byte, so that there are at most 16 in 64 bits.
const BITS_MIN: usize = 4;
const CODES: usize = STEP / BITS_MIN;

/// As many of 128 ways in which bits go on must begin with a short code of a byte. Base64 of random bytes has 124 to 127, text
/// 92 to 110; each code between them costs as much as fifty short ones save, so that from 124 on tables are better.
const SHORT_MIN: usize = 125;

/// Bits of a step.
const STEP: usize = 64;
/// Bytes with those bits and with all of the code that begins with the last one.
const STEP_BYTES: usize = 16;
/// Set in a place among the bits of a step; places behind them are those of the next step.
const WITHIN: u8 = 0xC0;

type Table = [u8; 1 << BITS_MAX];

/// What short codes of bytes are, by the next bits, the first one lowest.
pub(super) struct ShortCodes {
    /// How many each has; none where the code is longer, or is no byte's.
    bits: Table,
    bytes: Table,
}

impl ShortCodes {
    /// `None` where there are too few of them.
    #[inline]
    #[target_feature(enable = "avx512bw,avx512vbmi")]
    pub(super) fn of(symbols: &Order) -> Option<Self> {
        /// So many places are written at once.
        const LANES: usize = 8;
        let (mut bits, mut bytes) = ([0; 1 << BITS_MAX], [0; (1 << BITS_MAX) + LANES]);
        let (mut at, mut short) = (0, 0);
        for (length, own_bits) in (1..=BITS_MAX).zip(1_u8..) {
            let span = 1 << (BITS_MAX - length);
            let all = symbols.of(length);
            let of_bytes = all.partition_point(|symbol| *symbol < BLOCK_END);
            let (of_bytes, others) = all.split_at(of_bytes);
            if length < BITS_MIN && !of_bytes.is_empty() {
                return None;
            }
            let end = at + of_bytes.len() * span;
            bits.get_mut(at..end)?.fill(own_bits);
            for (symbol, at) in of_bytes.iter().zip((at..).step_by(span)) {
                let [byte, _] = symbol.to_le_bytes();
                *bytes.get_mut(at..)?.first_chunk_mut()? = [byte; LANES];
            }
            short += end - at;
            at = end + others.len() * span;
        }
        let (bytes, _) = bytes.split_first_chunk()?;
        (short >= SHORT_MIN).then(|| Self {
            bits: turned(&bits),
            bytes: turned(bytes),
        })
    }

    /// Whether one of them comes next.
    #[inline]
    fn begin(&self, next: u64) -> bool {
        self.bits[usize::from(low16(next)) % self.bits.len()] != 0
    }
}

/// A table by bits of which the first is the highest, as one by bits of which it is the lowest.
#[inline]
#[target_feature(enable = "avx512bw,avx512vbmi")]
fn turned(table: &Table) -> Table {
    static PLACES: Table = {
        let mut places = [0; 1 << BITS_MAX];
        let mut place: u8 = 0;
        while (place as usize) < places.len() {
            places[place as usize] = place.reverse_bits() >> (8 - BITS_MAX);
            place += 1;
        }
        places
    };
    let [low, high] = halves(table);
    let mut turned = [0; _];
    for (places, half) in halves(&PLACES)
        .into_iter()
        .zip(turned.as_chunks_mut::<64>().0)
    {
        let looked_up = _mm512_permutex2var_epi8(low, places, high);
        // SAFETY: 64 bytes are written, and there is room for as many.
        unsafe { _mm512_storeu_epi8(half.as_mut_ptr().cast(), looked_up) };
    }
    turned
}

#[inline]
#[target_feature(enable = "avx512bw")]
fn halves(table: &Table) -> [__m512i; 2] {
    // SAFETY: 64 bytes are read, and there are as many each time.
    [&table[..64], &table[64..]].map(|half| unsafe { _mm512_loadu_epi8(half.as_ptr().cast()) })
}

/// Inflates the codes of one block, behind the first `written` bytes of `out`, and tells how many there are with them.
#[target_feature(enable = "avx512bw,avx512vbmi,bmi2")]
pub(super) fn decode(
    reader: &mut Reader<'_>,
    lengths: &Lengths,
    [symbols, distances]: [&mut Order; 2],
    short: &ShortCodes,
    out: &mut [u8],
    mut written: usize,
) -> Option<usize> {
    let mut others = Others {
        symbols,
        distances,
        has_distances: false,
        lengths,
    };
    let padded = Padded::new(reader.bytes);
    let mut byte = reader.at() / 8;
    let mut first = all_lanes(reader.at() % 8);
    loop {
        let mut place = lowest(first) | WITHIN;
        let room = out.get_mut(written..).and_then(<[u8]>::first_chunk_mut);
        if let Some(room) = room {
            let step = Step::look(padded.get(byte)?, short);
            let end = step.end(first);
            written += step.read(first, end, room);
            place = lowest(end);
            if place < WITHIN {
                first = end;
                byte += STEP / 8;
                continue;
            }
        }
        let mut at = 8 * byte + usize::from(place - WITHIN);
        loop {
            match others.read(padded.word(at)?, out, &mut written)? {
                Read::Symbol(bits) => at += bits,
                Read::End(bits) => {
                    reader.go_to(at + bits);
                    return (at + bits <= 8 * reader.bytes.len()).then_some(written);
                }
            }
            if short.begin(padded.word(at)?) {
                break;
            }
        }
        byte = at / 8;
        first = all_lanes(at % 8);
    }
}

/// What was read singly, by its number of bits.
enum Read {
    Symbol(usize),
    End(usize),
}

/// Codes that are not among the short ones of bytes.
struct Others<'c> {
    symbols: &'c Order,
    distances: &'c mut Order,
    has_distances: bool,
    lengths: &'c Lengths,
}

impl Others<'_> {
    /// Reads one symbol, and a distance if one comes with it.
    fn read(&mut self, mut next: u64, out: &mut [u8], written: &mut usize) -> Option<Read> {
        let (symbol, mut bits) = find(self.symbols, next)?;
        next >>= bits;
        if let Ok(byte) = u8::try_from(symbol) {
            *out.get_mut(*written)? = byte;
            *written += 1;
            return Some(Read::Symbol(bits));
        }
        let Some(symbol) = symbol.checked_sub(BLOCK_END + 1) else {
            return Some(Read::End(bits));
        };
        let (length, more) = number(LENGTHS.get(usize::from(symbol))?, next);
        next >>= more;
        bits += more;
        let (symbol, more) = find(self.distances(), next)?;
        next >>= more;
        bits += more;
        let (distance, more) = number(DISTANCES.get(usize::from(symbol))?, next);
        repeat(out, *written, distance, length)?;
        *written += length;
        Some(Read::Symbol(bits + more))
    }

    fn distances(&mut self) -> &Order {
        if !self.has_distances {
            let counts = &self.lengths.distance_counts;
            self.distances.fill(self.lengths.distances(), counts);
            self.has_distances = true;
        }
        self.distances
    }
}

/// The symbol of the next code, and how many bits that has; `None` if there is none.
fn find(order: &Order, next: u64) -> Option<(u16, usize)> {
    // A code comes with its highest bit first.
    let next = low16(next).reverse_bits();
    let (symbol, bits) = order.find(u64::from(next) << 48, 0)?;
    Some((symbol, bits as usize))
}

/// The number that begins a range and goes on by what the next bits say, and how many those are.
fn number((first, more): &(u16, u8), next: u64) -> (usize, usize) {
    let beyond = low16(next) & ((1 << more) - 1);
    let number = usize::from(*first) + usize::from(beyond);
    (number, usize::from(*more))
}

/// A message, and zeros behind it.
struct Padded<'b> {
    bytes: &'b [u8],
    last: [u8; 2 * STEP_BYTES],
    last_at: usize,
}

impl<'b> Padded<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        let last_at = bytes.len().saturating_sub(STEP_BYTES);
        let mut last = [0; _];
        for (place, byte) in last.iter_mut().zip(&bytes[last_at..]) {
            *place = *byte;
        }
        Self {
            bytes,
            last,
            last_at,
        }
    }

    /// Bytes from a place on, at most [`STEP_BYTES`]; `None` beyond the end.
    #[inline(always)]
    fn get<const N: usize>(&self, at: usize) -> Option<&[u8; N]> {
        let bytes = self.bytes.get(at..).and_then(<[u8]>::first_chunk);
        bytes.or_else(|| {
            self.last
                .get(at.checked_sub(self.last_at)?..)?
                .first_chunk()
        })
    }

    /// At least 57 bits from a place on; `None` beyond the end.
    #[inline(always)]
    fn word(&self, at: usize) -> Option<u64> {
        Some(u64::from_le_bytes(*self.get(at / 8)?) >> (at % 8))
    }
}

/// For each of 64 bits, what a code that begins there means.
struct Step {
    /// The byte.
    meant: __m512i,
    /// Where the code begins that comes next, or as many codes on: at another of these bits, or at one of the next ones, or
    /// where a code begins that is not short.
    one: __m512i,
    two: __m512i,
    four: __m512i,
    eight: __m512i,
    sixteen: __m512i,
}

impl Step {
    #[inline]
    #[target_feature(enable = "avx512bw,avx512vbmi")]
    fn look(next: &[u8; STEP_BYTES], short: &ShortCodes) -> Self {
        let [bits_low, bits_high] = halves(&short.bits);
        let [bytes_low, bytes_high] = halves(&short.bytes);
        // SAFETY: 64 bytes are read, and there are as many each time.
        let [pairs, places] =
            unsafe { [&PAIRS, &PLACES].map(|table| _mm512_loadu_epi8(table.as_ptr().cast())) };
        // SAFETY: 16 bytes are read, and there are as many.
        let next = unsafe { _mm_loadu_si128(next.as_ptr().cast()) };
        let next = _mm512_permutexvar_epi8(pairs, _mm512_broadcast_i32x4(next));
        let each_bit = _mm512_set1_epi64(0x0706_0504_0302_0100);
        let codes = _mm512_multishift_epi64_epi8(each_bit, next);
        // Of an index, the low seven bits count; below, the low six.
        let bits = _mm512_permutex2var_epi8(bits_low, codes, bits_high);
        let one = _mm512_add_epi8(places, bits);
        let two = twice(one);
        let four = twice(two);
        let eight = twice(four);
        Self {
            meant: _mm512_permutex2var_epi8(bytes_low, codes, bytes_high),
            one,
            two,
            four,
            eight,
            sixteen: twice(eight),
        }
    }

    /// Where the code begins that comes behind all short ones, the first of which begins at `first`, in all lanes.
    #[inline]
    #[target_feature(enable = "avx512bw,avx512vbmi")]
    fn end(&self, first: __m512i) -> __m512i {
        _mm512_permutexvar_epi8(first, self.sixteen)
    }

    /// Writes the bytes of all codes up to there, and tells how many they are.
    #[inline]
    #[target_feature(enable = "avx512bw,avx512vbmi")]
    fn read(&self, first: __m512i, end: __m512i, room: &mut [u8; CODES]) -> usize {
        // In each lane, where as many codes begin later as its number says.
        let mut lanes = _mm512_or_si512(first, _mm512_set1_epi8(WITHIN.cast_signed()));
        lanes = _mm512_mask_permutexvar_epi8(lanes, 0xFF00, lanes, self.eight);
        lanes = _mm512_mask_permutexvar_epi8(lanes, 0xF0F0, lanes, self.four);
        lanes = _mm512_mask_permutexvar_epi8(lanes, 0xCCCC, lanes, self.two);
        lanes = _mm512_mask_permutexvar_epi8(lanes, 0xAAAA, lanes, self.one);
        let found = _mm512_castsi512_si128(_mm512_permutexvar_epi8(lanes, self.meant));
        // SAFETY: 16 bytes are written, and there is room for as many.
        unsafe { _mm_storeu_si128(room.as_mut_ptr().cast(), found) };
        let is_end = _mm512_cmpeq_epi8_mask(lanes, end) | 1 << CODES;
        is_end.trailing_zeros() as usize
    }
}

#[inline]
#[target_feature(enable = "avx512bw")]
fn all_lanes(place: usize) -> __m512i {
    _mm512_set1_epi8(place.to_le_bytes()[0].cast_signed())
}

#[inline]
#[target_feature(enable = "avx512bw")]
fn lowest(lanes: __m512i) -> u8 {
    let [lowest, ..] = _mm_cvtsi128_si32(_mm512_castsi512_si128(lanes)).to_le_bytes();
    lowest
}

/// For each of eight bytes, itself and the next one, in front of a word.
static PAIRS: [u8; STEP] = {
    let mut pairs = [0; STEP];
    let mut at: u8 = 0;
    while (at as usize) < STEP {
        pairs[at as usize] = at / 8 + at % 2;
        at += 1;
    }
    pairs
};

/// The place of each bit.
static PLACES: [u8; STEP] = {
    let mut places = [0; STEP];
    let mut at: u8 = 0;
    while (at as usize) < STEP {
        places[at as usize] = WITHIN + at;
        at += 1;
    }
    places
};

/// Steps over twice as many codes, from each place to another or behind these bits.
#[inline]
#[target_feature(enable = "avx512bw,avx512vbmi")]
fn twice(steps: __m512i) -> __m512i {
    _mm512_mask_permutexvar_epi8(steps, _mm512_movepi8_mask(steps), steps, steps)
}
