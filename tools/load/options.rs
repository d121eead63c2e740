//! The command line.

use std::{fs, io, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    cpu::Watched,
    shared::about::about,
    shared::sizes::Sizes,
    target::{Place, Target},
    tls,
    values::{count, header, interval, pair, rate, seconds},
};

/// Load for any WebSocket service of Pulsar: publishes, consumes, measures latencies, holds idle connections.
#[derive(Parser)]
#[command(version, args_override_self = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) load: Load,
}

#[derive(Subcommand)]
pub(crate) enum Load {
    /// Publish: so many in flight for each client, or so many per second (--rate)
    Publish {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        messages: MessageOptions,
        #[command(flatten)]
        pace: PaceOptions,
    },
    /// Consume, and acknowledge every message
    Consume {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        consume: ConsumeOptions,
    },
    /// Publish and consume the same topics; latency is counted from due (or sent) to delivered
    #[command(name = "end-to-end", visible_alias = "e2e")]
    EndToEnd {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        messages: MessageOptions,
        #[command(flatten)]
        pace: PaceOptions,
        #[command(flatten)]
        consume: ConsumeOptions,
    },
    /// Publishers, consumers and idle producers at once, each on topics of their own
    Mixed {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        messages: MessageOptions,
        #[command(flatten)]
        pace: PaceOptions,
        #[command(flatten)]
        consume: ConsumeOptions,
        /// Clients that consume, beside those that publish (--clients)
        #[arg(long, default_value_t = 4)]
        consumers: usize,
        /// Producers that do nothing
        #[arg(long, default_value_t = 0)]
        idle: usize,
    },
    /// Open connections that do nothing, one after the other, and tell the memory of those watched
    Idle {
        #[command(flatten)]
        common: Common,
        /// What each of them is
        #[arg(long, value_enum, default_value_t = Idle::Producer)]
        kind: Idle,
        /// Topics that they share
        #[arg(long, default_value_t = 100, value_parser = count)]
        topics: usize,
    },
    /// Bare bytes, no WebSocket: what the same exchange costs who only passes it on
    Bytes {
        #[command(flatten)]
        common: Common,
        /// Bytes of what is sent for each message
        #[arg(long, value_parser = count)]
        request: usize,
        /// Bytes of what comes for each message
        #[arg(long, value_parser = count)]
        answer: usize,
        /// Requests at the beginning, of each client; 0 if the far end begins
        #[arg(long, default_value_t = 0)]
        window: usize,
        /// Requests of each client per second, whatever becomes of those before
        #[arg(long, value_name = "PER_SECOND", conflicts_with = "window", value_parser = rate)]
        rate: Option<f64>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Idle {
    Producer,
    Consumer,
    Reader,
}

/// What every kind of load takes.
#[derive(Args, Clone)]
pub(crate) struct Common {
    /// The service: HOST:PORT, ws://HOST:PORT or wss://HOST:PORT
    #[arg(long, visible_alias = "url", value_name = "PLACE")]
    address: Place,
    /// Connections
    #[arg(long, short = 'c', default_value_t = 4, value_parser = count)]
    pub(crate) clients: usize,
    /// Threads; 0: as many as there are CPUs for this process, and no more than clients
    #[arg(long, short = 't', default_value_t = 0)]
    threads: usize,
    /// Open the connections over so many seconds; each begins when it is open
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, value_parser = seconds)]
    ramp: f64,
    /// How long to run before measuring
    #[arg(long, value_name = "SECONDS", default_value_t = 0.5, value_parser = seconds)]
    warm_seconds: f64,
    /// How long to measure
    #[arg(long, short = 'd', value_name = "SECONDS", default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,
    /// Topic; -0, -1 and so on are appended, one for each client
    /// [default: persistent://public/default/load, of idle ones …/idle]
    #[arg(long, value_name = "NAME")]
    topic: Option<String>,
    /// Sizes of payloads before base64: 1024, 100-2000 (evenly), 100:9,65536:1 (size:weight)
    #[arg(long, short = 's', value_name = "SIZES", default_value = "1024")]
    pub(crate) payload_bytes: Sizes,
    /// All clients have one topic
    #[arg(long)]
    pub(crate) one_topic: bool,
    /// Parameter of every URL, as batchingEnabled=true; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) query: Vec<(String, String)>,
    /// Header of every handshake; may be repeated
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<String>,
    /// Token to log in with, or @FILE that holds it
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Send the token as the parameter `token`, not as a header
    #[arg(long, requires = "token")]
    token_in_query: bool,
    /// Certificates to trust (PEM) in place of the system's
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Trust any certificate
    #[arg(long, conflicts_with = "tls_ca")]
    tls_insecure: bool,
    /// Speak permessage-deflate: publishes are compressed, acknowledgements are not
    #[arg(long)]
    deflate: bool,
    /// Processes whose CPU time and memory to tell
    #[arg(long, value_name = "NAME=PID", value_delimiter = ',')]
    pub(crate) watch: Vec<Watched>,
    /// How to tell the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Write the latencies of each interval to this file, for tools of HdrHistogram
    #[arg(long, value_name = "FILE")]
    pub(crate) hdr_log: Option<PathBuf>,
    /// Interval of that file
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = interval, requires = "hdr_log")]
    interval: f64,
    /// Show no progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Seed of sizes and keys
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

