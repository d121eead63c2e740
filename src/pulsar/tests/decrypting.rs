//! Data keys are decrypted elsewhere: who waits for one, who doesn't, and what is left when nobody does
//! any more.

use super::{
    consuming::{message, stored_with},
    *,
};
use crate::{
    config::EncryptionKeys,
    pulsar::{crypto::Sealer, data_keys::DataKeyRequest},
    session::consumer::SubscriptionType,
};

const PUBLIC: &str = include_str!("../../../tests/data/crypto/rsa-public.pem");
const PRIVATE: &str = include_str!("../../../tests/data/crypto/rsa-pkcs1.pem");
const MS: Duration = Duration::from_millis(1);

fn keys() -> EncryptionKeys {
    EncryptionKeys::from_pem(&[("key", PUBLIC)], &[("key", PRIVATE)]).unwrap()
}

fn with_keys() -> World {
    let mut world = World::new(usize::MAX);
    world.scratch = Scratch::new(keys());
    world
}

/// A producer with a data key of its own.
fn sealer() -> Sealer {
    let mut sealer = Sealer::new(&["key".to_owned()], &keys()).unwrap();
    sealer.prepare(Instant(0)).unwrap();
    sealer
}

fn sealed(consumer: u64, entry: u64, payload: &[u8], sealer: &mut Sealer) -> Vec<u8> {
    let seal = sealer.next().unwrap();
    let mut metadata = seal.keys.to_vec();
    put_bytes(&mut metadata, 15, seal.param);
    let mut payload = BytesMut::from(payload);
    seal.encrypt(&mut payload, 0);
    stored_with(consumer, (3, entry), (&metadata, &payload), 0)
}

/// What a world is asked to decrypt.
type Asked = (DataKeyRequest, String, Vec<u8>);

impl World {
    fn asked(&mut self) -> Vec<Asked> {
        let asked = self.others().into_iter().map(|effect| match effect {
            Effect::DecryptKey {
                request,
                name,
                encrypted,
            } => (request, name, encrypted),
            other => panic!("{other:?}"),
        });
        asked.collect()
    }

    /// Decrypts a data key as the control plane does.
    fn decrypt(&mut self, (request, name, encrypted): &Asked) {
        let key = keys().decrypt(name, encrypted);
        assert!(key.is_some());
        self.decrypted(*request, key);
    }

    fn decrypted(&mut self, request: DataKeyRequest, key: Option<crate::config::DataKey>) {
        self.pulsar
            .handle_data_key(self.now, request, key, &mut self.scratch);
        self.open_parked();
    }

    fn open_parked(&mut self) {
        self.pulsar.open_parked(self.now, &mut self.scratch);
        self.settle();
    }

    /// What the client of a session is given.
    fn take(&mut self, link: Link) -> Vec<String> {
        let mut taken = Vec::new();
        while let Some(delivery) = self.pulsar.next_held(self.now, link) {
            let payload = delivery.payload.unwrap().to_vec();
            taken.push(String::from_utf8(payload).unwrap());
        }
        self.settle();
        taken
    }

    fn is_clean(&self) -> bool {
        self.pulsar.data_keys.is_idle() && self.pulsar.held.get() == 0
    }
}

#[test]
fn a_session_waits_in_order_and_the_others_go_on() {
    let mut world = with_keys();
    let (link, at, consumer) = world.consumer();
    let (_, other) = world.consumer_at(at);
    let (mut one, mut two) = (sealer(), sealer());
    let entries = [
        sealed(consumer, 0, b"a", &mut one),
        message(consumer, 1, b"b"),
        sealed(consumer, 2, b"c", &mut two),
        sealed(consumer, 3, b"d", &mut one),
        message(other, 0, b"not mine"),
    ];
    world.receive(at, &entries.concat());
    assert_eq!(world.told(), [Told::Payload(b"not mine".to_vec())]);
    assert_eq!(world.take(link), [""; 0]);
    assert!(world.pulsar.held.get() > 0, "what waits is counted");
    let asked = world.asked();
    assert_eq!(asked.len(), 1, "the first one's");
    world.pass(100 * MS);
    assert_eq!(world.sent(at).len(), 0, "no permits");

    world.decrypt(&asked[0]);
    assert_eq!(world.told(), [Told::Released(0)], "there is something");
    let arrived = world
        .pulsar
        .next_held(world.now, link)
        .map(|delivery| (delivery.payload.map(<[u8]>::to_vec), delivery.arrived));
    let before = Instant(world.now.mono.0 - 100_000_000);
    assert_eq!(
        arrived,
        Some((Some(b"a".to_vec()), before)),
        "not when it was read"
    );
    assert_eq!(world.take(link), ["b"]);
    let asked = world.asked();
    assert_eq!(asked.len(), 1);
    world.receive(at, &sealed(consumer, 4, b"e", &mut one));
    assert_eq!(
        world.take(link),
        [""; 0],
        "known, and yet behind the others"
    );
    world.decrypt(&asked[0]);
    assert_eq!(world.take(link), ["c", "d", "e"]);
    assert!(world.is_clean());
    assert_eq!(world.sent_one(at, Kind::Flow).kind, Kind::Flow);
    world.told();
    world.receive(at, &sealed(consumer, 5, b"f", &mut two));
    assert_eq!(world.told(), [Told::Payload(b"f".to_vec())]);
    assert_eq!(world.asked(), [], "both keys are known");
}

