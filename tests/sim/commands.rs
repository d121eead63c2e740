//! The broker's answer to each command.

use super::{
    broker::{Broker, Consumer, Lane, METADATA_ERROR, SERVICE_NOT_READY},
    judge::Judge,
    rng::Rng,
    topic::Handle,
    wire::{self, BaseCommand, Frame},
};

/// Lookup types in Pulsar's numbers.
const REDIRECT: i32 = 0;
const CONNECT: i32 = 1;
const FAILED: i32 = 2;

impl Broker {
    pub(super) fn command(
        &mut self,
        key: u32,
        lane: Lane,
        frame: Frame,
        rng: &mut Rng,
        judge: &mut Judge,
    ) {
        let command = frame.command;
        log!("    broker {key} {lane:?} gets {}", brief(&command));
        if command.producer.is_some() || command.subscribe.is_some() {
            self.connection(key).closed.remove(&lane);
            self.connection(key).refused.remove(&lane);
        } else if self.connection(key).closed.contains(&lane) {
            self.ignored(key, &command);
            return;
        }
        let unlucky = self.chaos.request_errors > 0 && rng.one_in(self.chaos.request_errors);
        match command {
            BaseCommand {
                connect: Some(connect),
                ..
            } => self.connect(key, &connect),
            BaseCommand {
                partition_metadata: Some(asked),
                ..
            } => {
                self.partition_metadata(key, &asked, unlucky);
            }
            BaseCommand {
                lookup: Some(lookup),
                ..
            } => self.lookup(key, &lookup, unlucky, rng),
            BaseCommand {
                producer: Some(producer),
                ..
            } => {
                self.create_producer(key, producer, unlucky, rng);
            }
            BaseCommand {
                send: Some(send), ..
            } => {
                let body = frame.body.expect("a SEND has a body");
                self.store((key, send.producer_id), &send, body, rng, judge);
            }
            BaseCommand {
                close_producer: Some(close),
                ..
            } => {
                self.close_producer((key, close.producer_id), close.request_id);
            }
            BaseCommand {
                subscribe: Some(subscribe),
                ..
            } => {
                self.subscribe(key, subscribe, unlucky, judge);
            }
            BaseCommand {
                flow: Some(flow), ..
            } => {
                let consumer = self.consumer((key, flow.consumer_id));
                assert!(flow.message_permits > 0, "permits for nothing");
                let name = consumer.name.clone();
                let is_first = !std::mem::replace(&mut consumer.known, true);
                consumer.permits += i64::from(flow.message_permits);
                judge.permits(&consumer.name, consumer.permits);
                if is_first {
                    let owed = judge.owed_first(&name);
                    self.all_is_told((key, flow.consumer_id), &owed);
                }
            }
            BaseCommand { ack: Some(ack), .. } => self.ack(key, &ack, judge),
            BaseCommand {
                redeliver: Some(redeliver),
                ..
            } => self.redeliver(key, &redeliver, judge),
            BaseCommand {
                unsubscribe: Some(asked),
                ..
            } => self.unsubscribe(key, &asked, judge),
            BaseCommand {
                close_consumer: Some(close),
                ..
            } => {
                self.close_consumer((key, close.consumer_id), close.request_id, judge);
            }
            other => panic!("a broker does not expect {other:?}"),
        }
    }

    pub(super) fn connection(&mut self, key: u32) -> &mut super::broker::Connection {
        self.connections.get_mut(&key).expect("connected")
    }

    fn consumer(&mut self, handle: Handle) -> &mut Consumer {
        self.consumers
            .get_mut(&handle)
            .expect("the consumer exists")
    }

    /// Commands that crossed a close of ours: those that wait for an answer get one.
    fn ignored(&mut self, key: u32, command: &BaseCommand) {
        let closed = command
            .close_producer
            .as_ref()
            .map(|close| close.request_id);
        let closed = closed.or_else(|| {
            let close = command.close_consumer.as_ref();
            close.map(|close| close.request_id)
        });
        if let Some(request_id) = closed {
            self.succeed(key, request_id);
        } else if let Some(asked) = &command.unsubscribe {
            self.fail(
                key,
                asked.request_id,
                SERVICE_NOT_READY,
                "not here any more",
            );
        }
    }

