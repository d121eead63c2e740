//! A reading session: starts where it likes, and every frame of the client asks for the next.

use super::{Broker, Event, Link, consumer::Undecryptable};

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
    /// What is done with messages that can't be decrypted here.
    pub undecryptable: Undecryptable,
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

/// A reading session: at most `limit` messages ahead of what the client asked for.
#[derive(Debug)]
pub struct Reader {
    link: Link,
    limit: u32,
    /// `ahead <= limit`: a client that asks for more than it got is owed nothing later.
    ahead: u32,
}

impl Reader {
    /// A session whose backend half is ready.
    #[must_use]
    pub fn new(link: Link, receiver_queue_size: u32) -> Self {
        Self {
            link,
            limit: receiver_queue_size.max(1),
            ahead: 0,
        }
    }

    /// Whether one more message may go to the client.
    #[must_use]
    pub const fn wants_delivery(&self) -> bool {
        self.ahead < self.limit
    }

    /// A message goes to the client.
    pub const fn handle_delivery(&mut self) {
        debug_assert!(self.wants_delivery());
        self.ahead += 1;
    }

    pub(super) fn handle_command(
        &mut self,
        command: Command,
        broker: &impl Broker,
    ) -> Option<Event<'static>> {
        match command {
            Command::Next => {
                self.ahead = self.ahead.saturating_sub(1);
                None
            }
            Command::IsEndOfTopic => Some(Event::EndOfTopic(broker.end_of_topic(self.link))),
        }
    }

    pub(super) const fn link(&self) -> Link {
        self.link
    }
}
