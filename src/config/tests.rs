use std::path::Path;

use super::*;

const MINIMAL: &str = "clusterName=c\nbrokerServiceUrl=pulsar://b:6650\n";

fn load(file: &str) -> Result<Config, ConfigError> {
    load_with(Some(file), &[], &Overrides::default())
}

fn settings(
    file: Option<&str>,
    environment: &[(&str, &str)],
    overrides: &Overrides,
) -> Result<Settings, ConfigError> {
    let environment = environment
        .iter()
        .map(|(variable, value)| ((*variable).into(), (*value).into()));
    let file = file.map(|text| ("ws.conf", text.as_bytes()));
    Settings::parse(file, environment, overrides)
}

fn load_with(
    file: Option<&str>,
    environment: &[(&str, &str)],
    overrides: &Overrides,
) -> Result<Config, ConfigError> {
    Config::new(&settings(file, environment, overrides)?, overrides)
}

/// The minimal file with a line before it, so that the line's number is 1.
fn with(line: &str) -> Result<Config, ConfigError> {
    load(&format!("{line}\n{MINIMAL}"))
}

fn refusal(line: &str) -> String {
    with(line).expect_err(line).to_string()
}

#[test]
fn without_a_file() {
    let config = load_with(None, &[], &Overrides::default()).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.port, 8080);
    assert_eq!(config.cluster_name, "standalone");
    assert_eq!(config.brokers, [("127.0.0.1".to_owned(), 6650)]);
    assert_eq!(config.bind, None);
}

#[test]
fn a_minimal_file_keeps_the_defaults() {
    let config = load(MINIMAL).unwrap();
    let expected = Config {
        cluster_name: "c".into(),
        brokers: vec![("b".into(), 6650)],
        ..Config::default()
    };
    assert_eq!(config, expected);
}

#[test]
fn every_honoured_key() {
    let config = load(
        "clusterName = use \n\
         brokerServiceUrl: pulsar://a:1,b:2\n\
         webServicePort 9000\n\
         bindAddress=127.0.0.1\n\
         webSocketMaxTextFrameSize=2048\n\
         webSocketSessionIdleTimeoutMillis=1500\n\
         httpServerAcceptQueueSize=100\n\
         maxHttpServerConnections=7\n\
         brokerClient_operationTimeoutMs=2500\n\
         brokerClient_connectionTimeoutMs=3500\n\
         brokerClient_keepAliveIntervalSeconds=4\n\
         something.else=kept\n",
    )
    .unwrap();
    assert_eq!(config.cluster_name, "use");
    assert_eq!(config.brokers, [("a".into(), 1), ("b".into(), 2)]);
    assert_eq!(config.port, 9000);
    assert_eq!(config.bind, Some("127.0.0.1".parse().unwrap()));
    assert_eq!(config.text_frame_bytes_max, 2048);
    assert_eq!(config.idle_timeout, Duration::from_millis(1500));
    assert_eq!(config.accept_backlog, 100);
    assert_eq!(config.connections_max, 7);
    assert_eq!(config.operation_timeout, Duration::from_millis(2500));
    assert_eq!(config.connect_timeout, Duration::from_millis(3500));
    assert_eq!(config.keep_alive_interval, Some(Duration::from_secs(4)));
    assert!(config.notices.is_empty());
}

#[test]
fn values_that_mean_the_default_or_nothing() {
    for line in [
        "webSocketMaxTextFrameSize=",
        "webSocketSessionIdleTimeoutMillis=0",
        "webSocketSessionIdleTimeoutMillis=-1",
        "bindAddress=0.0.0.0",
        "bindAddress=::",
        "bindAddress=  ",
        "maxHttpServerConnections=2048",
    ] {
        assert_eq!(with(line), load(MINIMAL), "{line}");
    }
    assert_eq!(
        with("maxHttpServerConnections=-1").unwrap().connections_max,
        0
    );
    assert_eq!(
        with("httpServerAcceptQueueSize=0").unwrap().accept_backlog,
        50
    );
    assert_eq!(
        with("brokerClient_keepAliveIntervalSeconds=0")
            .unwrap()
            .keep_alive_interval,
        None
    );
}

