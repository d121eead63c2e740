//! A result as text, for people.

use std::fmt::Write;

use crate::{
    json::Kind,
    result::Result,
    schedule::{approximate, whole},
    tally::{Side, Times},
};

/// The whole result; `what` says what was run.
pub(crate) fn page(what: &str, kind: &Kind, result: &Result) -> String {
    let mut page = String::new();
    let tally = &result.tally;
    // Writing to a string can't fail.
    let _ = writeln!(page, "{what}\nmeasured {:.2} s\n", result.seconds());
    let _ = writeln!(
        page,
        "  {:<14}{:>16}{:>16}{:>16}",
        "", "messages", "messages/s", "payload/s"
    );
    if !matches!(kind, Kind::Consume) {
        let name = if matches!(kind, Kind::Bytes) {
            "exchanged"
        } else {
            "published"
        };
        amount(&mut page, name, &tally.publish, result.published, result);
    }
    if !matches!(kind, Kind::Publish | Kind::Bytes) {
        amount(
            &mut page,
            "delivered",
            &tally.consume,
            result.delivered,
            result,
        );
    }
    let latencies = &result.latencies;
    let tables = [
        ("publish", &latencies.publish),
        ("end to end", &latencies.delivery),
        ("sent late by", &latencies.lateness),
    ];
    if tables.iter().any(|(_, times)| times.get().is_some()) {
        let _ = write!(page, "\n  {:<14}", "latency");
        for name in ["p50", "p90", "p99", "p99.9", "max"] {
            let _ = write!(page, "{name:>12}");
        }
        page.push('\n');
        for (name, times) in tables {
            row(&mut page, name, times);
        }
    }
    let _ = writeln!(
        page,
        "\n  {:<14}{:>12}{:>16}{:>16}",
        "used", "CPU", "CPU/message", "memory"
    );
    let messages = (result.published + result.delivered).max(1);
    let mut used = |name: &str, cpu_us: u64, memory: &str| {
        let cores = approximate(cpu_us) / 10_000.0 / result.seconds().max(1e-9);
        let each = approximate(cpu_us) / approximate(messages);
        let each = format!("{each:.2} µs");
        let _ = writeln!(
            page,
            "  {name:<14}{:>12}{each:>16}{memory:>16}",
            format!("{cores:.1} %")
        );
    };
    for process in &result.used {
        used(&process.name, process.cpu_us, &bytes(process.rss_bytes));
    }
    used("machine", result.machine_us, "");
    page.push('\n');
    notes(&mut page, kind, result);
    page
}

fn amount(page: &mut String, name: &str, side: &Side, messages: u64, result: &Result) {
    let seconds = result.seconds().max(1e-9);
    let rate = approximate(messages) / seconds;
    let each = approximate(side.payload_bytes) / approximate(side.total.max(1));
    let payload = format!("{}/s", bytes(whole(rate * each)));
    let _ = writeln!(
        page,
        "  {name:<14}{:>16}{:>16}{payload:>16}",
        grouped(messages),
        grouped(whole(rate))
    );
}

fn row(page: &mut String, name: &str, times: &Times) {
    let Some(histogram) = times.get() else { return };
    let _ = write!(page, "  {name:<14}");
    for quantile in [0.5, 0.9, 0.99, 0.999] {
        let _ = write!(
            page,
            "{:>12}",
            duration(histogram.value_at_quantile(quantile))
        );
    }
    let _ = writeln!(page, "{:>12}", duration(histogram.max()));
}

/// What went wrong, and whether the figures say something about the service.
fn notes(page: &mut String, kind: &Kind, result: &Result) {
    let tally = &result.tally;
    for (name, side) in [("published", &tally.publish), ("delivered", &tally.consume)] {
        if side.wrong > 0 {
            let _ = writeln!(
                page,
                "  {} of the messages {name} went wrong",
                grouped(side.wrong)
            );
        }
        for (reason, count) in &side.errors {
            let _ = writeln!(page, "    {} × {reason}", grouped(*count));
        }
        if side.reordered > 0 {
            let _ = writeln!(
                page,
                "  {} messages {name} overtook others",
                grouped(side.reordered)
            );
        }
    }
    for (count, what) in [
        (tally.unanswered, "publishes were never answered"),
        (
            tally.unsent,
            "publishes were due and not sent: the service, or the limit of those in flight, held them up",
        ),
        (tally.stale, "deliveries were of an earlier run"),
    ] {
        if count > 0 {
            let _ = writeln!(page, "  {} {what}", grouped(count));
        }
    }
    if matches!(kind, Kind::EndToEnd) {
        let _ = if result.all_delivered_once() {
            writeln!(page, "  every confirmed message was delivered once")
        } else {
            writeln!(
                page,
                "  {} messages were confirmed, {} delivered",
                grouped(tally.publish.total - tally.publish.wrong),
                grouped(tally.consume.total)
            )
        };
    }
    let (ran, waited) = result.busiest();
    let _ = match result.saturated() {
        Some(why) => writeln!(page, "  The load client was a bottleneck: {why}."),
        None => writeln!(
            page,
            "  The load client was no bottleneck: its busiest thread of {} ran {:.0} % of the time and waited for a CPU {:.0} %.",
            result.threads.len(),
            ran * 100.0,
            waited * 100.0
        ),
    };
}

/// With a comma after each three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three digits and a unit.
pub(crate) fn bytes(bytes: u64) -> String {
    scaled(
        approximate(bytes),
        1024.0,
        &["B", "KiB", "MiB", "GiB", "TiB"],
    )
}

pub(crate) fn duration(ns: u64) -> String {
    scaled(approximate(ns), 1000.0, &["ns", "µs", "ms", "s"])
}

fn scaled(mut value: f64, step: f64, units: &[&str]) -> String {
    let mut units = units.iter().peekable();
    let mut unit = units.next().unwrap_or(&"");
    let first = unit;
    while value >= step && units.peek().is_some() {
        value /= step;
        unit = units.next().unwrap_or(unit);
    }
    let digits = match value {
        _ if unit == first => 0,
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_with_three_digits_and_a_unit() {
        for (ns, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_500, "1.50 µs"),
            (15_000, "15.0 µs"),
            (150_000, "150 µs"),
            (2_340_000, "2.34 ms"),
            (90_000_000_000, "90.0 s"),
            (5_000_000_000_000, "5000 s"),
        ] {
            assert_eq!(duration(ns), text);
        }
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.50 KiB");
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
