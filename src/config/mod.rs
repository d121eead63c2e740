//! `websocket.conf` as written → [`Config`] as needed, checked once at start.
//!
//! Keys, defaults and their quirks are those of Java's `WebSocketProxyConfiguration`. A key that
//! would change who may do what, and that is not built yet, is refused and never ignored. Knows
//! files and text only: nothing here opens sockets, resolves names or asks for CPUs.
//!
//! ```text
//!  file, environment, flags ─▶ settings (what was set, and where) ─▶ checks (by the table of keys) ─▶ Config
//! ```

mod broker_url;
mod checks;
pub mod cpu_list;
mod documentation;
mod encryption;
mod keys;
pub mod open_files;
mod properties;
mod report;
mod secret;
mod service_url;
mod settings;

use std::{fmt, net::IpAddr, num::NonZeroUsize, path::PathBuf, time::Duration};

pub use documentation::documentation;
pub use encryption::{DataKey, EncryptionKeys};
pub use settings::Settings;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Everything that can be set, as the rest of the program needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Shards to run; `None` is one for each CPU that the process may use.
    pub cores: Option<NonZeroUsize>,
    /// CPUs that shards are pinned to, in order; empty leaves the choice to the runtime.
    pub cpus: Vec<usize>,
    /// Address to listen on; `None` is every address, IPv6 and IPv4.
    pub bind: Option<IpAddr>,
    /// Port for HTTP and WebSocket; 0 lets the kernel choose one.
    pub port: u16,
    /// Connections that the kernel may hold ready before they are accepted, for each shard.
    pub accept_backlog: i32,
    /// Open client sockets of the whole process; 0 is no limit. Who comes beyond it is told 503.
    pub connections_max: usize,
    /// Handshakes that may be under way in the whole process; 0 is no limit. Others wait.
    pub handshakes_max: usize,
    /// Whether a connection may begin with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// Whether what proxies say of the client in HTTP headers is believed.
    pub trusts_forwarded: bool,
    /// Whether the access log tells the addresses of proxies and of the service.
    pub logs_addresses: bool,
    /// Brokers to ask for a topic's owner: host and port, tried in turn. Empty only where
    /// `service_urls` is not.
    pub brokers: Vec<(String, u16)>,
    /// URLs of the brokers' web service, asked over HTTP instead, tried in turn.
    pub service_urls: Vec<String>,
    /// This cluster's name, as in Pulsar.
    pub cluster_name: String,

    /// Longest WebSocket message of a client, in bytes; longer ones close the session with 1009.
    pub text_frame_bytes_max: usize,
    /// Whether permessage-deflate is agreed to.
    pub deflate: bool,
    /// Shorter messages to clients are not compressed, in bytes.
    pub deflate_bytes_min: usize,
    /// Silence of a client after which its session is closed.
    pub idle_timeout: Duration,
    /// Between pings to a client; `None` sends none.
    pub ping_interval: Option<Duration>,
    /// From accept to the answer to the upgrade.
    pub handshake_timeout: Duration,
    /// How long a closed socket may take, without progress, to accept its last bytes and to close
    /// its own side.
    pub linger_timeout: Duration,
    /// From the order to end until the process ends, finished or not.
    pub drain_timeout: Duration,

    /// Publishes of one client that wait for their receipt, in bytes; then its reads stop.
    pub publishes_in_flight_bytes_max: usize,
    /// The same of all clients of the process, in bytes; then each may have one in flight.
    pub all_publishes_in_flight_bytes_max: usize,
    /// The same; then publishes are refused. `None`: they never are.
    pub publishes_memory_bytes_max: Option<usize>,
    /// Replies that one client has not read, in bytes; then its reads stop.
    pub replies_bytes_max: usize,
    /// Without progress for that long, a client that doesn't read its replies is closed with 1013.
    pub replies_timeout: Duration,
    /// Deliveries held for one session, in bytes; then no permits are given to the broker.
    pub held_deliveries_bytes_max: usize,
    /// Incomplete WebSocket messages of all clients of the process, in bytes.
    pub incomplete_messages_bytes_max: usize,

    /// Answer of a broker to a request, and a lookup with all its redirects.
    pub operation_timeout: Duration,
    /// TCP connect to a broker, and its answer to the first frame.
    pub connect_timeout: Duration,
    /// Between pings to a broker; `None` sends none.
    pub keep_alive_interval: Option<Duration>,
    /// Between two looks at how many partitions a topic has.
    pub partitions_interval: Duration,

    /// What the service encrypts and decrypts messages with.
    pub encryption_keys: EncryptionKeys,

    /// What drives the sockets.
    pub driver: Driver,
    /// Whether another instance may hold the port already, to be taken over from.
    pub takeover: bool,

    /// File whose existence `/status.html` tells; `None` tells that it is absent.
    pub status_file: Option<PathBuf>,
    /// How the log is written.
    pub log_format: LogFormat,

    /// Sentences about keys that don't do what whoever set them may think, for the log.
    pub notices: Vec<String>,
}

