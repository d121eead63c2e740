//! A consuming client: acknowledges in any order, late, twice, negatively, or not at all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::json;

use super::{
    actor::{Scene, Wish},
    delivery,
    judge::Judge,
    topic::{EXCLUSIVE, FAILOVER, KEY_SHARED, Place},
    ws::WebSocket,
};

/// How far an acknowledgement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ack {
    OnItsWay,
    /// The shard has it, and had told the client so many bytes by then, if that can be known.
    Taken(Option<u64>),
}

/// One consuming session.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) topic: usize,
    pub(crate) kind: i32,
    limit: usize,
    ack_timeout: bool,
    /// It keeps all it gets until it must be good.
    hoards: bool,
    /// Deliveries it has neither acknowledged nor given back, with their ids.
    held: BTreeMap<Place, String>,
    seen: BTreeSet<Place>,
    /// Acknowledgements on their way, by how many bytes must have arrived for them; whether it is
    /// not the first time.
    acks: VecDeque<(u64, Place, bool)>,
    /// What it acknowledged, with the ids.
    done: BTreeMap<Place, (Ack, String)>,
    /// It gave something back, so on some subscriptions all comes again.
    rewound: bool,
    /// Entries it gave messages of back: with them the others of the entry come again, and until then
    /// they do not count, whether the client holds them or not.
    returned: BTreeSet<usize>,
    asked: usize,
    /// The last answer to "is this the end?".
    pub(crate) end_of_topic: Option<bool>,
    /// It asked for its subscription to be removed.
    pub(crate) unsubscribed: bool,
    /// How much the client had been told when the broker was asked for all again.
    pub(crate) rewound_at: Option<u64>,
}

impl Consumer {
    pub(crate) fn new(
        topic: usize,
        kind: i32,
        limit: usize,
        ack_timeout: bool,
        hoards: bool,
    ) -> Self {
        Self {
            topic,
            kind,
            limit: limit.max(1),
            ack_timeout,
            hoards,
            held: BTreeMap::new(),
            seen: BTreeSet::new(),
            acks: VecDeque::new(),
            done: BTreeMap::new(),
            rewound: false,
            returned: BTreeSet::new(),
            asked: 0,
            end_of_topic: None,
            unsubscribed: false,
            rewound_at: None,
        }
    }

    fn single_active(&self) -> bool {
        matches!(self.kind, EXCLUSIVE | FAILOVER)
    }

