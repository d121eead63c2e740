//! The whole service in this process: clients are spread over the shards, and too many are told so.
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on fails, in its helpers too"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a test of what the kernel and threads do waits on the machine's clock"
)]

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, TcpStream},
    num::NonZeroUsize,
    thread::{self, sleep},
    time::{Duration, Instant},
};

use pulsar_ws_fast::{
    config::Config,
    runtime::{Ended, Running},
};

const PATIENCE: Duration = Duration::from_secs(20);

fn start(cores: usize, connections_max: usize) -> Running {
    let config = Config {
        cores: NonZeroUsize::new(cores),
        bind: Some(Ipv4Addr::LOCALHOST.into()),
        port: 0,
        connections_max,
        // Clients that say nothing stay for the whole test.
        handshake_timeout: Duration::from_secs(60),
        ..Config::default()
    };
    Running::start(config).unwrap()
}

fn connect(running: &Running) -> TcpStream {
    let stream = TcpStream::connect(running.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Waits until the shards have so many clients together; tells how many each has.
fn until_clients(running: &Running, wanted: usize) -> Vec<usize> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let clients = running.clients();
        if clients.iter().sum::<usize>() == wanted {
            return clients;
        }
        assert!(Instant::now() < deadline, "{clients:?}, not {wanted}");
        sleep(Duration::from_millis(5));
    }
}

fn answer(mut stream: &TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn end(mut running: Running) {
    running.order_drain();
    assert_eq!(running.wait_drained(PATIENCE), Ended::Drained);
}

#[test]
#[allow(
    clippy::needless_collect,
    reason = "all threads start before one is waited for"
)]
fn a_thousand_clients_at_once_are_shared_out_evenly() {
    let running = start(4, 0);
    let mut clients: Vec<TcpStream> = thread::scope(|scope| {
        let threads: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| (0..50).map(|_| connect(&running)).collect::<Vec<_>>()))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(until_clients(&running, 1000), [250; 4]);

    // Where some have left, others come.
    let stay = clients.split_off(600);
    drop(clients);
    until_clients(&running, 400);
    let more: Vec<_> = (0..603).map(|_| connect(&running)).collect();
    let shares = until_clients(&running, 1003);
    let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
    assert!(most - least <= 1, "{shares:?}");

    // Each of them is served where it is.
    for mut client in stay.iter().chain(&more).step_by(20) {
        client
            .write_all(b"GET /nowhere HTTP/1.1\r\nHost: here\r\n\r\n")
            .unwrap();
        assert!(answer(client).starts_with("HTTP/1.1 404 "));
    }
    drop((stay, more));
    end(running);
}

#[test]
fn who_comes_beyond_the_limit_is_told_and_room_is_given_again() {
    let running = start(2, 10);
    let mut clients: Vec<_> = (0..10).map(|_| connect(&running)).collect();
    assert_eq!(until_clients(&running, 10), [5, 5]);
    for asks_first in [true, false] {
        let mut surplus = connect(&running);
        if asks_first {
            surplus
                .write_all(b"GET /ws/v2/producer/persistent/public/default/t HTTP/1.1\r\n\r\n")
                .unwrap();
        }
        let answer = answer(&surplus);
        assert!(
            answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
            "{answer}"
        );
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
        assert!(answer.contains("maxHttpServerConnections"), "{answer}");
        surplus.shutdown(Shutdown::Both).unwrap();
    }
    assert_eq!(running.clients(), [5, 5]);

    clients.pop();
    until_clients(&running, 9);
    let mut next = connect(&running);
    next.write_all(b"GET /nowhere HTTP/1.1\r\nHost: here\r\n\r\n")
        .unwrap();
    assert!(answer(&next).starts_with("HTTP/1.1 404 "));
    drop(next);
    until_clients(&running, 9);
    drop(clients);
    end(running);
}

#[test]
fn without_a_limit_nobody_is_refused() {
    let running = start(1, 0);
    let clients: Vec<_> = (0..2100).map(|_| connect(&running)).collect();
    until_clients(&running, 2100);
    drop(clients);
    end(running);
}
