//! RFC 6455 and RFC 7692 as a table: what a client may send, and what it must be told.
//!
//! The cases are grouped as in the Autobahn suite (1 to 7, 9, 12, 13), whose ground they cover in our own words.
//! Each is fed to the machine whole, in pieces of several lengths and a byte at a time; nothing may depend on it.

use std::io::Write;

use flate2::{Compress, Compression, FlushCompress, write::DeflateDecoder};
use pulsar_ws_fast::ws::{
    Deflater, Incoming, Inflater, Input, Limits, WebSocket,
    frame::{self, Header, Opcode},
};

/// Small, so that messages at the limit are quick to feed by bytes.
const LIMITS: Limits = Limits {
    text_bytes_max: 70_000,
    binary_bytes_max: 66_000,
};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const FIN: u8 = 0x80;
const COMPRESSED: u8 = 0x40;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// What the service heard, in order, and how it ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    texts: Vec<String>,
    binaries: usize,
    pongs: Vec<Vec<u8>>,
    /// The client's close: its code and reason.
    closed: Option<(Option<u16>, String)>,
    /// What the service appended: pongs, the echo of a close, or the close that a breach is answered with.
    answers: Vec<u8>,
}

/// A frame of any first byte, masked.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        fin: true,
        opcode: Opcode::Text,
        compressed: false,
        mask: Some(KEY),
        payload_bytes: payload.len() as u64,
    };
    let mut bytes = Vec::new();
    header.encode(&mut bytes);
    bytes[0] = first;
    bytes.extend(payload.iter().zip(KEY.iter().cycle()).map(|(a, b)| a ^ b));
    bytes
}

