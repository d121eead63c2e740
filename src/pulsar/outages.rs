//! Which brokers can't be reached, so that the log says so once and not with each try.

use super::connection::Address;

/// As many are remembered; the one that is longest away is forgotten first. Brokers come and go in a cluster, some for good.
const BROKERS_MAX: usize = 64;

/// Brokers that were not reached when last tried.
#[derive(Debug, Default)]
pub(super) struct Outages(Vec<Address>);

impl Outages {
    /// A broker can't be reached. Whether that is new.
    pub(super) fn begin(&mut self, broker: &Address) -> bool {
        let is_new = !self.0.contains(broker);
        if is_new {
            if self.0.len() == BROKERS_MAX {
                self.0.remove(0);
            }
            self.0.push(broker.clone());
        }
        is_new
    }

    /// A broker was reached.
    pub(super) fn end(&mut self, broker: &Address) {
        self.0.retain(|away| away != broker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outage_is_new_once_and_few_are_remembered() {
        let mut outages = Outages::default();
        let broker = |port| Address::direct("b", port);
        for port in 0..100 {
            assert!(outages.begin(&broker(port)));
            assert!(!outages.begin(&broker(port)));
        }
        assert_eq!(outages.0.len(), BROKERS_MAX);
        assert!(!outages.begin(&broker(99)));
        outages.end(&broker(99));
        assert!(outages.begin(&broker(99)));
        assert!(outages.begin(&broker(0)));
    }
}
