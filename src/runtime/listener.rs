//! Listening sockets, one a shard on the same address, and the loop that accepts.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener},
    pin::pin,
    rc::Rc,
    time::Duration,
};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::{
    core::Core,
    error::StartError,
    notify::{Either, Notify, race},
};

/// Sockets accepted in one turn before other tasks get theirs.
const ACCEPTS_PER_TURN: usize = 64;
/// Sockets accepted when it stops: more than a backlog usually holds, and yet an end of it while
/// clients keep coming.
const ACCEPTS_AT_STOP: usize = 65_536;
/// When accepting fails (no descriptor left, no memory) it fails again at once.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Binds `count` sockets to one address. None is served yet; the first one already takes a
/// connection or two. Without an address they take every one, IPv6 and IPv4. In a takeover another
/// instance of the same user may listen there already: both get clients until it stops.
pub(super) fn bind(
    address: Option<IpAddr>,
    port: u16,
    count: usize,
    takeover: bool,
) -> Result<Vec<Socket>, StartError> {
    let at = |address, port| {
        bind_shared(SocketAddr::new(address, port), count, takeover)
            .map_err(|error| StartError::bind(SocketAddr::new(address, port), error))
    };
    match address {
        Some(address) => at(address, port),
        None if has_ipv6() => at(Ipv6Addr::UNSPECIFIED.into(), port),
        None => at(Ipv4Addr::UNSPECIFIED.into(), port),
    }
}

