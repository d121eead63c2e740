//! JSON as the Java service takes it: a pull reader over one object, lenient coercions, and an escaping writer.
//!
//! A client's message is one object with a handful of fields, most of its bytes in one base64 string. [`ObjectReader`] walks the object
//! once and hands out each field as a name and a [`Value`] that borrow from the message; nothing is allocated, copied or unescaped until
//! somebody asks. Nested objects and arrays are checked where they stand and read again only if the caller wants them.
//!
//! `benches/codec.rs` measures this form against two SIMD parsers, on a publish with payload, two properties and context:
//!
//! | payload | this reader | simd-json, reused tape | sonic-rs, lazy |
//! |---|---|---|---|
//! | 100 B | 145 ns | 120 ns | 275 ns |
//! | 1 KiB | 200 ns | 340 ns | 335 ns |
//! | 64 KiB | 4.2 us | 18 us | 4.8 us |
//!
//! simd-json is ahead on the smallest messages only, and loses what Java's answers need: it rewrites the message, forgets the source text
//! of numbers, and refuses text behind the object, so that a tolerant reader would have to stand beside it in any case.
//!
//! What is a well-formed object is decided by Jackson 2.17 with its default features, as the Java service runs it: text after the closing
//! brace is never looked at, duplicate names are the caller's to resolve (Jackson: the last wins), a byte order mark, comments, single
//! quotes, trailing commas, `NaN`, leading zeros and raw control characters are refused. `tests/data/json-jackson.txt` holds Jackson's
//! own answers. The input is UTF-8 in practice, as the WebSocket layer has checked it; other bytes become U+FFFD when text is asked for.
//!
//! | module | what |
//! |---|---|
//! | `cursor` | tokens, limits, and the walk over nested values |
//! | `plain` | a short way over members that are strings without escapes |
//! | [`Text`] | a string between its quotes, and its unescaping |
//! | [`coerce`] | what a value means where a string, a number or a boolean is expected |
//! | [`JsonError`] | our own sentences, ending in line and column |
//! | [`write_string`], [`write_str`] | quotes and escapes as Jackson writes them |

pub mod coerce;
mod cursor;
mod error;
mod plain;
mod scan;
mod text;
mod write;

#[cfg(test)]
mod tests;

use cursor::Cursor;

pub use coerce::CoerceError;
pub use error::{JsonError, JsonErrorKind};
pub use text::Text;
pub use write::{write_str, write_string};

/// A value, borrowed from the message.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number as it was written: `5.50`, `-0`, `1e3`.
    Number(&'a str),
    /// A string.
    String(Text<'a>),
    /// An object, already found well-formed.
    Object(Object<'a>),
    /// An array, already found well-formed.
    Array(Array<'a>),
}

/// A nested object, to be read if wanted.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    inside: Cursor<'a>,
    depth: usize,
}

impl<'a> Object<'a> {
    /// Reads the members one by one.
    #[must_use]
    pub fn reader(self) -> ObjectReader<'a> {
        ObjectReader {
            cursor: self.inside,
            depth: self.depth,
            state: State::Opened,
            value_at: self.inside.at(),
        }
    }
}

/// A nested array, to be read if wanted.
#[derive(Clone, Copy, Debug)]
pub struct Array<'a> {
    inside: Cursor<'a>,
    depth: usize,
}

impl<'a> Array<'a> {
    /// Reads the elements one by one.
    #[must_use]
    pub fn reader(self) -> ArrayReader<'a> {
        ArrayReader {
            cursor: self.inside,
            depth: self.depth,
            state: State::Opened,
            value_at: self.inside.at(),
        }
    }
}

/// Where a reader stands between two pulls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Behind the opening bracket.
    Opened,
    /// Behind a value.
    AfterValue,
    /// Behind the closing bracket.
    Closed,
}

/// Pulls the members of an object in the order they stand in.
///
/// Call [`next`](Self::next) until it answers `None`: only then is the object known to be whole. After an error there is nothing more to
/// read.
#[derive(Clone, Debug)]
pub struct ObjectReader<'a> {
    cursor: Cursor<'a>,
    /// How many brackets are open around the members, this object's included.
    depth: usize,
    state: State,
    /// Where the value handed out last begins.
    value_at: usize,
}