    /// Remembers that something does not exist because it was refused.
    pub(super) fn refuse(&mut self, key: u32, lane: Lane) {
        self.connection(key).refused.insert(lane);
    }

    /// A close that crossed a refusal; any other close of nothing is a mistake.
    pub(super) fn close_of_nothing(&mut self, key: u32, lane: Lane, request_id: u64) {
        assert!(
            self.connection(key).refused.contains(&lane),
            "close of {lane:?}, which never was"
        );
        self.fail(key, request_id, METADATA_ERROR, "not found");
    }

    pub(super) fn succeed(&mut self, key: u32, request_id: u64) {
        let success = Some(wire::Success { request_id });
        self.send(
            key,
            BaseCommand {
                success,
                ..BaseCommand::default()
            },
        );
    }

    pub(super) fn fail(&mut self, key: u32, request_id: u64, error: i32, message: &str) {
        let error = Some(wire::Failure {
            request_id,
            error,
            message: message.into(),
        });
        self.send(
            key,
            BaseCommand {
                error,
                ..BaseCommand::default()
            },
        );
    }

    fn connect(&mut self, key: u32, connect: &wire::Connect) {
        assert_eq!(connect.protocol_version, Some(21), "protocol version");
        let connected = Some(wire::Connected {
            server_version: "simulated".into(),
            protocol_version: Some(21),
            max_message_size: Some(5 << 20),
        });
        self.send(
            key,
            BaseCommand {
                connected,
                ..BaseCommand::default()
            },
        );
    }

    fn partition_metadata(&mut self, key: u32, asked: &wire::PartitionMetadata, unlucky: bool) {
        let partitions = u32::try_from(self.partitions(&asked.topic)).expect("few");
        let partition_metadata_response = Some(wire::PartitionMetadataResponse {
            partitions: (!unlucky).then_some(partitions),
            request_id: asked.request_id,
            response: Some(i32::from(unlucky)),
            error: unlucky.then_some(SERVICE_NOT_READY),
            message: unlucky.then(|| "try again".into()),
        });
        self.send(
            key,
            BaseCommand {
                partition_metadata_response,
                ..BaseCommand::default()
            },
        );
    }

    fn lookup(&mut self, key: u32, lookup: &wire::Lookup, unlucky: bool, rng: &mut Rng) {
        let topic = self.topic(&lookup.topic);
        let owner = self.topics[topic].owner;
        let host = self.connection(key).host;
        let redirected = lookup.authoritative != Some(true)
            && self.chaos.redirects > 0
            && rng.one_in(self.chaos.redirects);
        let target = if redirected {
            rng.below(self.hosts)
        } else {
            owner
        };
        // Names for even hosts, addresses for odd ones.
        let url = match target % 2 {
            0 => format!("pulsar://broker-{target}:6650"),
            _ => format!("pulsar://10.0.0.{}:6650", target + 1),
        };
        let response = if unlucky {
            FAILED
        } else if redirected {
            REDIRECT
        } else {
            CONNECT
        };
        let lookup_response = Some(wire::LookupResponse {
            broker_service_url: (!unlucky).then_some(url),
            response: Some(response),
            request_id: lookup.request_id,
            authoritative: Some(redirected || host == owner),
            error: unlucky.then_some(SERVICE_NOT_READY),
            message: unlucky.then(|| "try again".into()),
            proxy_through_service_url: Some(false),
        });
        self.send(
            key,
            BaseCommand {
                lookup_response,
                ..BaseCommand::default()
            },
        );
    }

    /// How many partitions a name has; each is a topic of its own.
    pub(crate) fn partitions(&self, name: &str) -> usize {
        let names = self.topics.iter().map(|topic| &topic.name);
        let behind = names.filter_map(|topic| topic.strip_prefix(name));
        behind
            .filter(|behind| behind.starts_with("-partition-"))
            .count()
    }

    pub(crate) fn topic(&self, name: &str) -> usize {
        let found = self.topics.iter().position(|topic| topic.name == name);
        found.unwrap_or_else(|| panic!("no topic {name}"))
    }
}

/// A command without the fields that it has not.
fn brief(command: &BaseCommand) -> String {
    let text = format!("{command:?}");
    let fields = text.split(", ").filter(|field| !field.ends_with(": None"));
    fields.collect::<Vec<_>>().join(", ")
}
