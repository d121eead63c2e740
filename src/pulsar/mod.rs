//! The Pulsar backend: producers, consumers and readers on Pulsar brokers, sans-IO.

mod backoff;
pub mod command;
mod error;
pub mod message_id;
mod outbox;
pub mod proto;
pub mod wire;