impl<'a> ObjectReader<'a> {
    /// Opens the object that `input` consists of, or answers `None` for the literal `null`.
    ///
    /// Whatever follows the object or the literal is not looked at.
    pub fn new(input: &'a [u8]) -> Result<Option<Self>, JsonError> {
        let mut cursor = Cursor::new(input);
        if cursor.skip_space() == Some(b'{') {
            cursor.step();
            return Ok(Some(Self {
                cursor,
                depth: 1,
                state: State::Opened,
                value_at: cursor.at(),
            }));
        }
        let start = cursor.at();
        let found = match cursor.root_value()? {
            Value::Null => return Ok(None),
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Object(_) | Value::Array(_) => "an array",
        };
        Err(cursor.error_at(start, JsonErrorKind::NotAnObject(found)))
    }

    /// The next member's name and value, or `None` behind the closing brace.
    #[expect(
        clippy::should_implement_trait,
        reason = "a fallible pull: `?` on each call reads better than an iterator of results"
    )]
    pub fn next(&mut self) -> Result<Option<(Text<'a>, Value<'a>)>, JsonError> {
        if !advance(
            &mut self.cursor,
            &mut self.state,
            b'}',
            "a comma or '}' after a member",
        )? {
            return Ok(None);
        }
        let mut cursor = self.cursor;
        let name = cursor.name()?;
        cursor.colon()?;
        cursor.skip_space();
        self.value_at = cursor.at();
        let value = cursor.value(self.depth)?;
        self.cursor = cursor;
        Ok(Some((name, value)))
    }

    /// Turns the refusal of the value handed out last into an error that tells its place.
    #[must_use]
    pub fn refuse(&self, why: CoerceError) -> JsonError {
        self.cursor
            .error_at(self.value_at, JsonErrorKind::Refused(why))
    }

    /// How many bytes of the input were read; behind the closing brace once [`next`](Self::next) has answered `None`.
    #[must_use]
    pub fn position(&self) -> usize {
        self.cursor.at()
    }
}

/// Pulls the elements of an array in order.
#[derive(Clone, Debug)]
pub struct ArrayReader<'a> {
    cursor: Cursor<'a>,
    /// How many brackets are open around the elements, this array's included.
    depth: usize,
    state: State,
    /// Where the element handed out last begins.
    value_at: usize,
}

impl<'a> ArrayReader<'a> {
    /// The next element, or `None` behind the closing bracket.
    #[expect(
        clippy::should_implement_trait,
        reason = "a fallible pull: `?` on each call reads better than an iterator of results"
    )]
    pub fn next(&mut self) -> Result<Option<Value<'a>>, JsonError> {
        if !advance(
            &mut self.cursor,
            &mut self.state,
            b']',
            "a comma or ']' after an element",
        )? {
            return Ok(None);
        }
        self.cursor.skip_space();
        self.value_at = self.cursor.at();
        Ok(Some(self.cursor.value(self.depth)?))
    }

    /// Turns the refusal of the element handed out last into an error that tells its place.
    #[must_use]
    pub fn refuse(&self, why: CoerceError) -> JsonError {
        self.cursor
            .error_at(self.value_at, JsonErrorKind::Refused(why))
    }
}

/// Steps over the comma before the next item, or over the closing bracket; tells whether an item must follow.
#[inline]
fn advance(
    cursor: &mut Cursor<'_>,
    state: &mut State,
    close: u8,
    wanted: &'static str,
) -> Result<bool, JsonError> {
    if *state == State::Closed {
        return Ok(false);
    }
    match cursor.skip_space() {
        Some(byte) if byte == close => {
            cursor.step();
            *state = State::Closed;
            Ok(false)
        }
        Some(b',') if *state == State::AfterValue => {
            cursor.step();
            Ok(true)
        }
        _ if *state == State::AfterValue => Err(cursor.unexpected(wanted)),
        _ => {
            *state = State::AfterValue;
            Ok(true)
        }
    }
}