    /// Whether it has something that it should acknowledge.
    pub(crate) fn owes(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether it has something to say.
    pub(crate) fn restless(&self, name: &str, quiet: bool, judge: &Judge) -> bool {
        if self.unsubscribed {
            // If its subscription is not removed, the service closes.
            return judge.consuming[name].is_unsubscribed;
        }
        !quiet || self.owes()
    }

    pub(super) fn act(&mut self, name: &str, ws: &mut WebSocket, scene: &mut Scene<'_>) -> Wish {
        if self.unsubscribed {
            let leaves = scene.quiet || scene.rng.one_in(10);
            return if leaves { Wish::Close } else { Wish::Nothing };
        }
        if scene.twists.unsubscribes && !scene.quiet && scene.rng.one_in(150) {
            self.unsubscribe(name, ws, scene);
        }
        if scene.quiet {
            while !self.held.is_empty() {
                self.ack(name, ws, scene);
            }
            return Wish::Nothing;
        }
        if self.hoards {
            return Wish::Nothing;
        }
        match scene.rng.below(60) {
            0..32 => {
                for _ in 0..scene.rng.range(1..10) {
                    self.ack(name, ws, scene);
                }
            }
            32..46 => self.give_back(name, ws, scene),
            46..48 => {
                // Once more: it means nothing.
                let done = self
                    .done
                    .iter()
                    .nth(scene.rng.below(self.done.len().max(1)));
                if let Some((place, (_, id))) = done {
                    ws.text(scene.rng, &json!({ "messageId": id }).to_string());
                    self.acks.push_back((ws.written, *place, true));
                }
            }
            48 => self.ask(ws, scene),
            49..52 => ws.ping(scene.rng),
            52 if scene.rng.one_in(4) => return Wish::Close,
            53 if scene.rng.one_in(4) => return Wish::Vanish,
            _ => {}
        }
        Wish::Nothing
    }

    fn unsubscribe(&mut self, name: &str, ws: &mut WebSocket, scene: &mut Scene<'_>) {
        self.unsubscribed = true;
        scene.judge.asks_to_unsubscribe(name);
        ws.text(scene.rng, r#"{"type":"unsubscribe"}"#);
    }

    /// Is this the end?
    pub(crate) fn ask(&mut self, ws: &mut WebSocket, scene: &mut Scene<'_>) {
        ws.text(scene.rng, r#"{"type":"isEndOfTopic"}"#);
        self.asked += 1;
    }

    /// Whether the last question is answered.
    pub(crate) fn answered(&self) -> bool {
        self.asked == 0
    }

    fn take(&mut self, scene: &mut Scene<'_>) -> Option<(Place, String)> {
        let place = *self
            .held
            .keys()
            .nth(scene.rng.below(self.held.len().max(1)))?;
        let id = self.held.remove(&place).expect("listed");
        Some((place, id))
    }

    fn ack(&mut self, name: &str, ws: &mut WebSocket, scene: &mut Scene<'_>) {
        let Some((place, id)) = self.take(scene) else {
            return;
        };
        log!("    {name} acknowledges {place:?}");
        scene.judge.acked(name, place);
        let command = match scene.rng.below(3) {
            0 => json!({ "messageId": id, "type": "ack" }),
            _ => json!({ "messageId": id }),
        };
        ws.text(scene.rng, &command.to_string());
        self.acks.push_back((ws.written, place, false));
        self.done.insert(place, (Ack::OnItsWay, id));
    }

    fn give_back(&mut self, name: &str, ws: &mut WebSocket, scene: &mut Scene<'_>) {
        let Some((place, id)) = self.take(scene) else {
            return;
        };
        log!("    {name} gives {place:?} back");
        scene.judge.gave_back(name);
        self.rewound |= self.single_active();
        self.returned.insert(place.entry);
        let command = json!({ "type": "negativeAcknowledge", "messageId": id });
        ws.text(scene.rng, &command.to_string());
    }

    /// The shard has worked on so many bytes of this client, and told it no more than so many.
    pub(crate) fn settle(
        &mut self,
        name: &str,
        arrived: u64,
        told: Option<u64>,
        now: u64,
        judge: &mut Judge,
    ) {
        while let Some((_, place, again)) =
            self.acks.front().copied().filter(|ack| ack.0 <= arrived)
        {
            self.acks.pop_front();
            if again {
                judge.settled_again(name);
                continue;
            }
            log!("    {name}: {place:?} is settled at {told:?}");
            judge.settled(name, place, now);
            self.done.get_mut(&place).expect("sent").0 = Ack::Taken(told);
        }
    }

    /// A message; `start` is how much the client had been told before it.
    pub(super) fn text(&mut self, name: &str, start: u64, text: &str, scene: &mut Scene<'_>) {
        if text.starts_with(r#"{"endOfTopic""#) {
            self.asked = self.asked.checked_sub(1).expect("one question, one answer");
            self.end_of_topic = Some(text == r#"{"endOfTopic":true}"#);
            return;
        }
        let place = delivery::check(text, self.topic, scene.broker);
        scene.judge.received(name, place);
        if self.single_active() && self.rewound_at.is_some_and(|told| start >= told) {
            let is_sent_lately = scene.judge.is_sent_lately(name, place);
            assert!(
                is_sent_lately,
                "{name}: {place:?} was sent before all was asked for again"
            );
        }
        // What is asked for again crosses acknowledgements that are on their way to the broker.
        let cuts = scene.judge.consuming[name].cuts;
        let undisturbed = cuts == 0 && !self.ack_timeout && !self.rewound;
        match self.done.get(&place).map(|done| done.0) {
            None | Some(Ack::Taken(None)) => {}
            Some(Ack::Taken(Some(told))) if start >= told => assert!(
                !undisturbed,
                "{name}: {place:?} comes again after its acknowledgement"
            ),
            // They crossed each other.
            Some(Ack::OnItsWay | Ack::Taken(_)) => return,
        }
        let id = super::text::consumer_id(&scene.broker.topics[self.topic], place);
        self.held.insert(place, id);
        let held = self.held.keys();
        let held = held.filter(|it| !self.returned.contains(&it.entry));
        let held = held.count();
        assert!(
            held <= self.limit || !undisturbed,
            "{name} holds {held} messages, its limit is {}",
            self.limit
        );
        if self.seen.insert(place) && !scene.judge.consuming[name].is_renewed {
            self.in_order(name, place, scene);
        }
    }

    fn in_order(&self, name: &str, place: Place, scene: &Scene<'_>) {
        let entries = &scene.broker.topics[self.topic].entries;
        let key = |place: &Place| &entries[place.entry].messages[place.member].key;
        let unbatched = |place: &Place| !entries[place.entry].batched;
        let later = self
            .seen
            .range(place..)
            .skip(1)
            .find(|later| match self.kind {
                EXCLUSIVE | FAILOVER => true,
                // The broker looks at an entry's key alone.
                KEY_SHARED => unbatched(&place) && unbatched(later) && key(later) == key(&place),
                _ => false,
            });
        assert_eq!(later, None, "{name}: {place:?} comes behind a later one");
    }
}
