//! Several consumers that are one to their session: those of a topic's partitions, of the topics in a
//! list, or of the topics that a pattern finds.
//!
//! ```text
//!  session ── root ─┬─ topic a                          (one consumer)
//!                   ├─ topic b ─┬─ b-partition-0        (a topic that turned out to have partitions)
//!                   │           └─ b-partition-1
//!                   └─ …
//! ```
//!
//! As in a [`super::group`], a half that is several stands in the place of one, each part lives for
//! itself, and what it has for the client goes straight to the session. So the number of messages a
//! client may hold is the session's to watch; what is done here is to open and close parts together,
//! to find the part that a message id belongs to, and to take what parts hold in turn.
//!
//! Of the Java client this is `MultiTopicsConsumerImpl` and, for readers, `MultiTopicsReaderImpl`.

mod held;
mod ledgers;
mod pattern;
mod routing;

use std::collections::VecDeque;

use super::{
    Event, Pulsar,
    consumer::{Names, is_an_end},
    error::{Cause, Failure},
    group::Place,
    half::{HalfKey, Role, State, wire_id},
    lookup::Located,
    proto::ServerError,
};
use crate::{
    session::{
        Link, SessionKey, Spec,
        consumer::{self, Several},
        reader::Start,
    },
    timer::Now,
};
use ledgers::Ledgers;
use pattern::Watch;
pub(super) use pattern::WatchAnswer;

/// Java's `maxTotalReceiverQueueSizeAcrossPartitions`.
const PARTITIONS_QUEUES_MAX: u32 = 50_000;

/// Several consumers or readers that are one.
#[derive(Debug)]
pub(super) struct FanIn {
    /// As the session asked for it, with a name for all.
    spec: Spec,
    what: What,
    /// By place; where there is none, the key is null.
    parts: Vec<HalfKey>,
    /// Parts that are not open yet.
    opening: usize,
    /// What a reader's parts subscribe as.
    subscription: Option<String>,
    /// Bytes that may be held for all parts.
    held_bytes_max: usize,
    /// Which part a ledger is of.
    ledgers: Ledgers,
    /// Parts that may hold something for the client, next one first.
    holding: VecDeque<HalfKey>,
    is_unsubscribed: bool,
}

/// What the parts are.
#[derive(Debug)]
enum What {
    /// The partitions of one topic, as many as are known; a partition's number is its place.
    Partitions(u32),
    /// Topics that are given.
    Topics,
    /// Topics that are found.
    Pattern(Box<Watch>),
}

/// A part that is to be made.
#[derive(Debug)]
struct NewPart {
    topic: String,
    index: usize,
    partition: Option<u32>,
    /// It may have partitions itself.
    asks_partitions: bool,
}

impl FanIn {
    fn new(spec: Spec, what: What, held_bytes_max: usize) -> Self {
        Self {
            spec,
            what,
            parts: Vec::new(),
            opening: 0,
            subscription: None,
            held_bytes_max,
            ledgers: Ledgers::default(),
            holding: VecDeque::new(),
            is_unsubscribed: false,
        }
    }

    /// The subscription of all parts.
    pub(super) fn subscription(&self) -> Option<&str> {
        match &self.spec {
            Spec::Consumer(spec) => Some(&spec.subscription),
            _ => self.subscription.as_deref(),
        }
    }

    /// The parts there are, in order of their places.
    pub(super) fn parts(&self) -> impl Iterator<Item = HalfKey> + '_ {
        let is_there = |part: &HalfKey| *part != HalfKey::default();
        self.parts.iter().copied().filter(is_there)
    }

    /// The same as one of a part alone.
    fn part_spec(&self, topic: &str) -> Spec {
        let mut spec = self.spec.clone();
        topic.clone_into(spec.topic_mut());
        let queue = match &mut spec {
            Spec::Consumer(spec) => {
                spec.several = None;
                &mut spec.receiver_queue_size
            }
            Spec::Reader(spec) => &mut spec.receiver_queue_size,
            Spec::Producer(_) => return spec,
        };
        if let What::Partitions(count) = self.what {
            *queue = (*queue).min(PARTITIONS_QUEUES_MAX / count.max(1));
        }
        // A message at a time of each part is the least that several can be asked for.
        *queue = (*queue).max(1);
        spec
    }
}

