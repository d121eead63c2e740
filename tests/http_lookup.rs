//! Lookups over HTTP: against web services that say what they are told to, and through the process.
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on fails, in its helpers too"
)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use pulsar_ws_fast::{
    config::Config,
    control::{Control, Location, LookupError, Wanted},
};

const PATIENCE: Duration = Duration::from_secs(20);
const TOPIC: &str = "persistent://public/default/a b";
const PARTITIONS: &str =
    "/admin/v2/persistent/public/default/a+b/partitions?checkAllowAutoCreation=true";
const LOOKUP: &str = "/lookup/v2/topic/persistent/public/default/a+b";

/// A web service that answers each request by its path. Tells what it was asked.
fn web(answer: impl Fn(&str) -> String + Send + 'static) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (asked, questions) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = BufReader::new(stream.try_clone().unwrap()).lines();
            let Some(Ok(line)) = head.next() else {
                continue;
            };
            // The request's end.
            head.find(|line| line.as_ref().is_ok_and(String::is_empty));
            let path = line.split(' ').nth(1).unwrap().to_owned();
            let answer = answer(&path);
            if asked.send(path).is_err() {
                return;
            }
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (port, questions)
}

fn page(status: &str, headers: &str, body: &str) -> String {
    let len = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {len}\r\nConnection: close\r\n{headers}\r\n{body}"
    )
}

fn no_partitions(path: &str) -> Option<String> {
    path.starts_with("/admin/")
        .then(|| page("200 OK", "", r#"{"partitions":0,"deleted":false}"#))
}

fn locate(ports: &[u16]) -> Result<Location, LookupError> {
    ask(ports, Wanted::PartitionsOrBroker)
}

fn ask(ports: &[u16], wanted: Wanted) -> Result<Location, LookupError> {
    let config = Config {
        brokers: Vec::new(),
        service_urls: ports
            .iter()
            .map(|port| format!("http://127.0.0.1:{port}"))
            .collect(),
        operation_timeout: Duration::from_secs(5),
        ..Config::default()
    };
    let control = Control::start(&config).unwrap();
    let (reply, answer) = channel();
    let reply = Box::new(move |result| reply.send(result).unwrap());
    control.locate(TOPIC.to_owned(), wanted, reply).unwrap();
    answer.recv_timeout(PATIENCE).unwrap()
}

fn broker(url: &str) -> Location {
    Location {
        partitions: 0,
        broker_url: url.to_owned(),
        topics: Vec::new(),
    }
}

#[test]
fn partitions_then_the_broker_past_redirects_and_dead_hosts() {
    let (owner, owner_asked) = web(|_| {
        let body = r#"{"brokerUrl":"pulsar://b:6650","httpUrl":"http://b:8080","x":{}}"#;
        page("200 OK", "", body)
    });
    let (first, first_asked) = web(move |path| {
        no_partitions(path).unwrap_or_else(|| {
            let to = format!("Location: http://127.0.0.1:{owner}{path}?authoritative=true\r\n");
            page("307 Temporary Redirect", &to, "")
        })
    });
    let dead = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let dead_port = dead.local_addr().unwrap().port();
    drop(dead);
    assert_eq!(locate(&[dead_port, first]), Ok(broker("pulsar://b:6650")));
    assert_eq!(
        first_asked.try_iter().collect::<Vec<_>>(),
        [PARTITIONS, LOOKUP]
    );
    let redirected = format!("{LOOKUP}?authoritative=true");
    assert_eq!(owner_asked.try_iter().collect::<Vec<_>>(), [redirected]);
}

#[test]
fn who_wants_one_thing_asks_one_thing() {
    let answer = |path: &str| {
        no_partitions(path).unwrap_or_else(|| page("200 OK", "", r#"{"brokerUrl":"pulsar://b:1"}"#))
    };
    let (port, asked) = web(answer);
    assert_eq!(ask(&[port], Wanted::Partitions), Ok(broker("")));
    let counts = PARTITIONS.replace("true", "false");
    assert_eq!(asked.try_iter().collect::<Vec<_>>(), [counts]);
    assert_eq!(ask(&[port], Wanted::Broker), Ok(broker("pulsar://b:1")));
    assert_eq!(asked.try_iter().collect::<Vec<_>>(), [LOOKUP]);
}

#[test]
fn answers_that_are_no_broker() {
    let (port, asked) = web(|_| page("200 OK", "", r#"{"partitions":3}"#));
    assert_eq!(locate(&[port]).unwrap().partitions, 3);
    assert_eq!(asked.try_iter().count(), 1);

    let (port, _asked) = web(|_| page("404 Not Found", "", r#"{"reason":"Namespace not found"}"#));
    let error = LookupError {
        status: Some(404),
        message: "Namespace not found".into(),
    };
    assert_eq!(locate(&[port]), Err(error));

    for body in ["", "[]", "{\"brokerUrl\":7}", "<html>"] {
        let (port, _asked) =
            web(|path| no_partitions(path).unwrap_or_else(|| page("200 OK", "", body)));
        let error = locate(&[port]).unwrap_err();
        assert_eq!(error.status, None);
        assert!(error.message.contains("can't be used"), "{}", error.message);
    }
    // Redirected for ever.
    let (port, _asked) = web(|path| page("307 x", &format!("Location: {path}\r\n"), ""));
    assert_eq!(locate(&[port]).unwrap_err().status, None);
}

#[test]
fn a_process_with_only_a_web_service_finds_its_broker() {
    let scripted_broker = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let broker_port = scripted_broker.local_addr().unwrap().port();
    let (port, asked) = web(move |path| {
        let body = format!(r#"{{"brokerUrl":"pulsar://127.0.0.1:{broker_port}"}}"#);
        no_partitions(path).unwrap_or_else(|| page("200 OK", "", &body))
    });
    let mut service = Command::new(env!("CARGO_BIN_EXE_pulsar-ws-fast"))
        .args(["--bind", "127.0.0.1", "--port", "0", "--cores", "1"])
        .env("serviceUrl", format!("http://127.0.0.1:{port}"))
        .env("webSocketDrainTimeoutMillis", "100")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(service.stderr.take().unwrap()).lines();
    let line = log.find(|line| {
        line.as_ref()
            .is_ok_and(|line| line.contains("listening on"))
    });
    let line = line.unwrap().unwrap();
    assert!(line.contains(&format!("http://127.0.0.1:{port}")), "{line}");
    let at = line.split("ws://127.0.0.1:").nth(1).unwrap();
    let at: u16 = at.split(' ').next().unwrap().parse().unwrap();
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, at)).unwrap();
    client
        .write_all(
            b"GET /ws/v2/producer/persistent/public/default/a%20b HTTP/1.1\r\nHost: x\r\n\
              Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .unwrap();
    assert_eq!(asked.recv_timeout(PATIENCE).unwrap(), PARTITIONS);
    assert_eq!(asked.recv_timeout(PATIENCE).unwrap(), LOOKUP);
    let (mut stream, _) = scripted_broker.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The first bytes of a CONNECT.
    let mut size = [0; 4];
    stream.read_exact(&mut size).unwrap();
    assert!(u32::from_be_bytes(size) > 0);
    service.kill().unwrap();
    service.wait().unwrap();
}
