//! Entries that wait for a data key to be decrypted, and those that came behind them.
//!
//! They are kept as they came, in order. The broker gets no permits for them before they are read, so
//! no more of them wait than the client's queue takes, and their bytes count as held.

use std::collections::VecDeque;

use super::wire::{MessageCommand, Metadata};
use crate::{
    pulsar::{
        crypto::{SealedKey, TRIED_MAX},
        message_id::EntryId,
    },
    timer::Instant,
};

/// The entries of one consumer, oldest first.
#[derive(Debug, Default)]
pub(super) struct Parked {
    entries: VecDeque<ParkedEntry>,
    /// Data keys that the first one has asked for.
    asked: u32,
    /// To be asked for.
    wanted: Option<SealedKey>,
}

/// An entry as it came.
#[derive(Debug)]
pub(super) struct ParkedEntry {
    /// Command, metadata, payload.
    buffer: Vec<u8>,
    command_len: usize,
    metadata_len: usize,
    arrived: Instant,
}

impl Parked {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The first one wants this key; nothing else goes on before it has it.
    pub(super) fn want(&mut self, key: SealedKey) {
        self.asked += 1;
        self.wanted = Some(key);
    }

    /// The key that is to be asked for, once.
    pub(super) const fn take_wanted(&mut self) -> Option<SealedKey> {
        self.wanted.take()
    }

    /// Whether the first one may not ask again. What it asked for may be forgotten by the time it
    /// looks, so an end must be set.
    pub(super) const fn has_asked_enough(&self) -> bool {
        self.asked >= TRIED_MAX
    }

    /// Behind all others.
    pub(super) fn push(&mut self, entry: ParkedEntry) {
        self.entries.push_back(entry);
    }

    /// The first one goes on waiting.
    pub(super) fn put_back(&mut self, entry: ParkedEntry) {
        self.entries.push_front(entry);
    }

    /// The first one, to be read.
    pub(super) fn take(&mut self) -> Option<ParkedEntry> {
        self.entries.pop_front()
    }

    /// The first one was read.
    pub(super) const fn note_read(&mut self) {
        self.asked = 0;
    }

    /// Drops those that are asked for again (sorted); tells how many bytes they had, and for how many
    /// messages the broker took a permit.
    pub(super) fn release(&mut self, entries: &[EntryId]) -> (usize, u32) {
        let (mut bytes, mut permits) = (0, 0u32);
        self.entries.retain(|entry| {
            let is_wanted = entry
                .id()
                .is_none_or(|id| entries.binary_search(&id).is_err());
            if !is_wanted {
                bytes += entry.len();
                permits = permits.saturating_add(entry.permits());
            }
            is_wanted
        });
        (bytes, permits)
    }

    /// Drops all of them; tells the same.
    pub(super) fn clear(&mut self) -> (usize, u32) {
        let entries = std::mem::take(self).entries;
        let bytes = entries.iter().map(ParkedEntry::len).sum();
        let permits = entries.iter().map(ParkedEntry::permits);
        (bytes, permits.fold(0, u32::saturating_add))
    }
}

impl ParkedEntry {
    /// Copies an entry.
    pub(super) fn new(
        arrived: Instant,
        command: &MessageCommand<'_>,
        metadata: &[u8],
        payload: &[u8],
    ) -> Self {
        let command = command.encoded();
        Self {
            buffer: [command, metadata, payload].concat(),
            command_len: command.len(),
            metadata_len: metadata.len(),
            arrived,
        }
    }

    pub(super) const fn arrived(&self) -> Instant {
        self.arrived
    }

    pub(super) const fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Its command; `None` never, since it was read before.
    pub(super) fn command(&self) -> Option<MessageCommand<'_>> {
        MessageCommand::decode(self.buffer.get(..self.command_len)?)
    }

    pub(super) fn metadata(&self) -> &[u8] {
        let rest = self.buffer.get(self.command_len..).unwrap_or_default();
        rest.get(..self.metadata_len).unwrap_or_default()
    }

    pub(super) fn payload(&self) -> &[u8] {
        let start = self.command_len + self.metadata_len;
        self.buffer.get(start..).unwrap_or_default()
    }

    fn id(&self) -> Option<EntryId> {
        Some(self.command()?.entry)
    }

    fn permits(&self) -> u32 {
        let size = Metadata::decode(self.metadata()).and_then(|metadata| metadata.batch_size);
        self.command()
            .map_or(1, |command| command.sent_count(size.unwrap_or(1)))
    }
}
