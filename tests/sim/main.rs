//! The whole shard among scripted clients and a scripted cluster, under a seed.
//!
//! Bytes arrive in pieces of any size and in any order between sockets, time is virtual, and chance
//! decides what happens next, so that a failing seed fails again. `SIM_SEED=n` runs one seed of all
//! scenarios, `SIM_SEEDS=n` that many; `SIM_LOG=1` tells all that happens.

#![allow(
    clippy::print_stderr,
    reason = "a failing run tells its seed and what led to the failure"
)]

/// Tells what happens as it happens, when `SIM_LOG` is set.
macro_rules! log {
    ($($what:tt)*) => {
        if std::env::var_os("SIM_LOG").is_some() {
            eprintln!($($what)*);
        }
    };
}

mod actor;
mod batch;
mod broker;
mod cast;
mod commands;
mod consumer;
mod consumes;
mod delivery;
mod effects;
mod judge;
mod kernel;
mod loss;
mod partitions;
mod producer;
mod proto;
mod publishes;
mod reader;
mod rng;
mod scenario;
mod socket;
mod text;
mod topic;
mod twists;
mod wire;
mod world;
mod ws;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use scenario::Scenario;
use world::Trace;

/// Of each scenario: about half a minute of one core, unoptimized, for all.
const SEEDS: u64 = 25;

const PLAIN: Scenario = Scenario {
    name: "",
    producers: 0,
    partitioned: 0,
    subscriptions: 0,
    readers: 0,
    faults: false,
    drain: false,
    twists: false,
};

fn variable(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|value| value.parse().expect("a number"))
}

fn play(scenario: Scenario, seed: u64) -> u64 {
    let mut trace = Trace::default();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        scenario::run(scenario, seed, &mut trace)
    }));
    if let Err(panic) = outcome {
        for line in &trace.last {
            eprintln!("{line}");
        }
        eprintln!(
            "FAILED: {} with SIM_SEED={seed}, at step {}",
            scenario.name, trace.steps
        );
        resume_unwind(panic);
    }
    std::hash::Hasher::finish(&trace.hash)
}

fn sweep(scenario: Scenario) {
    match variable("SIM_SEED") {
        Some(seed) => drop(play(scenario, seed)),
        None => {
            for seed in 0..variable("SIM_SEEDS").unwrap_or(SEEDS) {
                play(scenario, seed);
            }
        }
    }
}

#[test]
fn producers() {
    sweep(Scenario {
        name: "producers",
        producers: 3,
        ..PLAIN
    });
}

#[test]
fn partitions() {
    sweep(Scenario {
        name: "partitions",
        producers: 1,
        partitioned: 3,
        ..PLAIN
    });
}

#[test]
fn partitions_with_faults() {
    sweep(Scenario {
        name: "partitions_with_faults",
        partitioned: 3,
        faults: true,
        ..PLAIN
    });
}

#[test]
fn partitions_drain() {
    sweep(Scenario {
        name: "partitions_drain",
        partitioned: 3,
        drain: true,
        ..PLAIN
    });
}

#[test]
fn consumers() {
    sweep(Scenario {
        name: "consumers",
        producers: 2,
        subscriptions: 2,
        ..PLAIN
    });
}

#[test]
fn readers() {
    sweep(Scenario {
        name: "readers",
        producers: 2,
        readers: 3,
        ..PLAIN
    });
}

#[test]
fn faults() {
    let name = "faults";
    sweep(Scenario {
        name,
        producers: 3,
        subscriptions: 2,
        readers: 2,
        faults: true,
        ..PLAIN
    });
}

#[test]
fn drain() {
    let name = "drain";
    sweep(Scenario {
        name,
        producers: 3,
        subscriptions: 2,
        readers: 1,
        drain: true,
        ..PLAIN
    });
}

#[test]
fn drain_with_faults() {
    let name = "drain_with_faults";
    let faults = true;
    sweep(Scenario {
        name,
        producers: 3,
        subscriptions: 2,
        faults,
        drain: true,
        ..PLAIN
    });
}

#[test]
fn twists() {
    let name = "twists";
    sweep(Scenario {
        name,
        producers: 3,
        partitioned: 1,
        subscriptions: 2,
        readers: 1,
        faults: true,
        twists: true,
        ..PLAIN
    });
}

#[test]
fn one_seed_one_run() {
    let name = "one_seed_one_run";
    let scenario = Scenario {
        name,
        producers: 3,
        subscriptions: 2,
        readers: 2,
        faults: true,
        ..PLAIN
    };
    for seed in 0..3 {
        assert_eq!(
            play(scenario, seed),
            play(scenario, seed),
            "seed {seed} is no run of its own"
        );
    }
}