impl Pulsar {
    /// A session that wants several topics. The half becomes a root at once.
    pub(super) fn open_several(&mut self, now: Now, key: HalfKey, spec: consumer::Spec) {
        let Some(several) = spec.several.clone() else {
            return;
        };
        let what = match &several {
            Several::Names(_) => What::Topics,
            Several::Pattern(pattern) => What::Pattern(Box::new(Watch::new(pattern.clone()))),
        };
        let held_bytes_max = self.settings.held_bytes_max;
        self.become_root(key, FanIn::new(Spec::Consumer(spec), what, held_bytes_max));
        match several {
            Several::Names(names) => {
                let new = names.into_iter().enumerate().map(|(index, topic)| NewPart {
                    topic,
                    index,
                    partition: None,
                    asks_partitions: true,
                });
                self.add_parts(now, key, new.collect());
            }
            Several::Pattern(_) => self.find_topics(now, key),
        }
    }

    /// A half's topic turned out to have partitions.
    pub(super) fn become_fan_in(&mut self, now: Now, key: HalfKey, spec: Spec, partitions: u32) {
        let is_behind_an_id = |spec: &Spec| matches!(spec, Spec::Reader(spec) if matches!(&spec.start, Start::After(id) if !is_an_end(id)));
        if is_behind_an_id(&spec) {
            let failure = Failure::illegal("The partitioned topic startMessageId is illegal");
            return self.open_failed(now, key, &failure);
        }
        let place = self.halves.get(key).and_then(|half| half.place());
        if let Some(place) = place
            && let Some(name) = self.named_twice(place, spec.topic(), partitions)
        {
            let failure = Failure::illegal(&format!(
                "Failed to subscribe for topic [{name}] in topics consumer. Topic is already \
                 being subscribed for in other thread."
            ));
            return self.open_failed(now, key, &failure);
        }
        let held_bytes_max = place
            .and_then(|place| self.fan_in(place.group))
            .map_or(self.settings.held_bytes_max, |parent| {
                parent.held_bytes_max / parent.parts.len().max(1)
            });
        let fan_in = FanIn::new(spec, What::Partitions(partitions), held_bytes_max);
        self.become_root(key, fan_in);
        self.add_missing_partitions(now, key);
    }

    /// A partition that stands in the list besides its whole topic.
    fn named_twice(&self, place: Place, topic: &str, partitions: u32) -> Option<String> {
        let Spec::Consumer(spec) = &self.fan_in(place.group)?.spec else {
            return None;
        };
        let Some(Several::Names(names)) = &spec.several else {
            return None;
        };
        let is_partition = |name: &&String| {
            let digits = name.strip_prefix(topic);
            let digits = digits.and_then(|rest| rest.strip_prefix("-partition-"));
            digits.is_some_and(|digits| digits.parse().is_ok_and(|n: u32| n < partitions))
        };
        names.iter().find(is_partition).cloned()
    }

    /// Names what all parts share, and puts it in place of the half.
    fn become_root(&mut self, key: HalfKey, mut fan_in: FanIn) {
        let mut names = Names::new(self.random.next());
        match &mut fan_in.spec {
            Spec::Consumer(spec) => {
                spec.name.get_or_insert_with(|| names.consumer());
            }
            Spec::Reader(spec) => {
                spec.name.get_or_insert_with(|| names.consumer());
                fan_in.subscription = Some(names.partitions_reader_subscription());
            }
            Spec::Producer(_) => {}
        }
        if let Some(half) = self.halves.get_mut(key) {
            half.spec = None;
            half.state = State::Grouped;
            half.role = Role::FanIn(Box::new(fan_in));
        }
    }

