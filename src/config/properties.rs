//! The syntax of `java.util.Properties`, as `load(InputStream)` reads it.
//!
//! Written here because the files in use were written for Java: bytes are ISO-8859-1, a comment may
//! hold any backslash, escapes name UTF-16 units, and each property must know its line so that an
//! error can name it. Knows no key.

/// One `key=value`, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Property {
    /// Line on which the key stands, from 1.
    pub(super) line: usize,
    /// The key, escapes resolved.
    pub(super) key: String,
    /// The value, escapes resolved, trailing blanks kept.
    pub(super) value: String,
}

/// An escape that Java refuses as well: `\u` without four hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadEscape {
    /// Line on which its logical line begins, from 1.
    pub(super) line: usize,
}

/// Reads a whole file.
///
/// # Errors
/// The first broken `\uXXXX`.
pub(super) fn parse(file: &[u8]) -> Result<Vec<Property>, BadEscape> {
    let mut properties = Vec::new();
    let mut lines = Lines {
        rest: file,
        line: 0,
    };
    let mut logical = Vec::new();
    while let Some(first) = lines.next() {
        let first = trim_start(first);
        if matches!(first, [] | [b'#' | b'!', ..]) {
            continue;
        }
        let line = lines.line;
        if first == b"\\" {
            // Nothing to go on with: the next line begins anew, and may be a comment.
            continue;
        }
        join_continuations(first, &mut lines, &mut logical);
        properties.push(split(&logical, line)?);
    }
    Ok(properties)
}

/// Lines as written, ended by LF, CR or CRLF.
struct Lines<'a> {
    rest: &'a [u8],
    line: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.line += 1;
        let end = memchr::memchr2(b'\n', b'\r', self.rest).unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(end);
        self.rest = match rest {
            [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
            [] => rest,
        };
        Some(line)
    }
}

/// A line that ends in an odd number of backslashes goes on in the next one, whose leading blanks
/// don't count; a comment sign there is text.
fn join_continuations(first: &[u8], lines: &mut Lines<'_>, logical: &mut Vec<u8>) {
    logical.clear();
    let mut part = first;
    loop {
        logical.extend_from_slice(part);
        let backslashes = part.iter().rev().take_while(|&&byte| byte == b'\\').count();
        if backslashes % 2 == 0 {
            return;
        }
        logical.pop();
        match lines.next() {
            Some(next) => part = trim_start(next),
            None => return,
        }
    }
}

/// The key ends at the first blank, `=` or `:` that is not escaped; around one such sign blanks
/// don't count.
fn split(logical: &[u8], line: usize) -> Result<Property, BadEscape> {
    let mut key_end = 0;
    while let Some(&byte) = logical.get(key_end) {
        match byte {
            b'\\' => key_end += 2,
            b'=' | b':' | b' ' | b'\t' | b'\x0c' => break,
            _ => key_end += 1,
        }
    }
    let (key, rest) = logical.split_at(key_end.min(logical.len()));
    let value = match trim_start(rest) {
        [b'=' | b':', value @ ..] => trim_start(value),
        value => value,
    };
    Ok(Property {
        line,
        key: unescape(key).ok_or(BadEscape { line })?,
        value: unescape(value).ok_or(BadEscape { line })?,
    })
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    let blanks = bytes
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\x0c'))
        .count();
    &bytes[blanks..]
}

