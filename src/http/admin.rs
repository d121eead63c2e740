//! The paths that serve no WebSocket: statistics, metrics and the health check.
//!
//! They answer as the Java service's resources do, those that it has not among them: `GET` and `HEAD` give the answer, `OPTIONS` says so, other methods
//! are 405, and a trailing slash or parameters of a path's piece (`;a=b`) change nothing.

use super::{
    RequestHead,
    accept::Accepted,
    page::Form,
    parameters::{decode_form, escapes_are_whole},
    refusal::{Refusal, append_head},
    route::split_target,
    topic_name::TopicName,
};
use crate::metrics::{self, Question};

/// What a request that wants no WebSocket asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// What all shards are asked for.
    Statistics(Question),
    /// Whether the service is in use.
    Status {
        /// In which form.
        content_type: String,
    },
    /// What is known at once.
    Answer(Answer),
}

/// A response with a body of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body's form.
    pub content_type: String,
    /// Methods that are served.
    pub allow: Option<&'static str>,
    /// The body.
    pub body: Vec<u8>,
}

const JSON: &str = "application/json";

impl Answer {
    /// The answer to [`Wish::Statistics`].
    #[must_use]
    pub fn statistics(text: Vec<u8>) -> Self {
        Self::new(200, JSON, text)
    }

    /// The same for what cores count, which has forms of its own.
    #[must_use]
    pub fn figures(content_type: &str, text: Vec<u8>) -> Self {
        Self::new(200, content_type, text)
    }

    /// The answer to a question about a topic that has no session.
    #[must_use]
    pub fn no_such_topic() -> Self {
        Self::no_statistics(404, "Topic does not exist")
    }

    /// The answer to [`Wish::Statistics`] if there is none, for a reason without quotes.
    #[must_use]
    pub fn no_statistics(status: u16, reason: &str) -> Self {
        let text = format!("{{\"reason\":\"{reason}\"}}");
        Self::new(status, JSON, text.into_bytes())
    }

    /// The answer to [`Wish::Status`] if it is.
    #[must_use]
    pub fn in_use(content_type: &str) -> Self {
        Self::new(200, content_type, b"OK".to_vec())
    }

    fn options() -> Self {
        Self {
            allow: Some("HEAD,GET,OPTIONS"),
            ..Self::new(200, "text/plain", b"HEAD, GET, OPTIONS".to_vec())
        }
    }

    fn new(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        Self {
            status,
            content_type: content_type.to_owned(),
            allow: None,
            body,
        }
    }

    /// Appends the response.
    pub fn write(&self, out: &mut Vec<u8>, form: Form) {
        let content_type = ("Content-Type", self.content_type.clone());
        let allow = self.allow.map(|methods| ("Allow", methods.to_owned()));
        let headers: Vec<_> = [content_type].into_iter().chain(allow).collect();
        append_head(out, self.status, &headers, self.body.len());
        if form.has_body {
            out.extend_from_slice(&self.body);
        }
    }
}

/// What `head` wants if it is no WebSocket; `None` if its path is none of these.
pub fn wish(head: &RequestHead<'_>) -> Option<Result<Wish, Refusal>> {
    let (path, query) = split_target(head.target);
    if !escapes_are_whole(path) {
        return None;
    }
    if matches!(path, "/admin" | "/admin/v2") {
        return Some(Err(Refusal::redirect(path, query)));
    }
    let resource = resource(path)?;
    Some(
        resource
            .and_then(|resource| served(head, resource))
            .map_err(|refusal| refusal.at(path)),
    )
}

/// The resource at `path`. Under `/admin` what is none is not found, whoever asks.
fn resource(path: &str) -> Option<Result<Resource, Refusal>> {
    if let Some(rest) = path.strip_prefix("/admin/") {
        let (rest, is_first_version) = match rest.strip_prefix("v2/") {
            Some(rest) => (rest, false),
            None => (rest, true),
        };
        let pieces = pieces(rest);
        let resource = match pieces[..] {
            ["proxy-stats", "metrics"] => Ok(Resource::Statistics(Question::Namespaces)),
            ["proxy-stats", "stats"] => Ok(Resource::Statistics(Question::Topics)),
            ["proxy-stats", tenant, cluster, namespace, local, "stats"] if is_first_version => {
                topic("persistent", &[tenant, cluster, namespace, local])
            }
            ["proxy-stats", domain, tenant, namespace, local, "stats"] => {
                topic(domain, &[tenant, namespace, local])
            }
            _ => Err(Refusal::standard(404)),
        };
        return Some(resource);
    }
    match pieces(path.strip_prefix('/')?)[..] {
        ["status.html"] => Some(Ok(Resource::Status)),
        ["metrics"] => Some(Ok(Resource::Figures(metrics::Form::Prometheus))),
        ["metrics", "hdr"] => Some(Ok(Resource::Figures(metrics::Form::HdrLog))),
        _ => None,
    }
}