#[test]
fn what_is_missing() {
    let missing = |file: &str| load(file).unwrap_err().to_string();
    assert_eq!(
        missing("brokerServiceUrl=pulsar://b:6650"),
        "ws.conf: Required clusterName is null"
    );
    assert_eq!(
        missing("clusterName= \nbrokerServiceUrl=pulsar://b:6650"),
        "ws.conf:1: Required clusterName is null"
    );
    assert_eq!(
        missing("clusterName=c"),
        "ws.conf: no broker is named: set brokerServiceUrl, as pulsar://host:6650"
    );
    for (key, line) in [
        (
            "configurationMetadataStoreUrl",
            "configurationMetadataStoreUrl=zk:z:2181",
        ),
        (
            "configurationStoreServers",
            "configurationStoreServers=z:2181",
        ),
        ("globalZookeeperServers", "globalZookeeperServers=z:2181"),
    ] {
        let error = missing(&format!("clusterName=c\n{line}\nbrokerServiceUrl=\n"));
        assert!(
            error.starts_with(&format!("ws.conf:2: {key} asks")),
            "{error}"
        );
        assert!(error.contains("set brokerServiceUrl"), "{error}");
        // Beside a broker URL they are of no use, as in Java.
        assert!(with(line).is_ok(), "{line}");
    }
    assert!(refusal("webServicePort=").contains("webServicePort is blank"));
    assert!(
        Settings::read(
            Some(Path::new("/nonexistent/ws.conf")),
            [],
            &Overrides::default()
        )
        .unwrap_err()
        .to_string()
        .starts_with("/nonexistent/ws.conf: can't be read: ")
    );
}

#[test]
fn every_key_of_security_refuses() {
    for line in [
        "authenticationEnabled=true",
        "authenticationEnabled=TRUE",
        "authorizationEnabled=true",
        "webServicePortTls=8443",
        "tlsEnabled=true",
        "tlsCertificateFilePath=/c",
        "tlsKeyFilePath=/k",
        "tlsTrustCertsFilePath=/t",
        "tlsRequireTrustedClientCertOnConnect=true",
        "tlsEnabledWithKeyStore=true",
        "tlsKeyStore=/k",
        "tlsKeyStorePassword=p",
        "tlsTrustStore=/t",
        "tlsTrustStorePassword=p",
        "webServiceTlsProtocols=TLSv1.3",
        "webServiceTlsCiphers=X",
        "tlsAllowInsecureConnection=true",
        "tlsHostnameVerificationEnabled=true",
        "brokerClientTlsEnabled=true",
        "brokerClientTrustCertsFilePath=/t",
        "brokerClientAuthenticationPlugin=a.B",
        "brokerClient_useTls=true",
        "brokerClient_tlsTrustCertsFilePath=/t",
    ] {
        let key = line.split('=').next().unwrap();
        let error = refusal(line);
        assert!(
            error.starts_with(&format!("ws.conf:1: {key} asks for ")),
            "{error}"
        );
        assert!(error.contains("not built yet"), "{error}");
    }
}

#[test]
fn tls_urls() {
    let error = load("clusterName=c\nbrokerServiceUrl=pulsar+ssl://b:6651").unwrap_err();
    assert_eq!(
        error.to_string(),
        "ws.conf:2: brokerServiceUrl=pulsar+ssl://b:6651: TLS towards brokers is not built yet: \
         use pulsar://"
    );
    let error = load("clusterName=c\nbrokerServiceUrlTls=pulsar+ssl://b:6651").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("ws.conf:2: brokerServiceUrlTls asks for TLS")
    );
    let error = load("clusterName=c\nserviceUrlTls=https://b:8443").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("ws.conf:2: serviceUrlTls asks for TLS")
    );
    assert!(with("brokerServiceUrlTls=pulsar+ssl://b:6651").is_ok());
    assert!(with("serviceUrlTls=https://b:8443").is_ok());
}

