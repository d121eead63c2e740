//! The Pulsar backend: producers, consumers and readers on Pulsar brokers, sans-IO.

pub mod proto;
