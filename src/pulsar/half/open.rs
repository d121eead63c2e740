//! A session's half is made, refused, or could not be opened.

use std::{rc::Rc, time::Duration};

use super::{Half, HalfKey, Role, State, wire_id};
use crate::{
    pulsar::{
        Event, Pulsar,
        backoff::Backoff,
        consumer::ConsumerSpec,
        consuming::Consuming,
        crypto::Sealer,
        error::{Failure, exception},
        group::Place,
        producer::Producer,
    },
    session::{
        BadMessageId, Link, OpenError, OpenErrorKind, SessionKey, Spec, producer::Encryption,
    },
    timer::Now,
};

impl Pulsar {
    /// Makes the backend's half of a session. [`Event::Opened`] or [`Event::OpenFailed`] follows.
    pub fn open(&mut self, now: Now, session: SessionKey, spec: &Spec) -> Link {
        if let Err(error) = self.check_encryption(spec) {
            self.events.push_back(Event::OpenFailed { session, error });
            return Link(wire_id(HalfKey::default()));
        }
        match self.make_half(now, session, spec, None) {
            Ok(key) => {
                match spec {
                    Spec::Consumer(spec) if spec.several.is_some() => {
                        self.open_several(now, key, spec.clone());
                    }
                    _ => self.look_up(now, key),
                }
                Link(wire_id(key))
            }
            Err(BadMessageId) => self.refuse(session, exception("", "Invalid start message id")),
        }
    }

    /// Whether there are the keys that a producer is to encrypt for, in the order in which Java looks.
    fn check_encryption(&self, spec: &Spec) -> Result<(), OpenError> {
        let Some(names) = names(spec) else {
            return Ok(());
        };
        let keys = &self.settings.encryption_keys;
        let error = |kind, message: &str| {
            Err(OpenError {
                kind,
                message: message.to_owned(),
            })
        };
        if !keys.can_encrypt() {
            let message =
                "Can't add encryption key without configuring cryptoKeyReaderFactoryClassName";
            return error(OpenErrorKind::Other, message);
        }
        if names.iter().any(|name| name.trim().is_empty()) {
            return error(OpenErrorKind::Invalid, "Encryption key cannot be blank");
        }
        match Sealer::new(names, keys) {
            Ok(_) => Ok(()),
            Err(text) => error(OpenErrorKind::Other, &exception("$CryptoException", &text)),
        }
    }

    /// Makes a half that is to be looked up.
    pub(in crate::pulsar) fn make_half(
        &mut self,
        now: Now,
        session: SessionKey,
        spec: &Spec,
        place: Option<Place>,
    ) -> Result<HalfKey, BadMessageId> {
        let seed = self.random.next();
        // The names were checked when the session was opened.
        let keys = &self.settings.encryption_keys;
        let sealer = names(spec).and_then(|names| Sealer::new(names, keys).ok());
        let message_bytes_max = self.settings.message_bytes_max;
        let deadline = now.mono + self.settings.operation_timeout;
        let topic: Rc<str> = spec.topic().into();
        let mut consumer = match spec {
            Spec::Producer(_) => None,
            Spec::Consumer(spec) => Some((ConsumerSpec::from(spec), spec.subscription.clone())),
            Spec::Reader(spec) => Some((ConsumerSpec::try_from(spec)?, String::new())),
        };
        if let Some((spec, _)) = &mut consumer {
            spec.held_bytes_max = self.settings.held_bytes_max;
            spec.shard_held_bytes_max = self.settings.shard_held_bytes_max;
            spec.shard_held = self.held.clone();
            spec.shard_chunks = self.incomplete.clone();
            // Who names a partition in a list gets ids without its number.
            spec.partition = place.map_or(spec.partition, |place| place.partition);
        }
        let asks_partitions = place.is_none_or(|place| place.partition.is_none());
        Ok(self.halves.insert_with_key(|key| {
            let id = wire_id(key);
            let (role, last_call) = match (consumer, spec) {
                (Some((spec, subscription)), _) => {
                    let consuming = Consuming::new(session, spec, subscription, id, seed);
                    (Role::Consumer(Box::new(consuming)), None)
                }
                (None, Spec::Producer(spec)) => {
                    let producer =
                        Producer::new(id, session, topic.clone(), spec, sealer, message_bytes_max);
                    let last_call = last_call(spec.send_timeout);
                    (Role::Producer(producer), Some(last_call))
                }
                (None, _) => unreachable!("all but producers are consumers"),
            };
            Box::new(Half {
                session,
                role,
                state: State::Locating,
                is_open: false,
                leaving: None,
                last_failure: None,
                topic,
                spec: asks_partitions.then(|| Box::new(spec.clone())),
                place: place.map(Box::new),
                backoff: Backoff::new(last_call),
                deadline,
                is_proxy_known: false,
                proxy: None,
                cluster: None,
            })
        }))
    }

    /// A session that can't be made, whatever the broker says.
    fn refuse(&mut self, session: SessionKey, message: String) -> Link {
        let error = OpenError {
            kind: OpenErrorKind::Other,
            message,
        };
        self.events.push_back(Event::OpenFailed { session, error });
        Link(wire_id(HalfKey::default()))
    }

    pub(in crate::pulsar) fn open_failed(&mut self, now: Now, key: HalfKey, failure: &Failure) {
        let Some((session, place)) = self
            .halves
            .get(key)
            .map(|half| (half.session, half.place()))
        else {
            return;
        };
        self.forget(key);
        if let Some(place) = place {
            return self.part_failed(now, place, failure);
        }
        let error = failure.open_error();
        self.events.push_back(Event::OpenFailed { session, error });
    }
}

/// The keys that the service is to encrypt for.
fn names(spec: &Spec) -> Option<&[String]> {
    match spec {
        Spec::Producer(producer) => match &producer.encryption {
            Some(Encryption::Here(names)) => Some(names),
            _ => None,
        },
        _ => None,
    }
}

/// A producer tries once more shortly before its oldest publish times out.
fn last_call(send_timeout: Option<Duration>) -> Duration {
    const SHORTLY: Duration = Duration::from_millis(100);
    send_timeout
        .unwrap_or_default()
        .saturating_sub(SHORTLY)
        .max(SHORTLY)
}
