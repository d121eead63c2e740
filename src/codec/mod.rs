//! Byte kernels: what several layers do to bytes, with no opinion about what the bytes mean.
//!
//! | module | who uses it |
//! |---|---|
//! | [`mask`] | the WebSocket layer, on every frame a client sends |
//! | [`crc32c`] | the Pulsar wire, on every message |
//! | [`inflate`] | the WebSocket layer, on compressed messages as clients mostly send them |
//! | [`base64`] | the dialects (payloads, message ids) and the handshake |
//! | [`json`] | the dialects: reads a client's object field by field, writes strings |
//! | [`protobuf`] | the Pulsar wire: reads commands as slices, writes them by appending |
//!
//! All of them share one form. Writers append to a buffer the caller owns and never ask for the whole message first. Readers are pulled
//! over a borrowed slice, hand out slices of it, and answer malformed input with an error, never with a panic. None of them allocates on
//! the way a well-formed message takes, except where it says so.
//!
//! The Java service decides what is accepted: where a kernel is laxer or stricter than its standard, the documentation of the item says
//! which Java class it follows, and `tests/data` holds that class's own answers.
//!
//! This folder knows no field name, no limit of a protocol and no socket. It is the only place where `unsafe` may stand, each use beside
//! a scalar twin and a property test.

pub mod base64;
pub mod crc32c;
pub mod inflate;
pub mod json;
pub mod mask;
pub mod protobuf;
#[cfg(target_arch = "x86_64")]
mod vectors;
