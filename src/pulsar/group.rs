//! Several halves that are one to their session: the producers of a topic's partitions.
//!
//! A session's link names a half; where a lookup finds that its topic has partitions, that half becomes
//! a group, and one half for each partition its part. A part lives like any other half: it finds its
//! broker, loses it and comes back for itself, and what it has to tell goes straight to the session.
//! Only its opening, or failure to open, is the group's business. A part's place in its group never
//! changes.
//!
//! As with Java's `PartitionedProducerImpl`, the first partition's producer is made alone, the others
//! under its name; the session is open when all are there. From then on the number of partitions is
//! asked for again and again: when there are more, publishes go there once all new ones are open.

use std::{cell::Cell, rc::Rc};

use super::{
    Event, Pulsar, Timer,
    error::Failure,
    half::{HalfKey, Role, State, wire_id},
    lookup::Located,
    publishing::closed,
    routing::Router,
};
use crate::{
    session::{Lane, Link, Publish, PublishError, Spec},
    timer::Now,
};

/// A topic may have as many; each costs every session that publishes to it.
pub(super) const PARTITIONS_MAX: u32 = 10_000;

/// A half's place among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The half that is all of them.
    pub(super) group: HalfKey,
    /// Where it stands in [`Group::parts`].
    pub(super) index: usize,
    /// Which of its topic's partitions it is, if it is one: then there is nothing to ask about that.
    pub(super) partition: Option<u32>,
}

/// Several halves that are one.
#[derive(Debug)]
pub(super) struct Group {
    /// As the session asked for it.
    spec: Spec,
    pub(super) parts: Vec<HalfKey>,
    /// Parts that are not open yet.
    opening: usize,
    /// How many partitions the topic has, as far as known.
    partitions: u32,
    /// So many parts are in use, from the first on; the others are new.
    used: u32,
    kind: Kind,
}

/// What the parts are.
#[derive(Debug)]
enum Kind {
    Producers(Producers),
}

/// What producers have in common.
#[derive(Debug)]
struct Producers {
    router: Router,
    /// The first one's.
    name: Option<String>,
    in_flight_bytes: Rc<Cell<usize>>,
}

impl Group {
    /// Bytes of all parts' publishes in flight.
    pub(super) fn in_flight_bytes(&self) -> usize {
        let Kind::Producers(producers) = &self.kind;
        producers.in_flight_bytes.get()
    }

    /// The part that a publish goes to.
    fn route(&mut self, now: Now, publish: &Publish<'_>) -> Option<HalfKey> {
        let Kind::Producers(producers) = &mut self.kind;
        let router = &mut producers.router;
        let index = router.choose(now.wall_ms, publish.key, self.used);
        self.parts.get(index as usize).copied()
    }
}

impl Pulsar {
    /// A half's topic turned out to have partitions: it becomes the group of their halves.
    pub(super) fn become_group(&mut self, now: Now, key: HalfKey, partitions: u32) {
        let Some(half) = self.halves.get_mut(key) else {
            return;
        };
        let Some(spec) = half.spec.take() else {
            return;
        };
        if partitions > PARTITIONS_MAX {
            let text = format!("{partitions} partitions are more than {PARTITIONS_MAX}");
            return self.open_failed(now, key, &Failure::lookup(text));
        }
        let Spec::Producer(producer) = &*spec else {
            return self.become_fan_in(now, key, *spec, partitions);
        };
        let kind = Kind::Producers(Producers {
            router: Router::new(producer.partitioning, partitions, self.random.next()),
            name: None,
            in_flight_bytes: Rc::default(),
        });
        half.state = State::Grouped;
        half.role = Role::Group(Box::new(Group {
            spec: *spec,
            parts: Vec::new(),
            opening: 0,
            partitions,
            used: 0,
            kind,
        }));
        self.add_partitions(now, key, 0..1);
    }

    /// Publishes through the part that is to have it. Out of the way of who has no parts.
    #[inline(never)]
    pub(super) fn publish_routed(
        &mut self,
        now: Now,
        key: HalfKey,
        publish: &Publish<'_>,
    ) -> Result<Lane, PublishError> {
        match self.group(key).and_then(|group| group.route(now, publish)) {
            Some(part) => self.publish_at(now, part, publish),
            None => Err(closed()),
        }
    }

    /// The session ended: all parts are closed, each in its own time.
    pub(super) fn close_group(&mut self, now: Now, key: HalfKey) {
        self.close_parts(now, key);
        if let Some(half) = self.halves.remove(key)
            && let Role::Group(group) = half.role
        {
            for part in group.parts {
                self.close(now, Link(wire_id(part)));
            }
        }
    }

