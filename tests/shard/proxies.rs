//! Clients behind proxies, and clients that wait for their turn.

use std::time::Duration;

use pulsar_ws_fast::{config::Config, metrics::Question};

use super::{
    access_log::{has, lines},
    world::{PRODUCER, World, head},
};

const ANNOUNCED: &[u8] = b"PROXY TCP4 9.8.7.6 5.6.7.8 111 222\r\n";

fn behind_proxy() -> World {
    World::new(Config {
        proxy_protocol: true,
        ..Config::default()
    })
}

#[test]
fn a_header_names_the_client_however_it_arrives() {
    let request = [ANNOUNCED, &head(PRODUCER)].concat();
    for piece_bytes in [1, 7, 36, 40, 1000] {
        let mut world = behind_proxy();
        let client = world.accept();
        for piece in request.chunks(piece_bytes) {
            world.bytes(client, piece);
        }
        assert!(
            world.written(client).starts_with(b"HTTP/1.1 101 "),
            "{piece_bytes}"
        );
        let sessions = world.question(&Question::Topics).sessions;
        assert_eq!(sessions[0].remote, "9.8.7.6:111".parse().unwrap());
    }
}

#[test]
fn a_header_may_be_absent_and_must_not_be_malformed() {
    let mut world = behind_proxy();
    let plain = world.ask(PRODUCER);
    assert!(world.written(plain).starts_with(b"HTTP/1.1 101 "));
    let malformed = world.accept();
    world.bytes(malformed, b"PROXY TCP4 9.8.7.6\r\n");
    assert_eq!(world.aborted, [malformed]);
    let twice = world.accept();
    world.bytes(twice, &[ANNOUNCED, ANNOUNCED, &head(PRODUCER)].concat());
    assert!(world.last(twice).starts_with(b"HTTP/1.1 400 "));
    let slow = world.accept();
    world.bytes(slow, b"PROX");
    world.pass(Duration::from_secs(10));
    assert!(world.last(slow).starts_with(b"HTTP/1.1 408 "));
}

#[test]
fn without_the_setting_a_header_is_no_request() {
    let mut world = World::new(Config::default());
    let client = world.accept();
    world.bytes(client, &[ANNOUNCED, &head(PRODUCER)].concat());
    assert!(world.last(client).starts_with(b"HTTP/1.1 400 "));
}

#[test]
fn the_log_tells_who_it_was_and_through_whom() {
    let request = |lines: &str| format!("GET /nowhere HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
    let told = |config: Config, request: &[u8]| {
        let mut told = lines(|| {
            let mut world = World::new(config);
            let client = world.accept();
            world.bytes(client, request);
        });
        assert_eq!(told.len(), 1, "{told:?}");
        told.remove(0)
    };
    let config = || Config {
        proxy_protocol: true,
        trusts_forwarded: true,
        logs_addresses: true,
        ..Config::default()
    };
    let line = told(config(), &[ANNOUNCED, request("").as_bytes()].concat());
    has(
        &line,
        &[
            "peer=9.8.7.6:111",
            "via=127.0.0.1:8080",
            "local=127.0.0.1:8080",
        ],
    );
    let forwarded = request("X-Forwarded-For: 1.2.3.4, 9.9.9.9\r\n");
    let line = told(config(), forwarded.as_bytes());
    has(&line, &["peer=1.2.3.4 ", "via=127.0.0.1:8080"]);
    let brief = Config {
        logs_addresses: false,
        ..config()
    };
    let line = told(brief, forwarded.as_bytes());
    assert!(
        line.contains("peer=1.2.3.4 ") && !line.contains("via="),
        "{line}"
    );
    let line = told(Config::default(), forwarded.as_bytes());
    assert!(
        line.contains("peer=127.0.0.1:8080") && !line.contains("local="),
        "{line}"
    );
}

fn one_at_a_time() -> World {
    let mut world = World::new(Config {
        handshakes_max: 1,
        ..Config::default()
    });
    world.is_silent = true;
    world
}

#[test]
fn handshakes_beyond_the_limit_wait_their_turn() {
    let mut world = one_at_a_time();
    let clients: Vec<_> = (0..3).map(|_| world.ask(PRODUCER)).collect();
    assert!(world.shard.reads_client(clients[0]));
    assert!(
        !world.shard.reads_client(clients[1]),
        "it can say nothing that counts"
    );
    // Who is refused at once needs no place.
    let nowhere = world.ask("/nowhere");
    assert!(world.last(nowhere).starts_with(b"HTTP/1.1 404 "));
    // Who leaves gives its place to the next.
    world.gone(clients[0]);
    world.speak();
    for client in &clients[1..] {
        assert!(world.written(*client).starts_with(b"HTTP/1.1 101 "));
        assert!(world.shard.reads_client(*client));
    }
    // All places are free again.
    let next = world.open(PRODUCER);
    assert!(world.shard.reads_client(next));
}

#[test]
fn who_waits_in_vain_is_told() {
    let mut world = one_at_a_time();
    let first = world.ask(PRODUCER);
    let second = world.ask(PRODUCER);
    let third = world.ask(PRODUCER);
    world.gone(third);
    world.pass(Duration::from_secs(10));
    let page = String::from_utf8_lossy(world.last(first)).into_owned();
    assert!(page.starts_with("HTTP/1.1 504 "), "{page}");
    assert!(page.contains(&format!("<td>{PRODUCER}</td>")), "{page}");
    assert!(world.last(second).starts_with(b"HTTP/1.1 503 "));
}
