//! A connection: who is there, with which credentials, and whether it still is.

use prost::Message;

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

/// PING.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct CommandPing {}

/// PONG.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct CommandPong {}
