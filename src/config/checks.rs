//! What must not be set, and what has no effect, key by key.
//!
//! Whoever sets a key of access control or encryption relies on it. As long as it is not built the
//! process refuses to start, and names the key. Keys that count only together with another one
//! (passwords, providers, role lists) don't refuse by themselves: Java ignores them too.

use super::{
    keys::{self, Handling, Key, Kind},
    settings::Settings,
};

/// Everything that keeps the process from starting, in the order of the table.
pub(super) fn errors(settings: &Settings) -> Vec<String> {
    keys::all()
        .filter_map(|key| error(settings, key))
        .chain(client_tls_errors(settings))
        .chain(tls_url_errors(settings))
        .collect()
}

/// One sentence for each key that does not do what whoever set it may think.
pub(super) fn notices(settings: &Settings) -> Vec<String> {
    let no_booleans = keys::all().filter_map(|key| {
        let value = settings.text(key.name)?;
        let is_odd = key.kind == Kind::Boolean && !keys::is_true(value) && !keys::is_false(value);
        is_odd.then(|| settings.bad_value(key.name, "expected true or false; taken as false"))
    });
    let of_java_client = settings.keys().filter_map(|key| {
        let is_known = keys::all().any(|known| known.name == key);
        let has_value = settings
            .text(key)
            .is_some_and(|value| !keys::is_false(value));
        (key.starts_with("brokerClient_") && !is_known && has_value).then(|| {
            let sentence = format!("{key} is set and has no effect: it is for the Java client");
            settings.error(key, &sentence)
        })
    });
    no_booleans.chain(of_java_client).collect()
}

fn error(settings: &Settings, key: &Key) -> Option<String> {
    let value = settings.text(key.name)?;
    if let Some(expected) = key.kind.expects(value) {
        return Some(settings.bad_value(key.name, &format!("expected {expected}")));
    }
    match key.handling {
        Handling::Refused(what) if key.is_asked_for(value) => {
            Some(refusal(settings, key.name, what))
        }
        _ => None,
    }
}

/// `brokerClient_useTls` and its like reach the Java client and beat the mapped keys.
fn client_tls_errors(settings: &Settings) -> impl Iterator<Item = String> {
    settings.keys().filter_map(|key| {
        let name = key.strip_prefix("brokerClient_")?.to_ascii_lowercase();
        let asks = name.contains("tls") && settings.text(key).is_some_and(|it| !keys::is_false(it));
        asks.then(|| refusal(settings, key, keys::BROKER_TLS))
    })
}

/// With a plain URL beside it, Java uses this one only under `brokerClientTlsEnabled`.
fn tls_url_errors(settings: &Settings) -> impl Iterator<Item = String> {
    [
        ("brokerServiceUrlTls", "brokerServiceUrl"),
        ("serviceUrlTls", "serviceUrl"),
    ]
    .into_iter()
    .filter_map(|(tls, plain)| {
        let is_alone = [plain, "brokerServiceUrl"]
            .iter()
            .all(|key| settings.text(key).is_none());
        (is_alone && settings.text(tls).is_some()).then(|| refusal(settings, tls, keys::BROKER_TLS))
    })
}

fn refusal(settings: &Settings, key: &str, what: &str) -> String {
    if what == keys::KEYS_BY_CLASS {
        let sentence = format!(
            "{key} names a Java class, which can't be loaded: name the files of the keys in \
             webSocketEncryptionPublicKeys and webSocketEncryptionPrivateKeys"
        );
        return settings.error(key, &sentence);
    }
    let sentence = format!(
        "{key} asks for {what}, which is not built yet; to run without it, leave {key} out"
    );
    settings.error(key, &sentence)
}
