//! The query of a request target, and form decoding as Java does it.
//!
//! Nothing here knows a parameter's name or meaning.

use super::refusal::Refusal;

/// Decoded names and values in the order they were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    pairs: Vec<(String, String)>,
}

impl Parameters {
    /// Reads a query, the part of a target behind its `?`. A broken escape anywhere spoils the whole request, as in
    /// Java, where the target is made a `URI` first; so do bytes that are not UTF-8, as in Jetty.
    pub fn parse(query: &str) -> Result<Self, Refusal> {
        if !escapes_are_whole(query) || query.contains(NOT_IN_URI) {
            return Err(mangled());
        }
        let decode = |text: &str| {
            decode_form_strictly(text).ok_or_else(|| Refusal::new(400, "Unable to parse URI query"))
        };
        let pairs = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| Ok((decode(name)?, decode(value)?)))
            .collect::<Result<_, Refusal>>()?;
        Ok(Self { pairs })
    }

    /// The value of `name`, whose case matters: the first one, should there be more.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What `java.net.URI` refuses in paths and queries, of what gets past HTTP.
pub(super) const NOT_IN_URI: [char; 9] = ['"', '<', '>', '\\', '^', '`', '{', '|', '}'];

/// What Jetty says of a target that makes no `java.net.URI`.
pub(super) fn mangled() -> Refusal {
    let text = "java.io.IOException: Unable to accept websocket due to mangled URI";
    Refusal::new(500, text)
}

/// Whether each `%` begins an escape of two hexadecimal digits.
pub(super) fn escapes_are_whole(text: &str) -> bool {
    text.split('%').skip(1).all(|behind| {
        behind
            .as_bytes()
            .first_chunk::<2>()
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// `java.net.URLDecoder` with UTF-8: `+` is a space, and bytes that are not UTF-8 become replacement characters.
pub(super) fn decode_form(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced)
        .decode_utf8_lossy()
        .into_owned()
}

fn decode_form_strictly(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8();
    decoded.ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_name_wins() {
        let parameters = Parameters::parse("a=1&b=2&a=3&A=4").unwrap();
        assert_eq!(parameters.get("a"), Some("1"));
        assert_eq!(parameters.get("A"), Some("4"));
        assert_eq!(parameters.get("c"), None);
    }

    #[test]
    fn an_empty_value_is_a_value() {
        let parameters = Parameters::parse("a=&b&&=x&c=1=2").unwrap();
        assert_eq!(parameters.get("a"), Some(""));
        assert_eq!(parameters.get("b"), Some(""));
        assert_eq!(parameters.get("c"), Some("1=2"));
    }

    #[test]
    fn values_are_form_decoded() {
        let parameters = Parameters::parse("a%62=x+y%2B%C3%a4%26%3D&raw=ä").unwrap();
        assert_eq!(parameters.get("ab"), Some("x y+ä&="));
        assert_eq!(parameters.get("raw"), Some("ä"));
    }

    #[test]
    fn what_is_no_uri_is_mangled() {
        for query in [
            "a=%zz", "%", "a=%2", "x&y=%%41", "a=%ä1", "a=<b>", "a=\"", "a=\\", "{}", "a=^", "`",
            "|",
        ] {
            let refusal = Parameters::parse(query).unwrap_err();
            assert_eq!(refusal.status, 500, "{query}");
            assert_eq!(
                refusal.message,
                "java.io.IOException: Unable to accept websocket due to mangled URI"
            );
        }
        assert!(Parameters::parse("a=[1]&b=(~!*')@/?:;,$").is_ok());
    }

    #[test]
    fn what_is_no_utf_8_spoils_the_query() {
        for query in ["a=%ff", "%c3=x", "a=1&b=%ed%a0%80"] {
            let refusal = Parameters::parse(query).unwrap_err();
            assert_eq!(refusal.status, 400, "{query}");
            assert_eq!(refusal.message, "Unable to parse URI query");
        }
    }
}