#[test]
fn keys_that_count_only_beside_others_do_not_refuse() {
    let config = load(
        "clusterName=c\n\
         brokerServiceUrl=pulsar://b:6650\n\
         brokerServiceUrlTls=\n\
         authenticationEnabled=false\n\
         authenticationProviders=a.B,c.D\n\
         authorizationEnabled=FALSE\n\
         authorizationProvider=a.B\n\
         superUserRoles=admin\n\
         anonymousUserRole=anonymous\n\
         tokenSecretKey=file:///k\n\
         brokerClientAuthenticationPlugin=\n\
         brokerClientAuthenticationParameters=token:x\n\
         brokerClientTlsEnabled=false\n\
         brokerClientTrustCertsFilePath=\n\
         brokerClient_useTls=false\n\
         webServicePortTls=\n\
         tlsEnabled=false\n\
         tlsAllowInsecureConnection=false\n\
         tlsHostnameVerificationEnabled=false\n\
         tlsCertificateFilePath=\n\
         tlsKeyFilePath=\n\
         tlsTrustCertsFilePath=\n\
         tlsRequireTrustedClientCertOnConnect=false\n\
         tlsCertRefreshCheckDurationSec=300\n\
         tlsEnabledWithKeyStore=false\n\
         tlsProvider=Conscrypt\n\
         tlsKeyStoreType=JKS\n\
         tlsTrustStoreType=JKS\n\
         webServiceTlsProtocols=\n\
         webServiceTlsCiphers=\n\
         webServiceHaProxyProtocolEnabled=false\n\
         webSocketPingDurationSeconds=-1\n\
         webSocketPulsarClientMemoryLimitInMB=0\n",
    )
    .unwrap();
    assert_eq!(config.notices, Vec::<String>::new());
}

#[test]
fn bad_values_name_file_line_key_value_and_what_is_expected() {
    assert_eq!(
        refusal("webServicePort=80a"),
        "ws.conf:1: webServicePort=80a: expected a port number from 0 to 65535"
    );
    assert_eq!(
        refusal("webServicePort=65536"),
        "ws.conf:1: webServicePort=65536: expected a port number from 0 to 65535"
    );
    assert_eq!(
        refusal("\n\nwebSocketMaxTextFrameSize=0"),
        "ws.conf:3: webSocketMaxTextFrameSize=0: expected a whole number of bytes above 0"
    );
    assert_eq!(
        refusal("webSocketSessionIdleTimeoutMillis=1e3"),
        "ws.conf:1: webSocketSessionIdleTimeoutMillis=1e3: expected a whole number from \
         -2147483648 to 2147483647"
    );
    assert_eq!(
        refusal("brokerClient_operationTimeoutMs=-5"),
        "ws.conf:1: brokerClient_operationTimeoutMs=-5: expected a whole number of milliseconds \
         above 0"
    );
    assert_eq!(
        refusal("bindAddress=localhost"),
        "ws.conf:1: bindAddress=localhost: expected an IP address"
    );
    assert_eq!(
        load("clusterName=c\nbrokerServiceUrl=b:6650")
            .unwrap_err()
            .to_string(),
        "ws.conf:2: brokerServiceUrl=b:6650: expected pulsar://host:port,host:port"
    );
    assert_eq!(
        refusal("x=\\u12"),
        "ws.conf:1: malformed \\uXXXX: expected four hexadecimal digits"
    );
}

#[test]
fn of_a_repeated_key_the_last_one_counts() {
    assert_eq!(with("clusterName=first").unwrap().cluster_name, "c");
    let error = load(&format!("webServicePort=1\n{MINIMAL}webServicePort=x")).unwrap_err();
    assert!(error.to_string().starts_with("ws.conf:4: "), "{error}");
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let error = load("webServicePort=x\nwebSocketNumIoThreads=y\nauthorizationEnabled=yes\n");
    assert_eq!(
        error.unwrap_err().to_string(),
        "ws.conf:1: webServicePort=x: expected a port number from 0 to 65535\n\
         ws.conf:3: authorizationEnabled=yes: expected true or false\n\
         ws.conf:2: webSocketNumIoThreads=y: expected a whole number from -2147483648 to \
         2147483647\n\
         ws.conf: Required clusterName is null"
    );
}

#[test]
fn a_boolean_that_is_neither_is_false_except_where_security_hangs_on_it() {
    let config = with("webServiceTrustXForwardedFor=yes").unwrap();
    assert_eq!(
        config.notices,
        ["ws.conf:1: webServiceTrustXForwardedFor=yes: expected true or false; taken as false"]
    );
    for key in keys::all().filter(|key| key.kind == keys::Kind::SecurityBoolean) {
        let name = key.name;
        assert_eq!(
            refusal(&format!("{name}=on")),
            format!("ws.conf:1: {name}=on: expected true or false")
        );
    }
}