impl Default for Config {
    /// What runs without a file: a broker on this machine.
    fn default() -> Self {
        Self {
            cores: None,
            cpus: Vec::new(),
            bind: None,
            port: 8080,
            accept_backlog: 8192,
            connections_max: 2048,
            handshakes_max: 1024,
            proxy_protocol: false,
            trusts_forwarded: false,
            logs_addresses: false,
            brokers: vec![("127.0.0.1".to_owned(), broker_url::BROKER_PORT)],
            service_urls: Vec::new(),
            cluster_name: "standalone".to_owned(),
            text_frame_bytes_max: MIB,
            deflate: true,
            deflate_bytes_min: KIB,
            idle_timeout: Duration::from_secs(300),
            ping_interval: None,
            handshake_timeout: Duration::from_secs(10),
            linger_timeout: Duration::from_secs(2),
            drain_timeout: Duration::from_secs(10),
            publishes_in_flight_bytes_max: 64 * MIB,
            all_publishes_in_flight_bytes_max: 1024 * MIB,
            publishes_memory_bytes_max: None,
            replies_bytes_max: 16 * MIB,
            replies_timeout: Duration::from_secs(30),
            held_deliveries_bytes_max: 8 * MIB,
            incomplete_messages_bytes_max: 256 * MIB,
            operation_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            keep_alive_interval: Some(Duration::from_secs(30)),
            partitions_interval: Duration::from_secs(60),
            encryption_keys: EncryptionKeys::default(),
            driver: Driver::IoUring,
            takeover: false,
            status_file: None,
            log_format: LogFormat::Text,
            notices: Vec::new(),
        }
    }
}

/// What drives the sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Driver {
    /// io_uring.
    #[default]
    IoUring,
    /// epoll: slower; for kernels and containers that give no io_uring.
    Epoll,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// A line of words and `name=value`, for people.
    #[default]
    Text,
    /// A JSON object a line, for programs.
    Json,
}

/// What the command line says; each one beats environment and file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// See [`Config::cores`].
    pub cores: Option<NonZeroUsize>,
    /// See [`Config::cpus`].
    pub cpus: Option<Vec<usize>>,
    /// See [`Config::bind`].
    pub bind: Option<IpAddr>,
    /// See [`Config::port`].
    pub port: Option<u16>,
    /// In place of `brokerServiceUrl`.
    pub broker_url: Option<String>,
    /// See [`Config::driver`].
    pub driver: Driver,
    /// See [`Config::takeover`].
    pub takeover: bool,
    /// In place of `webSocketLogFormat`.
    pub log_format: Option<String>,
}

