//! A fast drop-in replacement for the WebSocket service of Apache Pulsar.
