//! The rare commands of Pulsar's binary protocol, as plain structs.
//!
//! Field numbers and kinds are those of Pulsar's `PulsarApi.proto` (protocol version 21); fields that
//! this service neither sends nor reads are left out, and skipped when received. A command travels
//! inside a `BaseCommand`, which `command.rs` opens and closes by hand: the number of the sub-command's
//! field equals its [`Kind`], so only the sub-command itself is decoded here. The commands that come
//! with every message (SEND, its receipts, MESSAGE, ACK, FLOW) are not here at all.

use prost::{Enumeration, Message};

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

/// What a side of a connection can do.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct FeatureFlags {
    /// Answers AUTH_CHALLENGE at any time.
    #[prost(bool, optional, tag = "1")]
    pub supports_auth_refresh: Option<bool>,
    /// Understands `0x0e02` before an entry.
    #[prost(bool, optional, tag = "2")]
    pub supports_broker_entry_metadata: Option<bool>,
    /// Partial producers.
    #[prost(bool, optional, tag = "3")]
    pub supports_partial_producer: Option<bool>,
    /// Watches of topic lists.
    #[prost(bool, optional, tag = "4")]
    pub supports_topic_watchers: Option<bool>,
    /// PARTITIONED_METADATA that does not create the topic.
    #[prost(bool, optional, tag = "5")]
    pub supports_get_partitioned_metadata_without_auto_creation: Option<bool>,
    /// Replication without duplicates, by position.
    #[prost(bool, optional, tag = "6")]
    pub supports_repl_dedup_by_lid_and_eid: Option<bool>,
}

/// CONNECT.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandConnect {
    /// Who we are.
    #[prost(string, required, tag = "1")]
    pub client_version: String,
    /// Credentials.
    #[prost(bytes = "vec", optional, tag = "3")]
    pub auth_data: Option<Vec<u8>>,
    /// What we speak.
    #[prost(int32, optional, tag = "4")]
    pub protocol_version: Option<i32>,
    /// Kind of credentials.
    #[prost(string, optional, tag = "5")]
    pub auth_method_name: Option<String>,
    /// Through a proxy: the broker behind it, `host:port`.
    #[prost(string, optional, tag = "6")]
    pub proxy_to_broker_url: Option<String>,
    /// On whose behalf.
    #[prost(string, optional, tag = "7")]
    pub original_principal: Option<String>,
    /// What we can do.
    #[prost(message, optional, tag = "10")]
    pub feature_flags: Option<FeatureFlags>,
}

/// CONNECTED.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandConnected {
    /// Who the broker is.
    #[prost(string, required, tag = "1")]
    pub server_version: String,
    /// What it speaks.
    #[prost(int32, optional, tag = "2")]
    pub protocol_version: Option<i32>,
    /// The largest message it takes.
    #[prost(int32, optional, tag = "3")]
    pub max_message_size: Option<i32>,
    /// What it can do.
    #[prost(message, optional, tag = "4")]
    pub feature_flags: Option<FeatureFlags>,
}

/// Credentials, or a question for some.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct AuthData {
    /// Their kind.
    #[prost(string, optional, tag = "1")]
    pub auth_method_name: Option<String>,
    /// Themselves.
    #[prost(bytes = "vec", optional, tag = "2")]
    pub auth_data: Option<Vec<u8>>,
}

/// AUTH_CHALLENGE.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandAuthChallenge {
    /// Who the broker is.
    #[prost(string, optional, tag = "1")]
    pub server_version: Option<String>,
    /// The question.
    #[prost(message, optional, tag = "2")]
    pub challenge: Option<AuthData>,
    /// What it speaks.
    #[prost(int32, optional, tag = "3")]
    pub protocol_version: Option<i32>,
}

/// AUTH_RESPONSE.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandAuthResponse {
    /// Who we are.
    #[prost(string, optional, tag = "1")]
    pub client_version: Option<String>,
    /// The answer.
    #[prost(message, optional, tag = "2")]
    pub response: Option<AuthData>,
    /// What we speak.
    #[prost(int32, optional, tag = "3")]
    pub protocol_version: Option<i32>,
}

/// PARTITIONED_METADATA.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandPartitionedTopicMetadata {
    /// The topic.
    #[prost(string, required, tag = "1")]
    pub topic: String,
    /// The request.
    #[prost(uint64, required, tag = "2")]
    pub request_id: u64,
    /// Whether asking may create the topic.
    #[prost(bool, optional, tag = "6", default = "true")]
    pub metadata_auto_creation_enabled: Option<bool>,
}

