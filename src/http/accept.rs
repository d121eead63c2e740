//! Which forms of an answer a client takes, as it says in `Accept` and `Accept-Charset`.

use super::RequestHead;

/// The media ranges that a client takes, best first.
pub(super) struct Accepted<'a> {
    ranges: Vec<Range<'a>>,
    /// Something is named, and none of it is a media range.
    is_nonsense: bool,
}

/// A media range and how much it is liked.
struct Range<'a> {
    /// With its parameters, but for the weight.
    whole: &'a str,
    weight: f32,
}

impl<'a> Accepted<'a> {
    pub(super) fn of(head: &RequestHead<'a>) -> Self {
        let named: Vec<&str> = head
            .values("Accept")
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|range| !range.is_empty())
            .collect();
        let is_range = |range: &Range<'_>| range.whole.contains('/') || range.whole == "*";
        let mut ranges: Vec<Range<'_>> = named
            .iter()
            .map(|range| weighed(range))
            .filter(is_range)
            .collect();
        let is_nonsense = ranges.is_empty() && !named.is_empty();
        ranges.retain(|range| range.weight > 0.0);
        // Of what is liked equally, the narrower comes first.
        ranges.sort_by(|one, other| {
            let width = |range: &Range<'_>| range.whole.bytes().filter(|it| *it == b'*').count();
            let by_weight = other.weight.total_cmp(&one.weight);
            by_weight.then_with(|| width(one).cmp(&width(other)))
        });
        Self {
            ranges,
            is_nonsense,
        }
    }

    pub(super) fn takes_json(&self) -> bool {
        let fits = |range: &Range<'_>| {
            ["*/*", "*", "application/*", "application/json"]
                .iter()
                .any(|it| range.media().eq_ignore_ascii_case(it))
        };
        !self.is_nonsense && (self.ranges.is_empty() || self.ranges.iter().any(fits))
    }

    /// A text may be called what the client likes; `None` if it likes nothing.
    pub(super) fn first_of_text(&self) -> Option<String> {
        if self.is_nonsense {
            return None;
        }
        let is_name =
            |media: &str| !media.contains('*') && media.bytes().all(|byte| byte.is_ascii_graphic());
        Some(match self.ranges.first() {
            Some(range) if is_name(range.media()) => range.media().to_owned(),
            _ => "text/plain".to_owned(),
        })
    }

    /// The form of an error's page. Jetty takes a range as it stands: in small letters, without parameters.
    pub(super) fn page(&self) -> Option<PageForm> {
        self.ranges.iter().find_map(|range| match range.whole {
            "text/html" | "text/*" | "*/*" => Some(PageForm::Html),
            "application/json" => Some(PageForm::Json),
            "text/json" => Some(PageForm::TextJson),
            "text/plain" => Some(PageForm::Plain),
            _ => None,
        })
    }
}

impl<'a> Range<'a> {
    fn media(&self) -> &'a str {
        self.whole.split(';').next().unwrap_or_default().trim()
    }
}

fn weighed(range: &str) -> Range<'_> {
    let (whole, weight) = match range.rsplit_once(';') {
        Some((whole, last)) => match last.trim().strip_prefix("q=") {
            Some(weight) => (whole.trim(), weight.trim().parse().unwrap_or(1.0)),
            None => (range, 1.0),
        },
        None => (range, 1.0),
    };
    Range { whole, weight }
}

/// The forms of an error's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageForm {
    Html,
    Json,
    /// The same by its other name.
    TextJson,
    Plain,
}

/// In which form the client takes the page of an error, and whether in UTF-8; `None` if in no form.
pub(super) fn page(head: &RequestHead<'_>) -> (Option<PageForm>, bool) {
    let form = match head.header("Accept") {
        None => Some(PageForm::Html),
        Some(_) => Accepted::of(head).page(),
    };
    let is_utf8 = head
        .values("Accept-Charset")
        .flat_map(|value| value.split(','))
        .map(|charset| charset.split(';').next().unwrap_or_default().trim())
        .any(|charset| charset == "*" || charset.eq_ignore_ascii_case("utf-8"));
    (form, is_utf8)
}

#[cfg(test)]
mod tests {
    use super::super::{Parsed, parse};
    use super::*;

    fn with<T>(headers: &str, judge: impl Fn(&RequestHead<'_>) -> T) -> T {
        let text = format!("GET / HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
        match parse(text.as_bytes()) {
            Parsed::Complete { head, .. } => judge(&head),
            other => panic!("{headers}: {other:?}"),
        }
    }

    #[test]
    fn pages_have_the_form_that_is_liked_best() {
        let json = Some(PageForm::Json);
        for (accept, expected) in [
            ("*/*", Some(PageForm::Html)),
            ("text/*", Some(PageForm::Html)),
            ("application/json", json),
            ("*/*, application/json", json),
            ("text/html;q=0.5, application/json", json),
            ("text/plain, application/json", Some(PageForm::Plain)),
            ("image/png, text/plain;q=.1", Some(PageForm::Plain)),
            ("text/json", Some(PageForm::TextJson)),
            ("image/png", None),
            ("Text/Html", None),
            ("text/html;level=1", None),
            ("text/html;q=0", None),
            ("junk", None),
            ("", None),
        ] {
            let found = with(&format!("Accept: {accept}\r\n"), |head| page(head).0);
            assert_eq!(found, expected, "{accept}");
        }
        assert_eq!(with("", page), (Some(PageForm::Html), false));
    }

    #[test]
    fn pages_are_in_utf_8_where_that_is_taken() {
        for (charset, expected) in [
            ("UTF-8", true),
            ("utf-8;q=0.5, iso-8859-1", true),
            ("*", true),
            ("iso-8859-1", false),
            ("", false),
        ] {
            let found = with(&format!("Accept-Charset: {charset}\r\n"), |head| {
                page(head).1
            });
            assert_eq!(found, expected, "{charset}");
        }
    }

    #[test]
    fn what_is_no_media_range_is_not_served() {
        for (accept, json, text) in [
            ("junk", false, None),
            ("junk, application/json", true, Some("application/json")),
            ("*", true, Some("text/plain")),
            ("", true, Some("text/plain")),
            ("application/json;q=0", true, Some("text/plain")),
            ("text/html;level=1", false, Some("text/html")),
            ("*/*, image/png", true, Some("image/png")),
        ] {
            let accept = format!("Accept: {accept}\r\n");
            assert_eq!(
                with(&accept, |head| Accepted::of(head).takes_json()),
                json,
                "{accept}"
            );
            let found = with(&accept, |head| Accepted::of(head).first_of_text());
            assert_eq!(found.as_deref(), text, "{accept}");
        }
    }
}
