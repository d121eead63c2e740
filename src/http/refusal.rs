//! The answer to a request that becomes no WebSocket.
//!
//! People and programs read the Java service's refusals: the status, and the sentence in Jetty's error page. So the
//! page here has the same form (`page.rs`).

use std::io::Write;

use super::page::Form;

/// A response that ends the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// What the page says, unescaped.
    pub message: String,
    /// Headers besides those that every refusal has. Neither names nor values may contain line ends.
    pub headers: Vec<(&'static str, String)>,
    /// The path that was asked for, for the page; never the query, which may hold a token.
    pub path: String,
}

impl Refusal {
    /// A refusal that says `message`.
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            headers: Vec::new(),
            path: String::new(),
        }
    }

    /// A refusal that has no more to say than its status does.
    pub fn standard(status: u16) -> Self {
        Self::new(status, reason_phrase(status))
    }

    /// What Jetty says when an `IllegalArgumentException` leaves the constructor of a handler: 500, with the name of
    /// the class, and the text if there is one.
    pub fn illegal_argument(text: &str) -> Self {
        let class = "java.lang.IllegalArgumentException";
        if text.is_empty() {
            Self::new(500, class)
        } else {
            Self::new(500, format!("{class}: {text}"))
        }
    }

    /// What Pulsar's handlers say of a parameter they cannot take.
    pub fn invalid_params(text: &str) -> Self {
        Self::new(400, format!("Invalid query params: {text}"))
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same with the path of the request target `target`.
    #[must_use]
    pub fn at(mut self, target: &str) -> Self {
        target
            .split(['?', '#'])
            .next()
            .unwrap_or_default()
            .clone_into(&mut self.path);
        self
    }

    /// Sends the client to a context path with the slash that it lacks.
    pub fn redirect(path: &str, query: Option<&str>) -> Self {
        let location = match query {
            Some(query) => format!("{path}/?{query}"),
            None => format!("{path}/"),
        };
        Self::standard(302).with_header("Location", location)
    }

    /// The same with a whole URL in place of a path to go to.
    #[must_use]
    pub fn with_base(mut self, base: impl FnOnce() -> String) -> Self {
        let location = self
            .headers
            .iter_mut()
            .find(|(name, _)| *name == "Location");
        if let Some((_, location)) = location {
            location.insert_str(0, &base());
        }
        self
    }

    /// Appends the response. Only errors have a page.
    pub fn write(&self, out: &mut Vec<u8>, form: Form) {
        let mut headers = self.headers.clone();
        let mut page = Vec::new();
        if self.status >= 400
            && let Some((content_type, text)) = form.page(self.status, &self.message, &self.path)
        {
            page = text;
            let no_cache = "must-revalidate,no-cache,no-store".to_owned();
            headers.push(("Cache-Control", no_cache));
            headers.push(("Content-Type", content_type));
        }
        append_head(out, self.status, &headers, page.len());
        if form.has_body {
            out.extend_from_slice(&page);
        }
    }
}

/// Appends the head of a response after which the connection ends.
pub(super) fn append_head(
    out: &mut Vec<u8>,
    status: u16,
    headers: &[(&str, String)],
    body_bytes: usize,
) {
    append(
        out,
        format_args!("HTTP/1.1 {status} {}\r\n", reason_phrase(status)),
    );
    for (name, value) in headers {
        append(out, format_args!("{name}: {value}\r\n"));
    }
    append(
        out,
        format_args!("Content-Length: {body_bytes}\r\nConnection: close\r\n\r\n"),
    );
}

fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a vector cannot fail.
    let _ = out.write_fmt(text);
}

/// The words of the status line, Jetty's where it has its own.
fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(refusal: &Refusal) -> (String, Vec<u8>) {
        let mut out = Vec::new();
        refusal.write(&mut out, Form::default());
        let end = memchr::memmem::find(&out, b"\r\n\r\n").unwrap() + 4;
        let body = out.split_off(end);
        (String::from_utf8(out).unwrap(), body)
    }

    #[test]
    fn an_error_is_a_page_of_jettys_form() {
        let refusal =
            Refusal::illegal_argument("Invalid named entity: a<b>&'\"").at("/ws/x?token=secret");
        let (head, body) = written(&refusal);
        let length = format!("Content-Length: {}\r\n", body.len());
        let body = String::from_utf8(body).unwrap();
        let text =
            "java.lang.IllegalArgumentException: Invalid named entity: a&lt;b&gt;&amp;&apos;&quot;";
        assert!(head.starts_with("HTTP/1.1 500 Server Error\r\n"));
        assert!(head.contains("Content-Type: text/html;charset=iso-8859-1\r\n"));
        assert!(head.contains(&length));
        assert!(head.contains("Connection: close\r\n"));
        assert!(body.contains(&format!("<title>Error 500 {text}</title>")));
        assert!(body.contains(&format!("<h2>HTTP ERROR 500 {text}</h2>")));
        assert!(body.contains(&format!("<tr><th>MESSAGE:</th><td>{text}</td></tr>")));
        assert!(body.contains("<tr><th>STATUS:</th><td>500</td></tr>"));
        assert!(body.contains("<tr><th>URI:</th><td>/ws/x</td></tr>"));
        assert!(!body.contains("secret"));
    }

    #[test]
    fn the_page_is_latin_1() {
        let (_, body) = written(&Refusal::new(400, "ä € \u{0}\t"));
        assert!(memchr::memmem::find(&body, b"<td>\xe4 ? ?\t</td>").is_some());
    }

    #[test]
    fn an_exception_without_text_is_its_class() {
        let refusal = Refusal::illegal_argument("");
        assert_eq!(refusal.message, "java.lang.IllegalArgumentException");
    }

    #[test]
    fn what_is_no_error_has_no_page() {
        let refusal = Refusal::standard(302).with_header("Location", "/ws/v2/producer/");
        let (head, body) = written(&refusal);
        let expected = "HTTP/1.1 302 Found\r\nLocation: /ws/v2/producer/\r\n\
                        Content-Length: 0\r\nConnection: close\r\n\r\n";
        assert_eq!(head, expected);
        assert!(body.is_empty());
    }
}
