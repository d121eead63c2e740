//! Tokens: the grammar of RFC 8259 as Jackson's `ReaderBasedJsonParser` reads it, and Jackson's limits.

use super::{Array, JsonError, JsonErrorKind, Object, Text, Value, scan::find_special};

// The defaults of Jackson's `StreamReadConstraints`.
/// Brackets open at once, the message's own included.
const MAX_DEPTH: usize = 1000;
/// Digits of a number, those of its exponent included.
pub(super) const MAX_NUMBER_LEN: usize = 1000;
/// Characters of a member's name.
pub(super) const MAX_NAME_LEN: usize = 50_000;
/// Characters of a string.
pub(super) const MAX_STRING_LEN: usize = 20_000_000;
/// Bytes of an unrecognized token that an error repeats.
const MAX_TOKEN_SHOWN: usize = 256;

/// A place in the message; everything before it is well-formed.
///
/// The methods of every token are inlined and change the cursor; the others take it by value and answer with a place. So nothing ever
/// needs the cursor's address, and a reader's loop keeps it in registers, which halved the time of short messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    input: &'a [u8],
    /// At most the length of `input`.
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Goes to where `rest`, an end of the message, begins.
    #[inline(always)]
    pub(super) fn go_to(&mut self, rest: &'a [u8]) {
        self.at = self.input.len() - rest.len();
    }

    /// Goes over the byte that [`skip_space`](Self::skip_space) has just shown.
    #[inline(always)]
    pub(super) fn step(&mut self) {
        self.at += 1;
    }

    /// The next byte that is no white space, which stays unread; `None` at the end.
    #[inline(always)]
    pub(super) fn skip_space(&mut self) -> Option<u8> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other,
            }
        }
    }

    /// A member's name.
    #[inline(always)]
    pub(super) fn name(&mut self) -> Result<Text<'a>, JsonError> {
        if self.skip_space() != Some(b'"') {
            return Err(self.unexpected("a field name in double quotes"));
        }
        let start = self.at;
        let name = self.text()?;
        if name.longer_than(MAX_NAME_LEN) {
            return Err(self.error_at(start, JsonErrorKind::NameTooLong(MAX_NAME_LEN)));
        }
        Ok(name)
    }

    /// The colon behind a name.
    #[inline(always)]
    pub(super) fn colon(&mut self) -> Result<(), JsonError> {
        if self.skip_space() != Some(b':') {
            return Err(self.unexpected("a colon after the field name"));
        }
        self.step();
        Ok(())
    }

    /// A value inside `depth` open brackets; nested ones are walked to their end.
    #[inline(always)]
    pub(super) fn value(&mut self, depth: usize) -> Result<Value<'a>, JsonError> {
        match self.skip_space() {
            Some(open @ (b'{' | b'[')) => {
                let mut inside = *self;
                inside.step();
                self.at = self.walk_nested(depth)?;
                let depth = depth + 1;
                Ok(if open == b'{' {
                    Value::Object(Object { inside, depth })
                } else {
                    Value::Array(Array { inside, depth })
                })
            }
            _ => self.scalar(),
        }
    }

    /// The value a message consists of, where it is no object: an array is not looked into, as its bracket alone decides.
    pub(super) fn root_value(&mut self) -> Result<Value<'a>, JsonError> {
        if self.skip_space() == Some(b'[') {
            self.step();
            return Ok(Value::Array(Array {
                inside: *self,
                depth: 1,
            }));
        }
        self.scalar()
    }

    /// An error about the next byte, or about the end of the message.
    #[cold]
    pub(super) fn unexpected(self, wanted: &'static str) -> JsonError {
        let kind = match self.next_char() {
            Some(found) => JsonErrorKind::UnexpectedCharacter(found, wanted),
            None => JsonErrorKind::UnexpectedEnd(wanted),
        };
        self.error_at(self.at, kind)
    }

    #[cold]
    pub(super) fn error_at(self, at: usize, kind: JsonErrorKind) -> JsonError {
        JsonError::new(self.input, at, kind)
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    #[inline(always)]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    /// The next character, U+FFFD if it is none.
    fn next_char(self) -> Option<char> {
        let rest = self.rest();
        String::from_utf8_lossy(rest.get(..4).unwrap_or(rest))
            .chars()
            .next()
    }

    #[inline(always)]
    fn scalar(&mut self) -> Result<Value<'a>, JsonError> {
        if self.skip_space() == Some(b'"') {
            return self.text().map(Value::String);
        }
        let (value, end) = self.number_or_word()?;
        self.at = end;
        Ok(value)
    }

    /// A value that begins with the next byte and is none of the others, with the place where it ends.
    #[inline(never)]
    fn number_or_word(self) -> Result<(Value<'a>, usize), JsonError> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true", Value::Bool(true)),
            Some(b'f') => self.word(b"false", Value::Bool(false)),
            Some(b'n') => self.word(b"null", Value::Null),
            Some(byte)
                if is_word_byte(byte) && self.next_char().is_some_and(char::is_alphanumeric) =>
            {
                Err(self.unrecognized_token())
            }
            _ => Err(self.unexpected("a JSON value")),
        }
    }

    /// A string, whose opening quote is the next byte.
    #[inline(always)]
    fn text(&mut self) -> Result<Text<'a>, JsonError> {
        let start = self.at + 1;
        let mut escaped = false;
        self.at = start;
        loop {
            self.at += find_special(self.rest());
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at = self.escape()?;
                }
                Some(control) => {
                    return Err(self.error_at(self.at, JsonErrorKind::ControlCharacter(control)));
                }
                None => return Err(self.unexpected("the closing quote of a string")),
            }
        }
        let text = Text::new(self.input.get(start..self.at).unwrap_or_default(), escaped);
        self.at += 1;
        if text.longer_than(MAX_STRING_LEN) {
            return Err(self.error_at(start, JsonErrorKind::StringTooLong(MAX_STRING_LEN)));
        }
        Ok(text)
    }

    /// Where an escape ends, whose backslash is the next byte.
    fn escape(mut self) -> Result<usize, JsonError> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.unexpected("four hex digits in an escape"));
                    }
                    self.at += 1;
                }
            }
            Some(_) => {
                let found = self.next_char().unwrap_or(char::REPLACEMENT_CHARACTER);
                return Err(self.error_at(self.at, JsonErrorKind::UnknownEscape(found)));
            }
            None => return Err(self.unexpected("the rest of an escape")),
        }
        Ok(self.at)
    }

    /// A number, whose sign or first digit is the next byte. What follows it is the caller's to judge.
    fn number(mut self) -> Result<(Value<'a>, usize), JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leading_zero = self.peek() == Some(b'0');
        let mut digits = self.digits()?;
        if leading_zero && digits > 1 {
            return Err(self.error_at(start, JsonErrorKind::LeadingZero));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            digits += self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            digits += self.digits()?;
        }
        if digits > MAX_NUMBER_LEN {
            return Err(self.error_at(start, JsonErrorKind::NumberTooLong(MAX_NUMBER_LEN)));
        }
        // Only ASCII was let through.
        let number = self
            .input
            .get(start..self.at)
            .and_then(|number| str::from_utf8(number).ok());
        Ok((Value::Number(number.unwrap_or_default()), self.at))
    }

    /// Goes over one or more digits and tells how many.
    fn digits(&mut self) -> Result<usize, JsonError> {
        let digits = self
            .rest()
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if digits == 0 {
            return Err(self.unexpected("a digit"));
        }
        self.at += digits;
        Ok(digits)
    }

    /// One of the three words.
    fn word(self, word: &[u8], value: Value<'a>) -> Result<(Value<'a>, usize), JsonError> {
        match self.rest().strip_prefix(word) {
            // `_checkMatchEnd`: a dollar sign is let through, being less than '0'.
            Some(after) if !after.first().is_some_and(|&byte| is_word_byte(byte)) => {
                Ok((value, self.at + word.len()))
            }
            _ => Err(self.unrecognized_token()),
        }
    }

    /// The place is behind the token, as with Jackson.
    #[cold]
    fn unrecognized_token(self) -> JsonError {
        let rest = self.rest();
        let len = rest
            .iter()
            .take_while(|&&byte| is_word_byte(byte) || byte == b'$')
            .count();
        let shown = rest.get(..len.min(MAX_TOKEN_SHOWN)).unwrap_or_default();
        let token = String::from_utf8_lossy(shown).into_owned().into_boxed_str();
        self.error_at(self.at + len, JsonErrorKind::UnrecognizedToken(token))
    }

    /// Where an object or array ends, whose opening bracket is the next byte, inside `depth` open ones.
    #[inline(never)]
    fn walk_nested(mut self, depth: usize) -> Result<usize, JsonError> {
        let mut open = OpenBrackets::new(depth);
        let mut place = Place::Next;
        loop {
            let next = self.skip_space();
            let object = open.innermost_is_object();
            let close = if object == Some(true) { b'}' } else { b']' };
            if place != Place::Next && next == Some(close) {
                self.step();
                open.pop();
                place = Place::After;
            } else if place == Place::After {
                if next != Some(b',') {
                    return Err(self.unexpected("a comma or a closing bracket after a value"));
                }
                self.step();
                place = Place::Next;
            } else {
                if object == Some(true) {
                    self.name()?;
                    self.colon()?;
                }
                if let Some(bracket @ (b'{' | b'[')) = self.skip_space() {
                    if !open.push(bracket == b'{') {
                        return Err(self.error_at(self.at, JsonErrorKind::NestedTooDeep(MAX_DEPTH)));
                    }
                    self.step();
                    place = Place::First;
                } else {
                    self.scalar()?;
                    place = Place::After;
                }
            }
            if open.is_empty() {
                return Ok(self.at);
            }
        }
    }
}

