//! What all connections share.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::{
    Arguments,
    delayed::Delay,
    deliveries::Deliveries,
    faults::{FaultOptions, Faults},
    shared::payloads::Payloads,
    stats::Stats,
};

pub(crate) struct World {
    /// Those that publishes should have, and that are delivered.
    pub(crate) payloads: Payloads,
    pub(crate) deliveries: Deliveries,
    pub(crate) delay: Delay,
    pub(crate) stats: Stats,
    faults: FaultOptions,
    connections: AtomicU64,
    /// Numbers for ledgers: one for each producer and each consumer.
    ledgers: AtomicU64,
}

impl World {
    pub(crate) fn new(arguments: Arguments) -> Self {
        let payloads = Payloads::new(arguments.payload_bytes);
        Self {
            deliveries: Deliveries::new(&arguments.deliveries, &payloads, arguments.faults.seed),
            payloads,
            delay: Delay {
                least: Duration::from_micros(arguments.delay_us),
                jitter: Duration::from_micros(arguments.jitter_us),
            },
            stats: Stats::default(),
            faults: arguments.faults,
            connections: AtomicU64::new(0),
            ledgers: AtomicU64::new(1),
        }
    }

    /// A number for a new connection, and its faults.
    pub(crate) fn connection(&self) -> (u64, Faults) {
        let number = self.connections.fetch_add(1, Relaxed);
        (number, Faults::new(&self.faults, number))
    }

    pub(crate) fn next_ledger(&self) -> u64 {
        self.ledgers.fetch_add(1, Relaxed)
    }
}
