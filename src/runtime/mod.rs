//! The shell around the shards: the only folder that opens sockets, reads clocks or names monoio.
//!
//! One pinned thread with one io_uring runs each shard. A few small tasks move owned buffers
//! between sockets and the shard; what the shard wants comes back as effects. The main thread waits
//! for signals and passes the order to drain. Nothing here knows WebSocket, JSON or Pulsar.
//!
//! A byte comes in through `listener` → `socket` (the reader) → `core` → the shard, and goes out
//! through the shard's outbox → `socket` (the writer). All completions of one turn are worked
//! through before the writers they woke run, so what a turn produced for a socket leaves in one
//! write.

mod balance;
mod buffers;
mod clock;
mod core;
mod cpus;
mod error;
mod inbox;
mod leg;
mod listener;
mod notify;
mod ring;
mod socket;
mod split;
mod thread;
mod writers;

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, unbounded};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

pub use cpus::layout;
pub use error::StartError;

use self::{
    balance::{Balance, room},
    clock::Clock,
    inbox::{Order, OrderSender, inbox},
    thread::Seat,
};
use crate::{
    config::{Config, Driver},
    control::Control,
    shard::Budgets,
};

/// How a running service came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything was finished.
    Drained,
    /// The drain took longer than its deadline.
    DrainTimedOut,
    /// A second signal, with its number, cut the drain short.
    Signal(i32),
    /// A shard's thread panicked, or ended without being asked.
    ShardLost,
}

/// What the main thread is told.
enum Event {
    /// A shard has its ring, or can't have it.
    Ready(Result<(), StartError>),
    /// A shard's thread is over.
    Ended {
        shard: usize,
        panicked: bool,
        /// It drained by its deadline.
        cut_short: bool,
    },
    /// The process got this signal.
    Signal(i32),
}

/// Runs the service until SIGTERM or SIGINT, and then until it has drained. Says on the log where
/// it listens as soon as it does.
///
/// # Errors
/// It can't start; nothing was served.
pub fn run(config: Config) -> Result<Ended, StartError> {
    let drain_timeout = config.drain_timeout;
    if config.driver == Driver::Epoll {
        tracing::warn!("sockets are driven by epoll, which costs more for each message");
    }
    let mut running = Running::start(config)?;
    catch_signals(running.event_sender.clone())?;
    let address = running.address;
    let (cores, brokers) = (running.shards.len(), broker_urls(&running.config));
    tracing::info!(
        "listening on ws://{address} ({cores} {}, brokers {brokers})",
        if cores == 1 { "core" } else { "cores" },
    );
    match running.next_end() {
        Some(Ended::Signal(signal)) => tracing::info!(signal, "draining"),
        ended => return Ok(ended.unwrap_or(Ended::ShardLost)),
    }
    running.order_drain();
    Ok(running.wait_drained(drain_timeout))
}

/// Makes a ring for each of so many shards, all at a time, and gives them back.
///
/// # Errors
/// The kernel gives none, or not as many.
pub fn try_rings(driver: Driver, shards: usize) -> Result<(), StartError> {
    let mut rings = Vec::new();
    for shard in 0..shards {
        let ring = ring::Ring::build(driver);
        rings.push(ring.map_err(|error| StartError::ring(shard, &error))?);
    }
    Ok(())
}

/// A service that has started.
pub struct Running {
    address: SocketAddr,
    config: Arc<Config>,
    shards: Arc<[OrderSender]>,
    balance: Balance,
    shards_ended: usize,
    draining: bool,
    /// A shard drained by its deadline.
    cut_short: bool,
    events: Receiver<Event>,
    event_sender: Sender<Event>,
}

impl Running {
    /// Starts all shards and serves the configured address. When it returns, connections are
    /// accepted.
    ///
    /// # Errors
    /// The port is taken, the kernel gives no ring, or a CPU is not to be had.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let layout = layout(&config);
        let config = Arc::new(config);
        let sockets = listener::bind(config.bind, config.port, layout.len(), config.takeover)?;
        let control = Control::start(&config)
            .map_err(|error| StartError::os("can't start a thread", error))?;
        let zone = jiff::tz::TimeZone::system();
        let clock = Clock::start();
        let budgets = Budgets::new(&config);
        let (event_sender, events) = unbounded();

