//! Draining meets clients in every phase.

use std::time::Duration;

use pulsar_ws_fast::{config::Config, ws::frame::Opcode};

use super::world::{BATCHING, CONSUMER, PRODUCER, World, count, frame};

const FAREWELL: &str = "the service is shutting down";

#[test]
fn nobody_is_left_at_once() {
    let mut world = World::new(Config::default());
    world.drain();
    world.drain();
    world.pass(Duration::from_secs(60));
    assert_eq!(world.drained, 1);
}

#[test]
fn publishes_in_flight_get_their_receipts_first() {
    let mut world = World::new(Config::default());
    let client = world.open(PRODUCER);
    let idle = world.open(PRODUCER);
    world.publish(client, 1);
    world.publish(client, 1);
    world.drain();
    assert_eq!(world.closed(idle), (1001, FAREWELL.to_owned()));
    // What it says now is not begun any more.
    world.publish(client, 1);
    assert_eq!(world.sends.len(), 2);
    assert!(!world.shard.reads_client(client));
    world.receipts(1);
    assert!(!world.is_finished(client));
    world.receipts(1);
    assert_eq!(world.closed(client), (1001, FAREWELL.to_owned()));
    assert_eq!(count(world.last(client), r#""result":"ok""#), 2);
    assert_eq!((world.drained, world.closes), (1, 2));
}

#[test]
fn an_open_batch_is_sent_first() {
    let mut world = World::new(Config::default());
    let client = world.open(BATCHING);
    world.publish(client, 1);
    world.publish(client, 1);
    assert_eq!(world.sends.len(), 0);
    world.drain();
    assert_eq!(world.sends.len(), 1);
    assert!(!world.is_finished(client));
    world.receipts(1);
    assert_eq!(world.closed(client), (1001, FAREWELL.to_owned()));
    assert_eq!(count(world.last(client), r#""result":"ok""#), 2);
}

#[test]
fn receipts_under_way_are_not_written_twice() {
    let mut world = World::new(Config::default());
    let client = world.open(PRODUCER);
    world.publish(client, 1);
    world.publish(client, 1);
    world.drain();
    world.receipts(1);
    let first = world.begin_write(client);
    world.receipts(1);
    assert_eq!(count(&first, r#""result":"ok""#), 1);
    assert_eq!(count(world.last(client), r#""result":"ok""#), 1);
}

#[test]
fn acknowledgements_are_flushed_before_the_consumer_goes() {
    let mut world = World::new(Config::default());
    let client = world.open(CONSUMER);
    world.deliver(0..3, b"x");
    let delivered = String::from_utf8_lossy(&world.written(client)).into_owned();
    let id = delivered
        .split(r#""messageId":""#)
        .nth(1)
        .expect("a message");
    let id = id.split('"').next().expect("an id").to_owned();
    world.text(client, &format!(r#"{{"messageId":"{id}"}}"#));
    assert!(world.acks.is_empty(), "it is grouped");
    world.drain();
    assert_eq!(world.acks, [0]);
    assert_eq!(world.closed(client), (1001, FAREWELL.to_owned()));
    assert_eq!((world.drained, world.closes), (1, 1));
    assert!(!world.shard.is_cut_short());
}

#[test]
fn who_leaves_during_the_drain_is_not_waited_for() {
    let mut world = World::new(Config::default());
    let client = world.open(PRODUCER);
    world.publish(client, 1);
    world.drain();
    world.bytes(client, &frame(true, Opcode::Close, &1000_u16.to_be_bytes()));
    assert_eq!(world.drained, 0);
    world.gone(client);
    assert_eq!(world.drained, 1);
}

#[test]
fn who_has_not_got_a_101_is_told_503() {
    let mut world = World::new(Config::default());
    let mute = world.accept();
    let slow = world.accept();
    world.bytes(slow, b"GET /ws/v2/prod");
    world.is_silent = true;
    let opening = world.ask(PRODUCER);
    world.drain();
    let late = world.accept();
    for client in [mute, slow, opening, late] {
        let page = String::from_utf8_lossy(world.last(client)).into_owned();
        assert!(page.starts_with("HTTP/1.1 503 "), "{page}");
        assert!(page.contains(FAREWELL), "{page}");
    }
    // A request that was never answered holds a connection, but no half.
    world.speak();
    assert_eq!((world.shard.clients(), world.drained), (0, 1));
}

#[test]
fn whoever_is_left_at_the_deadline_is_told_while_there_is_time() {
    let config = Config::default();
    let mut world = World::new(config.clone());
    let client = world.open(PRODUCER);
    world.publish(client, 1);
    world.drain();
    world.pass(config.drain_timeout - config.linger_timeout - Duration::from_millis(1));
    assert!(!world.is_finished(client));
    world.pass(Duration::from_millis(1));
    assert_eq!(world.closed(client), (1001, FAREWELL.to_owned()));
    assert_eq!(world.drained, 1);
    assert!(world.shard.is_cut_short());
    world.pass(Duration::from_secs(60));
    assert_eq!(world.drained, 1);
}
