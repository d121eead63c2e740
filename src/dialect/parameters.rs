//! Parameters as Java's handlers take them: `Integer.parseInt`, `Boolean.parseBoolean`, enums by exact name.
//!
//! Every error is the text of the exception that Java throws there; which status goes with it is the dialect's to say.

use std::str::FromStr;

use crate::http::parameters::Parameters;

/// A 32-bit number.
pub(super) fn int(parameters: &Parameters, name: &str) -> Result<Option<i32>, String> {
    number(parameters, name)
}

/// A 64-bit number.
pub(super) fn long(parameters: &Parameters, name: &str) -> Result<Option<i64>, String> {
    number(parameters, name)
}

/// Java's and Rust's grammar of decimals is the same: a sign of either kind, digits, no blanks.
fn number<T: FromStr>(parameters: &Parameters, name: &str) -> Result<Option<T>, String> {
    parameters
        .get(name)
        .map(|value| {
            value
                .parse()
                .map_err(|_| format!("For input string: \"{value}\""))
        })
        .transpose()
}

/// Whether the value is `true` in any case. Everything else is false, and nothing is an error.
pub(super) fn boolean(parameters: &Parameters, name: &str) -> bool {
    parameters
        .get(name)
        .is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// One of a few names, whose case matters.
pub(super) fn choice<T: Copy>(
    parameters: &Parameters,
    name: &str,
    choices: &[(&str, T)],
) -> Result<Option<T>, String> {
    let Some(value) = parameters.get(name) else {
        return Ok(None);
    };
    match choices.iter().find(|(known, _)| *known == value) {
        Some((_, choice)) => Ok(Some(*choice)),
        None => Err(format!("Invalid {name} {value}")),
    }
}

/// A text that must say something.
pub(super) fn not_blank(parameters: &Parameters, name: &str) -> Result<Option<String>, String> {
    match parameters.get(name) {
        Some(value) if is_blank(value) => Err(format!("{name} cannot be blank")),
        value => Ok(value.map(str::to_owned)),
    }
}

/// `StringUtils.isBlank`: nothing but what `Character.isWhitespace` calls white space, which excludes the spaces that
/// don't break lines and includes the information separators.
pub(super) fn is_blank(value: &str) -> bool {
    value.chars().all(|c| match c {
        '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{85}' => false,
        '\u{1c}'..='\u{1f}' => true,
        c => c.is_whitespace(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int_of(value: &str) -> Result<Option<i32>, String> {
        int(&Parameters::parse(&format!("n={value}")).unwrap(), "n")
    }

    #[test]
    fn numbers_are_javas() {
        for (text, number) in [
            ("0", 0),
            ("%2B7", 7),
            ("-5", -5),
            ("007", 7),
            ("2147483647", i32::MAX),
            ("-2147483648", i32::MIN),
        ] {
            assert_eq!(int_of(text), Ok(Some(number)), "{text}");
        }
        for (text, shown) in [
            ("", ""),
            ("x", "x"),
            ("+7", " 7"),
            ("1.5", "1.5"),
            ("0x1", "0x1"),
            ("1_0", "1_0"),
            ("-", "-"),
            ("2147483648", "2147483648"),
        ] {
            assert_eq!(
                int_of(text),
                Err(format!("For input string: \"{shown}\"")),
                "{text}"
            );
        }
        let parameters = Parameters::parse("n=9223372036854775807").unwrap();
        assert_eq!(long(&parameters, "n"), Ok(Some(i64::MAX)));
        assert_eq!(long(&parameters, "m"), Ok(None));
    }

    #[test]
    fn booleans_are_never_wrong() {
        let parameters = Parameters::parse("a=true&b=TrUe&c=1&d=&e=yes&f=true%20").unwrap();
        for name in ["a", "b"] {
            assert!(boolean(&parameters, name), "{name}");
        }
        for name in ["c", "d", "e", "f", "absent"] {
            assert!(!boolean(&parameters, name), "{name}");
        }
    }

    #[test]
    fn blank_is_what_java_calls_white_space() {
        for blank in ["", " ", "\t\n", "\u{1c}", "\u{2003}"] {
            assert!(is_blank(blank), "{blank:?}");
        }
        for text in ["a", " a ", "\u{a0}", "\u{202f}", "\u{85}"] {
            assert!(!is_blank(text), "{text:?}");
        }
    }
}
