//! The lengths of a block's codes, which stand before it (RFC 1951, section 3.2.7).

use super::bits::{Reader, low16};
use super::symbols::BLOCK_END;

/// The longest code.
pub(super) const CODE_BITS_MAX: usize = 15;

const SYMBOLS_MAX: usize = 286;
const DISTANCES_MAX: usize = 30;

/// So many lengths are written at once.
const LANES: usize = 8;

/// The longest code of a length.
const LENGTH_CODE_BITS_MAX: usize = 7;
const LENGTH_SYMBOLS: usize = 19;
/// In what order the lengths of their own codes come.
const LENGTH_ORDER: [u8; LENGTH_SYMBOLS] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];
/// Bits that are there after they were read again; and how many codes of lengths they have at least, each with what
/// comes with it.
const BITS: usize = 56;
const LOOKS: usize = BITS / (LENGTH_CODE_BITS_MAX + 7);
/// Says that the length before comes again.
const AGAIN: usize = 16;

/// How many codes there are of each length.
pub(super) type Counts = [u16; CODE_BITS_MAX + 1];

/// What one code says of lengths.
#[derive(Clone, Copy)]
struct Run {
    /// All of its bits, and those of them that are its code.
    bits: u8,
    code_bits: u8,
    /// How often the length comes, before what the rest of the bits adds.
    times: u8,
    length: u8,
}

/// The lengths of the codes of symbols, and, behind them, of distances.
pub(super) struct Lengths {
    all: [u8; SYMBOLS_MAX + DISTANCES_MAX + LANES],
    symbols: usize,
    distances: usize,
    pub(super) symbol_counts: Counts,
    pub(super) distance_counts: Counts,
}

impl Lengths {
    /// Reads them; `None` where they are no whole set of codes.
    #[inline(always)]
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let symbols = usize::from(reader.take(5)) + 257;
        let distances = usize::from(reader.take(5)) + 1;
        let length_codes = usize::from(reader.take(4)) + 4;
        if symbols > SYMBOLS_MAX || distances > DISTANCES_MAX {
            return None;
        }
        let runs = runs(reader, length_codes)?;
        let mut lengths = Self {
            all: [0; _],
            symbols,
            distances,
            symbol_counts: [0; _],
            distance_counts: [0; _],
        };
        lengths.read_runs(reader, &runs)?;
        lengths.judge().then_some(lengths)
    }

    #[inline(always)]
    fn read_runs(&mut self, reader: &mut Reader<'_>, runs: &[Run; RUNS]) -> Option<()> {
        let (mut at, mut length) = (0, AGAIN);
        let mut counts: [u16; AGAIN + 1] = [0; _];
        for end in [self.symbols, self.symbols + self.distances] {
            let mut looks = 0;
            while at < end {
                if looks % LOOKS == 0 {
                    reader.fill();
                }
                looks += 1;
                let run = runs[usize::from(low16(reader.bits)) % RUNS];
                let times = low16(reader.bits) & ((1_u16 << run.bits) - 1);
                let times = usize::from(run.times) + usize::from(times >> run.code_bits);
                reader.bits >>= run.bits;
                reader.count -= u32::from(run.bits);
                if usize::from(run.length) != AGAIN {
                    length = usize::from(run.length);
                }
                // More than were meant, which those that follow write over: no run but those of zeros is longer.
                let byte = length.to_le_bytes()[0];
                *self.all.get_mut(at..)?.first_chunk_mut()? = [byte; LANES];
                counts[length] += u16::try_from(times).ok()?;
                at += times;
            }
            if end == self.symbols {
                let beyond = u16::try_from(at - end).ok()?;
                self.symbol_counts = *counts.first_chunk()?;
                *self.symbol_counts.get_mut(length)? -= beyond;
                counts = [0; _];
                counts[length] = beyond;
            }
        }
        self.distance_counts = *counts.first_chunk()?;
        let is_whole = at == self.symbols + self.distances && self.symbols_are_begun();
        is_whole.then_some(())
    }

    /// The first is no repetition of one before.
    fn symbols_are_begun(&self) -> bool {
        usize::from(self.all[0]) != AGAIN
    }

    /// Symbols have a whole set of codes, distances one too, or one code, or none. Where no code ends the block, nothing does.
    fn judge(&self) -> bool {
        let distances = share(&self.distance_counts);
        let few = distances == 0 || (distances == WHOLE / 2 && self.distance_counts[1] == 1);
        share(&self.symbol_counts) == WHOLE && (distances == WHOLE || few)
    }

    /// How much of all codes is for lengths of repetitions, of [`WHOLE`]: about as many of the symbols are such.
    pub(super) fn repetitions(&self) -> u32 {
        self.symbols()
            .iter()
            .skip(usize::from(BLOCK_END) + 1)
            .map(|bits| WHOLE >> bits & (WHOLE - 1))
            .sum()
    }

    pub(super) fn symbols(&self) -> &[u8] {
        &self.all[..self.symbols]
    }

    pub(super) fn distances(&self) -> &[u8] {
        &self.all[self.symbols..][..self.distances]
    }
}

const RUNS: usize = 1 << LENGTH_CODE_BITS_MAX;

/// All codes.
pub(super) const WHOLE: u32 = 1 << CODE_BITS_MAX;

/// How much of all codes there are, of [`WHOLE`].
fn share(counts: &Counts) -> u32 {
    (1..counts.len())
        .map(|bits| u32::from(counts[bits]) << (CODE_BITS_MAX - bits))
        .sum()
}

/// What each code of a length means, by the bits that come next; `None` where they are no whole set.
#[inline(always)]
fn runs(reader: &mut Reader<'_>, length_codes: usize) -> Option<[Run; RUNS]> {
    let mut lengths = [0_u8; LENGTH_SYMBOLS];
    let mut counts = [0_u16; LENGTH_CODE_BITS_MAX + 1];
    for (place, symbol) in LENGTH_ORDER.iter().take(length_codes).enumerate() {
        if place % (BITS / 3) == 0 {
            reader.fill();
        }
        let length = reader.take(3);
        lengths[usize::from(*symbol)] = length.to_le_bytes()[0];
        counts[usize::from(length)] += 1;
    }
    let mut next = [0_u16; LENGTH_CODE_BITS_MAX + 1];
    let mut code = 0_u16;
    for bits in 1..=LENGTH_CODE_BITS_MAX {
        next[bits] = code << (LENGTH_CODE_BITS_MAX - bits);
        code = (code + counts[bits]) << 1;
    }
    if usize::from(code) != 2 * RUNS {
        return None;
    }
    let none = Run {
        bits: 0,
        code_bits: 0,
        times: 0,
        length: 0,
    };
    let mut runs = [none; RUNS];
    for (symbol, bits) in (0_u8..).zip(lengths) {
        if bits == 0 {
            continue;
        }
        let (length, times, more) = match symbol {
            16 => (16, 3, 2),
            17 => (0, 3, 3),
            18 => (0, 11, 7),
            length => (length, 1, 0),
        };
        let run = Run {
            bits: bits + more,
            code_bits: bits,
            times,
            length,
        };
        let code = &mut next[usize::from(bits)];
        let first = usize::from(code.reverse_bits() >> (16 - LENGTH_CODE_BITS_MAX));
        *code += 1 << (LENGTH_CODE_BITS_MAX - usize::from(bits));
        for place in runs.iter_mut().skip(first).step_by(1 << bits) {
            *place = run;
        }
    }
    Some(runs)
}
