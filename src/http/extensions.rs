//! What a client offers in `Sec-WebSocket-Extensions`, and what is agreed to: permessage-deflate (RFC 7692), without
//! context takeover in either direction.
//!
//! The first offer that can be kept is taken. One that can't, or that is malformed, is passed over, as RFC 7692 section
//! 5.1 asks: the client then speaks without compression.

/// How far back deflate looks at most, in bits, and what it is without a word about it.
const WINDOW_BITS_MAX: u8 = 15;

/// permessage-deflate as agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deflate {
    /// How far back the client wants to look, in bits; `None` where it did not say.
    server_window_bits: Option<u8>,
}

impl Deflate {
    /// How far back the client looks, in bits: nothing may be sent that refers to more.
    #[must_use]
    pub fn window_bits(self) -> u8 {
        self.server_window_bits.unwrap_or(WINDOW_BITS_MAX)
    }

    /// Appends the header line that says so.
    ///
    /// `client_max_window_bits` is never answered: the inflater looks back as far as anybody can.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
              client_no_context_takeover",
        );
        if let Some(bits) = self.server_window_bits {
            out.extend_from_slice(b"; server_max_window_bits=");
            out.extend_from_slice(bits.to_string().as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// The first offer in the header's lines that can be kept.
pub(super) fn agree<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Deflate> {
    lines.flat_map(|line| split(line, ',')).find_map(agree_to)
}

/// One offer: a name and its parameters.
fn agree_to(offer: &str) -> Option<Deflate> {
    let mut parts = split(offer, ';').map(str::trim_ascii);
    if parts.next() != Some("permessage-deflate") {
        return None;
    }
    let mut server_window_bits = None;
    let mut seen = [false; 4];
    for parameter in parts {
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name.trim_ascii_end(), Some(unquoted(value.trim_ascii())?)),
            None => (parameter, None),
        };
        let place = match (name, value) {
            ("server_no_context_takeover", None) => 0,
            ("client_no_context_takeover", None) => 1,
            ("server_max_window_bits", Some(bits)) => {
                server_window_bits = Some(window_bits(bits)?);
                2
            }
            ("client_max_window_bits", bits) => {
                bits.map_or(Some(WINDOW_BITS_MAX), window_bits)?;
                3
            }
            _ => return None,
        };
        if std::mem::replace(&mut seen[place], true) {
            return None;
        }
    }
    Some(Deflate { server_window_bits })
}

/// RFC 7692 section 7.1.2.1: a decimal number from 8 to 15, without leading zeros.
fn window_bits(digits: &str) -> Option<u8> {
    let bits = digits.parse().ok()?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    (plain && (8..=WINDOW_BITS_MAX).contains(&bits)).then_some(bits)
}

/// A value without its quotes, where it has any. The values that mean something need no escapes.
fn unquoted(value: &str) -> Option<&str> {
    match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"'),
        None => Some(value),
    }
}

/// The parts of `text` between separators that stand outside quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |character: char| {
        let literal = escaped;
        escaped = quoted && !literal && character == '\\';
        quoted ^= character == '"' && !literal;
        character == separator && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(lines: &[&str]) -> Option<u8> {
        agree(lines.iter().copied()).map(Deflate::window_bits)
    }

    fn answer(line: &str) -> String {
        let mut out = Vec::new();
        agree([line].into_iter()).unwrap().write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_clients_offer_is_agreed_to() {
        for offer in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate;client_max_window_bits=12 ; server_no_context_takeover",
            "permessage-deflate; client_no_context_takeover; client_max_window_bits = \"9\"",
            "x-webkit-deflate-frame, permessage-deflate",
            "other; x=\"a, \\\" ; b\"; y, permessage-deflate",
            "permessage-deflate; server_max_window_bits=7, permessage-deflate",
            ", permessage-deflate",
        ] {
            assert_eq!(bits(&[offer]), Some(15), "{offer}");
        }
        assert_eq!(bits(&["other", "permessage-deflate"]), Some(15));
    }

    #[test]
    fn the_first_offer_that_can_be_kept_is_taken() {
        let small = "permessage-deflate; server_max_window_bits=9, permessage-deflate";
        assert_eq!(bits(&[small]), Some(9));
        let unknown = "permessage-deflate; other, permessage-deflate; server_max_window_bits=8";
        assert_eq!(bits(&[unknown]), Some(8));
        assert_eq!(bits(&["permessage-deflate", small]), Some(15));
    }

    #[test]
    fn what_can_not_be_kept_is_passed_over() {
        for offer in [
            "",
            ";",
            "=",
            "x-webkit-deflate-frame",
            "permessage-bzip2",
            "PERMESSAGE-DEFLATE",
            "permessage-deflate;",
            "permessage-deflate; =",
            "permessage-deflate; other",
            "permessage-deflate; Client_Max_Window_Bits",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover=",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=+9",
            "permessage-deflate; server_max_window_bits=09",
            "permessage-deflate; server_max_window_bits=\"9",
            "permessage-deflate; client_max_window_bits=x",
            "permessage-deflate; client_max_window_bits=300",
            "other; x=\", permessage-deflate",
            "permessage-deflate client_max_window_bits",
        ] {
            assert_eq!(bits(&[offer]), None, "{offer}");
        }
        assert_eq!(bits(&[]), None);
    }

    #[test]
    fn the_answer_names_what_holds() {
        let plain = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
                     client_no_context_takeover";
        assert_eq!(
            answer("permessage-deflate; client_max_window_bits"),
            format!("{plain}\r\n")
        );
        assert_eq!(
            answer("permessage-deflate; server_max_window_bits=10"),
            format!("{plain}; server_max_window_bits=10\r\n")
        );
    }
}
