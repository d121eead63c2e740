//! The bytes of an exchange and nothing else, for the bare relay: each answer's bytes are followed
//! by a request's.

use crate::tally::Side;

#[derive(Clone, Copy)]
pub(crate) struct Bytes {
    pub(crate) request: usize,
    pub(crate) answer: usize,
    /// Requests at the beginning.
    pub(crate) window: usize,
    answered: usize,
}

impl Bytes {
    pub(crate) fn new(request: usize, answer: usize, window: usize) -> Self {
        Self {
            request,
            answer: answer.max(1),
            window,
            answered: 0,
        }
    }

    pub(crate) fn begin(&self, out: &mut Vec<u8>) {
        out.resize(out.len() + self.request * self.window, b'r');
    }

    /// Takes `read` bytes and appends a request for each answer that is now whole.
    pub(crate) fn take(&mut self, read: usize, side: &mut Side, out: &mut Vec<u8>) {
        self.answered += read;
        let messages = self.answered / self.answer;
        self.answered %= self.answer;
        out.resize(out.len() + messages * self.request, b'r');
        side.total += messages as u64;
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
    }
}
