//! The CPUs: how fast they run, how much of them there is, and who else wants them.

use super::{
    View, cgroup,
    finding::{Finding, Topic},
    root::{self, Unread},
};

const fn topic(name: &'static str, why: &'static str) -> Topic {
    Topic {
        group: "cpu",
        name,
        why,
    }
}

const GOVERNOR: Topic = topic(
    "governor",
    "Other governors than \"performance\" slow a CPU down while its shard waits for bytes, and the \
     next burst finds it slow.",
);
const TURBO: Topic = topic(
    "turbo",
    "Without it a CPU stays at its base frequency; switch it off only for measurements.",
);
const QUOTA: Topic = topic(
    "quota",
    "A group that has used up its quota stands still for the rest of the period (100 ms by \
     default), with all clients of its shards; a cpuset does not stop anybody.",
);
const CLOCK: Topic = topic(
    "clock",
    "Each turn of a shard reads the clock; sources without a fast way make a system call of it, or \
     worse.",
);
const STEAL: Topic = topic(
    "stolen time",
    "Time in which the hypervisor let others run on this machine's CPUs; no setting in here brings \
     it back.",
);
const NEIGHBOURS: Topic = topic(
    "neighbours",
    "Threads that wait for a CPU wait in front of the shards too.",
);

/// Clocks that the C library reads without a system call, on real and virtual machines.
const FAST_CLOCKS: [&str; 4] = [
    "tsc",
    "kvm-clock",
    "hyperv_clocksource_tsc_page",
    "arch_sys_counter",
];
/// Of all time since the machine started.
const STEAL_MAX_PERCENT: f64 = 1.0;
/// Share of the last minute in which somebody waited for a CPU.
const PRESSURE_MAX_PERCENT: f64 = 10.0;

pub(super) fn findings(view: &View<'_>) -> Vec<Finding> {
    vec![
        governor(view),
        turbo(view),
        quota(view),
        clock(view),
        steal(view),
        neighbours(view),
    ]
}

fn governor(view: &View<'_>) -> Finding {
    let mut slow = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for cpu in view.cpus() {
        let path = format!("sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor");
        match view.root.text(&path) {
            Ok(name) => {
                if name != "performance" {
                    slow.push(cpu);
                }
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            Err(Unread::Absent(_)) => {}
            Err(unread) => return GOVERNOR.unknown(&unread),
        }
    }
    if names.is_empty() {
        return GOVERNOR.ok("none: the frequency is not this machine's to choose");
    }
    let seen = names.join(", ");
    if slow.is_empty() {
        return GOVERNOR.ok(seen);
    }
    let slow = root::list(&slow);
    GOVERNOR
        .advice(format!("{seen} on CPUs {slow}"), "performance")
        .by(format!(
            "cpupower --cpu {slow} frequency-set --governor performance"
        ))
}

fn turbo(view: &View<'_>) -> Finding {
    const CPU: &str = "sys/devices/system/cpu";
    // Each driver has its own switch, and they point in opposite directions.
    for (switch, off, on) in [("intel_pstate/no_turbo", 1, 0), ("cpufreq/boost", 0, 1)] {
        let file = format!("{CPU}/{switch}");
        match view.root.number::<u32>(&file) {
            Ok(value) if value == off => {
                return TURBO
                    .advice(format!("off: {switch} is {off}"), on.to_string())
                    .by(format!("echo {on} > /{file}"));
            }
            Ok(value) => return TURBO.ok(format!("on: {switch} is {value}")),
            Err(Unread::Absent(_)) => {}
            Err(unread) => return TURBO.unknown(&unread),
        }
    }
    TURBO.ok("no switch: not this machine's to choose")
}

fn quota(view: &View<'_>) -> Finding {
    let Some(cpus) = cgroup::cpu_quota(view) else {
        return QUOTA.ok("no control group has one");
    };
    let shards = view.shards();
    let seen = format!("{cpus:.1} CPUs for {shards} shards");
    // Far below what a float of CPUs can't hold.
    #[allow(
        clippy::cast_precision_loss,
        reason = "a count of shards is far below 2^52"
    )]
    let is_short = cpus < shards as f64;
    if is_short {
        return QUOTA.problem(
            seen,
            "fewer --cores than the quota, or no quota and a cpuset: docker run --cpuset-cpus, \
             AllowedCPUs= in the unit, the static CPU manager of a kubelet",
        );
    }
    QUOTA.advice(
        seen,
        "a cpuset in place of the quota: docker run --cpuset-cpus, AllowedCPUs= in the unit, the \
         static CPU manager of a kubelet",
    )
}

fn clock(view: &View<'_>) -> Finding {
    const FOLDER: &str = "sys/devices/system/clocksource/clocksource0";
    let current = match view.root.text(&format!("{FOLDER}/current_clocksource")) {
        Ok(current) => current,
        Err(unread) => return CLOCK.unknown(&unread),
    };
    if FAST_CLOCKS.contains(&current.as_str()) {
        return CLOCK.ok(current);
    }
    let available = view.root.text(&format!("{FOLDER}/available_clocksource"));
    let available = available.unwrap_or_default();
    let mut names = available.split_whitespace();
    match names.find(|name| FAST_CLOCKS.contains(name)) {
        Some(fast) => CLOCK
            .problem(current, fast)
            .by(format!("echo {fast} > /{FOLDER}/current_clocksource")),
        None => CLOCK.problem(
            format!("{current}; there are {available}"),
            "tsc, if the kernel's log tells why it was given up",
        ),
    }
}

fn steal(view: &View<'_>) -> Finding {
    let Some(line) = view.root.field("proc/stat", "cpu ") else {
        return STEAL.unknown(&Unread::Failed("can't read /proc/stat".to_owned()));
    };
    // user nice system idle iowait irq softirq steal; guest times are part of the first two.
    let times: Vec<f64> = line
        .split_whitespace()
        .take(8)
        .map_while(|time| time.parse().ok())
        .collect();
    let total: f64 = times.iter().sum();
    let Some(&stolen) = times.get(7).filter(|_| total > 0.0) else {
        return STEAL.unknown(&Unread::Failed(
            "/proc/stat tells no stolen time".to_owned(),
        ));
    };
    let percent = stolen / total * 100.0;
    let seen = format!("{percent:.1} % since the machine started");
    if percent > STEAL_MAX_PERCENT {
        return STEAL.advice(seen, "a machine whose CPUs are its own");
    }
    STEAL.ok(seen)
}

fn neighbours(view: &View<'_>) -> Finding {
    let pressure = view.root.text("proc/pressure/cpu");
    let text = match pressure {
        Ok(text) => text,
        Err(unread) => return NEIGHBOURS.unknown(&unread),
    };
    let percent = text
        .lines()
        .find_map(|line| line.strip_prefix("some "))
        .and_then(|line| {
            line.split_whitespace()
                .find_map(|word| word.strip_prefix("avg60="))
        })
        .and_then(|percent| percent.parse::<f64>().ok());
    let Some(percent) = percent else {
        return NEIGHBOURS.unknown(&Unread::Failed(
            "/proc/pressure/cpu has no avg60".to_owned(),
        ));
    };
    let seen = format!("somebody waited for a CPU in {percent:.0} % of the last minute");
    if percent > PRESSURE_MAX_PERCENT {
        return NEIGHBOURS
            .advice(seen, "CPUs that the shards have alone, or fewer --cores")
            .by("top -H  # shows who takes them");
    }
    NEIGHBOURS.ok(seen)
}
