//! The header of the PROXY protocol, versions 1 and 2, in which a proxy says whom it speaks for.
//!
//! It stands before everything else on a connection, and as with Jetty it may be absent. What a header says beyond
//! addresses is skipped.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

/// What the start of a connection says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// It is no header.
    Nothing,
    /// The header's end has not arrived.
    Partial,
    /// A header.
    Header {
        /// The client's address; `None` if the proxy speaks for itself, or does not know.
        client: Option<SocketAddr>,
        /// The header's length in bytes.
        len: usize,
    },
    /// A header that is broken, or of a transport that can't be.
    Malformed,
}

const SIGNATURE_1: &[u8] = b"PROXY";
const SIGNATURE_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest line of version 1, its end included.
const LINE_BYTES_MAX: usize = 107;

/// Of version 2: the fixed part, and the longest rest, which is Jetty's.
const FIXED_BYTES: usize = 16;
const REST_BYTES_MAX: usize = 1024;

/// Reads a header from the start of `buf`. Call it again with more bytes while it is [`Announced::Partial`].
#[must_use]
pub fn read(buf: &[u8]) -> Announced {
    for (signature, read) in [
        (SIGNATURE_1, version_1 as fn(&[u8]) -> Option<Announced>),
        (SIGNATURE_2, version_2),
    ] {
        if buf.starts_with(signature) {
            return read(buf).unwrap_or(Announced::Malformed);
        }
        if signature.starts_with(buf) {
            return Announced::Partial;
        }
    }
    Announced::Nothing
}

/// `None` if it is malformed, here and below.
fn version_1(buf: &[u8]) -> Option<Announced> {
    let Some(end) = memchr::memchr(b'\n', &buf[..buf.len().min(LINE_BYTES_MAX)]) else {
        return (buf.len() < LINE_BYTES_MAX).then_some(Announced::Partial);
    };
    let line = std::str::from_utf8(buf[..end].strip_suffix(b"\r")?).ok()?;
    let words: Vec<&str> = line.split(' ').collect();
    let client = match words[..] {
        ["PROXY", "UNKNOWN", ..] => None,
        ["PROXY", "TCP4", source, destination, port, own_port] => {
            addresses::<Ipv4Addr>(source, destination, port, own_port)?
        }
        ["PROXY", "TCP6", source, destination, port, own_port] => {
            addresses::<Ipv6Addr>(source, destination, port, own_port)?
        }
        _ => return None,
    };
    Some(Announced::Header {
        client,
        len: end + 1,
    })
}

fn addresses<A: FromStr + Into<IpAddr>>(
    source: &str,
    destination: &str,
    port: &str,
    own_port: &str,
) -> Option<Option<SocketAddr>> {
    destination.parse::<A>().ok()?;
    own_port.parse::<u16>().ok()?;
    let source: A = source.parse().ok()?;
    Some(Some(SocketAddr::new(source.into(), port.parse().ok()?)))
}

fn version_2(buf: &[u8]) -> Option<Announced> {
    let Some((fixed, rest)) = buf.split_first_chunk::<FIXED_BYTES>() else {
        return Some(Announced::Partial);
    };
    let [.., version_and_command, family, high, low] = *fixed;
    let len = usize::from(u16::from_be_bytes([high, low]));
    if version_and_command >> 4 != 2 || len > REST_BYTES_MAX {
        return None;
    }
    let Some(rest) = rest.get(..len) else {
        return Some(Announced::Partial);
    };
    let client = match (version_and_command & 0xf, family) {
        // The proxy speaks for itself, or does not know for whom.
        (0, _) | (1, 0) => None,
        (1, 0x11) => Some(address(&rest.first_chunk::<12>()?[..], |ip: [u8; 4]| {
            ip.into()
        })?),
        (1, 0x21) => Some(address(&rest.first_chunk::<36>()?[..], |ip: [u8; 16]| {
            ip.into()
        })?),
        _ => return None,
    };
    Some(Announced::Header {
        client,
        len: FIXED_BYTES + len,
    })
}

