//! Lists and patterns from a query, as sessions are to have them.

use super::*;
use crate::{dialect::pulsar_json::spec, http::route, session};

fn ask(query: &str) -> Result<Spec, Refusal> {
    let target = format!("/ws/v3/consumer/my%2Fsub?{query}");
    match spec(&route::endpoint(&route::mount(&target).unwrap()).unwrap())? {
        session::Spec::Consumer(spec) => Ok(spec),
        other => panic!("{query}: {other:?}"),
    }
}

fn refused(query: &str) -> (u16, String) {
    let refusal = ask(query).expect_err(query);
    (refusal.status, refusal.message)
}

fn pattern(query: &str) -> TopicPattern {
    match ask(query).unwrap().several {
        Some(Several::Pattern(pattern)) => pattern,
        other => panic!("{query}: {other:?}"),
    }
}

#[test]
fn names_are_made_whole() {
    let spec = ask("topics=a,%20b/c/d%09,non-persistent://e/f/g,a,persistent://h/i/j/k").unwrap();
    let names = [
        "persistent://public/default/a",
        "persistent://b/c/d",
        "non-persistent://e/f/g",
        "persistent://h/i/j/k",
    ];
    let names = names.map(str::to_owned).to_vec();
    assert_eq!(spec.several, Some(Several::Names(names)));
    assert_eq!(spec.topic, "persistent://public/default/a");
    assert_eq!(spec.subscription, "my/sub");
}

#[test]
fn one_name_is_no_list() {
    for query in ["topics=a", "topics=%20a", "topics=a,a"] {
        let spec = ask(query).unwrap();
        assert_eq!(spec.several, None);
        assert_eq!(spec.topic, "persistent://public/default/a");
    }
}

#[test]
fn names_are_told_wrong_in_javas_words() {
    let blank = "Invalid query params: topicNames cannot have blank topic";
    for query in ["topics=a,", "topics=a,%20,b"] {
        assert_eq!(refused(query), (400, blank.to_owned()));
    }
    let failed = |text: &str| (500, format!("Failed to create producer/consumer: {text}"));
    assert_eq!(refused("topics=a,b/c"), failed("Invalid topic name: 'b/c'"));
    let twice = "java.util.concurrent.ExecutionException: java.lang.IllegalArgumentException: \
                 Subscription topics include duplicate items or invalid names.";
    assert_eq!(refused("topics=a,public/default/a"), failed(twice));
    let domain = "java.util.concurrent.ExecutionException: java.lang.IllegalArgumentException: \
                  Does not support topic domain: Persistent";
    let query = "topicsPattern=Persistent://a/b/c";
    assert_eq!(refused(query), failed(domain));
    assert!(ask("topics=Persistent://a/b/c").is_ok());
}

#[test]
fn patterns_match_names_without_domain_and_in_full() {
    for query in [
        "topicsPattern=a/b/x.*",
        "topicsPattern=persistent://a/b/x.*",
        "topicsPattern=non-persistent://a/b/x.*",
    ] {
        let pattern = pattern(query);
        assert_eq!(pattern.namespace(), "a/b");
        assert_eq!(pattern.common(), Some("a/b/x.*"));
        assert!(pattern.matches("persistent://a/b/xyz"));
        assert!(!pattern.matches("persistent://a/b/yx"));
        assert!(!pattern.matches("persistent://c/a/b/x"));
    }
    let whole = pattern("topicsPattern=persistent://a/c/b/.*");
    assert_eq!(whole.namespace(), "a/c/b");
    let bare = pattern("topicsPattern=p.*");
    assert_eq!(bare.namespace(), "public/default");
    assert!(bare.matches("persistent://public/default/any"));
    let fancy = pattern("topicsPattern=a/b/(?!x).*");
    assert_eq!(fancy.common(), None);
    assert!(fancy.matches("persistent://a/b/y") && !fancy.matches("persistent://a/b/x"));
}

#[test]
fn patterns_come_after_the_other_parameters() {
    let text = "Invalid query params: Unclosed group near index 5\na/b/(";
    assert_eq!(refused("topicsPattern=a/b/("), (400, text.to_owned()));
    let target = "/ws/v3/consumer/%20?topics=a,";
    let endpoint = route::endpoint(&route::mount(target).unwrap()).unwrap();
    let blank = "Invalid query params: topicNames cannot have blank topic";
    assert_eq!(spec(&endpoint).unwrap_err().message, blank);
    let text = "Invalid query params: Invalid subscriptionType x";
    let query = "topicsPattern=a/b/(&subscriptionType=x";
    assert_eq!(refused(query), (400, text.to_owned()));
}

#[test]
fn other_paths_take_no_topics_from_parameters() {
    let target = "/ws/v2/consumer/persistent/a/b/t/s?topics=x,y&topicsPattern=(";
    let endpoint = route::endpoint(&route::mount(target).unwrap()).unwrap();
    let Ok(session::Spec::Consumer(spec)) = spec(&endpoint) else {
        panic!("refused");
    };
    assert_eq!(spec.several, None);
    assert_eq!(spec.topic, "persistent://a/b/t");
}
