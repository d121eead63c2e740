//! Pings: when they are sent, what counts as an answer, and what becomes of a client that gives none.

use std::time::Duration;

use pulsar_ws_fast::{config::Config, shard::SessionKey, ws::frame::Opcode};

use crate::world::{World, frame};

const PRODUCER: &str = "/ws/v2/producer/persistent/public/default/t";
const PING: &[u8] = b"\x89\x04PING";
const INTERVAL: Duration = Duration::from_secs(10);

fn pinging(config: Config) -> World {
    World::new(Config {
        ping_interval: Some(INTERVAL),
        ..config
    })
}

/// An interval passes; what the client got meanwhile.
fn interval(world: &mut World, client: SessionKey) -> Vec<u8> {
    world.pass(INTERVAL);
    world.written(client)
}

#[test]
fn a_client_is_pinged_each_interval_and_closed_after_three_without_an_answer() {
    let mut world = pinging(Config::default());
    let client = world.open(PRODUCER);
    world.pass(INTERVAL - Duration::from_millis(1));
    assert_eq!(world.written(client), b"");
    world.pass(Duration::from_millis(1));
    assert_eq!(world.written(client), PING);
    world.bytes(client, &frame(true, Opcode::Pong, b"PING"));
    for _ in 0..3 {
        assert_eq!(interval(&mut world, client), PING);
    }
    assert!(!world.is_finished(client));
    world.pass(INTERVAL);
    let reason = "No answer to 3 pings".to_owned();
    assert_eq!(world.closed(client), (1001, reason));
}

#[test]
fn whatever_a_client_says_is_an_answer_and_pings_count_against_idleness() {
    let mut world = pinging(Config {
        idle_timeout: Duration::from_secs(15),
        ..Config::default()
    });
    let client = world.open(PRODUCER);
    for round in 0..12 {
        assert_eq!(interval(&mut world, client), PING, "round {round}");
        if round % 3 == 2 {
            // Bytes of a message that is never whole will do.
            let half = frame(true, Opcode::Text, b"never");
            world.bytes(client, &half[round / 3..=round / 3]);
        }
    }
    assert!(!world.is_finished(client));
}

#[test]
fn an_idle_timeout_shorter_than_the_interval_comes_first() {
    let mut world = pinging(Config {
        idle_timeout: Duration::from_secs(4),
        ..Config::default()
    });
    let client = world.open(PRODUCER);
    world.pass(Duration::from_secs(4));
    let (code, reason) = world.closed(client);
    assert!((code, reason.contains("4000/4000 ms")) == (1001, true));
}

#[test]
fn a_client_that_is_not_read_owes_no_answer() {
    let mut world = pinging(Config {
        publishes_in_flight_bytes_max: 1000,
        ..Config::default()
    });
    let client = world.open(&format!("{PRODUCER}?sendTimeoutMillis=0"));
    while world.shard.reads_client(client) {
        world.publish(client, 600);
    }
    for _ in 0..10 {
        assert_eq!(interval(&mut world, client), PING);
        world.speak();
    }
    assert!(!world.shard.reads_client(client));
    assert!(!world.is_finished(client));
}

#[test]
fn none_is_sent_behind_bytes_that_wait_and_the_idle_timeout_watches_them() {
    let mut world = pinging(Config {
        idle_timeout: Duration::from_secs(100),
        ..Config::default()
    });
    let client = world.open(PRODUCER);
    world.text(client, "{}");
    let outbox = world.begin_write(client);
    world.pass(Duration::from_secs(99));
    assert!(!world.is_finished(client));
    world.end_write(client, outbox);
    assert_eq!(world.written(client), b"", "no ping waits");
    world.text(client, "{}");
    world.begin_write(client);
    world.pass(Duration::from_secs(100));
    let (code, reason) = world.closed(client);
    assert!((code, reason.contains("Idle timeout")) == (1001, true));
}
