//! `http://host:port,host:port` → URLs to ask. Knows neither names nor addresses.

use super::broker_url::host_and_port;

/// Port of a web service when its URL names none, as in Java.
const HTTP_PORT: u16 = 80;

/// Why a service URL can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServiceUrlError {
    /// `https://`.
    Tls,
    /// Anything else.
    Malformed,
}

/// Each host's URL, without a path.
///
/// # Errors
/// The scheme is none that is built, or a host or port is malformed.
pub(super) fn parse(url: &str) -> Result<Vec<String>, ServiceUrlError> {
    let (scheme, rest) = url.split_once("://").ok_or(ServiceUrlError::Malformed)?;
    match scheme.to_ascii_lowercase().as_str() {
        "http" => {}
        "https" => return Err(ServiceUrlError::Tls),
        _ => return Err(ServiceUrlError::Malformed),
    }
    let hosts = rest.strip_suffix('/').unwrap_or(rest).split([',', ';']);
    hosts
        .map(|text| {
            let (host, port) =
                host_and_port(text.trim(), HTTP_PORT).ok_or(ServiceUrlError::Malformed)?;
            Ok(match host.contains(':') {
                true => format!("http://[{host}]:{port}"),
                false => format!("http://{host}:{port}"),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        assert_eq!(
            parse("HTTP://a:8080,b,[::1]:7/").unwrap(),
            ["http://a:8080", "http://b:80", "http://[::1]:7"]
        );
        assert_eq!(parse("https://a:8443"), Err(ServiceUrlError::Tls));
        for url in [
            "a:8080",
            "pulsar://a",
            "http://",
            "http://a/b",
            "http://u@a",
            "http://a:0",
        ] {
            assert_eq!(parse(url), Err(ServiceUrlError::Malformed), "{url}");
        }
    }
}
