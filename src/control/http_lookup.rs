//! Finding a topic's broker over HTTP, for who has only the URL of the brokers' web service.
//!
//! Asks what `HttpLookupService` of the Java client asks: how many partitions the topic has, then
//! which broker owns it. Redirects, by which brokers pass a question on to each other, are followed.
//! Each question holds a thread as long as it takes, so there are several.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use ureq::Agent;

use super::ControlFull;
use crate::config::Config;

/// Questions asked at a time.
const THREADS: usize = 8;
/// Questions that may wait for a thread. A shard bounds its own.
const QUESTIONS_MAX: usize = 64 * 1024;
/// Java's `maxLookupRedirects`.
const REDIRECTS_MAX: u32 = 20;
/// Answers are a few hundred bytes, but for the topics of a namespace.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What `java.net.URLEncoder` leaves as it is; it makes a blank a plus besides.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'.')
    .remove(b'-')
    .remove(b'*')
    .remove(b'_');

/// Where a topic is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// How many partitions it has; 0 for a topic without, and if that was not asked.
    pub partitions: u64,
    /// Its broker's URL, as `pulsar://host:6650`. Empty if the topic has partitions, each of which
    /// has its own, and if that was not asked.
    pub broker_url: String,
    /// The namespace's topics by their full names; empty if that was not asked.
    pub topics: Vec<String>,
}

/// What to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The topic's broker.
    Broker,
    /// Its partitions, or its broker if it has none. Asking may make the topic.
    PartitionsOrBroker,
    /// Its partitions. Asking makes nothing.
    Partitions,
    /// The persistent topics of a namespace, whose name stands in the place of a topic's.
    Topics,
}

/// Why it was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupError {
    /// The status that the web service answered with; `None` if it could not be reached.
    pub status: Option<u16>,
    /// For the log and for who waits.
    pub message: String,
}

/// Takes an answer, on a thread of its own.
pub type Located = Box<dyn FnOnce(Result<Location, LookupError>) + Send>;

/// Where questions are put.
#[derive(Clone)]
pub(super) struct HttpLookup {
    questions: Sender<Question>,
}

struct Question {
    topic: String,
    wanted: Wanted,
    reply: Located,
}

/// The brokers' web service, as a thread sees it.
#[derive(Clone)]
struct Service {
    agent: Agent,
    urls: Arc<[String]>,
    /// Counts on when a host can't be reached; which one is asked first follows from it.
    first: Arc<AtomicUsize>,
}

impl HttpLookup {
    /// Starts the threads; they end with the last clone of it.
    pub(super) fn start(config: &Config) -> io::Result<Self> {
        let (questions, waiting) = bounded(QUESTIONS_MAX);
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(REDIRECTS_MAX)
            .timeout_connect(Some(config.connect_timeout))
            .timeout_global(Some(config.operation_timeout))
            .user_agent(concat!("pulsar-ws-fast/", env!("CARGO_PKG_VERSION")))
            .proxy(None)
            .build()
            .new_agent();
        let service = Service {
            agent,
            urls: config.service_urls.as_slice().into(),
            first: Arc::default(),
        };
        for _ in 0..THREADS {
            let (service, waiting) = (service.clone(), waiting.clone());
            thread::Builder::new()
                .name("http-lookup".to_owned())
                .spawn(move || serve(&service, &waiting))?;
        }
        Ok(Self { questions })
    }

    pub(super) fn locate(
        &self,
        topic: String,
        wanted: Wanted,
        reply: Located,
    ) -> Result<(), ControlFull> {
        let question = Question {
            topic,
            wanted,
            reply,
        };
        self.questions.try_send(question).map_err(|_| ControlFull)
    }
}

fn serve(service: &Service, questions: &Receiver<Question>) {
    for question in questions {
        (question.reply)(service.locate(&question.topic, question.wanted));
    }
}

impl Service {
    fn locate(&self, topic: &str, wanted: Wanted) -> Result<Location, LookupError> {
        if wanted == Wanted::Topics {
            return self.topics(topic);
        }
        let (topic, version) =
            encoded(topic).ok_or_else(|| nonsense("the topic has no such name"))?;
        if wanted != Wanted::Broker {
            let may_create = wanted == Wanted::PartitionsOrBroker;
            let path = format!(
                "{}/{topic}/partitions?checkAllowAutoCreation={may_create}",
                version.admin()
            );
            let answer = self.get(&path)?;
            let partitions = answer["partitions"].as_u64();
            let partitions = partitions.ok_or_else(|| nonsense("it names no partitions"))?;
            if partitions > 0 || wanted == Wanted::Partitions {
                return Ok(Location {
                    partitions,
                    broker_url: String::new(),
                    topics: Vec::new(),
                });
            }
        }
        let answer = self.get(&format!("{}/{topic}", version.lookup()))?;
        // `nativeUrl` is what very old brokers said.
        let url = answer["brokerUrl"].as_str();
        let url = url.or_else(|| answer["nativeUrl"].as_str());
        Ok(Location {
            partitions: 0,
            broker_url: url
                .ok_or_else(|| nonsense("it names no broker"))?
                .to_owned(),
            topics: Vec::new(),
        })
    }

