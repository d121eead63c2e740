//! What a shard counts for whoever tunes or watches it: to the nanosecond, because nothing but the test moves
//! the clock.

use std::time::Duration;

use pulsar_ws_fast::{
    config::Config,
    metrics::{Core, Form, Histogram, Question, figures},
};

use super::world::{BATCHING, CONSUMER, PRODUCER, World};

const MS: u64 = 1_000_000;

fn core(world: &mut World) -> Core {
    let part = world.question(&Question::Figures(Form::Prometheus));
    *part.core.expect("figures were asked for")
}

/// How many values there were, and their sum.
fn told(histogram: &Histogram) -> (u64, u64) {
    (histogram.count(), histogram.sum())
}

/// The sample of this name and with these labels.
fn sample(world: &mut World, name: &str) -> String {
    let part = world.question(&Question::Figures(Form::Prometheus));
    let text = figures(Form::Prometheus, vec![part]).expect("a text");
    let text = String::from_utf8(text).expect("UTF-8");
    let of_name = |line: &str| {
        line.rsplit_once(' ')
            .map(|(of, value)| (of == name, value.to_owned()))
    };
    let found = text.lines().filter_map(of_name).find(|(is_it, _)| *is_it);
    found.unwrap_or_else(|| panic!("{name}\n{text}")).1
}

