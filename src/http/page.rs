//! The page of an error, in the forms that Jetty has for it.

use std::borrow::Cow;

use super::{
    RequestHead,
    accept::{self, PageForm},
};

/// How much of a response the request allows, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// The answer to `HEAD` has no body, but tells the length of one.
    pub(super) has_body: bool,
    page: Option<PageForm>,
    is_utf8: bool,
}

impl Default for Form {
    /// What a client gets that did not say what it likes.
    fn default() -> Self {
        Self {
            has_body: true,
            page: Some(PageForm::Html),
            is_utf8: false,
        }
    }
}

impl Form {
    /// The form for a request. Jetty has pages for `GET`, `HEAD` and `POST` alone.
    pub fn of(head: &RequestHead<'_>) -> Self {
        let (page, is_utf8) = match head.method {
            "GET" | "HEAD" | "POST" => accept::page(head),
            _ => (None, false),
        };
        Self {
            has_body: head.method != "HEAD",
            page,
            is_utf8,
        }
    }

    /// The type and the text of the page that says `message` to who asked for `path`.
    pub(super) fn page(self, status: u16, message: &str, path: &str) -> Option<(String, Vec<u8>)> {
        let form = self.page?;
        let charset = if self.is_utf8 { "utf-8" } else { "iso-8859-1" };
        let (content_type, text) = match form {
            PageForm::Html => (
                format!("text/html;charset={charset}"),
                html(status, message, path, charset),
            ),
            PageForm::Plain => (
                format!("text/plain;charset={charset}"),
                plain(status, message, path),
            ),
            PageForm::Json | PageForm::TextJson => {
                let name = match form {
                    PageForm::TextJson => "text/json",
                    _ => "application/json",
                };
                return Some((name.to_owned(), json(status, message, path).into_bytes()));
            }
        };
        let is_utf8 = self.is_utf8;
        Some((
            content_type,
            if is_utf8 {
                text.into_bytes()
            } else {
                latin1(&text)
            },
        ))
    }
}

fn html(status: u16, message: &str, path: &str, charset: &str) -> String {
    let message = escape(message);
    let charset = charset.to_ascii_uppercase();
    let mut page = format!(
        "<html>\n<head>\n\
         <meta http-equiv=\"Content-Type\" content=\"text/html;charset={charset}\"/>\n\
         <title>Error {status} {message}</title>\n</head>\n\
         <body>\n<h2>HTTP ERROR {status} {message}</h2>\n<table>\n"
    );
    if !path.is_empty() {
        page.push_str(&row("URI", &escape(path)));
    }
    page.push_str(&row("STATUS", &status.to_string()));
    page.push_str(&row("MESSAGE", &message));
    page.push_str("</table>\n</body>\n</html>\n");
    page
}

fn row(name: &str, value: &str) -> String {
    format!("<tr><th>{name}:</th><td>{value}</td></tr>\n")
}

fn plain(status: u16, message: &str, path: &str) -> String {
    let title = escape(message);
    format!("HTTP ERROR {status} {title}\nURI: {path}\nSTATUS: {status}\nMESSAGE: {message}\n")
}

/// Jetty escapes for HTML here, too.
fn json(status: u16, message: &str, path: &str) -> String {
    let quoted = |text| serde_json::Value::from(escape(text));
    let (message, path) = (quoted(message), quoted(path));
    format!("{{\n\"message\":{message},\n\"url\":{path},\n\"status\":\"{status}\"\n}}")
}

/// Escapes what HTML gives a meaning to; control characters that are no white space become question marks.
fn escape(text: &str) -> Cow<'_, str> {
    let plain = |c: char| !matches!(c, '&' | '<' | '>' | '"' | '\'') && !c.is_control();
    if text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            c if c.is_control() && !c.is_ascii_whitespace() => escaped.push('?'),
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// ISO-8859-1 as Java encodes it: what the charset lacks becomes a question mark.
fn latin1(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(c).unwrap_or(b'?'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Parsed, parse};
    use super::*;

    const MESSAGE: &str = "a<b>&'\"\\ ä€\n\u{1}";

    fn told(method: &str, headers: &str) -> Option<(String, String)> {
        let text = format!("{method} / HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
        let Parsed::Complete { head, .. } = parse(text.as_bytes()) else {
            panic!("not complete: {text}");
        };
        let (content_type, page) = Form::of(&head).page(400, MESSAGE, "/p")?;
        let page = String::from_utf8(page).unwrap_or_else(|error| {
            error
                .into_bytes()
                .iter()
                .map(|byte| *byte as char)
                .collect()
        });
        Some((content_type, page))
    }

    #[test]
    fn pages_in_html() {
        let (content_type, page) = told("GET", "").unwrap();
        assert_eq!(content_type, "text/html;charset=iso-8859-1");
        assert!(page.contains("<td>a&lt;b&gt;&amp;&apos;&quot;\\ ä?\n?</td>"));
        let (content_type, page) = told("GET", "Accept-Charset: utf-8\r\n").unwrap();
        assert_eq!(content_type, "text/html;charset=utf-8");
        assert!(page.contains("charset=UTF-8"));
        assert!(page.contains("<td>a&lt;b&gt;&amp;&apos;&quot;\\ ä€\n?</td>"));
    }

    #[test]
    fn pages_in_json() {
        let (content_type, page) = told("GET", "Accept: application/json\r\n").unwrap();
        assert_eq!(content_type, "application/json");
        let read: serde_json::Value = serde_json::from_str(&page).unwrap();
        assert_eq!(
            read,
            serde_json::json!({
                "message": "a&lt;b&gt;&amp;&apos;&quot;\\ ä€\n?", "url": "/p", "status": "400",
            })
        );
    }

    #[test]
    fn pages_in_plain_text() {
        let (content_type, page) = told("GET", "Accept: text/plain\r\n").unwrap();
        assert_eq!(content_type, "text/plain;charset=iso-8859-1");
        assert!(page.starts_with("HTTP ERROR 400 a&lt;b&gt;"));
        assert!(page.contains("\nURI: /p\nSTATUS: 400\nMESSAGE: a<b>&'\"\\ ä?\n"));
    }

    #[test]
    fn not_every_request_has_a_page() {
        assert!(told("GET", "").is_some());
        assert!(told("POST", "").is_some());
        assert!(told("PUT", "").is_none());
        assert!(told("OPTIONS", "").is_none());
        assert_eq!(told("GET", "Accept: image/png\r\n"), None);
    }
}
