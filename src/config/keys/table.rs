//! Every key of Java's `WebSocketProxyConfiguration` (4.0), the raw properties that its parts read,
//! and the keys that only this service has.

use super::{
    Group,
    Handling::{Honoured, Refused, Silent},
    Key,
    Kind::{
        self, Address, Boolean, Choice, Int, List, Long, Port, Positive, Secret, SecurityBoolean,
        Text,
    },
};

const AUTHENTICATION: &str = "authentication of clients";
const AUTHORIZATION: &str = "authorization";
const SERVER_TLS: &str = "TLS towards clients";
pub(in crate::config) const KEYS_BY_CLASS: &str = "keys that a Java class reads";
pub(in crate::config) const BROKER_TLS: &str = "TLS towards brokers";

/// Counts only beside a key that is refused.
const WITH_AUTHENTICATION: super::Handling = Silent("counts only with authenticationEnabled");
const WITH_AUTHORIZATION: super::Handling = Silent("counts only with authorizationEnabled");
const WITH_STORE: super::Handling = Silent("the metadata store is not read yet");
const NO_JVM: super::Handling = Silent("a matter of the Java virtual machine");

const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    handling: super::Handling,
    meaning: &'static str,
) -> Key {
    Key {
        name,
        kind,
        default,
        handling,
        meaning,
    }
}

pub(in crate::config) const GROUPS: &[Group] = &[
    Group {
        title: "Where the brokers are",
        keys: BROKERS,
    },
    Group {
        title: "Where to listen",
        keys: LISTENER,
    },
    Group {
        title: "Clients",
        keys: CLIENTS,
    },
    Group {
        title: "Bounds that only this service has",
        keys: BOUNDS,
    },
    Group {
        title: "Log",
        keys: LOG,
    },
    Group {
        title: "Towards brokers",
        keys: BROKER_CLIENT,
    },
    Group {
        title: "Who may do what",
        keys: ACCESS,
    },
    Group {
        title: "TLS",
        keys: TLS,
    },
    Group {
        title: "Without use here",
        keys: WITHOUT_USE,
    },
];

const BROKERS: &[Key] = &[
    key(
        "clusterName",
        Text,
        "",
        Honoured,
        "name of the Pulsar cluster; required, except where no file is given (`standalone`)",
    ),
    key(
        "brokerServiceUrl",
        Text,
        "",
        Honoured,
        "brokers to ask for a topic's owner, tried in turn: `pulsar://host:port,host:port`; the \
         port is 6650 where none is given; without a file `pulsar://127.0.0.1:6650`",
    ),
    key(
        "brokerServiceUrlTls",
        Text,
        "",
        Silent("refused where `brokerServiceUrl` is blank: TLS towards brokers is not built yet"),
        "the same for TLS",
    ),
    key(
        "serviceUrl",
        Text,
        "",
        Honoured,
        "URLs of the brokers' web service, `http://host:port,host:port`, which is asked for a \
         topic's owner where `brokerServiceUrl` is blank",
    ),
    key(
        "serviceUrlTls",
        Text,
        "",
        Silent("refused where no other URL is given: TLS towards brokers is not built yet"),
        "the same for TLS",
    ),
    key(
        "configurationMetadataStoreUrl",
        Text,
        "",
        Silent("refused where no URL is given: the metadata store is not read yet"),
        "where the cluster's URLs are stored",
    ),
    key(
        "configurationStoreServers",
        Text,
        "",
        Silent("as `configurationMetadataStoreUrl`"),
        "older name of `configurationMetadataStoreUrl`",
    ),
    key(
        "globalZookeeperServers",
        Text,
        "",
        Silent("as `configurationMetadataStoreUrl`"),
        "still older name of it",
    ),
    key(
        "metadataStoreSessionTimeoutMillis",
        Long,
        "30000",
        WITH_STORE,
        "session timeout of the metadata store",
    ),
    key(
        "metadataStoreCacheExpirySeconds",
        Int,
        "300",
        WITH_STORE,
        "how long what the metadata store said holds",
    ),
    key(
        "zooKeeperSessionTimeoutMillis",
        Long,
        "-1",
        WITH_STORE,
        "older name of `metadataStoreSessionTimeoutMillis`",
    ),
    key(
        "zooKeeperCacheExpirySeconds",
        Int,
        "-1",
        WITH_STORE,
        "older name of `metadataStoreCacheExpirySeconds`",
    ),
];

