//! Every metric: its name, what it means, and where its value comes from. docs/metrics.md is made from this table.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    Histogram,
    figures::{BOUNDS, Core, ENDERS, ENDPOINTS, STATUSES},
};

/// Lines that the log of the process lost. They are counted where no shard is.
pub static LOG_LINES_LOST: AtomicU64 = AtomicU64::new(0);

/// One metric.
pub(super) struct Metric {
    /// Without [`PREFIX`].
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) value: Value,
}

/// What all names begin with.
pub(super) const PREFIX: &str = "pulsar_ws_";

/// Where a metric's values are. All but those of the process have the label `core`.
pub(super) enum Value {
    /// Only grows, and is the process's.
    ProcessCounter(fn() -> u64),
    /// Only grows.
    Counter(fn(&Core) -> u64),
    /// Goes up and down.
    Gauge(fn(&Core) -> u64),
    /// One for each value of a label, which are named, only grows.
    Counters(Label, fn(&Core, usize) -> u64),
    /// The same, goes up and down.
    Gauges(Label, fn(&Core, usize) -> u64),
    /// Values in classes.
    Histogram(Unit, fn(&Core) -> &Histogram),
}

/// A label's name and all of its values.
pub(super) struct Label(pub(super) &'static str, pub(super) &'static [&'static str]);

/// What a histogram's values are, and the classes in which they are told.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    /// Nanoseconds, told in seconds.
    Latency,
    /// The same, shorter.
    Turn,
    /// Messages.
    Messages,
}

impl Unit {
    /// Upper bounds of the classes, in the unit in which values are kept.
    pub(super) const fn bounds(self) -> &'static [u64] {
        const US: u64 = 1_000;
        const MS: u64 = 1_000_000;
        const S: u64 = 1_000_000_000;
        match self {
            Self::Latency => &[
                50 * US,
                100 * US,
                250 * US,
                500 * US,
                MS,
                2 * MS + 500 * US,
                5 * MS,
                10 * MS,
                25 * MS,
                50 * MS,
                100 * MS,
                250 * MS,
                500 * MS,
                S,
                2 * S + 500 * MS,
                5 * S,
                10 * S,
                30 * S,
            ],
            Self::Turn => &[
                US,
                2 * US + 500,
                5 * US,
                10 * US,
                25 * US,
                50 * US,
                100 * US,
                250 * US,
                500 * US,
                MS,
                2 * MS + 500 * US,
                5 * MS,
                10 * MS,
                100 * MS,
                S,
            ],
            Self::Messages => &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
        }
    }

    /// As many units make one of what is told.
    pub(super) const fn divisor(self) -> f64 {
        match self {
            Self::Latency | Self::Turn => 1e9,
            Self::Messages => 1.0,
        }
    }
}

const LEGS: [&str; 2] = ["client", "broker"];

