//! The command `pulsar-ws-fast`: reads the command line and the configuration, runs the service,
//! and says by its exit code how that ended.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | ended on SIGTERM or SIGINT, everything finished |
//! | 1 | the drain took longer than it may; what was left is lost. `--check-host` found a problem |
//! | 2 | the command line is wrong |
//! | 69 | the port is taken, or the address is not this machine's |
//! | 70 | a shard ended before its time (a bug); a panic ends the process by SIGABRT |
//! | 71 | the kernel lacks what is needed (io_uring) |
//! | 77 | the kernel withholds it (seccomp, locked memory, a port below 1024) |
//! | 78 | the configuration is wrong, or asks for what is not built |
//! | 128+n | ended at once by a second signal n |

use std::{
    io::Write,
    net::IpAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use pulsar_ws_fast::{
    config::{Config, Driver, LogFormat, Overrides, Settings, cpu_list},
    host::{self, Plan},
    runtime::{self, Ended},
};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

#[cfg(feature = "count-allocations")]
mod allocations;
mod log;

use log::Log;

/// Large messages make large, short-lived buffers on every core; mimalloc keeps them per thread.
#[cfg(not(feature = "count-allocations"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(feature = "count-allocations")]
#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting::new();

const EXIT_DRAIN_TIMED_OUT: u8 = 1;
const EXIT_HOST_PROBLEM: u8 = 1;
const EXIT_SOFTWARE: u8 = 70;
const EXIT_OS: u8 = 71;
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
    /// What drives the sockets: io_uring, or epoll, which is slower and works where io_uring is
    /// not to be had.
    #[arg(long, value_name = "DRIVER", value_enum, default_value = "io_uring")]
    driver: DriverName,
    /// Listen beside an instance that holds the port already; it is to be ended by SIGTERM then.
    #[arg(long)]
    takeover: bool,
    /// Say whether the configuration is right, and exit.
    #[arg(long, conflicts_with = "print_config")]
    check_config: bool,
    /// Print each value with where it was set, secrets hidden, and exit.
    #[arg(long)]
    print_config: bool,
    /// Say what of this machine is right for the service as it would start now, what to change, why
    /// and how, and exit: with 0, or with 1 if there is a problem. Changes nothing and needs no
    /// privilege; run it as the user, and in the container or unit, that the service runs in.
    #[arg(long, conflicts_with_all = ["print_config", "check_config"])]
    check_host: bool,
    /// How --check-host tells it.
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value = "text",
        requires = "check_host"
    )]
    format: ReportFormat,
    /// What to log: off, error, warn, info, debug or trace, and others for some targets, as
    /// info,access=off; `access` tells of each handshake and close.
    #[arg(long, value_name = "LEVEL[,TARGET=LEVEL]", default_value = "info", value_parser = log_levels)]
    log: Targets,
    /// How to log: text, or json for one object a line [default: text].
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "json"])]
    log_format: Option<String>,
}

/// See [`Driver`].
#[derive(Clone, Copy, clap::ValueEnum)]
enum DriverName {
    #[value(name = "io_uring")]
    IoUring,
    Epoll,
}

/// How a report is printed.
#[derive(Clone, Copy, clap::ValueEnum)]
enum ReportFormat {
    Text,
    Json,
}

/// A list as one value.
#[derive(Clone)]
struct Cpus(Vec<usize>);

fn cpus(list: &str) -> Result<Cpus, String> {
    cpu_list::parse(list).map(Cpus)
}