fn text(payload: &str) -> Vec<u8> {
    frame(FIN | TEXT, payload.as_bytes())
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(FIN | CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// What the service answers with: unmasked.
fn pong(data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write_pong(&mut bytes, data);
    bytes
}

fn closing(code: u16, reason: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write_close(&mut bytes, code, reason);
    bytes
}

/// Feeds `bytes` in pieces of that length; a breach is answered as the service does.
fn hear_in_pieces(bytes: &[u8], deflate: bool, piece: usize) -> Heard {
    let mut machine = WebSocket::new(LIMITS);
    if deflate {
        machine = machine.with_deflate(15);
    }
    let mut inflater = Inflater::new();
    let mut heard = Heard::default();
    for piece in bytes.chunks(piece) {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        let breach = loop {
            match machine.next_message(&mut input, &mut heard.answers, &mut inflater) {
                Ok(None) => break None,
                Ok(Some(Incoming::Text(text))) => {
                    let text = std::str::from_utf8(text).expect("checked");
                    heard.texts.push(text.to_owned());
                }
                Ok(Some(Incoming::Binary)) => heard.binaries += 1,
                Ok(Some(Incoming::Pong(data))) => heard.pongs.push(data.to_vec()),
                Ok(Some(Incoming::Closed { code, reason })) => {
                    heard.closed = Some((code, reason.to_owned()));
                }
                Err(violation) => break Some(violation),
            }
        };
        if let Some(violation) = breach {
            machine.close(&mut heard.answers, violation.code, &violation.reason);
        }
        drop(machine.give_back());
    }
    heard
}

fn hear_with(bytes: &[u8], deflate: bool) -> Heard {
    let heard = hear_in_pieces(bytes, deflate, usize::MAX);
    let lengths: &[usize] = if bytes.len() < 10_000 {
        &[1, 2, 3, 7, 64, 997]
    } else {
        &[1, 997, 40_000]
    };
    for &length in lengths {
        let in_pieces = hear_in_pieces(bytes, deflate, length);
        assert!(in_pieces == heard, "differs in pieces of {length}");
    }
    heard
}

fn hear(frames: &[Vec<u8>]) -> Heard {
    hear_with(&frames.concat(), false)
}

/// Hears `frames`, behind a message that must come through, and a message behind them that must not.
fn refused(name: &str, frames: &[Vec<u8>], deflate: bool) -> u16 {
    let bytes = [text("before"), frames.concat(), text("behind")].concat();
    let heard = hear_with(&bytes, deflate);
    assert_eq!(heard.texts, ["before"], "{name}");
    assert_eq!(heard.closed, None, "{name}");
    let answer = Header::decode(&heard.answers).expect("a frame");
    let (header, length) = answer.unwrap_or_else(|| panic!("{name}: no answer"));
    assert_eq!(header.opcode, Opcode::Close, "{name}");
    let payload = &heard.answers[length..];
    assert!(std::str::from_utf8(&payload[2..]).is_ok(), "{name}");
    assert!(payload.len() > 2 && payload.len() <= 125, "{name}");
    u16::from_be_bytes([payload[0], payload[1]])
}

/// Hears `frames`, and a message behind them that must come through too.
fn accepted(name: &str, frames: &[Vec<u8>]) -> Heard {
    let bytes = [frames.concat(), text("behind")].concat();
    let mut heard = hear_with(&bytes, false);
    assert_eq!(heard.texts.pop().as_deref(), Some("behind"), "{name}");
    heard
}

#[test]
fn section_1_messages_of_any_length() {
    for length in [0, 1, 125, 126, 127, 128, 65_535, 65_536, 70_000] {
        let long = "*".repeat(length);
        let heard = accepted("text", &[text(&long)]);
        assert!(heard.texts == [long], "text of {length}");
        assert!(heard.answers.is_empty());
    }
    for length in [0, 125, 126, 127, 128, 65_535, 65_536, 66_000] {
        let heard = accepted("binary", &[frame(FIN | BINARY, &vec![0xFE; length])]);
        assert_eq!((heard.binaries, heard.texts.len()), (1, 0), "of {length}");
    }
}

#[test]
fn section_2_pings_and_pongs() {
    for data in [&b""[..], b"Hello", b"\x00\xFF\xFE\xFD", &[0xFE; 125]] {
        let heard = accepted("ping", &[frame(FIN | PING, data)]);
        assert_eq!(heard.answers, pong(data));
        let heard = accepted("unasked pong", &[frame(FIN | PONG, data)]);
        assert!(heard.answers.is_empty());
        assert_eq!(heard.pongs, [data]);
    }
    let pings: Vec<_> = (0..10_u8).map(|nth| frame(FIN | PING, &[nth])).collect();
    let pongs: Vec<_> = (0..10_u8).flat_map(|nth| pong(&[nth])).collect();
    assert_eq!(accepted("ten pings", &pings).answers, pongs);
    for length in [126, 127, 65_536] {
        for opcode in [PING, PONG, CLOSE] {
            let long = frame(FIN | opcode, &vec![0xFE; length]);
            assert_eq!(refused("long", &[long], false), 1002, "{opcode} {length}");
        }
    }
}

#[test]
fn section_3_reserved_bits() {
    for bits in 1..8_u8 {
        for opcode in [TEXT, BINARY, CLOSE, PING, PONG] {
            let marked = frame(FIN | bits << 4 | opcode, b"");
            assert_eq!(
                refused("reserved", &[marked], false),
                1002,
                "{bits} {opcode}"
            );
        }
        let continued = [
            frame(TEXT, b"a"),
            frame(FIN | bits << 4 | CONTINUATION, b"b"),
        ];
        assert_eq!(refused("continued", &continued, false), 1002, "{bits}");
    }
}

#[test]
fn section_4_opcodes_without_meaning() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for payload in [&b""[..], b"reserved opcode"] {
            let unknown = frame(FIN | opcode, payload);
            assert_eq!(refused("opcode", &[unknown], false), 1002, "{opcode}");
        }
    }
}