/// Why the process must not start: one sentence or several, each with the place of what is wrong
/// where there is one. Display puts each on a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    fn one(sentence: String) -> Self {
        Self(vec![sentence])
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// What `settings` mean, all of them checked; `overrides` are those they were read with.
    ///
    /// # Errors
    /// They say what can't be, or ask for something that is not built and must not be ignored.
    pub fn new(settings: &Settings, overrides: &Overrides) -> Result<Self, ConfigError> {
        let mut config = Self {
            notices: checks::notices(settings),
            cores: overrides.cores,
            cpus: overrides.cpus.clone().unwrap_or_default(),
            driver: overrides.driver,
            takeover: overrides.takeover,
            ..Self::default()
        };
        let mut errors = checks::errors(settings);
        errors.extend(config.take_listener(settings).err());
        config.status_file = settings.text("statusFilePath").map(PathBuf::from);
        if settings.text("webSocketLogFormat") == Some("json") {
            config.log_format = LogFormat::Json;
        }
        config.take_limits(settings);
        match EncryptionKeys::read(settings) {
            Ok(keys) => config.encryption_keys = keys,
            Err(sentences) => errors.extend(sentences),
        }
        errors.extend(config.take_brokers(settings).err());
        if let Some(cores) = overrides.cores
            && let Some(cpus) = &overrides.cpus
            && cores.get() > cpus.len()
        {
            errors.push(format!(
                "--cores {cores} is more than the {} CPUs that --cpus names",
                cpus.len()
            ));
        }
        if errors.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError(errors))
        }
    }

    fn take_listener(&mut self, settings: &Settings) -> Result<(), String> {
        if let Some(address) = settings.text("bindAddress") {
            // Java listens on every address, IPv6 and IPv4, when told `0.0.0.0`.
            self.bind = address
                .parse()
                .ok()
                .filter(|address: &IpAddr| !address.is_unspecified());
        }
        if settings.is_blank("webServicePort") {
            return Err(settings.error(
                "webServicePort",
                "webServicePort is blank, which switches HTTP off, and HTTPS is not built yet: \
                 give a port",
            ));
        }
        if let Some(Ok(port)) = settings.text("webServicePort").map(str::parse) {
            self.port = port;
        }
        // Java hands 0 and less to the socket, which takes 50.
        self.accept_backlog = match settings.int("httpServerAcceptQueueSize") {
            Some(backlog) if backlog <= 0 => 50,
            Some(backlog) => backlog,
            None => self.accept_backlog,
        };
        if let Some(connections) = settings.int("maxHttpServerConnections") {
            // Java: 0 and less is no limit.
            self.connections_max = usize::try_from(connections).unwrap_or(0);
        }
        if let Some(requests) = settings.int("maxConcurrentHttpRequests") {
            self.handshakes_max = usize::try_from(requests).unwrap_or(0);
        }
        let is_set = |key| settings.text(key).is_some_and(keys::is_true);
        self.proxy_protocol = is_set("webServiceHaProxyProtocolEnabled");
        self.trusts_forwarded = is_set("webServiceTrustXForwardedFor");
        self.logs_addresses = match settings.text("webServiceLogDetailedAddresses") {
            Some(shown) => keys::is_true(shown),
            None => self.proxy_protocol || self.trusts_forwarded,
        };
        Ok(())
    }

    fn take_limits(&mut self, settings: &Settings) {
        let bytes = |key, into: &mut usize| {
            if let Some(bytes) = settings.positive(key) {
                *into = usize::try_from(bytes).unwrap_or(usize::MAX);
            }
        };
        bytes("webSocketMaxTextFrameSize", &mut self.text_frame_bytes_max);
        bytes("webSocketDeflateMinBytes", &mut self.deflate_bytes_min);
        bytes(
            "webSocketMaxPublishBytesInFlight",
            &mut self.publishes_in_flight_bytes_max,
        );
        bytes(
            "webSocketMaxPublishBytesInFlightOfAll",
            &mut self.all_publishes_in_flight_bytes_max,
        );
        // The client's own setting beats the one made of the service's.
        let limit = |key, unit: usize| {
            let number = settings.text(key)?.parse::<i64>().ok()?;
            let number = usize::try_from(number).ok().filter(|&number| number > 0)?;
            Some(number.saturating_mul(unit))
        };
        self.publishes_memory_bytes_max = limit("brokerClient_memoryLimitBytes", 1)
            .or_else(|| limit("webSocketPulsarClientMemoryLimitInMB", MIB));
        bytes("webSocketMaxReplyBytes", &mut self.replies_bytes_max);
        bytes(
            "webSocketMaxHeldDeliveryBytes",
            &mut self.held_deliveries_bytes_max,
        );
        bytes(
            "webSocketMaxIncompleteMessageBytes",
            &mut self.incomplete_messages_bytes_max,
        );
        if let Some(deflate) = settings.text("webSocketDeflateEnabled") {
            self.deflate = keys::is_true(deflate);
        }
        let millis = |key, into: &mut Duration| {
            if let Some(millis) = settings.positive(key) {
                *into = Duration::from_millis(millis);
            }
        };
        millis(
            "webSocketHandshakeTimeoutMillis",
            &mut self.handshake_timeout,
        );
        millis("webSocketDrainTimeoutMillis", &mut self.drain_timeout);
        millis("webSocketLingerTimeoutMillis", &mut self.linger_timeout);
        millis("webSocketReplyTimeoutMillis", &mut self.replies_timeout);
        millis(
            "brokerClient_operationTimeoutMs",
            &mut self.operation_timeout,
        );
        millis(
            "brokerClient_connectionTimeoutMs",
            &mut self.connect_timeout,
        );
        millis(
            "webSocketAutoUpdatePartitionsIntervalMillis",
            &mut self.partitions_interval,
        );
        // 0 and less keep Jetty's own idle timeout, which is the default; they don't switch it off.
        if let Some(millis @ 1..) = settings.int("webSocketSessionIdleTimeoutMillis") {
            self.idle_timeout = Duration::from_millis(u64::from(millis.unsigned_abs()));
        }
        if let Some(seconds @ 1..) = settings.int("webSocketPingDurationSeconds") {
            self.ping_interval = Some(Duration::from_secs(u64::from(seconds.unsigned_abs())));
        }
        if let Some(seconds) = settings.int("brokerClient_keepAliveIntervalSeconds") {
            self.keep_alive_interval =
                (seconds > 0).then(|| Duration::from_secs(u64::from(seconds.unsigned_abs())));
        }
    }

    fn take_brokers(&mut self, settings: &Settings) -> Result<(), String> {
        const KEY: &str = "brokerServiceUrl";
        if let Some(name) = settings.text("clusterName") {
            name.clone_into(&mut self.cluster_name);
        } else if settings.has_file() {
            return Err(settings.error("clusterName", "Required clusterName is null"));
        }
        if let Some(url) = settings.text(KEY) {
            self.brokers = broker_url::parse(url)
                .map_err(|error| settings.bad_value(KEY, broker_url_sentence(error)))?;
            return Ok(());
        }
        if let Some(url) = settings.text("serviceUrl") {
            self.brokers.clear();
            self.service_urls = service_url::parse(url)
                .map_err(|error| settings.bad_value("serviceUrl", service_url_sentence(error)))?;
            return Ok(());
        }
        let asks_for = [
            "configurationMetadataStoreUrl",
            "configurationStoreServers",
            "globalZookeeperServers",
        ]
        .into_iter()
        .find(|key| settings.text(key).is_some());
        match asks_for {
            Some(store) => Err(settings.error(
                store,
                &format!(
                    "{store} asks to find the brokers through the metadata store, which is not \
                     built yet: set brokerServiceUrl, as pulsar://host:6650"
                ),
            )),
            None if settings.has_file() => Err(settings.error(
                KEY,
                "no broker is named: set brokerServiceUrl, as pulsar://host:6650",
            )),
            None => Ok(()),
        }
    }
}

fn broker_url_sentence(error: broker_url::BrokerUrlError) -> &'static str {
    use broker_url::BrokerUrlError::{Http, Malformed, Tls};
    match error {
        Tls => "TLS towards brokers is not built yet: use pulsar://",
        Http => "expected pulsar://host:port,host:port; a web service belongs in serviceUrl",
        Malformed => "expected pulsar://host:port,host:port",
    }
}

fn service_url_sentence(error: service_url::ServiceUrlError) -> &'static str {
    use service_url::ServiceUrlError::{Malformed, Tls};
    match error {
        Tls => "TLS towards brokers is not built yet: use http://, or set brokerServiceUrl",
        Malformed => "expected http://host:port,host:port",
    }
}

#[cfg(test)]
mod tests;
