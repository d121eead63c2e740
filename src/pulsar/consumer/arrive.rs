//! An entry arrives: what is stale, unreadable, corrupt or done is taken out here, and its permit
//! given back; what is left is decrypted, joined and decompressed.

use bytes::BytesMut;

use super::{
    Consumer,
    dead_letter::Fate,
    entry::{Cursor, Entry, HeldEntry, Shape, keys},
    parked::ParkedEntry,
    tracker::Tracker,
    wire::{MessageCommand, Metadata, Sealing, ValidationError},
};
use crate::{
    pulsar::{
        crypto::{Opening, SealedKey},
        payload::{Compression, DecompressError, Scratch},
    },
    session::consumer::Undecryptable,
    timer::Now,
};

/// Fewest bytes of a message in a batch: the size of its metadata.
const MEMBER_BYTES_MIN: usize = 4;

impl Consumer {
    /// An entry arrived. Comes back when it holds something the client may have; otherwise all is
    /// done that has to be.
    pub fn handle_entry<'e>(
        &mut self,
        now: Now,
        command: &MessageCommand<'_>,
        metadata: &'e [u8],
        payload: &'e [u8],
        scratch: &'e mut Scratch,
        out: &mut BytesMut,
    ) -> Option<Entry<'e>> {
        if self.held.is_parking() {
            self.held
                .park(ParkedEntry::new(now.mono, command, metadata, payload));
            return None;
        }
        let tracker = &mut self.tracker;
        let entry = match tracker.open(now, command, metadata, payload, scratch, out) {
            Opened::Nothing => None,
            Opened::Waits(key) => {
                self.held
                    .park(ParkedEntry::new(now.mono, command, metadata, payload));
                self.held.parked().want(key);
                None
            }
            Opened::Entry(shape, payload) => Some(Entry {
                session: self.session,
                shape,
                cursor: Cursor::default(),
                metadata,
                payload,
            }),
            Opened::Joined(entry) => {
                self.held.push_held(entry);
                self.has_joined = true;
                None
            }
        };
        tracker.permits.set_at_hand(entry.is_some());
        tracker.flow(self.held.load(), Some(out));
        entry
    }

    /// Reads entries that waited for a data key, and holds what they have for the client, until one has
    /// to wait for another key or so many bytes are read. Tells whether there are more to be read.
    pub fn open_parked(
        &mut self,
        now: Now,
        scratch: &mut Scratch,
        out: &mut BytesMut,
        bytes_left: &mut usize,
    ) -> bool {
        let mut must_wait = false;
        while *bytes_left > 0
            && let Some(parked) = self.held.unpark()
        {
            let Some(command) = parked.command() else {
                continue;
            };
            *bytes_left = bytes_left.saturating_sub(parked.len());
            scratch.parts().0.waits_for_none = self.held.parked().has_asked_enough();
            let (metadata, payload) = (parked.metadata(), parked.payload());
            let opened = self
                .tracker
                .open(now, &command, metadata, payload, scratch, out);
            match opened {
                Opened::Nothing => {}
                Opened::Entry(shape, payload) => self.held.push(Entry {
                    session: self.session,
                    shape: shape.that_arrived(parked.arrived()),
                    cursor: Cursor::default(),
                    metadata,
                    payload,
                }),
                Opened::Joined(entry) => {
                    self.held.push_held(entry.that_arrived(parked.arrived()));
                }
                Opened::Waits(key) => {
                    self.held.park_again(parked);
                    self.held.parked().want(key);
                    must_wait = true;
                    break;
                }
            }
            self.held.parked().note_read();
        }
        scratch.parts().0.waits_for_none = false;
        self.tracker.flow(self.held.load(), Some(out));
        self.held.is_parking() && !must_wait
    }

    /// The bytes of an entry are not those its checksum was made of. As in Java it is acknowledged
    /// with a note, since it will not get better.
    pub fn handle_corrupt(&mut self, command: &MessageCommand<'_>, out: &mut BytesMut) {
        self.tracker
            .discard(command, 1, ValidationError::ChecksumMismatch, out);
        self.tracker.flow(self.held.load(), Some(out));
    }
}

/// What was found in an entry.
pub(super) enum Opened<'e> {
    /// Nothing for the client, not now.
    Nothing,
    /// Its messages are in this payload.
    Entry(Shape, &'e [u8]),
    /// It was the last part of this message.
    Joined(HeldEntry),
    /// It can't be read before this data key is decrypted.
    Waits(SealedKey),
}

