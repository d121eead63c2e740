//! A shard driven by hand: each bound filled and emptied again, each way to end a session, each
//! deadline. What chance finds is the simulation's business; here stands what must be so.

mod access_log;
#[path = "../sim/agree.rs"]
mod agree;
mod draining;
mod flow;
mod handshake;
mod metrics;
mod pings;
#[allow(
    dead_code,
    reason = "the simulation's commands, of which some are used here"
)]
#[path = "../sim/proto.rs"]
mod proto;
mod proxies;
mod statistics;
#[allow(
    dead_code,
    clippy::cast_possible_truncation,
    reason = "the simulation's wire format, of which some is used here"
)]
#[path = "../sim/wire.rs"]
mod wire;
mod world;
