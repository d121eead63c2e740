//! A socket: a task that only reads for as long as it is there, and one that only writes, lent while there is
//! something to be written.
//!
//! A dropped read on io_uring loses bytes that had already arrived. So nothing here gives up a read
//! or a write except at the end of its socket, when its bytes are of no use to anybody.
//!
//! Each client has a socket and the task that reads for as long as it is there, so their sizes count: an `async fn`
//! holds each argument twice, an `async move` block once; and what is needed only at a socket's end is boxed then.

use std::{cell::Cell, future::Future, pin::pin, rc::Rc};

use monoio::net::TcpStream;

use super::{
    core::{Alive, Core},
    leg::Leg,
    notify::{Either, Notify, race},
    split::{ReadHalf, WriteHalf, split},
    writers::Writer,
};

/// How far a socket is on its way from open to closed; it never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// The shard knows it: bytes go in and out.
    Open,
    /// The shard forgot it: its last bytes are written, what comes in is dropped.
    Finishing,
    /// Both tasks end at once.
    Closed,
}

/// What the two tasks share, and what the shard's effects reach them by.
pub(super) struct Socket<L: Leg> {
    alive: Alive,
    key: L,
    phase: Cell<Phase>,
    /// The peer ended its side, so that nobody need wait for it.
    peer_ended: Cell<bool>,
    /// It has something to be written, as far as is known.
    wants_writer: Cell<bool>,
    /// Nobody writes for it, but somebody may.
    rests: Cell<bool>,
    last: Cell<Option<Box<L::Outbox>>>,
    /// While it rests.
    half: Cell<Option<WriteHalf>>,
    /// Who writes for it.
    writer: Cell<Option<Rc<Writer<L>>>>,
    reader: Notify,
}

impl<L: Leg> Socket<L> {
    /// A socket that is not connected.
    pub(super) fn new(key: L, alive: Alive) -> Self {
        Self {
            alive,
            key,
            phase: Cell::new(Phase::Open),
            peer_ended: Cell::new(false),
            wants_writer: Cell::new(false),
            rests: Cell::new(false),
            last: Cell::new(None),
            half: Cell::new(None),
            writer: Cell::new(None),
            reader: Notify::default(),
        }
    }

    /// Its stream is there: reads and writes from now on, to its end.
    pub(super) fn serve(self: Rc<Self>, stream: TcpStream) {
        let (read_half, half) = split(stream);
        self.half.set(Some(half));
        self.rests.set(true);
        monoio::spawn(read(self.clone(), read_half));
        if self.wants_writer.get() {
            self.wake_writer();
        }
    }

    pub(super) const fn core(&self) -> &Rc<Core> {
        &self.alive.core
    }

    pub(super) const fn key(&self) -> L {
        self.key
    }

    pub(super) const fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// The outbox is no longer empty.
    pub(super) fn wake_writer(self: &Rc<Self>) {
        self.wants_writer.set(true);
        if self.rests.replace(false) {
            L::writers(self.core()).lend(self.clone());
        }
    }

    /// Reading may go on.
    pub(super) fn wake_reader(self: &Rc<Self>) {
        self.reader.notify();
    }

    /// After what is being written writes `last`, shuts down this side, and closes when the peer
    /// has done so too or takes too long.
    pub(super) fn finish(self: &Rc<Self>, last: L::Outbox) {
        self.last.set(Some(Box::new(last)));
        if self.enter(Phase::Finishing) {
            self.wake_writer();
        }
    }

    /// Closes at once; nothing more is written.
    pub(super) fn abort(&self) {
        if self.enter(Phase::Closed) && self.rests.replace(false) {
            self.half.take();
        }
    }

    /// Waits until it is to be closed at once. For who connects it.
    pub(super) fn aborted(&self) -> impl Future<Output = ()> {
        self.reader.until(|| self.phase.get() == Phase::Closed)
    }

    /// Whether it was not as far yet.
    fn enter(&self, phase: Phase) -> bool {
        let enters = self.phase.get() < phase;
        if enters {
            self.phase.set(phase);
            self.reader.notify();
            self.notify_writer();
        }
        enters
    }

