//! Everything that a peer's bytes reach, as functions of bytes that panic where a judge disagrees.
//!
//! `fuzz_targets/` gives each to libFuzzer; `tests/` gives each its seeds and some thousand inputs that chance made of
//! them, so that none can rot. A judge is somebody else's reader (zlib-rs, prost, serde_json, a plain loop), the same
//! bytes cut in other places, or what was said before it was written.

#[path = "../../tests/sim/agree.rs"]
mod agree;
pub mod base64;
pub mod broker;
pub mod frames;
pub mod http;
pub mod inflate;
pub mod json;
pub mod names;
#[allow(
    dead_code,
    reason = "the simulation's commands, of which some are used here"
)]
#[path = "../../tests/sim/proto.rs"]
mod proto;
mod script;
pub mod shard;
#[allow(
    dead_code,
    reason = "the simulation's wire format, of which some is used here"
)]
#[path = "../../tests/sim/wire.rs"]
mod wire;
mod ws;

pub use script::Chance;

/// A target: its name, what takes an input, and inputs to begin with.
#[derive(Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 8] = [
    target("frames", frames::run, frames::seeds),
    target("inflate", inflate::run, inflate::seeds),
    target("base64", base64::run, base64::seeds),
    target("json", json::run, json::seeds),
    target("broker", broker::run, broker::seeds),
    target("http", http::run, http::seeds),
    target("names", names::run, names::seeds),
    target("shard", shard::run, shard::seeds),
];

const fn target(name: &'static str, run: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target { name, run, seeds }
}
