//! What Jetty refuses in a head before anyone asks what it wants.
//!
//! A request without a body that is clear to everybody on the way is the aim: what proxies could read in two ways is
//! refused, in Jetty's words.

use super::{RequestHead, Version, refusal::Refusal};

/// Whether the request line, once it is there, names a version that is not spoken: 426 for HTTP/2, 505 for others.
pub(super) fn bad_version(buf: &[u8]) -> Option<Refusal> {
    let line = behind_blank_lines(buf);
    let line = &line[..memchr::memchr(b'\n', line)?];
    let ends = line
        .iter()
        .rev()
        .take_while(|it| matches!(it, b' ' | b'\r'));
    let line = &line[..line.len() - ends.count()];
    if line.starts_with(b" ") {
        return None;
    }
    let mut words = line
        .split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty());
    // Without a method, or a target, it is no request line at all.
    let (method, target) = (words.next()?, words.next()?);
    // What is wrong with those comes first.
    let is_token = |byte: &u8| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(byte);
    let target = std::str::from_utf8(target).ok()?;
    if !method.iter().all(is_token) || target.contains(|c: char| c.is_ascii_control()) {
        return None;
    }
    match words.next() {
        None => Some(Refusal::new(505, "HTTP/0.9 not supported")),
        Some(b"HTTP/1.1" | b"HTTP/1.0") => None,
        Some(b"HTTP/2.0") => Some(Refusal::standard(426)),
        Some(version) if version.starts_with(b"HTTP/") => {
            Some(Refusal::new(505, "Unknown Version"))
        }
        Some(_) => None,
    }
}

/// What may be judged already: of a request line whose end has not arrived, all but the end's beginning.
pub(super) fn settled(buf: &[u8]) -> &[u8] {
    if !lacks_line_end(buf) {
        return buf;
    }
    let ends = buf.iter().rev().take_while(|byte| **byte == b'\r').count();
    &buf[..buf.len() - ends]
}

/// Whether the end of the request line has not arrived.
pub(super) fn lacks_line_end(buf: &[u8]) -> bool {
    memchr::memchr(b'\n', behind_blank_lines(buf)).is_none()
}

fn behind_blank_lines(buf: &[u8]) -> &[u8] {
    let blank = buf.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    &buf[blank.count()..]
}

/// Whether the lines of a head fit together.
pub(super) fn check(head: &RequestHead<'_>) -> Result<(), Refusal> {
    let refuse = |text: &str| Err(Refusal::new(400, text));
    let is_path = head.target.starts_with('/') || head.target.contains("://");
    if !(is_path || head.method == "OPTIONS" && head.target == "*") {
        return refuse("Bad Request");
    }
    match head.header("Host") {
        None if head.version == Version::Http11 => return refuse("No Host"),
        Some(host) if !is_host_port(host) => return refuse("Bad HostPort"),
        _ => {}
    }
    let lengths: Vec<&str> = head.values("Content-Length").collect();
    let codings: Vec<&str> = head.values("Transfer-Encoding").collect();
    match (&lengths[..], &codings[..]) {
        ([_, _, ..], _) => return refuse("Multiple Content-Lengths"),
        ([length], _) if length.is_empty() || !length.bytes().all(|it| it.is_ascii_digit()) => {
            return refuse("Invalid Content-Length Value");
        }
        ([length], _) if length.parse::<i64>().is_err() => return refuse("Bad Request"),
        ([_], [_, ..]) => return refuse("Transfer-Encoding and Content-Length"),
        (_, [coding]) if !ends_chunked(coding) => {
            return refuse("Bad Transfer-Encoding, chunked not last");
        }
        (_, [_, _, ..]) => return refuse("Bad Transfer-Encoding, chunked not last"),
        _ => {}
    }
    let expects = |wanted: &str| {
        wanted.eq_ignore_ascii_case("100-continue") || wanted.eq_ignore_ascii_case("102-processing")
    };
    match head.header("Expect") {
        Some(wanted) if !expects(wanted) => Err(Refusal::standard(417)),
        _ => Ok(()),
    }
}

fn ends_chunked(coding: &str) -> bool {
    let mut codings = coding
        .split(',')
        .map(|it| it.trim().eq_ignore_ascii_case("chunked"));
    codings.next_back() == Some(true) && !codings.any(|is_chunked| is_chunked)
}