#[test]
fn section_5_fragments() {
    let whole = |name, frames: &[Vec<u8>], expected: &str, pongs: &[&[u8]]| {
        let heard = accepted(name, frames);
        assert_eq!(heard.texts, [expected], "{name}");
        let pongs: Vec<u8> = pongs.iter().flat_map(|data| pong(data)).collect();
        assert_eq!(heard.answers, pongs, "{name}");
    };
    let (first, last) = (frame(TEXT, b"frag"), frame(FIN | CONTINUATION, b"ment"));
    let (middle, ping) = (frame(CONTINUATION, b"--"), frame(FIN | PING, b"data"));
    whole("two", &[first.clone(), last.clone()], "fragment", &[]);
    whole(
        "three",
        &[first.clone(), middle.clone(), last.clone()],
        "frag--ment",
        &[],
    );
    let pinged = [
        first.clone(),
        ping.clone(),
        middle.clone(),
        ping,
        last.clone(),
    ];
    whole("pings between", &pinged, "frag--ment", &[b"data", b"data"]);
    let empty = [
        frame(TEXT, b""),
        frame(CONTINUATION, b""),
        frame(FIN | CONTINUATION, b""),
    ];
    whole("nothing in three", &empty, "", &[]);
    let mut single = vec![frame(TEXT, b"")];
    single.extend(b"fragment".iter().map(|byte| frame(CONTINUATION, &[*byte])));
    single.push(frame(FIN | CONTINUATION, b""));
    whole("by bytes", &single, "fragment", &[]);

    let breaches: [(&str, Vec<Vec<u8>>); 9] = [
        ("fragmented ping", vec![frame(PING, b"frag"), last.clone()]),
        ("fragmented pong", vec![frame(PONG, b"frag"), last.clone()]),
        ("fragmented close", vec![frame(CLOSE, b"\x03\xe8")]),
        ("nothing to continue", vec![last.clone()]),
        ("nothing to go on with", vec![middle.clone()]),
        ("continued behind its end", vec![text(""), last]),
        ("a text within", vec![first.clone(), text("x")]),
        (
            "a binary within",
            vec![first.clone(), frame(FIN | BINARY, b"x")],
        ),
        (
            "a text within, in parts",
            vec![first, middle, frame(TEXT, b"x")],
        ),
    ];
    for (name, frames) in breaches {
        let mut behind = text("before");
        behind.extend(frames.concat());
        let heard = hear_with(&behind, false);
        assert!(heard.answers.starts_with(b"\x88"), "{name}");
        assert_eq!(heard.answers[2..4], 1002_u16.to_be_bytes(), "{name}");
    }
}

/// Sequences that are UTF-8, and sequences that are not (RFC 3629 section 4).
const CHARACTERS: [&[u8]; 16] = [
    b"Hello-\xC2\xB5@\xC3\x9F\xC3\xB6\xC3\xA4\xC3\xBC\xC3\xA0\xC3\xA1-UTF-8!!",
    b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5",
    b"\x00",
    b"\x7F",
    b"\xC2\x80",
    b"\xDF\xBF",
    b"\xE0\xA0\x80",
    b"\xED\x9F\xBF",
    b"\xEE\x80\x80",
    b"\xEF\xBF\xBD",
    b"\xEF\xBF\xBE",
    b"\xEF\xBF\xBF",
    b"\xF0\x90\x80\x80",
    b"\xF0\x9F\xBF\xBE",
    b"\xF4\x8F\xBF\xBE",
    b"\xF4\x8F\xBF\xBF",
];

const NO_CHARACTERS: [&[u8]; 28] = [
    b"\x80",
    b"\xBF",
    b"\x80\xBF\x80\xBF",
    b"\xC0\x80",
    b"\xC0\xAF",
    b"\xC1\xBF",
    b"\xC2",
    b"\xC2 ",
    b"\xDF",
    b"\xE0\x80\x80",
    b"\xE0\x80\xAF",
    b"\xE0\x9F\xBF",
    b"\xE2\x82",
    b"\xE2\x82 ",
    b"\xED\xA0\x80",
    b"\xED\xAF\xBF\xED\xB0\x80",
    b"\xED\xBF\xBF",
    b"\xF0\x80\x80\x80",
    b"\xF0\x8F\xBF\xBF",
    b"\xF0\x90\x80",
    b"\xF4\x90\x80\x80",
    b"\xF5\x80\x80\x80",
    b"\xF7\xBF\xBF\xBF",
    b"\xF8\x88\x80\x80\x80",
    b"\xFC\x84\x80\x80\x80\x80",
    b"\xFE",
    b"\xFF",
    b"\xFE\xFE\xFF\xFF",
];

