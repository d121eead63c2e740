//! A shard's thread: pinned, with a ring of its own, running until the shard has drained.

use std::{pin::pin, rc::Rc, sync::Arc, thread};

use crossbeam_channel::Sender;

use super::{
    Event,
    balance::Balance,
    clock::Clock,
    core::Core,
    error::StartError,
    inbox::{Inbox, Order, OrderSender},
    listener::Acceptor,
    notify::{Either, race},
    ring::Ring,
};
use crate::{
    config::Config,
    control::Control,
    shard::{Budgets, Shard},
};

/// What each shard's thread begins with.
pub(super) struct Seat {
    pub(super) index: usize,
    pub(super) cpu: Option<usize>,
    pub(super) seed: u64,
    pub(super) zone: jiff::tz::TimeZone,
    pub(super) config: Arc<Config>,
    pub(super) clock: Clock,
    pub(super) control: Control,
    pub(super) budgets: Budgets,
    pub(super) events: Sender<Event>,
    pub(super) balance: Balance,
    /// What this shard is told.
    pub(super) inbox: Inbox,
    /// What it may tell the others, and itself.
    pub(super) shards: Arc<[OrderSender]>,
}

/// Starts the thread. Its first event is that its ring is ready, or why not; its last one that it
/// has ended, by a panic too.
pub(super) fn spawn(seat: Seat) -> Result<(), StartError> {
    thread::Builder::new()
        .name(format!("shard-{}", seat.index))
        .spawn(move || {
            let mut end = End {
                index: seat.index,
                cut_short: false,
                events: seat.events.clone(),
            };
            end.cut_short = run(seat);
        })
        .map_err(|error| StartError::os("can't start a thread", error))?;
    Ok(())
}

/// Tells whether the drain was cut short.
fn run(seat: Seat) -> bool {
    let ring = pin(seat.cpu).and_then(|()| {
        Ring::build(seat.config.driver).map_err(|error| StartError::ring(seat.index, &error))
    });
    let (ring, ready) = match ring {
        Ok(ring) => (Some(ring), Ok(())),
        Err(error) => (None, Err(error)),
    };
    // Nobody listens any more if another shard failed to start.
    let told = seat.events.send(Event::Ready(ready));
    let (Some(mut ring), Ok(())) = (ring, told) else {
        return false;
    };
    let shard =
        Shard::new(seat.config.clone(), seat.index, seat.seed, seat.zone).sharing(seat.budgets);
    ring.block_on(async {
        let core = Rc::new(Core::new(
            shard,
            seat.config,
            seat.clock,
            seat.control,
            seat.index,
            seat.balance,
            seat.shards,
        ));
        follow_orders(&core, &seat.inbox).await;
        core.is_cut_short()
    })
}

async fn follow_orders(core: &Rc<Core>, inbox: &Inbox) {
    monoio::spawn(core.clone().run_timers());
    let mut acceptors: Vec<Rc<Acceptor>> = Vec::new();
    loop {
        let Either::Left(order) = race(pin!(inbox.next()), pin!(core.ended())).await else {
            return;
        };
        match order {
            Order::Listen(listener) => {
                let acceptor = Rc::new(Acceptor::new(listener));
                acceptors.push(acceptor.clone());
                monoio::spawn(acceptor.run(core.clone()));
            }
            Order::Client(client) => core.take_in(client),
            Order::Resolved { request, result } => {
                core.enter(|shard, now| shard.handle_resolved(now, request, result));
            }
            Order::Located { lookup, result } => {
                core.enter(|shard, now| shard.handle_located(now, lookup, result));
            }
            Order::DataKey { request, key } => {
                core.enter(|shard, now| shard.handle_data_key(now, request, key));
            }
            Order::Question { question, parts } => core.enter(|shard, now| {
                let mut part = shard.handle_question(now, &question);
                if let Some(told) = &mut part.core {
                    let [clients, brokers] = core.buffer_counts();
                    told.gauges.buffers_lent = [clients.0, brokers.0];
                    told.gauges.buffers_made = [clients.1, brokers.1];
                }
                // Whoever asked may have given up.
                let _ = parts.try_send(part);
            }),
            Order::Survey { client, survey } => {
                core.enter(|shard, now| shard.handle_survey(now, client, survey));
            }
            Order::Status { client, is_there } => {
                core.enter(|shard, now| shard.handle_status(now, client, Some(is_there)));
            }
            Order::Drain => {
                for acceptor in acceptors.drain(..) {
                    acceptor.stop(core);
                }
                core.enter(|shard, now| shard.handle_drain(now));
            }
        }
    }
}

fn pin(cpu: Option<usize>) -> Result<(), StartError> {
    match cpu {
        Some(cpu) => {
            monoio::utils::bind_to_cpu_set([cpu]).map_err(|error| StartError::pin(cpu, error))
        }
        None => Ok(()),
    }
}

/// Says that the thread has ended, however it does.
struct End {
    index: usize,
    cut_short: bool,
    events: Sender<Event>,
}

impl Drop for End {
    fn drop(&mut self) {
        let event = Event::Ended {
            shard: self.index,
            cut_short: self.cut_short,
            panicked: thread::panicking(),
        };
        // Nobody may be left to tell.
        let _ = self.events.send(event);
    }
}
