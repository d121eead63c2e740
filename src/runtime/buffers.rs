//! Read buffers, lent to a socket only while bytes wait for it. Idle sockets hold none.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
};

use super::notify::Notify;

/// Buffers of one size, for one core. There are never more than `lent_max`: when a burst wants
/// more, sockets get theirs in the order in which they asked. A lent buffer comes back within a
/// turn or two, because it is lent only when bytes are there to be read.
pub(super) struct Buffers {
    bytes: usize,
    /// Buffers lent and free together; at most `lent_max`.
    made: Cell<usize>,
    lent_max: usize,
    free: RefCell<Vec<Vec<u8>>>,
    /// Empty as long as a buffer is free or can be made.
    waiting: RefCell<VecDeque<Rc<Waiting>>>,
}

#[derive(Default)]
struct Waiting {
    buffer: RefCell<Option<Vec<u8>>>,
    notify: Notify,
}

impl Buffers {
    pub(super) fn new(bytes: usize, lent_max: usize) -> Self {
        Self {
            bytes,
            made: Cell::new(0),
            lent_max,
            free: RefCell::default(),
            waiting: RefCell::default(),
        }
    }

    /// An empty buffer, to be given back. Must not be dropped while it waits: a buffer may already
    /// be under way to it.
    pub(super) async fn take(&self) -> Vec<u8> {
        if let Some(buffer) = self.take_now() {
            return buffer;
        }
        let place = Rc::new(Waiting::default());
        self.waiting.borrow_mut().push_back(place.clone());
        loop {
            place.notify.notified().await;
            if let Some(buffer) = place.buffer.take() {
                return buffer;
            }
        }
    }

    /// Takes a buffer back.
    pub(super) fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        match self.waiting.borrow_mut().pop_front() {
            Some(first) => {
                first.buffer.replace(Some(buffer));
                first.notify.notify();
            }
            None => self.free.borrow_mut().push(buffer),
        }
    }

    /// How many sockets hold.
    pub(super) fn lent(&self) -> u64 {
        (self.made.get() - self.free.borrow().len()) as u64
    }

    /// How many there are.
    pub(super) fn made(&self) -> u64 {
        self.made.get() as u64
    }

    /// Takes note that a lent buffer will not come back: the kernel has it.
    pub(super) fn lose(&self) {
        self.give(Vec::with_capacity(self.bytes));
    }

    fn take_now(&self) -> Option<Vec<u8>> {
        // The last one given back is the one most likely in the cache.
        if let Some(buffer) = self.free.borrow_mut().pop() {
            return Some(buffer);
        }
        (self.made.get() < self.lent_max).then(|| {
            self.made.set(self.made.get() + 1);
            Vec::with_capacity(self.bytes)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn lends_so_many_and_then_in_order() {
        let buffers = Buffers::new(64, 2);
        let Poll::Ready(mut first) = poll(pin!(buffers.take())) else {
            panic!("the first is free");
        };
        assert!(poll(pin!(buffers.take())).is_ready());
        let (mut third, mut fourth) = (pin!(buffers.take()), pin!(buffers.take()));
        assert!(poll(third.as_mut()).is_pending());
        assert!(poll(fourth.as_mut()).is_pending());
        first.push(1);
        buffers.give(first);
        assert!(poll(fourth.as_mut()).is_pending());
        let Poll::Ready(third) = poll(third) else {
            panic!("the first was given back");
        };
        assert!(third.is_empty() && third.capacity() >= 64);
        buffers.lose();
        assert!(poll(fourth).is_ready());
        assert_eq!(buffers.made.get(), 2);
        assert!(buffers.waiting.borrow().is_empty());
    }
}