#[test]
fn no_boolean_of_security_is_an_ordinary_one() {
    for key in keys::all().filter(|key| key.kind == keys::Kind::Boolean) {
        let is_harmless = !matches!(key.handling, keys::Handling::Refused(_));
        assert!(is_harmless, "{}", key.name);
        assert!(!key.name.to_lowercase().contains("tls"), "{}", key.name);
        assert!(!key.name.starts_with("auth"), "{}", key.name);
    }
}

#[test]
fn the_command_line_beats_the_environment_beats_the_file() {
    let overrides = Overrides {
        cores: NonZeroUsize::new(2),
        cpus: Some(vec![4, 5, 6]),
        bind: Some("::1".parse().unwrap()),
        port: Some(1234),
        broker_url: Some("pulsar://x:1".into()),
        driver: Driver::Epoll,
        takeover: true,
        log_format: Some("json".into()),
    };
    let file = "clusterName=c\nbrokerServiceUrl=pulsar://b\nwebServicePort=9\nbindAddress=1.2.3.4";
    let environment = [
        ("webServicePort", "10"),
        ("brokerServiceUrl", "pulsar://e"),
        ("PULSAR_PREFIX_bindAddress", "5.6.7.8"),
    ];
    let config = load_with(Some(file), &environment, &overrides).unwrap();
    assert_eq!(config.cores, NonZeroUsize::new(2));
    assert_eq!(config.cpus, [4, 5, 6]);
    assert_eq!(config.bind, Some("::1".parse().unwrap()));
    assert_eq!(config.port, 1234);
    assert_eq!(config.brokers, [("x".to_owned(), 1)]);
    assert_eq!(config.driver, Driver::Epoll);
    assert!(config.takeover);
    assert_eq!(config.log_format, LogFormat::Json);

    let config = load_with(Some(file), &environment, &Overrides::default()).unwrap();
    assert_eq!(config.bind, Some("5.6.7.8".parse().unwrap()));
    assert_eq!(config.port, 10);
    assert_eq!(config.brokers, [("e".to_owned(), 6650)]);

    // Flags also stand in for what a file lacks.
    let bare = Some("clusterName=c\nwebServicePort=");
    assert!(load_with(bare, &[], &overrides).is_ok());

    let any_address = Overrides {
        bind: Some("0.0.0.0".parse().unwrap()),
        ..Overrides::default()
    };
    assert_eq!(load_with(Some(file), &[], &any_address).unwrap().bind, None);
}

#[test]
fn the_environment_as_container_images_take_it() {
    let load =
        |file, environment: &[(&str, &str)]| load_with(file, environment, &Overrides::default());
    // Without a file, and with what a shell leaves around values.
    let config = load(
        None,
        &[
            ("PULSAR_PREFIX_clusterName", " us "),
            ("webServicePort", "7"),
        ],
    );
    let expected = Config {
        cluster_name: "us".into(),
        port: 7,
        ..Config::default()
    };
    assert_eq!(config.unwrap(), expected);
    // Of both names the plain one, in whatever order they come.
    for environment in [
        [
            ("PULSAR_PREFIX_webServicePort", "1"),
            ("webServicePort", "2"),
        ],
        [
            ("webServicePort", "2"),
            ("PULSAR_PREFIX_webServicePort", "1"),
        ],
    ] {
        assert_eq!(load(None, &environment).unwrap().port, 2);
    }
    // A blank value takes the file's away.
    let file = format!("{MINIMAL}webSocketSessionIdleTimeoutMillis=5");
    let environment = [("webSocketSessionIdleTimeoutMillis", "")];
    let config = load(Some(&file), &environment).unwrap();
    assert_eq!(config.idle_timeout, Duration::from_secs(300));
    // What no key is named like is somebody else's.
    assert_eq!(
        load(None, &[("PATH", "/bin"), ("PULSAR_PREFIX_", "x")]).unwrap(),
        Config::default()
    );
    let error = load(None, &[("PULSAR_PREFIX_authenticationEnabled", "maybe")]);
    assert_eq!(
        error.unwrap_err().to_string(),
        "environment variable PULSAR_PREFIX_authenticationEnabled: authenticationEnabled=maybe: \
         expected true or false"
    );
    let error = load(None, &[("configurationMetadataStoreUrl", "zk:z")]);
    assert!(
        error
            .unwrap_err()
            .to_string()
            .ends_with("set brokerServiceUrl, as pulsar://host:6650")
    );
}

