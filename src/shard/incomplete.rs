//! What clients have sent in part: the bound that all shards share, and who goes when it is reached.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{Shard, client::Phase};
use crate::{session::SessionKey, timer::Now};

/// Bytes that the process has for messages that have not arrived whole. Shards lease them, so that
/// one with large messages may use what others leave, whatever their number.
#[derive(Debug)]
pub struct IncompleteBudget(AtomicUsize);

impl IncompleteBudget {
    /// A budget of which nothing is leased.
    #[must_use]
    pub const fn new(bytes: usize) -> Self {
        Self(AtomicUsize::new(bytes))
    }

    fn take(&self, bytes: usize) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| {
                free.checked_sub(bytes)
            })
            .is_ok()
    }

    fn give(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A shard's part of the budget, and what its clients use of it.
#[derive(Debug)]
pub(super) struct Incomplete {
    budget: Arc<IncompleteBudget>,
    leased: usize,
    /// The sum of the clients' `incomplete_bytes`.
    used: usize,
}

impl Incomplete {
    /// Leased at a time, so that shards meet seldom.
    const PORTION_BYTES: usize = 256 << 10;

    pub(super) const fn new(budget: Arc<IncompleteBudget>) -> Self {
        Self {
            budget,
            leased: 0,
            used: 0,
        }
    }

    fn change(&mut self, from: usize, to: usize) {
        self.used = self.used - from + to;
        // One portion more is kept: clients come and go around a boundary.
        let enough = self.used.next_multiple_of(Self::PORTION_BYTES) + Self::PORTION_BYTES;
        if self.leased > enough {
            self.budget.give(self.leased - enough);
            self.leased = enough;
        }
    }

    /// Whether all that is used is leased, if need be by leasing more.
    fn is_covered(&mut self) -> bool {
        let Some(missing) = self.used.checked_sub(self.leased) else {
            return true;
        };
        for bytes in [missing.next_multiple_of(Self::PORTION_BYTES), missing] {
            if self.budget.take(bytes) {
                self.leased += bytes;
                return true;
            }
        }
        false
    }
}

impl Drop for Incomplete {
    fn drop(&mut self) {
        self.budget.give(self.leased);
    }
}

impl Shard {
    /// Keeps the sum of what clients have sent in part, and gives up the largest when it is too
    /// much: a message can be as large as its limit, but not a thousand at once. A shard's only
    /// one is always let in.
    pub(super) fn account_incomplete(&mut self, now: Now, key: SessionKey) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let bytes = client.unparsed.len()
            + match &client.phase {
                Phase::Open(open) => open.ws.incomplete_bytes(),
                Phase::Head | Phase::Opening(_) => 0,
            };
        if bytes == client.incomplete_bytes {
            return;
        }
        self.incomplete.change(client.incomplete_bytes, bytes);
        client.incomplete_bytes = bytes;
        while !self.incomplete.is_covered() {
            let largest = self
                .clients
                .iter()
                .max_by_key(|(_, client)| client.incomplete_bytes);
            let Some((largest, client)) = largest else {
                return;
            };
            if client.incomplete_bytes == self.incomplete.used {
                return;
            }
            self.close_overloaded(now, largest, "too many bytes of incomplete messages");
        }
    }

    /// A client that is forgotten has nothing incomplete.
    pub(super) fn forget_incomplete(&mut self, bytes: usize) {
        self.incomplete.change(bytes, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incomplete(budget: &Arc<IncompleteBudget>, bytes: usize) -> Incomplete {
        let mut incomplete = Incomplete::new(budget.clone());
        incomplete.change(0, bytes);
        incomplete
    }

    #[test]
    fn what_one_shard_leaves_another_one_may_use() {
        const MIB: usize = 1 << 20;
        let budget = Arc::new(IncompleteBudget::new(10 * MIB));
        let mut large = incomplete(&budget, 8 * MIB + 1);
        assert!(large.is_covered());
        let mut small = incomplete(&budget, MIB);
        assert!(small.is_covered());
        small.change(MIB, 7 * MIB / 4 + 1);
        assert!(!small.is_covered(), "it is all leased");
        large.change(8 * MIB + 1, 1);
        assert!(small.is_covered());
        drop((large, small));
        assert!(budget.take(10 * MIB), "all of it came back");
    }

    #[test]
    fn the_last_bytes_are_leased_one_by_one() {
        let budget = Arc::new(IncompleteBudget::new(100));
        let mut all = incomplete(&budget, 99);
        assert!(all.is_covered());
        all.change(99, 100);
        assert!(all.is_covered());
        all.change(100, 101);
        assert!(!all.is_covered());
    }
}
