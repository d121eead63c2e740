//! Consumers.
mod acks;
mod bits;
mod outstanding;
mod redelivery;
pub mod wire;
