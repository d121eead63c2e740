//! A consuming session: how many deliveries may still go out, and what acknowledgements do to it.

use std::time::Duration;

/// What a consumer is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Full name, `persistent://tenant/namespace/topic`.
    pub topic: String,
    /// Subscription, decoded.
    pub subscription: String,
    /// How messages are shared out.
    pub subscription_type: SubscriptionType,
    /// Whether the subscription outlives its consumers.
    pub durable: bool,
    /// Where a new subscription begins.
    pub initial_position: InitialPosition,
    /// Messages the client may hold unacknowledged, and messages prefetched from the broker.
    pub receiver_queue_size: u32,
    /// `None`: a random one.
    pub name: Option<String>,
    /// Smaller is served first.
    pub priority_level: i32,
    /// Unacknowledged for that long means "again"; `None`: never.
    pub ack_timeout: Option<Duration>,
    /// How long a negatively acknowledged message rests.
    pub negative_ack_delay: Duration,
}

/// How a subscription's messages are shared out among its consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionType {
    /// One consumer only.
    Exclusive,
    /// Each message to any one.
    Shared,
    /// One at a time, others stand by.
    Failover,
    /// Messages of one key to one consumer.
    KeyShared,
}

/// Where a new subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialPosition {
    /// After the last message.
    Latest,
    /// At the first message kept.
    Earliest,
}

/// What a consuming client may ask.
#[derive(Debug)]
pub enum Command<'a> {
    /// This message is done.
    Acknowledge {
        /// In the backend's encoding.
        message_id: &'a [u8],
    },
    /// This message again, later.
    NegativeAcknowledge {
        /// In the backend's encoding.
        message_id: &'a [u8],
    },
    /// That many more (pull mode; means nothing in push mode).
    Permit {
        /// As the client gave it.
        messages: i32,
    },
    /// Remove the subscription.
    Unsubscribe,
    /// Is this the end?
    IsEndOfTopic,
}

/// A consuming session.
#[derive(Debug)]
pub struct Consumer {}
