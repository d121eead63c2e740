//! What stands before a WebSocket: the PROXY protocol's header, the request's head, its target and parameters, and what
//! is answered.

use std::net::SocketAddr;

use pulsar_ws_fast::{
    dialect::Dialect,
    http::{
        Parsed, RequestHead, admin,
        admin::Wish,
        forwarded::Forwarded,
        page::Form,
        parameters::Parameters,
        parse,
        proxy_protocol::{self, Announced},
        refusal::Refusal,
        route,
        topic_name::TopicName,
        upgrade,
    },
};

use crate::script::Script;

/// The first byte says what the others are.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let kind = script.byte();
    let bytes = script.rest();
    match kind % 4 {
        0 => head(bytes),
        1 => {
            // Heads are long, and most of each is always the same.
            let (target, rest) = bytes.split_at(
                bytes
                    .iter()
                    .position(|b| *b == b'\n')
                    .unwrap_or(bytes.len()),
            );
            let lines = [
                b"GET ",
                target,
                b" HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                rest.get(1..).unwrap_or_default(),
                b"\r\n\r\n",
            ];
            head(&lines.concat());
        }
        2 => announcement(bytes),
        _ => query(bytes),
    }
}

/// A head means the same whatever part of it came first, and its answer is one response.
fn head(bytes: &[u8]) {
    let whole = outcome(parse(bytes));
    let step = (bytes.len() / 80).max(1);
    for cut in (0..bytes.len()).step_by(step) {
        match (outcome(parse(&bytes[..cut])), &whole) {
            (Outcome::Partial, _) => {}
            (early, whole) => assert_eq!(
                early,
                *whole,
                "{:?}",
                String::from_utf8_lossy(&bytes[..cut])
            ),
        }
    }
    match parse(bytes) {
        Parsed::Partial => {}
        Parsed::Refused(refusal) => refused(&refusal, Form::default(), false),
        Parsed::Complete { head, len } => {
            assert!(len <= bytes.len() && bytes[..len].ends_with(b"\n"));
            answer(&head);
        }
    }
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Partial,
    Complete(usize),
    Refused(u16),
}

fn outcome(parsed: Parsed<'_>) -> Outcome {
    match parsed {
        Parsed::Partial => Outcome::Partial,
        Parsed::Complete { len, .. } => Outcome::Complete(len),
        Parsed::Refused(refusal) => Outcome::Refused(refusal.status),
    }
}

/// In the order in which a shard asks.
fn answer(head: &RequestHead<'_>) {
    let form = Form::of(head);
    let is_head = head.method == "HEAD";
    let local = SocketAddr::from(([127, 0, 0, 1], 8080));
    let forwarded = match Forwarded::read(head) {
        Ok(forwarded) => forwarded,
        Err(refusal) => return refused(&refusal.at(head.target), form, is_head),
    };
    let base = forwarded.base(head, local);
    if let Some(wish) = admin::wish(head) {
        match wish {
            Ok(Wish::Answer(answer)) => {
                let mut out = Vec::new();
                answer.write(&mut out, form);
                response(&out, is_head);
            }
            Ok(Wish::Statistics(_) | Wish::Status { .. }) => {}
            Err(refusal) => refused(&refusal.with_base(|| base), form, is_head),
        }
        return;
    }
    let opened = route::mount(head.target)
        .and_then(|mount| upgrade::check(head).map(|()| mount))
        .and_then(|mount| route::endpoint(&mount))
        .and_then(|endpoint| {
            Dialect::PulsarJson
                .spec(&endpoint)
                .map(|spec| (endpoint, spec))
        })
        .and_then(|(endpoint, spec)| Ok((endpoint, spec, upgrade::accept(head, true)?)));
    match opened {
        Ok((endpoint, _, accept)) => {
            let name = endpoint.topic.full_name();
            assert_eq!(
                TopicName::parse(&name).as_ref(),
                Ok(&endpoint.topic),
                "{name}"
            );
            let mut out = Vec::new();
            upgrade::write_switching_protocols(&mut out, &accept);
            let mut headers = [httparse::EMPTY_HEADER; 8];
            let mut response = httparse::Response::new(&mut headers);
            let parsed = response.parse(&out);
            assert_eq!(parsed, Ok(httparse::Status::Complete(out.len())));
        }
        Err(refusal) => refused(&refusal.with_base(|| base), form, is_head),
    }
}

fn refused(refusal: &Refusal, form: Form, is_head: bool) {
    let mut out = Vec::new();
    refusal.write(&mut out, form);
    response(&out, is_head);
}