/// The first address of two, whose ports stand behind both.
fn address<const N: usize>(bytes: &[u8], ip: fn([u8; N]) -> IpAddr) -> Option<SocketAddr> {
    let (source, rest) = bytes.split_first_chunk::<N>()?;
    let port = rest.get(N..)?.first_chunk::<2>()?;
    Some(SocketAddr::new(ip(*source), u16::from_be_bytes(*port)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v2(version_and_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE_2, &[version_and_command, family], &len, rest].concat()
    }

    fn header(client: Option<&str>, len: usize) -> Announced {
        Announced::Header {
            client: client.map(|address| address.parse().unwrap()),
            len,
        }
    }

    #[test]
    fn lines_of_version_1() {
        for (line, client) in [
            (
                "PROXY TCP4 1.2.3.4 5.6.7.8 111 222\r\n",
                Some("1.2.3.4:111"),
            ),
            ("PROXY TCP6 fe::1 ::2 65535 0\r\n", Some("[fe::1]:65535")),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN ff::1 ff::2 1 2\r\n", None),
        ] {
            assert_eq!(
                read(format!("{line}GET").as_bytes()),
                header(client, line.len())
            );
            for end in 0..line.len() {
                assert_eq!(
                    read(&line.as_bytes()[..end]),
                    Announced::Partial,
                    "{line:?} {end}"
                );
            }
        }
        for line in [
            "PROXY\r\n",
            "PROXY TCP4 1.2.3.4\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 111 222\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 x 222\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 99999 222\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
            "PROXY TCP4 ::1 ::2 1 2\r\n",
            "PROXY TCP4 h 5.6.7.8 1 2\r\n",
            "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXYTCP4 1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXY UNKNOWN \u{fd}\u{fc}\n",
        ] {
            assert_eq!(read(line.as_bytes()), Announced::Malformed, "{line:?}");
        }
        let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LINE_BYTES_MAX - 16));
        assert_eq!(read(longest.as_bytes()), header(None, LINE_BYTES_MAX));
        assert_eq!(
            read(format!("PROXY UNKNOWN {}", "x".repeat(93)).as_bytes()),
            Announced::Malformed
        );
    }

    #[test]
    fn headers_of_version_2() {
        let v4 = [&[1, 2, 3, 4, 5, 6, 7, 8][..], &[0, 111, 0, 222]].concat();
        let v6 = [&[0; 15][..], &[1], &[0; 15], &[2], &[0, 111, 0, 222]].concat();
        let tlv = [&v4[..], &[4, 0, 3, 1, 2, 3]].concat();
        for (bytes, client) in [
            (v2(0x21, 0x11, &v4), Some("1.2.3.4:111")),
            (v2(0x21, 0x21, &v6), Some("[::1]:111")),
            (v2(0x21, 0x11, &tlv), Some("1.2.3.4:111")),
            (v2(0x20, 0x11, &v4), None),
            (v2(0x20, 0, &[]), None),
            (v2(0x21, 0, &[1, 2]), None),
        ] {
            assert_eq!(
                read(&[&bytes[..], b"GET"].concat()),
                header(client, bytes.len())
            );
            for end in 0..bytes.len() {
                assert_eq!(read(&bytes[..end]), Announced::Partial, "{end}");
            }
        }
        for bytes in [
            v2(0x11, 0x11, &v4),
            v2(0x25, 0x11, &v4),
            v2(0x21, 0x12, &v4),
            v2(0x21, 0x41, &v4),
            v2(0x21, 0x31, &[0; 216]),
            v2(0x21, 0x11, &v4[..11]),
            v2(0x21, 0x21, &v4),
            v2(0x20, 0, &[0; 1025]),
        ] {
            assert_eq!(read(&bytes), Announced::Malformed, "{bytes:?}");
        }
    }

    #[test]
    fn other_beginnings_are_none() {
        for bytes in [
            &b"GET / HTTP/1.1"[..],
            b"POST",
            b"PUT",
            b"PROXx",
            b"\r\nGET",
            b"\r\n\r\n\0\r\nQUIX",
            b"\x16\x03",
        ] {
            assert_eq!(read(bytes), Announced::Nothing, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(
            start in prop_oneof![Just(SIGNATURE_1), Just(SIGNATURE_2), Just(&b""[..])],
            rest in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let bytes = [start, &rest[..]].concat();
            if let Announced::Header { len, .. } = read(&bytes) {
                prop_assert!(len <= bytes.len());
            }
        }
    }
}
