//! How much waits for clients: in one session, and in all of a shard's.

use std::{cell::Cell, rc::Rc};

/// Bytes held for one session, counted into the sum of its shard.
#[derive(Debug, Default)]
pub(super) struct HeldBytes {
    own: usize,
    /// `own` is part of it.
    shard: Rc<Cell<usize>>,
}

/// What is held at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// For this session.
    pub(super) own: usize,
    /// For all sessions of the shard, this one among them.
    pub(super) shard: usize,
}

impl HeldBytes {
    /// Nothing yet, counted into `shard`.
    pub(super) const fn new(shard: Rc<Cell<usize>>) -> Self {
        Self { own: 0, shard }
    }

    pub(super) fn load(&self) -> Load {
        Load {
            own: self.own,
            shard: self.shard.get(),
        }
    }

    pub(super) fn add(&mut self, bytes: usize) {
        self.own += bytes;
        self.shard.set(self.shard.get() + bytes);
    }

    pub(super) fn remove(&mut self, bytes: usize) {
        self.own -= bytes;
        self.shard.set(self.shard.get() - bytes);
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.remove(self.own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shard_knows_the_sum_of_who_is_there() {
        let shard = Rc::new(Cell::new(0));
        let (mut one, mut two) = (HeldBytes::new(shard.clone()), HeldBytes::new(shard.clone()));
        one.add(5);
        two.add(7);
        assert_eq!(one.load(), Load { own: 5, shard: 12 });
        two.remove(3);
        assert_eq!(one.load(), Load { own: 5, shard: 9 });
        drop(two);
        assert_eq!(shard.get(), 5);
    }
}
