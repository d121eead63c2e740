//! The process from outside: how it starts, refuses, listens, ends, and what its exit code says.
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on fails, in its helpers too"
)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, ChildStderr, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

const BINARY: &str = env!("CARGO_BIN_EXE_pulsar-ws-fast");
/// Far above the drain's own deadline.
const PATIENCE: Duration = Duration::from_secs(20);
const PRODUCER_REQUEST: &str = "GET /ws/v2/producer/persistent/a/b/c HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

/// A service on a free port of the loopback; ends with the test.
struct Service {
    child: Child,
    log: BufReader<ChildStderr>,
    port: u16,
}

impl Service {
    fn start(arguments: &[&str]) -> Self {
        Self::start_as(Command::new(BINARY), arguments)
    }

    /// With a limit of open files that it can't raise.
    fn start_with_files(files: u32, arguments: &[&str]) -> Self {
        let mut shell = Command::new("sh");
        let script = format!("ulimit -n {files} && exec \"$@\"");
        shell.args(["-c", &script, "sh", BINARY]);
        Self::start_as(shell, arguments)
    }

    fn start_as(mut command: Command, arguments: &[&str]) -> Self {
        let mut child = command
            .args(["--bind", "127.0.0.1", "--port", "0"])
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let port = 0;
        let mut service = Self { child, log, port };
        let line = service.wait_for("listening on");
        let port = line.split("ws://127.0.0.1:").nth(1).unwrap();
        service.port = port.split(' ').next().unwrap().parse().unwrap();
        service
    }

    /// The next line of the log with this text.
    fn wait_for(&mut self, text: &str) -> String {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert_ne!(self.log.read_line(&mut line).unwrap(), 0, "no {text}");
        }
        line
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &process]).status();
        assert!(status.unwrap().success());
    }

    /// The exit code; the log's end is the process's end.
    fn wait(&mut self) -> Option<i32> {
        self.log.read_to_string(&mut String::new()).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs what must end by itself.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let bounded = Command::new("timeout")
        .args(["20", BINARY])
        .args(arguments)
        .output();
    let Output { status, stderr, .. } = bounded.unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn serves_until_told_to_end_and_then_ends_in_good_order() {
    for signal in ["TERM", "INT"] {
        let mut service = Service::start(&["--cores", "2"]);
        let clients: Vec<_> = (0..4).map(|_| service.connect()).collect();
        service.signal(signal);
        for mut client in clients {
            client.read_to_end(&mut Vec::new()).unwrap();
        }
        assert_eq!(service.wait(), Some(0), "{signal}");
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, service.port)).is_err());
    }
}

/// More than one turn's worth wait in the backlog when the order to end comes.
#[test]
fn who_is_connected_when_it_ends_is_answered() {
    for cores in ["1", "2"] {
        let mut service = Service::start(&["--cores", cores]);
        service.signal("STOP");
        let clients: Vec<_> = (0..500)
            .map(|_| {
                let mut client = service.connect();
                client
                    .write_all(b"GET /nowhere HTTP/1.1\r\nHost: here\r\n\r\n")
                    .unwrap();
                client
            })
            .collect();
        service.signal("TERM");
        service.signal("CONT");
        for mut client in clients {
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            let status = answer.split(' ').nth(1);
            assert!(matches!(status, Some("404" | "503")), "{answer}");
        }
        assert_eq!(service.wait(), Some(0));
    }
}

/// The connection to the broker is made when clients have taken all they can get.
#[test]
fn clients_leave_a_descriptor_for_the_broker() {
    let broker = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("pulsar://{}", broker.local_addr().unwrap());
    let service = Service::start_with_files(128, &["--cores", "1", "--broker-url", &url]);
    let clients: Vec<_> = (0..200).map(|_| service.connect()).collect();
    let mut first = &clients[0];
    first.write_all(PRODUCER_REQUEST.as_bytes()).unwrap();
    let (sender, accepted) = mpsc::channel();
    thread::spawn(move || sender.send(broker.accept()));
    accepted.recv_timeout(PATIENCE).unwrap().unwrap();
}

/// What whoever runs it must know is told, and not with each try.
#[test]
fn a_broker_that_is_away_is_told_of_once() {
    let mut command = Command::new(BINARY);
    command.env("PULSAR_PREFIX_webSocketHandshakeTimeoutMillis", "2000");
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("pulsar://{}", closed.local_addr().unwrap());
    drop(closed);
    let mut service = Service::start_as(command, &["--cores", "1", "--broker-url", &url]);
    let mut client = service.connect();
    client.write_all(PRODUCER_REQUEST.as_bytes()).unwrap();
    client.read_to_end(&mut Vec::new()).unwrap();
    service.signal("TERM");
    let mut log = String::new();
    service.log.read_to_string(&mut log).unwrap();
    assert!(log.contains("status=504"), "{log}");
    assert_eq!(
        log.matches("the broker can't be reached").count(),
        1,
        "{log}"
    );
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut service = Service::start(&["--cores", "1"]);
    let mut client = service.connect();
    client
        .write_all(b"GET /nowhere HTTP/1.1\r\nHost: here\r\n\r\n")
        .unwrap();
    // Its side is closed; as long as this side is not, the drain waits.
    client.read_to_end(&mut Vec::new()).unwrap();
    service.signal("TERM");
    service.wait_for("draining");
    service.signal("INT");
    assert_eq!(service.wait(), Some(128 + 2));
}

#[test]
fn a_second_instance_finds_the_port_taken() {
    let service = Service::start(&["--cores", "2"]);
    let port = service.port.to_string();
    for bind in ["127.0.0.1", "0.0.0.0"] {
        let (code, error) = run(&["--bind", bind, "--port", &port]);
        assert_eq!(code, Some(69));
        assert!(error.starts_with("pulsar-ws-fast: port taken: "), "{error}");
    }
}

#[test]
fn what_is_not_built_is_refused_before_anything_starts() {
    let directory = std::env::temp_dir().join(format!("pulsar-ws-fast-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("websocket.conf");
    std::fs::write(
        &file,
        "clusterName=c\nbrokerServiceUrl=pulsar://b\nauthenticationEnabled=true\n",
    )
    .unwrap();
    let name = file.to_str().unwrap();
    for arguments in [&[name][..], &["--config", name]] {
        let (code, error) = run(arguments);
        assert_eq!(code, Some(78));
        let expected = format!("pulsar-ws-fast: {name}:3: authenticationEnabled asks for ");
        assert!(error.starts_with(&expected), "{error}");
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn the_command_line_is_checked() {
    assert_eq!(run(&["--cpus", "x"]).0, Some(2));
    assert_eq!(run(&["--log", "loud"]).0, Some(2));
    assert_eq!(run(&["a", "--config", "b"]).0, Some(2));
    assert_eq!(run(&["--cpus", "1023", "--port", "0"]).0, Some(78));
    assert_eq!(run(&["--broker-url", "pulsar+ssl://b"]).0, Some(78));
    assert_eq!(run(&["--version"]).0, Some(0));
    assert_eq!(run(&["--help"]).0, Some(0));
}
