//! A broker that stores nothing: it confirms every publish at once and delivers without end, so that
//! what stands in front of it can be measured by itself.
//!
//! It speaks enough of Pulsar's binary protocol for Pulsar's Java client and for this service.
//! One blocking thread serves a connection: it reads, answers everything that one read brought,
//! and writes once. Payloads, checksums and message ids are checked and counted; `SIGUSR1` prints
//! the counts as a line of JSON, and so does the end (`SIGTERM` or `SIGINT`).
//!
//! With `--mirror IN:OUT:WINDOW` it is no broker but a peer that answers each IN bytes with OUT
//! bytes, after WINDOW answers at the beginning: the far end for the bare relay.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a tool of its own, not a part of the service: it speaks to a terminal and has a clock"
)]

mod answers;
mod consumers;
mod delayed;
mod mirror;
mod peer;
#[path = "../shared/mod.rs"]
mod shared;
mod stats;

use std::{
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

use crate::{mirror::Mirror, peer::Peer, stats::Stats};

/// A broker that confirms everything, delivers endlessly and stores nothing.
#[derive(Parser, Clone)]
struct Arguments {
    /// Where to listen; port 0 takes any free one. The address is the first line printed.
    #[arg(long, default_value = "127.0.0.1:6650")]
    listen: SocketAddr,
    /// Microseconds from a command's arrival to its answer's leaving.
    #[arg(long, default_value_t = 0)]
    delay_us: u64,
    /// Size of each delivered payload, and of those that are expected.
    #[arg(long, default_value_t = 1024)]
    payload_bytes: usize,
    /// Be no broker, but answer each IN bytes with OUT, after WINDOW answers at the beginning.
    #[arg(long, value_name = "IN:OUT:WINDOW")]
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

fn run(arguments: Arguments) -> std::io::Result<()> {
    let listener = TcpListener::bind(arguments.listen)?;
    println!("{}", listener.local_addr()?);
    let stats = Arc::new(Stats::default());
    let mut signals = Signals::new([SIGUSR1, SIGTERM, SIGINT])?;
    let shown = stats.clone();
    thread::spawn(move || accept(&listener, &arguments, &stats));
    for signal in &mut signals {
        println!("{}", shown.json());
        if signal != SIGUSR1 {
            break;
        }
    }
    Ok(())
}

fn accept(listener: &TcpListener, arguments: &Arguments, stats: &Arc<Stats>) {
    for stream in listener.incoming() {
        let (arguments, stats) = (arguments.clone(), stats.clone());
        match stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
            Ok(stream) => drop(thread::spawn(move || serve(stream, &arguments, &stats))),
            Err(error) => {
                eprintln!("accept: {error}");
                thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

fn serve(stream: TcpStream, arguments: &Arguments, stats: &Arc<Stats>) {
    let ended = match arguments.mirror {
        Some(mirror) => mirror.serve(stream),
        None => {
            let delay = Duration::from_micros(arguments.delay_us);
            Peer::new(stream, delay, arguments.payload_bytes, stats.clone()).and_then(Peer::serve)
        }
    };
    if let Err(error) = ended {
        eprintln!("connection: {error}");
    }
}
