//! Which part a ledger belongs to. A message id names no topic, but no two topics have a ledger in
//! common.

use std::collections::{BTreeMap, VecDeque};

use crate::pulsar::half::HalfKey;

/// Ledgers that are remembered. Each topic has one that is written to, and those before it, for as
/// long as something of them is unacknowledged.
const LEDGERS_MAX: usize = 1 << 16;

/// The ledgers that messages came from.
#[derive(Debug, Default)]
pub(super) struct Ledgers {
    parts: BTreeMap<u64, HalfKey>,
    /// In the order they were first seen.
    order: VecDeque<u64>,
}

impl Ledgers {
    /// A message came from a ledger. Beyond [`LEDGERS_MAX`], the one first seen is forgotten:
    /// acknowledgements of its messages are lost then, and they come again some day.
    pub(super) fn learn(&mut self, ledger: u64, part: HalfKey) {
        if self.parts.insert(ledger, part).is_some() {
            return;
        }
        self.order.push_back(ledger);
        if self.order.len() > LEDGERS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.parts.remove(&oldest);
        }
    }

    /// The part that a ledger is of.
    pub(super) fn part(&self, ledger: u64) -> Option<HalfKey> {
        self.parts.get(&ledger).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slotmap::KeyData;

    fn key(number: u64) -> HalfKey {
        KeyData::from_ffi(1 << 32 | number).into()
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut ledgers = Ledgers::default();
        let max = LEDGERS_MAX as u64;
        for ledger in 0..max {
            ledgers.learn(ledger, key(ledger));
        }
        ledgers.learn(0, key(7));
        assert_eq!(ledgers.part(0), Some(key(7)));
        assert_eq!(ledgers.part(max), None);
        ledgers.learn(max, key(1));
        assert_eq!(ledgers.part(0), None);
        assert_eq!(ledgers.part(1), Some(key(1)));
        assert_eq!(ledgers.part(max), Some(key(1)));
        assert_eq!(ledgers.order.len(), LEDGERS_MAX);
    }
}
