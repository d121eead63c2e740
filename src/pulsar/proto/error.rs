//! Why a broker refused something.

use prost::Enumeration;

/// What went wrong, in the broker's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum ServerError {
    /// Anything without a name of its own.
    UnknownError = 0,
    /// The metadata store.
    MetadataError = 1,
    /// The message store.
    PersistenceError = 2,
    /// Credentials were refused.
    AuthenticationError = 3,
    /// The role may not do that.
    AuthorizationError = 4,
    /// Other consumers are connected.
    ConsumerBusy = 5,
    /// To be tried again after a fresh lookup.
    ServiceNotReady = 6,
    /// No producer: the backlog is full (the producer may wait).
    ProducerBlockedQuotaExceededError = 7,
    /// No producer: the backlog is full (the producer is told).
    ProducerBlockedQuotaExceededException = 8,
    /// A frame arrived broken.
    ChecksumError = 9,
    /// The broker is too old.
    UnsupportedVersionError = 10,
    /// No such topic.
    TopicNotFound = 11,
    /// No such subscription.
    SubscriptionNotFound = 12,
    /// No such consumer.
    ConsumerNotFound = 13,
    /// Too much at once.
    TooManyRequests = 14,
    /// The topic takes no more messages, ever.
    TopicTerminatedError = 15,
    /// The producer's name is taken.
    ProducerBusy = 16,
    /// The topic's name is none.
    InvalidTopicName = 17,
    /// The schema does not fit.
    IncompatibleSchema = 18,
    /// No place in the subscription.
    ConsumerAssignError = 19,
    /// A transaction's coordinator is unknown.
    TransactionCoordinatorNotFound = 20,
    /// A transaction's state forbids it.
    InvalidTxnStatus = 21,
    /// Forbidden by configuration.
    NotAllowedError = 22,
    /// Acknowledged in another transaction.
    TransactionConflict = 23,
    /// No such transaction.
    TransactionNotFound = 24,
    /// Another producer took over for good.
    ProducerFenced = 25,
}