/// Where [`Cursor::walk_nested`] stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Behind an opening bracket: an item or the closing one.
    First,
    /// Behind a comma, or before the outermost bracket: an item.
    Next,
    /// Behind an item: a comma or the closing bracket.
    After,
}

/// The brackets a walk has opened, one bit each: set for an object.
struct OpenBrackets {
    objects: [u64; MAX_DEPTH.div_ceil(64)],
    len: usize,
    /// At most `MAX_DEPTH`: what the brackets around the walk leave.
    max: usize,
}

impl OpenBrackets {
    fn new(around: usize) -> Self {
        Self {
            objects: [0; MAX_DEPTH.div_ceil(64)],
            len: 0,
            max: MAX_DEPTH.saturating_sub(around),
        }
    }

    /// Answers `false` where there is no room.
    fn push(&mut self, object: bool) -> bool {
        if self.len == self.max {
            return false;
        }
        let bit = 1 << (self.len % 64);
        if object {
            self.objects[self.len / 64] |= bit;
        } else {
            self.objects[self.len / 64] &= !bit;
        }
        self.len += 1;
        true
    }

    fn pop(&mut self) {
        self.len = self.len.saturating_sub(1);
    }

    fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn innermost_is_object(&self) -> Option<bool> {
        let last = self.len.checked_sub(1)?;
        Some(self.objects[last / 64] >> (last % 64) & 1 == 1)
    }
}

/// Whether a byte continues a word; all of non-ASCII counts.
fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x7f
}
