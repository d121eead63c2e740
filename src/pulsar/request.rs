//! Requests that wait for their answers, by number.

use std::collections::BTreeMap;

use super::{
    Pulsar, Timer, connection::ConnectionKey, error::Failure, half::HalfKey, lookup::LookupKey,
};
use crate::timer::{Instant, Now};

/// What was asked, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// How many partitions, or which broker.
    Lookup(LookupKey),
    /// PRODUCER or SUBSCRIBE.
    Create(HalfKey),
    /// CLOSE_PRODUCER or CLOSE_CONSUMER of a session that ended.
    Close(HalfKey),
    /// UNSUBSCRIBE.
    Unsubscribe(HalfKey),
    /// WATCH_TOPIC_LIST.
    Watch(HalfKey),
    /// Nobody cares about the answer.
    Forget,
}

/// A request on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// Where it was sent.
    pub(super) connection: ConnectionKey,
    pub(super) purpose: Purpose,
    deadline: Instant,
    /// The broker said that it takes longer, however long that is.
    pub(super) has_no_deadline: bool,
}

/// All requests of a shard. Requests are rare; the order of numbers is the order of asking, and
/// the one in which they fail when their connection is lost.
#[derive(Debug, Default)]
pub(super) struct Requests {
    next: u64,
    pending: BTreeMap<u64, Request>,
    /// [`Timer::Request`] is set: one for all, since deadlines come in the order of asking.
    is_timer_set: bool,
}

impl Requests {
    /// A new request's number.
    pub(super) fn add(
        &mut self,
        connection: ConnectionKey,
        purpose: Purpose,
        deadline: Instant,
    ) -> u64 {
        let id = self.next;
        self.next += 1;
        let request = Request {
            connection,
            purpose,
            deadline,
            has_no_deadline: false,
        };
        self.pending.insert(id, request);
        id
    }

    /// The request, no longer waiting.
    pub(super) fn remove(&mut self, id: u64) -> Option<Request> {
        self.pending.remove(&id)
    }

    /// A request that still waits.
    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Request> {
        self.pending.get_mut(&id)
    }

    /// The oldest request that has a deadline.
    fn oldest(&self) -> Option<(u64, Instant)> {
        let mut requests = self.pending.iter();
        let (&id, request) = requests.find(|(_, request)| !request.has_no_deadline)?;
        Some((id, request.deadline))
    }

    /// When to look for an answer that should have come, if nobody looks yet.
    fn take_timer(&mut self) -> Option<Instant> {
        let (_, deadline) = self.oldest().filter(|_| !self.is_timer_set)?;
        self.is_timer_set = true;
        Some(deadline)
    }

    /// Whether a half waited on a connection for being closed, which it does no longer.
    pub(super) fn take_close(&mut self, half: HalfKey, connection: ConnectionKey) -> bool {
        let is_meant = |request: &Request| {
            request.purpose == Purpose::Close(half) && request.connection == connection
        };
        let found = self.pending.iter().find(|(_, request)| is_meant(request));
        let id = found.map(|(&id, _)| id);
        id.is_some_and(|id| self.pending.remove(&id).is_some())
    }

    /// What waits on a connection, no longer waiting.
    pub(super) fn remove_all(&mut self, connection: ConnectionKey) -> Vec<Purpose> {
        let ids: Vec<_> = self
            .pending
            .iter()
            .filter(|(_, request)| request.connection == connection)
            .map(|(&id, _)| id)
            .collect();
        ids.iter()
            .filter_map(|id| Some(self.pending.remove(id)?.purpose))
            .collect()
    }
}

impl Pulsar {
    /// A request that was not done.
    pub(super) fn request_failed(&mut self, now: Now, purpose: Purpose, failure: &Failure) {
        match purpose {
            Purpose::Lookup(lookup) => self.lookup_failed(now, lookup, failure.clone()),
            Purpose::Create(half) => self.half_failed(now, half, failure),
            Purpose::Close(half) => self.forget(half),
            Purpose::Unsubscribe(half) => self.unsubscribe_failed(half, failure),
            Purpose::Watch(half) => self.watch_failed(now, half, failure),
            Purpose::Forget => {}
        }
    }

    /// Requests were not answered in time?
    pub(super) fn requests_timeout(&mut self, now: Now) {
        self.requests.is_timer_set = false;
        while let Some((id, deadline)) = self.requests.oldest()
            && deadline <= now.mono
        {
            self.request_timeout(now, id);
        }
        self.set_request_timer();
    }

    fn request_timeout(&mut self, now: Now, id: u64) {
        let Some(request) = self.requests.remove(id) else {
            return;
        };
        let (connection, purpose) = (request.connection, request.purpose);
        if let Purpose::Create(half) = purpose {
            // It may have been made after all, and would be in the way of the next try.
            self.close_at_broker(now, half, connection, Purpose::Forget);
        }
        let what = match purpose {
            Purpose::Lookup(_) => "Lookup request",
            _ => "request",
        };
        let failure = Failure::timeout(what, self.settings.operation_timeout, id);
        self.request_failed(now, purpose, &failure);
    }

    /// A request's number and its deadline.
    pub(super) fn request(&mut self, now: Now, connection: ConnectionKey, purpose: Purpose) -> u64 {
        let deadline = now.mono + self.settings.operation_timeout;
        let id = self.requests.add(connection, purpose, deadline);
        self.set_request_timer();
        id
    }

    fn set_request_timer(&mut self) {
        if let Some(deadline) = self.requests.take_timer() {
            self.timers.set(deadline, Timer::Request);
        }
    }
}
