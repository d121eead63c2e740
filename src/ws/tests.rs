//! The machine driven with bytes: whole, a byte at a time, and cut at random.

use super::*;
use proptest::prelude::*;

/// An [`Incoming`] that owns what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Text(String),
    Binary,
    Pong(Vec<u8>),
    Closed(Option<u16>, String),
    Broken(Violation),
}

/// A machine with what it has said so far.
struct Driven {
    machine: WebSocket,
    inflater: Inflater,
    seen: Vec<Seen>,
    out: Vec<u8>,
}

impl Driven {
    fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    fn with_limits(limits: Limits) -> Self {
        Self {
            machine: WebSocket::new(limits),
            inflater: Inflater::new(),
            seen: Vec::new(),
            out: Vec::new(),
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        let mut input = Input::new(&mut bytes);
        loop {
            let (machine, inflater) = (&mut self.machine, &mut self.inflater);
            let seen = match machine.next_message(&mut input, &mut self.out, inflater) {
                Ok(None) => break,
                Ok(Some(Incoming::Text(text))) => {
                    Seen::Text(std::str::from_utf8(text).unwrap().to_owned())
                }
                Ok(Some(Incoming::Binary)) => Seen::Binary,
                Ok(Some(Incoming::Pong(data))) => Seen::Pong(data.to_vec()),
                Ok(Some(Incoming::Closed { code, reason })) => {
                    Seen::Closed(code, reason.to_owned())
                }
                Err(violation) => Seen::Broken(violation),
            };
            self.seen.push(seen);
        }
        assert_eq!(input.remaining(), 0, "None means: consumed whole");
        drop(self.machine.give_back());
    }

    fn feed_bytewise(&mut self, bytes: &[u8]) {
        for byte in bytes.chunks(1) {
            self.feed(byte);
        }
    }
}

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn client_frame(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_frame(&mut bytes, fin, opcode, KEY, payload);
    bytes
}

fn append_frame(bytes: &mut Vec<u8>, fin: bool, opcode: Opcode, key: [u8; 4], payload: &[u8]) {
    let header = Header {
        fin,
        opcode,
        compressed: false,
        mask: Some(key),
        payload_bytes: payload.len() as u64,
    };
    header.encode(bytes);
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b));
}

/// What a stream leads to, which must not depend on how it is cut.
fn outcome(bytes: &[u8]) -> (Vec<Seen>, Vec<u8>) {
    let mut whole = Driven::new();
    whole.feed(bytes);
    let mut single = Driven::new();
    single.feed_bytewise(bytes);
    assert_eq!(whole.seen, single.seen);
    assert_eq!(whole.out, single.out);
    (whole.seen, whole.out)
}

fn broken(bytes: &[u8]) -> (u16, String) {
    let (seen, _) = outcome(bytes);
    let Some(Seen::Broken(violation)) = seen.last() else {
        panic!("accepted: {seen:?}");
    };
    (violation.code, violation.reason.clone())
}

fn closing(code: u16, reason: &[u8]) -> Vec<u8> {
    let payload = [&code.to_be_bytes(), reason].concat();
    client_frame(true, Opcode::Close, &payload)
}

