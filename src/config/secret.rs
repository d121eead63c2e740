//! What must not be shown: the values of keys that are known for it, sound like it, or look like it.

/// Stands for a value that is set and not shown.
const HIDDEN: &str = "<hidden>";

/// Words in the names of keys whose values are secrets, in lower case.
const WORDS: &[&str] = &[
    "password",
    "passwd",
    "secret",
    "token",
    "authparams",
    "authenticationparameters",
    "credential",
    "privatekey",
    "apikey",
];

/// Whether a key that is not known sounds like a secret's.
pub(super) fn is_secret_name(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    WORDS.iter().any(|word| key.contains(word))
}

/// A value on one line, or a word that stands for it.
pub(super) fn shown(value: &str, is_secret: bool) -> String {
    if !value.is_empty() && (is_secret || looks_secret(value)) {
        return HIDDEN.to_owned();
    }
    value
        .chars()
        .flat_map(|char| {
            let escaped = char.is_control().then(|| char.escape_default());
            let plain = escaped.is_none().then_some(char);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

/// A JSON web token, a token as the Java client takes it, or a password in a URL.
fn looks_secret(value: &str) -> bool {
    let has_password = || {
        let Some((_, rest)) = value.split_once("://") else {
            return false;
        };
        rest.split('/')
            .next()
            .is_some_and(|host| host.contains('@'))
    };
    value.starts_with("eyJ") || value.starts_with("token:") || has_password()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden() {
        for value in ["eyJhbGciOi", "token:x", "pulsar://u:p@h:1", "http://p@h/x"] {
            assert_eq!(shown(value, false), HIDDEN, "{value}");
        }
        assert_eq!(shown("x", true), HIDDEN);
        assert_eq!(shown("", true), "");
        assert_eq!(shown("pulsar://h:1/a@b", false), "pulsar://h:1/a@b");
        assert_eq!(shown("a\nb\u{1b}é", false), "a\\nb\\u{1b}é");
        assert!(is_secret_name("brokerClient_authParams"));
        assert!(is_secret_name("my.keyStorePassword"));
        assert!(!is_secret_name("webServicePort"));
    }
}
