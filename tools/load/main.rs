//! A load client for WebSocket services of Pulsar: publishes, consumes and acknowledges, or holds
//! idle producers, and tells as JSON what it did and what that cost others.
//!
//! Every client is one blocking thread that reads, answers everything that one read brought, and
//! writes once. Message ids and contexts are checked and added up, so that they can be compared with
//! what the null broker counted. The CPU time of the processes named by `--watch` is read at both
//! edges of the measured window, and so is this one's: a load client that is busy all the time
//! measures itself.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a tool of its own, not a part of the service: it speaks to a terminal and has a clock"
)]

mod bytes;
mod client;
mod consume;
mod cpu;
mod deflate;
mod frames;
mod idle;
mod publish;
#[path = "../shared.rs"]
mod shared;
mod window;

use std::{io, net::SocketAddr, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::cpu::Watched;

/// Load for a WebSocket service of Pulsar.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    load: Load,
}

#[derive(Subcommand)]
enum Load {
    /// Each client keeps so many publishes in flight.
    Publish {
        #[command(flatten)]
        common: Common,
        /// Publishes in flight of each client.
        #[arg(long, default_value_t = 100)]
        in_flight: u64,
    },
    /// Each client consumes a topic of its own and acknowledges every message.
    Consume {
        #[command(flatten)]
        common: Common,
    },
    /// Opens producers one after the other and holds them; the memory of those watched is told.
    Idle {
        #[command(flatten)]
        common: Common,
    },
    /// Bare bytes, no WebSocket: what the same exchange costs who only passes it on.
    Bytes {
        #[command(flatten)]
        common: Common,
        /// Bytes of what is sent for each message.
        #[arg(long)]
        request: usize,
        /// Bytes of what comes for each message.
        #[arg(long)]
        answer: usize,
        /// Requests at the beginning, of each client; 0 if the far end begins.
        #[arg(long)]
        window: usize,
    },
}

/// What every kind of load takes.
#[derive(Args, Clone)]
struct Common {
    /// The service.
    #[arg(long)]
    address: SocketAddr,
    /// Connections.
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// Size of a message before base64.
    #[arg(long, default_value_t = 1024)]
    payload_bytes: usize,
    /// Speak permessage-deflate: publishes are compressed, acknowledgements are not.
    #[arg(long)]
    deflate: bool,
    /// How long to run before measuring.
    #[arg(long, default_value_t = 0.5)]
    warm_seconds: f64,
    /// How long to measure.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Processes whose CPU time and memory to tell.
    #[arg(long, value_name = "NAME=PID", value_delimiter = ',')]
    watch: Vec<Watched>,
}

fn main() -> ExitCode {
    match run(Arguments::parse().load) {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("pulsar-ws-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(load: Load) -> io::Result<String> {
    match load {
        Load::Publish { common, in_flight } => publish::run(&common, in_flight),
        Load::Consume { common } => consume::run(&common),
        Load::Idle { common } => idle::run(&common),
        Load::Bytes {
            common,
            request,
            answer,
            window,
        } => bytes::run(&common, request, answer, window),
    }
}
