//! `websocket.conf` as written → [`Config`] as needed, checked once at start.
//!
//! Keys, defaults and their quirks are those of Java's `WebSocketProxyConfiguration`. A key that
//! would change who may do what, and that is not built yet, is refused and never ignored. Knows
//! files and text only: nothing here opens sockets, resolves names or asks for CPUs.

mod broker_url;
pub mod cpu_list;
mod file;
mod properties;
mod refusals;

use std::{collections::BTreeMap, fmt, net::IpAddr, num::NonZeroUsize, path::Path, time::Duration};

use file::File;

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
    /// Open client sockets of the whole process; 0 is no limit. Not enforced yet.
    pub connections_max: usize,
    /// Brokers to ask for a topic's owner: host and port, tried in turn. Never empty.
    pub brokers: Vec<(String, u16)>,
    /// This cluster's name, as in Pulsar.
    pub cluster_name: String,

    /// Longest WebSocket message of a client, in bytes; longer ones close the session with 1009.
    pub text_frame_bytes_max: usize,
    /// Silence of a client after which its session is closed.
    pub idle_timeout: Duration,
    /// From accept to the answer to the upgrade.
    pub handshake_timeout: Duration,
    /// How long a closed socket may take, without progress, to accept its last bytes and to close
    /// its own side.
    pub linger_timeout: Duration,
    /// From the order to end until the process ends, finished or not.
    pub drain_timeout: Duration,

    /// Publishes of one client that wait for their receipt, in bytes; then its reads stop.
    pub publishes_in_flight_bytes_max: usize,
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

    /// Every key of the file as written, known or not.
    pub properties: BTreeMap<String, String>,
    /// Sentences about keys that are set and have no effect yet, for the log.
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
            brokers: vec![("127.0.0.1".to_owned(), broker_url::BROKER_PORT)],
            cluster_name: "standalone".to_owned(),
            text_frame_bytes_max: MIB,
            idle_timeout: Duration::from_secs(300),
            handshake_timeout: Duration::from_secs(10),
            linger_timeout: Duration::from_secs(2),
            drain_timeout: Duration::from_secs(10),
            publishes_in_flight_bytes_max: 64 * MIB,
            replies_bytes_max: 16 * MIB,
            replies_timeout: Duration::from_secs(30),
            held_deliveries_bytes_max: 8 * MIB,
            incomplete_messages_bytes_max: 256 * MIB,
            operation_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            keep_alive_interval: Some(Duration::from_secs(30)),
            properties: BTreeMap::new(),
            notices: Vec::new(),
        }
    }
}

/// What the command line says; each one beats the file.
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
}

