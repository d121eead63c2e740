//! The commands of Pulsar's binary protocol, as the broker of a simulation knows them.
//!
//! Field numbers are Pulsar's; fields that neither side of a simulation uses are left out. Knows
//! fields, not what they mean.

#![allow(
    missing_docs,
    reason = "the fields are Pulsar's, in Pulsar's own names"
)]

use prost::Message;

/// `CommandMessage.ack_set` and its kin: bits of batch members that are not acknowledged yet.
pub(crate) type AckSet = Vec<i64>;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MessageIdData {
    #[prost(uint64, required, tag = "1")]
    pub(crate) ledger_id: u64,
    #[prost(uint64, required, tag = "2")]
    pub(crate) entry_id: u64,
    #[prost(int32, optional, tag = "3")]
    pub(crate) partition: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    pub(crate) batch_index: Option<i32>,
    #[prost(int64, repeated, packed = "false", tag = "5")]
    pub(crate) ack_set: AckSet,
    #[prost(int32, optional, tag = "6")]
    pub(crate) batch_size: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeyValue {
    #[prost(string, required, tag = "1")]
    pub(crate) key: String,
    #[prost(string, required, tag = "2")]
    pub(crate) value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MessageMetadata {
    #[prost(string, required, tag = "1")]
    pub(crate) producer_name: String,
    #[prost(uint64, required, tag = "2")]
    pub(crate) sequence_id: u64,
    #[prost(uint64, required, tag = "3")]
    pub(crate) publish_time: u64,
    #[prost(message, repeated, tag = "4")]
    pub(crate) properties: Vec<KeyValue>,
    #[prost(string, optional, tag = "6")]
    pub(crate) partition_key: Option<String>,
    #[prost(string, repeated, tag = "7")]
    pub(crate) replicate_to: Vec<String>,
    #[prost(int32, optional, tag = "8")]
    pub(crate) compression: Option<i32>,
    #[prost(uint32, optional, tag = "9")]
    pub(crate) uncompressed_size: Option<u32>,
    #[prost(int32, optional, tag = "11")]
    pub(crate) num_messages_in_batch: Option<i32>,
    #[prost(uint64, optional, tag = "12")]
    pub(crate) event_time: Option<u64>,
    #[prost(bool, optional, tag = "17")]
    pub(crate) partition_key_b64_encoded: Option<bool>,
    #[prost(int64, optional, tag = "19")]
    pub(crate) deliver_at_time: Option<i64>,
    #[prost(uint64, optional, tag = "24")]
    pub(crate) highest_sequence_id: Option<u64>,
    #[prost(bool, optional, tag = "25")]
    pub(crate) null_value: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SingleMessageMetadata {
    #[prost(message, repeated, tag = "1")]
    pub(crate) properties: Vec<KeyValue>,
    #[prost(string, optional, tag = "2")]
    pub(crate) partition_key: Option<String>,
    #[prost(int32, required, tag = "3")]
    pub(crate) payload_size: i32,
    #[prost(uint64, optional, tag = "5")]
    pub(crate) event_time: Option<u64>,
    #[prost(uint64, optional, tag = "8")]
    pub(crate) sequence_id: Option<u64>,
    #[prost(bool, optional, tag = "9")]
    pub(crate) null_value: Option<bool>,
}

/// Commands of Pulsar: `Name { field: type, presence, tag; … }`.
macro_rules! commands {
    ($($name:ident { $($field:ident: $kind:ident, $presence:ident, $tag:literal, $type:ty;)* })*) => {$(
        #[derive(Clone, PartialEq, Message)]
        pub(crate) struct $name {
            $(#[prost($kind, $presence, tag = $tag)] pub(crate) $field: $type,)*
        }
    )*};
}

commands! {
    Connect {
        client_version: string, required, "1", String;
        protocol_version: int32, optional, "4", Option<i32>;
        auth_method_name: string, optional, "5", Option<String>;
    }
    Connected {
        server_version: string, required, "1", String;
        protocol_version: int32, optional, "2", Option<i32>;
        max_message_size: int32, optional, "3", Option<i32>;
    }
    Subscribe {
        topic: string, required, "1", String;
        subscription: string, required, "2", String;
        sub_type: int32, required, "3", i32;
        consumer_id: uint64, required, "4", u64;
        request_id: uint64, required, "5", u64;
        consumer_name: string, optional, "6", Option<String>;
        durable: bool, optional, "8", Option<bool>;
        start_message_id: message, optional, "9", Option<MessageIdData>;
        initial_position: int32, optional, "13", Option<i32>;
        consumer_epoch: uint64, optional, "19", Option<u64>;
    }
    Producer {
        topic: string, required, "1", String;
        producer_id: uint64, required, "2", u64;
        request_id: uint64, required, "3", u64;
        producer_name: string, optional, "4", Option<String>;
        epoch: uint64, optional, "8", Option<u64>;
        user_provided_producer_name: bool, optional, "9", Option<bool>;
    }
    ProducerSuccess {
        request_id: uint64, required, "1", u64;
        producer_name: string, required, "2", String;
        last_sequence_id: int64, optional, "3", Option<i64>;
        producer_ready: bool, optional, "6", Option<bool>;
    }
    Send {
        producer_id: uint64, required, "1", u64;
        sequence_id: uint64, required, "2", u64;
        num_messages: int32, optional, "3", Option<i32>;
        highest_sequence_id: uint64, optional, "6", Option<u64>;
    }
    SendReceipt {
        producer_id: uint64, required, "1", u64;
        sequence_id: uint64, required, "2", u64;
        message_id: message, optional, "3", Option<MessageIdData>;
        highest_sequence_id: uint64, optional, "4", Option<u64>;
    }
    Deliver {
        consumer_id: uint64, required, "1", u64;
        message_id: message, required, "2", MessageIdData;
        redelivery_count: uint32, optional, "3", Option<u32>;
        ack_set: int64, repeated, "4", AckSet;
        consumer_epoch: uint64, optional, "5", Option<u64>;
    }
    Ack {
        consumer_id: uint64, required, "1", u64;
        ack_type: int32, required, "2", i32;
        message_id: message, repeated, "3", Vec<MessageIdData>;
        validation_error: int32, optional, "4", Option<i32>;
        request_id: uint64, optional, "8", Option<u64>;
    }
    AckResponse {
        consumer_id: uint64, required, "1", u64;
        request_id: uint64, optional, "6", Option<u64>;
    }
    Flow {
        consumer_id: uint64, required, "1", u64;
        message_permits: uint32, required, "2", u32;
    }
    Unsubscribe {
        consumer_id: uint64, required, "1", u64;
        request_id: uint64, required, "2", u64;
    }
    SendError {
        producer_id: uint64, required, "1", u64;
        sequence_id: uint64, required, "2", u64;
        error: int32, required, "3", i32;
        message: string, required, "4", String;
    }
    TopicMigrated {
        resource_id: uint64, required, "1", u64;
        resource_type: int32, required, "2", i32;
        broker_service_url: string, optional, "3", Option<String>;
    }
    CloseProducer {
        producer_id: uint64, required, "1", u64;
        request_id: uint64, required, "2", u64;
        assigned_broker_service_url: string, optional, "3", Option<String>;
    }
    CloseConsumer {
        consumer_id: uint64, required, "1", u64;
        request_id: uint64, required, "2", u64;
        assigned_broker_service_url: string, optional, "3", Option<String>;
    }
    Redeliver {
        consumer_id: uint64, required, "1", u64;
        message_ids: message, repeated, "2", Vec<MessageIdData>;
        consumer_epoch: uint64, optional, "3", Option<u64>;
    }
    EndOfTopic {
        consumer_id: uint64, required, "1", u64;
    }
    ActiveChange {
        consumer_id: uint64, required, "1", u64;
        is_active: bool, optional, "2", Option<bool>;
    }
    Success {
        request_id: uint64, required, "1", u64;
    }
    Failure {
        request_id: uint64, required, "1", u64;
        error: int32, required, "2", i32;
        message: string, required, "3", String;
    }
    PartitionMetadata {
        topic: string, required, "1", String;
        request_id: uint64, required, "2", u64;
    }
    PartitionMetadataResponse {
        partitions: uint32, optional, "1", Option<u32>;
        request_id: uint64, required, "2", u64;
        response: int32, optional, "3", Option<i32>;
        error: int32, optional, "4", Option<i32>;
        message: string, optional, "5", Option<String>;
    }
    Lookup {
        topic: string, required, "1", String;
        request_id: uint64, required, "2", u64;
        authoritative: bool, optional, "3", Option<bool>;
    }
    LookupResponse {
        broker_service_url: string, optional, "1", Option<String>;
        response: int32, optional, "3", Option<i32>;
        request_id: uint64, required, "4", u64;
        authoritative: bool, optional, "5", Option<bool>;
        error: int32, optional, "6", Option<i32>;
        message: string, optional, "7", Option<String>;
        proxy_through_service_url: bool, optional, "8", Option<bool>;
    }
    Empty {}
    BaseCommand {
        r#type: int32, required, "1", i32;
        connect: message, optional, "2", Option<Connect>;
        connected: message, optional, "3", Option<Connected>;
        subscribe: message, optional, "4", Option<Subscribe>;
        producer: message, optional, "5", Option<Producer>;
        send: message, optional, "6", Option<Send>;
        send_receipt: message, optional, "7", Option<SendReceipt>;
        send_error: message, optional, "8", Option<SendError>;
        deliver: message, optional, "9", Option<Deliver>;
        ack: message, optional, "10", Option<Ack>;
        flow: message, optional, "11", Option<Flow>;
        unsubscribe: message, optional, "12", Option<Unsubscribe>;
        success: message, optional, "13", Option<Success>;
        error: message, optional, "14", Option<Failure>;
        close_producer: message, optional, "15", Option<CloseProducer>;
        close_consumer: message, optional, "16", Option<CloseConsumer>;
        producer_success: message, optional, "17", Option<ProducerSuccess>;
        ping: message, optional, "18", Option<Empty>;
        pong: message, optional, "19", Option<Empty>;
        redeliver: message, optional, "20", Option<Redeliver>;
        partition_metadata: message, optional, "21", Option<PartitionMetadata>;
        partition_metadata_response: message, optional, "22", Option<PartitionMetadataResponse>;
        lookup: message, optional, "23", Option<Lookup>;
        lookup_response: message, optional, "24", Option<LookupResponse>;
        end_of_topic: message, optional, "27", Option<EndOfTopic>;
        active_change: message, optional, "31", Option<ActiveChange>;
        ack_response: message, optional, "38", Option<AckResponse>;
        topic_migrated: message, optional, "68", Option<TopicMigrated>;
    }
}