/// A level for everything that has none of its own, and levels of targets.
fn log_levels(list: &str) -> Result<Targets, String> {
    let mut targets = Targets::new().with_default(LevelFilter::INFO);
    for item in list.split(',').map(str::trim) {
        let (target, level) = match item.split_once('=') {
            Some((target, level)) => (Some(target), level),
            None => (None, item),
        };
        // The library takes a blank one for "error".
        let level: LevelFilter = match level.parse() {
            Ok(parsed) if !level.is_empty() => parsed,
            _ => return Err(format!("\"{level}\" is no level")),
        };
        targets = match target {
            Some(target) => targets.with_target(target, level),
            None => targets.with_default(level),
        };
    }
    Ok(targets)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let overrides = arguments.overrides();
    let file = arguments.file.as_deref().or(arguments.config.as_deref());
    let settings = match Settings::read(file, std::env::vars_os(), &overrides) {
        Ok(settings) => settings,
        Err(error) => return refuse(EXIT_CONFIG, &error),
    };
    if arguments.print_config {
        print(&settings.report());
    }
    let config = match Config::new(&settings, &overrides) {
        Ok(config) => config,
        Err(error) => return refuse(EXIT_CONFIG, &error),
    };
    if arguments.print_config {
        return ExitCode::SUCCESS;
    }
    if arguments.check_config {
        for notice in &config.notices {
            print(&format!("warning: {notice}\n"));
        }
        print("ok\n");
        return ExitCode::SUCCESS;
    }
    if arguments.check_host {
        return check_host(&config, arguments.format);
    }
    let Ok(log) = Log::start() else {
        return ExitCode::from(EXIT_OS);
    };
    write_log(log.clone(), config.log_format, arguments.log);
    #[cfg(feature = "count-allocations")]
    if let Err(error) = ALLOCATOR.print_on_signal() {
        tracing::warn!(%error, "can't print allocations on SIGUSR1");
    }
    for notice in &config.notices {
        tracing::warn!("{notice}");
    }
    // As the JVM does: a soft limit of 1024 would end at about as many clients.
    if let Err(error) = rlimit::increase_nofile_limit(rlimit::INFINITY) {
        tracing::warn!(%error, "can't raise the limit of open files to its hard limit");
    }
    let ended = runtime::run(config);
    log.flush();
    match ended {
        Ok(Ended::Drained) => ExitCode::SUCCESS,
        Ok(Ended::DrainTimedOut) => ExitCode::from(EXIT_DRAIN_TIMED_OUT),
        Ok(Ended::ShardLost) => ExitCode::from(EXIT_SOFTWARE),
        Ok(Ended::Signal(signal)) => {
            ExitCode::from(u8::try_from(128 + signal).unwrap_or(EXIT_SOFTWARE))
        }
        Err(error) => refuse(error.exit_code(), &error),
    }
}

/// Prints what of this machine fits the service, and what does not.
fn check_host(config: &Config, format: ReportFormat) -> ExitCode {
    let layout = runtime::layout(config);
    // Also where epoll is asked for: the report tells whether that is needed.
    let rings = runtime::try_rings(Driver::IoUring, layout.len());
    let plan = Plan {
        config,
        layout: &layout,
        rings: rings.map_err(|error| error.to_string()),
    };
    let report = host::check(Path::new("/"), &plan);
    match format {
        // Colours go where somebody sees them, and NO_COLOR is not set.
        ReportFormat::Text => {
            let _ = anstream::stdout().write_all(report.text().as_bytes());
        }
        ReportFormat::Json => print(&report.json()),
    }
    if report.has_problem() {
        ExitCode::from(EXIT_HOST_PROBLEM)
    } else {
        ExitCode::SUCCESS
    }
}

/// From now on what is logged goes to `log`.
fn write_log(log: Log, format: LogFormat, levels: Targets) {
    let lines = tracing_subscriber::fmt::layer().with_writer(move || log.clone());
    let registry = tracing_subscriber::registry();
    match format {
        LogFormat::Text => {
            let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
            registry
                .with(lines.with_ansi(is_terminal))
                .with(levels)
                .init();
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true);
            registry
                .with(lines.with_current_span(false).with_span_list(false))
                .with(levels)
                .init();
        }
    }
}

impl Arguments {
    fn overrides(&self) -> Overrides {
        Overrides {
            cores: self.cores,
            cpus: self.cpus.clone().map(|Cpus(cpus)| cpus),
            bind: self.bind,
            port: self.port,
            broker_url: self.broker_url.clone(),
            driver: match self.driver {
                DriverName::IoUring => Driver::IoUring,
                DriverName::Epoll => Driver::Epoll,
            },
            takeover: self.takeover,
            log_format: self.log_format.clone(),
        }
    }
}

/// What was asked for goes to the standard output; whoever closed it does not want it.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// A start that failed is told plainly, whatever the log level.
#[allow(clippy::print_stderr, reason = "main speaks to the terminal")]
fn refuse(code: u8, error: &dyn std::error::Error) -> ExitCode {
    for sentence in error.to_string().lines() {
        eprintln!("pulsar-ws-fast: {sentence}");
    }
    ExitCode::from(code)
}
