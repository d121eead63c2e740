//! Bits of a message, the lowest of each byte first, as numbers are written.

/// Bits of bytes, the lowest first; zeros seem to follow behind their end.
pub(super) struct Reader<'b> {
    pub(super) bytes: &'b [u8],
    /// Of these, the first [`count`](Self::count) come next, and those behind are as [`fill`](Self::fill) finds them.
    pub(super) bits: u64,
    pub(super) count: u32,
    /// The byte behind the bits that count.
    next: usize,
}

impl<'b> Reader<'b> {
    pub(super) const fn new(bytes: &'b [u8]) -> Self {
        Self {
            bytes,
            bits: 0,
            count: 0,
            next: 0,
        }
    }

    /// Makes at least 56 bits count.
    #[inline(always)]
    pub(super) fn fill(&mut self) {
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
    pub(super) const fn take(&mut self, count: u8) -> u16 {
        let number = low16(self.bits) & ((1 << count) - 1);
        self.bits >>= count;
        self.count -= count as u32;
        number
    }

    /// Goes to where so many bits have been taken.
    pub(super) fn go_to(&mut self, at: usize) {
        (self.next, self.count, self.bits) = (at / 8, 0, 0);
        self.fill();
        self.bits >>= at % 8;
        self.count -= u32::from(at.to_le_bytes()[0] % 8);
    }

    /// Bits that were taken.
    pub(super) const fn at(&self) -> usize {
        8 * self.next - self.count as usize
    }

    /// Takes bytes, after which as many bits of the next byte have been taken as before.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.go_to(self.at() + 8 * bytes);
    }

    /// Bits as many bytes behind the next one as given, all of which count; `None` close to the end.
    #[inline(always)]
    pub(super) fn words<const N: usize>(&self, ahead: usize) -> Option<[u64; N]> {
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
pub(super) const fn low16(bits: u64) -> u16 {
    bits as u16
}
