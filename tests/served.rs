//! Shards, rings and real sockets in this process, with a broker that agrees to everything and
//! stores nothing.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that can't go on fails, in its helpers too; a slow client sleeps"
)]

#[path = "sim/agree.rs"]
mod agree;
#[allow(
    dead_code,
    reason = "the simulation's commands, of which some are used here"
)]
#[path = "sim/proto.rs"]
mod proto;
#[allow(
    dead_code,
    clippy::cast_possible_truncation,
    reason = "the simulation's wire format, of which some is used here"
)]
#[path = "sim/wire.rs"]
mod wire;

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    num::NonZeroUsize,
    time::Duration,
};

use pulsar_ws_fast::{
    config::Config,
    runtime::{Ended, Running},
};

const PRODUCER: &str = "/ws/v2/producer/persistent/public/default/t";
const PATIENCE: Duration = Duration::from_secs(20);

/// A service with one core.
fn start(config: Config) -> Running {
    start_on(1, config)
}

fn start_on(cores: usize, config: Config) -> Running {
    let config = Config {
        cores: NonZeroUsize::new(cores),
        bind: Some(Ipv4Addr::LOCALHOST.into()),
        port: 0,
        brokers: vec![("127.0.0.1".into(), broker())],
        ..config
    };
    Running::start(config).unwrap()
}

/// A client with an open session.
fn open(service: &Running) -> TcpStream {
    let mut client = TcpStream::connect(service.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "GET {PRODUCER} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    client.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    client
}

/// The port of a broker that serves until the test's process ends.
fn broker() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || agree(stream.unwrap(), port));
        }
    });
    port
}

