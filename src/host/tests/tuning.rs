//! The files of `tuning/`, applied to a machine that lacks them.

use std::{fs, path::Path};

use super::{Advice, Fine, Level, Machine};

/// The values that `tuning/` sets: (key, value).
fn values_of(file: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tuning")
        .join(file);
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.trim_start_matches('-').split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// A machine as a distribution leaves it, in the things that `tuning/` sets.
fn untuned() -> Machine {
    let mut machine = Machine::good().told(|config| {
        config.connections_max = 1_000_000;
        config.takeover = true;
    });
    for (path, text) in [
        ("proc/sys/kernel/io_uring_disabled", "2"),
        ("proc/sys/net/core/somaxconn", "4096"),
        ("proc/sys/net/ipv4/tcp_max_syn_backlog", "1024"),
        ("proc/sys/net/ipv4/tcp_slow_start_after_idle", "1"),
        ("proc/sys/net/ipv4/tcp_migrate_req", "0"),
        ("proc/sys/vm/swappiness", "60"),
        (
            "sys/kernel/mm/transparent_hugepage/enabled",
            "[always] madvise never",
        ),
    ] {
        machine.write(path, text);
    }
    machine
        .changed("proc/self/limits", "8388608", "65536")
        .changed("proc/self/limits", "1048576", "524288")
        .refusing("no")
}

/// The levels of what `tuning/` is for.
fn levels(machine: &Machine) -> Vec<(&'static str, Level)> {
    let names = [
        "switch",
        "locked memory",
        "of the process",
        "accept queue",
        "SYN queue",
        "slow start",
        "takeover",
        "huge pages",
        "swap",
    ];
    names
        .into_iter()
        .map(|name| (name, machine.finding(name).level))
        .collect()
}

#[test]
fn the_files_of_tuning_are_what_is_advised() {
    let mut machine = untuned();
    for (name, level) in levels(&machine) {
        assert!(level >= Advice, "{name} is fine before anything is set");
    }
    let before = levels(&machine);
    for (key, value) in values_of("sysctl.d/60-pulsar-ws-fast.conf") {
        let path = format!("proc/sys/{}", key.replace('.', "/"));
        assert!(machine.root.join(&path).exists(), "nothing looks at {key}");
        machine.write(&path, &value);
    }
    let pages = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tuning/tmpfiles.d/pulsar-ws-fast.conf"),
    );
    let pages = pages.unwrap();
    let line = pages.lines().find(|line| line.starts_with("w ")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    let (file, chosen) = (words[1].trim_start_matches('/'), words[6]);
    machine.write(file, &format!("always [{chosen}] never"));
    let unit = values_of("pulsar-ws-fast.service");
    let limit = |key: &str| {
        let found = unit.iter().find(|(name, _)| name == key);
        found.unwrap().1.replace('M', "000000")
    };
    let machine = machine
        .changed("proc/self/limits", "524288", &limit("LimitNOFILE"))
        .changed("proc/self/limits", "65536", &limit("LimitMEMLOCK"));
    for ((name, level), (_, before)) in levels(&machine).into_iter().zip(before) {
        assert_eq!(level, Fine, "{name}, which was {before:?}");
    }
}

#[test]
fn a_login_gets_what_the_unit_gives() {
    let unit = values_of("pulsar-ws-fast.service");
    let text = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tuning/limits.d/pulsar-ws-fast.conf"),
    );
    let text = text.unwrap();
    let of_login = |item: &str| -> u64 {
        let mut lines = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        let line = lines.find(|words| words.get(2) == Some(&item)).unwrap();
        assert_eq!(line[1], "-", "soft and hard");
        line[3].parse().unwrap()
    };
    let of_unit = |key: &str| -> u64 {
        let (_, value) = unit.iter().find(|(name, _)| name == key).unwrap();
        match value.strip_suffix('M') {
            Some(mib) => mib.parse::<u64>().unwrap() * 1024,
            None => value.parse().unwrap(),
        }
    };
    assert_eq!(of_login("nofile"), of_unit("LimitNOFILE"));
    // Both count KiB here.
    assert_eq!(of_login("memlock"), of_unit("LimitMEMLOCK"));
}
