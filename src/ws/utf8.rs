//! Whether a text message is UTF-8, and what Jetty would say where it is not.
//!
//! The verdict is simdutf8's. The sentence is needed once per broken connection; it names the byte and a state of the
//! automaton in Jetty's `Utf8Appendable`, so a faulty sequence is walked again for it, a byte at a time.

use std::fmt;

/// Why bytes are not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A byte that cannot stand where it does.
    Byte {
        /// The byte.
        value: u8,
        /// Jetty's number for what had been read of the character.
        state: u8,
    },
    /// The message ends within a character.
    Incomplete,
}

impl fmt::Display for Fault {
    /// As Jetty's `NotUtf8Exception`; its hexadecimal digits are upper case, then lower case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("org.eclipse.jetty.util.Utf8Appendable$NotUtf8Exception: Not valid UTF8! ")?;
        match self {
            Self::Byte { value, state } => {
                write!(f, "byte {:X}{:x} in state {state}", value >> 4, value & 15)
            }
            Self::Incomplete => f.write_str("incomplete UTF8 sequence"),
        }
    }
}

/// Checks a whole text.
pub(super) fn check(text: &[u8]) -> Result<(), Fault> {
    if simdutf8::basic::from_utf8(text).is_ok() {
        return Ok(());
    }
    if check_prefix(text)? == text.len() {
        Ok(())
    } else {
        Err(Fault::Incomplete)
    }
}

/// Checks a text that may go on: how many bytes are whole characters. The few bytes behind them begin a character.
pub(super) fn check_prefix(text: &[u8]) -> Result<usize, Fault> {
    let Err(error) = simdutf8::compat::from_utf8(text) else {
        return Ok(text.len());
    };
    let mut state = START;
    for &value in &text[error.valid_up_to()..] {
        state = step(state, value).ok_or(Fault::Byte { value, state })?;
    }
    Ok(error.valid_up_to())
}

/// The state between two characters.
const START: u8 = 0;

/// The state after `byte`, or `None` where it cannot follow. The numbers are Jetty's: 2 and 3 wait for one and two
/// more bytes of any kind, 4 to 8 for the second byte behind E0, ED, F0, F1 to F3 and F4; 1 would be the rejection.
fn step(state: u8, byte: u8) -> Option<u8> {
    Some(match (state, byte) {
        (0, 0x00..=0x7F) | (2, 0x80..=0xBF) => 0,
        (0, 0xE0) => 4,
        (0, 0xED) => 5,
        (0, 0xF0) => 6,
        (0, 0xF1..=0xF3) => 7,
        (0, 0xF4) => 8,
        (0, 0xE1..=0xEF) | (6, 0x90..=0xBF) | (7, 0x80..=0xBF) | (8, 0x80..=0x8F) => 3,
        (0, 0xC2..=0xDF) | (3, 0x80..=0xBF) | (4, 0xA0..=0xBF) | (5, 0x80..=0x9F) => 2,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn faults_are_told_as_jetty_tells_them() {
        let cases: [(&[u8], &str); 9] = [
            (b"ab\xff", "byte Ff in state 0"),
            (b"\x80", "byte 80 in state 0"),
            (b"\xc2A", "byte 41 in state 2"),
            (b"\xe1\x80A", "byte 41 in state 2"),
            (b"\xe0\x80", "byte 80 in state 4"),
            (b"\xed\xa0\x80", "byte A0 in state 5"),
            (b"\xf0\x8f", "byte 8f in state 6"),
            (b"\xf4\x90", "byte 90 in state 8"),
            (b"\xf1\x80\x80", "incomplete UTF8 sequence"),
        ];
        for (bytes, text) in cases {
            let expected = format!(
                "org.eclipse.jetty.util.Utf8Appendable$NotUtf8Exception: Not valid UTF8! {text}"
            );
            assert_eq!(check(bytes).unwrap_err().to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn the_verdict_is_that_of_the_standard_library(bytes in proptest::collection::vec(
            prop_oneof![any::<u8>(), Just(0xE2), Just(0x82), Just(0xF0), 0x80..=0xBF_u8], 0..40)
        ) {
            let judged = std::str::from_utf8(&bytes);
            prop_assert_eq!(check(&bytes).is_ok(), judged.is_ok());
            let prefix = match judged {
                Ok(_) => Some(bytes.len()),
                Err(error) => error.error_len().is_none().then_some(error.valid_up_to()),
            };
            prop_assert_eq!(check_prefix(&bytes).ok(), prefix);
        }
    }
}
