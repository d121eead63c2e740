//! What must hold between clients and brokers, written down as it happens. Panics when it does not.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    topic::{Content, Place},
    world::MILLISECOND,
};

/// Members of an entry; the broker counts permits by message, but sends whole entries.
pub(crate) const BATCH_MAX: i64 = 6;

/// Acknowledgements this young are told again after a connection broke.
const RECALLED_NANOS: u64 = 900 * MILLISECOND;

/// How long a consumer may outlive its session for the sake of its acknowledgements.
const LEAVING_NANOS: u64 = 30_000 * MILLISECOND;

/// A subscription: topic and name.
pub(crate) type SubscriptionKey = (usize, String);

/// What is known of one consuming session, by the consumer name it has at the broker.
#[derive(Debug, Default)]
pub(crate) struct Consuming {
    /// Its receiver queue size.
    pub(crate) limit: i64,
    /// Subscription, for consumers.
    pub(crate) subscription: Option<SubscriptionKey>,
    /// How often the broker sent each message, and how often it came out at the client.
    offered: BTreeMap<Place, u32>,
    received: BTreeMap<Place, u32>,
    /// Acknowledgements that the shard has got and the broker must get, unless a fault comes between;
    /// by place, with their order and when they were told.
    settled: BTreeMap<Place, (u64, u64)>,
    settled_so_far: u64,
    /// Those that the shard had when its consumer was made at the broker, by order.
    settled_before: u64,
    /// Its subscription may be removed at its wish.
    asked_to_unsubscribe: bool,
    /// It was removed at its wish.
    pub(crate) is_unsubscribed: bool,
    /// Its session is over, since then.
    pub(crate) ended_at: Option<u64>,
    /// Its subscription, or its topic, began anew: what it sees does so, too.
    pub(crate) is_renewed: bool,
    /// Messages that were sent since everything was asked for again for the last time.
    sent_lately: BTreeSet<Place>,
    /// It has acknowledged nothing and given nothing back, nor does so by waiting.
    pub(crate) hoards: bool,
    /// The broker closed it, and the shard may send acknowledgements until it learns so.
    unloaded: bool,
    /// How often the broker lost this consumer by a fault.
    pub(crate) cuts: u32,
}

impl Consuming {
    /// A session that may hold so many messages; readers have no subscription of their own.
    pub(crate) fn new(receiver_queue_size: usize, subscription: Option<SubscriptionKey>) -> Self {
        Self {
            limit: i64::try_from(receiver_queue_size.max(1)).expect("small"),
            hoards: subscription.is_some(),
            subscription,
            ..Self::default()
        }
    }
}

impl Consuming {
    /// A broken connection takes the last acknowledgements along; of those the shard has to tell the
    /// last two groups again, if they are not older than a second. One group has one at least.
    fn keep_recalled(&mut self, now: u64) {
        self.keep_last();
        self.settled
            .retain(|_, (_, at)| *at + RECALLED_NANOS >= now);
    }

    fn keep_last(&mut self) {
        let so_far = self.settled_so_far;
        self.settled.retain(|_, (order, _)| *order + 2 > so_far);
    }
}

/// What is known of one producing session.
#[derive(Debug, Default)]
pub(crate) struct Producing {
    /// Its producer name at the broker, once known.
    pub(crate) name: Option<String>,
    /// The sequence id that comes first while nothing goes wrong.
    pub(crate) first_sequence_id: u64,
    /// The one that comes next, by topic: each partition is one.
    next_sequence_ids: BTreeMap<usize, u64>,
    /// Contents by the number that each payload carries.
    pub(crate) published: Vec<Content>,
    /// Sequence id of each number, as first stored, and how often it was.
    stored: BTreeMap<usize, (u64, u32)>,
    /// The largest number stored so far, by topic.
    newest: BTreeMap<usize, usize>,
    /// What the broker refused, and may store behind later ones if it is sent again.
    refused: BTreeSet<usize>,
    pub(crate) cuts: u32,
}

/// The judge.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    /// Nothing goes wrong on purpose in this run.
    pub(crate) strict: bool,
    pub(crate) consuming: BTreeMap<String, Consuming>,
    pub(crate) producing: BTreeMap<String, Producing>,
    /// What any client of a subscription acknowledged.
    acked: BTreeMap<SubscriptionKey, BTreeSet<Place>>,
}