    /// A namespace that is not there has no topics, as over the brokers' own protocol.
    fn topics(&self, namespace: &str) -> Result<Location, LookupError> {
        let path = match namespace.split('/').count() {
            2 => format!("/admin/v2/namespaces/{namespace}/topics?mode=PERSISTENT"),
            _ => format!("/admin/namespaces/{namespace}/destinations?mode=PERSISTENT"),
        };
        let answer = match self.get(&path) {
            Err(LookupError {
                status: Some(404), ..
            }) => Value::Array(Vec::new()),
            answer => answer?,
        };
        let names = answer.as_array();
        let names = names.ok_or_else(|| nonsense("it is no list of topics"))?;
        let names = names.iter().filter_map(|name| name.as_str());
        Ok(Location {
            partitions: 0,
            broker_url: String::new(),
            topics: names.map(str::to_owned).collect(),
        })
    }

    /// The answer of the first host that can be reached.
    fn get(&self, path: &str) -> Result<Value, LookupError> {
        let mut reason = "no host is configured".to_owned();
        let first = self.first.load(Ordering::Relaxed);
        for index in first..first.saturating_add(self.urls.len()) {
            let url = format!("{}{path}", self.urls[index % self.urls.len()]);
            let request = self.agent.get(&url).header("Accept", "application/json");
            let answer = request.call().and_then(|mut response| {
                let status = response.status().as_u16();
                let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX);
                Ok((status, body.read_to_string()?))
            });
            match answer {
                Ok((200..=299, body)) => {
                    return serde_json::from_str(&body).map_err(|_| nonsense("it is no JSON"));
                }
                Ok((status, body)) => {
                    return Err(LookupError {
                        status: Some(status),
                        message: refusal(status, &body),
                    });
                }
                Err(error) => {
                    reason = error.to_string();
                    tracing::debug!(url, reason, "lookup over HTTP failed");
                    // Others may have counted on already.
                    let _ = self.first.compare_exchange(
                        index,
                        index.wrapping_add(1),
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    );
                }
            }
        }
        Err(LookupError {
            status: None,
            message: reason,
        })
    }
}

/// Brokers answer `{"reason":"…"}`.
fn refusal(status: u16, body: &str) -> String {
    let answer: Option<Value> = serde_json::from_str(body).ok();
    let reason = answer.as_ref().and_then(|answer| answer["reason"].as_str());
    reason.map_or_else(
        || format!("HTTP get request failed: {status}"),
        ToOwned::to_owned,
    )
}

fn nonsense(what: &str) -> LookupError {
    LookupError {
        status: None,
        message: format!("the answer to a lookup can't be used: {what}"),
    }
}

/// Which of the two kinds of topic names one is; each has paths of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// `tenant/cluster/namespace/topic`
    V1,
    /// `tenant/namespace/topic`
    V2,
}

impl Version {
    const fn admin(self) -> &'static str {
        match self {
            Self::V1 => "/admin",
            Self::V2 => "/admin/v2",
        }
    }

    const fn lookup(self) -> &'static str {
        match self {
            Self::V1 => "/lookup/v2/destination",
            Self::V2 => "/lookup/v2/topic",
        }
    }
}

/// A full topic name as a path, what is behind the namespace in one piece.
fn encoded(topic: &str) -> Option<(String, Version)> {
    let (domain, rest) = topic.split_once("://")?;
    let parts: Vec<&str> = rest.splitn(4, '/').collect();
    let (namespace, local, version) = match parts[..] {
        [tenant, namespace, local] => (format!("{tenant}/{namespace}"), local, Version::V2),
        [tenant, cluster, namespace, local] => {
            let namespace = format!("{tenant}/{cluster}/{namespace}");
            (namespace, local, Version::V1)
        }
        _ => return None,
    };
    let local = utf8_percent_encode(local, ENCODED)
        .to_string()
        .replace("%20", "+");
    Some((format!("{domain}/{namespace}/{local}"), version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_as_paths() {
        let v1 = |path: &str| Some((path.to_owned(), Version::V1));
        let v2 = |path: &str| Some((path.to_owned(), Version::V2));
        for (topic, path) in [
            ("persistent://t/n/a.b-c_d*", v2("persistent/t/n/a.b-c_d*")),
            (
                "non-persistent://t/n/a b%ü",
                v2("non-persistent/t/n/a+b%25%C3%BC"),
            ),
            ("persistent://t/c/n/a", v1("persistent/t/c/n/a")),
            ("persistent://t/c/n/a/b c", v1("persistent/t/c/n/a%2Fb+c")),
            ("t/n/a", None),
            ("persistent://t/n", None),
        ] {
            assert_eq!(encoded(topic), path);
        }
    }

    #[test]
    fn reasons() {
        assert_eq!(
            refusal(404, r#"{"reason":"Namespace not found"}"#),
            "Namespace not found"
        );
        assert_eq!(refusal(500, "<html>"), "HTTP get request failed: 500");
    }
}