#[test]
fn section_6_utf8() {
    for bytes in CHARACTERS {
        let expected = std::str::from_utf8(bytes).expect("UTF-8");
        let mut parts = vec![frame(TEXT, b"")];
        parts.extend(bytes.chunks(1).map(|byte| frame(CONTINUATION, byte)));
        parts.push(frame(FIN | CONTINUATION, b""));
        for frames in [vec![frame(FIN | TEXT, bytes)], parts] {
            assert_eq!(accepted("UTF-8", &frames).texts, [expected]);
        }
        let reason = close(1000, bytes);
        assert_eq!(
            hear(&[reason]).closed,
            Some((Some(1000), expected.to_owned()))
        );
    }
    for bytes in NO_CHARACTERS {
        let name = format!("{bytes:02x?}");
        for around in [b"".as_slice(), b"around"] {
            let bytes = [around, bytes, around].concat();
            let whole = vec![frame(FIN | TEXT, &bytes)];
            assert_eq!(refused(&name, &whole, false), 1007, "{name}");
            let (front, back) = bytes.split_at(around.len() + 1);
            let parts = vec![frame(TEXT, front), frame(FIN | CONTINUATION, back)];
            assert_eq!(refused(&name, &parts, false), 1007, "{name} in parts");
        }
        // What only breaks off at the end of a reason was cut there.
        let reason = close(1000, &[bytes, b"x"].concat());
        assert_eq!(refused(&name, &[reason], false), 1007, "{name} as a reason");
    }
    // What can't become UTF-8 any more is refused before the rest arrives.
    let hopeless = frame(TEXT, b"\xCE\xBA\xF4\x90");
    assert_eq!(hear(&[hopeless]).answers[2..4], 1007_u16.to_be_bytes());
    // Binary messages and pings are no text.
    let heard = accepted(
        "binary",
        &[frame(FIN | BINARY, b"\xFF"), frame(FIN | PING, b"\xFF")],
    );
    assert_eq!((heard.binaries, heard.answers), (1, pong(b"\xFF")));
}

#[test]
fn section_7_closing() {
    let echoed = |payload: &[u8], code: Option<u16>, reason: &str| {
        let bytes = [
            text("before"),
            frame(FIN | CLOSE, payload),
            text("behind"),
            frame(FIN | PING, b"behind"),
            frame(FIN | CLOSE, b""),
            b"\xFF\xFF\xFF".to_vec(),
        ];
        let heard = hear(&bytes);
        assert_eq!(heard.texts, ["before"]);
        assert_eq!(heard.closed, Some((code, reason.to_owned())));
        let answer = code.map_or_else(|| b"\x88\x00".to_vec(), |code| closing(code, reason));
        assert_eq!(heard.answers, answer);
    };
    echoed(b"", None, "");
    echoed(b"\x03\xe8", Some(1000), "");
    echoed(b"\x03\xe8bye", Some(1000), "bye");
    let longest = [b"\x03\xe9", &[b'*'; 123][..]].concat();
    echoed(&longest, Some(1001), &"*".repeat(123));
    // The last character was cut: what is whole is echoed.
    echoed(b"\x03\xe8x\xE2\x82", Some(1000), "x");
    for code in (1000_u16..=1003)
        .chain(1007..=1014)
        .chain([3000, 3999, 4000, 4999])
    {
        echoed(&code.to_be_bytes(), Some(code), "");
    }
    for code in [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        for reason in [&b""[..], b"reason"] {
            assert_eq!(
                refused("code", &[close(code, reason)], false),
                1002,
                "{code}"
            );
        }
    }
    assert_eq!(
        refused("one byte", &[frame(FIN | CLOSE, b"\x03")], false),
        1002
    );
    let long = close(1000, &[b'*'; 124]);
    assert_eq!(refused("a long reason", &[long], false), 1002);
    // A close ends a message that is not whole.
    let heard = hear(&[
        frame(TEXT, b"half"),
        close(1000, b""),
        frame(FIN | CONTINUATION, b""),
    ]);
    assert_eq!((heard.texts.len(), heard.answers), (0, closing(1000, "")));
}

#[test]
fn frames_of_clients_are_masked() {
    for unmasked in [
        b"\x81\x00".to_vec(),
        b"\x89\x00".to_vec(),
        b"\x88\x02\x03\xe8".to_vec(),
    ] {
        assert_eq!(refused("unmasked", &[unmasked], false), 1002);
    }
    for key in [[0; 4], [0xFF; 4], KEY] {
        let mut bytes = b"\x81\x85".to_vec();
        bytes.extend(key);
        bytes.extend(b"Hello".iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b));
        assert_eq!(accepted("masked", &[bytes]).texts, ["Hello"]);
    }
}

