//! WebSocket frames of a client: the same whatever the pieces they come in, and what was put into them comes out.

use pulsar_ws_fast::ws::{
    Incoming, Inflater, Input, Limits, ROOM_BYTES_MAX, WebSocket,
    frame::{Opcode, close_code},
};

use crate::{
    script::{Chance, Script, pieces, repeated},
    ws::{self, compressed, put},
};

/// What a WebSocket told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Text(Vec<u8>),
    Binary,
    Pong(Vec<u8>),
    Closed(Option<u16>, String),
    Violation(u16, String),
}

/// The first byte says what the others are: frames as they are, messages to be put into frames, or one text.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let kind = script.byte();
    let text_bytes_max = [16, 300, 70_000, 1 << 20][script.below(4)];
    let setting = Setting {
        limits: Limits {
            text_bytes_max,
            binary_bytes_max: text_bytes_max / 2,
        },
        deflate: kind & 4 != 0,
        closes_at: (kind & 8 != 0).then(|| script.below(8)),
    };
    let chance = Chance(script.number());
    match kind % 4 {
        0 | 1 => {
            read_both_ways(setting, script.rest(), chance);
        }
        2 => messages(setting.without_end(), &mut script, chance),
        _ => text(setting.without_end(), &mut script, chance),
    }
}

#[derive(Clone, Copy)]
struct Setting {
    limits: Limits,
    deflate: bool,
    /// We close after so many messages.
    closes_at: Option<usize>,
}

impl Setting {
    /// We never close.
    fn without_end(self) -> Self {
        Self {
            closes_at: None,
            ..self
        }
    }
}

/// All that is told and answered, however the bytes are cut.
fn read_both_ways(setting: Setting, bytes: &[u8], chance: Chance) -> (Vec<Told>, Vec<u8>) {
    let whole = read(setting, &[bytes.to_vec()]);
    if bytes.is_empty() {
        return whole;
    }
    assert_eq!(
        whole,
        read(setting, &pieces(bytes, chance)),
        "cut by {chance:?}"
    );
    if bytes.len() < 600 {
        let single: Vec<_> = bytes.iter().map(|byte| vec![*byte]).collect();
        assert_eq!(whole, read(setting, &single), "byte by byte");
    }
    check_answers(&whole.1, bytes.len());
    whole
}

fn read(setting: Setting, pieces: &[Vec<u8>]) -> (Vec<Told>, Vec<u8>) {
    let mut socket = WebSocket::new(setting.limits);
    if setting.deflate {
        socket = socket.with_deflate(15);
    }
    let mut inflater = Inflater::new();
    let (mut told, mut out) = (Vec::new(), Vec::new());
    let mut room = b"somebody else's".to_vec();
    for piece in pieces {
        let mut piece = piece.clone();
        let mut input = Input::new(&mut piece);
        room = socket.lend(room);
        room.clear();
        inflater.begin_turn();
        loop {
            if setting.closes_at.is_some_and(|at| at <= told.len()) {
                socket.close(&mut out, close_code::GOING_AWAY, "enough");
            }
            let next = match socket.next_message(&mut input, &mut out, &mut inflater) {
                Ok(None) => break,
                Ok(Some(Incoming::Text(text))) => {
                    assert!(text.len() <= setting.limits.text_bytes_max);
                    assert!(std::str::from_utf8(text).is_ok());
                    let copy = text.to_vec();
                    // Whoever reads it may decode it in place.
                    text.fill(0xFF);
                    Told::Text(copy)
                }
                Ok(Some(Incoming::Binary)) => Told::Binary,
                Ok(Some(Incoming::Pong(data))) => Told::Pong(data.to_vec()),
                Ok(Some(Incoming::Closed { code, reason })) => {
                    Told::Closed(code, reason.to_owned())
                }
                Err(violation) => {
                    socket.close(&mut out, violation.code, &violation.reason);
                    Told::Violation(violation.code, violation.reason)
                }
            };
            let is_over = matches!(told.last(), Some(Told::Closed(..) | Told::Violation(..)));
            assert!(!is_over, "{next:?} after the end");
            told.push(next);
        }
        assert_eq!(input.remaining(), 0);
        let given = socket.give_back();
        if given.capacity() > 0 {
            assert!(given.capacity() <= bound(setting), "{}", given.capacity());
            room = given;
        }
        assert!(socket.incomplete_bytes() <= bound(setting));
    }
    (told, out)
}

/// The most memory that a message may take before it is whole.
fn bound(setting: Setting) -> usize {
    let max = setting.limits.text_bytes_max;
    2 * (max + max / 8 + 64) + ROOM_BYTES_MAX
}

/// Answers are frames of a server, and no more than was asked for.
fn check_answers(mut out: &[u8], asked: usize) {
    assert!(out.len() <= asked + 2 * 127);
    while !out.is_empty() {
        let (header, _, rest) = ws::take(out).expect("a whole one");
        assert!(header.opcode.is_control());
        out = rest;
    }
}