#[test]
fn a_publish_is_timed_from_its_turn_to_that_of_its_receipt() {
    let mut world = World::new(Config::default());
    let producer = world.open(PRODUCER);
    world.publish(producer, 3);
    world.pass(Duration::from_millis(3));
    world.publish(producer, 5);
    world.pass(Duration::from_millis(4));
    world.receipts(2);
    world.text(producer, r#"{"payload":"!"}"#);
    world.text(producer, r#"{"payload":"#);
    let core = core(&mut world);
    let figures = &core.figures;
    assert_eq!(told(&figures.publish_latency), (2, 11 * MS));
    let bounds = [4 * MS - 1, 4 * MS, 7 * MS - MS / 10, 7 * MS];
    let within = figures.publish_latency.within(&bounds);
    assert_eq!(within[1..], [1, 1, 2]);
    // Each was sent at once.
    assert_eq!(told(&core.backend.round_trip), (2, 11 * MS));
    assert_eq!(told(&core.backend.entry_messages), (2, 2));
    assert_eq!(told(&figures.client_messages), (4, 4));
    assert_eq!(told(&figures.broker_messages), (1, 2));
    let counters = figures.counters;
    assert_eq!((counters.published, counters.published_bytes), (2, 8));
    assert_eq!((counters.publish_failures, counters.rejected), (1, 1));
    assert_eq!(counters.client_messages, 4);
}

#[test]
fn waiting_in_a_batch_is_no_part_of_the_round_trip() {
    let mut world = World::new(Config::default());
    let producer = world.open(BATCHING);
    world.publish(producer, 3);
    world.publish(producer, 5);
    assert!(core(&mut world).gauges.in_flight_bytes > 8);
    world.pass(Duration::from_millis(1005));
    world.receipts(1);
    let core = core(&mut world);
    assert_eq!(told(&core.figures.publish_latency), (2, 2 * 1005 * MS));
    assert_eq!(told(&core.backend.round_trip), (1, 5 * MS));
    assert_eq!(told(&core.backend.entry_messages), (1, 2));
    assert_eq!(core.gauges.in_flight_bytes, 0);
}

#[test]
fn a_delivery_that_is_held_is_timed_until_it_goes() {
    let mut world = World::new(Config::default());
    let consumer = world.open(CONSUMER);
    world.deliver(0..2, &vec![b'x'; 300 << 10]);
    let held = core(&mut world);
    assert_eq!(told(&held.figures.delivery_latency), (1, 0));
    assert_eq!(held.figures.counters.held_entries, 1);
    assert!(held.gauges.held_bytes > 300 << 10);
    assert_eq!(told(&held.figures.broker_messages), (1, 2));
    world.pass(Duration::from_millis(20));
    world.written(consumer);
    world.text(consumer, r#"{"messageId":"CAwQADAA"}"#);
    let core = core(&mut world);
    assert_eq!(told(&core.figures.delivery_latency), (2, 20 * MS));
    assert_eq!(told(&core.figures.entry_messages), (2, 2));
    assert_eq!(core.gauges.held_bytes, 0);
    let counters = core.figures.counters;
    assert_eq!(
        (counters.delivered, counters.delivered_bytes),
        (2, 600 << 10)
    );
    assert_eq!(counters.acknowledged, 1);
}

#[test]
fn turns_are_as_long_as_the_runtime_says() {
    let mut world = World::new(Config::default());
    for nanos in [999, 1000, 70_000] {
        world.shard.handle_turn_over(nanos);
    }
    let mut count = |le: &str| {
        let name = format!("pulsar_ws_turn_seconds_bucket{{core=\"0\",le=\"{le}\"}}");
        sample(&mut world, &name)
    };
    assert_eq!(count("0.000001"), "2");
    assert_eq!(count("0.00005"), "2");
    assert_eq!(count("0.0001"), "3");
    assert_eq!(count("+Inf"), "3");
    let sum = sample(&mut world, "pulsar_ws_turn_seconds_sum{core=\"0\"}");
    assert_eq!(sum, "0.000071999");
}

#[test]
fn sessions_are_counted_by_what_they_do_and_how_they_end() {
    let mut world = World::new(Config::default());
    let producer = world.open(PRODUCER);
    let consumer = world.open(CONSUMER);
    let (lost, silent) = (world.open(CONSUMER), world.open(CONSUMER));
    world.ask("/nowhere");
    world.gone(lost);
    assert!(world.ended(silent));
    // A close frame with code 1000, masked with zeros.
    world.bytes(producer, &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);
    world.text(consumer, "{");
    for (name, value) in [
        ("sessions{core=\"0\",endpoint=\"producer\"}", "0"),
        ("sessions{core=\"0\",endpoint=\"consumer\"}", "0"),
        (
            "sessions_opened_total{core=\"0\",endpoint=\"consumer\"}",
            "3",
        ),
        ("sessions_opened_total{core=\"0\",endpoint=\"reader\"}", "0"),
        ("sessions_closed_total{core=\"0\",by=\"client\"}", "1"),
        ("sessions_closed_total{core=\"0\",by=\"service\"}", "1"),
        ("sessions_closed_total{core=\"0\",by=\"loss\"}", "2"),
        ("answers_total{core=\"0\",status=\"1xx\"}", "4"),
        ("answers_total{core=\"0\",status=\"4xx\"}", "1"),
        ("clients{core=\"0\"}", "0"),
        ("broker_connections{core=\"0\"}", "1"),
    ] {
        assert_eq!(
            sample(&mut world, &format!("pulsar_ws_{name}")),
            value,
            "{name}"
        );
    }
    let counters = core(&mut world).figures.counters;
    let out: usize = world.finished.iter().map(|(_, last)| last.len()).sum();
    assert!(counters.client_bytes_out > out as u64);
    assert!(counters.broker_bytes_out > 0 && counters.broker_bytes_in > 0);
}

#[test]
fn a_client_that_waits_is_counted_once_for_each_wait() {
    let mut world = World::new(Config {
        publishes_in_flight_bytes_max: 1000,
        ..Config::default()
    });
    let producer = world.open(PRODUCER);
    let stops = "pulsar_ws_reads_stopped_total{core=\"0\",bound=\"client_publishes\"}";
    for _ in 0..4 {
        world.publish(producer, 700);
    }
    assert_eq!(sample(&mut world, stops), "1");
    assert!(
        core(&mut world).gauges.incomplete_bytes > 700,
        "what waits to be taken up"
    );
    // Room for one more, which makes it wait on.
    world.receipts(1);
    assert_eq!(sample(&mut world, stops), "1");
    world.receipts(world.sends.len());
    world.receipts(world.sends.len());
    assert_eq!(world.reads, [producer]);
    for _ in 0..2 {
        world.publish(producer, 700);
    }
    assert_eq!(sample(&mut world, stops), "2");
}
