//! Producers, from their beginning to their end.

use prost::Message;

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
