//! What a message costs in a whole shard, and what a turn costs beyond its messages.

use crate::{
    Cases, Counter,
    world::{World, input},
};

/// Of one read.
const MESSAGES: usize = 64;
const BATCHING: &str = "?batchingEnabled=true&batchingMaxMessages=64&batchingMaxPublishDelay=1000";
/// Each with one message in flight.
const CLIENTS: usize = 256;

pub(crate) fn run(cases: &Cases) {
    let more = input::PROPERTIES_AND_KEY;
    for (name, query, payload_bytes, more) in [
        ("100 B", "", 100, ""),
        ("1 KiB", "", 1024, ""),
        ("100 B with properties and key", "", 100, more),
        ("100 B, batched", BATCHING, 100, ""),
        ("1 KiB, batched", BATCHING, 1024, ""),
    ] {
        let endpoint = [format!("producer/persistent/public/default/t{query}")];
        let reads = [input::publishes(MESSAGES, payload_bytes, more)];
        publish(cases, name, &endpoint, &reads);
    }
    let endpoint = |number| format!("producer/persistent/public/default/t{number}");
    let endpoints: Vec<_> = (0..CLIENTS).map(endpoint).collect();
    let reads = vec![input::publishes(1, 100, ""); CLIENTS];
    publish(
        cases,
        "100 B, one of each of 256 clients",
        &endpoints,
        &reads,
    );
    consume(cases, "1 KiB", 1024, None);
    consume(cases, "1 KiB of a batch of 16", 1024, Some(16));
}

/// Publishes, and their receipts: one read of each client, all written in one turn, and all receipts in one read.
fn publish(cases: &Cases, name: &str, endpoints: &[String], reads: &[Vec<u8>]) {
    let messages = MESSAGES.max(reads.len());
    let round = |world: &mut World, publishes: &Counter, receipts: &Counter| {
        world.pass(1);
        let mut reads = reads.to_vec();
        publishes.count(|| {
            for (place, read) in reads.iter_mut().enumerate() {
                world.client_bytes(world.clients[place], read);
            }
            world.take();
        });
        let mut answers = world.answers();
        publishes.count(|| world.written());
        world.pass(1);
        receipts.count(|| {
            world.broker_bytes(&mut answers);
            world.take();
        });
        assert!(world.texts().len() > messages * 80);
        receipts.count(|| world.written());
    };
    let make = || World::open(endpoints);
    let off = || Counter { on: false };
    cases.run(
        &format!("shard: publish {name}"),
        messages,
        make,
        |world, counter| round(world, counter, &off()),
    );
    cases.run(
        &format!("shard: receipt of {name}"),
        messages,
        make,
        |world, counter| round(world, &off(), counter),
    );
}

/// Deliveries of one read of the broker, and one read of the client that acknowledges them all.
fn consume(cases: &Cases, name: &str, payload_bytes: usize, batch: Option<i32>) {
    let entries = MESSAGES as u64 / batch.map_or(1, |count| u64::from(count.unsigned_abs()));
    let round = |(world, next): &mut (World, u64), deliveries: &Counter, acks: &Counter| {
        world.pass(1);
        let mut read = Vec::new();
        for entry_id in *next..*next + entries {
            input::put_entry(&mut read, world.consumer_id, entry_id, payload_bytes, batch);
        }
        *next += entries;
        deliveries.count(|| {
            world.broker_bytes(&mut read);
            world.take();
        });
        let mut read = Vec::new();
        assert_eq!(input::put_acks(&mut read, &world.texts()), MESSAGES);
        deliveries.count(|| world.written());
        // Longer than acknowledgements are gathered.
        world.pass(150);
        acks.count(|| {
            world.client_bytes(world.clients[0], &mut read);
            world.take();
            world.written();
        });
    };
    let make = || {
        let endpoint = "consumer/persistent/public/default/t/s?subscriptionType=Shared";
        (World::open(&[endpoint.to_owned()]), 0)
    };
    let off = || Counter { on: false };
    cases.run(
        &format!("shard: deliver {name}"),
        MESSAGES,
        make,
        |shared, counter| round(shared, counter, &off()),
    );
    cases.run(
        &format!("shard: acknowledge {name}"),
        MESSAGES,
        make,
        |shared, counter| round(shared, &off(), counter),
    );
}