/// Works on UTF-16 units as Java does, so that a pair of surrogates makes one character.
fn unescape(escaped: &[u8]) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'\\' {
            units.push(u16::from(*byte));
            continue;
        }
        let [escape, after @ ..] = rest else { break };
        rest = after;
        units.push(match escape {
            b't' => u16::from(b'\t'),
            b'n' => u16::from(b'\n'),
            b'r' => u16::from(b'\r'),
            b'f' => 0x0c,
            b'u' => {
                let (digits, after) = rest.split_at_checked(4)?;
                rest = after;
                digits.iter().try_fold(0, |unit, &digit| {
                    let digit = char::from(digit).to_digit(16)?;
                    Some(unit << 4 | u16::try_from(digit).ok()?)
                })?
            }
            other => u16::from(*other),
        });
    }
    Some(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(file: &[u8]) -> Vec<(usize, String, String)> {
        parse(file)
            .unwrap()
            .into_iter()
            .map(|property| (property.line, property.key, property.value))
            .collect()
    }

    fn one(file: &[u8]) -> (String, String) {
        let mut all = pairs(file);
        assert_eq!(all.len(), 1, "{all:?}");
        let (_, key, value) = all.remove(0);
        (key, value)
    }

    #[test]
    fn separators() {
        for file in [
            "a=b",
            "a:b",
            "a b",
            "a = b",
            "a\t:\tb",
            " \x0c a  b",
            "a=b\n",
            "a=b\r\n",
            "a=b\r",
        ] {
            assert_eq!(one(file.as_bytes()), ("a".into(), "b".into()), "{file:?}");
        }
        assert_eq!(one(b"a==b"), ("a".into(), "=b".into()));
        assert_eq!(one(b"a : = b"), ("a".into(), "= b".into()));
        assert_eq!(one(b"a"), ("a".into(), String::new()));
        assert_eq!(one(b"=b"), (String::new(), "b".into()));
        assert_eq!(one(b"a=b  "), ("a".into(), "b  ".into()));
        assert_eq!(
            one(b"url=pulsar://h:1,i:2"),
            ("url".into(), "pulsar://h:1,i:2".into())
        );
    }

    #[test]
    fn comments_and_blank_lines() {
        assert_eq!(pairs(b"# a=b\n  ! c\n\n \t\r\n"), []);
        assert_eq!(pairs(b""), []);
        // A comment does not go on in the next line, and its backslashes mean nothing.
        assert_eq!(pairs(b"# C:\\users\\\na=b"), [(2, "a".into(), "b".into())]);
    }

    #[test]
    fn continuations() {
        assert_eq!(one(b"a=b\\\n   c\\\r\n\td"), ("a".into(), "bcd".into()));
        assert_eq!(one(b"a=b\\\n#c"), ("a".into(), "b#c".into()));
        assert_eq!(
            pairs(b"a=b\\\\\nc=d"),
            [(1, "a".into(), "b\\".into()), (2, "c".into(), "d".into())]
        );
        assert_eq!(
            pairs(b"a=b\\\n\nc=d"),
            [(1, "a".into(), "b".into()), (3, "c".into(), "d".into())]
        );
        assert_eq!(one(b"a=b\\"), ("a".into(), "b".into()));
        assert_eq!(one(b"\\\n#c\n\\\n\n\\\na=b"), ("a".into(), "b".into()));
    }

    #[test]
    fn escapes() {
        assert_eq!(one(b"a\\=\\:\\ b=c"), ("a=: b".into(), "c".into()));
        assert_eq!(
            one(b"a=\\t\\n\\r\\f\\q\\\\"),
            ("a".into(), "\t\n\r\x0cq\\".into())
        );
        assert_eq!(one(b"a=\\u00e4\\uD83D\\ude00"), ("a".into(), "ä😀".into()));
        assert_eq!(one(b"a=\xe4\x80"), ("a".into(), "ä\u{80}".into()));
        for broken in ["a=\\u12", "a=\\u12g4", "\\u=b", "a=\\u+123"] {
            assert_eq!(
                parse(format!("\n{broken}").as_bytes()),
                Err(BadEscape { line: 2 })
            );
        }
    }

    proptest! {
        #[test]
        fn reads_anything(file in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&file);
        }

        #[test]
        fn reads_what_was_escaped(key in "[ -~]{1,20}", value in "[ -~]{0,20}") {
            let escape = |text: &str| text.chars().flat_map(|c| {
                let unit = u32::from(c);
                format!("\\u{unit:04x}").chars().collect::<Vec<_>>()
            }).collect::<String>();
            let file = format!("{}={}", escape(&key), escape(&value));
            prop_assert_eq!(one(file.as_bytes()), (key, value));
        }
    }
}
