//! The JSON of Pulsar's WebSocket API (`ProducerHandler`, `ConsumerHandler` and `ReaderHandler` of the Java service).
//!
//! | module | what |
//! |---|---|
//! | `spec` | query parameters → session; failures of opening → HTTP |
//! | `publish` | a producer's frame → publish |
//! | `consume` | a consumer's or reader's frame → command |
//! | `event` | event → frame |
//!
//! Everything a client can see is Java's to the byte, but for three things: where Java repeats a parser's or the JVM's
//! own words, the words are ours; where it tries a close code that no close frame may carry, that code plus 4000 is
//! used; and a message whose value is null is delivered, marked by `nullValue`, where Java falls silent for ever.

mod consume;
mod event;
mod publish;
mod several;
mod spec;

pub(super) use event::{event_len_hint, write_event, write_failure};
pub(super) use spec::{open_failed, spec};

use super::{Rejection, Scratch};
use crate::{http::route::EndpointKind, session::Command};

/// `WebSocketError.FailedToDeserializeFromJSON`.
const FAILED_TO_DESERIALIZE: u8 = 3;
/// `WebSocketError.PayloadEncodingError`.
const PAYLOAD_ENCODING: u8 = 7;
/// `WebSocketError.UnknownError`.
const UNKNOWN: u8 = 8;

/// RFC 6455 code 1011, with which Jetty closes when a handler throws.
const CLOSE_HANDLER_THREW: u16 = 1011;
/// Java asks for close code 3, which must not travel; a client sees the connection drop.
const CLOSE_FAILED_TO_DESERIALIZE: u16 = 4003;

pub(super) fn read_command<'a>(
    kind: EndpointKind,
    is_sealed: bool,
    text: &'a [u8],
    scratch: &'a mut Scratch,
) -> Result<Command<'a>, Rejection<'a>> {
    scratch.clear();
    match kind {
        EndpointKind::Producer => publish::read(is_sealed, text, scratch),
        EndpointKind::Consumer => consume::read_consumer(text, scratch).map(Command::Consumer),
        EndpointKind::Reader => consume::read_reader(text).map(Command::Reader),
    }
}

/// The bytes were base64, and no message id.
pub(super) fn bad_message_id() -> Rejection<'static> {
    failed_to_deserialize()
}

/// `ConsumerHandler` treats a failed unsubscribe like a command it can't read.
pub(super) fn unsubscribe_failed() -> Rejection<'static> {
    failed_to_deserialize()
}

fn failed_to_deserialize() -> Rejection<'static> {
    Rejection::Close {
        code: CLOSE_FAILED_TO_DESERIALIZE,
        reason: "Failed to de-serialize from JSON".to_owned(),
    }
}

fn handler_threw(reason: impl Into<String>) -> Rejection<'static> {
    Rejection::Close {
        code: CLOSE_HANDLER_THREW,
        reason: reason.into(),
    }
}

/// Makes base64 of the url-safe alphabet standard, so that ids need no escaping in URLs. Java takes the standard alphabet
/// only.
fn to_standard_alphabet(encoded: &mut [u8]) {
    for byte in encoded {
        *byte = match *byte {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        };
    }
}
