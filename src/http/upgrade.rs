//! The opening handshake of RFC 6455 section 4.2, as strict and as lax as Jetty 9.4.
//!
//! What is no upgrade at all is left to Jetty's plain servlet there, which answers no method; hence the 405s. Origin
//! and subprotocols are never looked at; of extensions, permessage-deflate is agreed to where it may be.

use super::extensions::{self, Deflate};
use super::refusal::Refusal;
use super::{RequestHead, Version};

/// What the client's key is joined with (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A handshake that may be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept {
    /// The value of `Sec-WebSocket-Accept`.
    key: String,
    /// What was agreed on compression, if anything.
    pub deflate: Option<Deflate>,
}

/// Whether the request asks for a WebSocket.
pub fn check(head: &RequestHead<'_>) -> Result<(), Refusal> {
    if !asks_for_websocket(head) {
        return Err(plain(head).at(head.target));
    }
    Ok(())
}

/// Whether it does so in the one version there is, and what it is told then. Java looks at that last, behind topic and
/// parameters. Compression is agreed to only with `deflate`.
pub fn accept(head: &RequestHead<'_>, deflate: bool) -> Result<Accept, Refusal> {
    let version = head
        .header("Sec-WebSocket-Version")
        .map_or(Ok(-1), |version| {
            version.parse::<i32>().map_err(|_| version)
        })
        .map_err(|version| {
            let text = format!("java.lang.NumberFormatException: For input string: \"{version}\"");
            Refusal::new(500, text).at(head.target)
        })?;
    if version != 13 {
        let refusal = Refusal::new(400, "Unsupported websocket version specification")
            .with_header("Sec-WebSocket-Version", "13");
        return Err(refusal.at(head.target));
    }
    let Some(key) = head.header("Sec-WebSocket-Key") else {
        let text = "Missing request header 'Sec-WebSocket-Key'";
        return Err(Refusal::new(400, text).at(head.target));
    };
    let mut sha1 = sha1_smol::Sha1::from(key);
    sha1.update(GUID);
    Ok(Accept {
        key: base64_simd::STANDARD.encode_to_string(sha1.digest().bytes()),
        deflate: deflate
            .then(|| extensions::agree(head.values("Sec-WebSocket-Extensions")))
            .flatten(),
    })
}

/// Appends the response after which the connection is a WebSocket: Jetty's lines in Jetty's order, without those that
/// tell the time and the server's version.
pub fn write_switching_protocols(out: &mut Vec<u8>, accept: &Accept) {
    out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
    if let Some(deflate) = accept.deflate {
        deflate.write(out);
    }
    out.extend_from_slice(b"Connection: Upgrade\r\nSec-WebSocket-Accept: ");
    out.extend_from_slice(accept.key.as_bytes());
    out.extend_from_slice(b"\r\nUpgrade: WebSocket\r\n\r\n");
}

/// Jetty's `WebSocketServerFactory.isUpgradeRequest`. Browsers that keep connections alive send more than one token
/// in `Connection`.
fn asks_for_websocket(head: &RequestHead<'_>) -> bool {
    let websocket = head
        .header("Upgrade")
        .is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    head.method == "GET"
        && head.version == Version::Http11
        && connection_upgrades(head)
        && websocket
}

fn connection_upgrades(head: &RequestHead<'_>) -> bool {
    head.values("Connection")
        .flat_map(|value| value.split(','))
        .any(|token| token.trim_ascii().eq_ignore_ascii_case("upgrade"))
}

