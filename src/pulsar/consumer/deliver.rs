//! From an entry to the messages a client may have: what is stale, unreadable, corrupt, done or
//! already with the client is taken out here, and its permit given back.

use bytes::BytesMut;
use tracing::{debug, warn};

use super::{
    Consumer, Stats,
    acks::Acks,
    bits::Bits,
    chunks::{Chunks, Joined, Whole},
    dead_letter::{DeadLetters, Fate},
    entry::{Cursor, Entry, Found, HeldEntry, Shape, keys},
    load::Load,
    outstanding::{Known, Outstanding},
    parked::ParkedEntry,
    permits::Permits,
    put_error_ack, put_flow,
    redelivery::{Left, Patience, Rejections},
    spec::{ConsumerSpec, Position},
    wire::{ChunkOf, MessageCommand, Metadata, Sealing, Single, ValidationError},
};
use crate::{
    pulsar::{
        crypto::{Opening, SealedKey},
        message_id::EntryId,
        payload::{Compression, DecompressError, Scratch, Space},
    },
    session::consumer::Undecryptable,
    timer::Now,
};

/// Fewest bytes of a message in a batch: the size of its metadata.
const MEMBER_BYTES_MIN: usize = 4;

/// All a consumer knows of messages, apart from those it holds.
#[derive(Debug)]
pub(super) struct Tracker {
    pub(super) id: u64,
    pub(super) spec: ConsumerSpec,
    /// A broker knows the consumer.
    pub(super) attached: bool,
    /// Goes up when everything is asked for again; what the broker sent before is void.
    pub(super) epoch: u64,
    /// Behind which message a subscription that is not durable began.
    pub(super) start: Option<Position>,
    /// The last message that was taken.
    pub(super) taken: Option<Position>,
    pub(super) permits: Permits,
    pub(super) outstanding: Outstanding,
    /// How many messages of a topic that stores nothing are with the client.
    pub(super) volatile_out: u32,
    pub(super) acks: Acks,
    pub(super) rejections: Rejections,
    pub(super) patience: Option<Box<Patience>>,
    pub(super) dead_letters: Option<Box<DeadLetters>>,
    pub(super) chunks: Chunks,
    /// Entries that nobody here can decrypt, while the client has an ack timeout.
    pub(super) left: Left,
    pub(super) stats: Stats,
}

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
    /// to wait for another key or about so many bytes are read. Tells whether there are more to be read.
    pub fn open_parked(
        &mut self,
        now: Now,
        scratch: &mut Scratch,
        out: &mut BytesMut,
        bytes_max: usize,
    ) -> bool {
        let (mut bytes, mut must_wait) = (0, false);
        while bytes < bytes_max
            && let Some(parked) = self.held.unpark()
        {
            let Some(command) = parked.command() else {
                continue;
            };
            bytes += parked.len();
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
enum Opened<'e> {
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

    /// Joins a part with those that came before; tells when it was the last one. The permits of the
    /// others are given back, since only the message takes a place.
    fn join(
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

    /// These parts will never be a message.
    pub(super) fn end_parts(&mut self, now: Now, entries: &[EntryId]) {
        for entry in entries {
            self.outstanding.end(*entry);
            if !self.spec.is_reader {
                self.acks.add_whole(now.mono, *entry);
            }
        }
    }

    /// A message that was put together: what is compressed was so as a whole.
    fn open_joined<'e>(
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

    /// Whether the entry is, or was, made a dead letter instead of being delivered.
    fn is_dead(&mut self, now: Now, shape: &Shape, metadata: &[u8], payload: &[u8]) -> bool {
        let Some(letters) = &mut self.dead_letters else {
            return false;
        };
        let fate = letters.judge(now.mono, shape, metadata, payload);
        self.stats.duplicates += u64::from(fate == Fate::Known);
        fate != Fate::Deliver
    }

    /// The broker is told that the entry is done.
    pub(super) fn add_whole_ack(&mut self, now: Now, entry: EntryId) {
        self.acks.add_whole(now.mono, entry);
        if !self.chunks.is_empty() {
            for part in self.chunks.take(entry).unwrap_or_default() {
                self.acks.add_whole(now.mono, part);
            }
        }
        self.rejections.remove(entry);
        if let Some(letters) = &mut self.dead_letters {
            letters.forget(entry);
        }
    }

    /// The same for an entry that the client is not asked about.
    pub(super) fn end_entry(&mut self, now: Now, entry: EntryId) {
        self.outstanding.end(entry);
        self.add_whole_ack(now, entry);
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

    /// The next message of an entry that the client may have; the cursor stands behind it, and it
    /// counts as delivered. The permits of those left out are given back, as is its own.
    pub(super) fn next(
        &mut self,
        now: Now,
        shape: &Shape,
        cursor: &mut Cursor,
        payload: &[u8],
        mut out: Option<&mut BytesMut>,
    ) -> Option<Found> {
        let size = shape.size();
        let mut found = None;
        while found.is_none() && cursor.index < size {
            let index = cursor.index;
            let member = if shape.metadata.batch_size.is_some() {
                let Some(single) = Single::decode(payload, cursor.offset) else {
                    cursor.index = size;
                    self.discard_rest(shape, index, out.as_deref_mut());
                    return None;
                };
                cursor.offset = single.payload.end;
                Some(single)
            } else {
                cursor.offset = payload.len();
                None
            };
            cursor.index += 1;
            // The broker took no permit for what it does not mean.
            if !shape.is_sent(index) {
                continue;
            }
            self.permits.give_back(1);
            if member.as_ref().is_some_and(|single| single.compacted_out) {
                self.note_one_done(shape, index);
            } else if self.is_wanted(shape, index) {
                self.note_taken(now, shape, index);
                self.permits.note_delivered();
                found = Some(member.map_or(Found::Plain, |single| Found::Member(index, single)));
            } else {
                self.stats.duplicates += 1;
            }
        }
        if cursor.index >= size {
            self.finish(now, shape);
        }
        found
    }

    /// Passes permits on to the broker when there are enough.
    pub(super) fn flow(&mut self, held: Load, out: Option<&mut BytesMut>) {
        if let Some(out) = out
            && self.attached
            && let Some(permits) = self.permits.take(held)
        {
            put_flow(out, self.id, permits);
        }
    }

    /// Sent before everything was asked for again (`ConsumerBase.isValidConsumerEpoch`).
    fn is_stale(&self, command: &MessageCommand<'_>) -> bool {
        // -1 says "none", as Java's client has it.
        self.spec.is_exclusive()
            && command
                .consumer_epoch
                .is_some_and(|epoch| epoch != u64::MAX && epoch < self.epoch)
    }

    /// All of the entry is acknowledged, or lies before the start.
    fn is_done(&self, entry: EntryId, metadata: &Metadata) -> bool {
        if self.spec.is_volatile {
            return false;
        }
        if self.acks.is_done(entry) {
            return true;
        }
        metadata.batch_size.is_none()
            && (self.is_before(entry, None) || self.outstanding.known(entry, 0) != Known::Fresh)
    }

    /// The message lies before the start of a subscription that is not durable, or the reader read
    /// it.
    fn is_before(&self, entry: EntryId, index: Option<u32>) -> bool {
        let at_start = self.start.is_some_and(|start| {
            start.entry == entry
                && index.is_none_or(|index| start.batch_index.is_some_and(|start| index <= start))
        });
        let read = self.spec.is_reader
            && self.taken.is_some_and(|taken| {
                let whole = |index: Option<u32>| index.unwrap_or(u32::MAX);
                (entry, whole(index)) <= (taken.entry, whole(taken.batch_index))
            });
        at_start || read
    }

    /// Neither done, nor with the client, nor before the start.
    fn is_wanted(&self, shape: &Shape, index: u32) -> bool {
        if self.spec.is_volatile {
            return true;
        }
        let member = shape.metadata.batch_size.map(|_| index);
        !self.is_before(shape.id, member)
            && (self.spec.is_reader || self.outstanding.known(shape.id, index) == Known::Fresh)
    }

    /// What the broker left out of a batch is acknowledged there.
    fn note_left_out(&mut self, shape: &Shape) {
        if let (Some(sent), true) = (&shape.sent, self.spec.tracks_messages()) {
            self.outstanding
                .skip(shape.id, shape.size(), &sent.inverse());
        }
    }

    fn note_one_done(&mut self, shape: &Shape, index: u32) {
        if self.spec.tracks_messages() {
            self.outstanding.skip_one(shape.id, shape.size(), index);
        }
    }

    fn note_taken(&mut self, now: Now, shape: &Shape, index: u32) {
        let batch = shape.metadata.batch_size;
        self.taken = Some(Position {
            entry: shape.id,
            batch_index: batch.map(|_| index),
        });
        if self.spec.tracks_messages() {
            let patience = self.patience.as_mut();
            let expiry = patience.map(|patience| patience.expiry(now.mono));
            self.outstanding.deliver(shape.id, batch, index, expiry);
        } else if !self.spec.is_reader {
            self.volatile_out += 1;
        }
    }

    /// One message less is with the client, of a topic whose messages can't be told apart.
    pub(super) fn take_volatile(&mut self) -> bool {
        let was_out = self.volatile_out > 0;
        self.volatile_out = self.volatile_out.saturating_sub(1);
        self.permits.make_room(u32::from(was_out));
        was_out
    }

    /// The last message of an entry was taken.
    fn finish(&mut self, now: Now, shape: &Shape) {
        if self.spec.is_volatile {
            return;
        }
        if self.spec.is_reader {
            self.acks.add_cumulative(now.mono, shape.id);
        } else if shape.metadata.batch_size.is_some() && self.outstanding.finish(shape.id) {
            self.add_whole_ack(now, shape.id);
        }
    }

    /// A batch can't be read from this message on. As in Java all of the entry is acknowledged with
    /// a note.
    fn discard_rest(&mut self, shape: &Shape, index: u32, out: Option<&mut BytesMut>) {
        self.permits.give_back(shape.sent_from(index));
        self.stats.corrupt += 1;
        warn!(
            topic = self.spec.topic,
            ledger = shape.id.ledger,
            entry = shape.id.entry,
            index,
            "batch is corrupt; what is left of it is discarded"
        );
        if let Some(out) = out {
            put_error_ack(out, self.id, shape.id, ValidationError::BatchDeSerialize);
        }
        if self.spec.tracks_messages() {
            let mut rest = Bits::full(shape.size());
            for taken in 0..index {
                rest.clear(taken);
            }
            self.outstanding.skip(shape.id, shape.size(), &rest);
            self.outstanding.finish(shape.id);
        }
    }

    /// The entry is corrupt: acknowledged with a note, as in Java.
    fn discard(
        &mut self,
        command: &MessageCommand<'_>,
        permits: u32,
        error: ValidationError,
        out: &mut BytesMut,
    ) {
        let entry = command.entry;
        self.stats.corrupt += 1;
        self.permits.give_back(permits);
        warn!(
            topic = self.spec.topic,
            ledger = entry.ledger,
            entry = entry.entry,
            ?error,
            "entry is corrupt and discarded"
        );
        put_error_ack(out, self.id, entry, error);
    }

    /// The entry is not for this build: another consumer may read it some day, so it is not
    /// acknowledged. It may come again and again, so not each time is worth a warning.
    fn leave(&mut self, command: &MessageCommand<'_>, permits: u32, reason: &str) {
        let entry = command.entry;
        self.stats.unreadable += 1;
        self.permits.give_back(permits);
        if self.stats.unreadable.is_power_of_two() {
            warn!(
                topic = self.spec.topic,
                ledger = entry.ledger,
                entry = entry.entry,
                reason,
                so_far = self.stats.unreadable,
                "entry is left alone"
            );
        } else {
            debug!(
                ledger = entry.ledger,
                entry = entry.entry,
                reason,
                "entry is left alone"
            );
        }
    }
}
