//! A socket's two tasks: one only reads, one only writes.
//!
//! A dropped read on io_uring loses bytes that had already arrived. So nothing here gives up a read
//! or a write except at the end of its socket, when its bytes are of no use to anybody.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    io,
    pin::pin,
    rc::Rc,
    time::Duration,
};

use monoio::{
    BufResult,
    buf::{IoBuf, Slice},
    net::TcpStream,
    time::sleep,
};

use super::{
    core::{Alive, Core},
    leg::Leg,
    notify::{Either, Notify, race},
    split::{ReadHalf, WriteHalf, split},
};

/// How far a socket is on its way from open to closed; it never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// The shard knows it: bytes go in and out.
    Open,
    /// The shard forgot it: its last bytes are written, what comes in is dropped.
    Finishing,
    /// Both tasks end at once.
    Closed,
}

/// What the two tasks share, and what the shard's effects reach them by.
pub(super) struct Socket<O> {
    phase: Cell<Phase>,
    last: RefCell<Option<O>>,
    /// The peer ended its side, so that nobody need wait for it.
    peer_ended: Cell<bool>,
    reader: Notify,
    writer: Notify,
}

impl<O> Socket<O> {
    pub(super) fn new() -> Self {
        Self {
            phase: Cell::new(Phase::Open),
            last: RefCell::new(None),
            peer_ended: Cell::new(false),
            reader: Notify::default(),
            writer: Notify::default(),
        }
    }

    /// The outbox is no longer empty.
    pub(super) fn wake_writer(&self) {
        self.writer.notify();
    }

    /// Reading may go on.
    pub(super) fn wake_reader(&self) {
        self.reader.notify();
    }

    /// After what is being written writes `last`, shuts down this side, and closes when the peer
    /// has done so too or takes too long.
    pub(super) fn finish(&self, last: O) {
        self.last.replace(Some(last));
        self.enter(Phase::Finishing);
    }

    /// Closes at once; nothing more is written.
    pub(super) fn abort(&self) {
        self.enter(Phase::Closed);
    }

    /// Waits until it is to be closed at once. For the task that writes.
    pub(super) fn aborted(&self) -> impl Future<Output = ()> {
        self.writer.until(|| self.phase.get() == Phase::Closed)
    }

    fn enter(&self, phase: Phase) {
        if self.phase.get() < phase {
            self.phase.set(phase);
            self.reader.notify();
            self.writer.notify();
        }
    }
}

/// Runs a socket to its end: starts the reader, is itself the writer.
pub(super) async fn serve<L: Leg>(
    core: Rc<Core>,
    key: L,
    socket: Rc<Socket<L::Outbox>>,
    stream: TcpStream,
    _alive: Alive,
) {
    let (read_half, write_half) = split(stream);
    let reader = monoio::spawn(read(core.clone(), key, socket.clone(), read_half));
    write(&core, key, &socket, write_half).await;
    socket.abort();
    reader.await;
}

async fn read<L: Leg>(core: Rc<Core>, key: L, socket: Rc<Socket<L::Outbox>>, mut half: ReadHalf) {
    let reason = loop {
        match socket.phase.get() {
            Phase::Open if !core.reads(key) => {
                socket.reader.notified().await;
                continue;
            }
            Phase::Open | Phase::Finishing => {}
            Phase::Closed => return,
        }
        match race(pin!(half.readable()), pin!(socket.reader.notified())).await {
            Either::Left(Ok(())) => {}
            Either::Left(Err(error)) => break error.to_string(),
            Either::Right(()) => continue,
        }
        let buffer = L::buffers(&core).take().await;
        let closed = socket.reader.until(|| socket.phase.get() == Phase::Closed);
        let (result, mut buffer) = match race(pin!(half.read(buffer)), pin!(closed)).await {
            Either::Left(result) => result,
            Either::Right(()) => return L::buffers(&core).lose(),
        };
        if matches!(result, Ok(1..)) && socket.phase.get() == Phase::Open {
            core.enter(|shard, now| key.handle_bytes(shard, now, &mut buffer));
        }
        L::buffers(&core).give(buffer);
        match result {
            Ok(0) => break "closed by the peer".to_owned(),
            Ok(_) => {}
            Err(error) => break error.to_string(),
        }
    };
    socket.peer_ended.set(true);
    socket.writer.notify();
    lost(&core, key, &socket, &reason);
}

