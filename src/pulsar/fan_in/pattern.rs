//! Topics that a pattern finds: asked for when the session opens, then watched through a broker, which
//! tells what comes and goes at once. A broker that can't is asked again and again.
//!
//! Of the Java client this is `PatternMultiTopicsConsumerImpl` and `TopicListWatcher`.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{NewPart, What};
use crate::{
    pulsar::{
        Event, Pulsar, Timer, command,
        connection::{ConnectionKey, Waiter},
        consumer::partition_of,
        error::{Cause, Failure},
        half::{HalfKey, Role, State, wire_id},
        proto::{CommandWatchTopicList, CommandWatchTopicListClose, Kind},
        request::Purpose,
    },
    session::{Link, pattern::TopicPattern},
    timer::{Instant, Now},
};

/// How long to rest when the connection to the broker that watches is lost, and before looking for what came while it
/// had not begun to tell.
const REST: Duration = Duration::from_secs(1);

/// Brokers watch no longer patterns (`subscriptionPatternMaxLength`, which may be set); then all topics
/// of the namespace are watched, and those that don't match are passed over here.
const WATCHED_PATTERN_BYTES_MAX: usize = 50;

/// What a pattern found, and how more is heard of.
#[derive(Debug)]
pub(super) struct Watch {
    pattern: TopicPattern,
    /// Topics, partitions one by one, and their places.
    topics: BTreeMap<String, usize>,
    /// Places of topics that are gone.
    free: Vec<usize>,
    watcher: Watcher,
    /// When to look again; an earlier timer means nothing.
    due: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watcher {
    /// There is none yet, or none any more.
    Off,
    /// Brokers don't want one.
    Refused,
    /// A connection is on its way.
    Connecting,
    /// WATCH_TOPIC_LIST was sent there.
    Asking(ConnectionKey),
    /// The broker there tells.
    On(ConnectionKey),
}

/// What a broker tells who watches.
pub(in crate::pulsar) enum WatchAnswer {
    /// All topics there are.
    All(Vec<String>),
    /// What changed.
    Update {
        new: Vec<String>,
        deleted: Vec<String>,
    },
}

/// What a partition is one of; a topic that is none is itself.
fn whole_topic(topic: &str) -> &str {
    match (partition_of(topic), topic.rsplit_once("-partition-")) {
        (Some(_), Some((whole, _))) => whole,
        _ => topic,
    }
}

impl Watch {
    pub(super) const fn new(pattern: TopicPattern) -> Self {
        Self {
            pattern,
            topics: BTreeMap::new(),
            free: Vec::new(),
            watcher: Watcher::Off,
            due: None,
        }
    }
}

impl Pulsar {
    /// Asks which topics there are; the answer is given to [`Pulsar::topics_found`].
    pub(super) fn find_topics(&mut self, now: Now, key: HalfKey) {
        if let Some(watch) = self.watch_mut(key) {
            let namespace = watch.pattern.namespace().to_owned();
            self.look_up_topics(now, key, namespace);
        }
    }

    /// All topics of the namespace: those that match and are new are consumed, those that vanished
    /// are not any more. Who is told which ones vanish believes no list, which may be older.
    pub(super) fn topics_found(&mut self, now: Now, key: HalfKey, topics: &[String]) {
        let Some(fan_in) = self.fan_in(key) else {
            return;
        };
        let What::Pattern(watch) = &fan_in.what else {
            return;
        };
        let is_told = matches!(watch.watcher, Watcher::On(_));
        let there: BTreeSet<_> = topics.iter().collect();
        let is_kept = |index: usize| is_told && self.is_consumed(fan_in.parts.get(index).copied());
        let known = watch.topics.iter();
        let vanished: Vec<_> = known
            .filter(|&(topic, &index)| !there.contains(topic) && !is_kept(index))
            .map(|(topic, _)| topic.clone())
            .collect();
        self.topics_changed(now, key, topics, &vanished);
    }

    fn topics_changed(&mut self, now: Now, key: HalfKey, new: &[String], vanished: &[String]) {
        for topic in vanished {
            self.forget_topic(now, key, topic);
        }
        let mut parts = Vec::new();
        for topic in new {
            let Some(index) = self.place_for(key, topic) else {
                continue;
            };
            self.clear_place(now, key, index);
            parts.push(NewPart {
                topic: topic.clone(),
                index,
                partition: partition_of(topic),
                asks_partitions: false,
            });
        }
        self.add_parts(now, key, parts);
    }

