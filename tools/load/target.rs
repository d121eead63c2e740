//! The service: where it is, and how a client gets in.

use std::{
    fmt, io,
    net::{TcpStream, ToSocketAddrs},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::{ClientConfig, pki_types::ServerName};

use crate::{
    client::Client,
    deflate,
    shared::about::about,
    socket::{ReadBuffer, Socket},
};

/// No handshake takes longer, and none of the waiting after it.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(60);
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How TLS begins to say that it was not spoken to.
const TLS_ALERT: u8 = 21;

/// `host:port`, `ws://host:port` or `wss://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (tls, authority) = match text.split_once("://") {
            Some(("ws" | "http", rest)) => (false, rest),
            Some(("wss" | "https", rest)) => (true, rest),
            Some(_) => return Err("expected ws:// or wss://".into()),
            None => (false, text),
        };
        let authority = authority.trim_end_matches('/');
        let (host, port) = authority
            .rsplit_once(':')
            .ok_or_else(|| String::from("expected HOST:PORT"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match port.parse() {
            Ok(port) if !host.is_empty() && !host.contains('/') => Ok(Self {
                host: host.into(),
                port,
                tls,
            }),
            _ => Err("expected HOST:PORT".into()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "wss" } else { "ws" };
        if self.host.contains(':') {
            write!(to, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(to, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

/// What every connection needs to know.
pub(crate) struct Target {
    pub(crate) place: Place,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) deflate: bool,
    /// Sent as a header.
    pub(crate) token: Option<String>,
    /// Further lines of the request's head.
    pub(crate) headers: Vec<String>,
}

impl Target {
    /// A socket without a WebSocket.
    pub(crate) fn connect(&self) -> io::Result<Socket> {
        let stream = self.stream()?;
        let tls = match &self.tls {
            Some(config) => {
                let name = ServerName::try_from(self.place.host.clone())
                    .map_err(|_| io::Error::other("TLS needs a host's name or address"))?;
                Some((config.clone(), name))
            }
            None => None,
        };
        Socket::new(stream, tls, SILENCE_MAX)
    }

    /// To the first of the host's addresses that answers.
    fn stream(&self) -> io::Result<TcpStream> {
        let Place { host, port, .. } = &self.place;
        let addresses = (host.as_str(), *port)
            .to_socket_addrs()
            .map_err(about(&self.place))?;
        let mut last = io::Error::other("the host has no address");
        for address in addresses {
            match TcpStream::connect_timeout(&address, SILENCE_MAX) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(about(&self.place)(last))
    }

    /// Connects and upgrades, with compression where that was asked for.
    pub(crate) fn open(&self, path: &str) -> io::Result<Client> {
        let socket = self.connect()?;
        self.upgrade(socket, path)
            .map_err(|error| match error.kind() {
                io::ErrorKind::WouldBlock => io::Error::other(format!(
                    "{}: no answer within {} s",
                    self.place,
                    SILENCE_MAX.as_secs()
                )),
                _ => about(&self.place)(error),
            })
    }

    fn upgrade(&self, mut socket: Socket, path: &str) -> io::Result<Client> {
        socket.write_all(self.request(path).as_bytes())?;
        let mut buffer = ReadBuffer::new();
        loop {
            socket.read(&mut buffer)?;
            let got = buffer.filled();
            if !self.place.tls && got.first() == Some(&TLS_ALERT) {
                return Err(io::Error::other("this port speaks TLS: try wss://"));
            }
            let Some(end) = memchr::memmem::find(got, b"\r\n\r\n") else {
                if got.len() > HEAD_BYTES_MAX {
                    return Err(io::Error::other("the service's answer has no end"));
                }
                continue;
            };
            let head = String::from_utf8_lossy(&got[..end]);
            if !head.starts_with("HTTP/1.1 101 ") {
                let status = head.lines().next().unwrap_or_default();
                return Err(io::Error::other(format!("{path} is refused: {status}")));
            }
            let agreed = head.to_ascii_lowercase().contains(": permessage-deflate");
            if self.deflate && !agreed {
                return Err(io::Error::other("permessage-deflate is not agreed to"));
            }
            return Ok(Client::new(socket, &got[end + 4..], self.deflate));
        }
    }

    fn request(&self, path: &str) -> String {
        let Place { host, port, .. } = &self.place;
        let mut request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        );
        if self.deflate {
            request.push_str(deflate::OFFER);
        }
        if let Some(token) = &self.token {
            request.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        for header in &self.headers {
            request.push_str(header);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        request
    }
}

/// Parameters of a URL. The first of a name is the one that counts, as in the service.
#[derive(Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn new(parameters: &[(String, String)]) -> Self {
        Self(parameters.to_vec())
    }

    /// This and a parameter, unless one of that name is there.
    #[must_use]
    pub(crate) fn or(mut self, name: &str, value: &str) -> Self {
        if self.0.iter().all(|(there, _)| there != name) {
            self.0.push((name.into(), value.into()));
        }
        self
    }

    /// With the question mark, or nothing.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.0 {
            text.push(if text.is_empty() { '?' } else { '&' });
            text.extend(utf8_percent_encode(name, NON_ALPHANUMERIC));
            text.push('=');
            text.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_with_and_without_a_scheme() {
        for (text, shown) in [
            ("127.0.0.1:8080", "ws://127.0.0.1:8080"),
            ("ws://proxy:80/", "ws://proxy:80"),
            ("wss://proxy:443", "wss://proxy:443"),
            ("wss://[::1]:443", "wss://[::1]:443"),
        ] {
            let place = text.parse::<Place>().map(|place| place.to_string());
            assert_eq!(place.as_deref(), Ok(shown));
        }
        for text in [
            "",
            "proxy",
            "proxy:",
            ":80",
            "ftp://proxy:80",
            "ws://proxy:80/ws",
            "proxy:99999",
        ] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }

    #[test]
    fn parameters_are_escaped_and_the_first_of_a_name_counts() {
        let given = [("a b".into(), "+&".into()), ("type".into(), "x".into())];
        let query = Query::new(&given).or("type", "y").or("more", "1");
        assert_eq!(query.text(), "?a%20b=%2B%26&type=x&more=1");
        assert_eq!(Query::default().text(), "");
    }
}
