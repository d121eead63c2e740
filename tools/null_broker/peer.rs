//! One connection: what comes in, and what is answered.

mod rare;

use std::{
    collections::HashMap,
    io::{self, Read},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use pulsar_ws_fast::pulsar::{
    proto::{CommandPong, Kind},
    wire::{FRAME_PADDING_BYTES, Frame, MESSAGE_BYTES_MAX_DEFAULT, frame_len},
};

use crate::{
    answers,
    consumers::{ack, flow},
    delayed::Writer,
    faults::Faults,
    publishes::{Judge, send},
    shared::id_hash,
    stats::Turn,
    world::World,
};

const READ_BYTES: usize = 256 * 1024;
const FRAME_BYTES_MAX: usize = MESSAGE_BYTES_MAX_DEFAULT + FRAME_PADDING_BYTES;
/// Deliveries are written in parts of about this size.
const WRITE_BYTES: usize = 512 * 1024;
/// How long to wait for the end of a peer that was dropped.
const FAREWELL: Duration = Duration::from_secs(1);

pub(crate) struct Peer {
    stream: TcpStream,
    writer: Writer,
    url: String,
    out: Vec<u8>,
    world: Arc<World>,
    turn: Turn,
    faults: Faults,
    judge: Judge,
    /// The next message id of each.
    producers: HashMap<u64, (u64, u64)>,
    consumers: HashMap<u64, Consumer>,
}

struct Consumer {
    ledger: u64,
    entry: u64,
    /// Permits that are left; a batch may take more than there were.
    permits: i64,
}

impl Peer {
    pub(crate) fn new(stream: TcpStream, world: Arc<World>) -> io::Result<Self> {
        let (number, faults) = world.connection();
        Ok(Self {
            writer: Writer::new(stream.try_clone()?, world.delay, number),
            url: format!("pulsar://{}", stream.local_addr()?),
            stream,
            out: Vec::new(),
            world,
            turn: Turn::default(),
            faults,
            judge: Judge::new(),
            producers: HashMap::new(),
            consumers: HashMap::new(),
        })
    }

    /// Reads, answers and writes until the peer goes away, or is dropped.
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
            self.turn.bytes_received += read as u64;
            filled += read;
            let mut done = 0;
            while let Some(len) =
                frame_len(&buffer[done..filled], FRAME_BYTES_MAX).map_err(io::Error::other)?
                && done + len <= filled
                && !self.faults.over()
            {
                self.answer(&buffer[done..done + len])?;
                done += len;
            }
            self.turn.bytes_sent += self.out.len() as u64;
            self.writer.send(&mut self.out)?;
            if self.faults.over() {
                self.turn.drops += 1;
            }
            self.world.stats.add(&std::mem::take(&mut self.turn));
            if self.faults.over() {
                return self.drop_peer(&mut buffer);
            }
            buffer.copy_within(done..filled, 0);
            filled -= done;
        }
    }

    /// Ends the connection. What was answered arrives; what comes from now on is not looked at.
    fn drop_peer(self, buffer: &mut [u8]) -> io::Result<()> {
        self.writer.end()?;
        self.stream.set_read_timeout(Some(FAREWELL))?;
        let mut stream = self.stream;
        while matches!(stream.read(buffer), Ok(1..)) {}
        Ok(())
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
        let send = send(frame.body).map_err(io::Error::other)?;
        let Some((ledger, entry)) = self.producers.get_mut(&send.producer) else {
            return Err(io::Error::other("SEND of an unknown producer"));
        };
        let found = self.judge.judge(&send, frame.rest, &self.world.payloads);
        self.turn.broken += found.broken;
        self.turn.batches += u64::from(found.batch);
        self.faults.count(found.messages);
        if self.faults.refuses_publish() {
            let (code, _) = self.faults.codes();
            self.turn.send_errors += 1;
            // Of a batch it is the last message's, as brokers do it.
            let sequence = send.highest.unwrap_or(0).max(send.sequence);
            answers::put_send_error(&mut self.out, send.producer, sequence, code);
            return Ok(());
        }
        let id = (*ledger, *entry);
        *entry += 1;
        self.turn.receipts += found.messages;
        let hashes = id_hash(id.0, id.1).wrapping_mul(found.messages);
        self.turn.receipts_sum = self.turn.receipts_sum.wrapping_add(hashes);
        answers::put_receipt(
            &mut self.out,
            send.producer,
            send.sequence,
            send.highest,
            id,
        );
        Ok(())
    }

    fn deliver(&mut self, body: &[u8]) -> io::Result<()> {
        let (consumer_id, permits) = flow(body).map_err(io::Error::other)?;
        let Some(consumer) = self.consumers.get_mut(&consumer_id) else {
            // It was closed while this was under way.
            return Ok(());
        };
        let deliveries = &self.world.deliveries;
        let messages = i64::try_from(deliveries.messages).unwrap_or(1);
        consumer.permits = consumer
            .permits
            .saturating_add(i64::try_from(permits).unwrap_or(0));
        while consumer.permits > 0 && !self.faults.over() {
            let id = (consumer.ledger, consumer.entry);
            let stored = deliveries.entry(consumer.entry);
            answers::put_message(&mut self.out, consumer_id, id, stored);
            consumer.entry += 1;
            consumer.permits -= messages;
            self.turn.deliveries += deliveries.messages;
            self.faults.count(deliveries.messages);
            if self.out.len() >= WRITE_BYTES {
                self.turn.bytes_sent += self.out.len() as u64;
                self.writer.send(&mut self.out)?;
            }
        }
        Ok(())
    }

    fn ack(&mut self, body: &[u8]) -> io::Result<()> {
        let acked = ack(body).map_err(io::Error::other)?;
        let messages = self.world.deliveries.messages;
        self.turn.acks += acked.entries * messages;
        self.turn.partial_acks += acked.parts;
        let hashes = acked.sum.wrapping_mul(messages);
        self.turn.acks_sum = self.turn.acks_sum.wrapping_add(hashes);
        if let Some(request) = acked.request {
            answers::put_ack_response(&mut self.out, acked.consumer, request);
        }
        Ok(())
    }
}