impl Judge {
    /// The broker stored a message of a session.
    pub(crate) fn stored(
        &mut self,
        topic: usize,
        producer: &str,
        sequence_id: u64,
        content: &Content,
    ) {
        let (number, session) = origin(&content.payload);
        let producing = self.producing.get_mut(&session).expect("a known session");
        let name = producing.name.get_or_insert_with(|| producer.to_owned());
        assert_eq!(name, producer, "a session keeps its producer name");
        let published = producing.published.get(number);
        assert_eq!(
            published,
            Some(content),
            "{session} {number} was stored as published"
        );
        if let Some((before, times)) = producing.stored.get_mut(&number) {
            assert_eq!(*before, sequence_id, "a resend keeps its sequence id");
            *times += 1;
            let (times, cuts) = (*times, producing.cuts);
            assert!(
                times <= 1 + cuts,
                "{session} {number} is stored {times} times, {cuts} cuts"
            );
            return;
        }
        let newest = producing.newest.get(&topic).copied();
        assert!(
            newest.is_none_or(|newest| newest < number) || producing.refused.contains(&number),
            "{session} {number} is stored behind {newest:?}"
        );
        let first = producing.first_sequence_id;
        let next = producing.next_sequence_ids.entry(topic).or_insert(first);
        assert!(
            !self.strict || sequence_id == *next,
            "{session} {number} has sequence id {sequence_id}, next is {next}"
        );
        *next = sequence_id + 1;
        producing
            .newest
            .insert(topic, newest.max(Some(number)).unwrap_or(number));
        producing.stored.insert(number, (sequence_id, 1));
    }

    /// The broker refused an entry of a session, which may send all that is in flight again.
    pub(crate) fn refused(&mut self, contents: &[Content]) {
        for (index, content) in contents.iter().enumerate() {
            let (number, session) = origin(&content.payload);
            let producing = self.producing.get_mut(&session).expect("a known session");
            producing.refused.insert(number);
            producing.cuts += u32::from(index == 0);
        }
    }

    /// Whether a publish was ever stored.
    pub(crate) fn is_stored(&self, session: &str, number: usize) -> bool {
        self.producing[session].stored.contains_key(&number)
    }

    /// The broker lost a session's half through a fault.
    pub(crate) fn cut_producer(&mut self, producer: &str) {
        // Of which nothing was stored, nothing can be stored twice.
        let mut sessions = self.producing.values_mut();
        if let Some(cut) = sessions.find(|it| it.name.as_deref() == Some(producer)) {
            cut.cuts += 1;
        }
    }

    /// The broker lost a session's half through a fault.
    pub(crate) fn cut_consumer(&mut self, consumer: &str, now: u64) {
        let consuming = self.consuming.get_mut(consumer).expect("a known consumer");
        consuming.cuts += 1;
        consuming.keep_recalled(now);
    }

    /// The broker removed a session's subscription, because it was asked to.
    pub(crate) fn unsubscribed(&mut self, consumer: &str) {
        let consuming = self.consuming.get_mut(consumer).expect("a known consumer");
        consuming.cuts += 1;
        consuming.is_unsubscribed = true;
        consuming.settled.clear();
    }

    /// The subscription was removed: nothing that was acknowledged on it is remembered.
    pub(crate) fn renewed(&mut self, subscription: &SubscriptionKey) {
        for consuming in self.consuming.values_mut() {
            if consuming.subscription.as_ref() == Some(subscription) {
                consuming.is_renewed = true;
                if consuming.ended_at.is_some() {
                    consuming.settled.clear();
                }
            }
        }
    }

    /// The broker closed a session's half, its topic being moved.
    pub(crate) fn unloaded(&mut self, consumer: &str) {
        let consuming = self.consuming.get_mut(consumer).expect("a known consumer");
        consuming.unloaded = true;
        consuming.keep_last();
    }

    /// The broker has made a session's half, for the first time or again.
    pub(crate) fn subscribed(&mut self, consumer: &str, now: u64) {
        let consuming = self.consuming.get_mut(consumer).expect("a known consumer");
        if std::mem::take(&mut consuming.unloaded) {
            // When the shard learnt so is not known; it was before now.
            consuming.keep_recalled(now);
        }
        for (_, at) in consuming.settled.values_mut() {
            *at = now;
        }
        consuming.settled_before = consuming.settled_so_far;
    }

    /// The broker has somebody else on the subscription, who was sent the messages already.
    pub(crate) fn taken(&mut self, consumer: &str) {
        let consuming = self.consuming.get_mut(consumer).expect("a known consumer");
        if consuming.ended_at.is_some() {
            consuming.settled.clear();
        }
    }

    /// A session is over; the shard knows so.
    pub(crate) fn ended(&mut self, consumer: &str, now: u64) {
        if let Some(consuming) = self.consuming.get_mut(consumer) {
            consuming.ended_at.get_or_insert(now);
        }
    }

    /// A client wants its subscription removed: what was acknowledged on it is not worth much.
    pub(crate) fn asks_to_unsubscribe(&mut self, consumer: &str) {
        let consuming = self.consuming.get_mut(consumer).expect("a known consumer");
        consuming.asked_to_unsubscribe = true;
    }