#[test]
fn a_variable_that_is_not_utf_8_is_refused_only_where_it_matters() {
    use std::os::unix::ffi::OsStringExt;
    let broken = || std::ffi::OsString::from_vec(vec![0xff]);
    let read = |variable: std::ffi::OsString| {
        Settings::parse(None, [(variable, broken())], &Overrides::default())
    };
    assert_eq!(
        read("clusterName".into()).unwrap_err().to_string(),
        "environment variable clusterName: expected UTF-8"
    );
    assert!(read("LS_COLORS".into()).is_ok());
    assert!(read(broken()).is_ok());
}

#[test]
fn a_bad_command_line_is_refused() {
    let error = |overrides: &Overrides| load_with(None, &[], overrides).unwrap_err().to_string();
    assert_eq!(
        error(&Overrides {
            broker_url: Some("pulsar+ssl://b:6651".into()),
            ..Overrides::default()
        }),
        "--broker-url=pulsar+ssl://b:6651: TLS towards brokers is not built yet: use pulsar://"
    );
    assert_eq!(
        error(&Overrides {
            cores: NonZeroUsize::new(3),
            cpus: Some(vec![0, 1]),
            ..Overrides::default()
        }),
        "--cores 3 is more than the 2 CPUs that --cpus names"
    );
}

#[test]
fn pings_are_sent_when_asked_for() {
    for none in [
        "",
        "webSocketPingDurationSeconds=0",
        "webSocketPingDurationSeconds=-1",
    ] {
        assert_eq!(with(none).unwrap().ping_interval, None, "{none}");
    }
    let config = with("webSocketPingDurationSeconds=7").unwrap();
    assert_eq!(config.ping_interval, Some(Duration::from_secs(7)));
}

#[test]
fn keys_without_effect_are_noticed_once() {
    let config = with("brokerClient_statsIntervalSeconds=1\nbrokerClient_statsIntervalSeconds=2");
    assert_eq!(
        config.unwrap().notices,
        [
            "ws.conf:2: brokerClient_statsIntervalSeconds is set and has no effect: it is for the \
             Java client",
        ]
    );
    let config = with("statusFilePath=/t\nno.such.key=x").unwrap();
    assert_eq!(config.notices, [""; 0]);
    assert_eq!(config.status_file.as_deref(), Some(Path::new("/t")));
}

#[test]
fn compression_can_be_switched_off() {
    let config = with("").unwrap();
    assert!(config.deflate);
    assert_eq!(config.deflate_bytes_min, 1024);
    let config = with("webSocketDeflateEnabled=False\nwebSocketDeflateMinBytes=9").unwrap();
    assert!(!config.deflate);
    assert_eq!(config.deflate_bytes_min, 9);
    assert_eq!(
        refusal("webSocketDeflateEnabled=no"),
        "ws.conf:1: webSocketDeflateEnabled=no: expected true or false"
    );
}

#[test]
fn the_bounds_of_this_service() {
    let config = with(
        "webSocketHandshakeTimeoutMillis=1\nwebSocketDrainTimeoutMillis=2\n\
         webSocketLingerTimeoutMillis=3\nwebSocketReplyTimeoutMillis=4\n\
         webSocketMaxPublishBytesInFlight=5\nwebSocketMaxReplyBytes=6\n\
         webSocketMaxHeldDeliveryBytes=7\nwebSocketMaxIncompleteMessageBytes=8\n\
         webSocketMaxPublishBytesInFlightOfAll=9\nwebSocketAutoUpdatePartitionsIntervalMillis=10",
    );
    let expected = Config {
        handshake_timeout: Duration::from_millis(1),
        drain_timeout: Duration::from_millis(2),
        linger_timeout: Duration::from_millis(3),
        replies_timeout: Duration::from_millis(4),
        publishes_in_flight_bytes_max: 5,
        replies_bytes_max: 6,
        held_deliveries_bytes_max: 7,
        incomplete_messages_bytes_max: 8,
        all_publishes_in_flight_bytes_max: 9,
        partitions_interval: Duration::from_millis(10),
        ..load(MINIMAL).unwrap()
    };
    assert_eq!(config.unwrap(), expected);
}

