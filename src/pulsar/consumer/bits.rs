//! A set of the messages of one batch.

/// Batches up to this size need no allocation; Java producers put 1000 messages into one at most,
/// and under moderate load far fewer.
const INLINE_WORDS: usize = 2;

/// One bit a message, as many as the batch has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bits {
    words: Words,
    /// Bits beyond are never set.
    len: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Words {
    Inline([u64; INLINE_WORDS]),
    Heap(Box<[u64]>),
}

impl Bits {
    /// `len` bits, none set.
    pub(super) fn new(len: u32) -> Self {
        let count = len.div_ceil(64) as usize;
        let words = if count <= INLINE_WORDS {
            Words::Inline([0; INLINE_WORDS])
        } else {
            Words::Heap(vec![0; count].into_boxed_slice())
        };
        Self { words, len }
    }

    /// `len` bits, all set.
    pub(super) fn full(len: u32) -> Self {
        let mut bits = Self::new(len);
        let mut left = len;
        for word in bits.words_mut() {
            let here = left.min(64);
            *word = mask(here);
            left -= here;
        }
        bits
    }

    /// `len` bits from the words of an ack set; missing words are zero, what lies beyond is cut.
    pub(super) fn from_words(len: u32, words: impl Iterator<Item = u64>) -> Self {
        let mut bits = Self::full(len);
        let mut words = words;
        for word in bits.words_mut() {
            *word &= words.next().unwrap_or(0);
        }
        bits
    }

    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    /// How many words an ack set of these may have.
    pub(super) const fn word_count(&self) -> usize {
        self.len.div_ceil(64) as usize
    }

    /// Bits beyond the end are not set.
    pub(super) fn get(&self, index: u32) -> bool {
        self.words()
            .get(index as usize / 64)
            .is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Tells whether the bit was clear before. Beyond the end nothing happens.
    pub(super) fn set(&mut self, index: u32) -> bool {
        self.replace(index, true) == Some(false)
    }

    /// Tells whether the bit was set before. Beyond the end nothing happens.
    pub(super) fn clear(&mut self, index: u32) -> bool {
        self.replace(index, false) == Some(true)
    }

    pub(super) fn clear_all(&mut self) {
        self.words_mut().fill(0);
    }

    /// How many are set.
    pub(super) fn count(&self) -> u32 {
        self.words().iter().map(|word| word.count_ones()).sum()
    }

    /// How many are set at `start` or behind it.
    pub(super) fn count_from(&self, start: u32) -> u32 {
        (start..self.len)
            .map(|index| u32::from(self.get(index)))
            .sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words().iter().all(|&word| word == 0)
    }

    /// Bits are not counted for it: processors of all kinds have no instruction for that.
    pub(super) fn is_full(&self) -> bool {
        let mut left = self.len;
        self.words().iter().all(|&word| {
            let here = left.min(64);
            left -= here;
            word == mask(here)
        })
    }

    /// Lowest bit that is set.
    pub(super) fn first(&self) -> Option<u32> {
        let (index, word) = (0u32..).zip(self.words()).find(|(_, word)| **word != 0)?;
        Some(index * 64 + word.trailing_zeros())
    }

    /// Keeps what is clear in `other`.
    pub(super) fn subtract(&mut self, other: &Self) {
        for (word, other) in self.words_mut().iter_mut().zip(other.words()) {
            *word &= !other;
        }
    }

    /// Adds what is set in `other`.
    pub(super) fn unite(&mut self, other: &Self) {
        for (word, other) in self.words_mut().iter_mut().zip(other.words()) {
            *word |= other;
        }
    }

    /// What is clear here.
    pub(super) fn inverse(&self) -> Self {
        let mut inverse = Self::full(self.len);
        for (word, own) in inverse.words_mut().iter_mut().zip(self.words()) {
            *word &= !own;
        }
        inverse
    }

    /// The words up to the last one that is not zero, as Java's `BitSet.toLongArray` gives them.
    pub(super) fn trimmed_words(&self) -> &[u64] {
        let words = self.words();
        let len = words
            .iter()
            .rposition(|&word| word != 0)
            .map_or(0, |i| i + 1);
        &words[..len]
    }

    fn words(&self) -> &[u64] {
        match &self.words {
            Words::Inline(words) => words,
            Words::Heap(words) => words,
        }
    }

    fn words_mut(&mut self) -> &mut [u64] {
        match &mut self.words {
            Words::Inline(words) => words,
            Words::Heap(words) => words,
        }
    }

    /// The bit's old value.
    fn replace(&mut self, index: u32, value: bool) -> Option<bool> {
        if index >= self.len {
            return None;
        }
        let word = self.words_mut().get_mut(index as usize / 64)?;
        let bit = 1 << (index % 64);
        let old = *word & bit != 0;
        *word = if value { *word | bit } else { *word & !bit };
        Some(old)
    }
}

/// The lowest `bits` of a word.
const fn mask(bits: u32) -> u64 {
    if bits == 0 {
        0
    } else {
        u64::MAX >> (64 - bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edges() {
        for len in [0, 1, 63, 64, 65, 127, 128, 129, 200] {
            let full = Bits::full(len);
            assert!(full.is_full());
            assert_eq!(full.count(), len);
            assert_eq!(full.is_empty(), len == 0);
            assert!(!full.get(len));
            assert!(full.inverse().is_empty());
            assert_eq!(Bits::new(len).inverse(), full);
            assert!(Bits::new(len).trimmed_words().is_empty());
            assert!(!Bits::new(len).set(len), "beyond the end");
        }
        assert_eq!(Bits::full(65).trimmed_words(), [u64::MAX, 1]);
        assert_eq!(Bits::from_words(3, [u64::MAX].into_iter()).count(), 3);
        assert_eq!(Bits::from_words(70, [6].into_iter()).trimmed_words(), [6]);
    }

    proptest! {
        #[test]
        fn agrees_with_a_vector_of_bools(
            len in 1u32..300, ops: Vec<(bool, u32)>, start: u32, words: Vec<u64>
        ) {
            let mut bits = Bits::new(len);
            let mut model = vec![false; len as usize];
            for (value, index) in ops {
                let index = index % len;
                let old = std::mem::replace(&mut model[index as usize], value);
                if value {
                    prop_assert_eq!(bits.set(index), !old);
                } else {
                    prop_assert_eq!(bits.clear(index), old);
                }
            }
            let count = model.iter().filter(|b| **b).count();
            prop_assert_eq!(bits.count() as usize, count);
            prop_assert_eq!(bits.is_full(), count == model.len());
            prop_assert_eq!(bits.is_empty(), count == 0);
            prop_assert_eq!(bits.first().map(|i| i as usize), model.iter().position(|b| *b));
            let start = start % len;
            let behind = model[start as usize..].iter().filter(|b| **b).count();
            prop_assert_eq!(bits.count_from(start) as usize, behind);
            let other = Bits::from_words(len, words.into_iter());
            let (mut more, mut less) = (bits.clone(), bits.clone());
            less.subtract(&other);
            more.unite(&other);
            for index in 0..len {
                prop_assert_eq!(bits.get(index), model[index as usize]);
                prop_assert_eq!(less.get(index), bits.get(index) && !other.get(index));
                prop_assert_eq!(more.get(index), bits.get(index) || other.get(index));
                prop_assert_eq!(bits.inverse().get(index), !bits.get(index));
            }
        }
    }
}
