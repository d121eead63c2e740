//! HTTP/1.1 as far as a WebSocket service needs it: request heads in, refusals and upgrades out.
//!
//! Bytes in, bytes out; a request whose head is understood is answered once, by `101` or by a refusal that closes the
//! connection, so bodies and pipelines have no place here. The order in which a request is judged is the Java
//! service's as a client can see it: [`parse`] (400, 414, 431), [`route::mount`] (404, 302), [`upgrade::check`] (405,
//! 400), [`route::endpoint`] (500, 400), the parameters, [`upgrade::accept`] (400).

mod accept;
pub mod admin;
pub mod extensions;
pub mod forwarded;
mod head;
pub mod page;
pub mod parameters;
pub mod proxy_protocol;
pub mod refusal;
pub mod route;
pub mod topic_name;
pub mod upgrade;

use refusal::Refusal;

/// The longest request target; Jetty's request header size.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;

/// The longest head, from the request line to the empty line. Tokens can be long, so this is roomier than Jetty.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Header lines for which there is room on the stack.
const HEADERS_USUAL: usize = 100;

/// The most header lines of a head: as many as find room in the longest that Jetty takes.
pub const HEADERS_MAX: usize = 2048;

/// What the start of a connection says.
#[derive(Debug)]
pub enum Parsed<'a> {
    /// The head's end has not arrived.
    Partial,
    /// A head.
    Complete {
        /// The head.
        head: RequestHead<'a>,
        /// Its length in bytes; what follows belongs to the WebSocket.
        len: usize,
    },
    /// No head that could be answered otherwise.
    Refused(Refusal),
}

/// HTTP's versions that a head may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `HTTP/1.0`, which knows no upgrade.
    Http10,
    /// `HTTP/1.1`.
    Http11,
}

/// A request without its body.
#[derive(Debug)]
pub struct RequestHead<'a> {
    /// The method as sent; methods are case-sensitive.
    pub method: &'a str,
    /// Path and query as sent, nothing decoded.
    pub target: &'a str,
    /// The version.
    pub version: Version,
    headers: Vec<(&'a str, &'a [u8])>,
}

impl<'a> RequestHead<'a> {
    /// The first value of the header `name`, whose case does not matter.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.values(name).next()
    }

    /// All values of the header `name` in their order. A value that is not UTF-8 counts as absent: no header that is
    /// looked at here may have one.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .filter_map(|(_, value)| std::str::from_utf8(value.trim_ascii()).ok())
    }
}

/// Reads a request head from the start of `buf`. Call it again with more bytes while it is [`Parsed::Partial`].
pub fn parse(buf: &[u8]) -> Parsed<'_> {
    let buf = head::settled(buf);
    if target_too_long(buf) {
        return Parsed::Refused(Refusal::standard(414));
    }
    if let Some(refusal) = head::bad_version(buf) {
        return Parsed::Refused(refusal);
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_USUAL];
    parse_with(buf, &mut headers).unwrap_or_else(|| {
        let mut headers = vec![httparse::EMPTY_HEADER; HEADERS_MAX];
        parse_with(buf, &mut headers).unwrap_or_else(|| Parsed::Refused(Refusal::standard(431)))
    })
}

/// `None` if there are more header lines than `headers` has room for.
fn parse_with<'a>(buf: &'a [u8], headers: &mut [httparse::Header<'a>]) -> Option<Parsed<'a>> {
    let mut request = httparse::Request::new(headers);
    let mut rules = httparse::ParserConfig::default();
    rules.allow_multiple_spaces_in_request_line_delimiters(true);
    Some(match rules.parse_request(&mut request, buf) {
        Ok(httparse::Status::Complete(len)) if len <= HEAD_BYTES_MAX => complete(&request, len),
        Ok(httparse::Status::Partial) if buf.len() <= HEAD_BYTES_MAX => Parsed::Partial,
        Ok(_) => Parsed::Refused(Refusal::standard(431)),
        Err(httparse::Error::TooManyHeaders) => return None,
        // A line that names another version is answered as a whole.
        Err(httparse::Error::Version | httparse::Error::NewLine)
            if head::lacks_line_end(buf) && buf.len() <= HEAD_BYTES_MAX =>
        {
            Parsed::Partial
        }
        Err(_) => Parsed::Refused(Refusal::standard(400)),
    })
}

fn complete<'a>(request: &httparse::Request<'_, 'a>, len: usize) -> Parsed<'a> {
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Parsed::Refused(Refusal::standard(400));
    };
    let headers = request
        .headers
        .iter()
        .map(|header| (header.name, header.value))
        .collect();
    let head = RequestHead {
        method,
        target,
        version: if version == 0 {
            Version::Http10
        } else {
            Version::Http11
        },
        headers,
    };
    match head::check(&head) {
        Ok(()) => Parsed::Complete { head, len },
        Err(refusal) => Parsed::Refused(refusal.at(target)),
    }
}

