//! What happened so far, over all connections.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Each connection adds to these once a read.
#[derive(Default)]
pub(crate) struct Stats {
    producers: AtomicU64,
    receipts: AtomicU64,
    receipts_sum: AtomicU64,
    deliveries: AtomicU64,
    acks: AtomicU64,
    acks_sum: AtomicU64,
    broken: AtomicU64,
    batches: AtomicU64,
    partial_acks: AtomicU64,
    send_errors: AtomicU64,
    refused: AtomicU64,
    drops: AtomicU64,
    bytes_received: AtomicU64,
    bytes_sent: AtomicU64,
}

/// What one read brought.
#[derive(Default)]
pub(crate) struct Turn {
    pub(crate) producers: u64,
    /// Publishes that were confirmed.
    pub(crate) receipts: u64,
    /// Hashes of their message ids, added up.
    pub(crate) receipts_sum: u64,
    pub(crate) deliveries: u64,
    pub(crate) acks: u64,
    /// Hashes of the acknowledged message ids, added up.
    pub(crate) acks_sum: u64,
    /// Publishes with a wrong checksum or payload.
    pub(crate) broken: u64,
    /// Publishes that were batches.
    pub(crate) batches: u64,
    /// Acknowledgements of single messages of a batch.
    pub(crate) partial_acks: u64,
    /// Entries that were answered by an error, on purpose.
    pub(crate) send_errors: u64,
    /// Producers and consumers that were refused, on purpose.
    pub(crate) refused: u64,
    /// Connections that were ended, on purpose.
    pub(crate) drops: u64,
    pub(crate) bytes_received: u64,
    /// Or put aside for later.
    pub(crate) bytes_sent: u64,
}

impl Stats {
    pub(crate) fn add(&self, turn: &Turn) {
        for (total, more) in [
            (&self.producers, turn.producers),
            (&self.receipts, turn.receipts),
            (&self.receipts_sum, turn.receipts_sum),
            (&self.deliveries, turn.deliveries),
            (&self.acks, turn.acks),
            (&self.acks_sum, turn.acks_sum),
            (&self.broken, turn.broken),
            (&self.batches, turn.batches),
            (&self.partial_acks, turn.partial_acks),
            (&self.send_errors, turn.send_errors),
            (&self.refused, turn.refused),
            (&self.drops, turn.drops),
            (&self.bytes_received, turn.bytes_received),
            (&self.bytes_sent, turn.bytes_sent),
        ] {
            // Wraps around, as sums of hashes may.
            total.fetch_add(more, Relaxed);
        }
    }

    pub(crate) fn json(&self) -> String {
        format!(
            r#"{{"producers":{},"receipts":{},"receipts_sum":"{:016x}","deliveries":{},"acks":{},"acks_sum":"{:016x}","broken":{},"batches":{},"partial_acks":{},"send_errors":{},"refused":{},"drops":{},"bytes_received":{},"bytes_sent":{}}}"#,
            self.producers.load(Relaxed),
            self.receipts.load(Relaxed),
            self.receipts_sum.load(Relaxed),
            self.deliveries.load(Relaxed),
            self.acks.load(Relaxed),
            self.acks_sum.load(Relaxed),
            self.broken.load(Relaxed),
            self.batches.load(Relaxed),
            self.partial_acks.load(Relaxed),
            self.send_errors.load(Relaxed),
            self.refused.load(Relaxed),
            self.drops.load(Relaxed),
            self.bytes_received.load(Relaxed),
            self.bytes_sent.load(Relaxed),
        )
    }
}
