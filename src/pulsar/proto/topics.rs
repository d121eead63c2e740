//! Which topics a namespace has, now and from now on.

use prost::Message;

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
