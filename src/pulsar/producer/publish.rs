//! From a message to its frame: alone, or through the open batch.

use std::convert::Infallible;

use super::{InFlight, Producer, Way};
use crate::{
    pulsar::{
        batch::{Closed, Destination},
        command::{Seal, Send},
        error::exception,
        outbox::{FrameRef, Outbox, Segments},
        payload::Compression,
    },
    session::{Deliver, Publish, PublishError},
    timer::Now,
};

impl Producer {
    /// Adds a message to the open batch, or puts it in flight.
    pub(in crate::pulsar) fn publish(
        &mut self,
        now: Now,
        publish: &Publish<'_>,
        is_memory_full: bool,
        mut way: Way<'_>,
    ) -> Result<(), PublishError> {
        if let Some(text) = self.refusal(is_memory_full) {
            // Java would not have let it come so far.
            return Err(match way.compressor.check(publish.payload) {
                Ok(()) => PublishError::Backend(text),
                Err(error) => PublishError::Encoding(error.0),
            });
        }
        if let Some(sealer) = &mut self.sealer {
            sealer.prepare(now.mono).map_err(PublishError::Backend)?;
        }
        let Some(batch) = &self.batch else {
            return self.publish_alone(now, publish, &mut way);
        };
        let is_timed = publish.deliver != Deliver::Now;
        if batch.messages() > 0 && (is_timed || !batch.has_room(publish, self.batch_bytes_max())) {
            self.close_batch(now, &mut way);
        }
        if is_timed || !self.takes(now, publish) {
            return self.publish_alone(now, publish, &mut way);
        }
        self.add_to_batch(now, publish, &mut way)
    }

    /// Why no message is accepted (`ProducerImpl.isValidProducerState`, `canEnqueueRequest`).
    fn refusal(&self, is_memory_full: bool) -> Option<String> {
        let batching = self.batch.as_ref().map(|batch| batch.settings());
        let pending_max = batching.and_then(|batching| batching.pending_max);
        if let Some(end) = self.end {
            Some(end.refusal())
        } else if pending_max.is_some_and(|max| self.pending >= max) {
            let text = "Producer send queue is full";
            Some(exception("$ProducerQueueIsFullError", text))
        } else if is_memory_full {
            let text = "Client memory buffer is full";
            Some(exception("$MemoryBufferIsFullError", text))
        } else {
            None
        }
    }

    const fn message_bytes_max(&self) -> usize {
        self.message_bytes_max as usize
    }

    /// What a batch may hold, so that it is not too large when it is encrypted.
    fn batch_bytes_max(&self) -> usize {
        let added = self.sealer.as_ref().map_or(0, |sealer| sealer.added_len());
        self.message_bytes_max().saturating_sub(added)
    }

    /// Whether the batch, maybe an empty one, has room for a message.
    fn takes(&self, now: Now, publish: &Publish<'_>) -> bool {
        // One that is not empty was asked before.
        self.batch.as_ref().is_some_and(|batch| {
            batch.messages() > 0 || batch.takes(&self.send(now, publish), self.batch_bytes_max())
        })
    }

    fn add_to_batch(
        &mut self,
        now: Now,
        publish: &Publish<'_>,
        way: &mut Way<'_>,
    ) -> Result<(), PublishError> {
        let Some(mut batch) = self.batch.take() else {
            return Ok(());
        };
        let send = self.send(now, publish);
        let added = batch.add(now.mono, &send, way.segments);
        let is_full = batch.is_full();
        self.batch = Some(batch);
        self.count_batch();
        added.map_err(|error| PublishError::Encoding(error.0))?;
        self.next_sequence_id = self.next_sequence_id.wrapping_add(1);
        self.pending += 1;
        if is_full {
            self.close_batch(now, way);
        }
        Ok(())
    }

    /// Puts the open batch in flight, if there is anything in it. Tells whether there was.
    pub(in crate::pulsar) fn close_batch(&mut self, now: Now, way: &mut Way<'_>) -> bool {
        let message_bytes_max = self.batch_bytes_max();
        let seal = match (&self.batch, &mut self.sealer) {
            (Some(batch), Some(sealer)) if batch.messages() > 0 => {
                // There is a data key since its first message.
                let Some(seal) = sealer.next() else {
                    return false;
                };
                Some(seal)
            }
            _ => None,
        };
        let Some(closed) = self.batch.as_mut().and_then(|batch| {
            batch.close(Destination {
                seal,
                producer_id: self.id,
                compression: self.compression,
                message_bytes_max,
                outbox: way.outbox,
                segments: way.segments,
                compressor: way.compressor,
            })
        }) else {
            return false;
        };
        self.count_batch();
        self.put_in_flight(now, &closed, way.is_sent);
        true
    }

    /// The open batch changed: what it holds is part of what is in flight.
    pub(super) fn count_batch(&mut self) {
        let bytes = self.batch.as_ref().map_or(0, |batch| batch.bytes());
        self.in_flight_bytes -= self.batch_bytes;
        self.in_flight_bytes += bytes;
        self.batch_bytes = bytes;
    }

