//! What a session may ask of its broker.

use super::{
    Pulsar,
    half::{Role, half_key},
};
use crate::{
    session::{BadMessageId, Broker, Lane, Link, Publish, PublishError},
    timer::Now,
};

impl Broker for Pulsar {
    fn publish(
        &mut self,
        now: Now,
        link: Link,
        publish: &Publish<'_>,
    ) -> Result<Lane, PublishError> {
        self.publish_at(now, half_key(link.0), publish)
    }

    fn acknowledge(
        &mut self,
        now: Now,
        link: Link,
        message_id: &[u8],
    ) -> Result<bool, BadMessageId> {
        self.acknowledge_message(now, link, message_id)
    }

    fn negative_acknowledge(
        &mut self,
        now: Now,
        link: Link,
        message_id: &[u8],
    ) -> Result<bool, BadMessageId> {
        self.negative_acknowledge_message(now, link, message_id)
    }

    fn permit(&mut self, _now: Now, link: Link, messages: u32) {
        self.permit_messages(link, messages);
    }

    fn unsubscribe(&mut self, now: Now, link: Link) {
        self.unsubscribe_half(now, link);
    }

    fn end_of_topic(&self, link: Link) -> bool {
        match self.halves.get(half_key(link.0)).map(|half| &half.role) {
            Some(Role::Consumer(consuming)) => consuming.consumer.end_of_topic(),
            Some(Role::FanIn(_)) => self.all_ended(half_key(link.0)),
            _ => false,
        }
    }
}