    fn notify_writer(&self) {
        let writer = self.writer.take();
        if let Some(writer) = &writer {
            writer.notify();
        }
        self.writer.set(writer);
    }

    /// Somebody writes for it from now on.
    pub(super) fn take_half(&self, writer: Rc<Writer<L>>) -> Option<WriteHalf> {
        let half = self.half.take()?;
        self.writer.set(Some(writer));
        Some(half)
    }

    /// What is to be written next.
    pub(super) fn next_outbox(&self) -> Option<L::Outbox> {
        match self.phase.get() {
            Phase::Open => {
                self.wants_writer.set(false);
                self.core().take_outbox(self.key)
            }
            Phase::Finishing => self.last.take().map(|last| *last),
            Phase::Closed => None,
        }
    }

    /// Nothing is to be written for now. Who wrote for it is told if something is, after all.
    pub(super) fn rest(&self, half: WriteHalf) -> Result<(), WriteHalf> {
        if self.wants_writer.get() || self.phase.get() != Phase::Open {
            return Err(half);
        }
        self.half.set(Some(half));
        self.rests.set(true);
        self.writer.take();
        Ok(())
    }

    /// All is written that ever will be: closes, and tells the peer so.
    pub(super) fn end(&self, half: WriteHalf) {
        drop(half);
        self.writer.take();
        self.abort();
    }

    /// Whether nobody need wait for the peer's end any more.
    pub(super) const fn is_over(&self) -> bool {
        self.peer_ended.get() || matches!(self.phase.get(), Phase::Closed)
    }

    /// Tells the shard that the peer says nothing more. Whether the socket is kept all the same, to be written to.
    fn ended(&self) -> bool {
        let mut kept = false;
        if self.phase.get() == Phase::Open {
            self.peer_ended.set(true);
            self.core()
                .enter(|shard, now| kept = self.key.handle_ended(shard, now));
            self.notify_writer();
        }
        kept
    }

    /// Tells the shard, once, that a socket which it still knows is gone.
    pub(super) fn lost(&self, reason: &str) {
        if self.phase.get() == Phase::Open {
            self.abort();
            L::sockets(self.core()).borrow_mut().remove(self.key);
            self.core()
                .enter(|shard, now| self.key.handle_closed(shard, now, reason));
        }
    }
}

#[expect(
    clippy::manual_async_fn,
    reason = "see above: the size of a task is that of its futures"
)]
fn read<L: Leg>(socket: Rc<Socket<L>>, mut half: ReadHalf) -> impl Future<Output = ()> {
    async move {
        let reason = loop {
            match socket.phase.get() {
                Phase::Open if !socket.core().reads(socket.key) => {
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
            let buffer = L::buffers(socket.core()).take().await;
            let closed = socket.reader.until(|| socket.phase.get() == Phase::Closed);
            let (result, mut buffer) = match race(pin!(half.read(buffer)), pin!(closed)).await {
                Either::Left(result) => result,
                Either::Right(()) => return L::buffers(socket.core()).lose(),
            };
            if matches!(result, Ok(1..)) && socket.phase.get() == Phase::Open {
                let key = socket.key;
                socket
                    .core()
                    .enter(|shard, now| key.handle_bytes(shard, now, &mut buffer));
            }
            L::buffers(socket.core()).give(buffer);
            match result {
                Ok(0) if socket.ended() => return,
                Ok(0) => break "closed by the peer".to_owned(),
                Ok(_) => {}
                Err(error) => break error.to_string(),
            }
        };
        socket.peer_ended.set(true);
        socket.notify_writer();
        socket.lost(&reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::SessionKey;

    fn bytes<A, B, F>(_: impl Fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_client_fits_where_the_allocator_puts_it() {
        // Two counts go before what is shared, 48 bytes of monoio's around a task; the allocator has places of
        // 112 and of 224 bytes.
        let socket = size_of::<Socket<SessionKey>>();
        assert!(socket <= 112 - 16, "{socket}");
        let reader = bytes(read::<SessionKey>);
        assert!(reader <= 224 - 48, "{reader}");
    }
}
