//! Which broker owns a topic, and how many partitions it has.
//!
//! One lookup serves everything of the shard that waits for the same answer. It asks a service host
//! (first, for a session that opens, whether the topic has partitions), follows redirects, goes
//! through the service hosts in turn when one can't be reached, and tries again after a backoff
//! while the operation's time lasts. Only so many lookups are under way at a time: thousands of
//! producers come back after a broker's restart.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use slotmap::SlotMap;

use super::{
    Pulsar, Settings, Timer,
    backoff::Backoff,
    command,
    connection::{Address, ConnectionKey, Waiter},
    error::{Cause, Failure},
    half::HalfKey,
    proto::{
        CommandGetTopicsOfNamespace, CommandLookupTopic, CommandLookupTopicResponse,
        CommandPartitionedTopicMetadata, CommandPartitionedTopicMetadataResponse, Kind,
        ServerError,
    },
    request::Purpose,
};
use crate::timer::{Instant, Now};

slotmap::new_key_type! {
    /// Names a lookup.
    pub struct LookupKey;
}

/// Java's `maxLookupRedirects`.
const REDIRECTS_MAX: u32 = 20;

/// Longest rest while no service host can be reached, or not the broker that is said to have the
/// topic. Java rests up to a minute; but to try costs a shard one connection and, beside it, a lookup
/// a topic, and whoever rests too long times out publishes after the broker has come back, or the
/// topic has another one.
pub(super) const UNREACHABLE_REST_MAX: Duration = Duration::from_secs(2);

/// Service hosts of one cluster, asked in turn.
pub(super) type Hosts = Arc<[(String, u16)]>;

/// What is asked; who asks the same shares the answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    topic: String,
    wanted: Wanted,
    /// Somebody's opening depends on it.
    is_opening: bool,
    /// Where the topic went to; `None`: the settings' hosts.
    cluster: Option<Hosts>,
}

/// What is to be found out about a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// Its broker.
    Broker,
    /// Its partitions, or its broker if it has none. Asking may make the topic.
    PartitionsOrBroker,
    /// Its partitions. Asking makes nothing.
    Partitions,
    /// The persistent topics of a namespace, whose name stands in the place of a topic's.
    Topics,
}

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Located {
    /// The topic's broker.
    Broker(Address),
    /// How many partitions it has; 0 only for who wanted nothing else.
    Partitions(u32),
    /// Topics by their full names, partitions one by one.
    Topics(Vec<String>),
}

/// All lookups of a shard.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    lookups: SlotMap<LookupKey, Lookup>,
    by_question: BTreeMap<Question, LookupKey>,
    /// Wait for their turn.
    queue: VecDeque<LookupKey>,
    /// Under way; `active <= settings.lookups_max`.
    active: usize,
    /// Counts on when a service host can't be reached; which one is asked follows from it.
    host: usize,
}

#[derive(Debug)]
struct Lookup {
    question: Question,
    waiting: Vec<HalfKey>,
    step: Step,
    /// Whom it asks.
    asked: Address,
    /// Service hosts that have not failed in this try.
    hosts_left: usize,
    is_active: bool,
    backoff: Backoff,
    deadline: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Partitions,
    Topics,
    Broker { authoritative: bool, redirects: u32 },
}

impl Step {
    const BROKER: Self = Self::Broker {
        authoritative: false,
        redirects: 0,
    };
}

impl Pulsar {
    /// Finds the broker of a half's topic; the answer is given to [`Pulsar::half_located`]. A half
    /// that opens has only until its deadline.
    pub(super) fn look_up(&mut self, now: Now, key: HalfKey) {
        let Some(half) = self.halves.get(key) else {
            return;
        };
        let asks_partitions = half.spec.is_some();
        let question = Question {
            topic: half.topic.to_string(),
            wanted: if asks_partitions {
                Wanted::PartitionsOrBroker
            } else {
                Wanted::Broker
            },
            is_opening: !half.is_open,
            cluster: half.cluster.as_deref().cloned(),
        };
        let deadline = if half.is_open {
            now.mono + self.settings.operation_timeout
        } else {
            half.deadline
        };
        self.ask(now, key, question, deadline);
    }

