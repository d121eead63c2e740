//! Compressed messages of clients: our own inflater against zlib-rs, alone and behind a WebSocket.

use std::cell::RefCell;

use pulsar_ws_fast::{
    codec::inflate::Shortcut,
    ws::{
        Deflater, Incoming, Inflater, Input, Limits, WebSocket, frame,
        frame::{Header, Opcode, close_code},
    },
};

use crate::{
    script::{BEFORE, Chance, Script, behind, flip},
    ws::{compressed, decompressed, take},
};

/// Nothing here becomes longer.
const LONG: usize = 1 << 17;

/// The first byte says whether the others are compressed already.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let kind = script.byte();
    let room = usize::from(script.short()) * [0, 1, 1, 2][usize::from(kind >> 6)];
    match kind % 4 {
        0 => judge(script.rest(), room),
        // What follows one another is separated by where the other begins.
        1 => {
            let (first, second) = (script.some(), script.rest());
            judge(first, room);
            judge(second, room);
        }
        _ => {
            let (level, times) = (u32::from(script.byte() % 10), script.below(40));
            let changes = [(); 3].map(|()| (script.short(), script.byte()));
            let text = script.rest().repeat(times + 1);
            let text = &text[..text.len().min(LONG / 2)];
            let mut compressed = compressed(text, level);
            assert_eq!(decompressed(&compressed, LONG).as_deref(), Some(text));
            judge(&compressed, room);
            judge(&compressed, text.len());
            for (at, change) in changes.into_iter().take(usize::from(kind >> 2 & 3)) {
                flip(&mut compressed, at, change);
            }
            judge(&compressed, room);
            deflated(text);
        }
    }
}

thread_local! {
    /// What earlier messages left there must mean nothing to later ones.
    static USED: RefCell<Shortcut> = const { RefCell::new(Shortcut::new()) };
    static INFLATER: RefCell<Inflater> = const { RefCell::new(Inflater::new()) };
}

fn judge(compressed: &[u8], room: usize) {
    let room = room.min(LONG);
    let judged = decompressed(compressed, LONG);
    let mut fresh = Shortcut::new();
    let by = |inflate: &mut dyn FnMut(&mut [u8]) -> Option<usize>| {
        let mut out = vec![0xAA; room];
        let len = inflate(&mut out)?;
        out.truncate(len);
        Some(out)
    };
    let first = by(&mut |out| fresh.inflate(compressed, out));
    let anywhere = by(&mut |out| fresh.inflate_anywhere(compressed, out));
    let used = USED.with_borrow_mut(|used| by(&mut |out| used.inflate(compressed, out)));
    assert!(first == anywhere, "with and without wide vectors");
    assert!(first == used, "in space that was used before");
    if first.is_some() {
        assert!(first == judged, "as zlib has it");
    }
    by_websocket(compressed, room, judged.as_deref());
}

/// The same as a message of a client, with a limit.
fn by_websocket(compressed: &[u8], text_bytes_max: usize, judged: Option<&[u8]>) {
    let mut socket = WebSocket::new(Limits {
        text_bytes_max,
        binary_bytes_max: 0,
    })
    .with_deflate(15);
    let mut bytes = Vec::new();
    Header {
        fin: true,
        opcode: Opcode::Text,
        compressed: true,
        mask: Some([0; 4]),
        payload_bytes: compressed.len() as u64,
    }
    .encode(&mut bytes);
    bytes.extend_from_slice(compressed);
    let got = INFLATER.with_borrow_mut(|inflater| {
        inflater.begin_turn();
        let mut out = Vec::new();
        match socket.next_message(&mut Input::new(&mut bytes), &mut out, inflater) {
            Ok(Some(Incoming::Text(text))) => Ok(text.to_vec()),
            Ok(other) => panic!("no text, but {other:?}"),
            Err(violation) => Err(violation.code),
        }
    });
    if let Ok(text) = &got {
        assert!(text.len() <= text_bytes_max && std::str::from_utf8(text).is_ok());
    }
    let Some(judged) = judged else {
        // One stream behind another, and a flush that was not left off, are taken too.
        return;
    };
    if compressed.is_empty() {
        return assert_eq!(got, Ok(Vec::new()));
    }
    // A longer form than any sender needs is refused by its length.
    let longest = text_bytes_max + text_bytes_max / 8 + 64;
    if judged.len() > text_bytes_max || compressed.len() > longest {
        assert_eq!(got, Err(close_code::MESSAGE_TOO_BIG));
    } else if std::str::from_utf8(judged).is_err() {
        assert_eq!(got, Err(close_code::INVALID_PAYLOAD));
    } else {
        assert!(got.as_deref() == Ok(judged), "as zlib has it");
    }
}

/// What we compress for a client is what it gets.
fn deflated(text: &[u8]) {
    let mut out = BEFORE.to_vec();
    let mark = frame::begin_text(&mut out, text.len());
    out.extend_from_slice(text);
    Deflater::new(1).finish(&mut out, mark, Some(15));
    let (header, payload, rest) = take(behind(&out)).expect("a whole frame");
    assert!(rest.is_empty() && payload.len() <= text.len());
    if header.compressed {
        assert!(decompressed(payload, LONG).as_deref() == Some(text));
    } else {
        assert!(payload == text);
    }
}

/// Texts as clients send them, compressed at some levels and not yet.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut chance = Chance(2);
    let random: Vec<u8> = (0..300).map(|_| chance.number() as u8).collect();
    let payload = base64_simd::STANDARD.encode_to_string(&random);
    let publish = format!(r#"{{"payload":"{payload}","properties":{{"a":"b"}},"context":"1"}}"#);
    let texts: [&[u8]; 4] = [b"", b"Hello, Hello, Hello", publish.as_bytes(), &random];
    let mut seeds = Vec::new();
    for text in texts {
        for level in [0, 1, 2, 6, 9] {
            seeds.push([&[0x80, 0xff, 0xff], &compressed(text, level)[..]].concat());
        }
        seeds.push([&[0x86, 0xff, 0xff, 2, 3, 9, 0, 1, 20, 0, 0, 0, 0, 0], text].concat());
    }
    seeds
}
