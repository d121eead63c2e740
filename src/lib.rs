//! A fast drop-in replacement for the WebSocket service of Apache Pulsar.
//!
//! # A byte's way
//!
//! ```text
//!  client ──socket──▶ shard ──▶ http (once) ──▶ ws ──▶ dialect ──▶ session ──▶ pulsar ──▶ outbox ──socket──▶ broker
//!         [read task]           unmask in place  base64 in place    count      decode into the frame  [write task]
//!  client ◀──socket── outbox ◀── ws frame ◀── dialect ◀── session ◀── pulsar ◀── shard ◀──socket── broker
//!         [write task]           header kept free  base64 + JSON in one append   a slice of the receive buffer
//! ```
//!
//! One [`shard::Shard`] per core owns every client, session and broker connection of that core. It
//! is synchronous and deterministic: no lock, no `await`, no clock, no descriptor. All IO stands
//! outside, in [`runtime`]. The modules below stand in the order in which a byte travels;
//! `scripts/check-layers` holds each to what it may know. Aside stands [`host`], which looks at the
//! machine before anything runs.
//!
//! # Invariants
//!
//! - A message or delivery borrows only from the receive buffer, the shard's scratch or a held
//!   entry, never from a state machine that the next step needs.
//! - No function below `runtime` suspends; one completion is one call into the shard; the work of a
//!   call has a bound.
//! - A broker event reaches a session by key, never by callback: the shard holds both and passes
//!   one to the other.
//! - Every queue has a limit and a stated answer when full: stop reading, refuse, or close.
//! - Messages never cross shards.
//! - What a client can see of the Java service's behaviour (names, status codes, close codes,
//!   defaults) is decided in `http`, `dialect` and `config` only.

pub mod config;

pub mod runtime;

pub mod control;

pub mod shard;

pub mod http;

pub mod ws;

pub mod codec;

pub mod dialect;

pub mod session;

pub mod pulsar;

pub mod timer;

pub mod paged;

pub mod metrics;

pub mod host;
