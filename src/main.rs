//! The command `pulsar-ws-fast`.
fn main() {}
