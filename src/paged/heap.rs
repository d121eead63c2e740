//! A heap whose least entry is at hand, in pages.

use super::Paged;

/// Entries of which the least comes first.
#[derive(Debug)]
pub struct Heap<T>(Paged<T>);

impl<T: Ord + Copy> Heap<T> {
    /// No entries.
    #[must_use]
    pub const fn new() -> Self {
        Self(Paged::new())
    }

    /// The least entry.
    #[must_use]
    pub fn first(&self) -> Option<&T> {
        self.0.get(0)
    }

    /// How many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts an entry in.
    pub fn push(&mut self, entry: T) {
        let mut place = self.0.len();
        self.0.push(entry);
        while place > 0 {
            let parent = (place - 1) / 2;
            match self.0.get(parent).copied() {
                Some(above) if entry < above => self.put(place, above),
                _ => break,
            }
            place = parent;
        }
        self.put(place, entry);
    }

    /// Takes the least entry out.
    pub fn pop(&mut self) -> Option<T> {
        let last = self.0.pop()?;
        let Some(first) = self.first().copied() else {
            return Some(last);
        };
        let mut place = 0;
        while let Some((child, below)) = self.least_child(place)
            && below < last
        {
            self.put(place, below);
            place = child;
        }
        self.put(place, last);
        Some(first)
    }

    fn least_child(&self, place: usize) -> Option<(usize, T)> {
        let left = 2 * place + 1;
        let first = *self.0.get(left)?;
        Some(match self.0.get(left + 1) {
            Some(&second) if second < first => (left + 1, second),
            _ => (left, first),
        })
    }

    fn put(&mut self, place: usize, entry: T) {
        if let Some(at) = self.0.get_mut(place) {
            *at = entry;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cmp::Reverse, collections::BinaryHeap};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// In whatever order entries come and go, each that goes is the least.
        #[test]
        fn as_the_standard_heap(steps in prop::collection::vec(prop::option::weighted(0.6, 0..1000u64), 0..600)) {
            let (mut heap, mut model) = (Heap::new(), BinaryHeap::new());
            for step in steps {
                match step {
                    Some(entry) => {
                        heap.push(entry);
                        model.push(Reverse(entry));
                    }
                    None => prop_assert_eq!(heap.pop(), model.pop().map(|Reverse(entry)| entry)),
                }
                prop_assert_eq!(heap.first(), model.peek().map(|Reverse(entry)| entry));
                prop_assert_eq!((heap.len(), heap.is_empty()), (model.len(), model.is_empty()));
            }
        }
    }
}
