//! Subscriptions and their consumers.

use prost::{Enumeration, Message};

use super::{KeyValue, MessageIdData};

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
