//! A client that consumes, and acknowledges every message.

use std::sync::Arc;

use crate::{
    frames,
    publisher::Messages,
    shared::id_hash,
    tally::{Latencies, Tally},
    texts::Head,
    window::Window,
};

pub(crate) struct Consumer {
    messages: Arc<Messages>,
    /// Whether payloads are looked at.
    verify: bool,
    /// The number after the last one of each publisher, end to end.
    next: Vec<u64>,
    ack: Vec<u8>,
}

impl Consumer {
    pub(crate) fn new(messages: Arc<Messages>, verify: bool, publishers: usize) -> Self {
        Self {
            messages,
            verify,
            next: vec![0; publishers],
            ack: Vec::new(),
        }
    }

    /// Takes a delivery, and appends its acknowledgement to `out`.
    pub(crate) fn text(
        &mut self,
        delivery: &[u8],
        now: u64,
        window: &Window,
        tally: &mut Tally,
        latencies: &mut Latencies,
        out: &mut Vec<u8>,
    ) {
        let payload = frames::field(delivery, b"\"payload\":").unwrap_or_default();
        let Some(id) = frames::field(delivery, b"\"messageId\":") else {
            tally.consume.wrong += 1;
            return;
        };
        self.ack.clear();
        self.ack.extend_from_slice(b"{\"messageId\":\"");
        self.ack.extend_from_slice(id);
        self.ack.extend_from_slice(b"\"}");
        // Small, so it is not compressed even where that was agreed.
        frames::put(out, frames::TEXT, &self.ack);
        if let Some(run) = self.messages.run {
            match Head::of(payload) {
                Some(head) if head.run == run => {
                    self.count(head, now, window, tally, latencies);
                }
                _ => {
                    tally.stale += 1;
                    return;
                }
            }
        }
        let side = &mut tally.consume;
        side.total += 1;
        side.payload_bytes += (payload.len() / 4 * 3) as u64;
        match frames::hash_of(id) {
            Some(hash) => side.sum = side.sum.wrapping_add(hash),
            None => side.wrong += 1,
        }
        let headed = self.messages.run.is_some();
        if self.verify && !self.messages.texts.contain(payload, headed) {
            side.wrong += 1;
        }
    }

    fn count(
        &mut self,
        head: Head,
        now: u64,
        window: &Window,
        tally: &mut Tally,
        latencies: &mut Latencies,
    ) {
        let hash = id_hash(u64::from(head.publisher), head.number);
        tally.delivered_sum = tally.delivered_sum.wrapping_add(hash);
        let publisher = usize::try_from(head.publisher).unwrap_or(usize::MAX);
        if let Some(next) = self.next.get_mut(publisher) {
            if head.number < *next {
                tally.consume.reordered += 1;
            } else {
                *next = head.number + 1;
            }
        }
        if window.begun(now) {
            latencies.delivery.record(now - head.due.min(now));
        }
    }
}
