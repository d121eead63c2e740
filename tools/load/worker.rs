//! A thread with clients of its own: an event loop over their sockets and their due times.

use std::{
    io,
    num::NonZeroU64,
    os::fd::OwnedFd,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use rustix::{
    event::{
        Timespec,
        epoll::{self, EventData, EventFlags},
    },
    thread::{gettid, set_current_timer_slack},
};

use crate::{
    clock::Clock,
    deflate::Deflate,
    due::{Due, duration},
    slot::{Post, Role, Slot, Told},
    socket::ReadBuffer,
    tally::{Latencies, Tally},
    window::Shared,
};

/// Beside the numbers of clients: somebody has something to say.
const WAKE: u64 = u64::MAX;
const EVENTS: usize = 256;
/// A read will bring something, if only an error.
const READABLE: EventFlags = EventFlags::IN.union(EventFlags::HUP).union(EventFlags::ERR);

pub(crate) struct Worker {
    clock: Clock,
    shared: Arc<Shared>,
    post: Post,
    epoll: OwnedFd,
    slots: Vec<Slot>,
    /// When open loops go on, and whose.
    due: Due,
    buffer: ReadBuffer,
    deflate: Deflate,
    tally: Tally,
    latencies: Latencies,
    /// Latencies are told after each of these, counted from the measured time's beginning.
    interval_ns: u64,
    interval: u64,
    stopped: bool,
}

impl Worker {
    pub(crate) fn new(
        clock: Clock,
        shared: Arc<Shared>,
        post: Post,
        interval_ns: u64,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &post.wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        Ok(Self {
            clock,
            shared,
            post,
            epoll,
            slots: Vec::new(),
            due: Due::default(),
            buffer: ReadBuffer::new(),
            deflate: Deflate::new(),
            tally: Tally::default(),
            latencies: Latencies::default(),
            interval_ns,
            interval: 0,
            stopped: false,
        })
    }

    /// Runs until it is told to finish; then closes its clients.
    pub(crate) fn run(mut self) -> io::Result<Tally> {
        let _ = self.post.thread.send(gettid().as_raw_nonzero().get());
        // Timers of a millionth of a second mean something only without the usual slack of fifty.
        set_current_timer_slack(NonZeroU64::new(1))?;
        let mut events = Vec::with_capacity(EVENTS);
        while !self.shared.finished() {
            let timeout = self.timeout();
            events.clear();
            match epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                timeout.as_ref(),
            ) {
                Err(rustix::io::Errno::INTR) | Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                match event.data.u64() {
                    WAKE => self.wake()?,
                    index => {
                        let readable = { event.flags }.intersects(READABLE);
                        self.turn(usize::try_from(index).unwrap_or(usize::MAX), readable)?;
                    }
                }
            }
            let now = self.clock.now();
            self.run_due(now)?;
            self.keep_time(now);
        }
        self.close()
    }

    fn timeout(&self) -> Option<Timespec> {
        let window = &self.shared.window;
        let mut next = self.due.next();
        if window.begin() != u64::MAX && !self.stopped {
            let told = window
                .begin()
                .saturating_add(self.interval_ns.saturating_mul(self.interval + 1));
            next = next.min(window.end()).min(told);
        }
        (next < u64::MAX).then(|| duration(next.saturating_sub(self.clock.now())))
    }

    /// Takes in new clients.
    fn wake(&mut self) -> io::Result<()> {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.post.wake, &mut count);
        while let Ok(slot) = self.post.inbox.try_recv() {
            slot.client.set_nonblocking(true)?;
            let index = self.slots.len();
            let data = EventData::new_u64(index as u64);
            epoll::add(&self.epoll, &slot.client, data, EventFlags::IN)?;
            self.slots.push(slot);
            self.begin(index)?;
        }
        Ok(())
    }

    fn begin(&mut self, index: usize) -> io::Result<()> {
        let slot = &mut self.slots[index];
        if let Role::Bytes(bytes) = &slot.role {
            bytes.begin(&mut slot.client.out);
        }
        // Something may have come with the handshake.
        slot.client.reread(&mut self.buffer);
        self.texts(index)?;
        self.fill(index)
    }

    /// Reads if there may be something, answers it, sends what is due, and writes.
    fn turn(&mut self, index: usize, readable: bool) -> io::Result<()> {
        let Some(slot) = self.slots.get_mut(index) else {
            return Ok(());
        };
        if readable && let Some(read) = slot.client.read(&mut self.buffer)? {
            match &mut slot.role {
                Role::Bytes(bytes) => {
                    let before = self.tally.publish.total;
                    bytes.take(read, &mut self.tally.publish, &mut slot.client.out);
                    let done = self.tally.publish.total - before;
                    self.shared.published.fetch_add(done, Relaxed);
                }
                _ => self.texts(index)?,
            }
        }
        self.fill(index)
    }

    /// Answers the whole texts in the buffer.
    fn texts(&mut self, index: usize) -> io::Result<()> {
        let now = self.clock.now();
        let Self {
            slots,
            shared,
            tally,
            latencies,
            deflate,
            buffer,
            ..
        } = self;
        let Some(Slot { client, role, .. }) = slots.get_mut(index) else {
            return Ok(());
        };
        let window = &shared.window;
        match role {
            Role::Publish(publisher) => {
                let (total, wrong, in_flight) = (
                    tally.publish.total,
                    tally.publish.wrong,
                    publisher.in_flight(),
                );
                client.texts(buffer.filled(), deflate, |text, _| {
                    publisher.text(text, now, window, tally, latencies);
                })?;
                shared.change_in_flight(in_flight, publisher.in_flight());
                shared
                    .refused
                    .fetch_add(tally.publish.wrong - wrong, Relaxed);
                shared
                    .published
                    .fetch_add(tally.publish.total - total, Relaxed);
            }
            Role::Consume(consumer) => {
                let total = tally.consume.total;
                client.texts(buffer.filled(), deflate, |text, out| {
                    consumer.text(text, now, window, tally, latencies, out);
                })?;
                shared
                    .delivered
                    .fetch_add(tally.consume.total - total, Relaxed);
            }
            Role::Hold => client.texts(buffer.filled(), deflate, |_, _| ())?,
            Role::Bytes(_) => {}
        }
        Ok(())
    }

    /// Sends what is due, writes, and asks for what is needed to go on.
    fn fill(&mut self, index: usize) -> io::Result<()> {
        let Some(slot) = self.slots.get_mut(index) else {
            return Ok(());
        };
        let (shared, deflate) = (&self.shared, &mut self.deflate);
        let blocked = slot.fill(self.clock, shared, deflate, &mut self.latencies)?;
        if !slot.armed
            && let Some(due) = slot.due()
        {
            slot.armed = true;
            self.due.push(due, index);
        }
        if blocked != slot.blocked {
            slot.blocked = blocked;
            let mut flags = EventFlags::IN;
            flags.set(EventFlags::OUT, blocked);
            let data = EventData::new_u64(index as u64);
            epoll::modify(&self.epoll, &slot.client, data, flags)?;
        }
        Ok(())
    }

    fn run_due(&mut self, now: u64) -> io::Result<()> {
        while let Some((due, index)) = self.due.pop(now) {
            if let Some(slot) = self.slots.get_mut(index) {
                slot.armed = false;
            }
            // After the end nothing is due any more, and the queue runs empty.
            if due < self.shared.window.end() {
                self.fill(index)?;
            }
        }
        Ok(())
    }

    /// Tells latencies when an interval is over, and that nothing is sent any more.
    fn keep_time(&mut self, now: u64) {
        let (begin, end) = (self.shared.window.begin(), self.shared.window.end());
        if begin == u64::MAX || self.stopped {
            return;
        }
        let interval = now.saturating_sub(begin) / self.interval_ns;
        if interval > self.interval {
            self.tell();
            self.interval = interval;
        }
        if now >= end {
            self.stopped = true;
            self.shared.stop();
        }
    }

    fn tell(&mut self) {
        let told = Told {
            interval: self.interval,
            latencies: self.latencies.take(),
        };
        // Nobody listens after a failure.
        let _ = self.post.told.send(told);
    }

    fn close(mut self) -> io::Result<Tally> {
        self.tell();
        let end = self.shared.window.end();
        for Slot { client, role, .. } in &mut self.slots {
            if let Role::Publish(publisher) = role {
                self.tally.unanswered += publisher.in_flight();
                self.tally.unsent += publisher.unsent(end);
            }
            if !matches!(role, Role::Bytes(_)) {
                client.say_goodbye()?;
            }
            self.tally.traffic.sent += client.traffic.sent;
            self.tally.traffic.received += client.traffic.received;
        }
        for Slot { client, role, .. } in &mut self.slots {
            if !matches!(role, Role::Bytes(_) | Role::Hold) {
                client.wait_for_end(&mut self.buffer)?;
            }
        }
        Ok(self.tally)
    }
}
