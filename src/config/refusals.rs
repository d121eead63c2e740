//! Keys that must not be ignored, and keys that are.
//!
//! Whoever sets a key of access control or encryption relies on it. As long as it is not built the
//! process refuses to start, and names the key. Keys that count only together with another one
//! (passwords, providers, role lists) don't refuse by themselves: Java ignores them too.

use super::{ConfigError, file::File};

/// How a key is set when it asks for something.
enum Asks {
    /// Only when true.
    IfTrue,
    /// As soon as it is not blank.
    IfSet,
}
use Asks::{IfSet, IfTrue};

const AUTHENTICATION: &str = "authentication of clients";
const AUTHORIZATION: &str = "authorization";
const SERVER_TLS: &str = "TLS towards clients";
const BROKER_TLS: &str = "TLS towards brokers";
const BROKER_AUTHENTICATION: &str = "authentication at brokers";

/// Each key that changes security, and what it is part of.
const REFUSED: &[(&str, Asks, &str)] = &[
    ("authenticationEnabled", IfTrue, AUTHENTICATION),
    ("authorizationEnabled", IfTrue, AUTHORIZATION),
    ("webServicePortTls", IfSet, SERVER_TLS),
    ("tlsEnabled", IfTrue, "TLS"),
    ("tlsCertificateFilePath", IfSet, SERVER_TLS),
    ("tlsKeyFilePath", IfSet, SERVER_TLS),
    ("tlsTrustCertsFilePath", IfSet, SERVER_TLS),
    ("tlsRequireTrustedClientCertOnConnect", IfTrue, SERVER_TLS),
    ("tlsEnabledWithKeyStore", IfTrue, SERVER_TLS),
    ("tlsKeyStore", IfSet, SERVER_TLS),
    ("tlsKeyStorePassword", IfSet, SERVER_TLS),
    ("tlsTrustStore", IfSet, SERVER_TLS),
    ("tlsTrustStorePassword", IfSet, SERVER_TLS),
    ("webServiceTlsProtocols", IfSet, SERVER_TLS),
    ("webServiceTlsCiphers", IfSet, SERVER_TLS),
    ("tlsAllowInsecureConnection", IfTrue, "TLS"),
    ("tlsHostnameVerificationEnabled", IfTrue, BROKER_TLS),
    ("brokerClientTlsEnabled", IfTrue, BROKER_TLS),
    ("brokerClientTrustCertsFilePath", IfSet, BROKER_TLS),
    (
        "brokerClientAuthenticationPlugin",
        IfSet,
        BROKER_AUTHENTICATION,
    ),
    (
        "webServiceHaProxyProtocolEnabled",
        IfTrue,
        "the PROXY protocol",
    ),
    (
        "cryptoKeyReaderFactoryClassName",
        IfSet,
        "encryption by the service",
    ),
];

/// Keys of Java's service that will mean something here, or could be taken for it.
const WITHOUT_EFFECT: &[(&str, Asks)] = &[
    ("statusFilePath", IfSet),
    ("webServiceTrustXForwardedFor", IfTrue),
    ("webServiceLogDetailedAddresses", IfTrue),
    ("brokerClient_memoryLimitBytes", IfSet),
];

/// The same for numbers: key, and the value that is as good as not setting it.
const NUMBERS_WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("webSocketPingDurationSeconds", "-1"),
    ("webSocketPulsarClientMemoryLimitInMB", "0"),
    ("maxHttpServerConnections", "2048"),
];

/// Refuses what is asked for and not built.
pub(super) fn check(file: &File) -> Result<(), ConfigError> {
    for (key, asks, what) in REFUSED {
        if asked(file, key, asks) {
            return Err(refuse(file, key, what));
        }
    }
    for key in file.keys() {
        if is_client_tls(key) && file.text(key).is_some_and(|value| !is_off(value)) {
            return Err(refuse(file, key, BROKER_TLS));
        }
    }
    // With a plain URL beside it, Java uses this one only under brokerClientTlsEnabled.
    for (tls, plain) in [
        ("brokerServiceUrlTls", "brokerServiceUrl"),
        ("serviceUrlTls", "serviceUrl"),
    ] {
        let others = file.text(plain).or_else(|| file.text("brokerServiceUrl"));
        if file.text(tls).is_some() && others.is_none() {
            return Err(refuse(file, tls, BROKER_TLS));
        }
    }
    Ok(())
}

/// One sentence for each key that is set and does nothing yet.
pub(super) fn notices(file: &File) -> Vec<String> {
    let switches = WITHOUT_EFFECT
        .iter()
        .filter(|(key, asks)| asked(file, key, asks))
        .map(|(key, _)| *key);
    let numbers = NUMBERS_WITHOUT_EFFECT
        .iter()
        .filter(|(key, off)| file.text(key).is_some_and(|value| value != *off))
        .map(|(key, _)| *key);
    switches
        .chain(numbers)
        .map(|key| format!("{key} is set in {} and has no effect yet", file.name()))
        .collect()
}

fn asked(file: &File, key: &str, asks: &Asks) -> bool {
    match asks {
        IfTrue => file.is_true(key),
        IfSet => file.text(key).is_some(),
    }
}

fn refuse(file: &File, key: &str, what: &str) -> ConfigError {
    file.error(
        key,
        &format!(
            "{key} asks for {what}, which is not built yet; to run without it, leave {key} out"
        ),
    )
}

/// `brokerClient_useTls` and its like reach the Java client and beat the mapped keys.
fn is_client_tls(key: &str) -> bool {
    key.strip_prefix("brokerClient_")
        .is_some_and(|name| name.to_ascii_lowercase().contains("tls"))
}

fn is_off(value: &str) -> bool {
    value.eq_ignore_ascii_case("false")
}