    /// Where a topic belongs that is not consumed and should be.
    fn place_for(&mut self, key: HalfKey, topic: &str) -> Option<usize> {
        let fan_in = self.fan_in(key)?;
        let What::Pattern(watch) = &fan_in.what else {
            return None;
        };
        if !watch.pattern.matches(whole_topic(topic)) {
            return None;
        }
        let index = match watch.topics.get(topic) {
            Some(&index) if self.is_consumed(fan_in.parts.get(index).copied()) => return None,
            Some(&index) => index,
            None => watch.free.last().copied().unwrap_or(watch.topics.len()),
        };
        let watch = self.watch_mut(key)?;
        watch.free.retain(|&free| free != index);
        watch.topics.insert(topic.to_owned(), index);
        Some(index)
    }

    /// Nobody is in a place but, perhaps, a part that has ended.
    fn clear_place(&mut self, now: Now, key: HalfKey, index: usize) {
        let fan_in = self.fan_in_mut(key);
        if let Some(part) = fan_in.and_then(|fan_in| fan_in.parts.get_mut(index)) {
            let part = std::mem::take(part);
            self.close(now, Link(wire_id(part)));
        }
    }

    /// Whether a part consumes its topic, or is about to.
    fn is_consumed(&self, part: Option<HalfKey>) -> bool {
        let half = part.and_then(|part| self.halves.get(part));
        half.is_some_and(|half| half.state != State::Ended)
    }

    /// A topic is gone. What the client holds of it can't be acknowledged any more.
    fn forget_topic(&mut self, now: Now, key: HalfKey, topic: &str) {
        let Some(watch) = self.watch_mut(key) else {
            return;
        };
        let Some(index) = watch.topics.remove(topic) else {
            return;
        };
        watch.free.push(index);
        let Some(fan_in) = self.fan_in_mut(key) else {
            return;
        };
        let Some(part) = fan_in.parts.get_mut(index).map(std::mem::take) else {
            return;
        };
        let Some(half) = self.halves.get(part) else {
            return;
        };
        let (session, was_open) = (half.session, half.is_open);
        self.close(now, Link(wire_id(part)));
        if let Some(consuming) = self.consuming_mut(part) {
            let messages = consuming.consumer.handle_detached();
            if messages > 0 {
                self.events.push_back(Event::Released { session, messages });
            }
        }
        if !was_open {
            self.fan_in_part_opened(now, key);
        }
    }

    /// Begins to watch, unless somebody does already; where that is impossible, looks again later.
    pub(super) fn watch(&mut self, now: Now, key: HalfKey) {
        let address = self.service_address();
        let interval = self.settings.partitions_interval;
        let Some(fan_in) = self.fan_in_mut(key) else {
            return;
        };
        if fan_in.is_unsubscribed {
            return;
        }
        let What::Pattern(watch) = &mut fan_in.what else {
            return;
        };
        let lacks = |&index: &usize| {
            let part = fan_in.parts.get(index);
            part.is_none_or(|part| *part == HalfKey::default())
        };
        let lacks_some = watch.topics.values().any(lacks);
        match (watch.watcher, address) {
            (Watcher::Off, Some(address)) => {
                watch.watcher = Watcher::Connecting;
                self.acquire(now, &address, Waiter::Watch(key));
            }
            (Watcher::Off | Watcher::Refused, _) => self.look_later(now, key, interval),
            _ if lacks_some => self.look_later(now, key, interval),
            _ => {}
        }
    }

    /// Looks again after a rest, unless that is to be done earlier anyway.
    pub(super) fn look_later(&mut self, now: Now, key: HalfKey, rest: Duration) {
        let at = now.mono + rest;
        if let Some(watch) = self.watch_mut(key)
            && watch.due.is_none_or(|due| at < due)
        {
            watch.due = Some(at);
            self.timers.set(at, Timer::Partitions(key));
        }
    }

    /// Is it time to look again?
    pub(super) fn recheck_pattern(&mut self, now: Now, key: HalfKey) {
        if let Some(watch) = self.watch_mut(key)
            && watch.due.is_some_and(|due| due <= now.mono)
        {
            watch.due = None;
            self.find_topics(now, key);
        }
    }

