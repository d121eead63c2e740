//! The kinds of load: which clients there are, and what is told of them.

use std::{io, sync::Arc};

use serde_json::{Map, Value};

use crate::{
    bytes::Bytes,
    client::Client,
    clock::{Clock, nanoseconds},
    consumer::Consumer,
    json::Kind,
    options::{Common, ConsumeOptions, MessageOptions, PaceOptions},
    progress::Progress,
    publisher::{Messages, Pace, Publisher},
    result::Result,
    run::{Plan, run},
    schedule::Schedule,
    shared::{payloads::Payloads, random::Random},
    slot::{Role, Slot},
    target::{Query, Target},
    texts::{HEAD_BYTES, Texts},
    topic::Topic,
};

const IN_FLIGHT: u64 = 100;

/// Everything a kind of load needs.
pub(crate) struct Mode {
    common: Common,
    target: Target,
    topic: Topic,
    query: Query,
    messages: Arc<Messages>,
    pace: PaceOptions,
    consume: ConsumeOptions,
    clock: Clock,
}

impl Mode {
    pub(crate) fn new(
        mut common: Common,
        messages: &MessageOptions,
        pace: PaceOptions,
        consume: ConsumeOptions,
        end_to_end: bool,
    ) -> io::Result<Self> {
        let least = common.payload_bytes.least();
        if end_to_end && least < HEAD_BYTES {
            let text =
                format!("end to end a message needs {HEAD_BYTES} bytes: it tells when it was due");
            return Err(io::Error::other(text));
        }
        let clock = Clock::start();
        let number = || Random::new(std::process::id().into()).next() ^ seconds(clock);
        let messages = Messages {
            texts: Texts::new(Payloads::new(common.payload_bytes.clone())),
            properties: properties(&messages.properties),
            keys: messages.keys,
            run: end_to_end.then(|| u32::try_from(number() >> 32).unwrap_or(0)),
        };
        Ok(Self {
            target: common.target()?,
            topic: Topic::new(common.topic("load"), common.one_topic)?,
            query: Query::new(&common.query),
            messages: Arc::new(messages),
            pace,
            consume,
            clock,
            common,
        })
    }

    fn plan(&self, clients: usize, end_to_end: bool) -> Plan {
        Plan {
            clients,
            threads: self.common.threads(),
            ramp: self.common.ramp(),
            warm: self.common.warm(),
            measured: self.common.measured(),
            interval: self.common.interval(),
            watch: self.common.watch.clone(),
            hdr_log: self.common.hdr_log.clone(),
            end_to_end,
        }
    }

    pub(crate) fn publish(&self, progress: &mut Progress) -> io::Result<(Kind, Result)> {
        let clients = self.common.clients;
        let plan = self.plan(clients, false);
        let result = run(&plan, self.clock, progress, |index| {
            self.publisher(index, clients)
        })?;
        Ok((Kind::Publish, result))
    }

    pub(crate) fn consume(&self, progress: &mut Progress) -> io::Result<(Kind, Result)> {
        let plan = self.plan(self.common.clients, false);
        let result = run(&plan, self.clock, progress, |index| self.consumer(index, 0))?;
        Ok((Kind::Consume, result))
    }

    pub(crate) fn end_to_end(&self, progress: &mut Progress) -> io::Result<(Kind, Result)> {
        let clients = self.common.clients;
        let plan = self.plan(clients * 2, true);
        // Consumers first, so that nothing is published that nobody waits for.
        let result = run(&plan, self.clock, progress, |index| {
            match index.checked_sub(clients) {
                None => self.consumer(index, clients),
                Some(index) => self.publisher(index, clients),
            }
        })?;
        Ok((Kind::EndToEnd, result))
    }

