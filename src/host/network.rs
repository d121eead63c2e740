//! What the kernel's TCP allows: waiting connections, ports, buffers.

use super::{
    View,
    finding::{Finding, Topic},
    root::Unread,
};

const fn topic(name: &'static str, why: &'static str) -> Topic {
    Topic {
        group: "network",
        name,
        why,
    }
}

const BACKLOG: Topic = topic(
    "accept queue",
    "net.core.somaxconn silently cuts httpServerAcceptQueueSize; clients that all come back at once \
     beyond it wait a second or more for their next SYN.",
);
const SYN_BACKLOG: Topic = topic(
    "SYN queue",
    "Handshakes beyond net.ipv4.tcp_max_syn_backlog are answered with SYN cookies, which lose \
     TCP options, or not at all.",
);
const PORTS: Topic = topic(
    "ports",
    "Each shard has a connection of its own to each broker, and each takes a port; a port to listen on \
     that lies in the range can be gone to an outgoing connection when the service starts.",
);
const TIME_WAIT: Topic = topic(
    "ports in TIME-WAIT",
    "Broker connections are few and long-lived; where brokers come and go, reuse keeps their old \
     ports from running out.",
);
const SLOW_START: Topic = topic(
    "slow start",
    "A client or broker connection that was idle begins its next burst slowly again, though these \
     connections live for hours.",
);
const READ_BUFFER: Topic = topic(
    "receive buffer",
    "One broker connection of a shard carries the deliveries of all its clients; the third number \
     bounds what is under way, so bytes a second by round trip time.",
);
const WRITE_BUFFER: Topic = topic(
    "send buffer",
    "One broker connection of a shard carries the publishes of all its clients; the third number \
     bounds what is under way, so bytes a second by round trip time.",
);
const CONNTRACK: Topic = topic(
    "connection tracking",
    "Each connection takes an entry in the firewall's table; when it is full new connections are \
     dropped without an answer.",
);
const TAKEOVER: Topic = topic(
    "takeover",
    "A client that connects while the old instance stops listening is reset, unless the kernel may \
     hand it to the new one.",
);

/// Fewer than these suggest that somebody narrowed the range for another purpose.
const PORTS_MIN: u32 = 8192;
/// 4 MiB under way are 4 GB/s at 1 ms, 400 MB/s at 10 ms.
const BUFFER_MIN: u64 = 4 * 1024 * 1024;

pub(super) fn findings(view: &View<'_>) -> Vec<Finding> {
    let backlog = u64::try_from(view.plan.config.accept_backlog).unwrap_or(0);
    let mut found = vec![
        at_least(view, BACKLOG, "net.core.somaxconn", backlog),
        at_least(view, SYN_BACKLOG, "net.ipv4.tcp_max_syn_backlog", backlog),
        ports(view),
        not(view, TIME_WAIT, "net.ipv4.tcp_tw_reuse", 0, 2),
        not(view, SLOW_START, "net.ipv4.tcp_slow_start_after_idle", 1, 0),
        buffer(view, READ_BUFFER, "net.ipv4.tcp_rmem"),
        buffer(view, WRITE_BUFFER, "net.ipv4.tcp_wmem"),
    ];
    found.extend(conntrack(view));
    if view.plan.config.takeover {
        found.push(not(view, TAKEOVER, "net.ipv4.tcp_migrate_req", 0, 1));
    }
    found
}

fn file(key: &str) -> String {
    format!("proc/sys/{}", key.replace('.', "/"))
}

fn at_least(view: &View<'_>, topic: Topic, key: &str, needed: u64) -> Finding {
    match view.root.number::<u64>(&file(key)) {
        Ok(value) if value >= needed => topic.ok(format!("{key} is {value}")),
        Ok(value) => topic
            .advice(
                format!("{key} is {value}, and httpServerAcceptQueueSize is {needed}"),
                format!("{needed} or more"),
            )
            .by(format!("sysctl -w {key}={needed}")),
        Err(unread) => topic.unknown(&unread),
    }
}

