//! What brokers say: each frame finds the connection's, request's, producer's or consumer's part.

use prost::Message;

use super::{
    Event, Pulsar, Scratch, Unfolding,
    command::{SendError, SendReceipt},
    connection::{Address, ConnectionKey, Phase},
    error::Failure,
    fan_in::WatchAnswer,
    half::{Detached, HalfKey, Role, State, half_key},
    lookup::Located,
    producer::{Broken, Receipt},
    proto::{
        CommandCloseConsumer, CommandCloseProducer, CommandConnected, CommandError,
        CommandGetTopicsOfNamespaceResponse, CommandLookupTopicResponse,
        CommandPartitionedTopicMetadataResponse, CommandProducerSuccess, CommandReachedEndOfTopic,
        CommandSuccess, CommandTopicMigrated, CommandWatchTopicListSuccess,
        CommandWatchTopicUpdate, Kind, ServerError,
    },
    reader::{Input, Place},
    request::Purpose,
    wire::Frame,
};
use crate::{session::SessionKey, timer::Now};

/// What one frame came to.
enum Step {
    /// Nothing to be done, though maybe something to be told.
    Nothing,
    /// A MESSAGE, which is worked on outside: what comes of it borrows from the frame.
    Message,
}

impl Pulsar {
    /// Works on a connection's input until there is something to tell; `None`: the input is used
    /// up. A frame that lies whole in the input is not copied; what is told borrows from the input
    /// or the scratch.
    pub fn next_event<'e, 'i: 'e>(
        &mut self,
        now: Now,
        key: ConnectionKey,
        input: &mut Input<'i>,
        scratch: &'e mut Scratch,
    ) -> Option<Event<'e>> {
        let whole = loop {
            // What a frame or a call before had to tell comes first, in order.
            if let Some(event) = self.poll_event(now) {
                return Some(event);
            }
            let Some(connection) = self.connections.get_mut(key) else {
                input.clear();
                return None;
            };
            let step = match connection.reader.next(input, &mut scratch.frame) {
                Ok(None) => return None,
                Ok(Some(place)) => {
                    connection.is_pinged = false;
                    let is_ready = connection.phase == Phase::Ready;
                    let (frame, whole) = match place {
                        Place::Input(frame) => {
                            let frame = Frame::parse(frame);
                            (frame, frame.ok())
                        }
                        Place::Scratch => (Frame::parse(&scratch.frame), None),
                    };
                    frame
                        .map_err(|error| error.to_string())
                        .and_then(|frame| self.handle_frame(now, key, is_ready, &frame))
                        .map(|step| (step, whole))
                }
                Err(error) => Err(error.to_string()),
            };
            match step {
                Ok((Step::Nothing, _)) => {}
                Ok((Step::Message, whole)) => break whole,
                Err(reason) => {
                    input.clear();
                    self.drop_connection(now, key, &reason);
                }
            }
        };
        let Scratch {
            frame,
            decompressed,
        } = scratch;
        // A frame in the scratch could not be borrowed beyond the loop.
        let entry = whole
            .map_or_else(|| Frame::parse(frame), Ok)
            .map_err(|error| error.to_string())
            .and_then(|frame| self.handle_message(now, key, &frame, decompressed));
        match entry {
            Ok(Some(entry)) => return Some(Event::Entry(entry)),
            Ok(None) => {}
            Err(reason) => {
                input.clear();
                self.drop_connection(now, key, &reason);
            }
        }
        // The loop can't go on, since an entry would have borrowed the scratch; so the caller is
        // told nothing, and asks again.
        Some(Event::Released {
            session: SessionKey::default(),
            messages: 0,
        })
    }

    /// An error closes the connection.
    fn handle_frame(
        &mut self,
        now: Now,
        key: ConnectionKey,
        is_ready: bool,
        frame: &Frame<'_>,
    ) -> Result<Step, String> {
        let kind = Kind::try_from(frame.kind).unwrap_or(Kind::Unknown);
        if !is_ready {
            return self.handle_handshake(now, key, kind, frame.body);
        }
        match kind {
            Kind::SendReceipt => return self.handle_receipt(now, key, frame.body),
            Kind::Message => return Ok(Step::Message),
            Kind::SendError => self.handle_send_error(now, key, frame.body)?,
            Kind::Ping => self.pong(key),
            Kind::AuthChallenge => self.answer_challenge(key),
            Kind::ProducerSuccess => {
                let success: CommandProducerSuccess = decode(frame.body)?;
                self.handle_producer_success(now, key, success);
            }
            Kind::Success => {
                let success: CommandSuccess = decode(frame.body)?;
                self.handle_success(now, key, success.request_id);
            }
            Kind::Error => {
                let error: CommandError = decode(frame.body)?;
                self.handle_error(now, &error);
            }
            Kind::PartitionedMetadataResponse => {
                let answer: CommandPartitionedTopicMetadataResponse = decode(frame.body)?;
                if let Some(Purpose::Lookup(lookup)) = self.answered(answer.request_id) {
                    self.partitions_answered(now, lookup, key, &answer);
                }
            }
            Kind::LookupResponse => {
                let answer: CommandLookupTopicResponse = decode(frame.body)?;
                if let Some(Purpose::Lookup(lookup)) = self.answered(answer.request_id) {
                    self.lookup_answered(now, lookup, &answer);
                }
            }
            Kind::GetTopicsOfNamespaceResponse => {
                let answer: CommandGetTopicsOfNamespaceResponse = decode(frame.body)?;
                if let Some(Purpose::Lookup(lookup)) = self.answered(answer.request_id) {
                    self.finish_lookup(now, lookup, &Ok(Located::Topics(answer.topics)));
                }
            }
            Kind::WatchTopicListSuccess => {
                let answer: CommandWatchTopicListSuccess = decode(frame.body)?;
                if let Some(Purpose::Watch(half)) = self.answered(answer.request_id) {
                    self.watched(now, half, key, WatchAnswer::All(answer.topic));
                }
            }
            Kind::WatchTopicUpdate => {
                let update: CommandWatchTopicUpdate = decode(frame.body)?;
                let answer = WatchAnswer::Update {
                    new: update.new_topics,
                    deleted: update.deleted_topics,
                };
                self.watched(now, half_key(update.watcher_id), key, answer);
            }
            Kind::CloseProducer => {
                let close: CommandCloseProducer = decode(frame.body)?;
                let url = close.assigned_broker_service_url();
                self.handle_close(now, key, close.producer_id, url);
            }
            Kind::CloseConsumer => {
                let close: CommandCloseConsumer = decode(frame.body)?;
                let url = close.assigned_broker_service_url();
                self.handle_close(now, key, close.consumer_id, url);
            }
            Kind::ReachedEndOfTopic => {
                let end: CommandReachedEndOfTopic = decode(frame.body)?;
                if let Some(half) = self.halves.get_mut(half_key(end.consumer_id))
                    && let Role::Consumer(consuming) = &mut half.role
                {
                    consuming.consumer.handle_reached_end();
                }
            }
            Kind::TopicMigrated => {
                let migrated: CommandTopicMigrated = decode(frame.body)?;
                self.handle_migrated(key, &migrated);
            }
            _ => {}
        }
        Ok(Step::Nothing)
    }

    /// Before CONNECTED, only what belongs to the handshake makes sense.
    fn handle_handshake(
        &mut self,
        now: Now,
        key: ConnectionKey,
        kind: Kind,
        body: &[u8],
    ) -> Result<Step, String> {
        match kind {
            Kind::Connected => {
                let connected: CommandConnected = decode(body)?;
                self.handshaken(now, key, &connected);
            }
            Kind::Error => {
                let error: CommandError = decode(body)?;
                self.handshake_refused(now, key, error.error, error.message);
            }
            Kind::AuthChallenge => self.answer_challenge(key),
            Kind::Ping => self.pong(key),
            Kind::Pong => {}
            _ => return Err(format!("the broker sent {kind:?} before CONNECTED")),
        }
        Ok(Step::Nothing)
    }

    fn handle_receipt(
        &mut self,
        now: Now,
        key: ConnectionKey,
        body: &[u8],
    ) -> Result<Step, String> {
        let receipt = SendReceipt::decode(body).map_err(|error| error.to_string())?;
        let Some(half) = self.halves.get_mut(half_key(receipt.producer_id)) else {
            return Ok(Step::Nothing);
        };
        let Role::Producer(producer) = &mut half.role else {
            return Ok(Step::Nothing);
        };
        // A receipt of a connection that was left behind: what it is for is being sent again, and
        // to count it twice would shift all that follow.
        if half.state != (State::Ready { connection: key }) {
            return Ok(Step::Nothing);
        }
        let sent = producer.last_sent();
        match producer.handle_receipt(&receipt, &mut self.segments) {
            Receipt::Stored(stored) => {
                let nanos = sent.map_or(0, |sent| now.mono.nanos_since(sent));
                self.figures.stored(nanos, stored.messages);
                self.unfolding = Some(Unfolding {
                    session: half.session,
                    lane: producer.lane(),
                    stored,
                    next: 0,
                });
                Ok(Step::Nothing)
            }
            Receipt::Stale => Ok(Step::Nothing),
            Receipt::OutOfOrder => Err("the broker sent a receipt out of order".into()),
        }
    }

    /// `ClientCnx.handleSendError`.
    fn handle_send_error(
        &mut self,
        now: Now,
        at: ConnectionKey,
        body: &[u8],
    ) -> Result<(), String> {
        let error = SendError::decode(body).map_err(|error| error.to_string())?;
        let message = String::from_utf8_lossy(error.message);
        let key = half_key(error.producer_id);
        let Some(half) = self.halves.get_mut(key) else {
            return Ok(());
        };
        let Role::Producer(producer) = &mut half.role else {
            return Ok(());
        };
        if half.state != (State::Ready { connection: at }) {
            return Ok(());
        }
        tracing::warn!(topic = producer.topic(), error = ?error.error, %message, "a publish failed");
        match error.error {
            ServerError::ChecksumError => {
                let broken =
                    producer.handle_broken(error.sequence_id, &mut self.segments, &mut self.events);
                if broken == Broken::Resend {
                    self.resend(now, key);
                }
            }
            ServerError::TopicTerminatedError => self.terminated(now, key, at),
            ServerError::NotAllowedError => producer.handle_not_allowed(
                error.sequence_id,
                &message,
                &mut self.segments,
                &mut self.events,
            ),
            _ => self.half_detached(now, key, Detached::SentAway(None)),
        }
        Ok(())
    }

    fn handle_producer_success(
        &mut self,
        now: Now,
        key: ConnectionKey,
        success: CommandProducerSuccess,
    ) {
        if !success.producer_ready() {
            if let Some(request) = self.requests.get_mut(success.request_id) {
                request.has_no_deadline = true;
            }
            return;
        }
        if let Some(Purpose::Create(half)) = self.answered(success.request_id) {
            self.producer_created(now, half, key, success);
        }
    }

    fn handle_success(&mut self, now: Now, key: ConnectionKey, request_id: u64) {
        match self.answered(request_id) {
            Some(Purpose::Create(half)) => self.consumer_created(now, half, key),
            Some(Purpose::Close(half)) => self.forget(half),
            Some(Purpose::Unsubscribe(half)) => self.unsubscribed(half),
            Some(Purpose::Lookup(_) | Purpose::Watch(_) | Purpose::Forget) | None => {}
        }
    }

    fn handle_error(&mut self, now: Now, error: &CommandError) {
        if let Some(purpose) = self.answered(error.request_id) {
            let failure =
                Failure::broker(Some(error.error), error.request_id, Some(&error.message));
            self.request_failed(now, purpose, &failure);
        }
    }

    /// The broker sends a producer or consumer away.
    fn handle_close(&mut self, now: Now, at: ConnectionKey, id: u64, url: &str) {
        let key = half_key(id);
        let how = Detached::SentAway(Address::parse_url(url));
        if self.is_at(key, at) {
            self.half_detached(now, key, how);
        } else if self.requests.take_close(key, at) {
            let failure = Failure::connection("the broker sent the session away");
            self.close_lost(now, key, how, &failure);
        }
    }

    /// The topic went to another cluster, where it is looked up from now on. The broker closes the
    /// producer or consumer next (`ClientCnx.handleTopicMigrated`).
    fn handle_migrated(&mut self, at: ConnectionKey, migrated: &CommandTopicMigrated) {
        let key = half_key(migrated.resource_id);
        if !self.is_at(key, at) {
            return;
        }
        let url = migrated.broker_service_url();
        let hosts = Address::parse_service_url(url);
        let Some(half) = self.halves.get_mut(key) else {
            return;
        };
        let is_producer = matches!(half.role, Role::Producer(_));
        if is_producer != (migrated.resource_type == CommandTopicMigrated::PRODUCER) {
            return;
        }
        if let Some(hosts) = hosts {
            tracing::info!(
                topic = &*half.topic,
                url,
                "the topic went to another cluster"
            );
            half.cluster = Some(Box::new(hosts));
        } else {
            tracing::warn!(
                topic = &*half.topic,
                url,
                "the topic went to another cluster, which can't be reached without TLS"
            );
        }
    }

    /// Whether the half is at this connection's broker, or being made there.
    fn is_at(&self, key: HalfKey, at: ConnectionKey) -> bool {
        self.halves.get(key).is_some_and(|half| match half.state {
            State::Ready { connection } | State::Creating { connection, .. } => connection == at,
            _ => false,
        })
    }

    fn answered(&mut self, request_id: u64) -> Option<Purpose> {
        Some(self.requests.remove(request_id)?.purpose)
    }
}

fn decode<T: Message + Default>(body: &[u8]) -> Result<T, String> {
    T::decode(body).map_err(|error| format!("the broker sent a broken command: {error}"))
}
