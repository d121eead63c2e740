//! Moves bytes between clients and a far end and looks at none of them: what a service on the same runtime
//! would cost if it had nothing else to do.
//!
//! All clients share one connection to the far end, as they do in the service. It reads into buffers as
//! large as the service's, and for each message each socket gets as many bytes as it would from the service.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool of its own, not a part of the service: it speaks to a terminal"
)]

#[path = "../shared/about.rs"]
mod about;
mod joined;
mod outbox;
mod shape;

use std::{io, net::SocketAddr, process::ExitCode};

use clap::Parser;
use monoio::{
    IoUringDriver, RuntimeBuilder,
    net::{TcpListener, TcpStream},
};

use crate::{about::about, joined::Joined, shape::Shape};

const RING_ENTRIES: u32 = 1024;

/// A relay that looks at nothing.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 takes any free one. The address is the first line printed.
    #[arg(long)]
    listen: SocketAddr,
    /// The far end.
    #[arg(long)]
    to: SocketAddr,
    /// For each IN bytes of a client SENT go to the far end, for each BACK bytes from there OUT go to the client whose turn
    /// it is; AHEAD times SENT go there when a client comes
    #[arg(long, value_name = "IN:SENT:BACK:OUT:AHEAD")]
    shape: Shape,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pulsar-relay: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> io::Result<()> {
    // As the service's rings are; kernels before 6.1 know them plain only.
    let mut deferring = io_uring::IoUring::builder();
    deferring.setup_single_issuer().setup_defer_taskrun();
    let build = |ring| {
        RuntimeBuilder::<IoUringDriver>::new()
            .uring_builder(ring)
            .with_entries(RING_ENTRIES)
            .build()
    };
    build(deferring)
        .or_else(|_| build(io_uring::IoUring::builder()))?
        .block_on(accept(arguments))
}

async fn accept(arguments: &Arguments) -> io::Result<()> {
    let Arguments { listen, to, shape } = *arguments;
    let listener = TcpListener::bind(listen).map_err(about(format!("can't listen at {listen}")))?;
    let far = TcpStream::connect_addr(to).await;
    let far = far.map_err(about(format!("can't connect to {to}")))?;
    far.set_nodelay(true)?;
    let joined = Joined::start(shape, far);
    println!("{}", listener.local_addr()?);
    loop {
        let (client, _) = listener.accept().await?;
        client.set_nodelay(true)?;
        joined.take_in(client);
    }
}
