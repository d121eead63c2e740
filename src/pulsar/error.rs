//! Why the broker, or the way to it, refused: what it means for who waits, in the Java client's words.
//!
//! The classes, and which of them are worth another try, are those of `PulsarClientException` and
//! `ClientCnx.getPulsarClientException`; texts keep the class's name in front, because there are
//! applications that look for it.

use std::time::Duration;

use super::proto::ServerError;
use crate::session::{OpenError, OpenErrorKind};

/// Something asked of a broker that was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) cause: Cause,
    pub(super) message: String,
}

/// What kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The broker said no.
    Broker(ServerError),
    /// The broker said nothing.
    Timeout,
    /// The way to the broker.
    Connection,
    /// The answer to a lookup makes no sense.
    Lookup,
    /// What is asked for can't be, whatever the broker says.
    Illegal,
}

impl Failure {
    /// A broker's answer to a request, without the addresses that Java adds to it.
    pub(super) fn broker(error: Option<i32>, request_id: u64, message: Option<&str>) -> Self {
        let error = error
            .and_then(|code| ServerError::try_from(code).ok())
            .unwrap_or(ServerError::UnknownError);
        let message = message.unwrap_or("null");
        Self {
            cause: Cause::Broker(error),
            message: format!(r#"{{"errorMsg":"{message}","reqId":{request_id}}}"#),
        }
    }

    /// A request that was not answered.
    pub(super) fn timeout(request: &str, after: Duration, request_id: u64) -> Self {
        let millis = after.as_millis();
        Self {
            cause: Cause::Timeout,
            message: format!(
                "{request} timeout {{'durationMs': '{millis}', 'reqId':'{request_id}'}}"
            ),
        }
    }

    /// No connection, or none any more.
    pub(super) fn connection(reason: &str) -> Self {
        Self {
            cause: Cause::Connection,
            message: reason.to_owned(),
        }
    }

    /// A lookup's answer that can't be used.
    pub(super) fn lookup(message: String) -> Self {
        Self {
            cause: Cause::Lookup,
            message,
        }
    }

    /// What can't be, whatever the broker says.
    pub(super) fn illegal(message: &str) -> Self {
        Self {
            cause: Cause::Illegal,
            message: message.to_owned(),
        }
    }

    /// Whether trying again may help: `PulsarClientException.isRetriableError`, except that a
    /// namespace or a topic name that is none doesn't become one within half a minute.
    pub(super) fn is_retriable(&self) -> bool {
        use ServerError::{
            AuthorizationError, ConsumerAssignError, ConsumerBusy, IncompatibleSchema,
            InvalidTopicName, NotAllowedError, ProducerBusy, SubscriptionNotFound, TopicNotFound,
            TransactionConflict,
        };
        match self.cause {
            Cause::Illegal => false,
            Cause::Timeout | Cause::Connection | Cause::Lookup => true,
            Cause::Broker(error) => {
                !self.names_no_namespace()
                    && !matches!(
                        error,
                        AuthorizationError
                            | ConsumerAssignError
                            | ConsumerBusy
                            | IncompatibleSchema
                            | InvalidTopicName
                            | NotAllowedError
                            | ProducerBusy
                            | SubscriptionNotFound
                            | TopicNotFound
                            | TransactionConflict
                    )
            }
        }
    }

    /// Whether a session that is being opened is refused with it at once. Java keeps such a client
    /// waiting for half a minute when a quota is exceeded; nothing is won by that.
    pub(super) fn ends_opening(&self) -> bool {
        use ServerError::{
            AuthenticationError, ProducerBlockedQuotaExceededError,
            ProducerBlockedQuotaExceededException, ProducerFenced, TopicTerminatedError,
        };
        !self.is_retriable()
            || matches!(
                self.cause,
                Cause::Broker(
                    AuthenticationError
                        | ProducerBlockedQuotaExceededError
                        | ProducerBlockedQuotaExceededException
                        | ProducerFenced
                        | TopicTerminatedError
                )
            )
    }

    /// Whether the topic is gone, so that a session that was open ends at the broker
    /// (`ProducerImpl.isUnrecoverableError`).
    pub(super) fn is_unrecoverable(&self) -> bool {
        matches!(self.cause, Cause::Broker(ServerError::TopicNotFound)) || self.names_no_namespace()
    }

    /// The exception's class and text, as Java prints it.
    pub(super) fn text(&self) -> String {
        exception(self.class(), &self.message)
    }

    /// For who waits for the session to open. What the broker said stands alone; what happened on
    /// our side is named.
    pub(super) fn open_error(&self) -> OpenError {
        OpenError {
            kind: self.open_error_kind(),
            message: match self.cause {
                Cause::Broker(_) | Cause::Timeout => self.message.clone(),
                Cause::Connection | Cause::Lookup => self.text(),
                Cause::Illegal => {
                    format!("java.util.concurrent.ExecutionException: {}", self.text())
                }
            },
        }
    }

    fn open_error_kind(&self) -> OpenErrorKind {
        use ServerError as E;
        match self.cause {
            Cause::Timeout => OpenErrorKind::Timeout,
            Cause::Connection | Cause::Lookup | Cause::Illegal => OpenErrorKind::Other,
            Cause::Broker(error) => match error {
                E::AuthenticationError => OpenErrorKind::Authentication,
                E::AuthorizationError => OpenErrorKind::Authorization,
                E::TopicNotFound => OpenErrorKind::NotFound,
                E::ProducerBusy | E::ConsumerBusy | E::ProducerFenced | E::IncompatibleSchema => {
                    OpenErrorKind::Busy
                }
                E::TooManyRequests => OpenErrorKind::TooManyRequests,
                E::ProducerBlockedQuotaExceededError
                | E::ProducerBlockedQuotaExceededException
                | E::TopicTerminatedError => OpenErrorKind::Unavailable,
                _ if self.names_no_namespace() => OpenErrorKind::NotFound,
                _ => OpenErrorKind::Other,
            },
        }
    }

    /// Brokers say it with various codes.
    fn names_no_namespace(&self) -> bool {
        matches!(self.cause, Cause::Broker(_)) && self.message.contains("Namespace not found")
    }

    fn class(&self) -> &'static str {
        use ServerError as E;
        match self.cause {
            Cause::Timeout => "$TimeoutException",
            Cause::Lookup => "$LookupException",
            Cause::Connection | Cause::Illegal => "",
            Cause::Broker(error) => match error {
                E::AuthenticationError => "$AuthenticationException",
                E::AuthorizationError => "$AuthorizationException",
                E::ProducerBusy => "$ProducerBusyException",
                E::ConsumerBusy => "$ConsumerBusyException",
                E::MetadataError => "$BrokerMetadataException",
                E::PersistenceError => "$BrokerPersistenceException",
                E::ServiceNotReady => "$ServiceNotReadyException",
                E::TooManyRequests => "$TooManyRequestsException",
                E::ProducerBlockedQuotaExceededError => "$ProducerBlockedQuotaExceededError",
                E::ProducerBlockedQuotaExceededException => {
                    "$ProducerBlockedQuotaExceededException"
                }
                E::TopicTerminatedError => "$TopicTerminatedException",
                E::IncompatibleSchema => "$IncompatibleSchemaException",
                E::TopicNotFound => "$TopicDoesNotExistException",
                E::SubscriptionNotFound => "$SubscriptionNotFoundException",
                E::ConsumerAssignError => "$ConsumerAssignException",
                E::NotAllowedError => "$NotAllowedException",
                E::TransactionConflict => "$TransactionConflictException",
                E::ProducerFenced => "$ProducerFencedException",
                _ => "",
            },
        }
    }
}