/// Why the process must not start: one sentence, with file and line where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads the file, if there is one, and lets the command line have the last word.
    ///
    /// # Errors
    /// The file can't be read, says something that can't be, or asks for something that is not
    /// built and must not be ignored.
    pub fn load(path: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        match path {
            None => Self::default().overridden(overrides),
            Some(path) => {
                let name = path.display().to_string();
                let bytes = std::fs::read(path)
                    .map_err(|error| ConfigError(format!("{name}: can't be read: {error}")))?;
                Self::from_file(&name, &bytes, overrides)
            }
        }
    }

    /// As [`Config::load`], with the file's content at hand; `name` is for error messages.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_file(name: &str, bytes: &[u8], overrides: &Overrides) -> Result<Self, ConfigError> {
        let file = File::parse(name, bytes)?;
        refusals::check(&file)?;
        let cluster_name = file
            .text("clusterName")
            .ok_or_else(|| ConfigError(format!("{name}: Required clusterName is null")))?;
        let mut config = Self {
            cluster_name: cluster_name.to_owned(),
            ..Self::default()
        };
        config.take_listener(&file, overrides)?;
        config.take_limits(&file)?;
        config.take_brokers(&file, overrides)?;
        config.notices = refusals::notices(&file);
        config.properties = file.into_properties();
        config.overridden(overrides)
    }

    fn take_listener(&mut self, file: &File, overrides: &Overrides) -> Result<(), ConfigError> {
        if let Some(address) = file.text("bindAddress") {
            let address = address
                .parse()
                .map_err(|_| file.bad_value("bindAddress", "an IP address"))?;
            self.bind = specific(address);
        }
        self.port = match file.optional_port("webServicePort", self.port)? {
            Some(port) => port,
            None if overrides.port.is_some() => self.port,
            None => {
                return Err(file.error(
                    "webServicePort",
                    "webServicePort is blank, which switches HTTP off, and HTTPS is not built \
                     yet: give a port",
                ));
            }
        };
        // Java hands 0 and less to the socket, which takes 50.
        self.accept_backlog = match file.int("httpServerAcceptQueueSize")? {
            Some(backlog) if backlog <= 0 => 50,
            Some(backlog) => backlog,
            None => self.accept_backlog,
        };
        if let Some(connections) = file.int("maxHttpServerConnections")? {
            // Java: 0 and less is no limit.
            self.connections_max = usize::try_from(connections).unwrap_or(0);
        }
        Ok(())
    }

    fn take_limits(&mut self, file: &File) -> Result<(), ConfigError> {
        if let Some(bytes) = file.positive("webSocketMaxTextFrameSize", "bytes")? {
            self.text_frame_bytes_max = usize::try_from(bytes).unwrap_or(usize::MAX);
        }
        // 0 and less keep Jetty's own idle timeout, which is the default; they don't switch it off.
        if let Some(millis @ 1..) = file.int("webSocketSessionIdleTimeoutMillis")? {
            self.idle_timeout = Duration::from_millis(u64::from(millis.unsigned_abs()));
        }
        if let Some(millis) = file.positive("brokerClient_operationTimeoutMs", "milliseconds")? {
            self.operation_timeout = Duration::from_millis(millis);
        }
        if let Some(millis) = file.positive("brokerClient_connectionTimeoutMs", "milliseconds")? {
            self.connect_timeout = Duration::from_millis(millis);
        }
        if let Some(seconds) = file.int("brokerClient_keepAliveIntervalSeconds")? {
            self.keep_alive_interval =
                (seconds > 0).then(|| Duration::from_secs(u64::from(seconds.unsigned_abs())));
        }
        Ok(())
    }

    fn take_brokers(&mut self, file: &File, overrides: &Overrides) -> Result<(), ConfigError> {
        const KEY: &str = "brokerServiceUrl";
        if overrides.broker_url.is_some() {
            return Ok(());
        }
        if let Some(url) = file.text(KEY) {
            self.brokers = broker_url::parse(url)
                .map_err(|error| file.error(KEY, &broker_url_sentence(KEY, url, error)))?;
            return Ok(());
        }
        let asks_for = [
            "serviceUrl",
            "configurationMetadataStoreUrl",
            "configurationStoreServers",
            "globalZookeeperServers",
        ]
        .into_iter()
        .find(|key| file.text(key).is_some());
        Err(match asks_for {
            Some("serviceUrl") => file.error(
                "serviceUrl",
                "serviceUrl asks for lookups over HTTP, which are not built yet: set \
                 brokerServiceUrl, as pulsar://host:6650",
            ),
            Some(store) => file.error(
                store,
                &format!(
                    "{store} asks to find the brokers through the metadata store, which is not \
                     built yet: set brokerServiceUrl, as pulsar://host:6650"
                ),
            ),
            None => ConfigError(format!(
                "{}: no broker is named: set brokerServiceUrl, as pulsar://host:6650",
                file.name()
            )),
        })
    }

    fn overridden(mut self, overrides: &Overrides) -> Result<Self, ConfigError> {
        if let Some(url) = &overrides.broker_url {
            self.brokers = broker_url::parse(url)
                .map_err(|error| ConfigError(broker_url_sentence("--broker-url", url, error)))?;
        }
        self.bind = overrides.bind.map_or(self.bind, specific);
        self.port = overrides.port.unwrap_or(self.port);
        self.cores = overrides.cores.or(self.cores);
        if let Some(cpus) = &overrides.cpus {
            self.cpus.clone_from(cpus);
        }
        match self.cores {
            Some(cores) if !self.cpus.is_empty() && cores.get() > self.cpus.len() => {
                Err(ConfigError(format!(
                    "--cores {cores} is more than the {} CPUs that --cpus names",
                    self.cpus.len()
                )))
            }
            _ => Ok(self),
        }
    }
}

/// Java listens on every address, IPv6 and IPv4, when told `0.0.0.0`.
fn specific(address: IpAddr) -> Option<IpAddr> {
    Some(address).filter(|address| !address.is_unspecified())
}

fn broker_url_sentence(key: &str, url: &str, error: broker_url::BrokerUrlError) -> String {
    use broker_url::BrokerUrlError::{Http, Malformed, Tls};
    match error {
        Tls => format!("{key}={url}: TLS towards brokers is not built yet: use pulsar://"),
        Http => format!("{key}={url}: lookups over HTTP are not built yet: use pulsar://host:6650"),
        Malformed => format!("{key}={url}: expected pulsar://host:port,host:port"),
    }
}

#[cfg(test)]
mod tests;
