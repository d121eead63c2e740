//! Connections to brokers: one a broker and way (direct, or through a proxy), made when first
//! needed, shared by everything of the shard that talks to that broker.
//!
//! ```text
//!  Resolving ──▶ Connecting ──▶ Handshaking ──▶ Ready
//!      └─────────────┴───────────────┴────────────┴──▶ forgotten; who waited or was attached is told
//! ```
//!
//! A connection is not made again by itself: who needs one asks again, each after its own backoff,
//! and all who ask meanwhile share the attempt.

use std::{
    collections::VecDeque,
    fmt,
    net::{IpAddr, SocketAddr},
};

use bytes::Bytes;

use super::{
    Effect, Pulsar, Timer, command,
    error::{Cause, Failure},
    half::{Detached, HalfKey, State},
    lookup::{Hosts, LookupKey},
    outbox::Outbox,
    proto::{
        AuthData, CommandAuthResponse, CommandConnect, CommandConnected, CommandPing, CommandPong,
        FeatureFlags, Kind, ServerError,
    },
    reader::FrameReader,
    request::Purpose,
};
use crate::timer::Now;

slotmap::new_key_type! {
    /// Names a connection to a broker within its shard.
    pub struct ConnectionKey;
    /// Names a question for a host's addresses.
    pub struct ResolveKey;
}

/// What we call ourselves; without blanks, or brokers would not show it.
const CLIENT_VERSION: &str = concat!("Pulsar-WebSocket-Fast-v", env!("CARGO_PKG_VERSION"));
/// Of the newest client that is in use.
const PROTOCOL_VERSION: i32 = 21;
/// The name by which brokers know a WebSocket service that is also one of their proxies.
const ORIGINAL_PRINCIPAL: &str = "__websocket_dummy_original_principle";
/// How Java says that there are no credentials.
const AUTH_METHOD_NONE: &str = "none";

/// Where a broker is, and how to get there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Address {
    /// A name or an IP address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// The host is a proxy; the broker behind it is this `host:port`.
    pub(super) proxy_to: Option<String>,
}

impl Address {
    pub(super) fn direct(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            proxy_to: None,
        }
    }

    /// The hosts and ports of a cluster's URL, `pulsar://host:port,host:port`.
    pub(super) fn parse_service_url(url: &str) -> Option<Hosts> {
        let authority = url.strip_prefix("pulsar://")?.split('/').next()?;
        authority
            .split(',')
            .map(|host| {
                let (host, port) = Self::parse_authority(host)?;
                Some((host.to_owned(), port))
            })
            .collect()
    }

    /// The host and port of a broker's URL, `pulsar://host:port`.
    pub(super) fn parse_url(url: &str) -> Option<(&str, u16)> {
        let authority = url.strip_prefix("pulsar://")?;
        Self::parse_authority(authority.split('/').next()?)
    }

    fn parse_authority(authority: &str) -> Option<(&str, u16)> {
        let (host, port) = authority.rsplit_once(':')?;
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        (!host.is_empty()).then_some((host, port.parse().ok()?))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (&self.host, self.port);
        match host.contains(':') {
            true => write!(formatter, "[{host}]:{port}")?,
            false => write!(formatter, "{host}:{port}")?,
        }
        match &self.proxy_to {
            Some(broker) => write!(formatter, " for {broker}"),
            None => Ok(()),
        }
    }
}

/// Who waits for a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Waiter {
    /// To ask something.
    Lookup(LookupKey),
    /// To be made at the broker.
    Half(HalfKey),
    /// To be told of topics.
    Watch(HalfKey),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waits for the host's addresses.
    Resolving,
    /// Waits for TCP.
    Connecting,
    /// Waits for CONNECTED.
    Handshaking,
    /// In use.
    Ready,
}

/// A connection to a broker.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) address: Address,
    pub(super) phase: Phase,
    /// Not tried yet.
    candidates: VecDeque<SocketAddr>,
    waiting: Vec<Waiter>,
    pub(super) outbox: Outbox,
    pub(super) reader: FrameReader,
    /// What the broker takes.
    pub(super) message_bytes_max: usize,
    /// The broker tells which topics come and go.
    pub(super) watches_topics: bool,
    /// Nothing came since our last PING.
    pub(super) is_pinged: bool,
}

impl Connection {
    fn new(address: Address, message_bytes_max: usize) -> Self {
        Self {
            address,
            phase: Phase::Resolving,
            candidates: VecDeque::new(),
            waiting: Vec::new(),
            outbox: Outbox::default(),
            reader: FrameReader::new(message_bytes_max),
            message_bytes_max,
            watches_topics: false,
            is_pinged: false,
        }
    }