#[test]
fn lengths_of_64_bits_have_a_bit_less() {
    let mut bytes = b"\x81\xFF\x80\0\0\0\0\0\0\0".to_vec();
    assert_eq!(refused("top bit", &[bytes.clone()], false), 1002);
    bytes[2] = 0x7F;
    bytes.extend(KEY);
    assert_eq!(refused("huge", &[bytes], false), 1009);
}

#[test]
fn section_9_limits() {
    let limit = LIMITS.text_bytes_max;
    let longest = "*".repeat(limit);
    assert!(accepted("longest", &[text(&longest)]).texts == [longest.clone()]);
    let longer = text(&"*".repeat(limit + 1));
    assert_eq!(refused("longer", &[longer], false), 1009);
    for part in [1000, 8191, 64_000] {
        let mut first = TEXT;
        let mut frames: Vec<_> = longest
            .as_bytes()
            .chunks(part)
            .map(|bytes| frame(std::mem::replace(&mut first, CONTINUATION), bytes))
            .collect();
        frames.push(frame(FIN | CONTINUATION, b""));
        assert!(accepted("in parts", &frames).texts == [longest.clone()]);
        frames.pop();
        frames.push(frame(FIN | CONTINUATION, b"*"));
        assert_eq!(refused("longer in parts", &frames, false), 1009);
    }
}

/// `message` as a client compresses it.
fn compressed(message: &[u8], level: u32) -> Vec<u8> {
    let mut stream = Compress::new(Compression::new(level), false);
    let mut bytes = Vec::with_capacity(message.len() * 2 + 64);
    stream
        .compress_vec(message, &mut bytes, FlushCompress::Sync)
        .expect("compresses");
    assert!(bytes.ends_with(b"\0\0\xff\xff"));
    bytes.truncate(bytes.len() - 4);
    bytes
}

/// Text that compresses as deliveries do: some structure, some noise.
fn json(length: usize) -> String {
    let mut noise = 1_u64;
    let mut text = String::new();
    while text.len() < length {
        noise = noise
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        text.push_str(&format!("{{\"payload\":\"{:x}\",\"key\":\"ä\"}}", noise));
    }
    while !text.is_char_boundary(length) {
        text.pop();
    }
    text.chars().take(length).collect()
}

#[test]
fn section_12_compressed_messages() {
    for length in [0, 1, 16, 64, 256, 1024, 4096, 60_000] {
        let message = json(length);
        for level in [0, 1, 6] {
            let bytes = compressed(message.as_bytes(), level);
            let whole = frame(FIN | COMPRESSED | TEXT, &bytes);
            let (front, back) = bytes.split_at(bytes.len() / 2);
            let parts = [
                frame(COMPRESSED | TEXT, front),
                frame(FIN | PING, b"between"),
                frame(CONTINUATION, b""),
                frame(FIN | CONTINUATION, back),
            ]
            .concat();
            let plain = text(&message);
            let heard = hear_with(&[whole, parts, plain].concat(), true);
            assert!(
                heard.texts == vec![message.clone(); 3],
                "{length} at {level}"
            );
            assert_eq!(heard.answers, pong(b"between"));
        }
    }
    let bytes = compressed(&vec![0xFE; 60_000], 6);
    let binary = [frame(FIN | COMPRESSED | BINARY, &bytes), text("behind")].concat();
    let heard = hear_with(&binary, true);
    assert_eq!(
        (heard.binaries, heard.texts),
        (1, vec!["behind".to_owned()])
    );
}

