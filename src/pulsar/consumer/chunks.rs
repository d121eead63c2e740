//! Messages that were stored in parts: put together again, and known by their parts until they are
//! done.
//!
//! Each part is an entry of its own. They come in order, though those of several messages may come in
//! turns, and the message is that of the last one. What doesn't fit together is treated as by Java's
//! `ConsumerImpl`: a part that was stored twice is acknowledged, one whose predecessors are missing is
//! acknowledged once it is old, and so is all of a message that was never completed. A client that is
//! slow makes nothing old: while its messages wait, parts may be what has to wait behind them.
//!
//! What is incomplete is bounded for the shard, too. Who goes then is decided outside; of a message that
//! was given up only its parts are known from then on, so that none of them is taken for one without
//! predecessors. When all have come (or none did for long) they are asked for again, after a rest.

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

/// Messages that were given up, beside those. Of one more the oldest is asked for as far as it came.
const GIVEN_UP_MAX: usize = 100;

/// Java's `expireTimeOfIncompleteChunkedMessageMillis`.
const INCOMPLETE_TIME: Duration = Duration::from_secs(60);

/// Delivered messages whose parts are remembered. Of a forgotten one, the first and the last part are
/// acknowledged with it, and the others when they come again.
const DELIVERED_MAX: usize = 10_000;

/// The same in parts.
const DELIVERED_PARTS_MAX: usize = 1 << 20;

/// A rest before what was given up is asked for again, and the longest one after many in vain.
const REST_MIN: Duration = Duration::from_secs(1);
const REST_MAX: Duration = Duration::from_secs(60);

/// A consumer's messages in parts.
#[derive(Debug)]
pub(super) struct Chunks {
    /// Oldest first.
    incomplete: VecDeque<Incomplete>,
    bytes: HeldBytes,
    /// By their last part.
    delivered: BTreeMap<EntryId, Vec<EntryId>>,
    /// Parts of those.
    delivered_parts: usize,
    /// Parts of what was given up, to be asked for again, and when.
    returned: Vec<EntryId>,
    returned_at: Option<Instant>,
    /// Before the next message that was given up is asked for.
    rest: Duration,
}

