//! Instructions of each kernel and of whole shard calls: what `scripts/instructions` runs under callgrind.
//!
//! Unlike time, a count of instructions is the same on a busy machine, so a change of a few per cent can be seen and
//! held. Each case prints its name and the number of messages over which its count is spread; callgrind counts
//! inside [`counted`] alone and writes what it counted whenever [`case_ends`] returns. Everything else (what clients
//! and brokers send, what is looked at afterwards) costs nothing.

#![allow(
    clippy::print_stdout,
    reason = "a tool of its own, not a part of the service: it speaks to a terminal"
)]

mod kernels;
#[path = "../samples.rs"]
mod samples;
mod shard;
#[path = "../world/mod.rs"]
mod world;

use std::hint::black_box;

/// As in the service.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds before anything is counted: buffers have their size then.
const WARM_ROUNDS: usize = 8;
/// Rounds that are counted.
const ROUNDS: usize = 12;

fn main() {
    let only = std::env::args().nth(1);
    let cases = Cases { only };
    kernels::run(&cases);
    shard::run(&cases);
}

/// The cases that are to be run.
pub(crate) struct Cases {
    only: Option<String>,
}

impl Cases {
    /// Runs `round` often enough, which handles that many messages each time and wraps what is to be counted in the
    /// [`Counter`]. `make` makes what all rounds share.
    pub(crate) fn run<T>(
        &self,
        name: &str,
        messages: usize,
        make: impl FnOnce() -> T,
        mut round: impl FnMut(&mut T, &Counter),
    ) {
        if self.only.as_ref().is_some_and(|only| only != name) {
            return;
        }
        let mut shared = make();
        for _ in 0..WARM_ROUNDS {
            round(&mut shared, &Counter { on: false });
        }
        for _ in 0..ROUNDS {
            round(&mut shared, &Counter { on: true });
        }
        println!("{name}\t{}", messages * ROUNDS);
        case_ends();
    }
}

/// Decides whether a call is counted.
pub(crate) struct Counter {
    on: bool,
}

impl Counter {
    pub(crate) fn count(&self, mut call: impl FnMut()) {
        if self.on {
            counted(&mut call);
        } else {
            call();
        }
    }
}

/// Instructions are counted in here, and in whatever it calls.
#[inline(never)]
fn counted(call: &mut dyn FnMut()) {
    call();
    // Keeps the call from becoming a jump, of which callgrind would not see the end.
    black_box(());
    black_box(&call);
}

/// The count is written and begins anew.
#[inline(never)]
fn case_ends() {
    black_box(());
}
