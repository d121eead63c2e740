//! Where a session's messages have to go on a topic with partitions.

use super::{
    broker::{BASE, Broker, PARTITIONED},
    rng::Rng,
};

/// Where a session publishes to.
#[derive(Debug)]
pub(crate) enum Target {
    Topic(usize),
    Partitions(Partitions),
}

/// What a publishing client knows of the partitions.
#[derive(Debug)]
pub(crate) struct Partitions {
    /// How many there were when it came.
    count: usize,
    robin: bool,
    murmur: bool,
    /// Where messages without a key go, once known.
    single: Option<i32>,
}

impl Partitions {
    pub(crate) fn new(broker: &Broker, rng: &mut Rng) -> Self {
        Self {
            count: broker.partitions(&format!("{BASE}{PARTITIONED}")),
            robin: rng.one_in(2),
            murmur: rng.one_in(4),
            single: None,
        }
    }

    /// How it asks for that.
    pub(crate) const fn parameters(&self) -> &'static str {
        match (self.robin, self.murmur) {
            (false, false) => "",
            (true, false) => "messageRoutingMode=RoundRobinPartition&",
            (false, true) => "hashingScheme=Murmur3_32Hash&",
            (true, true) => "hashingScheme=Murmur3_32Hash&messageRoutingMode=RoundRobinPartition&",
        }
    }

    /// The topic that a partition is, which must be right for the key. Partitions may have been added
    /// that the session knows of, or not yet.
    pub(crate) fn topic(&mut self, broker: &Broker, partition: i32, key: Option<&str>) -> usize {
        let name = format!("{BASE}{PARTITIONED}");
        let counts = self.count..=broker.partitions(&name);
        match key {
            Some(key) if !self.murmur => {
                let hash = key.encode_utf16().fold(0i32, |hash, unit| {
                    hash.wrapping_mul(31).wrapping_add(unit.into())
                });
                let hash = (hash & i32::MAX) as usize;
                let mut right = counts.map(|count| hash % count);
                assert!(
                    right.any(|right| i32::try_from(right) == Ok(partition)),
                    "{key:?} is in {partition}"
                );
            }
            None if !self.robin => {
                let single = *self.single.get_or_insert(partition);
                assert_eq!(single, partition, "one session, one partition");
            }
            _ => {}
        }
        broker.topic(&format!("{name}-partition-{partition}"))
    }
}