/// Jetty's `HostPort`: anything, and a port from 1 on where there is one.
fn is_host_port(host: &str) -> bool {
    let port = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((_, "")) => return true,
            Some((_, port)) => port.strip_prefix(':'),
            None => None,
        },
        None => match host.split_once(':') {
            Some((_, port)) if !port.contains(':') => Some(port),
            // No colon, or an address of IPv6 without its brackets.
            _ => return true,
        },
    };
    port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

#[cfg(test)]
mod tests {
    use super::super::{Parsed, parse};

    fn judged(text: &str) -> (u16, String) {
        match parse(text.as_bytes()) {
            Parsed::Complete { .. } => (0, String::new()),
            Parsed::Refused(refusal) => (refusal.status, refusal.message),
            Parsed::Partial => panic!("{text}"),
        }
    }

    fn with(lines: &str) -> (u16, String) {
        judged(&format!("GET / HTTP/1.1\r\n{lines}\r\n\r\n"))
    }

    #[test]
    fn versions() {
        for (version, status) in [
            (" HTTP/1.1", 0),
            (" HTTP/1.0", 0),
            ("  HTTP/1.1", 0),
            (" HTTP/1.2", 505),
            (" HTTP/2.0", 426),
            (" HTTP/0.9", 505),
            (" HTTP/11", 505),
            ("", 505),
            (" XTTP/1.1", 400),
        ] {
            assert_eq!(
                judged(&format!("GET /{version}\r\nHost: h\r\n\r\n")).0,
                status,
                "{version}"
            );
        }
    }

    #[test]
    fn a_version_is_judged_when_its_line_is_whole() {
        for line in [
            "GET / HTTP/2.0",
            "GET / HTTP/9.9",
            "GET / HTTP/1.11",
            "GET /a b HTTP/1.1",
            "GET /\r\n",
        ] {
            for end in 0..line.len() {
                let parsed = parse(&line.as_bytes()[..end]);
                assert!(matches!(parsed, Parsed::Partial), "{}", &line[..end]);
            }
        }
    }

    #[test]
    fn hosts() {
        for host in [
            "h", "h:8080", "", "[::1]", "[::1]:80", "::1", "a b", "a,b", "a/b", ":80",
        ] {
            assert_eq!(with(&format!("Host: {host}")).0, 0, "{host}");
        }
        for host in ["h:", "h:x", "h:0", "h:99999", "[::1", "[::1]x"] {
            assert_eq!(
                with(&format!("Host: {host}")),
                (400, "Bad HostPort".to_owned()),
                "{host}"
            );
        }
        assert_eq!(with("A: b"), (400, "No Host".to_owned()));
        assert_eq!(judged("GET / HTTP/1.0\r\n\r\n").0, 0);
    }

    #[test]
    fn lengths_and_codings() {
        for (lines, message) in [
            ("Content-Length: 0", ""),
            ("Content-Length: 5", ""),
            ("Content-Length: x", "Invalid Content-Length Value"),
            ("Content-Length: -1", "Invalid Content-Length Value"),
            ("Content-Length: +1", "Invalid Content-Length Value"),
            ("Content-Length: 1,1", "Invalid Content-Length Value"),
            ("Content-Length:", "Invalid Content-Length Value"),
            ("Content-Length: 99999999999999999999", "Bad Request"),
            (
                "Content-Length: 1\r\ncontent-length: 1",
                "Multiple Content-Lengths",
            ),
            ("Transfer-Encoding: Chunked", ""),
            ("Transfer-Encoding: gzip, chunked", ""),
            (
                "Transfer-Encoding: gzip",
                "Bad Transfer-Encoding, chunked not last",
            ),
            (
                "Transfer-Encoding: chunked, gzip",
                "Bad Transfer-Encoding, chunked not last",
            ),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                "Bad Transfer-Encoding, chunked not last",
            ),
            (
                "Transfer-Encoding: chunked\r\nContent-Length: 3",
                "Transfer-Encoding and Content-Length",
            ),
            ("Expect: 100-Continue", ""),
            ("Expect: x", "Expectation Failed"),
        ] {
            assert_eq!(with(&format!("Host: h\r\n{lines}")).1, message, "{lines}");
        }
        assert_eq!(with("Host: h\r\nExpect: x").0, 417);
    }

    #[test]
    fn targets_are_paths() {
        for (line, status) in [
            ("GET nowhere", 400),
            ("GET *", 400),
            ("OPTIONS *", 0),
            ("CONNECT h:80", 400),
            ("GET http://h/x", 0),
        ] {
            assert_eq!(
                judged(&format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n")).0,
                status,
                "{line}"
            );
        }
    }
}