/// PARTITIONED_METADATA_RESPONSE.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandPartitionedTopicMetadataResponse {
    /// How many; 0 for a topic without partitions.
    #[prost(uint32, optional, tag = "1")]
    pub partitions: Option<u32>,
    /// The request.
    #[prost(uint64, required, tag = "2")]
    pub request_id: u64,
    /// [`Self::SUCCESS`] or not.
    #[prost(int32, optional, tag = "3")]
    pub response: Option<i32>,
    /// Why not.
    #[prost(enumeration = "ServerError", optional, tag = "4")]
    pub error: Option<i32>,
    /// Why not, in words.
    #[prost(string, optional, tag = "5")]
    pub message: Option<String>,
}

impl CommandPartitionedTopicMetadataResponse {
    /// A `response` with an answer.
    pub const SUCCESS: i32 = 0;
    /// A `response` without.
    pub const FAILED: i32 = 1;
}

/// LOOKUP.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandLookupTopic {
    /// The topic.
    #[prost(string, required, tag = "1")]
    pub topic: String,
    /// The request.
    #[prost(uint64, required, tag = "2")]
    pub request_id: u64,
    /// Whether the broker asked is to decide by itself.
    #[prost(bool, optional, tag = "3")]
    pub authoritative: Option<bool>,
}

/// LOOKUP_RESPONSE.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandLookupTopicResponse {
    /// The broker, `pulsar://host:port`.
    #[prost(string, optional, tag = "1")]
    pub broker_service_url: Option<String>,
    /// The broker, `pulsar+ssl://host:port`.
    #[prost(string, optional, tag = "2")]
    pub broker_service_url_tls: Option<String>,
    /// [`Self::REDIRECT`], [`Self::CONNECT`] or [`Self::FAILED`].
    #[prost(int32, optional, tag = "3")]
    pub response: Option<i32>,
    /// The request.
    #[prost(uint64, required, tag = "4")]
    pub request_id: u64,
    /// To be passed on to where the redirect leads.
    #[prost(bool, optional, tag = "5")]
    pub authoritative: Option<bool>,
    /// Why not.
    #[prost(enumeration = "ServerError", optional, tag = "6")]
    pub error: Option<i32>,
    /// Why not, in words.
    #[prost(string, optional, tag = "7")]
    pub message: Option<String>,
    /// The broker is to be reached through the address that was asked, a proxy's.
    #[prost(bool, optional, tag = "8")]
    pub proxy_through_service_url: Option<bool>,
}

impl CommandLookupTopicResponse {
    /// A `response` that says: ask there.
    pub const REDIRECT: i32 = 0;
    /// A `response` that says: it is there.
    pub const CONNECT: i32 = 1;
    /// A `response` without an answer.
    pub const FAILED: i32 = 2;
}

/// PRODUCER.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandProducer {
    /// The topic.
    #[prost(string, required, tag = "1")]
    pub topic: String,
    /// The producer, by our number.
    #[prost(uint64, required, tag = "2")]
    pub producer_id: u64,
    /// The request.
    #[prost(uint64, required, tag = "3")]
    pub request_id: u64,
    /// Its name; absent: the broker makes one up.
    #[prost(string, optional, tag = "4")]
    pub producer_name: Option<String>,
    /// Whether it encrypts.
    #[prost(bool, optional, tag = "5")]
    pub encrypted: Option<bool>,
    /// How often it was made before.
    #[prost(uint64, optional, tag = "8")]
    pub epoch: Option<u64>,
    /// Whether the name is the user's, not the broker's.
    #[prost(bool, optional, tag = "9", default = "true")]
    pub user_provided_producer_name: Option<bool>,
    /// 0: others may produce as well.
    #[prost(int32, optional, tag = "10")]
    pub producer_access_mode: Option<i32>,
    /// As the broker gave it.
    #[prost(uint64, optional, tag = "11")]
    pub topic_epoch: Option<u64>,
    /// Whether it takes part in transactions.
    #[prost(bool, optional, tag = "12")]
    pub txn_enabled: Option<bool>,
}

/// PRODUCER_SUCCESS.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandProducerSuccess {
    /// The request.
    #[prost(uint64, required, tag = "1")]
    pub request_id: u64,
    /// The producer's name.
    #[prost(string, required, tag = "2")]
    pub producer_name: String,
    /// What the producer of that name stored last, where the broker keeps count.
    #[prost(int64, optional, tag = "3", default = "-1")]
    pub last_sequence_id: Option<i64>,
    /// To be sent with the next PRODUCER.
    #[prost(uint64, optional, tag = "5")]
    pub topic_epoch: Option<u64>,
    /// `false`: the producer waits in line at the broker, another answer follows.
    #[prost(bool, optional, tag = "6", default = "true")]
    pub producer_ready: Option<bool>,
}