#[test]
fn the_text_of_the_rfc_is_read() {
    let (seen, out) = outcome(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    assert_eq!(seen, [Seen::Text("Hello".to_owned())]);
    assert!(out.is_empty());
}

#[test]
fn a_whole_frame_is_borrowed_from_the_input() {
    let mut bytes = client_frame(true, Opcode::Text, b"{}");
    let expected = bytes[6..].as_ptr();
    let (mut machine, mut out) = (WebSocket::new(Limits::default()), Vec::new());
    let mut input = Input::new(&mut bytes);
    let mut inflater = Inflater::new();
    let Ok(Some(Incoming::Text(text))) = machine.next_message(&mut input, &mut out, &mut inflater)
    else {
        panic!("no text");
    };
    assert_eq!(text.as_ptr(), expected);
    assert_eq!(machine.incomplete_bytes(), 0);
}

#[test]
fn fragments_join_around_control_frames() {
    let bytes = [
        client_frame(false, Opcode::Text, b"Hel"),
        client_frame(true, Opcode::Ping, b"mid"),
        client_frame(false, Opcode::Continuation, b""),
        client_frame(true, Opcode::Pong, b"beat"),
        client_frame(true, Opcode::Continuation, b"lo"),
        client_frame(true, Opcode::Text, b""),
        client_frame(true, Opcode::Binary, &[0xFF; 70]),
        client_frame(false, Opcode::Binary, &[0xFF; 7]),
        client_frame(true, Opcode::Continuation, &[0xFF; 7]),
    ]
    .concat();
    let (seen, out) = outcome(&bytes);
    let expected = [
        Seen::Pong(b"beat".to_vec()),
        Seen::Text("Hello".to_owned()),
        Seen::Text(String::new()),
        Seen::Binary,
        Seen::Binary,
    ];
    assert_eq!(seen, expected);
    assert_eq!(out, b"\x8a\x03mid");
}

#[test]
fn a_character_may_lie_across_fragments() {
    let bytes = [
        client_frame(false, Opcode::Text, b"\xe2"),
        client_frame(true, Opcode::Continuation, b"\x82\xac"),
    ]
    .concat();
    assert_eq!(outcome(&bytes).0, [Seen::Text("€".to_owned())]);
}

#[test]
fn memory_is_held_only_while_a_message_is_incomplete() {
    let text = "x".repeat(300_000);
    let frame = client_frame(true, Opcode::Text, text.as_bytes());
    let mut driven = Driven::new();
    driven.feed(&frame[..200_000]);
    assert!(driven.machine.incomplete_bytes() >= 199_000);
    driven.feed(&frame[200_000..]);
    assert_eq!(driven.seen, [Seen::Text(text)]);
    assert_eq!(driven.machine.incomplete_bytes(), 0);
}

#[test]
fn lent_room_comes_back_with_the_end_of_the_message() {
    let frame = client_frame(true, Opcode::Text, b"hello");
    let mut driven = Driven::new();
    let room = Vec::with_capacity(100);
    let place = room.as_ptr();
    assert_eq!(driven.machine.lend(room).capacity(), 0);
    driven.feed(&frame[..8]);
    assert_eq!(driven.machine.incomplete_bytes(), 100);
    assert_eq!(driven.machine.lend(vec![1]), [1], "it has room");
    let mut rest = frame[8..].to_vec();
    let mut input = Input::new(&mut rest);
    let (machine, out, inflater) = (&mut driven.machine, &mut driven.out, &mut driven.inflater);
    while let Ok(Some(incoming)) = machine.next_message(&mut input, out, inflater) {
        assert_eq!(incoming, Incoming::Text(&mut b"hello".to_owned()));
    }
    let room = machine.give_back();
    assert_eq!(room.as_ptr(), place);
    assert_eq!(machine.incomplete_bytes(), 0);
}

#[test]
fn room_for_a_payload_of_64_kib_comes_back() {
    let text = "x".repeat(64 * 1024 * 4 / 3 + 200);
    let frame = client_frame(true, Opcode::Text, text.as_bytes());
    let mut driven = Driven::new();
    let (mut first, mut rest) = (frame[..65_536].to_vec(), frame[65_536..].to_vec());
    let (machine, out, inflater) = (&mut driven.machine, &mut driven.out, &mut driven.inflater);
    let mut texts = 0;
    for bytes in [&mut first, &mut rest] {
        let mut input = Input::new(bytes);
        while let Ok(Some(_)) = machine.next_message(&mut input, out, inflater) {
            texts += 1;
        }
    }
    assert_eq!(texts, 1);
    let kept = machine.give_back().capacity();
    assert!((text.len()..=ROOM_BYTES_MAX).contains(&kept), "{kept}");
}

#[test]
fn a_header_alone_does_not_buy_memory() {
    let mut driven = Driven::new();
    driven.feed(b"\x81\xff\0\0\0\0\0\x10\0\0\x37\xfa\x21\x3dx");
    assert!(driven.machine.incomplete_bytes() <= TRUSTED_BYTES);
}

#[test]
fn close_is_echoed_and_ends_everything() {
    let mut bytes = closing(1000, "tschüs".as_bytes());
    bytes.extend(client_frame(true, Opcode::Text, b"late"));
    bytes.extend(b"\xff\xff\xff");
    let (seen, out) = outcome(&bytes);
    assert_eq!(seen, [Seen::Closed(Some(1000), "tschüs".to_owned())]);
    let echo = [b"\x88\x09\x03\xe8".as_slice(), "tschüs".as_bytes()].concat();
    assert_eq!(out, echo);

    let (seen, out) = outcome(&client_frame(true, Opcode::Close, b""));
    assert_eq!(seen, [Seen::Closed(None, String::new())]);
    assert_eq!(out, b"\x88\x00");
}

#[test]
fn a_close_reason_cut_within_a_character_ends_before_it() {
    let reason = [&b"x".repeat(121)[..], b"\xe2\x82"].concat();
    let (seen, out) = outcome(&closing(1000, &reason));
    assert_eq!(seen, [Seen::Closed(Some(1000), "x".repeat(121))]);
    assert_eq!(out, [b"\x88\x7b\x03\xe8", &b"x".repeat(121)[..]].concat());
    assert_eq!(broken(&closing(1000, b"\xe2\x82x")).0, 1007);
}

#[test]
fn our_own_close_is_sent_once_and_is_the_last_word() {
    let mut driven = Driven::new();
    driven.machine.close(&mut driven.out, 1001, "bye");
    driven.machine.close(&mut driven.out, 1011, "again");
    assert_eq!(driven.out, b"\x88\x05\x03\xe9bye");
    assert!(driven.machine.close_sent() && !driven.machine.close_received());
    let bytes = [
        client_frame(true, Opcode::Text, b"late"),
        client_frame(false, Opcode::Text, b"la"),
        client_frame(true, Opcode::Ping, b"late"),
        client_frame(true, Opcode::Continuation, b"te"),
        client_frame(true, Opcode::Binary, b"late"),
        closing(1001, b"bye"),
    ]
    .concat();
    driven.feed_bytewise(&bytes);
    assert_eq!(driven.seen, [Seen::Closed(Some(1001), "bye".to_owned())]);
    assert_eq!(driven.out, b"\x88\x05\x03\xe9bye");
    assert!(driven.machine.close_received());
}

#[test]
fn breaches_of_the_rfc_close_with_1002() {
    let hello = client_frame(false, Opcode::Text, b"Hel");
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("unmasked", b"\x81\x05Hello".to_vec()),
        ("reserved bit", b"\xc1\x85".to_vec()),
        ("unknown opcode", b"\x83\x80".to_vec()),
        ("unknown control opcode", b"\x8f\x80".to_vec()),
        (
            "stray continuation",
            client_frame(true, Opcode::Continuation, b"x"),
        ),
        (
            "text within a message",
            [hello.clone(), client_frame(true, Opcode::Text, b"x")].concat(),
        ),
        (
            "binary within a message",
            [hello, client_frame(true, Opcode::Binary, b"x")].concat(),
        ),
        ("long control", client_frame(true, Opcode::Ping, &[0; 126])),
        (
            "fragmented control",
            client_frame(false, Opcode::Ping, b"x"),
        ),
        ("one-byte close", client_frame(true, Opcode::Close, b"x")),
    ];
    for (name, bytes) in cases {
        let (code, reason) = broken(&bytes);
        assert_eq!(code, 1002, "{name}");
        assert!(!reason.is_empty() && reason.len() <= 123, "{name}");
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
        assert_eq!(broken(&closing(code, b"")).0, 1002, "close code {code}");
    }
}

