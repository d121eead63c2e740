//! Bytes that the whole process has for a purpose, leased by its shards in portions, so that one may
//! use what others leave, whatever their number, and they meet seldom.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::config::Config;

/// What all shards of a process share out among themselves.
#[derive(Clone, Debug)]
pub struct Budgets {
    /// For messages that have not arrived whole.
    pub(super) incomplete: Arc<Budget>,
    /// For publishes in flight, before clients have to wait.
    pub(super) publishes: Arc<Budget>,
    /// Handshakes, not bytes.
    pub(super) handshakes: Arc<Budget>,
    /// For publishes in flight, before they are refused.
    pub(super) memory: Option<Arc<Budget>>,
}

impl Budgets {
    /// Budgets of which nothing is leased.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            incomplete: Arc::new(Budget::new(config.incomplete_messages_bytes_max)),
            publishes: Arc::new(Budget::new(config.all_publishes_in_flight_bytes_max)),
            handshakes: Arc::new(Budget::new(match config.handshakes_max {
                0 => usize::MAX,
                max => max,
            })),
            memory: config
                .publishes_memory_bytes_max
                .map(|bytes| Arc::new(Budget::new(bytes))),
        }
    }
}

/// What is not leased.
#[derive(Debug)]
pub(super) struct Budget {
    free: AtomicUsize,
    /// Leased at a time.
    portion: usize,
}

impl Budget {
    /// A lease of a small budget is small: each shard keeps up to two portions that it doesn't use.
    fn new(bytes: usize) -> Self {
        const PORTION_BYTES_MAX: usize = 256 << 10;
        Self {
            free: AtomicUsize::new(bytes),
            portion: (bytes / 64).clamp(1, PORTION_BYTES_MAX),
        }
    }

    pub(super) fn take(&self, bytes: usize) -> bool {
        self.free
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| {
                free.checked_sub(bytes)
            })
            .is_ok()
    }

    pub(super) fn give(&self, bytes: usize) {
        self.free.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A shard's part of a budget, and what it uses of it.
#[derive(Debug)]
pub(super) struct Lease {
    budget: Arc<Budget>,
    leased: usize,
    used: usize,
}

impl Lease {
    pub(super) const fn new(budget: Arc<Budget>) -> Self {
        Self {
            budget,
            leased: 0,
            used: 0,
        }
    }

    /// What is used.
    pub(super) const fn used(&self) -> usize {
        self.used
    }

    /// That much is used now. What is no longer needed goes back.
    pub(super) fn set(&mut self, used: usize) {
        self.used = used;
        // One portion more is kept: use goes up and down around a boundary.
        let portion = self.budget.portion;
        let enough = used.next_multiple_of(portion) + portion;
        if self.leased > enough {
            self.budget.give(self.leased - enough);
            self.leased = enough;
        }
    }

    /// Whether all that is used is leased, if need be by leasing more.
    pub(super) fn is_covered(&mut self) -> bool {
        let Some(missing) = self.used.checked_sub(self.leased) else {
            return true;
        };
        for bytes in [missing.next_multiple_of(self.budget.portion), missing] {
            if self.budget.take(bytes) {
                self.leased += bytes;
                return true;
            }
        }
        false
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.budget.give(self.leased);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(budget: &Arc<Budget>, bytes: usize) -> Lease {
        let mut lease = Lease::new(budget.clone());
        lease.set(bytes);
        lease
    }

    #[test]
    fn what_one_shard_leaves_another_one_may_use() {
        const MIB: usize = 1 << 20;
        let budget = Arc::new(Budget::new(10 * MIB));
        let mut large = lease(&budget, 8 * MIB + 1);
        assert!(large.is_covered());
        let mut small = lease(&budget, MIB);
        assert!(small.is_covered());
        small.set(2 * MIB + 1);
        assert!(!small.is_covered(), "it is all leased");
        large.set(1);
        assert!(small.is_covered());
        drop((large, small));
        assert!(budget.take(10 * MIB), "all of it came back");
    }

    #[test]
    fn the_last_bytes_are_leased_one_by_one() {
        let budget = Arc::new(Budget::new(100));
        let mut all = lease(&budget, 99);
        assert!(all.is_covered());
        all.set(100);
        assert!(all.is_covered());
        all.set(101);
        assert!(!all.is_covered());
    }
}