    /// Begins to open parts. Without any, what is to be opened is open.
    fn add_parts(&mut self, now: Now, key: HalfKey, new: Vec<NewPart>) {
        let Some(session) = self.halves.get(key).map(|half| half.session) else {
            return;
        };
        let mut made = Vec::with_capacity(new.len());
        for part in new {
            if let Some(half) = self.make_part(now, session, key, &part) {
                made.push((part.index, half));
            }
        }
        let Some(fan_in) = self.fan_in_mut(key) else {
            return;
        };
        for &(index, half) in &made {
            if fan_in.parts.len() <= index {
                fan_in.parts.resize(index + 1, HalfKey::default());
            }
            fan_in.parts[index] = half;
        }
        // All are counted before the first can fail.
        fan_in.opening += made.len();
        if fan_in.opening == 0 {
            return self.fan_in_opened(now, key);
        }
        let share = fan_in.held_bytes_max / fan_in.parts.len().max(1);
        for (_, part) in made {
            if let Some(consuming) = self.consuming_mut(part) {
                consuming.consumer.set_held_bytes_max(share);
            }
            self.look_up(now, part);
        }
    }

    fn make_part(
        &mut self,
        now: Now,
        session: SessionKey,
        key: HalfKey,
        part: &NewPart,
    ) -> Option<HalfKey> {
        let fan_in = self.fan_in(key)?;
        let spec = fan_in.part_spec(&part.topic);
        let subscription = fan_in.subscription.clone();
        let is_found = matches!(fan_in.what, What::Pattern(_));
        let place = Place {
            group: key,
            index: part.index,
            partition: part.partition,
        };
        let made = self.make_half(now, session, &spec, Some(place)).ok()?;
        let half = self.halves.get_mut(made)?;
        if !part.asks_partitions {
            half.spec = None;
        }
        if let Role::Consumer(consuming) = &mut half.role {
            consuming.consumer.join(subscription, !is_found);
        }
        Some(made)
    }

    /// Opens the partitions that have no consumer yet.
    fn add_missing_partitions(&mut self, now: Now, key: HalfKey) {
        let Some(fan_in) = self.fan_in(key) else {
            return;
        };
        let What::Partitions(count) = fan_in.what else {
            return;
        };
        let is_missing = |partition: &u32| {
            let part = fan_in.parts.get(*partition as usize);
            part.is_none_or(|part| *part == HalfKey::default())
        };
        let topic = fan_in.spec.topic();
        let new = (0..count).filter(is_missing).map(|partition| NewPart {
            topic: format!("{topic}-partition-{partition}"),
            index: partition as usize,
            partition: Some(partition),
            asks_partitions: false,
        });
        let new = new.collect();
        self.add_parts(now, key, new);
    }

    /// A part is at its broker for the first time.
    pub(super) fn fan_in_part_opened(&mut self, now: Now, key: HalfKey) {
        if let Some(fan_in) = self.fan_in_mut(key) {
            fan_in.opening = fan_in.opening.saturating_sub(1);
            if fan_in.opening == 0 {
                self.fan_in_opened(now, key);
            }
        }
    }

    /// All parts are open: the session is, or the part that they are.
    fn fan_in_opened(&mut self, now: Now, key: HalfKey) {
        let Some(half) = self.halves.get_mut(key) else {
            return;
        };
        let (session, place) = (half.session, half.place());
        if !std::mem::replace(&mut half.is_open, true) {
            match place {
                None => self.events.push_back(Event::Opened { session }),
                Some(place) => self.part_opened(now, key, place),
            }
        }
        match self.fan_in(key).map(|fan_in| &fan_in.what) {
            Some(What::Partitions(_)) => self.count_later(now, key),
            Some(What::Pattern(_)) => self.watch(now, key),
            Some(What::Topics) | None => {}
        }
    }

