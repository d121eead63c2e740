//! From a request target to what the client wants of which topic.
//!
//! In two steps, because the Java service judges the upgrade between them: [`mount`] finds the servlet (what has none
//! is 404, even for a WebSocket client), [`endpoint`] reads the path as Pulsar's handlers do in their constructors.
//! There a bad topic is a 500 and a bad subscription a 400, both before anyone asks who the client is.
//!
//! Paths are read undecoded and are not normalised: `..` and `;x=1` are parts of a topic's name.

use super::parameters::{NOT_IN_URI, Parameters, decode_form, escapes_are_whole, mangled};
use super::refusal::Refusal;
use super::topic_name::{Domain, TopicName, check_namespace};

/// What a client may do at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointKind {
    /// Publish.
    Producer,
    /// Consume by a subscription.
    Consumer,
    /// Read from a position.
    Reader,
}

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What it may do.
    pub kind: EndpointKind,
    /// The topic.
    pub topic: TopicName,
    /// The parameters name the topics; `topic` is the first one, or their pattern read as one.
    pub names_several: bool,
    /// The subscription; consumers have one, nobody else does.
    pub subscription: Option<String>,
    /// The query.
    pub parameters: Parameters,
}

/// A target under one of the paths that serve WebSockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mount<'a> {
    /// What the client wants to do.
    pub kind: EndpointKind,
    api: Api,
    path: &'a str,
    query: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Api {
    /// `/ws/…/{tenant}/{cluster}/{namespace}/…`
    V1,
    /// `/ws/v2/…/{tenant}/{namespace}/…`
    V2,
    /// `/ws/v3/consumer/{subscription}`
    V3,
}

/// The context paths of the Java service.
const MOUNTS: [(&str, Api, EndpointKind); 7] = [
    ("/ws/v2/producer", Api::V2, EndpointKind::Producer),
    ("/ws/v2/consumer", Api::V2, EndpointKind::Consumer),
    ("/ws/v2/reader", Api::V2, EndpointKind::Reader),
    ("/ws/producer", Api::V1, EndpointKind::Producer),
    ("/ws/consumer", Api::V1, EndpointKind::Consumer),
    ("/ws/reader", Api::V1, EndpointKind::Reader),
    ("/ws/v3/consumer", Api::V3, EndpointKind::Consumer),
];

/// Where the topic stands in a path cut at its slashes, in both versions of topic paths.
const TOPIC_PIECE: usize = 7;

/// Finds what serves `target`: 404 if nothing does, 302 to a context path that lacks its slash, 400 for a path whose
/// escapes are broken.
pub fn mount(target: &str) -> Result<Mount<'_>, Refusal> {
    let (path, query) = split_target(target);
    if !escapes_are_whole(path) || path.contains("%00") {
        return Err(Refusal::new(400, "Bad Request").at(path));
    }
    for (context, api, kind) in MOUNTS {
        let Some(rest) = path.strip_prefix(context) else {
            continue;
        };
        if rest.starts_with('/') {
            return Ok(Mount {
                kind,
                api,
                path,
                query: query.unwrap_or_default(),
            });
        }
        if rest.is_empty() {
            return Err(Refusal::redirect(context, query));
        }
    }
    Err(Refusal::standard(404).at(path))
}

/// Reads topic, subscription and parameters.
pub fn endpoint(mount: &Mount<'_>) -> Result<Endpoint, Refusal> {
    read_endpoint(mount).map_err(|refusal| refusal.at(mount.path))
}

fn read_endpoint(mount: &Mount<'_>) -> Result<Endpoint, Refusal> {
    if mount.path.contains(NOT_IN_URI) || mount.path.contains(['[', ']']) {
        return Err(mangled());
    }
    let parameters = Parameters::parse(mount.query)?;
    let pieces: Vec<&str> = mount.path.split('/').collect();
    let topic = match mount.api {
        Api::V1 | Api::V2 => topic_of_path(mount, &pieces),
        Api::V3 => topic_of_parameters(&parameters),
    }
    .map_err(|text| Refusal::illegal_argument(&text))?;
    let subscription = match mount.kind {
        EndpointKind::Consumer => {
            Some(subscription(mount.api, &pieces).map_err(Refusal::invalid_params)?)
        }
        EndpointKind::Producer | EndpointKind::Reader => None,
    };
    Ok(Endpoint {
        kind: mount.kind,
        topic,
        names_several: mount.api == Api::V3,
        subscription,
        parameters,
    })
}