/// Every outbox that is ready at once leaves in one write.
async fn write<L: Leg>(core: &Rc<Core>, key: L, socket: &Socket<L::Outbox>, mut half: WriteHalf) {
    loop {
        let phase = socket.phase.get();
        let outbox = match phase {
            Phase::Open => core.take_outbox(key),
            Phase::Finishing => socket.last.take(),
            Phase::Closed => return,
        };
        match outbox {
            Some(outbox) => match write_all(core, key, socket, &mut half, outbox).await {
                Some(Ok(outbox)) if socket.phase.get() == Phase::Open => {
                    core.enter(|shard, now| key.handle_written(shard, now, outbox));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return lost(core, key, socket, &error.to_string()),
                None => return,
            },
            None if phase == Phase::Finishing => break,
            None => socket.writer.notified().await,
        }
    }
    // Closing now, with bytes of the peer unread, would reset the connection and destroy what is
    // still on its way to the peer.
    if half.shutdown().await.is_ok() {
        let ended = socket
            .writer
            .until(|| socket.peer_ended.get() || socket.phase.get() == Phase::Closed);
        race(pin!(ended), pin!(sleep(core.linger_timeout()))).await;
    }
}

/// `None` if the socket was closed meanwhile, or had to finish and made no progress.
async fn write_all<L: Leg>(
    core: &Rc<Core>,
    key: L,
    socket: &Socket<L::Outbox>,
    half: &mut WriteHalf,
    outbox: L::Outbox,
) -> Option<io::Result<L::Outbox>> {
    let bytes = outbox.bytes_init();
    let mut rest = outbox.slice(..);
    loop {
        let begin = rest.begin();
        let (result, slice) = write_some(half, socket, core.linger_timeout(), rest).await?;
        let written = match result {
            Ok(0) => return Some(Err(io::ErrorKind::WriteZero.into())),
            Ok(written) => begin + written,
            Err(error) => return Some(Err(error)),
        };
        let outbox = slice.into_inner();
        if written >= bytes {
            return Some(Ok(outbox));
        }
        if socket.phase.get() == Phase::Open {
            core.enter(|shard, now| key.handle_progress(shard, now));
        }
        rest = outbox.slice(written..);
    }
}

/// One write. As long as the socket is open it may wait for ever (the shard has its own deadlines);
/// from then on only `linger_timeout`.
async fn write_some<O: IoBuf>(
    half: &mut WriteHalf,
    socket: &Socket<impl Sized>,
    linger_timeout: Duration,
    rest: Slice<O>,
) -> Option<BufResult<usize, Slice<O>>> {
    let mut write = pin!(half.write(rest));
    let not_open = socket.writer.until(|| socket.phase.get() > Phase::Open);
    if let Either::Left(result) = race(write.as_mut(), pin!(not_open)).await {
        return Some(result);
    }
    let mut aborted = pin!(socket.aborted());
    let mut too_late = pin!(sleep(linger_timeout));
    match race(write, race(aborted.as_mut(), too_late.as_mut())).await {
        Either::Left(result) => Some(result),
        Either::Right(_) => None,
    }
}

/// Tells the shard, once, that a socket which it still knows is gone.
fn lost<L: Leg>(core: &Rc<Core>, key: L, socket: &Socket<L::Outbox>, reason: &str) {
    if socket.phase.get() == Phase::Open {
        socket.abort();
        L::sockets(core).borrow_mut().remove(key);
        core.enter(|shard, now| key.handle_closed(shard, now, reason));
    }
}