    /// Counts a topic's partitions; the answer is given to [`Pulsar::half_located`].
    pub(super) fn look_up_partitions(&mut self, now: Now, key: HalfKey, topic: String) {
        let question = Question {
            topic,
            wanted: Wanted::Partitions,
            is_opening: false,
            cluster: None,
        };
        let deadline = now.mono + self.settings.operation_timeout;
        self.ask(now, key, question, deadline);
    }

    /// Asks which topics a namespace has; the answer is given to [`Pulsar::half_located`].
    pub(super) fn look_up_topics(&mut self, now: Now, key: HalfKey, namespace: String) {
        let Some(half) = self.halves.get(key) else {
            return;
        };
        let (is_opening, open_by) = (!half.is_open, half.deadline);
        let question = Question {
            topic: namespace,
            wanted: Wanted::Topics,
            is_opening,
            cluster: None,
        };
        let later = now.mono + self.settings.operation_timeout;
        let deadline = if is_opening { open_by } else { later };
        self.ask(now, key, question, deadline);
    }

    /// The service host whose turn it is; `None` where all is asked outside.
    pub(super) fn service_address(&self) -> Option<Address> {
        let hosts = &self.settings.brokers;
        let (host, port) = hosts.get(self.lookups.host % hosts.len().max(1))?;
        (!self.settings.locates_outside).then(|| Address::direct(host, *port))
    }

    fn ask(&mut self, now: Now, half: HalfKey, question: Question, deadline: Instant) {
        if let Some(&key) = self.lookups.by_question.get(&question)
            && let Some(lookup) = self.lookups.lookups.get_mut(key)
        {
            lookup.deadline = lookup.deadline.max(deadline);
            lookup.waiting.push(half);
            return;
        }
        let key = self.lookups.lookups.insert(Lookup {
            question: question.clone(),
            waiting: vec![half],
            step: match question.wanted {
                Wanted::Broker => Step::BROKER,
                Wanted::PartitionsOrBroker | Wanted::Partitions => Step::Partitions,
                Wanted::Topics => Step::Topics,
            },
            asked: Address::direct("", 0),
            hosts_left: 0,
            is_active: false,
            backoff: Backoff::new(None),
            deadline,
        });
        self.lookups.by_question.insert(question, key);
        self.lookups.queue.push_back(key);
        self.start_lookups(now);
    }

    /// Starts as many of those that wait as may be under way.
    fn start_lookups(&mut self, now: Now) {
        while self.lookups.active < self.settings.lookups_max {
            let Some(key) = self.lookups.queue.pop_front() else {
                return;
            };
            if let Some(lookup) = self.lookups.lookups.get_mut(key) {
                lookup.is_active = true;
                lookup.hosts_left = hosts(&lookup.question, &self.settings).len();
                self.lookups.active += 1;
                self.ask_service_host(now, key);
            }
        }
    }

    fn ask_service_host(&mut self, now: Now, key: LookupKey) {
        let Some(lookup) = self.lookups.lookups.get_mut(key) else {
            return;
        };
        if self.settings.locates_outside && lookup.question.cluster.is_none() {
            let topic = lookup.question.topic.clone();
            let wanted = lookup.question.wanted;
            return self.ask_outside(key, topic, wanted);
        }
        let hosts = hosts(&lookup.question, &self.settings);
        let Some((host, port)) = hosts.get(self.lookups.host % hosts.len().max(1)) else {
            let failure = Failure::connection("no broker is configured");
            return self.finish_lookup(now, key, &Err(failure));
        };
        lookup.asked = Address::direct(host, *port);
        let address = lookup.asked.clone();
        self.acquire(now, &address, Waiter::Lookup(key));
    }

