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

/// So many may wait for a socket that none comes for.
const SPARE_MAX: usize = 256;
/// When so many were given back, and each a few times, it is seen for how many no socket came.
const PERIOD: usize = 4096;
const TIMES: usize = 4;

/// Tasks that write for one kind of socket of a core. As many are made as are needed at a time, and stay as long as
/// they are: what a burst needed ends when others were busy for a while.
pub(super) struct Writers<L: Leg> {
    free: RefCell<Vec<Rc<Writer<L>>>>,
    /// Those that are free or lent.
    all: Cell<usize>,
    /// The fewest that were free in this period, in which so many were given back.
    fewest_free: Cell<usize>,
    age: Cell<usize>,
    /// So many are to end.
    surplus: Cell<usize>,
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
            all: Cell::new(0),
            fewest_free: Cell::new(0),
            age: Cell::new(0),
            surplus: Cell::new(0),
        }
    }

    /// Somebody writes for this socket until it rests or ends.
    pub(super) fn lend(&self, socket: Rc<Socket<L>>) {
        // The last one that became free is the one most likely in the cache.
        let (writer, is_new) = self.take();
        if is_new {
            monoio::spawn(run(writer.clone()));
        }
        writer.socket.set(Some(socket));
        writer.notify();
    }

    /// One that is free, or a new one.
    fn take(&self) -> (Rc<Writer<L>>, bool) {
        let mut free = self.free.borrow_mut();
        let writer = free.pop();
        self.fewest_free.set(self.fewest_free.get().min(free.len()));
        let is_new = writer.is_none();
        self.all.set(self.all.get() + usize::from(is_new));
        (writer.unwrap_or_else(|| Rc::new(Writer::new())), is_new)
    }

    /// Whether it is to wait for another socket.
    fn take_back(&self, writer: &Rc<Writer<L>>) -> bool {
        let mut free = self.free.borrow_mut();
        self.age.set(self.age.get() + 1);
        if self.age.get() >= PERIOD.max(TIMES * self.all.get()) {
            self.surplus
                .set(self.fewest_free.get().saturating_sub(SPARE_MAX));
            self.fewest_free.set(free.len());
            self.age.set(0);
        }
        if let Some(surplus) = self.surplus.get().checked_sub(1) {
            self.surplus.set(surplus);
            self.all.set(self.all.get() - 1);
            return false;
        }
        free.push(writer.clone());
        true
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
    fn new() -> Self {
        Self {
            socket: Cell::new(None),
            wake: Notify::default(),
        }
    }

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

    /// So many sockets write at a time; tells how many writers were made for them.
    fn write_at_once(writers: &Writers<SessionKey>, sockets: usize) -> usize {
        let lent: Vec<_> = (0..sockets).map(|_| writers.take()).collect();
        for (writer, _) in &lent {
            writers.take_back(writer);
        }
        lent.iter().filter(|(_, is_new)| *is_new).count()
    }

    #[test]
    fn as_many_stay_as_write_at_a_time() {
        let writers = Writers::new();
        assert_eq!(write_at_once(&writers, 3 * PERIOD), 3 * PERIOD);
        for _ in 0..10 {
            assert_eq!(write_at_once(&writers, 3 * PERIOD), 0);
        }
    }

    #[test]
    fn what_a_burst_needed_ends_when_others_were_busy_for_a_while() {
        let writers = Writers::new();
        write_at_once(&writers, 3 * PERIOD);
        for _ in 0..5 * TIMES * 3 * PERIOD {
            assert_eq!(write_at_once(&writers, 1), 0);
        }
        assert!(writers.free.borrow().len() <= SPARE_MAX + 1);
        assert_eq!(write_at_once(&writers, SPARE_MAX), 0);
    }
}
