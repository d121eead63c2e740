//! Whether shards get their rings.

use super::{
    View,
    files::limit,
    finding::{Finding, Topic},
};
use crate::config::Driver;

const KERNEL: Topic = Topic {
    group: "io_uring",
    name: "kernel",
    why: "Rings wait with a timeout since Linux 5.11, and since 6.1 completions gather until a shard \
          asks for them, so that it is not interrupted.",
};
const SWITCH: Topic = Topic {
    group: "io_uring",
    name: "switch",
    why: "kernel.io_uring_disabled forbids rings to everybody (2) or to the unprivileged (1).",
};
const RINGS: Topic = Topic {
    group: "io_uring",
    name: "rings",
    why: "Each shard drives its sockets through a ring of its own; without one the service does \
          not start, except with --driver epoll, which costs more for each message.",
};
const MEMLOCK: Topic = Topic {
    group: "io_uring",
    name: "locked memory",
    why: "Most kernels count the memory of rings against the limit of locked memory, unless the \
          process has CAP_IPC_LOCK.",
};
const KERNEL_MIN: (u32, u32) = (5, 11);
/// Rings whose completions gather until the shard waits for them.
const KERNEL_GOOD: (u32, u32) = (6, 1);
/// A ring of 1024 entries, with its queues.
const RING_BYTES: u64 = 105 * 1024;
const CAP_IPC_LOCK: u32 = 14;
const SECCOMP_FILTER: &str = "2";

pub(super) fn findings(view: &View<'_>) -> Vec<Finding> {
    if view.plan.config.driver == Driver::Epoll {
        return vec![epoll(view)];
    }
    vec![kernel(view), switch(view), rings(view), memlock(view)]
}

fn epoll(view: &View<'_>) -> Finding {
    match &view.plan.rings {
        Ok(()) => RINGS.advice(
            "--driver epoll is set, and io_uring is to be had",
            "leave out --driver epoll",
        ),
        Err(_) => RINGS.ok("--driver epoll, as io_uring is not to be had"),
    }
}

fn kernel(view: &View<'_>) -> Finding {
    let release = match view.root.text("proc/sys/kernel/osrelease") {
        Ok(release) => release,
        Err(unread) => return KERNEL.unknown(&unread),
    };
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map_while(|number| number.parse().ok());
    let version = (
        numbers.next().unwrap_or_default(),
        numbers.next().unwrap_or_default(),
    );
    if version < KERNEL_MIN {
        return KERNEL.problem(
            format!("Linux {release}"),
            "Linux 5.11 or newer, or --driver epoll",
        );
    }
    if version < KERNEL_GOOD {
        return KERNEL.advice(format!("Linux {release}"), "Linux 6.1 or newer");
    }
    KERNEL.ok(format!("Linux {release}"))
}

fn switch(view: &View<'_>) -> Finding {
    const COMMAND: &str = "sysctl -w kernel.io_uring_disabled=0";
    let disabled = match view.root.text("proc/sys/kernel/io_uring_disabled") {
        Ok(disabled) => disabled,
        // Linux before 6.6 has no switch.
        Err(super::root::Unread::Absent(_)) => return SWITCH.ok("this kernel has none"),
        Err(unread) => return SWITCH.unknown(&unread),
    };
    let seen = format!("kernel.io_uring_disabled is {disabled}");
    match disabled.as_str() {
        "0" => SWITCH.ok(seen),
        "1" => {
            let group = view.root.text("proc/sys/kernel/io_uring_group");
            let group = group.as_deref().unwrap_or("unknown");
            SWITCH
                .advice(
                    format!("{seen}; group {group} may"),
                    "0, or run the service in that group",
                )
                .by(COMMAND)
        }
        _ => SWITCH.problem(seen, "0").by(COMMAND),
    }
}

fn rings(view: &View<'_>) -> Finding {
    let sentence = match &view.plan.rings {
        Ok(()) => return RINGS.ok(format!("the kernel gave all {} of them", view.shards())),
        Err(sentence) => sentence,
    };
    let finding = RINGS.problem(sentence, "what the sentence says, or --driver epoll");
    let seccomp = view.root.field("proc/self/status", "Seccomp:");
    if seccomp.as_deref() == Some(SECCOMP_FILTER) {
        return finding.by(
            "docker run --security-opt seccomp=seccomp-io_uring.json …  # docs/operations.md \
             makes that file",
        );
    }
    finding
}

fn memlock(view: &View<'_>) -> Finding {
    let soft = match limit(view, "Max locked memory") {
        Ok((soft, _)) => soft,
        Err(unread) => return MEMLOCK.unknown(&unread),
    };
    let needed = RING_BYTES * view.shards() as u64;
    let shown = match soft {
        u64::MAX => "unlimited".to_owned(),
        bytes => format!("{} KiB", bytes / 1024),
    };
    let seen = format!(
        "{shown}, and rings may take {} KiB for {} shards",
        needed / 1024,
        view.shards()
    );
    if soft >= needed {
        return MEMLOCK.ok(seen);
    }
    let set = format!("{} KiB or more", needed / 1024);
    let command = "LimitMEMLOCK=64M in the systemd unit, --ulimit memlock=67108864 for a \
                   container, tuning/limits.d for a login";
    if view.is_capable(CAP_IPC_LOCK) {
        let seen = format!("{seen}; not counted for this user, perhaps for the service's");
        return MEMLOCK.advice(seen, set).by(command);
    }
    if view.plan.rings.is_ok() {
        return MEMLOCK.ok(format!("{seen}; this kernel does not count them"));
    }
    MEMLOCK.problem(seen, set).by(command)
}