/// One response and nothing behind it, whatever of the request is repeated in it.
fn response(out: &[u8], is_head: bool) {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(len)) = response.parse(out) else {
        panic!("{}", String::from_utf8_lossy(out));
    };
    let known = [
        "Allow",
        "Cache-Control",
        "Connection",
        "Content-Length",
        "Content-Type",
        "Location",
        "Sec-WebSocket-Version",
    ];
    let mut body_bytes = None;
    for header in response.headers.iter() {
        assert!(known.contains(&header.name), "{}", header.name);
        if header.name == "Content-Length" {
            let value = std::str::from_utf8(header.value).expect("a number");
            assert_eq!(
                body_bytes.replace(value.parse::<usize>().expect("a number")),
                None
            );
        }
    }
    let body_bytes = if is_head {
        0
    } else {
        body_bytes.expect("a length")
    };
    assert_eq!(out.len() - len, body_bytes);
}

/// More bytes of a header change nothing of what was said of fewer.
fn announcement(bytes: &[u8]) {
    let whole = proxy_protocol::read(bytes);
    if let Announced::Header { len, .. } = whole {
        assert!(len <= bytes.len());
    }
    for cut in 0..bytes.len() {
        match proxy_protocol::read(&bytes[..cut]) {
            Announced::Partial => assert!(cut < 16 + 1024),
            early => assert_eq!(early, whole, "of {cut} bytes"),
        }
    }
}

/// Names and values as a plain reader of forms has them.
fn query(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(parameters) = Parameters::parse(&text) else {
        return;
    };
    let mut seen = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name), decoded(value));
        if !seen.contains(&name) {
            assert_eq!(parameters.get(&name), Some(&*value));
            seen.push(name);
        }
    }
    assert_eq!(
        parameters.get("not\u{1}there").is_some(),
        seen.contains(&"not\u{1}there".to_owned())
    );
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = std::str::from_utf8(&rest[..2]).expect("digits");
                rest = &rest[2..];
                u8::from_str_radix(digits, 16).expect("digits")
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).expect("what was taken is UTF-8")
}

/// Heads, targets, headers of both versions, queries.
pub fn seeds() -> Vec<Vec<u8>> {
    let v2 = "persistent/public/default/t";
    let head = "Host: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n";
    let texts = [
        (0, format!("GET /ws/v2/producer/{v2}?batchingEnabled=true HTTP/1.1\r\n{head}")),
        (0, "HEAD /metrics HTTP/1.1\r\nHost: h\r\nAccept: text/plain\r\n\r\n".to_owned()),
        (0, "GET /ws/v2/producer?x HTTP/1.1\r\nHost: h\r\nX-Forwarded-Proto: https\r\n\r\n".to_owned()),
        (0, "GET http://o:1/ws/nothing HTTP/1.0\r\nForwarded: for=1.2.3.4;host=a\r\nAccept: application/json\r\n\r\n".to_owned()),
        (1, format!("/ws/v2/consumer/{v2}/sub?subscriptionType=Shared&ackTimeoutMillis=2000\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")),
        (1, format!("/ws/v2/reader/{v2}?messageId=earliest&receiverQueueSize=5")),
        (1, "/ws/consumer/persistent/p/c/n/t/sub".to_owned()),
        (1, "/ws/v3/consumer/sub?topics=a,b".to_owned()),
        (1, "/ws/v3/consumer/sub?topicsPattern=a.*%5Bb-c%5D".to_owned()),
        (1, format!("/ws/v2/producer/{v2}?compressionType=LZ4&encryptionKeys=eyJhIjp7ImtleVZhbHVlIjoiQUFBQSIsIm1ldGFkYXRhIjp7ImIiOiJjIn19fQ==")),
        (1, "/admin/v2/proxy-stats/public%2Fdefault/stats".to_owned()),
        (1, "/status.html\nAccept: text/html;q=0.5".to_owned()),
        (2, "PROXY TCP4 1.2.3.4 5.6.7.8 111 222\r\nGET /".to_owned()),
        (2, "PROXY TCP6 ::1 ::2 111 222\r\n".to_owned()),
        (2, "PROXY UNKNOWN\r\n".to_owned()),
        (2, "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\0\x09\0\x0aGET".to_owned()),
        (3, "a=1&b=%C3%A4+x&a=2&c&%20=+".to_owned()),
    ];
    texts
        .map(|(kind, text)| [&[kind], text.as_bytes()].concat())
        .to_vec()
}
