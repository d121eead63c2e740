//! An input read as choices, and what is left of it as bytes. When it has come to its end, every choice is the first one.

use arbitrary::Unstructured;

/// An input.
pub(crate) struct Script<'a>(Unstructured<'a>);

impl<'a> Script<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(Unstructured::new(data))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or_default()
    }

    pub(crate) fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0.arbitrary().unwrap_or_default()
    }

    /// `0..n`, where `n` is no more than 256; 0 where that is nothing.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n.max(1)
    }

    /// One of these, if there are any.
    pub(crate) fn any<'t, T>(&mut self, items: &'t [T]) -> Option<&'t T> {
        items.get(self.below(items.len()))
    }

    pub(crate) fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    /// So many bytes, or what there is of them.
    pub(crate) fn bytes(&mut self, len: usize) -> &'a [u8] {
        self.0.bytes(len.min(self.0.len())).unwrap_or_default()
    }

    /// Some bytes, fewer than 256, with their number before them.
    pub(crate) fn some(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte());
        self.bytes(len)
    }

    pub(crate) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.some()).into_owned()
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0.take_rest()
    }
}

/// SplitMix64: chance that an input's number decides.
#[derive(Clone, Copy, Debug)]
pub struct Chance(pub u64);

impl Chance {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `0..n`, 0 where that is nothing.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.number() % n.max(1) as u64).unwrap_or_default()
    }
}

/// Cuts bytes into pieces, which chance makes short or long.
pub(crate) fn pieces(mut bytes: &[u8], mut chance: Chance) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let max = [1, 3, 20, 400, 10_000][chance.below(5)];
        let (piece, rest) = bytes.split_at((1 + chance.below(max)).min(bytes.len()));
        pieces.push(piece.to_vec());
        bytes = rest;
    }
    pieces
}

/// Bytes whose number an input's first choices tell, so that a few of them can stand for many.
pub(crate) fn repeated(script: &mut Script<'_>) -> Vec<u8> {
    let times = [1, 1, 1, 7, 200][script.below(5)];
    script.some().repeat(times)
}

/// Changes the bits of one byte, if there is any.
pub(crate) fn flip(bytes: &mut [u8], at: u16, bits: u8) {
    let at = usize::from(at) % bytes.len().max(1);
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= bits;
    }
}

/// What stands in a buffer already when something is appended.
pub(crate) const BEFORE: &[u8] = b"before";

/// What was appended.
pub(crate) fn behind(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BEFORE).expect("what was there stays")
}
