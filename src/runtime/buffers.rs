//! Read buffers, lent to a socket only while bytes wait for it. Idle sockets hold none.

use std::cell::RefCell;

/// Buffers of one size, for one core.
pub(super) struct Buffers {
    bytes: usize,
    kept_max: usize,
    free: RefCell<Vec<Vec<u8>>>,
}

impl Buffers {
    /// Keeps at most `kept_max` buffers for later use; what a burst needs beyond goes back to the
    /// allocator.
    pub(super) fn new(bytes: usize, kept_max: usize) -> Self {
        Self {
            bytes,
            kept_max,
            free: RefCell::default(),
        }
    }

    /// An empty buffer.
    pub(super) fn take(&self) -> Vec<u8> {
        let free = self.free.borrow_mut().pop();
        free.unwrap_or_else(|| Vec::with_capacity(self.bytes))
    }

    /// Takes a buffer back.
    pub(super) fn give(&self, mut buffer: Vec<u8>) {
        let mut free = self.free.borrow_mut();
        if free.len() < self.kept_max {
            buffer.clear();
            free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_no_more_than_it_should() {
        let buffers = Buffers::new(64, 1);
        let (mut first, second) = (buffers.take(), buffers.take());
        assert!(first.capacity() >= 64);
        first.push(1);
        let address = first.as_ptr();
        buffers.give(first);
        buffers.give(second);
        let again = buffers.take();
        assert_eq!(again.as_ptr(), address);
        assert!(again.is_empty());
        assert_eq!(buffers.free.borrow().len(), 0);
    }
}
