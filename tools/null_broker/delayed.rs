//! A writer that is late on purpose, as a broker far away is.

use std::{
    io::{self, Write},
    net::TcpStream,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

/// Where a connection's answers go.
pub(crate) enum Writer {
    /// Out, at once.
    Direct(TcpStream),
    /// To a thread that writes each batch when its time has come.
    Delayed {
        delay: Duration,
        batches: Sender<(Instant, Vec<u8>)>,
    },
}

impl Writer {
    pub(crate) fn new(stream: TcpStream, delay: Duration) -> Self {
        if delay.is_zero() {
            return Self::Direct(stream);
        }
        let (batches, due) = channel();
        thread::spawn(move || write_when_due(stream, &due));
        Self::Delayed { delay, batches }
    }

    /// Sends what `out` holds, and empties it.
    pub(crate) fn send(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            _ if out.is_empty() => return Ok(()),
            Self::Direct(stream) => {
                stream.write_all(out)?;
                out.clear();
            }
            Self::Delayed { delay, batches } => {
                let due = Instant::now() + *delay;
                batches
                    .send((due, std::mem::take(out)))
                    .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            }
        }
        Ok(())
    }
}

fn write_when_due(mut stream: TcpStream, batches: &Receiver<(Instant, Vec<u8>)>) {
    for (due, batch) in batches {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if stream.write_all(&batch).is_err() {
            return;
        }
    }
}