    /// The broker was asked for everything again.
    pub(crate) fn asked_for_all(&mut self, consumer: &str) {
        let consuming = self.consuming.get_mut(consumer).expect("a known consumer");
        consuming.sent_lately.clear();
    }

    /// Whether a message was sent since everything was asked for again for the last time.
    pub(crate) fn is_sent_lately(&self, consumer: &str, place: Place) -> bool {
        self.consuming[consumer].sent_lately.contains(&place)
    }

    /// The broker got permits; it now has so many.
    pub(crate) fn permits(&self, consumer: &str, permits: i64) {
        let limit = self.consuming[consumer].limit;
        assert!(
            permits <= limit,
            "{consumer} gave {permits} permits, its limit is {limit}"
        );
    }

    /// The broker sends a message.
    pub(crate) fn offered(&mut self, consumer: &str, place: Place) {
        let consuming = self.consuming.get_mut(consumer).expect("a known consumer");
        *consuming.offered.entry(place).or_default() += 1;
        consuming.sent_lately.insert(place);
        let offered = i64::try_from(consuming.offered.len()).expect("small");
        assert!(
            !consuming.hoards || consuming.cuts > 0 || offered < 2 * consuming.limit + BATCH_MAX,
            "{consumer} was sent {offered} messages, though its client does nothing but hold them"
        );
    }

    /// The client got a message.
    pub(crate) fn received(&mut self, consumer: &str, place: Place) {
        let consuming = self.consuming.get_mut(consumer).expect("a known consumer");
        let offered = consuming.offered.get(&place).copied().unwrap_or(0);
        let received = consuming.received.entry(place).or_default();
        *received += 1;
        assert!(
            *received <= offered,
            "{consumer} got {place:?} {received} times, offered {offered} times"
        );
    }

    /// A client sends an acknowledgement.
    pub(crate) fn acked(&mut self, consumer: &str, place: Place) {
        self.gave_back(consumer);
        let subscription = self.consuming[consumer]
            .subscription
            .clone()
            .expect("a consumer");
        self.acked.entry(subscription).or_default().insert(place);
    }

    /// A client gives something back.
    pub(crate) fn gave_back(&mut self, consumer: &str) {
        let consuming = self.consuming.get_mut(consumer).expect("a known consumer");
        consuming.hoards = false;
    }

    /// The shard has taken an acknowledgement.
    pub(crate) fn settled(&mut self, consumer: &str, place: Place, now: u64) {
        let consuming = self.consuming.get_mut(consumer).expect("a known consumer");
        consuming.settled_so_far += 1;
        let order = consuming.settled_so_far;
        consuming.settled.insert(place, (order, now));
    }

    /// The shard has taken an acknowledgement once more, which may count for it as another one.
    pub(crate) fn settled_again(&mut self, consumer: &str) {
        let consuming = self.consuming.get_mut(consumer).expect("a known consumer");
        consuming.settled_so_far += 1;
    }

    /// The broker got an acknowledgement.
    pub(crate) fn may_ack(&self, consumer: &str, place: Place) {
        // Readers acknowledge on their own.
        let Some(subscription) = &self.consuming[consumer].subscription else {
            return;
        };
        let acked = self.acked.get(subscription);
        assert!(
            acked.is_some_and(|acked| acked.contains(&place)),
            "{consumer} acknowledged {place:?}, no client did"
        );
    }

    /// What the broker must have got when a consumer is closed in an orderly way.
    pub(crate) fn owed(&self, consumer: &str) -> BTreeSet<Place> {
        self.consuming[consumer].settled.keys().copied().collect()
    }

    /// Of that, what it must have got before the permits of a consumer that came back.
    pub(crate) fn owed_first(&self, consumer: &str) -> BTreeSet<Place> {
        let consuming = &self.consuming[consumer];
        let settled = consuming.settled.iter();
        let first = settled.filter(|(_, (order, _))| *order <= consuming.settled_before);
        first.map(|(place, _)| *place).collect()
    }

    /// Sessions that ended and that their consumers may outlive, because their time is not over.
    pub(crate) fn leaving(&self, now: u64) -> impl Iterator<Item = (&String, &SubscriptionKey)> {
        self.consuming.iter().filter_map(move |(name, consuming)| {
            let ended = consuming.ended_at?;
            let is_due = now < ended + LEAVING_NANOS && !consuming.settled.is_empty();
            let is_due = is_due && !consuming.asked_to_unsubscribe;
            is_due.then_some((name, consuming.subscription.as_ref()?))
        })
    }
}

/// Payloads of scripted producers begin with their number and their session.
fn origin(payload: &[u8]) -> (usize, String) {
    let mut parts = payload.split(|byte| *byte == b':');
    let mut part = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    (part().parse().expect("a payload of ours"), part())
}
