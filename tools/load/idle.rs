//! Connections that do nothing, and the memory they take.

use std::{fmt::Write, io, time::Duration};

use serde_json::{Map, Value, json};

use crate::{
    clock::{Clock, nanoseconds},
    options::{Common, Idle},
    progress::Progress,
    run::Crew,
    slot::{Role, Slot},
    target::{Query, Target},
    text::{bytes, grouped},
    topic::Topic,
    window::Shared,
};

/// What was found.
pub(crate) struct Held {
    clients: usize,
    opening: Duration,
    /// Of each process watched, memory before and after, and the time it used while all were held.
    found: Vec<(String, u64, u64, u64)>,
    held: Duration,
}

/// Opens clients one after the other, and watches them do nothing.
pub(crate) fn run(
    common: &mut Common,
    kind: Idle,
    topics: usize,
    progress: &Progress,
) -> io::Result<Held> {
    let (clock, target) = (Clock::start(), common.target()?);
    let (topic, query) = (
        Topic::new(common.topic("idle"), common.one_topic)?,
        Query::new(&common.query),
    );
    let open = |index: usize| open(&target, &topic, &query, kind, index % topics, index);
    let shared = std::sync::Arc::new(Shared::new());
    let crew = Crew::start(1, clock, &shared, u64::MAX)?;
    // The first one brings up the connection to the broker, which all share.
    crew.hand_over(vec![(0, open(0)?)]);
    clock.sleep_until(clock.now() + nanoseconds(common.warm()));
    let rss = || {
        common
            .watch
            .iter()
            .map(|process| process.rss_bytes())
            .collect::<io::Result<Vec<_>>>()
    };
    let cpu = || {
        common
            .watch
            .iter()
            .map(|process| process.cpu_us())
            .collect::<io::Result<Vec<_>>>()
    };
    let (before, start) = (rss()?, clock.now());
    for index in 0..common.clients {
        let ramp = nanoseconds(common.ramp()) / common.clients as u64 * index as u64;
        clock.sleep_until(start + ramp);
        crew.hand_over(vec![(0, open(index)?)]);
        progress.opened(index + 1, common.clients);
        if progress.interrupted() || crew.failed() {
            break;
        }
    }
    let (opened, cpu_before) = (clock.now(), cpu()?);
    let end = opened + nanoseconds(common.measured());
    while clock.now() < end && !progress.interrupted() && !crew.failed() {
        clock.sleep_until(end.min(clock.now() + nanoseconds(Duration::from_millis(20))));
    }
    let (after, cpu_after, held) = (rss()?, cpu()?, clock.now() - opened);
    progress.done();
    shared.finish();
    crew.wake();
    crew.end()?;
    let found = common.watch.iter().enumerate().map(|(at, process)| {
        (
            process.name.clone(),
            before[at],
            after[at],
            cpu_after[at] - cpu_before[at],
        )
    });
    Ok(Held {
        clients: common.clients,
        opening: Duration::from_nanos(opened - start),
        found: found.collect(),
        held: Duration::from_nanos(held),
    })
}

fn open(
    target: &Target,
    topic: &Topic,
    query: &Query,
    kind: Idle,
    number: usize,
    index: usize,
) -> io::Result<Slot> {
    let path = match kind {
        Idle::Producer => topic.producer(number, query),
        Idle::Reader => topic.reader(number, query),
        Idle::Consumer => {
            let query = query
                .clone()
                .or("subscriptionType", "Shared")
                .or("subscriptionMode", "NonDurable");
            topic.consumer(number, &format!("idle-{index}"), &query)
        }
    };
    Ok(Slot::new(target.open(&path)?, Role::Hold))
}

impl Held {
    pub(crate) fn json(&self) -> Value {
        let memory = self
            .found
            .iter()
            .map(|(name, before, after, _)| (name.clone(), json!([before, after])));
        let cpu = self
            .found
            .iter()
            .map(|(name, _, _, used)| (name.clone(), json!(used)));
        json!({
            "clients": self.clients,
            "opening_seconds": self.opening.as_secs_f64(),
            "seconds": self.held.as_secs_f64(),
            "rss_bytes": memory.collect::<Map<_, _>>(),
            "cpu_us": cpu.collect::<Map<_, _>>(),
        })
    }

    pub(crate) fn text(&self) -> String {
        let mut page = format!(
            "{} idle clients, opened in {:.2} s, held for {:.2} s\n\n  {:<14}{:>14}{:>14}{:>14}{:>10}\n",
            grouped(self.clients as u64),
            self.opening.as_secs_f64(),
            self.held.as_secs_f64(),
            "memory",
            "before",
            "after",
            "each",
            "CPU"
        );
        for (name, before, after, cpu_us) in &self.found {
            let each = after.saturating_sub(*before) / self.clients as u64;
            let cpu =
                Duration::from_micros(*cpu_us).as_secs_f64() / self.held.as_secs_f64().max(1e-9);
            // Writing to a string can't fail.
            let _ = writeln!(
                page,
                "  {name:<14}{:>14}{:>14}{:>14}{:>10}",
                bytes(*before),
                bytes(*after),
                bytes(each),
                format!("{:.1} %", cpu * 100.0)
            );
        }
        page
    }
}