        let balance = Balance::new(layout.len(), room(layout.len(), config.connections_max));
        let (senders, inboxes): (Vec<_>, Vec<_>) = layout.iter().map(|_| inbox()).unzip();
        let shards: Arc<[OrderSender]> = senders.into();
        for ((index, cpu), inbox) in layout.into_iter().enumerate().zip(inboxes) {
            thread::spawn(Seat {
                index,
                cpu,
                seed: seed(),
                zone: zone.clone(),
                config: config.clone(),
                clock,
                control: control.clone(),
                budgets: budgets.clone(),
                events: event_sender.clone(),
                balance: balance.clone(),
                inbox,
                shards: shards.clone(),
            })?;
        }
        await_rings(&events, shards.len())?;

        // Only now: a client that was let in earlier could find nobody to serve it.
        let mut address = None;
        for (socket, shard) in sockets.into_iter().zip(&*shards) {
            let listener = listener::listen(socket, config.accept_backlog)
                .map_err(|error| StartError::os("can't listen", error))?;
            address = address.or_else(|| listener.local_addr().ok());
            shard.send(Order::Listen(listener));
        }
        let address =
            address.ok_or_else(|| StartError::os("can't listen", "the socket has no address"))?;
        Ok(Self {
            address,
            config,
            shards,
            balance,
            shards_ended: 0,
            draining: false,
            cut_short: false,
            events,
            event_sender,
        })
    }

    /// Where it listens, with the port that was chosen if none was given.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many clients each shard has.
    #[must_use]
    pub fn clients(&self) -> Vec<usize> {
        self.balance.clients()
    }

    /// Stops accepting, and tells all shards to finish.
    pub fn order_drain(&mut self) {
        self.draining = true;
        tracing::debug!(clients = ?self.clients(), "draining");
        for shard in &*self.shards {
            shard.send(Order::Drain);
        }
    }

    /// Waits until all shards have drained, at most `timeout`.
    pub fn wait_drained(&mut self, timeout: Duration) -> Ended {
        let deadline = crossbeam_channel::after(timeout);
        while self.shards_ended < self.shards.len() {
            crossbeam_channel::select_biased! {
                recv(self.events) -> event => match event.map(|event| self.take(event)) {
                    Ok(None) => {}
                    Ok(Some(ended)) => return ended,
                    Err(_) => return Ended::ShardLost,
                },
                recv(deadline) -> _ => return Ended::DrainTimedOut,
            }
        }
        if self.cut_short {
            Ended::DrainTimedOut
        } else {
            Ended::Drained
        }
    }

    /// Waits for the first event that ends the service or begins its drain.
    fn next_end(&mut self) -> Option<Ended> {
        loop {
            let event = self.events.recv().ok()?;
            if let Some(ended) = self.take(event) {
                return Some(ended);
            }
        }
    }

    fn take(&mut self, event: Event) -> Option<Ended> {
        match event {
            Event::Ready(_) => None,
            Event::Signal(signal) => Some(Ended::Signal(signal)),
            Event::Ended {
                shard, panicked, ..
            } if panicked || !self.draining => {
                tracing::error!(shard, panicked, "a shard ended without being asked");
                Some(Ended::ShardLost)
            }
            Event::Ended { cut_short, .. } => {
                self.shards_ended += 1;
                self.cut_short |= cut_short;
                None
            }
        }
    }
}

/// Waits until every shard has its ring; the first one that has none ends the start.
fn await_rings(events: &Receiver<Event>, shards: usize) -> Result<(), StartError> {
    for _ in 0..shards {
        match events.recv() {
            Ok(Event::Ready(ready)) => ready?,
            _ => return Err(StartError::os("can't start", "a shard ended at once")),
        }
    }
    Ok(())
}

fn catch_signals(events: Sender<Event>) -> Result<(), StartError> {
    let mut signals = Signals::new([SIGTERM, SIGINT])
        .map_err(|error| StartError::os("can't catch signals", error))?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                if events.send(Event::Signal(signal)).is_err() {
                    return;
                }
            }
        })
        .map_err(|error| StartError::os("can't start a thread", error))?;
    Ok(())
}

fn broker_urls(config: &Config) -> String {
    if !config.service_urls.is_empty() {
        return config.service_urls.join(",");
    }
    let hosts: Vec<String> = config
        .brokers
        .iter()
        .map(|(host, port)| match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        })
        .collect();
    format!("pulsar://{}", hosts.join(","))
}

/// From the keys that the standard library draws for its maps.
fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
