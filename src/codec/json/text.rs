//! A string between its quotes.

use std::borrow::Cow;

use super::scan::find_special;

/// A string of a message, escapes and all; every escape in it is well-formed.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> Text<'a> {
    pub(super) fn new(raw: &'a [u8], escaped: bool) -> Self {
        Self { raw, escaped }
    }

    /// What stands between the quotes.
    pub(super) fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The string itself, unless it has escapes or is no UTF-8: then [`unescape_append`](Self::unescape_append) makes text of it.
    #[must_use]
    pub fn plain(&self) -> Option<&'a str> {
        self.plain_bytes()
            .and_then(|bytes| simdutf8::basic::from_utf8(bytes).ok())
    }

    /// The string's bytes, unless it has escapes. Cheaper than [`plain`](Self::plain), for what is checked anyway: base64, known names.
    #[must_use]
    pub fn plain_bytes(&self) -> Option<&'a [u8]> {
        (!self.escaped).then_some(self.raw)
    }

    /// Whether the string, unescaped, is `expected`.
    #[must_use]
    pub fn is(&self, expected: &str) -> bool {
        match self.plain_bytes() {
            Some(bytes) => bytes == expected.as_bytes(),
            None => self.to_cow() == expected,
        }
    }

    /// The string, unescaped; allocates only where [`plain`](Self::plain) has no answer.
    #[must_use]
    pub fn to_cow(&self) -> Cow<'a, str> {
        match self.plain() {
            Some(plain) => Cow::Borrowed(plain),
            None => {
                let mut text = Vec::new();
                self.unescape_append(&mut text);
                Cow::Owned(String::from_utf8(text).unwrap_or_default())
            }
        }
    }

    /// The most bytes that [`unescape_append`](Self::unescape_append) appends for a string in UTF-8: no escape is shorter than its text.
    #[must_use]
    pub fn max_len(&self) -> usize {
        self.raw.len()
    }

    /// Appends the string, unescaped, in valid UTF-8.
    ///
    /// A surrogate escape without its other half becomes `?`, as `String.getBytes` has it; bytes that are no UTF-8 become U+FFFD.
    pub fn unescape_append(&self, dst: &mut Vec<u8>) {
        dst.reserve(self.raw.len());
        if let Some(plain) = self.plain() {
            dst.extend_from_slice(plain.as_bytes());
            return;
        }
        let mut rest = self.raw;
        loop {
            let (run, escape) = rest.split_at(find_special(rest));
            match simdutf8::basic::from_utf8(run) {
                Ok(text) => dst.extend_from_slice(text.as_bytes()),
                Err(_) => dst.extend_from_slice(String::from_utf8_lossy(run).as_bytes()),
            }
            let [_, kind, after @ ..] = escape else {
                return;
            };
            rest = match kind {
                b'b' => push(dst, 0x08, after),
                b'f' => push(dst, 0x0c, after),
                b'n' => push(dst, b'\n', after),
                b'r' => push(dst, b'\r', after),
                b't' => push(dst, b'\t', after),
                b'u' => unescape_unicode(after, dst),
                same => push(dst, *same, after),
            };
        }
    }

    /// Whether the string has more than `max` UTF-16 units, an escape counting as the one it stands for.
    #[inline]
    pub(super) fn longer_than(&self, max: usize) -> bool {
        self.raw.len() > max && self.units() > max
    }

    #[cold]
    fn units(&self) -> usize {
        self.to_cow().encode_utf16().count()
    }
}

impl<'a> From<&'a str> for Text<'a> {
    /// Takes `plain` as it is: the source text of a number or a word.
    fn from(plain: &'a str) -> Self {
        Self {
            raw: plain.as_bytes(),
            escaped: false,
        }
    }
}

fn push<'a>(dst: &mut Vec<u8>, byte: u8, after: &'a [u8]) -> &'a [u8] {
    dst.push(byte);
    after
}

/// Appends the character whose four hex digits begin `digits`, its second half included, and gives what follows.
fn unescape_unicode<'a>(digits: &'a [u8], dst: &mut Vec<u8>) -> &'a [u8] {
    let (unit, mut rest) = unit(digits);
    let mut character = char::from_u32(u32::from(unit));
    if let (0xd800..0xdc00, [b'\\', b'u', second @ ..]) = (unit, rest)
        && let (low @ 0xdc00..0xe000, after) = self::unit(second)
    {
        character = char::decode_utf16([unit, low]).next().and_then(Result::ok);
        rest = after;
    }
    let text = character.unwrap_or('?');
    dst.extend_from_slice(text.encode_utf8(&mut [0; 4]).as_bytes());
    rest
}

/// The UTF-16 unit that four hex digits name.
fn unit(digits: &[u8]) -> (u16, &[u8]) {
    let (hex, rest) = digits.split_at_checked(4).unwrap_or((digits, &[]));
    let digit = |byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .and_then(|digit| u16::try_from(digit).ok())
            .unwrap_or_default()
    };
    (
        hex.iter().fold(0, |unit, byte| unit << 4 | digit(byte)),
        rest,
    )
}
