//! The receive buffer as the machine consumes it.

use std::mem;

/// Received bytes, consumed from the front. What is taken stays borrowed from the receive buffer, not from here.
#[derive(Debug)]
pub struct Input<'a> {
    rest: &'a mut [u8],
}

impl<'a> Input<'a> {
    /// A cursor at the start of `bytes`.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes have not been taken.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The bytes not yet taken.
    pub fn rest(&self) -> &[u8] {
        self.rest
    }

    /// Takes the next `bytes_max` bytes, or what there is of them.
    pub fn take(&mut self, bytes_max: usize) -> &'a mut [u8] {
        let rest = mem::take(&mut self.rest);
        let at = bytes_max.min(rest.len());
        let (taken, rest) = rest.split_at_mut(at);
        self.rest = rest;
        taken
    }
}