    /// A connection to whom it asks is there.
    pub(super) fn lookup_connected(
        &mut self,
        now: Now,
        key: LookupKey,
        connection_key: ConnectionKey,
    ) {
        let Some(lookup) = self.lookups.lookups.get(key) else {
            return;
        };
        let (topic, step) = (lookup.question.topic.clone(), lookup.step);
        let may_create = lookup.question.wanted == Wanted::PartitionsOrBroker;
        let request_id = self.request(now, connection_key, Purpose::Lookup(key));
        let Some(connection) = self.connections.get_mut(connection_key) else {
            return;
        };
        let out = connection.outbox.commands(&mut self.segments);
        match step {
            Step::Partitions => {
                let request = CommandPartitionedTopicMetadata {
                    topic,
                    request_id,
                    metadata_auto_creation_enabled: Some(may_create),
                };
                command::put_command(out, Kind::PartitionedMetadata, &request);
            }
            Step::Topics => {
                let request = CommandGetTopicsOfNamespace {
                    request_id,
                    namespace: topic,
                };
                command::put_command(out, Kind::GetTopicsOfNamespace, &request);
            }
            Step::Broker { authoritative, .. } => {
                let request = CommandLookupTopic {
                    topic,
                    request_id,
                    authoritative: Some(authoritative),
                };
                command::put_command(out, Kind::Lookup, &request);
            }
        }
        self.announce(connection_key);
    }

    /// PARTITIONED_METADATA_RESPONSE.
    pub(super) fn partitions_answered(
        &mut self,
        now: Now,
        key: LookupKey,
        connection: ConnectionKey,
        answer: &CommandPartitionedTopicMetadataResponse,
    ) {
        if answer.response != Some(CommandPartitionedTopicMetadataResponse::SUCCESS) {
            let failure = refusal(answer.error, answer.request_id, answer.message.as_deref());
            return self.lookup_failed(now, key, failure);
        }
        let Some(lookup) = self.lookups.lookups.get_mut(key) else {
            return;
        };
        let partitions = answer.partitions();
        if partitions > 0 || lookup.question.wanted == Wanted::Partitions {
            self.finish_lookup(now, key, &Ok(Located::Partitions(partitions)));
        } else {
            lookup.step = Step::BROKER;
            self.lookup_connected(now, key, connection);
        }
    }

    /// LOOKUP_RESPONSE.
    pub(super) fn lookup_answered(
        &mut self,
        now: Now,
        key: LookupKey,
        answer: &CommandLookupTopicResponse,
    ) {
        let is_redirect = match answer.response {
            Some(CommandLookupTopicResponse::REDIRECT) => true,
            Some(CommandLookupTopicResponse::CONNECT) => false,
            _ => {
                let failure = refusal(answer.error, answer.request_id, answer.message.as_deref());
                return self.lookup_failed(now, key, failure);
            }
        };
        let Some(lookup) = self.lookups.lookups.get_mut(key) else {
            return;
        };
        let url = answer.broker_service_url();
        let Some((host, port)) = Address::parse_url(url) else {
            let failure = Failure::lookup(format!("the broker's address is no URL: '{url}'"));
            return self.lookup_failed(now, key, failure);
        };
        if !is_redirect {
            // A standalone broker is its own proxy, and wants no detour to itself.
            let is_itself = lookup.asked.host == host && lookup.asked.port == port;
            let address = if answer.proxy_through_service_url() && !is_itself {
                Address {
                    proxy_to: Some(host_and_port(host, port)),
                    ..lookup.asked.clone()
                }
            } else {
                Address::direct(host, port)
            };
            return self.finish_lookup(now, key, &Ok(Located::Broker(address)));
        }
        let redirects = match lookup.step {
            Step::Broker { redirects, .. } => redirects + 1,
            Step::Partitions | Step::Topics => 1,
        };
        if redirects > REDIRECTS_MAX {
            let failure = Failure::lookup(format!("Too many redirects: {REDIRECTS_MAX}"));
            return self.finish_lookup(now, key, &Err(failure));
        }
        lookup.step = Step::Broker {
            authoritative: answer.authoritative(),
            redirects,
        };
        lookup.asked = Address::direct(host, port);
        let address = lookup.asked.clone();
        self.acquire(now, &address, Waiter::Lookup(key));
    }