    /// A part is at its broker for the first time.
    pub(super) fn part_opened(&mut self, now: Now, part: HalfKey, place: Place) {
        if self.fan_in(place.group).is_some() {
            return self.fan_in_part_opened(now, place.group);
        }
        let name = match self.halves.get(part).map(|half| &half.role) {
            Some(Role::Producer(producer)) => Some(producer.name().to_owned()),
            _ => None,
        };
        let Some(group) = self.group(place.group) else {
            return;
        };
        group.opening = group.opening.saturating_sub(1);
        if group.opening > 0 {
            return;
        }
        let open = u32::try_from(group.parts.len()).unwrap_or(u32::MAX);
        let Kind::Producers(producers) = &mut group.kind;
        if producers.name.is_none() {
            producers.name = name;
        }
        if open < group.partitions {
            let more = open..group.partitions;
            return self.add_partitions(now, place.group, more);
        }
        group.used = open;
        self.group_opened(now, place.group);
    }

    /// All parts are open: the session is, and the next look at the partitions is due later.
    fn group_opened(&mut self, now: Now, key: HalfKey) {
        if let Some(half) = self.halves.get_mut(key) {
            let session = half.session;
            if !std::mem::replace(&mut half.is_open, true) {
                self.events.push_back(Event::Opened { session });
            }
        }
        self.count_later(now, key);
    }

    /// A part, which is forgotten already, could not be opened. The session can't then; one that is
    /// open goes on without the new parts, until partitions are counted again.
    pub(super) fn part_failed(&mut self, now: Now, place: Place, failure: &Failure) {
        if self.fan_in(place.group).is_some() {
            return self.fan_in_part_failed(now, place, failure);
        }
        let Some(half) = self.halves.get_mut(place.group) else {
            return;
        };
        let (session, is_open) = (half.session, half.is_open);
        if !is_open {
            let error = failure.open_error();
            self.events.push_back(Event::OpenFailed { session, error });
            return self.close_group(now, place.group);
        }
        let Some(group) = self.group(place.group) else {
            return;
        };
        group.opening = 0;
        group.partitions = group.used;
        let new = group.parts.split_off(group.used as usize);
        tracing::warn!(error = failure.text(), "new partitions are not used yet");
        for part in new {
            self.close(now, Link(wire_id(part)));
        }
        self.count_later(now, place.group);
    }

    /// Partitions are counted again.
    pub(super) fn count_partitions(&mut self, now: Now, key: HalfKey) {
        if let Some(group) = self.group(key) {
            let topic = group.spec.topic().to_owned();
            self.look_up_partitions(now, key, topic);
        } else {
            self.recheck_fan_in(now, key);
        }
    }

    /// The answer to that.
    pub(super) fn partitions_counted(
        &mut self,
        now: Now,
        key: HalfKey,
        answer: &Result<Located, Failure>,
    ) {
        let Some(group) = self.group(key) else {
            return self.fan_in_located(now, key, answer);
        };
        let known = group.partitions;
        let topic = group.spec.topic();
        match answer {
            Ok(Located::Partitions(count)) if (known + 1..=PARTITIONS_MAX).contains(count) => {
                tracing::info!(topic, known, count, "the topic has more partitions");
                group.partitions = *count;
                return self.add_partitions(now, key, known..*count);
            }
            Ok(Located::Partitions(count)) if *count == known => {}
            Ok(answer) => tracing::warn!(topic, known, ?answer, "partitions went, or are too many"),
            Err(failure) => {
                let error = failure.text();
                tracing::debug!(topic, error, "partitions can't be counted");
            }
        }
        self.count_later(now, key);
    }

    pub(super) fn count_later(&mut self, now: Now, key: HalfKey) {
        let at = now.mono + self.settings.partitions_interval;
        self.timers.set(at, Timer::Partitions(key));
    }

    /// Begins to open partitions' halves.
    fn add_partitions(&mut self, now: Now, key: HalfKey, partitions: std::ops::Range<u32>) {
        let Some(session) = self.halves.get(key).map(|half| half.session) else {
            return;
        };
        let Some(group) = self.group(key) else {
            return;
        };
        let Kind::Producers(producers) = &group.kind;
        let name = producers.name.clone();
        let in_flight_bytes = producers.in_flight_bytes.clone();
        let whole = group.spec.clone();
        let mut parts = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let mut spec = whole.clone();
            *spec.topic_mut() = format!("{}-partition-{partition}", whole.topic());
            let index = partition as usize;
            let place = Place {
                group: key,
                index,
                partition: Some(partition),
            };
            let Ok(part) = self.make_half(now, session, &spec, Some(place)) else {
                continue;
            };
            if let Some(half) = self.halves.get_mut(part)
                && let Role::Producer(producer) = &mut half.role
            {
                producer.join(partition, name.as_deref(), &in_flight_bytes);
            }
            parts.push(part);
        }
        if let Some(group) = self.group(key) {
            group.parts.extend(&parts);
            // All are counted before the first can fail.
            group.opening += parts.len();
        }
        for part in parts {
            self.look_up(now, part);
        }
    }

    /// The group that a half is.
    pub(super) fn group(&mut self, key: HalfKey) -> Option<&mut Group> {
        match &mut self.halves.get_mut(key)?.role {
            Role::Group(group) => Some(group),
            _ => None,
        }
    }
}
