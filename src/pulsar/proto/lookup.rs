//! Where topics are.

use prost::Message;

use super::ServerError;

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