#[test]
fn bytes_that_are_not_utf8_close_with_1007() {
    let jetty = |text: &str| {
        let name = "org.eclipse.jetty.util.Utf8Appendable$NotUtf8Exception";
        (1007, format!("{name}: Not valid UTF8! {text}"))
    };
    let bytes = client_frame(true, Opcode::Text, b"ok\xff");
    assert_eq!(broken(&bytes), jetty("byte Ff in state 0"));
    let bytes = client_frame(true, Opcode::Text, b"\xe2\x82");
    assert_eq!(broken(&bytes), jetty("incomplete UTF8 sequence"));
    let bytes = [
        client_frame(false, Opcode::Text, b"\xe2"),
        client_frame(true, Opcode::Continuation, b"A"),
    ]
    .concat();
    assert_eq!(broken(&bytes), jetty("byte 41 in state 3"));
    assert_eq!(broken(&closing(1000, b"\xff")).0, 1007);
}

#[test]
fn a_bad_fragment_is_refused_before_the_message_is_whole() {
    let bytes = client_frame(false, Opcode::Text, b"\xff");
    assert_eq!(broken(&bytes).0, 1007);
}

#[test]
fn sizes_are_judged_by_the_header() {
    let limits = Limits::default();
    let header = |opcode, fin, payload_bytes| {
        let mut bytes = Vec::new();
        Header {
            fin,
            opcode,
            compressed: false,
            mask: Some(KEY),
            payload_bytes,
        }
        .encode(&mut bytes);
        bytes
    };
    let cases = [
        (
            Opcode::Text,
            1_048_577,
            "Text message size [1048577] exceeds maximum size [1048576]",
        ),
        (
            Opcode::Binary,
            65_537,
            "Binary message size [65537] exceeds maximum size [65536]",
        ),
    ];
    for (opcode, bytes, text) in cases {
        assert_eq!(
            broken(&header(opcode, true, bytes)),
            (1009, text.to_owned())
        );
        let fragments = [
            client_frame(false, opcode, &vec![0; 60_000]),
            header(Opcode::Continuation, true, bytes - 60_000),
        ]
        .concat();
        assert_eq!(broken(&fragments), (1009, text.to_owned()));
    }
    assert_eq!(broken(&header(Opcode::Text, true, u64::MAX >> 1)).0, 1009);

    let longest = "x".repeat(limits.text_bytes_max);
    let mut driven = Driven::with_limits(limits);
    driven.feed(&client_frame(true, Opcode::Text, longest.as_bytes()));
    driven.feed(&client_frame(true, Opcode::Binary, &vec![0; 65_536]));
    driven.feed(&client_frame(true, Opcode::Text, longest.as_bytes()));
    let texts = [
        Seen::Text(longest.clone()),
        Seen::Binary,
        Seen::Text(longest),
    ];
    assert!(driven.seen == texts);
}