/// What messages are like.
#[derive(Args, Clone, Default)]
pub(crate) struct MessageOptions {
    /// Property of every publish; may be repeated
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) properties: Vec<(String, String)>,
    /// Give publishes one of so many keys, by chance
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub(crate) keys: u64,
}

/// When publishes are sent.
#[derive(Args, Clone, Default)]
pub(crate) struct PaceOptions {
    /// Publishes of each client per second, whatever becomes of those before
    #[arg(long, short = 'r', value_name = "PER_SECOND", value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// Publishes in flight of each client [default: 100; with --rate: no limit]
    #[arg(long, short = 'i', value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) in_flight: Option<u64>,
}

/// How to consume.
#[derive(Args, Clone, Default)]
pub(crate) struct ConsumeOptions {
    /// Name of the subscription
    #[arg(long, value_name = "NAME", default_value = "load")]
    pub(crate) subscription: String,
    /// Take any payload, not only those that are published with the same options
    #[arg(long)]
    pub(crate) no_verify: bool,
}

impl Common {
    pub(crate) fn place(&self) -> &Place {
        &self.address
    }

    /// The topic, or `default` in the usual namespace.
    pub(crate) fn topic<'t>(&'t self, default: &'t str) -> &'t str {
        self.topic.as_deref().unwrap_or(default)
    }

    pub(crate) fn warm(&self) -> Duration {
        Duration::from_secs_f64(self.warm_seconds)
    }

    pub(crate) fn measured(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    pub(crate) fn ramp(&self) -> Duration {
        Duration::from_secs_f64(self.ramp)
    }

    pub(crate) fn interval(&self) -> Duration {
        Duration::from_secs_f64(self.interval)
    }

    pub(crate) fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    /// Fails where something was asked for that this load does not do.
    pub(crate) fn check(&self, has_latencies: bool) -> io::Result<()> {
        let wrong = if self.hdr_log.is_some() && !has_latencies {
            "--hdr-log: this load has no latencies"
        } else if (self.tls_ca.is_some() || self.tls_insecure) && !self.address.tls {
            "--tls-ca and --tls-insecure are for an address with wss://"
        } else {
            return Ok(());
        };
        Err(io::Error::other(wrong))
    }

    pub(crate) fn target(&mut self) -> io::Result<Target> {
        let token = match self
            .token
            .as_deref()
            .map(|token| (token, token.strip_prefix('@')))
        {
            Some((_, Some(file))) => {
                let read = fs::read_to_string(file).map_err(about(format!("--token @{file}")))?;
                Some(read.trim().to_owned())
            }
            Some((token, None)) => Some(token.to_owned()),
            None => None,
        };
        // It would end its header.
        if token
            .as_ref()
            .is_some_and(|token| token.contains(['\r', '\n']))
        {
            return Err(io::Error::other("a token is one line"));
        }
        let mut target = Target {
            place: self.address.clone(),
            tls: None,
            deflate: self.deflate,
            token: None,
            headers: self.header.clone(),
        };
        if self.token_in_query {
            self.query
                .extend(token.map(|token| ("token".to_owned(), token)));
        } else {
            target.token = token;
        }
        if target.place.tls {
            target.tls = Some(tls::config(self.tls_ca.as_deref(), self.tls_insecure)?);
        }
        Ok(target)
    }
}
