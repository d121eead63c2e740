//! A publishing session: publishes in flight, and the context that belongs to each receipt.

use std::time::Duration;

use super::Publish;

/// What a producer is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Full name, `persistent://tenant/namespace/topic`.
    pub topic: String,
    /// `None`: the broker makes one up.
    pub name: Option<String>,
    /// The first message gets the next one; `None`: the first message gets what the broker says.
    pub initial_sequence_id: Option<i64>,
    /// How long a publish may take; `None`: for ever.
    pub send_timeout: Option<Duration>,
}

/// What a producing client may ask.
#[derive(Debug)]
pub enum Command<'a> {
    /// Store this message.
    Publish(Publish<'a>),
}

/// A publishing session.
#[derive(Debug)]
pub struct Producer {}