/// CLOSE_PRODUCER.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandCloseProducer {
    /// The producer.
    #[prost(uint64, required, tag = "1")]
    pub producer_id: u64,
    /// The request.
    #[prost(uint64, required, tag = "2")]
    pub request_id: u64,
    /// Where the topic went.
    #[prost(string, optional, tag = "3")]
    pub assigned_broker_service_url: Option<String>,
    /// Where the topic went, with TLS.
    #[prost(string, optional, tag = "4")]
    pub assigned_broker_service_url_tls: Option<String>,
}

/// CLOSE_CONSUMER.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandCloseConsumer {
    /// The consumer.
    #[prost(uint64, required, tag = "1")]
    pub consumer_id: u64,
    /// The request.
    #[prost(uint64, required, tag = "2")]
    pub request_id: u64,
    /// Where the topic went.
    #[prost(string, optional, tag = "3")]
    pub assigned_broker_service_url: Option<String>,
    /// Where the topic went, with TLS.
    #[prost(string, optional, tag = "4")]
    pub assigned_broker_service_url_tls: Option<String>,
}

/// How a subscription's messages are shared out, in the broker's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum SubType {
    /// One consumer only.
    Exclusive = 0,
    /// Each message to any one.
    Shared = 1,
    /// One at a time, others stand by.
    Failover = 2,
    /// Messages of one key to one consumer.
    KeyShared = 3,
}

/// Where a new subscription begins, in the broker's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum InitialPosition {
    /// After the last message.
    Latest = 0,
    /// At the first message kept.
    Earliest = 1,
}

/// How keys are shared out.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct KeySharedMeta {
    /// 0: the broker splits.
    #[prost(int32, required, tag = "1")]
    pub key_shared_mode: i32,
    /// Whether order within a key may break when consumers come and go.
    #[prost(bool, optional, tag = "4")]
    pub allow_out_of_order_delivery: Option<bool>,
}

/// SUBSCRIBE.
#[derive(Clone, PartialEq, Message)]
pub struct CommandSubscribe {
    /// The topic.
    #[prost(string, required, tag = "1")]
    pub topic: String,
    /// The subscription.
    #[prost(string, required, tag = "2")]
    pub subscription: String,
    /// How it shares out.
    #[prost(enumeration = "SubType", required, tag = "3")]
    pub sub_type: i32,
    /// The consumer, by our number.
    #[prost(uint64, required, tag = "4")]
    pub consumer_id: u64,
    /// The request.
    #[prost(uint64, required, tag = "5")]
    pub request_id: u64,
    /// The consumer's name.
    #[prost(string, optional, tag = "6")]
    pub consumer_name: Option<String>,
    /// Smaller is served first.
    #[prost(int32, optional, tag = "7")]
    pub priority_level: Option<i32>,
    /// Whether the subscription outlives its consumers.
    #[prost(bool, optional, tag = "8", default = "true")]
    pub durable: Option<bool>,
    /// Behind which message a subscription that is not durable begins.
    #[prost(message, optional, tag = "9")]
    pub start_message_id: Option<MessageIdData>,
    /// For people to see.
    #[prost(message, repeated, tag = "10")]
    pub metadata: Vec<KeyValue>,
    /// Only the last message of each key.
    #[prost(bool, optional, tag = "11")]
    pub read_compacted: Option<bool>,
    /// Where a new subscription begins.
    #[prost(enumeration = "InitialPosition", optional, tag = "13")]
    pub initial_position: Option<i32>,
    /// Whether other clusters follow.
    #[prost(bool, optional, tag = "14")]
    pub replicate_subscription_state: Option<bool>,
    /// Whether the topic may be created.
    #[prost(bool, optional, tag = "15", default = "true")]
    pub force_topic_creation: Option<bool>,
    /// How keys are shared out.
    #[prost(message, optional, tag = "17")]
    pub key_shared_meta: Option<KeySharedMeta>,
    /// For people to see.
    #[prost(message, repeated, tag = "18")]
    pub subscription_properties: Vec<KeyValue>,
    /// Goes up when an exclusive or failover consumer asks for everything again.
    #[prost(uint64, optional, tag = "19")]
    pub consumer_epoch: Option<u64>,
}

/// UNSUBSCRIBE.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandUnsubscribe {
    /// The consumer.
    #[prost(uint64, required, tag = "1")]
    pub consumer_id: u64,
    /// The request.
    #[prost(uint64, required, tag = "2")]
    pub request_id: u64,
    /// Even if others are connected.
    #[prost(bool, optional, tag = "3")]
    pub force: Option<bool>,
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

/// SEEK.
#[derive(Clone, PartialEq, Message)]
pub struct CommandSeek {
    /// The consumer.
    #[prost(uint64, required, tag = "1")]
    pub consumer_id: u64,
    /// The request.
    #[prost(uint64, required, tag = "2")]
    pub request_id: u64,
    /// To a message.
    #[prost(message, optional, tag = "3")]
    pub message_id: Option<MessageIdData>,
    /// To a time.
    #[prost(uint64, optional, tag = "4")]
    pub message_publish_time: Option<u64>,
}

