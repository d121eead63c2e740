//! Consumers of several topics: the parameters `topics` and `topicsPattern`, as
//! `MultiTopicConsumerHandler` and the Java client's builder read them.

use crate::{
    dialect::{java_regex, parameters::is_blank},
    http::{refusal::Refusal, route::Endpoint, topic_name::TopicName},
    session::{
        consumer::{Several, Spec},
        pattern::TopicPattern,
    },
};

/// Takes the topics into a session's spec. One topic alone is one as in any other path.
pub(super) fn choose_topics(endpoint: &Endpoint, spec: &mut Spec) -> Result<(), Refusal> {
    if !endpoint.names_several {
        return Ok(());
    }
    if let Some(pattern) = endpoint.parameters.get("topicsPattern") {
        let pattern = read_pattern(endpoint, pattern);
        let pattern = pattern.map_err(|text| Refusal::invalid_params(&text))?;
        spec.several = Some(Several::Pattern(pattern));
        return Ok(());
    }
    let topics = endpoint.parameters.get("topics").unwrap_or_default();
    let mut names = read_names(topics)?;
    if names.len() == 1
        && let Some(name) = names.pop()
    {
        spec.topic = name;
    } else {
        spec.several = Some(Several::Names(names));
    }
    Ok(())
}

/// The whole text must be a pattern. What topics are matched with is what is behind its `://`.
fn read_pattern(endpoint: &Endpoint, text: &str) -> Result<TopicPattern, String> {
    let mut compiled = java_regex::compile(text)?;
    let mut bare = text;
    if let Some(behind) = text.split("://").nth(1) {
        bare = behind;
        compiled = java_regex::compile(bare)?;
    }
    let common = compiled.is_common.then(|| bare.to_owned());
    Ok(TopicPattern::new(
        endpoint.topic.namespace_name(),
        compiled.regex,
        common,
    ))
}

/// Full names. The same text twice is one topic, the same topic in two ways an error.
fn read_names(topics: &str) -> Result<Vec<String>, Refusal> {
    if topics.split(',').any(is_blank) {
        return Err(Refusal::invalid_params(
            "topicNames cannot have blank topic",
        ));
    }
    let mut texts: Vec<&str> = Vec::new();
    for text in topics.split(',') {
        // `StringUtils.trim`, which knows ASCII alone.
        let text = text.trim_matches(|c| c <= ' ');
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    let mut names: Vec<String> = Vec::with_capacity(texts.len());
    for text in texts {
        let name = TopicName::parse(text)
            .map_err(|_| failed(&format!("Invalid topic name: '{text}'")))?
            .full_name();
        if names.contains(&name) {
            return Err(failed(
                "java.util.concurrent.ExecutionException: java.lang.IllegalArgumentException: \
                 Subscription topics include duplicate items or invalid names.",
            ));
        }
        names.push(name);
    }
    Ok(names)
}

fn failed(message: &str) -> Refusal {
    Refusal::new(
        500,
        format!("Failed to create producer/consumer: {message}"),
    )
}
