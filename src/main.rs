//! The command `pulsar-ws-fast`: reads the command line and the configuration, runs the service,
//! and says by its exit code how that ended.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | ended on SIGTERM or SIGINT, everything finished |
//! | 1 | the drain took longer than it may; what was left is lost |
//! | 2 | the command line is wrong |
//! | 69 | the port is taken, or the address is not this machine's |
//! | 70 | a shard failed (a bug) |
//! | 71 | the kernel lacks what is needed (io_uring) |
//! | 77 | the kernel withholds it (seccomp, locked memory, a port below 1024) |
//! | 78 | the configuration is wrong, or asks for what is not built |
//! | 128+n | ended at once by a second signal n |

use std::{net::IpAddr, num::NonZeroUsize, path::PathBuf, process::ExitCode};

use clap::Parser;
use pulsar_ws_fast::{
    config::{Config, Overrides, cpu_list},
    runtime::{self, Ended},
};
use tracing_subscriber::filter::LevelFilter;

/// Large messages make large, short-lived buffers on every core; mimalloc keeps them per thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EXIT_DRAIN_TIMED_OUT: u8 = 1;
const EXIT_SOFTWARE: u8 = 70;
const EXIT_CONFIG: u8 = 78;

/// WebSocket service for Apache Pulsar.
///
/// Without a file: clusterName=standalone, brokers at pulsar://127.0.0.1:6650, port 8080.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Configuration, as Pulsar's conf/websocket.conf.
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
    /// The same as FILE.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Cores to use [default: all that this process may use].
    #[arg(long, value_name = "N")]
    cores: Option<NonZeroUsize>,
    /// CPUs to pin the cores to, as 0-3,8.
    #[arg(long, value_name = "LIST", value_parser = cpus)]
    cpus: Option<Cpus>,
    /// Address to listen on [default: all, IPv6 and IPv4].
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<IpAddr>,
    /// Port to listen on; 0 takes any free one [default: 8080].
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Brokers, as pulsar://host:6650,other:6650.
    #[arg(long, value_name = "URL")]
    broker_url: Option<String>,
    /// What to log: off, error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: LevelFilter,
}

/// A list as one value.
#[derive(Clone)]
struct Cpus(Vec<usize>);

fn cpus(list: &str) -> Result<Cpus, String> {
    cpu_list::parse(list).map(Cpus)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_max_level(arguments.log)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
    let overrides = Overrides {
        cores: arguments.cores,
        cpus: arguments.cpus.map(|Cpus(cpus)| cpus),
        bind: arguments.bind,
        port: arguments.port,
        broker_url: arguments.broker_url,
    };
    let file = arguments.file.or(arguments.config);
    let config = match Config::load(file.as_deref(), &overrides) {
        Ok(config) => config,
        Err(error) => return refuse(EXIT_CONFIG, &error),
    };
    for notice in &config.notices {
        tracing::warn!("{notice}");
    }
    match runtime::run(config) {
        Ok(Ended::Drained) => ExitCode::SUCCESS,
        Ok(Ended::DrainTimedOut) => ExitCode::from(EXIT_DRAIN_TIMED_OUT),
        Ok(Ended::ShardLost) => ExitCode::from(EXIT_SOFTWARE),
        Ok(Ended::Signal(signal)) => {
            ExitCode::from(u8::try_from(128 + signal).unwrap_or(EXIT_SOFTWARE))
        }
        Err(error) => refuse(error.exit_code(), &error),
    }
}

/// A start that failed is told plainly, whatever the log level.
#[allow(clippy::print_stderr, reason = "main speaks to the terminal")]
fn refuse(code: u8, error: &dyn std::error::Error) -> ExitCode {
    eprintln!("pulsar-ws-fast: {error}");
    ExitCode::from(code)
}
