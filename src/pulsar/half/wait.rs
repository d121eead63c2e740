//! What a session that is being opened waits for, in words.

use super::{Half, HalfKey, Role, State, half_key, wire_id};
use crate::{pulsar::Pulsar, session::Link};

impl Pulsar {
    /// What a session that is being opened waits for, in words.
    #[must_use]
    pub fn waiting_for(&self, link: Link) -> String {
        let Some(half) = self.halves.get(half_key(link.0)) else {
            return "nothing".into();
        };
        if half.state == State::Grouped {
            return self.group_waits_for(half);
        }
        let step = match half.state {
            State::Locating => "looking up the topic",
            State::Connecting => "connecting to the topic's broker",
            State::Creating { .. } => match half.role {
                Role::Producer(_) => "creating the producer",
                Role::Consumer(_) => "subscribing",
                Role::Group(_) | Role::FanIn(_) => "nothing",
            },
            State::Waiting { .. } => "waiting to try again",
            State::Ready { .. } | State::Closing | State::Ended | State::Grouped => "nothing",
        };
        match &half.last_failure {
            Some(failure) => format!("{step} (before: {})", failure.message),
            None => step.into(),
        }
    }

    /// What the first part waits for that does.
    fn group_waits_for(&self, half: &Half) -> String {
        let waits = |part: &HalfKey| self.halves.get(*part).is_some_and(|part| !part.is_open);
        let part = match &half.role {
            Role::Group(group) => group.parts.iter().copied().find(waits),
            Role::FanIn(fan_in) => fan_in.parts().find(waits),
            Role::Producer(_) | Role::Consumer(_) => None,
        };
        match part {
            Some(part) => self.waiting_for(Link(wire_id(part))),
            None if half.is_open => "nothing".into(),
            None => "looking for topics".into(),
        }
    }
}
