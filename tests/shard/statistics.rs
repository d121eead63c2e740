//! Requests that want no WebSocket, and what a shard counts.

use std::time::Duration;

use pulsar_ws_fast::{
    config::Config,
    metrics::{Counts, Question, Session, Subscription},
    session::SessionKey,
    shard::Survey,
};

use super::world::{CONSUMER, PRODUCER, World};

const STATS: &str = "/admin/v2/proxy-stats/stats";

fn ask(world: &mut World, request: &str) -> SessionKey {
    let client = world.accept();
    world.bytes(
        client,
        format!("{request} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes(),
    );
    client
}

fn told(world: &World, client: SessionKey) -> String {
    String::from_utf8_lossy(world.last(client)).into_owned()
}

#[test]
fn sessions_and_what_they_did() {
    let mut world = World::new(Config::default());
    let producer = world.open(PRODUCER);
    let consumer = world.open(&format!("{CONSUMER}?subscriptionType=Failover"));
    let reader = world.open(&PRODUCER.replace("producer", "reader"));
    world.publish(producer, 3);
    world.pass(Duration::from_millis(3));
    world.receipts(1);
    world.publish(producer, 5);
    world.text(producer, r#"{"payload":"!"}"#);
    world.gone(reader);
    world.deliver(0..0, b"");

    let part = world.question(&Question::Topic("persistent://public/default/t".into()));
    let remote = "127.0.0.1:8080".parse().unwrap();
    let session = |messages, subscription| Session {
        topic: "persistent://public/default/t".into(),
        remote,
        messages,
        subscription,
    };
    let subscription = Subscription {
        name: "s".into(),
        kind: "Failover",
        mode: Some("Durable"),
    };
    assert_eq!(
        part.sessions,
        [session(1, None), session(0, Some(subscription))]
    );
    assert_eq!(world.question(&Question::Topics), part);
    let elsewhere = world.question(&Question::Topic("persistent://public/default/u".into()));
    assert_eq!(elsewhere.sessions, []);

    let expected = Counts {
        published: 1,
        published_bytes: 3,
        failed: 1,
        latencies: [0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
        ..Counts::default()
    };
    let counted = world.question(&Question::Namespaces);
    assert_eq!(counted.namespaces, [("public/default".into(), expected)]);
    // A minute after the other publish has failed too it is as if nothing had been, and then there is
    // nobody either.
    world.pass(Duration::from_secs(100));
    let later = world.question(&Question::Namespaces);
    assert_eq!(
        later.namespaces,
        [("public/default".into(), Counts::default())]
    );
    world.gone(producer);
    world.gone(consumer);
    world.pass(Duration::from_secs(5));
    assert_eq!(world.question(&Question::Namespaces).namespaces, []);
}

#[test]
fn deliveries_and_acknowledgements_are_counted() {
    let mut world = World::new(Config::default());
    let consumer = world.open(CONSUMER);
    world.deliver(0..3, b"1234");
    world.written(consumer);
    world.text(consumer, r#"{"messageId":"CAMQADAA"}"#);
    world.text(
        consumer,
        r#"{"type":"negativeAcknowledge","messageId":"CAMQADAA"}"#,
    );
    world.text(consumer, r#"{"type":"isEndOfTopic"}"#);
    let counted = world.question(&Question::Namespaces).namespaces;
    let expected = Counts {
        delivered: 3,
        delivered_bytes: 12,
        acknowledged: 1,
        ..Counts::default()
    };
    assert_eq!(counted, [("public/default".into(), expected)]);
    assert_eq!(world.question(&Question::Topics).sessions[0].messages, 3);
}

#[test]
fn a_client_waits_for_the_answer_of_all_shards() {
    let mut world = World::new(Config::default());
    let get = ask(&mut world, &format!("GET {STATS}"));
    let head = ask(&mut world, "HEAD /admin/proxy-stats/a/b/c/d/stats");
    assert_eq!(world.surveys.len(), 2);
    assert_eq!(world.surveys[0], (get, Question::Topics));
    assert_eq!(
        world.surveys[1].1,
        Question::Topic("persistent://a/b/c/d".into())
    );
    world.survey(get, Survey::Text(b"{}".to_vec()));
    world.survey(head, Survey::NoSuchTopic);
    assert!(told(&world, get).ends_with("Content-Length: 2\r\nConnection: close\r\n\r\n{}"));
    let told = told(&world, head);
    assert!(
        told.starts_with("HTTP/1.1 404 ") && told.ends_with("\r\n\r\n"),
        "{told}"
    );
    assert_eq!(world.shard.clients(), 0);
}

#[test]
fn a_client_that_says_nothing_more_gets_its_answer() {
    let mut world = World::new(Config::default());
    let client = ask(&mut world, &format!("GET {STATS}"));
    assert!(world.ended(client));
    world.survey(client, Survey::Text(b"{}".to_vec()));
    assert!(told(&world, client).ends_with("\r\n\r\n{}"));
    assert!(!world.ended(client));
}

#[test]
fn questions_are_bounded_also_of_clients_that_leave() {
    let mut world = World::new(Config::default());
    for _ in 0..8 {
        let client = ask(&mut world, &format!("GET {STATS}"));
        world.gone(client);
    }
    let surplus = ask(&mut world, &format!("GET {STATS}"));
    assert!(told(&world, surplus).starts_with("HTTP/1.1 503 "));
    let (gone, _) = world.surveys.remove(0);
    world.survey(gone, Survey::Text(Vec::new()));
    let next = ask(&mut world, &format!("GET {STATS}"));
    world.survey(next, Survey::Failed);
    assert!(told(&world, next).contains("could not be collected"));
}

#[test]
fn an_answer_that_does_not_come_is_not_waited_for() {
    let mut world = World::new(Config::default());
    let client = ask(&mut world, &format!("GET {STATS}"));
    world.pass(Duration::from_secs(10));
    assert!(told(&world, client).starts_with("HTTP/1.1 504 "));
    world.survey(client, Survey::Text(Vec::new()));
    assert_eq!(world.finished.len(), 1);
}

#[test]
fn the_status_file_is_looked_at() {
    let status_file = Some("/status".into());
    let mut world = World::new(Config {
        status_file,
        ..Config::default()
    });
    for (is_there, status) in [(Some(true), 200), (Some(false), 404), (None, 503)] {
        let client = ask(&mut world, "GET /status.html");
        assert_eq!(world.status_looks.pop(), Some(client));
        world.status(client, is_there);
        let told = told(&world, client);
        assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{told}");
    }
    let mut without = World::new(Config::default());
    let client = ask(&mut without, "GET /status.html");
    assert!(told(&without, client).starts_with("HTTP/1.1 404 "));
}