/// Cuts a target into path and query. The absolute form loses its scheme and host, a fragment is dropped.
pub(super) fn split_target(target: &str) -> (&str, Option<&str>) {
    let target = target.split('#').next().unwrap_or_default();
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let path = match path.split_once("://") {
        Some((_, behind)) if !path.starts_with('/') => {
            behind.find('/').map_or("/", |at| &behind[at..])
        }
        _ => path,
    };
    (path, query)
}

/// Host and port of a target in the absolute form.
pub(super) fn split_authority(target: &str) -> Option<&str> {
    let (scheme, behind) = target.split_once("://")?;
    let authority = behind.split(['/', '?', '#']).next()?;
    (!scheme.contains('/') && !authority.is_empty()).then_some(authority)
}

/// Pulsar's `AbstractWebSocketHandler.extractTopicName`.
fn topic_of_path(mount: &Mount<'_>, pieces: &[&str]) -> Result<TopicName, String> {
    if pieces.len() <= TOPIC_PIECE {
        return Err("Invalid topic name format".to_owned());
    }
    let (domain, names) = match mount.api {
        Api::V2 => (pieces[4], &pieces[5..TOPIC_PIECE]),
        Api::V1 | Api::V3 => (pieces[3], &pieces[4..TOPIC_PIECE]),
    };
    if Domain::from_name(domain).is_none() {
        return Err(String::new());
    }
    match names {
        [tenant, cluster, namespace] => check_namespace(tenant, Some(cluster), namespace)?,
        [tenant, namespace] => check_namespace(tenant, None, namespace)?,
        _ => {}
    }
    let end = match mount.kind {
        EndpointKind::Consumer => pieces.len() - 1,
        EndpointKind::Producer | EndpointKind::Reader => pieces.len(),
    };
    // The first piece counts even if it is empty, or if it is a consumer's last.
    let mut local = pieces[TOPIC_PIECE].to_owned();
    for piece in pieces.iter().take(end).skip(TOPIC_PIECE + 1) {
        if !piece.is_empty() {
            local.push('/');
            local.push_str(piece);
        }
    }
    let local = decode_form(&local);
    TopicName::parse(&format!("{domain}://{}/{local}", names.join("/")))
}

/// Pulsar's `MultiTopicConsumerHandler.extractTopicName`: the first topic, or the pattern read as one.
fn topic_of_parameters(parameters: &Parameters) -> Result<TopicName, String> {
    match (parameters.get("topicsPattern"), parameters.get("topics")) {
        (None, None) => Err("Should set topics or topicsPattern".to_owned()),
        (Some(_), Some(_)) => Err("Topics must be null when use topicsPattern".to_owned()),
        (Some(pattern), None) => TopicName::parse(pattern),
        (None, Some(topics)) => TopicName::parse(topics.split(',').next().unwrap_or_default()),
    }
}

