//! Lookups that somebody else makes: where only the URL of the brokers' web service is known, a
//! topic's broker is asked for over HTTP, outside.

use super::{
    Effect, Pulsar,
    connection::Address,
    error::{Cause, Failure},
    lookup::{Located, LookupKey, Wanted},
    proto::ServerError,
};
use crate::timer::Now;

/// The answer to [`Effect::Locate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// How many partitions the topic has; 0 if that was not asked.
    pub partitions: u64,
    /// Its broker's URL; empty if it has partitions, and if that was not asked.
    pub broker_url: String,
    /// The namespace's topics by their full names; empty if that was not asked.
    pub topics: Vec<String>,
}

/// Why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotLocated {
    /// The HTTP status; `None` if nobody answered.
    pub status: Option<u16>,
    /// In the words of who answered.
    pub message: String,
}

impl Pulsar {
    pub(super) fn ask_outside(&mut self, lookup: LookupKey, topic: String, wanted: Wanted) {
        self.effects.push_back(Effect::Locate {
            lookup,
            topic,
            wanted,
        });
    }

    /// The answer to [`Effect::Locate`].
    pub fn handle_located(
        &mut self,
        now: Now,
        lookup: LookupKey,
        answer: Result<Location, NotLocated>,
    ) {
        let wanted = self.wanted(lookup);
        let failure = match answer {
            Ok(location) if wanted == Some(Wanted::Topics) => {
                return self.finish_lookup(now, lookup, &Ok(Located::Topics(location.topics)));
            }
            Ok(location) if location.partitions > 0 || wanted == Some(Wanted::Partitions) => {
                let partitions = u32::try_from(location.partitions).unwrap_or(u32::MAX);
                return self.finish_lookup(now, lookup, &Ok(Located::Partitions(partitions)));
            }
            Ok(location) => match Address::parse_url(&location.broker_url) {
                Some((host, port)) => {
                    let address = Address::direct(host, port);
                    return self.finish_lookup(now, lookup, &Ok(Located::Broker(address)));
                }
                None => Failure::lookup(format!(
                    "the broker's address is no URL: '{}'",
                    location.broker_url
                )),
            },
            Err(error) => failure(error),
        };
        self.lookup_failed(now, lookup, failure);
    }
}

/// What a status means, as the same answer of a broker over its own protocol.
fn failure(error: NotLocated) -> Failure {
    let cause = match error.status {
        None => Cause::Connection,
        Some(401) => Cause::Broker(ServerError::AuthenticationError),
        Some(403) => Cause::Broker(ServerError::AuthorizationError),
        Some(404) => Cause::Broker(ServerError::TopicNotFound),
        Some(429) => Cause::Broker(ServerError::TooManyRequests),
        Some(_) => Cause::Lookup,
    };
    Failure {
        cause,
        message: error.message,
    }
}
