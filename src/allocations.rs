//! Counts what the running service allocates: built only with the feature `count-allocations`.
//!
//! `SIGUSR1` prints the counts so far as a line of JSON on standard error. The difference between
//! two of them, divided by the messages in between, is the cost of a message in steady state.
#![allow(
    unsafe_code,
    reason = "a global allocator is unsafe to implement; this one only counts and passes on"
)]

use std::{
    alloc::{GlobalAlloc, Layout},
    io::Write,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
};

use mimalloc::MiMalloc;
use signal_hook::{consts::SIGUSR1, iterator::Signals};

/// The service's allocator, with counts.
pub(crate) struct Counting {
    allocations: AtomicU64,
    reallocations: AtomicU64,
    bytes: AtomicU64,
}

impl Counting {
    pub(crate) const fn new() -> Self {
        Self {
            allocations: AtomicU64::new(0),
            reallocations: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// Prints the counts at each `SIGUSR1`, for as long as the process lives.
    pub(crate) fn print_on_signal(&'static self) -> std::io::Result<()> {
        let mut signals = Signals::new([SIGUSR1])?;
        thread::Builder::new()
            .name("allocations".into())
            .spawn(move || {
                for _ in &mut signals {
                    // Nobody may be there to read it.
                    let _ = writeln!(
                        std::io::stderr(),
                        r#"{{"allocations":{},"reallocations":{},"bytes":{}}}"#,
                        self.allocations.load(Relaxed),
                        self.reallocations.load(Relaxed),
                        self.bytes.load(Relaxed),
                    );
                }
            })?;
        Ok(())
    }

    fn count(&self, counter: &AtomicU64, bytes: usize) {
        counter.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }
}

// SAFETY: every method passes its arguments to mimalloc's and returns what that returns; counting
// touches no memory that was allocated.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.count(&self.allocations, layout.size());
        // SAFETY: the caller keeps what `GlobalAlloc::alloc` asks for.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.count(&self.allocations, layout.size());
        // SAFETY: the caller keeps what `GlobalAlloc::alloc_zeroed` asks for.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.count(&self.reallocations, size);
        // SAFETY: the caller keeps what `GlobalAlloc::realloc` asks for, and every block is mimalloc's.
        unsafe { MiMalloc.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps what `GlobalAlloc::dealloc` asks for, and every block is mimalloc's.
        unsafe { MiMalloc.dealloc(block, layout) }
    }
}
