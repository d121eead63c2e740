//! One connection: what comes in, and what is answered.

use std::{
    collections::HashMap,
    io::{self, Read},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use prost::Message;
use pulsar_ws_fast::{
    codec::protobuf::{Field, Reader},
    pulsar::{
        proto::{
            CommandCloseConsumer, CommandCloseProducer, CommandConnected, CommandGetLastMessageId,
            CommandGetLastMessageIdResponse, CommandLookupTopic, CommandLookupTopicResponse,
            CommandPartitionedTopicMetadata, CommandPartitionedTopicMetadataResponse, CommandPong,
            CommandProducer, CommandSeek, CommandSubscribe, CommandSuccess, CommandUnsubscribe,
            Kind, MessageIdData,
        },
        wire::{FRAME_PADDING_BYTES, Frame, MESSAGE_BYTES_MAX_DEFAULT, Stored, frame_len},
    },
};

use crate::{
    answers,
    consumers::{ack, flow},
    delayed::Writer,
    shared::{id_hash, payloads::Payloads, sizes::Sizes},
    stats::{Stats, Turn},
};

const READ_BYTES: usize = 256 * 1024;
const FRAME_BYTES_MAX: usize = MESSAGE_BYTES_MAX_DEFAULT + FRAME_PADDING_BYTES;
/// Deliveries are written in parts of about this size.
const WRITE_BYTES: usize = 512 * 1024;
/// The one that Pulsar 4.0 speaks.
const PROTOCOL_VERSION: i32 = 21;

/// Numbers for ledgers: one for each producer and each consumer, over all connections.
static LEDGERS: AtomicU64 = AtomicU64::new(1);

pub(crate) struct Peer {
    stream: TcpStream,
    writer: Writer,
    url: String,
    out: Vec<u8>,
    stats: Arc<Stats>,
    turn: Turn,
    /// The payload that publishes should have.
    payloads: Payloads,
    /// What each delivery holds.
    stored: Vec<u8>,
    /// The next message id of each.
    producers: HashMap<u64, (u64, u64)>,
    consumers: HashMap<u64, (u64, u64)>,
}

impl Peer {
    pub(crate) fn new(
        stream: TcpStream,
        delay: Duration,
        payload_bytes: usize,
        stats: Arc<Stats>,
    ) -> io::Result<Self> {
        let payloads = Payloads::new(Sizes::Fixed(payload_bytes));
        Ok(Self {
            writer: Writer::new(stream.try_clone()?, delay),
            url: format!("pulsar://{}", stream.local_addr()?),
            stream,
            out: Vec::new(),
            stats,
            turn: Turn::default(),
            stored: answers::stored(payloads.of(payload_bytes)),
            payloads,
            producers: HashMap::new(),
            consumers: HashMap::new(),
        })
    }

    /// Reads, answers and writes until the peer goes away.
    pub(crate) fn serve(mut self) -> io::Result<()> {
        let mut buffer = vec![0; READ_BYTES + FRAME_BYTES_MAX];
        let mut filled = 0;
        loop {
            let read = match self.stream.read(&mut buffer[filled..]) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
                Err(error) => return Err(error),
            };
            filled += read;
            let mut done = 0;
            while let Some(len) =
                frame_len(&buffer[done..filled], FRAME_BYTES_MAX).map_err(io::Error::other)?
                && done + len <= filled
            {
                self.answer(&buffer[done..done + len])?;
                done += len;
            }
            buffer.copy_within(done..filled, 0);
            filled -= done;
            self.writer.send(&mut self.out)?;
            self.stats.add(&std::mem::take(&mut self.turn));
        }
    }

    fn answer(&mut self, frame: &[u8]) -> io::Result<()> {
        let frame = Frame::parse(frame).map_err(io::Error::other)?;
        match Kind::try_from(frame.kind).unwrap_or(Kind::Unknown) {
            Kind::Send => self.send(&frame)?,
            Kind::Flow => self.deliver(frame.body)?,
            Kind::Ack => self.ack(frame.body)?,
            Kind::Ping => self.put(Kind::Pong, &CommandPong {}),
            Kind::Pong | Kind::RedeliverUnacknowledgedMessages => {}
            kind => self.answer_rare(kind, frame.body)?,
        }
        Ok(())
    }

    fn send(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        let (mut producer_id, mut sequence_id) = (0, 0);
        let mut fields = Reader::new(frame.body);
        while let Some(field) = fields.next().map_err(io::Error::other)? {
            match field {
                (1, Field::Varint(id)) => producer_id = id,
                (2, Field::Varint(id)) => sequence_id = id,
                _ => {}
            }
        }
        let Some((ledger, entry)) = self.producers.get_mut(&producer_id) else {
            return Err(io::Error::other("SEND of an unknown producer"));
        };
        let id = (*ledger, *entry);
        *entry += 1;
        if Stored::parse(frame.rest).is_none_or(|stored| !expected(&self.payloads, stored.payload))
        {
            self.turn.broken += 1;
        }
        self.turn.receipts += 1;
        self.turn.receipts_sum = self.turn.receipts_sum.wrapping_add(id_hash(id.0, id.1));
        answers::put_receipt(&mut self.out, producer_id, sequence_id, id);
        Ok(())
    }

    fn deliver(&mut self, body: &[u8]) -> io::Result<()> {
        let (consumer_id, permits) = flow(body).map_err(io::Error::other)?;
        let Some((ledger, entry)) = self.consumers.get_mut(&consumer_id) else {
            // It was closed while this was under way.
            return Ok(());
        };
        for _ in 0..permits {
            answers::put_message(&mut self.out, consumer_id, (*ledger, *entry), &self.stored);
            *entry += 1;
            if self.out.len() >= WRITE_BYTES {
                self.writer.send(&mut self.out)?;
            }
        }
        self.turn.deliveries += permits;
        Ok(())
    }

    fn ack(&mut self, body: &[u8]) -> io::Result<()> {
        let acked = ack(body).map_err(io::Error::other)?;
        self.turn.acks += acked.messages;
        self.turn.acks_sum = self.turn.acks_sum.wrapping_add(acked.sum);
        if let Some(request) = acked.request {
            answers::put_ack_response(&mut self.out, acked.consumer, request);
        }
        Ok(())
    }

    fn answer_rare(&mut self, kind: Kind, body: &[u8]) -> io::Result<()> {
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
                self.consumers.insert(asked.consumer_id, next_ledger());
                self.succeed(asked.request_id);
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
        self.producers.insert(asked.producer_id, next_ledger());
        self.turn.producers += 1;
        let name = asked.producer_name.as_deref().unwrap_or_default();
        if name.is_empty() {
            let name = format!("null-{}", self.producers[&asked.producer_id].0);
            answers::put_producer_success(&mut self.out, asked.request_id, &name);
        } else {
            answers::put_producer_success(&mut self.out, asked.request_id, name);
        }
    }

    /// There is always more than the consumer has seen.
    fn tell_last(&mut self, asked: CommandGetLastMessageId) {
        let ledger = self.consumers.get(&asked.consumer_id).map_or(0, |id| id.0);
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

    fn put(&mut self, kind: Kind, command: &impl Message) {
        answers::put_rare(&mut self.out, kind, command);
    }
}

fn next_ledger() -> (u64, u64) {
    (LEDGERS.fetch_add(1, Relaxed), 0)
}

fn decode<M: Message + Default>(body: &[u8]) -> io::Result<M> {
    M::decode(body).map_err(io::Error::other)
}

/// Whether a payload is one of those that the load client publishes.
fn expected(payloads: &Payloads, payload: &[u8]) -> bool {
    payloads.sizes().contain(payload.len()) && payloads.of(payload.len()) == payload
}