/// In the order in which they are told.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "publish_latency_seconds",
        help: "Time of publishes that were stored, from the beginning of the turn in which the message was taken up \
               to the beginning of the one that put its reply into the client's outbox. A message of a client that \
               has to wait is taken up when the client may go on",
        value: Value::Histogram(Unit::Latency, |core| &core.figures.publish_latency),
    },
    Metric {
        name: "broker_round_trip_seconds",
        help: "Time of entries that were stored, from the beginning of the turn that put the frame into the outbox of \
               a connected broker, the last time if it was sent again, to the beginning of the one that brought its \
               receipt",
        value: Value::Histogram(Unit::Latency, |core| &core.backend.round_trip),
    },
    Metric {
        name: "delivery_latency_seconds",
        help: "Time of delivered messages, from the beginning of the turn that brought the entry, or its last chunk, \
               to the beginning of the one that put the message into the client's outbox: 0 unless it was held",
        value: Value::Histogram(Unit::Latency, |core| &core.figures.delivery_latency),
    },
    Metric {
        name: "turn_seconds",
        help: "Time of calls into the shard, each for one completion (bytes that came, bytes that were written, a \
               deadline, an order), deadlines that were due included, writing to sockets not",
        value: Value::Histogram(Unit::Turn, |core| &core.figures.turns),
    },
    Metric {
        name: "turn_client_messages",
        help: "Text messages of a client that one read brought and that were taken up at once, of reads that brought any",
        value: Value::Histogram(Unit::Messages, |core| &core.figures.client_messages),
    },
    Metric {
        name: "turn_broker_messages",
        help: "Receipts, failures and entries that one read from a broker brought, of reads that brought any",
        value: Value::Histogram(Unit::Messages, |core| &core.figures.broker_messages),
    },
    Metric {
        name: "stored_entry_messages",
        help: "Messages of each entry that a broker stored: 1 unless it is a batch",
        value: Value::Histogram(Unit::Messages, |core| &core.backend.entry_messages),
    },
    Metric {
        name: "received_entry_messages",
        help: "Messages of each entry that a broker delivered: 1 unless it is a batch. Chunked messages, and what \
               waited for a data key, are not among them",
        value: Value::Histogram(Unit::Messages, |core| &core.figures.entry_messages),
    },
    Metric {
        name: "clients",
        help: "Connections of clients, those without a session included",
        value: Value::Gauge(|core| core.gauges.clients),
    },
    Metric {
        name: "sessions",
        help: "Open sessions",
        value: Value::Gauges(Label("endpoint", &ENDPOINTS), |core, endpoint| {
            core.figures.counters.sessions(endpoint)
        }),
    },
    Metric {
        name: "sessions_opened_total",
        help: "Sessions that were opened",
        value: Value::Counters(Label("endpoint", &ENDPOINTS), |core, endpoint| {
            core.figures.counters.sessions_opened(endpoint)
        }),
    },
    Metric {
        name: "sessions_closed_total",
        help: "Sessions that ended, by who said so first; loss: nobody did",
        value: Value::Counters(Label("by", &ENDERS), |core, ender| {
            core.figures.counters.sessions_ended(ender)
        }),
    },
    Metric {
        name: "answers_total",
        help: "Answers to requests, by class of their status: 1xx opened a WebSocket, 4xx and 5xx refused one, or \
               whatever else was asked for",
        value: Value::Counters(Label("status", &STATUSES), |core, class| {
            core.figures.counters.answers(class)
        }),
    },
    Metric {
        name: "client_received_bytes_total",
        help: "Bytes that came from clients, handshakes and framing included",
        value: Value::Counter(|core| core.figures.counters.client_bytes_in),
    },
    Metric {
        name: "client_sent_bytes_total",
        help: "Bytes that were given to sockets of clients",
        value: Value::Counter(|core| core.figures.counters.client_bytes_out),
    },
    Metric {
        name: "broker_received_bytes_total",
        help: "Bytes that came from brokers",
        value: Value::Counter(|core| core.figures.counters.broker_bytes_in),
    },
    Metric {
        name: "broker_sent_bytes_total",
        help: "Bytes that were given to sockets of brokers",
        value: Value::Counter(|core| core.figures.counters.broker_bytes_out),
    },
    Metric {
        name: "client_messages_total",
        help: "Text messages of clients, of any kind",
        value: Value::Counter(|core| core.figures.counters.client_messages),
    },
    Metric {
        name: "client_messages_rejected_total",
        help: "Of those, the ones that were no command: not readable, incomplete, of no known kind",
        value: Value::Counter(|core| core.figures.counters.rejected),
    },
    Metric {
        name: "published_messages_total",
        help: "Publishes that were stored",
        value: Value::Counter(|core| core.figures.counters.published),
    },
    Metric {
        name: "published_bytes_total",
        help: "Bytes of their payloads",
        value: Value::Counter(|core| core.figures.counters.published_bytes),
    },
    Metric {
        name: "publish_failures_total",
        help: "Publishes that failed: the backend refused them or the broker did not store them. Messages that can't \
               be read are not among them",
        value: Value::Counter(|core| core.figures.counters.publish_failures),
    },
    Metric {
        name: "delivered_messages_total",
        help: "Messages that were put into outboxes of clients",
        value: Value::Counter(|core| core.figures.counters.delivered),
    },
    Metric {
        name: "delivered_bytes_total",
        help: "Bytes of their payloads",
        value: Value::Counter(|core| core.figures.counters.delivered_bytes),
    },
    Metric {
        name: "acknowledged_messages_total",
        help: "Acknowledgements of consumers",
        value: Value::Counter(|core| core.figures.counters.acknowledged),
    },
    Metric {
        name: "reads_stopped_total",
        help: "How often a client was not read any further for a while, by the bound that was reached: unread replies, \
               publishes in flight of the client or of the process, bytes before the 101, handshakes under way; or by \
               the drain",
        value: Value::Counters(Label("bound", &BOUNDS), |core, bound| {
            core.figures.counters.stops(bound)
        }),
    },
    Metric {
        name: "held_entries_total",
        help: "Entries that had to wait for their client, which had no room or no permit for all of their messages; \
               those that waited for chunks or a data key are not among them",
        value: Value::Counter(|core| core.figures.counters.held_entries),
    },
    Metric {
        name: "clients_given_up_total",
        help: "Clients that were closed because they cost more than they may: unread replies, incomplete messages",
        value: Value::Counter(|core| core.figures.counters.given_up),
    },
    Metric {
        name: "publishes_in_flight_bytes",
        help: "Bytes of publishes that have no receipt, open batches included, framed for the broker",
        value: Value::Gauge(|core| core.gauges.in_flight_bytes),
    },
    Metric {
        name: "held_deliveries_bytes",
        help: "Bytes of deliveries that wait for their client",
        value: Value::Gauge(|core| core.gauges.held_bytes),
    },
    Metric {
        name: "incomplete_messages_bytes",
        help: "Bytes of clients' messages that have not arrived whole, or wait to be taken up",
        value: Value::Gauge(|core| core.gauges.incomplete_bytes),
    },
    Metric {
        name: "spare_outbox_bytes",
        help: "Bytes of buffers that are kept for the outboxes of clients",
        value: Value::Gauge(|core| core.gauges.spare_bytes),
    },
    Metric {
        name: "read_buffers_lent",
        help: "Read buffers that sockets hold at the moment",
        value: Value::Gauges(Label("leg", &LEGS), |core, leg| {
            core.gauges.buffers_lent[leg]
        }),
    },
    Metric {
        name: "read_buffers",
        help: "Read buffers that there are, lent ones included",
        value: Value::Gauges(Label("leg", &LEGS), |core, leg| {
            core.gauges.buffers_made[leg]
        }),
    },
    Metric {
        name: "broker_connections",
        help: "Connections to brokers that are ready",
        value: Value::Gauge(|core| core.backend.connections_opened - core.backend.connections_lost),
    },
    Metric {
        name: "broker_connections_opened_total",
        help: "Connections that brokers took; each one after a broker's first is a reconnection",
        value: Value::Counter(|core| core.backend.connections_opened),
    },
    Metric {
        name: "broker_connections_lost_total",
        help: "Of those, the ones that ended",
        value: Value::Counter(|core| core.backend.connections_lost),
    },
    Metric {
        name: "broker_connections_failed_total",
        help: "Connections that did not get so far: the name was not found, nobody listened, or the broker did not agree",
        value: Value::Counter(|core| core.backend.connections_failed),
    },
    Metric {
        name: "log_lines_lost_total",
        help: "Lines of the log that were lost: nobody read them in time, or they could not be written",
        value: Value::ProcessCounter(|| LOG_LINES_LOST.load(Ordering::Relaxed)),
    },
];

impl Value {
    /// As Prometheus calls it.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::ProcessCounter(_) | Self::Counter(_) | Self::Counters(..) => "counter",
            Self::Gauge(_) | Self::Gauges(..) => "gauge",
            Self::Histogram(..) => "histogram",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_prometheus_wants_them() {
        let mut names = std::collections::BTreeSet::new();
        for Metric { name, help, value } in METRICS {
            assert!(names.insert(name), "{name} is there twice");
            let is_word =
                |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_lowercase());
            assert!(name.split('_').all(is_word), "{name}");
            assert_eq!(
                name.ends_with("_total"),
                value.kind() == "counter",
                "{name}"
            );
            assert!(
                !["_count", "_sum", "_bucket"]
                    .iter()
                    .any(|end| name.ends_with(end)),
                "{name}"
            );
            if let Value::Histogram(unit, _) = value {
                assert_eq!(name.ends_with("_seconds"), unit.divisor() > 1.0, "{name}");
                assert!(unit.bounds().is_sorted_by(|one, next| one < next), "{name}");
            }
            let is_text = |it: &str| !it.contains(['\\', '\n', '|']) && !it.contains("  ");
            assert!(!help.ends_with('.') && is_text(help), "{name}: {help}");
        }
    }
}