#[test]
fn section_12_compressed_messages_that_are_refused() {
    let good = compressed(b"{\"payload\":\"YQ==\"}", 6);
    let (front, back) = good.split_at(5);
    let bomb = compressed(&vec![b'*'; 3_000_000], 9);
    let longer = compressed("*".repeat(LIMITS.text_bytes_max + 1).as_bytes(), 9);
    let binary = compressed(&vec![0; LIMITS.binary_bytes_max + 1], 9);
    let cases: [(&str, Vec<Vec<u8>>, u16); 14] = [
        (
            "a marked ping",
            vec![frame(FIN | COMPRESSED | PING, b"")],
            1002,
        ),
        (
            "a marked close",
            vec![frame(FIN | COMPRESSED | CLOSE, b"\x03\xe8")],
            1002,
        ),
        (
            "a marked continuation",
            vec![
                frame(COMPRESSED | TEXT, front),
                frame(FIN | COMPRESSED | CONTINUATION, back),
            ],
            1002,
        ),
        (
            "only the continuation marked",
            vec![
                frame(TEXT, b"x"),
                frame(FIN | COMPRESSED | CONTINUATION, back),
            ],
            1002,
        ),
        (
            "another bit beside",
            vec![frame(FIN | 0x60 | TEXT, &good)],
            1002,
        ),
        (
            "another bit alone",
            vec![frame(FIN | 0x10 | TEXT, b"x")],
            1002,
        ),
        (
            "no deflate data",
            vec![frame(FIN | COMPRESSED | TEXT, &[0xFF; 9])],
            1007,
        ),
        (
            "binary, no deflate data",
            vec![frame(FIN | COMPRESSED | BINARY, &[0xFF; 9])],
            1007,
        ),
        (
            "broken off",
            vec![frame(FIN | COMPRESSED | TEXT, front)],
            1007,
        ),
        (
            "no UTF-8",
            vec![frame(FIN | COMPRESSED | TEXT, &compressed(b"\xFF", 6))],
            1007,
        ),
        (
            "a character broken off",
            vec![frame(FIN | COMPRESSED | TEXT, &compressed(b"\xE2\x82", 6))],
            1007,
        ),
        (
            "a byte too long",
            vec![frame(FIN | COMPRESSED | TEXT, &longer)],
            1009,
        ),
        (
            "far too long",
            vec![frame(FIN | COMPRESSED | TEXT, &bomb)],
            1009,
        ),
        (
            "binary, too long",
            vec![frame(FIN | COMPRESSED | BINARY, &binary)],
            1009,
        ),
    ];
    for (name, frames, code) in cases {
        assert_eq!(refused(name, &frames, true), code, "{name}");
    }
    // Nothing agreed, nothing compressed.
    let marked = frame(FIN | COMPRESSED | TEXT, &good);
    assert_eq!(refused("not agreed", &[marked], false), 1002);
}

/// What a client makes of a frame of the service: whether it was compressed, and the message.
fn read(bytes: &[u8]) -> (bool, Vec<u8>) {
    let (header, length) = Header::decode_with(bytes, true)
        .expect("a frame")
        .expect("whole");
    assert!(header.fin && header.mask.is_none());
    assert_eq!(header.opcode, Opcode::Text);
    let payload = &bytes[length..];
    assert_eq!(payload.len() as u64, header.payload_bytes);
    if !header.compressed {
        return (false, payload.to_vec());
    }
    let mut decoder = DeflateDecoder::new(Vec::new());
    decoder.write_all(payload).expect("deflate data");
    decoder.write_all(b"\0\0\xff\xff").expect("its end");
    decoder.flush().expect("complete");
    (true, decoder.get_ref().clone())
}

#[test]
fn section_13_messages_of_the_service() {
    let mut deflater = Deflater::new(100);
    for bits in [None, Some(15), Some(12), Some(8_u8)] {
        for length in [0, 16, 99, 100, 256, 257, 1024, 4096, 4097, 60_000] {
            let message = json(length);
            let mut out = b"before".to_vec();
            let mark = frame::begin_text(&mut out, length);
            out.extend_from_slice(message.as_bytes());
            deflater.finish(&mut out, mark, bits);
            let (compressed, read) = read(&out[6..]);
            assert!(read == message.as_bytes(), "{length} for {bits:?}");
            let bytes = message.len();
            let fits = |bits: u8| bits == 15 || bytes <= 1 << bits;
            let expected = bytes >= 100 && bits.is_some_and(fits);
            assert_eq!(compressed, expected, "{bytes} for {bits:?}");
            assert!(out.starts_with(b"before"));
        }
    }
}