#[test]
fn nothing_is_parsed_after_a_violation() {
    let mut driven = Driven::new();
    driven.feed(b"\xff");
    driven.feed(&client_frame(true, Opcode::Text, b"x"));
    driven.feed(&client_frame(true, Opcode::Ping, b"x"));
    assert_eq!(driven.seen.len(), 1);
    assert!(driven.out.is_empty());
}

/// A message as a client may send it: its fragments are cut at `cuts`, pings stand between them.
#[derive(Clone, Debug)]
enum Sent {
    Text(String, Vec<usize>, Option<Vec<u8>>),
    Binary(usize),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn any_message() -> impl Strategy<Value = Sent> {
    let data = || proptest::collection::vec(any::<u8>(), 0..=125);
    let cuts = proptest::collection::vec(0..200_usize, 0..4);
    prop_oneof![
        4 => ("[a-zäß€😀\\{\\}\"]{0,150}", cuts, proptest::option::of(data()))
            .prop_map(|(text, cuts, ping)| Sent::Text(text, cuts, ping)),
        1 => (0..70_000_usize).prop_map(|bytes| Sent::Binary(bytes.min(300))),
        1 => data().prop_map(Sent::Ping),
        1 => data().prop_map(Sent::Pong),
    ]
}

/// The stream of `messages`, what it must lead to, and the pongs that it asks for.
fn stream(messages: &[(Sent, [u8; 4])]) -> (Vec<u8>, Vec<Seen>, Vec<u8>) {
    let (mut bytes, mut seen, mut out) = (Vec::new(), Vec::new(), Vec::new());
    for (message, key) in messages {
        let key = *key;
        match message {
            Sent::Text(text, cuts, ping) => {
                let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
                ends.sort_unstable();
                ends.push(text.len());
                let (mut start, mut opcode) = (0, Opcode::Text);
                for (nth, &end) in ends.iter().enumerate() {
                    let fin = nth + 1 == ends.len();
                    append_frame(&mut bytes, fin, opcode, key, &text.as_bytes()[start..end]);
                    (start, opcode) = (end, Opcode::Continuation);
                    if let Some(data) = ping
                        && !fin
                    {
                        append_frame(&mut bytes, true, Opcode::Ping, key, data);
                        frame::write_pong(&mut out, data);
                    }
                }
                seen.push(Seen::Text(text.clone()));
            }
            Sent::Binary(length) => {
                append_frame(&mut bytes, true, Opcode::Binary, key, &vec![0xFE; *length]);
                seen.push(Seen::Binary);
            }
            Sent::Ping(data) => {
                append_frame(&mut bytes, true, Opcode::Ping, key, data);
                frame::write_pong(&mut out, data);
            }
            Sent::Pong(data) => {
                append_frame(&mut bytes, true, Opcode::Pong, key, data);
                seen.push(Seen::Pong(data.clone()));
            }
        }
    }
    (bytes, seen, out)
}

/// Feeds `bytes` in pieces whose lengths are `pieces`, over and over.
fn feed_in_pieces(bytes: &[u8], pieces: &[usize]) -> Driven {
    let mut driven = Driven::new();
    let mut rest = bytes;
    for &piece in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at(piece.clamp(1, rest.len()));
        driven.feed(now);
        rest = later;
    }
    driven
}

