//! What a shard counts for each session, its part of an answer about all of them, and the requests
//! that wait for such an answer.

use super::{
    Effect, Shard,
    client::{Client, Phase},
};
use crate::{
    http::{
        admin::{self, Answer},
        refusal::Refusal,
        route::EndpointKind,
        topic_name::TopicName,
    },
    metrics::{
        self, Counts, Endpoint, Gauges, NamespaceKey, Namespaces, Part, Question, Subscription,
    },
    session::{
        SessionKey, Spec,
        consumer::SubscriptionType::{Exclusive, Failover, KeyShared, Shared},
        producer::Sent,
    },
    timer::Now,
};

/// Questions to all shards that this one's clients may have open at a time.
const QUESTIONS_MAX: usize = 8;

/// An open session as statistics tell it, but for its topic: the backend knows that.
#[derive(Debug)]
pub(super) struct Counted {
    /// The one that the client named. A reader's is named by the backend.
    subscription: Option<Box<Subscription>>,
    namespace: NamespaceKey,
    /// Published or delivered.
    messages: u64,
}

impl Counted {
    /// A session begins.
    pub(super) fn new(now: Now, spec: &Spec, namespaces: &mut Namespaces) -> Self {
        let namespace = TopicName::parse(spec.topic()).map(|topic| topic.namespace_name());
        let subscription = match spec {
            Spec::Producer(_) | Spec::Reader(_) => None,
            Spec::Consumer(spec) => Some(Box::new(Subscription {
                name: spec.subscription.as_str().into(),
                kind: match spec.subscription_type {
                    Exclusive => "Exclusive",
                    Shared => "Shared",
                    Failover => "Failover",
                    KeyShared => "Key_Shared",
                },
                mode: Some(if spec.durable {
                    "Durable"
                } else {
                    "NonDurable"
                }),
            })),
        };
        Self {
            subscription,
            namespace: namespaces.enter(now.mono.0, &namespace.unwrap_or_default()),
            messages: 0,
        }
    }

    /// A publish got its receipt.
    pub(super) fn published(&mut self, now: Now, sent: Sent, namespaces: &mut Namespaces) {
        self.messages += 1;
        self.count(now, namespaces, |counts| {
            counts.published(sent.payload_bytes, now.mono.since(sent.at));
        });
    }

    /// A publish failed.
    pub(super) fn failed(&self, now: Now, namespaces: &mut Namespaces) {
        self.count(now, namespaces, |counts| counts.failed += 1);
    }

    /// A message goes to the client.
    pub(super) fn delivered(&mut self, now: Now, bytes: usize, namespaces: &mut Namespaces) {
        self.messages += 1;
        self.count(now, namespaces, |counts| counts.delivered(bytes));
    }

    /// A consumer acknowledged.
    pub(super) fn acknowledged(&self, now: Now, namespaces: &mut Namespaces) {
        self.count(now, namespaces, |counts| counts.acknowledged += 1);
    }

    /// For [`Namespaces::leave`].
    pub(super) const fn namespace(&self) -> NamespaceKey {
        self.namespace
    }

    fn count(&self, now: Now, namespaces: &mut Namespaces, add: impl FnOnce(&mut Counts)) {
        if let Some(counts) = namespaces.at(now.mono.0, self.namespace) {
            add(counts);
        }
    }
}

/// What metrics call a session of this kind.
pub(super) const fn endpoint(kind: EndpointKind) -> Endpoint {
    match kind {
        EndpointKind::Producer => Endpoint::Producer,
        EndpointKind::Consumer => Endpoint::Consumer,
        EndpointKind::Reader => Endpoint::Reader,
    }
}

/// What came of a question to all shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Survey {
    /// The answer's text, in JSON.
    Text(Vec<u8>),
    /// What the cores count.
    Figures {
        /// What the text is.
        content_type: &'static str,
        /// In the form that was asked for.
        text: Vec<u8>,
    },
    /// No shard has a session of that topic.
    NoSuchTopic,
    /// Not every shard answered.
    Failed,
}

impl Survey {
    /// What the parts of all shards say.
    #[must_use]
    pub fn of(question: &Question, parts: Vec<Part>) -> Self {
        match question {
            Question::Figures(form) => {
                metrics::figures(*form, parts).map_or(Self::Failed, |text| Self::Figures {
                    content_type: form.content_type(),
                    text,
                })
            }
            _ => metrics::answer(question, parts).map_or(Self::NoSuchTopic, Self::Text),
        }
    }
}

