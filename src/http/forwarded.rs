//! What proxies say of a request in its headers, as Jetty's `ForwardedRequestCustomizer` reads them: the client's
//! address, and under which name and scheme the service was asked for.
//!
//! Only to be believed where the configuration says so.

use std::net::{IpAddr, SocketAddr};

use super::{RequestHead, refusal::Refusal, route::split_authority};

/// What a request's way here was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// The client, as far as it is an address.
    pub client: Option<Address>,
    host: Option<String>,
    is_secure: bool,
    port: Option<u16>,
}

/// An address, perhaps with a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    ip: IpAddr,
    port: Option<u16>,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.ip, port).fmt(f),
            None => self.ip.fmt(f),
        }
    }
}

impl Forwarded {
    /// Reads the headers: `Forwarded` counts before its older relatives, and of several hops the first.
    ///
    /// # Errors
    /// An address has a port that is none.
    pub fn read(head: &RequestHead<'_>) -> Result<Self, Refusal> {
        let first = |name: &str| {
            head.header(name)
                .map(|value| value.split(',').next().unwrap_or_default().trim())
        };
        let given = |name: &str| first(name).filter(|value| !value.is_empty());
        let standard = |name: &str| pairs(head).find(|(known, _)| known.eq_ignore_ascii_case(name));
        let client = match standard("for") {
            Some((_, node)) => address("Forwarded", &node)?,
            None => given("X-Forwarded-For")
                .map_or(Ok(None), |node| address("X-Forwarded-For", node))?,
        };
        let host = standard("host").map(|(_, host)| host);
        let older = || given("X-Forwarded-Host").or_else(|| given("X-Forwarded-Server"));
        let scheme = standard("proto").map(|(_, scheme)| scheme);
        let scheme = scheme.or_else(|| given("X-Forwarded-Proto").map(str::to_owned));
        let is_proxied = given("X-Proxied-Https").is_some_and(|it| it.eq_ignore_ascii_case("on"));
        Ok(Self {
            client,
            host: host.or_else(|| older().map(str::to_owned)),
            is_secure: scheme.map_or(is_proxied, |scheme| scheme.eq_ignore_ascii_case("https")),
            port: given("X-Forwarded-Port").and_then(|port| port.parse().ok()),
        })
    }

    /// Scheme and authority by which the client asked: its target's, the proxy's, its `Host` header's, or else the
    /// address it reached.
    #[must_use]
    pub fn base(&self, head: &RequestHead<'_>, local: SocketAddr) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        let host = split_authority(head.target)
            .or(self.host.as_deref())
            .or_else(|| head.header("Host").filter(|host| !host.is_empty()))
            .map_or_else(|| local.to_string(), str::to_owned);
        let has_port = host
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.ends_with(']'));
        match self.port {
            Some(port) if !has_port => format!("{scheme}://{host}:{port}"),
            _ => format!("{scheme}://{host}"),
        }
    }
}

/// Names and values of all elements of `Forwarded`.
fn pairs<'a>(head: &'a RequestHead<'_>) -> impl Iterator<Item = (&'a str, String)> {
    head.values("Forwarded")
        .flat_map(|value| value.split([',', ';']))
        .filter_map(|pair| pair.trim().split_once('='))
        .map(|(name, value)| (name.trim(), value.trim().trim_matches('"').to_owned()))
}

