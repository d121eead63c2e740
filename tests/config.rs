//! The process from outside: what it makes of its configuration before it serves anybody.
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on fails, in its helpers too"
)]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

const BINARY: &str = env!("CARGO_BIN_EXE_pulsar-ws-fast");
const PATIENCE: Duration = Duration::from_secs(20);
const MINIMAL: &str = "clusterName=c\nbrokerServiceUrl=pulsar://127.0.0.1:1\n";

/// A file of its own for each test; goes with it.
struct File(PathBuf);

impl File {
    fn new(test: &str, text: &str) -> Self {
        let name = format!("pulsar-ws-fast-{test}-{}.conf", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn name(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Exit code, standard output and standard error of what must end by itself.
fn run(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new("timeout")
        .args(["20", BINARY])
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// A service on the loopback; ends with the test.
struct Service {
    child: Child,
    /// What it logged until it listened.
    log: String,
    rest: Option<JoinHandle<String>>,
    port: u16,
}

impl Service {
    fn start(arguments: &[&str]) -> Self {
        Self::start_in(arguments, &[])
    }

    fn start_in(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(BINARY)
            .args(["--bind", "127.0.0.1", "--cores", "1"])
            .args(arguments)
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(child.stderr.take().unwrap());
        let mut log = String::new();
        while !log.contains("listening on") {
            assert_ne!(reader.read_line(&mut log).unwrap(), 0, "{log}");
        }
        // A log that nobody reads would stop the service.
        let rest = thread::spawn(move || {
            let mut rest = String::new();
            reader.read_to_string(&mut rest).unwrap();
            rest
        });
        let port = log.split("ws://127.0.0.1:").nth(1).unwrap();
        let port = port.split(' ').next().unwrap().parse().unwrap();
        Self {
            child,
            log,
            rest: Some(rest),
            port,
        }
    }

    /// The answer to a request that no broker is needed for.
    fn answer(&self) -> String {
        self.ask("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
    }

    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn end(&mut self) -> Option<i32> {
        let process = self.child.id().to_string();
        let killed = Command::new("kill").args(["-s", "TERM", &process]).status();
        assert!(killed.unwrap().success());
        self.child.wait().unwrap().code()
    }

    /// All that it logged, once it has ended.
    fn whole_log(&mut self) -> String {
        let rest = self.rest.take().map(|rest| rest.join().unwrap());
        format!("{}{}", self.log, rest.unwrap_or_default())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_good_file_is_ok_with_its_warnings() {
    let file = File::new("good", &format!("{MINIMAL}brokerClient_numIoThreads=5\n"));
    let (code, output, error) = run(&["--check-config", file.name()], &[]);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    let name = file.name();
    assert_eq!(
        output,
        format!(
            "warning: {name}:3: brokerClient_numIoThreads is set and has no effect: it is for the \
             Java client\nok\n"
        )
    );
}

#[test]
fn a_bad_file_ends_the_start_with_all_that_is_wrong() {
    let file = File::new("bad", &format!("{MINIMAL}webServicePort=x\n"));
    let environment = [("authorizationEnabled", "yes")];
    for arguments in [&["--check-config", file.name()][..], &[file.name()]] {
        let (code, output, error) = run(arguments, &environment);
        assert_eq!((code, output.as_str()), (Some(78), ""));
        assert_eq!(
            error,
            format!(
                "pulsar-ws-fast: {}:3: webServicePort=x: expected a port number from 0 to 65535\n\
                 pulsar-ws-fast: environment variable authorizationEnabled: \
                 authorizationEnabled=yes: expected true or false\n",
                file.name()
            )
        );
    }
    assert_eq!(run(&["--check-config", "/nonexistent"], &[]).0, Some(78));
}

#[test]
fn only_a_metadata_store_is_refused_with_what_to_set() {
    let file = File::new(
        "store",
        "clusterName=c\nconfigurationMetadataStoreUrl=zk:z:2181",
    );
    let (code, _, error) = run(&[file.name()], &[]);
    assert_eq!(code, Some(78));
    assert!(
        error.contains("set brokerServiceUrl, as pulsar://host:6650"),
        "{error}"
    );
    let flag = ["--check-config", "--broker-url", "pulsar://b", file.name()];
    assert_eq!(run(&flag, &[]).1, "ok\n");
    let variable = [("PULSAR_PREFIX_brokerServiceUrl", "pulsar://b")];
    assert_eq!(run(&["--check-config", file.name()], &variable).1, "ok\n");
}

#[test]
fn the_configuration_is_printed_with_its_origins_and_without_secrets() {
    let text = format!("{MINIMAL}tlsTrustStorePassword=hush\nwebSocketMaxTextFrameSize=5\n");
    let file = File::new("print", &text);
    let environment = [
        ("PULSAR_PREFIX_tokenSecretKey", "data:;base64,hush"),
        ("webSocketMaxTextFrameSize", "6"),
    ];
    let (code, output, error) = run(
        &["--print-config", "--port", "7", file.name()],
        &environment,
    );
    // Printed whole, and refused all the same.
    assert_eq!(code, Some(78));
    assert!(error.contains("tlsTrustStorePassword asks for"), "{error}");
    assert!(
        !output.contains("hush") && !error.contains("hush"),
        "{output}{error}"
    );
    for line in [
        "webSocketMaxTextFrameSize=6 # environment variable webSocketMaxTextFrameSize",
        "webServicePort=7 # --port",
        "tokenSecretKey=<hidden> # environment variable PULSAR_PREFIX_tokenSecretKey",
        "bindAddress=0.0.0.0 # default",
    ] {
        let is_there = output
            .lines()
            .any(|printed| printed.split_whitespace().collect::<Vec<_>>().join(" ") == line);
        assert!(is_there, "{line} in {output}");
    }
    assert_eq!(run(&["--print-config"], &[]).0, Some(0));
}

/// What is wrong depends on this machine; that clients need descriptors doesn't.
#[test]
fn the_host_is_checked_against_the_configuration() {
    let problems = |clients: &str| -> Vec<String> {
        let arguments = ["--check-host", "--format", "json", "--cores", "1"];
        let environment = [("maxHttpServerConnections", clients)];
        let (code, output, error) = run(&arguments, &environment);
        assert_eq!(error, "");
        let report: serde_json::Value = serde_json::from_str(&output).unwrap();
        let findings = report["findings"].as_array().unwrap();
        let bad = findings.iter().filter(|f| f["level"] == "problem");
        let names: Vec<String> = bad.map(|f| f["name"].to_string()).collect();
        assert_eq!(report["counts"]["problem"], names.len());
        assert_eq!(code, Some(i32::from(!names.is_empty())));
        names
    };
    let descriptors = "\"a process's most\"".to_owned();
    assert!(!problems("100").contains(&descriptors));
    assert!(problems("2147483647").contains(&descriptors));

    let (_, output, _) = run(&["--check-host"], &[]);
    assert!(output.starts_with("io_uring\n  "), "{output}");
    assert!(!output.contains('\u{1b}'), "colours, and no terminal");
    assert_eq!(run(&["--format", "json"], &[]).0, Some(2));
}

#[test]
fn epoll_serves_too_and_says_that_it_costs() {
    let mut service = Service::start(&["--port", "0", "--driver", "epoll"]);
    assert!(service.log.contains("WARN"), "{}", service.log);
    assert!(service.log.contains("epoll"), "{}", service.log);
    for _ in 0..3 {
        assert!(service.answer().starts_with("HTTP/1.1 404 "));
    }
    assert_eq!(service.end(), Some(0));
    assert_eq!(run(&["--driver", "kqueue"], &[]).0, Some(2));
}

#[test]
fn a_second_instance_takes_over() {
    let mut first = Service::start(&["--port", "0"]);
    let port = first.port.to_string();
    assert_eq!(
        run(&["--bind", "127.0.0.1", "--port", &port], &[]).0,
        Some(69)
    );
    let mut second = Service::start(&["--port", &port, "--takeover"]);
    assert_eq!(second.port, first.port);
    assert_eq!(first.end(), Some(0));
    for _ in 0..10 {
        assert!(second.answer().starts_with("HTTP/1.1 404 "));
    }
    assert_eq!(second.end(), Some(0));
}

const UPGRADE: &str = "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[test]
fn the_log_tells_of_handshakes_and_of_no_secret() {
    let environment = [
        ("webSocketHandshakeTimeoutMillis", "200"),
        ("brokerServiceUrl", "pulsar://127.0.0.1:1"),
        ("PULSAR_PREFIX_tokenSecretKey", "data:;base64,hush1"),
        ("brokerClientAuthenticationParameters", "token:hush2"),
    ];
    let mut service = Service::start_in(&["--port", "0", "--log", "trace"], &environment);
    for path in [
        "/ws/v2/producer/persistent/public/default/t?token=hush3",
        "/ws/v2/consumer/persistent/public/default/t/s?%54oken=hush4&x=eyJhush5",
        "/nowhere?token=hush6",
    ] {
        let request =
            format!("GET {path} HTTP/1.1\r\n{UPGRADE}Authorization: Bearer hush7\r\n\r\n");
        assert!(!service.ask(&request).is_empty());
    }
    assert_eq!(service.end(), Some(0));
    let log = service.whole_log();
    assert!(!log.contains("hush"), "{log}");
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains(" access: "))
        .collect();
    assert_eq!(lines.len(), 3, "{log}");
    assert!(lines[0].contains("/default/t?token=<hidden>") && lines[0].contains("status=504"));
    assert!(
        lines[1].contains("?%54oken=<hidden>&x=<hidden>"),
        "{}",
        lines[1]
    );
    assert!(lines[2].contains("status=404"), "{}", lines[2]);
}

#[test]
fn the_log_can_be_set_by_target() {
    let mut service = Service::start(&["--port", "0", "--log", "info,access=off"]);
    assert!(service.answer().starts_with("HTTP/1.1 404 "));
    assert_eq!(service.end(), Some(0));
    let log = service.whole_log();
    assert!(
        log.contains("draining") && !log.contains(" access: "),
        "{log}"
    );
    for levels in ["loud", "info,access", "info,access=loud", ""] {
        assert_eq!(run(&["--log", levels], &[]).0, Some(2), "{levels}");
    }
}

#[test]
fn the_log_can_be_json() {
    let file = File::new("json", &format!("{MINIMAL}webSocketLogFormat=text\n"));
    let mut service = Service::start(&["--port", "0", "--log-format", "json", file.name()]);
    assert!(service.answer().starts_with("HTTP/1.1 404 "));
    assert_eq!(service.end(), Some(0));
    let log = service.whole_log();
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let access = lines
        .iter()
        .find(|line| line["target"] == "access")
        .unwrap();
    assert_eq!(access["message"], "handshake");
    assert_eq!(access["level"], "INFO");
    assert_eq!(
        (&access["status"], &access["reason"]),
        (&404.into(), &"Not Found".into())
    );
    assert!(
        access["timestamp"].is_string() && access["peer"].is_string(),
        "{access}"
    );
    assert_eq!(run(&["--log-format", "xml"], &[]).0, Some(2));
    let variable = [("webSocketLogFormat", "xml")];
    assert_eq!(run(&["--check-config"], &variable).0, Some(78));
}