fn agree(mut stream: TcpStream, port: u16) {
    let (mut asked, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(len @ 1..) = stream.read(&mut buffer) {
        asked.extend_from_slice(&buffer[..len]);
        let mut answers = Vec::new();
        while let Some(frame) = wire::take_frame(&mut asked) {
            if let Some(answer) = answer(frame.command, port) {
                wire::put_frame(&mut answers, answer, None);
            }
        }
        if stream.write_all(&answers).is_err() {
            return;
        }
    }
}

fn answer(asked: wire::BaseCommand, port: u16) -> Option<wire::BaseCommand> {
    if let Some(answer) = agree::agree(&asked, port) {
        return Some(answer);
    }
    let asked = asked.close_producer?;
    Some(wire::BaseCommand {
        success: Some(wire::Success {
            request_id: asked.request_id,
        }),
        ..Default::default()
    })
}

/// A ping, masked with zeros.
fn ping() -> Vec<u8> {
    let mut ping = vec![0x89, 0x80 | 125, 0, 0, 0, 0];
    ping.resize(6 + 125, b'p');
    ping
}

/// More pongs than a second takes, read at a rate at which they take three: as long as some go,
/// the client is not given up, though no write is over.
#[test]
fn who_reads_slowly_is_waited_for() {
    const PINGS: usize = 400_000;
    const PONG_BYTES: usize = 2 + 125;
    let service = start(Config {
        replies_bytes_max: 32 << 20,
        replies_timeout: Duration::from_secs(1),
        ..Config::default()
    });
    let mut client = open(&service);
    let mut writer = client.try_clone().unwrap();
    let pings = std::thread::spawn(move || {
        let some = ping().repeat(1000);
        (0..PINGS / 1000).all(|_| writer.write_all(&some).is_ok())
    });
    let mut left = PINGS * PONG_BYTES;
    let mut buffer = vec![0; 1 << 20];
    while left > 0 {
        std::thread::sleep(Duration::from_millis(60));
        let len = client.read(&mut buffer).unwrap();
        assert_ne!(len, 0, "it was closed with {left} bytes to come");
        assert!(buffer[..len].contains(&0x8a), "pongs");
        left -= len;
    }
    assert!(pings.join().unwrap());
}

#[test]
fn a_publish_without_receipt_is_told_before_the_end() {
    let drain_timeout = Duration::from_secs(2);
    let mut service = start(Config {
        drain_timeout,
        linger_timeout: Duration::from_secs(1),
        ..Config::default()
    });
    let mut client = open(&service);
    let publish = br#"{"payload":"eA=="}"#;
    let head = [
        0x81,
        0x80 | u8::try_from(publish.len()).unwrap(),
        0,
        0,
        0,
        0,
    ];
    client.write_all(&[&head[..], publish].concat()).unwrap();
    // It has come as soon as what follows it is answered.
    client.write_all(&ping()).unwrap();
    client.read_exact(&mut [0; 2 + 125]).unwrap();
    let reads = std::thread::spawn(move || {
        let mut farewell = Vec::new();
        client.read_to_end(&mut farewell).unwrap();
        farewell
    });
    service.order_drain();
    assert_eq!(service.wait_drained(drain_timeout), Ended::DrainTimedOut);
    let farewell = reads.join().unwrap();
    assert_eq!(farewell[2..4], 1001_u16.to_be_bytes(), "{farewell:?}");
}

/// All that is answered to a request.
fn ask(service: &Running, request: &str) -> String {
    let mut client = TcpStream::connect(service.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("{request} HTTP/1.1\r\nHost: h\r\n\r\n");
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn statistics_are_those_of_all_shards() {
    let service = start_on(3, Config::default());
    let clients: Vec<TcpStream> = (0..6).map(|_| open(&service)).collect();
    assert_eq!(service.clients(), [2, 2, 2]);
    for path in ["stats", "persistent/public/default/t/stats"] {
        let answer = ask(&service, &format!("GET /admin/v2/proxy-stats/{path}"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        for client in &clients {
            let remote = format!("\"/{}\"", client.local_addr().unwrap());
            assert!(answer.contains(&remote), "{remote} in {answer}");
        }
    }
    let answer = ask(&service, "GET /admin/v2/proxy-stats/metrics");
    assert_eq!(answer.matches("\"public/default\"").count(), 1, "{answer}");
    drop(clients);
    let gone = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        ask(&service, "GET /admin/v2/proxy-stats/stats").ends_with("\r\n\r\n{}")
    });
    assert!(gone);
}

#[test]
fn metrics_are_those_of_each_shard() {
    let service = start_on(3, Config::default());
    let clients: Vec<TcpStream> = (0..6).map(|_| open(&service)).collect();
    let answer = ask(&service, "GET /metrics");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for core in 0..3 {
        for line in [
            format!("pulsar_ws_sessions{{core=\"{core}\",endpoint=\"producer\"}} 2"),
            format!("pulsar_ws_broker_connections{{core=\"{core}\"}} 1"),
            format!("pulsar_ws_turn_seconds_bucket{{core=\"{core}\",le=\"+Inf\"}} "),
        ] {
            assert_eq!(answer.matches(&line).count(), 1, "{line}\n{answer}");
        }
    }
    // Whoever asks reads, so somewhere there is a buffer, which nobody holds for long.
    assert!(answer.contains("leg=\"client\"} 1\n"), "{answer}");
    let log = ask(&service, "GET /metrics/hdr");
    assert_eq!(log.matches("\nTag=core").count(), 3 * 8, "{log}");
    drop(clients);
}

/// Each shard looks for places that others leave, also one that has none itself.
#[test]
fn handshakes_wait_their_turn_on_all_shards() {
    let service = start_on(
        3,
        Config {
            handshakes_max: 1,
            ..Config::default()
        },
    );
    let (opened, clients) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| opened.send(open(&service)).unwrap());
        }
    });
    assert_eq!(clients.try_iter().count(), 12);
}

#[test]
fn a_status_file_is_looked_at_each_time() {
    let name = format!("pulsar-ws-fast-status-{}", std::process::id());
    let file = std::env::temp_dir().join(name);
    let service = start(Config {
        status_file: Some(file.clone()),
        ..Config::default()
    });
    for _ in 0..2 {
        std::fs::write(&file, "").unwrap();
        let answer = ask(&service, "GET /status.html");
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nOK"),
            "{answer}"
        );
        std::fs::remove_file(&file).unwrap();
        assert!(ask(&service, "GET /status.html").starts_with("HTTP/1.1 404 "));
    }
}
