//! Codes of a block, and what each of them means.

use super::lengths::{CODE_BITS_MAX, Counts};
use super::symbols::{BLOCK_END, DISTANCES, LENGTHS};

/// Bits that the table of symbols goes by.
pub(super) const TABLE_BITS_MAX: usize = 12;
pub(super) const TABLE: usize = 1 << TABLE_BITS_MAX;
/// As many bits of it may be those of a second byte.
const SECOND_BITS_MAX: usize = 8;
pub(super) const SECONDS: usize = 2 << SECOND_BITS_MAX;
/// Bits that the table of distances goes by.
pub(super) const DISTANCE_BITS: usize = 8;

// The entry of one or two bytes says how many bits their codes have in its lowest byte, how many bits the bytes have in the
// next one, and which they are in the rest. Any other entry of a symbol has flags in the second byte. That of a length says in
// the lowest one how many bits come with it, its code's and further ones that say how much longer it is; beside the flags it
// has those of the code alone, and then the shortest length and the number of further bits. Entries of distances are alike.
pub(super) const NO_BYTE: u32 = 1 << 15;
pub(super) const END: u32 = 1 << 14;
pub(super) const LONG: u32 = 1 << 13;
pub(super) const LENGTH_SHIFT: u32 = 16;
pub(super) const LENGTH_MASK: u32 = 0x1FF;
pub(super) const MORE_SHIFT: u32 = 26;

/// Symbols by the order of their codes.
pub(super) struct Order {
    symbols: [u16; 512],
    counts: Counts,
    /// The first code of each length, and which symbol it has.
    codes: Counts,
    places: Counts,
}

impl Order {
    pub(super) const fn new() -> Self {
        Self {
            symbols: [0; _],
            counts: [0; _],
            codes: [0; _],
            places: [0; _],
        }
    }

    /// Puts symbols into order by the lengths of their codes.
    #[inline(always)]
    pub(super) fn fill(&mut self, lengths: &[u8], counts: &Counts) {
        self.counts = *counts;
        let (mut code, mut place) = (0, 0);
        for (bits, count) in counts.iter().enumerate().skip(1) {
            (self.codes[bits], self.places[bits]) = (code, place);
            code = (code + count) << 1;
            place += count;
        }
        // Those without a code are written behind all others, one over the other.
        let mut places = self.places;
        places[0] = 511;
        let (words, rest) = lengths.as_chunks::<8>();
        let mut symbol = 0;
        for word in words {
            if *word == [0; 8] {
                symbol += 8;
                continue;
            }
            for length in word {
                self.place(&mut places, *length, symbol);
                symbol += 1;
            }
        }
        for length in rest {
            self.place(&mut places, *length, symbol);
            symbol += 1;
        }
    }

    #[inline(always)]
    fn place(&mut self, places: &mut Counts, length: u8, symbol: u16) {
        let place = &mut places[usize::from(length) % (CODE_BITS_MAX + 1)];
        self.symbols[usize::from(*place) % 512] = symbol;
        *place += u16::from(length != 0);
    }

    /// Symbols with codes of so many bits.
    pub(super) fn of(&self, bits: usize) -> &[u16] {
        let place = usize::from(self.places[bits]);
        &self.symbols[place..][..usize::from(self.counts[bits])]
    }

    /// The symbol with more bits than given that comes next, and how many.
    pub(super) fn find(&self, next: u64, bits: usize) -> Option<(u16, u32)> {
        for bits in bits + 1..=CODE_BITS_MAX {
            let code = usize::try_from(next >> (64 - bits)).ok()?;
            let place = code.checked_sub(usize::from(self.codes[bits]))?;
            if let Some(symbol) = self.of(bits).get(place) {
                return Some((*symbol, u32::try_from(bits).ok()?));
            }
        }
        None
    }
}

fn one_byte(byte: u8, bits: u32) -> u32 {
    bits | 8 << 8 | u32::from(byte) << 16
}

/// The entry of a symbol that is no byte.
fn no_byte(symbol: u16, bits: u32) -> Option<u32> {
    if symbol == BLOCK_END {
        return Some(NO_BYTE | END | bits);
    }
    let (length, more) = *LENGTHS.get(usize::from(symbol.checked_sub(BLOCK_END + 1)?))?;
    let (length, more) = (u32::from(length), u32::from(more));
    Some(NO_BYTE | (bits + more) | bits << 8 | length << LENGTH_SHIFT | more << MORE_SHIFT)
}

