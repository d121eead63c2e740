//! Parts of a message, and the message they make.

use bytes::BytesMut;

use super::{
    arrive::Opened,
    chunks::{Joined, Whole},
    entry::{Cursor, HeldEntry, Shape},
    tracker::Tracker,
    wire::{ChunkOf, MessageCommand, Metadata, ValidationError},
};
use crate::{
    pulsar::payload::{Compression, DecompressError, Space},
    timer::Now,
};

impl Tracker {
    /// Joins a part with those that came before; tells when it was the last one. The permits of the
    /// others are given back, since only the message takes a place.
    pub(super) fn join(
        &mut self,
        now: Now,
        command: &MessageCommand<'_>,
        metadata: (&Metadata, &ChunkOf),
        bytes: (&[u8], &[u8]),
    ) -> Option<Whole> {
        let mut dropped = Vec::new();
        let entry = command.entry;
        let joined = self.chunks.join(now, entry, metadata, bytes, &mut dropped);
        match joined {
            Joined::Message(whole) => return Some(whole),
            Joined::Part => self.permits.give_back(1),
            Joined::Stale(entries) => {
                self.permits.give_back(1);
                self.stats.duplicates += 1;
                self.end_parts(now, &entries);
            }
            Joined::Lone => {
                self.permits.give_back(1);
                dropped.push(entry);
            }
            Joined::TooLarge => {
                self.leave(command, 1, "it is a part of a message that is too large");
            }
        }
        if let Some(patience) = &mut self.patience {
            for entry in dropped {
                self.outstanding.track(entry, patience.expiry(now.mono));
            }
        }
        None
    }

    /// A message that was put together: what is compressed was so as a whole.
    pub(super) fn open_joined<'e>(
        &mut self,
        now: Now,
        command: &MessageCommand<'_>,
        (whole, compression): (Whole, Compression),
        space: &mut Space,
        out: &mut BytesMut,
    ) -> Opened<'e> {
        let size = whole.metadata.uncompressed_size;
        let mut metadata = whole.metadata.clone();
        if let Some(chunk) = &mut metadata.chunk {
            chunk.first = whole.ids.first().copied();
        }
        let shape = Shape {
            arrived: now.mono,
            id: command.entry,
            redelivery_count: command.redelivery_count,
            sent: None,
            metadata,
        };
        let ids = whole.ids.clone();
        let held = if compression == Compression::None {
            whole.into_held(shape)
        } else {
            match space.decompress(compression, whole.content(), size) {
                Ok(content) => {
                    HeldEntry::new(shape, Cursor::default(), whole.encoded(), content, vec![])
                }
                Err(DecompressError::TooLarge) => {
                    self.leave(command, 1, "it would be too large uncompressed");
                    return Opened::Nothing;
                }
                Err(DecompressError::Corrupt) => {
                    self.discard(command, 1, ValidationError::Decompression, out);
                    self.end_parts(now, ids.split_last().map_or(&[], |(_, others)| others));
                    return Opened::Nothing;
                }
            }
        };
        if !self.spec.is_reader {
            self.chunks.note_delivered(ids);
        }
        if self.is_dead(now, &held.shape, held.metadata(), held.payload()) {
            self.permits.give_back(1);
            return Opened::Nothing;
        }
        Opened::Joined(held)
    }
}
