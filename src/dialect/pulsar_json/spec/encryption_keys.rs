//! `encryptionKeys`: the keys themselves, from a client that encrypts, or the names of ours
//! (`ProducerHandler.tryToExtractJsonEncryptionKeys` and what follows it).

use crate::{
    codec::{
        base64,
        json::{ObjectReader, Value, coerce::as_string},
    },
    dialect::parameters::is_blank,
    http::{parameters::Parameters, refusal::Refusal},
    session::producer::{Encryption, EncryptionKey},
};

/// A key as it is written; `value` is `None` where it has none.
struct Written {
    name: String,
    key: Option<Key>,
}

#[derive(Default)]
struct Key {
    value: Option<Vec<u8>>,
    metadata: Vec<(String, String)>,
}

/// Who encrypts; `None` if nobody does.
pub(super) fn read(parameters: &Parameters) -> Result<Option<Encryption>, Refusal> {
    let Some(text) = parameters.get("encryptionKeys") else {
        return Ok(None);
    };
    let written = base64::decode_vec(trim(text).as_bytes())
        .ok()
        .and_then(|json| read_keys(&json));
    let Some(written) = written.filter(|written| !written.is_empty()) else {
        return Ok(Some(Encryption::Here(names(text))));
    };
    match &written[0].key {
        // Java stumbles over its own null.
        None => Err(Refusal::new(
            500,
            "Failed to create producer/consumer: encryptionKeys.value is required",
        )),
        Some(Key { value: None, .. }) => Ok(Some(Encryption::Here(names(text)))),
        Some(_) => written
            .into_iter()
            .map(checked)
            .collect::<Result<_, _>>()
            .map(|keys| Some(Encryption::ByClient(keys)))
            .map_err(Refusal::invalid_params),
    }
}

fn checked(written: Written) -> Result<EncryptionKey, &'static str> {
    if is_blank(&written.name) {
        return Err("Empty param encryptionKeys.key");
    }
    let key = written.key.ok_or("Empty param encryptionKeys.value")?;
    Ok(EncryptionKey {
        name: trim(&written.name).to_owned(),
        value: key
            .value
            .ok_or("Empty param encryptionKeys.value.keyValue")?,
        metadata: key.metadata,
    })
}

/// `String.split`: what is empty at the end is no name; an empty text is one that is blank.
fn names(text: &str) -> Vec<String> {
    let mut names: Vec<String> = text.split(',').map(str::to_owned).collect();
    while names.len() > 1 && names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    names
}

/// The keys in their order; `None` if these bytes are something else.
fn read_keys(json: &[u8]) -> Option<Vec<Written>> {
    let mut members = ObjectReader::new(json).ok()??;
    let mut keys: Vec<Written> = Vec::new();
    while let Some((name, value)) = members.next().ok()? {
        let name = name.to_cow().into_owned();
        let key = match value {
            Value::Null => None,
            Value::Object(object) => Some(read_key(object.reader())?),
            _ => return None,
        };
        match keys.iter_mut().find(|other| other.name == name) {
            Some(other) => other.key = key,
            None => keys.push(Written { name, key }),
        }
    }
    Some(keys)
}

fn read_key(mut members: ObjectReader<'_>) -> Option<Key> {
    let mut key = Key::default();
    while let Some((name, value)) = members.next().ok()? {
        match (&*name.to_cow(), value) {
            ("keyValue", Value::Null) => key.value = None,
            ("keyValue", Value::String(text)) => {
                key.value = Some(base64::decode_vec(text.to_cow().as_bytes()).ok()?);
            }
            ("keyValue", _) => return None,
            ("metadata", Value::Null) => key.metadata.clear(),
            ("metadata", Value::Object(object)) => key.metadata = read_metadata(object.reader())?,
            ("metadata", _) => return None,
            _ => {}
        }
    }
    Some(key)
}

/// A null has no place in the metadata of a message.
fn read_metadata(mut members: ObjectReader<'_>) -> Option<Vec<(String, String)>> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    while let Some((name, value)) = members.next().ok()? {
        let name = name.to_cow().into_owned();
        let value = as_string(&value).ok()??.to_cow().into_owned();
        match pairs.iter_mut().find(|(other, _)| *other == name) {
            Some((_, old)) => *old = value,
            None => pairs.push((name, value)),
        }
    }
    Some(pairs)
}

/// `String.trim`.
fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_value(value: &str) -> Result<Option<Encryption>, Refusal> {
        let value = value.replace('+', "%2B");
        read(&Parameters::parse(&format!("encryptionKeys={value}")).unwrap())
    }

    fn of_json(json: &str) -> Result<Option<Encryption>, Refusal> {
        let mut text = Vec::new();
        base64::encode_append(json.as_bytes(), &mut text);
        read_value(std::str::from_utf8(&text).unwrap())
    }

    fn refused(json: &str) -> (u16, String) {
        let refusal = of_json(json).expect_err(json);
        (refusal.status, refusal.message)
    }

    fn here(names: &[&str]) -> Result<Option<Encryption>, Refusal> {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        Ok(Some(Encryption::Here(names)))
    }

    #[test]
    fn a_client_gives_its_keys() {
        let json = r#"{" a\u0062 ":{"keyValue":"AAEC","x":[1],"metadata":{"m":1,"n":"2","m":"3"}},
            "c":{"keyValue":"eA=="},"c":{"metadata":null,"keyValue":""}} and more"#;
        let keys = vec![
            EncryptionKey {
                name: "ab".to_owned(),
                value: vec![0, 1, 2],
                metadata: vec![
                    ("m".to_owned(), "3".to_owned()),
                    ("n".to_owned(), "2".to_owned()),
                ],
            },
            EncryptionKey {
                name: "c".to_owned(),
                value: Vec::new(),
                metadata: Vec::new(),
            },
        ];
        assert_eq!(of_json(json), Ok(Some(Encryption::ByClient(keys))));
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        let invalid = |text: &str| (400, format!("Invalid query params: {text}"));
        assert_eq!(
            refused(r#"{" ":{"keyValue":"AAAA"}}"#),
            invalid("Empty param encryptionKeys.key")
        );
        assert_eq!(
            refused(r#"{"a":{"keyValue":"AAAA"},"b":{"metadata":{}}}"#),
            invalid("Empty param encryptionKeys.value.keyValue")
        );
        assert_eq!(
            refused(r#"{"a":{"keyValue":"AAAA"},"b":null}"#),
            invalid("Empty param encryptionKeys.value")
        );
        assert_eq!(refused(r#"{"a":null}"#).0, 500);
    }

    #[test]
    fn everything_else_is_names() {
        assert_eq!(read(&Parameters::default()), Ok(None));
        assert_eq!(read_value("a,b,,"), here(&["a", "b"]));
        assert_eq!(read_value(""), here(&[""]));
        assert_eq!(read_value(",a"), here(&["", "a"]));
        for json in [
            "{}",
            "[1]",
            "5",
            "null",
            "{",
            r#"{"a":{}}"#,
            r#"{"a":{"keyValue":null},"b":{"keyValue":"AAAA"}}"#,
            r#"{"a":{"keyValue":"!"}}"#,
            r#"{"a":{"keyValue":1}}"#,
            r#"{"a":{"keyValue":"AAAA","metadata":{"m":{}}}}"#,
            r#"{"a":"AAAA"}"#,
        ] {
            let read = of_json(json);
            assert!(
                matches!(read, Ok(Some(Encryption::Here(_)))),
                "{json}: {read:?}"
            );
        }
    }
}
