//! What is told of clients, and what is not.

use std::{io, sync::mpsc};

use pulsar_ws_fast::{config::Config, ws::frame::Opcode};

use super::world::{PRODUCER, World, frame};

/// The lines that a test's clients cause, at the level that runs by default.
pub(super) fn lines(test: impl FnOnce()) -> Vec<String> {
    let (sender, receiver) = mpsc::channel();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || Line(sender.clone()))
        .with_ansi(false)
        .without_time()
        .finish();
    tracing::subscriber::with_default(subscriber, test);
    let lines = receiver
        .try_iter()
        .map(|line| String::from_utf8(line).expect("a line of text"));
    lines.filter(|line| line.contains(" access: ")).collect()
}

struct Line(mpsc::Sender<Vec<u8>>);

impl io::Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.send(line.to_vec()).expect("the test listens");
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn has(line: &str, words: &[&str]) {
    for word in words {
        assert!(line.contains(word), "{word} in {line}");
    }
}

#[test]
fn a_handshake_and_a_close_of_the_client() {
    let lines = lines(|| {
        let mut world = World::new(Config::default());
        let client = world.open(&format!("{PRODUCER}?token=s3cret&producerName=p"));
        world.publish(client, 3);
        world.written(client);
        world.bytes(client, &frame(true, Opcode::Close, &[0x0f, 0xa1]));
        assert_eq!(world.shard.clients(), 0);
    });
    let [handshake, close] = &lines[..] else {
        panic!("{lines:?}");
    };
    let request = format!("request=\"GET {PRODUCER}?token=<hidden>&producerName=p\"");
    has(
        handshake,
        &[
            "handshake",
            "peer=127.0.0.1:8080",
            &request,
            "status=101",
            "seconds=",
        ],
    );
    has(
        close,
        &[
            "close",
            "peer=127.0.0.1:8080",
            &request,
            "by=\"client\"",
            "code=4001",
        ],
    );
    has(close, &["messages_in=1"]);
    assert!(
        !close.contains("bytes_in=0") && !close.contains("bytes_out=0"),
        "{close}"
    );
    assert!(!lines.concat().contains("s3cret"));
}

#[test]
fn closes_of_the_service_and_losses() {
    let lines = lines(|| {
        let mut world = World::new(Config::default());
        let wrong = world.open(PRODUCER);
        // No such opcode.
        world.bytes(wrong, &[0x83, 0x80, 0, 0, 0, 0]);
        let lost = world.open(PRODUCER);
        world.gone(lost);
    });
    assert_eq!(lines.len(), 4, "{lines:?}");
    has(&lines[1], &["close", "by=\"service\"", "code=1002"]);
    has(&lines[3], &["close", "by=\"loss\""]);
    assert!(!lines[3].contains("code="), "{}", lines[3]);
}

#[test]
fn refusals_and_who_left_before_the_answer() {
    let lines = lines(|| {
        let mut world = World::new(Config::default());
        world.ask("/nowhere?token=s3cret");
        world.is_silent = true;
        let hasty = world.ask(PRODUCER);
        world.gone(hasty);
        let mute = world.accept();
        world.gone(mute);
    });
    assert_eq!(lines.len(), 2, "{lines:?}");
    has(
        &lines[0],
        &["handshake", "GET /nowhere?token=<hidden>", "status=404"],
    );
    has(&lines[1], &["handshake", PRODUCER, "status=499"]);
    assert!(!lines.concat().contains("s3cret"));
}
