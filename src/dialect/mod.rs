//! A client's format: its messages read as commands, events written as its messages, errors in its words.
//!
//! The shard drives a dialect and no dialect drives anything: parameters become a [`Spec`] at the upgrade
//! ([`Dialect::spec`]), each text message becomes a [`Command`] ([`Dialect::read_command`]), each event is appended to the
//! client's outbox ([`Dialect::write_event`]). What is wrong becomes a [`Refusal`] before the upgrade and a [`Rejection`]
//! after it. A dialect knows no broker, no socket and no clock; message ids are bytes to it.
//!
//! A new format is a new folder and one more arm here.

mod event_time;
mod java_regex;
mod parameters;
mod pulsar_json;
mod scratch;
mod time;

pub use scratch::Scratch;
pub use time::TimeFormat;

use crate::{
    http::{
        refusal::Refusal,
        route::{Endpoint, EndpointKind},
    },
    session::{Command, Event, OpenError, Spec},
};

/// The formats that clients may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The JSON of Pulsar's WebSocket API.
    PulsarJson,
}

/// The answer to a message that is no command.
#[derive(Debug, PartialEq, Eq)]
pub enum Rejection<'a> {
    /// The client is told, by [`Dialect::write_rejection_reply`], and the session goes on.
    Reply {
        /// What kind of error, in the dialect's numbers.
        code: u8,
        /// What is wrong.
        message: String,
        /// As the client gave it, if it could be read.
        context: Option<&'a str>,
    },
    /// The session ends.
    Close {
        /// The status of the close frame.
        code: u16,
        /// Its reason, perhaps longer than a close frame has room for.
        reason: String,
    },
}

impl Dialect {
    /// What the endpoint's parameters ask for.
    ///
    /// # Errors
    /// A parameter is wrong, or asks for what this build does not do.
    pub fn spec(self, endpoint: &Endpoint) -> Result<Spec, Refusal> {
        match self {
            Self::PulsarJson => pulsar_json::spec(endpoint),
        }
    }

    /// What a client hears when its session could not be opened.
    #[must_use]
    pub fn open_failed(self, kind: EndpointKind, error: &OpenError) -> Refusal {
        match self {
            Self::PulsarJson => pulsar_json::open_failed(kind, error),
        }
    }

    /// Reads a text message; `is_sealed` where the session's publishes are encrypted by the client. The command borrows from the message where it can, and from `scratch` where a text had to
    /// be unescaped or decoded.
    ///
    /// # Errors
    /// The message is no command of this kind of session.
    pub fn read_command<'a>(
        self,
        kind: EndpointKind,
        is_sealed: bool,
        text: &'a [u8],
        scratch: &'a mut Scratch,
    ) -> Result<Command<'a>, Rejection<'a>> {
        match self {
            Self::PulsarJson => pulsar_json::read_command(kind, is_sealed, text, scratch),
        }
    }

    /// The answer to a command whose message id the backend refused ([`BadMessageId`](crate::session::BadMessageId)).
    #[must_use]
    pub fn bad_message_id(self) -> Rejection<'static> {
        match self {
            Self::PulsarJson => pulsar_json::bad_message_id(),
        }
    }

    /// What a client hears when the broker did not remove its subscription.
    #[must_use]
    pub fn unsubscribe_failed(self) -> Rejection<'static> {
        match self {
            Self::PulsarJson => pulsar_json::unsubscribe_failed(),
        }
    }

    /// How long the text of an event will be, or nearly so.
    #[must_use]
    pub fn event_len_hint(self, event: &Event<'_>) -> usize {
        match self {
            Self::PulsarJson => pulsar_json::event_len_hint(event),
        }
    }

    /// Appends the text of an event.
    pub fn write_event(self, event: &Event<'_>, out: &mut Vec<u8>, times: &mut TimeFormat) {
        match self {
            Self::PulsarJson => pulsar_json::write_event(event, out, times),
        }
    }

    /// Appends the text of a [`Rejection::Reply`].
    pub fn write_rejection_reply(
        self,
        code: u8,
        message: &str,
        context: Option<&str>,
        out: &mut Vec<u8>,
    ) {
        match self {
            Self::PulsarJson => pulsar_json::write_failure(code, message, context, out),
        }
    }
}