#[test]
fn answers_may_come_in_any_order_and_late() {
    let mut world = with_keys();
    let (first, at, id) = world.consumer();
    let (second, second_id) = world.consumer_at(at);
    let (third, third_id) = world.consumer_at(at);
    let (mut one, mut two) = (sealer(), sealer());
    world.receive(at, &sealed(id, 0, b"1", &mut one));
    world.receive(at, &sealed(second_id, 0, b"2", &mut two));
    world.receive(at, &sealed(third_id, 0, b"3", &mut one));
    let asked = world.asked();
    assert_eq!(asked.len(), 2, "one key is the same");
    world.pass(Duration::from_secs(20));
    world.decrypt(&asked[1]);
    assert_eq!(world.take(second), ["2"]);
    assert_eq!(world.take(first), [""; 0]);
    world.decrypt(&asked[0]);
    assert_eq!(world.take(third), ["3"]);
    assert_eq!(world.take(first), ["1"]);
    assert!(world.is_clean());
    world.decrypted(asked[0].0, None);
    assert!(world.is_clean(), "an answer to nothing is nothing");
}

/// The broker sends all of it again; what was decrypted for it meanwhile stays known.
#[test]
fn a_session_that_loses_its_broker_meanwhile_begins_anew() {
    let mut world = with_keys();
    let (link, at, consumer) = world.consumer();
    let mut one = sealer();
    world.receive(at, &sealed(consumer, 0, b"a", &mut one));
    let asked = world.asked();
    world.lose(at);
    assert_eq!(world.pulsar.held.get(), 0);
    world.decrypt(&asked[0]);
    assert_eq!(world.take(link), [""; 0]);
    world.told();
    let at = world.pass_until_connecting();
    world.pulsar.handle_connected(world.now, at);
    world.sent_one(at, Kind::Connect);
    world.connected(at);
    world.locate_broker(at);
    let asked: CommandSubscribe = world.sent_one(at, Kind::Subscribe).decode();
    let success = CommandSuccess {
        request_id: asked.request_id,
    };
    world.answer(at, Kind::Success, &success);
    world.receive(at, &sealed(consumer, 0, b"a", &mut one));
    assert_eq!(world.told(), [Told::Payload(b"a".to_vec())]);
    assert!(world.is_clean());
}

#[test]
fn who_closes_meanwhile_leaves_nothing() {
    let mut world = with_keys();
    let (_, at, _) = world.consumer();
    let sessions: Vec<_> = (0..6).map(|_| world.consumer_at(at)).collect();
    for (_, id) in &sessions {
        world.receive(at, &sealed(*id, 0, b"x", &mut sealer()));
        world.receive(at, &message(*id, 1, b"y"));
    }
    let asked = world.asked();
    assert_eq!(asked.len(), 4, "so many at a time");
    // One that was asked for, and one that waits.
    for at in [0, 4] {
        world.pulsar.close(world.now, sessions[at].0);
    }
    for sent in world.sent(at) {
        let close: crate::pulsar::proto::CommandCloseConsumer = sent.decode();
        let success = CommandSuccess {
            request_id: close.request_id,
        };
        world.answer(at, Kind::Success, &success);
    }
    for asked in asked.iter().rev() {
        world.decrypt(asked);
    }
    let asked = world.asked();
    assert_eq!(asked.len(), 1, "nobody asks for who has gone");
    world.decrypt(&asked[0]);
    for (number, (link, _)) in sessions.iter().enumerate() {
        let expected = if [0, 4].contains(&number) {
            vec![]
        } else {
            vec!["x", "y"]
        };
        assert_eq!(world.take(*link), expected);
    }
    assert!(world.is_clean());
    assert_eq!(world.pulsar.links(), 5);
}

