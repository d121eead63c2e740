//! A run: connects the clients, lets them work, and measures.

use std::{
    io, mem,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{
        Arc,
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::event::{EventfdFlags, eventfd};

use crate::{
    clock::{Clock, nanoseconds},
    cpu::{Machine, ThreadTime, Watched},
    hdr_log::HdrLog,
    progress::Progress,
    result::{Result, Used},
    slot::{Post, Slot, Told},
    tally::Tally,
    target::SILENCE_MAX,
    window::Shared,
    worker::Worker,
};

/// How often the measuring thread looks whether something happened.
const LOOK: Duration = Duration::from_millis(20);
/// Deliveries that don't come for so long are lost.
const LOST_AFTER_NS: u64 = 10_000_000_000;

/// How to run.
pub(crate) struct Plan {
    pub(crate) clients: usize,
    pub(crate) threads: usize,
    /// Clients are opened over this time, and begin as they are opened; 0: all begin together.
    pub(crate) ramp: Duration,
    pub(crate) warm: Duration,
    pub(crate) measured: Duration,
    pub(crate) interval: Duration,
    pub(crate) watch: Vec<Watched>,
    pub(crate) hdr_log: Option<PathBuf>,
    /// Each confirmed publish is to be delivered.
    pub(crate) end_to_end: bool,
}

/// The workers.
pub(crate) struct Crew {
    workers: Vec<JoinHandle<io::Result<Tally>>>,
    inboxes: Vec<(Sender<Slot>, Arc<OwnedFd>)>,
    told: Receiver<Told>,
    threads: Vec<i32>,
}

struct Snapshot {
    at: u64,
    published: u64,
    delivered: u64,
    machine: Machine,
    cpu_us: Vec<u64>,
    threads: Vec<ThreadTime>,
}

/// Runs `plan` with clients that `open` makes, in order.
pub(crate) fn run(
    plan: &Plan,
    clock: Clock,
    progress: &mut Progress,
    mut open: impl FnMut(usize) -> io::Result<Slot>,
) -> io::Result<Result> {
    let log = plan.hdr_log.as_deref().map(HdrLog::file).transpose()?;
    let shared = Arc::new(Shared::new());
    let interval_ns = nanoseconds(plan.interval).max(1);
    let crew = Crew::start(
        plan.threads.clamp(1, plan.clients.max(1)),
        clock,
        &shared,
        interval_ns,
    )?;
    crew.open_all(plan, clock, progress, &mut open)?;
    let mut watched = plan.watch.clone();
    watched.push(Watched::this_process());
    let begin = clock.now() + nanoseconds(plan.warm);
    let end = begin.saturating_add(nanoseconds(plan.measured));
    shared.window.set(begin, end);
    crew.wake();
    let log = log.map(|file| HdrLog::begin(file, clock.wall(begin), plan.interval));
    let mut result = Result::new(log);
    crew.wait_until(begin, clock, &shared, progress, &mut result);
    let before = crew.snapshot(clock, &shared, &watched)?;
    crew.wait_until(end, clock, &shared, progress, &mut result);
    let after = crew.snapshot(clock, &shared, &watched)?;
    shared.window.cut(after.at);
    crew.wake();
    crew.drain(plan, clock, &shared);
    shared.finish();
    crew.wake();
    result.tally = crew.join(&mut result)?;
    result.finish_log()?;
    progress.done();
    result.measured_ns = after.at - before.at;
    result.published = after.published - before.published;
    result.delivered = after.delivered - before.delivered;
    result.machine_us = after
        .machine
        .busy_us(before.machine, result.measured_ns / 1000);
    for (at, process) in watched.iter().enumerate() {
        result.used.push(Used {
            name: process.name.clone(),
            cpu_us: after.cpu_us[at] - before.cpu_us[at],
            rss_bytes: process.rss_bytes().unwrap_or(0),
        });
    }
    let threads = after.threads.iter().zip(&before.threads);
    result.threads = threads
        .map(|(after, before)| after.since(*before))
        .collect();
    Ok(result)
}

impl Crew {
    pub(crate) fn start(
        threads: usize,
        clock: Clock,
        shared: &Arc<Shared>,
        interval_ns: u64,
    ) -> io::Result<Self> {
        let (tell, told) = channel();
        let (thread, numbers) = channel();
        let (mut workers, mut inboxes) = (Vec::new(), Vec::new());
        for _ in 0..threads {
            let (outbox, inbox) = channel();
            let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
            let post = Post {
                inbox,
                wake: wake.clone(),
                told: tell.clone(),
                thread: thread.clone(),
            };
            let worker = Worker::new(clock, shared.clone(), post, interval_ns)?;
            workers.push(thread::spawn(move || worker.run()));
            inboxes.push((outbox, wake));
        }
        let threads = numbers.iter().take(threads).collect();
        Ok(Self {
            workers,
            inboxes,
            told,
            threads,
        })
    }

    fn open_all(
        &self,
        plan: &Plan,
        clock: Clock,
        progress: &Progress,
        open: &mut impl FnMut(usize) -> io::Result<Slot>,
    ) -> io::Result<()> {
        let (start, ramp) = (clock.now(), nanoseconds(plan.ramp));
        let mut slots = Vec::new();
        for index in 0..plan.clients {
            if ramp > 0 {
                clock.sleep_until(start + ramp / plan.clients as u64 * index as u64);
            }
            slots.push((index, open(index)?));
            if ramp > 0 {
                self.hand_over(mem::take(&mut slots));
            }
            progress.opened(index + 1, plan.clients);
            if progress.interrupted() {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
        self.hand_over(slots);
        Ok(())
    }

    pub(crate) fn hand_over(&self, slots: Vec<(usize, Slot)>) {
        for (index, slot) in slots {
            // A worker that failed is found out later.
            let _ = self.inboxes[index % self.inboxes.len()].0.send(slot);
        }
        self.wake();
    }

    pub(crate) fn wake(&self) {
        for (_, wake) in &self.inboxes {
            // It can only fail when the counter is full: then the worker will wake up anyway.
            let _ = rustix::io::write(wake, &1_u64.to_ne_bytes());
        }
    }

    /// Whether a worker has failed.
    pub(crate) fn failed(&self) -> bool {
        self.workers.iter().any(JoinHandle::is_finished)
    }

    fn wait_until(
        &self,
        time: u64,
        clock: Clock,
        shared: &Shared,
        progress: &mut Progress,
        result: &mut Result,
    ) {
        loop {
            let now = clock.now();
            if now >= time || progress.interrupted() || self.failed() {
                return;
            }
            progress.show(now, shared);
            self.told.try_iter().for_each(|told| result.take(told));
            clock.sleep_until(time.min(now + nanoseconds(LOOK)));
        }
    }

    fn snapshot(&self, clock: Clock, shared: &Shared, watched: &[Watched]) -> io::Result<Snapshot> {
        Ok(Snapshot {
            cpu_us: watched
                .iter()
                .map(Watched::cpu_us)
                .collect::<io::Result<_>>()?,
            threads: self
                .threads
                .iter()
                .map(|thread| ThreadTime::of(*thread))
                .collect(),
            at: clock.now(),
            published: shared.published.load(Relaxed),
            delivered: shared.delivered.load(Relaxed),
            machine: Machine::now()?,
        })
    }

    /// Waits for what is under way.
    fn drain(&self, plan: &Plan, clock: Clock, shared: &Shared) {
        let mut heard = (clock.now(), shared.done());
        let mut drained = false;
        loop {
            let (now, done) = (clock.now(), shared.done());
            if done != heard.1 {
                heard = (now, done);
            }
            drained = drained || shared.drained(self.workers.len());
            let confirmed = shared.published.load(Relaxed) - shared.refused.load(Relaxed);
            let whole = !plan.end_to_end || shared.delivered.load(Relaxed) >= confirmed;
            let limit = if drained {
                LOST_AFTER_NS
            } else {
                nanoseconds(SILENCE_MAX)
            };
            if (drained && whole) || now - heard.0 > limit || self.failed() {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until they have ended.
    pub(crate) fn end(self) -> io::Result<()> {
        self.join(&mut Result::new(None)).map(drop)
    }

    fn join(self, result: &mut Result) -> io::Result<Tally> {
        let mut total = Tally::default();
        for worker in self.workers {
            let tally = worker.join();
            total.add(tally.map_err(|_| io::Error::other("a worker panicked"))??);
        }
        self.told.try_iter().for_each(|told| result.take(told));
        Ok(total)
    }
}
