//! The bytes of an exchange and nothing else, for the bare relay: a request's bytes follow each answer's, or leave
//! when one is due.

use crate::{schedule::Schedule, tally::Side};

#[derive(Clone)]
pub(crate) struct Bytes {
    request: usize,
    answer: usize,
    /// Requests at the beginning.
    window: usize,
    /// When requests are due, if not upon answers.
    schedule: Option<Schedule>,
    answered: usize,
}

impl Bytes {
    /// In a closed loop, that begins with `window` requests.
    pub(crate) fn new(request: usize, answer: usize, window: usize) -> Self {
        Self {
            request,
            answer: answer.max(1),
            window,
            schedule: None,
            answered: 0,
        }
    }

    /// The same in an open loop.
    pub(crate) fn at(self, schedule: Schedule) -> Self {
        Self {
            window: 0,
            schedule: Some(schedule),
            ..self
        }
    }

    pub(crate) fn begin(&self, out: &mut Vec<u8>) {
        self.put(self.window, out);
    }

    /// Takes `read` bytes; in a closed loop a request follows each answer that is now whole.
    pub(crate) fn take(&mut self, read: usize, side: &mut Side, out: &mut Vec<u8>) {
        self.answered += read;
        let messages = self.answered / self.answer;
        self.answered %= self.answer;
        if self.schedule.is_none() {
            self.put(messages, out);
        }
        side.total += messages as u64;
    }

    /// Appends what is due by `now` and before `end`.
    pub(crate) fn fill(&mut self, now: u64, end: u64, out: &mut Vec<u8>) {
        while let Some(schedule) = &mut self.schedule
            && schedule.due() <= now
            && schedule.due() < end
        {
            schedule.advance();
            self.put(1, out);
        }
    }

    /// When to send next, if time is waited for.
    pub(crate) fn due(&self) -> Option<u64> {
        self.schedule.as_ref().map(Schedule::due)
    }

    fn put(&self, requests: usize, out: &mut Vec<u8>) {
        out.resize(out.len() + self.request * requests, b'r');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_follows_each_whole_answer() {
        let (mut side, mut out) = (Side::default(), Vec::new());
        let mut bytes = Bytes::new(5, 10, 2);
        bytes.begin(&mut out);
        assert_eq!(out.len(), 10);
        for (read, requests) in [(9, 2), (1, 3), (25, 5), (5, 6)] {
            bytes.take(read, &mut side, &mut out);
            assert_eq!(out.len(), requests * 5);
        }
        assert_eq!(side.total, 4);
        assert_eq!(bytes.due(), None);
    }

    #[test]
    fn in_an_open_loop_requests_leave_when_they_are_due() {
        let (mut side, mut out) = (Side::default(), Vec::new());
        let mut bytes = Bytes::new(5, 10, 2).at(Schedule::new(1000, 1e9, 0, 1));
        bytes.begin(&mut out);
        bytes.fill(999, u64::MAX, &mut out);
        assert!(out.is_empty());
        bytes.fill(1002, u64::MAX, &mut out);
        assert_eq!((out.len(), bytes.due()), (15, Some(1003)));
        bytes.take(20, &mut side, &mut out);
        assert_eq!((out.len(), side.total), (15, 2));
        bytes.fill(2000, 1005, &mut out);
        assert_eq!((out.len(), bytes.due()), (25, Some(1005)));
    }
}
