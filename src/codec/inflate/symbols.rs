//! What the symbols of deflate mean.

/// The symbol that ends a block, behind those that are bytes; those of lengths follow.
pub(super) const BLOCK_END: u16 = 256;

/// The shortest length of each symbol, and how many bits say what goes beyond it.
pub(super) const LENGTHS: [(u16, u8); 29] = {
    let mut lengths = ranges(3, 4);
    lengths[28] = (258, 0);
    lengths
};

/// As [`LENGTHS`] for distances.
pub(super) const DISTANCES: [(u16, u8); 30] = ranges(1, 2);

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
