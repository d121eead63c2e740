//! A reading client: sees every message from its start on, once, in order.

use super::{
    actor::{Scene, Wish},
    delivery,
    topic::{Place, Topic},
    ws::WebSocket,
};

/// One reading session.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) topic: usize,
    /// What must come next; `None` as long as it can't be known.
    pub(crate) next: Option<Place>,
    /// The earliest that the first one may be.
    from: usize,
    /// Deliveries it has not asked on for.
    owed: usize,
    limit: usize,
}

impl Reader {
    pub(crate) fn new(topic: usize, next: Option<Place>, from: usize, limit: usize) -> Self {
        Self {
            topic,
            next,
            from,
            owed: 0,
            limit: limit.max(1),
        }
    }

    pub(crate) fn owes(&self) -> bool {
        self.owed > 0
    }

    /// Whether everything there is has come.
    pub(crate) fn caught_up(&self, topic: &Topic) -> bool {
        self.next
            .is_none_or(|next| topic.readable_now(next).entry == topic.entries.len())
    }

    pub(super) fn act(&mut self, ws: &mut WebSocket, scene: &mut Scene<'_>) -> Wish {
        let count = match scene.quiet {
            true => self.owed,
            false => scene.rng.below(self.owed + 1),
        };
        for _ in 0..count {
            let word = *scene
                .rng
                .pick(&["{}", r#"{"type":"permit","permitMessages":7}"#]);
            ws.text(scene.rng, word);
        }
        self.owed -= count;
        match scene.rng.below(400) {
            0 if !scene.quiet => Wish::Close,
            1 if !scene.quiet => Wish::Vanish,
            _ => Wish::Nothing,
        }
    }

    pub(super) fn text(&mut self, name: &str, text: &str, scene: &mut Scene<'_>) {
        let place = delivery::check(text, self.topic, scene.broker);
        scene.judge.received(name, place);
        let topic = &scene.broker.topics[self.topic];
        // What a deleted topic had may still be on its way.
        let is_next =
            |next: Place| [topic.readable(next), topic.readable_now(next)].contains(&place);
        assert!(
            self.next.is_none_or(is_next),
            "{name}: {place:?} comes where {:?} should",
            self.next
        );
        assert!(
            place.entry >= self.from,
            "{name}: {place:?} is older than asked for"
        );
        self.next = Some(after(topic, place));
        self.owed += 1;
        assert!(
            self.owed <= self.limit,
            "{name} got {} unasked, its limit is {}",
            self.owed,
            self.limit
        );
    }
}

/// The place behind another one.
pub(crate) fn after(topic: &Topic, place: Place) -> Place {
    let last = place.member + 1 >= topic.entries[place.entry].messages.len();
    match last {
        true => Place {
            entry: place.entry + 1,
            member: 0,
            ..place
        },
        false => Place {
            member: place.member + 1,
            ..place
        },
    }
}
