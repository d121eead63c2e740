//! Bits of a message whose bytes were turned round: codes, which come with their highest bit first, are numbers then.

/// Zeros behind the message, so that whole words can be read wherever it ends.
const ZEROS: usize = 16;

/// Each byte turned round.
static TURNED: [u8; 256] = {
    let mut turned = [0; 256];
    let mut byte: u8 = 0;
    while byte < 255 {
        byte += 1;
        turned[byte as usize] = byte.reverse_bits();
    }
    turned
};

/// Bits of bytes, the highest first.
pub(super) struct Turned<'b> {
    bytes: &'b [u8],
    /// Of these, the first `count` come next, and those behind are as [`fill`](Self::fill) finds them.
    pub(super) bits: u64,
    count: u32,
    /// The byte behind the bits that count.
    byte: usize,
}

impl<'b> Turned<'b> {
    /// Bits of what [`turn`] wrote, behind the first `at`.
    pub(super) fn new(bytes: &'b [u8], at: usize) -> Option<Self> {
        let mut turned = Self {
            bytes,
            bits: 0,
            count: 0,
            byte: at / 8,
        };
        turned.fill()?;
        turned.drop(u32::from(at.to_le_bytes()[0] % 8));
        Some(turned)
    }

    /// Makes at least 56 bits count; `None` beyond the end.
    #[inline(always)]
    pub(super) fn fill(&mut self) -> Option<()> {
        let word = u64::from_be_bytes(*self.bytes.get(self.byte..)?.first_chunk()?);
        self.bits |= word >> self.count;
        self.byte += (63 - self.count as usize) / 8;
        self.count |= 56;
        Some(())
    }

    #[inline(always)]
    pub(super) const fn drop(&mut self, count: u32) {
        self.bits <<= count & 63;
        self.count = self.count.wrapping_sub(count);
    }

    /// As many of the next bits, at most 16.
    #[allow(clippy::cast_possible_truncation, reason = "so few bits fit")]
    #[inline(always)]
    pub(super) const fn next<const BITS: usize>(&self) -> usize {
        (self.bits >> (64 - BITS)) as usize
    }

    /// The number of `count` bits, less than 16, behind the next ones: numbers come with their lowest bit first.
    #[inline(always)]
    pub(super) const fn number(&self, behind: u32, count: u32) -> u16 {
        let [high, low, ..] = (self.bits << (behind & 63)).to_be_bytes();
        let number = u16::from_le_bytes([TURNED[high as usize], TURNED[low as usize]]);
        number & ((1 << (count & 15)) - 1)
    }

    /// Bits that were taken.
    pub(super) const fn at(&self) -> usize {
        8 * self.byte - self.count as usize
    }
}

/// Writes `bytes` to `turned`, each turned round.
#[inline(always)]
pub(super) fn turn(bytes: &[u8], turned: &mut Vec<u8>) {
    turned.resize(bytes.len() + ZEROS, 0);
    let (words, rest) = bytes.as_chunks::<8>();
    for (place, word) in turned.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *place = turn_bytes(u64::from_le_bytes(*word)).to_le_bytes();
    }
    for (place, byte) in turned[8 * words.len()..].iter_mut().zip(rest) {
        *place = byte.reverse_bits();
    }
    turned[bytes.len()..].fill(0);
}

/// Turns each byte of a word round.
#[inline(always)]
pub(super) const fn turn_bytes(word: u64) -> u64 {
    const ODD: u64 = u64::MAX / 3;
    const PAIRS: u64 = u64::MAX / 5;
    const NIBBLES: u64 = u64::MAX / 17;
    let word = ((word >> 1) & ODD) | ((word & ODD) << 1);
    let word = ((word >> 2) & PAIRS) | ((word & PAIRS) << 2);
    ((word >> 4) & NIBBLES) | ((word & NIBBLES) << 4)
}