    /// A part, which is forgotten already, could not be opened. Nothing of it can then; once it is
    /// open it goes on without the new part, until that is tried again.
    pub(super) fn fan_in_part_failed(&mut self, now: Now, place: Place, failure: &Failure) {
        let key = place.group;
        let Some(half) = self.halves.get_mut(key) else {
            return;
        };
        let (is_open, is_root) = (half.is_open, half.place.is_none());
        let Role::FanIn(fan_in) = &mut half.role else {
            return;
        };
        fan_in.opening = fan_in.opening.saturating_sub(1);
        if let Some(part) = fan_in.parts.get_mut(place.index) {
            *part = HalfKey::default();
        }
        if is_open {
            tracing::warn!(error = failure.text(), "a new part is not consumed yet");
            if fan_in.opening == 0 {
                self.fan_in_opened(now, key);
            }
            return;
        }
        let failure = match fan_in.what {
            What::Partitions(count) if is_root => {
                let topic = fan_in.spec.topic();
                let text = &failure.message;
                Failure {
                    cause: match failure.cause {
                        // `PulsarClientException.wrap` has no class for it.
                        Cause::Broker(ServerError::SubscriptionNotFound) => Cause::Illegal,
                        cause => cause,
                    },
                    message: format!("Failed to subscribe {topic} with {count} partitions\n{text}"),
                }
            }
            _ => failure.clone(),
        };
        self.close_parts(now, key);
        self.open_failed(now, key, &failure);
    }

    /// The session ended, or can't begin: all parts are closed, each in its own time.
    pub(super) fn close_parts(&mut self, now: Now, key: HalfKey) {
        self.unwatch(now, key);
        let Some(fan_in) = self.fan_in_mut(key) else {
            return;
        };
        for part in std::mem::take(&mut fan_in.parts) {
            self.close(now, Link(wire_id(part)));
        }
    }

    /// Time to look whether there is more to consume.
    pub(super) fn recheck_fan_in(&mut self, now: Now, key: HalfKey) {
        let Some(fan_in) = self.fan_in(key) else {
            return;
        };
        if fan_in.is_unsubscribed {
            return;
        }
        match fan_in.what {
            What::Partitions(_) => {
                let topic = fan_in.spec.topic().to_owned();
                self.look_up_partitions(now, key, topic);
            }
            What::Pattern(_) => self.recheck_pattern(now, key),
            What::Topics => {}
        }
    }

    /// The answer to that.
    pub(super) fn fan_in_located(
        &mut self,
        now: Now,
        key: HalfKey,
        answer: &Result<Located, Failure>,
    ) {
        let is_open = self.halves.get(key).is_some_and(|half| half.is_open);
        let Some(fan_in) = self.fan_in_mut(key) else {
            return;
        };
        if fan_in.is_unsubscribed {
            return;
        }
        let topic = fan_in.spec.topic();
        match (answer, &mut fan_in.what) {
            (Ok(Located::Topics(topics)), What::Pattern(_)) => self.topics_found(now, key, topics),
            (Err(failure), What::Pattern(_)) if !is_open => self.open_failed(now, key, failure),
            (Ok(Located::Partitions(count)), What::Partitions(known)) => {
                if *count > *known && *count <= super::group::PARTITIONS_MAX {
                    tracing::info!(topic, known, count, "the topic has more partitions");
                    *known = *count;
                } else if *count < *known {
                    tracing::warn!(topic, known, count, "partitions went");
                }
                self.add_missing_partitions(now, key);
            }
            (answer, what) => {
                let is_pattern = matches!(what, What::Pattern(_));
                tracing::warn!(
                    topic,
                    ?answer,
                    "what there is to consume can't be found out"
                );
                if is_pattern {
                    self.look_later(now, key, self.settings.partitions_interval);
                } else {
                    self.count_later(now, key);
                }
            }
        }
    }

    /// The several consumers that a half is.
    pub(super) fn fan_in(&self, key: HalfKey) -> Option<&FanIn> {
        match &self.halves.get(key)?.role {
            Role::FanIn(fan_in) => Some(fan_in),
            _ => None,
        }
    }

    fn fan_in_mut(&mut self, key: HalfKey) -> Option<&mut FanIn> {
        match &mut self.halves.get_mut(key)?.role {
            Role::FanIn(fan_in) => Some(fan_in),
            _ => None,
        }
    }
}
