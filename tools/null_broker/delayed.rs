//! A writer that is late on purpose, as a broker far away is.

use std::{
    io::{self, Write},
    net::{Shutdown, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::shared::random::Random;

/// How late.
#[derive(Clone, Copy)]
pub(crate) struct Delay {
    pub(crate) least: Duration,
    /// Up to so much more, by chance.
    pub(crate) jitter: Duration,
}

impl Delay {
    fn draw(&self, random: &mut Random) -> Duration {
        let most = u64::try_from(self.jitter.as_nanos()).unwrap_or(u64::MAX - 1);
        self.least + Duration::from_nanos(random.below(most + 1))
    }
}

/// Where a connection's answers go.
pub(crate) enum Writer {
    /// Out, at once.
    Direct(TcpStream),
    /// To a thread that writes each batch when its time has come, and none before an earlier one.
    Delayed {
        delay: Delay,
        random: Random,
        batches: Sender<(Instant, Vec<u8>)>,
        writer: JoinHandle<()>,
    },
}

impl Writer {
    pub(crate) fn new(stream: TcpStream, delay: Delay, seed: u64) -> Self {
        if delay.least.is_zero() && delay.jitter.is_zero() {
            return Self::Direct(stream);
        }
        let (batches, due) = channel();
        let writer = thread::spawn(move || write_when_due(stream, &due));
        Self::Delayed {
            delay,
            random: Random::new(seed),
            batches,
            writer,
        }
    }

    /// Sends what `out` holds, and empties it.
    pub(crate) fn send(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            _ if out.is_empty() => return Ok(()),
            Self::Direct(stream) => {
                stream.write_all(out)?;
                out.clear();
            }
            Self::Delayed {
                delay,
                random,
                batches,
                ..
            } => {
                let due = Instant::now() + delay.draw(random);
                batches
                    .send((due, std::mem::take(out)))
                    .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            }
        }
        Ok(())
    }

    /// Writes what waits, and then no more.
    pub(crate) fn end(self) -> io::Result<()> {
        match self {
            Self::Direct(stream) => stream.shutdown(Shutdown::Write),
            Self::Delayed {
                batches, writer, ..
            } => {
                drop(batches);
                let ended = writer.join();
                ended.map_err(|_| io::Error::other("the writer panicked"))
            }
        }
    }
}

fn write_when_due(mut stream: TcpStream, batches: &Receiver<(Instant, Vec<u8>)>) {
    for (due, batch) in batches {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if stream.write_all(&batch).is_err() {
            return;
        }
    }
    // Whoever reads from here on finds the end.
    let _ = stream.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_lies_within_its_jitter() {
        let delay = Delay {
            least: Duration::from_micros(100),
            jitter: Duration::from_micros(50),
        };
        let mut random = Random::new(1);
        let drawn: Vec<Duration> = (0..1000).map(|_| delay.draw(&mut random)).collect();
        let (least, most) = (drawn.iter().min(), drawn.iter().max());
        assert!(least >= Some(&delay.least) && least < Some(&Duration::from_micros(105)));
        assert!(
            most <= Some(&Duration::from_micros(150)) && most > Some(&Duration::from_micros(145))
        );
    }
}
