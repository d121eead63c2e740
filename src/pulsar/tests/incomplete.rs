//! Chunked messages of which parts are missing, when all sessions of the shard have too much of them.

use super::{consuming::stored_with, *};

const SECOND: Duration = Duration::from_secs(1);

/// The parts of a message in order, each of so many bytes, in entries from `first` on.
fn parts(consumer: u64, uuid: &str, first: u64, count: u32, bytes: usize) -> Vec<Vec<u8>> {
    let part = |index: u32| {
        let mut metadata = Vec::new();
        put_bytes(&mut metadata, 26, uuid.as_bytes());
        put_uint(&mut metadata, 27, u64::from(count));
        put_uint(&mut metadata, 28, (count as usize * bytes) as u64);
        put_uint(&mut metadata, 29, u64::from(index));
        let payload = vec![b'x'; bytes];
        let at = (3, first + u64::from(index));
        stored_with(consumer, at, (&metadata, &payload), 0)
    };
    (0..count).map(part).collect()
}

/// A world with three consumers on a connection, where two parts of 400 bytes fit.
fn small() -> (World, ConnectionKey, Vec<(Link, u64)>) {
    let settings = Settings {
        shard_incomplete_bytes_max: 1000,
        ..Settings::default()
    };
    let mut world = World::with(settings, usize::MAX);
    let (first, at, id) = world.consumer();
    let mut consumers = vec![(first, id)];
    consumers.extend([(); 2].map(|()| world.consumer_at(at)));
    (world, at, consumers)
}

impl World {
    /// How long the messages are that a client is given.
    fn joined(&mut self, link: Link) -> Vec<usize> {
        let mut joined = Vec::new();
        while let Some(delivery) = self.pulsar.next_held(self.now, link) {
            joined.push(delivery.payload.unwrap().len());
        }
        self.settle();
        joined
    }

    fn redelivers(&mut self, at: ConnectionKey) -> usize {
        let sent = self.sent(at);
        let asked = |sent: &&Sent| sent.kind == Kind::RedeliverUnacknowledgedMessages;
        sent.iter().filter(asked).count()
    }
}

#[test]
fn while_all_grow_the_one_whose_part_is_too_much_comes_again() {
    let (mut world, at, consumers) = small();
    let messages: Vec<_> = consumers
        .iter()
        .map(|(_, id)| parts(*id, "u", 1, 2, 400))
        .collect();
    for message in &messages {
        world.receive(at, &message[0]);
    }
    assert!(world.pulsar.incomplete.get() <= 1000);
    for message in &messages {
        world.receive(at, &message[1]);
    }
    for (link, expected) in consumers.iter().zip([&[800][..], &[800], &[]]) {
        assert_eq!(world.joined(link.0), expected);
    }
    assert_eq!(world.redelivers(at), 0);
    world.pass(SECOND);
    assert_eq!(world.redelivers(at), 1);
    for part in &messages[2] {
        world.receive(at, part);
    }
    assert_eq!(world.joined(consumers[2].0), [800]);
    assert_eq!(world.pulsar.incomplete.get(), 0);
}

#[test]
fn what_does_not_grow_goes_first() {
    let (mut world, at, consumers) = small();
    let messages: Vec<_> = consumers
        .iter()
        .map(|(_, id)| parts(*id, "u", 1, 2, 400))
        .collect();
    world.receive(at, &messages[0][0]);
    world.pass(SECOND);
    world.receive(at, &messages[1][0]);
    world.receive(at, &messages[2][0]);
    for message in &messages {
        world.receive(at, &message[1]);
    }
    for (link, expected) in consumers.iter().zip([&[][..], &[800], &[800]]) {
        assert_eq!(world.joined(link.0), expected);
    }
    world.pass(SECOND);
    assert_eq!(world.redelivers(at), 1);
}

#[test]
fn the_only_one_may_be_larger() {
    let (mut world, at, consumers) = small();
    for part in parts(consumers[0].1, "u", 1, 5, 400) {
        world.receive(at, &part);
    }
    assert_eq!(world.joined(consumers[0].0), [2000]);
    assert_eq!(world.pulsar.incomplete.get(), 0);
}

#[test]
fn who_closes_leaves_nothing() {
    let (mut world, at, consumers) = small();
    for (_, id) in &consumers {
        world.receive(at, &parts(*id, "u", 1, 2, 400)[0]);
    }
    world.lose(at);
    for (link, _) in consumers {
        world.pulsar.close(world.now, link);
    }
    assert_eq!(world.pulsar.incomplete.get(), 0);
}
