//! A short way over what nearly every message consists of: strings without escapes, with at most a space before them.
//!
//! What it declines is no mistake. The reader stays where it was, and [`ObjectReader::next`] judges.

use super::{
    ObjectReader, State, Text,
    cursor::{MAX_NAME_LEN, MAX_STRING_LEN},
    scan::find_special,
};

impl<'a> ObjectReader<'a> {
    /// The next member's name and text, if they are such strings.
    #[inline(always)]
    pub fn next_plain(&mut self) -> Option<(&'a [u8], Text<'a>)> {
        let (name, value) = self.next_name()?;
        let (text, rest) = string(value, MAX_STRING_LEN)?;
        self.step_behind(value, rest);
        Some((name, Text::new(text, false)))
    }

    /// Goes over the next member, if that is its name and an object of such strings is its value, all in ASCII. Each name
    /// and text is told on the way, maybe some in vain.
    #[inline]
    pub fn next_plain_object(&mut self, name: &[u8], mut tell: impl FnMut(&[u8], &[u8])) -> bool {
        let Some((found, value)) = self.next_name() else {
            return false;
        };
        let [b'{', inside @ ..] = value else {
            return false;
        };
        if found != name {
            return false;
        }
        let mut members = self.clone();
        members.state = State::Opened;
        members.cursor.go_to(inside);
        while let Some((name, text)) = members.next_plain() {
            tell(name, text.raw());
        }
        let [b'}', rest @ ..] = members.cursor.rest() else {
            return false;
        };
        let is_ascii = value[..value.len() - rest.len()].is_ascii();
        if is_ascii {
            self.step_behind(value, rest);
        }
        is_ascii
    }

    /// The next member's name, and what begins with its value.
    #[inline(always)]
    fn next_name(&self) -> Option<(&'a [u8], &'a [u8])> {
        let member = match (self.state, self.cursor.rest()) {
            (State::AfterValue, [b',', rest @ ..]) | (State::Opened, rest) => rest,
            (State::AfterValue | State::Closed, _) => return None,
        };
        let (name, rest) = string(without_space(member), MAX_NAME_LEN)?;
        let [b':', value @ ..] = rest else {
            return None;
        };
        Some((name, without_space(value)))
    }

    #[inline(always)]
    fn step_behind(&mut self, value: &'a [u8], rest: &'a [u8]) {
        self.cursor.go_to(value);
        self.value_at = self.cursor.at();
        self.cursor.go_to(rest);
        self.state = State::AfterValue;
    }
}

#[inline(always)]
fn without_space(bytes: &[u8]) -> &[u8] {
    match bytes {
        [b' ', rest @ ..] => rest,
        _ => bytes,
    }
}

/// The string with which `bytes` begin, of at most so many bytes, and what follows it.
#[inline(always)]
fn string(bytes: &[u8], len_max: usize) -> Option<(&[u8], &[u8])> {
    let [b'"', inside @ ..] = bytes else {
        return None;
    };
    match inside.split_at_checked(find_special(inside)) {
        Some((text, [b'"', rest @ ..])) if text.len() <= len_max => Some((text, rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::json::Value;

    /// All members, by the short way where it goes.
    fn short(input: &[u8]) -> Option<Vec<(String, String)>> {
        let mut reader = ObjectReader::new(input).ok()??;
        let mut members = Vec::new();
        loop {
            while let Some((name, text)) = reader.next_plain() {
                let name = String::from_utf8_lossy(name).into_owned();
                members.push((name, format!("{:?} at {}", text.to_cow(), reader.value_at)));
            }
            let mut told = Vec::new();
            if reader.next_plain_object(b"p", |name, text| {
                told.push((name.to_vec(), text.to_vec()));
            }) {
                let told = told.iter().map(|(name, text)| {
                    [name, text].map(|text| String::from_utf8_lossy(text).into_owned())
                });
                let told: Vec<_> = told.collect();
                members.push(("p".into(), format!("{told:?} at {}", reader.value_at)));
                continue;
            }
            match reader.next().ok()? {
                Some((name, value)) => members.push(shown(&reader, name, value)?),
                None => return Some(members),
            }
        }
    }

    /// All members, by the long way.
    fn long(input: &[u8]) -> Option<Vec<(String, String)>> {
        let mut reader = ObjectReader::new(input).ok()??;
        let mut members = Vec::new();
        while let Some((name, value)) = reader.next().ok()? {
            members.push(shown(&reader, name, value)?);
        }
        Some(members)
    }

    /// An object of strings as its strings, and anything else as it is.
    fn shown(
        reader: &ObjectReader<'_>,
        name: Text<'_>,
        value: Value<'_>,
    ) -> Option<(String, String)> {
        let value = match value {
            Value::String(text) => format!("{:?}", text.to_cow()),
            Value::Object(object) => {
                let mut members = object.reader();
                let mut pairs = Vec::new();
                let mut others = 0;
                while let Some((name, value)) = members.next().ok()? {
                    match value {
                        Value::String(text) => {
                            pairs.push([name, text].map(|text| text.to_cow().into_owned()));
                        }
                        _ => others += 1,
                    }
                }
                format!("{pairs:?}{}", "?".repeat(others))
            }
            other => format!("{other:?}"),
        };
        let name = name.to_cow().into_owned();
        Some((name, format!("{value} at {}", reader.value_at)))
    }

    #[test]
    fn usual_members_need_no_other_way() {
        let text = br#"{"payload":"aGk=", "p": {"a":"1", "b": ""},"context": "7"}"#;
        let mut reader = ObjectReader::new(text).unwrap().unwrap();
        let (name, payload) = reader.next_plain().unwrap();
        assert_eq!((name, payload.plain()), (&b"payload"[..], Some("aGk=")));
        assert!(reader.next_plain().is_none());
        let mut told = Vec::new();
        assert!(
            reader.next_plain_object(b"p", |name, text| told.push([name.to_vec(), text.to_vec()]))
        );
        assert_eq!(told, [[&b"a"[..], b"1"], [b"b", b""]]);
        assert_eq!(reader.next_plain().unwrap().0, b"context");
        assert!(reader.next_plain().is_none());
        assert!(reader.next().unwrap().is_none());
        assert_eq!(short(text), long(text));
    }

    #[test]
    fn what_is_declined_leaves_the_reader_where_it_was() {
        for text in [
            r#"{"a":"\n"}"#,
            r#"{"\u0061":"b"}"#,
            r#"{"a":1}"#,
            r#"{"a"  :"b"}"#,
            r#"{"p":{"a":1}}"#,
            r#"{"p":{"a":"b",}}"#,
            r#"{"p":{"a":"é"}}"#,
            r#"{"q":{"a":"b"}}"#,
            r#"{"a":"b""#,
            r#"{}"#,
        ] {
            let mut reader = ObjectReader::new(text.as_bytes()).unwrap().unwrap();
            let before = reader.position();
            let is_plain = reader.next_plain().is_some();
            assert_eq!(is_plain, text == r#"{"a":"b""#, "{text}");
            assert!(!reader.next_plain_object(b"p", |_, _| {}), "{text}");
            assert_eq!(reader.position() == before, !is_plain, "{text}");
            assert_eq!(short(text.as_bytes()), long(text.as_bytes()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn both_ways_read_the_same(
            text in r#"\{ ?("[ap]" ?:? ?("[a-d\\né]{0,3}"|1|null|\{("[ab]" ?: ?("[a-dé]{0,20}"|2),? ?){0,3}\}),? ?){0,4}\}?"#
        ) {
            prop_assert_eq!(short(text.as_bytes()), long(text.as_bytes()));
        }
    }
}