/// GET_LAST_MESSAGE_ID.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct CommandGetLastMessageId {
    /// The consumer.
    #[prost(uint64, required, tag = "1")]
    pub consumer_id: u64,
    /// The request.
    #[prost(uint64, required, tag = "2")]
    pub request_id: u64,
}

/// GET_LAST_MESSAGE_ID_RESPONSE.
#[derive(Clone, PartialEq, Message)]
pub struct CommandGetLastMessageIdResponse {
    /// What was stored last.
    #[prost(message, required, tag = "1")]
    pub last_message_id: MessageIdData,
    /// The request.
    #[prost(uint64, required, tag = "2")]
    pub request_id: u64,
    /// How far the subscription has acknowledged everything.
    #[prost(message, optional, tag = "3")]
    pub consumer_mark_delete_position: Option<MessageIdData>,
}

/// ACTIVE_CONSUMER_CHANGE.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct CommandActiveConsumerChange {
    /// The consumer.
    #[prost(uint64, required, tag = "1")]
    pub consumer_id: u64,
    /// Whether it is the one served.
    #[prost(bool, optional, tag = "2")]
    pub is_active: Option<bool>,
}

/// REACHED_END_OF_TOPIC.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct CommandReachedEndOfTopic {
    /// The consumer.
    #[prost(uint64, required, tag = "1")]
    pub consumer_id: u64,
}

/// PING.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct CommandPing {}

/// PONG.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct CommandPong {}

/// `GET_TOPICS_OF_NAMESPACE`; without a mode, persistent topics are meant.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandGetTopicsOfNamespace {
    /// Comes back with the answer.
    #[prost(uint64, required, tag = "1")]
    pub request_id: u64,
    /// Where.
    #[prost(string, required, tag = "2")]
    pub namespace: String,
}

/// `GET_TOPICS_OF_NAMESPACE_RESPONSE`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandGetTopicsOfNamespaceResponse {
    /// Of the request.
    #[prost(uint64, required, tag = "1")]
    pub request_id: u64,
    /// Full names, partitions one by one.
    #[prost(string, repeated, tag = "2")]
    pub topics: Vec<String>,
}

/// `WATCH_TOPIC_LIST`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandWatchTopicList {
    /// Comes back with the answer.
    #[prost(uint64, required, tag = "1")]
    pub request_id: u64,
    /// Comes back with all that is told.
    #[prost(uint64, required, tag = "2")]
    pub watcher_id: u64,
    /// Where.
    #[prost(string, required, tag = "3")]
    pub namespace: String,
    /// What names, without domain and partition, must match.
    #[prost(string, required, tag = "4")]
    pub topics_pattern: String,
    /// Of the topics that are known already.
    #[prost(string, optional, tag = "5")]
    pub topics_hash: Option<String>,
}

/// `WATCH_TOPIC_LIST_SUCCESS`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandWatchTopicListSuccess {
    /// Of the request.
    #[prost(uint64, required, tag = "1")]
    pub request_id: u64,
    /// Who watches.
    #[prost(uint64, required, tag = "2")]
    pub watcher_id: u64,
    /// Full names of all that match.
    #[prost(string, repeated, tag = "3")]
    pub topic: Vec<String>,
}

/// `WATCH_TOPIC_UPDATE`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandWatchTopicUpdate {
    /// Who watches.
    #[prost(uint64, required, tag = "1")]
    pub watcher_id: u64,
    /// Full names.
    #[prost(string, repeated, tag = "2")]
    pub new_topics: Vec<String>,
    /// Full names.
    #[prost(string, repeated, tag = "3")]
    pub deleted_topics: Vec<String>,
}

/// `WATCH_TOPIC_LIST_CLOSE`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct CommandWatchTopicListClose {
    /// Comes back with the answer.
    #[prost(uint64, required, tag = "1")]
    pub request_id: u64,
    /// Who watched.
    #[prost(uint64, required, tag = "2")]
    pub watcher_id: u64,
}

/// TOPIC_MIGRATED.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandTopicMigrated {
    /// The producer or consumer.
    #[prost(uint64, required, tag = "1")]
    pub resource_id: u64,
    /// [`Self::PRODUCER`] or [`Self::CONSUMER`].
    #[prost(int32, required, tag = "2")]
    pub resource_type: i32,
    /// Where the topic is now.
    #[prost(string, optional, tag = "3")]
    pub broker_service_url: Option<String>,
    /// Where the topic is now, with TLS.
    #[prost(string, optional, tag = "4")]
    pub broker_service_url_tls: Option<String>,
}

impl CommandTopicMigrated {
    /// A `resource_type`.
    pub const PRODUCER: i32 = 0;
    /// A `resource_type`.
    pub const CONSUMER: i32 = 1;
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