    pub(crate) fn mixed(
        &self,
        consumers: usize,
        idle: usize,
        progress: &mut Progress,
    ) -> io::Result<(Kind, Result)> {
        let clients = self.common.clients;
        let plan = self.plan(clients + consumers + idle, false);
        let result = run(&plan, self.clock, progress, |index| {
            if index < clients {
                self.publisher(index, clients)
            } else if index < clients + consumers {
                self.consumer(index - clients, 0)
            } else {
                let path = self.topic.producer(index, &self.query);
                Ok(Slot::new(self.target.open(&path)?, Role::Hold))
            }
        })?;
        Ok((Kind::Mixed, result))
    }

    pub(crate) fn bytes(
        &self,
        bytes: &Bytes,
        rate: Option<f64>,
        progress: &mut Progress,
    ) -> io::Result<(Kind, Result)> {
        let clients = self.common.clients;
        let plan = self.plan(clients, false);
        let result = run(&plan, self.clock, progress, |index| {
            let client = Client::new(self.target.connect()?, &[], false);
            let bytes = match rate {
                Some(rate) => {
                    let now = self.clock.now();
                    bytes.clone().at(Schedule::new(now, rate, index, clients))
                }
                None => bytes.clone(),
            };
            Ok(Slot::new(client, Role::Bytes(bytes)))
        })?;
        Ok((Kind::Bytes, result))
    }

    /// What was run, in a line.
    pub(crate) fn what(&self, kind: &Kind) -> String {
        let (name, paced) = match kind {
            Kind::Publish => ("publish to", true),
            Kind::Consume => ("consume from", false),
            Kind::EndToEnd => ("publish and consume at", true),
            Kind::Mixed => ("publish, consume and hold at", true),
            Kind::Bytes => ("exchange bytes with", false),
        };
        let mut what = format!(
            "{name} {}, {} clients",
            self.common.place(),
            self.common.clients
        );
        if paced {
            what.push_str(&match (self.pace.rate, self.pace.in_flight) {
                (Some(rate), None) => format!(" × {rate}/s"),
                (Some(rate), Some(most)) => format!(" × {rate}/s, {most} in flight at most"),
                (None, most) => format!(" × {} in flight", most.unwrap_or(IN_FLIGHT)),
            });
        }
        if !matches!(kind, Kind::Bytes) {
            what.push_str(&format!(", payloads of {}", self.common.payload_bytes));
        }
        what
    }

    fn publisher(&self, index: usize, clients: usize) -> io::Result<Slot> {
        let client = self.target.open(&self.topic.producer(index, &self.query))?;
        let pace = match self.pace.rate {
            Some(rate) => Pace::Open(
                Schedule::new(self.clock.now(), rate, index, clients),
                self.pace.in_flight.unwrap_or(u64::MAX),
            ),
            None => Pace::InFlight(self.pace.in_flight.unwrap_or(IN_FLIGHT)),
        };
        let publisher = Publisher::new(index, self.messages.clone(), pace, self.common.seed);
        Ok(Slot::new(client, Role::Publish(Box::new(publisher))))
    }

    fn consumer(&self, index: usize, publishers: usize) -> io::Result<Slot> {
        let query = self.query.clone().or("subscriptionType", "Shared");
        // Nothing is to be left behind at the broker.
        let end_to_end = self.messages.run.is_some();
        let query = if end_to_end {
            query.or("subscriptionMode", "NonDurable")
        } else {
            query
        };
        let path = self
            .topic
            .consumer(index, &self.consume.subscription, &query);
        let client = self.target.open(&path)?;
        let verify = !self.consume.no_verify;
        let consumer = Consumer::new(self.messages.clone(), verify, publishers);
        Ok(Slot::new(client, Role::Consume(Box::new(consumer))))
    }
}

fn properties(pairs: &[(String, String)]) -> Vec<u8> {
    if pairs.is_empty() {
        return Vec::new();
    }
    let object: Map<String, Value> = pairs
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect();
    format!(",\"properties\":{}", Value::from(object)).into_bytes()
}

fn seconds(clock: Clock) -> u64 {
    let since = clock.wall(0).duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, nanoseconds)
}
