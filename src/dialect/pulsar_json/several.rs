//! Consumers of several topics: the parameters `topics` and `topicsPattern`, as
//! `MultiTopicConsumerHandler` and the Java client's builder read them.

use crate::{
    dialect::{java_regex, parameters::is_blank},
    http::{
        refusal::Refusal,
        route::Endpoint,
        topic_name::{Domain, TopicName},
    },
    session::{
        consumer::{Several, Spec},
        pattern::TopicPattern,
    },
};

/// What the parameters name, as they name it: the checks that Java's builder makes before it looks at
/// the subscription.
pub(super) fn choose_topics(endpoint: &Endpoint) -> Result<Option<Several>, String> {
    if !endpoint.names_several {
        return Ok(None);
    }
    if let Some(pattern) = endpoint.parameters.get("topicsPattern") {
        return Ok(Some(Several::Pattern(read_pattern(endpoint, pattern)?)));
    }
    let topics = endpoint.parameters.get("topics").unwrap_or_default();
    if topics.split(',').any(is_blank) {
        return Err("topicNames cannot have blank topic".to_owned());
    }
    let mut texts: Vec<String> = Vec::new();
    for text in topics.split(',') {
        // `StringUtils.trim`, which knows ASCII alone.
        let text = text.trim_matches(|c| c <= ' ');
        if !texts.iter().any(|known| known == text) {
            texts.push(text.to_owned());
        }
    }
    Ok(Some(Several::Names(texts)))
}

/// Makes the names in a spec whole. One topic alone is one as in any other path; the same topic named in
/// two ways is an error. The domain of a pattern is exact, that of a name is not.
pub(super) fn complete_names(endpoint: &Endpoint, spec: &mut Spec) -> Result<(), Refusal> {
    let pattern = endpoint.parameters.get("topicsPattern");
    if let Some((domain, _)) = pattern.and_then(|text| text.split_once("://"))
        && spec.several.is_some()
        && Domain::from_name(domain).is_none()
    {
        return Err(failed(&format!(
            "java.util.concurrent.ExecutionException: java.lang.IllegalArgumentException: \
             Does not support topic domain: {domain}"
        )));
    }
    let Some(Several::Names(texts)) = &mut spec.several else {
        return Ok(());
    };
    let mut names: Vec<String> = Vec::with_capacity(texts.len());
    for text in texts.iter() {
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
    *texts = names;
    if let [name] = &texts[..] {
        spec.topic.clone_from(name);
        spec.several = None;
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

fn failed(message: &str) -> Refusal {
    Refusal::new(
        500,
        format!("Failed to create producer/consumer: {message}"),
    )
}

#[cfg(test)]
mod tests;
