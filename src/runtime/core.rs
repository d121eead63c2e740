//! A core's shard with what stands around it: calls go in through [`Core::enter`], and what the
//! shard then wants is carried out before anything else happens.

use std::{
    cell::{Cell, RefCell},
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use crossbeam_channel::bounded;
use monoio::{
    net::TcpStream,
    time::{sleep, timeout},
};

use super::{
    balance::{Balance, Place, Verdict},
    buffers::Buffers,
    clock::Clock,
    inbox::{Accepted, Order, OrderSender},
    leg::{Leg, Sockets},
    notify::{Either, Notify, race},
    socket::Socket,
    writers::Writers,
};
use crate::{
    config::{Config, Driver},
    control::{self, Control},
    metrics::{Part, Question},
    shard::{
        ConnectionKey, DataKeyRequest, Effect, Instant, Location, LookupKey, NotLocated, Now,
        ResolveKey, SessionKey, Shard, Survey, Wanted,
    },
};

/// A client's read: more than most have waiting, and little enough to stay in the L2 cache.
const CLIENT_READ_BYTES: usize = 64 * 1024;
/// Read buffers of clients that a core lends at a time: 8 MiB.
const CLIENT_BUFFERS_MAX: usize = 128;
/// A broker's read: its connection carries many sessions.
const BROKER_READ_BYTES: usize = 256 * 1024;
/// Read buffers of brokers that a core lends at a time: 4 MiB.
const BROKER_BUFFERS_MAX: usize = 16;
/// How long a question waits for a shard's part: many turns of a busy one.
const PART_TIMEOUT: Duration = Duration::from_secs(1);
/// Shortest sleep of the timer.
const TIMER_TICK: Duration = Duration::from_millis(1);

/// One core's world, shared by its tasks.
pub(super) struct Core {
    shard: RefCell<Shard>,
    config: Arc<Config>,
    clock: Clock,
    control: Control,
    index: usize,
    balance: Balance,
    /// Every shard's inbox, this one's at `index`.
    shards: Arc<[OrderSender]>,
    pub(super) clients: Sockets<SessionKey>,
    pub(super) brokers: Sockets<ConnectionKey>,
    pub(super) client_buffers: Buffers,
    pub(super) broker_buffers: Buffers,
    pub(super) client_writers: Writers<SessionKey>,
    pub(super) broker_writers: Writers<ConnectionKey>,
    /// Sockets with a living task, those that the shard forgot included.
    sockets_alive: Cell<usize>,
    /// The deadline that the timer sleeps for.
    armed: Cell<Option<Instant>>,
    timer: Notify,
    stopping: Cell<bool>,
    drained: Cell<bool>,
    ended: Notify,
}

impl Core {
    pub(super) fn new(
        shard: Shard,
        config: Arc<Config>,
        clock: Clock,
        control: Control,
        index: usize,
        balance: Balance,
        shards: Arc<[OrderSender]>,
    ) -> Self {
        Self {
            shard: RefCell::new(shard),
            config,
            clock,
            control,
            index,
            balance,
            shards,
            clients: Sockets::<SessionKey>::default(),
            brokers: Sockets::<ConnectionKey>::default(),
            client_buffers: Buffers::new(CLIENT_READ_BYTES, CLIENT_BUFFERS_MAX),
            broker_buffers: Buffers::new(BROKER_READ_BYTES, BROKER_BUFFERS_MAX),
            client_writers: Writers::new(),
            broker_writers: Writers::new(),
            sockets_alive: Cell::new(0),
            armed: Cell::new(None),
            timer: Notify::default(),
            stopping: Cell::new(false),
            drained: Cell::new(false),
            ended: Notify::default(),
        }
    }

    /// One completion is one call into the shard: reads the clock, runs what is due, makes the
    /// call, and does what the shard asks for.
    pub(super) fn enter(self: &Rc<Self>, call: impl FnOnce(&mut Shard, Now)) {
        self.call(call);
        self.settle();
    }

    /// A client connected: the shard with the fewest clients takes it in.
    pub(super) fn accept(self: &Rc<Self>, stream: std::net::TcpStream, peer: SocketAddr) {
        let place = match self.balance.place(self.index) {
            Verdict::Admitted(place) | Verdict::Refused(place) => place,
            Verdict::Dropped => return tracing::debug!(%peer, "client dropped: there are too many"),
        };
        let client = Accepted {
            stream,
            peer,
            place,
        };
        let Some(shard) = client.place.shard().filter(|shard| *shard != self.index) else {
            return self.take_in(client);
        };
        // A shard that is draining may end any moment, with the client in its inbox.
        let back = if self.stopping.get() {
            client
        } else if let Err(client) = self.shards[shard].try_send_client(client) {
            client
        } else {
            return;
        };
        self.take_in(Accepted {
            place: back.place.moved(self.index),
            ..back
        });
    }

    /// Whoever is accepted from now on stays here.
    pub(super) fn stop(&self) {
        self.stopping.set(true);
    }

    /// Serves a client here.
    pub(super) fn take_in(self: &Rc<Self>, client: Accepted) {
        let Accepted {
            stream,
            peer,
            place,
        } = client;
        let local = stream.local_addr().unwrap_or(peer);
        let stream = match stream
            .set_nodelay(true)
            // io_uring waits by itself; epoll needs a read that says that there is nothing yet.
            .and_then(|()| stream.set_nonblocking(self.config.driver == Driver::Epoll))
            .and_then(|()| TcpStream::from_std(stream))
        {
            Ok(stream) => stream,
            Err(error) => return tracing::debug!(%peer, %error, "client gone before it was served"),
        };
        let client = self.call(|shard, now| match place.shard() {
            Some(_) => shard.handle_accepted(now, peer, local),
            None => shard.handle_surplus(now, peer, local),
        });
        // The shard may already want something of this socket.
        let socket = Rc::new(Socket::new(client, Alive::new(self, Some(place))));
        self.clients.borrow_mut().insert(client, socket.clone());
        socket.serve(stream);
        self.settle();
    }

    pub(super) fn reads<L: Leg>(&self, key: L) -> bool {
        key.reads(&self.shard.borrow())
    }

    pub(super) fn take_outbox<L: Leg>(self: &Rc<Self>, key: L) -> Option<L::Outbox> {
        let outbox = key.take_outbox(&mut self.shard.borrow_mut());
        // The room it leaves may let somebody read again.
        self.settle();
        outbox
    }

    /// Read buffers of clients and of brokers: those that are lent, and those that there are.
    pub(super) fn buffer_counts(&self) -> [(u64, u64); 2] {
        [&self.client_buffers, &self.broker_buffers].map(|buffers| (buffers.lent(), buffers.made()))
    }

    pub(super) fn linger_timeout(&self) -> Duration {
        self.config.linger_timeout
    }

    /// Runs the shard's deadlines, for ever.
    pub(super) async fn run_timers(self: Rc<Self>) {
        loop {
            let deadline = self.shard.borrow().poll_timeout();
            self.armed.set(deadline);
            match deadline {
                None => self.timer.notified().await,
                Some(deadline) => {
                    // The ring counts in milliseconds. Nothing may be due after a call, so a
                    // shorter sleep could only be a shard's bug, and must not become a busy loop.
                    let delay = deadline.since(self.clock.now().mono).max(TIMER_TICK);
                    race(pin!(sleep(delay)), pin!(self.timer.notified())).await;
                }
            }
            self.enter(|_, _| ());
        }
    }

    /// Waits until the shard has drained and all sockets are closed.
    pub(super) async fn ended(&self) {
        self.ended
            .until(|| self.drained.get() && self.sockets_alive.get() == 0)
            .await;
    }

    /// Whether the shard drained by its deadline, with something unfinished.
    pub(super) fn is_cut_short(&self) -> bool {
        self.shard.borrow().is_cut_short()
    }

    fn call<R>(&self, call: impl FnOnce(&mut Shard, Now) -> R) -> R {
        let now = self.clock.now();
        let mut shard = self.shard.borrow_mut();
        // monoio's own timers fire only when nothing else is to do.
        if shard
            .poll_timeout()
            .is_some_and(|deadline| deadline <= now.mono)
        {
            shard.handle_timeout(now);
        }
        let result = call(&mut shard, now);
        shard.handle_turn_over(self.clock.mono().nanos_since(now.mono));
        result
    }

    fn settle(self: &Rc<Self>) {
        loop {
            let effect = self.shard.borrow_mut().poll_effect();
            match effect {
                Some(effect) => self.carry_out(effect),
                None => break,
            }
        }
        let deadline = self.shard.borrow().poll_timeout();
        // A later deadline need not wake the timer: it finds nothing due and sleeps again.
        if let Some(deadline) = deadline
            && self.armed.get().is_none_or(|armed| deadline < armed)
        {
            self.armed.set(Some(deadline));
            self.timer.notify();
        }
    }

    fn carry_out(self: &Rc<Self>, effect: Effect) {
        match effect {
            Effect::WriteClient(client) => with_socket(&self.clients, client, Socket::wake_writer),
            Effect::WriteBroker(broker) => with_socket(&self.brokers, broker, Socket::wake_writer),
            Effect::Read(client) => with_socket(&self.clients, client, Socket::wake_reader),
            Effect::Finish { client, last } => {
                if let Some(socket) = self.clients.borrow_mut().remove(client) {
                    socket.finish(last);
                }
            }
            Effect::Abort(client) => {
                if let Some(socket) = self.clients.borrow_mut().remove(client) {
                    socket.abort();
                }
            }
            Effect::Connect {
                connection,
                address,
            } => self.connect(connection, address),
            Effect::Disconnect(connection) => {
                if let Some(socket) = self.brokers.borrow_mut().remove(connection) {
                    socket.abort();
                }
            }
            Effect::Resolve {
                request,
                host,
                port,
            } => self.resolve(request, host, port),
            Effect::Locate {
                lookup,
                topic,
                wanted,
            } => self.locate(lookup, topic, wanted),
            Effect::DecryptKey {
                request,
                name,
                encrypted,
            } => self.decrypt_key(request, name, encrypted),
            Effect::Survey { client, question } => self.survey(client, question),
            Effect::LookAtStatusFile(client) => self.look_at_status_file(client),
            Effect::Drained => {
                for broker in self.brokers.borrow_mut().take_all() {
                    broker.abort();
                }
                self.drained.set(true);
                self.ended.notify();
            }
        }
    }

    fn connect(self: &Rc<Self>, connection: ConnectionKey, address: SocketAddr) {
        let socket = Rc::new(Socket::new(connection, Alive::new(self, None)));
        self.brokers.borrow_mut().insert(connection, socket.clone());
        let core = self.clone();
        monoio::spawn(async move {
            let connecting = timeout(
                core.config.connect_timeout,
                TcpStream::connect_addr(address),
            );
            let connected = match race(pin!(connecting), pin!(socket.aborted())).await {
                Either::Left(Ok(connected)) => connected,
                Either::Left(Err(_)) => Err(io::ErrorKind::TimedOut.into()),
                Either::Right(()) => return,
            };
            match connected.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
                Ok(stream) => {
                    core.enter(|shard, now| shard.handle_connected(now, connection));
                    socket.serve(stream);
                }
                Err(error) => {
                    core.brokers.borrow_mut().remove(connection);
                    let reason = format!("connect to {address}: {error}");
                    core.enter(|shard, now| shard.handle_disconnected(now, connection, &reason));
                }
            }
        });
    }

    /// The shard is not being served here, so an answer that is at hand may go in at once.
    fn resolve(&self, request: ResolveKey, host: String, port: u16) {
        let answer = |result| self.call(|shard, now| shard.handle_resolved(now, request, result));
        if let Ok(address) = host.parse::<IpAddr>() {
            return answer(Ok(vec![SocketAddr::new(address, port)]));
        }
        let orders = self.shards[self.index].clone();
        let reply = move |result| orders.send(Order::Resolved { request, result });
        if self.control.resolve(host, port, Box::new(reply)).is_err() {
            answer(Err("too many names are being looked up".to_owned()));
        }
    }

    /// Every shard says its part, this one too; a worker waits for them and joins them.
    fn survey(&self, client: SessionKey, question: Question) {
        let shards = self.shards.len();
        let (parts, said) = bounded(shards);
        let question = Arc::new(question);
        for shard in &*self.shards {
            let (question, parts) = (question.clone(), parts.clone());
            // Without the part of a shard that has no time there is no answer.
            shard.try_send(Order::Question { question, parts });
        }
        drop(parts);
        let orders = self.shards[self.index].clone();
        let joined = move || {
            let parts: Vec<Part> = (0..shards)
                .map_while(|_| said.recv_timeout(PART_TIMEOUT).ok())
                .collect();
            let survey = if parts.len() == shards {
                Survey::of(&question, parts)
            } else {
                Survey::Failed
            };
            orders.send(Order::Survey { client, survey });
        };
        if self.control.work(Box::new(joined)).is_err() {
            self.call(|shard, now| shard.handle_survey(now, client, Survey::Failed));
        }
    }

    fn decrypt_key(&self, request: DataKeyRequest, name: String, encrypted: Vec<u8>) {
        let orders = self.shards[self.index].clone();
        let reply = move |key| orders.send(Order::DataKey { request, key });
        let asked = self.control.decrypt_key(name, encrypted, Box::new(reply));
        if asked.is_err() {
            self.call(|shard, now| shard.handle_no_data_key(now, request));
        }
    }

    fn look_at_status_file(&self, client: SessionKey) {
        let path = self.config.status_file.clone().unwrap_or_default();
        let orders = self.shards[self.index].clone();
        let reply = move |is_there| orders.send(Order::Status { client, is_there });
        if self.control.is_file(path, Box::new(reply)).is_err() {
            self.call(|shard, now| shard.handle_status(now, client, None));
        }
    }

    fn locate(&self, lookup: LookupKey, topic: String, wanted: Wanted) {
        let orders = self.shards[self.index].clone();
        let reply = move |result| {
            let result = located(result);
            orders.send(Order::Located { lookup, result });
        };
        let wants = match wanted {
            Wanted::Broker => control::Wanted::Broker,
            Wanted::PartitionsOrBroker => control::Wanted::PartitionsOrBroker,
            Wanted::Partitions => control::Wanted::Partitions,
            Wanted::Topics => control::Wanted::Topics,
        };
        let asked = self.control.locate(topic, wants, Box::new(reply));
        if asked.is_err() {
            let error = NotLocated {
                status: None,
                message: "too many topics are being looked up".to_owned(),
            };
            self.call(|shard, now| shard.handle_located(now, lookup, Err(error)));
        }
    }
}

/// The control thread and the shard know nothing of each other.
fn located(
    result: Result<control::Location, control::LookupError>,
) -> Result<Location, NotLocated> {
    match result {
        Ok(location) => Ok(Location {
            partitions: location.partitions,
            broker_url: location.broker_url,
            topics: location.topics,
        }),
        Err(error) => Err(NotLocated {
            status: error.status,
            message: error.message,
        }),
    }
}

/// Counts a socket as long as anybody serves it, and a client's among all clients.
pub(super) struct Alive {
    pub(super) core: Rc<Core>,
    _place: Option<Place>,
}

impl Alive {
    fn new(core: &Rc<Core>, place: Option<Place>) -> Self {
        core.sockets_alive.set(core.sockets_alive.get() + 1);
        Self {
            core: core.clone(),
            _place: place,
        }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        let alive = &self.core.sockets_alive;
        alive.set(alive.get() - 1);
        self.core.ended.notify();
    }
}

fn with_socket<L: Leg>(sockets: &Sockets<L>, key: L, then: impl FnOnce(&Rc<Socket<L>>)) {
    if let Some(socket) = sockets.borrow().get(key) {
        then(socket);
    }
}
