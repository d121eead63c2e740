//! From parameters to sessions, and from failures of opening one to HTTP.
//!
//! Parameters are judged in the order of Java's handlers, so that of several wrong ones the same one is named.

mod encryption_keys;

use std::time::Duration;

use super::{
    several::{choose_topics, complete_names},
    to_standard_alphabet,
};
use crate::{
    codec::base64,
    dialect::parameters::{boolean, choice, int, is_blank, long, not_blank},
    http::{
        parameters::Parameters,
        refusal::Refusal,
        route::{Endpoint, EndpointKind},
        topic_name::TopicName,
    },
    session::{
        OpenError, OpenErrorKind, Spec,
        consumer::{self, DeadLetters, InitialPosition, SubscriptionType, Undecryptable},
        producer::{self, Batching, Compression, Hashing, Partitioning, Routing},
        reader::{self, Start},
    },
};

/// `AbstractWebSocketHandler`'s default and ceiling of `receiverQueueSize`.
const RECEIVER_QUEUE_SIZE_MAX: i32 = 1000;
/// `ConsumerBuilderImpl.MIN_ACK_TIMEOUT_MILLIS`.
const ACK_TIMEOUT_MS_MIN: i32 = 1000;
/// `ProducerConfigurationData.sendTimeoutMs`.
const SEND_TIMEOUT_MS: i32 = 30_000;
/// `ProducerConfigurationData.DEFAULT_BATCHING_MAX_MESSAGES`, and its delay.
const BATCH_MESSAGES_MAX: i32 = 1000;
const BATCH_DELAY_MS: i32 = 1;
/// `ProducerConfigurationData.batchingPartitionSwitchFrequencyByPublishDelay`.
const TURN_DELAYS: u32 = 10;
/// `ConsumerConfigurationData.negativeAckRedeliveryDelayMicros`, in milliseconds.
const NEGATIVE_ACK_DELAY_MS: i32 = 60_000;

/// What the parameters ask for.
pub(in crate::dialect) fn spec(endpoint: &Endpoint) -> Result<Spec, Refusal> {
    match endpoint.kind {
        EndpointKind::Producer => producer(endpoint).map(Spec::Producer),
        EndpointKind::Consumer => {
            let mut spec = consumer(endpoint).map_err(|text| Refusal::invalid_params(&text))?;
            complete_names(endpoint, &mut spec)?;
            Ok(Spec::Consumer(spec))
        }
        EndpointKind::Reader => reader(endpoint).map(Spec::Reader),
    }
}

/// `AbstractWebSocketHandler.getErrorCode` and `getErrorMessage`; `ReaderHandler` knows one status only.
pub(in crate::dialect) fn open_failed(kind: EndpointKind, error: &OpenError) -> Refusal {
    let message = &error.message;
    if kind == EndpointKind::Reader {
        return reader_failed(message);
    }
    if error.kind == OpenErrorKind::Invalid {
        return Refusal::invalid_params(message);
    }
    let status = match error.kind {
        OpenErrorKind::Authentication => 401,
        OpenErrorKind::Authorization => 403,
        OpenErrorKind::NotFound => 404,
        OpenErrorKind::Busy => 409,
        OpenErrorKind::TooManyRequests => 429,
        OpenErrorKind::Unavailable => 503,
        OpenErrorKind::Timeout => 504,
        OpenErrorKind::Invalid | OpenErrorKind::Other => 500,
    };
    Refusal::new(
        status,
        format!("Failed to create producer/consumer: {message}"),
    )
}

fn reader_failed(message: &str) -> Refusal {
    Refusal::new(500, format!("Failed to create reader: {message}"))
}

/// `ProducerHandler.getProducerBuilder`.
fn producer(endpoint: &Endpoint) -> Result<producer::Spec, Refusal> {
    let invalid = |text: String| Refusal::invalid_params(&text);
    let mut spec = plain_producer(endpoint).map_err(invalid)?;
    spec.encryption = encryption_keys::read(&endpoint.parameters)?;
    if !spec.is_sealed() {
        put_together(&mut spec, &endpoint.parameters).map_err(invalid)?;
    }
    Ok(spec)
}

/// What is asked whoever encrypts.
fn plain_producer(endpoint: &Endpoint) -> Result<producer::Spec, String> {
    let parameters = &endpoint.parameters;
    let name = not_blank(parameters, "producerName")?;
    let initial_sequence_id = long(parameters, "initialSequenceId")?;
    let hashing = hashing(parameters)?;
    let send_timeout_ms = at_least(
        0,
        int(parameters, "sendTimeoutMillis")?.unwrap_or(SEND_TIMEOUT_MS),
        "sendTimeout needs to be >= 0",
    )?;
    let routing = routing(parameters)?;
    Ok(producer::Spec {
        topic: endpoint.topic.full_name(),
        name,
        initial_sequence_id,
        send_timeout: positive_ms(send_timeout_ms),
        partitioning: Partitioning { routing, hashing },
        batching: None,
        compression: Compression::None,
        encryption: None,
    })
}

