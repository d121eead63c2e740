//! From accept to the 101.

use std::time::Duration;

use pulsar_ws_fast::{config::Config, ws::frame::Opcode};

use super::world::{CONSUMER, PRODUCER, World, count, frame, head, publish};

const HANDSHAKE: Duration = Duration::from_secs(10);

fn silent() -> World {
    let mut world = World::new(Config::default());
    world.is_silent = true;
    world
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_101_comes_when_the_brokers_half_is_there() {
    let mut world = silent();
    let client = world.ask(PRODUCER);
    assert!(world.written(client).is_empty());
    world.speak();
    assert!(world.written(client).starts_with(b"HTTP/1.1 101 "));
}

#[test]
fn who_says_nothing_is_dropped_and_who_says_half_is_told() {
    let mut world = World::new(Config::default());
    let mute = world.accept();
    let slow = world.accept();
    world.bytes(slow, b"GET /ws/v2/producer/pers");
    world.pass(HANDSHAKE - Duration::from_millis(1));
    assert!(world.aborted.is_empty() && world.finished.is_empty());
    world.pass(Duration::from_millis(1));
    assert_eq!(world.aborted, [mute]);
    assert!(world.last(slow).starts_with(b"HTTP/1.1 408 "));
    assert_eq!(world.shard.clients(), 0);
}

#[test]
fn a_deadline_names_the_step_that_waited() {
    let mut world = silent();
    let client = world.ask(PRODUCER);
    world.pass(HANDSHAKE);
    let page = text(world.last(client));
    assert!(page.starts_with("HTTP/1.1 504 "), "{page}");
    let sentence = "The broker did not answer within 10 s: connecting to";
    assert!(
        page.contains("did not answer within 10 s: "),
        "{sentence} {page}"
    );
    assert_eq!(world.shard.clients(), 0);
}

#[test]
fn who_leaves_while_opening_leaves_nothing_behind() {
    for target in [PRODUCER, CONSUMER] {
        let mut world = silent();
        let client = world.ask(target);
        world.gone(client);
        world.speak();
        assert!(world.writes.is_empty() && world.finished.is_empty());
        world.drain();
        assert_eq!(world.drained, 1, "{target}: no half is left");
    }
}

#[test]
fn what_is_said_before_the_101_is_done_after_it() {
    let mut world = silent();
    let client = world.accept();
    let mut early = head(PRODUCER);
    early.extend(frame(true, Opcode::Text, publish(3).as_bytes()));
    world.bytes(client, &early);
    world.publish(client, 4);
    assert!(world.shard.reads_client(client));
    world.speak();
    assert!(world.written(client).starts_with(b"HTTP/1.1 101 "));
    assert_eq!(world.sends.len(), 2);
}

#[test]
fn a_head_may_come_in_any_pieces() {
    for size in [1, 7, 100] {
        let mut world = World::new(Config::default());
        let client = world.accept();
        for piece in head(PRODUCER).chunks(size) {
            assert!(world.written(client).is_empty());
            world.bytes(client, piece);
        }
        assert!(
            world.written(client).starts_with(b"HTTP/1.1 101 "),
            "{size}"
        );
    }
}

/// As quickly as it may: were each byte to cost the whole head, this would take minutes.
#[test]
fn a_head_without_end_is_refused_when_it_is_too_long() {
    let mut world = World::new(Config::default());
    let client = world.accept();
    for _ in 0..100_000 {
        world.bytes(client, b"\r\n");
    }
    world.bytes(client, b"GET / HTTP/1.1\r\na:");
    let mut bytes = 0;
    while !world.is_finished(client) {
        world.bytes(client, b"x");
        bytes += 1;
    }
    assert_eq!(bytes, 64 * 1024 + 1 - 18);
    assert!(world.last(client).starts_with(b"HTTP/1.1 431 "));
}

#[test]
fn what_is_no_request_is_refused_at_once() {
    let mut world = World::new(Config::default());
    let client = world.accept();
    world.bytes(client, b"\x16\x03\x01\x02\x00\x01");
    assert!(world.last(client).starts_with(b"HTTP/1.1 400 "));
    assert_eq!(count(world.last(client), "Connection: close"), 1);
}

#[test]
fn too_much_before_the_101_waits_in_the_socket() {
    let mut world = silent();
    let client = world.ask(PRODUCER);
    let mut publishes = 0;
    while world.shard.reads_client(client) {
        world.publish(client, 10_000);
        publishes += 1;
        assert!(publishes < 20, "it is read for ever");
    }
    world.speak();
    assert_eq!(world.reads, [client]);
    assert!(world.shard.reads_client(client));
    assert_eq!(world.sends.len(), publishes);
}

#[test]
fn an_idle_timeout_shorter_than_the_handshakes_holds_too() {
    let mut world = World::new(Config {
        idle_timeout: Duration::from_secs(2),
        ..Config::default()
    });
    let client = world.open(PRODUCER);
    world.pass(Duration::from_secs(1));
    world.bytes(client, &frame(true, Opcode::Ping, b""));
    world.pass(Duration::from_millis(1999));
    assert!(!world.is_finished(client));
    world.pass(Duration::from_millis(1));
    assert_eq!(
        world.closed(client),
        (
            1001,
            "java.util.concurrent.TimeoutException: Idle timeout expired: 2000/2000 ms".into()
        )
    );
}
