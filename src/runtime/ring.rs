//! A shard's io_uring, and what to do when the kernel gives none.

use std::{fs, io};

use monoio::{IoUringDriver, LegacyDriver, Runtime, RuntimeBuilder, time::TimeDriver};

use crate::config::Driver;

/// Submissions between two turns. Ring memory counts against RLIMIT_MEMLOCK on many kernels, and
/// this many cost about 105 KiB a core; more would save a system call only where more sockets than
/// that have something to do in one turn.
const RING_ENTRIES: u32 = 1024;

/// When the kernel may finish what the ring was asked for, the cheapest way first.
const SETUPS: [Setup; 3] = [
    // Linux 6.1: when this thread waits, and not before. What comes in meanwhile gathers, nobody is
    // interrupted for it, and the thread alone touches its ring.
    |ring| ring.setup_single_issuer().setup_defer_taskrun(),
    // Linux 5.19: whenever this thread calls the kernel; it is not interrupted.
    |ring| ring.setup_coop_taskrun(),
    // Before: at any time, by an interrupt from another CPU.
    |ring| ring,
];

type Setup = fn(&mut io_uring::Builder) -> &mut io_uring::Builder;

/// From errno.h, the same on all Linux architectures.
const EPERM: i32 = 1;
const ENOMEM: i32 = 12;
const EINVAL: i32 = 22;
const ENOSYS: i32 = 38;

/// The loop that a shard's thread runs.
pub(super) enum Ring {
    IoUring(Runtime<TimeDriver<IoUringDriver>>),
    /// Not a ring at all: readiness by epoll, and a system call for each read and write.
    Epoll(Runtime<TimeDriver<LegacyDriver>>),
}

impl Ring {
    /// Makes this thread's ring.
    pub(super) fn build(driver: Driver) -> io::Result<Self> {
        match driver {
            Driver::IoUring => build_ring().map(Self::IoUring),
            Driver::Epoll => RuntimeBuilder::<LegacyDriver>::new()
                .enable_timer()
                .build()
                .map(Self::Epoll),
        }
    }

    /// Runs the loop until `future` is done.
    pub(super) fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        match self {
            Self::IoUring(runtime) => runtime.block_on(future),
            Self::Epoll(runtime) => runtime.block_on(future),
        }
    }
}

/// A ring set up as well as the kernel can.
fn build_ring() -> io::Result<Runtime<TimeDriver<IoUringDriver>>> {
    first_known(&SETUPS, |setup| {
        let mut ring = io_uring::IoUring::builder();
        setup(&mut ring);
        RuntimeBuilder::<IoUringDriver>::new()
            .uring_builder(ring)
            .with_entries(RING_ENTRIES)
            .enable_timer()
            .build()
    })
}

/// The first that the kernel does not refuse for not knowing it; another refusal holds for all.
fn first_known<S: Copy, T>(setups: &[S], build: impl Fn(S) -> io::Result<T>) -> io::Result<T> {
    let mut refused = io::Error::from_raw_os_error(EINVAL);
    for &setup in setups {
        match build(setup) {
            Err(error) if error.raw_os_error() == Some(EINVAL) => refused = error,
            result => return result,
        }
    }
    Err(refused)
}

/// Whether the kernel has io_uring and withholds it from us.
pub(super) fn is_permission(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(EPERM | ENOMEM))
}

/// What happened, where, and what to do.
pub(super) fn explain(shard: usize, error: &io::Error) -> String {
    let disabled = fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok();
    explain_with(shard, error, disabled.as_deref().map(str::trim))
}

fn explain_with(shard: usize, error: &io::Error, disabled: Option<&str>) -> String {
    let advice = match (error.raw_os_error(), disabled) {
        (Some(EPERM), Some("2")) => {
            "io_uring is switched off on this machine (/proc/sys/kernel/io_uring_disabled is 2): \
             set it to 0 with `sysctl kernel.io_uring_disabled=0`"
        }
        (Some(EPERM), Some("1")) => {
            "io_uring is kept for privileged processes on this machine \
             (/proc/sys/kernel/io_uring_disabled is 1): set it to 0, or run with CAP_SYS_ADMIN or \
             in the group named by /proc/sys/kernel/io_uring_group"
        }
        (Some(EPERM), _) => {
            "most likely a seccomp filter forbids io_uring, as containers do by default: allow \
             io_uring_setup, io_uring_enter and io_uring_register in its seccomp profile (Docker: \
             --security-opt seccomp=PROFILE), or run slower with --driver epoll"
        }
        (Some(ENOMEM), _) => {
            "the limit of locked memory is too low, about 105 KiB are needed for each core: raise \
             it with `ulimit -l`, LimitMEMLOCK= (systemd) or --ulimit memlock=-1 (Docker), or run \
             fewer cores with --cores"
        }
        (Some(ENOSYS), _) => {
            "this kernel has no io_uring, or a seccomp filter or sandbox (gVisor) hides it: use \
             Linux 5.11 or newer, allow io_uring_setup, io_uring_enter and io_uring_register, or \
             run slower with --driver epoll"
        }
        _ => {
            "see io_uring_setup(2); open files (`ulimit -n`), locked memory (`ulimit -l`), \
             /proc/sys/kernel/io_uring_disabled and seccomp filters are the usual causes"
        }
    };
    format!("can't create the io_uring of shard {shard}: {error}: {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_kernels_get_what_they_know() {
        let tried = |known: u32, refusal: i32| {
            let count = std::cell::Cell::new(0);
            let built = first_known(&[3, 2, 1], |setup: u32| {
                count.set(count.get() + 1);
                let refuse = || Err(io::Error::from_raw_os_error(refusal));
                if setup > known { refuse() } else { Ok(setup) }
            });
            let built = built.map_err(|error| error.raw_os_error());
            (built, count.get())
        };
        assert_eq!(tried(3, EINVAL), (Ok(3), 1));
        assert_eq!(tried(1, EINVAL), (Ok(1), 3));
        assert_eq!(tried(0, EINVAL), (Err(Some(EINVAL)), 3));
        assert_eq!(tried(1, EPERM), (Err(Some(EPERM)), 1));
    }

    #[test]
    fn each_cause_names_its_cure() {
        for (errno, disabled, words, permission) in [
            (EPERM, Some("2"), "io_uring_disabled is 2", true),
            (EPERM, Some("1"), "io_uring_group", true),
            (EPERM, Some("0"), "seccomp", true),
            (EPERM, None, "seccomp", true),
            (ENOMEM, Some("0"), "ulimit -l", true),
            (ENOSYS, None, "seccomp", false),
            (24, Some("0"), "ulimit -n", false),
        ] {
            let error = io::Error::from_raw_os_error(errno);
            let sentence = explain_with(3, &error, disabled);
            assert!(sentence.starts_with("can't create the io_uring of shard 3: "));
            assert!(sentence.contains(words), "{sentence}");
            assert_eq!(is_permission(&error), permission);
        }
    }
}
