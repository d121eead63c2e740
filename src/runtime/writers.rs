//! The tasks that write, lent to a socket only while there is something to be written. Idle sockets hold none.

use std::{
    cell::{Cell, RefCell},
    io,
    pin::pin,
    rc::Rc,
};

use monoio::{
    BufResult,
    buf::{IoBuf, Slice},
    time::sleep,
};

use super::{
    leg::Leg,
    notify::{Either, Notify, race},
    socket::{Phase, Socket},
    split::WriteHalf,
};

/// More than that many do not wait for a socket: what a burst needed ends with it.
const FREE_MAX: usize = 256;

/// Tasks that write for one kind of socket of a core. As many are made as are needed at a time.
pub(super) struct Writers<L: Leg> {
    free: RefCell<Vec<Rc<Writer<L>>>>,
}

/// A task that writes, for one socket after the other.
pub(super) struct Writer<L: Leg> {
    /// The next one.
    socket: Cell<Option<Rc<Socket<L>>>>,
    wake: Notify,
}

impl<L: Leg> Writers<L> {
    pub(super) fn new() -> Self {
        Self {
            free: RefCell::default(),
        }
    }

    /// Somebody writes for this socket until it rests or ends.
    pub(super) fn lend(&self, socket: Rc<Socket<L>>) {
        // The last one that became free is the one most likely in the cache.
        let free = self.free.borrow_mut().pop();
        let writer = free.unwrap_or_else(|| {
            let writer = Rc::new(Writer {
                socket: Cell::new(None),
                wake: Notify::default(),
            });
            monoio::spawn(run(writer.clone()));
            writer
        });
        writer.socket.set(Some(socket));
        writer.notify();
    }

    /// Whether it is to wait for another socket.
    fn take_back(&self, writer: &Rc<Writer<L>>) -> bool {
        let mut free = self.free.borrow_mut();
        let is_wanted = free.len() < FREE_MAX;
        if is_wanted {
            free.push(writer.clone());
        }
        is_wanted
    }
}

async fn run<L: Leg>(writer: Rc<Writer<L>>) {
    loop {
        let Some(socket) = writer.socket.take() else {
            writer.wake.notified().await;
            continue;
        };
        writer.serve(&socket).await;
        if !L::writers(socket.core()).take_back(&writer) {
            return;
        }
    }
}

impl<L: Leg> Writer<L> {
    /// The socket that it writes for is to be looked at.
    pub(super) fn notify(&self) {
        self.wake.notify();
    }

    /// Writes for a socket until it rests or ends.
    async fn serve(self: &Rc<Self>, socket: &Rc<Socket<L>>) {
        let Some(mut half) = socket.take_half(self.clone()) else {
            return;
        };
        while self.write(socket, &mut half).await {
            match socket.rest(half) {
                Ok(()) => return,
                Err(back) => half = back,
            }
        }
        socket.end(half);
    }

    /// Every outbox that is ready at once leaves in one write. Whether there may be more later.
    async fn write(&self, socket: &Socket<L>, half: &mut WriteHalf) -> bool {
        loop {
            let phase = socket.phase();
            match socket.next_outbox() {
                Some(outbox) => match self.write_all(socket, half, outbox).await {
                    Some(Ok(outbox)) => written(socket, outbox),
                    Some(Err(error)) => {
                        socket.lost(&error.to_string());
                        return false;
                    }
                    None => return false,
                },
                None => match phase {
                    Phase::Open => return true,
                    Phase::Finishing => break,
                    Phase::Closed => return false,
                },
            }
        }
        // Closing now, with bytes of the peer unread, would reset the connection and destroy
        // what is still on its way to the peer.
        if half.shutdown().await.is_ok() {
            let over = self.wake.until(|| socket.is_over());
            let linger_timeout = socket.core().linger_timeout();
            race(pin!(over), Box::pin(sleep(linger_timeout))).await;
        }
        false
    }

    /// `None` if the socket was closed meanwhile, or had to finish and made no progress.
    async fn write_all(
        &self,
        socket: &Socket<L>,
        half: &mut WriteHalf,
        outbox: L::Outbox,
    ) -> Option<io::Result<L::Outbox>> {
        let mut rest = outbox.slice(..);
        loop {
            let begin = rest.begin();
            let (result, slice) = self.write_some(socket, half, rest).await?;
            let written = match result {
                Ok(0) => return Some(Err(io::ErrorKind::WriteZero.into())),
                Ok(written) => begin + written,
                Err(error) => return Some(Err(error)),
            };
            let outbox = slice.into_inner();
            if written >= outbox.bytes_init() {
                return Some(Ok(outbox));
            }
            progress(socket);
            rest = outbox.slice(written..);
        }
    }

    /// One write. As long as the socket is open it may wait for ever (the shard has its own
    /// deadlines); from then on only for the linger timeout.
    async fn write_some(
        &self,
        socket: &Socket<L>,
        half: &mut WriteHalf,
        rest: Slice<L::Outbox>,
    ) -> Option<BufResult<usize, Slice<L::Outbox>>> {
        let mut write = pin!(half.write(rest));
        let not_open = self.wake.until(|| socket.phase() > Phase::Open);
        if let Either::Left(result) = race(write.as_mut(), pin!(not_open)).await {
            return Some(result);
        }
        let aborted = self.wake.until(|| socket.phase() == Phase::Closed);
        let too_late = Box::pin(sleep(socket.core().linger_timeout()));
        match race(write, race(pin!(aborted), too_late)).await {
            Either::Left(result) => Some(result),
            Either::Right(_) => None,
        }
    }
}

/// An outbox is written; its buffer goes back.
fn written<L: Leg>(socket: &Socket<L>, outbox: L::Outbox) {
    if socket.phase() == Phase::Open {
        let key = socket.key();
        socket
            .core()
            .enter(|shard, now| key.handle_written(shard, now, outbox));
    }
}

/// Part of an outbox is written.
fn progress<L: Leg>(socket: &Socket<L>) {
    if socket.phase() == Phase::Open {
        let key = socket.key();
        socket
            .core()
            .enter(|shard, now| key.handle_progress(shard, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::SessionKey;

    #[test]
    fn what_a_burst_needed_ends_with_it() {
        let writers = Writers::<SessionKey>::new();
        let waiting = || {
            let writer = Rc::new(Writer {
                socket: Cell::new(None),
                wake: Notify::default(),
            });
            writers.take_back(&writer)
        };
        let kept = (0..2 * FREE_MAX).filter(|_| waiting()).count();
        assert_eq!((kept, writers.free.borrow().len()), (FREE_MAX, FREE_MAX));
    }
}
