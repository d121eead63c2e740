//! What is chosen once for a shard's view of its brokers.

use std::time::Duration;

use super::wire;
use crate::config::{Config, EncryptionKeys};

/// What is chosen once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Service hosts, asked in turn.
    pub brokers: Vec<(String, u16)>,
    /// Topics' brokers are asked for outside: [`Effect::Locate`](super::Effect::Locate).
    pub locates_outside: bool,
    /// A request's time, and an opening session's.
    pub operation_timeout: Duration,
    /// For a host's addresses, and for TCP.
    pub connect_timeout: Duration,
    /// How often to ask a silent broker whether it is there; `None`: never.
    pub keep_alive_interval: Option<Duration>,
    /// The largest message, until the broker says how large.
    pub message_bytes_max: usize,
    /// Lookups under way at a time.
    pub lookups_max: usize,
    /// How often to ask whether a topic got more partitions.
    pub partitions_interval: Duration,
    /// Bytes of deliveries held for one session; then its broker gets no permits.
    pub held_bytes_max: usize,
    /// The same of all sessions.
    pub shard_held_bytes_max: usize,
    /// Bytes of chunked messages that are not complete, of all sessions.
    pub shard_incomplete_bytes_max: usize,
    /// What producers encrypt for.
    pub encryption_keys: EncryptionKeys,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            brokers: vec![("127.0.0.1".into(), 6650)],
            locates_outside: false,
            operation_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            keep_alive_interval: Some(Duration::from_secs(30)),
            message_bytes_max: wire::MESSAGE_BYTES_MAX_DEFAULT,
            lookups_max: 500,
            partitions_interval: Duration::from_secs(60),
            held_bytes_max: 8 << 20,
            shard_held_bytes_max: 256 << 20,
            shard_incomplete_bytes_max: 256 << 20,
            encryption_keys: EncryptionKeys::default(),
        }
    }
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        Self {
            brokers: config.brokers.clone(),
            locates_outside: !config.service_urls.is_empty(),
            operation_timeout: config.operation_timeout,
            connect_timeout: config.connect_timeout,
            keep_alive_interval: config.keep_alive_interval,
            partitions_interval: config.partitions_interval,
            held_bytes_max: config.held_deliveries_bytes_max,
            encryption_keys: config.encryption_keys.clone(),
            ..Self::default()
        }
    }
}