/// Makes the table of symbols: two bytes where the codes of both fit.
#[inline(always)]
pub(super) fn symbols<const BITS: usize>(
    order: &Order,
    table: &mut [u32; TABLE],
    seconds: &mut [u32; SECONDS],
) -> Option<()> {
    let shortest = (1..BITS).find(|bits| !order.of(*bits).is_empty())?;
    let second_bits = (BITS - shortest).min(SECOND_BITS_MAX);
    make_seconds(order, seconds, second_bits);
    let mut rest = &mut table[..1 << BITS];
    for (length, bits) in (1..=BITS).zip(1_u32..) {
        let free = BITS - length;
        let seconds = (free <= second_bits).then(|| &seconds[1 << free..][..1 << free]);
        for symbol in order.of(length) {
            let (entries, others) = rest.split_at_mut_checked(1 << free)?;
            rest = others;
            let Ok(byte) = u8::try_from(*symbol) else {
                entries.fill(no_byte(*symbol, bits)?);
                continue;
            };
            let first = one_byte(byte, bits);
            match seconds {
                Some(seconds) => add(entries, seconds, first),
                None => entries.fill(first),
            }
        }
    }
    rest.fill(NO_BYTE | LONG);
    Some(())
}

#[inline(always)]
fn add(entries: &mut [u32], seconds: &[u32], first: u32) {
    let (blocks, rest) = entries.as_chunks_mut::<8>();
    let (second_blocks, second_rest) = seconds.as_chunks::<8>();
    for (block, seconds) in blocks.iter_mut().zip(second_blocks) {
        *block = seconds.map(|second| first + second);
    }
    for (entry, second) in rest.iter_mut().zip(second_rest) {
        *entry = first + second;
    }
}

/// Makes what a second byte adds to an entry, by as many bits as its code may have: those by two bits from the third entry,
/// by three from the fifth, and so on. It adds nothing where its code has more bits, or means no byte.
#[inline(always)]
fn make_seconds(order: &Order, seconds: &mut [u32; SECONDS], bits_max: usize) {
    seconds[1] = 0;
    let mut used = 0;
    for (length, bits) in (1..=bits_max).zip(1_u32..) {
        let (done, rest) = seconds.split_at_mut(1 << length);
        let last = &done[1 << (length - 1)..];
        let table = &mut rest[..1 << length];
        for (pair, second) in table.as_chunks_mut::<2>().0.iter_mut().zip(last) {
            *pair = [*second; 2];
        }
        used *= 2;
        let symbols = order.of(length);
        for (place, symbol) in table.iter_mut().skip(used).zip(symbols) {
            let is_byte = u32::from(*symbol < BLOCK_END);
            *place = (bits | 8 << 8 | u32::from(*symbol) << 24) * is_byte;
        }
        used += symbols.len();
    }
}

/// Makes the table of distances: the bits of a code, how many say what goes beyond the shortest distance, and that one.
pub(super) fn distances(order: &Order, table: &mut [u32; 1 << DISTANCE_BITS]) -> Option<()> {
    let mut rest = &mut table[..];
    for (length, bits) in (1..=DISTANCE_BITS).zip(1_u32..) {
        for symbol in order.of(length) {
            let (entries, others) = rest.split_at_mut_checked(1 << (DISTANCE_BITS - length))?;
            rest = others;
            entries.fill(distance(*symbol, bits)?);
        }
    }
    rest.fill(0);
    Some(())
}

/// The entry of a distance.
fn distance(symbol: u16, bits: u32) -> Option<u32> {
    let (distance, more) = *DISTANCES.get(usize::from(symbol))?;
    let (distance, more) = (u32::from(distance), u32::from(more));
    Some((bits + more) | bits << 8 | more << 12 | distance << 16)
}

/// The entry of a symbol whose code has more bits than given.
#[cold]
#[inline(never)]
pub(super) fn long_symbol(order: &Order, next: u64, bits: usize) -> Option<u32> {
    let (symbol, bits) = order.find(next, bits)?;
    match u8::try_from(symbol) {
        Ok(byte) => Some(one_byte(byte, bits)),
        Err(_) => no_byte(symbol, bits),
    }
}

/// The entry of a distance whose code the table does not have.
#[cold]
#[inline(never)]
pub(super) fn long_distance(order: &Order, next: u64) -> Option<u32> {
    let (symbol, bits) = order.find(next, DISTANCE_BITS)?;
    distance(symbol, bits)
}