proptest! {
    #[test]
    fn valid_streams_read_the_same_however_they_are_cut(
        messages in proptest::collection::vec((any_message(), any::<[u8; 4]>()), 0..12),
        pieces in proptest::collection::vec(prop_oneof![1..20_usize, 1..2000_usize], 1..20),
    ) {
        let (bytes, seen, out) = stream(&messages);
        for driven in [
            feed_in_pieces(&bytes, &[usize::MAX]),
            feed_in_pieces(&bytes, &pieces),
            feed_in_pieces(&bytes, &[1]),
        ] {
            prop_assert_eq!(&driven.seen, &seen);
            prop_assert_eq!(&driven.out, &out);
            prop_assert_eq!(driven.machine.incomplete_bytes(), 0);
        }
    }

    #[test]
    fn damaged_streams_are_judged_the_same_however_they_are_cut(
        messages in proptest::collection::vec((any_message(), any::<[u8; 4]>()), 1..6),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        pieces in proptest::collection::vec(1..300_usize, 1..20),
    ) {
        let (mut bytes, _, _) = stream(&messages);
        for (at, byte) in damage {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        let (seen, out) = outcome_of_garbage(&bytes, &pieces);
        prop_assert!(seen.iter().filter(|seen| matches!(seen, Seen::Broken(_))).count() <= 1);
        prop_assert!(out.len() <= bytes.len());
    }

    #[test]
    fn garbage_never_panics(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        pieces in proptest::collection::vec(1..40_usize, 1..10),
    ) {
        outcome_of_garbage(&bytes, &pieces);
    }
}

/// The outcome of any bytes, fed whole; asserts that no way of cutting them makes a difference.
fn outcome_of_garbage(bytes: &[u8], pieces: &[usize]) -> (Vec<Seen>, Vec<u8>) {
    let (seen, out) = outcome(bytes);
    let driven = feed_in_pieces(bytes, pieces);
    assert_eq!(driven.seen, seen);
    assert_eq!(driven.out, out);
    (seen, out)
}