    /// Says once that there is something to be written; `key` is its own.
    pub(super) fn announce(&mut self, key: ConnectionKey, effects: &mut VecDeque<Effect>) {
        if self.outbox.announces() {
            effects.push_back(Effect::Write(key));
        }
    }
}

impl Pulsar {
    /// Gives the waiter a connection to the broker, now or later, or tells it that there is none.
    pub(super) fn acquire(&mut self, now: Now, address: &Address, waiter: Waiter) {
        if let Some(&key) = self.by_address.get(address)
            && let Some(connection) = self.connections.get_mut(key)
        {
            if connection.phase == Phase::Ready {
                self.acquired(now, waiter, key);
            } else {
                connection.waiting.push(waiter);
            }
            return;
        }
        let mut connection = Connection::new(address.clone(), self.settings.message_bytes_max);
        connection.waiting.push(waiter);
        let key = self.connections.insert(connection);
        self.by_address.insert(address.clone(), key);
        if let Ok(ip) = address.host.parse::<IpAddr>() {
            self.connect(now, key, [SocketAddr::new(ip, address.port)].into());
        } else {
            let request = self.resolves.insert(key);
            self.effects.push_back(Effect::Resolve {
                request,
                host: address.host.clone(),
                port: address.port,
            });
            let deadline = now.mono + self.settings.connect_timeout;
            self.timers.set(deadline, Timer::Resolve(request));
        }
    }

    /// The answer to [`Effect::Resolve`].
    pub fn handle_resolved(
        &mut self,
        now: Now,
        request: ResolveKey,
        answer: Result<Vec<SocketAddr>, String>,
    ) {
        let Some(key) = self.resolves.remove(request) else {
            return;
        };
        match answer {
            Ok(addresses) if !addresses.is_empty() => self.connect(now, key, addresses.into()),
            Ok(_) => self.connection_lost(now, key, &unreachable("the host has no address")),
            Err(reason) => self.connection_lost(now, key, &unreachable(&reason)),
        }
    }

    /// The host's addresses did not come in time.
    pub(super) fn resolve_timeout(&mut self, now: Now, request: ResolveKey) {
        self.handle_resolved(
            now,
            request,
            Err("the host's address was not found in time".into()),
        );
    }