#[test]
fn when_there_is_too_much_to_do_it_is_asked_for_again() {
    let mut world = with_keys();
    let (link, at, consumer) = world.consumer();
    world.receive(at, &sealed(consumer, 0, b"a", &mut sealer()));
    for _ in 0..3 {
        let asked = world.asked();
        world.pulsar.handle_no_data_key(world.now, asked[0].0);
        assert_eq!(world.asked(), []);
        world.pass(10 * MS);
    }
    let asked = world.asked();
    world.decrypt(&asked[0]);
    assert_eq!(world.take(link), ["a"]);
    assert!(world.is_clean());
}

#[test]
fn a_key_that_is_none_holds_up_nobody() {
    let mut world = with_keys();
    let (link, at, consumer) = world.consumer();
    let mut one = sealer();
    world.receive(at, &sealed(consumer, 0, b"a", &mut one));
    world.receive(at, &message(consumer, 1, b"b"));
    let asked = world.asked();
    world.decrypted(asked[0].0, None);
    assert_eq!(world.take(link), ["b"], "what is sealed is left");
    world.told();
    world.receive(at, &sealed(consumer, 2, b"c", &mut one));
    assert_eq!((world.told(), world.asked()), (vec![], vec![]));
    assert!(world.is_clean());
}

/// A call has a bound: what waited for a key is read in portions.
#[test]
fn much_is_read_bit_by_bit() {
    let mut world = with_keys();
    let (link, at, consumer) = world.consumer();
    let mut one = sealer();
    let large = "x".repeat(700_000);
    for entry in 0..5 {
        world.receive(at, &sealed(consumer, entry, large.as_bytes(), &mut one));
    }
    let asked = world.asked();
    world.decrypt(&asked[0]);
    let mut portions = vec![world.take(link).len()];
    for _ in 0..5 {
        world.receive(at, &message(consumer, 5, b"behind"));
        world.pass(MS);
        world.open_parked();
        portions.push(world.take(link).len());
    }
    assert_eq!(portions, [2, 2, 2, 0, 0, 0]);
    assert!(world.is_clean());
}

/// However many wait for the same key, a call has the same bound; they go on in turns, each in order.
#[test]
fn many_consumers_are_read_bit_by_bit() {
    let mut world = with_keys();
    let (first, at, id) = world.consumer();
    let mut consumers = vec![(first, id)];
    consumers.extend([(); 2].map(|()| world.consumer_at(at)));
    let mut one = sealer();
    let large = "x".repeat(700_000);
    for (_, id) in &consumers {
        for entry in 0..4 {
            let payload = format!("{entry}{large}");
            world.receive(at, &sealed(*id, entry, payload.as_bytes(), &mut one));
        }
    }
    let asked = world.asked();
    world.decrypt(&asked[0]);
    let mut portions = Vec::new();
    for call in 0..12 {
        if call % 2 > 0 {
            world.pass(MS);
        }
        world.open_parked();
        for (number, (link, _)) in consumers.iter().enumerate() {
            let taken = world.take(*link);
            if !taken.is_empty() {
                let entries: Vec<_> = taken.iter().map(|payload| &payload[..1]).collect();
                portions.push(format!("{call}: {} of {number}", entries.concat()));
            }
        }
    }
    let expected = [
        "0: 01 of 0",
        "1: 01 of 1",
        "3: 01 of 2",
        "5: 23 of 0",
        "7: 23 of 1",
        "9: 23 of 2",
    ];
    assert_eq!(portions, expected);
    assert!(world.is_clean());
}

/// Of a subscription with one consumer all is asked for again at once.
#[test]
fn what_waits_when_all_is_asked_for_again_is_void() {
    let mut world = with_keys();
    let (link, at, consumer) = world.consumer_of(&consumer::Spec {
        subscription_type: SubscriptionType::Exclusive,
        negative_ack_delay: 100 * MS,
        receiver_queue_size: 1,
        ..consumer_spec()
    });
    world.receive(at, &message(consumer, 0, b"a"));
    world.sent_one(at, Kind::Flow);
    world.told();
    let id = consuming::id(0);
    world
        .pulsar
        .negative_acknowledge(world.now, link, &id)
        .unwrap();
    world.receive(at, &sealed(consumer, 1, b"b", &mut sealer()));
    world.pass(100 * MS);
    let kinds: Vec<_> = world.sent(at).iter().map(|sent| sent.kind).collect();
    assert_eq!(
        kinds,
        [Kind::RedeliverUnacknowledgedMessages, Kind::Flow],
        "its permit comes back"
    );
    assert_eq!(world.pulsar.held.get(), 0);
    let asked = world.asked();
    world.decrypt(&asked[0]);
    assert_eq!(world.take(link), [""; 0]);
    assert!(world.is_clean());
}