const LISTENER: &[Key] = &[
    key(
        "webServicePort",
        Port,
        "8080",
        Honoured,
        "port for HTTP and WebSocket; 0 takes any free one; a blank value would switch HTTP off \
         and is refused",
    ),
    key(
        "bindAddress",
        Address,
        "0.0.0.0",
        Honoured,
        "address to listen on; `0.0.0.0` is every one, IPv6 included",
    ),
    key(
        "httpServerAcceptQueueSize",
        Int,
        "8192",
        Honoured,
        "connections that the kernel may keep ready until they are accepted, for each core; 0 and \
         less is 50",
    ),
    key(
        "maxHttpServerConnections",
        Int,
        "2048",
        Honoured,
        "open client connections of the process, 0 and less is no limit; who comes beyond it is \
         told 503",
    ),
    key(
        "maxConcurrentHttpRequests",
        Int,
        "1024",
        Honoured,
        "handshakes under way in the process, 0 and less is no limit; further ones wait their turn, and are told 503 \
         when their time is over",
    ),
    key(
        "webServiceHaProxyProtocolEnabled",
        SecurityBoolean,
        "false",
        Honoured,
        "connections may begin with a header of the PROXY protocol, version 1 or 2, which names the client",
    ),
    key(
        "webServiceTrustXForwardedFor",
        Boolean,
        "false",
        Honoured,
        "take the client's address in the log, and scheme and host of redirections, from `Forwarded` and \
         `X-Forwarded-…`; only for a service that nobody reaches but through a proxy",
    ),
    key(
        "webServiceLogDetailedAddresses",
        Boolean,
        "",
        Honoured,
        "log the addresses of the proxy and of the service beside the client's; blank is `true` where one of the two \
         keys above is set",
    ),
    key(
        "statusFilePath",
        Text,
        "",
        Honoured,
        "file whose existence `/status.html` tells: 200 `OK`, or 404; without one 404",
    ),
];

const CLIENTS: &[Key] = &[
    key(
        "webSocketMaxTextFrameSize",
        Positive("bytes"),
        "1048576",
        Honoured,
        "longest message of a client; a longer one closes its session with 1009; base64 makes \
         payloads a third longer",
    ),
    key(
        "webSocketDeflateEnabled",
        SecurityBoolean,
        "true",
        Honoured,
        "compress messages (permessage-deflate) with clients that offer it; only this service \
         has the key",
    ),
    key(
        "webSocketDeflateMinBytes",
        Positive("bytes"),
        "1024",
        Honoured,
        "shorter messages go to these clients uncompressed; only this service has the key",
    ),
    key(
        "webSocketSessionIdleTimeoutMillis",
        Int,
        "300000",
        Honoured,
        "silence, in milliseconds, after which a session is closed with 1001; 0 and less is the \
         default, not \"never\"",
    ),
    key(
        "webSocketPingDurationSeconds",
        Int,
        "-1",
        Honoured,
        "interval between pings to a client; 0 and less sends none; a client that leaves three \
         unanswered and says nothing else is closed with 1001",
    ),
];

const BOUNDS: &[Key] = &[
    key(
        "webSocketHandshakeTimeoutMillis",
        Positive("milliseconds"),
        "10000",
        Honoured,
        "from accept to the answer to the upgrade; then 504",
    ),
    key(
        "webSocketDrainTimeoutMillis",
        Positive("milliseconds"),
        "10000",
        Honoured,
        "from the order to end until the process ends, finished or not",
    ),
    key(
        "webSocketLingerTimeoutMillis",
        Positive("milliseconds"),
        "2000",
        Honoured,
        "how long a closed socket may take, without progress, for its last bytes",
    ),
    key(
        "webSocketMaxPublishBytesInFlight",
        Positive("bytes"),
        "67108864",
        Honoured,
        "publishes of one client that wait for their receipt; then its reads stop",
    ),
    key(
        "webSocketMaxPublishBytesInFlightOfAll",
        Positive("bytes"),
        "1073741824",
        Honoured,
        "the same of all clients of the process; then each may have one in flight",
    ),
    key(
        "webSocketMaxReplyBytes",
        Positive("bytes"),
        "16777216",
        Honoured,
        "replies that one client has not read; then its reads stop",
    ),
    key(
        "webSocketReplyTimeoutMillis",
        Positive("milliseconds"),
        "30000",
        Honoured,
        "without progress for that long, a client that does not read its replies is closed with \
         1013",
    ),
    key(
        "webSocketMaxHeldDeliveryBytes",
        Positive("bytes"),
        "8388608",
        Honoured,
        "deliveries held for one session; then the broker gets no permits",
    ),
    key(
        "webSocketMaxIncompleteMessageBytes",
        Positive("bytes"),
        "268435456",
        Honoured,
        "incomplete messages of all clients of the process; then the largest stalled ones are \
         closed with 1013",
    ),
];