/// What is not even looked at where the client encrypts: how messages are put together and compressed.
fn put_together(spec: &mut producer::Spec, parameters: &Parameters) -> Result<(), String> {
    spec.batching = batching(parameters)?;
    if let Some(batching) = spec.batching
        && spec.partitioning.routing == Routing::RoundRobin
    {
        let delay = u32::try_from(batching.delay.as_millis()).unwrap_or(u32::MAX);
        let ms = delay.saturating_mul(TURN_DELAYS);
        spec.partitioning.routing = Routing::RoundRobinInTime { ms };
    }
    let compression = choice(
        parameters,
        "compressionType",
        &[
            ("NONE", Compression::None),
            ("LZ4", Compression::Lz4),
            ("ZLIB", Compression::Zlib),
            ("ZSTD", Compression::Zstd),
            ("SNAPPY", Compression::Snappy),
        ],
    )?;
    spec.compression = compression.unwrap_or_default();
    Ok(())
}

/// `CustomPartition` is taken and means nothing.
fn routing(parameters: &Parameters) -> Result<Routing, String> {
    let modes = [
        ("SinglePartition", Routing::Single),
        ("RoundRobinPartition", Routing::RoundRobin),
        ("CustomPartition", Routing::Single),
    ];
    Ok(choice(parameters, "messageRoutingMode", &modes)?.unwrap_or_default())
}

/// The one enum that is read by `valueOf`, whose exception names the class.
fn hashing(parameters: &Parameters) -> Result<Hashing, String> {
    match parameters.get("hashingScheme") {
        None | Some("JavaStringHash") => Ok(Hashing::JavaString),
        Some("Murmur3_32Hash") => Ok(Hashing::Murmur3),
        Some(other) => Err(format!(
            "No enum constant org.apache.pulsar.client.api.HashingScheme.{other}"
        )),
    }
}

/// The details of batches are looked at only when there are any. No number of messages below one is a
/// limit, in Java's `AbstractBatchMessageContainer`.
fn batching(parameters: &Parameters) -> Result<Option<Batching>, String> {
    if !boolean(parameters, "batchingEnabled") {
        return Ok(None);
    }
    let messages = int(parameters, "batchingMaxMessages")?.unwrap_or(BATCH_MESSAGES_MAX);
    let pending = int(parameters, "maxPendingMessages")?.unwrap_or(0);
    let pending = at_least(0, pending, "maxPendingMessages needs to be >= 0")?;
    let delay = int(parameters, "batchingMaxPublishDelay")?.unwrap_or(BATCH_DELAY_MS);
    let delay = at_least(
        1,
        delay,
        "configured value for batch delay must be at least 1ms",
    )?;
    Ok(Some(Batching {
        messages_max: positive(messages),
        delay: positive_ms(delay).unwrap_or_default(),
        pending_max: positive(pending),
    }))
}

/// `ConsumerHandler.getConsumerConfiguration`.
fn consumer(endpoint: &Endpoint) -> Result<consumer::Spec, String> {
    let parameters = &endpoint.parameters;
    let ack_timeout_ms = int(parameters, "ackTimeoutMillis")?.unwrap_or(0);
    if ack_timeout_ms != 0 && ack_timeout_ms < ACK_TIMEOUT_MS_MIN {
        return Err("Ack timeout should be greater than 1000 ms".to_owned());
    }
    let subscription_type = choice(
        parameters,
        "subscriptionType",
        &[
            ("Exclusive", SubscriptionType::Exclusive),
            ("Shared", SubscriptionType::Shared),
            ("Failover", SubscriptionType::Failover),
            ("Key_Shared", SubscriptionType::KeyShared),
        ],
    )?;
    let modes = [("Durable", true), ("NonDurable", false)];
    let durable = choice(parameters, "subscriptionMode", &modes)?;
    let positions = [
        ("Latest", InitialPosition::Latest),
        ("Earliest", InitialPosition::Earliest),
    ];
    let initial_position = choice(parameters, "subscriptionInitialPosition", &positions)?;
    let receiver_queue_size = receiver_queue_size(int(parameters, "receiverQueueSize")?)?;
    let name = not_blank(parameters, "consumerName")?;
    let priority_level = at_least(
        0,
        int(parameters, "priorityLevel")?.unwrap_or(0),
        "priorityLevel needs to be >= 0",
    )?;
    let negative_ack_delay_ms = at_least(
        0,
        int(parameters, "negativeAckRedeliveryDelay")?.unwrap_or(NEGATIVE_ACK_DELAY_MS),
        "redeliveryDelay needs to be >= 0",
    )?;
    let redeliveries_max = redeliveries_max(parameters)?;
    let several = choose_topics(endpoint)?;
    let subscription = endpoint.subscription.clone().unwrap_or_default();
    if is_blank(&subscription) {
        return Err("subscriptionName cannot be blank".to_owned());
    }
    let dead_letters = match redeliveries_max {
        Some(redeliveries_max) => Some(DeadLetters {
            redeliveries_max,
            topic: dead_letter_topic(endpoint, &subscription)?,
        }),
        None => None,
    };
    Ok(consumer::Spec {
        topic: endpoint.topic.full_name(),
        several,
        subscription,
        subscription_type: subscription_type.unwrap_or(SubscriptionType::Exclusive),
        durable: durable.unwrap_or(true),
        initial_position: initial_position.unwrap_or(InitialPosition::Latest),
        receiver_queue_size,
        pull: boolean(parameters, "pullMode"),
        name,
        priority_level,
        ack_timeout: positive_ms(ack_timeout_ms),
        negative_ack_delay: positive_ms(negative_ack_delay_ms).unwrap_or_default(),
        dead_letters,
        undecryptable: undecryptable(parameters),
    })
}