    /// What a lookup is for.
    pub(super) fn wanted(&self, key: LookupKey) -> Option<Wanted> {
        Some(self.lookups.lookups.get(key)?.question.wanted)
    }

    /// Nobody answered, or not with a broker: the next host, a later try, or the end.
    pub(super) fn lookup_failed(&mut self, now: Now, key: LookupKey, failure: Failure) {
        let Some(lookup) = self.lookups.lookups.get_mut(key) else {
            return;
        };
        let is_opening = lookup.question.is_opening;
        if is_opening && failure.ends_opening() || !failure.is_retriable() {
            return self.finish_lookup(now, key, &Err(failure));
        }
        if matches!(lookup.step, Step::Broker { .. }) {
            lookup.step = Step::BROKER;
        }
        let hosts = hosts(&lookup.question, &self.settings);
        let is_first_to_see = hosts
            .get(self.lookups.host % hosts.len().max(1))
            .is_some_and(|(host, port)| *host == lookup.asked.host && *port == lookup.asked.port);
        let is_unreachable = matches!(failure.cause, Cause::Connection | Cause::Timeout);
        if is_unreachable && is_first_to_see {
            self.lookups.host = self.lookups.host.wrapping_add(1);
        }
        lookup.hosts_left = lookup.hosts_left.saturating_sub(1);
        if failure.cause == Cause::Connection && lookup.hosts_left > 0 {
            return self.ask_service_host(now, key);
        }
        let mut delay = lookup.backoff.next(now.mono, &mut self.random);
        if failure.cause == Cause::Connection {
            delay = delay.min(self.random.less_a_tenth(UNREACHABLE_REST_MAX));
        }
        if now.mono + delay >= lookup.deadline {
            return self.finish_lookup(now, key, &Err(failure));
        }
        tracing::debug!(
            topic = lookup.question.topic,
            error = failure.text(),
            "lookup is tried again"
        );
        lookup.is_active = false;
        self.lookups.active -= 1;
        for half in &lookup.waiting {
            if let Some(half) = self.halves.get_mut(*half) {
                half.last_failure = Some(Box::new(failure.clone()));
            }
        }
        self.timers.set(now.mono + delay, Timer::Lookup(key));
        self.start_lookups(now);
    }

    /// A lookup's backoff is over.
    pub(super) fn lookup_again(&mut self, now: Now, key: LookupKey) {
        self.lookups.queue.push_back(key);
        self.start_lookups(now);
    }

    pub(super) fn finish_lookup(
        &mut self,
        now: Now,
        key: LookupKey,
        answer: &Result<Located, Failure>,
    ) {
        let Some(lookup) = self.lookups.lookups.remove(key) else {
            return;
        };
        self.lookups.by_question.remove(&lookup.question);
        if lookup.is_active {
            self.lookups.active -= 1;
        }
        for half in lookup.waiting {
            self.half_located(now, half, answer);
        }
        self.start_lookups(now);
    }
}

/// Whom to ask.
fn hosts<'a>(question: &'a Question, settings: &'a Settings) -> &'a [(String, u16)] {
    question.cluster.as_deref().unwrap_or(&settings.brokers)
}

/// A lookup that failed without a reason is a `LookupException` in Java.
fn refusal(error: Option<i32>, request_id: u64, message: Option<&str>) -> Failure {
    if error.is_none() {
        return Failure::lookup("Empty lookup response".into());
    }
    let failure = Failure::broker(error, request_id, message);
    if failure.cause == Cause::Broker(ServerError::TooManyRequests) {
        tracing::warn!("the broker has too many lookups");
    }
    failure
}

/// As a proxy wants it.
pub(super) fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
