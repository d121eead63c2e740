//! A socket's two tasks: one only reads, one only writes.
//!
//! A dropped read on io_uring loses bytes that had already arrived. So nothing here gives up a read
//! or a write except at the end of its socket, when its bytes are of no use to anybody.
//!
//! Each client has these tasks for as long as it is there, so their size counts: an `async fn` holds each
//! argument twice, an `async move` block once; and what is needed only at a socket's end is boxed then.

#![allow(
    clippy::manual_async_fn,
    reason = "see above: the size of a task is that of its futures"
)]

use std::{cell::Cell, future::Future, io, pin::pin, rc::Rc};

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
    last: Cell<Option<O>>,
    /// The peer ended its side, so that nobody need wait for it.
    peer_ended: Cell<bool>,
    reader: Notify,
    writer: Notify,
}

impl<O> Socket<O> {
    pub(super) fn new() -> Self {
        Self {
            phase: Cell::new(Phase::Open),
            last: Cell::new(None),
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
        self.last.set(Some(last));
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
pub(super) fn serve<L: Leg>(
    core: Rc<Core>,
    key: L,
    socket: Rc<Socket<L::Outbox>>,
    stream: TcpStream,
    alive: Alive,
) -> impl Future<Output = ()> {
    let (read_half, half) = split(stream);
    let reader = monoio::spawn(read(core.clone(), key, socket.clone(), read_half));
    let mut writer = Writer {
        core,
        key,
        socket,
        half,
    };
    async move {
        writer.write().await;
        let socket = writer.end();
        socket.abort();
        reader.await;
        drop(alive);
    }
}

fn read<L: Leg>(
    core: Rc<Core>,
    key: L,
    socket: Rc<Socket<L::Outbox>>,
    mut half: ReadHalf,
) -> impl Future<Output = ()> {
    async move {
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
                Ok(0) if ended(&core, key, &socket) => return,
                Ok(0) => break "closed by the peer".to_owned(),
                Ok(_) => {}
                Err(error) => break error.to_string(),
            }
        };
        socket.peer_ended.set(true);
        socket.writer.notify();
        lost(&core, key, &socket, &reason);
    }
}

/// What the task that writes has.
struct Writer<L: Leg> {
    core: Rc<Core>,
    key: L,
    socket: Rc<Socket<L::Outbox>>,
    half: WriteHalf,
}

impl<L: Leg> Writer<L> {
    /// Every outbox that is ready at once leaves in one write.
    fn write(&mut self) -> impl Future<Output = ()> {
        async move {
            loop {
                let phase = self.socket.phase.get();
                let outbox = match phase {
                    Phase::Open => self.core.take_outbox(self.key),
                    Phase::Finishing => self.socket.last.take(),
                    Phase::Closed => return,
                };
                match outbox {
                    Some(outbox) => match self.write_all(outbox).await {
                        Some(Ok(outbox)) => self.written(outbox),
                        Some(Err(error)) => return self.lost(&error),
                        None => return,
                    },
                    None if phase == Phase::Finishing => break,
                    None => self.socket.writer.notified().await,
                }
            }
            // Closing now, with bytes of the peer unread, would reset the connection and destroy
            // what is still on its way to the peer.
            if self.half.shutdown().await.is_ok() {
                let socket = &self.socket;
                let ended = socket
                    .writer
                    .until(|| socket.peer_ended.get() || socket.phase.get() == Phase::Closed);
                race(pin!(ended), Box::pin(sleep(self.core.linger_timeout()))).await;
            }
        }
    }

    /// `None` if the socket was closed meanwhile, or had to finish and made no progress.
    fn write_all(
        &mut self,
        outbox: L::Outbox,
    ) -> impl Future<Output = Option<io::Result<L::Outbox>>> {
        let mut rest = outbox.slice(..);
        async move {
            loop {
                let begin = rest.begin();
                let (result, slice) = self.write_some(rest).await?;
                let written = match result {
                    Ok(0) => return Some(Err(io::ErrorKind::WriteZero.into())),
                    Ok(written) => begin + written,
                    Err(error) => return Some(Err(error)),
                };
                let outbox = slice.into_inner();
                if written >= outbox.bytes_init() {
                    return Some(Ok(outbox));
                }
                self.progress();
                rest = outbox.slice(written..);
            }
        }
    }

    /// One write. As long as the socket is open it may wait for ever (the shard has its own
    /// deadlines); from then on only for the linger timeout.
    fn write_some(
        &mut self,
        rest: Slice<L::Outbox>,
    ) -> impl Future<Output = Option<BufResult<usize, Slice<L::Outbox>>>> {
        async move {
            let socket = &self.socket;
            let mut write = pin!(self.half.write(rest));
            let not_open = socket.writer.until(|| socket.phase.get() > Phase::Open);
            if let Either::Left(result) = race(write.as_mut(), pin!(not_open)).await {
                return Some(result);
            }
            let too_late = Box::pin(sleep(self.core.linger_timeout()));
            match race(write, race(pin!(socket.aborted()), too_late)).await {
                Either::Left(result) => Some(result),
                Either::Right(_) => None,
            }
        }
    }

    /// An outbox is written; its buffer goes back.
    fn written(&self, outbox: L::Outbox) {
        if self.socket.phase.get() == Phase::Open {
            self.core
                .enter(|shard, now| self.key.handle_written(shard, now, outbox));
        }
    }

    /// Part of an outbox is written.
    fn progress(&self) {
        if self.socket.phase.get() == Phase::Open {
            self.core
                .enter(|shard, now| self.key.handle_progress(shard, now));
        }
    }

    fn lost(&self, error: &io::Error) {
        lost(&self.core, self.key, &self.socket, &error.to_string());
    }

    /// Tells the peer that nothing more comes.
    fn end(self) -> Rc<Socket<L::Outbox>> {
        self.socket
    }
}

/// Tells the shard that the peer says nothing more. Whether the socket is kept all the same, to be written to.
fn ended<L: Leg>(core: &Rc<Core>, key: L, socket: &Socket<L::Outbox>) -> bool {
    let mut kept = false;
    if socket.phase.get() == Phase::Open {
        socket.peer_ended.set(true);
        core.enter(|shard, now| kept = key.handle_ended(shard, now));
        socket.writer.notify();
    }
    kept
}

/// Tells the shard, once, that a socket which it still knows is gone.
fn lost<L: Leg>(core: &Rc<Core>, key: L, socket: &Socket<L::Outbox>, reason: &str) {
    if socket.phase.get() == Phase::Open {
        socket.abort();
        L::sockets(core).borrow_mut().remove(key);
        core.enter(|shard, now| key.handle_closed(shard, now, reason));
    }
}
