//! What is wrong with a message, in our own sentences.

use std::fmt;

use super::CoerceError;

/// A refused message: what was wrong, and where.
///
/// It displays as one sentence that ends in `line L, column C`. Both count from 1; columns count UTF-16 units, as Java's do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError(Box<Inner>);

/// Boxed, so that the results of a successful read stay small.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    kind: JsonErrorKind,
    line: usize,
    column: usize,
}

/// What was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonErrorKind {
    /// The message ended where this was expected.
    UnexpectedEnd(&'static str),
    /// A word that is none of `true`, `false` and `null`.
    UnrecognizedToken(Box<str>),
    /// A character where something else was expected.
    UnexpectedCharacter(char, &'static str),
    /// A raw control character inside a string.
    ControlCharacter(u8),
    /// A backslash before a character that needs none.
    UnknownEscape(char),
    /// A number that begins with a needless zero.
    LeadingZero,
    /// A number of more digits than the limit.
    NumberTooLong(usize),
    /// More open brackets than the limit.
    NestedTooDeep(usize),
    /// A member's name of more characters than the limit.
    NameTooLong(usize),
    /// A string of more characters than the limit.
    StringTooLong(usize),
    /// The message is a value of another kind.
    NotAnObject(&'static str),
    /// A well-formed value of a wrong type.
    Refused(CoerceError),
}

impl JsonError {
    /// An error at byte `at` of `input`.
    #[cold]
    pub(super) fn new(input: &[u8], at: usize, kind: JsonErrorKind) -> Self {
        let before = input.get(..at).unwrap_or(input);
        let line_start = before
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |newline| newline + 1);
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        let in_line = String::from_utf8_lossy(before.get(line_start..).unwrap_or_default());
        let column = 1 + in_line.chars().map(char::len_utf16).sum::<usize>();
        Self(Box::new(Inner { kind, line, column }))
    }

    /// What was wrong.
    #[must_use]
    pub fn kind(&self) -> &JsonErrorKind {
        &self.0.kind
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, line, column } = &*self.0;
        write!(f, "{kind} at line {line}, column {column}")
    }
}

impl std::error::Error for JsonError {}

impl fmt::Display for JsonErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedEnd(wanted) => write!(f, "Unexpected end-of-input, expected {wanted}"),
            Self::UnrecognizedToken(token) => {
                write!(f, "Unrecognized token '{token}', expected a JSON value")
            }
            Self::UnexpectedCharacter(found, wanted) => {
                f.write_str("Unexpected character ")?;
                if !found.is_control() {
                    write!(f, "'{found}' ")?;
                }
                write!(f, "(code {}), expected {wanted}", u32::from(*found))
            }
            Self::ControlCharacter(code) => write!(
                f,
                "Control character (code {code}) in a string must be escaped"
            ),
            Self::UnknownEscape(found) => write!(f, "Unrecognized escape '\\{found}' in a string"),
            Self::LeadingZero => f.write_str("Number with a leading zero"),
            Self::NumberTooLong(max) => write!(f, "Number of more than {max} digits"),
            Self::NestedTooDeep(max) => write!(f, "Objects and arrays nested deeper than {max}"),
            Self::NameTooLong(max) => write!(f, "Field name of more than {max} characters"),
            Self::StringTooLong(max) => write!(f, "String of more than {max} characters"),
            Self::NotAnObject(found) => write!(f, "Expected a JSON object, found {found}"),
            Self::Refused(why) => why.fmt(f),
        }
    }
}
