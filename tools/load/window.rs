//! The measured window: what was done in it, and what it cost.

use std::{
    fmt::Write,
    io,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    Common,
    client::Traffic,
    cpu::{Watched, machine_us},
};

/// What client threads and the measuring thread share.
pub(crate) struct Progress {
    /// Messages done.
    pub(crate) done: AtomicU64,
    stop: AtomicBool,
    start: Barrier,
}

impl Progress {
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }
}

/// What a client tells at its end.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Messages that were confirmed, or acknowledged.
    pub(crate) messages: u64,
    /// Hashes of their ids, added up.
    pub(crate) sum: u64,
    /// Answers that were not as they must be.
    pub(crate) wrong: u64,
    /// Bytes that this took.
    pub(crate) traffic: Traffic,
}

#[derive(Clone, Copy)]
struct Snapshot {
    at: Instant,
    done: u64,
    machine_us: u64,
}

/// Runs `client` on a thread for each client once all are connected, and measures.
pub(crate) fn measure<C: Send + 'static>(
    common: &Common,
    connect: impl Fn(usize) -> io::Result<C>,
    client: impl Fn(C, &Progress) -> io::Result<Outcome> + Clone + Send + 'static,
) -> io::Result<String> {
    let progress = Arc::new(Progress {
        done: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        start: Barrier::new(common.clients + 1),
    });
    let mut threads = Vec::new();
    for index in 0..common.clients {
        let (connected, progress, client) = (connect(index)?, progress.clone(), client.clone());
        threads.push(thread::spawn(move || {
            progress.start.wait();
            client(connected, &progress)
        }));
    }
    progress.start.wait();
    thread::sleep(Duration::from_secs_f64(common.warm_seconds));
    let mut watched = common.watch.clone();
    watched.push(Watched::this_process());
    let (before, cpu_before) = snapshot(&progress, &watched)?;
    thread::sleep(Duration::from_secs_f64(common.seconds));
    let (after, cpu_after) = snapshot(&progress, &watched)?;
    progress.stop.store(true, Relaxed);
    let mut total = Outcome::default();
    for thread in threads {
        let outcome = thread
            .join()
            .map_err(|_| io::Error::other("a client panicked"))??;
        total.messages += outcome.messages;
        total.sum = total.sum.wrapping_add(outcome.sum);
        total.wrong += outcome.wrong;
        total.traffic.sent += outcome.traffic.sent;
        total.traffic.received += outcome.traffic.received;
    }
    let mut json = format!(
        r#"{{"total":{},"sum":"{:016x}","wrong":{},"bytes_sent":{},"bytes_received":{},"messages":{},"seconds":{:.4},"machine_us":{},"cpu_us":{{"#,
        total.messages,
        total.sum,
        total.wrong,
        total.traffic.sent,
        total.traffic.received,
        after.done - before.done,
        (after.at - before.at).as_secs_f64(),
        after.machine_us - before.machine_us,
    );
    for (index, process) in watched.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let used = cpu_after[index] - cpu_before[index];
        // Writing to a string can't fail.
        let _ = write!(json, r#"{comma}"{}":{used}"#, process.name);
    }
    json.push_str("}}");
    Ok(json)
}

fn snapshot(progress: &Progress, watched: &[Watched]) -> io::Result<(Snapshot, Vec<u64>)> {
    let cpu = watched
        .iter()
        .map(Watched::cpu_us)
        .collect::<io::Result<_>>()?;
    let snapshot = Snapshot {
        at: Instant::now(),
        done: progress.done.load(Relaxed),
        machine_us: machine_us()?,
    };
    Ok((snapshot, cpu))
}