/// `None` for what is no address: "unknown", or a name that hides one.
fn address(header: &str, node: &str) -> Result<Option<Address>, Refusal> {
    let node = node.trim_matches('"');
    if let Ok(ip) = node.trim_matches(['[', ']']).parse() {
        return Ok(Some(Address { ip, port: None }));
    }
    let Some((host, port)) = node.rsplit_once(':') else {
        return Ok(None);
    };
    let Ok(port) = port.parse::<u16>() else {
        return Err(Refusal::new(400, format!("Bad header value for {header}")));
    };
    let ip = host.trim_matches(['[', ']']).parse().ok();
    Ok(ip.map(|ip| Address {
        ip,
        port: Some(port),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::{Parsed, parse};
    use super::*;

    fn with<T>(target: &str, headers: &str, then: impl FnOnce(&RequestHead<'_>) -> T) -> T {
        let text = format!("GET {target} HTTP/1.1\r\n{headers}\r\n");
        let Parsed::Complete { head, .. } = parse(text.as_bytes()) else {
            panic!("not complete: {text}");
        };
        then(&head)
    }

    fn client(headers: &str) -> Option<String> {
        let headers = format!("Host: h\r\n{headers}\r\n");
        let forwarded = with("/", &headers, |head| Forwarded::read(head).unwrap());
        forwarded.client.map(|client| client.to_string())
    }

    #[test]
    fn clients() {
        for (headers, expected) in [
            ("", ""),
            ("X-Forwarded-For: 9.8.7.6", "9.8.7.6"),
            ("X-Forwarded-For: 9.8.7.6, 1.1.1.1", "9.8.7.6"),
            ("X-Forwarded-For: 9.8.7.6:55", "9.8.7.6:55"),
            ("X-Forwarded-For: [2001:db8::1]:55", "[2001:db8::1]:55"),
            ("X-Forwarded-For: 2001:db8::1", "2001:db8::1"),
            ("X-Forwarded-For: unknown", ""),
            ("X-Forwarded-For:", ""),
            (
                "X-Forwarded-For: 2.2.2.2\r\nX-Forwarded-For: 3.3.3.3",
                "2.2.2.2",
            ),
            ("forwarded: FOR=9.9.9.9;proto=https;host=x", "9.9.9.9"),
            ("Forwarded: for=\"[2001:db8::2]:77\"", "[2001:db8::2]:77"),
            ("Forwarded: for=9.9.9.9, for=8.8.8.8", "9.9.9.9"),
            (
                "X-Forwarded-For: 2.2.2.2\r\nForwarded: for=1.1.1.1",
                "1.1.1.1",
            ),
            ("Forwarded: for=_hidden\r\nX-Forwarded-For: 2.2.2.2", ""),
            (
                "Forwarded: proto=https\r\nX-Forwarded-For: 4.4.4.4",
                "4.4.4.4",
            ),
        ] {
            let expected = (!expected.is_empty()).then(|| expected.to_owned());
            assert_eq!(client(headers), expected, "{headers}");
        }
        let headers = "Host: h\r\nX-Forwarded-For: 1.2.3.4:x\r\n";
        let refusal = with("/", headers, |head| Forwarded::read(head).unwrap_err());
        assert_eq!(
            (refusal.status, &*refusal.message),
            (400, "Bad header value for X-Forwarded-For")
        );
    }

    #[test]
    fn where_the_client_thinks_it_is() {
        let local = "127.0.0.1:80".parse().unwrap();
        let base = |target: &str, headers: &str| {
            with(target, headers, |head| {
                Forwarded::read(head).unwrap().base(head, local)
            })
        };
        for (headers, expected) in [
            ("Host: h:8080\r\n", "http://h:8080"),
            ("Host:\r\n", "http://127.0.0.1:80"),
            ("Host: h\r\nX-Forwarded-Host: fh:99, b\r\n", "http://fh:99"),
            ("Host: h\r\nX-Forwarded-Proto: https\r\n", "https://h"),
            (
                "Host: h\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 77\r\n",
                "https://h:77",
            ),
            ("Host: [::1]\r\nX-Forwarded-Port: 77\r\n", "http://[::1]:77"),
            (
                "Host: h\r\nForwarded: host=q:1;proto=https\r\n",
                "https://q:1",
            ),
            ("Host: h\r\nX-Forwarded-Server: srv\r\n", "http://srv"),
            ("Host: h\r\nX-Proxied-Https: on\r\n", "https://h"),
        ] {
            assert_eq!(base("/x", headers), expected, "{headers}");
        }
        assert_eq!(base("http://other:99/x", "Host: h\r\n"), "http://other:99");
        let untrusted = with("/x", "Host: h\r\nX-Forwarded-Proto: https\r\n", |head| {
            Forwarded::default().base(head, local)
        });
        assert_eq!(untrusted, "http://h");
    }
}
