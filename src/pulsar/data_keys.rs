//! Data keys on their way to be decrypted: consumers want them, the outer world does it, since a private
//! RSA operation would hold the shard.
//!
//! A key that several consumers want is asked for once. So many are asked for at a time; further ones
//! wait their turn, at most one for each consumer, because one that waits for a key reads nothing
//! else. What comes back is remembered by [`Opener`](super::crypto::Opener); then the consumers go on in
//! turns, all together by so many bytes in a call.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use slotmap::SlotMap;

use super::{
    Effect, Event, Pulsar, Scratch, Timer,
    crypto::SealedKey,
    half::{HalfKey, Role, State},
};
use crate::{
    config::DataKey,
    timer::{Instant, Now},
};

slotmap::new_key_type! {
    /// Names a data key that is being decrypted.
    pub struct DataKeyRequest;
}

/// Asked for at a time: enough to keep the outer world busy, and so few that other shards get their
/// turn soon.
const UNDER_WAY_MAX: usize = 4;

/// A rest when the outer world has too much to do.
const BUSY_REST: Duration = Duration::from_millis(10);

/// What consumers may read of their entries in one call, and the rest before the next one.
const OPENED_BYTES_MAX: usize = 1 << 20;
const OPEN_REST: Duration = Duration::from_millis(1);

/// The data keys that are wanted.
#[derive(Debug, Default)]
pub(super) struct DataKeys {
    wanted: SlotMap<DataKeyRequest, Wanted>,
    by_key: BTreeMap<SealedKey, DataKeyRequest>,
    /// Not asked for yet, in order.
    waiting: VecDeque<DataKeyRequest>,
    under_way: usize,
    /// Consumers whose entries may be read on, in turns.
    ready: VecDeque<HalfKey>,
    /// Not before; a timer is set for it if any is ready.
    open_at: Instant,
}

#[cfg(test)]
impl DataKeys {
    /// Nothing is left of any key.
    pub(super) fn is_idle(&self) -> bool {
        self.wanted.is_empty()
            && self.by_key.is_empty()
            && self.waiting.is_empty()
            && self.ready.is_empty()
            && self.under_way == 0
    }
}

#[derive(Debug)]
struct Wanted {
    key: SealedKey,
    /// By whom.
    halves: Vec<HalfKey>,
}

impl Pulsar {
    /// A consumer's entries wait for this data key.
    pub(super) fn want_data_key(&mut self, half: HalfKey, key: SealedKey) {
        let keys = &mut self.data_keys;
        let request = keys.by_key.get(&key).copied();
        if let Some(wanted) = request.and_then(|request| keys.wanted.get_mut(request)) {
            if !wanted.halves.contains(&half) {
                wanted.halves.push(half);
            }
            return;
        }
        let request = keys.wanted.insert(Wanted {
            key: key.clone(),
            halves: vec![half],
        });
        keys.by_key.insert(key, request);
        keys.waiting.push_back(request);
        self.ask_for_data_keys();
    }

    /// The answer to [`Effect::DecryptKey`]: the data key, or `None` if it can't be decrypted.
    pub fn handle_data_key(
        &mut self,
        now: Now,
        request: DataKeyRequest,
        key: Option<DataKey>,
        scratch: &mut Scratch,
    ) {
        let Some(wanted) = self.forget_data_key(request) else {
            return;
        };
        self.data_keys.under_way -= 1;
        let (opener, _) = scratch.decompressed.parts();
        opener.learn(now.mono, &wanted.key, key);
        self.data_keys.ready.extend(wanted.halves);
        self.ask_for_data_keys();
    }

    /// [`Effect::DecryptKey`] can't be done now; it is asked for again.
    pub fn handle_no_data_key(&mut self, now: Now, request: DataKeyRequest) {
        if self.data_keys.wanted.contains_key(request) {
            self.data_keys.under_way -= 1;
            self.data_keys.waiting.push_front(request);
            self.timers.set(now.mono + BUSY_REST, Timer::DataKeys);
        }
    }

    /// Asks for as many keys as may be asked for.
    pub(super) fn ask_for_data_keys(&mut self) {
        while self.data_keys.under_way < UNDER_WAY_MAX
            && let Some(request) = self.data_keys.waiting.pop_front()
        {
            let wanted = self.data_keys.wanted.get(request);
            let is_wanted = wanted.is_some_and(|wanted| {
                let mut halves = wanted.halves.iter();
                halves.any(|&half| self.is_parking(half))
            });
            if !is_wanted {
                self.forget_data_key(request);
            } else if let Some(wanted) = wanted {
                self.data_keys.under_way += 1;
                self.effects.push_back(Effect::DecryptKey {
                    request,
                    name: wanted.key.name.clone(),
                    encrypted: wanted.key.value.clone(),
                });
            }
        }
    }

    /// Reads on for consumers whose data key has come. To be called when a call is over.
    pub fn open_parked(&mut self, now: Now, scratch: &mut Scratch) {
        if now.mono < self.data_keys.open_at {
            return;
        }
        let mut bytes_left = OPENED_BYTES_MAX;
        while bytes_left > 0
            && let Some(half) = self.data_keys.ready.pop_front()
        {
            if self.open_parked_of(now, half, scratch, &mut bytes_left) {
                self.data_keys.ready.push_back(half);
            }
        }
        if !self.data_keys.ready.is_empty() {
            self.data_keys.open_at = now.mono + OPEN_REST;
            self.timers.set(self.data_keys.open_at, Timer::Parked);
        }
    }

    /// Tells whether the consumer has more to be read.
    fn open_parked_of(
        &mut self,
        now: Now,
        key: HalfKey,
        scratch: &mut Scratch,
        bytes_left: &mut usize,
    ) -> bool {
        let Some(half) = self.halves.get_mut(key) else {
            return false;
        };
        let (State::Ready { connection: at }, Role::Consumer(consuming)) =
            (&half.state, &mut half.role)
        else {
            return false;
        };
        let (at, session, is_part) = (*at, half.session, half.place.is_some());
        let Some(connection) = self.connections.get_mut(at) else {
            return false;
        };
        let out = connection.outbox.commands(&mut self.segments);
        let consumer = &mut consuming.consumer;
        let space = &mut scratch.decompressed;
        let has_more = consumer.open_parked(now, space, out, bytes_left);
        let wanted = consumer.take_wanted_key();
        if consumer.is_holding() {
            let messages = 0;
            self.events.push_back(Event::Released { session, messages });
            if is_part {
                self.note_held(key);
            }
        }
        self.announce(at);
        if let Some(wanted) = wanted {
            self.want_data_key(key, wanted);
        }
        self.post_letters(now, key);
        self.account_incomplete(now, key);
        self.arm_consumer(key);
        has_more
    }

    fn forget_data_key(&mut self, request: DataKeyRequest) -> Option<Wanted> {
        let wanted = self.data_keys.wanted.remove(request)?;
        self.data_keys.by_key.remove(&wanted.key);
        Some(wanted)
    }

    fn is_parking(&self, half: HalfKey) -> bool {
        match self.halves.get(half).map(|half| (&half.state, &half.role)) {
            Some((State::Ready { .. }, Role::Consumer(consuming))) => {
                consuming.consumer.is_parking()
            }
            _ => false,
        }
    }
}
