//! Commands that come once in a while: connecting, lookups, producers and consumers that come and go.

use std::io;

use prost::Message;
use pulsar_ws_fast::pulsar::{
    proto::{
        CommandCloseConsumer, CommandCloseProducer, CommandConnected, CommandError,
        CommandGetLastMessageId, CommandGetLastMessageIdResponse, CommandLookupTopic,
        CommandLookupTopicResponse, CommandPartitionedTopicMetadata,
        CommandPartitionedTopicMetadataResponse, CommandProducer, CommandSeek, CommandSubscribe,
        CommandSuccess, CommandUnsubscribe, Kind, MessageIdData,
    },
    wire::MESSAGE_BYTES_MAX_DEFAULT,
};

use super::{Consumer, Peer};
use crate::answers;

/// The one that Pulsar 4.0 speaks.
const PROTOCOL_VERSION: i32 = 21;

impl Peer {
    pub(super) fn answer_rare(&mut self, kind: Kind, body: &[u8]) -> io::Result<()> {
        match kind {
            Kind::Connect => {
                let connected = CommandConnected {
                    server_version: "null-broker".into(),
                    protocol_version: Some(PROTOCOL_VERSION),
                    max_message_size: i32::try_from(MESSAGE_BYTES_MAX_DEFAULT).ok(),
                    feature_flags: None,
                };
                self.put(Kind::Connected, &connected);
            }
            Kind::PartitionedMetadata => {
                let asked: CommandPartitionedTopicMetadata = decode(body)?;
                let answer = CommandPartitionedTopicMetadataResponse {
                    partitions: Some(0),
                    request_id: asked.request_id,
                    response: Some(CommandPartitionedTopicMetadataResponse::SUCCESS),
                    error: None,
                    message: None,
                };
                self.put(Kind::PartitionedMetadataResponse, &answer);
            }
            Kind::Lookup => {
                let asked: CommandLookupTopic = decode(body)?;
                let answer = CommandLookupTopicResponse {
                    broker_service_url: Some(self.url.clone()),
                    response: Some(CommandLookupTopicResponse::CONNECT),
                    request_id: asked.request_id,
                    authoritative: Some(true),
                    ..Default::default()
                };
                self.put(Kind::LookupResponse, &answer);
            }
            Kind::Producer => self.open_producer(&decode(body)?),
            Kind::Subscribe => {
                let asked: CommandSubscribe = decode(body)?;
                self.open_consumer(&asked);
            }
            Kind::CloseProducer => {
                let asked: CommandCloseProducer = decode(body)?;
                self.producers.remove(&asked.producer_id);
                self.succeed(asked.request_id);
            }
            Kind::CloseConsumer => {
                let asked: CommandCloseConsumer = decode(body)?;
                self.consumers.remove(&asked.consumer_id);
                self.succeed(asked.request_id);
            }
            Kind::Unsubscribe => {
                let asked: CommandUnsubscribe = decode(body)?;
                self.consumers.remove(&asked.consumer_id);
                self.succeed(asked.request_id);
            }
            Kind::Seek => self.succeed(decode::<CommandSeek>(body)?.request_id),
            Kind::GetLastMessageId => self.tell_last(decode(body)?),
            other => return Err(io::Error::other(format!("{other:?} is not known here"))),
        }
        Ok(())
    }

    fn open_producer(&mut self, asked: &CommandProducer) {
        if self.faults.refuses_producer() {
            return self.refuse(asked.request_id);
        }
        self.producers
            .insert(asked.producer_id, (self.world.next_ledger(), 0));
        self.turn.producers += 1;
        let name = asked.producer_name.as_deref().unwrap_or_default();
        if name.is_empty() {
            let name = format!("null-{}", self.producers[&asked.producer_id].0);
            answers::put_producer_success(&mut self.out, asked.request_id, &name);
        } else {
            answers::put_producer_success(&mut self.out, asked.request_id, name);
        }
    }

    fn open_consumer(&mut self, asked: &CommandSubscribe) {
        if self.faults.refuses_subscribe() {
            return self.refuse(asked.request_id);
        }
        let consumer = Consumer {
            ledger: self.world.next_ledger(),
            entry: 0,
            permits: 0,
        };
        self.consumers.insert(asked.consumer_id, consumer);
        self.succeed(asked.request_id);
    }

    fn refuse(&mut self, request_id: u64) {
        let (_, error) = self.faults.codes();
        self.turn.refused += 1;
        let refusal = CommandError {
            request_id,
            error,
            message: "refused on purpose".into(),
        };
        self.put(Kind::Error, &refusal);
    }

    /// There is always more than the consumer has seen.
    fn tell_last(&mut self, asked: CommandGetLastMessageId) {
        let ledger = self
            .consumers
            .get(&asked.consumer_id)
            .map_or(0, |consumer| consumer.ledger);
        let answer = CommandGetLastMessageIdResponse {
            last_message_id: MessageIdData {
                ledger_id: ledger,
                entry_id: u64::from(u32::MAX),
                ..Default::default()
            },
            request_id: asked.request_id,
            consumer_mark_delete_position: None,
        };
        self.put(Kind::GetLastMessageIdResponse, &answer);
    }

    fn succeed(&mut self, request_id: u64) {
        self.put(Kind::Success, &CommandSuccess { request_id });
    }

    pub(super) fn put(&mut self, kind: Kind, command: &impl Message) {
        answers::put_rare(&mut self.out, kind, command);
    }
}

fn decode<M: Message + Default>(body: &[u8]) -> io::Result<M> {
    M::decode(body).map_err(io::Error::other)
}