const LOG: &[Key] = &[key(
    "webSocketLogFormat",
    Choice(&["text", "json"]),
    "text",
    Honoured,
    "how the log is written: lines of words, or a JSON object a line; also `--log-format`",
)];

const BROKER_CLIENT: &[Key] = &[
    key(
        "brokerClient_operationTimeoutMs",
        Positive("milliseconds"),
        "30000",
        Honoured,
        "longest wait for a broker's answer, lookups included",
    ),
    key(
        "brokerClient_connectionTimeoutMs",
        Positive("milliseconds"),
        "10000",
        Honoured,
        "longest wait for a connection to a broker",
    ),
    key(
        "brokerClient_keepAliveIntervalSeconds",
        Int,
        "30",
        Honoured,
        "seconds between pings to a broker; 0 and less sends none",
    ),
    key(
        "webSocketAutoUpdatePartitionsIntervalMillis",
        Positive("milliseconds"),
        "60000",
        Honoured,
        "between two looks at how many partitions a session's topic has",
    ),
    key(
        "brokerClient_memoryLimitBytes",
        Long,
        "0",
        Honoured,
        "bytes of publishes without receipt, of the whole process; then further ones are refused. 0: no limit",
    ),
    key(
        "webSocketPulsarClientMemoryLimitInMB",
        Int,
        "0",
        Honoured,
        "the same in MiB",
    ),
    key(
        "webSocketConnectionsPerBroker",
        Int,
        "",
        Silent("each core has one connection to each broker"),
        "connections to each broker",
    ),
    key(
        "brokerClientAuthenticationPlugin",
        Text,
        "",
        Refused("authentication at brokers"),
        "Java class that authenticates the service at brokers",
    ),
    key(
        "brokerClientAuthenticationParameters",
        Secret,
        "",
        Silent("counts only with brokerClientAuthenticationPlugin"),
        "its parameters",
    ),
    key(
        "cryptoKeyReaderFactoryClassName",
        Text,
        "",
        Refused(KEYS_BY_CLASS),
        "Java class that reads keys for end-to-end encryption; here \
         `webSocketEncryptionPublicKeys` and `webSocketEncryptionPrivateKeys` name them",
    ),
    key(
        "webSocketEncryptionPublicKeys",
        List,
        "",
        Honoured,
        "keys that messages may be encrypted for, which producers name in `encryptionKeys`: \
         `name=/path,name=/path`, RSA in PEM",
    ),
    key(
        "webSocketEncryptionPrivateKeys",
        List,
        "",
        Honoured,
        "keys that messages are decrypted with: `name=/path,name=/path`, RSA in PEM (PKCS#8 or \
         PKCS#1)",
    ),
];

const ACCESS: &[Key] = &[
    key(
        "authenticationEnabled",
        SecurityBoolean,
        "false",
        Refused(AUTHENTICATION),
        "clients must say who they are",
    ),
    key(
        "authenticationProviders",
        List,
        "",
        WITH_AUTHENTICATION,
        "Java classes that know clients",
    ),
    key(
        "anonymousUserRole",
        Text,
        "",
        WITH_AUTHENTICATION,
        "role of clients that do not say who they are",
    ),
    key(
        "authorizationEnabled",
        SecurityBoolean,
        "false",
        Refused(AUTHORIZATION),
        "clients may do only what they are allowed to",
    ),
    key(
        "authorizationProvider",
        Text,
        "org.apache.pulsar.broker.authorization.PulsarAuthorizationProvider",
        WITH_AUTHORIZATION,
        "Java class that knows what they are allowed to",
    ),
    key(
        "superUserRoles",
        List,
        "",
        WITH_AUTHORIZATION,
        "roles that may do everything",
    ),
    key(
        "authorizationAllowWildcardsMatching",
        SecurityBoolean,
        "false",
        WITH_AUTHORIZATION,
        "permissions may name roles and topics with `*`",
    ),
    key(
        "tokenSecretKey",
        Secret,
        "",
        WITH_AUTHENTICATION,
        "key that signs clients' tokens, as `file:///path` or `data:;base64,…`",
    ),
    key(
        "tokenPublicKey",
        Secret,
        "",
        WITH_AUTHENTICATION,
        "the same for asymmetric signatures",
    ),
    key(
        "tokenPublicAlg",
        Text,
        "RS256",
        WITH_AUTHENTICATION,
        "algorithm of these signatures",
    ),
    key(
        "tokenAuthClaim",
        Text,
        "sub",
        WITH_AUTHENTICATION,
        "claim that holds the role",
    ),
    key(
        "tokenAudienceClaim",
        Text,
        "",
        WITH_AUTHENTICATION,
        "claim that holds the audience",
    ),
    key(
        "tokenAudience",
        Text,
        "",
        WITH_AUTHENTICATION,
        "audience that a token must be for",
    ),
    key(
        "tokenAllowedClockSkewSeconds",
        Int,
        "0",
        WITH_AUTHENTICATION,
        "how far clocks may differ when a token's time is checked",
    ),
    key(
        "basicAuthConf",
        Secret,
        "",
        WITH_AUTHENTICATION,
        "users and hashed passwords",
    ),
];

