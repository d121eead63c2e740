//! The bytes of an exchange and nothing else, for the bare relay: each answer's bytes are followed
//! by a request's.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::atomic::Ordering::Relaxed,
};

use crate::{
    Common,
    window::{Outcome, Progress, measure},
};

const READ_BYTES: usize = 256 * 1024;

pub(crate) fn run(
    common: &Common,
    request: usize,
    answer: usize,
    window: usize,
) -> io::Result<String> {
    let address = common.address;
    let connect = move |_| {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    measure(common, connect, move |stream, progress| {
        exchange(stream, progress, request, answer, window)
    })
}

fn exchange(
    mut stream: TcpStream,
    progress: &Progress,
    request: usize,
    answer: usize,
    window: usize,
) -> io::Result<Outcome> {
    let mut outcome = Outcome::default();
    let (mut buffer, mut requests) = (vec![0; READ_BYTES], vec![b'r'; request * window]);
    let mut answered = 0;
    stream.write_all(&requests)?;
    while !progress.stopped() {
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => answered += read,
        }
        let messages = answered / answer;
        answered %= answer;
        requests.resize(messages * request, b'r');
        stream.write_all(&requests)?;
        outcome.messages += messages as u64;
        progress.done.fetch_add(messages as u64, Relaxed);
    }
    Ok(outcome)
}
