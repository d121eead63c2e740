//! Messages that were stored in parts: put together again, and known by their parts until they are
//! done.
//!
//! Each part is an entry of its own. They come in order, though those of several messages may come in
//! turns, and the message is that of the last one. What doesn't fit together is treated as by Java's
//! `ConsumerImpl`: a part that was stored twice is acknowledged, one whose predecessors are missing is
//! acknowledged once it is old, and so is all of a message that was never completed. A client that is
//! slow makes nothing old: while its messages wait, parts may be what has to wait behind them.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{
    entry::{HeldEntry, Shape},
    load::HeldBytes,
    wire::{ChunkOf, Metadata},
};
use crate::{
    pulsar::{message_id::EntryId, payload::UNCOMPRESSED_BYTES_MAX},
    timer::{Instant, Now},
};

/// Java's `maxPendingChunkedMessage`.
const INCOMPLETE_MAX: usize = 10;

/// Java's `expireTimeOfIncompleteChunkedMessageMillis`.
const INCOMPLETE_TIME: Duration = Duration::from_secs(60);

/// Delivered messages whose parts are remembered. Of a forgotten one, the first and the last part are
/// acknowledged with it, and the others when they come again.
const DELIVERED_MAX: usize = 10_000;

/// A consumer's messages in parts.
#[derive(Debug)]
pub(super) struct Chunks {
    /// Oldest first. `incomplete.len() <= INCOMPLETE_MAX`.
    incomplete: VecDeque<Incomplete>,
    bytes: HeldBytes,
    shard_bytes_max: usize,
    /// By their last part.
    delivered: BTreeMap<EntryId, Vec<EntryId>>,
}

#[derive(Debug)]
struct Incomplete {
    uuid: Vec<u8>,
    since: Instant,
    /// Parts so far, in order.
    ids: Vec<EntryId>,
    /// The first one's metadata, then the content so far.
    buffer: Vec<u8>,
    metadata: Metadata,
    metadata_len: usize,
}

/// What became of a part.
#[derive(Debug)]
pub(super) enum Joined {
    /// It was the last one; its parts, the message's metadata (as read and as stored) and its content.
    Message(Whole),
    /// There are more to come.
    Part,
    /// It is of no use; these entries are done.
    Stale(Vec<EntryId>),
    /// It is of no use now; if it comes again, it may be.
    Lone,
    /// It can't be put together here.
    TooLarge,
}

/// A message put together, as it was stored.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) metadata: Metadata,
    pub(super) ids: Vec<EntryId>,
    pub(super) buffer: Vec<u8>,
    pub(super) metadata_len: usize,
}

impl Chunks {
    /// None yet. What is incomplete counts into the sum of the shard, within these bounds.
    pub(super) const fn new(bytes: HeldBytes, shard_bytes_max: usize) -> Self {
        Self {
            incomplete: VecDeque::new(),
            bytes,
            shard_bytes_max,
            delivered: BTreeMap::new(),
        }
    }

    /// A part came. Entries of messages that had to make room are added to `dropped`.
    pub(super) fn join(
        &mut self,
        now: Now,
        entry: EntryId,
        (metadata, chunk): (&Metadata, &ChunkOf),
        (encoded, content): (&[u8], &[u8]),
        dropped: &mut Vec<EntryId>,
    ) -> Joined {
        let uuid = encoded.get(chunk.uuid.clone()).unwrap_or_default();
        if chunk.bytes > UNCOMPRESSED_BYTES_MAX {
            return Joined::TooLarge;
        }
        let found = self
            .incomplete
            .iter()
            .position(|message| message.uuid == uuid);
        let (index, mut stale) = (chunk.index, Vec::new());
        match found {
            Some(at) if index == 0 => {
                // Stored twice, unless it just comes again.
                if let Some(old) = self.remove(at)
                    && !old.ids.contains(&entry)
                {
                    stale = old.ids;
                }
            }
            Some(at) => {
                let parts = self
                    .incomplete
                    .get(at)
                    .map_or(0, |message| message.ids.len());
                match (index as usize).cmp(&parts) {
                    std::cmp::Ordering::Equal => {
                        let at = self.make_room(at, content.len(), dropped);
                        return self.append(at, entry, chunk, content);
                    }
                    std::cmp::Ordering::Less => {
                        let is_known = self.incomplete[at].ids.contains(&entry);
                        return Joined::Stale(if is_known { vec![] } else { vec![entry] });
                    }
                    std::cmp::Ordering::Greater => {
                        self.remove(at);
                        return lone(now, entry, metadata);
                    }
                }
            }
            None if index > 0 => return lone(now, entry, metadata),
            None => {}
        }
        self.bytes.add(encoded.len());
        self.incomplete.push_back(Incomplete {
            uuid: uuid.to_vec(),
            since: now.mono,
            ids: Vec::new(),
            buffer: encoded.to_vec(),
            metadata: metadata.clone(),
            metadata_len: encoded.len(),
        });
        let at = self.make_room(self.incomplete.len() - 1, content.len(), dropped);
        let joined = self.append(at, entry, chunk, content);
        match joined {
            Joined::Part if !stale.is_empty() => Joined::Stale(stale),
            joined => joined,
        }
    }

