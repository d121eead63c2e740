//! Bytes that wait for one task to write them.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io, mem,
    task::{Poll, Waker},
};

use monoio::io::{AsyncWriteRent, AsyncWriteRentExt};

#[derive(Default)]
pub(crate) struct Outbox {
    bytes: RefCell<Vec<u8>>,
    closed: Cell<bool>,
    writer: Cell<Option<Waker>>,
}

impl Outbox {
    /// Lets `append` add to what is written next; nothing is, once it is closed.
    pub(crate) fn put(&self, append: impl FnOnce(&mut Vec<u8>)) {
        if !self.closed.get() {
            append(&mut self.bytes.borrow_mut());
            self.wake();
        }
    }

    /// Nothing more is written.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.wake();
    }

    /// Writes until it is closed: everything that is there at a time in one write.
    pub(crate) async fn write_to(&self, mut to: impl AsyncWriteRent) -> io::Result<()> {
        let mut bytes = Vec::new();
        while self.exchange(&mut bytes).await {
            let (written, back) = to.write_all(bytes).await;
            written?;
            bytes = back;
            bytes.clear();
        }
        Ok(())
    }

    /// Waits for bytes and gives an empty buffer for them; false if there will be none.
    async fn exchange(&self, bytes: &mut Vec<u8>) -> bool {
        poll_fn(|context| {
            if self.closed.get() {
                return Poll::Ready(false);
            }
            if !self.bytes.borrow().is_empty() {
                mem::swap(bytes, &mut *self.bytes.borrow_mut());
                return Poll::Ready(true);
            }
            self.writer.set(Some(context.waker().clone()));
            Poll::Pending
        })
        .await
    }

    fn wake(&self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}