    fn connect(&mut self, now: Now, key: ConnectionKey, candidates: VecDeque<SocketAddr>) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        connection.phase = Phase::Connecting;
        connection.candidates = candidates;
        self.try_candidate(now, key);
    }

    fn try_candidate(&mut self, now: Now, key: ConnectionKey) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if let Some(address) = connection.candidates.pop_front() {
            self.effects.push_back(Effect::Connect {
                connection: key,
                address,
            });
            let deadline = now.mono + self.settings.connect_timeout;
            self.timers.set(deadline, Timer::Connect(key));
        }
    }

    /// TCP is up.
    pub fn handle_connected(&mut self, now: Now, key: ConnectionKey) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if connection.phase != Phase::Connecting {
            return;
        }
        connection.phase = Phase::Handshaking;
        let connect = CommandConnect {
            client_version: CLIENT_VERSION.into(),
            auth_data: Some(Vec::new()),
            protocol_version: Some(PROTOCOL_VERSION),
            auth_method_name: Some(AUTH_METHOD_NONE.into()),
            proxy_to_broker_url: connection.address.proxy_to.clone(),
            original_principal: Some(ORIGINAL_PRINCIPAL.into()),
            feature_flags: Some(FeatureFlags {
                supports_auth_refresh: Some(true),
                supports_broker_entry_metadata: Some(true),
                supports_partial_producer: Some(true),
                supports_topic_watchers: None,
                supports_get_partitioned_metadata_without_auto_creation: Some(true),
                supports_repl_dedup_by_lid_and_eid: Some(true),
            }),
        };
        let out = connection.outbox.commands(&mut self.segments);
        command::put_command(out, Kind::Connect, &connect);
        self.announce(key);
        let deadline = now.mono + self.settings.operation_timeout;
        self.timers.set(deadline, Timer::Handshake(key));
        if let Some(interval) = self.settings.keep_alive_interval {
            self.timers.set(now.mono + interval, Timer::KeepAlive(key));
        }
    }

    /// The connection ended, failed, or never came up.
    pub fn handle_disconnected(&mut self, now: Now, key: ConnectionKey, reason: &str) {
        let Some(connection) = self.connections.get(key) else {
            return;
        };
        match connection.phase {
            Phase::Connecting if !connection.candidates.is_empty() => self.try_next(now, key),
            Phase::Resolving | Phase::Connecting => {
                self.connection_lost(now, key, &unreachable(reason));
            }
            Phase::Handshaking | Phase::Ready => {
                let failure = Failure::connection(&format!("Disconnected from broker: {reason}"));
                self.connection_lost(now, key, &failure);
            }
        }
    }

    /// Goes on with the host's next address, under a new name: the old attempt may still answer.
    fn try_next(&mut self, now: Now, key: ConnectionKey) {
        if let Some(connection) = self.connections.remove(key) {
            let address = connection.address.clone();
            let key = self.connections.insert(connection);
            self.by_address.insert(address, key);
            self.try_candidate(now, key);
        }
    }

    /// TCP did not come up in time?
    pub(super) fn connect_timeout(&mut self, now: Now, key: ConnectionKey) {
        if let Some(connection) = self.connections.get(key)
            && connection.phase == Phase::Connecting
        {
            self.effects.push_back(Effect::Disconnect(key));
            self.handle_disconnected(now, key, "connection timed out");
        }
    }

    /// CONNECTED did not come in time?
    pub(super) fn handshake_timeout(&mut self, now: Now, key: ConnectionKey) {
        if let Some(connection) = self.connections.get(key)
            && connection.phase == Phase::Handshaking
        {
            self.drop_connection(now, key, "the broker did not answer CONNECT in time");
        }
    }

    /// Asks whether anybody is there, unless that was asked already and nothing came since
    /// (`PulsarHandler.handleKeepAliveTimeout`).
    pub(super) fn keep_alive(&mut self, now: Now, key: ConnectionKey) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let Some(interval) = self.settings.keep_alive_interval else {
            return;
        };
        if connection.phase != Phase::Ready || connection.is_pinged {
            self.drop_connection(now, key, "the broker did not answer in time");
            return;
        }
        connection.is_pinged = true;
        let out = connection.outbox.commands(&mut self.segments);
        command::put_command(out, Kind::Ping, &CommandPing {});
        self.announce(key);
        self.timers.set(now.mono + interval, Timer::KeepAlive(key));
    }

    /// PING.
    pub(super) fn pong(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get_mut(key) {
            let out = connection.outbox.commands(&mut self.segments);
            command::put_command(out, Kind::Pong, &CommandPong {});
            self.announce(key);
        }
    }

    /// CONNECTED.
    pub(super) fn handshaken(&mut self, now: Now, key: ConnectionKey, answer: &CommandConnected) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if let Some(max) = answer
            .max_message_size
            .and_then(|max| usize::try_from(max).ok())
            && max > 0
        {
            connection.message_bytes_max = max;
            connection.reader.set_message_bytes_max(max);
        }
        let flags = answer.feature_flags.as_ref();
        connection.watches_topics = flags.is_some_and(FeatureFlags::supports_topic_watchers);
        connection.phase = Phase::Ready;
        self.figures.connections_opened += 1;
        self.outages.end(&connection.address);
        tracing::info!(broker = %connection.address, version = answer.server_version, "connected");
        for waiter in std::mem::take(&mut connection.waiting) {
            self.acquired(now, waiter, key);
        }
    }

    /// ERROR before CONNECTED: the broker does not want us.
    pub(super) fn handshake_refused(
        &mut self,
        now: Now,
        key: ConnectionKey,
        error: i32,
        message: String,
    ) {
        let error = ServerError::try_from(error).unwrap_or(ServerError::UnknownError);
        let failure = Failure {
            cause: Cause::Broker(error),
            message,
        };
        self.effects.push_back(Effect::Disconnect(key));
        self.connection_lost(now, key, &failure);
    }

    /// AUTH_CHALLENGE: what CONNECT said, once more.
    pub(super) fn answer_challenge(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get_mut(key) {
            let response = CommandAuthResponse {
                client_version: Some(CLIENT_VERSION.into()),
                response: Some(AuthData {
                    auth_method_name: Some(AUTH_METHOD_NONE.into()),
                    auth_data: Some(Vec::new()),
                }),
                protocol_version: Some(PROTOCOL_VERSION),
            };
            let out = connection.outbox.commands(&mut self.segments);
            command::put_command(out, Kind::AuthResponse, &response);
            self.announce(key);
        }
    }

    /// Closes a connection whose broker can't be understood, or doesn't speak any more.
    pub(super) fn drop_connection(&mut self, now: Now, key: ConnectionKey, reason: &str) {
        if self.connections.contains_key(key) {
            self.effects.push_back(Effect::Disconnect(key));
            self.connection_lost(now, key, &Failure::connection(reason));
        }
    }

    /// Forgets a connection and tells everybody who waited for it or was attached to it.
    fn connection_lost(&mut self, now: Now, key: ConnectionKey, failure: &Failure) {
        let Some(connection) = self.connections.remove(key) else {
            return;
        };
        let (broker, reason) = (&connection.address, &*failure.message);
        match connection.phase {
            Phase::Ready => {
                self.figures.connections_lost += 1;
                tracing::warn!(%broker, reason, "the connection is lost");
            }
            Phase::Resolving | Phase::Connecting | Phase::Handshaking => {
                self.figures.connections_failed += 1;
                if self.outages.begin(broker) {
                    tracing::warn!(%broker, reason, "the broker can't be reached, trying again");
                }
            }
        }
        if self.by_address.get(&connection.address) == Some(&key) {
            self.by_address.remove(&connection.address);
        }
        connection.outbox.retire(&mut self.segments);
        for waiter in connection.waiting {
            match waiter {
                Waiter::Lookup(lookup) => self.lookup_failed(now, lookup, failure.clone()),
                Waiter::Half(half) => self.half_failed(now, half, failure),
                Waiter::Watch(half) => self.watch_failed(now, half, failure),
            }
        }
        for purpose in self.requests.remove_all(key) {
            match purpose {
                Purpose::Close(half) => self.close_lost(now, half, Detached::Lost, failure),
                purpose => self.request_failed(now, purpose, failure),
            }
        }
        self.watchers_lost(now, key, failure);
        let attached: Vec<_> = self
            .halves
            .iter()
            .filter(
                |(_, half)| matches!(half.state, State::Ready { connection } if connection == key),
            )
            .map(|(half, _)| half)
            .collect();
        for half in attached {
            self.half_detached(now, half, Detached::Lost);
        }
    }

    fn acquired(&mut self, now: Now, waiter: Waiter, key: ConnectionKey) {
        match waiter {
            Waiter::Lookup(lookup) => self.lookup_connected(now, lookup, key),
            Waiter::Half(half) => self.half_connected(now, half, key),
            Waiter::Watch(half) => self.watch_connected(now, half, key),
        }
    }

    /// Says once that a connection has something to be written.
    pub(super) fn announce(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.announce(key, &mut self.effects);
        }
    }

    /// What waits for this connection, to be written in one go. If more waits than that, another
    /// [`Effect::Write`] says so; taking until there is none is right as well.
    pub fn take_outbox(&mut self, key: ConnectionKey) -> Option<Bytes> {
        let outbox = &mut self.connections.get_mut(key)?.outbox;
        let bytes = outbox.take(&mut self.segments);
        outbox.is_announced = false;
        self.announce(key);
        bytes
    }
}