    /// The next part of a message.
    fn append(&mut self, at: usize, entry: EntryId, chunk: &ChunkOf, content: &[u8]) -> Joined {
        let Some(message) = self.incomplete.get_mut(at) else {
            return Joined::Lone;
        };
        if message.buffer.len() - message.metadata_len + content.len() > chunk.bytes {
            self.remove(at);
            return Joined::TooLarge;
        }
        message.ids.push(entry);
        message.buffer.extend_from_slice(content);
        self.bytes.add(content.len());
        if message.ids.len() < chunk.count as usize {
            return Joined::Part;
        }
        match self.remove(at) {
            Some(message) => Joined::Message(Whole {
                metadata: message.metadata,
                ids: message.ids,
                buffer: message.buffer,
                metadata_len: message.metadata_len,
            }),
            None => Joined::Lone,
        }
    }

    /// A session's incomplete messages have together no more bytes than one may have, and no more than
    /// the shard can hold; beside them, the one at `keep` is always let in. Tells where that is now.
    fn make_room(&mut self, keep: usize, bytes: usize, dropped: &mut Vec<EntryId>) -> usize {
        let mut keep = keep;
        while self.incomplete.len() > 1 {
            let load = self.bytes.load();
            let is_full = self.incomplete.len() > INCOMPLETE_MAX
                || load.own + bytes > UNCOMPRESSED_BYTES_MAX
                || load.shard + bytes > self.shard_bytes_max;
            if !is_full {
                break;
            }
            let oldest = usize::from(keep == 0);
            keep -= usize::from(keep > 0);
            dropped.extend(
                self.remove(oldest)
                    .map(|oldest| oldest.ids)
                    .unwrap_or_default(),
            );
        }
        keep
    }

    /// A part of this message came although the message is done or with the client.
    pub(super) fn forget_incomplete(&mut self, uuid: &[u8]) {
        if let Some(at) = self
            .incomplete
            .iter()
            .position(|message| message.uuid == uuid)
        {
            self.remove(at);
        }
    }

    /// The broker will send all parts again.
    pub(super) fn handle_detached(&mut self) {
        while self.remove(0).is_some() {}
    }

    /// A message is delivered, or a dead letter.
    pub(super) fn note_delivered(&mut self, ids: Vec<EntryId>) {
        if let Some(last) = ids.last() {
            self.delivered.insert(*last, ids);
        }
        if self.delivered.len() > DELIVERED_MAX {
            self.delivered.pop_first();
        }
    }

    /// The parts of a message that is done, or asked for again.
    pub(super) fn take(&mut self, last: EntryId) -> Option<Vec<EntryId>> {
        self.delivered.remove(&last)
    }

    /// Whether no message in parts is delivered, which is the usual case.
    pub(super) fn is_empty(&self) -> bool {
        self.delivered.is_empty()
    }

    /// When [`Chunks::expire`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        Some(self.incomplete.front()?.since + INCOMPLETE_TIME)
    }

    /// Moves the parts of what was never completed to `entries`, unless parts may have had to wait.
    pub(super) fn expire(&mut self, now: Instant, is_waiting: bool, entries: &mut Vec<EntryId>) {
        while self.deadline().is_some_and(|deadline| deadline <= now) {
            if is_waiting {
                for message in &mut self.incomplete {
                    message.since = now;
                }
            } else if let Some(message) = self.remove(0) {
                entries.extend(message.ids);
            }
        }
    }

    fn remove(&mut self, at: usize) -> Option<Incomplete> {
        let message = self.incomplete.remove(at)?;
        self.bytes.remove(message.buffer.len());
        Some(message)
    }
}

/// A part whose predecessors are missing.
fn lone(now: Now, entry: EntryId, metadata: &Metadata) -> Joined {
    let time_ms = u64::try_from(INCOMPLETE_TIME.as_millis()).unwrap_or(u64::MAX);
    if now.wall_ms > metadata.publish_time_ms.saturating_add(time_ms) {
        Joined::Stale(vec![entry])
    } else {
        Joined::Lone
    }
}

impl Whole {
    /// What was put together, as it was stored.
    pub(super) fn content(&self) -> &[u8] {
        self.buffer.get(self.metadata_len..).unwrap_or_default()
    }

    /// The metadata, as it was stored.
    pub(super) fn encoded(&self) -> &[u8] {
        self.buffer.get(..self.metadata_len).unwrap_or_default()
    }

    /// The same as an entry to be held.
    pub(super) fn into_held(self, shape: Shape) -> HeldEntry {
        HeldEntry::of_buffer(shape, self.buffer, self.metadata_len)
    }
}