    /// A connection to a broker is there: it is asked to tell.
    pub(in crate::pulsar) fn watch_connected(&mut self, now: Now, key: HalfKey, at: ConnectionKey) {
        let watches = self.connections.get(at).is_some_and(|it| it.watches_topics);
        let Some(watch) = self.watch_mut(key) else {
            return;
        };
        if watch.watcher != Watcher::Connecting {
            return;
        }
        if !watches {
            watch.watcher = Watcher::Refused;
            return self.watch(now, key);
        }
        watch.watcher = Watcher::Asking(at);
        let namespace = watch.pattern.namespace().to_owned();
        let common = watch.pattern.common();
        let short = common.filter(|text| text.len() <= WATCHED_PATTERN_BYTES_MAX);
        let everything = || format!("{namespace}/.*");
        let topics_pattern = short.map_or_else(everything, str::to_owned);
        let request_id = self.request(now, at, Purpose::Watch(key));
        let Some(connection) = self.connections.get_mut(at) else {
            return;
        };
        let request = CommandWatchTopicList {
            request_id,
            watcher_id: wire_id(key),
            namespace,
            topics_pattern,
            topics_hash: None,
        };
        let out = connection.outbox.commands(&mut self.segments);
        command::put_command(out, Kind::WatchTopicList, &request);
        self.announce(at);
    }

    /// A broker tells something.
    pub(in crate::pulsar) fn watched(
        &mut self,
        now: Now,
        key: HalfKey,
        at: ConnectionKey,
        answer: WatchAnswer,
    ) {
        let Some(watch) = self.watch_mut(key) else {
            return;
        };
        match (watch.watcher, answer) {
            (Watcher::Asking(asked), WatchAnswer::All(topics)) if asked == at => {
                // Some may have come between the first answer and this one.
                self.topics_found(now, key, &topics);
                if let Some(watch) = self.watch_mut(key) {
                    watch.watcher = Watcher::On(at);
                }
                // Brokers make the list, and then begin to tell: what comes between is in neither.
                let rest = self.random.less_a_tenth(REST);
                self.look_later(now, key, rest);
            }
            (Watcher::On(on), WatchAnswer::Update { new, deleted }) if on == at => {
                self.topics_changed(now, key, &new, &deleted);
            }
            _ => {}
        }
    }

    /// The broker does not tell, or not any more.
    pub(in crate::pulsar) fn watch_failed(&mut self, now: Now, key: HalfKey, failure: &Failure) {
        let Some(watch) = self.watch_mut(key) else {
            return;
        };
        let namespace = watch.pattern.namespace();
        tracing::info!(namespace, error = failure.text(), "topics are not watched");
        let is_refused = matches!(failure.cause, Cause::Broker(_));
        watch.watcher = if is_refused {
            Watcher::Refused
        } else {
            Watcher::Off
        };
        let rest = if is_refused {
            self.settings.partitions_interval
        } else {
            self.random.less_a_tenth(REST)
        };
        self.look_later(now, key, rest);
    }

    /// A connection is gone, and with it those who watched there.
    pub(in crate::pulsar) fn watchers_lost(
        &mut self,
        now: Now,
        connection: ConnectionKey,
        failure: &Failure,
    ) {
        let watches = |role: &Role| match role {
            Role::FanIn(fan_in) => match &fan_in.what {
                What::Pattern(watch) => watch.watcher == Watcher::On(connection),
                _ => false,
            },
            _ => false,
        };
        let lost = self.halves.iter().filter(|(_, half)| watches(&half.role));
        let lost: Vec<_> = lost.map(|(key, _)| key).collect();
        for key in lost {
            self.watch_failed(now, key, failure);
        }
    }

    /// Nobody is to tell any more.
    pub(super) fn unwatch(&mut self, now: Now, key: HalfKey) {
        let Some(watch) = self.watch_mut(key) else {
            return;
        };
        watch.due = None;
        let watcher = std::mem::replace(&mut watch.watcher, Watcher::Off);
        if let Watcher::Asking(at) | Watcher::On(at) = watcher {
            let request_id = self.request(now, at, Purpose::Forget);
            if let Some(connection) = self.connections.get_mut(at) {
                let close = CommandWatchTopicListClose {
                    request_id,
                    watcher_id: wire_id(key),
                };
                let out = connection.outbox.commands(&mut self.segments);
                command::put_command(out, Kind::WatchTopicListClose, &close);
                self.announce(at);
            }
        }
    }

    fn watch_mut(&mut self, key: HalfKey) -> Option<&mut Watch> {
        match &mut self.fan_in_mut(key)?.what {
            What::Pattern(watch) => Some(watch),
            _ => None,
        }
    }
}