fn unreachable(reason: &str) -> Failure {
    Failure::connection(&format!("Could not connect to broker: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_brokers() {
        let table = [
            ("pulsar://a.b:6650", Some(("a.b", 6650))),
            ("pulsar://[::1]:6650", Some(("::1", 6650))),
            ("pulsar://a:6650/", Some(("a", 6650))),
            ("pulsar+ssl://a:6651", None),
            ("pulsar://a", None),
            ("pulsar://:6650", None),
            ("pulsar://a:66500", None),
            ("a:6650", None),
            ("", None),
        ];
        for (url, expected) in table {
            assert_eq!(Address::parse_url(url), expected, "{url}");
        }
    }

    #[test]
    fn urls_of_clusters() {
        let hosts = |url| {
            Address::parse_service_url(url).map(|hosts| {
                let hosts = hosts.iter().map(|(host, port)| format!("{host} {port}"));
                hosts.collect::<Vec<_>>()
            })
        };
        let one = hosts("pulsar://[::1]:6650/").unwrap();
        assert_eq!(one, ["::1 6650"]);
        assert_eq!(hosts("pulsar://a:1,b:2").unwrap(), ["a 1", "b 2"]);
        for url in [
            "",
            "pulsar://",
            "pulsar://a:1,",
            "pulsar://a:1,b",
            "pulsar+ssl://a:1",
        ] {
            assert_eq!(hosts(url), None, "{url}");
        }
    }
}