#[test]
fn the_memory_limit() {
    let limit = |text: &str| with(text).unwrap().publishes_memory_bytes_max;
    assert_eq!(limit(""), None);
    assert_eq!(
        limit("webSocketPulsarClientMemoryLimitInMB=3"),
        Some(3 << 20)
    );
    assert_eq!(limit("webSocketPulsarClientMemoryLimitInMB=-1"), None);
    assert_eq!(limit("brokerClient_memoryLimitBytes=5"), Some(5));
    let both = "webSocketPulsarClientMemoryLimitInMB=3\nbrokerClient_memoryLimitBytes=";
    assert_eq!(limit(&format!("{both}7")), Some(7));
    assert_eq!(limit(&format!("{both}0")), Some(3 << 20));
}

/// The table's defaults, written into a file, are those of the code.
#[test]
fn the_table_says_the_defaults() {
    let mut file = MINIMAL.to_owned();
    for key in keys::all().filter(|key| !MINIMAL.contains(&format!("{}=", key.name))) {
        file.push_str(&format!("{}={}\n", key.name, key.default));
    }
    let expected = Config {
        cluster_name: "c".into(),
        brokers: vec![("b".into(), 6650)],
        ..Config::default()
    };
    assert_eq!(
        load(&file.replace("webServicePortTls=\n", "")).unwrap(),
        expected
    );
}

#[test]
fn the_report_says_where_values_come_from_and_no_secret() {
    let file = "clusterName=c\n\
                brokerServiceUrl=pulsar://b\n\
                tlsKeyStorePassword=hush1\n\
                brokerClientAuthenticationParameters=token:hush2\n\
                tokenSecretKey=data:;base64,hush3\n\
                my.password=hush4\n\
                other=eyJhush5.x.y\n\
                serviceUrl=http://me:hush6@b\n\
                plain=seen";
    let environment = [
        ("PULSAR_PREFIX_brokerClient_authParams", "hush7"),
        ("webSocketMaxTextFrameSize", "77"),
    ];
    let overrides = Overrides {
        port: Some(99),
        ..Overrides::default()
    };
    let settings = settings(Some(file), &environment, &overrides).unwrap();
    let report = settings.report();
    assert!(!report.contains("hush"), "{report}");
    assert!(!format!("{settings:?}").contains("hush"), "{settings:?}");
    let has = |setting: &str, origin: &str| {
        assert!(
            report.lines().any(|line| {
                line.split_once('#').is_some_and(|(left, right)| {
                    left.trim_end() == setting && right.trim() == origin
                })
            }),
            "{setting} from {origin} in {report}"
        );
    };
    has("clusterName=c", "ws.conf:1");
    has("tlsKeyStorePassword=<hidden>", "ws.conf:3");
    has(
        "webSocketMaxTextFrameSize=77",
        "environment variable webSocketMaxTextFrameSize",
    );
    has("webServicePort=99", "--port");
    has("webSocketSessionIdleTimeoutMillis=300000", "default");
    has("plain=seen", "ws.conf:9");
    has(
        "brokerClient_authParams=<hidden>",
        "environment variable PULSAR_PREFIX_brokerClient_authParams",
    );
    for key in keys::all() {
        assert!(report.contains(&format!("\n{}=", key.name)), "{}", key.name);
    }
}

#[test]
fn an_error_shows_no_secret() {
    let error = load("clusterName=c\nbrokerServiceUrl=pulsar://me:hush@b:6650").unwrap_err();
    assert_eq!(
        error.to_string(),
        "ws.conf:2: brokerServiceUrl=<hidden>: expected pulsar://host:port,host:port"
    );
}

#[test]
fn the_example_file_says_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/websocket.conf");
    let overrides = Overrides::default();
    let settings = Settings::read(Some(&path), [], &overrides).unwrap();
    assert_eq!(
        Config::new(&settings, &overrides).unwrap(),
        Config::default()
    );
    for key in keys::all().filter(|key| key.handling == keys::Handling::Honoured) {
        assert!(
            settings.origin(key.name).is_some(),
            "{} is missing",
            key.name
        );
    }
}

#[test]
fn a_web_service_is_asked_only_without_a_broker_url() {
    let config = load("clusterName=c\nserviceUrl=http://a:8080,b:8081").unwrap();
    assert_eq!(config.service_urls, ["http://a:8080", "http://b:8081"]);
    assert!(config.brokers.is_empty());
    let config = with("serviceUrl=http://a:8080").unwrap();
    assert!(config.service_urls.is_empty() && !config.brokers.is_empty());
    let error = |url| {
        let file = format!("clusterName=c\nserviceUrl={url}");
        load(&file).unwrap_err().to_string()
    };
    assert_eq!(
        error("b:8080"),
        "ws.conf:2: serviceUrl=b:8080: expected http://host:port,host:port"
    );
    assert!(error("https://b:8443").contains("TLS towards brokers is not built yet"));
}

