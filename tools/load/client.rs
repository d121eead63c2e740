//! A WebSocket connection, as a client that knows its server sees it.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use crate::{
    deflate::Deflate,
    frames,
    socket::{ReadBuffer, Socket},
};

/// A client whose bytes the service does not take gets no more than this to send.
const OUT_BYTES_MAX: usize = 256 * 1024;
/// How long the service may take for its goodbye.
const GOODBYE: Duration = Duration::from_secs(10);

pub(crate) struct Client {
    socket: Socket,
    /// What was read and is not yet a whole frame.
    rest: Vec<u8>,
    /// Frames of a message that is not yet whole.
    parts: Option<(bool, Vec<u8>)>,
    pub(crate) out: Vec<u8>,
    written: usize,
    pub(crate) deflate: bool,
    /// Since the handshake.
    pub(crate) traffic: Traffic,
}

/// Bytes in each direction, headers of frames included and TLS not.
#[derive(Clone, Copy, Default)]
pub(crate) struct Traffic {
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

impl Client {
    /// A socket after its handshake, and what came behind that.
    pub(crate) fn new(socket: Socket, rest: &[u8], deflate: bool) -> Self {
        Self {
            socket,
            rest: rest.to_vec(),
            parts: None,
            out: Vec::new(),
            written: 0,
            deflate,
            traffic: Traffic {
                sent: 0,
                received: rest.len() as u64,
            },
        }
    }

    pub(crate) fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        self.socket.set_nonblocking(on)
    }

    /// Whether more may be appended to `out`.
    pub(crate) fn has_room(&self) -> bool {
        self.out.len() - self.written < OUT_BYTES_MAX
    }

    /// Appends a text to `out`, compressed where that was agreed.
    pub(crate) fn put(&mut self, deflate: &mut Deflate, text: &[u8]) -> io::Result<()> {
        if self.deflate {
            let text = deflate.deflate(text)?;
            frames::put(&mut self.out, frames::COMPRESSED | frames::TEXT, text);
        } else {
            frames::put(&mut self.out, frames::TEXT, text);
        }
        Ok(())
    }

    /// Reads once into `buffer`; the bytes that came, or `None` if nothing was there.
    pub(crate) fn read(&mut self, buffer: &mut ReadBuffer) -> io::Result<Option<usize>> {
        buffer.restart(&self.rest);
        match self.socket.read(buffer) {
            Ok(read) => {
                self.traffic.received += read as u64;
                Ok(Some(read))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What came with the handshake, as if it had been read.
    pub(crate) fn reread(&self, buffer: &mut ReadBuffer) {
        buffer.restart(&self.rest);
    }

    /// Hands each text that is whole to `text`, together with the bytes to send.
    pub(crate) fn texts(
        &mut self,
        bytes: &[u8],
        deflate: &mut Deflate,
        mut text: impl FnMut(&[u8], &mut Vec<u8>),
    ) -> io::Result<()> {
        let mut done = 0;
        while let Some(frame) = frames::next(&bytes[done..]) {
            let payload = &bytes[done..][frame.payload.clone()];
            done += frame.payload.end;
            match frame.opcode {
                frames::TEXT if frame.last => {
                    text(plain(deflate, frame.compressed, payload)?, &mut self.out);
                }
                frames::TEXT => self.parts = Some((frame.compressed, payload.to_vec())),
                frames::CONTINUATION => {
                    if let Some((compressed, mut parts)) = self.parts.take() {
                        parts.extend_from_slice(payload);
                        if frame.last {
                            text(plain(deflate, compressed, &parts)?, &mut self.out);
                        } else {
                            self.parts = Some((compressed, parts));
                        }
                    }
                }
                frames::PING => frames::put(&mut self.out, frames::PONG, payload),
                frames::CLOSE => return Err(closed(payload)),
                _ => {}
            }
        }
        self.rest.clear();
        self.rest.extend_from_slice(&bytes[done..]);
        Ok(())
    }

    /// Writes what can be written now; whether that was all.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        while self.written < self.out.len() {
            match self.socket.write(&self.out[self.written..]) {
                Ok(written) => {
                    self.written += written;
                    self.traffic.sent += written as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(!self.socket.waits() || self.socket.flush()?)
    }

    /// Sends what waits, and a goodbye, blocking.
    pub(crate) fn say_goodbye(&mut self) -> io::Result<()> {
        self.set_nonblocking(false)?;
        self.flush()?;
        let mut goodbye = Vec::new();
        frames::put(&mut goodbye, frames::CLOSE, &1000_u16.to_be_bytes());
        self.socket.write_all(&goodbye)
    }

    /// Waits until the service has said goodbye too.
    pub(crate) fn wait_for_end(&mut self, buffer: &mut ReadBuffer) -> io::Result<()> {
        self.socket.set_read_timeout(GOODBYE)?;
        loop {
            buffer.restart(&[]);
            if self.socket.read(buffer).is_err() {
                return Ok(());
            }
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn plain<'t>(
    deflate: &'t mut Deflate,
    compressed: bool,
    payload: &'t [u8],
) -> io::Result<&'t [u8]> {
    if compressed {
        deflate.inflate(payload)
    } else {
        Ok(payload)
    }
}

fn closed(payload: &[u8]) -> io::Error {
    let code = payload
        .first_chunk()
        .map_or(1005, |code| u16::from_be_bytes(*code));
    let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
    io::Error::other(format!("closed by the service: {code} {reason}"))
}
