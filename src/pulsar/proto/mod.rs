//! The rare commands of Pulsar's binary protocol, as plain structs.
//!
//! Field numbers and kinds are those of Pulsar's `PulsarApi.proto` (protocol version 21); fields that
//! this service neither sends nor reads are left out, and skipped when received. A command travels
//! inside a `BaseCommand`, which `command/` opens and closes by hand: the number of the sub-command's
//! field equals its [`Kind`], so only the sub-command itself is decoded here. The commands that come
//! with every message (SEND, its receipts, MESSAGE, ACK, FLOW) are not here at all.

mod consuming;
mod error;
mod lookup;
mod opening;
mod producing;
mod topics;

use prost::{Enumeration, Message};

pub use consuming::{
    CommandActiveConsumerChange, CommandCloseConsumer, CommandGetLastMessageId,
    CommandGetLastMessageIdResponse, CommandReachedEndOfTopic, CommandSeek, CommandSubscribe,
    CommandUnsubscribe, InitialPosition, KeySharedMeta, SubType,
};
pub use error::ServerError;
pub use lookup::{
    CommandLookupTopic, CommandLookupTopicResponse, CommandPartitionedTopicMetadata,
    CommandPartitionedTopicMetadataResponse, CommandTopicMigrated,
};
pub use opening::{
    AuthData, CommandAuthChallenge, CommandAuthResponse, CommandConnect, CommandConnected,
    CommandPing, CommandPong, FeatureFlags,
};
pub use producing::{CommandCloseProducer, CommandProducer, CommandProducerSuccess};
pub use topics::{
    CommandGetTopicsOfNamespace, CommandGetTopicsOfNamespaceResponse, CommandWatchTopicList,
    CommandWatchTopicListClose, CommandWatchTopicListSuccess, CommandWatchTopicUpdate,
};

/// What a `BaseCommand` holds: its `type`, and the number of the field that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum Kind {
    /// Unknown to this build; skipped.
    Unknown = 0,
    /// First frame of a connection.
    Connect = 2,
    /// The broker's answer to it.
    Connected = 3,
    /// Make a consumer.
    Subscribe = 4,
    /// Make a producer.
    Producer = 5,
    /// Store a message.
    Send = 6,
    /// A message was stored.
    SendReceipt = 7,
    /// A message was not stored.
    SendError = 8,
    /// A message for a consumer.
    Message = 9,
    /// Messages are done.
    Ack = 10,
    /// More messages may come.
    Flow = 11,
    /// Remove a subscription.
    Unsubscribe = 12,
    /// A request was done.
    Success = 13,
    /// A request failed.
    Error = 14,
    /// A producer ends, or has to go elsewhere.
    CloseProducer = 15,
    /// A consumer ends, or has to go elsewhere.
    CloseConsumer = 16,
    /// A producer is made.
    ProducerSuccess = 17,
    /// Is anybody there?
    Ping = 18,
    /// Yes.
    Pong = 19,
    /// Messages again.
    RedeliverUnacknowledgedMessages = 20,
    /// How many partitions?
    PartitionedMetadata = 21,
    /// So many.
    PartitionedMetadataResponse = 22,
    /// Which broker owns the topic?
    Lookup = 23,
    /// This one.
    LookupResponse = 24,
    /// Nothing will come any more.
    ReachedEndOfTopic = 27,
    /// Move a subscription.
    Seek = 28,
    /// What was stored last?
    GetLastMessageId = 29,
    /// This.
    GetLastMessageIdResponse = 30,
    /// A consumer of a failover subscription was chosen, or is so no longer.
    ActiveConsumerChange = 31,
    /// Which topics are in a namespace?
    GetTopicsOfNamespace = 32,
    /// These.
    GetTopicsOfNamespaceResponse = 33,
    /// The broker wants credentials anew.
    AuthChallenge = 36,
    /// Here they are.
    AuthResponse = 37,
    /// An acknowledgement was stored.
    AckResponse = 38,
    /// Tell which topics come and go.
    WatchTopicList = 64,
    /// These are there.
    WatchTopicListSuccess = 65,
    /// These came or went.
    WatchTopicUpdate = 66,
    /// Don't tell any more.
    WatchTopicListClose = 67,
    /// The topic went to another cluster.
    TopicMigrated = 68,
}

/// Where a message is stored.
#[derive(Clone, PartialEq, Message)]
pub struct MessageIdData {
    /// The ledger.
    #[prost(uint64, required, tag = "1")]
    pub ledger_id: u64,
    /// The entry in it.
    #[prost(uint64, required, tag = "2")]
    pub entry_id: u64,
    /// The partition; absent means -1, none.
    #[prost(int32, optional, tag = "3", default = "-1")]
    pub partition: Option<i32>,
    /// The message in a batch; absent means -1, not in a batch.
    #[prost(int32, optional, tag = "4", default = "-1")]
    pub batch_index: Option<i32>,
    /// One bit a message of the batch, set where it is not acknowledged.
    #[prost(int64, repeated, packed = "false", tag = "5")]
    pub ack_set: Vec<i64>,
    /// Messages in the batch.
    #[prost(int32, optional, tag = "6")]
    pub batch_size: Option<i32>,
    /// Of a message in chunks, the first one's place.
    #[prost(message, optional, boxed, tag = "7")]
    pub first_chunk_message_id: Option<Box<Self>>,
}

/// A pair.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct KeyValue {
    /// Its name.
    #[prost(string, required, tag = "1")]
    pub key: String,
    /// Its value.
    #[prost(string, required, tag = "2")]
    pub value: String,
}

/// SUCCESS.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct CommandSuccess {
    /// The request.
    #[prost(uint64, required, tag = "1")]
    pub request_id: u64,
}

/// ERROR.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandError {
    /// The request.
    #[prost(uint64, required, tag = "1")]
    pub request_id: u64,
    /// Why.
    #[prost(enumeration = "ServerError", required, tag = "2")]
    pub error: i32,
    /// Why, in words.
    #[prost(string, required, tag = "3")]
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_skipped() {
        // Fields 1, 2 and an unknown 9 (a varint), 10 (bytes).
        let bytes = [8, 7, 16, 1, 72, 5, 82, 2, 1, 2];
        let change = CommandActiveConsumerChange::decode(&bytes[..]).unwrap();
        assert_eq!((change.consumer_id, change.is_active), (7, Some(true)));
    }

    #[test]
    fn absent_means_the_protocols_default() {
        let success = CommandProducerSuccess::decode(&[8, 1, 18, 1, b'p'][..]).unwrap();
        assert_eq!(success.last_sequence_id(), -1);
        assert!(success.producer_ready());
        let id = MessageIdData::decode(&[8, 3, 16, 4][..]).unwrap();
        assert_eq!((id.partition(), id.batch_index()), (-1, -1));
    }
}
