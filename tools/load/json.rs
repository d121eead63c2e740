//! A result as JSON. Keys are added, never renamed: scripts read them.

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::{
    result::Result,
    schedule::{approximate, whole},
    tally::{Side, Times},
};

/// Points of a curve of latencies, at most.
const POINTS: f64 = 60.0;

/// What a kind of run tells first.
pub(crate) enum Kind {
    Publish,
    Consume,
    EndToEnd,
    Mixed,
    Bytes,
}

pub(crate) fn object(kind: &Kind, result: &Result) -> Value {
    let tally = &result.tally;
    let mut object = match kind {
        Kind::Publish | Kind::Bytes => {
            side(&tally.publish, result.published, &result.latencies.publish)
        }
        Kind::Consume => side(&tally.consume, result.delivered, &Times::default()),
        Kind::EndToEnd => side(&tally.consume, result.delivered, &result.latencies.delivery),
        Kind::Mixed => both(result),
    };
    if matches!(kind, Kind::EndToEnd | Kind::Mixed) {
        let publish = side(&tally.publish, result.published, &result.latencies.publish);
        object.insert("publish".into(), publish.into());
    }
    if matches!(kind, Kind::Mixed) {
        let consume = side(&tally.consume, result.delivered, &Times::default());
        object.insert("consume".into(), consume.into());
    }
    if matches!(kind, Kind::EndToEnd) {
        let confirmed = tally.publish.total - tally.publish.wrong;
        object.insert(
            "lost".into(),
            confirmed.saturating_sub(tally.consume.total).into(),
        );
        object.insert("stale".into(), tally.stale.into());
        object.insert(
            "all_delivered_once".into(),
            result.all_delivered_once().into(),
        );
    }
    let more = json!({
        "bytes_sent": tally.traffic.sent,
        "bytes_received": tally.traffic.received,
        "seconds": thousandths(result.seconds() * 1000.0) / 1000.0,
        "machine_us": result.machine_us,
        "unanswered": tally.unanswered,
        "unsent": tally.unsent,
        "lateness_us": latencies(&result.latencies.lateness),
        "threads": result.threads.len(),
        "busiest_thread": {
            "ran": thousandths(result.busiest().0),
            "waited": thousandths(result.busiest().1),
        },
        "saturated": result.saturated().is_some(),
        "saturated_why": result.saturated(),
        "cpu_us": result.used.iter().map(|used| (used.name.clone(), used.cpu_us.into())).collect::<Map<_, _>>(),
        "rss_bytes": result.used.iter().map(|used| (used.name.clone(), used.rss_bytes.into())).collect::<Map<_, _>>(),
    });
    if let Value::Object(more) = more {
        object.extend(more);
    }
    object.into()
}

fn side(side: &Side, messages: u64, times: &Times) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("total".into(), side.total.into());
    object.insert("messages".into(), messages.into());
    object.insert("sum".into(), format!("{:016x}", side.sum).into());
    object.insert("wrong".into(), side.wrong.into());
    object.insert("errors".into(), json!(side.errors));
    object.insert("reordered".into(), side.reordered.into());
    object.insert("payload_bytes".into(), side.payload_bytes.into());
    object.insert("latency_us".into(), latencies(times));
    object.insert("latency_percentiles".into(), curve(times));
    object
}

fn both(result: &Result) -> Map<String, Value> {
    let (publish, consume) = (&result.tally.publish, &result.tally.consume);
    let mut object = Map::new();
    object.insert("total".into(), (publish.total + consume.total).into());
    object.insert(
        "messages".into(),
        (result.published + result.delivered).into(),
    );
    object.insert("wrong".into(), (publish.wrong + consume.wrong).into());
    object
}

fn latencies(times: &Times) -> Value {
    let Some(histogram) = times.get() else {
        return Value::Null;
    };
    let at = |quantile| microseconds(histogram.value_at_quantile(quantile));
    json!({
        "p50": at(0.5),
        "p90": at(0.9),
        "p99": at(0.99),
        "p999": at(0.999),
        "max": microseconds(histogram.max()),
        "mean": thousandths(histogram.mean() / 1000.0),
        "count": histogram.len(),
    })
}

/// Pairs of a percentile and its latency in microseconds: closer and closer to 100, as far as the count says something.
fn curve(times: &Times) -> Value {
    let Some(histogram) = times.get() else {
        return Value::Null;
    };
    percentiles(histogram.len())
        .into_iter()
        .map(|percentile| json!([percentile, at(histogram, percentile)]))
        .collect()
}

fn at(histogram: &Histogram<u64>, percentile: f64) -> f64 {
    microseconds(histogram.value_at_percentile(percentile))
}

fn percentiles(count: u64) -> Vec<f64> {
    let decades = approximate(count.max(1)).log10();
    let step = (decades / POINTS).max(0.05);
    let mut percentiles = Vec::new();
    let mut decade = 0.0;
    while decade < decades {
        percentiles.push(100.0 - 100.0 * 10_f64.powf(-decade));
        decade += step;
    }
    percentiles.push(100.0);
    percentiles
}

fn microseconds(ns: u64) -> f64 {
    approximate(ns) / 1000.0
}

/// With three digits behind the point.
fn thousandths(number: f64) -> f64 {
    approximate(whole(number * 1000.0 + 0.5)) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_ends_at_the_largest_value_and_says_no_more_than_the_count_does() {
        for (count, least) in [(1, 1), (100, 30), (1_000_000, 59)] {
            let percentiles = percentiles(count);
            assert!(
                (least..=62).contains(&percentiles.len()),
                "{count}: {}",
                percentiles.len()
            );
            assert!(percentiles.is_sorted_by(|one, other| one < other));
            assert_eq!(percentiles.last(), Some(&100.0));
            let last_but_one = percentiles.iter().rev().nth(1).copied().unwrap_or(0.0);
            assert!(100.0 - last_but_one >= 100.0 / approximate(count) * 0.99);
        }
    }

    #[test]
    fn latencies_are_told_in_microseconds() {
        let mut times = Times::default();
        for us in 1..=1000 {
            times.record(us * 1000);
        }
        let told = latencies(&times);
        for (key, expected) in [
            ("p50", 500.0),
            ("p90", 900.0),
            ("p99", 990.0),
            ("p999", 999.0),
            ("max", 1000.0),
        ] {
            let value = told[key].as_f64().unwrap_or(0.0);
            assert!(
                (value - expected).abs() < expected * 0.002,
                "{key}: {value}"
            );
        }
        assert_eq!(told["count"], 1000);
        assert!(latencies(&Times::default()).is_null());
    }
}
