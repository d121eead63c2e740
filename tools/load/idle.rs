//! Producers that do nothing, and the memory they take.

use std::{fmt::Write, io, thread, time::Duration};

use crate::{Common, client::Client};

pub(crate) fn run(common: &Common) -> io::Result<String> {
    let rss = || -> io::Result<Vec<u64>> {
        common
            .watch
            .iter()
            .map(|process| process.rss_bytes())
            .collect()
    };
    // The first one brings up the connection to the broker, which all share.
    let path = |index: usize| {
        format!(
            "/ws/v2/producer/persistent/public/default/idle-{}",
            index % 100
        )
    };
    let first = Client::open(common.address, &path(0), common.deflate)?;
    thread::sleep(Duration::from_secs_f64(common.warm_seconds));
    let before = rss()?;
    let mut clients = Vec::with_capacity(common.clients);
    for index in 0..common.clients {
        clients.push(Client::open(common.address, &path(index), common.deflate)?);
    }
    thread::sleep(Duration::from_secs_f64(common.seconds));
    let after = rss()?;
    let mut json = format!(r#"{{"clients":{},"rss_bytes":{{"#, common.clients);
    for (index, process) in common.watch.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let (before, after) = (before[index], after[index]);
        // Writing to a string can't fail.
        let _ = write!(json, r#"{comma}"{}":[{before},{after}]"#, process.name);
    }
    json.push_str("}}");
    drop((first, clients));
    Ok(json)
}
