//! A reading session: starts where it likes, and every frame of the client asks for the next.

/// What a reader is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Full name, `persistent://tenant/namespace/topic`.
    pub topic: String,
    /// The consumer's name at the broker.
    pub name: Option<String>,
    /// Messages the client may hold, and messages prefetched from the broker.
    pub receiver_queue_size: u32,
    /// Where to begin.
    pub start: Start,
}

/// Where a reader begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// At the first message kept.
    Earliest,
    /// With what comes after the reader was made.
    Latest,
    /// Behind this message (exclusive), in the backend's encoding.
    After(Vec<u8>),
}

/// What a reading client may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Any frame: one more message may come.
    Next,
    /// Is this the end?
    IsEndOfTopic,
}

/// A reading session.
#[derive(Debug)]
pub struct Reader {}