/// Pulsar's `ConsumerHandler.extractSubscription`. Whether the name is blank is judged behind the parameters.
fn subscription(api: Api, pieces: &[&str]) -> Result<String, &'static str> {
    let piece = match (api, pieces) {
        (Api::V1 | Api::V2, [_, _, _, _, _, _, _, _, piece]) => piece,
        (Api::V3, [_, _, _, _, piece, ..]) => piece,
        _ => return Err("Invalid topic name format"),
    };
    if piece.is_empty() {
        return Err("Empty subscription name");
    }
    Ok(decode_form(piece))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const P: &str = "/ws/v2/producer/persistent/public/default";
    const C: &str = "/ws/v2/consumer/persistent/public/default";

    fn served(target: &str) -> Endpoint {
        let mount = mount(target).unwrap();
        endpoint(&mount).unwrap_or_else(|refusal| panic!("{target}: {refusal:?}"))
    }

    fn refused(target: &str) -> (u16, String) {
        let refusal = mount(target)
            .and_then(|mount| endpoint(&mount))
            .expect_err(target);
        (refusal.status, refusal.message)
    }

    fn illegal(text: &str) -> (u16, String) {
        (500, format!("java.lang.IllegalArgumentException: {text}"))
    }

    fn invalid(text: &str) -> (u16, String) {
        (400, format!("Invalid query params: {text}"))
    }

    #[test]
    fn the_three_endpoints_are_found() {
        let endpoint = served("/ws/v2/producer/persistent/public/default/t?producerName=a+b");
        assert_eq!(endpoint.kind, EndpointKind::Producer);
        assert_eq!(endpoint.topic.full_name(), "persistent://public/default/t");
        assert_eq!(endpoint.subscription, None);
        assert_eq!(endpoint.parameters.get("producerName"), Some("a b"));

        let endpoint = served("/ws/v2/consumer/persistent/public/default/t/s");
        assert_eq!(endpoint.kind, EndpointKind::Consumer);
        assert_eq!(endpoint.topic.full_name(), "persistent://public/default/t");
        assert_eq!(endpoint.subscription.as_deref(), Some("s"));

        let endpoint = served("http://host:8080/ws/v2/reader/persistent/a/b/t?messageId=latest#x");
        assert_eq!(endpoint.kind, EndpointKind::Reader);
        assert_eq!(endpoint.topic.full_name(), "persistent://a/b/t");
        assert_eq!(endpoint.parameters.get("messageId"), Some("latest"));
    }

    #[test]
    fn other_paths_are_not_found() {
        let paths = [
            "/",
            "*",
            "",
            "/ws",
            "/ws/",
            "/metrics",
            "/status.html",
            "/ws/pingpong",
            "/ws/v2/pingpong",
            "/ws/v2/producers/persistent/a/b/c",
            "/ws/v3/producer/s",
            "/ws/v3/reader/s",
            "/WS/v2/producer/persistent/a/b/c",
            "/admin/v2/proxy-stats/metrics",
        ];
        for path in paths {
            assert_eq!(mount(path).unwrap_err().status, 404, "{path}");
        }
    }

    #[test]
    fn a_context_without_its_slash_is_redirected() {
        for (context, _, _) in MOUNTS {
            let refusal = mount(context).unwrap_err();
            assert_eq!(refusal.status, 302);
            assert_eq!(refusal.headers, [("Location", format!("{context}/"))]);
        }
        let refusal = mount("/ws/v2/producer?a=1").unwrap_err();
        assert_eq!(refusal.headers[0].1, "/ws/v2/producer/?a=1");
    }

    #[test]
    fn too_few_pieces_are_illegal() {
        let text = illegal("Invalid topic name format");
        for path in [
            "/ws/v2/producer/",
            "/ws/v2/reader/persistent/a/b",
            "/ws/v2/consumer/persistent/a/b",
        ] {
            assert_eq!(refused(path), text, "{path}");
        }
    }

    #[test]
    fn the_domain_is_exact() {
        let expected = (500, "java.lang.IllegalArgumentException".to_owned());
        for domain in ["Persistent", "nonpersistent", "", "persisten%74"] {
            assert_eq!(
                refused(&format!("/ws/v2/producer/{domain}/a/b/c")),
                expected
            );
        }
    }

    #[test]
    fn tenant_and_namespace_are_not_decoded() {
        assert_eq!(
            refused("/ws/v2/producer/persistent/pub%6Cic/default/t"),
            illegal("Invalid named entity: pub%6Cic")
        );
        assert_eq!(
            refused("/ws/v2/producer/persistent/a//t"),
            illegal("Invalid namespace format. namespace: a/")
        );
        assert_eq!(
            refused("/ws/producer/persistent/a/b+c/d/t"),
            illegal("Invalid named entity: b+c")
        );
    }

    #[test]
    fn local_names_are_form_decoded_and_otherwise_literal() {
        for (path, local) in [
            ("t/", "t"),
            ("t//", "t"),
            ("a%20b+c", "a b c"),
            ("%C3%a4", "ä"),
            ("..", ".."),
            ("t;x=1", "t;x=1"),
        ] {
            assert_eq!(served(&format!("{P}/{path}")).topic.local, local);
        }
    }

    #[test]
    fn a_slash_makes_a_name_of_the_first_version() {
        let expected = "persistent://public/default/a/b";
        for path in ["a%2Fb", "a/b", "a//b", "a/b/"] {
            let path = format!("{P}/{path}");
            assert_eq!(served(&path).topic.full_name(), expected);
        }
        let endpoint = served("/ws/v2/consumer/persistent/a/b/c%2Fd/s");
        assert_eq!(endpoint.topic.full_name(), "persistent://a/b/c/d");
        assert_eq!(endpoint.topic.cluster.as_deref(), Some("b"));
        assert_eq!(
            refused(&format!("{P}/a%20b/c")),
            illegal("Invalid named entity: a b")
        );
    }

    #[test]
    fn a_blank_local_name_is_illegal() {
        let blank = |name| {
            illegal(&format!(
                "Invalid topic name: {name}. Topic local name must not be blank."
            ))
        };
        assert_eq!(
            refused(&format!("{P}/")),
            blank("persistent://public/default/")
        );
        assert_eq!(
            refused(&format!("{P}/%20")),
            blank("persistent://public/default/ ")
        );
        assert_eq!(
            refused(&format!("{C}//s")),
            blank("persistent://public/default/")
        );
    }

    #[test]
    fn subscriptions_are_one_decoded_piece() {
        for (path, name) in [("a%2Fb", "a/b"), ("a+b", "a b"), ("s", "s"), ("%20", " ")] {
            let endpoint = served(&format!("{C}/t/{path}"));
            assert_eq!(endpoint.subscription.as_deref(), Some(name));
        }
        assert_eq!(
            refused(&format!("{C}/t/")),
            invalid("Empty subscription name")
        );
        for path in ["t", "t/s/", "t/x/s"] {
            assert_eq!(
                refused(&format!("{C}/{path}")),
                invalid("Invalid topic name format"),
                "{path}"
            );
        }
    }

    #[test]
    fn consumers_of_several_topics_name_them_in_one_way() {
        let both = "/ws/v3/consumer/s?topics=a&topicsPattern=b";
        assert_eq!(
            refused("/ws/v3/consumer/s"),
            illegal("Should set topics or topicsPattern")
        );
        assert_eq!(
            refused(both),
            illegal("Topics must be null when use topicsPattern")
        );
        assert_eq!(
            refused("/ws/v3/consumer/?topics=a"),
            invalid("Empty subscription name")
        );
        for query in [
            "topics=a,b",
            "topics=a/b/c",
            "topicsPattern=public/default/.*",
        ] {
            let path = format!("/ws/v3/consumer/s/ignored?{query}");
            let endpoint = served(&path);
            assert!(endpoint.names_several);
            assert_eq!(endpoint.subscription.as_deref(), Some("s"));
        }
    }

    #[test]
    fn paths_of_the_first_version() {
        for (target, kind, topic, subscription) in [
            (
                "/ws/producer/persistent/a/b/c/d/",
                EndpointKind::Producer,
                "persistent://a/b/c/d",
                None,
            ),
            (
                "/ws/producer/persistent/a/b/c/d%2Fe//f",
                EndpointKind::Producer,
                "persistent://a/b/c/d/e/f",
                None,
            ),
            (
                "/ws/consumer/persistent/a/b/c/d/s%2F",
                EndpointKind::Consumer,
                "persistent://a/b/c/d",
                Some("s/"),
            ),
            (
                "/ws/reader/non-persistent/a/b/c/d",
                EndpointKind::Reader,
                "non-persistent://a/b/c/d",
                None,
            ),
        ] {
            let endpoint = served(target);
            assert_eq!(endpoint.kind, kind);
            assert_eq!(endpoint.topic.full_name(), topic);
            assert_eq!(endpoint.subscription.as_deref(), subscription);
        }
    }

    #[test]
    fn broken_escapes_are_400_in_the_path_and_500_in_the_query() {
        let refusal = mount(&format!("{P}/%zz")).unwrap_err();
        assert_eq!(
            (refusal.status, refusal.message.as_str()),
            (400, "Bad Request")
        );
        assert_eq!(mount("/%").unwrap_err().status, 400);
        // A plain request for it must still be a 405, so the query is not judged before the upgrade.
        let mounted = mount("/ws/v2/producer/x?a=%zz").unwrap();
        let refusal = endpoint(&mounted).unwrap_err();
        assert_eq!(refusal.status, 500);
        assert_eq!(
            refusal.message,
            "java.io.IOException: Unable to accept websocket due to mangled URI"
        );
    }

    proptest! {
        #[test]
        fn no_target_panics(
            start in prop_oneof![Just(""), Just("/ws/v2/producer/persistent/"), Just("/ws/consumer/"),
                                 Just("/ws/v3/consumer/s?")],
            rest in "[a-z/%0-9?&=#+:;ä.]{0,60}",
        ) {
            let target = format!("{start}{rest}");
            if let Ok(mount) = mount(&target) {
                let _ = endpoint(&mount);
            }
        }
    }
}
