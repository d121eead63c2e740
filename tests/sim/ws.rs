//! A WebSocket client of its own: masked frames cut into fragments at will, pings in between, and
//! a strict eye on what the server sends. Knows RFC 6455, not what is said.

use std::collections::VecDeque;

use super::rng::Rng;

/// The example of RFC 6455 section 1.3, so that nothing need be computed.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// What the server said.
#[derive(Debug)]
pub(crate) enum Incoming {
    Open,
    Refused(u16, String),
    Text(String),
    Close(Option<u16>, String),
}

/// A client's end.
#[derive(Debug, Default)]
pub(crate) struct WebSocket {
    input: Vec<u8>,
    /// Bytes of the server that were understood.
    pub(crate) read: u64,
    /// Bytes for the server.
    pub(crate) out: Vec<u8>,
    /// Bytes ever put into `out`.
    pub(crate) written: u64,
    open: bool,
    closed: bool,
    pings: VecDeque<Vec<u8>>,
}

impl WebSocket {
    /// Asks for the upgrade.
    pub(crate) fn connect(target: &str) -> Self {
        let mut client = Self::default();
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: localhost:8080\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        client.put(head.as_bytes());
        client
    }

    fn put(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.written += bytes.len() as u64;
    }

    fn frame(&mut self, rng: &mut Rng, first: u8, payload: &[u8]) {
        let mask = rng.bytes(4);
        let mut frame = vec![first];
        match payload.len() {
            len @ ..126 => frame.push(0x80 | u8::try_from(len).expect("short")),
            len @ ..65536 => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&u16::try_from(len).expect("short").to_be_bytes());
            }
            len => {
                frame.push(0x80 | 127);
                frame.extend_from_slice(&(len as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(&mask);
        frame.extend(
            payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
        self.put(&frame);
    }

    /// Says something, now and then in pieces with pings between them.
    pub(crate) fn text(&mut self, rng: &mut Rng, text: &str) {
        let mut opcode = 1;
        let mut rest = text.as_bytes();
        while rng.one_in(6) {
            let (piece, after) = rest.split_at(rng.below(rest.len() + 1));
            self.frame(rng, opcode, piece);
            opcode = 0;
            rest = after;
            if rng.one_in(3) {
                self.ping(rng);
            }
        }
        self.frame(rng, 0x80 | opcode, rest);
    }

    pub(crate) fn ping(&mut self, rng: &mut Rng) {
        let len = rng.below(126);
        let data = rng.bytes(len);
        self.frame(rng, 0x89, &data);
        self.pings.push_back(data);
    }

    pub(crate) fn close(&mut self, rng: &mut Rng) {
        self.frame(rng, 0x88, &1000_u16.to_be_bytes());
    }

    /// Bytes of the server.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The next thing the server said.
    pub(crate) fn next(&mut self) -> Option<Incoming> {
        let before = self.input.len();
        let incoming = if self.open {
            self.next_frame()
        } else {
            self.head()
        };
        self.read += (before - self.input.len()) as u64;
        incoming
    }

    fn head(&mut self) -> Option<Incoming> {
        let end = self.input.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&self.input[..end])
            .expect("an ASCII head")
            .to_owned();
        let status = head
            .get(9..12)
            .and_then(|code| code.parse().ok())
            .expect("a status");
        if status != 101 {
            let length =
                header(&head, "content-length").map_or(0, |len| len.parse().expect("a length"));
            let body = self.input.get(end..end + length)?;
            let body = String::from_utf8_lossy(body).into_owned();
            self.input.drain(..end + length);
            assert!(self.input.is_empty(), "nothing follows a refusal");
            return Some(Incoming::Refused(status, body));
        }
        assert_eq!(
            header(&head, "sec-websocket-accept"),
            Some(ACCEPT),
            "{head}"
        );
        assert!(
            header(&head, "sec-websocket-extensions").is_none(),
            "none was offered"
        );
        self.input.drain(..end);
        self.open = true;
        Some(Incoming::Open)
    }

    fn next_frame(&mut self) -> Option<Incoming> {
        loop {
            let [first, second, ..] = *self.input else {
                return None;
            };
            assert!(!self.closed, "nothing follows a close frame");
            assert_eq!(
                first & 0xf0,
                0x80,
                "the server does not fragment, no extension is on"
            );
            assert_eq!(second & 0x80, 0, "the server does not mask");
            let (header, len) = match second {
                126 => {
                    let len = self.input.get(2..4)?.try_into().expect("two bytes");
                    (4, usize::from(u16::from_be_bytes(len)))
                }
                127 => {
                    let len = self.input.get(2..10)?.try_into().expect("eight bytes");
                    (
                        10,
                        usize::try_from(u64::from_be_bytes(len)).expect("a length"),
                    )
                }
                len => (2, usize::from(len)),
            };
            let payload = self.input.get(header..header + len)?.to_vec();
            self.input.drain(..header + len);
            match first & 0x0f {
                1 => return Some(Incoming::Text(String::from_utf8(payload).expect("UTF-8"))),
                8 => {
                    self.closed = true;
                    let (code, reason) = match &*payload {
                        [] => (None, ""),
                        [high, low, reason @ ..] => (
                            Some(u16::from_be_bytes([*high, *low])),
                            std::str::from_utf8(reason).expect("UTF-8"),
                        ),
                        [_] => panic!("half a close code"),
                    };
                    return Some(Incoming::Close(code, reason.to_owned()));
                }
                10 => {
                    let asked = self.pings.iter().position(|ping| *ping == payload);
                    let asked = asked.expect("a pong for a ping");
                    self.pings.drain(..=asked);
                }
                opcode => panic!("opcode {opcode} of a server"),
            }
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
