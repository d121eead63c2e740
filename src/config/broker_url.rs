//! `pulsar://host:port,host:port` → hosts to try. Knows neither names nor addresses.

/// Port of a broker when its URL names none.
pub(super) const BROKER_PORT: u16 = 6650;

/// Why a broker URL can't be used; completes the sentence "expected …" or stands for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BrokerUrlError {
    /// `pulsar+ssl://`.
    Tls,
    /// `http://` or `https://`: looking brokers up over HTTP.
    Http,
    /// Anything else.
    Malformed,
}

/// Reads a service URL of the binary protocol: one scheme, then one or more hosts.
///
/// # Errors
/// The scheme is none that is built, or a host or port is malformed.
pub(super) fn parse(url: &str) -> Result<Vec<(String, u16)>, BrokerUrlError> {
    let (scheme, rest) = url
        .trim()
        .split_once("://")
        .ok_or(BrokerUrlError::Malformed)?;
    match scheme.to_ascii_lowercase().as_str() {
        "pulsar" => {}
        "pulsar+ssl" => return Err(BrokerUrlError::Tls),
        "http" | "https" => return Err(BrokerUrlError::Http),
        _ => return Err(BrokerUrlError::Malformed),
    }
    let hosts = rest.strip_suffix('/').unwrap_or(rest);
    hosts
        .split([',', ';'])
        .map(|host| host_and_port(host.trim(), BROKER_PORT).ok_or(BrokerUrlError::Malformed))
        .collect()
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
pub(super) fn host_and_port(text: &str, default: u16) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(v6) => {
            let (host, port) = v6.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (
                host,
                if port.is_empty() {
                    None
                } else {
                    Some(port.strip_prefix(':')?)
                },
            )
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let well_formed = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._:%".contains(&byte));
    let port = match port {
        Some(port) => port.parse().ok().filter(|&port| port > 0)?,
        None => default,
    };
    well_formed.then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        let one = |url| parse(url).unwrap().remove(0);
        assert_eq!(one("pulsar://localhost"), ("localhost".into(), 6650));
        assert_eq!(one(" PULSAR://a.b-c_d:1/ "), ("a.b-c_d".into(), 1));
        assert_eq!(one("pulsar://[::1]"), ("::1".into(), 6650));
        assert_eq!(one("pulsar://[::1]:7"), ("::1".into(), 7));
        assert_eq!(
            parse("pulsar://a:1, b,[fe80::1]:3").unwrap(),
            [("a".into(), 1), ("b".into(), 6650), ("fe80::1".into(), 3)]
        );
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(parse("pulsar+ssl://a:6651"), Err(BrokerUrlError::Tls));
        assert_eq!(parse("http://a:8080"), Err(BrokerUrlError::Http));
        for url in [
            "",
            "a:1",
            "zk://a",
            "pulsar://",
            "pulsar://a,",
            "pulsar://:1",
            "pulsar://a:0",
            "pulsar://a:65536",
            "pulsar://a:b",
            "pulsar://a:1:2",
            "pulsar://[::1",
            "pulsar://[x]",
            "pulsar://[::1]7",
            "pulsar://a/b",
            "pulsar://u@a",
        ] {
            assert_eq!(parse(url), Err(BrokerUrlError::Malformed), "{url}");
        }
    }
}