    fn publish_alone(
        &mut self,
        now: Now,
        publish: &Publish<'_>,
        way: &mut Way<'_>,
    ) -> Result<(), PublishError> {
        // What is encrypted with is taken apart from the rest, which it is used together with.
        let mut sealer = self.sealer.take();
        let framed = match sealer.as_mut().map(|sealer| sealer.next()) {
            Some(None) => Err(PublishError::Backend(unsealed())),
            seal => self.frame_alone(now, publish, seal.flatten(), way),
        };
        self.sealer = sealer;
        let alone = Closed {
            frame: framed?,
            sequence_id: self.next_sequence_id,
            messages: 1,
        };
        self.put_in_flight(now, &alone, way.is_sent);
        self.next_sequence_id = self.next_sequence_id.wrapping_add(1);
        self.pending += 1;
        Ok(())
    }

    /// Appends the frame of a message that goes alone.
    fn frame_alone(
        &self,
        now: Now,
        publish: &Publish<'_>,
        seal: Option<Seal<'_>>,
        way: &mut Way<'_>,
    ) -> Result<FrameRef, PublishError> {
        let mut send = self.send(now, publish);
        send.seal = seal.or(send.seal);
        if self.compression == Compression::None {
            let len = send.measure(publish.payload.len);
            if len.message() > self.message_bytes_max() {
                return Err(self.too_large(publish, len.payload, len.message()));
            }
            way.outbox
                .put_frame(len.frame(), way.segments, |tail| send.put(len, tail))
                .map_err(|error| PublishError::Encoding(error.0))
        } else {
            let compressed = way
                .compressor
                .compress_payload(self.compression, publish.payload)
                .map_err(|error| PublishError::Encoding(error.0))?
                .ok_or_else(|| self.too_large(publish, publish.payload.len, publish.payload.len))?;
            let len = send.measure(compressed.len());
            if len.message() > self.message_bytes_max() {
                return Err(self.too_large(publish, len.payload, len.message()));
            }
            let put = way.outbox.put_frame(len.frame(), way.segments, |tail| {
                send.put_compressed(len, compressed, tail);
                Ok::<(), Infallible>(())
            });
            let Ok(frame) = put;
            Ok(frame)
        }
    }

    /// A message as it would be sent alone, and as the next one.
    fn send<'a>(&'a self, now: Now, publish: &'a Publish<'a>) -> Send<'a> {
        let compressed = publish.sealed.and_then(|sealed| sealed.compressed);
        Send {
            producer_id: self.id,
            producer_name: self.name.as_deref().unwrap_or_default(),
            sequence_id: self.next_sequence_id.cast_unsigned(),
            publish_time_ms: now.wall_ms,
            deliver_at_ms: match publish.deliver {
                Deliver::Now => None,
                Deliver::AtMs(at) => Some(at),
                Deliver::AfterMs(delay) => Some(now.wall_ms.cast_signed().saturating_add(delay)),
            },
            compression: compressed.map_or(self.compression, |(compression, _)| compression),
            seal: publish.sealed.map(|sealed| Seal {
                keys: &self.client_keys,
                param: sealed.param,
                cipher: None,
            }),
            publish,
        }
    }

    fn put_in_flight(&mut self, now: Now, closed: &Closed, is_sent: bool) {
        let mut in_flight = InFlight {
            frame: closed.frame,
            sequence_id: closed.sequence_id,
            messages: closed.messages,
            created: now.mono,
            first_sent: None,
            last_sent: None,
            attempts: 0,
        };
        if is_sent {
            in_flight.sent(now.mono);
        }
        self.in_flight_bytes += closed.frame.len();
        self.in_flight.push_back(in_flight);
    }

    /// Java looks at the content first, then at the content with its metadata. Where nothing is
    /// compressed its first text has a gap. A message that could have been part of a batch gets a
    /// text of its own.
    fn too_large(&self, publish: &Publish<'_>, payload: usize, message: usize) -> PublishError {
        let max = self.message_bytes_max();
        if self.batch.is_some() && publish.deliver == Deliver::Now {
            let text = format!("Message size is bigger than {max} bytes");
            return PublishError::Backend(exception("$InvalidMessageException", &text));
        }
        let (what, bytes) = match self.compression {
            _ if payload <= max => ("", message),
            Compression::None => (" ", payload),
            _ => ("Compressed ", payload),
        };
        PublishError::Backend(exception(
            "$InvalidMessageException",
            &format!(
                "The producer {} of the topic {} sends a {what}message with {bytes} bytes that exceeds {max} bytes",
                self.name(),
                self.topic
            ),
        ))
    }

    /// Sends everything in flight again, in order. All of it must be sealed.
    pub(in crate::pulsar) fn resend(
        &mut self,
        now: Now,
        outbox: &mut Outbox,
        segments: &mut Segments,
    ) {
        for publish in &mut self.in_flight {
            publish.frame = outbox.put_again(publish.frame, segments);
            publish.sent(now.mono);
        }
    }
}

/// Nothing leaves unencrypted that should not.
fn unsealed() -> String {
    exception("$CryptoException", "There is no data key")
}
