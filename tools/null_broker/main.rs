//! A broker that stores nothing: it confirms every publish at once and delivers without end, so that
//! what stands in front of it can be measured by itself.
//!
//! It speaks enough of Pulsar's binary protocol for Pulsar's Java client and for this service.
//! One blocking thread serves a connection: it reads, answers everything that one read brought,
//! and writes once. Payloads, checksums and message ids are checked and counted; `SIGUSR1` prints
//! the counts as a line of JSON, and so does the end (`SIGTERM` or `SIGINT`). What it delivers, how late it is and what goes
//! wrong on purpose can be chosen.
//!
//! With `--mirror IN:OUT` it is no broker but a peer that answers each IN bytes with OUT bytes: the far
//! end for the bare relay.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a tool of its own, not a part of the service: it speaks to a terminal and has a clock"
)]

mod answers;
mod consumers;
mod delayed;
mod deliveries;
mod faults;
mod mirror;
mod peer;
mod publishes;
#[path = "../shared/mod.rs"]
mod shared;
mod stats;
mod world;

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    process::ExitCode,
    sync::Arc,
    thread,
    time::Duration,
};

use clap::Parser;
use signal_hook::{
    consts::{SIGINT, SIGTERM, SIGUSR1},
    iterator::Signals,
};

use crate::{
    deliveries::DeliveryOptions,
    faults::FaultOptions,
    mirror::Mirror,
    peer::Peer,
    shared::{about::about, sizes::Sizes},
    world::World,
};

/// A broker that confirms everything, delivers endlessly and stores nothing.
#[derive(Parser, Clone)]
struct Arguments {
    /// Where to listen; port 0 takes any free one. The address is the first line printed
    #[arg(long, default_value = "127.0.0.1:6650")]
    listen: SocketAddr,
    /// Microseconds from a command's arrival to its answer's leaving
    #[arg(long, default_value_t = 0)]
    delay_us: u64,
    /// Up to so many microseconds more, by chance
    #[arg(long, default_value_t = 0)]
    jitter_us: u64,
    /// Sizes of delivered payloads, and of those that are expected: 1024, 100-2000 (evenly), 100:9,65536:1 (size:weight)
    #[arg(long, value_name = "SIZES", default_value = "1024")]
    payload_bytes: Sizes,
    #[command(flatten)]
    deliveries: DeliveryOptions,
    #[command(flatten)]
    faults: FaultOptions,
    /// Be no broker, but answer each IN bytes with OUT
    #[arg(long, value_name = "IN:OUT")]
    mirror: Option<Mirror>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pulsar-null-broker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> io::Result<()> {
    let listener = TcpListener::bind(arguments.listen)
        .map_err(about(format!("can't listen at {}", arguments.listen)))?;
    let mirror = arguments.mirror;
    let world = Arc::new(World::new(arguments));
    let mut signals = Signals::new([SIGUSR1, SIGTERM, SIGINT])?;
    // Whoever reads this may send signals.
    println!("{}", listener.local_addr()?);
    let shown = world.clone();
    thread::spawn(move || accept(&listener, mirror, &world));
    for signal in &mut signals {
        println!("{}", shown.stats.json());
        if signal != SIGUSR1 {
            break;
        }
    }
    Ok(())
}

fn accept(listener: &TcpListener, mirror: Option<Mirror>, world: &Arc<World>) {
    for stream in listener.incoming() {
        let world = world.clone();
        match stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
            Ok(stream) => drop(thread::spawn(move || serve(stream, mirror, &world))),
            Err(error) => {
                eprintln!("accept: {error}");
                thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

fn serve(stream: TcpStream, mirror: Option<Mirror>, world: &Arc<World>) {
    let ended = match mirror {
        Some(mirror) => mirror.serve(stream),
        None => Peer::new(stream, world.clone()).and_then(Peer::serve),
    };
    if let Err(error) = ended {
        eprintln!("connection: {error}");
    }
}
