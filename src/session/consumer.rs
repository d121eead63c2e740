//! A consuming session: how many deliveries may still go out, and what acknowledgements (in push mode)
//! and permits (in pull mode) do to it.

use std::time::Duration;

use super::{BadMessageId, Broker, Event, Link, pattern::TopicPattern};
use crate::timer::Now;

/// What a consumer is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Full name, `persistent://tenant/namespace/topic`.
    pub topic: String,
    /// More than that topic, which then is only what the session is known by.
    pub several: Option<Several>,
    /// Subscription, decoded.
    pub subscription: String,
    /// How messages are shared out.
    pub subscription_type: SubscriptionType,
    /// Whether the subscription outlives its consumers.
    pub durable: bool,
    /// Where a new subscription begins.
    pub initial_position: InitialPosition,
    /// Messages the client may hold unacknowledged (in push mode), and messages prefetched from the
    /// broker; 0: one by one, when there is room for it.
    pub receiver_queue_size: u32,
    /// Messages come when the client permits them, instead of when it has room.
    pub pull: bool,
    /// `None`: a random one.
    pub name: Option<String>,
    /// Smaller is served first.
    pub priority_level: i32,
    /// Unacknowledged for that long means "again"; `None`: never.
    pub ack_timeout: Option<Duration>,
    /// How long a negatively acknowledged message rests.
    pub negative_ack_delay: Duration,
    /// `None`: a message comes again for as long as it fails.
    pub dead_letters: Option<DeadLetters>,
    /// What is done with messages that can't be decrypted here.
    pub undecryptable: Undecryptable,
}

/// Where messages go that fail too often, where the subscription's type allows to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetters {
    /// Delivered so many times again, at least once.
    pub redeliveries_max: u32,
    /// The topic's full name.
    pub topic: String,
}

/// Several topics at a time.
#[derive(Clone, Debug, PartialEq)]
pub enum Several {
    /// These, by their full names; no name is there twice.
    Names(Vec<String>),
    /// Those that match, now and later.
    Pattern(TopicPattern),
}

/// What is done with messages that can't be decrypted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Undecryptable {
    /// They stay unacknowledged, for somebody who has the key.
    #[default]
    Leave,
    /// They are acknowledged unseen.
    Discard,
    /// They are delivered as they are stored, a batch as one message.
    Deliver,
}

/// How a subscription's messages are shared out among its consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionType {
    /// One consumer only.
    Exclusive,
    /// Each message to any one.
    Shared,
    /// One at a time, others stand by.
    Failover,
    /// Messages of one key to one consumer.
    KeyShared,
}

/// Where a new subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialPosition {
    /// After the last message.
    Latest,
    /// At the first message kept.
    Earliest,
}

/// What a consuming client may ask.
#[derive(Debug)]
pub enum Command<'a> {
    /// This message is done.
    Acknowledge {
        /// In the backend's encoding.
        message_id: &'a [u8],
    },
    /// This message again, later.
    NegativeAcknowledge {
        /// In the backend's encoding.
        message_id: &'a [u8],
    },
    /// That many more (pull mode; means nothing in push mode). None or less than none changes nothing.
    Permit {
        /// As the client gave it.
        messages: i32,
    },
    /// Remove the subscription.
    Unsubscribe,
    /// Is this the end?
    IsEndOfTopic,
}

/// A consuming session.
#[derive(Debug)]
pub struct Consumer {
    link: Link,
    flow: Flow,
    subscribed: bool,
}

/// What lets a delivery go out.
#[derive(Debug)]
enum Flow {
    /// At most `limit` deliveries are unacknowledged at any time.
    ///
    /// The backend knows which messages are outstanding; an acknowledgement counts here only when it
    /// removed one. So neither a repeated nor a stray one buys an extra delivery, and what the
    /// backend takes back (ack timeout, reconnect) frees its place.
    Push {
        limit: u32,
        /// `outstanding <= limit`.
        outstanding: u32,
    },
    /// The client permits so many more. Each delivery uses one, whether or not the message was there
    /// before; acknowledgements count for nothing.
    Pull { permits: u32 },
}

impl Consumer {
    /// A session whose backend half is ready.
    #[must_use]
    pub fn new(link: Link, spec: &Spec) -> Self {
        let flow = if spec.pull {
            Flow::Pull { permits: 0 }
        } else {
            Flow::Push {
                limit: spec.receiver_queue_size.max(1),
                outstanding: 0,
            }
        };
        Self {
            link,
            flow,
            subscribed: true,
        }
    }

    /// Whether one more message may go to the client.
    #[must_use]
    pub const fn wants_delivery(&self) -> bool {
        self.subscribed
            && match self.flow {
                Flow::Push { limit, outstanding } => outstanding < limit,
                Flow::Pull { permits } => permits > 0,
            }
    }

    /// A message goes to the client.
    pub const fn handle_delivery(&mut self) {
        debug_assert!(self.wants_delivery());
        match &mut self.flow {
            Flow::Push { outstanding, .. } => *outstanding += 1,
            Flow::Pull { permits } => *permits = permits.saturating_sub(1),
        }
    }

    /// The backend took back messages that the client had not acknowledged.
    pub const fn handle_released(&mut self, messages: u32) {
        if let Flow::Push { outstanding, .. } = &mut self.flow {
            *outstanding = outstanding.saturating_sub(messages);
        }
    }

    pub(super) fn handle_command(
        &mut self,
        now: Now,
        command: &Command<'_>,
        broker: &mut impl Broker,
    ) -> Result<Option<Event<'static>>, BadMessageId> {
        let removed = match *command {
            Command::Acknowledge { message_id } => {
                broker.acknowledge(now, self.link, message_id)?
            }
            Command::NegativeAcknowledge { message_id } => {
                broker.negative_acknowledge(now, self.link, message_id)?
            }
            Command::Permit { messages } => {
                self.permit(now, messages, broker);
                false
            }
            Command::Unsubscribe => {
                self.subscribed = false;
                broker.unsubscribe(now, self.link);
                false
            }
            Command::IsEndOfTopic => {
                return Ok(Some(Event::EndOfTopic(broker.end_of_topic(self.link))));
            }
        };
        self.handle_released(u32::from(removed));
        Ok(None)
    }

    /// Permits add up, and stay at the most there can be.
    fn permit(&mut self, now: Now, messages: i32, broker: &mut impl Broker) {
        let Ok(messages @ 1..) = u32::try_from(messages) else {
            return;
        };
        if let (Flow::Pull { permits }, true) = (&mut self.flow, self.subscribed) {
            *permits = permits.saturating_add(messages);
            broker.permit(now, self.link, messages);
        }
    }

    pub(super) const fn link(&self) -> Link {
        self.link
    }
}