const TLS: &[Key] = &[
    key(
        "webServicePortTls",
        Port,
        "",
        Refused(SERVER_TLS),
        "port for HTTPS and WSS",
    ),
    key(
        "tlsEnabled",
        SecurityBoolean,
        "false",
        Refused("TLS"),
        "older switch for TLS towards brokers",
    ),
    key(
        "tlsCertificateFilePath",
        Text,
        "",
        Refused(SERVER_TLS),
        "certificate of the service",
    ),
    key(
        "tlsKeyFilePath",
        Text,
        "",
        Refused(SERVER_TLS),
        "its private key",
    ),
    key(
        "tlsTrustCertsFilePath",
        Text,
        "",
        Refused(SERVER_TLS),
        "certificates that clients' are checked against",
    ),
    key(
        "tlsRequireTrustedClientCertOnConnect",
        SecurityBoolean,
        "false",
        Refused(SERVER_TLS),
        "clients must have a certificate",
    ),
    key(
        "tlsAllowInsecureConnection",
        SecurityBoolean,
        "false",
        Refused("TLS"),
        "do not check certificates",
    ),
    key(
        "tlsHostnameVerificationEnabled",
        SecurityBoolean,
        "false",
        Refused(BROKER_TLS),
        "check that a broker's certificate names it",
    ),
    key(
        "tlsCertRefreshCheckDurationSec",
        Long,
        "300",
        Silent("counts only with TLS"),
        "how often to look for new certificates",
    ),
    key(
        "brokerClientTlsEnabled",
        SecurityBoolean,
        "false",
        Refused(BROKER_TLS),
        "speak TLS with brokers",
    ),
    key(
        "brokerClientTrustCertsFilePath",
        Text,
        "",
        Refused(BROKER_TLS),
        "certificates that brokers' are checked against",
    ),
    key(
        "tlsEnabledWithKeyStore",
        SecurityBoolean,
        "false",
        Refused(SERVER_TLS),
        "certificates come from Java key stores",
    ),
    key(
        "tlsKeyStoreType",
        Text,
        "JKS",
        Silent("counts only with tlsKeyStore"),
        "format of the key store",
    ),
    key(
        "tlsKeyStore",
        Text,
        "",
        Refused(SERVER_TLS),
        "key store with the certificate of the service",
    ),
    key(
        "tlsKeyStorePassword",
        Secret,
        "",
        Refused(SERVER_TLS),
        "its password",
    ),
    key(
        "tlsTrustStoreType",
        Text,
        "JKS",
        Silent("counts only with tlsTrustStore"),
        "format of the trust store",
    ),
    key(
        "tlsTrustStore",
        Text,
        "",
        Refused(SERVER_TLS),
        "key store with trusted certificates",
    ),
    key(
        "tlsTrustStorePassword",
        Secret,
        "",
        Refused(SERVER_TLS),
        "its password",
    ),
    key(
        "tlsProvider",
        Text,
        "Conscrypt",
        NO_JVM,
        "Java security provider",
    ),
    key(
        "webServiceTlsProtocols",
        List,
        "",
        Refused(SERVER_TLS),
        "versions of TLS that clients may speak",
    ),
    key(
        "webServiceTlsCiphers",
        List,
        "",
        Refused(SERVER_TLS),
        "cipher suites that clients may use",
    ),
];

const WITHOUT_USE: &[Key] = &[
    key(
        "webSocketNumIoThreads",
        Int,
        "",
        Silent("`--cores` says how many threads there are"),
        "threads of the Java client",
    ),
    key(
        "webSocketNumServiceThreads",
        Int,
        "20",
        NO_JVM,
        "threads between client and broker",
    ),
    key(
        "numHttpServerThreads",
        Int,
        "",
        NO_JVM,
        "threads of the web server",
    ),
    key(
        "httpServerThreadPoolQueueSize",
        Int,
        "8192",
        NO_JVM,
        "requests that may wait for one of them",
    ),
];
