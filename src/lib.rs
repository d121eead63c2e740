//! A fast drop-in replacement for the WebSocket service of Apache Pulsar.
pub mod codec;
pub mod session;
pub mod timer;
