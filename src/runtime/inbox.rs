//! Orders from other threads to a shard: a bounded queue and a wake-up.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    task::Poll,
};

use atomic_waker::AtomicWaker;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::balance::Place;
use crate::{
    config::DataKey,
    metrics::{Part, Question},
    shard::{DataKeyRequest, Location, LookupKey, NotLocated, ResolveKey, SessionKey, Survey},
};

/// Far above what a shard ever has outstanding: clients that another shard accepted a moment ago,
/// answers to lookups and of workers, and a few orders in a process's life. When full, the main thread and
/// the control thread wait; a shard never waits for another one, which might wait for it.
const ORDERS_MAX: usize = 1024;

/// What a shard is told from outside.
pub(super) enum Order {
    /// Serve this address.
    Listen(TcpListener),
    /// Take this client in, which another shard accepted.
    Client(Accepted),
    /// A name was looked up.
    Resolved {
        request: ResolveKey,
        result: Result<Vec<SocketAddr>, String>,
    },
    /// A topic's broker was looked up over HTTP.
    Located {
        lookup: LookupKey,
        result: Result<Location, NotLocated>,
    },
    /// A data key was decrypted, or can't be.
    DataKey {
        request: DataKeyRequest,
        key: Option<DataKey>,
    },
    /// Say your part of the answer to a client's question.
    Question {
        question: Arc<Question>,
        parts: Sender<Part>,
    },
    /// Every shard's part is joined.
    Survey { client: SessionKey, survey: Survey },
    /// The status file was looked at.
    Status { client: SessionKey, is_there: bool },
    /// Finish and end.
    Drain,
}

/// A client's socket of which nothing was read yet.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) place: Place,
}

/// The other threads' end.
#[derive(Clone)]
pub(super) struct OrderSender {
    orders: Sender<Order>,
    waker: Arc<AtomicWaker>,
}

/// The shard's end.
pub(super) struct Inbox {
    orders: Receiver<Order>,
    waker: Arc<AtomicWaker>,
}

pub(super) fn inbox() -> (OrderSender, Inbox) {
    let (sender, receiver) = bounded(ORDERS_MAX);
    let waker = Arc::new(AtomicWaker::new());
    let orders = OrderSender {
        orders: sender,
        waker: waker.clone(),
    };
    let inbox = Inbox {
        orders: receiver,
        waker,
    };
    (orders, inbox)
}

impl OrderSender {
    /// Hands an order over. A shard that has ended drops it.
    pub(super) fn send(&self, order: Order) {
        if self.orders.send(order).is_ok() {
            self.waker.wake();
        }
    }

    /// Hands an order over that a shard may do without; false if it has too much to do, or has ended.
    pub(super) fn try_send(&self, order: Order) -> bool {
        let is_sent = self.orders.try_send(order).is_ok();
        if is_sent {
            self.waker.wake();
        }
        is_sent
    }

    /// Hands a client over; it comes back if the shard has too much to do, or has ended.
    pub(super) fn try_send_client(&self, client: Accepted) -> Result<(), Accepted> {
        match self.orders.try_send(Order::Client(client)) {
            Ok(()) => {
                self.waker.wake();
                Ok(())
            }
            Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) => match order {
                Order::Client(client) => Err(client),
                _ => Ok(()),
            },
        }
    }
}

impl Inbox {
    /// The next order. May be dropped: it takes none before it is ready.
    pub(super) async fn next(&self) -> Order {
        std::future::poll_fn(|context| {
            if let Ok(order) = self.orders.try_recv() {
                return Poll::Ready(order);
            }
            self.waker.register(context.waker());
            // An order may have come between the look and the registration.
            self.orders.try_recv().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}
