//! Descriptors: one for each client, and a few for each core and broker.

use super::{
    View,
    finding::{Finding, Topic},
    root::Unread,
};
use crate::config::open_files;

const NOFILE: Topic = Topic {
    group: "open files",
    name: "of the process",
    why: "Each client takes a descriptor; beyond the limit nobody is accepted any more. The hard \
          limit counts, as the service raises the soft one to it.",
};
const NR_OPEN: Topic = Topic {
    group: "open files",
    name: "a process's most",
    why: "fs.nr_open is the highest limit of open files that any process can be given.",
};
const FILE_MAX: Topic = Topic {
    group: "open files",
    name: "of the machine",
    why: "Beyond fs.file-max accepting fails for all processes without CAP_SYS_ADMIN.",
};
/// What is plenty where maxHttpServerConnections sets no limit.
const PLENTY: u64 = 1_048_576;

pub(super) fn findings(view: &View<'_>) -> Vec<Finding> {
    vec![nofile(view), nr_open(view), file_max(view)]
}

/// Soft and hard limit of this process; `u64::MAX` is none.
pub(super) fn limit(view: &View<'_>, name: &str) -> Result<(u64, u64), Unread> {
    const PATH: &str = "proc/self/limits";
    let text = view.root.text(PATH)?;
    let words = text.lines().find_map(|line| line.strip_prefix(name));
    let mut numbers = words
        .unwrap_or_default()
        .split_whitespace()
        .map_while(|word| match word {
            "unlimited" => Some(u64::MAX),
            number => number.parse().ok(),
        });
    match (numbers.next(), numbers.next()) {
        (Some(soft), Some(hard)) => Ok((soft, hard)),
        _ => Err(Unread::Failed(format!("/{PATH} has no \"{name}\""))),
    }
}

/// Descriptors that the configuration can ask for, and whether it sets a limit at all.
fn needed(view: &View<'_>) -> (u64, bool) {
    match view.plan.config.connections_max {
        0 => (PLENTY, false),
        clients => (open_files::needed(view.shards(), clients) as u64, true),
    }
}

fn nofile(view: &View<'_>) -> Finding {
    let hard = match limit(view, "Max open files") {
        Ok((_, hard)) => hard,
        Err(unread) => return NOFILE.unknown(&unread),
    };
    let (needed, is_limited) = needed(view);
    if hard >= needed {
        return NOFILE.ok(format!("{hard}, and {needed} may be needed"));
    }
    let command = format!(
        "LimitNOFILE={PLENTY} in the systemd unit, --ulimit nofile={PLENTY} for a container, \
         tuning/limits.d for a login"
    );
    let finding = if is_limited {
        let clients = view.plan.config.connections_max;
        NOFILE.problem(
            format!("{hard}, and maxHttpServerConnections={clients} may need {needed}"),
            format!("{needed} or more, or a lower maxHttpServerConnections"),
        )
    } else {
        NOFILE.advice(
            format!("{hard}, and maxHttpServerConnections sets no limit"),
            format!("{PLENTY}, or a maxHttpServerConnections that fits"),
        )
    };
    finding.by(command)
}

fn nr_open(view: &View<'_>) -> Finding {
    above(view, NR_OPEN, "proc/sys/fs/nr_open", "fs.nr_open")
}

fn file_max(view: &View<'_>) -> Finding {
    above(view, FILE_MAX, "proc/sys/fs/file-max", "fs.file-max")
}

fn above(view: &View<'_>, topic: Topic, path: &str, key: &str) -> Finding {
    let (needed, _) = needed(view);
    match view.root.number::<u64>(path) {
        Ok(value) if value >= needed => topic.ok(format!("{key} is {value}")),
        Ok(value) => topic
            .problem(format!("{key} is {value}"), format!("{needed} or more"))
            .by(format!("sysctl -w {key}={}", needed.max(PLENTY))),
        Err(unread) => topic.unknown(&unread),
    }
}
