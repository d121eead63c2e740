use super::*;

const MINIMAL: &str = "clusterName=c\nbrokerServiceUrl=pulsar://b:6650\n";

fn load(file: &str) -> Result<Config, ConfigError> {
    Config::from_file("ws.conf", file.as_bytes(), &Overrides::default())
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
    let config = Config::load(None, &Overrides::default()).unwrap();
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
        properties: config.properties.clone(),
        ..Config::default()
    };
    assert_eq!(config, expected);
    assert_eq!(config.properties.len(), 2);
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
    assert_eq!(config.properties["something.else"], "kept");
    assert_eq!(
        config.notices,
        ["maxHttpServerConnections is set in ws.conf and has no effect yet"]
    );
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
        let config = Config {
            properties: BTreeMap::new(),
            ..with(line).unwrap()
        };
        let expected = Config {
            properties: BTreeMap::new(),
            ..load(MINIMAL).unwrap()
        };
        assert_eq!(config, expected, "{line}");
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
        "ws.conf: Required clusterName is null"
    );
    assert_eq!(
        missing("clusterName=c"),
        "ws.conf: no broker is named: set brokerServiceUrl, as pulsar://host:6650"
    );
    for (key, line) in [
        ("serviceUrl", "serviceUrl=http://b:8080"),
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
        Config::load(
            Some(Path::new("/nonexistent/ws.conf")),
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
        "webServiceHaProxyProtocolEnabled=true",
        "cryptoKeyReaderFactoryClassName=a.B",
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
         authorizationEnabled=yes\n\
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
fn the_command_line_beats_the_file() {
    let overrides = Overrides {
        cores: NonZeroUsize::new(2),
        cpus: Some(vec![4, 5, 6]),
        bind: Some("::1".parse().unwrap()),
        port: Some(1234),
        broker_url: Some("pulsar://x:1".into()),
    };
    let file = b"clusterName=c\nbrokerServiceUrl=pulsar://b\nwebServicePort=9\nbindAddress=1.2.3.4";
    let config = Config::from_file("ws.conf", file, &overrides).unwrap();
    assert_eq!(config.cores, NonZeroUsize::new(2));
    assert_eq!(config.cpus, [4, 5, 6]);
    assert_eq!(config.bind, Some("::1".parse().unwrap()));
    assert_eq!(config.port, 1234);
    assert_eq!(config.brokers, [("x".to_owned(), 1)]);

    // Flags also stand in for what a file lacks.
    assert!(Config::from_file("ws.conf", b"clusterName=c\nwebServicePort=", &overrides).is_ok());

    let any_address = Overrides {
        bind: Some("0.0.0.0".parse().unwrap()),
        ..Overrides::default()
    };
    assert_eq!(
        Config::from_file("ws.conf", file, &any_address)
            .unwrap()
            .bind,
        None
    );
}

#[test]
fn a_bad_command_line_is_refused() {
    let error = |overrides: &Overrides| Config::load(None, overrides).unwrap_err().to_string();
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
fn keys_without_effect_are_noticed() {
    let config = with("webSocketPingDurationSeconds=30\nstatusFilePath=/s").unwrap();
    assert_eq!(
        config.notices,
        [
            "statusFilePath is set in ws.conf and has no effect yet",
            "webSocketPingDurationSeconds is set in ws.conf and has no effect yet",
        ]
    );
}

#[test]
fn the_example_file_says_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/websocket.conf");
    let config = Config::load(Some(&path), &Overrides::default()).unwrap();
    let expected = Config {
        brokers: config.brokers.clone(),
        properties: config.properties.clone(),
        ..Config::default()
    };
    assert_eq!(config, expected);
    assert_eq!(config.brokers, [("127.0.0.1".to_owned(), 6650)]);
}