impl Shard {
    /// This shard's part of an answer.
    pub fn handle_question(&mut self, now: Now, question: &Question) -> Part {
        match question {
            Question::Namespaces => Part {
                namespaces: self.namespaces.counts(now.mono.0),
                ..Part::default()
            },
            Question::Topics => self.sessions(|_| true),
            Question::Topic(name) => self.sessions(|topic| topic == name),
            Question::Figures(_) => Part {
                core: Some(Box::new(self.core_figures(now))),
                ..Part::default()
            },
        }
    }

    /// The answer to [`Effect::Survey`], which must come once.
    pub fn handle_survey(&mut self, now: Now, client: SessionKey, survey: Survey) {
        self.questions = self.questions.saturating_sub(1);
        match survey {
            Survey::Text(text) => self.answer(now, client, &Answer::statistics(text)),
            Survey::Figures { content_type, text } => {
                self.answer(now, client, &Answer::figures(content_type, text));
            }
            Survey::NoSuchTopic => self.answer(now, client, &Answer::no_such_topic()),
            Survey::Failed => {
                let text = "The statistics could not be collected";
                self.answer(now, client, &Answer::no_statistics(503, text));
            }
        }
        self.settle(now);
    }

    /// The answer to [`Effect::LookAtStatusFile`]; `None` if it could not be looked at.
    pub fn handle_status(&mut self, now: Now, client: SessionKey, is_there: Option<bool>) {
        if let Some(Phase::Asking(asking)) = self.clients.get(client).map(|it| &it.phase) {
            match is_there {
                Some(true) => {
                    let answer = Answer::in_use(&asking.content_type);
                    self.answer(now, client, &answer);
                }
                Some(false) => self.refuse(now, client, &admin::not_in_use()),
                None => {
                    let text = "The status file could not be looked at";
                    self.refuse(now, client, &Refusal::new(503, text));
                }
            }
        }
        self.settle(now);
    }

    /// All that this core counts. The runtime adds what it knows alone.
    fn core_figures(&mut self, now: Now) -> metrics::Core {
        metrics::Core {
            index: self.index,
            uptime_nanos: now.mono.0,
            wall_ms: now.wall_ms,
            figures: self.figures.snapshot(),
            backend: self.pulsar.figures(),
            gauges: Gauges {
                clients: self.clients.len() as u64,
                in_flight_bytes: self.pulsar.publishes_bytes() as u64,
                held_bytes: self.pulsar.held_bytes() as u64,
                incomplete_bytes: self.incomplete.used() as u64,
                spare_bytes: self.buffers.free_bytes() as u64,
                ..Gauges::default()
            },
        }
    }

    /// Asks all shards for a client that waits.
    pub(super) fn survey(&mut self, now: Now, client: SessionKey, question: Question) {
        if self.questions >= QUESTIONS_MAX {
            let text = "Too many statistics are asked for at a time";
            return self.answer(now, client, &Answer::no_statistics(503, text));
        }
        self.questions += 1;
        self.effects.push_back(Effect::Survey { client, question });
    }

    /// Answers a client that wants no WebSocket, and forgets it.
    pub(super) fn answer(&mut self, now: Now, key: SessionKey, answer: &Answer) {
        if let Some(client) = self.clients.get_mut(key) {
            self.figures.counters.answered(answer.status);
            self.access_log.answered(now.mono, client, answer.status);
            answer.write(&mut client.outbox.bytes, client.form);
            self.finish(now, key);
        }
    }

    fn sessions(&self, wanted: impl Fn(&str) -> bool) -> Part {
        let sessions = self
            .clients
            .values()
            .filter_map(|client| self.session(client, &wanted));
        Part {
            sessions: sessions.collect(),
            ..Part::default()
        }
    }

    fn session(&self, client: &Client, wanted: impl Fn(&str) -> bool) -> Option<metrics::Session> {
        let Phase::Open(open) = &client.phase else {
            return None;
        };
        let (counted, link) = (&open.counted, open.session.link());
        let topic = self.pulsar.topic(link)?;
        if !wanted(topic) {
            return None;
        }
        let subscription = match open.kind() {
            EndpointKind::Producer => None,
            EndpointKind::Consumer => counted.subscription.as_deref().cloned(),
            EndpointKind::Reader => Some(Subscription {
                name: self.pulsar.subscription(link).unwrap_or_default().into(),
                kind: "Exclusive",
                mode: None,
            }),
        };
        Some(metrics::Session {
            topic: topic.into(),
            remote: client.peer,
            messages: counted.messages,
            subscription,
        })
    }
}