/// What `/status.html` says where the service is not in use.
#[must_use]
pub fn not_in_use() -> Refusal {
    Refusal::standard(404).at("/status.html")
}

enum Resource {
    Statistics(Question),
    /// A topic's, whose name is wrong. Other methods than `GET` are judged first.
    NoTopic,
    Status,
    /// Not among the Java service's.
    Figures(metrics::Form),
}

/// Between slashes, of which one may be at the end.
fn pieces(path: &str) -> Vec<&str> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let without_parameters = |piece: &'_ str| piece.split(';').next().map_or(0, str::len);
    path.split('/')
        .map(|piece| &piece[..without_parameters(piece)])
        .collect()
}

fn topic(domain: &str, names: &[&str]) -> Result<Resource, Refusal> {
    if domain.is_empty() || names.iter().any(|name| name.is_empty()) {
        return Err(Refusal::standard(404));
    }
    let names: Vec<String> = names.iter().map(|name| decode_form(name)).collect();
    let name = format!("{}://{}", decode_form(domain), names.join("/"));
    Ok(match TopicName::parse(&name) {
        Ok(topic) => Resource::Statistics(Question::Topic(topic.full_name())),
        Err(_) => Resource::NoTopic,
    })
}

fn served(head: &RequestHead<'_>, resource: Resource) -> Result<Wish, Refusal> {
    match head.method {
        "GET" | "HEAD" => {}
        "OPTIONS" => return Ok(Wish::Answer(Answer::options())),
        _ => return Err(Refusal::standard(405).with_header("Allow", "GET,OPTIONS")),
    }
    let accepted = Accepted::of(head);
    match resource {
        Resource::Status => match accepted.first_of_text() {
            Some(content_type) => Ok(Wish::Status { content_type }),
            None => Err(Refusal::standard(406)),
        },
        // Whatever a scraper prefers: it gets the one form that there is.
        Resource::Figures(form) => Ok(Wish::Statistics(Question::Figures(form))),
        Resource::Statistics(_) | Resource::NoTopic if !accepted.takes_json() => {
            Err(Refusal::standard(406))
        }
        Resource::Statistics(question) => Ok(Wish::Statistics(question)),
        Resource::NoTopic => Err(Refusal::new(500, "Request failed.")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Parsed, parse};
    use super::*;

    fn asked(method: &str, target: &str, headers: &str) -> Option<Result<Wish, Refusal>> {
        let text = format!("{method} {target} HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
        let Parsed::Complete { head, .. } = parse(text.as_bytes()) else {
            panic!("not complete: {text}");
        };
        wish(&head)
    }

    fn question(target: &str) -> Question {
        match asked("GET", target, "") {
            Some(Ok(Wish::Statistics(question))) => question,
            other => panic!("{target}: {other:?}"),
        }
    }

    fn status(method: &str, target: &str, headers: &str) -> u16 {
        match asked(method, target, headers) {
            Some(Ok(Wish::Answer(answer))) => answer.status,
            Some(Ok(_)) => 200,
            Some(Err(refusal)) => refusal.status,
            None => 0,
        }
    }

    #[test]
    fn statistics_of_both_versions() {
        for root in [
            "/admin/proxy-stats",
            "/admin/v2/proxy-stats",
            "http://h/admin/v2/proxy-stats;a=b",
        ] {
            assert_eq!(question(&format!("{root}/metrics")), Question::Namespaces);
            assert_eq!(question(&format!("{root}/stats/?x=1")), Question::Topics);
        }
        let topic = |name: &str| Question::Topic(name.to_owned());
        for (path, name) in [
            (
                "/admin/v2/proxy-stats/persistent/a/b/c/stats",
                "persistent://a/b/c",
            ),
            (
                "/admin/v2/proxy-stats/non-persistent/a/b/c+d%20e/stats",
                "non-persistent://a/b/c d e",
            ),
            (
                "/admin/v2/proxy-stats/persistent/a/b/c%2fd/stats",
                "persistent://a/b/c/d",
            ),
            ("/admin/proxy-stats/a/b/c/d/stats/", "persistent://a/b/c/d"),
        ] {
            assert_eq!(question(path), topic(name), "{path}");
        }
    }

    #[test]
    fn metrics_have_forms_of_their_own() {
        for accept in ["", "Accept: application/json\r\n", "Accept: text/html\r\n"] {
            for (path, form) in [
                ("/metrics", metrics::Form::Prometheus),
                ("/metrics/?name=x", metrics::Form::Prometheus),
                ("/metrics/hdr", metrics::Form::HdrLog),
            ] {
                let wish = asked("GET", path, accept).unwrap().unwrap();
                assert_eq!(wish, Wish::Statistics(Question::Figures(form)), "{path}");
            }
        }
        assert_eq!(status("POST", "/metrics", ""), 405);
        assert_eq!(status("GET", "/metrics/", ""), 200);
        assert_eq!(status("GET", "/metrics/x", ""), 0);
        assert_eq!(status("GET", "/ws/metrics", ""), 0);
    }

    #[test]
    fn what_is_not_there() {
        for path in [
            "/admin/",
            "/admin/v2/",
            "/admin/v2/proxy-stats",
            "/admin/v2/proxy-stats/persistent/a/b/c",
            "/admin/v2/proxy-stats/persistent/a/b//stats",
            "/admin/v2/proxy-stats/persistent/a/b/c/d/stats",
            "/admin/v2//proxy-stats/stats",
            "/admin/v3/proxy-stats/stats",
        ] {
            assert_eq!(status("GET", path, ""), 404, "{path}");
        }
        for path in [
            "/",
            "/status.htm",
            "/status.html/x",
            "/administrator",
            "/ws/v2/producer",
            "/admin/%zz",
        ] {
            assert_eq!(status("GET", path, ""), 0, "{path}");
        }
        for path in [
            "/admin/v2/proxy-stats/nowhere/a/b/c/stats",
            "/admin/v2/proxy-stats/persistent/a$/b/c/stats",
            "/admin/v2/proxy-stats/persistent/a/b/%20/stats",
        ] {
            assert_eq!(status("GET", path, ""), 500, "{path}");
            assert_eq!(status("POST", path, ""), 405, "{path}");
        }
        let Some(Err(refusal)) = asked("GET", "/admin/v2?a=1", "") else {
            panic!("it is redirected");
        };
        assert_eq!(refusal.headers, [("Location", "/admin/v2/?a=1".to_owned())]);
    }

    #[test]
    fn methods_and_forms() {
        for path in ["/admin/v2/proxy-stats/stats", "/status.html"] {
            for (method, expected) in [
                ("GET", 200),
                ("HEAD", 200),
                ("OPTIONS", 200),
                ("POST", 405),
                ("PATCH", 405),
            ] {
                assert_eq!(status(method, path, ""), expected, "{method} {path}");
            }
        }
        let stats = "/admin/v2/proxy-stats/stats";
        for (accept, expected) in [
            ("text/plain", 406),
            ("text/html, */*;q=0.1", 200),
            ("application/*", 200),
            ("Application/JSON", 200),
            ("*/*;q=0", 200),
            ("application/json;q=0, text/html", 406),
        ] {
            assert_eq!(
                status("GET", stats, &format!("Accept: {accept}\r\n")),
                expected,
                "{accept}"
            );
        }
        for (accept, expected) in [
            ("", "text/plain"),
            ("Accept: text/html\r\n", "text/html"),
            ("Accept: */*\r\n", "text/plain"),
            (
                "Accept: text/html;q=0.5, application/json\r\n",
                "application/json",
            ),
        ] {
            let wish = asked("GET", "/status.html", accept).unwrap().unwrap();
            let content_type = expected.to_owned();
            assert_eq!(wish, Wish::Status { content_type });
        }
    }

    #[test]
    fn the_answer_to_head_has_no_body() {
        let Parsed::Complete { head, .. } = parse(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n") else {
            panic!("not complete");
        };
        let mut out = Vec::new();
        Answer::no_such_topic().write(&mut out, Form::of(&head));
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n"));
        assert!(
            text.ends_with("Content-Length: 33\r\nConnection: close\r\n\r\n"),
            "{text}"
        );
    }
}