/// A value that is none of these is ignored.
fn undecryptable(parameters: &Parameters) -> Undecryptable {
    match parameters.get("cryptoFailureAction") {
        Some("DISCARD") => Undecryptable::Discard,
        Some("CONSUME") => Undecryptable::Deliver,
        _ => Undecryptable::Leave,
    }
}

/// A dead letter topic without a count has count zero, which is an error.
fn redeliveries_max(parameters: &Parameters) -> Result<Option<u32>, String> {
    let count = int(parameters, "maxRedeliverCount")?;
    if count.is_none() && parameters.get("deadLetterTopic").is_none() {
        return Ok(None);
    }
    let count = at_least(1, count.unwrap_or(0), "MaxRedeliverCount must be > 0.")?;
    Ok(u32::try_from(count).ok())
}

/// The topic that is asked for, which may have a short name, or one named after the subscription.
fn dead_letter_topic(endpoint: &Endpoint, subscription: &str) -> Result<String, String> {
    let name = match endpoint.parameters.get("deadLetterTopic") {
        Some(name) if !is_blank(name) => name.to_owned(),
        _ => format!("{}-{subscription}-DLQ", endpoint.topic.full_name()),
    };
    Ok(TopicName::parse(&name)?.full_name())
}

/// `ReaderHandler`'s constructor: the queue's size is parsed first and checked last.
fn reader(endpoint: &Endpoint) -> Result<reader::Spec, Refusal> {
    let parameters = &endpoint.parameters;
    let queue_size = int(parameters, "receiverQueueSize")
        .map_err(|text| Refusal::new(500, format!("java.lang.NumberFormatException: {text}")))?;
    let start = start(parameters).map_err(|text| reader_failed(&text))?;
    Ok(reader::Spec {
        topic: endpoint.topic.full_name(),
        name: parameters.get("readerName").map(str::to_owned),
        receiver_queue_size: receiver_queue_size(queue_size)
            .map_err(|text| reader_failed(&text))?,
        start,
        undecryptable: undecryptable(parameters),
    })
}

fn start(parameters: &Parameters) -> Result<Start, String> {
    match parameters.get("messageId") {
        None | Some("latest") => Ok(Start::Latest),
        Some("earliest") => Ok(Start::Earliest),
        Some(blank) if is_blank(blank) => Ok(Start::Latest),
        Some(id) => {
            let mut encoded = id.as_bytes().to_vec();
            to_standard_alphabet(&mut encoded);
            base64::decode_vec(&encoded)
                .map(Start::After)
                .map_err(|error| error.to_string())
        }
    }
}

/// More than the ceiling is silently the ceiling.
fn receiver_queue_size(asked: Option<i32>) -> Result<u32, String> {
    let size = asked.map_or(RECEIVER_QUEUE_SIZE_MAX, |asked| {
        asked.min(RECEIVER_QUEUE_SIZE_MAX)
    });
    u32::try_from(size).map_err(|_| "receiverQueueSize needs to be >= 0".to_owned())
}

fn at_least(least: i32, value: i32, otherwise: &str) -> Result<i32, String> {
    if value < least {
        return Err(otherwise.to_owned());
    }
    Ok(value)
}

/// Zero means without limit.
fn positive(number: i32) -> Option<u32> {
    u32::try_from(number).ok().filter(|&number| number > 0)
}

/// Zero means never.
fn positive_ms(ms: i32) -> Option<Duration> {
    u64::try_from(ms)
        .ok()
        .filter(|&ms| ms > 0)
        .map(Duration::from_millis)
}

#[cfg(test)]
mod tests;
