//! Collections that grow by pages: what has grown never moves.
//!
//! An array that doubles leaves its old half behind, holds as much again as it needs, and when it is long the
//! allocator gives it pages that nothing else may use. For 10,000 clients that was more than the entries themselves.

mod heap;
mod slots;

pub use heap::Heap;
pub use slots::{Beside, Slots};

/// A vector in pages. Pages stay once they are made.
#[derive(Debug)]
struct Paged<T> {
    pages: Vec<Vec<T>>,
    len: usize,
}

impl<T> Paged<T> {
    /// Bytes of a page, about: as much as the allocator has side by side with other small things.
    const PAGE_BYTES: usize = 8 * 1024;
    /// A power of two, so that places are found by shifting.
    const PAGE_LEN: usize = {
        let len = Self::PAGE_BYTES / size_of::<T>();
        1 << len.ilog2()
    };

    const fn new() -> Self {
        Self {
            pages: Vec::new(),
            len: 0,
        }
    }

    const fn len(&self) -> usize {
        self.len
    }

    fn get(&self, index: usize) -> Option<&T> {
        self.pages
            .get(index / Self::PAGE_LEN)?
            .get(index % Self::PAGE_LEN)
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.pages
            .get_mut(index / Self::PAGE_LEN)?
            .get_mut(index % Self::PAGE_LEN)
    }

    fn push(&mut self, value: T) {
        let page = self.len / Self::PAGE_LEN;
        if page == self.pages.len() {
            // The first one grows, since most shards have few of anything.
            let capacity = if page == 0 { 0 } else { Self::PAGE_LEN };
            self.pages.push(Vec::with_capacity(capacity));
        }
        if let Some(page) = self.pages.get_mut(page) {
            page.push(value);
            self.len += 1;
        }
    }

    fn pop(&mut self) -> Option<T> {
        let last = self.len.checked_sub(1)?;
        let value = self.pages.get_mut(last / Self::PAGE_LEN)?.pop()?;
        self.len = last;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_over_many_pages() {
        let mut paged = Paged::new();
        let many = 5 * Paged::<usize>::PAGE_LEN + 1;
        for round in 0..2 {
            for number in 0..many {
                paged.push(number);
                assert_eq!(paged.get(number), Some(&number));
            }
            assert_eq!((paged.len(), paged.get(many)), (many, None));
            *paged.get_mut(3).unwrap() += round;
            for number in (0..many).rev() {
                let round = if number == 3 { round } else { 0 };
                assert_eq!(paged.pop(), Some(number + round));
            }
            assert_eq!((paged.len(), paged.pop()), (0, None));
        }
    }

    #[test]
    fn no_page_is_large() {
        let mut paged = Paged::<[u8; 24]>::new();
        for _ in 0..100_000 {
            paged.push([0; 24]);
        }
        let largest = paged.pages.iter().map(Vec::capacity).max().unwrap();
        assert!(largest * 24 <= Paged::<[u8; 24]>::PAGE_BYTES);
        assert!(paged.pages.capacity() * size_of::<Vec<u8>>() <= 16 * 1024);
    }
}