/// An exception of the Java client as its `toString` prints it. `class` is the nested class with
/// its `$`, or empty.
pub(super) fn exception(class: &str, message: &str) -> String {
    format!("org.apache.pulsar.client.api.PulsarClientException{class}: {message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(error: ServerError) -> Failure {
        Failure::broker(Some(error as i32), 7, Some("no"))
    }

    #[test]
    fn the_brokers_text_without_addresses() {
        let failure = broker(ServerError::ProducerBusy);
        let error = failure.open_error();
        assert_eq!(error.message, r#"{"errorMsg":"no","reqId":7}"#);
        assert_eq!(error.kind, OpenErrorKind::Busy);
        assert!(failure.text().starts_with(
            "org.apache.pulsar.client.api.PulsarClientException$ProducerBusyException: {"
        ));
    }

    #[test]
    fn kinds_of_refusal() {
        use OpenErrorKind as K;
        use ServerError as E;
        let table = [
            (E::AuthenticationError, K::Authentication, true),
            (E::AuthorizationError, K::Authorization, true),
            (E::TopicNotFound, K::NotFound, true),
            (E::ProducerBusy, K::Busy, true),
            (E::ConsumerBusy, K::Busy, true),
            (E::ProducerFenced, K::Busy, true),
            (E::IncompatibleSchema, K::Busy, true),
            (E::TooManyRequests, K::TooManyRequests, false),
            (E::ProducerBlockedQuotaExceededError, K::Unavailable, true),
            (
                E::ProducerBlockedQuotaExceededException,
                K::Unavailable,
                true,
            ),
            (E::TopicTerminatedError, K::Unavailable, true),
            (E::ServiceNotReady, K::Other, false),
            (E::MetadataError, K::Other, false),
            (E::NotAllowedError, K::Other, true),
            (E::SubscriptionNotFound, K::Other, true),
        ];
        for (error, kind, at_once) in table {
            let failure = broker(error);
            assert_eq!(failure.open_error().kind, kind, "{error:?}");
            assert_eq!(failure.ends_opening(), at_once, "{error:?}");
        }
        let failure = Failure::broker(Some(1), 1, Some("Namespace not found"));
        assert_eq!(failure.open_error().kind, K::NotFound);
        assert!(failure.ends_opening());
        assert_eq!(
            Failure::broker(Some(999), 1, None).cause,
            Cause::Broker(E::UnknownError)
        );
    }

    #[test]
    fn a_timeout_says_how_long_it_waited() {
        let failure = Failure::timeout("request", Duration::from_secs(30), 5);
        assert_eq!(
            failure.open_error(),
            OpenError {
                kind: OpenErrorKind::Timeout,
                message: "request timeout {'durationMs': '30000', 'reqId':'5'}".into()
            }
        );
    }
}