#[derive(Debug)]
struct Incomplete {
    uuid: Vec<u8>,
    /// What is to become of it then is decided by [`Chunks::expire`].
    due: Instant,
    /// When its last part came.
    grown: Instant,
    count: u32,
    /// Only its parts are known, since there was no room for more.
    is_given_up: bool,
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
    /// None yet.
    pub(super) const fn new(bytes: HeldBytes) -> Self {
        Self {
            incomplete: VecDeque::new(),
            bytes,
            delivered: BTreeMap::new(),
            delivered_parts: 0,
            returned: Vec::new(),
            returned_at: None,
            rest: REST_MIN,
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
                        let at = self.make_room(now.mono, at, content.len(), dropped);
                        return self.append(now.mono, at, entry, chunk, content);
                    }
                    std::cmp::Ordering::Less => {
                        let is_known = self.incomplete[at].ids.contains(&entry);
                        return Joined::Stale(if is_known { vec![] } else { vec![entry] });
                    }
                    std::cmp::Ordering::Greater => {
                        self.abandon(now.mono, at);
                        return lone(now, entry, metadata);
                    }
                }
            }
            None if index > 0 => return lone(now, entry, metadata),
            None => {}
        }
        let message = Incomplete {
            uuid: uuid.to_vec(),
            due: now.mono + INCOMPLETE_TIME,
            grown: now.mono,
            count: chunk.count,
            is_given_up: false,
            ids: Vec::new(),
            buffer: encoded.to_vec(),
            metadata: metadata.clone(),
            metadata_len: encoded.len(),
        };
        self.bytes.add(message.bytes());
        self.incomplete.push_back(message);
        let newest = self.incomplete.len() - 1;
        let at = self.make_room(now.mono, newest, content.len(), dropped);
        let joined = self.append(now.mono, at, entry, chunk, content);
        match joined {
            Joined::Part if !stale.is_empty() => Joined::Stale(stale),
            joined => joined,
        }
    }

    /// The next part of a message.
    fn append(
        &mut self,
        now: Instant,
        at: usize,
        entry: EntryId,
        chunk: &ChunkOf,
        content: &[u8],
    ) -> Joined {
        let Some(message) = self.incomplete.get_mut(at) else {
            return Joined::Lone;
        };
        let content = if message.is_given_up {
            &[]
        } else if message.buffer.len() - message.metadata_len + content.len() > chunk.bytes {
            self.remove(at);
            return Joined::TooLarge;
        } else {
            content
        };
        let before = message.bytes();
        message.grown = now;
        message.ids.push(entry);
        message.buffer.extend_from_slice(content);
        self.bytes.add(message.bytes() - before);
        if !message.is_whole() {
            return Joined::Part;
        }
        if message.is_given_up {
            message.due = now + self.rest;
            self.rest = REST_MAX.min(self.rest * 2);
            return Joined::Part;
        }
        self.rest = REST_MIN;
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

    /// A session's incomplete messages have together no more bytes than one may have; beside them, the one
    /// at `keep` is always let in. Tells where that is now. As by default in Java, what had to go is left
    /// to patience and to the next reconnect, unless it was given up.
    fn make_room(
        &mut self,
        now: Instant,
        keep: usize,
        bytes: usize,
        dropped: &mut Vec<EntryId>,
    ) -> usize {
        let mut keep = keep;
        let is_content_kept = |message: &Incomplete| !message.is_given_up;
        let takes_room = self.incomplete.get(keep).is_some_and(is_content_kept);
        let bytes = if takes_room { bytes } else { 0 };
        loop {
            let kept = self.kept();
            let are_many_kept = kept > INCOMPLETE_MAX;
            let are_many_given_up = self.incomplete.len() - kept > GIVEN_UP_MAX;
            let are_large = self.bytes.load().own + bytes > UNCOMPRESSED_BYTES_MAX;
            let mut messages = self.incomplete.iter().enumerate();
            let oldest = messages.position(|(at, message)| {
                let has_to_go = if message.is_given_up {
                    are_many_given_up
                } else {
                    are_many_kept
                };
                at != keep && (are_large || has_to_go)
            });
            let Some(oldest) = oldest else {
                return keep;
            };
            keep -= usize::from(oldest < keep);
            dropped.extend(self.abandon(now, oldest));
        }
    }

    /// Since when the one of its messages that could be given up has not grown for longest.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let messages = self.incomplete.iter();
        let kept = messages.filter(|message| !message.is_given_up);
        kept.map(|message| message.grown).min()
    }

    /// How many messages could be given up.
    pub(super) fn kept(&self) -> usize {
        let messages = self.incomplete.iter();
        messages.filter(|message| !message.is_given_up).count()
    }

    /// Gives up the message that grew last, or the one that did not for longest.
    pub(super) fn give_up(&mut self, now: Instant, newest: bool) {
        let messages = self.incomplete.iter_mut();
        let kept = messages.filter(|message| !message.is_given_up);
        let message = if newest {
            kept.max_by_key(|message| message.grown)
        } else {
            kept.min_by_key(|message| message.grown)
        };
        if let Some(message) = message {
            let before = message.bytes();
            message.is_given_up = true;
            message.buffer = Vec::new();
            message.metadata_len = 0;
            message.due = now + INCOMPLETE_TIME;
            self.bytes.remove(before - message.bytes());
        }
    }

    /// All is asked for again.
    pub(super) fn forget_given_up(&mut self) {
        self.returned.clear();
        self.returned_at = None;
        while let Some(at) = self
            .incomplete
            .iter()
            .position(|message| message.is_given_up)
        {
            self.remove(at);
        }
    }

    /// A message can't be completed; if it was given up, what there is of it is asked for again. Otherwise
    /// these are its parts.
    fn abandon(&mut self, now: Instant, at: usize) -> Vec<EntryId> {
        match self.remove(at) {
            Some(message) if message.is_given_up => {
                self.returned.extend(message.ids);
                self.returned_at.get_or_insert(now + self.rest);
                self.rest = REST_MAX.min(self.rest * 2);
                Vec::new()
            }
            message => message.map_or_else(Vec::new, |message| message.ids),
        }
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
        self.forget_given_up();
    }

    /// A message is delivered, or a dead letter.
    pub(super) fn note_delivered(&mut self, ids: Vec<EntryId>) {
        let Some(last) = ids.last() else {
            return;
        };
        self.delivered_parts += ids.len();
        if let Some(old) = self.delivered.insert(*last, ids) {
            self.delivered_parts -= old.len();
        }
        while self.delivered.len() > DELIVERED_MAX || self.delivered_parts > DELIVERED_PARTS_MAX {
            let Some((_, ids)) = self.delivered.pop_first() else {
                break;
            };
            self.delivered_parts -= ids.len();
        }
    }

    /// The parts of a message that is done, or asked for again.
    pub(super) fn take(&mut self, last: EntryId) -> Option<Vec<EntryId>> {
        let ids = self.delivered.remove(&last)?;
        self.delivered_parts -= ids.len();
        Some(ids)
    }

    /// Whether no message in parts is delivered, which is the usual case.
    pub(super) fn is_empty(&self) -> bool {
        self.delivered.is_empty()
    }

    /// When [`Chunks::expire`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let due = self.incomplete.iter().map(|message| message.due);
        due.chain(self.returned_at).min()
    }

    /// Moves the parts of what was never completed to `entries`, unless parts may have had to wait.
    pub(super) fn expire(&mut self, now: Instant, is_waiting: bool, entries: &mut Vec<EntryId>) {
        let mut at = 0;
        while let Some(message) = self.incomplete.get_mut(at) {
            if message.due > now {
                at += 1;
            } else if is_waiting && !message.is_whole() {
                message.due = now + INCOMPLETE_TIME;
                at += 1;
            } else if let Some(message) = self.remove(at) {
                if message.is_given_up {
                    self.returned.extend(message.ids);
                    self.returned_at = Some(now);
                } else {
                    entries.extend(message.ids);
                }
            }
        }
    }

    /// Moves the parts that are to be asked for again to `entries`.
    pub(super) fn take_returned(&mut self, now: Instant, entries: &mut Vec<EntryId>) {
        if self.returned_at.is_some_and(|at| at <= now) {
            self.returned_at = None;
            entries.append(&mut self.returned);
        }
    }

    fn remove(&mut self, at: usize) -> Option<Incomplete> {
        let message = self.incomplete.remove(at)?;
        self.bytes.remove(message.bytes());
        Some(message)
    }
}

impl Incomplete {
    /// What it takes; parts may be empty, and yet they are known one by one.
    fn bytes(&self) -> usize {
        self.uuid.len() + self.buffer.len() + self.ids.len() * size_of::<EntryId>()
    }

    /// All its parts came.
    fn is_whole(&self) -> bool {
        self.ids.len() >= self.count as usize
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