/// Messages cut into fragments, with control frames between.
fn messages(setting: Setting, script: &mut Script<'_>, mut chance: Chance) {
    let (mut bytes, mut expected, mut pongs) = (Vec::new(), Vec::new(), 0);
    while !script.is_over() && bytes.len() < 1 << 18 {
        let opcode = script.pick(&[
            Opcode::Text,
            Opcode::Text,
            Opcode::Binary,
            Opcode::Ping,
            Opcode::Pong,
            Opcode::Close,
        ]);
        if opcode.is_control() {
            let data = script.some();
            let data = &data[..data.len().min(123)];
            match opcode {
                Opcode::Ping => pongs += 1,
                Opcode::Pong => expected.push(Told::Pong(data.to_vec())),
                _ => {
                    let reason = String::from_utf8_lossy(data);
                    let mut end = reason.len().min(123);
                    while !reason.is_char_boundary(end) {
                        end -= 1;
                    }
                    let payload = [&1000_u16.to_be_bytes()[..], reason[..end].as_bytes()].concat();
                    put(&mut bytes, opcode, true, false, &payload, &mut chance);
                    expected.push(Told::Closed(Some(1000), reason[..end].to_owned()));
                    break;
                }
            }
            put(&mut bytes, opcode, true, false, data, &mut chance);
            continue;
        }
        let is_compressed = setting.deflate && script.byte() & 1 == 1;
        let content = repeated(script);
        let (content, max) = match opcode {
            Opcode::Text => (
                String::from_utf8_lossy(&content).into_owned().into_bytes(),
                setting.limits.text_bytes_max,
            ),
            _ => (content, setting.limits.binary_bytes_max),
        };
        if content.len() > max {
            continue;
        }
        expected.push(match opcode {
            Opcode::Text => Told::Text(content.clone()),
            _ => Told::Binary,
        });
        let payload = if is_compressed {
            compressed(&content, 1)
        } else {
            content
        };
        let fragments = pieces(&payload, chance);
        let fragments = if script.byte() & 1 == 0 || fragments.is_empty() {
            vec![payload]
        } else {
            fragments
        };
        for (at, fragment) in fragments.iter().enumerate() {
            let opcode = if at == 0 {
                opcode
            } else {
                Opcode::Continuation
            };
            let fin = at + 1 == fragments.len();
            put(
                &mut bytes,
                opcode,
                fin,
                is_compressed && at == 0,
                fragment,
                &mut chance,
            );
            if !fin && chance.below(3) == 0 {
                put(
                    &mut bytes,
                    Opcode::Ping,
                    true,
                    false,
                    b"there?",
                    &mut chance,
                );
                pongs += 1;
            }
        }
    }
    let (told, out) = read_both_ways(setting, &bytes, chance);
    assert!(told == expected, "what was sent is told");
    let mut rest = &out[..];
    while let Some((header, _, behind)) = ws::take(rest) {
        pongs -= i32::from(header.opcode == Opcode::Pong);
        rest = behind;
    }
    assert_eq!(pongs, 0, "each ping is answered");
}

/// One text of any bytes, in fragments: taken just if it is UTF-8.
fn text(setting: Setting, script: &mut Script<'_>, mut chance: Chance) {
    let content = repeated(script);
    if content.len() > setting.limits.text_bytes_max {
        return;
    }
    let mut bytes = Vec::new();
    let cut = script.short();
    let (head, tail) = content.split_at(usize::from(cut) % (content.len() + 1));
    put(&mut bytes, Opcode::Text, false, false, head, &mut chance);
    put(
        &mut bytes,
        Opcode::Continuation,
        true,
        false,
        tail,
        &mut chance,
    );
    let (told, _) = read_both_ways(setting, &bytes, chance);
    let mut whole = Vec::new();
    put(&mut whole, Opcode::Text, true, false, &content, &mut chance);
    assert!(
        told == read_both_ways(setting, &whole, chance).0,
        "in one frame or in two"
    );
    match (&told[..], std::str::from_utf8(&content)) {
        ([Told::Text(text)], Ok(judged)) => assert_eq!(text, judged.as_bytes()),
        ([Told::Violation(1007, _)], Err(_)) => {}
        other => panic!("{other:?}"),
    }
}

/// Each kind of frame, and messages in pieces.
pub fn seeds() -> Vec<Vec<u8>> {
    let head = |kind: u8| vec![kind, 2, 1, 2, 3, 4, 5, 6, 7, 8];
    let mut chance = Chance(3);
    let mut all = Vec::new();
    let mut seeds = Vec::new();
    for (opcode, fin, payload) in [
        (Opcode::Text, true, &b"{\"payload\":\"aGVsbG8=\"}"[..]),
        (Opcode::Ping, true, b"ping"),
        (Opcode::Text, false, "grü".as_bytes()),
        (Opcode::Ping, true, b""),
        (Opcode::Continuation, true, "ße".as_bytes()),
        (Opcode::Binary, true, &[7; 130]),
        (Opcode::Pong, true, b"pong"),
        (Opcode::Close, true, b"\x03\xe8bye"),
    ] {
        let mut bytes = head(0);
        put(&mut bytes, opcode, fin, false, payload, &mut chance);
        seeds.push(bytes);
        put(&mut all, opcode, fin, false, payload, &mut chance);
    }
    seeds.push([head(0), all.clone()].concat());
    seeds.push([vec![8, 2, 3], head(0), all].concat());
    let mut bytes = head(4);
    put(
        &mut bytes,
        Opcode::Text,
        true,
        true,
        &compressed(b"Hello, Hello", 1),
        &mut chance,
    );
    seeds.push(bytes);
    let script = b"\0\0\0\x05hello\x01\x01\x02\0\0\x03\x09hellohell\x01\x03\x02hi\x02\0\x04\x04data\0\x05\x03bye";
    seeds.push([head(2), script.to_vec()].concat());
    seeds.push([head(6), script.to_vec()].concat());
    seeds.push([head(3), b"\0\x06h\xc3\xa9llo\x02\0".to_vec()].concat());
    seeds
}
