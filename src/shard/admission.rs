//! How many handshakes may be under way in the process: further ones wait their turn, as in Jetty's QoS filter.
//!
//! A place that becomes free on this shard goes to who waits longest here. Those of other shards are seen by looking
//! now and then, as long as somebody waits.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::{Shard, Timer, budget::Budget};
use crate::{metrics::Bound, session::SessionKey, timer::Now};

/// How often a shard looks for places that others left.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Who waits for a place.
#[derive(Debug)]
pub(super) struct Admission {
    places: Arc<Budget>,
    /// Some may be gone.
    waiting: VecDeque<SessionKey>,
    timer: bool,
}

/// Where a client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has asked for nothing yet, or is done with its handshake.
    Outside,
    /// It waits for a place.
    Waiting,
    /// It has a place.
    Admitted,
}

impl Admission {
    pub(super) const fn new(places: Arc<Budget>) -> Self {
        Self {
            places,
            waiting: VecDeque::new(),
            timer: false,
        }
    }
}

impl Shard {
    /// Whether a client has a place; if not it waits for one, and is not read meanwhile.
    pub(super) fn admit(&mut self, now: Now, key: SessionKey) -> bool {
        let Some(client) = self.clients.get_mut(key) else {
            return false;
        };
        match client.standing {
            Standing::Admitted => return true,
            Standing::Waiting => return false,
            Standing::Outside => {}
        }
        let admission = &mut self.admission;
        if admission.waiting.is_empty() && admission.places.take(1) {
            client.standing = Standing::Admitted;
            return true;
        }
        client.standing = Standing::Waiting;
        if !std::mem::replace(&mut client.paused, true) {
            self.figures.counters.stopped(Bound::Handshakes);
        }
        admission.waiting.push_back(key);
        if !admission.timer {
            admission.timer = true;
            self.timers.set(now.mono + LOOK_INTERVAL, Timer::Admission);
        }
        false
    }

    /// A client's handshake is over, or the client is: its place goes to the next.
    pub(super) fn leave_place(&mut self, standing: Standing) {
        if standing == Standing::Admitted && !self.admit_next() {
            self.admission.places.give(1);
        }
    }

    /// Looks for places that other shards left.
    pub(super) fn admission_timeout(&mut self, now: Now) {
        self.admission.timer = false;
        while !self.admission.waiting.is_empty() && self.admission.places.take(1) {
            if !self.admit_next() {
                self.admission.places.give(1);
            }
        }
        if !self.admission.waiting.is_empty() {
            self.admission.timer = true;
            self.timers.set(now.mono + LOOK_INTERVAL, Timer::Admission);
        }
    }

    /// Gives a place that is free to who waits longest; false if nobody does.
    fn admit_next(&mut self) -> bool {
        while let Some(key) = self.admission.waiting.pop_front() {
            if let Some(client) = self.clients.get_mut(key) {
                client.standing = Standing::Admitted;
                self.may_resume(key);
                return true;
            }
        }
        false
    }
}