/// Gives `socket` to the shards' acceptors.
pub(super) fn listen(socket: Socket, backlog: i32) -> io::Result<TcpListener> {
    socket.listen(backlog)?;
    // The acceptor waits through io_uring and then takes all there are without waiting.
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Takes a shard's clients in.
pub(super) struct Acceptor {
    listener: TcpListener,
    stopped: Notify,
}

impl Acceptor {
    /// `listener` is one that [`listen`] made.
    pub(super) fn new(listener: TcpListener) -> Self {
        Self {
            listener,
            stopped: Notify::default(),
        }
    }

    /// Accepts until stopped. Waiting and accepting are two steps because a dropped accept would
    /// leak the client's descriptor: dropped is only ever the waiting.
    pub(super) async fn run(self: Rc<Self>, core: Rc<Core>) {
        let clone = self.listener.try_clone();
        let waiting = match clone.and_then(monoio::net::TcpListener::from_std) {
            Ok(waiting) => waiting,
            Err(error) => return tracing::error!(%error, "can't accept connections"),
        };
        let mut failing = false;
        loop {
            let readable = pin!(waiting.readable(false));
            if let Either::Left(()) = race(pin!(self.stopped.notified()), readable).await {
                return;
            }
            let Err(error) = self.accept_waiting(&core, ACCEPTS_PER_TURN) else {
                failing = false;
                continue;
            };
            if !failing {
                tracing::error!(%error, "can't accept connections, trying again");
            }
            failing = true;
            let delay = pin!(monoio::time::sleep(ACCEPT_RETRY_DELAY));
            if let Either::Left(()) = race(pin!(self.stopped.notified()), delay).await {
                return;
            }
        }
    }

    /// Takes who is already connected, so that the shard can tell them, and nobody after them:
    /// the kernel resets connections that nobody accepted.
    pub(super) fn stop(&self, core: &Rc<Core>) {
        core.stop();
        if let Err(error) = self.accept_waiting(core, ACCEPTS_AT_STOP) {
            tracing::debug!(%error, "connections are lost");
        }
        // Closing is not enough: the ring refers to the socket until the kernel has cleared it up, which may be
        // after the process has ended, and until then clients would be sent here in a takeover.
        if let Err(error) = SockRef::from(&self.listener).shutdown(Shutdown::Read) {
            tracing::debug!(%error, "the listening socket is open until the end");
        }
        self.stopped.notify();
    }

    /// Takes the connections that are ready, up to so many.
    fn accept_waiting(&self, core: &Rc<Core>, accepts_max: usize) -> io::Result<()> {
        for _ in 0..accepts_max {
            match self.listener.accept() {
                Ok((stream, peer)) => core.accept(stream, peer),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if is_clients_fault(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// accept(2): errors of the connection that was waiting, not of the listener.
fn is_clients_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, NetworkDown,
        NetworkUnreachable, TimedOut,
    };
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | TimedOut
    )
}

/// The first socket binds and listens alone, so that a port which any other process uses is refused
/// (SO_REUSEADDR is refused only beside a socket that listens); only then it is opened for the
/// others. Setting SO_REUSEPORT first would let two instances share the port, and each get half of
/// the clients.
fn bind_shared(address: SocketAddr, count: usize, takeover: bool) -> io::Result<Vec<Socket>> {
    let first = unbound(address)?;
    if takeover {
        first.set_reuse_port(true)?;
        first.bind(&address.into())?;
    } else {
        first.bind(&address.into())?;
        first.listen(1)?;
        first.set_reuse_port(true)?;
    }
    // With port 0 the kernel has chosen one by now.
    let chosen = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..count {
        let next = unbound(address)?;
        next.set_reuse_port(true)?;
        next.bind(&chosen)?;
        sockets.push(next);
    }
    Ok(sockets)
}

fn unbound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // Old connections in TIME_WAIT don't keep a restarted service from its port.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    Ok(socket)
}

/// IPv6 can be absent from the kernel or switched off by sysctl.
fn has_ipv6() -> bool {
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    unbound(any).is_ok_and(|socket| socket.bind(&any.into()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(sockets: &[Socket]) -> u16 {
        let address = sockets[0].local_addr().unwrap();
        address.as_socket().unwrap().port()
    }

    #[test]
    fn all_sockets_share_the_port_that_was_chosen() {
        let sockets = bind(Some(Ipv4Addr::LOCALHOST.into()), 0, 3, false).unwrap();
        assert_eq!(sockets.len(), 3);
        for socket in &sockets {
            let address = socket.local_addr().unwrap().as_socket().unwrap();
            assert_eq!(address.port(), port(&sockets));
        }
    }

    #[test]
    fn a_second_instance_is_refused_before_and_while_the_first_one_serves() {
        let localhost = Some(Ipv4Addr::LOCALHOST.into());
        let first = bind(localhost, 0, 2, false).unwrap();
        let error = bind(localhost, port(&first), 2, false).unwrap_err();
        assert_eq!(error.exit_code(), 69);
        assert!(error.to_string().contains("is taken"), "{error}");
        let port = port(&first);
        let listening: Vec<_> = first.into_iter().map(|socket| listen(socket, 16)).collect();
        assert!(listening.iter().all(Result::is_ok));
        assert!(bind(localhost, port, 2, false).is_err());
        assert!(bind(None, port, 2, false).is_err());
        // Who takes over finds it, and nobody else's.
        let second = bind(localhost, port, 2, true).unwrap();
        assert_eq!(self::port(&second), port);
    }

    #[test]
    fn a_takeover_does_not_share_with_whoever_does_not() {
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = other.local_addr().unwrap().port();
        let error = bind(Some(Ipv4Addr::LOCALHOST.into()), port, 1, true).unwrap_err();
        assert_eq!(error.exit_code(), 69);
    }

    #[test]
    fn a_port_that_is_open_for_sharing_is_refused_too() {
        let other = unbound((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        other.set_reuse_port(true).unwrap();
        other
            .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
            .unwrap();
        other.listen(1).unwrap();
        let port = other.local_addr().unwrap().as_socket().unwrap().port();
        let error = bind(Some(Ipv4Addr::LOCALHOST.into()), port, 1, false).unwrap_err();
        assert!(error.to_string().contains("is taken"), "{error}");
    }

    #[test]
    fn no_address_is_both_families() {
        let mut sockets = bind(None, 0, 1, false).unwrap();
        let port = port(&sockets);
        let listener = listen(sockets.remove(0), 16).unwrap();
        assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        if listener.local_addr().unwrap().is_ipv6() {
            assert!(std::net::TcpStream::connect((Ipv6Addr::LOCALHOST, port)).is_ok());
        }
    }
}
