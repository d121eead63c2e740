//! A client that publishes: a new message for each receipt, or one whenever one is due.

use std::{collections::VecDeque, io, sync::Arc};

use crate::{
    client::Client,
    deflate::Deflate,
    frames,
    schedule::Schedule,
    shared::{id_hash, random::Random},
    tally::{Latencies, Tally},
    texts::{Head, Texts},
    window::Window,
};

/// Contexts have so many digits, so that all publishes have one size.
const CONTEXT_DIGITS: usize = 10;

/// What messages are made of.
pub(crate) struct Messages {
    pub(crate) texts: Texts,
    /// `,"properties":{…}` or nothing.
    pub(crate) properties: Vec<u8>,
    /// How many keys there are; 0: messages have none.
    pub(crate) keys: u64,
    /// Deliveries are counted by their heads: this run's number.
    pub(crate) run: Option<u32>,
}

/// When a publisher sends.
pub(crate) enum Pace {
    /// When fewer than so many are in flight.
    InFlight(u64),
    /// When one is due, with so many in flight at most.
    Open(Schedule, u64),
}

pub(crate) struct Publisher {
    index: u32,
    messages: Arc<Messages>,
    pace: Pace,
    random: Random,
    /// The number of the oldest message in flight, when each from there on was due, and its size.
    first: u64,
    in_flight: VecDeque<Option<(u64, usize)>>,
    count: u64,
    /// The last time nothing could be sent although something was due.
    held: bool,
    /// What held it up was that the client had no room.
    crowded: bool,
    text: Vec<u8>,
}

impl Publisher {
    pub(crate) fn new(index: usize, messages: Arc<Messages>, pace: Pace, seed: u64) -> Self {
        Self {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            messages,
            pace,
            random: Random::new(seed.wrapping_add(index as u64)),
            first: 0,
            in_flight: VecDeque::new(),
            count: 0,
            held: false,
            crowded: false,
            text: Vec::new(),
        }
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.count
    }

    /// When to send next, if nothing but time is waited for.
    pub(crate) fn due(&self) -> Option<u64> {
        match &self.pace {
            Pace::Open(schedule, _) if !self.held => Some(schedule.due()),
            _ => None,
        }
    }

    /// Whether there is more to send as soon as the client has room.
    pub(crate) fn wants_room(&self) -> bool {
        self.crowded
    }

    /// What was due before `end` and will never be sent.
    pub(crate) fn unsent(&self, end: u64) -> u64 {
        match &self.pace {
            Pace::Open(schedule, _) => schedule.behind(end),
            Pace::InFlight(_) => 0,
        }
    }

    /// Puts what is to be sent by `now` into `client`.
    pub(crate) fn fill(
        &mut self,
        now: u64,
        window: &Window,
        client: &mut Client,
        deflate: &mut Deflate,
        latencies: &mut Latencies,
    ) -> io::Result<()> {
        let end = window.end();
        let was_held = std::mem::take(&mut self.held);
        self.crowded = false;
        loop {
            let (due, most) = match &self.pace {
                Pace::InFlight(most) => (now, *most),
                Pace::Open(schedule, most) => (schedule.due(), *most),
            };
            if due > now || due >= end {
                break;
            }
            if was_held && now >= end {
                // What could not be sent in time is not sent any more.
                self.held = true;
                break;
            }
            if self.count >= most || !client.has_room() {
                self.held = true;
                self.crowded = self.count < most;
                break;
            }
            if let Pace::Open(schedule, _) = &mut self.pace {
                schedule.advance();
                if window.begun(now) {
                    // Whoever could not send before now is not late.
                    let late = if was_held { 0 } else { now - due };
                    latencies.lateness.record(late);
                }
            }
            self.send(due, client, deflate)?;
        }
        Ok(())
    }

    fn send(&mut self, due: u64, client: &mut Client, deflate: &mut Deflate) -> io::Result<()> {
        let number = self.first + self.in_flight.len() as u64;
        let messages = &*self.messages;
        let bytes = messages.texts.payloads.sizes().draw(&mut self.random);
        let head = messages.run.map(|run| Head {
            run,
            publisher: self.index,
            number,
            due,
        });
        let text = &mut self.text;
        text.clear();
        text.extend_from_slice(b"{\"payload\":\"");
        messages.texts.append(bytes, head, text);
        text.push(b'"');
        text.extend_from_slice(&messages.properties);
        if messages.keys > 0 {
            text.extend_from_slice(b",\"key\":\"key-");
            put_number(self.random.below(messages.keys), 1, text);
            text.push(b'"');
        }
        text.extend_from_slice(b",\"context\":\"");
        put_number(number, CONTEXT_DIGITS, text);
        text.extend_from_slice(b"\"}");
        client.put(deflate, text)?;
        self.in_flight.push_back(Some((due, bytes)));
        self.count += 1;
        Ok(())
    }

    /// Takes a reply.
    pub(crate) fn text(
        &mut self,
        reply: &[u8],
        now: u64,
        window: &Window,
        tally: &mut Tally,
        latencies: &mut Latencies,
    ) {
        let side = &mut tally.publish;
        side.total += 1;
        let number = frames::field(reply, b"\"context\":").and_then(number);
        let Some((number, due, bytes)) = number.and_then(|number| self.take(number)) else {
            side.wrong += 1;
            return;
        };
        if number.1 {
            side.reordered += 1;
        }
        match frames::field(reply, b"\"result\":") {
            Some(b"ok") => {}
            Some(reason) => {
                side.refused(reason);
                side.wrong += 1;
                return;
            }
            None => {
                side.wrong += 1;
                return;
            }
        }
        match frames::field(reply, b"\"messageId\":").and_then(frames::hash_of) {
            Some(hash) => side.sum = side.sum.wrapping_add(hash),
            None => side.wrong += 1,
        }
        side.payload_bytes += bytes as u64;
        if self.messages.run.is_some() {
            let hash = id_hash(u64::from(self.index), number.0);
            tally.confirmed_sum = tally.confirmed_sum.wrapping_add(hash);
        }
        if window.begun(now) {
            latencies.publish.record(now - due.min(now));
        }
    }

    /// Takes a message out of those in flight: its number with whether it overtook others, when it was due, its size.
    fn take(&mut self, number: u64) -> Option<((u64, bool), u64, usize)> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let (due, bytes) = self.in_flight.get_mut(at)?.take()?;
        self.count -= 1;
        while let Some(None) = self.in_flight.front() {
            self.in_flight.pop_front();
            self.first += 1;
        }
        Some(((number, at > 0), due, bytes))
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(number)
}

/// Appends a number with `least` digits or more.
fn put_number(mut number: u64, least: usize, out: &mut Vec<u8>) {
    const MOST: usize = 20;
    let mut digits = [b'0'; MOST];
    let mut at = MOST;
    while number > 0 || at > MOST - least {
        at -= 1;
        digits[at] = b'0' + (number % 10).to_le_bytes()[0];
        number /= 10;
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_with_their_least_digits_and_read_back() {
        for (value, least, text) in [
            (0, 1, "0"),
            (0, 10, "0000000000"),
            (42, 10, "0000000042"),
            (u64::MAX, 10, "18446744073709551615"),
        ] {
            let mut out = Vec::new();
            put_number(value, least, &mut out);
            assert_eq!(out, text.as_bytes());
            assert_eq!(number(&out), Some(value));
        }
        assert_eq!(number(b"1x"), None);
        assert_eq!(number(b"99999999999999999999"), None);
    }
}
