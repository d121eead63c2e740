//! The halves of a stream, for a task that reads and a task that writes.
//!
//! monoio's read half can read, but not wait for bytes without a buffer, which is what lets an idle
//! socket hold none. No function here is `async`: each passes monoio's future on as it is, because one
//! around it would hold the buffer a second time, in every socket's task.
#![allow(
    unsafe_code,
    reason = "monoio offers `readable` on the whole stream only, and its halves share it through \
              an UnsafeCell"
)]

use std::{future::Future, io};

use monoio::{
    BufResult,
    buf::IoBuf,
    io::{AsyncReadRent, AsyncWriteRent, Splitable},
    net::{
        TcpStream,
        tcp::{TcpOwnedReadHalf, TcpOwnedWriteHalf},
    },
};

/// Reads; belongs to one task.
pub(super) struct ReadHalf(TcpOwnedReadHalf);

/// Writes; belongs to one task. Dropping it tells the peer that nothing more comes.
pub(super) struct WriteHalf(TcpOwnedWriteHalf);

pub(super) fn split(stream: TcpStream) -> (ReadHalf, WriteHalf) {
    let (read, write) = stream.into_split();
    (ReadHalf(read), WriteHalf(write))
}

impl ReadHalf {
    /// Waits until bytes, the end or an error can be read. May be dropped: it takes nothing.
    pub(super) fn readable(&self) -> impl Future<Output = io::Result<()>> {
        // SAFETY: both halves live on one thread (`Rc`), and the stream behind the cell is never
        // replaced or moved while either half lives. `readable` looks at the stream's descriptor
        // handle, which is set once at creation; the write half's methods only clone that handle
        // too, so nothing is written behind this shared reference.
        let stream = unsafe { &*self.0.0.get() };
        stream.readable(false)
    }

    /// Reads into the buffer's capacity, from its beginning. Dropped while it waits, it loses what
    /// arrives in the meantime.
    pub(super) fn read(
        &mut self,
        buffer: Vec<u8>,
    ) -> impl Future<Output = BufResult<usize, Vec<u8>>> {
        self.0.read(buffer)
    }
}

impl WriteHalf {
    /// Writes as much as the kernel takes at once, at least one byte.
    pub(super) fn write<B: IoBuf>(
        &mut self,
        buffer: B,
    ) -> impl Future<Output = BufResult<usize, B>> {
        self.0.write(buffer)
    }

    /// Tells the peer that nothing more comes.
    pub(super) async fn shutdown(&mut self) -> io::Result<()> {
        self.0.shutdown().await
    }
}
