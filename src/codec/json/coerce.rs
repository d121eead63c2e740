//! What a value means where a string, a number or a boolean is expected: Jackson's lenient deserializers.
//!
//! `StringDeserializer` takes any scalar by its source text. `NumberDeserializers` take numeric strings, blank ones and `"null"` as
//! absent, and cut decimals. A refusal is a [`CoerceError`]; [`ObjectReader::refuse`](super::ObjectReader::refuse) adds the place.

use std::fmt;

use super::{Text, Value, cursor::MAX_NUMBER_LEN};

/// A value of a wrong type, or out of range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoerceError {
    wanted: &'static str,
    found: Found,
}

/// What stood there instead.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    Kind(&'static str),
    Text(Box<str>),
    OutOfRange(Box<str>),
}

/// Characters of a refused value that an error repeats.
const MAX_SHOWN: usize = 64;

impl fmt::Display for CoerceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Found::Kind(kind) => write!(f, "Expected {}, found {kind}", self.wanted),
            Found::Text(text) => write!(f, "Expected {}, found \"{text}\"", self.wanted),
            Found::OutOfRange(text) => write!(f, "Value {text} out of range for {}", self.wanted),
        }
    }
}

impl std::error::Error for CoerceError {}

impl CoerceError {
    /// For the caller's own types: `value` where `wanted` (with its article) was expected.
    #[must_use]
    pub fn new(wanted: &'static str, value: &Value<'_>) -> Self {
        let found = match value {
            Value::Null => Found::Kind("null"),
            Value::Bool(_) => Found::Kind("a boolean"),
            Value::Number(number) => Found::Text(shorten(number)),
            Value::String(text) => Found::Text(shorten(&text.to_cow())),
            Value::Object(_) => Found::Kind("an object"),
            Value::Array(_) => Found::Kind("an array"),
        };
        Self { wanted, found }
    }

    fn out_of_range(wanted: &'static str, number: &str) -> Self {
        Self {
            wanted,
            found: Found::OutOfRange(shorten(number)),
        }
    }
}

fn shorten(text: &str) -> Box<str> {
    text.chars()
        .take(MAX_SHOWN)
        .collect::<String>()
        .into_boxed_str()
}

/// A string; numbers and booleans as they were written, `None` for null.
pub fn as_string<'a>(value: &Value<'a>) -> Result<Option<Text<'a>>, CoerceError> {
    match *value {
        Value::Null => Ok(None),
        Value::Bool(true) => Ok(Some(Text::from("true"))),
        Value::Bool(false) => Ok(Some(Text::from("false"))),
        Value::Number(number) => Ok(Some(Text::from(number))),
        Value::String(text) => Ok(Some(text)),
        Value::Object(_) | Value::Array(_) => Err(CoerceError::new("a string", value)),
    }
}

/// A Java `long`; null and blank strings are 0.
pub fn as_long(value: &Value<'_>) -> Result<i64, CoerceError> {
    integer(value, "a 64-bit integer", i64::MIN, i64::MAX).map(Option::unwrap_or_default)
}

/// A Java `Integer`; `None` for null and blank strings, which Java takes as 0 where it has an `int`.
pub fn as_int(value: &Value<'_>) -> Result<Option<i32>, CoerceError> {
    const WANTED: &str = "a 32-bit integer";
    let Some(long) = integer(value, WANTED, i32::MIN.into(), i32::MAX.into())? else {
        return Ok(None);
    };
    i32::try_from(long)
        .map(Some)
        .map_err(|_| CoerceError::out_of_range(WANTED, &long.to_string()))
}

/// A Java `boolean`; null and blank strings are `false`, an integer is whether it is not 0.
pub fn as_bool(value: &Value<'_>) -> Result<bool, CoerceError> {
    let refused = || CoerceError::new("a boolean", value);
    match *value {
        Value::Null => Ok(false),
        Value::Bool(truth) => Ok(truth),
        Value::Number(number) if is_integer(number) => {
            Ok(number.bytes().any(|byte| (b'1'..=b'9').contains(&byte)))
        }
        Value::String(text) => match trim(&text.to_cow()) {
            "" | "null" | "false" | "False" | "FALSE" => Ok(false),
            "true" | "True" | "TRUE" => Ok(true),
            _ => Err(refused()),
        },
        _ => Err(refused()),
    }
}

/// An integer between two bounds, or `None` for null and its equivalents. Decimals are compared as doubles, as Jackson does.
#[allow(
    clippy::cast_precision_loss,
    reason = "Jackson compares decimals to the bounds as doubles, too"
)]
fn integer(
    value: &Value<'_>,
    wanted: &'static str,
    min: i64,
    max: i64,
) -> Result<Option<i64>, CoerceError> {
    let bounded = |number: &str| match number.parse() {
        Ok(long) if (min..=max).contains(&long) => Ok(Some(long)),
        _ => Err(CoerceError::out_of_range(wanted, number)),
    };
    match *value {
        Value::Null => Ok(None),
        Value::Number(number) if is_integer(number) => bounded(number),
        Value::Number(number) => match number.parse::<f64>() {
            #[allow(
                clippy::cast_possible_truncation,
                reason = "cutting the fraction is what Java's cast does; the range is checked"
            )]
            Ok(double) if double >= min as f64 && double <= max as f64 => Ok(Some(double as i64)),
            _ => Err(CoerceError::out_of_range(wanted, number)),
        },
        Value::String(text) => match trim(&text.to_cow()) {
            "" | "null" => Ok(None),
            digits if digits.len() > MAX_NUMBER_LEN => {
                Err(CoerceError::out_of_range(wanted, digits))
            }
            // `Long.parseLong`: a sign of either kind, leading zeros.
            digits
                if digits
                    .strip_prefix(['+', '-'])
                    .unwrap_or(digits)
                    .bytes()
                    .all(|byte| byte.is_ascii_digit()) =>
            {
                bounded(digits)
            }
            _ => Err(CoerceError::new(wanted, value)),
        },
        _ => Err(CoerceError::new(wanted, value)),
    }
}

/// Whether a JSON number has neither a fraction nor an exponent.
fn is_integer(number: &str) -> bool {
    !number
        .bytes()
        .any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

/// `String.trim`: everything up to the blank goes, control characters included.
fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}
