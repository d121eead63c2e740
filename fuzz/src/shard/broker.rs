//! The broker's side: connections come up and go, commands are answered, refused or sent unasked, and bytes may be
//! nothing of the kind.

use pulsar_ws_fast::shard::ConnectionKey;

use super::World;
use crate::{
    agree::agree,
    proto::{BaseCommand, Empty, Failure, Success},
    script::Script,
    wire::{self, Body},
};

/// A connection to the broker.
pub(super) struct Link {
    pub(super) key: ConnectionKey,
    pub(super) is_up: bool,
    /// Not yet taken apart.
    pub(super) received: Vec<u8>,
}

impl World {
    pub(super) fn link(&self, script: &mut Script<'_>) -> Option<ConnectionKey> {
        let up: Vec<_> = self.links.iter().filter(|link| link.is_up).collect();
        script.any(&up).map(|link| link.key)
    }

    /// The broker answers what it was asked longest ago, or refuses it.
    pub(super) fn answer_one(&mut self, script: &mut Script<'_>) {
        let kind = script.byte();
        if let Some((link, asked)) = self.unanswered.pop_front() {
            self.answer(link, &asked, kind);
            self.turn();
        }
    }

    fn answer(&mut self, link: ConnectionKey, asked: &BaseCommand, kind: u8) {
        let request_id = [
            asked.producer.as_ref().map(|it| it.request_id),
            asked.subscribe.as_ref().map(|it| it.request_id),
            asked.lookup.as_ref().map(|it| it.request_id),
            asked.partition_metadata.as_ref().map(|it| it.request_id),
            asked.close_producer.as_ref().map(|it| it.request_id),
            asked.close_consumer.as_ref().map(|it| it.request_id),
            asked.unsubscribe.as_ref().map(|it| it.request_id),
        ];
        let request_id = request_id.into_iter().flatten().next();
        let mut answer = BaseCommand::default();
        if kind % 8 == 7 {
            answer.error = Some(Failure {
                request_id: request_id.unwrap_or_default(),
                error: i32::from(kind / 8),
                message: "no".to_owned(),
            });
        } else if let Some(mut agreed) = agree(asked, 6650 + u16::from(kind / 64)) {
            if let Some(response) = &mut agreed.partition_metadata_response
                && kind % 8 == 5
            {
                response.partitions = Some(u32::from(kind / 8));
            }
            answer = agreed;
        } else if asked.ping.is_some() {
            answer.pong = Some(Empty {});
        } else if let Some(request_id) = request_id {
            answer.success = Some(Success { request_id });
        } else {
            return;
        }
        self.tell(link, answer, None);
    }

    pub(super) fn tell(&mut self, link: ConnectionKey, command: BaseCommand, body: Option<&Body>) {
        let mut bytes = Vec::new();
        wire::put_frame(&mut bytes, command, body);
        self.link_bytes(link, &bytes);
    }

    fn link_bytes(&mut self, link: ConnectionKey, bytes: &[u8]) {
        let is_up = self.links.iter().any(|it| it.key == link && it.is_up);
        if is_up {
            let mut bytes = bytes.to_vec();
            self.run_timers();
            self.shard.handle_broker_bytes(self.now, link, &mut bytes);
        }
    }

    pub(super) fn asked(&mut self, link: ConnectionKey, command: BaseCommand) {
        if let Some(asked) = &command.subscribe {
            self.consumers.push(asked.consumer_id);
        } else if let Some(asked) = &command.producer {
            self.producers.push(asked.producer_id);
        } else if let Some(send) = &command.send {
            return self
                .sent
                .push_back((link, send.producer_id, send.sequence_id));
        }
        if self.agrees {
            self.answer(link, &command, 0);
        } else if self.unanswered.len() < 1_000 {
            self.unanswered.push_back((link, command));
        }
    }

    /// A command that nobody asked for.
    pub(super) fn broker_says(&mut self, script: &mut Script<'_>) {
        let Some(link) = self.link(script) else {
            return;
        };
        let consumer_id = one_of(&self.consumers, script);
        let producer_id = one_of(&self.producers, script);
        let mut command = BaseCommand::default();
        match script.byte() % 8 {
            0 => {
                command.close_producer = Some(wire::CloseProducer {
                    producer_id,
                    ..wire::CloseProducer::default()
                });
            }
            1 => {
                command.close_consumer = Some(wire::CloseConsumer {
                    consumer_id,
                    ..wire::CloseConsumer::default()
                });
            }
            2 => command.end_of_topic = Some(wire::EndOfTopic { consumer_id }),
            3 => {
                command.send_error = Some(wire::SendError {
                    producer_id,
                    sequence_id: u64::from(script.byte()),
                    error: i32::from(script.byte() % 30),
                    message: "no".to_owned(),
                });
            }
            4 => command.ping = Some(Empty {}),
            5 => {
                command.topic_migrated = Some(wire::TopicMigrated {
                    resource_id: producer_id,
                    resource_type: i32::from(script.byte() % 3),
                    broker_service_url: Some("pulsar://127.0.0.1:6651".to_owned()),
                });
            }
            6 => {
                command.active_change = Some(wire::ActiveChange {
                    consumer_id,
                    is_active: Some(true),
                });
            }
            _ => {
                command.ack_response = Some(wire::AckResponse {
                    consumer_id,
                    request_id: Some(u64::from(script.byte())),
                });
            }
        }
        self.tell(link, command, None);
        self.turn();
    }

    /// Bytes of a broker that are a frame by its sizes at most.
    pub(super) fn anything(&mut self, script: &mut Script<'_>) {
        let Some(link) = self.link(script) else {
            return;
        };
        let kind = script.byte();
        let mut bytes = Vec::new();
        if kind & 1 == 0 {
            let (number, body) = (u32::from(kind >> 1), script.some());
            let mut command = vec![8];
            prost::encoding::encode_varint(u64::from(number), &mut command);
            prost::encoding::encode_varint(u64::from(number << 3 | 2), &mut command);
            prost::encoding::encode_varint(body.len() as u64, &mut command);
            command.extend_from_slice(body);
            let behind = script.some();
            let len = |len: usize| u32::try_from(len).expect("short").to_be_bytes();
            bytes.extend(len(4 + command.len() + behind.len()));
            bytes.extend(len(command.len()));
            bytes.extend_from_slice(&command);
            bytes.extend_from_slice(behind);
        } else {
            bytes.extend_from_slice(script.some());
        }
        self.link_bytes(link, &bytes);
        self.turn();
    }

    /// Connections come up, or go.
    pub(super) fn links(&mut self, script: &mut Script<'_>) {
        let at = script.below(self.links.len());
        let goes = script.byte() & 3 == 0;
        let Some(link) = self.links.get_mut(at) else {
            return;
        };
        let key = link.key;
        if goes {
            return self.lose(key);
        }
        if !link.is_up {
            link.is_up = true;
            self.shard.handle_connected(self.now, key);
        }
        self.turn();
    }

    pub(super) fn lose(&mut self, key: ConnectionKey) {
        self.forget(key);
        self.shard.handle_disconnected(self.now, key, "gone");
        self.turn();
    }

    pub(super) fn forget(&mut self, key: ConnectionKey) {
        self.links.retain(|link| link.key != key);
        self.unanswered.retain(|(link, _)| *link != key);
        self.sent.retain(|(link, ..)| *link != key);
    }
}

/// An id that the broker was told, or any.
pub(super) fn one_of(ids: &[u64], script: &mut Script<'_>) -> u64 {
    match script.any(ids) {
        Some(id) => *id,
        None => u64::from(script.byte()),
    }
}