fn not(view: &View<'_>, topic: Topic, key: &str, bad: u64, good: u64) -> Finding {
    match view.root.number::<u64>(&file(key)) {
        Ok(value) if value == bad => topic
            .advice(format!("{key} is {value}"), good.to_string())
            .by(format!("sysctl -w {key}={good}")),
        Ok(value) => topic.ok(format!("{key} is {value}")),
        Err(unread) => topic.unknown(&unread),
    }
}

fn ports(view: &View<'_>) -> Finding {
    const KEY: &str = "net.ipv4.ip_local_port_range";
    const RESERVED: &str = "net.ipv4.ip_local_reserved_ports";
    let text = match view.root.text(&file(KEY)) {
        Ok(text) => text,
        Err(unread) => return PORTS.unknown(&unread),
    };
    let numbers: Vec<u32> = text
        .split_whitespace()
        .map_while(|number| number.parse().ok())
        .collect();
    let &[first, last] = numbers.as_slice() else {
        let sentence = format!("{KEY} is \"{text}\", which are no two ports");
        return PORTS.unknown(&Unread::Failed(sentence));
    };
    let seen = format!("{KEY} is {first} to {last}");
    if last.saturating_sub(first) + 1 < PORTS_MIN {
        return PORTS
            .advice(seen, format!("{PORTS_MIN} ports or more"))
            .by(format!("sysctl -w {KEY}=\"32768 60999\""));
    }
    let port = view.plan.config.port;
    let reserved = view.root.text(&file(RESERVED)).unwrap_or_default();
    if (first..=last).contains(&u32::from(port)) && !is_in(&reserved, port) {
        let keep = [reserved.as_str(), &port.to_string()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(",");
        return PORTS
            .advice(
                format!("{seen}, which holds the port to listen on, {port}"),
                format!("{port} in {RESERVED}"),
            )
            .by(format!("sysctl -w {RESERVED}={keep}"));
    }
    PORTS.ok(seen)
}

/// Whether a list as `1,5-9` holds the port.
fn is_in(list: &str, port: u16) -> bool {
    list.split(',').any(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<u16>().ok();
        matches!((number(first), number(last)), (Some(a), Some(b)) if (a..=b).contains(&port))
    })
}

/// Three numbers: least, at first, most.
fn buffer(view: &View<'_>, topic: Topic, key: &str) -> Finding {
    let text = match view.root.text(&file(key)) {
        Ok(text) => text,
        Err(unread) => return topic.unknown(&unread),
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let &[least, first, most] = words.as_slice() else {
        let sentence = format!("{key} is \"{text}\", which are no three numbers");
        return topic.unknown(&Unread::Failed(sentence));
    };
    let seen = format!("{key} is {least} {first} {most}");
    match most.parse::<u64>() {
        Ok(most) if most >= BUFFER_MIN => topic.ok(seen),
        Ok(_) => topic
            .advice(seen, format!("{BUFFER_MIN} or more as the third number"))
            .by(format!("sysctl -w {key}=\"{least} {first} {BUFFER_MIN}\"")),
        Err(_) => topic.unknown(&Unread::Failed(format!("{seen}, which is no number"))),
    }
}

/// Nothing where no firewall keeps track.
fn conntrack(view: &View<'_>) -> Option<Finding> {
    const KEY: &str = "net.netfilter.nf_conntrack_max";
    let clients = view.plan.config.connections_max as u64;
    match view.root.number::<u64>(&file(KEY)) {
        // Others connect too, and entries of closed connections stay for a while.
        Ok(most) if most < 2 * clients => Some(
            CONNTRACK
                .problem(
                    format!("{KEY} is {most}, and maxHttpServerConnections is {clients}"),
                    format!(
                        "{} or more, or no tracking of the service's port",
                        2 * clients
                    ),
                )
                .by(format!("sysctl -w {KEY}={}", 2 * clients)),
        ),
        Ok(most) => Some(CONNTRACK.ok(format!("{KEY} is {most}"))),
        Err(Unread::Absent(_)) => None,
        Err(unread) => Some(CONNTRACK.unknown(&unread)),
    }
}
