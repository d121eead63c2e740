//! A load generator for WebSocket services of Pulsar: publishes, consumes and acknowledges, both at once
//! with the latency between them, or holds idle connections; and tells what was done, how long it took
//! and what that cost others.
//!
//! A few threads, each an event loop over the sockets of its clients: a turn reads once, answers
//! everything that this brought, sends what is due, and writes once. Message ids and contexts are checked and added up, so that they
//! can be compared with what a broker counted. The CPU time of the processes named by `--watch` is read
//! at both edges of the measured time, and so is this one's: a load client that is busy all the time
//! measures itself, and says so.

#![allow(
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a tool of its own, not a part of the service: it speaks to a terminal and has a clock"
)]

mod bytes;
mod client;
mod clock;
mod consumer;
mod cpu;
mod deflate;
mod due;
mod frames;
mod hdr_log;
mod idle;
mod json;
mod modes;
mod options;
mod progress;
mod publisher;
mod result;
mod run;
mod schedule;
#[path = "../shared/mod.rs"]
mod shared;
mod slot;
mod socket;
mod tally;
mod target;
mod text;
mod texts;
mod tls;
mod topic;
mod values;
mod window;
mod worker;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;

use crate::{
    bytes::Bytes,
    modes::Mode,
    options::{Arguments, Common, ConsumeOptions, Format, Load, MessageOptions, PaceOptions},
    progress::Progress,
    shared::about::about,
};

fn main() -> ExitCode {
    // Ten thousand connections are ten thousand descriptors.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    match run(Arguments::parse().load) {
        Ok(told) => match writeln!(io::stdout(), "{}", told.trim_end()) {
            // Whoever does not read it need not have it.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                failed(&about("the result can't be written")(error))
            }
            _ => ExitCode::SUCCESS,
        },
        Err(error) => failed(&error),
    }
}

fn failed(error: &io::Error) -> ExitCode {
    eprintln!("pulsar-ws-load: {error}");
    ExitCode::FAILURE
}

fn run(load: Load) -> io::Result<String> {
    let (common, messages, pace, consume) = options_of(&load);
    let mut progress = Progress::new(common.quiet)?;
    let format = common.format;
    cpu::check(&common.watch)?;
    common.check(matches!(
        load,
        Load::Publish { .. } | Load::EndToEnd { .. } | Load::Mixed { .. }
    ))?;
    if let Load::Idle {
        mut common,
        kind,
        topics,
    } = load
    {
        let held = idle::run(&mut common, kind, topics, &progress)?;
        return Ok(match format {
            Format::Json => held.json().to_string(),
            Format::Text => held.text(),
        });
    }
    let end_to_end = matches!(load, Load::EndToEnd { .. });
    let mode = Mode::new(common, &messages, pace, consume, end_to_end)?;
    let progress = &mut progress;
    let (kind, result) = match load {
        Load::Publish { .. } => mode.publish(progress),
        Load::Consume { .. } | Load::Idle { .. } => mode.consume(progress),
        Load::EndToEnd { .. } => mode.end_to_end(progress),
        Load::Mixed {
            consumers, idle, ..
        } => mode.mixed(consumers, idle, progress),
        Load::Bytes {
            request,
            answer,
            window,
            rate,
            ..
        } => mode.bytes(&Bytes::new(request, answer, window), rate, progress),
    }?;
    Ok(match format {
        Format::Json => json::object(&kind, &result).to_string(),
        Format::Text => text::page(&mode.what(&kind), &kind, &result),
    })
}

/// What a kind of load does not have is left at its default.
fn options_of(load: &Load) -> (Common, MessageOptions, PaceOptions, ConsumeOptions) {
    let (mut with_messages, mut with_pace, mut with_consume) = Default::default();
    let common = match load {
        Load::Publish {
            common,
            messages,
            pace,
        } => {
            (with_messages, with_pace) = (messages.clone(), pace.clone());
            common
        }
        Load::Consume { common, consume } => {
            with_consume = consume.clone();
            common
        }
        Load::EndToEnd {
            common,
            messages,
            pace,
            consume,
        }
        | Load::Mixed {
            common,
            messages,
            pace,
            consume,
            ..
        } => {
            (with_messages, with_pace, with_consume) =
                (messages.clone(), pace.clone(), consume.clone());
            common
        }
        Load::Idle { common, .. } | Load::Bytes { common, .. } => common,
    };
    (common.clone(), with_messages, with_pace, with_consume)
}
