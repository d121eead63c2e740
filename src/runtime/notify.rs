//! Waking one task from another on the same core.
//!
//! One flag, one waiting task. Nothing here wakes the task that is being polled: on monoio a task
//! that wakes itself starves timers and other tasks.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

/// A wake-up that is kept until it is taken. Only one task may wait at a time.
#[derive(Default)]
pub(super) struct Notify {
    flagged: Cell<bool>,
    waiting: Cell<Option<Waker>>,
}

impl Notify {
    /// Wakes the waiting task, or the next one to wait.
    pub(super) fn notify(&self) {
        self.flagged.set(true);
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    /// Waits for a wake-up and takes it.
    pub(super) fn notified(&self) -> impl Future<Output = ()> {
        self.wait(|| self.flagged.replace(false))
    }

    /// Waits until a wake-up finds `condition` true. Takes no wake-up, so that one that was meant
    /// for [`Notify::notified`] is still there afterwards.
    pub(super) fn until(&self, condition: impl Fn() -> bool) -> impl Future<Output = ()> {
        self.wait(condition)
    }

    fn wait<C: Fn() -> bool>(&self, condition: C) -> Wait<'_, C> {
        Wait {
            notify: self,
            condition,
        }
    }
}

struct Wait<'a, C> {
    notify: &'a Notify,
    condition: C,
}

impl<C: Fn() -> bool> Future for Wait<'_, C> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if (self.condition)() {
            return Poll::Ready(());
        }
        let waiting = &self.notify.waiting;
        let waker = match waiting.take() {
            Some(waker) if waker.will_wake(context.waker()) => waker,
            _ => context.waker().clone(),
        };
        waiting.set(Some(waker));
        Poll::Pending
    }
}

impl<C> Drop for Wait<'_, C> {
    fn drop(&mut self) {
        // Who no longer waits must not be woken: it may be the one that notifies.
        self.notify.waiting.take();
    }
}

/// Which of two futures was ready first.
pub(super) enum Either<A, B> {
    Left(A),
    Right(B),
}

/// Waits for the first of two futures. When both are ready it is the left one. Who drops the other
/// one must know that it may be dropped: a read or write only when its socket ends with it.
///
/// Takes them pinned (`race(pin!(a), pin!(b))`): as an `async fn` it would store each future twice,
/// in every socket's task.
pub(super) fn race<A, B>(left: A, right: B) -> Race<A, B>
where
    A: Future + Unpin,
    B: Future + Unpin,
{
    Race { left, right }
}

/// See [`race`].
pub(super) struct Race<A, B> {
    left: A,
    right: B,
}

impl<A: Future + Unpin, B: Future + Unpin> Future for Race<A, B> {
    type Output = Either<A::Output, B::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = Pin::new(&mut self.left).poll(context) {
            return Poll::Ready(Either::Left(output));
        }
        Pin::new(&mut self.right).poll(context).map(Either::Right)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll<F: Future>(future: Pin<&mut F>, count: &Arc<Count>) -> Poll<F::Output> {
        let waker = Waker::from(count.clone());
        future.poll(&mut Context::from_waker(&waker))
    }

    #[test]
    fn a_wake_up_is_kept_and_taken_once() {
        let (notify, count) = (Notify::default(), Arc::new(Count::default()));
        notify.notify();
        notify.notify();
        assert!(poll(pin!(notify.notified()), &count).is_ready());
        let mut second = pin!(notify.notified());
        assert!(poll(second.as_mut(), &count).is_pending());
        notify.notify();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(poll(second, &count).is_ready());
    }

    #[test]
    fn until_leaves_the_wake_up() {
        let (notify, count, ready) = (
            Notify::default(),
            Arc::new(Count::default()),
            Cell::new(false),
        );
        let mut until = Box::pin(notify.until(|| ready.get()));
        assert!(poll(until.as_mut(), &count).is_pending());
        notify.notify();
        assert!(poll(until.as_mut(), &count).is_pending());
        ready.set(true);
        notify.notify();
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert!(poll(until.as_mut(), &count).is_ready());
        drop(until);
        assert!(poll(pin!(notify.notified()), &count).is_ready());
    }

    #[test]
    fn who_stopped_waiting_is_not_woken() {
        let (notify, count) = (Notify::default(), Arc::new(Count::default()));
        let mut waiting = Box::pin(notify.notified());
        assert!(poll(waiting.as_mut(), &count).is_pending());
        drop(waiting);
        notify.notify();
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
    }
}