#[test]
fn addresses_of_proxies_are_logged_where_there_are_some() {
    let logs = |line: &str| with(line).unwrap().logs_addresses;
    assert!(!logs(""));
    assert!(logs("webServiceHaProxyProtocolEnabled=true"));
    assert!(logs("webServiceTrustXForwardedFor=true"));
    assert!(logs("webServiceLogDetailedAddresses=true"));
    assert!(!logs(
        "webServiceTrustXForwardedFor=true\nwebServiceLogDetailedAddresses=false"
    ));
    let limit = |max: &str| {
        with(&format!("maxConcurrentHttpRequests={max}"))
            .unwrap()
            .handshakes_max
    };
    assert_eq!((limit("7"), limit("0"), limit("-1")), (7, 0, 0));
}

#[test]
fn a_class_for_keys_is_answered_with_what_to_use() {
    assert_eq!(
        refusal("cryptoKeyReaderFactoryClassName=a.B"),
        "ws.conf:1: cryptoKeyReaderFactoryClassName names a Java class, which can't be loaded: name \
         the files of the keys in webSocketEncryptionPublicKeys and webSocketEncryptionPrivateKeys"
    );
}

#[test]
fn keys_for_encryption() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/crypto");
    let keys_of = |settings: &str| {
        let settings = settings.replace("DIR", folder);
        let loaded = load(&format!(
            "clusterName=c\nbrokerServiceUrl=pulsar://b:6650\n{settings}"
        ));
        loaded.map(|config| config.encryption_keys)
    };
    let keys = keys_of(
        "webSocketEncryptionPublicKeys= a = DIR/rsa-public.pem ,b=DIR/rsa-public.pem,\n\
         webSocketEncryptionPrivateKeys=a=DIR/rsa-pkcs8.pem,c=DIR/rsa-pkcs1.pem",
    )
    .unwrap();
    assert!(keys.can_encrypt());
    assert!(keys.public("a").is_some() && keys.public("b").is_some() && keys.public("c").is_none());
    assert!(keys.encrypted_len("a").is_some() && keys.encrypted_len("c").is_some());
    assert!(!keys_of("").unwrap().can_encrypt());

    for (public, expected) in [
        (
            "a",
            "webSocketEncryptionPublicKeys=a: expected name=/path,name=/path",
        ),
        (
            "=DIR/x",
            "webSocketEncryptionPublicKeys==DIR/x: expected name=/path,name=/path",
        ),
        (
            "a=DIR/none.pem",
            "key a can't be read from DIR/none.pem: No such file or directory (os error 2)",
        ),
        (
            "a=DIR/rsa-public.pem,a=DIR/rsa-public.pem",
            "key a is named twice",
        ),
        (
            "a=DIR/rsa-pkcs8.pem",
            "key a can't be read from DIR/rsa-pkcs8.pem: it is a private key; expected a public one \
             (BEGIN PUBLIC KEY)",
        ),
        (
            "a=DIR/ec-public.pem",
            "key a can't be read from DIR/ec-public.pem: keys of elliptic curves (ECIES) are not \
             supported; use RSA",
        ),
        (
            "a=DIR/../base64-jdk17.txt",
            "key a can't be read from DIR/../base64-jdk17.txt: it holds no key in PEM",
        ),
    ] {
        let error = keys_of(&format!("webSocketEncryptionPublicKeys={public}")).unwrap_err();
        let expected = format!("ws.conf:3: {}", expected.replace("DIR", folder));
        assert_eq!(error.to_string(), expected, "{public}");
    }
    for (file, reason) in [
        (
            "ec.pem",
            "keys of elliptic curves (ECIES) are not supported; use RSA",
        ),
        (
            "rsa-public.pem",
            "expected a private key in PEM (BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY)",
        ),
    ] {
        let error = keys_of(&format!("webSocketEncryptionPrivateKeys=a=DIR/{file}")).unwrap_err();
        let expected = format!("ws.conf:3: key a can't be read from {folder}/{file}: {reason}");
        assert_eq!(error.to_string(), expected);
    }
}