/// Whether the second word of the request line, as far as it has arrived, exceeds its limit.
fn target_too_long(buf: &[u8]) -> bool {
    let line = buf.trim_ascii_start();
    let Some(space) = memchr::memchr2(b' ', b'\n', line) else {
        return false;
    };
    let target = &line[space + 1..];
    let end = memchr::memchr2(b' ', b'\n', target).unwrap_or(target.len());
    line[space] == b' ' && end > TARGET_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: &[u8] = b"GET /ws/v2/reader/persistent/a/b/c?x=1 HTTP/1.1\r\nHost: h\r\n\
        UPGRADE: WebSocket\r\nConnection: keep-alive\r\nconnection:  Upgrade \r\n\r\n";

    fn status(parsed: &Parsed<'_>) -> u16 {
        match parsed {
            Parsed::Partial => 0,
            Parsed::Complete { .. } => 1,
            Parsed::Refused(refusal) => refusal.status,
        }
    }

    #[test]
    fn a_head_is_read_and_what_follows_is_left() {
        let bytes = [HEAD, b"\x81\x80"].concat();
        let Parsed::Complete { head, len } = parse(&bytes) else {
            panic!("not complete");
        };
        assert_eq!(len, HEAD.len());
        assert_eq!(head.method, "GET");
        assert_eq!(head.target, "/ws/v2/reader/persistent/a/b/c?x=1");
        assert_eq!(head.version, Version::Http11);
        assert_eq!(head.header("upgrade"), Some("WebSocket"));
        let values: Vec<&str> = head.values("Connection").collect();
        assert_eq!(values, ["keep-alive", "Upgrade"]);
        assert_eq!(head.header("Origin"), None);
    }

    #[test]
    fn a_head_may_arrive_a_byte_at_a_time() {
        for end in 0..HEAD.len() {
            assert_eq!(status(&parse(&HEAD[..end])), 0, "{end}");
        }
        assert_eq!(status(&parse(HEAD)), 1);
    }

    #[test]
    fn what_is_no_head_is_refused() {
        let cases: [&[u8]; 4] = [
            b"\x16\x03\x01\x02\x00",
            b"GET\r\n\r\n",
            b"GET / HTTP/1.1\r\nNo colon\r\n\r\n",
            b"GET /\x01 HTTP/1.1\r\n\r\n",
        ];
        for bytes in cases {
            assert_eq!(status(&parse(bytes)), 400, "{bytes:?}");
        }
    }

    #[test]
    fn a_target_beyond_8_kib_is_414_even_while_it_arrives() {
        let target = format!("/{}", "x".repeat(TARGET_BYTES_MAX - 1));
        let fits = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(status(&parse(fits.as_bytes())), 1);
        let long = format!("GET {target}x HTTP/1.1\r\n\r\n");
        assert_eq!(status(&parse(long.as_bytes())), 414);
        let arriving = format!("GET {target}xx");
        assert_eq!(status(&parse(arriving.as_bytes())), 414);
    }

    #[test]
    fn a_head_beyond_its_limits_is_431() {
        let head = |lines: &str| format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
        for (lines, expected) in [(99, 1), (150, 1), (2047, 1), (2048, 431)] {
            let head = head(&"a: b\r\n".repeat(lines));
            assert_eq!(status(&parse(head.as_bytes())), expected, "{lines}");
        }
        let long = head(&format!("a: {}\r\n", "x".repeat(HEAD_BYTES_MAX)));
        assert_eq!(status(&parse(long.as_bytes())), 431);
        assert_eq!(status(&parse(&long.as_bytes()[..=HEAD_BYTES_MAX])), 431);
        assert_eq!(status(&parse(&long.as_bytes()[..HEAD_BYTES_MAX])), 0);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            parse(&bytes);
        }
    }
}
