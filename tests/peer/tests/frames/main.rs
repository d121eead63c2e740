//! Our frames judged by the `Codec` of the crate `pulsar`: it reads every frame that a whole shard
//! writes for a broker, writes the same bytes from what it read, and writes every frame of a broker
//! that the shard reads. Nobody who worked on our encoders and decoders worked on it.

mod consuming;
mod opening;
mod publishing;
mod world;