impl Tracker {
    /// Reads an entry: its metadata first, then (for what is left) the content is decrypted, a part is joined
    /// with the others, the content is decompressed, and a batch is measured.
    fn open<'e>(
        &mut self,
        now: Now,
        command: &MessageCommand<'_>,
        encoded: &[u8],
        payload: &'e [u8],
        scratch: &'e mut Scratch,
        out: &mut BytesMut,
    ) -> Opened<'e> {
        let Some(mut metadata) = Metadata::decode(encoded) else {
            self.discard(command, 1, ValidationError::ChecksumMismatch, out);
            return Opened::Nothing;
        };
        let size = metadata.batch_size.unwrap_or(1);
        let permits = command.sent_count(size);
        if self.is_stale(command) || self.is_done(command.entry, &metadata) {
            self.stats.duplicates += u64::from(permits);
            self.permits.give_back(permits);
            if let Some(chunk) = &metadata.chunk {
                let uuid = encoded.get(chunk.uuid.clone());
                self.chunks.forget_incomplete(uuid.unwrap_or_default());
            }
            return Opened::Nothing;
        }
        let (opener, space) = scratch.parts();
        let opening = if metadata.encrypted {
            let param = Sealing::read(encoded).param;
            opener.open(now.mono, keys(encoded), param, payload)
        } else {
            Opening::Content(payload)
        };
        let is_sealed = matches!(opening, Opening::Sealed);
        let payload = match opening {
            Opening::Content(content) => content,
            Opening::Sealed => payload,
            Opening::Wants(key) => return Opened::Waits(key),
        };
        if is_sealed && !self.takes_sealed(now, command, &mut metadata, permits, out) {
            return Opened::Nothing;
        }
        // Those of a batch that is one message now are given back, but for one.
        let permits = if is_sealed { 1 } else { permits };
        // What readers are told has no place for it.
        metadata.encrypted &= !self.spec.is_reader;
        let compression = match metadata.compression {
            _ if is_sealed => Compression::None,
            Some(compression) => compression,
            None => {
                self.leave(command, permits, "it is compressed in an unknown way");
                return Opened::Nothing;
            }
        };
        if let Some(chunk) = &metadata.chunk {
            let joined = self.join(now, command, (&metadata, chunk), (encoded, payload));
            return match joined {
                Some(whole) => self.open_joined(now, command, (whole, compression), space, out),
                None => Opened::Nothing,
            };
        }
        let payload = match space.decompress(compression, payload, metadata.uncompressed_size) {
            Ok(payload) => payload,
            Err(DecompressError::TooLarge) => {
                self.leave(command, permits, "it would be too large uncompressed");
                return Opened::Nothing;
            }
            Err(DecompressError::Corrupt) => {
                self.discard(command, permits, ValidationError::Decompression, out);
                return Opened::Nothing;
            }
        };
        let members_max = payload.len() / MEMBER_BYTES_MIN;
        if let Some(size) = metadata.batch_size
            && (size == 0 || usize::try_from(size).is_ok_and(|size| size > members_max))
        {
            self.discard(command, permits, ValidationError::BatchDeSerialize, out);
            return Opened::Nothing;
        }
        let shape = Shape {
            arrived: now.mono,
            id: command.entry,
            redelivery_count: command.redelivery_count,
            sent: metadata.batch_size.and_then(|size| command.sent(size)),
            metadata,
        };
        self.note_left_out(&shape);
        if self.is_dead(now, &shape, encoded, payload) {
            self.permits.give_back(permits);
            return Opened::Nothing;
        }
        Opened::Entry(shape, payload)
    }

    /// Whether the entry is, or was, made a dead letter instead of being delivered.
    pub(super) fn is_dead(
        &mut self,
        now: Now,
        shape: &Shape,
        metadata: &[u8],
        payload: &[u8],
    ) -> bool {
        let Some(letters) = &mut self.dead_letters else {
            return false;
        };
        let fate = letters.judge(now.mono, shape, metadata, payload);
        self.stats.duplicates += u64::from(fate == Fate::Known);
        fate != Fate::Deliver
    }

    /// Whether an entry that can't be decrypted goes to the client as it is; if not, all is done that
    /// has to be. The permits of a batch, which is one message then, are given back but for one.
    fn takes_sealed(
        &mut self,
        now: Now,
        command: &MessageCommand<'_>,
        metadata: &mut Metadata,
        permits: u32,
        out: &mut BytesMut,
    ) -> bool {
        match self.spec.undecryptable {
            Undecryptable::Leave => {
                self.leave(command, permits, "it can't be decrypted here");
                if let Some(patience) = &mut self.patience {
                    let expiry = patience.expiry(now.mono);
                    self.left.push(expiry, command.entry);
                }
                false
            }
            Undecryptable::Discard => {
                self.discard(command, permits, ValidationError::Decryption, out);
                false
            }
            Undecryptable::Deliver => {
                // Nobody can look into it.
                metadata.batch_size = None;
                metadata.sealed = true;
                let is_done = self.is_done(command.entry, metadata);
                self.permits.give_back(if is_done {
                    permits
                } else {
                    permits.saturating_sub(1)
                });
                !is_done
            }
        }
    }
}