/// What Jetty says of half an upgrade, and `HttpServlet` where no method is implemented.
fn plain(head: &RequestHead<'_>) -> Refusal {
    let method = head.method;
    if head.version == Version::Http11
        && head.header("Upgrade").is_some()
        && !connection_upgrades(head)
    {
        return Refusal::standard(400);
    }
    match (method, head.version) {
        ("GET" | "HEAD" | "POST" | "PUT" | "DELETE", Version::Http11) => Refusal::new(
            405,
            format!("HTTP method {method} is not supported by this URL"),
        ),
        ("OPTIONS", _) => Refusal::standard(200).with_header("Allow", "GET, OPTIONS"),
        (_, Version::Http10) => Refusal::new(
            400,
            format!("HTTP method {method} is not supported by this URL"),
        ),
        (_, Version::Http11) => Refusal::standard(501),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Parsed, parse};
    use super::*;

    const LINES: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    fn checked(line: &str, headers: &str) -> Result<Accept, Refusal> {
        let text = format!("{line}\r\nHost: h\r\n{headers}\r\n");
        let Parsed::Complete { head, .. } = parse(text.as_bytes()) else {
            panic!("not complete");
        };
        check(&head)?;
        accept(&head, true)
    }

    fn get(headers: &str) -> Result<Accept, Refusal> {
        checked("GET /ws HTTP/1.1", headers)
    }

    #[test]
    fn the_handshake_of_the_rfc_is_answered() {
        let mut out = Vec::new();
        write_switching_protocols(&mut out, &get(LINES).unwrap());
        let expected = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nUpgrade: WebSocket\r\n\r\n";
        assert_eq!(out, expected.as_bytes());
    }

    #[test]
    fn compression_is_answered_in_front() {
        let headers = format!("{LINES}Sec-WebSocket-Extensions: permessage-deflate\r\n");
        let mut out = Vec::new();
        write_switching_protocols(&mut out, &get(&headers).unwrap());
        let expected = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Extensions: permessage-deflate; \
                        server_no_context_takeover; client_no_context_takeover\r\nConnection: Upgrade\r\n";
        assert!(out.starts_with(expected.as_bytes()));
        let text = format!("GET / HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
        let Parsed::Complete { head, .. } = parse(text.as_bytes()) else {
            panic!("not complete");
        };
        assert_eq!(accept(&head, false).unwrap().deflate, None);
    }

    #[test]
    fn what_clients_vary_is_accepted() {
        let variants = [
            LINES.replace("Connection: Upgrade", "connection: keep-alive, upgrade"),
            LINES.replace(
                "Connection: Upgrade",
                "Connection: keep-alive\r\nConnection: Upgrade",
            ),
            LINES.replace("websocket\r", "WebSocket\r"),
            LINES.replace("dGhlIHNhbXBsZSBub25jZQ==", "x"),
            format!("{LINES}Origin: http://elsewhere\r\nSec-WebSocket-Protocol: a\r\n"),
            format!("{LINES}Sec-WebSocket-Extensions: permessage-deflate\r\n"),
        ];
        for headers in variants {
            assert!(get(&headers).is_ok(), "{headers}");
        }
    }

    #[test]
    fn what_is_no_upgrade_is_refused_as_by_a_plain_servlet() {
        let status = |line: &str, headers: &str| checked(line, headers).unwrap_err().status;
        assert_eq!(status("GET /ws HTTP/1.1", ""), 405);
        assert_eq!(status("GET /ws HTTP/1.1", "Upgrade: websocket\r\n"), 400);
        let closes = LINES.replace("Connection: Upgrade", "Connection: close");
        assert_eq!(status("GET /ws HTTP/1.1", &closes), 400);
        assert_eq!(status("GET /ws HTTP/1.1", "Connection: Upgrade\r\n"), 405);
        assert_eq!(
            status("GET /ws HTTP/1.1", &LINES.replace("websocket\r", "h2c\r")),
            405
        );
        assert_eq!(status("POST /ws HTTP/1.1", LINES), 405);
        assert_eq!(status("PUT /ws HTTP/1.1", ""), 405);
        assert_eq!(status("PATCH /ws HTTP/1.1", ""), 501);
        assert_eq!(status("OPTIONS /ws HTTP/1.1", ""), 200);
        assert_eq!(status("GET /ws HTTP/1.0", LINES), 400);
        assert_eq!(status("GET /ws HTTP/1.0", ""), 400);
    }

    #[test]
    fn only_version_13_is_spoken() {
        for version in ["", "Sec-WebSocket-Version: 8\r\n"] {
            let headers = LINES.replace("Sec-WebSocket-Version: 13\r\n", version);
            let refusal = get(&headers).unwrap_err();
            assert_eq!(refusal.status, 400);
            assert_eq!(
                refusal.headers,
                [("Sec-WebSocket-Version", "13".to_owned())]
            );
        }
    }

    #[test]
    fn a_version_is_a_number() {
        for version in ["+13", "013"] {
            let headers = LINES.replace(": 13", &format!(": {version}"));
            assert!(get(&headers).is_ok(), "{version}");
        }
        for version in ["x", "", "13, 8"] {
            let refusal = get(&LINES.replace(": 13", &format!(": {version}"))).unwrap_err();
            assert_eq!(refusal.status, 500);
            let text = format!("java.lang.NumberFormatException: For input string: \"{version}\"");
            assert_eq!(refusal.message, text);
        }
    }

    #[test]
    fn a_key_is_needed() {
        let headers = LINES.replace("Sec-WebSocket-Key", "X-Key");
        assert_eq!(get(&headers).unwrap_err().status, 400);
    }
}
