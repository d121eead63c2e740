//! Moves bytes between a client and a fixed address and looks at none of them: what a service on the
//! same runtime would cost if it had nothing else to do.
//!
//! It reads into buffers as large as the service's and writes what one read brought at once.

#![allow(
    clippy::print_stdout,
    reason = "a tool of its own, not a part of the service: it speaks to a terminal"
)]

use std::{io, net::SocketAddr};

use clap::Parser;
use monoio::{
    IoUringDriver, RuntimeBuilder,
    buf::{IoBuf, IoBufMut},
    io::{AsyncReadRent, AsyncWriteRent, AsyncWriteRentExt, Splitable},
    net::{TcpListener, TcpStream},
};

const READ_BYTES: usize = 64 * 1024;
const RING_ENTRIES: u32 = 1024;

/// A relay that looks at nothing.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 takes any free one. The address is the first line printed.
    #[arg(long)]
    listen: SocketAddr,
    /// Where to go.
    #[arg(long)]
    to: SocketAddr,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
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
        .block_on(accept(&arguments))
}

async fn accept(arguments: &Arguments) -> io::Result<()> {
    let listener = TcpListener::bind(arguments.listen)?;
    println!("{}", listener.local_addr()?);
    loop {
        let (client, _) = listener.accept().await?;
        let to = TcpStream::connect_addr(arguments.to).await?;
        client.set_nodelay(true)?;
        to.set_nodelay(true)?;
        let (client_read, client_write) = client.into_split();
        let (to_read, to_write) = to.into_split();
        monoio::spawn(relay(client_read, to_write));
        monoio::spawn(relay(to_read, client_write));
    }
}

/// Until either side has enough.
async fn relay(mut from: impl AsyncReadRent, mut to: impl AsyncWriteRent) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let (read, slice) = from.read(buffer.slice_mut(..)).await;
        buffer = slice.into_inner();
        let Ok(read @ 1..) = read else { break };
        let (written, slice) = to.write_all(buffer.slice(..read)).await;
        buffer = slice.into_inner();
        if written.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
